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

const ONE_POINT: &str = r#"(
    name: "NAME",
    seed: SEED,
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

/// How far the made-up experiment is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Until {
    /// In the middle of its second pre-training.
    Pretraining,
    /// In the middle of its second seed; a fine-tuning failed.
    Midway,
    /// A fine-tuning failed, all else is done.
    Failure,
    /// The end.
    End,
}

fn of(text: &str) -> Experiment {
    Experiment::new(ExperimentConfig::from_ron(text, "made_up.ron", Path::new("")).unwrap(), Contents::default()).unwrap()
}

pub(crate) fn experiment() -> Experiment {
    of(TEXT)
}

/// One point: pre-trained twice, fine-tuned from both and from scratch, on the demo.
pub(crate) fn one_point() -> Experiment {
    one_point_of("demo", 0)
}

/// The same under another name; other seeds end with other numbers.
pub(crate) fn one_point_of(name: &str, seed: u64) -> Experiment {
    of(&ONE_POINT.replace("NAME", name).replace("SEED", &seed.to_string()))
}

/// A grid of more than a hundred cells.
pub(crate) fn large() -> Experiment {
    of(&TEXT.replace(
        "(name: \"seed\"",
        "(name: \"mask ratio\", key: \"pretrain.mask_ratio\", values: [\"0.25\", \"0.5\", \"0.75\", \"0.85\"]), (name: \"seed\"",
    ))
}

/// The states of all trainings.
pub(crate) fn state(experiment: &Experiment, until: Until, folder: &ExperimentFolder) -> ExperimentState {
    let count = experiment.trainings.len();
    // All before the training under way are done, but for the one that failed.
    let (under_way, failed) = match until {
        Until::Pretraining => (1, None),
        Until::Midway => (count / 2, Some(count / 2 - 2)),
        Until::Failure => (count, Some(count - 2)),
        Until::End => (count, None),
    };
    let runs = (0..count).map(|training| match training {
        _ if failed == Some(training) => Some(run(experiment, training, 0.3)),
        _ if training < under_way => Some(run(experiment, training, 1.0)),
        _ => (training == under_way).then(|| run(experiment, training, 0.6)),
    });
    let runs: Vec<Option<Arc<RunState>>> = runs.collect();
    if let Some(failed) = failed {
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
    let seed = plan.config.seed as f64;
    let mut records = Vec::new();
    let mut emit = |secs: f64, event: Event| records.push(Record { secs, event });
    let (device, device_name, version) = ("cpu".into(), "Synthetic CPU".into(), "0.1.0".into());
    let environment = Environment { device, device_name, version, threads: 8, ..Environment::default() };
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
    let end = 0.5 * done as f64;
    let pretrains = plan.kind == StageKind::Pretrain;
    let reached = if plan.arm == "no_rotate" { 0.98 } else { 0.3 + 0.05 * noise(seed, 1.0) };
    let probe = |step, level| Event::Probe { stage: training.clone(), step, collapse: Box::new(collapse(level)) };
    if pretrains {
        for (name, level) in [("untrained", 0.0), ("constant", 0.9), ("noise", 0.05)] {
            emit(0.5, Event::Baseline { name: name.into(), collapse: Box::new(collapse(level)) });
        }
        emit(0.5, probe(0, 0.0));
    }
    for step in 1..=done {
        let (secs, time) = (0.5 * step as f64, step as f64 / steps as f64);
        emit(secs, Event::Step { stage: training.clone(), numbers: numbers(pretrains, (step, time), (reached, seed)) });
        if pretrains && (step == done || step % 100 == 0) {
            emit(secs, probe(step, if step == done { reached } else { reached * time }));
        } else if !pretrains && step % 150 == 0 {
            let dice_mean = 0.75 + if plan.after.is_some() { 0.06 } else { 0.0 } - 0.4 * (-4.0 * time).exp() + 0.01 * seed;
            emit(secs, Event::Validation { stage: training.clone(), step, dice_mean });
        }
    }
    emit(end, Event::Checkpoint { stage: training.clone(), step: done, path: "checkpoints/last".into(), best: false });
    if share < 1.0 {
        return records;
    }
    emit(end, Event::StageFinished { stage: training, secs: end });
    if !pretrains {
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

/// Of a step at some share of a training's time.
fn numbers(pretrains: bool, (step, time): (usize, f64), (reached, seed): (f64, f64)) -> StepNumbers {
    let jitter = |key: f64| noise(step as f64, seed + key);
    let course = if pretrains { 3.6 - 2.1 * reached * (1.0 - (-4.0 * time).exp()) } else { 0.18 + 1.3 * (-5.0 * time).exp() };
    let loss = course + 0.09 * jitter(0.0);
    let parts = match pretrains {
        true => vec![("positive_similarity", (0.2 + reached * time).min(0.99) + 0.02 * jitter(3.0))],
        false => vec![("cross_entropy", 0.45 * loss), ("dice", 0.55 * loss)],
    };
    StepNumbers {
        step,
        loss,
        parts: parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        lr: if pretrains { 1e-4 } else { 0.01 * (1.0 - time).max(0.0).powf(0.9) },
        grad_norm: 2.0 + 0.6 * jitter(1.0),
        step_secs: 0.5,
        volumes_per_sec: 4.0 + 0.3 * jitter(2.0),
        resident_mib: Some(612.0 + (step as f64).sqrt()),
    }
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
