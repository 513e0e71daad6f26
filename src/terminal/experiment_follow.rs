//! An experiment in the terminal: what it will run, how far it is, and following it while it works.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::RecvTimeoutError;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::summary::drawn;
use super::{Options, POLL_INTERVAL, STOPPING};
use crate::experiment::{Estimate, Experiment, ExperimentEvent, ExperimentState, Finish, Progress, Tally};
use crate::protocol::{Command, Outcome, RunState, StageKind, StageState};
use crate::stop_signal;
use crate::wording::{bytes, count, duration, or_nothing, share};
use crate::worker::ExperimentHandle;

/// Cells and trainings of an experiment, shared ones with how many cells they serve.
pub fn experiment_plan(experiment: &Experiment, cells: &[usize]) -> String {
    let stages = experiment.trainings_behind(cells);
    let of_kind = |kind: StageKind| stages.iter().filter(|&&stage| experiment.trainings[stage].kind == kind).count();
    let rows = stages.iter().map(|&stage| {
        let plan = &experiment.trainings[stage];
        let served: Vec<_> = experiment.cells_of(stage).collect();
        let what = served.first().map_or_else(String::new, |cell| experiment.title(cell));
        let shared = if served.len() > 1 { format!("{what}, and {} more", served.len() - 1) } else { what };
        let (kind, steps) = match plan.kind {
            StageKind::Pretrain => ("pretrain", plan.config.pretrain.steps),
            _ => ("finetune", plan.config.finetune.steps),
        };
        let from = plan.after.map_or_else(|| "-".to_owned(), |after| experiment.trainings[after].name.clone());
        vec![format!("{kind} for {shared}"), steps.to_string(), plan.name.clone(), from]
    });
    let header = ["training", "steps", "folder", "starts from"].map(str::to_owned).to_vec();
    let head = format!(
        "{}: {} of the grid, {} and {} with their tests",
        experiment.config.name,
        count(cells.len(), "cell"),
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
pub fn experiment_status(experiment: &Experiment, state: &ExperimentState, cells: &[usize]) -> String {
    let axes = &experiment.config.axes;
    let arms = experiment.arms();
    let mut rows: Vec<(Vec<usize>, Vec<String>)> = Vec::new();
    for &index in cells {
        let cell = &experiment.cells[index];
        let place = rows.iter().position(|(point, _)| *point == cell.point).unwrap_or_else(|| {
            rows.push((cell.point.clone(), vec!["".to_owned(); arms.len()]));
            rows.len() - 1
        });
        rows[place].1[cell.arm] = standing(experiment, state, cell.pretrained, cell.finetuned);
    }
    let header = axes.iter().map(|axis| axis.name.clone()).chain(arms.iter().map(|arm| arm.name.clone())).collect();
    let lines = rows.into_iter().map(|(point, arms)| {
        let levels = point.iter().enumerate().map(|(axis, &level)| experiment.levels[axis][level].name.clone());
        levels.chain(arms).collect::<Vec<_>>()
    });
    // One line for each point, however wide: a grid on its side is none.
    let grid = drawn(&std::iter::once(header).chain(lines).collect::<Vec<_>>());
    let stages = experiment.trainings_behind(cells);
    let failed = stages.iter().filter_map(|&stage| match state.progress(experiment, stage) {
        Progress::Failed { message } => Some(format!("\n{} failed: {message}", experiment.trainings[stage].name)),
        _ => None,
    });
    let failed: String = failed.collect();
    format!("{grid}\n\n{}{failed}", told(state.tally(experiment, &stages)))
}

/// How far a cell is: its Dice, or the part that is under way.
fn standing(experiment: &Experiment, state: &ExperimentState, pretrained: Option<usize>, finetuned: usize) -> String {
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
fn told(tally: Tally) -> String {
    let Tally { done, begun, failed, waiting } = tally;
    let parts = [(begun, "under way or cut off"), (failed, "failed"), (waiting, "missing")];
    let rest = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
    format!("{} done{}", count(done, "training"), rest.collect::<String>())
}

fn mean_dice(run: &RunState) -> Option<f64> {
    crate::protocol::mean_dice(&run.stages_of(StageKind::Test).next()?.scores)
}

/// Follows an experiment to its end on stderr: bars where that is a terminal, a line for each training otherwise. Ctrl-C stops and saves.
///
/// Hands back how far the wanted trainings are, and whether somebody stopped it.
pub fn follow_experiment(handle: ExperimentHandle, experiment: &Experiment, stages: &[usize], options: Options<'_>) -> Finish {
    let ExperimentHandle { events, commands, join, .. } = handle;
    let mut screen = Screen::new(experiment, stages.len(), options);
    if let Err(reason) = stop_signal::listen() {
        screen.say(&format!("warning: Ctrl-C will end the experiment without saving the step under way: {reason}"));
    }
    let (mut asked, mut ended) = (false, None);
    while ended.is_none() {
        if !asked && stop_signal::asked() {
            screen.say(STOPPING);
            asked = commands.try_send(Command::Stop).is_ok();
        }
        match events.recv_timeout(POLL_INTERVAL) {
            Ok(ExperimentEvent::Finished(finish)) => ended = Some(finish),
            Ok(event) => screen.show(&event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop((events, commands));
    let joined = join.join().unwrap_or_default();
    screen.overall.finish_and_clear();
    let finish = ended.unwrap_or(joined);
    if !options.quiet {
        screen.say(&told(finish.tally));
    }
    finish
}

/// Where an experiment's events are shown.
struct Screen<'a> {
    experiment: &'a Experiment,
    all: MultiProgress,
    overall: ProgressBar,
    active: BTreeMap<usize, (ProgressBar, RunState)>,
    ended: usize,
    wanted: usize,
    quiet: bool,
}

impl<'a> Screen<'a> {
    fn new(experiment: &'a Experiment, wanted: usize, options: Options<'_>) -> Self {
        let bars = std::io::stderr().is_terminal() && !options.quiet;
        let all = MultiProgress::new();
        let overall = if bars { all.add(ProgressBar::new(wanted as u64)) } else { ProgressBar::hidden() };
        overall.set_style(style("{prefix} {bar:24.cyan/dim} {pos}/{len} trainings  {elapsed} so far"));
        overall.set_prefix(experiment.config.name.clone());
        Self { experiment, all, overall, active: BTreeMap::new(), ended: 0, wanted, quiet: options.quiet }
    }

    fn say(&self, text: &str) {
        // A terminal that is gone is no reason to stop training.
        self.all.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{text}");
        });
    }

    /// What a training is for, in words.
    fn title(&self, stage: usize) -> String {
        let plan = &self.experiment.trainings[stage];
        let kind = if plan.kind == StageKind::Pretrain { "pretrain" } else { "finetune" };
        let cells: Vec<_> = self.experiment.cells_of(stage).collect();
        let what = cells.first().map_or_else(String::new, |cell| format!(" ({})", self.experiment.title(cell)));
        let more = if cells.len() > 1 { format!(", for {}", count(cells.len(), "cell")) } else { String::new() };
        format!("{kind} {}{what}{more}", plan.name)
    }

    fn show(&mut self, event: &ExperimentEvent) {
        match event {
            ExperimentEvent::Opened { done } => {
                self.ended = *done;
                self.overall.set_position(*done as u64);
            }
            ExperimentEvent::Began { training: stage, .. } => {
                let bar = if self.overall.is_hidden() { ProgressBar::hidden() } else { self.all.add(ProgressBar::new(1)) };
                bar.set_style(style("  {prefix} {bar:24.cyan/dim} {pos}/{len}  {msg}"));
                bar.set_prefix(self.experiment.trainings[*stage].name.clone());
                self.active.insert(*stage, (bar, RunState::default()));
            }
            ExperimentEvent::Reused { training: stage, from, .. } => {
                self.ended += 1;
                self.overall.inc(1);
                if !self.quiet {
                    self.say(&format!("[{}/{}] {}: taken over from {}", self.ended, self.wanted, self.title(*stage), from.display()));
                }
            }
            ExperimentEvent::Record { training: stage, record } => {
                let Some((bar, state)) = self.active.get_mut(stage) else { return };
                state.apply(record);
                if let Some(under_way) = state.stages.last() {
                    bar.set_length(under_way.total as u64);
                    bar.set_position(under_way.done as u64);
                    bar.set_message(format!("{}  {}", under_way.stage, super::progress::standing(under_way, state, None)));
                }
            }
            ExperimentEvent::Ended { training: stage, outcome } => {
                // One whose data changed fails before it begins.
                let (bar, state) = self.active.remove(stage).unwrap_or_else(|| (ProgressBar::hidden(), RunState::default()));
                bar.finish_and_clear();
                self.ended += 1;
                self.overall.inc(1);
                let line = format!("[{}/{}] {}: {}", self.ended, self.wanted, self.title(*stage), result(&state, outcome));
                if !self.quiet || matches!(outcome, Outcome::Failed { .. }) {
                    self.say(&line);
                }
            }
            ExperimentEvent::LeftOut { training: stage } => {
                self.say(&format!("left out: {}: the pre-training that it starts from is not done", self.title(*stage)));
            }
            ExperimentEvent::Finished(_) => {}
        }
    }
}

/// What came out of a training, in a few words.
fn result(state: &RunState, outcome: &Outcome) -> String {
    let found = match outcome {
        Outcome::Failed { message, .. } => return format!("failed: {message}"),
        Outcome::Stopped => return "stopped and saved".to_owned(),
        Outcome::Completed => {
            if let Some(StageState { done, total, .. }) = state.unfinished() {
                return format!("{done} of {total} steps, ended by --max-steps; the same command without it goes on");
            }
            let dice = mean_dice(state).map(|dice| format!("Dice {}", share(dice)));
            let probe = || state.stages_of(StageKind::Pretrain).next()?.last_probe()?.seen().eta2_turned;
            dice.or_else(|| probe().map(|eta2| format!("eta2 turned {}", share(eta2))))
        }
    };
    let time = duration(state.secs);
    found.map_or_else(|| time.clone(), |found| format!("{found}, {time}"))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("━╸─")
}
