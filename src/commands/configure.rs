//! `configure`, and `run` of a dataset: a config is made of what the cases hold, written, and shown with its reasons.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::options::{CliError, Options};
use super::tools::{case_bar, source, write};
use crate::cli::{ConfigureArgs, PartArgs};
use crate::config::DataSource;
use crate::configure::{self, ConfigureError, Request, run_name};
use crate::experiment::{ExperimentFolder, FolderContent};
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
    let ConfigureArgs { data, out, memory, groups, skip_bad, overwrite } = arguments;
    let source = source(data);
    let dataset = open(&source)?;
    let file = out.clone().unwrap_or_else(|| PathBuf::from(run_name(&dataset.name)).with_extension("ron"));
    if file.exists() && !overwrite {
        let file = file.display();
        return Err(CliError::Input(format!("{file} is already there: name another with --out, or replace it with --overwrite")));
    }
    let name = out.as_ref().and_then(|out| out.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
    let request = Request { name, groups: groups.clone(), memory: *memory, skip_bad: *skip_bad };
    make((&dataset, &source), &request, &file, options)?;
    let file = file.display();
    terminal::print(format_args!("\n{file} is written. What it needs: simtrot plan {file}. To train: simtrot run {file}"));
    Ok(0)
}

/// The config that the argument of `run` means: itself, or, of a dataset, one beside the experiment's folder, which is made unless it is
/// there already.
pub(super) fn config_of(path: &Path, part: &PartArgs, dry_run: bool, options: &Options) -> Result<PathBuf, CliError> {
    let Some((source, dataset)) = dataset_at(path)? else { return Ok(path.to_owned()) };
    let folder = ExperimentFolder::named(part.out.as_deref(), &run_name(&dataset.name));
    let mut file: OsString = folder.root().into();
    file.push(".ron");
    let file = PathBuf::from(file);
    let shown = file.display();
    if file.exists() {
        terminal::remark(format_args!("{} is a dataset, whose config {shown} is there already and used as it is", path.display()));
    } else if dry_run {
        let data = path.display();
        return Err(CliError::Input(format!(
            "{data} is a dataset without a config: simtrot configure {data} writes one, and trains nothing"
        )));
    } else {
        let request = Request { skip_bad: part.settings.skip_bad, ..Request::default() };
        make((&dataset, &source), &request, &file, options)?;
        terminal::print(format_args!("\n{shown} is written, and goes on being used: change it, and run it, as any config\n"));
    }
    Ok(file)
}

/// The dataset that a path means, where it is neither a config nor the folder of an experiment.
fn dataset_at(path: &Path) -> Result<Option<(DataSource, Dataset)>, CliError> {
    let is_list = path.is_file() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let is_foreign = path.is_dir() && ExperimentFolder::new(path).content() == FolderContent::Foreign;
    if !(is_list || is_foreign) {
        return Ok(None);
    }
    let source = source(path);
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

/// Makes a config, writes it to `file`, and prints what was found and chosen.
fn make((dataset, source): (&Dataset, &DataSource), request: &Request, file: &Path, options: &Options) -> Result<(), CliError> {
    let path = match source {
        DataSource::Dataset(path) | DataSource::Folders { images: path, .. } => Some(path),
        _ => None,
    };
    if let Some(path) = path.filter(|path| path.to_str().is_none()) {
        let path = path.display();
        return Err(CliError::Input(format!("{path}: the path is no Unicode text, which a config cannot hold: rename it")));
    }
    let bar = case_bar("reading", dataset.cases.len(), options);
    let made = configure::configure((dataset, source), request, &options.device, &|done, _| bar.set_position(done as u64));
    bar.finish_and_clear();
    let made = made?;
    write(file, made.text.as_bytes())?;
    if !options.quiet {
        terminal::print(&made);
    }
    Ok(())
}
