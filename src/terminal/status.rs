//! What an experiment will run, how long that takes, and how far it is, in the terminal.

use super::summary::drawn;
use crate::experiment::{Estimate, Experiment, ExperimentState, Progress, Tally};
use crate::protocol::{RunState, StageKind};
use crate::wording::{bytes, count, duration, or_nothing, share};

/// Cells and trainings of an experiment, shared ones with how many cells they serve.
pub fn experiment_plan(experiment: &Experiment, cells: &[usize], stages: &[usize]) -> String {
    let of_kind = |kind: StageKind| stages.iter().filter(|&&training| experiment.trainings[training].kind == kind).count();
    let rows = stages.iter().map(|&stage| {
        let plan = &experiment.trainings[stage];
        let served: Vec<_> = experiment.cells_of(stage).collect();
        let what = served.first().map_or_else(|| plan.arm.clone(), |cell| experiment.title(cell));
        let shared = if served.len() > 1 { format!("{what}, and {} more", served.len() - 1) } else { what };
        let from = plan.after.map(|after| experiment.trainings[after].name.clone());
        let from = from.or_else(|| plan.checkpoint.as_ref().map(|path| path.display().to_string())).unwrap_or_else(|| "-".to_owned());
        vec![format!("{} for {shared}", plan.kind), plan.steps().to_string(), plan.name.clone(), from]
    });
    let header = ["training", "steps", "folder", "starts from"].map(str::to_owned).to_vec();
    let head = format!(
        "{}: {}, {} and {} with their tests",
        experiment.config.name,
        count(cells.len(), if experiment.config.axes.is_empty() { "arm" } else { "cell" }),
        count(of_kind(StageKind::Pretrain), "pre-training"),
        count(of_kind(StageKind::Finetune), "fine-tuning"),
    );
    let cells: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    format!("{head}\n\n{}", drawn(&cells))
}

/// Time and disk in a sentence.
pub fn experiment_estimate(estimate: &Estimate, at_once: usize) -> String {
    let time = match estimate.secs_left {
        None => "Time: not known before the first steps are measured.".to_owned(),
        Some(secs) => {
            let mut text = format!("Time: about {} from here", duration(secs / at_once.max(1) as f64));
            if estimate.unmeasured > 0 {
                text += &format!(", without {} of which no step was measured yet", count(estimate.unmeasured, "training"));
            }
            if estimate.untested > 0 {
                text += &format!(", without the tests of {}, not measured yet", count(estimate.untested, "fine-tuning"));
            }
            text + "."
        }
    };
    let disk = estimate.disk_bytes.map_or_else(String::new, |size| format!(" Disk: about {} when all is done.", bytes(size)));
    time + &disk
}

/// The grid: for each point and arm how far it is, with mean Dice where it is done.
pub fn experiment_status(experiment: &Experiment, state: &ExperimentState, cells: &[usize], trainings: &[usize]) -> String {
    let axes = &experiment.config.axes;
    let arms = experiment.arms();
    let mut rows: Vec<(Vec<usize>, Vec<String>)> = Vec::new();
    for &index in cells {
        let cell = &experiment.cells[index];
        let place = rows.iter().position(|(point, _)| *point == cell.point).unwrap_or_else(|| {
            rows.push((cell.point.clone(), vec!["".to_owned(); arms.len()]));
            rows.len() - 1
        });
        rows[place].1[cell.arm] = cell_status(experiment, state, cell.pretrained, cell.finetuned);
    }
    let header = axes.iter().map(|axis| axis.name.clone()).chain(arms.iter().map(|arm| arm.name.clone())).collect();
    let lines = rows.into_iter().map(|(point, arms)| {
        let levels = point.iter().enumerate().map(|(axis, &level)| experiment.levels[axis][level].name.clone());
        levels.chain(arms).collect::<Vec<_>>()
    });
    // One line for each point, however wide: a grid on its side is none.
    let grid = drawn(&std::iter::once(header).chain(lines).collect::<Vec<_>>());
    // Of a pre-training alone there is no cell.
    let alone = trainings.iter().filter(|&&training| experiment.cells_of(training).next().is_none());
    let alone: String = alone
        .map(|&training| {
            let how = match state.progress(experiment, training) {
                Progress::Done => "done".to_owned(),
                Progress::Begun { done, total } => format!("{done} of {total} steps"),
                Progress::Failed { .. } => "failed".to_owned(),
                Progress::Waiting => "missing".to_owned(),
            };
            format!("{}: {how}\n", experiment.trainings[training].name)
        })
        .collect();
    let grid = if cells.is_empty() { alone } else { format!("{grid}\n{alone}") };
    let failed = trainings.iter().filter_map(|&stage| match state.progress(experiment, stage) {
        Progress::Failed { message } => Some(format!("\n{} failed: {message}", experiment.trainings[stage].name)),
        _ => None,
    });
    let failed: String = failed.collect();
    format!("{grid}\n{}{failed}", tally_words(state.tally(experiment, trainings)))
}

/// How far a cell is: its Dice, or the part that is under way.
fn cell_status(experiment: &Experiment, state: &ExperimentState, pretrained: Option<usize>, finetuned: usize) -> String {
    let begun = |word: &str, done: usize, total: usize| format!("{word} {:.0} %", 100.0 * done as f64 / total.max(1) as f64);
    match state.progress(experiment, finetuned) {
        Progress::Done => or_nothing(state.runs[finetuned].as_deref().and_then(mean_dice), share),
        Progress::Failed { .. } => "failed".to_owned(),
        Progress::Begun { done, total } => begun("trained", done, total),
        Progress::Waiting => match pretrained.map(|stage| state.progress(experiment, stage)) {
            Some(Progress::Failed { .. }) => "pre-training failed".to_owned(),
            Some(Progress::Begun { done, total }) => begun("pre-trained", done, total),
            Some(Progress::Done) => "pre-trained".to_owned(),
            Some(Progress::Waiting) | None => "missing".to_owned(),
        },
    }
}

/// `12 trainings done, 1 failed, 3 missing`.
pub(super) fn tally_words(tally: Tally) -> String {
    let Tally { done, begun, failed, waiting } = tally;
    let parts = [(begun, "under way or cut off"), (failed, "failed"), (waiting, "missing")];
    let rest = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
    format!("{} done{}", count(done, "training"), rest.collect::<String>())
}

pub(super) fn mean_dice(run: &RunState) -> Option<f64> {
    crate::protocol::mean_dice(&run.stages_of(StageKind::Test).next()?.scores)
}
