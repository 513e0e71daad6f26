//! `demo`, `run`, `pretrain`, `finetune`: an experiment is laid out, what is missing of it is made, and what came out is told.

use std::path::Path;

use super::conclude::follow;
use super::configure::{config_of, kept_config};
use super::options::{CliError, Options};
use super::window;
use crate::cli::{BoundArgs, PartArgs, RunArgs, SettingArgs, TrainArgs};
use crate::config::{DataSource, ExperimentConfig, RunConfig, Training};
use crate::experiment::{Experiment, ExperimentFolder, FolderContent};
use crate::plan::{Plan, plan};
use crate::protocol::FolderError;
use crate::terminal;
use crate::wording::{bytes, count};
use crate::worker::{ExperimentJob, require_begun, spawn_experiment, training_costs};

/// The demo's settings, as in the repository's `configs/demo.ron`.
const DEMO: &str = include_str!("../../configs/demo.ron");

/// Means the demo's settings where a path is expected.
const DEMO_WORD: &str = "demo";

/// The folder and the experiment that a path means: a config, the folder of an experiment, or the demo by its name.
pub(super) fn find(path: &Path, part: &PartArgs) -> Result<(ExperimentFolder, Experiment), CliError> {
    let set = &settings(&part.settings);
    if path.is_dir() {
        let folder = ExperimentFolder::new(path);
        let experiment = folder.read()?;
        return Ok((folder, Experiment::new(experiment.config.with_overrides(set)?, experiment.contents)?));
    }
    let config = if path == Path::new(DEMO_WORD) && !path.exists() { demo_config()? } else { ExperimentConfig::load(path)? };
    lay_out(config.with_overrides(set)?, part.out.as_deref())
}

/// The trainings that a command line asks for: those of `--only`, and of them the shard's.
pub(super) fn chosen(experiment: &Experiment, part: &PartArgs) -> Result<Vec<usize>, CliError> {
    let all = experiment.chosen(&part.only)?;
    let Some(shard) = part.shard else { return Ok(all) };
    let costs = training_costs(experiment);
    let own = experiment.share(&all, &costs, shard);
    let cost = |trainings: &[usize]| trainings.iter().map(|&training| costs[training]).sum::<f64>();
    let share = 100.0 * cost(&own) / cost(&all).max(f64::MIN_POSITIVE);
    terminal::remark(match own.is_empty() {
        true => {
            format!("shard {shard}: there are fewer pre-trainings and trainings from scratch than shards; nothing is left for this one")
        }
        false => format!("shard {shard}: {} of {}, {share:.0} % of their arithmetic", own.len(), count(all.len(), "training")),
    });
    Ok(own)
}

fn demo_config() -> Result<ExperimentConfig, CliError> {
    Ok(ExperimentConfig::of_run(RunConfig::from_ron(DEMO, "configs/demo.ron")?))
}

fn lay_out(config: ExperimentConfig, out: Option<&Path>) -> Result<(ExperimentFolder, Experiment), CliError> {
    let folder = ExperimentFolder::named(out, &config.name);
    let experiment = Experiment::new(config, folder.contents())?;
    Ok((folder, experiment))
}

/// Says that the data are those of the demo where that is only because neither the config `file` nor the settings name any.
pub(super) fn mention_demo(file: &Path, experiment: &Experiment, arguments: &SettingArgs) {
    let is_demo = experiment.trainings.iter().any(|training| training.config.data.source == DataSource::Demo);
    let is_named = !file.is_file() || ExperimentConfig::names_data(file) || arguments.set.iter().any(|set| set.contains("source"));
    if is_demo && !is_named {
        terminal::remark("data: the forty demo scans inside the program, since the config names no dataset (data.source)");
    }
}

/// The settings of the command line.
fn settings(arguments: &SettingArgs) -> Vec<String> {
    let skip_bad = arguments.skip_bad.then(|| "data.skip_bad=true".to_owned());
    arguments.set.iter().cloned().chain(skip_bad).collect()
}

/// The demo.
pub(super) fn demo(arguments: &TrainArgs, options: &Options) -> Result<u8, CliError> {
    let config = demo_config()?.with_overrides(&settings(&arguments.settings))?;
    let (folder, experiment) = lay_out(config, arguments.out.as_deref())?;
    begin(folder, experiment, arguments, options)
}

/// One training alone.
pub(super) fn one(path: &Path, training: Training, arguments: &TrainArgs, options: &Options) -> Result<u8, CliError> {
    let run = RunConfig::load(path)?.with_overrides(&settings(&arguments.settings))?;
    let folder = ExperimentFolder::named(arguments.out.as_deref(), &run.name);
    let training = match training {
        // A training that goes on was started from what its folder says.
        Training::Finetune { from: None } if arguments.resume => Training::Finetune { from: begun_from(&folder) },
        Training::Finetune { from: Some(from) } => Training::Finetune { from: Some(std::path::absolute(&from).unwrap_or(from)) },
        other => other,
    };
    let (folder, experiment) = lay_out(ExperimentConfig::of_one_training(training, run), Some(folder.root()))?;
    mention_demo(path, &experiment, &arguments.settings);
    if arguments.resume && folder.holds_experiment() && folder.busy().is_none() {
        require_begun(&folder, &experiment).map_err(CliError::Input)?;
    }
    begin(folder, experiment, arguments, options)
}

/// The checkpoint that the only fine-tuning of a folder was started from.
fn begun_from(folder: &ExperimentFolder) -> Option<std::path::PathBuf> {
    folder.read().ok()?.config.base().arms.finetune.first()?.checkpoint.clone()
}

/// Makes an experiment in a folder that is new, or that is to be gone on with or replaced.
fn begin(folder: ExperimentFolder, experiment: Experiment, arguments: &TrainArgs, options: &Options) -> Result<u8, CliError> {
    if let Some(busy) = folder.busy() {
        return Err(FolderError::Busy(busy).into());
    }
    match folder.content() {
        FolderContent::Experiment { saved: true } if !arguments.resume && !arguments.overwrite => {
            return Err(FolderError::Occupied(folder.root().to_owned()).into());
        }
        FolderContent::Nothing if arguments.resume => {
            return Err(CliError::Input(format!("{} holds no run to resume; leave --resume away to start one", folder.root().display())));
        }
        _ => {}
    }
    let &TrainArgs { bounds: BoundArgs { max_steps, memory }, overwrite, .. } = arguments;
    let beside = options.beside.clone();
    make(ExperimentJob { beside, max_steps, memory, overwrite, ..ExperimentJob::new(experiment, folder) }, options)
}

/// Makes what is missing of any config.
pub(super) fn run(arguments: &RunArgs, options: &Options) -> Result<u8, CliError> {
    let &RunArgs { ref part, dry_run, bounds: BoundArgs { max_steps, memory }, resume, overwrite, .. } = arguments;
    if resume {
        return Err(CliError::Input("`run` always goes on with what is in its folder: leave --resume away".to_owned()));
    }
    if overwrite {
        let next = "leave --overwrite away; to make all anew, name another folder with --out, or remove this one";
        return Err(CliError::Input(format!("`run` makes what is missing and replaces nothing that is done: {next}")));
    }
    // A config that several shards made at once would be several.
    let config = if part.shard.is_some() { kept_config(&arguments.config, part)? } else { config_of(arguments, options)? };
    let (folder, experiment) = find(&config, part)?;
    mention_demo(&config, &experiment, &part.settings);
    let trainings = chosen(&experiment, part)?;
    if dry_run {
        terminal::print(terminal::experiment_plan(&experiment, &experiment.wanted(&part.only)?, &trainings));
        return Ok(0);
    }
    require_room(&experiment, &trainings, part.jobs, options)?;
    let (shard, at_once, beside) = (part.shard, part.jobs, options.beside.clone());
    make(ExperimentJob { trainings, shard, at_once, beside, max_steps, memory, ..ExperimentJob::new(experiment, folder) }, options)
}

/// Works on an experiment, in the window or in the terminal.
pub(super) fn make(job: ExperimentJob, options: &Options) -> Result<u8, CliError> {
    // A window for each of many shards helps nobody: one looks at their folder.
    if options.window && job.shard.is_none() {
        return window::follow_experiment(job, options);
    }
    follow(spawn_experiment(job.clone(), options.device.clone())?, &job, options)
}

/// Shapes, parameters and memory of each kind of training.
pub(super) fn step_memory(experiment: &Experiment, trainings: &[usize], options: &Options) -> Result<Plan, CliError> {
    let plans = trainings.iter().map(|&training| &experiment.trainings[training]);
    let trainings: Vec<_> = plans.map(|training| (training.kind, &training.config)).collect();
    plan(&trainings, &options.device, &options.beside).map_err(|error| CliError::Input(format!("{error:#}")))
}

/// Refuses more trainings at once than the device has room for.
fn require_room(experiment: &Experiment, trainings: &[usize], jobs: usize, options: &Options) -> Result<(), CliError> {
    if jobs <= 1 {
        return Ok(());
    }
    let plan = step_memory(experiment, trainings, options)?;
    if plan.binding_bytes.is_some() {
        return Err(CliError::Input(format!(
            "--jobs {jobs}: on a GPU one training runs at a time, since its driver does not tell how much memory is left; \
             leave --jobs away, or add --device cpu"
        )));
    }
    let each = plan.steps.iter().map(|step| step.bytes).max().unwrap_or(0);
    match plan.free_bytes.filter(|&free| each * jobs as u64 > free) {
        None => Ok(()),
        Some(free) => Err(CliError::Input(format!(
            "--jobs {jobs}: trainings of {} each do not fit into the {} that are free; --jobs {} does",
            bytes(each),
            bytes(free),
            (free / each.max(1)).max(1)
        ))),
    }
}
