//! Every backbone with every pretext task, from one config line each: a step, or the refusal that says why not.

use std::path::Path;
use std::process::Output;

use simtrot::config::{Preset, PretextTask, RunConfig};

use crate::{simtrot, text};

/// Made-up volumes of the small presets' size, and as little around the step as there can be.
const SETTINGS: &[&str] = &[
    "data.source={\"synthetic\":{\"cases\":6,\"shape\":[32,32,32],\"channels\":1,\"labels\":2}}",
    "data.preprocess.spacing_mm=null",
    "data.split={\"hold_out\":{\"test\":0.34,\"validation\":0}}",
    "probe.volumes=2",
    "probe.crops=1",
    "probe.label_volumes=[]",
];

fn pretrain(config: &Path, out: &Path, settings: &[&str], more: &[&str]) -> Output {
    let mut command = simtrot(&["pretrain"]);
    command.arg(config).arg("--out").arg(out);
    for setting in SETTINGS.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    command.args(more).output().expect("the program starts")
}

#[test]
fn every_backbone_takes_every_task_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("default.ron");
    std::fs::write(&config, "()").unwrap();
    let small: Vec<_> = Preset::ALL.iter().filter(|preset| preset.to_string().ends_with("_small")).collect();
    let (mut steps, mut refusals) = (0, 0);
    for preset in &small {
        for task in PretextTask::ALL {
            let [model, task_setting] = [format!("model.preset={preset}"), format!("pretrain.task={task}")];
            let settings = [model.as_str(), &task_setting];
            let parsed = RunConfig::default().with_overrides(&settings.map(str::to_owned));
            let output = pretrain(&config, &folder.path().join(format!("{preset}_{task}")), &settings, &["--max-steps", "1"]);
            let text = text(&output);
            if task == PretextTask::Mae && !preset.to_string().starts_with("unetr") {
                assert_eq!(output.status.code(), Some(2), "{preset}, {task}: {text}");
                assert!(parsed.is_err() && text.contains("hierarchical") && text.contains("simmim"), "{preset}, {task}: {text}");
                refusals += 1;
            } else {
                assert!(parsed.is_ok(), "{preset}, {task}: {parsed:?}");
                assert!(output.status.success(), "{preset}, {task}: {text}");
                steps += 1;
            }
        }
    }
    assert_eq!(steps + refusals, small.len() * PretextTask::ALL.len());
    assert!(refusals == small.len() - 1 && steps > 0, "{steps} steps, {refusals} refusals");
}

#[test]
fn every_task_resumes_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("default.ron");
    std::fs::write(&config, "(pretrain: (steps: 3))").unwrap();
    let further = ["pretrain.rotation_code=true", "pretrain.reconstruction_weight=0.5"];
    let tasks = PretextTask::ALL.map(|task| (task.to_string(), format!("pretrain.task={task}"), &further[..0]));
    let with_further = ("simtrot_further".to_owned(), "pretrain.task=simtrot".to_owned(), &further[..]);
    for (task, task_setting, more) in tasks.into_iter().chain([with_further]) {
        let preset = if task == "mae" { "unetr_small" } else { "nnformer_small" };
        let model = format!("model.preset={preset}");
        let settings = [&[model.as_str(), &task_setting], more].concat();
        let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(format!("{name}_{task}")));
        assert!(pretrain(&config, &whole, &settings, &[]).status.success(), "{task}");
        assert!(pretrain(&config, &broken, &settings, &["--max-steps", "1"]).status.success(), "{task}");
        let resumed = pretrain(&config, &broken, &settings, &["--resume"]);
        assert!(resumed.status.success(), "{task}: {}", text(&resumed));
        for file in ["weights.safetensors", "optimiser.safetensors"] {
            let [whole, broken] =
                [&whole, &broken].map(|run| std::fs::read(crate::training(run, "").join("checkpoints/last").join(file)).unwrap());
            assert!(whole == broken, "{task}: {file} differs");
        }
    }
}
