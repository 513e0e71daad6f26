//! `configure`, and `run` of a dataset: a config is made of what the cases hold, written, and shown with its reasons.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::options::{CliError, Options};
use super::tools::{case_bar, source, write};
use super::trial::{STEPS, Trial, measure};
use crate::cli::{ConfigureArgs, PartArgs};
use crate::config::{DataSource, ExperimentConfig};
use crate::configure::time::Measured;
use crate::configure::{Configuration, ConfigureError, Limits, Planner, Request, run_name};
use crate::experiment::{Estimate, Experiment, ExperimentFolder, ExperimentState, FolderContent};
use crate::protocol::StageKind;
use crate::terminal;
use crate::volume::Dataset;

impl From<ConfigureError> for CliError {
    fn from(error: ConfigureError) -> Self {
        match error {
            ConfigureError::Config(_) => Self::Failure(error.to_string()),
            _ => Self::Input(error.to_string()),
        }
    }
}

/// Writes a config for a dataset.
pub(super) fn configure(arguments: &ConfigureArgs, options: &Options) -> Result<u8, CliError> {
    let ConfigureArgs { data, labels, out, memory, time, groups, skip_bad, overwrite } = arguments;
    let source = source(data, labels.as_deref());
    let dataset = open(&source)?;
    let file = out.clone().unwrap_or_else(|| PathBuf::from(run_name(&dataset.name)).with_extension("ron"));
    if file.exists() && !overwrite {
        let file = file.display();
        return Err(CliError::Input(format!("{file} is already there: name another with --out, or replace it with --overwrite")));
    }
    let name = out.as_ref().and_then(|out| out.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
    let request = Request { name, groups: groups.clone(), memory: *memory, time_secs: *time, skip_bad: *skip_bad };
    make((&dataset, &source), &request, &file, options)?;
    let file = file.display();
    terminal::print(format_args!("\n{file} is written. What it needs: simtrot plan {file}. To train: simtrot run {file}"));
    Ok(0)
}

/// The config that the argument of `run` means: itself, or, of a dataset, the one that is kept beside the experiment's folder, which is made
/// unless it is there already.
pub(super) fn config_of(path: &Path, part: &PartArgs, options: &Options) -> Result<PathBuf, CliError> {
    let Some((source, dataset)) = dataset_at(path)? else { return Ok(path.to_owned()) };
    let file = kept(&dataset, part);
    if file.exists() {
        return kept_config(path, part);
    }
    let request = Request { skip_bad: part.settings.skip_bad, ..Request::default() };
    make((&dataset, &source), &request, &file, options)?;
    terminal::print(format_args!("\n{} is written, and goes on being used: change it, and run it, as any config\n", file.display()));
    Ok(file)
}

/// The same for commands that only look: a dataset must have its config already.
pub(super) fn kept_config(path: &Path, part: &PartArgs) -> Result<PathBuf, CliError> {
    let Some((_, dataset)) = dataset_at(path)? else { return Ok(path.to_owned()) };
    let file = kept(&dataset, part);
    let (data, shown) = (path.display(), file.display());
    if !file.exists() {
        return Err(CliError::Input(format!(
            "{data} is a dataset without a config: simtrot configure {data} --out {shown} writes one, and trains nothing"
        )));
    }
    terminal::remark(format_args!("{data} is a dataset, whose config {shown} is there already and used as it is"));
    Ok(file)
}

/// Where `run` keeps the config of a dataset: beside the experiment's folder.
fn kept(dataset: &Dataset, part: &PartArgs) -> PathBuf {
    let folder = ExperimentFolder::named(part.out.as_deref(), &run_name(&dataset.name));
    let mut file: OsString = folder.root().into();
    file.push(".ron");
    file.into()
}

/// The dataset that a path means, where it is neither a config nor the folder of an experiment.
fn dataset_at(path: &Path) -> Result<Option<(DataSource, Dataset)>, CliError> {
    let is_list = path.is_file() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let is_foreign = path.is_dir() && ExperimentFolder::new(path).content() == FolderContent::Foreign;
    if !(is_list || is_foreign) {
        return Ok(None);
    }
    let source = source(path, None);
    match open(&source) {
        Ok(dataset) => Ok(Some((source, dataset))),
        // A folder of something else is refused as no experiment.
        Err(_) if !is_list && ["dataset.json", "imagesTr"].iter().all(|name| !path.join(name).exists()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(source: &DataSource) -> Result<Dataset, CliError> {
    Dataset::open(source).map_err(|error| CliError::Input(error.to_string()))
}

/// How often steps are measured, at most: anew where the time asks for smaller crops.
const TRIALS: usize = 3;

/// Share of the time that measuring may take, about ...
const MEASURING_SHARE: f64 = 0.1;
/// ... and seconds, at most.
const MEASURING_SECS: f64 = 120.0;
/// Kinds of training that are measured one by one, at most: pre-training, and fine-tuning with and without it.
const KINDS: f64 = 3.0;

/// The config whose steps fit the request's time, by steps that are measured; with smaller crops where those of the memory allow too few.
fn within_time(planner: &Planner<'_>, secs: f64, options: &Options) -> Result<Configuration, CliError> {
    let share_secs = (MEASURING_SHARE * secs).min(MEASURING_SECS) / KINDS;
    if !options.quiet {
        terminal::remark("measuring steps of each kind; nothing of them is kept");
    }
    let mut trial = planner.choose(&Limits::default())?;
    // A step under way cannot be cut short: on a processor the smallest crops tell first which take too long.
    let least = planner.choose(&Limits { measured: None, voxels: Some(0) }).ok().filter(|_| planner.is_on_host());
    let quick = match &least {
        Some(least) => Some((measure_steps((least, 0.0), &planner.device, options)?, least.step_voxels())),
        None => None,
    };
    let mut voxels = None;
    let mut trials = 1;
    loop {
        let measurable = measurable(planner, &trial, quick.as_ref(), share_secs);
        let measured = measure_steps((&measurable, share_secs), &planner.device, options)?;
        let measured = Some(measured.on_voxels(measurable.step_voxels(), trial.step_voxels()));
        let made = planner.choose(&Limits { measured, voxels });
        let steps = match &made {
            Ok(made) => made.config.finetune.steps,
            Err(ConfigureError::Time { steps, .. }) => *steps,
            Err(_) => return Ok(made?),
        };
        let Some(smaller) = trial.voxels_for_more(steps).filter(|_| trials < TRIALS) else { return Ok(made?) };
        let next = planner.choose(&Limits { measured: None, voxels: Some(smaller) })?;
        if next.config.finetune == trial.config.finetune {
            return Ok(made?);
        }
        (trial, voxels, trials) = (next, Some(smaller), trials + 1);
    }
}

/// The config that is measured for `trial`: itself, or, where the smallest crops tell that a step of it takes longer than `share_secs`, one
/// with smaller crops that makes the same kinds of training.
fn measurable(planner: &Planner<'_>, trial: &Configuration, quick: Option<&(Measured, [usize; 2])>, share_secs: f64) -> Configuration {
    let Some((least, least_voxels)) = quick else { return trial.clone() };
    let wanted = trial.step_voxels();
    let expected = least.clone().on_voxels(*least_voxels, wanted);
    let slowest = expected.slowest_secs();
    if slowest <= share_secs {
        return trial.clone();
    }
    let made = [expected.pretrain_secs, expected.finetune_secs].into_iter().zip(wanted).filter(|(secs, _)| secs.is_some());
    let most = made.map(|(_, voxels)| voxels).max().unwrap_or_default();
    let voxels = most as f64 * share_secs / slowest;
    let smaller = planner.choose(&Limits { measured: None, voxels: Some(voxels as usize) }).ok();
    smaller.filter(|smaller| smaller.config.arms == trial.config.arms).unwrap_or_else(|| trial.clone())
}

/// Steps of each kind of a config's trainings, measured on the device: one, and a few more where those fit `share_secs`.
fn measure_steps((trial, share_secs): (&Configuration, f64), device: &str, options: &Options) -> Result<Measured, CliError> {
    let experiment = Experiment::new(ExperimentConfig::of_run(trial.config.clone()), Default::default())?;
    let trainings = &experiment.trainings;
    let all: Vec<usize> = (0..trainings.len()).collect();
    let mut slowest = BTreeMap::new();
    for training in Estimate::unmeasured(&experiment, &ExperimentState::new(&experiment), &all) {
        let mut step_secs = 0.0;
        for steps in [1, STEPS] {
            if step_secs * steps as f64 > share_secs {
                break;
            }
            let Trial { state, .. } = measure(&experiment, (&[training], steps), None, options)?;
            let Some(secs) = state.step_secs(training) else {
                let cause = state.failures.iter().flatten().next().map_or_else(String::new, |cause| format!(": {cause}"));
                return Err(CliError::Failure(format!("no steps were measured{cause}; without --time a config needs none")));
            };
            step_secs = secs;
        }
        let plan = &trainings[training];
        if !options.quiet {
            let crop_size =
                if plan.kind == StageKind::Pretrain { trial.config.pretrain.crop_size } else { trial.config.finetune.crop_size };
            terminal::remark(format_args!("{}: {step_secs:.2} s a step, on crops of {crop_size:?} voxels", plan.stage()));
        }
        // The slowest of a kind counts for all.
        let of_kind: &mut f64 = slowest.entry(plan.kind).or_default();
        *of_kind = of_kind.max(step_secs);
    }
    let number = |kind| trainings.iter().filter(|plan| plan.kind == kind).count();
    Ok(Measured {
        pretrain_secs: slowest.get(&StageKind::Pretrain).copied(),
        finetune_secs: slowest.get(&StageKind::Finetune).copied(),
        pretrainings: number(StageKind::Pretrain),
        finetunings: number(StageKind::Finetune),
        place: format!("measured on {device} on {}", jiff::Timestamp::now().strftime("%Y-%m-%d")),
    })
}

/// Makes a config, writes it to `file`, and prints what was found and chosen.
fn make((dataset, source): (&Dataset, &DataSource), request: &Request, file: &Path, options: &Options) -> Result<(), CliError> {
    let paths = match source {
        DataSource::Dataset(path) => [Some(path), None],
        DataSource::Folders { images, labels } => [Some(images), labels.as_ref()],
        _ => [None, None],
    };
    if let Some(path) = paths.into_iter().flatten().find(|path| path.to_str().is_none()) {
        let path = path.display();
        return Err(CliError::Input(format!("{path}: the path is no Unicode text, which a config cannot hold: rename it")));
    }
    let bar = case_bar("reading", dataset.cases.len(), options);
    let planner = Planner::read((dataset, source), request, &options.device, &|done, _| bar.set_position(done as u64));
    bar.finish_and_clear();
    let planner = planner?;
    let made = match request.time_secs {
        None => planner.choose(&Limits::default())?,
        Some(secs) => within_time(&planner, secs, options)?,
    };
    write(file, made.text.as_bytes())?;
    for stray in dataset.strays() {
        terminal::remark(format_args!("left out (--skip-bad): {stray}"));
    }
    if !options.quiet {
        terminal::print(&made);
    }
    Ok(())
}
