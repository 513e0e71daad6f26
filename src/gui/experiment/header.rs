//! Above the grid: which experiment, how far, what can be done with it.

use std::path::PathBuf;

use eframe::egui::{self, Align, Button, Color32, DragValue, Layout, Rect, RichText, Role, Sense, Ui, WidgetInfo, vec2};

use super::super::run::device_list;
use super::super::widgets::card;
use super::super::{Palette, Workspace};
use super::opened::OpenExperiment;
use super::{Ask, View};
use crate::device::DeviceChoice;
use crate::wording::{bytes, count, duration};
use crate::worker::AvailableDevice;

const BAR_HEIGHT: f32 = 10.0;

/// What the header asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// A dialog.
    Ask(Ask),
    /// An experiment of the recent list.
    Open(PathBuf),
    /// Compute elsewhere.
    Device(DeviceChoice),
    /// The report, as it stands.
    Report,
    /// Ask the other program that works on the experiment to stop.
    AskToStop,
    /// Back to the first screen.
    Close,
}

/// How the experiment stands, in a word; second: whether that is good news, bad news, or neither.
pub(super) fn word(open: &OpenExperiment) -> (&'static str, Option<bool>) {
    if open.is_at_work() {
        return match (open.is_starting(), open.is_stopping(), open.is_paused()) {
            (true, ..) => ("starting", Some(true)),
            (_, true, _) => ("stopping", None),
            (.., true) => ("paused", None),
            _ => ("at work", Some(true)),
        };
    }
    let (_, [done, begun, failed, waiting]) = open.overall();
    match (open.is_busy(), open.look.is_some()) {
        (true, _) => ("at work in another program", Some(true)),
        (_, false) => ("reading ...", None),
        _ if begun + failed + waiting == 0 => ("complete", Some(true)),
        _ if failed > 0 && waiting + begun == 0 => ("ended with failures", Some(false)),
        _ if done + begun + failed == 0 => ("not begun", None),
        _ => ("incomplete", None),
    }
}

/// Three lines: name and buttons, the question, progress.
pub(super) fn show(
    ui: &mut Ui,
    open: &mut OpenExperiment,
    (devices, at_once, view): (&[AvailableDevice], &mut usize, &mut View),
    workspace: &Workspace,
) -> Option<Request> {
    let palette = Palette::of(ui);
    let mut request = None;
    ui.horizontal(|ui| {
        ui.label(RichText::new(open.name()).heading().strong());
        let (word, news) = word(open);
        let colour = match news {
            Some(true) => palette.good(),
            Some(false) => palette.bad(),
            None => palette.caution(),
        };
        ui.label(RichText::new(word).strong().color(colour));
        ui.separator();
        ui.selectable_value(view, View::Grid, "Grid").on_hover_text("How far each training is");
        ui.selectable_value(view, View::Findings, "Findings").on_hover_text("What the experiment shows so far");
        let hint =
            "Writes what is known so far as one page (and as Markdown and CSV) into the experiment's folder, and opens the page in your browser";
        if ui.add_enabled(open.look.is_some(), Button::new("Report")).on_hover_text(hint).clicked() {
            request = Some(Request::Report);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if open.is_at_work() {
                transport(ui, open);
            } else {
                request = beginning(ui, open, (devices, at_once), workspace).or(request.take());
            }
        });
    });
    ui.horizontal(|ui| {
        if !open.experiment.config.title.is_empty() {
            ui.label(RichText::new(&open.experiment.config.title).strong());
        }
        let place = open.folder.root().display().to_string();
        let line = card::quiet(ui, format!("in {place}")).small();
        card::one_line(ui, line).on_hover_text(place);
    });
    progress(ui, open, *at_once);
    request
}

fn transport(ui: &mut Ui, open: &mut OpenExperiment) {
    let free = !open.is_stopping() && !open.is_starting();
    ui.add_enabled_ui(free, |ui| {
        if ui.button("Stop").on_hover_text("Finishes the steps under way, saves, and ends; the experiment can go on later").clicked() {
            open.stop();
        }
        let paused = open.is_paused();
        let (word, hint) = if paused { ("Resume", "Goes on with the next step") } else { ("Pause", "Holds before the next step") };
        if ui.button(word).on_hover_text(hint).clicked() {
            open.pause(!paused);
        }
    });
}

fn beginning(
    ui: &mut Ui,
    open: &mut OpenExperiment,
    (devices, at_once): (&[AvailableDevice], &mut usize),
    workspace: &Workspace,
) -> Option<Request> {
    let mut request = None;
    if ui.button("Close").on_hover_text("Back to the list of experiments; the folder stays").clicked() {
        request = Some(Request::Close);
    }
    let menu = ui.menu_button("Open ...", |ui| request = open_menu(ui, workspace).or(request.take()));
    menu.response.on_hover_text("Another experiment");
    let (_, [done, begun, failed, waiting]) = open.overall();
    let untouched = done + begun + failed == 0;
    if begun + failed + waiting == 0 {
        return request;
    }
    let reason = match (&open.look, open.is_busy(), workspace.at_work()) {
        (None, ..) => Some("The experiment is being read".to_owned()),
        (_, true, _) => Some("Another program works on this experiment; its progress is followed here".to_owned()),
        (.., Some(run)) => Some(format!("One piece of work at a time: the run {} is at work", run.name())),
        _ => None,
    };
    if open.is_busy() {
        let hint = "The program that works on this experiment finishes the steps under way, saves, and ends";
        if ui.button("Ask it to stop").on_hover_text(hint).clicked() {
            request = Some(Request::AskToStop);
        }
    }
    let hint = if failed > 0 {
        "Makes what is missing, and tries again what failed; what is done stays"
    } else {
        "Makes what is missing; what is done stays"
    };
    let visuals = ui.visuals();
    let (fill, ink) = (visuals.selection.bg_fill, visuals.selection.stroke.color);
    let word = if untouched { "Start" } else { "Go on" };
    let button = Button::new(RichText::new(word).strong().color(ink)).fill(fill).min_size(vec2(72.0, 0.0));
    let button = ui.add_enabled(reason.is_none(), button).on_hover_text(hint);
    if button.on_disabled_hover_text(reason.unwrap_or_default()).clicked() {
        open.start(*at_once, workspace.device.clone());
    }
    let most = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let label = "trainings at once";
    let drag = DragValue::new(at_once).range(1..=most).suffix(" at once");
    let drag =
        ui.add(drag).on_hover_text("Trainings at the same time. Several need as many times the memory, and share the processor's cores.");
    drag.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, label));
    if let Some(device) = device_list(ui, devices, &workspace.device) {
        request = Some(Request::Device(device));
    }
    if untouched && ui.button("Keep in ...").on_hover_text("Choose where the experiment's folder is made").clicked() {
        request = Some(Request::Ask(Ask::Place));
    }
    request
}

fn open_menu(ui: &mut Ui, workspace: &Workspace) -> Option<Request> {
    let mut request = None;
    if ui.button("An experiment's file ...").clicked() {
        request = Some(Request::Ask(Ask::File));
    }
    if ui.button("An experiment's folder ...").clicked() {
        request = Some(Request::Ask(Ask::Folder));
    }
    ui.separator();
    for place in &workspace.settings.recent_experiments {
        let name = place.file_name().unwrap_or(place.as_os_str()).to_string_lossy();
        if ui.button(name.as_ref()).on_hover_text(place.display().to_string()).clicked() {
            request = Some(Request::Open(place.clone()));
        }
    }
    request
}

/// A bar in the colours of the grid, and what it means.
fn progress(ui: &mut Ui, open: &OpenExperiment, at_once: usize) {
    let palette = Palette::of(ui);
    let (share, [done, begun, failed, waiting]) = open.overall();
    let all = open.experiment.trainings.len().max(1) as f32;
    let live = open.is_at_work() || open.is_busy();
    let under_way = if live { palette.series(0) } else { palette.caution() };
    let begun_share = (share - done as f32 / all).max(0.0);
    let parts: [(f32, Color32); 3] =
        [(done as f32 / all, palette.good().gamma_multiply(0.8)), (begun_share, under_way), (failed as f32 / all, palette.bad())];
    let mut words = vec![format!("{done} of {} done", count(open.experiment.trainings.len(), "training"))];
    let told = [(begun, if live { "under way" } else { "held" }), (failed, "failed"), (waiting, "waiting")];
    words.extend(told.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")));
    let words = words.join(", ");
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), BAR_HEIGHT), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, &words);
        info.value = Some(f64::from(share * 100.0).round());
        info
    });
    let radius = 3.0_f32;
    ui.painter().rect_filled(rect, radius, ui.visuals().widgets.inactive.weak_bg_fill);
    let mut left = rect.left();
    for (share, colour) in parts.into_iter().filter(|(share, _)| *share > 0.0) {
        let right = (left + share * rect.width()).min(rect.right());
        let piece = Rect::from_min_max(egui::pos2(left, rect.top()), egui::pos2(right, rect.bottom()));
        ui.painter().rect_filled(piece, radius.min(piece.width() / 2.0), colour);
        left = right;
    }
    ui.horizontal(|ui| {
        ui.label(RichText::new(words).small());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| card::note(ui, still(open, at_once)));
    });
}

/// Time and disk that are still needed.
fn still(open: &OpenExperiment, at_once: usize) -> String {
    let Some(look) = &open.look else { return String::new() };
    let estimate = &look.estimate;
    let (_, [_, begun, failed, waiting]) = open.overall();
    if begun + failed + waiting == 0 {
        return estimate.disk_bytes.map_or_else(String::new, |size| format!("{} on disk", bytes(size)));
    }
    let mut words = match estimate.secs_left {
        None => vec!["time left is known once the first steps are measured".to_owned()],
        Some(secs) => {
            let least = if estimate.unmeasured > 0 { "at least" } else { "about" };
            vec![format!("{least} {} left", duration(secs / at_once.max(1) as f64))]
        }
    };
    if let Some(size) = estimate.disk_bytes {
        words.push(format!("about {} on disk in the end", bytes(size)));
    }
    words.join(", ")
}
