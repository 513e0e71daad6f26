//! A made-up run, told as events with fixed times: no number in it was measured.

use std::collections::BTreeMap;

use crate::config::{Arm, RunConfig, SplitConfig};
use crate::metrics::CaseScore;
use crate::metrics::collapse::Collapse;
use crate::protocol::{
    CollapsePair, Environment, Event, Outcome, Record, RunState, SCHEMA, Severity, Stage, StageKind, StepNumbers, TransferReport,
};

/// Steps of a pre-training.
const PRETRAIN: usize = 400;
/// Steps of a fine-tuning.
const FINETUNE: usize = 600;

/// How far the made-up run is told.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Until {
    /// In the middle of the second pre-training.
    Pretraining,
    /// The device is lost while fine-tuning.
    Failure,
    /// The end.
    End,
}

/// Events, one after the other.
struct Teller {
    secs: f64,
    /// Tells two made-up runs apart.
    luck: f64,
    records: Vec<Record>,
}

pub(super) fn config(name: &str) -> RunConfig {
    let arm = |name: &str, from: Option<&str>, set: &[&str]| Arm {
        name: name.to_owned(),
        from: from.map(str::to_owned),
        set: set.iter().map(|&text| text.to_owned()).collect(),
        ..Arm::default()
    };
    let mut config = RunConfig { name: name.to_owned(), ..RunConfig::default() };
    config.data.split = SplitConfig::Demo;
    (config.pretrain.steps, config.finetune.steps) = (PRETRAIN, FINETUNE);
    config.arms.pretrain = vec![arm("plain", None, &["pretrain.rotate=off", "pretrain.weight=1"]), arm("simtrot_w", None, &[])];
    config.arms.finetune = vec![arm("scratch", None, &[]), arm("simtrot_w", Some("simtrot_w"), &[])];
    config
}

/// A run of [`config`]; runs of other `luck` end with other numbers.
pub(super) fn run(name: &str, until: Until, luck: f64) -> RunState {
    let mut state = RunState::default();
    records(name, until, luck).iter().for_each(|record| state.apply(record));
    state
}

pub(super) fn records(name: &str, until: Until, luck: f64) -> Vec<Record> {
    let mut teller = Teller { secs: 0.0, luck, records: Vec::new() };
    teller.begin(name);
    let steps = |steps: usize, stop: bool| if stop { steps * 6 / 10 } else { steps };
    teller.pretrain("plain", 0.97, PRETRAIN);
    teller.pretrain("simtrot_w", 0.31, steps(PRETRAIN, until == Until::Pretraining));
    if until == Until::Pretraining {
        return teller.records;
    }
    teller.finetune("scratch", 0.0, FINETUNE);
    teller.test("scratch", 0.781);
    teller.finetune("simtrot_w", 0.06, steps(FINETUNE, until == Until::Failure));
    if until == Until::Failure {
        let message = "the device was lost (Radeon 780M: the driver was reset after 2 s without an answer)".to_owned();
        teller.tell(0.4, Event::Finished { outcome: Outcome::Failed { message, bad_input: false } });
        return teller.records;
    }
    teller.test("simtrot_w", 0.812);
    teller.tell(0.5, Event::Finished { outcome: Outcome::Completed });
    teller.records
}

/// Between -1 and 1, the same at each call.
fn noise(step: usize, key: f64) -> f64 {
    ((step as f64 * 12.9898 + key * 78.233).sin() * 43_758.547).fract()
}

fn stage(kind: StageKind, arm: &str) -> Stage {
    Stage { kind, arm: arm.to_owned() }
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

impl Teller {
    fn tell(&mut self, secs: f64, event: Event) {
        self.secs += secs;
        self.records.push(Record { secs: self.secs, event });
    }

    fn begin(&mut self, name: &str) {
        let environment = Environment {
            version: "0.1.0".to_owned(),
            device: "gpu".to_owned(),
            device_name: "Radeon 780M".to_owned(),
            backend: "Vulkan".to_owned(),
            threads: 16,
            ..Environment::default()
        };
        let classes = ["background", "Anterior", "Posterior"].map(str::to_owned).to_vec();
        self.tell(0.2, Event::Started { schema: SCHEMA, name: name.to_owned(), environment, classes });
        let text = "Two cases have label maps without a voxel of Anterior; they train and are scored as they are.".to_owned();
        self.tell(0.1, Event::Notice { severity: Severity::Warning, text });
        let prepare = stage(StageKind::Prepare, "");
        self.tell(0.0, Event::StageStarted { stage: prepare.clone(), total: 40, done: 0 });
        self.tell(4.0, Event::Progress { stage: prepare.clone(), done: 40, total: 40 });
        self.tell(0.0, Event::StageFinished { stage: prepare, secs: 4.0 });
    }

    fn pretrain(&mut self, arm: &str, level: f64, steps: usize) {
        let stage = stage(StageKind::Pretrain, arm);
        self.tell(0.1, Event::StageStarted { stage: stage.clone(), total: PRETRAIN, done: 0 });
        self.tell(0.1, Event::Probe { stage: stage.clone(), step: 0, collapse: Box::new(collapse(0.0)) });
        for step in 1..=steps {
            let time = step as f64 / PRETRAIN as f64;
            let mut numbers = self.numbers(step, 3.6 - 2.1 * level * (1.0 - (-4.0 * time).exp()));
            let similarity = (0.2 + level * time).min(0.99) + 0.02 * noise(step, 3.0);
            numbers.parts.insert("positive_similarity".to_owned(), similarity);
            numbers.lr = 1e-4;
            self.tell(0.11, Event::Step { stage: stage.clone(), numbers });
            if step % 100 == 0 {
                self.tell(0.2, Event::Probe { stage: stage.clone(), step, collapse: Box::new(collapse(level * time)) });
            }
        }
        if steps == PRETRAIN {
            self.tell(0.0, Event::StageFinished { stage, secs: 45.0 });
        }
    }

    fn finetune(&mut self, arm: &str, gain: f64, steps: usize) {
        let stage = stage(StageKind::Finetune, arm);
        self.tell(0.1, Event::StageStarted { stage: stage.clone(), total: FINETUNE, done: 0 });
        if gain > 0.0 {
            let tensor = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
            let report = TransferReport {
                matched: (0..38).map(|block| tensor(&format!("stages.{}.blocks.{}.norm1.gamma", block / 19, block % 19), &[48])).collect(),
                missing: vec![tensor("decoder.head.weight", &[3, 24, 1, 1, 1])],
                skipped: vec![tensor("projector.linear1.weight", &[96, 96])],
            };
            self.tell(0.0, Event::Transfer { stage: stage.clone(), from: format!("arms/pretrain_{arm}/checkpoints/last"), report });
        }
        for step in 1..=steps {
            let time = step as f64 / FINETUNE as f64;
            let mut numbers = self.numbers(step, 0.18 + (1.3 - gain) * (-5.0 * time).exp());
            let dice = 0.55 * numbers.loss;
            numbers.parts = BTreeMap::from([("cross_entropy".to_owned(), numbers.loss - dice), ("dice".to_owned(), dice)]);
            numbers.lr = 0.01 * (1.0 - time).max(0.0).powf(0.9);
            self.tell(0.13, Event::Step { stage: stage.clone(), numbers });
            if step % 150 == 0 {
                let dice_mean = 0.75 + gain - 0.4 * (-4.0 * time).exp() + 0.01 * self.luck;
                self.tell(0.5, Event::Validation { stage: stage.clone(), step, dice_mean });
            }
        }
        if steps == FINETUNE {
            self.tell(0.0, Event::StageFinished { stage, secs: 78.0 });
        }
    }

    fn numbers(&self, step: usize, loss: f64) -> StepNumbers {
        let key = self.luck;
        StepNumbers {
            step,
            loss: loss + 0.09 * noise(step, key),
            grad_norm: 2.0 + 0.6 * noise(step, key + 1.0),
            step_secs: 0.11,
            volumes_per_sec: 18.0 + 1.5 * noise(step, key + 2.0),
            resident_mib: Some(612.0 + (step as f64).sqrt()),
            ..StepNumbers::default()
        }
    }

    fn test(&mut self, arm: &str, mean: f64) {
        let stage = stage(StageKind::Test, arm);
        self.tell(0.1, Event::StageStarted { stage: stage.clone(), total: 12, done: 0 });
        for place in 0..12 {
            let case = format!("hippocampus_{:03}", place * 7 + 4);
            let score = |region: &str, shift: f64| CaseScore {
                case: case.clone(),
                region: region.to_owned(),
                dice: Some(mean + shift + 0.04 * noise(place, self.luck) + 0.015 * noise(place, 31.0 * mean)),
                hd95: Some(2.0 - mean + 0.5 * noise(place, self.luck + 1.0).abs()),
                truth_voxels: 1600,
                predicted_voxels: 1580,
                missing_in_one: false,
            };
            let scores = vec![score("Anterior", 0.012), score("Posterior", -0.012)];
            self.tell(0.3, Event::Scored { stage: stage.clone(), case, scores });
            self.tell(0.0, Event::Progress { stage: stage.clone(), done: place + 1, total: 12 });
        }
        self.tell(0.0, Event::StageFinished { stage, secs: 3.6 });
    }
}
