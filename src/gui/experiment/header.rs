//! Above everything else: which experiment, how far, what can be done with it.

use eframe::egui::{self, Button, Color32, DragValue, Rect, RichText, Role, Sense, Ui, WidgetInfo, vec2};

use super::request::Request;
use super::setup::device_list;
use crate::device::DeviceChoice;
use crate::experiment::{Progress, Tally};
use crate::gui::file_url::file_url;
use crate::gui::widgets::card;
use crate::gui::{OpenRun, Palette};
use crate::protocol::StageState;
use crate::wording::{bytes, count, duration, holds_others, place};
use crate::worker::AvailableDevice;

/// Height of the bar in points.
const BAR: f32 = 10.0;

/// What the header needs besides the experiment.
pub(super) struct Surroundings<'a> {
    pub(super) devices: &'a [AvailableDevice],
    pub(super) device: &'a DeviceChoice,
    /// Name of another experiment that is at work.
    pub(super) other_at_work: Option<&'a str>,
    pub(super) at_once: &'a mut usize,
}

/// The state of an experiment in a word, and its colour.
pub(super) fn word(open: &OpenRun, palette: Palette) -> (&'static str, Color32) {
    if open.is_at_work() {
        return match (open.is_starting(), open.is_stopping(), open.is_paused()) {
            (true, ..) => ("starting", palette.good()),
            (_, true, _) => ("stopping", palette.caution()),
            (.., true) => ("paused", palette.caution()),
            _ => ("at work", palette.good()),
        };
    }
    let Tally { done, begun, failed, waiting } = open.tally();
    match (open.is_watched(), open.look.is_some()) {
        (true, _) => ("at work in another program", palette.good()),
        (_, false) => ("reading ...", palette.caution()),
        _ if begun + failed + waiting == 0 => ("completed", palette.good()),
        _ if failed > 0 => ("failed", palette.bad()),
        _ if done + begun == 0 => ("not begun", palette.caution()),
        _ => ("incomplete", palette.caution()),
    }
}

/// Name and buttons, the question, progress.
pub(super) fn show(ui: &mut Ui, open: &mut OpenRun, mut around: Surroundings<'_>) -> Option<Request> {
    let mut request = None;
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(open.name()).heading().strong());
        let (word, colour) = word(open, Palette::of(ui));
        ui.label(RichText::new(word).strong().color(colour));
        ui.separator();
        if open.is_at_work() {
            request = transport(ui, open);
        } else {
            request = beginning(ui, open, &mut around);
            let hint = "Sets up another run with the settings of this one";
            if ui.button("Settings as new run").on_hover_text(hint).clicked() {
                request = Some(Request::Another);
            }
        }
        if let Some(report) = &open.report
            && ui.button("Open report").on_hover_text("The last report that was written, in your browser").clicked()
        {
            ui.ctx().open_url(egui::OpenUrl::new_tab(file_url(report)));
        }
        let hint = "Writes what is known so far as one page (and as Markdown and CSV) into the folder, and opens the page in your browser";
        if ui.add_enabled(open.look.is_some() && !open.is_writing(), Button::new("Write report")).on_hover_text(hint).clicked() {
            request = Some(Request::Report);
        }
    });
    if !open.experiment.config.title.is_empty() {
        card::one_line(ui, RichText::new(&open.experiment.config.title).strong());
    }
    let mut parts = vec![open.folder.root().display().to_string()];
    let environment = open.trainings().next_back().map(|training| &training.run.environment).filter(|known| !known.device_name.is_empty());
    parts.extend(environment.map(place));
    parts.extend(last_saved(open));
    let line = card::quiet(ui, parts.join("   ")).small();
    card::one_line(ui, line).on_hover_text(parts.join("\n"));
    progress(ui, open, *around.at_once);
    if let Some(others) = open.look.as_ref().map(|look| look.others.len()).filter(|&others| others > 0) {
        card::note(ui, format!("{} The page Segmentation offers their networks.", holds_others(others)));
    }
    request
}

/// `last saved: simtrot_w at step 200`, while it is at work.
fn last_saved(open: &OpenRun) -> Option<String> {
    let step = |stage: &StageState| stage.checkpoints.iter().map(|(step, ..)| *step).max();
    let live = || open.trainings().filter(|training| open.is_live(training.index));
    let mut saved = live().filter_map(|training| Some((training.index, training.run.stages.iter().rev().find_map(step)?)));
    saved.next_back().map(|(training, step)| format!("last saved: {} at step {step}", open.title(training)))
}

/// Buttons of an experiment at work.
fn transport(ui: &mut Ui, open: &mut OpenRun) -> Option<Request> {
    let mut request = None;
    ui.add_enabled_ui(!open.is_stopping() && !open.is_starting(), |ui| {
        let paused = open.is_paused();
        let (word, hint) = if paused { ("Resume", "Goes on with the next step") } else { ("Pause", "Holds before the next step") };
        if ui.button(word).on_hover_text(hint).clicked() {
            open.pause(!paused);
        }
        if ui.button("Save").on_hover_text("Saves a checkpoint after this step and goes on").clicked() {
            open.save();
        }
        if ui.button("Stop").on_hover_text("Finishes the steps under way, saves, and ends; it can be resumed later").clicked() {
            request = Some(Request::Stop);
        }
    });
    request
}

/// Buttons of one that is not at work here.
fn beginning(ui: &mut Ui, open: &OpenRun, around: &mut Surroundings<'_>) -> Option<Request> {
    let mut request = None;
    let Tally { done, begun, failed, waiting } = open.tally();
    if open.is_watched() {
        let hint = "The program that works on it finishes its step, saves, and ends; it can be resumed later";
        return ui.button("Ask it to stop").on_hover_text(hint).clicked().then_some(Request::Stop);
    }
    if begun + failed + waiting == 0 {
        return None;
    }
    let reason = match (&open.look, around.other_at_work) {
        (None, _) => Some("The experiment is being read".to_owned()),
        (_, Some(name)) => Some(format!("One piece of work at a time: {name} is at work")),
        _ => None,
    };
    let hint = if failed > 0 {
        "Makes what is missing, and tries again what failed; what is done stays"
    } else {
        "Makes what is missing; what is done stays"
    };
    let (fill, ink) = (ui.visuals().selection.bg_fill, ui.visuals().selection.stroke.color);
    let word = if done + begun + failed == 0 { "Start" } else { "Resume run" };
    let button = Button::new(RichText::new(word).strong().color(ink)).fill(fill);
    let button = ui.add_enabled(reason.is_none(), button).on_hover_text(hint);
    if button.on_disabled_hover_text(reason.unwrap_or_default()).clicked() {
        request = Some(Request::Start);
    }
    if open.experiment.trainings.len() > 1 {
        let most = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let hint = "Trainings at the same time. Several need as many times the memory, and share the processor's cores.";
        let drag = ui.add(DragValue::new(around.at_once).range(1..=most).suffix(" at once")).on_hover_text(hint);
        drag.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, "trainings at once"));
    }
    if let Some(device) = device_list(ui, around.devices, around.device) {
        request = Some(Request::Device(device));
    }
    request
}

/// A bar in the colours of the grid, and what it means.
fn progress(ui: &mut Ui, open: &OpenRun, at_once: usize) {
    let palette = Palette::of(ui);
    let Tally { done, begun, failed, waiting } = open.tally();
    let all = open.experiment.trainings.len().max(1) as f32;
    let of_training = |training| match open.progress(training) {
        Progress::Done => 1.0,
        Progress::Begun { done, total } => done as f32 / total.max(1) as f32,
        Progress::Failed { .. } | Progress::Waiting => 0.0,
    };
    let share = (0..open.experiment.trainings.len()).map(of_training).fold(0.0, |sum, share| sum + share) / all;
    let live = open.is_at_work() || open.is_watched();
    let under_way = if live { palette.series(0) } else { palette.caution() };
    let whole = done as f32 / all;
    let parts = [(whole, palette.good().gamma_multiply(0.8)), ((share - whole).max(0.0), under_way), (failed as f32 / all, palette.bad())];
    let mut words = vec![format!("{done} of {} done", count(open.experiment.trainings.len(), "training"))];
    let others = [(begun, if live { "under way" } else { "held" }), (failed, "failed"), (waiting, "waiting")];
    words.extend(others.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")));
    let words = words.join(", ");
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), BAR), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, &words);
        info.value = Some(f64::from(share * 100.0).round());
        info
    });
    ui.painter().rect_filled(rect, 3.0, ui.visuals().widgets.inactive.weak_bg_fill);
    let mut left = rect.left();
    for (share, colour) in parts.into_iter().filter(|(share, _)| *share > 0.0) {
        let right = (left + share * rect.width()).min(rect.right());
        let piece = Rect::from_min_max(egui::pos2(left, rect.top()), egui::pos2(right, rect.bottom()));
        ui.painter().rect_filled(piece, 3.0_f32.min(piece.width() / 2.0), colour);
        left = right;
    }
    card::sides(ui, |ui| drop(ui.label(RichText::new(words).small())), |ui| card::note(ui, still(open, at_once)));
}

/// Time and disk that are still needed.
fn still(open: &OpenRun, at_once: usize) -> String {
    let Some(look) = &open.look else { return String::new() };
    let estimate = &look.estimate;
    if open.tally().done == open.experiment.trainings.len() {
        return estimate.disk_bytes.map_or_else(String::new, |size| format!("{} on disk", bytes(size)));
    }
    let mut words = match estimate.secs_left {
        None => vec!["time left is known once the first steps are measured".to_owned()],
        Some(secs) => {
            let least = if estimate.unmeasured + estimate.untested > 0 { "at least" } else { "about" };
            vec![format!("{least} {} left", duration(secs / at_once.max(1) as f64))]
        }
    };
    words.extend(estimate.disk_bytes.map(|size| format!("about {} on disk in the end", bytes(size))));
    words.join(", ")
}
