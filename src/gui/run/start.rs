//! From the button to the worker: what lies in the folder is looked at first, and nothing is replaced unasked.

use eframe::egui::{self, Frame, Id, Modal, RichText, Ui};

use super::card;
use super::draft::Draft;
use super::stages::standing;
use crate::config::RunConfig;
use crate::gui::{Background, Palette, Workspace};
use crate::protocol::{Content, RunFolder, RunState, StageKind};
use crate::worker::{Job, Start, Training};

/// Most numbers that are tried behind a name.
const NAMES_TRIED: usize = 1000;

/// A start under way.
#[derive(Default)]
pub(super) enum Starting {
    /// None.
    #[default]
    No,
    /// The folder is looked at.
    Looking(Background<Box<Found>>),
    /// A run is there; the user is asked. The second value: whether to ask once more before it is deleted.
    Asking(Box<Found>, bool),
}

/// What lies where the run is to be kept.
pub(super) struct Found {
    content: Result<Content, String>,
    /// The run that is there.
    earlier: Option<(RunConfig, RunState)>,
    /// A name whose folder is free.
    free_name: Option<String>,
}

impl Found {
    fn look(folder: &RunFolder, name: &str) -> Self {
        let content = folder.require_free().and_then(|()| folder.content()).map_err(|error| error.to_string());
        let earlier = folder.config().ok().zip(folder.replay().ok());
        let parent = folder.root().parent().map(std::path::Path::to_owned).unwrap_or_default();
        let free_name = (2..NAMES_TRIED).map(|number| format!("{name}_{number}")).find(|name| !parent.join(name).exists());
        Self { content, earlier, free_name }
    }
}

/// What was decided about a run that is there.
enum Decision {
    Resume,
    Replace,
    Rename(String),
    Leave,
}

impl Starting {
    /// Looks at the folder; the run starts when it is free.
    pub(super) fn begin(ctx: &egui::Context, draft: &Draft) -> Self {
        let (folder, name) = (draft.folder(), draft.config().name.clone());
        Self::Looking(Background::start(ctx, move || Box::new(Found::look(&folder, &name))))
    }

    /// A question that is known, for tests.
    #[cfg(test)]
    pub(super) fn asking(config: RunConfig, state: RunState, free_name: &str) -> Self {
        let found =
            Found { content: Ok(Content::Run { saved: true }), earlier: Some((config, state)), free_name: Some(free_name.to_owned()) };
        Self::Asking(Box::new(found), false)
    }

    /// Whether a start is under way.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// Takes in what was found; asks, or starts.
    pub(super) fn poll(&mut self, ctx: &egui::Context, draft: &mut Draft, workspace: &mut Workspace) {
        if let Self::Looking(work) = self
            && work.poll()
        {
            let Self::Looking(work) = std::mem::take(self) else { return };
            let found = work.take();
            match found.as_ref().map(|found| &found.content) {
                Some(Ok(Content::Nothing | Content::Run { saved: false })) => launch(draft, Start::Fresh, RunState::default(), workspace),
                Some(Ok(Content::Run { saved: true })) => *self = Self::Asking(found.expect("it was just looked at"), false),
                Some(Ok(Content::Foreign)) => {
                    let folder = draft.folder();
                    workspace.trouble(format!(
                        "{} holds files that are no run of simtrot, and they are left alone: choose another name or folder",
                        folder.root().display()
                    ));
                }
                Some(Err(message)) => workspace.trouble(message.clone()),
                None => workspace.trouble("the run's folder could not be looked at: an internal error; try again"),
            }
        }
        if let Self::Asking(found, deleting) = self {
            match question(ctx, found, deleting, draft) {
                None => {}
                Some(Decision::Leave) => *self = Self::No,
                Some(Decision::Replace) => {
                    *self = Self::No;
                    launch(draft, Start::Overwrite, RunState::default(), workspace);
                }
                Some(Decision::Rename(name)) => {
                    draft.set("name", name);
                    *self = Self::begin(ctx, draft);
                }
                Some(Decision::Resume) => {
                    let Self::Asking(found, _) = std::mem::take(self) else { return };
                    if let Some((config, state)) = found.earlier {
                        resume(&draft.folder(), &config, state, workspace);
                    }
                }
            }
        }
    }
}

fn launch(draft: &Draft, start: Start, known: RunState, workspace: &mut Workspace) {
    match draft.job(start) {
        Ok((job, folder, config)) => workspace.start(job, folder, config, known),
        Err(error) => workspace.trouble(error.to_string()),
    }
}

/// Goes on with a run that was interrupted, with its own settings.
pub(super) fn resume(folder: &RunFolder, config: &RunConfig, state: RunState, workspace: &mut Workspace) {
    let training = Training { config: config.clone(), folder: folder.clone(), start: Start::Resume, max_steps: None };
    // The trainings of a comparison have names, one by itself has none.
    let alone = |kind| state.stage(kind, "").is_some();
    let job = if alone(StageKind::Pretrain) {
        Job::Pretrain(training)
    } else if alone(StageKind::Finetune) {
        // The encoder was taken over before the first step: the checkpoint holds what became of it.
        let from = state.stage(StageKind::Finetune, "").and_then(|stage| Some(stage.transfer.as_ref()?.0.clone().into()));
        Job::Finetune { training, from }
    } else {
        Job::Compare(training)
    };
    workspace.start(job, folder.clone(), config.clone(), state);
}

fn question(ctx: &egui::Context, found: &Found, deleting: &mut bool, draft: &Draft) -> Option<Decision> {
    let mut decision = None;
    let folder = draft.folder();
    let frame = Frame::popup(&ctx.global_style()).inner_margin(16);
    let modal = Modal::new(Id::unique("a run is there")).frame(frame).show(ctx, |ui| {
        ui.set_max_width(480.0);
        decision = if *deleting { deletion(ui, &folder, deleting) } else { choice(ui, found, deleting, draft) };
    });
    if modal.should_close() && decision.is_none() {
        decision = Some(Decision::Leave);
    }
    decision
}

fn choice(ui: &mut Ui, found: &Found, deleting: &mut bool, draft: &Draft) -> Option<Decision> {
    let mut decision = None;
    ui.heading(format!("A run named {} is already there", draft.config().name));
    ui.label(card::quiet(ui, draft.folder().root().display().to_string()).small());
    if let Some((_, state)) = &found.earlier {
        ui.label(standing(state, false));
    }
    ui.add_space(8.0);
    ui.horizontal_wrapped(|ui| {
        let hint = "Goes on from its last checkpoint, with its own settings";
        if found.earlier.is_some() && ui.button("Resume it").on_hover_text(hint).clicked() {
            decision = Some(Decision::Resume);
        }
        if let Some(name) = &found.free_name
            && ui.button(format!("Start as {name}")).on_hover_text("Leaves the other run as it is").clicked()
        {
            decision = Some(Decision::Rename(name.clone()));
        }
        if ui.button("Replace it ...").on_hover_text("Deletes the run that is there; you are asked once more").clicked() {
            *deleting = true;
        }
        if ui.button("Cancel").clicked() {
            decision = Some(Decision::Leave);
        }
    });
    decision
}

fn deletion(ui: &mut Ui, folder: &RunFolder, deleting: &mut bool) -> Option<Decision> {
    let mut decision = None;
    ui.heading(RichText::new("Delete the run that is there?").color(Palette::of(ui).bad()));
    ui.label(format!(
        "Everything in {} is deleted: checkpoints, segmentations, scores and report. This cannot be undone.",
        folder.root().display()
    ));
    ui.add_space(8.0);
    ui.horizontal_wrapped(|ui| {
        if ui.button("Delete it and start").clicked() {
            decision = Some(Decision::Replace);
        }
        if ui.button("Back").clicked() {
            *deleting = false;
        }
    });
    decision
}
