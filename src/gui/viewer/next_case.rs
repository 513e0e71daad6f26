//! Which case to label next: the ranking that lies with the listed run, and the job that makes one.

use std::path::{Path, PathBuf};

use eframe::egui::{Button, Context, Label, ProgressBar, RichText, Ui};

use crate::gui::{Background, FollowedJob, OpenRun, Palette, Workspace};
use crate::next_case::Ranking;
use crate::protocol::{Outcome, StageKind, StageState};
use crate::worker::{self, Job, NextCaseJob};

/// The folder of a run's ranking.
const FOLDER: &str = "next";

/// A ranking on its way from the disk.
type Reading = Background<Result<Option<Ranking>, String>>;

/// The ranking of the listed run's cases.
#[derive(Default)]
pub(super) struct NextCase {
    /// Where it lies; none where no run is listed.
    folder: Option<PathBuf>,
    ranking: Option<Ranking>,
    reading: Option<Reading>,
    job: Option<FollowedJob>,
    /// Why it could not be read.
    trouble: Option<String>,
}

impl NextCase {
    /// Looks for the ranking of a run, whose folder this is, or of none. A job for another run is stopped; what it measured is kept.
    pub(super) fn follow(&mut self, ctx: &Context, run: Option<&Path>) {
        let folder = run.map(|root| root.join(FOLDER));
        if self.folder != folder {
            *self = Self { folder, ..Self::default() };
        }
        self.read(ctx);
    }

    fn read(&mut self, ctx: &Context) {
        let Some(folder) = self.folder.clone() else { return };
        self.reading = Some(Background::start(ctx, move || Ranking::read(&folder).map_err(|error| error.to_string())));
    }

    /// Takes in what has arrived. True where the ranking is another one.
    pub(super) fn poll(&mut self, ctx: &Context) -> bool {
        if let Some(job) = self.job.as_mut().filter(|job| job.is_running()) {
            job.poll(ctx, |_| {});
            if !job.is_running() {
                self.read(ctx);
            }
        }
        if !self.reading.as_mut().is_some_and(Background::poll) {
            return false;
        }
        match self.reading.take().and_then(Background::take) {
            Some(Ok(ranking)) => (self.ranking, self.trouble) = (ranking, None),
            Some(Err(trouble)) => (self.ranking, self.trouble) = (None, Some(trouble)),
            None => self.trouble = Some("the ranking was lost by a fault of the program; open the run again".to_owned()),
        }
        true
    }

    /// The ranking, once it is there.
    pub(super) fn ranking(&self) -> Option<&Ranking> {
        self.ranking.as_ref()
    }

    /// Draws the button, how far the job is, and what went wrong; nothing where the run has neither a network nor a ranking.
    pub(super) fn show(&mut self, ui: &mut Ui, workspace: &Workspace, offered: Option<(String, PathBuf)>) {
        if self.job.as_ref().is_some_and(FollowedJob::is_running) {
            self.progress(ui);
        } else if let Some((with, checkpoint)) = offered {
            let hover = format!(
                "Measures every unlabelled case with {with}, and puts them into the order in which to label them, in place of an order that is there"
            );
            if ui.button("Which next?").on_hover_text(hover).clicked() {
                self.start(checkpoint, workspace);
            }
        }
        let failed = self.job.as_ref().and_then(|job| match &job.state.outcome {
            Some(Outcome::Failed { message, .. }) => Some(message),
            _ => None,
        });
        for trouble in failed.into_iter().chain(&self.trouble) {
            ui.add(Label::new(RichText::new(trouble).small().color(Palette::of(ui).bad())).wrap());
        }
        let Some(ranking) = &self.ranking else { return };
        let unread = ranking.unread.iter().map(|(case, cause)| format!("{case} is not ranked: {cause}"));
        let missing = ranking.basis.not_measured.iter().map(|(criterion, why)| format!("{criterion} was not measured: {why}"));
        for text in unread.chain(missing) {
            ui.add(Label::new(RichText::new(text).small().weak()).wrap());
        }
    }

    fn start(&mut self, checkpoint: PathBuf, workspace: &Workspace) {
        let Some(out) = self.folder.clone() else { return };
        let (checkpoints, by, settings) = (vec![checkpoint], Vec::new(), Vec::new());
        let job = NextCaseJob { checkpoints, data: None, out, overwrite: true, by, settings };
        self.trouble = None;
        self.job = Some(FollowedJob::new(worker::spawn(Job::NextCase(job), workspace.device.clone())));
    }

    fn progress(&mut self, ui: &mut Ui) {
        let Some(job) = &mut self.job else { return };
        let (share, text) = match job.state.stage(StageKind::NextCase, "") {
            Some(stage) => (stage.done as f32 / stage.total.max(1) as f32, format!("{} of {} cases", stage.done, stage.total)),
            None => (0.0, "opening the network".to_owned()),
        };
        ui.add(ProgressBar::new(share).text(text));
        let stopping = job.is_stopping();
        let stop = ui.add_enabled(!stopping, Button::new(if stopping { "Stopping ..." } else { "Stop ranking" }));
        if stop.on_hover_text("What was measured is kept: the same button goes on").clicked() {
            job.stop();
        }
    }
}

/// What ranks the cases of a run: the fine-tuned network of an arm, else of another, else a pre-training.
pub(super) fn ranking_network(run: &OpenRun, arm: &str) -> Option<(String, PathBuf)> {
    let saved = |kind| run.stages_of(kind).filter(|stage: &&StageState| !stage.checkpoints.is_empty());
    let tuned = || saved(StageKind::Finetune);
    let stage = tuned().find(|stage| stage.stage.arm == arm).or_else(|| tuned().next()).or_else(|| saved(StageKind::Pretrain).next())?;
    Some((format!("{}: {}", run.name(), stage.stage), run.training_folder(&stage.stage).root().to_owned()))
}
