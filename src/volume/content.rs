//! Keys of what volumes hold: equal content has equal keys, wherever it lies, however it is named or compressed.
//!
//! A file is read once; its keys are [`Remembered`] as long as it stays as it is, so that a large dataset isn't read again at each start.

use std::path::PathBuf;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::remembered::{Remembered, SETTLED};
use super::{CaseFiles, DataError, DataErrors, Grid, Scan, VolumeSource, file as volume_file, synthetic};
use crate::digest;

/// Part of every key. Its number is raised whenever a key of the same content would be another.
const VERSION: &str = "simtrot content 1";

/// Voxels hashed at a time.
const BLOCK: usize = 1 << 14;

/// Keys of one volume (SHA-256, as hexadecimal digits), and where its voxels lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Of its header, grid and voxels.
    pub whole: String,
    /// Of each channel's shape and voxels alone: equal for one scan whatever its header says.
    pub channels: Vec<String>,
    /// Its grid, so that sizes are known without another look at the file.
    pub grid: Grid,
}

/// What a volume holds, remembered or read.
///
/// # Errors
/// A file that cannot be read.
pub fn of(source: &VolumeSource) -> Result<Content, DataError> {
    match source {
        VolumeSource::File(_) | VolumeSource::Series { .. } | VolumeSource::Contours { .. } => {
            let memory = files(source).and_then(|files| Remembered::of(VERSION, &files, SETTLED));
            if let Some(known) = memory.as_ref().and_then(Remembered::recall) {
                return Ok(known);
            }
            let content = of_scan(&source.read().map_err(DataErrors::into_first)?);
            if let Some(memory) = memory {
                memory.keep(&content);
            }
            Ok(content)
        }
        VolumeSource::Embedded { .. } => Ok(of_scan(&source.read().map_err(DataErrors::into_first)?)),
        // Settings and case number decide every voxel, so that nothing need be made.
        VolumeSource::Synthetic { config, .. } => {
            let whole = digest::finish(Sha256::new_with_prefix(format!("{VERSION} {} {source:?}", synthetic::VERSION)));
            let channels = (0..config.channels).map(|channel| format!("{whole}/{channel}")).collect();
            Ok(Content { whole, channels, grid: synthetic::grid(config) })
        }
    }
}

/// The files that decide what a volume holds: of contours also those of their image.
fn files(source: &VolumeSource) -> Option<Vec<PathBuf>> {
    match source {
        VolumeSource::Series { files, .. } => Some(files.clone()),
        VolumeSource::Contours { file, image } => Some([vec![file.clone()], files(image)?].concat()),
        _ => volume_file::files(&source.file()).ok(),
    }
}

/// Key of everything that a case holds: images in order, and the label map if there is one. Its name and place don't count.
///
/// # Errors
/// A file that cannot be read.
pub fn case_key(case: &CaseFiles) -> Result<String, DataError> {
    let mut hash = Sha256::new_with_prefix(VERSION);
    for (role, source) in case.images.iter().map(|image| ("image", image)).chain(case.label.iter().map(|label| ("label", label))) {
        hash.update(role);
        hash.update(of(source)?.whole);
    }
    Ok(digest::finish(hash))
}

/// [`case_key`] of many cases, in their order.
///
/// # Errors
/// Files that cannot be read, all at once.
pub fn case_keys(cases: &[&CaseFiles]) -> Result<Vec<String>, DataErrors> {
    DataErrors::gather(cases.par_iter().map(|case| case_key(case)).collect::<Vec<_>>())
}

/// Key of a case's image alone, channel by channel and without its headers, so that one scan under two names is found
/// even where it was stored otherwise.
///
/// # Errors
/// A file that cannot be read.
pub fn image_key(case: &CaseFiles) -> Result<String, DataError> {
    let mut hash = Sha256::new_with_prefix(VERSION);
    for image in &case.images {
        of(image)?.channels.iter().for_each(|channel| hash.update(channel));
    }
    Ok(digest::finish(hash))
}

/// What a volume holds that is in memory.
pub fn of_scan(scan: &Scan) -> Content {
    let grid = &scan.volume.grid;
    let channel = |voxels: &[f32]| {
        let mut hash = Sha256::new_with_prefix(format!("{VERSION} {:?}", grid.shape));
        for block in voxels.chunks(BLOCK) {
            hash.update(block.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
        digest::finish(hash)
    };
    let channels: Vec<String> = scan.volume.voxels.chunks(grid.len().max(1)).map(channel).collect();
    let mut whole = Sha256::new_with_prefix(VERSION);
    whole.update(scan.header.as_bytes());
    whole.update(format!("{grid:?}"));
    channels.iter().for_each(|channel| whole.update(channel));
    Content { whole: digest::finish(whole), channels, grid: grid.clone() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::volume::nifti::{write_labels, write_volume};
    use crate::volume::{Grid, LabelMap, SourceHeader, Volume};

    fn image(file: &Path, grid: &Grid, value: impl Fn(usize) -> f32) -> VolumeSource {
        let volume = Volume { channels: 1, grid: grid.clone(), voxels: (0..grid.len()).map(value).collect() };
        write_volume(file, &volume, &SourceHeader::for_grid(grid)).expect("a writable folder");
        VolumeSource::File(file.to_owned())
    }

    fn case(name: &str, image: VolumeSource, label: Option<VolumeSource>) -> CaseFiles {
        CaseFiles { name: name.to_owned(), images: vec![image], label, fold: None }
    }

    #[test]
    fn a_case_is_known_by_its_voxels_whatever_its_name_and_compression() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let grid = Grid::axis_aligned([3, 4, 5], [2.0, 1.0, 1.0]);
        let ramp = |index| index as f32;
        let [plain, packed] = ["a.nii", "b.nii.gz"].map(|name| case(name, image(&at(name), &grid, ramp), None));
        let key = case_key(&plain).expect("a good file");
        assert_eq!(case_key(&packed).expect("a good file"), key);

        let other = case("a.nii", image(&at("c.nii"), &grid, |index| if index == 59 { 0.0 } else { index as f32 }), None);
        assert_ne!(case_key(&other).expect("a good file"), key, "one voxel differs");
        let mut moved = grid.clone();
        moved.world_from_voxel[0][3] = 3.0;
        let moved = case("a.nii", image(&at("d.nii"), &moved, ramp), None);
        assert_ne!(case_key(&moved).expect("a good file"), key, "it lies elsewhere");
        assert_eq!(image_key(&moved).expect("a good file"), image_key(&plain).expect("a good file"), "one scan under another header");
        assert_ne!(image_key(&other).expect("a good file"), image_key(&plain).expect("a good file"));

        let labels = LabelMap { grid: grid.clone(), voxels: vec![1; grid.len()] };
        write_labels(&at("label.nii"), &labels, &SourceHeader::for_grid(&grid)).expect("a writable folder");
        let labelled = CaseFiles { label: Some(VolumeSource::File(at("label.nii"))), ..plain.clone() };
        let all = case_keys(&[&plain, &labelled, &other]).expect("good files");
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        assert_eq!(all[0], key);
    }

    #[test]
    fn a_file_replaced_under_its_path_has_another_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.nii");
        let grid = Grid::axis_aligned([3, 4, 5], [1.0; 3]);
        let old = SystemTime::now() - Duration::from_secs(3600);
        let key = |value: f32| {
            let case = case("a", image(&file, &grid, |index| value + index as f32), None);
            std::fs::File::options().append(true).open(&file).and_then(|file| file.set_modified(old)).expect("a time");
            [case_key(&case), case_key(&case)].map(|key| key.expect("a good file"))
        };
        let [first, again] = key(1.0);
        assert_eq!(first, again, "read or remembered");
        assert!(cfg!(not(unix)) || key(2.0)[0] != first, "of the same size and time of modification");
        std::fs::write(&file, "no volume").expect("a writable folder");
        assert!(case_key(&case("a", VolumeSource::File(file), None)).is_err());
    }
}
