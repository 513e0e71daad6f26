//! A finished fine-tuning trained on with the cases that came into its dataset since: from all of its weights, under its own settings, and
//! against its own test cases.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::record::Corrections;
use crate::config::{Arm, ArmsConfig, ConfigError, ExperimentConfig, RunConfig, SplitConfig};
use crate::experiment::ExperimentFolder;
use crate::protocol::checkpoints::{NoCheckpoint, TRAININGS, locate};
use crate::protocol::{FolderError, RunFolder, SPLIT, StageKind};
use crate::volume::datalist::adding::{AddError, folder_of};
use crate::volume::note::first_of;
use crate::volume::{DataError, DataErrors, Dataset, SplitRecord, Together, content};

/// The arm that trains on.
const ARM: &str = "again";
/// Names that a sentence gives of many.
const SHOWN: usize = 8;
/// Names of folders that are tried.
const TRIED: usize = 100_000;
/// Settings that this decides itself.
const OWN: [&str; 5] = ["data.split", "data.label_fraction", "data.hold_back_test", "finetune.whole_network", "name"];

/// A fine-tuning that goes on from a finished one.
#[derive(Clone, Debug, PartialEq)]
pub struct Again {
    /// The experiment of that one training.
    pub config: ExperimentConfig,
    /// Where it is kept: beside the experiment that it goes on from, under a name that no other experiment has.
    pub folder: PathBuf,
    /// Cases that it learns from and the one before did not.
    pub new: Vec<String>,
    /// What the user should know of the cases.
    pub notes: Vec<String>,
}

/// Why a fine-tuning cannot go on.
#[derive(Debug, Error)]
pub enum AgainError {
    /// No checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] NoCheckpoint),
    /// The training's folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The dataset or its record cannot be read.
    #[error(transparent)]
    Record(#[from] AddError),
    /// The dataset cannot be read.
    #[error(transparent)]
    Data(#[from] DataErrors),
    /// Settings that do not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What is missing, and what to do.
    #[error("{0}")]
    Refused(String),
}

impl From<DataError> for AgainError {
    fn from(error: DataError) -> Self {
        Self::Data(error.into())
    }
}

/// Plans the fine-tuning that goes on from the one at `checkpoint` (its folder, or that of its training), with `set` laid over its settings.
/// Kept in `out`, where that is named.
///
/// It starts from all weights. It learns from the cases of the one before and from those that were added since, by the dataset's record of
/// corrections; validation and test cases stay, whatever the dataset holds by now.
///
/// # Errors
/// No finished fine-tuning, a dataset with other labels or channels, nothing new to learn from.
pub fn again(checkpoint: &Path, out: Option<&Path>, set: &[String]) -> Result<Again, AgainError> {
    // Of a path such as `.` neither the training's folder nor its experiment's has a name.
    let place = std::path::absolute(checkpoint).map_err(FolderError::io(checkpoint))?;
    let place = locate(&place)?;
    let training = training_of(&place)?;
    require_own(set)?;
    let then = training.config()?;
    let record = split_of(&training)?;
    let run = then.with_overrides(set)?;
    let dataset = Dataset::open(&run.data.source)?;
    require_same_labels(&dataset, &record)?;
    let (cases, notes) = learned(&dataset, &run, &record)?;
    let parent = training.root().parent().filter(|parent| parent.file_name().is_some_and(|name| name == TRAININGS)).and_then(Path::parent);
    let name = parent.and_then(Path::file_name).map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned());
    let config = |name: String| experiment(&run, &record, &cases, (name, place.clone()));
    let runs = parent.and_then(Path::parent).unwrap_or(Path::new("runs"));
    let (folder, config) = match out {
        Some(out) => {
            let name = out.file_name().map_or(name, |name| name.to_string_lossy().into_owned());
            (out.to_owned(), config(name)?)
        }
        None => free_folder(runs, &name, &config)?,
    };
    Ok(Again { config, folder, new: cases, notes })
}

/// The finished fine-tuning that a checkpoint is of.
fn training_of(place: &Path) -> Result<RunFolder, AgainError> {
    let root = place.parent().and_then(Path::parent).filter(|root| root.join(SPLIT).is_file());
    let refuse = |cause: &str| AgainError::Refused(format!("{}: {cause}", place.display()));
    let training = root.map(RunFolder::new).ok_or_else(|| {
        refuse("is no checkpoint in the folder of its training, whose split.json says which cases it was tested on. Name the folder of a training, trainings/finetune-...")
    })?;
    if training.kind() != StageKind::Finetune {
        return Err(refuse("is a pre-training, which segments nothing yet. Fine-tune it first (`simtrot finetune CONFIG --from IT`)"));
    }
    training.require_free()?;
    if training.replay()?.is_done(StageKind::Finetune) {
        Ok(training)
    } else {
        Err(refuse("is of a training that is not finished. Finish it first: the command that began it goes on"))
    }
}

fn split_of(training: &RunFolder) -> Result<SplitRecord, AgainError> {
    let path = training.root().join(SPLIT);
    let text = std::fs::read(&path).map_err(FolderError::io(&path))?;
    Ok(serde_json::from_slice(&text).map_err(|error| FolderError::Content { path, cause: error.to_string() })?)
}

/// Refuses settings that are decided by what was trained before.
fn require_own(set: &[String]) -> Result<(), AgainError> {
    let key = |setting: &String| setting.split('=').next().unwrap_or_default().trim().to_owned();
    let of = |own: &str, key: &str| key.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    match set.iter().map(key).find(|key| OWN.iter().any(|own| of(own, key))) {
        None => Ok(()),
        Some(key) => Err(AgainError::Refused(format!(
            "{key} cannot be set here: it follows from the training that is gone on from. For other cases or another start, write a config and use `simtrot run`"
        ))),
    }
}

/// Refuses a dataset that has come to name other labels or channels: the network's classes would mean something else.
fn require_same_labels(dataset: &Dataset, then: &SplitRecord) -> Result<(), AgainError> {
    let labels: Vec<(u32, String)> = dataset.labels.iter().map(|(&value, name)| (value, name.clone())).collect();
    if (&labels, &dataset.channels) == (&then.labels, &then.channels) {
        return Ok(());
    }
    let cause = "names other labels or channels than when the network was trained, which has no class for them. Put them back, or train anew on its encoder alone (`simtrot finetune CONFIG --from CHECKPOINT`)";
    Err(AgainError::Refused(format!("the dataset {} {cause}", dataset.name)))
}

/// Cases that are new to the training, and what to say of them and of the others.
fn learned(dataset: &Dataset, run: &RunConfig, then: &SplitRecord) -> Result<(Vec<String>, Vec<String>), AgainError> {
    if run.data.hold_back_test {
        let cause = "was made to choose settings (data.hold_back_test) and does not say which cases it held back. Go on from a training that was tested";
        return Err(AgainError::Refused(format!("the training {} {cause}", run.name)));
    }
    let split = &then.split;
    let corrections = Corrections::read(&folder_of(&run.data.source)?)?;
    let held: BTreeSet<&String> = split.validation.iter().chain(&split.test).collect();
    let together = Together::of(dataset, &run.data)?;
    let is_labelled = |name: &str| dataset.case(name).is_some_and(|case| case.label.is_some());
    let recorded: BTreeSet<&String> = corrections.corrections.iter().map(|correction| &correction.case).collect();
    let is_free = |name: &&String| is_labelled(name) && !split.finetune.contains(name) && !held.contains(name);
    let recorded: Vec<&String> = recorded.into_iter().filter(is_free).collect();
    // One that had this very label map then, and lent it to nobody, is not new.
    let fresh = changed(dataset, then, recorded)?.into_iter().cloned().collect::<Vec<String>>();
    let (tied, new): (Vec<String>, Vec<String>) =
        fresh.into_iter().partition(|name| together.with(name).iter().any(|mate| held.contains(mate)));
    let known = [&split.finetune, &split.validation, &split.test].into_iter().flatten().collect();
    let (tested, relearned): (Vec<&String>, Vec<&String>) =
        changed(dataset, then, known)?.into_iter().partition(|name| held.contains(name));
    let mut notes = Vec::new();
    let mut mention = |names: &[&String], what: &str| {
        if !names.is_empty() {
            notes.push(format!("{what}: {}", first_of(&names.iter().map(|name| (*name).clone()).collect::<Vec<_>>(), SHOWN)));
        }
    };
    mention(&tied.iter().collect::<Vec<_>>(), "not trained on, since they are of a patient, or the image, of a validation or test case");
    mention(&relearned, "trained on with the label map that they have now");
    mention(
        &tested,
        "validation and test cases that have another label map or image than before, so that scores compare with earlier ones only in part",
    );
    if new.is_empty() && relearned.is_empty() {
        let left: String = notes.iter().map(|note| format!(". {note}")).collect();
        let cause = "no case was added and no label map replaced since that training. Add a corrected case first (`simtrot add`, or the button in the viewer)";
        return Err(AgainError::Refused(format!("nothing new to learn from in {}: {cause}{left}", dataset.name)));
    }
    Ok((new, notes))
}

/// Those of the cases whose files hold something else than the earlier training recorded, or that it does not know.
fn changed<'a>(dataset: &Dataset, then: &SplitRecord, cases: Vec<&'a String>) -> Result<Vec<&'a String>, AgainError> {
    let known: Vec<_> = cases.into_iter().filter_map(|name| Some((name, dataset.case(name)?))).collect();
    let keys = content::case_keys(&known.iter().map(|(_, case)| *case).collect::<Vec<_>>())?;
    Ok(known.into_iter().zip(keys).filter(|((name, _), key)| then.content.get(*name) != Some(key)).map(|((name, _), _)| name).collect())
}

/// The experiment of the one training.
fn experiment(
    run: &RunConfig,
    then: &SplitRecord,
    new: &[String],
    (name, checkpoint): (String, PathBuf),
) -> Result<ExperimentConfig, ConfigError> {
    let with_new = |names: &[String]| names.iter().chain(new.iter().filter(|case| !names.contains(case))).cloned().collect::<Vec<_>>();
    let split = &then.split;
    let mut run = RunConfig { name, ..run.clone() };
    run.data.split = SplitConfig::Lists {
        pretrain: with_new(&split.pretrain),
        finetune: with_new(&split.finetune),
        validation: split.validation.clone(),
        test: split.test.clone(),
    };
    run.data.label_fraction = 1.0;
    run.finetune.whole_network = true;
    let arm = Arm { name: ARM.to_owned(), checkpoint: Some(checkpoint), ..Arm::default() };
    run.arms = ArmsConfig { pretrain: Vec::new(), finetune: vec![arm] };
    ExperimentConfig::of_run(run).with_overrides(&[])
}

/// The folder under the first name behind the earlier one's that is free, or that holds this very experiment: what was begun goes on.
fn free_folder(
    runs: &Path,
    name: &str,
    config: &dyn Fn(String) -> Result<ExperimentConfig, ConfigError>,
) -> Result<(PathBuf, ExperimentConfig), AgainError> {
    let is_number = |digits: &str| digits.parse::<usize>().is_ok_and(|number| number > 1 && number.to_string() == digits);
    let base = name.rsplit_once('_').filter(|(_, digits)| is_number(digits)).map_or(name, |(base, _)| base);
    for number in 2..TRIED {
        let name = format!("{base}_{number}");
        let folder = runs.join(&name);
        let own = config(name)?;
        let is_own = || ExperimentConfig::load(&ExperimentFolder::new(&folder).config_path()).is_ok_and(|there| there == own);
        if !folder.exists() || is_own() {
            return Ok((folder, own));
        }
    }
    Err(AgainError::Refused(format!("{}: holds {TRIED} runs called {base}. Name another folder (--out)", runs.display())))
}
