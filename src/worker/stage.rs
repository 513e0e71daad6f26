//! What the training jobs share: beginning a run, and one training stage in its place.

use super::data::{Plan, Prepared};
use super::{Ended, JobError, Recorder, Start, Training};
use crate::device::Opened;
use crate::protocol::{Event, RunFolder, Severity, Stage};
use crate::train::{Control, Ending, Session};

/// A job under way: what to make, on what, and whom to tell.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) training: &'a Training,
    pub(super) opened: &'a Opened,
    pub(super) recorder: &'a Recorder,
}

impl Place<'_> {
    /// Opens the dataset and the run's folder, tells that the run began and what it runs on, and prepares the cases.
    pub(super) fn begin(&self) -> Result<(Plan, Prepared), JobError> {
        let &Place { training, opened, recorder } = self;
        // A dataset that cannot be used leaves no folder behind.
        let plan = Plan::new(&training.config)?;
        recorder.open_run(training)?;
        let environment = recorder.start(&training.config.name, &opened.description, plan.classes());
        let text = serde_json::to_vec_pretty(&environment).expect("plain data becomes JSON");
        training.folder.write("environment.json", &text)?;
        plan.record(training, recorder)?;
        let prepared = plan.prepare(&training.config, recorder)?;
        Ok((plan, prepared))
    }

    /// Runs a training stage of `steps` steps that keeps its checkpoints in `folder`, unless an earlier session finished it.
    pub(super) fn train(
        &self,
        stage: &Stage,
        (folder, steps): (&RunFolder, usize),
        train: impl FnOnce(&Session<'_>) -> Result<Ending, JobError>,
    ) -> Result<Ended, JobError> {
        let &Place { training, opened, recorder } = self;
        if self.is_finished(stage, steps) {
            return Ok(Ended::Completed);
        }
        let session = Session {
            stage: stage.clone(),
            device: opened.device.clone(),
            checkpoints: folder.checkpoints(),
            resume: training.start == Start::Resume,
            max_steps: training.max_steps,
            emit: &|event| recorder.emit(event),
            show: &|tokens| recorder.show_tokens(tokens, Some(&training.folder)),
            control: &|| recorder.control(),
        };
        let began_secs = recorder.secs();
        let ending = train(&session)?;
        if ending == Ending::Stopped && recorder.control() == Control::Stop {
            return Ok(Ended::Stopped);
        }
        recorder.emit(Event::StageFinished { stage: stage.clone(), secs: recorder.secs() - began_secs });
        if ending == Ending::Stopped {
            recorder.notice(Severity::Info, format!("{stage}: ended after --max-steps; --resume goes on"));
        }
        Ok(Ended::Completed)
    }

    /// Whether all `total` units of a stage are done: a resumed run may ask for more than the earlier one did.
    pub(super) fn is_finished(&self, stage: &Stage, total: usize) -> bool {
        let state = self.recorder.state();
        state.stage(stage.kind, &stage.arm).is_some_and(|stage| stage.secs.is_some() && stage.done == total)
    }
}
