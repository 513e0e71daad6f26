//! What lies in a folder: the one rule for every place that takes volumes by their folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::volume::dicom::{damage, is_dicom, is_label_map};
use crate::volume::file::{ending, stem};
use crate::volume::note::first_of;
use crate::volume::{DataError, Fault, Note};

/// Endings of files that lie beside volumes and that nobody takes for one: not worth a word.
const NO_VOLUMES: [&str; 14] = ["json", "jsonl", "csv", "tsv", "txt", "md", "html", "xml", "yaml", "yml", "ron", "log", "pkl", "pdf"];

/// Endings of files of voxels whose header lies beside them under the same name.
const VOXELS: [&str; 4] = [".raw", ".raw.gz", ".zraw", ".bin"];

/// Names that a message gives of what a folder holds instead of volumes.
const SHOWN: usize = 5;

/// The volumes of a folder. Hidden files are left out: archives made on a Mac are full of them (`._scan.nii.gz`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// One file for each name without its ending, in the order of these names. Endings count in any case; the two files of
    /// a pair (`.hdr`, `.img`) are listed as its header.
    pub files: Vec<PathBuf>,
    /// Of the `files` those beside which another lies that differs in the ending only: which one is meant cannot be told.
    pub doubled: Vec<DataError>,
    /// Of label maps: DICOM files, or files called so, that cannot be read as such. They are none of the `files`.
    pub damaged: Vec<DataError>,
    /// What lies there, could be an image and isn't read.
    pub left_out: Vec<Note>,
}

/// Lists the volumes of a folder. Nothing is opened but what has no ending of a volume.
///
/// # Errors
/// A folder that cannot be read.
pub fn volumes(folder: &Path) -> Result<Listing, DataError> {
    list(folder, &|_| Ok(false))
}

/// Lists the label maps of a folder: its volumes, and DICOM segmentations and structure sets, which stand one in a file.
///
/// # Errors
/// A folder that cannot be read.
pub fn label_maps(folder: &Path) -> Result<Listing, DataError> {
    list(folder, &|file| damage(file).map_or_else(|| Ok(is_label_map(file)), Err))
}

/// The volumes of a folder, and what else `is_one`, or why it cannot be told.
fn list(folder: &Path, is_one: &dyn Fn(&Path) -> Result<bool, Fault>) -> Result<Listing, DataError> {
    let unreadable = |error| Fault::from(error).at(folder);
    let mut listing = Listing::default();
    let mut of_stem: BTreeMap<String, Vec<(String, PathBuf)>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match ending(&name) {
            _ if name.starts_with('.') => {}
            Some(ending) => of_stem.entry(stem(&path)).or_default().push((ending.to_lowercase(), path)),
            None => match is_one(&path) {
                Ok(true) => of_stem.entry(stem(&path)).or_default().push((String::new(), path)),
                Ok(false) => listing.left_out.extend(left_out(&path)),
                Err(fault) => listing.damaged.push(fault.at(&path)),
            },
        }
    }
    let detached: BTreeSet<String> = of_stem
        .iter()
        .filter(|(_, files)| files.iter().any(|(ending, _)| [".nhdr", ".mhd"].contains(&ending.as_str())))
        .map(|(stem, _)| stem.clone())
        .collect();
    listing.left_out.retain(|note| {
        let name = note.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        !VOXELS.iter().any(|ending| name.strip_suffix(ending).is_some_and(|stem| detached.contains(stem)))
    });
    listing.left_out.sort_by(|a, b| a.file.cmp(&b.file));
    listing.damaged.sort_by(|a, b| a.file.cmp(&b.file));
    for mut files in of_stem.into_values() {
        files.sort();
        let is_pair = files.iter().any(|(ending, _)| ending.starts_with(".hdr"));
        let mut files = files.into_iter().filter(|(ending, _)| !(is_pair && ending.starts_with(".img"))).map(|(_, path)| path);
        let Some(file) = files.next() else { continue };
        listing.doubled.extend(files.map(|other| Fault::SameName(other).at(&file)));
        listing.files.push(file);
    }
    Ok(listing)
}

impl Listing {
    /// What a folder without a volume holds, for a message.
    pub fn nothing(&self) -> String {
        let names: Vec<_> = self.left_out.iter().filter_map(|note| Some(note.file.file_name()?.to_string_lossy())).collect();
        let but = if names.is_empty() { "" } else { ", but what cannot be read: " };
        format!("it holds no .nii, .nii.gz, .hdr, .nrrd, .nhdr, .mha or .mhd file and no DICOM series{but}{}", first_of(&names, SHOWN))
    }
}

/// The note on a file that isn't read, unless it is a folder or plainly no image.
fn left_out(path: &Path) -> Option<Note> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if path.is_dir() || extension.as_ref().is_some_and(|extension| NO_VOLUMES.contains(&extension.as_str())) {
        return None;
    }
    if is_dicom(path) {
        return Some(Note::new(path, "is left out: DICOM beside volumes of other formats is not read; give it a folder of its own"));
    }
    let what = extension.map_or_else(|| "a name without ending".to_owned(), |extension| format!("the ending .{extension}"));
    Some(Note::new(path, format!("is left out: {what} cannot be read; convert it to .nii.gz")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        names.iter().for_each(|name| std::fs::write(folder.path().join(name), "x").expect("a writable folder"));
        let Listing { files, doubled, left_out, .. } = volumes(folder.path()).expect("a folder");
        let name = |path: &Path| path.file_name().expect("a file").to_string_lossy().into_owned();
        let named = |paths: Vec<PathBuf>| paths.iter().map(|path| name(path)).collect();
        (named(files), doubled.iter().map(ToString::to_string).collect(), named(left_out.into_iter().map(|note| note.file).collect()))
    }

    #[test]
    fn endings_count_in_any_case_hidden_files_do_not_and_what_is_left_out_is_named() {
        let names = [
            "b.Nii",
            "A.NII.GZ",
            "._A.nii.gz",
            "c.hdr",
            "c.img",
            "d.nii.GZ",
            "e.mha",
            "f.nrrd",
            "IM0001",
            "dataset.json",
            ".nii",
            "g.mhd",
            "g.zraw",
            "h.raw",
            "k.dcm",
        ];
        let (files, doubled, left_out) = listed(&names);
        assert_eq!(files, ["A.NII.GZ", "b.Nii", "c.hdr", "d.nii.GZ", "e.mha", "f.nrrd", "g.mhd"]);
        assert_eq!(left_out, ["IM0001", "h.raw", "k.dcm"]);
        assert!(doubled.is_empty(), "a pair is one volume: {doubled:?}");
    }

    #[test]
    fn two_files_of_one_name_are_never_chosen_from() {
        let (files, doubled, _) = listed(&["a.nii.gz", "a.nii", "b.nii", "b.hdr", "b.img", "c.IMG"]);
        assert_eq!(files, ["a.nii", "b.hdr", "c.IMG"]);
        assert_eq!(doubled.len(), 2);
        for (text, other) in doubled.iter().zip(["a.nii.gz", "b.nii"]) {
            assert!(text.contains(other) && text.contains("Keep one"), "{text}");
        }
    }

    #[test]
    fn a_folder_without_volumes_says_what_it_holds_instead() {
        let folder = tempfile::tempdir().expect("a folder");
        let nothing = || volumes(folder.path()).expect("a folder").nothing();
        assert!(!nothing().contains("but"));
        (0..7).for_each(|number| std::fs::write(folder.path().join(format!("{number}.mgz")), "x").expect("a writable folder"));
        assert!(nothing().ends_with("0.mgz, 1.mgz, 2.mgz, 3.mgz, 4.mgz and 2 more"), "{}", nothing());
    }
}
