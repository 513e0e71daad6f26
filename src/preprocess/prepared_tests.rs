use super::*;
use crate::config::PreprocessConfig;
use crate::preprocess::cache;
use crate::preprocess::prepare_one;
use crate::volume::{CaseFiles, LabelMap, LoadedCase, Scan, SourceHeader};

/// Two channels of distinct intensities and labels 0 to 2, prepared, whole.
fn case(labelled: bool) -> Case {
    let grid = Grid::axis_aligned([5, 7, 6], [1.0; 3]);
    let volume = Volume { channels: 2, grid: grid.clone(), voxels: (0..420).map(|voxel| voxel as f32 * 0.37 - 3.0).collect() };
    let image = Scan { file: "one.nii".into(), header: SourceHeader::for_grid(&grid), volume, notes: Vec::new() };
    let label =
        labelled.then(|| LabelMap { grid: grid.clone(), voxels: (0..210).map(|voxel| [0, 0, 1, 0, 2, 1, 0][voxel * 5 % 7]).collect() });
    let config = PreprocessConfig { crop_foreground: false, ..PreprocessConfig::default() };
    prepare_one("one", LoadedCase { image, label }, &[0, 1, 2], &config).unwrap()
}

fn files() -> CaseFiles {
    CaseFiles { name: "one".to_owned(), images: Vec::new(), label: None, fold: None }
}

#[test]
fn crops_read_from_disk_are_those_of_the_arrays() {
    let folder = tempfile::tempdir().unwrap();
    for labelled in [true, false] {
        let case = case(labelled);
        let key = format!("labelled {labelled}");
        let stored = cache::store(folder.path(), &key, &case).unwrap();
        let opened = cache::open(folder.path(), &key, &files()).unwrap();
        let Case { image, label, .. } = &case;
        for prepared in [stored, opened, PreparedCase::in_memory(&case)] {
            assert_eq!(prepared.load().unwrap(), case);
            assert_eq!((prepared.name(), prepared.channels(), prepared.grid()), ("one", 2, &image.grid));
            assert_eq!((prepared.is_labelled(), prepared.background()), (labelled, &image.minima()[..]));
            for (start, size) in [([0, 0, 0], [5, 7, 6]), ([1, 2, 3], [2, 3, 2]), ([-2, 3, -1], [9, 6, 8]), ([3, -4, 2], [4, 5, 3])] {
                let of = VoxelBox::at(start, size);
                let mut expected = vec![0.0; 2 * of.len()];
                of.cut_padded(&image.voxels, image.grid.shape, prepared.background(), &mut expected);
                let mut crop = vec![f32::NAN; 2 * of.len()];
                prepared.cut_image(&of, &mut crop).unwrap();
                assert_eq!(crop, expected, "{start:?}");
                let Some(label) = label else { continue };
                let mut expected = vec![9; of.len()];
                of.cut_padded(label, image.grid.shape, &[0], &mut expected);
                let mut crop = vec![9; of.len()];
                prepared.cut_label(&of, &mut crop).unwrap();
                assert_eq!(crop, expected, "{start:?}");
            }
            for class in prepared.classes() {
                let found: Vec<usize> = (0..class.count()).map(|number| prepared.voxel(class, number).unwrap()).collect();
                let expected = label.iter().flatten().enumerate().filter(|(_, label)| **label == class.class);
                assert_eq!(found, expected.map(|(place, _)| place).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_prepared_case_that_is_gone_is_told_by_name_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(true);
    let stored = cache::store(folder.path(), "key", &case).unwrap();
    let file = folder.path().join("key.case");
    let of = VoxelBox::at([0; 3], [5, 7, 6]);
    let told = || stored.cut_label(&of, &mut vec![0; of.len()]).unwrap_err().to_string();
    File::options().write(true).open(&file).unwrap().set_len(1000).unwrap();
    assert!(told().contains("key.case") && told().contains("one ("), "{}", told());
    std::fs::remove_file(&file).unwrap();
    assert!(told().contains("Start the same command again"), "{}", told());
    assert!(stored.load().is_err() && stored.voxel(&stored.classes()[0], 0).is_err());
}
