//! From the button to the worker: what lies in the folder is looked at first, and nothing is replaced unasked.

use std::path::{Path, PathBuf};

use eframe::egui;

use super::form::{Form, Work};
use crate::config::{ExperimentConfig, Training};
use crate::experiment::{Experiment, ExperimentFolder, FolderContent};
use crate::gui::experiment::overview;
use crate::gui::widgets::{Background, Reply, question};
use crate::protocol::FolderError;

/// Most numbers that are tried behind a name.
const NAMES_TRIED: usize = 1000;

/// A start under way.
#[derive(Default)]
pub(in crate::gui) enum Starting {
    /// None.
    #[default]
    No,
    /// The experiment is laid out, and its folder looked at.
    Looking(Background<Box<Found>>),
    /// Something is there, and the user is asked; `deleting`: once more, before it is deleted.
    Asking { found: Box<Found>, deleting: bool },
}

/// What was laid out, and what lies where it is to be kept.
pub(in crate::gui) struct Found {
    folder: ExperimentFolder,
    experiment: Result<Experiment, String>,
    /// The experiment that is there: how far it is.
    earlier: Option<String>,
    /// A name whose folder is free.
    free_name: Option<String>,
}

/// What is to be done.
pub(in crate::gui) enum Decision {
    /// Make this experiment, in place of what is there.
    Start { experiment: Box<Experiment>, folder: ExperimentFolder },
    /// Go on with the one that is there, by its own settings.
    Resume(PathBuf),
    /// Nothing, for this reason.
    Refused(String),
}

/// What the user answers where an experiment is there.
#[derive(Clone)]
enum Answer {
    Resume,
    Replace,
    Delete,
    Back,
    Rename(String),
    Leave,
}

impl Found {
    fn look(config: ExperimentConfig, (work, from): (Work, Option<PathBuf>), path: PathBuf) -> Self {
        let folder = ExperimentFolder::new(&path);
        let parent = path.parent().map(Path::to_owned).unwrap_or_default();
        let free_name = (2..NAMES_TRIED).map(|number| format!("{}_{number}", config.name)).find(|name| !parent.join(name).exists());
        let refused = match folder.content() {
            FolderContent::Nothing | FolderContent::Experiment { .. } => folder.busy().map(FolderError::Busy),
            FolderContent::Training => Some(FolderError::Training(path)),
            FolderContent::Old => Some(FolderError::Old(path)),
            FolderContent::Foreign => Some(FolderError::Foreign(path)),
        };
        let earlier = (folder.content() == FolderContent::Experiment { saved: true }).then(|| overview::state_of(&folder));
        let experiment = refused.map_or_else(|| lay_out(config, work, from, &folder), |error| Err(error.to_string()));
        Self { experiment, earlier, folder, free_name }
    }
}

/// The experiment that the settings ask for.
fn lay_out(config: ExperimentConfig, work: Work, from: Option<PathBuf>, folder: &ExperimentFolder) -> Result<Experiment, String> {
    let one = |training| ExperimentConfig::of_one_training(training, config.base().clone());
    let config = match work {
        Work::Pretrain => one(Training::Pretrain),
        Work::Finetune => one(Training::Finetune { from }),
        Work::Compare => config,
    };
    Experiment::new(config, folder.contents()).map_err(|error| error.to_string())
}

impl Starting {
    /// Lays the experiment out and looks at its folder.
    pub(super) fn begin(ctx: &egui::Context, form: &Form) -> Self {
        let (config, job, folder) = (form.experiment(), (form.work, form.from.clone()), form.folder());
        Self::Looking(Background::start(ctx, move || Box::new(Found::look(config, job, folder))))
    }

    /// A question that is known, for tests.
    #[cfg(test)]
    pub(in crate::gui) fn asking(form: &Form, earlier: &str, free_name: &str) -> Self {
        let folder = ExperimentFolder::new(form.folder());
        let (earlier, free_name) = (Some(earlier.to_owned()), Some(free_name.to_owned()));
        Self::Asking { found: Box::new(Found { folder, experiment: Err(String::new()), earlier, free_name }), deleting: false }
    }

    /// Whether a start is under way.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// Takes in what was found, and asks where something is there.
    pub(super) fn poll(&mut self, ctx: &egui::Context, form: &mut Form) -> Option<Decision> {
        match std::mem::take(self) {
            Self::No => None,
            Self::Looking(mut work) => {
                if !work.poll() {
                    *self = Self::Looking(work);
                    return None;
                }
                let Some(found) = work.take() else {
                    return Some(Decision::Refused("the folder could not be looked at: an internal error; try again".to_owned()));
                };
                if found.earlier.is_some() && found.experiment.is_ok() {
                    *self = Self::Asking { found, deleting: false };
                    return None;
                }
                // Before the first checkpoint there is nothing to lose.
                Some(found.start())
            }
            Self::Asking { found, deleting } => self.ask(ctx, (found, deleting), form),
        }
    }

    fn ask(&mut self, ctx: &egui::Context, (found, deleting): (Box<Found>, bool), form: &mut Form) -> Option<Decision> {
        let answer = if deleting { found.ask_to_delete(ctx) } else { found.ask(ctx, form) };
        match answer {
            None => *self = Self::Asking { found, deleting },
            Some(Answer::Delete) => *self = Self::Asking { found, deleting: true },
            Some(Answer::Back) => *self = Self::Asking { found, deleting: false },
            Some(Answer::Leave) => {}
            Some(Answer::Rename(name)) => {
                form.set("name", name);
                *self = Self::begin(ctx, form);
            }
            Some(Answer::Resume) => return Some(Decision::Resume(found.folder.root().to_owned())),
            Some(Answer::Replace) => return Some(found.start()),
        }
        None
    }
}

impl Found {
    fn start(self) -> Decision {
        match self.experiment {
            Ok(experiment) => Decision::Start { experiment: Box::new(experiment), folder: self.folder },
            Err(message) => Decision::Refused(message),
        }
    }

    fn ask(&self, ctx: &egui::Context, form: &Form) -> Option<Answer> {
        let heading = format!("A run named {} is already there", form.config().name);
        let text = format!("{}\n{}", self.folder.root().display(), self.earlier.as_deref().unwrap_or_default());
        let start = self.free_name.as_ref().map(|name| (format!("Start as {name}"), name.clone()));
        let reply = |label, hover, means| Reply { label, hover, means };
        let mut replies = vec![reply("Resume it", "Makes what is missing of it, by its own settings", Answer::Resume)];
        if let Some((label, name)) = &start {
            replies.push(reply(label, "Leaves the other run as it is", Answer::Rename(name.clone())));
        }
        replies.push(reply("Replace it ...", "Deletes the run that is there; you are asked once more", Answer::Delete));
        replies.push(Reply::new("Cancel", Answer::Leave));
        question(ctx, "a run is there", (&heading, &text), &replies)
    }

    fn ask_to_delete(&self, ctx: &egui::Context) -> Option<Answer> {
        let folder = self.folder.root().display();
        let text = format!("Everything in {folder} is deleted: checkpoints, segmentations, scores and report. This cannot be undone.");
        let replies = [Reply::new("Delete it and start", Answer::Replace), Reply::new("Back", Answer::Back)];
        question(ctx, "delete the run", ("Delete the run that is there?", &text), &replies)
    }
}
