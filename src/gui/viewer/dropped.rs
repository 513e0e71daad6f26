//! Dropped files: what they are, by their names and by their voxels.

use std::path::{Path, PathBuf};

use crate::volume::file::{self, Format, format, is_entropy, is_probabilities};
use crate::volume::image_or_labels::{Content, content};
use crate::volume::segmentation::{is_dicom_label_map, is_structure_set};

/// What lies at paths that were dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// A run: its settings are there.
    Run(PathBuf),
    Checkpoint(PathBuf),
    /// A dataset, or its list.
    Dataset(PathBuf),
    Volumes(Vec<PathBuf>),
    /// A folder that may hold DICOM series.
    Folder(PathBuf),
    /// None of these.
    Unknown(PathBuf),
}

/// Looks what was dropped. A few looks at the disk, no reading.
pub(super) fn dropped(paths: &[PathBuf]) -> Dropped {
    // Of a pair (.hdr and .img) the header's file stands for both.
    let first = |path: &PathBuf| file::files(path).ok().and_then(|files| files.into_iter().next()).unwrap_or_else(|| path.clone());
    let mut volumes: Vec<PathBuf> = paths.iter().filter(|path| is_volume(path)).map(first).collect();
    volumes.sort();
    volumes.dedup();
    if !volumes.is_empty() {
        return Dropped::Volumes(volumes);
    }
    let Some(first) = paths.first().cloned() else { return Dropped::Volumes(Vec::new()) };
    if first.is_file() && format(&first) == Format::Dicom {
        // A file alone may hold all slices; several are slices of what lies in their folder.
        let folder = first.parent().map(Path::to_owned).unwrap_or_default();
        return if paths.len() == 1 { Dropped::Volumes(vec![first]) } else { Dropped::Folder(folder) };
    }
    let holds = |names: &[&str]| names.iter().any(|name| first.join(name).exists());
    if holds(&["config.ron"]) {
        Dropped::Run(first)
    } else if holds(&["checkpoint.json", "last/checkpoint.json", "best/checkpoint.json"]) {
        Dropped::Checkpoint(first)
    } else if holds(&["dataset.json", "imagesTr"]) || first.extension().is_some_and(|extension| extension == "json") {
        Dropped::Dataset(first)
    } else if first.is_dir() {
        Dropped::Folder(first)
    } else {
        Dropped::Unknown(first)
    }
}

fn is_volume(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (file::ending(&name).is_some() || is_dicom_label_map(path)) && !path.is_dir()
}

/// Dropped volumes, told apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    /// In the order of their names: one, or one for each channel.
    pub(super) images: Vec<PathBuf>,
    /// Label maps.
    pub(super) labels: Vec<PathBuf>,
    /// Entropy maps and probabilities.
    pub(super) maps: Vec<PathBuf>,
    /// What may be either, and whether the user takes it for a label map.
    pub(super) unclear: Vec<(PathBuf, bool)>,
}

impl Sorted {
    /// With what was unclear as the user takes it.
    pub(super) fn decided(mut self) -> Self {
        for (file, is_labels) in std::mem::take(&mut self.unclear) {
            if is_labels { &mut self.labels } else { &mut self.images }.push(file);
        }
        self.images.sort();
        self
    }
}

/// Tells images and label maps apart by their voxels.
///
/// # Errors
/// Files that cannot be read: then none is opened.
pub(super) fn sort(mut files: Vec<PathBuf>) -> Result<Sorted, String> {
    files.sort();
    let mut sorted = Sorted::default();
    let mut faults = Vec::new();
    for path in files {
        // Contours have no voxels before they lie over an image.
        let found = if is_structure_set(&path) { Ok(Content::Labels) } else { file::read(&path).map(|scan| content(&scan)) };
        match found {
            Ok(Content::Image | Content::Unclear) if is_entropy(&path) || is_probabilities(&path) => sorted.maps.push(path),
            Ok(Content::Image) => sorted.images.push(path),
            Ok(Content::Labels) => sorted.labels.push(path),
            Ok(Content::Unclear) => sorted.unclear.push((path, true)),
            Err(error) => faults.push(error.to_string()),
        }
    }
    if faults.is_empty() { Ok(sorted) } else { Err(format!("Nothing was opened: {}", faults.join("\n"))) }
}

#[test]
fn what_is_dropped_is_known_by_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (within, file) in [("run", "config.ron"), ("run", "checkpoint.json"), ("best", "checkpoint.json"), ("data", "dataset.json")] {
        std::fs::create_dir_all(at(within)).unwrap();
        std::fs::write(at(within).join(file), "{}").unwrap();
    }
    std::fs::create_dir(at("scans")).unwrap();
    (["IM1", "IM2"].iter()).for_each(|name| std::fs::write(at("scans").join(name), [&[0; 128][..], b"DICM"].concat()).unwrap());
    ["c.img", "c.hdr"].iter().for_each(|file| std::fs::write(at(file), "").unwrap());
    for (paths, expected) in [
        (vec![at("run")], Dropped::Run(at("run"))),
        (vec![at("best")], Dropped::Checkpoint(at("best"))),
        (vec![folder.path().to_owned()], Dropped::Checkpoint(folder.path().to_owned())),
        (vec![at("data")], Dropped::Dataset(at("data"))),
        (vec![at("x.txt")], Dropped::Unknown(at("x.txt"))),
        (vec![at("scans")], Dropped::Folder(at("scans"))),
        (vec![at("scans/IM1")], Dropped::Volumes(vec![at("scans/IM1")])),
        (vec![at("scans/IM1"), at("scans/IM2")], Dropped::Folder(at("scans"))),
        (vec![at("a.nii"), at("notes.txt"), at("B.NII.gz")], Dropped::Volumes(vec![at("B.NII.gz"), at("a.nii")])),
        // Two files of one image.
        (vec![at("c.img"), at("c.hdr")], Dropped::Volumes(vec![at("c.hdr")])),
    ] {
        assert_eq!(dropped(&paths), expected);
    }
}
