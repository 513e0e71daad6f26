//! A made-up run of the demo, told as events: no number in it was measured.

use std::collections::BTreeMap;

use simtrot::metrics::collapse::Collapse;
use simtrot::metrics::score::CaseScore;
use simtrot::protocol::{
    CollapsePair, Environment, Event, Outcome, Record, RunState, SCHEMA, Severity, Stage, StageKind, StepNumbers, TransferReport,
};

/// A case name that would break a page which does not escape it.
pub const HOSTILE: &str = "<script>alert('1')</script>&\"case\"";
/// Steps of each made-up training.
pub const STEPS: usize = 300;

/// An event one made-up tick after the one before.
pub struct Teller {
    secs: f64,
    pub records: Vec<Record>,
}

impl Teller {
    fn tell(&mut self, secs: f64, event: Event) {
        self.secs += secs;
        self.records.push(Record { secs: self.secs, event });
    }
}

pub fn stage(kind: StageKind, arm: &str) -> Stage {
    Stage { kind, arm: arm.to_owned() }
}

/// Collapse numbers that grow with `level` from 0, healthy, to 1, collapsed.
pub fn collapse(level: f64) -> Collapse {
    Collapse {
        eta2: Some(0.7013 + 0.29 * level),
        eta2_turned: Some(0.1004 + 0.8957 * level),
        volume_share: Some(0.1 - 0.09 * level),
        gap: Some(0.21 + 0.6 * level),
        index_lock: Some(0.2391 + 0.7519 * level),
        anatomy_lock: Some(0.9307 - 0.98 * level),
        label_probe_r2: BTreeMap::from([(4, 0.131 - 0.08 * level), (10, 0.202 - 0.06 * level)]),
        label_probe_r2_position: BTreeMap::from([(4, 0.0412), (10, 0.0511)]),
        rankme: Some(41.3 - 4.0 * level),
        residual_rankme: Some(27.4 + 20.0 * level),
        position_probe_r2: Some(0.6102 + 0.38 * level),
        content_probe_accuracy: Some(0.7203 - 0.6 * level),
        spectrum: (0..48).map(|index| (-(0.05 + 0.08 * level) * f64::from(index)).exp()).collect(),
        ..Collapse::default()
    }
}

fn pair(level: f64) -> Box<CollapsePair> {
    Box::new(CollapsePair { projected: Some(collapse(level)), encoder: collapse(0.8 * level) })
}

/// A made-up Dice around `mean`: an offset of the case, and a smaller one of the arm on it.
pub fn dice(mean: f64, case: usize, label: usize) -> f64 {
    let wave = |number: usize| (number % 11) as f64 / 11.0 - 0.5;
    let arm = (mean * 1e4) as usize;
    (mean + 0.08 * wave(case * 7 + label * 3) + 0.02 * wave(case * 5 + arm) - 0.02 * label as f64).clamp(0.0, 1.0)
}

/// The scores of a case under an arm of mean Dice `mean`.
pub fn scores(case_name: &str, case: usize, mean: f64) -> Vec<CaseScore> {
    let score = |label: usize, name: &str| {
        let dice = dice(mean, case, label);
        CaseScore {
            case: case_name.to_owned(),
            region: name.to_owned(),
            dice: Some(dice),
            hd95: Some(8.0 * (1.0 - dice)),
            truth_voxels: 1000,
            predicted_voxels: 1000,
            missing_in_one: false,
        }
    };
    vec![score(0, "Anterior"), score(1, "Posterior")]
}

fn training(teller: &mut Teller, stage: &Stage, floor: f64) {
    teller.tell(0.1, Event::StageStarted { stage: stage.clone(), total: STEPS, done: 0 });
    for step in 1..=STEPS {
        let progress = step as f64 / STEPS as f64;
        let jitter = ((step * 7919) % 101) as f64 / 101.0 - 0.5;
        let loss = floor + (1.0 - floor / 5.0) * (-4.0 * progress).exp() + 0.15 * jitter;
        let parts = match stage.kind {
            StageKind::Pretrain => vec![("positive_similarity", 0.9 - 0.5 * (-4.0 * progress).exp())],
            _ => vec![("cross_entropy", 0.4 * loss), ("dice", 0.6 * loss)],
        };
        let numbers = StepNumbers {
            step,
            loss,
            parts: parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            lr: 0.01 * (1.0 - progress).powf(0.9),
            grad_norm: 2.0 + jitter,
            step_secs: 0.25,
            volumes_per_sec: 8.0 + jitter,
            resident_mib: Some(600.0 + step as f64),
        };
        teller.tell(0.25, Event::Step { stage: stage.clone(), numbers });
        if stage.kind == StageKind::Pretrain && step % 50 == 0 {
            let level = if stage.arm == "no_rotate" { 1.0 - 0.9 * (-6.0 * progress).exp() } else { 0.25 * progress };
            teller.tell(0.5, Event::Probe { stage: stage.clone(), step, collapse: pair(level) });
        }
    }
    let path = format!("arms/{}/checkpoints/last", stage.to_string().replace(' ', "_"));
    teller.tell(0.1, Event::Checkpoint { stage: stage.clone(), step: STEPS, path, best: false });
    teller.tell(0.0, Event::StageFinished { stage: stage.clone(), secs: 75.0 });
}

fn transfer(from: &str, stage: &Stage) -> Event {
    let tensors = |prefix: &str, count: usize| (0..count).map(|n| (format!("{prefix}.{n}.weight"), vec![48, 24])).collect();
    let report = TransferReport { matched: tensors("encoder", 57), missing: tensors("decoder", 31), skipped: tensors("projector", 4) };
    Event::Transfer { stage: stage.clone(), from: from.to_owned(), report }
}

/// A whole comparison; `arms` are the fine-tunings with their mean Dice.
pub fn records(cases: &[String], arms: &[(&str, Option<&str>, f64)]) -> Vec<Record> {
    let mut teller = Teller { secs: 0.0, records: Vec::new() };
    let environment = Environment {
        version: "0.1.0".into(),
        commit: "0123abc".into(),
        device: "cpu".into(),
        device_name: "Made-up CPU".into(),
        backend: "Flex".into(),
        threads: 2,
        system: "linux x86_64".into(),
        started: "2026-01-02T03:04:05Z".into(),
        ..Environment::default()
    };
    let classes = ["background", "Anterior", "Posterior"].map(str::to_owned).to_vec();
    teller.tell(0.0, Event::Started { schema: SCHEMA, name: "demo".into(), environment, classes });
    let prepare = stage(StageKind::Prepare, "");
    teller.tell(0.1, Event::StageStarted { stage: prepare.clone(), total: 40, done: 0 });
    teller.tell(1.5, Event::Progress { stage: prepare.clone(), done: 40, total: 40 });
    teller.tell(0.1, Event::StageFinished { stage: prepare, secs: 1.7 });
    teller.tell(0.0, Event::Notice { severity: Severity::Warning, text: "a made-up warning".into() });
    for (name, level) in [("untrained", 0.0), ("constant", 0.9), ("noise", 0.05)] {
        teller.tell(0.2, Event::Baseline { name: name.into(), collapse: pair(level) });
    }
    for arm in ["simtrot_w", "no_rotate"] {
        training(&mut teller, &stage(StageKind::Pretrain, arm), 3.58);
    }
    for (arm, from, mean) in arms {
        let finetune = stage(StageKind::Finetune, arm);
        if let Some(from) = from {
            teller.tell(0.1, transfer(&format!("arms/pretrain_{from}/checkpoints/last"), &finetune));
        }
        training(&mut teller, &finetune, 0.3);
        let test = stage(StageKind::Test, arm);
        teller.tell(0.1, Event::StageStarted { stage: test.clone(), total: cases.len(), done: 0 });
        for (index, case) in cases.iter().enumerate() {
            let scored = Event::Scored { stage: test.clone(), case: case.clone(), scores: scores(case, index, *mean) };
            teller.tell(0.3, scored);
            teller.tell(0.0, Event::Progress { stage: test.clone(), done: index + 1, total: cases.len() });
        }
        teller.tell(0.1, Event::StageFinished { stage: test, secs: 4.0 });
    }
    teller.tell(0.1, Event::Finished { outcome: Outcome::Completed });
    teller.records
}

/// The made-up arms: name, origin, mean Dice.
pub const ARMS: [(&str, Option<&str>, f64); 4] = [
    ("scratch", None, 0.7312),
    ("simtrot_w", Some("simtrot_w"), 0.7904),
    ("no_rotate", Some("no_rotate"), 0.7255),
    ("scratch_adamw", None, 0.8421),
];

pub fn fold(records: &[Record]) -> RunState {
    let mut state = RunState::default();
    records.iter().for_each(|record| state.apply(record));
    state
}
