//! One run: what it does, its buttons, what went wrong, what it was told.

use std::path::Path;

use eframe::egui::{Align, Button, CollapsingHeader, Layout, OpenUrl, RichText, Ui};

use super::card;
use crate::gui::{FollowedJob, OpenRun, Palette};
use crate::protocol::{Outcome, RunState, Severity, StageState, TransferReport};
use crate::wording::count;

/// Notices that are shown at once; more are folded away.
const NOTICES: usize = 3;

/// What a run's buttons ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Go on with an interrupted run.
    Resume,
    /// Set up another run with its settings.
    Another,
}

/// A run's state in a word and a colour.
pub(super) fn word(job: &FollowedJob, palette: Palette) -> (&'static str, eframe::egui::Color32) {
    if job.is_running() {
        return match (job.is_stopping(), job.is_paused()) {
            (true, _) => ("stopping", palette.caution()),
            (_, true) => ("paused", palette.caution()),
            (false, false) => ("running", palette.good()),
        };
    }
    if job.is_watched() {
        return (if job.is_stopping() { "asked to stop" } else { "at work in another program" }, palette.good());
    }
    match &job.state.outcome {
        Some(Outcome::Completed) => ("completed", palette.good()),
        Some(Outcome::Stopped) => ("stopped", palette.caution()),
        Some(Outcome::Failed { .. }) => ("failed", palette.bad()),
        None => ("interrupted", palette.caution()),
    }
}

/// Name, device and buttons.
pub(super) fn header(ui: &mut Ui, run: &mut OpenRun, another_at_work: bool) -> Option<Request> {
    let palette = Palette::of(ui);
    let mut request = None;
    ui.horizontal(|ui| {
        ui.label(RichText::new(run.name()).heading().strong());
        let (word, colour) = word(&run.job, palette);
        ui.label(RichText::new(word).strong().color(colour));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if run.job.is_running() {
                transport(ui, &mut run.job);
            } else if run.job.is_watched() {
                let hint = "The program that makes this run finishes its step, saves, and ends; the run can be resumed later";
                if ui.add_enabled(!run.job.is_stopping(), Button::new("Ask it to stop")).on_hover_text(hint).clicked() {
                    run.job.stop();
                }
            } else {
                request = after_buttons(ui, run, another_at_work);
            }
        });
    });
    let environment = &run.state().environment;
    let mut parts = vec![run.folder.root().display().to_string()];
    if !environment.device_name.is_empty() {
        parts.insert(0, format!("{} ({})", environment.device_name, environment.backend));
    }
    parts.extend(last_saved(run.state()));
    let line = card::quiet(ui, parts.join("   ")).small();
    card::one_line(ui, line).on_hover_text(parts.join("\n"));
    request
}

/// `last saved: Pre-train simtrot_w at step 200`.
fn last_saved(state: &RunState) -> Option<String> {
    let saved = |stage: &StageState| {
        let (step, ..) = stage.checkpoints.iter().max_by_key(|(step, ..)| *step)?;
        Some(format!("last saved: {} at step {step}", super::stages::title(&stage.stage)))
    };
    state.stages.iter().rev().find_map(saved)
}

/// Buttons of a run at work, right to left.
fn transport(ui: &mut Ui, job: &mut FollowedJob) {
    let free = !job.is_stopping();
    ui.add_enabled_ui(free, |ui| {
        if ui.button("Stop").on_hover_text("Finishes the step, saves, and ends; the run can be resumed later").clicked() {
            job.stop();
        }
        if ui.button("Save").on_hover_text("Saves a checkpoint after this step and goes on").clicked() {
            job.save();
        }
        if job.is_paused() {
            if ui.button("Resume").on_hover_text("Goes on with the next step").clicked() {
                job.resume();
            }
        } else if ui.button("Pause").on_hover_text("Holds before the next step").clicked() {
            job.pause();
        }
    });
}

fn after_buttons(ui: &mut Ui, run: &OpenRun, another_at_work: bool) -> Option<Request> {
    let mut request = None;
    if let Some(report) = &run.report
        && ui.button("Open report").on_hover_text("The run as one page, in your browser").clicked()
    {
        ui.ctx().open_url(OpenUrl::new_tab(file_url(report)));
    }
    if ui.button("Settings as new run").on_hover_text("Sets up another run with the settings of this one").clicked() {
        request = Some(Request::Another);
    }
    if run.state().outcome != Some(Outcome::Completed) {
        let hint = if another_at_work {
            "One piece of work at a time: another run or an experiment is at work"
        } else {
            "Goes on from the last checkpoint"
        };
        let button = ui.add_enabled(!another_at_work, Button::new("Resume run"));
        if button.on_hover_text(hint).on_disabled_hover_text(hint).clicked() {
            request = Some(Request::Resume);
        }
    }
    request
}

/// A file as a browser takes it.
pub(in crate::gui) fn file_url(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = path.to_string_lossy().replace('\\', "/");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:-_.~".contains(&byte);
    let encoded: String =
        text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    // A drive letter needs a slash in front.
    format!("file://{}{encoded}", if encoded.starts_with('/') { "" } else { "/" })
}

/// A failure, with its cause and what to do.
pub(super) fn failure(ui: &mut Ui, state: &RunState) {
    let Some(Outcome::Failed { message, bad_input }) = &state.outcome else { return };
    let colour = Palette::of(ui).bad();
    let headline = if *bad_input { "The run could not go on: its data or settings" } else { "The run failed: the program or the device" };
    card::loud_card(ui, colour, headline, |ui| {
        ui.label(message);
        let next = if *bad_input {
            "Put right what is named above, then start it again, or resume it where it has saved a checkpoint."
        } else {
            "What was saved is intact: resume the run. If it fails again, choose another device, or a smaller batch or crop."
        };
        card::note(ui, next);
    });
    ui.add_space(6.0);
}

/// Whether there is anything to tell beside numbers.
pub(super) fn has_notices(run: &OpenRun) -> bool {
    let state = run.state();
    !run.troubles.is_empty() || !state.notices.is_empty() || state.stages.iter().any(|stage| stage.transfer.is_some())
}

/// What the run wished a person to know, what could not be read of it, and what became of pre-trained weights.
pub(super) fn notices(ui: &mut Ui, run: &OpenRun) {
    let state = run.state();
    let transfers: Vec<_> = state.stages.iter().filter_map(|stage| Some((stage, stage.transfer.as_ref()?))).collect();
    if !has_notices(run) {
        return;
    }
    card::card(ui, |ui| {
        let line = |ui: &mut Ui, (severity, text): &(Severity, String)| {
            let palette = Palette::of(ui);
            let (word, colour) = match severity {
                Severity::Warning => ("Warning", palette.caution()),
                Severity::Info => ("Note", palette.reference()),
            };
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new(word).small().strong().color(colour));
                ui.label(RichText::new(text).small());
            });
        };
        let troubles: Vec<_> = run.troubles.iter().map(|trouble| (Severity::Warning, trouble.clone())).collect();
        if !state.notices.is_empty() || !troubles.is_empty() {
            card::title(ui, "Notices");
            // Warnings do not hide behind notes.
            let all = troubles.iter().chain(&state.notices);
            let (warnings, notes): (Vec<_>, Vec<_>) = all.partition(|(severity, _)| *severity == Severity::Warning);
            let all: Vec<_> = warnings.into_iter().chain(notes).collect();
            all.iter().take(NOTICES).for_each(|notice| line(ui, notice));
            if all.len() > NOTICES {
                let title = format!("{} more", all.len() - NOTICES);
                CollapsingHeader::new(title)
                    .id_salt("more notices")
                    .show(ui, |ui| all[NOTICES..].iter().for_each(|notice| line(ui, notice)));
            }
            if state.notices_left_out > 0 {
                card::note(ui, format!("{} more between them: in events.jsonl alone.", state.notices_left_out));
            }
        }
        if !transfers.is_empty() {
            card::title(ui, "Encoders taken over");
            for (stage, (from, report)) in transfers {
                transfer(ui, &super::stages::title(&stage.stage), from, report);
            }
        }
    });
}

fn transfer(ui: &mut Ui, stage: &str, from: &str, TransferReport { matched, missing, skipped }: &TransferReport) {
    let summary = format!("{stage}: {} matched, {} missing, {} skipped", count(matched.len(), "tensor"), missing.len(), skipped.len());
    CollapsingHeader::new(RichText::new(summary).small()).id_salt(("transfer", stage)).show(ui, |ui| {
        card::note(ui, format!("From {from}"));
        for (word, tensors) in [("missing", missing), ("skipped", skipped), ("matched", matched)] {
            for (name, shape) in tensors {
                ui.label(RichText::new(format!("{word}  {name} {shape:?}")).small().monospace());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_in_any_folder_has_an_address() {
        assert_eq!(file_url(Path::new("/data/my runs/50 %/report.html")), "file:///data/my%20runs/50%20%25/report.html");
        assert!(file_url(Path::new("runs/demo/report.html")).ends_with("/runs/demo/report.html"));
    }
}
