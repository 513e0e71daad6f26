//! Starts and stops the what-if job, and says how far it is.

use std::path::{Path, PathBuf};

use eframe::egui::{self, RichText, Ui};

use super::super::widgets::{Answer, PathDialog as Choosing, PathKind as Wanted};
use super::super::{FollowedJob, Palette, Workspace};
use super::curve::{Curve, Dice, key};
use super::source::{Setting, checkpoints};
use crate::exchange;
use crate::protocol::{MaskPoint, Outcome, Stage, StageKind, StageState};
use crate::worker::{self, Job, MaskRatiosJob};

/// The job, its curve, and what it is about.
#[derive(Default)]
pub(super) struct WhatIf {
    job: Option<FollowedJob>,
    /// What the curve is of.
    about: String,
    curve: Curve,
    dice: Dice,
    draws: Draws,
    /// A checkpoint beside the shown run's.
    pub(super) folder: Option<PathBuf>,
    choosing: Option<Choosing<PathBuf>>,
}

/// Draws at each ratio.
struct Draws(usize);

impl Default for Draws {
    fn default() -> Self {
        Self(3)
    }
}

impl WhatIf {
    /// Takes in what has arrived.
    pub(super) fn follow(&mut self, ctx: &egui::Context, workspace: &Workspace, setting: &Setting) {
        if let Some(job) = &mut self.job {
            job.poll(ctx, |_| {});
        }
        let stage = self.job.as_ref().and_then(|job| job.state.stage(StageKind::MaskRatios, ""));
        self.curve.follow(stage.map_or(&[], |stage| &stage.mask_points));
        self.dice.follow(workspace, &setting.data);
        if let Some(answer) = self.choosing.as_mut().and_then(|choosing| choosing.show(ctx)) {
            self.choosing = None;
            if let Answer::Chosen(folder) = answer {
                self.folder = Some(folder);
            }
        }
    }

    fn stage(&self) -> Option<&StageState> {
        self.job.as_ref().and_then(|job| job.state.stage(StageKind::MaskRatios, ""))
    }

    /// The checkpoint that would be tried: the folder that was chosen, or that of an arm of the shown run.
    fn checkpoint(&self, workspace: &Workspace, arm: Option<&Stage>) -> Option<PathBuf> {
        let known = checkpoints(workspace);
        let of_arm = || known.iter().find(|(stage, _)| arm.is_none_or(|arm| arm == stage)).map(|(_, place)| place.clone());
        self.folder.clone().or_else(of_arm)
    }

    /// The row of controls.
    pub(super) fn controls(&mut self, ui: &mut Ui, workspace: &Workspace, arm: Option<&Stage>, setting: &Setting) {
        let checkpoint = self.checkpoint(workspace, arm);
        ui.horizontal_wrapped(|ui| {
            ui.strong("What if it were masked otherwise?").on_hover_text(
                "Takes a checkpoint as it is, masks volumes at every ratio from 0 to 0.95, and measures what the pretext task makes of it - without \
                 training. Cases, crops, texture and turns of a draw are the same at every ratio.",
            );
            let running = self.job.as_ref().is_some_and(FollowedJob::is_running);
            if running {
                self.running(ui);
            } else {
                self.start(ui, workspace, checkpoint.as_ref(), setting);
            }
            ui.separator();
            self.choose(ui, checkpoint.as_ref());
        });
        self.outcome(ui);
    }

    fn running(&mut self, ui: &mut Ui) {
        let Some(job) = &mut self.job else { return };
        let stopping = job.is_stopping();
        if ui.add_enabled(!stopping, egui::Button::new("Stop the curve")).clicked() {
            job.stop();
        }
        let (done, total) = job.state.stages.last().map_or((0, 0), |stage| (stage.done, stage.total));
        let preparing = job.state.stage(StageKind::MaskRatios, "").is_none();
        let text = match (stopping, preparing) {
            (true, _) => "stopping".to_owned(),
            (false, true) => "preparing the cases".to_owned(),
            (false, false) => format!("{done} of {total} points"),
        };
        let share = if preparing { 0.0 } else { done as f32 / total.max(1) as f32 };
        ui.add(egui::ProgressBar::new(share).desired_width(180.0).text(text));
    }

    fn start(&mut self, ui: &mut Ui, workspace: &Workspace, checkpoint: Option<&PathBuf>, setting: &Setting) {
        let button = ui.add_enabled(checkpoint.is_some(), egui::Button::new("Compute the curve"));
        let button =
            button.on_disabled_hover_text("There is no checkpoint of a pre-training yet: open a run that has one, or choose a folder.");
        if let Some(checkpoint) = checkpoint.filter(|_| button.clicked()) {
            let (ratios, draws) = (MaskRatiosJob::all_ratios(), self.draws.0);
            let job = MaskRatiosJob { checkpoint: checkpoint.clone(), data: setting.data.clone(), ratios, draws, settings: Vec::new() };
            self.about = checkpoint.display().to_string();
            self.curve = Curve::default();
            self.job = Some(FollowedJob::new(worker::spawn(Job::MaskRatios(job), workspace.device.clone())));
        }
        let drag = egui::DragValue::new(&mut self.draws.0).range(1..=20).suffix(" draws");
        ui.add(drag)
            .on_hover_text("Draws of cases, crops, texture, turns and masks at each ratio. More draws: a steadier mean, a longer wait.");
        if workspace.at_work().is_some() {
            ui.label(RichText::new("A run is at work: both will be slower.").small().color(Palette::of(ui).caution()));
        }
    }

    fn choose(&mut self, ui: &mut Ui, checkpoint: Option<&PathBuf>) {
        let text = checkpoint.map_or_else(|| "no checkpoint".to_owned(), |place| place.display().to_string());
        let label = egui::Label::new(RichText::new(format!("on {text}")).small()).truncate();
        if ui.button("Another checkpoint...").clicked() {
            let look = |path: &Path| exchange::show(path).map(|_| path.to_owned()).map_err(|error| error.to_string());
            self.choosing = Some(Choosing::new(ui.ctx(), ("Folder of a checkpoint or a run", Wanted::Folder), look));
        }
        if self.folder.is_some() && ui.button("The run's own").clicked() {
            self.folder = None;
        }
        ui.add(label).on_hover_text(text);
    }

    /// How the last job ended, where that is not as it should.
    fn outcome(&self, ui: &mut Ui) {
        let Some(job) = &self.job else { return };
        match &job.state.outcome {
            Some(Outcome::Failed { message, .. }) => {
                ui.label(RichText::new(format!("{}: {message}", self.about)).color(Palette::of(ui).bad()));
            }
            Some(Outcome::Stopped) => {
                let draws = self.points().iter().map(|point| point.draw).max().map_or(0, |last| last + 1);
                ui.label(RichText::new(format!("Stopped: the curve is of what was there by then ({draws} draws begun).")).small());
            }
            Some(Outcome::Completed) | None => {}
        }
    }

    /// The curve, `height` points high.
    pub(super) fn curve(&self, ui: &mut Ui, height: f32, own: Option<f64>) {
        if self.points().is_empty() && !self.job.as_ref().is_some_and(FollowedJob::is_running) {
            ui.label(RichText::new("No curve yet. It will show, over mask ratios from 0 to 0.95:").weak());
        }
        ui.horizontal_wrapped(|ui| {
            if self.points().is_empty() {
                return;
            }
            key(ui, own);
            if !self.about.is_empty() {
                ui.label(RichText::new(format!("of {}", self.about)).small().weak());
            }
        });
        self.curve.show(ui, height, own, &self.dice);
    }

    /// Points so far.
    pub(super) fn points(&self) -> &[MaskPoint] {
        self.stage().map_or(&[], |stage| &stage.mask_points)
    }

    /// Follows a job that a test makes up.
    #[cfg(test)]
    pub(super) fn follow_job(&mut self, job: FollowedJob, about: &str) {
        (self.job, self.about) = (Some(job), about.to_owned());
    }

    #[cfg(test)]
    pub(super) fn job(&self) -> Option<&FollowedJob> {
        self.job.as_ref()
    }

    #[cfg(test)]
    pub(super) fn dice_ratios(&self) -> Vec<f64> {
        self.dice.ratios()
    }
}
