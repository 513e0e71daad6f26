//! Corrected cases into datasets of each kind, calls that are cut short, and a training that goes on with what came in.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use simtrot::config::DataSource;
use simtrot::corrections::{AddError, AddJob, Added, Change, Corrections, NewCase, Prediction, add};
use simtrot::experiment::ExperimentFolder;
use simtrot::volume::datalist::adding::Addition;
use simtrot::volume::{Dataset, SplitRecord, VolumeSource, nifti};

use crate::volumes::Folder;
use crate::{ends, refused, simtrot, succeed, training};

/// A list with an order of labels, a number and keys that a rewriting would lose.
const LIST: &str = r#"{
  "name": "small", "zeta": 1.50,
  "labels": {"0": "background", "2": "late", "1": "early"},
  "modality": {"0": "MRI"},
  "numTraining": 2, "numTest": 2,
  "training": [
    {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz", "site": "x"},
    {"image": "./imagesTr/b.nii.gz", "label": "./labelsTr/b.nii.gz"}
  ],
  "test": ["./imagesTs/x.nii.gz", "./imagesTs/y.nii.gz"]
}
"#;

/// Labels that differ by `shift`: 0, 1 and 2.
pub fn labels(folder: &Folder, name: &str, shift: usize) {
    folder.labels_with(name, &folder.grid, |index| ((index + shift) / 40 % 3) as u16);
}

/// A dataset with a list of its own, of two labelled cases and two without.
fn decathlon() -> Folder {
    let folder = Folder::new([6, 8, 10]);
    for (content, case) in ["imagesTr/a", "imagesTr/b", "imagesTs/x", "imagesTs/y"].iter().enumerate() {
        folder.image(&format!("data/{case}.nii.gz"), content, 1);
    }
    ["a", "b"].iter().enumerate().for_each(|(shift, case)| labels(&folder, &format!("data/labelsTr/{case}.nii.gz"), shift));
    folder.text("data/dataset.json", LIST);
    new_files(&folder, 1);
    folder
}

/// An nnU-Net v2 dataset of two cases of two channels.
pub fn nnunet() -> Folder {
    let folder = Folder::new([6, 8, 10]);
    for (content, case) in ["a_0000", "a_0001", "b_0000", "b_0001"].iter().enumerate() {
        folder.image(&format!("data/imagesTr/{case}.nii.gz"), content, 1);
    }
    ["a", "b"].iter().enumerate().for_each(|(shift, case)| labels(&folder, &format!("data/labelsTr/{case}.nii.gz"), shift));
    let text = r#"{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "late": 2, "early": 1}, "numTraining": 2, "file_ending": ".nii.gz"}"#;
    folder.text("data/dataset.json", text);
    new_files(&folder, 2);
    folder
}

/// Two plain folders: two labelled cases, one without a label map.
fn plain() -> Folder {
    let folder = Folder::new([6, 8, 10]);
    ["a", "b", "x"].iter().enumerate().for_each(|(content, case)| folder.image(&format!("data/images/{case}.nii.gz"), content, 1));
    ["a", "b"].iter().enumerate().for_each(|(shift, case)| labels(&folder, &format!("data/labels/{case}.nii.gz"), shift));
    new_files(&folder, 1);
    folder
}

/// A scan from elsewhere with a corrected and a predicted label map, and a label map of a label that no dataset knows.
pub fn new_files(folder: &Folder, channels: usize) {
    folder.image("new/scan.nii", 40, channels);
    labels(folder, "new/corrected.nii.gz", 11);
    labels(folder, "new/predicted.nii.gz", 14);
    folder.labels_with("new/unknown.nii.gz", &folder.grid, |index| if index == 5 { 7 } else { 0 });
}

fn source(folder: &Folder) -> DataSource {
    match folder.at("data/images").is_dir() {
        true => DataSource::Folders { images: folder.at("data/images"), labels: Some(folder.at("data/labels")) },
        false => DataSource::Dataset(folder.at("data")),
    }
}

pub fn job(folder: &Folder, image: &str, label: &str) -> AddJob {
    let images = vec![VolumeSource::File(folder.at(image))];
    let case = NewCase { name: None, images, label: folder.at(label), ..NewCase::default() };
    AddJob { source: source(folder), case, predicted: Some(Prediction::File(folder.at("new/predicted.nii.gz"))), network: None }
}

fn added(folder: &Folder) -> Result<Added, AddError> {
    add(&job(folder, "new/scan.nii", "new/corrected.nii.gz"))
}

pub fn open(folder: &Folder) -> Dataset {
    Dataset::open(&source(folder)).expect("a dataset")
}

/// All files of a folder with what they hold, but for those of a lock.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.file_name().expect("a file").to_string_lossy().starts_with(".writer") {
            found.insert(path.clone(), std::fs::read(&path).expect("it can be read"));
        }
    }
    found
}

/// Every kind of dataset.
fn kinds() -> [(&'static str, Folder); 3] {
    [("decathlon", decathlon()), ("nnU-Net", nnunet()), ("plain", plain())]
}

#[test]
fn a_new_case_is_part_of_every_kind_of_dataset_and_a_second_call_changes_nothing() {
    for (kind, folder) in kinds() {
        let before = open(&folder);
        let first = added(&folder).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!((first.case.as_str(), &first.change), ("scan", &Change::Added), "{kind}");
        assert!(first.changed_voxels.is_some_and(|voxels| voxels > 0) && first.labels.len() == 2, "{kind}: {first:?}");
        let dataset = open(&folder);
        assert!(dataset.findings.is_empty() && dataset.notes == before.notes, "{kind}: {:?} {:?}", dataset.findings, dataset.notes);
        assert_eq!((dataset.cases.len(), &dataset.labels), (before.cases.len() + 1, &before.labels), "{kind}");
        let case = dataset.load(dataset.case("scan").expect("it is there"), Default::default()).expect("a good case");
        let image = nifti::read(&folder.at("new/scan.nii")).expect("the source").volume;
        assert_eq!((case.image.volume.channels, &case.image.volume.voxels), (image.channels, &image.voxels), "{kind}");
        let corrected = nifti::read(&folder.at("new/corrected.nii.gz")).expect("the source").volume.voxels;
        let labels = case.label.expect("a label map");
        assert!(labels.voxels.iter().map(|&value| f32::from(value)).eq(corrected), "{kind}");
        let record = Corrections::read(&first.folder).expect("a record");
        assert_eq!((record.corrections.len(), record.added().into_iter().collect::<Vec<_>>()), (1, vec!["scan"]), "{kind}");
        let after = files(&folder.at("data"));
        assert_eq!(added(&folder).expect("the same again").change, Change::Nothing, "{kind}");
        assert_eq!(files(&folder.at("data")), after, "{kind}: a second call changed a file");
    }
}

#[test]
fn a_list_keeps_what_nobody_asked_to_change_and_the_old_one_lies_beside_it() {
    let folder = decathlon();
    added(&folder).expect("a new case");
    let text = std::fs::read_to_string(folder.at("data/dataset.json")).expect("a list");
    let entry = "{\"image\": \"./imagesTr/b.nii.gz\", \"label\": \"./labelsTr/b.nii.gz\"}";
    let new = "{\"image\":\"./imagesTr/scan.nii.gz\",\"label\":\"./labelsTr/scan.nii.gz\"}";
    let expected = LIST.replace(entry, &format!("{entry},\n    {new}")).replace("\"numTraining\": 2", "\"numTraining\": 3");
    assert_eq!(text, expected);
    assert_eq!(std::fs::read_to_string(folder.at("data/dataset.json.1")).expect("the old list"), LIST);

    let listed = add(&job(&folder, "data/imagesTs/x.nii.gz", "new/corrected.nii.gz")).expect("a case without a label map");
    assert_eq!((listed.case.as_str(), listed.change), ("x", Change::Added));
    let json: Value = serde_json::from_slice(&std::fs::read(folder.at("data/dataset.json")).expect("a list")).expect("JSON");
    assert_eq!((&json["numTraining"], &json["numTest"]), (&Value::from(4), &Value::from(1)));
    assert_eq!((json["test"].as_array().map(Vec::len), &json["training"][3]["image"]), (Some(1), &Value::from("./imagesTs/x.nii.gz")));
    assert_eq!(std::fs::read_to_string(folder.at("data/dataset.json.2")).expect("the list before"), text);
    let dataset = open(&folder);
    assert!(dataset.findings.is_empty() && dataset.case("x").is_some_and(|case| case.label.is_some()), "{:?}", dataset.findings);

    let folder = nnunet();
    added(&folder).expect("a new case");
    let text = std::fs::read_to_string(folder.at("data/dataset.json")).expect("a list");
    assert!(text.contains("\"late\": 2, \"early\": 1}, \"numTraining\": 3, \"file_ending\""), "{text}");
    assert!(["scan_0000.nii.gz", "scan_0001.nii.gz"].iter().all(|file| folder.at("data/imagesTr").join(file).is_file()));
}

#[test]
fn a_call_that_is_cut_short_leaves_the_dataset_whole_and_the_next_one_finishes_it() {
    for kind in 0..3 {
        let mut cut = 0;
        loop {
            let [(_, first), (_, second), (_, third)] = kinds();
            let folder = [first, second, third].into_iter().nth(kind).expect("three kinds");
            let before = open(&folder);
            let job = job(&folder, "new/scan.nii", "new/corrected.nii.gz");
            let addition = Addition::plan(&job.source, &job.case).expect("it fits");
            let steps = AtomicUsize::new(0);
            let stop = |_: &Path| {
                if steps.fetch_add(1, Ordering::Relaxed) == cut {
                    resume_unwind(Box::new("cut short"));
                }
            };
            let whole = catch_unwind(AssertUnwindSafe(|| addition.execute(&stop))).is_ok();
            let between = Dataset::open(&job.source).expect("a dataset that can be opened");
            if kind == 0 && !whole && between.case("scan").is_none() {
                assert_eq!(between, before, "a list is the old one until it is the new one");
            }
            assert!(before.cases.iter().all(|case| between.cases.contains(case)), "kind {kind}, cut {cut}: an older case has changed");
            add(&job).unwrap_or_else(|error| panic!("kind {kind}, cut {cut}: {error}"));
            let after = open(&folder);
            assert!(
                after.findings.is_empty() && after.notes == before.notes,
                "kind {kind}, cut {cut}: {:?} {:?}",
                after.findings,
                after.notes
            );
            let case = after.case("scan").expect("it is there");
            after.load(case, Default::default()).unwrap_or_else(|error| panic!("kind {kind}, cut {cut}: {error}"));
            if whole {
                assert!(cut >= 2, "kind {kind}: {cut} files at least are written");
                break;
            }
            cut += 1;
        }
    }
}

#[test]
fn a_label_map_is_replaced_only_when_asked_and_the_old_one_is_kept() {
    for (kind, folder) in kinds().into_iter().filter(|(kind, _)| *kind != "nnU-Net") {
        let image = if kind == "plain" { "data/images/a.nii.gz" } else { "data/imagesTr/a.nii.gz" };
        let mut job = job(&folder, image, "new/corrected.nii.gz");
        let before = files(&folder.at("data"));
        let error = add(&job).expect_err("a label map is there");
        assert!(matches!(&error, AddError::HasLabel { case, .. } if case == "a"), "{kind}: {error}");
        assert_eq!(files(&folder.at("data")), before, "{kind}");
        job.case.replace = true;
        let Change::Replaced(old) = add(&job).expect("asked for").change else { panic!("{kind}: not replaced") };
        let file = if kind == "plain" { "data/labels/a.nii.gz" } else { "data/labelsTr/a.nii.gz" };
        assert_eq!(std::fs::read(&old).expect("the old one"), before[&folder.at(file)], "{kind}");
        let now = nifti::read(&folder.at(file)).expect("the new one").volume.voxels;
        assert_eq!(now, nifti::read(&folder.at("new/corrected.nii.gz")).expect("the source").volume.voxels, "{kind}");
        let record = Corrections::read(&folder.at(if kind == "plain" { "data/labels" } else { "data" })).expect("a record");
        assert!(record.corrections.len() == 1 && record.added().is_empty(), "{kind}: it is no new case");
        assert!(open(&folder).findings.is_empty(), "{kind}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let folder = decathlon();
    folder.image("new/other/a.nii.gz", 77, 1);
    folder.labels_with("new/small.nii.gz", &simtrot::volume::Grid::axis_aligned([6, 8, 9], [2.0, 1.0, 0.5]), |_| 1);
    let before = files(&folder.at("data"));
    for (image, label, words) in [
        ("new/scan.nii", "new/unknown.nii.gz", &["label 7", "does not have"][..]),
        ("new/scan.nii", "new/small.nii.gz", &["small.nii.gz"]),
        ("new/other/a.nii.gz", "new/corrected.nii.gz", &["another image of the name a", "--name"]),
        ("new/scan.nii", "new/nothing.nii.gz", &["nothing.nii.gz"]),
    ] {
        let error = add(&job(&folder, image, label)).expect_err("it does not fit").to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} are not in {error}");
        assert_eq!(files(&folder.at("data")), before, "{error}");
    }
    let demo = AddJob { source: DataSource::Demo, ..job(&folder, "new/scan.nii", "new/corrected.nii.gz") };
    assert!(add(&demo).expect_err("no files").to_string().contains("inside the program"));
}

#[test]
fn the_scan_of_a_case_is_known_under_another_name_and_folds_stay_as_they_are() {
    let folder = decathlon();
    std::fs::copy(folder.at("data/imagesTs/x.nii.gz"), folder.at("new/renamed.nii.gz")).expect("a writable folder");
    let found = add(&job(&folder, "new/renamed.nii.gz", "new/corrected.nii.gz")).expect("a case of the list");
    assert!(found.case == "x" && found.notes.iter().any(|note| note.contains("is that of the case x")), "{found:?}");

    let folder = decathlon();
    let folds = LIST.replace("\"site\": \"x\"}", "\"fold\": 0}").replace("labelsTr/b.nii.gz\"}", "labelsTr/b.nii.gz\", \"fold\": 1}");
    folder.text("data/dataset.json", &folds);
    let found = added(&folder).expect("a new case");
    assert!(found.notes.iter().any(|note| note.contains("fold 2")), "{found:?}");
    let dataset = open(&folder);
    assert_eq!(["a", "b", "scan"].map(|case| dataset.case(case).and_then(|case| case.fold)), [Some(0), Some(1), Some(2)]);
}

#[test]
fn a_list_with_a_folder_for_each_case_keeps_image_and_label_map_apart() {
    let folder = Folder::new([6, 8, 10]);
    ["a", "b", "c"].iter().enumerate().for_each(|(content, case)| folder.image(&format!("data/{case}/image.nii.gz"), content, 1));
    labels(&folder, "data/a/seg.nii.gz", 0);
    let labels = r#""labels": {"0": "background", "1": "early", "2": "late"}, "modality": {"0": "MRI"}"#;
    let training = r#""training": [{"image": "./a/image.nii.gz", "label": "a/seg.nii.gz"}]"#;
    folder.text("data/dataset.json", format!("{{{labels}, {training}, \"test\": [\"b/image.nii.gz\", \"c/image.nii.gz\"]}}"));
    new_files(&folder, 1);
    let [corrected, scan] =
        ["new/corrected.nii.gz", "new/scan.nii"].map(|name| nifti::read(&folder.at(name)).expect("a file").volume.voxels);
    for (image, expected) in [("new/scan.nii", Some(&scan)), ("data/b/image.nii.gz", None), ("data/c/image.nii.gz", None)] {
        let found = add(&job(&folder, image, "new/corrected.nii.gz")).unwrap_or_else(|error| panic!("{image}: {error}"));
        let dataset = open(&folder);
        let case = dataset.load(dataset.case(&found.case).expect("it is there"), Default::default()).expect("a good case");
        assert!(expected.is_none_or(|voxels| case.image.volume.voxels == *voxels), "{image}");
        assert!(case.label.expect("a label map").voxels.iter().map(|&value| f32::from(value)).eq(corrected.iter().copied()), "{image}");
        assert!(dataset.findings.is_empty(), "{image}: {:?}", dataset.findings);
    }
}

/// A dataset of seven labelled cases, and a config that fine-tunes on it for a step.
fn trained() -> (Folder, PathBuf) {
    let folder = Folder::new([16, 18, 20]);
    for content in 0..7 {
        folder.image(&format!("data/imagesTr/c{content}.nii.gz"), content, 1);
        labels(&folder, &format!("data/labelsTr/c{content}.nii.gz"), content);
    }
    let cases: Vec<String> =
        (0..7).map(|n| format!("{{\"image\": \"./imagesTr/c{n}.nii.gz\", \"label\": \"./labelsTr/c{n}.nii.gz\"}}")).collect();
    let labels = r#""labels": {"0": "background", "1": "early", "2": "late"}, "modality": {"0": "MRI"}"#;
    folder
        .text("data/dataset.json", format!("{{\"name\": \"seven\", {labels}, \"numTraining\": 7, \"training\": [{}]}}", cases.join(", ")));
    new_files(&folder, 1);
    let config = folder.text(
        "first.ron",
        format!(
            "(name: \"first\", data: (source: dataset({:?}), preprocess: (crop_foreground: false), split: hold_out(test: 0.3, validation: 0.15)),
              model: preset(unet_small), finetune: (steps: 1, validate_every: 1), evaluate: (bootstrap: 100),
              arms: (pretrain: [], finetune: [(name: \"scratch\")]))",
            folder.at("data")
        ),
    );
    (folder, config)
}

fn split(training: &Path) -> SplitRecord {
    serde_json::from_slice(&std::fs::read(training.join("split.json")).expect("a split")).expect("JSON")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn a_training_goes_on_with_new_cases_from_all_weights_and_its_test_cases_stay() {
    let (folder, config) = trained();
    let first = folder.at("runs/first");
    succeed(simtrot(&["run", path(&config), "--out", path(&first)]));
    let before = training(&first, "finetune-scratch-");
    let learn = |more: &[&str]| {
        let mut call = simtrot(&["learn", path(&before)]);
        call.args(more);
        call
    };
    refused(learn(&[]), 2, &["nothing new to learn from", "simtrot add"]);
    refused(learn(&["--set", "data.split.hold_out.test=0.5"]), 2, &["data.split.hold_out.test", "cannot be set"]);
    // Trainings of data as they were: the window offers their networks.
    let earlier = || {
        let shown = ExperimentFolder::new(&first);
        let others = shown.finetuned_others(&shown.read().expect("an experiment"));
        others.iter().map(|other| other.root().to_owned()).collect::<Vec<_>>()
    };
    assert!(earlier().is_empty());

    let [scan, corrected, predicted] = ["new/scan.nii", "new/corrected.nii.gz", "new/predicted.nii.gz"].map(|name| folder.at(name));
    let mut call = simtrot(&["add", path(&scan), path(&corrected)]);
    call.arg("--to").arg(folder.at("data")).arg("--predicted").arg(&predicted).args(["--network", "first"]);
    let text = succeed(call);
    assert!(text.contains("scan: in the training set") && text.contains("1 early: Dice 0."), "{text}");
    assert_eq!(earlier(), std::slice::from_ref(&before));

    let text = succeed(learn(&["--dry-run"]));
    assert!(text.contains("1 new to it: scan") && text.contains("first_2") && !folder.at("runs/first_2").exists(), "{text}");
    let old_files = files(&first);
    let text = succeed(learn(&[]));
    assert!(text.contains("network loaded") && text.contains(" 0 missing, 0 skipped"), "{text}");
    assert_eq!(files(&first), old_files, "the earlier run stays as it is");

    let second = folder.at("runs/first_2");
    let after = training(&second, "finetune-again-");
    let [then, now] = [split(&before), split(&after)].map(|record| record.split);
    assert_eq!((&then.test, &then.validation), (&now.test, &now.validation));
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(now.finetune), sorted([then.finetune, vec!["scan".to_owned()]].concat()));
    let info: Value =
        serde_json::from_slice(&std::fs::read(after.join("checkpoints/last/checkpoint.json")).expect("a checkpoint")).expect("JSON");
    assert!(info["parents"][0].as_str().is_some_and(|parent| Path::new(parent).starts_with(&before)), "{info}");

    // Called again it finds all done; from the new network there is nothing new.
    succeed(learn(&[]));
    assert!(!folder.at("runs/first_3").exists());
    refused(simtrot(&["learn", path(&after)]), 2, &["nothing new to learn from"]);
    let corrupt = ends(simtrot(&["learn", path(&folder.at("data"))]), 2);
    assert!(corrupt.contains("no checkpoint there"), "{corrupt}");
}

#[test]
fn all_weights_are_asked_for_with_a_checkpoint_only() {
    let (_folder, config) = trained();
    let mut call = simtrot(&["finetune", path(&config), "--set", "finetune.whole_network=true"]);
    call.arg("--out").arg(config.with_file_name("out"));
    refused(call, 2, &["finetune.whole_network", "checkpoint"]);
}
