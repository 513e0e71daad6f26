//! The job behind the mask-ratio curve: which checkpoint, start and stop, how far it is.

use std::path::{Path, PathBuf};

use eframe::egui::{self, RichText, Ui};

use super::curve::{self, Dice};
use super::source::{Setting, checkpoints};
use crate::exchange;
use crate::gui::widgets::{Answer, PathDialog, PathKind};
use crate::gui::{FollowedJob, Palette, Workspace};
use crate::protocol::{MaskPoint, Outcome, Stage, StageKind, StageState};
use crate::worker::{self, Job, MaskRatiosJob};

/// What the curve is for.
const MEANING: &str = "Takes a checkpoint as it is, masks volumes at every ratio from 0 to 0.95, and measures what the pretext task makes of \
     it - without training. Cases, crops, texture and rotations of a draw are the same at every ratio.";

/// The job, its curve, and what it is about.
pub(super) struct Sweep {
    pub(super) job: Option<FollowedJob>,
    /// The checkpoint that the curve is of.
    pub(super) about: String,
    pub(super) dice: Dice,
    /// Draws at each ratio.
    draws: usize,
    /// A checkpoint in place of the shown run's.
    pub(super) folder: Option<PathBuf>,
    dialog: Option<PathDialog<PathBuf>>,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { job: None, about: String::new(), dice: Dice::default(), draws: 3, folder: None, dialog: None }
    }
}

impl Sweep {
    /// Takes in what has arrived.
    pub(super) fn refresh(&mut self, ctx: &egui::Context, workspace: &Workspace, setting: &Setting) {
        if let Some(job) = &mut self.job {
            job.poll(ctx, |_| {});
        }
        self.dice.refresh(workspace, &setting.data);
        if let Some(answer) = self.dialog.as_mut().and_then(|dialog| dialog.show(ctx)) {
            self.dialog = None;
            if let Answer::Chosen(folder) = answer {
                self.folder = Some(folder);
            }
        }
    }

    fn stage(&self) -> Option<&StageState> {
        self.job.as_ref()?.state.stage(StageKind::MaskRatios, "")
    }

    /// Points so far.
    pub(super) fn points(&self) -> &[MaskPoint] {
        self.stage().map_or(&[], |stage| &stage.mask_points)
    }

    fn is_running(&self) -> bool {
        self.job.as_ref().is_some_and(FollowedJob::is_running)
    }

    /// Draws controls, and the curve below them, `height` points high.
    pub(super) fn show(&mut self, ui: &mut Ui, workspace: &Workspace, (arm, setting): (Option<&Stage>, &Setting), height: f32) {
        let known = checkpoints(workspace);
        let of_arm = || known.into_iter().find(|(stage, _)| arm.is_none_or(|arm| arm == stage)).map(|(_, folder)| folder);
        let checkpoint = self.folder.clone().or_else(of_arm);
        ui.horizontal_wrapped(|ui| {
            ui.strong("Mask-ratio curve").on_hover_text(MEANING);
            if self.is_running() {
                self.progress(ui);
            } else {
                self.start(ui, workspace, checkpoint.as_deref(), setting);
            }
            ui.separator();
            self.choose(ui, checkpoint.as_deref());
        });
        self.outcome(ui);
        let own = workspace.shown().map(|_| setting.config.pretrain.mask_ratio);
        if !self.points().is_empty() {
            curve::key(ui, own, &self.about);
        } else if !self.is_running() {
            ui.label(RichText::new("No curve yet. It will show, over mask ratios from 0 to 0.95:").weak());
        }
        curve::show(ui, self.points(), height, own, &self.dice);
    }

    fn progress(&mut self, ui: &mut Ui) {
        let progress = self.stage().map(|stage| (stage.done, stage.total));
        let Some(job) = &mut self.job else { return };
        let stopping = job.is_stopping();
        if ui.add_enabled(!stopping, egui::Button::new("Stop the curve")).clicked() {
            job.stop();
        }
        let (share, text) = match progress {
            Some((done, total)) => (done as f32 / total.max(1) as f32, format!("{done} of {total} points")),
            None => (0.0, "preparing the cases".to_owned()),
        };
        let text = if stopping { "stopping".to_owned() } else { text };
        ui.add(egui::ProgressBar::new(share).desired_width(180.0).text(text));
    }

    fn start(&mut self, ui: &mut Ui, workspace: &Workspace, checkpoint: Option<&Path>, setting: &Setting) {
        let button = ui.add_enabled(checkpoint.is_some(), egui::Button::new("Compute the curve"));
        let button =
            button.on_disabled_hover_text("There is no checkpoint of a pre-training yet: open a run that has one, or choose a folder.");
        if let Some(checkpoint) = checkpoint.filter(|_| button.clicked()) {
            let (checkpoint, ratios) = (checkpoint.to_owned(), MaskRatiosJob::all_ratios());
            self.about = checkpoint.display().to_string();
            let job = MaskRatiosJob { checkpoint, data: setting.data.clone(), ratios, draws: self.draws, settings: Vec::new() };
            self.job = Some(FollowedJob::new(worker::spawn(Job::MaskRatios(job), workspace.device.clone())));
        }
        let hover = "Draws of cases, crops, texture, rotations and masks at each ratio. More draws: a steadier mean, a longer wait.";
        ui.add(egui::DragValue::new(&mut self.draws).range(1..=20).suffix(" draws")).on_hover_text(hover);
        if workspace.is_at_work() {
            ui.label(RichText::new("A run is at work: both will be slower.").small().color(Palette::of(ui).caution()));
        }
    }

    fn choose(&mut self, ui: &mut Ui, checkpoint: Option<&Path>) {
        if ui.button("Another checkpoint ...").clicked() {
            let read = |path: &Path| exchange::show(path).map(|_| path.to_owned()).map_err(|error| error.to_string());
            self.dialog = Some(PathDialog::new(ui.ctx(), ("Folder of a checkpoint or a run", PathKind::Folder), read));
        }
        if self.folder.is_some() && ui.button("The run's own").clicked() {
            self.folder = None;
        }
        let text = checkpoint.map_or_else(|| "no checkpoint".to_owned(), |folder| folder.display().to_string());
        ui.add(egui::Label::new(RichText::new(format!("on {text}")).small()).truncate()).on_hover_text(text);
    }

    /// How the last job ended, where that is not as it should.
    fn outcome(&self, ui: &mut Ui) {
        match self.job.as_ref().and_then(|job| job.state.outcome.as_ref()) {
            Some(Outcome::Failed { message, .. }) => {
                ui.label(RichText::new(format!("{}: {message}", self.about)).color(Palette::of(ui).bad()));
            }
            Some(Outcome::Stopped) => {
                let draws = self.points().iter().map(|point| point.draw + 1).max().unwrap_or(0);
                ui.label(RichText::new(format!("Stopped: the curve is of what was there by then ({draws} draws begun).")).small());
            }
            Some(Outcome::Completed) | None => {}
        }
    }
}
