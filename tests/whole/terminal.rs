//! How the terminal follows a job: plain lines, or problems only.

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;

use simtrot::metrics::collapse::Collapse;
use simtrot::metrics::score::CaseScore;
use simtrot::protocol::{
    CollapsePair, Environment, Event, Outcome, Record, RunState, SCHEMA, Severity, Stage, StageKind, StepNumbers, TransferReport,
};
use simtrot::terminal;
use simtrot::worker::RunHandle;

/// Steps of each synthetic training.
const STEPS: usize = 300;
/// Test cases of each arm.
const CASES: usize = 12;

/// Events with the seconds at which they came.
#[derive(Default)]
struct Records(Vec<Record>);

impl Records {
    /// An event so many seconds after the one before.
    fn push(&mut self, secs: f64, event: Event) {
        let secs = secs + self.0.last().map_or(0.0, |last| last.secs);
        self.0.push(Record { secs, event });
    }

    /// A part of a run, with what happens in it.
    fn part(&mut self, kind: StageKind, arm: &str, total: usize, inside: impl FnOnce(&mut Self, &Stage)) {
        let stage = Stage { kind, arm: arm.to_owned() };
        self.push(0.1, Event::StageStarted { stage: stage.clone(), total, done: 0 });
        inside(self, &stage);
        self.push(0.1, Event::StageFinished { stage, secs: 75.0 });
    }

    fn training(&mut self, kind: StageKind, arm: &str) {
        self.part(kind, arm, STEPS, |records, stage| {
            for step in 1..=STEPS {
                let loss = 4.0 * (-4.0 * step as f64 / STEPS as f64).exp();
                let numbers = StepNumbers {
                    step,
                    loss,
                    parts: BTreeMap::from([("part".to_owned(), 0.4 * loss)]),
                    lr: 0.01,
                    grad_norm: 2.0,
                    step_secs: 0.25,
                    volumes_per_sec: 8.0,
                    resident_mib: Some(600.0),
                };
                records.push(0.25, Event::Step { stage: stage.clone(), numbers });
                if kind == StageKind::Pretrain && step % 50 == 0 {
                    records.push(0.5, Event::Probe { stage: stage.clone(), step, collapse: pair(0.2) });
                }
            }
            records.push(0.1, Event::Checkpoint { stage: stage.clone(), step: STEPS, path: "checkpoints/last".to_owned(), best: false });
        });
    }
}

fn pair(eta2: f64) -> Box<CollapsePair> {
    let numbers = Collapse { eta2: Some(eta2), eta2_turned: Some(eta2), ..Collapse::default() };
    Box::new(CollapsePair { projected: Some(numbers.clone()), encoder: numbers })
}

/// A synthetic comparison of `arms`, each with the pre-training that it starts from.
fn records(arms: &[(&str, Option<&str>)]) -> Vec<Record> {
    let mut records = Records::default();
    let classes = ["background", "Anterior"].map(str::to_owned).to_vec();
    records.push(0.0, Event::Started { schema: SCHEMA, name: "demo".to_owned(), environment: Environment::default(), classes });
    records.part(StageKind::Prepare, "", 40, |records, stage| {
        records.push(1.5, Event::Progress { stage: stage.clone(), done: 40, total: 40 });
    });
    records.push(0.0, Event::Notice { severity: Severity::Warning, text: "a synthetic warning".to_owned() });
    for name in ["untrained", "constant", "noise"] {
        records.push(0.2, Event::Baseline { name: name.to_owned(), collapse: pair(0.1) });
    }
    ["simtrot_w", "no_rotate"].into_iter().for_each(|arm| records.training(StageKind::Pretrain, arm));
    for (arm, from) in arms {
        if let Some(from) = from {
            let report = TransferReport { matched: vec![("encoder.weight".to_owned(), vec![48, 24])], ..TransferReport::default() };
            let stage = Stage { kind: StageKind::Finetune, arm: (*arm).to_owned() };
            records.push(0.1, Event::Transfer { stage, from: (*from).to_owned(), report });
        }
        records.training(StageKind::Finetune, arm);
        records.part(StageKind::Test, arm, CASES, |records, stage| {
            for number in 1..=CASES {
                let case = format!("case_{number:03}");
                let score = CaseScore {
                    case: case.clone(),
                    region: "Anterior".to_owned(),
                    dice: Some(0.7),
                    hd95: Some(2.0),
                    truth_voxels: 1000,
                    predicted_voxels: 1000,
                    missing_in_one: false,
                };
                records.push(0.3, Event::Scored { stage: stage.clone(), case, scores: vec![score] });
                records.push(0.0, Event::Progress { stage: stage.clone(), done: number, total: CASES });
            }
        });
    }
    records.push(0.1, Event::Finished { outcome: Outcome::Completed });
    records.0
}

/// A worker that sends `records` and ends.
fn worker(records: Vec<Record>) -> RunHandle {
    let (sender, events) = sync_channel(16);
    let (commands, _) = sync_channel(1);
    let join = std::thread::spawn(move || {
        for record in records {
            sender.send(record).expect("the front end reads to the end");
        }
        Outcome::Completed
    });
    RunHandle { events, previews: sync_channel(1).1, commands, join }
}

#[test]
fn the_terminal_follows_a_job_in_few_plain_lines() {
    let arms = [("scratch", None), ("simtrot_w", Some("simtrot_w")), ("no_rotate", Some("no_rotate")), ("scratch_adamw", None)];
    for slower in [1.0, 6.0] {
        let records: Vec<_> = records(&arms).into_iter().map(|record| Record { secs: slower * record.secs, ..record }).collect();
        let mut expected = RunState::default();
        records.iter().for_each(|record| expected.apply(record));
        let mut out = Vec::new();
        let (outcome, state) = terminal::follow_plainly(worker(records), false, &mut out);
        assert_eq!((outcome, &state), (Outcome::Completed, &expected));
        let lines = String::from_utf8(out).unwrap();
        assert!(lines.lines().count() <= 40, "{} lines", lines.lines().count());
        assert!(!lines.chars().any(|c| c.is_control() && c != '\n'), "control characters");
        for text in ["warning: a synthetic warning", "pretrain simtrot_w: 300 steps", "test scratch: 12 cases", "done in"] {
            assert!(lines.contains(text), "{text:?} is missing");
        }
        assert!(lines.lines().any(|line| line.contains(" %)  loss ") && line.ends_with(" left")), "no progress is reported");
    }
}

#[test]
fn a_quiet_terminal_prints_warnings_and_failures_only() {
    let mut records = records(&[]);
    records.pop();
    let failure = Outcome::Failed { message: "the device was lost; resume with --resume".into(), bad_input: false };
    records.push(Record { secs: 400.0, event: Event::Finished { outcome: failure } });
    let mut out = Vec::new();
    terminal::follow_plainly(worker(records), true, &mut out);
    let text = String::from_utf8(out).unwrap();
    let expected = |line: &str| line.contains("warning: ") || line.contains("error: the device was lost; resume");
    assert!(text.lines().count() == 2 && text.lines().all(expected), "{text}");
}
