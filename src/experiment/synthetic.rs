//! A made-up experiment: no number in it was measured.

use std::path::Path;
use std::sync::Arc;

use crate::config::ExperimentConfig;
use crate::experiment::{Contents, Experiment, ExperimentFolder, ExperimentState};
use crate::metrics::CaseScore;
use crate::metrics::collapse::Collapse;
use crate::protocol::{
    CollapsePair, Environment, Event, Outcome, Record, RunState, SCHEMA, Severity, Stage, StageKind, StepNumbers, TransferReport,
};
use crate::volume::demo;

const LABELS: [f64; 5] = [0.01, 0.02, 0.05, 0.125, 1.0];
const CASES: usize = 24;

const TEXT: &str = r#"(
    name: "hippocampus_labels",
    title: "With how few labels does SimTROT-W help on the hippocampus?",
    base: run((pretrain: (steps: 400), finetune: (steps: 600))),
    arms: (
        pretrain: [(name: "simtrot_w")],
        finetune: [
            (name: "scratch"),
            (name: "simtrot_w", from: "simtrot_w"),
            (name: "scratch_adamw", set: ["finetune.optimiser={\"adam_w\":{\"lr\":1e-3,\"weight_decay\":3e-5}}"]),
            (name: "simtrot_w_adamw", from: "simtrot_w", set: ["finetune.optimiser={\"adam_w\":{\"lr\":1e-3,\"weight_decay\":3e-5}}"]),
        ],
    ),
    axes: [
        (name: "label fraction", key: "data.label_fraction", values: ["0.01", "0.02", "0.05", "0.125", "1"]),
        (name: "seed", key: "seed", values: ["0", "1", "2"]),
    ],
)"#;

/// How far the made-up experiment is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Until {
    /// In the middle of its second seed; a fine-tuning failed.
    Midway,
    /// The end.
    End,
}

pub(crate) fn experiment() -> Experiment {
    Experiment::new(ExperimentConfig::from_ron(TEXT, "labels.ron", Path::new("")).unwrap(), Contents::default()).unwrap()
}

/// One point: pre-trained twice, fine-tuned from both and from scratch, on the demo.
pub(crate) fn one_point() -> Experiment {
    let run = r#"(
        name: "demo",
        data: (split: demo),
        pretrain: (steps: 400),
        finetune: (steps: 600),
        arms: (
            pretrain: [(name: "simtrot_w"), (name: "no_rotate", set: ["pretrain.rotate=off"])],
            finetune: [
                (name: "scratch"),
                (name: "simtrot_w", from: "simtrot_w"),
                (name: "no_rotate", from: "no_rotate"),
                (name: "scratch_adamw", set: ["finetune.optimiser={\"adam_w\":{\"lr\":1e-3,\"weight_decay\":3e-5}}"]),
            ],
        ),
    )"#;
    Experiment::new(ExperimentConfig::from_ron(run, "demo.ron", Path::new("")).unwrap(), Contents::default()).unwrap()
}

/// A grid of more than a hundred cells.
pub(crate) fn large() -> Experiment {
    let more = TEXT.replace(
        "(name: \"seed\"",
        "(name: \"mask ratio\", key: \"pretrain.mask_ratio\", values: [\"0.25\", \"0.5\", \"0.75\", \"0.85\"]), (name: \"seed\"",
    );
    Experiment::new(ExperimentConfig::from_ron(&more, "labels.ron", Path::new("")).unwrap(), Contents::default()).unwrap()
}

/// The states of all trainings.
pub(crate) fn state(experiment: &Experiment, until: Until, folder: &ExperimentFolder) -> ExperimentState {
    let half = experiment.trainings.len() / 2;
    let runs = (0..experiment.trainings.len()).map(|training| {
        let share = match until {
            Until::End => 1.0,
            Until::Midway if training < half => 1.0,
            Until::Midway if training == half => 0.6,
            Until::Midway => return None,
        };
        Some(run(experiment, training, share))
    });
    let mut runs: Vec<Option<Arc<RunState>>> = runs.collect();
    if until == Until::Midway {
        let failed = half - 2;
        runs[failed] = Some(run(experiment, failed, 0.3));
        let message = "data/imagesTr/hippocampus_204.nii.gz: the file ends after 31 of 64 KiB; copy it again from its source".to_owned();
        folder.write_failures(&[(experiment.trainings[failed].name.clone(), message)].into()).unwrap();
    }
    // Nothing but the causes of failures lies in the folder: what is made up stays.
    let mut state = ExperimentState::of(runs);
    state.refresh(experiment, folder);
    state
}

/// Between -1 and 1, the same at each call.
fn noise(key: f64, other: f64) -> f64 {
    ((key * 12.9898 + other * 78.233).sin() * 43_758.547).fract()
}

/// A training of which a share is done.
fn run(experiment: &Experiment, training: usize, share: f64) -> Arc<RunState> {
    let mut run = RunState::default();
    for record in records(experiment, training, share) {
        run.apply(&record);
    }
    Arc::new(run)
}

/// The record of a training of which a share is done.
pub(crate) fn records(experiment: &Experiment, training: usize, share: f64) -> Vec<Record> {
    let plan = &experiment.trainings[training];
    let cell = experiment.cells_of(training).next().unwrap();
    let seed = cell.point.last().map_or(0.0, |&seed| seed as f64);
    let mut records = Vec::new();
    let mut emit = |secs: f64, event: Event| records.push(Record { secs, event });
    let environment =
        Environment { device: "cpu".into(), device_name: "Synthetic CPU".into(), version: "0.1.0".into(), ..Environment::default() };
    emit(0.0, Event::Started { schema: SCHEMA, name: plan.name.clone(), environment, classes: Vec::new() });
    emit(0.0, Event::Notice { severity: Severity::Warning, text: "a synthetic warning".into() });
    let (training, steps) = (plan.stage(), plan.steps());
    if let Some(after) = plan.after {
        let tensors = |part: &str, count: usize| (0..count).map(|n| (format!("{part}.{n}.weight"), vec![48, 24])).collect();
        let report = TransferReport { matched: tensors("encoder", 57), missing: tensors("decoder", 31), skipped: Vec::new() };
        emit(0.1, Event::Transfer { stage: training.clone(), from: experiment.trainings[after].name.clone(), report });
    }
    emit(0.5, Event::StageStarted { stage: training.clone(), total: steps, done: 0 });
    let done = (share * steps as f64) as usize;
    for step in 1..=done {
        let parts = [("cross_entropy".to_owned(), 0.4)].into();
        let numbers = StepNumbers { step, step_secs: 0.5, loss: 1.0, parts, lr: 0.01, grad_norm: 2.0, ..StepNumbers::default() };
        emit(0.5 * step as f64, Event::Step { stage: training.clone(), numbers });
    }
    let end = 0.5 * done as f64;
    if plan.kind == StageKind::Pretrain {
        let probe = |step, level| Event::Probe { stage: training.clone(), step, collapse: Box::new(collapse(level)) };
        for (name, level) in [("untrained", 0.0), ("constant", 0.9), ("noise", 0.05)] {
            emit(0.5, Event::Baseline { name: name.into(), collapse: Box::new(collapse(level)) });
        }
        emit(1.0, probe(0, 0.0));
        emit(end, probe(done, if plan.arm == "no_rotate" { 0.98 } else { 0.3 + 0.05 * noise(seed, 1.0) }));
    }
    emit(end, Event::Checkpoint { stage: training.clone(), step: done, path: "checkpoints/last".into(), best: false });
    if share < 1.0 {
        return records;
    }
    emit(end, Event::StageFinished { stage: training, secs: end });
    if plan.kind == StageKind::Finetune {
        let mean = mean_dice(cell.point.first().map_or(LABELS.len() - 1, |&level| level), &experiment.arms()[cell.arm].name);
        let cases = cases(experiment);
        let stage = Stage { kind: StageKind::Test, arm: plan.arm.clone() };
        emit(end, Event::StageStarted { stage: stage.clone(), total: cases.len(), done: 0 });
        for (place, case) in cases.iter().enumerate() {
            emit(end + place as f64, Event::Scored { stage: stage.clone(), case: case.clone(), scores: scores((place, case), mean, seed) });
            emit(end + place as f64, Event::Progress { stage: stage.clone(), done: place + 1, total: cases.len() });
        }
        emit(end + CASES as f64, Event::StageFinished { stage, secs: CASES as f64 });
    }
    emit(end + CASES as f64, Event::Finished { outcome: Outcome::Completed });
    records
}

fn mean_dice(level: usize, arm: &str) -> f64 {
    let labels: f64 = LABELS[level.min(4)];
    let reached = 0.88 - 0.1 * (-labels.log10()).max(0.0).powf(1.3);
    let gain = if arm.starts_with("simtrot") { 0.03 * (-labels.log10()).max(0.0) + 0.004 } else { 0.0 };
    reached + gain + if arm.ends_with("adamw") { 0.02 } else { 0.0 }
}

/// The test cases: of one point, the demo's own.
pub(crate) fn cases(experiment: &Experiment) -> Vec<String> {
    let made_up = (0..CASES).map(|place| format!("hippocampus_{:03}", place * 7 + 4)).collect();
    if experiment.config.axes.is_empty() { demo::split().test } else { made_up }
}

fn scores((place, case): (usize, &str), mean: f64, seed: f64) -> Vec<CaseScore> {
    let score = |region: &str, shift: f64| CaseScore {
        case: case.to_owned(),
        region: region.to_owned(),
        dice: Some(mean + shift + 0.01 * noise(seed, mean) + 0.03 * noise(place as f64, 31.0) + 0.01 * noise(place as f64, mean + seed)),
        hd95: Some(6.0 * (1.0 - mean) + 0.4 * noise(place as f64, seed).abs()),
        truth_voxels: 1600,
        predicted_voxels: 1580,
        missing_in_one: false,
    };
    vec![score("Anterior", 0.012), score("Posterior", -0.012)]
}

fn collapse(level: f64) -> CollapsePair {
    let encoder = Collapse {
        eta2: Some(0.7 + 0.29 * level),
        eta2_turned: Some(0.1 + 0.89 * level),
        gap: Some(0.2 + 0.6 * level),
        index_lock: Some(0.15 + 0.8 * level),
        anatomy_lock: Some(0.9 - 0.92 * level),
        uniformity: Some(-1.0),
        label_probe_r2: [(4, 0.25 - 0.1 * level)].into(),
        label_probe_r2_position: [(4, 0.05)].into(),
        rankme: Some(41.3 - 4.0 * level),
        spectrum: (0..24).map(|index| (-(0.05 + 0.08 * level) * f64::from(index)).exp()).collect(),
        ..Collapse::default()
    };
    CollapsePair { projected: Some(encoder.clone()), encoder }
}
