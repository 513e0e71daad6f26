//! A case with its label map into a dataset on disk: a Decathlon, MONAI or nnU-Net list with its files, or folders without a list.
//!
//! Everything is looked at before anything is written ([`Addition::plan`]). Then files are written one by one, each whole or not at all, the
//! dataset's list last (`steps`): a call that is cut short leaves the dataset as it was, and a second one finishes it. `layout` says where
//! files go, `json_text` changes a list without a touch on what else it says.

mod error;
mod json_text;
mod layout;
mod listed;
mod steps;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::naming::case_name;
use crate::config::{DataSource, Groups};
use crate::volume::file::{self, Format, ending, stem};
use crate::volume::label_table::{LabelEntry, LabelTable};
use crate::volume::labels::from_scan;
use crate::volume::note::lines;
use crate::volume::together::of_patient;
use crate::volume::{
    CaseFiles, DataErrors, Dataset, Grid, LabelMap, Scan, SourceHeader, Volume, VolumeSource, aligned, content, fill, load_image,
};
pub use error::AddError;
use layout::{Layout, Targets, is_writable};
use listed::{Changed, Lists};
use steps::{Step, holds, keep};

/// A case to be added to a dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewCase {
    /// What it is to be called; none: as its image files. A case whose image is there keeps its name.
    pub name: Option<String>,
    /// Its image: one file with all channels, or one for each in the dataset's order.
    pub images: Vec<VolumeSource>,
    /// Its label map, on the image's grid; its axes may run otherwise.
    pub label: PathBuf,
    /// Whether a label map that the case has may be replaced. The old one is kept.
    pub replace: bool,
    /// Which cases are of one patient: where the dataset's list has folds, the case goes into that of its patient.
    pub groups: Option<Groups>,
}

/// What an addition does to the dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A case has a label map that had none, or was not there.
    Added,
    /// Another label map stands for the one that is kept here.
    Replaced(PathBuf),
    /// Nothing: the case has this very label map.
    Nothing,
}

/// What is to be written, all of it known to fit.
#[derive(Clone, Debug)]
pub struct Addition {
    /// The case's name in the dataset.
    pub case: String,
    /// What changes.
    pub change: Change,
    /// The labels on the image's grid.
    pub labels: LabelMap,
    /// Label value -> name, as the dataset has it.
    pub names: BTreeMap<u32, String>,
    /// Where the label map lies then.
    pub label_file: PathBuf,
    /// The dataset's folder; of two plain ones that of the label maps.
    pub root: PathBuf,
    /// What the user should know.
    pub notes: Vec<String>,
    steps: Vec<Step>,
}

/// The folder of a dataset, in which what is known of it is kept; of two plain ones that of the label maps.
///
/// # Errors
/// It lies inside the program, or holds no label maps.
pub fn folder_of(source: &DataSource) -> Result<PathBuf, AddError> {
    Ok(Layout::of(source)?.root)
}

/// Reads a label map of an image, and turns its axes to those of the image's `grid`; `images`: the image's files, the first of which
/// messages name.
///
/// # Errors
/// A file that cannot be read, is no label map, or lies on another grid.
pub fn labels_on(source: &VolumeSource, grid: &Grid, image: &Path) -> Result<LabelMap, AddError> {
    let mut scan = source.read()?;
    if source.format() == Format::Dicom {
        fill(&mut scan.volume.voxels, &mut scan.volume.grid, grid);
    }
    let counted = from_scan(scan, None).map_err(DataErrors)?;
    let (labels, _) = aligned(counted.map, grid, image).map_err(|fault| fault.at(&source.file()))?;
    Ok(labels)
}

impl Addition {
    /// Looks at the dataset and at the new case, and decides what is to be written. Nothing is changed.
    ///
    /// Label values that the dataset does not name are refused: every network trained on it so far has no class for them. A dataset without
    /// any label takes what the first map holds.
    ///
    /// # Errors
    /// Whatever cannot be read or does not fit, and a label map that the case has already, unless it may be replaced.
    pub fn plan(source: &DataSource, new: &NewCase) -> Result<Self, AddError> {
        let layout = Layout::of(source)?;
        let dataset = Dataset::open(source)?;
        let image = load_image(&new.images, Some(dataset.channels.len()), None)?;
        let label = VolumeSource::label_map(new.label.clone(), &new.images);
        let labels = labels_on(&label, &image.volume.grid, &image.file)?;
        require_known(&dataset, &layout, &labels, &new.label)?;
        let planned = Self {
            case: String::new(),
            change: Change::Added,
            labels,
            names: dataset.labels.clone(),
            label_file: PathBuf::new(),
            root: layout.root.clone(),
            notes: lines(&image.notes),
            steps: Vec::new(),
        };
        let place = Place { layout, dataset, image };
        match place.find(new)? {
            Some(case) => planned.of_case(&place, new, &case),
            None => planned.of_new(&place, new),
        }
    }

    /// Writes what was planned, file by file; `after` is called after each with its path. The last one makes the case part of the dataset.
    ///
    /// # Errors
    /// A file that cannot be written. The dataset is then as it was, and the same call can be made again.
    pub fn execute(&self, after: &dyn Fn(&Path)) -> Result<(), AddError> {
        for step in &self.steps {
            step.take()?;
            after(step.target());
        }
        Ok(())
    }

    /// Of a case whose image is there.
    fn of_case(mut self, place: &Place, new: &NewCase, case: &CaseFiles) -> Result<Self, AddError> {
        self.case.clone_from(&case.name);
        if new.name.as_ref().is_some_and(|name| *name != case.name) || case_named(new) != case.name {
            self.notes.push(format!("its image is that of the case {}, which it is added to", case.name));
        }
        // One scan may be stored under two headers: the labels take the place of the dataset's.
        let own = load_image(&case.images, None, None)?;
        self.labels.grid = own.volume.grid;
        let Some(old) = &case.label else {
            self.label_file = place.layout.label_of(&place.dataset, case);
            self.write_labels(own.header, &case.images)?;
            let patient_fold = place.patient_fold(new, &case.name)?;
            let changed = place.lists().with_label(case, &self.label_file, patient_fold)?;
            return Ok(self.with_list(changed));
        };
        self.label_file = old.file().into_owned();
        if labels_on(old, &self.labels.grid, &own.file).is_ok_and(|old| old.voxels == self.labels.voxels) {
            self.change = Change::Nothing;
            let changed = place.lists().with_count(&case.name)?;
            return Ok(self.with_list(changed));
        }
        if !new.replace {
            return Err(AddError::HasLabel { case: self.case, file: self.label_file });
        }
        let name = self.label_file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(ending) = ending(&name).filter(|ending| is_writable(ending, true)) else {
            let cause = "is stored in a form that cannot be written in its place. Convert it first (`simtrot convert`), and name the new file in the dataset";
            return Err(AddError::refuse(&self.label_file, cause));
        };
        let folder = self.label_file.parent().unwrap_or(Path::new("."));
        let beside = format!("{}_replaced", folder.file_name().unwrap_or_default().to_string_lossy());
        let stem = stem(&self.label_file);
        let (step, kept) = keep(&self.label_file, |number| folder.with_file_name(&beside).join(format!("{stem}.{number}{ending}")))?;
        self.steps.extend(step);
        self.change = Change::Replaced(kept);
        self.steps.push(self.label_step(own.header, &case.images));
        Ok(self)
    }

    /// Of a case that is not there.
    fn of_new(mut self, place: &Place, new: &NewCase) -> Result<Self, AddError> {
        self.case = plain_name(new)?;
        let patient_fold = place.patient_fold(new, &self.case)?;
        let Targets { images, label, entry } = place.layout.of_new(&place.dataset, &self.case, patient_fold)?;
        let files = |case: &CaseFiles| case.images.iter().map(|image| image.file().into_owned()).collect::<Vec<_>>();
        // Half of its channels may be there from an earlier call; then each is compared below.
        if let Some(other) = place.dataset.case(&self.case).filter(|other| entry.is_some() || files(other) != images) {
            let file = files(other).into_iter().next().unwrap_or_default();
            let cause = format!("is another image of the name {}: give the new case another name (--name)", self.case);
            return Err(AddError::refuse(&file, cause));
        }
        self.label_file = label;
        let written: Vec<VolumeSource> = images.iter().cloned().map(VolumeSource::File).collect();
        // Label map first: an image alone would be a case without a label, or half of its channels.
        self.write_labels(place.image.header.clone(), &written)?;
        self.steps.extend(place.image_steps(new, &images)?);
        let changed = match entry {
            Some(entry) => place.lists().with_entry(&entry, patient_fold)?,
            None => place.lists().with_count(&self.case)?,
        };
        Ok(self.with_list(changed))
    }

    fn with_list(mut self, (steps, notes): Changed) -> Self {
        self.steps.extend(steps);
        self.notes.extend(notes);
        self
    }

    /// The label map's step, unless its file is there from an earlier call.
    fn write_labels(&mut self, header: SourceHeader, images: &[VolumeSource]) -> Result<(), AddError> {
        if !self.label_file.exists() {
            self.steps.push(self.label_step(header, images));
        } else if !holds(&self.label_file, &Volume::from(self.labels.clone())) {
            let cause = "is there already, belongs to no case of the dataset, and holds other labels: take it away, or give the case another name (--name)";
            return Err(AddError::refuse(&self.label_file, cause));
        }
        Ok(())
    }

    fn label_step(&self, header: SourceHeader, images: &[VolumeSource]) -> Step {
        Step::Labels { to: self.label_file.clone(), map: self.labels.clone(), header, labels: self.names.clone(), images: images.to_vec() }
    }
}

/// The dataset, and the image of the new case.
struct Place {
    layout: Layout,
    dataset: Dataset,
    image: Scan,
}

impl Place {
    fn lists(&self) -> Lists<'_> {
        Lists { layout: &self.layout, dataset: &self.dataset }
    }

    /// The fold of the other cases of the patient; none where there are none, or nobody said which these are.
    fn patient_fold(&self, new: &NewCase, name: &str) -> Result<Option<usize>, AddError> {
        let Some(groups) = &new.groups else { return Ok(None) };
        let mates = of_patient(&self.dataset, groups, name).map_err(|cause| {
            let remedy = "Give the case a name that fits (--name; in the window that of its image's file), or set the pattern right (--groups; in the window data.groups of the run)";
            AddError::Refused(format!("nobody can tell whose scan {name} is: {cause}. {remedy}"))
        })?;
        Ok(mates.into_iter().find_map(|mate| mate.fold))
    }

    /// The case of the dataset whose image the new one has, by its files or by what they hold.
    fn find(&self, new: &NewCase) -> Result<Option<CaseFiles>, AddError> {
        let whole = |source: &VolumeSource| std::fs::canonicalize(source.file()).ok();
        let files: Vec<_> = new.images.iter().map(whole).collect();
        let same = |case: &&CaseFiles| !files.contains(&None) && case.images.iter().map(whole).eq(files.iter().cloned());
        // Several series may lie in one folder: what they hold tells them apart.
        let is_file = |case: &&CaseFiles| !matches!(case.images.first(), Some(VolumeSource::Series { .. }));
        if let Some(case) = self.dataset.cases.iter().filter(is_file).find(same) {
            return Ok(Some(case.clone()));
        }
        let own = CaseFiles { name: String::new(), images: new.images.clone(), label: None, fold: None };
        let key = content::image_key(&own)?;
        // A case that cannot be read is nobody's equal; `check` names it.
        Ok(self
            .dataset
            .cases
            .iter()
            .find(|case| !case.images.is_empty() && content::image_key(case).is_ok_and(|other| other == key))
            .cloned())
    }

    /// Copies of the image files where they are stored as the dataset's; else the image written anew, channel by channel if need be.
    fn image_steps(&self, new: &NewCase, targets: &[PathBuf]) -> Result<Vec<Step>, AddError> {
        let volume = &self.image.volume;
        let channel = |index: usize| {
            let voxels = volume.iter_channels().nth(index).unwrap_or_default().to_vec();
            Volume { channels: 1, grid: volume.grid.clone(), voxels }
        };
        let mut steps = Vec::new();
        for (index, to) in targets.iter().enumerate() {
            let part = if targets.len() > 1 { channel(index) } else { volume.clone() };
            let from = new.images.get(index).filter(|_| new.images.len() == targets.len()).and_then(|source| as_stored(source, to));
            if !to.exists() {
                steps.push(match from {
                    Some(from) => Step::Copy { from, to: to.clone() },
                    None => Step::Image { to: to.clone(), volume: part, header: self.image.header.clone() },
                });
            } else if !holds(to, &part) {
                return Err(AddError::refuse(
                    to,
                    "is there already, and is another image: take it away, or give the case another name (--name)",
                ));
            }
        }
        Ok(steps)
    }
}

/// The file of an image, where it can be copied to another name as it is.
fn as_stored(source: &VolumeSource, to: &Path) -> Option<PathBuf> {
    let VolumeSource::File(from) = source else { return None };
    let ending_of = |file: &Path| ending(&file.file_name()?.to_string_lossy()).map(str::to_lowercase);
    let alone = file::files(from).is_ok_and(|files| files.len() == 1);
    (alone && ending_of(from).is_some() && ending_of(from) == ending_of(to)).then(|| from.clone())
}

/// Refuses label values that the dataset does not name, and names that it has for others.
fn require_known(dataset: &Dataset, layout: &Layout, labels: &LabelMap, file: &Path) -> Result<(), AddError> {
    let list = layout.list.as_ref().map_or_else(|| layout.root.clone(), |list| list.file.clone());
    let entry = |(&value, name): (&u32, &String)| (value, LabelEntry { name: Some(name.clone()), colour: [0; 3] });
    let is_named = |(value, name): &(&u32, &String)| **value != 0 && **name != super::naming::default_label(**value);
    let known = LabelTable { file: list.clone(), entries: dataset.labels.iter().filter(is_named).map(entry).collect() };
    let own = LabelTable::within(file).map_err(AddError::Refused)?;
    if let Some(fault) = own.and_then(|own| own.contradicts(&known)) {
        return Err(fault.at(file).into());
    }
    let is_bare = dataset.labels.len() <= 1 && dataset.cases.iter().all(|case| case.label.is_none());
    let mut unknown: Vec<u16> = labels.voxels.iter().copied().filter(|&value| !dataset.labels.contains_key(&u32::from(value))).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() || is_bare {
        return Ok(());
    }
    let values: Vec<String> = unknown.iter().map(u16::to_string).collect();
    let cause = format!(
        "holds the label {}, which the dataset does not have ({}). Networks trained on it have no class for it. If it is meant, add it to the dataset's labels first and train anew; else correct the label map",
        values.join(", "),
        list.display()
    );
    Err(AddError::refuse(file, cause))
}

/// What the files of the new case call it.
fn case_named(new: &NewCase) -> String {
    let files: Vec<PathBuf> = new.images.iter().map(|image| image.file().into_owned()).collect();
    case_name(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

/// The name of a new case, which becomes that of files.
fn plain_name(new: &NewCase) -> Result<String, AddError> {
    let name = new.name.clone().unwrap_or_else(|| case_named(new));
    let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '"', '\n']);
    if is_plain {
        Ok(name)
    } else {
        Err(AddError::Refused(format!("{name:?} cannot be the name of a case: choose one of letters, digits, - and _ (--name)")))
    }
}
