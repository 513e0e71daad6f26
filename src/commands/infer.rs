//! `infer`: which networks are meant, and the segmentations that they make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::options::{CliError, Options, exit_code};
use super::tools::follow;
use crate::cli::InferArgs;
use crate::experiment::{Cell, Experiment, ExperimentFolder, Only};
use crate::protocol::Outcome;
use crate::terminal;
use crate::worker::{InferInput, InferJob, Job};

pub(super) fn infer(arguments: InferArgs, options: &Options) -> Result<u8, CliError> {
    let InferArgs { checkpoints, only, input, out, overwrite, format, probabilities, no_postprocessing, set } = arguments;
    let checkpoints = checkpoints.iter().map(|path| networks(path, &only)).collect::<Result<Vec<_>, _>>()?.concat();
    let job = InferJob {
        checkpoints,
        input: InferInput::Files(input),
        out: Some(out.clone()),
        overwrite,
        format,
        probabilities,
        postprocess: !no_postprocessing,
        settings: set,
    };
    let (outcome, state) = follow(Job::Infer(job), options);
    if outcome == Outcome::Completed && !options.quiet {
        let written = state.stages.last().map_or(0, |stage| stage.done);
        let beside = if probabilities { ", probabilities and entropy beside them" } else { "" };
        terminal::print(format_args!("{written} segmentation{} in {}{beside}", if written == 1 { "" } else { "s" }, out.display()));
    }
    Ok(exit_code(&outcome))
}

/// The checkpoints that a path means: itself; of an experiment's folder the trainings of one arm, over its folds and seeds.
pub(super) fn networks(path: &Path, only: &[Only]) -> Result<Vec<PathBuf>, CliError> {
    let folder = ExperimentFolder::new(path);
    if !folder.holds_experiment() {
        if only.is_empty() {
            return Ok(vec![path.to_owned()]);
        }
        return Err(CliError::Input(format!(
            "--only chooses trainings of an experiment, and {} is no experiment's folder",
            path.display()
        )));
    }
    match folder.read() {
        Ok(experiment) if !only.is_empty() || experiment.cells.len() > 1 => trained(&folder, &experiment, only),
        Err(error) if !only.is_empty() => Err(error.into()),
        // One training is found where it lies, also where this program would lay it out otherwise.
        _ => Ok(vec![path.to_owned()]),
    }
}

/// The trainings that `only` chooses, which must be repeats of one arm at one point, all of them done.
fn trained(folder: &ExperimentFolder, experiment: &Experiment, only: &[Only]) -> Result<Vec<PathBuf>, CliError> {
    let cells: Vec<&Cell> = experiment.wanted(only)?.into_iter().map(|cell| &experiment.cells[cell]).collect();
    let axes = &experiment.config.axes;
    let mut choices: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
    for cell in cells {
        let levels =
            (0..axes.len()).filter(|&axis| !axes[axis].repeats()).map(|axis| (axes[axis].name.as_str(), experiment.level(cell, axis)));
        let choice =
            levels.chain([("arm", experiment.arms()[cell.arm].name.as_str())]).map(|(axis, level)| format!("--only \"{axis}={level}\""));
        let trainings = choices.entry(choice.collect()).or_default();
        if !trainings.contains(&cell.finetuned) {
            trainings.push(cell.finetuned);
        }
    }
    let root = folder.root().display();
    let Some((_, trainings)) = choices.first_key_value().filter(|_| choices.len() == 1) else {
        let choices: Vec<String> = choices.into_keys().map(|choice| choice.join(" ")).collect();
        let none = "nothing is fine-tuned there".to_owned();
        let told = if choices.is_empty() { none } else { format!("choose one of them: {}", choices.join("; ")) };
        return Err(CliError::Input(format!("{root} holds no single arm to segment with; {told}")));
    };
    let plans = trainings.iter().map(|&training| &experiment.trainings[training]);
    let missing: Vec<&str> = plans.clone().filter(|plan| !folder.is_done(plan)).map(|plan| plan.name.as_str()).collect();
    if !missing.is_empty() {
        return Err(CliError::Input(format!(
            "{root}: {} of {} trainings are not done: {}. Finish them with `simtrot run {root}`, or choose others with --only or by their own folders",
            missing.len(),
            trainings.len(),
            missing.join(", ")
        )));
    }
    Ok(plans.map(|plan| folder.training(plan).root().to_owned()).collect())
}
