//! How far an experiment of one point has come: a bar for each part of each training, and what went wrong.

use std::time::Duration;

use eframe::egui::{Align, CollapsingHeader, Layout, RichText, Ui, vec2};

use crate::experiment::Progress;
use crate::gui::widgets::card;
use crate::gui::{OpenRun, Palette};
use crate::protocol::{Severity, StageKind, StageState, TransferReport};
use crate::wording::{count, duration};

/// Room for the names in points: as much as the longest needs, within bounds; and for numbers and times.
const NAMES: std::ops::RangeInclusive<f32> = 90.0..=220.0;
const LETTER: f32 = 7.2;
const DONE: f32 = 84.0;
const TIME: f32 = 96.0;
const ROW: f32 = 18.0;
const BAR: f32 = 8.0;
/// A worker that tells nothing for longer is spoken of.
const LONG_SILENCE: Duration = Duration::from_secs(20);
/// Notices that are shown at once; more are folded away.
const NOTICES: usize = 3;

/// A part of a training as a row.
struct Row {
    name: String,
    share: f32,
    done: String,
    time: String,
    /// Still to come.
    faint: bool,
}

/// A bar for each part of each training.
pub(super) fn show(ui: &mut Ui, open: &OpenRun) {
    card::title(ui, "Progress");
    if let Some(silence) = open.silence().filter(|silence| *silence > LONG_SILENCE && !open.is_paused()) {
        // Measuring tokens or segmenting a large case needs its time; that must not look like a standstill.
        card::note(ui, format!("The worker computes; no update for {}.", duration(silence.as_secs_f64())));
    }
    if open.is_at_work() && open.trainings().next().is_none() {
        card::note(ui, "Opening the dataset and the device.");
    }
    let rows: Vec<Row> = (0..open.experiment.trainings.len()).flat_map(|training| rows(open, training)).collect();
    let letters = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
    let width = (letters as f32 * LETTER).clamp(*NAMES.start(), *NAMES.end());
    rows.iter().for_each(|row| line(ui, row, width));
}

/// What a kind of work is called before the name of its arm.
fn title(kind: StageKind, arm: &str) -> String {
    let kind = match kind {
        StageKind::Prepare => "Prepare volumes",
        StageKind::Pretrain => "Pre-train",
        StageKind::Finetune => "Fine-tune",
        StageKind::Test => "Test",
        StageKind::Infer => "Segment",
        StageKind::Probe => "Probe tokens",
        StageKind::MaskRatios => "Mask ratios",
        StageKind::NextCase => "Rank cases",
    };
    format!("{kind} {arm}")
}

/// The parts of a training: those that began, and those to come.
fn rows(open: &OpenRun, training: usize) -> Vec<Row> {
    let (plan, arm) = (&open.experiment.trainings[training], open.experiment.trainings[training].arm.as_str());
    let live = open.is_live(training) || open.is_watched();
    let began = open.run(training).map_or(&[][..], |run| &run.stages);
    let now = open.run(training).map_or(0.0, |run| run.secs);
    let mut rows: Vec<Row> =
        began.iter().filter(|stage| stage.stage.kind != StageKind::Prepare).map(|stage| row(stage, arm, (now, live))).collect();
    let planned: &[StageKind] =
        if plan.kind == StageKind::Pretrain { &[StageKind::Pretrain] } else { &[StageKind::Finetune, StageKind::Test] };
    for &kind in planned.iter().filter(|kind| began.iter().all(|stage| stage.stage.kind != **kind)) {
        let steps = if kind == StageKind::Pretrain { plan.config.pretrain.steps } else { plan.config.finetune.steps };
        let done = if kind == StageKind::Test { String::new() } else { count(steps, "step") };
        rows.push(Row { name: title(kind, arm), share: 0.0, done, time: String::new(), faint: true });
    }
    rows
}

fn row(stage: &StageState, arm: &str, (now_secs, live): (f64, bool)) -> Row {
    let time = match (stage.secs, stage.eta_secs(now_secs)) {
        (Some(secs), _) => duration(secs),
        (None, _) if !live => "not finished".to_owned(),
        (None, left) => left.map_or_else(String::new, |left| format!("{} left", duration(left))),
    };
    let share = if stage.total == 0 { 1.0 } else { stage.done as f32 / stage.total as f32 };
    Row { name: title(stage.stage.kind, arm), share, done: format!("{} of {}", stage.done, stage.total), time, faint: false }
}

fn line(ui: &mut Ui, row: &Row, names: f32) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        ui.set_height(ROW);
        let text = |text: &str, faint: bool| if faint { card::quiet(ui, text) } else { RichText::new(text) };
        let [name, done, time] = [text(&row.name, row.faint), text(&row.done, row.faint), text(&row.time, true)];
        let cell = |ui: &mut Ui, width: f32, layout: Layout, content: RichText| {
            ui.allocate_ui_with_layout(vec2(width, ROW), layout, |ui| {
                ui.set_min_width(width);
                card::one_line(ui, content);
            });
        };
        cell(ui, names, Layout::left_to_right(Align::Center), name);
        let width = (ui.available_width() - DONE - TIME - 3.0 * ui.spacing().item_spacing.x).max(60.0);
        let colour = if row.share >= 1.0 { palette.good().gamma_multiply(0.75) } else { palette.series(0) };
        card::bar(ui, vec2(width, BAR), row.share, colour, &row.name);
        let right = Layout::right_to_left(Align::Center);
        cell(ui, DONE, right, done);
        cell(ui, TIME, right, time);
    });
}

/// Trainings that failed, each with its cause, and what to do.
pub(super) fn failures(ui: &mut Ui, open: &OpenRun) {
    if open.tally().failed == 0 {
        return;
    }
    card::loud_card(ui, Palette::of(ui).bad(), "The run failed", |ui| {
        for training in 0..open.experiment.trainings.len() {
            if let Progress::Failed { message } = open.progress(training) {
                ui.label(format!("{}: {message}", open.title(training)));
            }
        }
        card::note(
            ui,
            "What was saved is intact. Put right what is named above, then resume the run: what is done stays. If the device fails again, choose another one, or a smaller batch or crop.",
        );
    });
    ui.add_space(6.0);
}

/// Whether there is anything to tell besides numbers.
pub(super) fn has_notices(open: &OpenRun) -> bool {
    let told = |run: &crate::protocol::RunState| !run.notices.is_empty() || run.stages.iter().any(|stage| stage.transfer.is_some());
    !open.troubles.is_empty() || open.trainings().any(|training| told(training.run))
}

/// What the trainings wished a person to know, what could not be read of them, and which pre-trained weights were loaded.
pub(super) fn notices(ui: &mut Ui, open: &OpenRun) {
    let mut all: Vec<(Severity, &str)> = open.troubles.iter().map(|trouble| (Severity::Warning, trouble.as_str())).collect();
    for (severity, text) in open.trainings().flat_map(|training| &training.run.notices) {
        // Trainings on the same data say the same.
        if !all.iter().any(|(_, known)| known == text) {
            all.push((*severity, text));
        }
    }
    // Warnings do not hide behind notes.
    all.sort_by_key(|(severity, _)| *severity != Severity::Warning);
    let line = |ui: &mut Ui, (severity, text): &(Severity, &str)| {
        let palette = Palette::of(ui);
        let (word, colour) = match severity {
            Severity::Warning => ("Warning", palette.caution()),
            Severity::Info => ("Note", palette.reference()),
        };
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(word).small().strong().color(colour));
            ui.label(RichText::new(*text).small());
        });
    };
    if !all.is_empty() {
        card::title(ui, "Notices");
        all.iter().take(NOTICES).for_each(|notice| line(ui, notice));
        if all.len() > NOTICES {
            let title = format!("{} more", all.len() - NOTICES);
            CollapsingHeader::new(title).id_salt("more notices").show(ui, |ui| all[NOTICES..].iter().for_each(|notice| line(ui, notice)));
        }
        let left_out: usize = open.trainings().map(|training| training.run.notices_left_out).sum();
        if left_out > 0 {
            card::note(ui, format!("{left_out} more between them: in events.jsonl alone."));
        }
    }
    let loaded = open.trainings().flat_map(|training| training.run.stages.iter().map(move |stage| (training.index, stage)));
    let loaded: Vec<_> = loaded.filter_map(|(training, stage)| Some((training, stage.transfer.as_ref()?))).collect();
    if !loaded.is_empty() {
        let whole = loaded.iter().all(|(_, (_, report))| report.missing.is_empty());
        card::title(ui, if whole { "Networks loaded" } else { "Encoders loaded" });
        for (training, (from, report)) in loaded {
            transfer(ui, &open.title(training), from, report);
        }
    }
}

fn transfer(ui: &mut Ui, training: &str, from: &str, TransferReport { matched, missing, skipped }: &TransferReport) {
    let summary = format!("{training}: {} matched, {} missing, {} skipped", count(matched.len(), "tensor"), missing.len(), skipped.len());
    CollapsingHeader::new(RichText::new(summary).small()).id_salt(("transfer", training)).show(ui, |ui| {
        card::note(ui, format!("From {from}"));
        for (word, tensors) in [("missing", missing), ("skipped", skipped), ("matched", matched)] {
            for (name, shape) in tensors {
                ui.label(RichText::new(format!("{word}  {name} {shape:?}")).small().monospace());
            }
        }
    });
}
