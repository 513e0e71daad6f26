//! The program as a user calls it: exit codes, folders, resuming, stopping, segmenting.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{refused, simtrot, succeed, trainings};

/// The demo's config, cut down to seconds.
const SMALL: &[&str] =
    &["data.label_fraction=0.3", "probe.volumes=3", "probe.crops=1", "probe.label_volumes=[2]", "evaluate.bootstrap=100"];

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/demo.ron")
}

fn training(kind: &str, out: &Path, more: &[&str]) -> Command {
    let mut command = simtrot(&[kind]);
    command.arg(config()).arg("--out").arg(out);
    for setting in SMALL {
        command.args(["--set", setting]);
    }
    command.args(more);
    command
}

fn run(mut command: Command) -> Output {
    command.output().expect("the program starts")
}

/// Every safetensors file of a checkpoint by name.
fn tensors(checkpoint: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(checkpoint).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())).collect()
}

/// The last checkpoint of a folder's only training.
fn last(out: &Path) -> PathBuf {
    crate::training(out, "").join("checkpoints/last")
}

fn assert_same_weights(a: &Path, b: &Path) {
    let (a, b) = (tensors(&last(a)), tensors(&last(b)));
    assert_eq!(a.keys().collect::<Vec<_>>(), ["optimiser.safetensors", "weights.safetensors"]);
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{name} differs");
    }
}

#[test]
fn a_resumed_pretraining_equals_an_unbroken_one_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken, other) = (folder.path().join("a/whole"), folder.path().join("b/broken"), folder.path().join("c/other"));
    let steps = ["--set", "pretrain.steps=5"];
    let mut first = training("pretrain", &whole, &steps);
    first.env("SIMTROT_CACHE", folder.path().join("cache"));
    let told = succeed(first);
    assert!(told.contains("cases to be prepared, up to"), "the size on disk is said before: {told}");
    let told = succeed(training("pretrain", &broken, &[&steps[..], &["--max-steps", "2", "--memory", "1KiB"]].concat()));
    assert!(told.contains("more than the 1.00 KiB of --memory"), "{told}");
    assert!(tensors(&last(&whole)) != tensors(&last(&broken)), "two steps are not five");
    succeed(training("pretrain", &broken, &[&steps[..], &["--resume", "--memory", "64MiB"]].concat()));
    assert_same_weights(&whole, &broken);
    succeed(training("pretrain", &broken, &["--set", "pretrain.steps=7", "--resume"]));
    let longer: Value = serde_json::from_slice(&std::fs::read(last(&broken).join("checkpoint.json")).unwrap()).unwrap();
    assert_eq!(longer["step"], 7, "a finished run goes on when asked for more steps");
    succeed(training("pretrain", &other, &[&steps[..], &["--set", "seed=1"]].concat()));
    assert!(tensors(&last(&whole)) != tensors(&last(&other)), "another seed is another run");

    let summary: Value = serde_json::from_slice(&std::fs::read(whole.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["schema"], 3);
    for name in ["untrained", "constant", "noise", "simtrot_w"] {
        assert!(summary["collapse"][name].is_object(), "collapse of {name}: {summary}");
    }
    for file in ["config.ron", "report.html", "report.md"] {
        assert!(whole.join(file).is_file(), "{file}");
    }
    for file in ["config.ron", "environment.json", "events.jsonl", "split.json"] {
        assert!(crate::training(&whole, "").join(file).is_file(), "{file}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_refused_once_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (out, cache) = (folder.path().join("out"), folder.path().join("cache"));
    std::fs::write(&cache, "no folder").unwrap();
    let mut call = simtrot(&["run"]);
    call.arg(config()).arg("--out").arg(&out).env("SIMTROT_CACHE", &cache);
    let told = crate::ends(call, 2);
    assert_eq!(told.matches("cache folder cannot be written").count(), 1, "{told}");
    assert!(told.contains("SIMTROT_CACHE names another folder") && !out.exists(), "{told}");
}

#[test]
fn a_plan_names_settings_that_nothing_reads() {
    let mut call = simtrot(&["plan", "--dry-run"]);
    call.arg(config()).args(["--set", "finetune.augment.rotation_p=0", "--set", "finetune.augment.rotation_deg=15"]);
    let told = succeed(call);
    assert!(told.contains("set, but not used where the probability is 0: finetune.augment.rotation_deg"), "{told}");
}

#[test]
fn a_plan_names_arms_from_scratch_whose_encoder_moves_as_a_pre_trained_one() {
    let mut call = simtrot(&["plan", "--dry-run"]);
    call.arg(config()).args(["--set", "finetune.encoder_lr_decay=0.5"]);
    let told = succeed(call);
    let notes: Vec<&str> = told.lines().filter(|line| line.contains("not pre-trained, moves by finetune.encoder_lr_decay:")).collect();
    assert!(!notes.is_empty() && notes.iter().all(|line| line.starts_with("note: finetune scratch")), "{told}");
}

#[test]
fn finetuning_resumes_to_the_bit_takes_an_encoder_over_and_segments_on_the_scans_own_grid() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    succeed(training("pretrain", &at("encoder"), &["--set", "pretrain.steps=2"]));
    let encoder = at("encoder").display().to_string();
    let shallow = ["--set", "model.preset=nnformer_small", "--from", &encoder];
    let other = r#"model={"nnformer":{"depths":[2,1]}}"#;
    let told = ["model.nnformer.depths is [2,2] in the checkpoint and [2,1] in the config"];
    refused(training("finetune", &at("shallow"), &[&shallow[..], &["--set", other]].concat()), 2, &told);
    let steps = ["--set", "finetune.steps=5", "--from", &encoder];
    let text = succeed(training("finetune", &at("whole"), &steps));
    assert!(text.contains("matched") && text.contains("missing") && text.contains("skipped"), "the transfer is reported: {text}");
    succeed(training("finetune", &at("broken"), &[&steps[..], &["--max-steps", "3"]].concat()));
    succeed(training("finetune", &at("broken"), &[&steps[..], &["--resume"]].concat()));
    assert_same_weights(&at("whole"), &at("broken"));
    succeed(training("finetune", &at("scratch"), &["--set", "finetune.steps=5"]));
    assert!(tensors(&last(&at("whole"))) != tensors(&last(&at("scratch"))));

    let scan = crate::fixtures::folder().join("nifti_oblique_image.nii.gz");
    let mut infer = simtrot(&["infer", "--checkpoint"]);
    infer.arg(at("whole")).arg(&scan).arg("--out").arg(at("out"));
    succeed(infer);
    let made = simtrot::volume::nifti::read(&at("out").join("nifti_oblique_image.nii.gz")).unwrap();
    let given = simtrot::volume::nifti::read(&scan).unwrap();
    assert_eq!(made.volume.grid, given.volume.grid, "shape and affine are the scan's to the bit");
    let nrrd = at("other.nrrd");
    simtrot::volume::file::write_volume(&nrrd, &given.volume, &given.header).unwrap();
    for (format, name) in [(&[][..], "other.nrrd"), (&["--format", "mha"], "other.mha")] {
        let mut infer = simtrot(&["infer", "--checkpoint"]);
        infer.arg(at("whole")).arg(&nrrd).arg("--out").arg(at("out")).args(format);
        succeed(infer);
        let other = simtrot::volume::file::read(&at("out").join(name)).unwrap();
        assert!(other.volume.grid.corner_distance_mm(&given.volume.grid) < 1e-9, "{name}");
        assert_eq!(other.volume.voxels, made.volume.voxels, "{name}: one image, one segmentation");
    }
    let volumes = crate::volumes::Folder::new([20, 24, 28]);
    volumes.series("ct");
    let mut infer = simtrot(&["infer", "--checkpoint"]);
    infer.arg(at("whole")).arg(volumes.at("ct")).arg("--out").arg(at("dicom"));
    succeed(infer);
    let written: Vec<_> = std::fs::read_dir(at("dicom")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let found = written.iter().find(|file| file.extension().is_some_and(|ending| ending == "dcm")).expect("a DICOM segmentation");
    let series = simtrot::volume::file::read(&volumes.at("ct")).unwrap().volume.grid;
    assert_eq!(simtrot::volume::file::read(found).unwrap().volume.grid, series, "the first slice and the last are in it");
    let mut no_series = simtrot(&["infer", "--format", "dcm", "--checkpoint"]);
    no_series.arg(at("whole")).arg(&scan).arg("--out").arg(at("no series"));
    let told = crate::ends(no_series, 2);
    assert!(told.contains("must belong to a DICOM series") && told.contains("--format nii.gz"), "{told}");
    assert!(told.lines().count() == 1 && !at("no series").exists(), "refused before anything: {told}");
    let mut again = simtrot(&["infer", "--checkpoint"]);
    again.arg(at("whole")).arg(&scan).arg("--out").arg(at("out"));
    assert!(succeed(again).contains("already there"), "the same image by the same network is not segmented again");
    std::fs::copy(&scan, at("foreign.nii.gz")).unwrap();
    std::fs::create_dir(at("kept")).unwrap();
    std::fs::write(at("kept/foreign.nii.gz"), "somebody's own").unwrap();
    let mut foreign = simtrot(&["infer", "--checkpoint"]);
    foreign.arg(at("whole")).arg(at("foreign.nii.gz")).arg("--out").arg(at("kept"));
    refused(foreign, 2, &["already there", "--overwrite"]);

    let predictions = crate::training(&at("whole"), "").join("predictions");
    let mut evaluate = simtrot(&["evaluate", "--truth"]);
    evaluate.arg(&predictions).arg("--prediction").arg(&predictions).arg("--out").arg(at("scores"));
    succeed(evaluate);
    let scores: Value = serde_json::from_slice(&std::fs::read(at("scores/summary.json")).unwrap()).unwrap();
    assert_eq!(scores["test"]["cases"], 12);
    let mut in_voxels = simtrot(&["evaluate", "--set", "evaluate.distance_unit=voxels", "--truth"]);
    in_voxels.arg(&predictions).arg("--prediction").arg(&predictions).arg("--out").arg(at("scores in voxels"));
    let told = succeed(in_voxels);
    assert!(told.contains("HD95 in voxels (95th percentile of the pooled surface distances"), "{told}");
    let own: Value = serde_json::from_slice(&std::fs::read(at("scores in voxels/summary.json")).unwrap()).unwrap();
    assert_eq!((&own["test"]["unit"], &scores["test"]["unit"]), (&Value::from("voxels"), &Value::from("mm")));
    let table = std::fs::read_to_string(at("scores in voxels/metrics.csv")).unwrap();
    assert!(table.starts_with("arm,case,label,dice,hd95,unit,") && table.contains(",voxels,") && !table.contains("mm"), "{table}");
    let label = crate::fixtures::folder().join("nifti_oblique_label.nii.gz");
    std::fs::create_dir(at("labels")).unwrap();
    std::fs::copy(&label, at("labels/case.nii.gz")).unwrap();
    let mut against_itself = simtrot(&["evaluate", "--truth"]);
    against_itself.arg(at("labels")).arg("--prediction").arg(at("labels")).arg("--out").arg(at("scores of labels"));
    succeed(against_itself);
    let own: Value = serde_json::from_slice(&std::fs::read(at("scores of labels/summary.json")).unwrap()).unwrap();
    assert_eq!((&own["test"]["dice_mean"], &own["test"]["hd95_mean"]), (&Value::from(1.0), &Value::from(0.0)), "a map against itself");
    let mut wrong = simtrot(&["infer", "--checkpoint"]);
    wrong.arg(at("encoder")).arg(&scan).arg("--out").arg(at("out2"));
    refused(wrong, 2, &["pre-trained encoder", "finetune"]);
}

#[test]
fn weights_leave_come_back_and_go_on_and_say_where_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let exchange = |command: &str, from: &Path, out: &Path, more: &[&str]| {
        let mut call = simtrot(&[command]);
        call.arg(from).arg("--out").arg(out).args(more);
        call
    };
    succeed(training("pretrain", &at("pretrained"), &["--set", "pretrain.steps=1"]));
    succeed(exchange("export", &at("pretrained"), &at("encoder.safetensors"), &["--format", "monai"]));
    refused(
        exchange("export", &at("pretrained"), &at("encoder.safetensors"), &["--format", "monai"]),
        2,
        &["already there", "--overwrite"],
    );
    let text = succeed(exchange("import", &at("encoder.safetensors"), &at("encoder"), &["--backbone", "nnformer"]));
    for word in ["matched", "missing      0", "mismatched   0", "skipped      0", "sha256"] {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    refused(exchange("import", &at("encoder.safetensors"), &at("encoder"), &[]), 2, &["already there", "--overwrite"]);
    refused(exchange("import", &at("encoder.safetensors"), folder.path(), &["--overwrite"]), 2, &["is no checkpoint"]);

    let encoder = at("encoder").display().to_string();
    succeed(training("finetune", &at("tuned"), &["--set", "finetune.steps=1", "--from", &encoder]));
    let mut show = simtrot(&["show"]);
    show.arg(at("tuned"));
    let page = succeed(show);
    for word in
        ["fine-tuned network", &encoder, "encoder.safetensors (sha256", "finetune.steps = 1", "commit", "Hippocampus demo", "Anterior"]
    {
        assert!(page.contains(word), "no {word:?} in: {page}");
    }
    succeed(exchange("export", &at("tuned"), &at("whole.safetensors"), &["--format", "safetensors"]));
    succeed(exchange("import", &at("whole.safetensors"), &at("whole"), &[]));
    assert_eq!(tensors(&at("whole"))["weights.safetensors"], tensors(&last(&at("tuned")))["weights.safetensors"]);
    let mut infer = simtrot(&["infer", "--checkpoint"]);
    infer.arg(at("whole")).arg(crate::fixtures::folder().join("nifti_oblique_image.nii.gz")).arg("--out").arg(at("out"));
    succeed(infer);
    // An encoder from MONAI is used to other axes: fine-tuning and probing say so.
    let info = at("encoder").join("checkpoint.json");
    let text = std::fs::read_to_string(&info).unwrap();
    std::fs::write(&info, text.replacen('{', "{\"convention\": \"monai\",", 1)).unwrap();
    let told = succeed(training("finetune", &at("turned"), &["--set", "finetune.steps=2", "--from", &encoder]));
    assert!(told.contains("axes R,A,S"), "{told}");
    let mut probe = simtrot(&["probe", "--set", "probe.volumes=3", "--set", "probe.crops=1", "--checkpoint"]);
    probe.arg(&encoder).arg("demo").args(["--set", "probe.label_volumes=[2]"]);
    let told = succeed(probe);
    assert!(told.contains("has no projector") && told.contains("axes R,A,S"), "{told}");
}

#[test]
fn nothing_that_is_there_is_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let one = ["--set", "pretrain.steps=1"];
    refused(training("pretrain", &out, &[&one[..], &["--resume"]].concat()), 2, &["no run to resume"]);
    succeed(training("pretrain", &out, &one));
    let before = crate::events(&out);
    refused(training("pretrain", &out, &one), 2, &["already holds an experiment", "--resume", "--overwrite"]);
    assert_eq!(crate::events(&out), before);
    refused(
        training("pretrain", &out, &[&one[..], &["--resume", "--set", "pretrain.mask_ratio=0.1"]].concat()),
        2,
        &["pretrain.mask_ratio"],
    );
    succeed(training("pretrain", &out, &[&one[..], &["--overwrite"]].concat()));
    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    refused(training("pretrain", &foreign, &[&one[..], &["--overwrite"]].concat()), 2, &["no experiment of simtrot"]);
    assert_eq!(std::fs::read_to_string(foreign.join("thesis.txt")).unwrap(), "years of work");
}

#[test]
fn configs_are_refused_early_and_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.ron");
    let out = folder.path().join("out").display().to_string();
    let try_text = |text: &str| {
        std::fs::write(&file, text).unwrap();
        simtrot(&["pretrain", file.to_str().unwrap(), "--out", &out])
    };
    refused(try_text("(\n  pretrain: (mask_ratio: 2),\n)"), 2, &["x.ron:2", "mask_ratio", "0 to 0.99"]);
    refused(try_text("(\n  pretrain: (\n  masc_ratio: 0.5),\n)"), 2, &["x.ron:3", "masc_ratio"]);
    refused(training("pretrain", Path::new(&out), &["--set", "pretrain.crop_size=[30,32,32]"]), 2, &["crop"]);
    refused(
        training(
            "pretrain",
            Path::new(&out),
            &["--set", "data.source={\"dataset\":\"/nowhere\"}", "--set", "data.split={\"hold_out\":{\"test\":0.2,\"validation\":0}}"],
        ),
        2,
        &["/nowhere"],
    );
    let hides_none = ["--set", "pretrain.task=simmim", "--set", "pretrain.mask_ratio=0.01"];
    refused(training("pretrain", Path::new(&out), &hides_none), 2, &["pretrain.mask_ratio", "0.01 of 64 cells", "hides none"]);
    assert!(!Path::new(&out).exists(), "a refused run leaves nothing behind");
}

#[test]
fn a_run_that_diverges_says_where_and_what_is_still_good() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let settings = [
        "--set",
        "finetune.steps=60",
        "--set",
        "finetune.clip_norm=null",
        "--set",
        "finetune.checkpoint_every=1",
        "--set",
        "finetune.optimiser={\"sgd\":{\"lr\":10,\"momentum\":0.9999,\"weight_decay\":1}}",
    ];
    refused(training("finetune", &out, &settings), 2, &["at step", "hippocampus_", "last good checkpoint"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_finishes_the_step_saves_and_exits_130() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = training("pretrain", &out, &["--set", "pretrain.steps=100000"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let stepping = || crate::events(&out).contains("\"event\":\"step\"");
    while !stepping() {
        assert!(began.elapsed() < Duration::from_secs(120), "no step in two minutes");
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its first step");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(last(&out).join("weights.safetensors").is_file());
    let events = crate::events(&out);
    assert!(events.lines().last().unwrap().contains("stopped"), "the record ends with how the run ended");
}

#[test]
fn a_comparison_runs_every_arm_and_goes_on_where_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let steps = ["--set", "pretrain.steps=2", "--set", "finetune.steps=2"];
    succeed(training("run", &out, &steps));
    let summary: Value = serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    for arm in ["scratch", "plain", "simtrot_w", "scratch_adamw"] {
        assert_eq!(summary["test"][arm]["cases"], 12, "{arm}");
        assert!(crate::training(&out, &format!("finetune-{arm}-")).join("predictions").read_dir().unwrap().count() == 12);
    }
    for name in ["untrained", "constant", "plain", "simtrot_w"] {
        for key in [
            "eta2",
            "eta2_turned",
            "gap",
            "index_lock",
            "anatomy_lock",
            "rankme",
            "residual_rankme",
            "position_probe_r2",
            "content_probe_accuracy",
            "label_probe_r2",
        ] {
            assert!(summary["collapse"][name].get(key).is_some(), "{name}.{key}");
            assert!(summary["collapse_encoder"][name].get(key).is_some(), "encoder {name}.{key}");
        }
    }
    // Everything is done: the same command trains nothing again.
    let written = || -> Vec<_> {
        let weights = trainings(&out, "").into_iter().map(|own| own.join("checkpoints/last/weights.safetensors"));
        weights.map(|path| std::fs::metadata(path).unwrap().modified().unwrap()).collect()
    };
    let before = written();
    assert_eq!(before.len(), 6);
    succeed(training("run", &out, &steps));
    assert_eq!(written(), before);
}

#[test]
fn a_checkpoint_can_be_probed_and_data_checked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("encoder");
    succeed(training("pretrain", &out, &["--set", "pretrain.steps=1"]));
    let json = folder.path().join("probe.json");
    let mut probe = simtrot(&["probe", "--checkpoint"]);
    probe.arg(&out).arg("demo").args(["--set", "probe.volumes=3"]).arg("--json").arg(&json);
    succeed(probe);
    let probed: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert!(probed["collapse"]["probe"]["eta2_turned"].is_number(), "{probed}");
    succeed(simtrot(&["check", "demo"]));
    std::fs::write(folder.path().join("broken.nii.gz"), b"\x1f\x8b\x08 cut off").unwrap();
    let output = run(simtrot(&["check", folder.path().to_str().unwrap()]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("broken.nii.gz"));
}
