//! Datasets from disk: every layout is understood, everything wrong is reported at once, the cache is used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::json;
use simtrot::config::{DataConfig, DataSource, Intensity, NonFinite, PreprocessConfig, SplitConfig, SyntheticConfig};
use simtrot::infer::export::to_source;
use simtrot::preprocess::{Case, prepare, prepare_one};
use simtrot::volume::check::{CheckReport, inspect};
use simtrot::volume::{DataErrors, Dataset, Fault, LoadedCase, Split, VolumeSource, load_image, nifti};

use crate::volumes::Folder;

const SHAPE: [usize; 3] = [5, 6, 7];

/// Three labels in turn.
fn label(folder: &Folder, name: &str) {
    folder.labels_with(name, &folder.grid, |index| (index % 3) as u16);
}

fn names(dataset: &Dataset) -> Vec<&str> {
    dataset.cases.iter().map(|case| case.name.as_str()).collect()
}

/// A Decathlon folder in which each case but `good` has one thing wrong with it.
fn troubled() -> (Folder, Dataset) {
    let folder = Folder::new(SHAPE);
    let cases =
        ["good", "missing", "shape", "place", "channels", "unknown", "fraction", "nan", "constant", "cut", "header", "twice", "text"];
    for case in cases {
        folder.image(&format!("imagesTr/{case}.nii"), 0, 1);
        label(&folder, &format!("labelsTr/{case}.nii.gz"));
    }
    std::fs::remove_file(folder.at("labelsTr/missing.nii.gz")).expect("a file made before");
    folder.labels_with("labelsTr/shape.nii.gz", &Folder::new([5, 7, 6]).grid, |_| 1);
    let mut moved = folder.grid.clone();
    moved.world_from_voxel[0][3] = 0.06;
    folder.labels_with("labelsTr/place.nii.gz", &moved, |_| 1);
    folder.image_with("imagesTr/channels.nii", &folder.grid, 2, |index| index as f32);
    folder.labels_with("labelsTr/unknown.nii.gz", &folder.grid, |index| if index == 9 { 77 } else { 0 });
    folder.image_with("labelsTr/fraction.nii.gz", &folder.grid, 1, |index| if index == 50 { 1.5 } else { 1.0 });
    folder.image_with("imagesTr/nan.nii", &folder.grid, 1, |index| if index > 200 { f32::NAN } else { index as f32 });
    folder.image_with("imagesTr/constant.nii", &folder.grid, 1, |_| 4.0);
    folder.damage("labelsTr/cut.nii.gz", |bytes| bytes.truncate(bytes.len() - 12));
    folder.damage("imagesTr/header.nii", |bytes| bytes[42..44].copy_from_slice(&(-7_i16).to_le_bytes()));
    folder.text("imagesTr/text.nii", "not a volume at all");
    let entry = |case: &&str| json!({ "image": format!("./imagesTr/{case}.nii"), "label": format!("./labelsTr/{case}.nii.gz") });
    let mut training: Vec<_> = cases.iter().map(entry).collect();
    training.push(json!({ "image": "./imagesTr/../../elsewhere/outside.nii", "label": "./labelsTr/good.nii.gz" }));
    let list = json!({
        "name": "troubled",
        "modality": { "0": "MRI" },
        "labels": { "0": "background", "1": "one", "2": "two" },
        "training": training,
        "test": ["./imagesTr/twice.nii"],
    });
    folder.text("dataset.json", list.to_string());
    let dataset = folder.dataset();
    (folder, dataset)
}

#[test]
fn a_check_reports_everything_wrong_at_once() {
    let (folder, dataset) = troubled();
    let calls = Mutex::new(Vec::new());
    let report = inspect(&dataset, Default::default(), &|done, all| calls.lock().expect("no panic").push((done, all)));
    let mut calls = calls.into_inner().expect("no panic");
    calls.sort_unstable();
    assert_eq!(calls, (1..=14).map(|done| (done, 14)).collect::<Vec<_>>());

    let found: BTreeMap<&str, &simtrot::volume::DataError> =
        report.problems.iter().map(|problem| (problem.case.as_deref().expect("of a case"), &problem.error)).collect();
    assert_eq!(found.len(), report.problems.len(), "one problem each:\n{report}");
    let expect = |case: &str, file: &str, fits: fn(&Fault) -> bool| {
        let error = found.get(case).unwrap_or_else(|| panic!("{case} is not reported:\n{report}"));
        assert!(error.file.ends_with(file), "{case}: {error}");
        assert!(fits(&error.fault), "{case}: {error}");
        assert!(!error.fault.remedy().is_empty() && error.to_string().contains(error.fault.remedy()), "{case}: {error}");
    };
    expect("missing", "labelsTr/missing.nii.gz", |fault| matches!(fault, Fault::Missing));
    expect("shape", "labelsTr/shape.nii.gz", |fault| matches!(fault, Fault::Shape { found: [5, 7, 6], expected: SHAPE, .. }));
    expect("place", "labelsTr/place.nii.gz", |fault| matches!(fault, Fault::Place { tolerance_mm, .. } if *tolerance_mm == 0.05));
    expect("channels", "imagesTr/channels.nii", |fault| matches!(fault, Fault::Channels { found: 2, expected: 1 }));
    expect("unknown", "labelsTr/unknown.nii.gz", |fault| matches!(fault, Fault::UnknownLabel { found, .. } if found == &[77]));
    expect("fraction", "labelsTr/fraction.nii.gz", |fault| matches!(fault, Fault::FractionalLabel { voxels: 1, at: [1, 1, 1], .. }));
    expect("nan", "imagesTr/nan.nii", |fault| matches!(fault, Fault::NotFinite { voxels: 9, at: [4, 4, 5] }));
    expect("constant", "imagesTr/constant.nii", |fault| matches!(fault, Fault::Constant { channel: 0, value: 4.0 }));
    expect("cut", "labelsTr/cut.nii.gz", |fault| matches!(fault, Fault::Gzip { .. }));
    expect("header", "imagesTr/header.nii", |fault| matches!(fault, Fault::Header { field, .. } if field.ends_with("(dim[1])")));
    expect("text", "imagesTr/text.nii", |fault| matches!(fault, Fault::NotNifti(..)));
    expect("twice", "imagesTr/twice.nii", |fault| matches!(fault, Fault::ListedTwice(2)));
    expect("outside", "elsewhere/outside.nii", |fault| matches!(fault, Fault::Outside(..)));
    assert_eq!(report.unusable().len(), 13);
    assert!(!report.unusable().contains("good"));
    drop(folder);
}

#[test]
fn preparing_gathers_all_errors_and_goes_on_without_bad_cases() {
    let (_folder, dataset) = troubled();
    let all: Vec<String> = names(&dataset).into_iter().map(str::to_owned).collect();
    let config = PreprocessConfig::default();
    let DataErrors(errors) = prepare(&dataset, &all, &config, None, &|_, _| ()).expect_err("a troubled dataset");
    let report = inspect(&dataset, Default::default(), &|_, _| ());
    assert_eq!((errors.len(), report.problems.len()), (13, 13), "all that a check finds: {}", DataErrors(errors));
    let unusable = report.unusable();
    let usable = dataset.without(&unusable);
    assert_eq!(names(&usable), ["good"]);
    let case = prepare(&usable, &["good".to_owned()], &config, None, &|_, _| ()).expect("a good case").remove(0);
    let case = case.load().expect("a case that is there");
    assert_eq!(case.label.as_ref().map(Vec::len), Some(case.image.grid.len()));
}

#[test]
fn the_report_fits_a_terminal_and_survives_json() {
    let (_folder, dataset) = troubled();
    let report = inspect(&dataset, Default::default(), &|_, _| ());
    let text = report.to_string();
    println!("{text}");
    let table = text.lines().take_while(|line| !line.contains("problems;"));
    assert!(table.clone().all(|line| line.chars().count() <= 100), "{text}");
    let rows = table.filter(|line| names(&dataset).iter().any(|name| line.starts_with(&format!(" {name} "))));
    assert_eq!(rows.count(), 14, "one line for each case\n{text}");
    let json = serde_json::to_string(&report).expect("plain data");
    assert_eq!(serde_json::from_str::<CheckReport>(&json).expect("the same"), report);
}

#[test]
fn a_sheared_grid_is_noted_and_accepted() {
    let folder = Folder::new(SHAPE);
    let mut sheared = folder.grid.clone();
    sheared.world_from_voxel[0][1] = 0.2;
    folder.image_with("imagesTr/one.nii.gz", &sheared, 1, |index| index as f32);
    folder.labels_with("labelsTr/one.nii.gz", &sheared, |index| u16::from(index > 99));
    let dataset = folder.dataset();
    let report = inspect(&dataset, Default::default(), &|_, _| ());
    assert_eq!(report.problems, []);
    assert!(report.rows[0].notes[0].contains("right angles"), "{report}");
    let config = PreprocessConfig { spacing_mm: Some([1.0; 3]), ..PreprocessConfig::default() };
    let case = prepare(&dataset, &["one".to_owned()], &config, None, &|_, _| ()).expect("a good case").remove(0);
    assert!((case.grid().shear() - sheared.shear()).abs() < 1e-6, "the axes are not turned");
}

#[test]
fn nnunet_folders_are_paired_by_their_suffixes() {
    let folder = Folder::new(SHAPE);
    for case in ["a_001", "b_002"] {
        folder.image(&format!("imagesTr/{case}_0000.nii.gz"), 0, 1);
        folder.image(&format!("imagesTr/{case}_0001.nii.gz"), 0, 1);
        label(&folder, &format!("labelsTr/{case}.nii.gz"));
    }
    folder.image("imagesTr/half_0000.nii.gz", 0, 1);
    folder.image("imagesTs/new_0000.nii.gz", 0, 1);
    folder.image("imagesTs/new_0001.nii.gz", 0, 1);
    label(&folder, "labelsTr/stray.nii.gz");
    let list = json!({
        "channel_names": { "0": "T1", "1": "T2" },
        "labels": { "background": 0, "first": 1, "second": 2 },
        "numTraining": 2,
        "file_ending": ".nii.gz",
    });
    folder.text("dataset.json", list.to_string());
    let dataset = folder.dataset();
    assert_eq!(names(&dataset), ["a_001", "b_002", "half", "new"]);
    assert_eq!(dataset.channels, ["T1", "T2"]);
    assert_eq!(dataset.label_values(), [0, 1, 2]);
    assert_eq!(dataset.load(&dataset.cases[0], Default::default()).expect("a good case").image.volume.channels, 2);
    let report = inspect(&dataset, Default::default(), &|_, _| ());
    let has = |case: Option<&str>, file: &str, fits: fn(&Fault) -> bool| {
        let found = report.problems.iter().any(|p| p.case.as_deref() == case && p.error.file.ends_with(file) && fits(&p.error.fault));
        assert!(found, "{file}:\n{report}");
    };
    has(Some("half"), "half_0001.nii.gz", |fault| matches!(fault, Fault::Missing));
    has(Some("half"), "half_0000.nii.gz", |fault| matches!(fault, Fault::Unpaired { missing, .. } if missing == "label"));
    has(None, "stray.nii.gz", |fault| matches!(fault, Fault::Unpaired { missing, .. } if missing == "image"));
    assert_eq!(report.problems.len(), 3, "{report}");
    assert_eq!(report.unusable().into_iter().collect::<Vec<_>>(), ["half"]);
}

#[test]
fn monai_lists_have_folds_and_one_file_for_each_channel() {
    let folder = Folder::new(SHAPE);
    let mut training = Vec::new();
    for number in 0..4 {
        let files = ["flair", "t1"].map(|channel| format!("P{number}/P{number}_{channel}.nii.gz"));
        files.iter().for_each(|file| folder.image_with(file, &folder.grid, 1, |index| ((index + number) * 37 % 101) as f32));
        label(&folder, &format!("P{number}/P{number}_seg.nii.gz"));
        training.push(json!({ "image": files, "label": format!("P{number}/P{number}_seg.nii.gz"), "fold": number % 2 }));
    }
    folder.image("unseen/scan.nii.gz", 0, 1);
    let list = json!({ "training": training, "testing": [{ "image": "unseen/scan.nii.gz" }] });
    let list = folder.text("brats.json", list.to_string());
    let dataset = Dataset::open(&DataSource::Dataset(list)).expect("a MONAI list");
    assert_eq!(names(&dataset), ["P0", "P1", "P2", "P3", "scan"]);
    assert_eq!(dataset.channels.len(), 2);
    assert_eq!(dataset.label_values(), [0, 1, 2], "found in the files");
    let config = DataConfig { split: SplitConfig::Folds { folds: 2, fold: 1 }, ..DataConfig::default() };
    let split = Split::draw(&dataset, &config, 0).expect("a split");
    assert_eq!(split.test, ["P1", "P3"]);
    assert_eq!(split.pretrain, ["P0", "P2", "scan"]);
}

#[test]
fn two_folders_make_a_dataset_and_labels_may_lack() {
    let folder = Folder::new(SHAPE);
    for case in ["scan_0000", "scan_0001", "scan_0002"] {
        folder.image(&format!("images/{case}.nii.gz"), 0, 1);
    }
    folder.image("images/._scan_0000.nii.gz", 0, 1);
    folder.labels_with("labels/scan_0001.nii", &folder.grid, |index| if index == 3 { 52 } else { 0 });
    let source = DataSource::Folders { images: folder.at("images"), labels: Some(folder.at("labels")) };
    let dataset = Dataset::open(&source).expect("two folders");
    assert_eq!(names(&dataset), ["scan_0000", "scan_0001", "scan_0002"], "a label tells that the digits number cases");
    assert_eq!(dataset.label_values(), [0, 52]);
    assert_eq!(dataset.findings, []);
    let config = PreprocessConfig { crop_foreground: false, ..PreprocessConfig::default() };
    let case = prepare(&dataset, &["scan_0001".to_owned()], &config, None, &|_, _| ()).expect("a good case").remove(0);
    let label = case.load().expect("a case that is there").label.expect("a label");
    assert_eq!(label.iter().filter(|&&class| class == 1).count(), 1, "52 is class 1");
}

#[test]
fn what_is_no_dataset_is_refused_with_its_reason() {
    let folder = Folder::new(SHAPE);
    let refuse = |list: serde_json::Value| {
        let list = folder.text("list.json", list.to_string());
        Dataset::open(&DataSource::Dataset(list)).expect_err("no dataset").to_string()
    };
    assert!(refuse(json!([1, 2])).contains("JSON object"));
    assert!(refuse(json!({ "training": [] })).contains("names no case"));
    assert!(refuse(json!({ "training": [{ "image": 5 }] })).contains("`training[0].image` is 5"));
    assert!(refuse(json!({ "labels": { "0": "background" } })).contains("training"));
    let empty = Dataset::open(&DataSource::Dataset(folder.at(""))).expect_err("an empty folder");
    assert!(empty.to_string().contains("dataset.json"), "{empty}");
    assert!(Dataset::open(&DataSource::Dataset(folder.at("nowhere"))).is_err());
}

/// Prepares one case, or takes it from the cache.
fn prepared(dataset: &Dataset, config: &PreprocessConfig, cache: &Path) -> Case {
    prepare(dataset, &["one".to_owned()], config, Some(cache), &|_, _| ())
        .expect("a good case")
        .remove(0)
        .load()
        .expect("a case that is there")
}

#[test]
fn a_second_run_reads_the_cache_and_a_change_does_not() {
    let folder = Folder::new(SHAPE);
    folder.image("imagesTr/one.nii.gz", 0, 1);
    label(&folder, "labelsTr/one.nii.gz");
    let dataset = folder.dataset();
    let cache = folder.at("cache");
    let entries = || {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(&cache).expect("a cache").map(|entry| entry.expect("an entry").path()).collect();
        entries.sort();
        entries
    };
    let config = PreprocessConfig { spacing_mm: Some([1.7, 0.9, 0.7]), ..PreprocessConfig::default() };
    let first = prepared(&dataset, &config, &cache);
    assert_eq!(prepared(&dataset, &config, &cache), first);
    let [entry] = entries().try_into().expect("one entry");

    // An entry of long ago that is taken keeps its time.
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let written = || std::fs::metadata(&entry).and_then(|entry| entry.modified()).expect("an entry");
    let age = || std::fs::File::options().append(true).open(&entry).and_then(|entry| entry.set_modified(long_ago)).expect("an entry");
    age();
    let aged = written();
    assert_eq!((prepared(&dataset, &config, &cache), written()), (first.clone(), aged));
    // One that is changed by a bit, or cut short, is made anew.
    let whole = std::fs::read(&entry).expect("an entry");
    let mut marked = whole.clone();
    marked[whole.len() / 2] ^= 1;
    for damaged in [&marked, &whole[..whole.len() - 1], &[]] {
        std::fs::write(&entry, damaged).expect("a writable cache");
        assert_eq!(prepared(&dataset, &config, &cache), first);
        assert!(std::fs::read(&entry).expect("an entry") == whole, "{} bytes of {} were taken", damaged.len(), whole.len());
    }

    let other = PreprocessConfig { intensity: Intensity::CT, ..config.clone() };
    assert_ne!(prepared(&dataset, &other, &cache).image, first.image);
    assert_eq!(entries().len(), 2, "another setting, another entry");
    folder.labels_with("labelsTr/one.nii.gz", &folder.grid, |index| (index % 2) as u16);
    let dataset = folder.dataset();
    assert_ne!(prepared(&dataset, &config, &cache).label, first.label);
    assert_eq!(entries().len(), 3, "another file, another entry");
}

#[test]
fn the_demo_goes_the_whole_way_to_a_written_segmentation() {
    let dataset = Dataset::open(&DataSource::Demo).expect("the demo");
    let config = DataConfig { split: SplitConfig::Demo, ..DataConfig::default() };
    let split = Split::draw(&dataset, &config, 0).expect("the demo's split");
    assert_eq!([split.pretrain.len(), split.finetune.len(), split.test.len()], [28, 10, 12]);
    let report = inspect(&dataset, Default::default(), &|_, _| ());
    assert_eq!(report.problems, [], "{report}");
    let folder = Folder::new(SHAPE);
    for case in prepare(&dataset, &split.test, &config.preprocess, None, &|_, _| ()).expect("good cases") {
        let case = case.load().expect("a case that is there");
        let loaded = dataset.load(dataset.case(&case.name).expect("a test case"), Default::default()).expect("a good case");
        let file = folder.at(&format!("{}.nii.gz", case.name));
        let label = case.label.expect("test cases have labels");
        let record = &case.preprocess_record;
        nifti::write_labels(&file, &to_source(label, record, &dataset.label_values()), &record.header).expect("a writable folder");
        let written = nifti::read(&file).expect("our own file");
        assert_eq!(written.volume.grid, loaded.image.volume.grid);
        let truth = loaded.label.expect("test cases have labels");
        // The foreground box may cut a voxel of the border away, never one that carries a label in these cases.
        assert!(written.volume.voxels.iter().zip(&truth.voxels).all(|(&a, &b)| a == f32::from(b)), "{}", case.name);
    }
}

#[test]
fn an_image_outside_any_dataset_is_prepared_alike() {
    let folder = Folder::new(SHAPE);
    folder.image("t1.nii.gz", 0, 1);
    folder.image("t2.nii.gz", 0, 1);
    let load = |names: &[&str]| {
        let images: Vec<_> = names.iter().map(|name| VolumeSource::File(folder.at(name))).collect();
        load_image(&images, None, Some(NonFinite::Refuse))
    };
    let image = load(&["t1.nii.gz", "t2.nii.gz"]).expect("two channels");
    let case = prepare_one("new", LoadedCase { image, label: None }, &[0, 1], &PreprocessConfig::default()).expect("no label");
    assert_eq!((case.image.channels, case.label), (2, None));
    folder.image_with("t2.nii.gz", &Folder::new([5, 6, 6]).grid, 1, |index| index as f32);
    let DataErrors(errors) = load(&["t1.nii.gz", "t2.nii.gz", "t3.nii.gz"]).expect_err("two faults");
    assert!(matches!(errors.as_slice(), [first, second] if matches!(first.fault, Fault::Shape { .. }) && second.fault == Fault::Missing));
}

#[test]
fn synthetic_cases_are_prepared_and_cached_like_files() {
    let dataset =
        Dataset::open(&DataSource::Synthetic(SyntheticConfig { shape: [10, 12, 14], ..SyntheticConfig::default() })).expect("synthetic");
    let cache = Folder::new(SHAPE);
    let all: Vec<String> = names(&dataset).into_iter().map(str::to_owned).collect();
    let run = || {
        let cases = prepare(&dataset, &all, &PreprocessConfig::default(), Some(&cache.at("")), &|_, _| ()).expect("good cases");
        cases.iter().map(|case| case.load().expect("a case that is there")).collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(first.len(), 8);
    assert_eq!(run(), first);
    assert_eq!(std::fs::read_dir(cache.at("")).expect("a cache").count(), 8);
}
