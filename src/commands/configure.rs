//! `configure`, and `run` of a dataset: a config is made of what the cases hold, written, and shown with its reasons.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::options::{CliError, Options};
use super::tools::{case_bar, source, spinner, write};
use crate::cli::{BoundArgs, ConfigureArgs, PartArgs, RunArgs};
use crate::config::DataSource;
use crate::configure::{Configuration, ConfigureError, Measurement, Planner, Request, run_name};
use crate::experiment::{ExperimentFolder, FolderContent};
use crate::terminal;
use crate::volume::Dataset;
use crate::wording::duration;

impl From<ConfigureError> for CliError {
    fn from(error: ConfigureError) -> Self {
        match error {
            ConfigureError::Config(_) | ConfigureError::Measuring { .. } => Self::Failure(error.to_string()),
            ConfigureError::Stopped => Self::Stopped,
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
/// unless it is there already, or a dry run is asked for. A time is for a config that is made.
pub(super) fn config_of(arguments: &RunArgs, options: &Options) -> Result<PathBuf, CliError> {
    let &RunArgs { config: ref path, ref part, dry_run, bounds: BoundArgs { memory, .. }, time, .. } = arguments;
    let unused = |why: &str, next: &str| match time {
        Some(_) => Err(CliError::Input(format!("--time: {why}, whose steps are settings: change them there, or {next}"))),
        None => Ok(()),
    };
    let Some((source, dataset)) = dataset_at(path)? else {
        unused(&format!("{} is no dataset to plan a config for but a config or an experiment", path.display()), "leave --time away")?;
        return Ok(path.to_owned());
    };
    let file = kept(&dataset, part);
    if file.exists() {
        let next = "leave --time away; to plan anew, move that file away first";
        unused(&format!("{} already has the config {}", path.display(), file.display()), next)?;
    }
    if file.exists() || dry_run {
        return kept_config(path, part);
    }
    let request = Request { skip_bad: part.settings.skip_bad, memory, time_secs: time, ..Request::default() };
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

/// Plans, and shows what is measured for it. Nothing is kept of that, so that Ctrl-C ends the program at once.
fn plan(planner: &Planner<'_>, options: &Options) -> Result<Configuration, ConfigureError> {
    let bar = spinner(options);
    let tell = |text: &str| {
        if !options.quiet {
            bar.suspend(|| terminal::remark(text));
        }
    };
    if let Some(secs) = planner.measuring_secs() {
        let steps = format!("measuring steps on made-up crops, for {} at most and the step under way", duration(secs));
        tell(&format!("{steps}, and collapse once where something pre-trains; Ctrl-C ends it"));
    }
    let made = planner.plan(&mut |measurement: &Measurement| {
        match measurement.secs {
            Some(_) => tell(&measurement.to_string()),
            None => bar.set_message(measurement.to_string()),
        }
        true
    });
    bar.finish_and_clear();
    made
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
    let made = plan(&planner, options)?;
    write(file, made.text.as_bytes())?;
    for stray in dataset.strays() {
        terminal::remark(format_args!("left out (--skip-bad): {stray}"));
    }
    if !options.quiet {
        terminal::print(&made);
    }
    Ok(())
}
