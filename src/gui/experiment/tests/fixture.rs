//! A made-up experiment of one point, told as events with fixed times: no number in it was measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::ExperimentConfig;
use crate::experiment::{Contents, Experiment, ExperimentFolder, ExperimentState};
use crate::gui::OpenRun;
use crate::metrics::CaseScore;
use crate::metrics::collapse::Collapse;
use crate::protocol::{
    CollapsePair, Environment, Event, Record, RunState, SCHEMA, Severity, Stage, StageKind, StepNumbers, TransferReport,
};

const CONFIG: &str = r#"(
    name: "NAME",
    base: run((data: (split: demo), pretrain: (steps: 400), finetune: (steps: 600))),
    arms: (
        pretrain: [(name: "plain", set: ["pretrain.rotate=off", "pretrain.weight=1"]), (name: "simtrot_w")],
        finetune: [
            (name: "scratch", set: ["finetune.optimiser={\"adam_w\":{\"lr\":1e-3,\"weight_decay\":3e-5}}"]),
            (name: "simtrot_w", from: "simtrot_w"),
        ],
    ),
)"#;

/// How far it is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Until {
    /// In the middle of the second pre-training.
    Pretraining,
    /// The device is lost while fine-tuning.
    Failure,
    /// The end.
    End,
}

pub(super) fn experiment(name: &str) -> Experiment {
    let config = ExperimentConfig::from_ron(&CONFIG.replace("NAME", name), "made_up.ron", Path::new("")).unwrap();
    Experiment::new(config, Contents::default()).unwrap()
}

/// What is known of its trainings; experiments of other `luck` end with other numbers.
pub(super) fn state(experiment: &Experiment, until: Until, luck: f64) -> ExperimentState {
    let mut state = ExperimentState::new(experiment);
    for (training, plan) in experiment.trainings.iter().enumerate() {
        let share = match (until, plan.kind, plan.arm.as_str()) {
            (Until::Pretraining, StageKind::Pretrain, "simtrot_w") | (Until::Failure, StageKind::Finetune, "simtrot_w") => 0.6,
            (Until::Pretraining, StageKind::Finetune, _) => continue,
            _ => 1.0,
        };
        let mut run = RunState::default();
        records(experiment, training, share, luck).iter().for_each(|record| run.apply(record));
        state.runs[training] = Some(Arc::new(run));
        if until == Until::Failure && share < 1.0 {
            let message = "the device was lost (Radeon 780M: the driver was reset after 2 s without an answer)";
            state.failures[training] = Some(message.to_owned());
        }
    }
    state
}

/// Open, in a folder that is the same on every machine.
pub(super) fn open(name: &str, until: Until, luck: f64) -> OpenRun {
    let experiment = experiment(name);
    let state = state(&experiment, until, luck);
    let mut open = OpenRun::replayed(experiment, folder(name), state);
    open.report = (until == Until::End).then(|| open.folder.report_path());
    open
}

pub(super) fn folder(name: &str) -> ExperimentFolder {
    ExperimentFolder::new(Path::new("/data/runs").join(name))
}

/// Between -1 and 1, the same at each call.
fn noise(step: usize, key: f64) -> f64 {
    ((step as f64 * 12.9898 + key * 78.233).sin() * 43_758.547).fract()
}

/// What a training of which a share is done has told.
pub(super) fn records(experiment: &Experiment, training: usize, share: f64, luck: f64) -> Vec<Record> {
    let plan = &experiment.trainings[training];
    let (stage, steps) = (plan.stage(), plan.steps());
    let mut told: Vec<Record> = Vec::new();
    let mut secs = 0.0;
    let mut tell = |after: f64, event: Event| {
        secs += after;
        told.push(Record { secs, event });
    };
    let environment = Environment {
        device: "gpu".to_owned(),
        device_name: "Radeon 780M".to_owned(),
        backend: "Vulkan".to_owned(),
        ..Environment::default()
    };
    let classes = ["background", "Anterior", "Posterior"].map(str::to_owned).to_vec();
    tell(0.2, Event::Started { schema: SCHEMA, name: plan.name.clone(), environment, classes });
    let text = "Two cases have label maps without a voxel of Anterior; they train and are scored as they are.".to_owned();
    tell(0.1, Event::Notice { severity: Severity::Warning, text });
    tell(0.1, Event::StageStarted { stage: stage.clone(), total: steps, done: 0 });
    let pretrains = plan.kind == StageKind::Pretrain;
    let level = if plan.arm == "plain" { 0.97 } else { 0.31 };
    if pretrains {
        tell(0.1, Event::Probe { stage: stage.clone(), step: 0, collapse: Box::new(collapse(0.0)) });
    } else if plan.after.is_some() {
        let tensor = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
        let matched = (0..38).map(|block| tensor(&format!("stages.{}.blocks.{}.norm1.gamma", block / 19, block % 19), &[48]));
        let (missing, skipped) =
            (vec![tensor("decoder.head.weight", &[3, 24, 1, 1, 1])], vec![tensor("projector.linear1.weight", &[96, 96])]);
        let report = TransferReport { matched: matched.collect(), missing, skipped };
        tell(0.0, Event::Transfer { stage: stage.clone(), from: "trainings/pretrain-simtrot_w/checkpoints/last".to_owned(), report });
    }
    let gain = if plan.after.is_some() { 0.06 } else { 0.0 };
    for step in 1..=(share * steps as f64) as usize {
        let time = step as f64 / steps as f64;
        let loss = if pretrains { 3.6 - 2.1 * level * (1.0 - (-4.0 * time).exp()) } else { 0.18 + (1.3 - gain) * (-5.0 * time).exp() };
        let mut numbers = StepNumbers {
            step,
            loss: loss + 0.09 * noise(step, luck),
            lr: if pretrains { 1e-4 } else { 0.01 * (1.0 - time).max(0.0).powf(0.9) },
            grad_norm: 2.0 + 0.6 * noise(step, luck + 1.0),
            step_secs: 0.11,
            volumes_per_sec: 18.0 + 1.5 * noise(step, luck + 2.0),
            resident_mib: Some(612.0 + (step as f64).sqrt()),
            ..StepNumbers::default()
        };
        numbers.parts = match pretrains {
            true => BTreeMap::from([("positive_similarity".to_owned(), (0.2 + level * time).min(0.99) + 0.02 * noise(step, 3.0))]),
            false => BTreeMap::from([("cross_entropy".to_owned(), 0.45 * numbers.loss), ("dice".to_owned(), 0.55 * numbers.loss)]),
        };
        tell(0.11, Event::Step { stage: stage.clone(), numbers });
        if pretrains && step % 100 == 0 {
            tell(0.2, Event::Probe { stage: stage.clone(), step, collapse: Box::new(collapse(level * time)) });
        } else if step % 150 == 0 {
            let dice_mean = 0.75 + gain - 0.4 * (-4.0 * time).exp() + 0.01 * luck;
            tell(0.5, Event::Validation { stage: stage.clone(), step, dice_mean });
        }
    }
    if share == 1.0 {
        tell(0.0, Event::StageFinished { stage: stage.clone(), secs: if pretrains { 45.0 } else { 78.0 } });
    }
    if share == 1.0 && !pretrains {
        let test = Stage { kind: StageKind::Test, ..stage };
        tell(0.1, Event::StageStarted { stage: test.clone(), total: 12, done: 0 });
        for case in 0..12 {
            tell(
                0.3,
                Event::Scored {
                    stage: test.clone(),
                    case: format!("hippocampus_{:03}", case * 7 + 4),
                    scores: scores(case, 0.76 + gain, luck),
                },
            );
            tell(0.0, Event::Progress { stage: test.clone(), done: case + 1, total: 12 });
        }
        tell(0.0, Event::StageFinished { stage: test, secs: 3.6 });
    }
    told
}

fn scores(case: usize, mean: f64, luck: f64) -> Vec<CaseScore> {
    let score = |region: &str, shift: f64| CaseScore {
        case: format!("hippocampus_{:03}", case * 7 + 4),
        region: region.to_owned(),
        dice: Some(mean + shift + 0.04 * noise(case, luck) + 0.015 * noise(case, 31.0 * mean)),
        hd95: Some(2.0 - mean + 0.5 * noise(case, luck + 1.0).abs()),
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
        ..Collapse::default()
    };
    CollapsePair { projected: Some(encoder.clone()), encoder }
}
