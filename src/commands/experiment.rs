//! `simtrot experiment`: laying a grid out, working on it, looking at it.

use std::path::Path;

use super::{BAD_INPUT, CliError, FAILED, Options, STOPPED};
use crate::cli::{ExperimentArgs, ExperimentLook, ExperimentPart};
use crate::config::ExperimentConfig;
use crate::device::DeviceChoice;
use crate::experiment::{
    Estimate, Experiment, ExperimentFolder, ExperimentFolderError, ExperimentState, Finish, OnlyError, Tally, TrainingPlan,
};
use crate::protocol::StageKind;
use crate::terminal::{self, experiment_estimate, experiment_plan, experiment_status, experiment_summary, follow_experiment};
use crate::wording::{bytes, count};
use crate::worker::{ExperimentHandle, ExperimentJob, spawn_experiment};
use crate::{plan, report};

/// Means the demo's settings where a path is expected.
const DEMO_WORD: &str = "demo";

/// Steps of a trial: the first is slower than the others, the median of three is not.
const TRIAL_STEPS: usize = 3;

impl From<ExperimentFolderError> for CliError {
    fn from(error: ExperimentFolderError) -> Self {
        match error {
            ExperimentFolderError::Io { .. } => Self::Failure(error.to_string()),
            _ => Self::Input(error.to_string()),
        }
    }
}

impl From<OnlyError> for CliError {
    fn from(error: OnlyError) -> Self {
        Self::Input(error.to_string())
    }
}

/// Works on an experiment, or looks at it.
pub(super) fn experiment(arguments: ExperimentArgs, manner: &Options) -> Result<u8, CliError> {
    let ExperimentArgs { look, config, part, jobs, dry_run, max_steps } = arguments;
    match (look, config) {
        (Some(ExperimentLook::Plan { config, part }), _) => show_plan(&config, &part, manner),
        (Some(ExperimentLook::Status { experiment, part }), _) => show_status(&experiment, &part),
        (Some(ExperimentLook::Report { experiment }), _) => write_report(&experiment, manner),
        (None, Some(config)) => {
            let (folder, experiment) = find(&config, part.out.as_deref())?;
            let cells = experiment.wanted(&part.only)?;
            if dry_run {
                terminal::say(experiment_plan(&experiment, &cells));
                return Ok(0);
            }
            let stages = experiment.trainings_behind(&cells);
            require_room(&experiment, &stages, jobs, &manner.device)?;
            let job = ExperimentJob { trainings: stages, at_once: jobs, max_steps, ..ExperimentJob::new(experiment, folder) };
            if manner.window { super::window::follow_experiment(job, manner) } else { work(&job, manner) }
        }
        (None, None) => unreachable!("the command line asks for a config where nothing is looked at"),
    }
}

/// The folder and the experiment that a path means: an experiment's config, a run's, the folder of an experiment, or the demo by its name.
fn find(path: &Path, out: Option<&Path>) -> Result<(ExperimentFolder, Experiment), CliError> {
    if path.is_dir() {
        let folder = ExperimentFolder::new(path);
        let experiment = folder.read()?;
        return Ok((folder, experiment));
    }
    let config = if path == Path::new(DEMO_WORD) { ExperimentConfig::of_run(super::demo()?) } else { ExperimentConfig::load(path)? };
    let folder = ExperimentFolder::named(out, &config.name);
    let experiment = Experiment::new(config, folder.contents())?;
    Ok((folder, experiment))
}

fn work(job: &ExperimentJob, manner: &Options) -> Result<u8, CliError> {
    let handle = spawn_experiment(job.clone(), manner.device.clone())?;
    follow(handle, job, manner)
}

/// Follows an experiment at work to its end, and tells what came out.
pub(super) fn follow(handle: ExperimentHandle, job: &ExperimentJob, manner: &Options) -> Result<u8, CliError> {
    let ExperimentJob { experiment, folder, trainings: stages, .. } = job;
    let Finish { tally, stopped, .. } =
        follow_experiment(handle, experiment, stages, terminal::Options { quiet: manner.quiet, config: None });
    let state = ExperimentState::read(experiment, folder);
    if tally.done > 0 {
        finish_job(folder, experiment, &state, manner)?;
    } else {
        let wanted = |cell: &usize| stages.contains(&experiment.cells[*cell].finetuned);
        let cells: Vec<usize> = (0..experiment.cells.len()).filter(wanted).collect();
        terminal::say(experiment_status(experiment, &state, &cells));
    }
    if !manner.quiet {
        tell_of_others(folder, experiment);
    }
    if stopped {
        terminal::remark("stopped and saved; the same command goes on");
    }
    Ok(exit_code(tally, stopped))
}

/// What is missing without anybody's request is a failure.
fn exit_code(tally: Tally, stopped: bool) -> u8 {
    match (stopped, tally.failed) {
        (true, _) => STOPPED,
        (false, 0) => 0,
        (false, _) => FAILED,
    }
}

fn show_plan(config: &Path, part: &ExperimentPart, manner: &Options) -> Result<u8, CliError> {
    let (folder, experiment) = find(config, part.out.as_deref())?;
    let cells = experiment.wanted(&part.only)?;
    let stages = experiment.trainings_behind(&cells);
    terminal::say(format_args!("{}\n", experiment_plan(&experiment, &cells)));
    let state = ExperimentState::read(&experiment, &folder);
    let needed = Estimate::unmeasured(&experiment, &state, &stages);
    if needed.is_empty() {
        terminal::say(experiment_estimate(&Estimate::new(&experiment, &state, &folder, &stages), 1));
        return Ok(0);
    }
    let place = tempfile::tempdir().map_err(|error| CliError::Failure(error.to_string()))?;
    let tried = ExperimentFolder::new(place.path().join("trial"));
    // A step costs the same from whatever weights: in the trial, every training starts from scratch.
    let mut scratch = experiment.clone();
    scratch.trainings.iter_mut().for_each(|stage| stage.after = None);
    let job = ExperimentJob { trainings: needed.clone(), max_steps: Some(TRIAL_STEPS), ..ExperimentJob::new(scratch, tried.clone()) };
    if !manner.quiet {
        eprintln!("measuring {TRIAL_STEPS} steps of each kind; nothing of it is kept");
    }
    let handle = spawn_experiment(job, manner.device.clone())?;
    let Finish { tally, stopped, .. } = follow_experiment(handle, &experiment, &needed, terminal::Options { quiet: true, config: None });
    let measured = ExperimentState::read(&experiment, &tried);
    let estimate = Estimate::from_trial(&experiment, &stages, (&state, &folder), (&measured, &tried));
    terminal::say(experiment_estimate(&estimate, 1));
    Ok(if stopped {
        STOPPED
    } else if tally.failed > 0 {
        BAD_INPUT
    } else {
        0
    })
}

fn show_status(path: &Path, part: &ExperimentPart) -> Result<u8, CliError> {
    let (folder, experiment) = find(path, part.out.as_deref())?;
    let cells = experiment.wanted(&part.only)?;
    let state = ExperimentState::read(&experiment, &folder);
    terminal::say(experiment_status(&experiment, &state, &cells));
    tell_of_others(&folder, &experiment);
    let stages = experiment.trainings_behind(&cells);
    if state.tally(&experiment, &stages).done < stages.len() {
        terminal::say(experiment_estimate(&Estimate::new(&experiment, &state, &folder, &stages), 1));
    }
    Ok(0)
}

/// Says that finished trainings lie in the folder which are not those of the experiment as it is now.
fn tell_of_others(folder: &ExperimentFolder, experiment: &Experiment) {
    let others = folder.others(experiment).len();
    if others > 0 {
        terminal::say(format_args!(
            "The folder also holds {} of other settings, other data or another version of the program; they are left as they are and \
             count for nothing here.",
            count(others, "finished training")
        ));
    }
}

fn write_report(path: &Path, manner: &Options) -> Result<u8, CliError> {
    let (folder, experiment) = find(path, None)?;
    let state = ExperimentState::read(&experiment, &folder);
    finish_job(&folder, &experiment, &state, manner)?;
    Ok(0)
}

/// Refuses more trainings at once than the device has room for.
fn require_room(experiment: &Experiment, stages: &[usize], jobs: usize, device: &DeviceChoice) -> Result<(), CliError> {
    if jobs <= 1 {
        return Ok(());
    }
    for stage in Estimate::one_of_each(experiment, stages) {
        let TrainingPlan { kind, config, .. } = &experiment.trainings[stage];
        let plan = plan::plan(config, device).map_err(|error| CliError::Input(format!("{error:#}")))?;
        if plan.binding_bytes.is_some() {
            return Err(CliError::Input(format!(
                "--jobs {jobs}: on a GPU one training runs at a time, since its driver does not tell how much memory is left; \
                 leave --jobs away, or add --device cpu"
            )));
        }
        let each = if *kind == StageKind::Pretrain { plan.pretrain.bytes } else { plan.finetune.bytes };
        if let Some(free) = plan.free_bytes.filter(|&free| each * jobs as u64 > free) {
            return Err(CliError::Input(format!(
                "--jobs {jobs}: trainings of {} each do not fit into the {} that are free; --jobs {} does",
                bytes(each),
                bytes(free),
                (free / each.max(1)).max(1)
            )));
        }
    }
    Ok(())
}

/// Tables and pictures into the experiment's folder, the summary to the terminal.
fn finish_job(folder: &ExperimentFolder, experiment: &Experiment, state: &ExperimentState, manner: &Options) -> Result<(), CliError> {
    let report = report::write(folder, experiment, state).map_err(|error| CliError::Failure(error.to_string()))?;
    if !manner.quiet {
        terminal::say(experiment_summary(experiment, state, &report));
    }
    Ok(())
}
