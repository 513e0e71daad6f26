//! `add` and `learn`: a corrected case into the training set, and a finished fine-tuning trained on with what came into it.

use super::options::{CliError, Options};
use super::{tools, train};
use crate::cli::{AddArgs, BoundArgs, LearnArgs};
use crate::config::Groups;
use crate::corrections::{self, AddError, AddJob, Added, Again, AgainError, Change, NewCase, Prediction};
use crate::experiment::{Experiment, ExperimentFolder};
use crate::terminal;
use crate::volume::VolumeSource;
use crate::volume::note::first_of;
use crate::worker::ExperimentJob;

/// Cases that a line names.
const SHOWN: usize = 12;

impl From<AddError> for CliError {
    fn from(error: AddError) -> Self {
        if error.is_of_the_disk() { Self::Failure(error.to_string()) } else { Self::Input(error.to_string()) }
    }
}

impl From<AgainError> for CliError {
    fn from(error: AgainError) -> Self {
        match error {
            AgainError::Folder(error) => error.into(),
            AgainError::Record(error) => error.into(),
            other => Self::Input(other.to_string()),
        }
    }
}

/// Adds a case, and prints what became of it and of its prediction.
pub(super) fn add(arguments: AddArgs, options: &Options) -> Result<u8, CliError> {
    let AddArgs { mut files, to, labels, name, predicted, network, groups, replace } = arguments;
    let label = files.pop().ok_or_else(|| CliError::Input("name an image and its label map".to_owned()))?;
    let images = files.into_iter().map(VolumeSource::File).collect();
    let case = NewCase { name, images, label, replace, groups: groups.map(Groups::Pattern) };
    let predicted = predicted.map(Prediction::File);
    let added = corrections::add(&AddJob { source: tools::source(&to, labels.as_deref()), case, predicted, network })?;
    for note in &added.notes {
        terminal::print(format_args!("note: {note}"));
    }
    if !options.quiet {
        print(&added);
    }
    Ok(0)
}

fn print(added: &Added) {
    let Added { case, change, label, changed_voxels, labels, .. } = added;
    let label = label.display();
    match change {
        Change::Added => terminal::print(format_args!("{case}: in the training set, its label map in {label}")),
        Change::Replaced(old) => {
            terminal::print(format_args!("{case}: label map {label} replaced; the old one is kept in {}", old.display()));
        }
        Change::Nothing => terminal::print(format_args!("{case}: has this label map already ({label}); nothing was changed")),
    }
    if let Some(changed) = changed_voxels {
        terminal::print(format_args!("corrected against predicted: {changed} voxels changed"));
        for label in labels {
            terminal::print(format_args!("  {} {}: Dice {:.3}, {} voxels", label.value, label.name, label.dice, label.changed_voxels));
        }
    }
}

/// Trains on.
pub(super) fn learn(arguments: &LearnArgs, options: &Options) -> Result<u8, CliError> {
    let LearnArgs { checkpoint, out, dry_run, bounds: BoundArgs { max_steps, memory }, set } = arguments;
    let Again { config, folder, new, notes } = corrections::again(checkpoint, out.as_deref(), set)?;
    for note in &notes {
        terminal::print(format_args!("note: {note}"));
    }
    if !options.quiet || *dry_run {
        terminal::print(format_args!(
            "{} new to it: {}",
            new.len(),
            if new.is_empty() { "none".to_owned() } else { first_of(&new, SHOWN) }
        ));
        terminal::print(format_args!("kept in {}", folder.display()));
    }
    if *dry_run {
        return Ok(0);
    }
    let folder = ExperimentFolder::new(folder);
    let experiment = Experiment::new(config, folder.contents())?;
    train::make(ExperimentJob { max_steps: *max_steps, memory: *memory, ..ExperimentJob::new(experiment, folder) }, options)
}
