//! What the training jobs share: beginning a run, and one training stage in its place.

use super::data::{self, Data};
use super::work::Work;
use super::{Ended, JobError, Recorder, Start, Training};
use crate::config::RunConfig;
use crate::device::Opened;
use crate::protocol::{Environment, Event, RunFolderError, Severity, Stage, StageKind, TRAINING_VERSION};
use crate::train::{Checkpoint, CheckpointError, Control, Ending, Session, changed_settings};

/// A job under way: what to make, on what, and whom to tell.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) training: &'a Training,
    pub(super) opened: &'a Opened,
    pub(super) recorder: &'a Recorder,
}

impl Place<'_> {
    /// Opens every training's dataset and the run's folder, tells that the run began and what it runs on, and prepares the cases:
    /// the data of each training, in their order. A run that goes on must have the settings and data that it began with.
    pub(super) fn begin(&self, works: &[Work]) -> Result<Vec<Data>, JobError> {
        let &Place { training, opened, recorder } = self;
        // A dataset that cannot be used leaves no folder behind.
        let plans = data::open(works)?;
        let then = (training.start == Start::Resume).then(|| require_same(training, works)).transpose()?;
        let records = data::records(works, &plans, training.start)?;
        recorder.open_run(&training.folder, training.start, &training.config)?;
        let classes = plans.first().map_or_else(Vec::new, |plan| plan.classes());
        let environment = recorder.start(&training.config.name, &opened.description, classes);
        training.folder.write_environment(&environment)?;
        if let Some(record) = records.first() {
            data::write_record(&training.folder, record)?;
        }
        if let Some(then) = then {
            self.go_on(&then, works)?;
        }
        data::announce(works, &plans, recorder);
        data::prepare_plans(works, &plans, records, recorder)
    }

    /// Takes over what may change when a run goes on: the scores of test cases rest on how they are segmented and scored.
    fn go_on(&self, then: &RunConfig, works: &[Work]) -> Result<(), JobError> {
        let &Place { training, recorder, .. } = self;
        let root = training.folder.root();
        crate::atomic_file::remove_leftovers(root).map_err(|cause| RunFolderError::Io { path: root.to_owned(), cause })?;
        for checkpoints in works.iter().map(|work| work.folder.checkpoints()) {
            Checkpoint::remove_leftovers(&checkpoints).map_err(|cause| RunFolderError::Io { path: checkpoints.clone(), cause })?;
        }
        let measured = |config: &RunConfig, arm: &str| {
            let arm = config.arms.finetune.iter().find(|known| known.name == arm);
            let own = arm.map_or_else(|| Ok(config.clone()), |arm| config.with_arm(arm))?;
            Ok::<_, JobError>((own.infer, own.evaluate))
        };
        let mut voided = Vec::new();
        for work in works.iter().filter(|work| work.stage.kind == StageKind::Finetune) {
            if measured(then, &work.stage.arm)? != (work.config.infer.clone(), work.config.evaluate.clone()) {
                voided.push(work.test());
            }
        }
        self.void(&voided, "test cases are segmented or scored by other settings now")?;
        let moved = works.iter().filter_map(|work| Some((work.last().ok()??.config.data.source, &work.config.data.source)));
        if let Some((then, now)) = moved.into_iter().find(|(then, now)| then != *now) {
            let text = format!("the data have moved from {then:?} to {now:?}; every case holds what it held when the run began");
            recorder.notice(Severity::Info, text);
        }
        Ok(training.folder.write("config.ron", training.config.resolved().to_ron().as_bytes())?)
    }

    /// Makes sure that a fine-tuning that goes on was started from the weights that its source holds.
    pub(super) fn require_source(&self, work: &Work) -> Result<(), JobError> {
        if self.training.start != Start::Resume || !work.is_of_another_source()? {
            return Ok(());
        }
        if work.stage.arm.is_empty() {
            let from = work.from.as_deref().unwrap_or(std::path::Path::new("")).display();
            return Err(JobError::Input(format!(
                "{}: this fine-tuning was started from other weights than {from} holds now; go on with it without --from, or start a new run",
                work.folder.root().display()
            )));
        }
        self.void(&[work.stage.clone(), work.test()], "the encoder that it starts from is another now")
    }

    /// Runs a training stage that keeps its checkpoints in its own folder, unless an earlier session finished it. What rests on it
    /// among the job's other `works` is voided before it goes on.
    pub(super) fn train(
        &self,
        (work, works): (&Work, &[Work]),
        train: impl FnOnce(&Session<'_>) -> Result<Ending, JobError>,
    ) -> Result<Ended, JobError> {
        let &Place { training, opened, recorder } = self;
        let stage = &work.stage;
        if self.is_finished(stage, work.steps()) {
            return Ok(Ended::Completed);
        }
        let dependents = works.iter().filter(|other| other.starts_from(work)).flat_map(|other| [other.stage.clone(), other.test()]);
        let resting: Vec<Stage> = dependents.chain((stage.kind == StageKind::Finetune).then(|| work.test())).collect();
        self.void(&resting, &format!("{stage} goes on"))?;
        let session = Session {
            stage: stage.clone(),
            device: opened.device.clone(),
            checkpoints: work.folder.checkpoints(),
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
        if ending == Ending::Completed {
            return Ok(Ended::Completed);
        }
        let done = recorder.state().stage(stage.kind, &stage.arm).map_or(0, |stage| stage.done);
        let text = format!(
            "{stage}: ended by --max-steps after {done} of {} steps; nothing that comes after it was made; --resume goes on",
            work.steps()
        );
        recorder.notice(Severity::Warning, text);
        Ok(Ended::CutShort)
    }

    /// Forgets what earlier sessions made of some stages, on disk and in the record, and says why.
    fn void(&self, stages: &[Stage], why: &str) -> Result<(), JobError> {
        let &Place { training: Training { folder, .. }, recorder, .. } = self;
        let mut voided = Vec::new();
        for stage in stages {
            let files = match stage.kind {
                StageKind::Test => folder.predictions(&stage.arm),
                _ => folder.arm(stage).checkpoints(),
            };
            let known = recorder.state().stage(stage.kind, &stage.arm).is_some();
            if known || files.exists() {
                recorder.emit(Event::Voided { stage: stage.clone() });
                remove(&files)?;
                voided.push(stage.to_string());
            }
        }
        if voided.is_empty() {
            return Ok(());
        }
        recorder.notice(Severity::Info, format!("made anew: {}; {why}", voided.join(", ")));
        remove(&folder.report_path())?;
        recorder.write_results(self.training)
    }

    /// Whether all `total` units of a stage are done: a resumed run may ask for more than the earlier one did.
    pub(super) fn is_finished(&self, stage: &Stage, total: usize) -> bool {
        let state = self.recorder.state();
        state.stage(stage.kind, &stage.arm).is_some_and(|stage| stage.secs.is_some() && stage.done == total)
    }
}

/// The settings that a run began with. It goes on only with the same ones, as far as they decide what is trained, and with a program
/// that trains as the one did that began it.
fn require_same(training: &Training, works: &[Work]) -> Result<RunConfig, JobError> {
    let folder = &training.folder;
    if !folder.holds_run() {
        return Err(RunFolderError::Nothing(folder.root().to_owned()).into());
    }
    let then = folder.config()?;
    let keys = changed_settings(&then, &training.config);
    if !keys.is_empty() {
        return Err(CheckpointError::Settings { path: folder.config_path(), keys: keys.join(", ") }.into());
    }
    let mut saved = false;
    for work in works {
        work.require_same()?;
        saved |= work.last()?.is_some();
    }
    let program = if saved { folder.environment()? } else { Environment::default() };
    if saved && program.training != TRAINING_VERSION {
        return Err(JobError::Input(format!(
            "{} was begun by simtrot {} (commit {}), which trains otherwise than this program: one run of both would be neither. Start a new \
             run, or go on with that program",
            folder.root().display(),
            program.version,
            program.commit
        )));
    }
    Ok(then)
}

/// Removes a file or a folder with all that it holds, if it is there.
pub(super) fn remove(path: &std::path::Path) -> Result<(), RunFolderError> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(RunFolderError::Io { path: path.to_owned(), cause }),
        _ => Ok(()),
    }
}
