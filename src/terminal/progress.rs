//! The words in which progress is reported; bars and plain lines share them.

use crate::protocol::{Environment, Outcome, Severity, Stage, StageKind, StageState, TransferReport, mean_dice};
use crate::wording::{count, duration, place};

/// Steps whose mean loss is reported, so that one lucky batch is not the headline: a share of them, but no more than ...
const RECENT_SHARE: f64 = 0.05;
/// ... so many.
const RECENT_MOST: usize = 100;

/// What a stage counts.
fn unit(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Pretrain | StageKind::Finetune => "step",
        StageKind::Prepare | StageKind::Test | StageKind::NextCase => "case",
        StageKind::Infer | StageKind::Probe => "volume",
        StageKind::MaskRatios => "point",
    }
}

/// `run demo on NAME (cpu, 8 threads), simtrot 0.1.0`.
pub(super) fn started(name: &str, environment: &Environment) -> String {
    format!("run {name} on {}, simtrot {}", place(environment), environment.version)
}

/// `pretrain simtrot_w (seed 0): 300 steps`; `point` is where in the grid.
pub(super) fn began(stage: &StageState, point: &str) -> String {
    let total = count(stage.total, unit(stage.stage.kind));
    match stage.done_before {
        0 => format!("{}{point}: {total}", stage.stage),
        done => format!("{}{point}: {total}, going on after {done}", stage.stage),
    }
}

/// `loss 3.58, 12.3 volumes/s, 2 min 05 s left`, as far as known.
pub(super) fn details(stage: &StageState, now_secs: f64) -> String {
    let loss = recent_loss(stage).map(|loss| format!("loss {loss:.3}"));
    let pace = stage.steps.last().map(|step| format!("{:.1} volumes/s", step.volumes_per_sec));
    let left = stage.eta_secs(now_secs).filter(|_| stage.done < stage.total).map(|secs| format!("{} left", duration(secs)));
    [loss, pace, left].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `finetune scratch: 874/1000 (87 %)  loss -0.702, 55.6 volumes/s, 4.3 s left`.
pub(super) fn so_far(stage: &StageState, now_secs: f64, point: &str) -> String {
    let percent = 100.0 * stage.done as f64 / stage.total.max(1) as f64;
    format!("{}{point}: {}/{} ({percent:.0} %)  {}", stage.stage, stage.done, stage.total, details(stage, now_secs))
}

/// `pretrain simtrot_w: 300 steps in 2 min 05 s, loss 3.583`.
pub(super) fn ended(stage: &StageState, secs: f64, point: &str) -> String {
    let result = match stage.stage.kind {
        StageKind::Test => mean_dice(&stage.scores).map(|dice| format!("mean Dice {dice:.3}")),
        _ => recent_loss(stage).map(|loss| format!("loss {loss:.3}")),
    };
    let result = result.map_or_else(String::new, |result| format!(", {result}"));
    format!("{}{point}: {} in {}{result}", stage.stage, count(stage.done, unit(stage.stage.kind)), duration(secs))
}

/// How a job ended, for a person.
pub(super) fn finished(outcome: &Outcome, secs: f64) -> String {
    match outcome {
        Outcome::Completed => format!("done in {}", duration(secs)),
        Outcome::Stopped => format!("stopped after {}; what was done is saved", duration(secs)),
        Outcome::Failed { message, .. } => format!("error: {message}"),
    }
}

/// A notice as a line.
pub(super) fn notice(severity: Severity, text: &str) -> String {
    match severity {
        Severity::Info => text.to_owned(),
        Severity::Warning => format!("warning: {text}"),
    }
}

/// Mean loss of the latest steps.
fn recent_loss(stage: &StageState) -> Option<f64> {
    let recent = ((stage.steps.len() as f64 * RECENT_SHARE).ceil() as usize).min(RECENT_MOST);
    let tail = &stage.steps[stage.steps.len() - recent..];
    (!tail.is_empty()).then(|| tail.iter().map(|step| step.loss).sum::<f64>() / tail.len() as f64)
}

/// What became of a pre-trained encoder's tensors: counts, and every one of a checkpoint from elsewhere.
pub(super) fn transfer(stage: &Stage, from: &str, report: &TransferReport, in_full: bool) -> String {
    let TransferReport { matched, missing, skipped } = report;
    let what = report.what();
    let counts = format!("{stage}: {what} loaded, {} tensors matched, {} missing, {} skipped", matched.len(), missing.len(), skipped.len());
    if !in_full {
        return counts;
    }
    let groups = [("matched", matched), ("missing", missing), ("skipped", skipped)];
    let lines = groups.iter().flat_map(|(word, tensors)| tensors.iter().map(move |(name, shape)| format!("\n  {word}  {name} {shape:?}")));
    format!("{counts}, from {from}{}", lines.collect::<String>())
}
