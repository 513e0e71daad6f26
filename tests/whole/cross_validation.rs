//! Folds as an axis, and their networks together: the mean of probabilities, mirror images, post-processing, what is refused.

use std::path::{Path, PathBuf};

use serde_json::Value;
use simtrot::volume::{Volume, nifti};

use crate::volumes::Folder;
use crate::{ends, simtrot, trainings};

const CLASSES: usize = 3;

fn expect(arguments: &[&str], code: i32, words: &[&str]) -> String {
    let text = ends(simtrot(arguments), code);
    words.iter().for_each(|word| assert!(text.contains(word), "no {word:?} in\n{text}"));
    text
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A run on six synthetic cases, and an experiment of its three folds.
fn configs(place: &Folder, labels: usize) -> [PathBuf; 2] {
    let run = place.text(
        &format!("run{labels}.ron"),
        format!(
            "(name: \"run\", data: (source: synthetic((cases: 6, shape: (16, 16, 16), channels: 1, labels: {labels})),
              preprocess: (crop_foreground: false), split: folds(folds: 3, fold: 0)), model: preset(unet_small),
              finetune: (steps: 1, augment: (flip_p: (0.5, 0.5, 0.0))), probe: (crops: 1, jitter: 4, label_volumes: [4]),
              evaluate: (bootstrap: 100))"
        ),
    );
    let experiment = place.text(
        "cv.ron",
        format!(
            "(name: \"cv\", base: file(\"run{labels}.ron\"), arms: (pretrain: [], finetune: [(name: \"scratch\"), (name: \"slow\", set: [\"finetune.optimiser.sgd.lr=0.001\"])]),
              axes: [(name: \"fold\", key: \"data.split.folds.fold\", values: [\"0\", \"1\", \"2\"])])"
        ),
    );
    [run, experiment]
}

fn read(out: &Path, name: &str) -> Volume {
    nifti::read(&out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}")).volume
}

#[test]
fn the_folds_of_an_arm_segment_together() {
    let place = Folder::new([16, 18, 20]);
    let [run, experiment] = configs(&place, CLASSES - 1);
    let cv = place.at("cv");
    expect(&["run", path(&experiment), "--out", path(&cv)], 0, &[]);
    let summary: Value = serde_json::from_slice(&std::fs::read(cv.join("summary.json")).expect("a summary")).expect("JSON");
    assert_eq!(summary["test"]["scratch"]["cases"], 6, "every case once: {summary}");
    let folds = trainings(&cv, "finetune-scratch-");
    assert_eq!(folds.len(), 3);
    let mut tried = Vec::new();
    for fold in &folds {
        let text = std::fs::read(fold.join("checkpoints/last/postprocessing.json")).expect("what its held-out cases say");
        let found: Value = serde_json::from_slice(&text).expect("JSON");
        assert!(found["measured_on"].as_str().is_some_and(|text| text.starts_with("fold ")), "{found}");
        tried.extend(found["trials"].as_array().expect("a list").iter().map(|trial| trial["case"].to_string()));
    }
    tried.sort();
    tried.dedup();
    assert_eq!(tried.len(), 6, "all cases are held out once");

    place.image("scans/one.nii.gz", 3, 1);
    let (scans, out) = (place.at("scans"), place.at("out"));
    let infer =
        |more: &[&str], code: i32, words: &[&str]| expect(&[&["infer"], more, &["--out", path(&out), path(&scans)]].concat(), code, words);
    infer(&["--checkpoint", path(&cv)], 2, &["choose one of them", "arm=scratch", "arm=slow"]);
    let folds_of = ["--checkpoint", path(&cv), "--only", "arm=scratch"];
    let wanted = [&folds_of[..], &["--probabilities", "--no-postprocessing", "--set", "infer.mirror=true"]].concat();
    infer(&wanted, 0, &["the probabilities of 3 networks are averaged", "mirrored along D, H only", "probabilities and entropy"]);
    let (labels, shares, unsure) = (read(&out, "one.nii.gz"), read(&out, "probabilities/one.nii.gz"), read(&out, "entropy/one.nii.gz"));
    assert_eq!((shares.channels, unsure.channels, &shares.grid), (CLASSES, 1, &labels.grid));
    for voxel in 0..labels.grid.len() {
        let own: Vec<f64> = (0..CLASSES).map(|class| f64::from(shares.voxels[class * labels.grid.len() + voxel])).collect();
        let label = labels.voxels[voxel] as usize;
        assert!((own.iter().sum::<f64>() - 1.0).abs() < 1e-5 && own.iter().all(|&share| share <= own[label]), "{own:?} and {label}");
        let entropy: f64 = -own.iter().filter(|&&share| share > 0.0).map(|share| share * share.ln()).sum::<f64>();
        assert!((f64::from(unsure.voxels[voxel]) - entropy).abs() < 1e-5 && entropy <= (CLASSES as f64).ln() + 1e-9);
    }
    infer(&wanted, 0, &["1 of 1 segmentations are already there"]);
    place.text("out/entropy/one.nii.gz", "somebody's own");
    std::fs::remove_file(out.join(".simtrot-segmentations.json")).expect("the record");
    infer(&wanted, 2, &["already there", "entropy", "--overwrite"]);
    infer(&[&wanted[..], &["--overwrite"]].concat(), 0, &[]);

    // Two by their own folders are the two levels of the axis.
    let named = ["--checkpoint", path(&folds[0]), "--checkpoint", path(&folds[1]), "--overwrite"];
    infer(&named, 0, &["the probabilities of 2 networks are averaged"]);
    infer(&["--checkpoint", path(&folds[0]), "--checkpoint", path(&folds[0]), "--overwrite"], 2, &["name each network once"]);
    infer(&["--checkpoint", path(&folds[0]), "--only", "fold=0"], 2, &["no experiment's folder"]);
    infer(&[&folds_of[..], &["--only", "fold=1", "--overwrite"]].concat(), 0, &[]);

    let other = place.at("other");
    let [one_label, _] = configs(&place, 1);
    expect(&["finetune", path(&one_label), "--out", path(&other)], 0, &[]);
    let mixed = ["--checkpoint", path(&folds[0]), "--checkpoint", path(&other), "--overwrite"];
    infer(&mixed, 2, &["does not go with", "labels 0", "finetune-scratch-"]);
    drop(run);
}

#[test]
fn one_network_segments_as_ever_whether_probabilities_are_written_or_not() {
    let place = Folder::new([16, 18, 20]);
    let [run, _] = configs(&place, CLASSES - 1);
    let net = place.at("net");
    expect(&["finetune", path(&run), "--out", path(&net)], 0, &[]);
    place.image("scans/one.nii.gz", 3, 1);
    let infer = |out: &Path, more: &[&str]| {
        expect(&[&["infer", "--checkpoint", path(&net), path(&place.at("scans")), "--out", path(out)], more].concat(), 0, &[])
    };
    let [plain, beside] = ["plain", "beside"].map(|name| place.at(name));
    infer(&plain, &[]);
    assert!(!plain.join("probabilities").exists());
    infer(&beside, &[]);
    infer(&beside, &["--probabilities"]);
    assert!(beside.join("probabilities/one.nii.gz").exists() && beside.join("entropy/one.nii.gz").exists(), "made where they were missing");
    let bytes = |out: &Path| std::fs::read(out.join("one.nii.gz")).expect("a segmentation");
    assert!(bytes(&plain) == bytes(&beside), "to the byte");
    infer(&place.at("other"), &["--probabilities", "--format", "nrrd"]);
    assert!(place.at("other/entropy/one.nrrd").exists());

    // What was measured on held-out cases decides, and is said; here by hand.
    let checkpoint = crate::training(&net, "").join("checkpoints/last");
    let trial =
        |label: u16, dice_largest: f64| serde_json::json!({ "case": "a", "label": label, "dice": 0.5, "dice_largest": dice_largest });
    let record = serde_json::json!({ "measured_on": "a case", "rules": [], "trials": [trial(1, 0.75), trial(2, 0.25)] });
    std::fs::write(checkpoint.join("postprocessing.json"), record.to_string()).expect("a writable folder");
    let kept = place.at("kept");
    let told = infer(&kept, &[]);
    assert!(
        told.contains("only the largest component is kept of") && told.contains("mean Dice 0.7500 instead of 0.5000, 1 case)"),
        "{told}"
    );
    let raw = place.at("raw");
    assert!(!infer(&raw, &["--no-postprocessing"]).contains("largest component"));
    let [kept, raw] = [kept, raw].map(|out| read(&out, "one.nii.gz"));
    let mut expected: Vec<u16> = raw.voxels.iter().map(|&value| value as u16).collect();
    simtrot::geometry::keep_largest(&mut expected, raw.grid.shape, &[1].into());
    assert!(kept.voxels.iter().zip(expected).all(|(&kept, expected)| kept == f32::from(expected)));
}
