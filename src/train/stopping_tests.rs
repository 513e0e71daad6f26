//! Wherever a training is stopped, it goes on to what an unbroken one comes to; and what is asked for is done at once.

use std::cell::{Cell, RefCell};
use std::path::Path;

use burn::tensor::Device;

use super::session::Obey;
use super::testing::{prepared, tiny};
use super::*;
use crate::config::{PretextTask, RunConfig};
use crate::model::{Segmenter, export_named};
use crate::protocol::{Event, Record, RunState, Stage, StageKind};
use crate::sampling::{CaseSet, TokenFrame};

const STEPS: usize = 5;

/// A network of a thousand weights on made-up volumes, measured at steps 2, 4 and 5, and saved at step 3.
fn config(kind: StageKind) -> RunConfig {
    let mut config = tiny(4, 16);
    let settings = match kind {
        StageKind::Pretrain => {
            (config.model, config.pretrain.task) = (RunConfig::default().model, PretextTask::Simtrot);
            [
                "model.preset=nnformer_small",
                "pretrain.steps=5",
                "pretrain.probe_every=2",
                "pretrain.checkpoint_every=3",
                "pretrain.crop_size=[16,16,16]",
                "pretrain.batch=2",
                "finetune.crop_size=[16,16,16]",
                "probe.crops=2",
                "probe.jitter=0",
            ]
            .map(str::to_owned)
            .to_vec()
        }
        _ => ["finetune.steps=5", "finetune.validate_every=2", "finetune.checkpoint_every=3"].map(str::to_owned).to_vec(),
    };
    config.with_overrides(&settings).unwrap()
}

/// What a training came to.
#[derive(Debug, PartialEq)]
struct Result {
    last: Checkpoint,
    best: Checkpoint,
    measured: Vec<(usize, String)>,
    steps: Vec<usize>,
}

/// A training in a folder, of which each session tells its events.
struct Training {
    config: RunConfig,
    kind: StageKind,
    cases: CaseSet,
    info: DatasetInfo,
    folder: tempfile::TempDir,
    memory: Option<u64>,
    told: RefCell<Vec<Event>>,
}

impl Training {
    fn new(kind: StageKind) -> Self {
        let config = config(kind);
        let (cases, info) = prepared(&config, None);
        Self { config, kind, cases, info, folder: tempfile::tempdir().unwrap(), memory: None, told: RefCell::default() }
    }

    /// With cases on disk, and so many bytes for what is read of them ahead.
    fn bounded(kind: StageKind, memory: u64) -> Self {
        let training = Self::new(kind);
        let (cases, _) = prepared(&training.config, Some(&training.folder.path().join("cases")));
        Self { cases, memory: Some(memory), ..training }
    }

    /// One session; `answer` is what is wanted at the first, second, ... time that the training asks.
    fn session(&self, resume: bool, answer: &dyn Fn(usize) -> Control) -> Ending {
        self.attempt(resume, answer).unwrap()
    }

    fn attempt(&self, resume: bool, answer: &dyn Fn(usize) -> Control) -> std::result::Result<Ending, TrainError> {
        let asked = Cell::new(0);
        let session = Session {
            stage: Stage { kind: self.kind, arm: String::new() },
            device: Device::flex(),
            beside: Vec::new(),
            checkpoints: self.folder.path().to_owned(),
            resume,
            max_steps: None,
            memory: self.memory,
            emit: &|event| self.told.borrow_mut().push(event),
            show: &|_| {},
            control: &|| answer(asked.replace(asked.get() + 1)),
        };
        let (config, dataset, cases) = (&self.config, &self.info, self.cases.clone());
        if self.kind == StageKind::Pretrain {
            let network = config.model.backbone();
            let frame = TokenFrame { crop: config.pretrain.crop_size, patch: network.patch_size(), stride: network.total_stride() };
            let data = ProbeData { held_out: cases.clone(), labelled: cases.clone(), classes: 2 };
            let probe = Probe::new(&config.probe, frame, &data, 0).unwrap();
            return pretrain(&session, &Pretrain { config, dataset, cases, probe: Some(&probe) });
        }
        let validate = |network: &Segmenter, obey: &mut Obey<'_>| {
            (0..3).try_for_each(|_| obey())?;
            // Rises and falls from step to step, and depends on every one.
            let sum: f32 = export_named(network).values().flat_map(|tensor| &tensor.values).sum();
            Ok(f64::from(sum).sin())
        };
        finetune(&session, &Finetune { config, dataset, cases, from: None, validate: Some(&validate) })
    }

    fn result(&self) -> Result {
        let mut state = RunState::default();
        self.told.borrow().iter().for_each(|event| state.apply(&Record { secs: 0.0, event: event.clone() }));
        let stage = state.stage(self.kind, "").unwrap();
        let probes = stage.probes.iter().map(|(step, pair)| (*step, format!("{pair:?}")));
        let validations = stage.validations.iter().map(|(step, dice)| (*step, dice.to_string()));
        let read = |name: &str| Checkpoint::open(&self.folder.path().join(name)).unwrap();
        Result {
            last: read("last"),
            best: read("best"),
            measured: probes.chain(validations).collect(),
            steps: stage.steps.iter().map(|numbers| numbers.step).collect(),
        }
    }

    fn has(&self, name: &str) -> bool {
        Checkpoint::is_at(&self.folder.path().join(name))
    }
}

fn kinds() -> [(StageKind, &'static [usize]); 2] {
    [(StageKind::Pretrain, &[0, 2, 4, 5]), (StageKind::Finetune, &[2, 4, 5])]
}

#[test]
fn wherever_a_training_is_stopped_it_goes_on_to_what_an_unbroken_one_comes_to() {
    for (kind, measured) in kinds() {
        let unbroken = Training::new(kind);
        let asked = Cell::new(0);
        let count = |call| {
            asked.set(call + 1);
            Control::Continue
        };
        assert_eq!(unbroken.session(false, &count), Ending::Completed);
        let whole = unbroken.result();
        assert_eq!(whole.measured.iter().map(|(step, _)| *step).collect::<Vec<_>>(), measured);
        assert_eq!(whole.steps, (1..=STEPS).collect::<Vec<_>>());
        assert!(asked.get() > STEPS + 2 * measured.len(), "it is asked while measuring: {} times", asked.get());
        for stop_at in 0..asked.get() {
            let broken = Training::new(kind);
            let stop = |call| if call >= stop_at { Control::Stop } else { Control::Continue };
            let ending = broken.session(false, &stop);
            assert_eq!(ending, Ending::Stopped, "{kind:?}, stopped at {stop_at}");
            let done = broken.told.borrow().iter().filter(|event| matches!(event, Event::Step { .. })).count();
            assert_eq!(done > 0, broken.has("last"), "{kind:?}, stopped at {stop_at}: what was done is saved");
            // And once more, before the first thing that it does.
            assert_eq!(broken.session(true, &|_| Control::Stop), Ending::Stopped);
            let ending = broken.session(true, &|_| Control::Continue);
            assert_eq!(ending, Ending::Completed, "{kind:?}, stopped at {stop_at}");
            assert_eq!(broken.result(), whole, "{kind:?}, stopped at {stop_at}");
        }
    }
}

#[test]
fn a_training_that_another_program_has_taken_over_writes_nothing_more() {
    for (kind, _) in kinds() {
        let training = Training::new(kind);
        let steps = || training.told.borrow().iter().filter(|event| matches!(event, Event::Step { .. })).count();
        training.session(false, &|_| if steps() == 1 { Control::Stop } else { Control::Continue });
        let saved = Checkpoint::open(&training.folder.path().join("last")).unwrap();
        let lost = training.attempt(true, &|_| if steps() == 2 { Control::Lost } else { Control::Continue });
        assert!(matches!(lost, Err(TrainError::Lost)) && steps() == 2, "{lost:?}");
        assert_eq!(Checkpoint::open(&training.folder.path().join("last")).unwrap(), saved, "{kind:?}");
    }
}

#[test]
fn cases_on_disk_and_any_bound_of_memory_give_the_same_bytes_as_cases_in_memory() {
    for (kind, _) in kinds() {
        let unbounded = Training::new(kind);
        unbounded.session(false, &|_| Control::Continue);
        for memory in [0, 200_000, u64::MAX] {
            let bounded = Training::bounded(kind, memory);
            bounded.session(false, &|_| Control::Continue);
            assert_eq!(bounded.result(), unbounded.result(), "{kind:?} in {memory} bytes");
            let told = bounded.told.borrow().iter().any(|event| matches!(event, Event::Notice { text, .. } if text.contains("--memory")));
            assert_eq!(told, memory == 0, "what has no room is said");
        }
    }
}

#[test]
fn a_stop_ends_the_measuring_under_way_and_begins_no_other() {
    for (kind, measured) in kinds() {
        let training = Training::new(kind);
        // The steps before the first measuring after a step, and one call in it.
        let before_first = Cell::new(usize::MAX);
        let stop = |call| {
            let steps = training.told.borrow().iter().filter(|event| matches!(event, Event::Step { .. })).count();
            if steps == 2 && before_first.get() == usize::MAX {
                before_first.set(call);
            }
            if call > before_first.get() { Control::Stop } else { Control::Continue }
        };
        assert_eq!(training.session(false, &stop), Ending::Stopped);
        let told = training.told.borrow();
        let measurings = told.iter().filter(|event| matches!(event, Event::Probe { .. } | Event::Validation { .. })).count();
        assert_eq!(measurings, usize::from(measured.contains(&0)), "{told:?}");
        assert_eq!(Checkpoint::open(&training.folder.path().join("last")).unwrap().info.step, 2, "saved before it was measured");
    }
}

#[test]
fn a_wish_to_save_is_granted_at_once_also_while_measuring() {
    for (kind, measured) in kinds() {
        let training = Training::new(kind);
        let saves = |told: &[Event]| told.iter().filter(|event| matches!(event, Event::Checkpoint { .. })).count();
        let (granted, seen) = (Cell::new(0), Cell::new(None));
        let answer = |_| {
            let told = training.told.borrow();
            if let Some(before) = seen.replace(None) {
                assert_eq!(saves(&told), before + 1, "it is saved before anything else happens");
                assert!(matches!(told.last(), Some(Event::Checkpoint { best: false, .. })));
                granted.set(granted.get() + 1);
                return Control::Continue;
            }
            if !told.iter().any(|event| matches!(event, Event::Step { .. })) {
                return Control::Continue;
            }
            seen.set(Some(saves(&told)));
            Control::Save
        };
        assert_eq!(training.session(false, &answer), Ending::Completed);
        assert!(granted.get() > STEPS + measured.len(), "{kind:?}: also while measuring");
        let unbroken = Training::new(kind);
        unbroken.session(false, &|_| Control::Continue);
        assert_eq!(training.result(), unbroken.result());
    }
}

#[test]
fn a_checkpoint_of_an_earlier_version_is_one_that_was_measured() {
    let training = Training::new(StageKind::Finetune);
    training.session(false, &|_| Control::Continue);
    let path = training.folder.path().join("last/checkpoint.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let older: String = text.lines().filter(|line| !line.contains("\"unmeasured\"")).map(|line| format!("{line}\n")).collect();
    assert_ne!(older.trim(), text.trim());
    std::fs::write(&path, older).unwrap();
    assert!(!Checkpoint::read_info(Path::new(path.parent().unwrap())).unwrap().unmeasured);
}
