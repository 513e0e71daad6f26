//! Saved corrections.

use std::path::Path;

use super::*;
use crate::edit::{Corrected, IfThere, corrected_file, save};
use crate::volume::label_table::LabelTable;
use crate::volume::segment::{Segment, Segments};
use crate::volume::segmentation::Subject;
use crate::volume::{Scan, SourceHeader, VolumeSource, file};

struct Saver {
    grid: Grid,
    classes: ClassVolume,
    header: SourceHeader,
    segments: Segments,
}

impl Saver {
    fn new() -> Self {
        let mut grid = Grid::axis_aligned([3, 4, 5], [2.5, 1.0, 0.75]);
        (grid.world_from_voxel[0][1], grid.world_from_voxel[2][3]) = (0.25, -17.5);
        let classes: Vec<u8> = (0..60).map(|index| [0, 0, 1, 2, 3][index % 5]).collect();
        let segment = |name: &str, colour| Segment { name: name.to_owned(), colour };
        let segments = Segments::from([(4, segment("left \"lung\"", [1, 2, 3])), (300, segment("aorta", [250, 0, 9]))]);
        Self { classes: ClassVolume::new(&classes, grid.shape), header: SourceHeader::for_grid(&grid), grid, segments }
    }

    fn save(&self, file: &Path, existing: IfThere) -> Result<String, String> {
        let image = [VolumeSource::File("scan.nii.gz".into())];
        let subject = Subject { header: &self.header, images: &image, segments: &self.segments, dataset: "" };
        save(file, &Corrected { classes: &self.classes, grid: &self.grid, values: &VALUES, subject: &subject }, existing)
    }

    fn is_in(&self, scan: &Scan) -> bool {
        let expected = self.classes.slices().flatten().map(|&class| f32::from(VALUES[usize::from(class)]));
        scan.volume.voxels.iter().copied().eq(expected) && scan.volume.grid.corner_distance_mm(&self.grid) < 1e-4
    }
}

#[test]
fn corrections_lie_beside_their_source_with_names_and_colours() {
    let folder = tempfile::tempdir().expect("a folder");
    let saver = Saver::new();
    for ending in [".nii.gz", ".nii", ".nrrd", ".mha", ".seg.nrrd"] {
        let folder = folder.path().join(&ending[1..]);
        std::fs::create_dir(&folder).expect("a writable folder");
        let target = corrected_file("case_7.nii.gz", ending, &folder);
        assert_eq!(target, folder.join(format!("case_7_corrected{ending}")));
        let said = saver.save(&target, IfThere::Refuse).expect("a writable folder");
        assert!(said.starts_with(&format!("Saved as {}.", target.display())), "{said}");
        assert_eq!(said.contains("case_7_corrected.label"), ending != ".seg.nrrd", "{said}");
        assert!(saver.is_in(&file::read(&target).expect("our own file")), "{ending}");
        let table = LabelTable::beside(&target).expect("a good table").expect("names");
        assert_eq!((table.entries[&300].name.as_deref(), table.entries[&300].colour), (Some("aorta"), [250, 0, 9]));
        let quoted = table.entries[&4].name.as_deref();
        assert_eq!(quoted, Some(if ending == ".seg.nrrd" { "left \"lung\"" } else { "left 'lung'" }));
    }
}

#[test]
fn nothing_is_ever_saved_over_a_file_unless_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let saver = Saver::new();
    std::fs::write(at("a_corrected.nii.gz"), "mine").expect("a writable folder");
    std::fs::write(at("a_corrected_2.label"), "mine").expect("a writable folder");
    let refused = saver.save(&at("a_corrected.nii.gz"), IfThere::Refuse).expect_err("it is there");
    assert!(refused.contains("a_corrected.nii.gz is there already"), "{refused}");
    let free = corrected_file("a.nii.gz", ".nii.gz", folder.path());
    assert_eq!(free, at("a_corrected_3.nii.gz"));
    assert_eq!(corrected_file("a_corrected_2.nii.gz", ".nii.gz", folder.path()), free, "of a correction, the next one");
    assert_eq!(corrected_file("a_corrected_late.nrrd", ".mha", folder.path()), at("a_corrected_late_corrected.mha"));
    assert_eq!(corrected_file("_corrected.nii", ".nii", folder.path()), at("_corrected_corrected.nii"));

    let said = saver.save(&at("a_corrected_2.nii.gz"), IfThere::Refuse).expect("a free name");
    assert!(said.contains("Names and colours were not saved") && said.contains("a_corrected_2.label"), "{said}");
    for name in ["a_corrected.nii.gz", "a_corrected_2.label"] {
        assert_eq!(std::fs::read(at(name)).expect("a file"), b"mine");
    }
    std::fs::write(at("b.zraw"), "mine").expect("a writable folder");
    std::fs::write(at("b.raw.gz"), "mine").expect("a writable folder");
    let refused = saver.save(&at("b.nhdr"), IfThere::Refuse).expect_err("the file of its voxels is there");
    assert!(refused.contains("b.raw.gz"), "{refused}");

    let said = saver.save(&at("a_corrected_2.nii.gz"), IfThere::Replace).expect("asked for");
    assert!(said.contains("were not saved") && std::fs::read(at("a_corrected_2.label")).expect("a file") == b"mine", "{said}");
    let mut later = Saver::new();
    later.segments.insert(4, Segment { name: "lung".to_owned(), colour: [1, 2, 3] });
    for label in [7, 8] {
        later.segments.insert(label, Segment { name: format!("node {label}"), colour: [7, 8, 9] });
        let said = later.save(&at("d.nii.gz"), IfThere::Replace).expect("asked for");
        assert!(said.contains("are in d.label"), "its own table goes on: {said}");
    }
    assert_eq!(LabelTable::read(&at("d.label")).expect("a table").entries.len(), 4);
    saver.save(&at("a_corrected.nii.gz"), IfThere::Replace).expect("asked for");
    assert!(saver.is_in(&file::read(&at("a_corrected.nii.gz")).expect("our own file")));
    assert!(saver.save(&at("c.txt"), IfThere::Replace).expect_err("no format").contains(".seg.nrrd"));
    let dicom = saver.save(&at("c.dcm"), IfThere::Refuse).expect_err("the image is no series");
    assert!(dicom.contains("DICOM series") && !at("c.dcm").exists(), "{dicom}");
}
