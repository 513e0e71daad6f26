//! `plan`, `status`, `report`, `follow`, `stop`: looking at an experiment, before, while and after it is made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::conclude::{mention_others, write_report};
use super::configure::kept_config;
use super::options::{BAD_INPUT, CliError, Options, exit_code, finish_code};
use super::train::{chosen, find, mention_demo, step_memory};
use super::trial::{STEPS, Trial, measure};
use crate::cli::PartArgs;
use crate::experiment::{Estimate, Experiment, ExperimentFolder, ExperimentState, Finish};
use crate::protocol::{RunFolder, StageKind};
use crate::terminal;
use crate::worker::{CaseNeeds, slowed_scratch, unused_settings};

/// Prints trainings, memory, time and disk.
pub(super) fn plan(path: &Path, (part, memory): (&PartArgs, Option<u64>), dry_run: bool, options: &Options) -> Result<u8, CliError> {
    let config = kept_config(path, part)?;
    let (folder, experiment) = find(&config, part)?;
    mention_demo(&config, &experiment, &part.settings);
    let trainings = chosen(&experiment, part)?;
    terminal::print(format_args!("{}\n", terminal::experiment_plan(&experiment, &experiment.wanted(&part.only)?, &trainings)));
    let plans = trainings.iter().map(|&training| &experiment.trainings[training]);
    let remarks = plans.flat_map(|plan| {
        let is_scratch = plan.kind == StageKind::Finetune && plan.after.is_none() && plan.checkpoint.is_none();
        let unused = unused_settings(plan.kind, &plan.config).map(|text| format!("warning: {}: {text}", plan.stage()));
        let slowed = is_scratch.then(|| slowed_scratch(&plan.config)).flatten().map(|text| format!("note: {}: {text}", plan.stage()));
        unused.into_iter().chain(slowed)
    });
    // Points of a grid mostly share them.
    remarks.collect::<BTreeSet<_>>().iter().for_each(terminal::remark);
    let needs = step_memory(&experiment, &trainings, options)?;
    terminal::print(format_args!("{needs}\n"));
    if !needs.fits() {
        return Ok(BAD_INPUT);
    }
    let cases = CaseNeeds::new(&experiment, &trainings, (part.jobs, needs.binding_bytes.is_none()), memory);
    terminal::print(format_args!("{}\n", cases.map_err(CliError::Input)?));
    let state = ExperimentState::read(&experiment, &folder);
    let needed = Estimate::unmeasured(&experiment, &state, &trainings);
    if needed.is_empty() || dry_run {
        terminal::print(terminal::experiment_estimate(&Estimate::new(&experiment, &state, &folder, &trainings), part.jobs));
        return Ok(0);
    }
    if !options.quiet {
        terminal::remark(format_args!("measuring {STEPS} steps of each kind; nothing of it is kept"));
    }
    let Trial { state: measured, folder: tried, finish: Finish { tally, .. }, .. } =
        &measure(&experiment, (&needed, STEPS), memory, options)?;
    let estimate = Estimate::from_trial(&experiment, &trainings, (&state, &folder), (measured, tried));
    terminal::print(terminal::experiment_estimate(&estimate, part.jobs));
    Ok(if tally.failed > 0 { BAD_INPUT } else { 0 })
}

/// Prints the grid with what is done, under way, failed, missing; follows on request what is made of it.
pub(super) fn status(path: &Path, part: &PartArgs, follow: bool, options: &Options) -> Result<u8, CliError> {
    let (folder, experiment) = find(&kept_config(path, part)?, part)?;
    let (cells, trainings) = (experiment.wanted(&part.only)?, chosen(&experiment, part)?);
    let state = ExperimentState::read(&experiment, &folder);
    terminal::print(terminal::experiment_status(&experiment, &state, &cells, &trainings));
    mention_others(&folder, &experiment);
    folder.at_work().iter().for_each(terminal::print);
    if state.tally(&experiment, &trainings).done < trainings.len() {
        terminal::print(terminal::experiment_estimate(&Estimate::new(&experiment, &state, &folder, &trainings), part.jobs));
    }
    if follow && folder.holds_experiment() { follow_experiment(&folder, &experiment, options) } else { Ok(0) }
}

/// Writes the report of what is done.
pub(super) fn report(path: &Path, out: Option<PathBuf>, options: &Options) -> Result<u8, CliError> {
    let part = PartArgs { out, ..PartArgs::default() };
    let (folder, experiment) = find(&kept_config(path, &part)?, &part)?;
    if !folder.holds_experiment() {
        folder.read()?;
    }
    let state = ExperimentState::read(&experiment, &folder);
    write_report(&folder, &experiment, &state, options)?;
    Ok(0)
}

/// Follows what another program makes, or says how it ended.
pub(super) fn follow(place: &Path, options: &Options) -> Result<u8, CliError> {
    let training = RunFolder::new(place);
    if training.events_path().is_file() {
        if let Some(busy) = training.busy().filter(|_| !options.quiet) {
            terminal::remark(busy);
        }
        let outcome = terminal::watch_training(&training, options.quiet).map_err(|error| CliError::Input(error.to_string()))?;
        return Ok(exit_code(&outcome));
    }
    let folder = ExperimentFolder::new(place);
    let experiment = folder.read()?;
    if !options.quiet {
        folder.at_work().iter().for_each(terminal::remark);
    }
    follow_experiment(&folder, &experiment, options)
}

fn follow_experiment(folder: &ExperimentFolder, experiment: &Experiment, options: &Options) -> Result<u8, CliError> {
    let finish = terminal::watch_experiment(folder, experiment, options.quiet);
    if !options.quiet {
        let state = ExperimentState::read(experiment, folder);
        terminal::print(terminal::experiment_summary(experiment, &state, &folder.report_path()));
    }
    Ok(finish_code(finish))
}

/// Asks the program that writes into a folder to save and stop.
pub(super) fn stop(folder: &Path) -> Result<u8, CliError> {
    let place = folder.display();
    // A training of an experiment is stopped by itself; the experiment goes on with the others.
    let folder = ExperimentFolder::new(folder);
    let (at_work, silent) = (folder.at_work(), folder.silent());
    folder.ask_to_stop().map_err(|error| CliError::Failure(format!("{place}: the request cannot be left there: {error}")))?;
    for busy in &silent {
        terminal::print(format_args!("{busy}; it has given none for long: should it only stand still, it stops when it wakes"));
    }
    for busy in &at_work {
        terminal::print(format_args!("{busy}; it was asked to stop: it finishes the step, window or case under way, and saves"));
    }
    match at_work.is_empty() && silent.is_empty() {
        true => Err(CliError::Input(format!("no program is writing into {place}: there is nothing to stop"))),
        false => Ok(0),
    }
}
