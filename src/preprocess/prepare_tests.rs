use super::*;
use crate::config::{DataSource, SyntheticConfig};

fn dataset(cases: usize) -> (Dataset, Vec<String>) {
    let dataset = Dataset::open(&DataSource::Synthetic(SyntheticConfig { cases, shape: [10, 12, 14], channels: 2, labels: 1 })).unwrap();
    let names = dataset.cases.iter().map(|case| case.name.clone()).collect();
    (dataset, names)
}

#[test]
fn what_is_prepared_stays_when_the_work_is_stopped_and_is_taken_by_the_next() {
    let (dataset, names) = dataset(6);
    let folder = tempfile::tempdir().unwrap();
    let config = PreprocessConfig::default();
    // No memory to speak of: one case at a time.
    let preparation = Preparation { dataset: &dataset, config: &config, folder: Some(folder.path()), memory: Some(1) };
    assert!(preparation.found(&names).is_empty());
    // Asked before and after each case: the third is not begun.
    let stopped = preparation.prepare_while(&names, &|done, all| {
        assert_eq!(all, 6);
        done < 2
    });
    assert!(stopped.unwrap().is_none());
    let found = preparation.found(&names);
    assert_eq!(found.keys().collect::<Vec<_>>(), names[..2].iter().collect::<Vec<_>>());
    let all = preparation.prepare_while(&names, &|_, _| true).unwrap().unwrap();
    assert_eq!(all.iter().map(PreparedCase::name).collect::<Vec<_>>(), names);
    let in_memory = prepare(&dataset, &names, &config, None, &|_, _| ()).unwrap();
    for (case, other) in all.iter().zip(&in_memory) {
        assert_eq!(case.load().unwrap(), other.load().unwrap());
    }
}

#[test]
fn the_size_on_disk_is_known_before_and_refused_where_it_has_no_room() {
    let (dataset, names) = dataset(3);
    let folder = tempfile::tempdir().unwrap();
    for spacing_mm in [None, Some([0.5, 1.0, 2.0])] {
        let config = PreprocessConfig { spacing_mm, crop_foreground: false, ..PreprocessConfig::default() };
        let preparation = Preparation { dataset: &dataset, config: &config, folder: Some(folder.path()), memory: None };
        let needs = preparation.needs(&names);
        let cases = preparation.prepare_while(&names, &|_, _| true).unwrap().unwrap();
        let voxels: usize = cases.iter().map(|case| case.grid().len()).sum();
        assert_eq!((needs.cases, needs.disk_bytes), (3, 9 * voxels as u64), "two channels and a label map");
        assert!(needs.memory_bytes >= needs.disk_bytes / 3 * COPIES);
        assert_eq!(needs.require_within(Some(needs.disk_bytes), folder.path()), Ok(Some(needs.disk_bytes)));
        let error = needs.require_within(Some(needs.disk_bytes - 1), folder.path()).unwrap_err().to_string();
        assert!(error.contains("KiB free") && error.contains("SIMTROT_CACHE"), "{error}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_ends_the_work_at_once() {
    let (dataset, names) = dataset(200);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    std::fs::write(&file, "no folder").unwrap();
    let config = PreprocessConfig::default();
    let preparation = Preparation { dataset: &dataset, config: &config, folder: Some(&file), memory: Some(1) };
    let DataErrors(errors) = preparation.prepare_while(&names, &|_, _| true).unwrap_err();
    assert!(matches!(errors.as_slice(), [error] if matches!(error.fault, Fault::Unwritable(_))), "{errors:?}");
}
