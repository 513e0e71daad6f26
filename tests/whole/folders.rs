//! Folders and files of volumes as people have them: what is listed, compared, segmented and split, and what is said of the rest.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use simtrot::config::{DataConfig, Groups, RunConfig, SplitConfig};
use simtrot::geometry::SignedPermutation;
use simtrot::metrics::evaluation;
use simtrot::volume::check::inspect;
use simtrot::volume::{Dataset, LabelMap, Split, nifti};

use crate::simtrot;
use crate::volumes::Folder;

const SHAPE: [usize; 3] = [16, 18, 20];

fn truth() -> LabelMap {
    let label = |index: usize| {
        let (d, h, w) = (index / (18 * 20), index / 20 % 18, index % 20);
        let inside = (4..12).contains(&d) && (3..13).contains(&h) && (5..15).contains(&w);
        if inside { 1 + u16::from(d > 6) + u16::from(d > 6 && w > 9) } else { 0 }
    };
    let grid = Folder::new(SHAPE).grid;
    LabelMap { voxels: (0..grid.len()).map(label).collect(), grid }
}

/// The same anatomy with its axes in another order and direction.
fn turned(map: &LabelMap, turn: SignedPermutation) -> LabelMap {
    LabelMap { grid: turn.grid(&map.grid), voxels: turn.reorient(map.voxels.clone(), map.grid.shape) }
}

/// Exit code, stdout and stderr.
fn called(arguments: &[&str]) -> (Option<i32>, String) {
    let output = simtrot(arguments).output().expect("the program starts");
    (output.status.code(), crate::text(&output))
}

fn expect(arguments: &[&str], code: i32, words: &[&str]) -> String {
    let text = crate::ends(simtrot(arguments), code);
    words.iter().for_each(|word| assert!(text.contains(word), "no {word:?} in\n{text}"));
    text
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn evaluated(place: &Folder) -> (Option<i32>, String) {
    called(&["evaluate", "--truth", path(&place.at("truth")), "--prediction", path(&place.at("found"))])
}

#[test]
fn the_same_anatomy_scores_as_itself_however_its_axes_are_stored() {
    let place = Folder::new(SHAPE);
    let turns = [
        SignedPermutation::flip([false, true, true]),
        SignedPermutation::new([2, 0, 1], [false; 3]).expect("an order of the axes"),
        SignedPermutation::new([1, 0, 2], [true, false, true]).expect("an order of the axes"),
    ];
    for (number, turn) in turns.into_iter().enumerate() {
        place.labels(&format!("truth/case_{number}.nii.gz"), &truth());
        place.labels(&format!("found/case_{number}.nii.gz"), &turned(&truth(), turn));
    }
    let (code, text) = evaluated(&place);
    assert_eq!(code, Some(0), "{text}");
    for label in ["label 1", "label 2", "label 3", "mean"] {
        let row = text.lines().find(|line| line.contains(label)).unwrap_or_else(|| panic!("no {label} in\n{text}"));
        assert!(row.contains("1.0000") && row.contains("0.0000"), "{text}");
    }
    assert!(text.contains("its axes run"), "the turn is said\n{text}");
}

#[test]
fn segmentations_on_another_grid_are_refused_all_at_once_with_both_grids() {
    let place = Folder::new(SHAPE);
    let mut moved = truth();
    moved.grid.world_from_voxel[2][3] = 10.0;
    let mut wider = truth();
    wider.grid.world_from_voxel[0][0] = 0.75;
    for case in ["good", "moved", "wider", "broken"] {
        place.labels(&format!("truth/{case}.nii.gz"), &truth());
    }
    place.labels("found/good.nii.gz", &truth());
    place.labels("found/moved.nii.gz", &moved);
    place.labels("found/wider.nii", &wider);
    place.text("found/broken.nii.gz", "no volume");
    let (code, text) = evaluated(&place);
    assert_eq!(code, Some(2), "{text}");
    for part in
        ["3 of 4 pairs", "0.000, 0.000, 10.000 mm", "0.000, 0.000, 0.000 mm", "2.0000 x 1.0000 x 0.7500 mm", "2.0000 x 1.0000 x 0.5000 mm"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    for case in ["moved", "wider", "broken"] {
        assert!(text.contains(case), "{case} is not named\n{text}");
    }
    assert!(!text.contains("good:"), "{text}");

    // A tenth of a voxel is rounding, as it is between an image and its label map.
    let place = Folder::new(SHAPE);
    let mut rounded = truth();
    rounded.grid.world_from_voxel[2][3] = 0.04;
    place.labels("truth/case.nii.gz", &truth());
    place.labels("found/case.nii.gz", &rounded);
    assert_eq!(evaluated(&place).0, Some(0));
}

#[test]
fn evaluation_lists_folders_as_every_command_does() {
    let place = Folder::new(SHAPE);
    for (labelled, found) in [("A.NII.GZ", "A.nii"), ("b.Nii", "b.nii.gz"), ("c.nii.GZ", "c.nii.GZ")] {
        place.labels(&format!("truth/{labelled}"), &truth());
        place.labels(&format!("found/{found}"), &truth());
        place.text(&format!("truth/._{labelled}"), "a Mac's");
    }
    let config = RunConfig::default();
    let table = evaluation::folders(&place.at("truth"), &place.at("found"), &config).expect("three pairs").table();
    let cells: Vec<&str> = table.lines().find(|line| line.contains("label 1")).expect("label 1").split_whitespace().collect();
    assert_eq!(cells[2], "3", "{table}");

    place.text("found/d.mgz", "another format");
    let evaluation = evaluation::folders(&place.at("truth"), &place.at("found"), &config).expect("three pairs");
    assert!(evaluation.notes.iter().any(|note| note.file.ends_with("d.mgz")), "{:?}", evaluation.notes);
    for extra in ["truth/only_true.nii.gz", "found/only_found.nii.gz", "found/second.nii.gz"] {
        place.labels(extra, &truth());
    }
    let refused = || evaluation::folders(&place.at("truth"), &place.at("found"), &config).expect_err("unpaired").to_string();
    let text = refused();
    assert!(["only_true", "only_found", "second"].iter().all(|name| text.contains(name)), "both sides at once: {text}");
    place.labels("found/A.nii.gz", &truth());
    assert!(refused().contains("Keep one"), "{}", refused());
}

#[test]
fn a_check_takes_endings_in_any_case_and_names_what_it_leaves_out() {
    let place = Folder::new(SHAPE);
    for (content, name) in ["SCAN_A.NII.GZ", "scan_b.Nii", "scan_c.nii.gz"].into_iter().enumerate() {
        place.image(&format!("imagesTr/{name}"), content, 1);
        place.labels(&format!("labelsTr/{name}"), &truth());
    }
    for left_out in ["scan_d.mgz", "scan_e.mnc", "slice_1.dcm", "slice_2.dcm"] {
        place.text(&format!("imagesTr/{left_out}"), "another format");
    }
    expect(&["check", path(&place.at(""))], 0, &["3 cases, 3 with labels", "scan_d.mgz", "scan_e.mnc", "slice_1.dcm", "slice_2.dcm"]);
    place.image("imagesTr/scan_c.nii", 99, 1);
    expect(&["check", path(&place.at(""))], 2, &["scan_c.nii.gz", "Keep one"]);
}

/// An nnU-Net dataset of two cases with a list of its own.
fn listed(list: &Value) -> Folder {
    let place = Folder::new(SHAPE);
    for case in ["c_1", "c_2"] {
        place.image(&format!("imagesTr/{case}_0000.nii.gz"), case.len() + usize::from(case == "c_2"), 1);
        place.labels(&format!("labelsTr/{case}.nii.gz"), &truth());
    }
    place.text("dataset.json", list.to_string());
    place
}

#[test]
fn lists_are_read_with_a_byte_order_mark_and_what_is_wrong_with_them_is_named() {
    let list = json!({ "channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1, "b": 2, "c": 3}, "numTraining": 2, "file_ending": ".nii.gz" });
    let place = listed(&list);
    let check = |code, words: &[&str]| expect(&["check", path(&place.at(""))], code, words);
    assert!(!check(0, &["2 cases"]).contains("numTraining"));
    place.text("dataset.json", format!("\u{feff}{list}"));
    check(0, &["2 cases", "no problems"]);
    let wide: Vec<u8> = format!("\u{feff}{list}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    place.text("dataset.json", wide);
    check(2, &["UTF-16"]);
    let with = |key: &str, value: Value| {
        let mut list = list.clone();
        list[key] = value;
        place.text("dataset.json", list.to_string());
    };
    with("numTraining", json!(100));
    check(0, &["numTraining", "100", "2"]);
    with("dataset", json!({ "c_1": {"images": ["imagesElsewhere/c_1.nii.gz"], "label": "labelsTr/c_1.nii.gz"} }));
    check(2, &["`dataset`"]);
    with("train", json!([{ "image": "imagesTr/c_1_0000.nii.gz", "label": "labelsTr/c_1.nii.gz" }]));
    check(2, &["`train`"]);
    with("scanner", json!("3 T"));
    check(0, &["`scanner`"]);
    // Of a config, too, a byte order mark is no text.
    place.text("config.ron", "\u{feff}(name: \"marked\")");
    assert_eq!(RunConfig::load(&place.at("config.ron")).expect("a config").name, "marked");
}

/// A training of seconds on a dataset.
fn tiny(place: &Folder, source: &str, more: &str) -> PathBuf {
    place.text(
        "tiny.ron",
        format!(
            "(name: \"tiny\", data: (source: {source}, preprocess: (crop_foreground: false), {more}), model: preset(unet_small),
              finetune: (steps: 1), probe: (crops: 1, jitter: 4, label_volumes: [4]), evaluate: (bootstrap: 100))"
        ),
    );
    place.at("tiny.ron")
}

#[test]
fn the_regions_of_a_dataset_are_scored_shown_and_said() {
    let labels = json!({ "background": 0, "whole tumor": [1, 2, 3], "core": [2, 3], "enhancing": 3 });
    let place =
        listed(&json!({ "channel_names": {"0": "MRI"}, "labels": labels, "regions_class_order": [1, 2, 3], "file_ending": ".nii.gz" }));
    let regions = ["core (2, 3)", "enhancing (3)", "whole tumor (1, 2, 3)"];
    expect(&["check", path(&place.at(""))], 0, &regions);
    let config = tiny(&place, &format!("dataset({:?})", path(&place.at(""))), "split: hold_out(test: 0.5, validation: 0)");
    let out = place.at("run");
    expect(&["finetune", path(&config), "--out", path(&out)], 0, &regions);
    let summary: Value = serde_json::from_slice(&std::fs::read(out.join("summary.json")).expect("a summary")).expect("JSON");
    let text = summary["test"].to_string();
    assert!(
        ["\"whole tumor\"", "\"core\"", "\"enhancing\""].iter().all(|region| text.contains(region)) && !text.contains("label 1"),
        "{text}"
    );
    let truth = place.at("labelsTr");
    expect(&["evaluate", "--truth", path(&truth), "--prediction", path(&truth)], 0, &["whole tumor", "core", "enhancing", "dataset.json"]);
    let wrong = place.at("wrong");
    let arguments = ["finetune", path(&config), "--out", path(&wrong), "--set", "data.regions={\"all\":[1,4]}"];
    expect(&arguments, 2, &["data.regions", "all", "4"]);
    assert!(!wrong.exists(), "refused before anything is trained");
}

#[test]
fn inference_goes_past_bad_files_tells_all_causes_and_takes_up_where_it_was() {
    let place = Folder::new(SHAPE);
    let config =
        tiny(&place, "synthetic((cases: 3, shape: (16, 16, 16), channels: 1, labels: 2))", "split: hold_out(test: 0.34, validation: 0)");
    let net = place.at("net");
    expect(&["finetune", path(&config), "--out", path(&net)], 0, &[]);
    for (name, content) in [("word_0001.nii.gz", 1), ("word_0007.NII.GZ", 2), ("good.nii", 3), ("cut.nii.gz", 5)] {
        place.image(&format!("scans/{name}"), content, 1);
    }
    place.image("scans/two.nii.gz", 4, 2);
    place.image_with("scans/flat.nii.gz", &place.grid, 1, |_| 0.0);
    place.text("scans/text.nii", "no volume");
    let cut = std::fs::read(place.at("scans/cut.nii.gz")).expect("a file made before");
    place.text("scans/cut.nii.gz", &cut[..cut.len() - 20]);
    let (scans, out) = (place.at("scans"), place.at("out"));
    let infer = |more: &[&str], code, words: &[&str]| {
        let arguments = ["infer", "--checkpoint", path(&net), path(&scans), "--out", path(&out)];
        expect(&[&arguments[..], more].concat(), code, words)
    };
    infer(&[], 2, &["two.nii.gz", "text.nii", "cut.nii.gz", "flat.nii.gz: channel 0 is 0 everywhere"]);
    let made = || {
        let mut names: Vec<String> = std::fs::read_dir(&out)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    };
    assert_eq!(made(), ["good.nii.gz", "word_0001.nii.gz", "word_0007.nii.gz"]);
    let before = std::fs::metadata(out.join("good.nii.gz")).expect("a file").modified().expect("a time");

    for bad in ["two.nii.gz", "text.nii", "cut.nii.gz", "flat.nii.gz"] {
        std::fs::remove_file(place.at("scans").join(bad)).expect("a file made before");
    }
    place.image("scans/new.nii.gz", 6, 1);
    infer(&[], 0, &["3 of 4 segmentations are already there"]);
    assert_eq!(made(), ["good.nii.gz", "new.nii.gz", "word_0001.nii.gz", "word_0007.nii.gz"]);
    assert_eq!(std::fs::metadata(out.join("good.nii.gz")).expect("a file").modified().expect("a time"), before, "not made again");

    // Another image of the same name, or a file from elsewhere, is not ours to replace.
    place.image("scans/new.nii.gz", 7, 1);
    let held = std::fs::read(out.join("new.nii.gz")).expect("a file");
    let text = infer(&[], 2, &["already there", "new.nii.gz", "--overwrite"]);
    assert!(!text.contains("good.nii.gz"), "{text}");
    assert!(std::fs::read(out.join("new.nii.gz")).expect("a file") == held);
    infer(&["--overwrite"], 0, &[]);

    // Nothing replaces the image itself, whatever it is asked for.
    place.image("own/scan.nii.gz", 8, 1);
    let own = place.at("own");
    let scan = std::fs::read(own.join("scan.nii.gz")).expect("a file made before");
    for more in [&[][..], &["--overwrite"]] {
        let arguments = ["infer", "--checkpoint", path(&net), path(&own), "--out", path(&own)];
        expect(&[&arguments[..], more].concat(), 2, &["would replace the image itself", "--out"]);
    }
    assert!(std::fs::read(own.join("scan.nii.gz")).expect("a file") == scan);
    infer(&["--set", "finetune.steps=3"], 2, &["finetune.steps=3", "does not use it"]);
    let two = place.at("other");
    std::fs::create_dir_all(&two).expect("a writable folder");
    std::fs::copy(place.at("scans/good.nii"), two.join("good.nii")).expect("a writable folder");
    let (first, second, twice) = (place.at("scans/good.nii"), two.join("good.nii"), place.at("twice"));
    let arguments = ["infer", "--checkpoint", path(&net), path(&first), path(&second), "--out", path(&twice)];
    expect(&arguments, 2, &["the same segmentation", "scans", "other"]);
    assert!(!twice.join("good.nii.gz").exists());
}

#[test]
fn one_channel_files_are_never_joined_into_a_case_that_they_do_not_complete() {
    let place = Folder::new(SHAPE);
    let config =
        tiny(&place, "synthetic((cases: 3, shape: (16, 16, 16), channels: 4, labels: 1))", "split: hold_out(test: 0.34, validation: 0)");
    let net = place.at("net");
    expect(&["finetune", path(&config), "--out", path(&net)], 0, &[]);
    let names = ["word_0001.nii.gz", "word_0003.nii.gz", "word_0007.nii.gz", "word_0012.nii.gz"];
    names.iter().enumerate().for_each(|(content, name)| place.image(&format!("scans/{name}"), content, 1));
    let files = names.map(|name| place.at("scans").join(name));
    let out = place.at("out");
    let scans = place.at("scans");
    let inputs = [files.iter().map(|file| path(file)).collect::<Vec<_>>(), vec![path(&scans)]];
    for inputs in inputs {
        expect(&[&["infer", "--checkpoint", path(&net), "--out", path(&out)][..], &inputs].concat(), 2, &names);
    }
    assert!(!out.join("word.nii.gz").exists());
    for channel in 0..4 {
        place.image(&format!("whole/p_{channel:04}.nii.gz"), channel, 1);
    }
    place.image("whole/q_0003.nii.gz", 9, 4);
    expect(&["infer", "--checkpoint", path(&net), path(&place.at("whole")), "--out", path(&out)], 0, &[]);
    assert!(out.join("p.nii.gz").exists() && out.join("q_0003.nii.gz").exists());
    let made = nifti::read(&out.join("p.nii.gz")).expect("our own file");
    assert_eq!(made.volume.grid, place.grid);
}

/// Twelve scans: two of each of six patients; the first of patient 0 and of patient 5 are one image.
fn patients() -> Folder {
    let place = Folder::new(SHAPE);
    for number in 0..12 {
        let (patient, scan) = (number / 2, number % 2);
        let content = if number == 10 { 0 } else { number };
        let ending = if number == 10 { "nii" } else { "nii.gz" };
        place.image(&format!("imagesTr/p{patient}_{scan}.{ending}"), content, 1);
        place.labels(&format!("labelsTr/p{patient}_{scan}.nii.gz"), &truth());
    }
    place
}

fn sides(dataset: &Dataset, config: &DataConfig, seed: u64) -> Vec<Vec<String>> {
    let split = Split::draw(dataset, config, seed).expect("a split");
    let train: Vec<String> = [split.pretrain, split.finetune].concat();
    vec![train, split.validation, split.test]
}

/// Whether every two cases with the same word of the name's patient (or of the pair) are on one side.
fn together(sides: &[Vec<String>], same: impl Fn(&str, &str) -> bool) -> bool {
    let side = |name: &String| sides.iter().position(|side| side.contains(name));
    let all: Vec<&String> = sides.iter().flatten().collect();
    all.iter().all(|a| all.iter().all(|b| !same(a, b) || side(a) == side(b)))
}

#[test]
fn one_scan_under_two_names_is_found_and_never_parted() {
    let place = patients();
    let dataset = place.dataset();
    let report = inspect(&dataset, Default::default(), &|_, _| ());
    assert_eq!(report.equal_images, [["p0_0".to_owned(), "p5_0".to_owned()]]);
    let text = expect(&["check", path(&place.at(""))], 0, &["p0_0: holds the same image as p5_0", "p5_0: holds the same image as p0_0"]);
    assert!(!text.contains("no problems"), "{text}");
    let equal = |a: &str, b: &str| ["p0_0", "p5_0"].contains(&a) && ["p0_0", "p5_0"].contains(&b);
    for seed in 0..20 {
        let config = DataConfig { split: SplitConfig::HoldOut { test: 0.3, validation: 0.2 }, ..DataConfig::default() };
        assert!(together(&sides(&dataset, &config, seed), equal), "seed {seed}");
        let folds = DataConfig { split: SplitConfig::Folds { folds: 3, fold: (seed % 3) as usize }, ..DataConfig::default() };
        assert!(together(&sides(&dataset, &folds, seed), equal), "seed {seed}");
    }
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let lists = |test: &[&str]| {
        let (pretrain, finetune) = (names(&["p0_0", "p1_0"]), names(&["p1_0", "p1_1"]));
        let split = SplitConfig::Lists { pretrain, finetune, validation: Vec::new(), test: names(test) };
        Split::draw(&dataset, &DataConfig { split, ..DataConfig::default() }, 0)
    };
    assert!(lists(&["p2_0"]).is_ok());
    let refused = lists(&["p2_0", "p5_0"]).expect_err("one image on both sides").to_string();
    assert!(refused.contains("p5_0") && refused.contains("p0_0"), "{refused}");
}

#[test]
fn scans_of_a_patient_stay_on_one_side_of_every_split_and_fold() {
    let place = patients();
    let mut dataset = place.dataset();
    // An unlabelled scan of a patient who is tested must not pre-train.
    dataset.cases.iter_mut().filter(|case| ["p1_1", "p2_1"].contains(&case.name.as_str())).for_each(|case| case.label = None);
    let same_patient = |a: &str, b: &str| a[..2] == b[..2] || (["p0", "p5"].contains(&&a[..2]) && ["p0", "p5"].contains(&&b[..2]));
    let pairs: Vec<Vec<String>> = (0..6).map(|patient| vec![format!("p{patient}_0"), format!("p{patient}_1")]).collect();
    let mut tested = std::collections::BTreeSet::new();
    for groups in [Groups::Pattern("{patient}_{scan}".to_owned()), Groups::Lists(pairs)] {
        for seed in 0..20 {
            let config = |split| DataConfig { split, groups: Some(groups.clone()), ..DataConfig::default() };
            let held_out = sides(&dataset, &config(SplitConfig::HoldOut { test: 0.25, validation: 0.2 }), seed);
            assert!(together(&held_out, same_patient) && held_out.iter().all(|side| !side.is_empty()), "seed {seed}: {held_out:?}");
            for fold in 0..4 {
                let folds = sides(&dataset, &config(SplitConfig::Folds { folds: 4, fold }), seed);
                assert!(together(&folds, same_patient), "seed {seed}: {folds:?}");
                tested.extend(folds[2].clone());
            }
        }
    }
    assert_eq!(tested.len(), 10, "every labelled case is tested in a fold");
    let refused = |groups: Groups| {
        let config = DataConfig { groups: Some(groups), ..DataConfig::default() };
        Split::draw(&dataset, &config, 0).expect_err("names that do not fit").to_string()
    };
    assert!(refused(Groups::Pattern("sub-{patient}".to_owned())).contains("p0_0"));
    assert!(refused(Groups::Lists(vec![vec!["p0_0".to_owned(), "p9_1".to_owned()]])).contains("p9_1"));
}
