//! Corrected labels as a new file beside those that they came from.

use std::path::{Path, PathBuf};

use super::class_volume::ClassVolume;
use crate::geometry::Grid;
use crate::volume::LabelMap;
use crate::volume::file::{Format, asked, stem, written};
use crate::volume::label_table::{LabelEntry, LabelTable, same_name};
use crate::volume::segmentation::{self, Subject};

/// Ends the name of corrected labels.
const SUFFIX: &str = "_corrected";

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfThere {
    /// It stays, and nothing is saved.
    Refuse,
    /// It is replaced: the user was asked.
    Replace,
}

/// Labels to be saved.
#[derive(Clone, Copy, Debug)]
pub struct Corrected<'a> {
    /// A snapshot of the edit.
    pub classes: &'a ClassVolume,
    /// Where the voxels lie.
    pub grid: &'a Grid,
    /// The label value of each class.
    pub values: &'a [u16],
    /// What they are of, with names and colours.
    pub subject: &'a Subject<'a>,
}

/// Saves labels in the format of the file's ending, on the image's grid and axes, as the smallest integer type that holds them, as every segmentation of
/// the program is. Names and colours go into the file where its format has a place for them, else into a label table beside it (`NAME.label`),
/// which is read with it. Returns what was saved, in a sentence. Better done on a thread of its own.
///
/// # Errors
/// A file that is there, an ending of no format, a class without a value, a file that cannot be written; in words.
pub fn save(file: &Path, corrected: &Corrected<'_>, existing: IfThere) -> Result<String, String> {
    let Some(files) = written(file) else {
        return Err(format!("{}: choose an ending among .nii.gz, .nii, .nrrd, .seg.nrrd, .mha and .dcm", file.display()));
    };
    if existing == IfThere::Refuse
        && let Some(there) = files.iter().find(|file| is_there(file))
    {
        return Err(format!("{} is there already, and nothing was saved: choose another name", there.display()));
    }
    let Corrected { classes, grid, values, subject } = *corrected;
    let mut voxels = Vec::with_capacity(grid.len());
    for slice in classes.slices() {
        for &class in slice {
            let value = values.get(usize::from(class)).copied();
            voxels.push(value.ok_or_else(|| format!("{}: class {class} has no label value", file.display()))?);
        }
    }
    let notes = segmentation::write(file, &LabelMap { grid: grid.clone(), voxels }, subject).map_err(|error| error.to_string())?;
    let mut said: Vec<String> = notes.into_iter().map(|note| format!(" Note: {}.", note.text)).collect();
    said.extend(name_labels(file, subject));
    Ok(format!("Saved as {}.{}", file.display(), said.concat()))
}

/// Writes the label table of formats that hold no names; what is to be said of it. The user agreed to replace labels, and not a table that says
/// more or other than the new one.
fn name_labels(file: &Path, subject: &Subject<'_>) -> Option<String> {
    if matches!(asked(file), Some(Format::SegNrrd | Format::Dicom)) || subject.segments.is_empty() {
        return None;
    }
    let table = table(file);
    let is_held = |(value, entry): (&u32, &LabelEntry)| {
        // Quotation marks are written as apostrophes.
        let named = |name: &str| subject.segments.get(value).is_some_and(|segment| same_name(name, &segment.name.replace('"', "'")));
        entry.name.as_deref().is_some_and(named)
    };
    if is_there(&table) && !LabelTable::read(&table).is_ok_and(|there| there.entries.iter().all(is_held)) {
        return Some(format!(" Names and colours were not saved: {} is there already, with other labels.", table.display()));
    }
    let said = |name: &Path| format!(" Names and colours are in {}.", name.file_name().unwrap_or_default().to_string_lossy());
    Some(
        LabelTable::write(&table, subject.segments)
            .map_or_else(|cause| format!(" Names and colours were not saved: {cause}."), |()| said(&table)),
    )
}

/// The name for corrections of a label map `source`: `NAME_corrected` with an `ending` (such as `.nii.gz`) in its `folder`, or the first of `NAME_corrected_2` and
/// further ones that is free.
pub fn corrected_file(source: &str, ending: &str, folder: &Path) -> PathBuf {
    let name = stem(Path::new(source));
    let of = name.rsplit_once(SUFFIX).filter(|(of, number)| {
        let counted = number.strip_prefix('_').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
        !of.is_empty() && (number.is_empty() || counted)
    });
    let name = of.map_or(name.as_str(), |(of, _)| of);
    let numbered = |number: usize| if number == 1 { String::new() } else { format!("_{number}") };
    let file = |number: usize| folder.join(format!("{name}{SUFFIX}{}{ending}", numbered(number)));
    let free = |file: &PathBuf| {
        let files = written(file).unwrap_or_else(|| vec![file.clone()]);
        files.iter().chain([&table(file)]).all(|file| !is_there(file))
    };
    (1..).map(file).find(free).expect("a folder holds finitely many files")
}

/// The label table of a file.
fn table(file: &Path) -> PathBuf {
    file.with_file_name(format!("{}.label", stem(file)))
}

/// Whether anything has the name, also a link that leads nowhere.
fn is_there(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}
