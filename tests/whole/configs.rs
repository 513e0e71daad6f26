//! Every config that ships is sound.

use std::path::{Path, PathBuf};

use simtrot::config::{Arm, AugmentConfig, ExperimentConfig, NNUNET_FOLDS, OptimiserConfig, RunConfig, SplitConfig};
use simtrot::experiment::Experiment;

fn configs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "ron"));
    files.chain(folders.iter().flat_map(|folder| configs(folder))).collect()
}

fn is_experiment(file: &Path) -> bool {
    std::fs::read_to_string(file).expect("a readable file").contains("base: file(")
}

#[test]
fn every_shipped_experiment_can_be_laid_out() {
    let files = configs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/experiments"));
    let names: Vec<_> = files.iter().filter_map(|file| file.file_stem()?.to_str()).collect();
    for name in
        ["table1_synapse", "table2_tumour", "table3_backbones", "table4_ablation", "figure5_labels", "figure6_mask_ratio", "figure6_weight"]
    {
        // With its small twin.
        assert_eq!(names.iter().filter(|other| **other == name).count(), 2, "{name}");
    }
    for file in files.iter().filter(|file| is_experiment(file)) {
        let config = ExperimentConfig::load(file).unwrap_or_else(|error| panic!("{error}"));
        assert!(!config.title.is_empty() && config.axes.iter().any(|axis| axis.repeats()), "{}", file.display());
        let experiment = Experiment::outline(config.clone()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let is_adamw = |arm: &Arm| matches!(config.base().with_arm(arm).unwrap().finetune.optimiser, OptimiserConfig::AdamW { .. });
        let twin = experiment.arms().iter().any(|arm| arm.from.is_none() && is_adamw(arm));
        assert!(twin, "{}: no AdamW twin from scratch", file.display());
        // What an experiment's folder keeps is the same experiment.
        let kept = ExperimentConfig::from_ron(&config.to_ron(), "experiment.ron", Path::new("")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Experiment::outline(kept).unwrap().trainings, experiment.trainings, "{}", file.display());
    }
}

#[test]
fn every_shipped_config_is_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let files = configs(&root);
    assert!(files.len() >= 4, "{files:?}");
    for file in files.into_iter().filter(|file| !is_experiment(file)) {
        let text = std::fs::read_to_string(&file).expect("found in its folder");
        let name = file.strip_prefix(&root).expect("found under it").display().to_string();
        let config = RunConfig::from_ron(&text, &name).unwrap_or_else(|error| panic!("{error}"));
        let resolved = config.resolved();
        for arm in config.arms.pretrain.iter().chain(&config.arms.finetune) {
            // A report lays the arms over what the run's folder keeps.
            let [own, replayed] =
                [&config, &resolved].map(|config| config.with_arm(arm).unwrap_or_else(|error| panic!("{name}, arm {}: {error}", arm.name)));
            assert_eq!(own.resolved(), replayed.resolved(), "{name}, arm {}", arm.name);
        }
        // What a run's folder keeps reads back as the same settings.
        let written = resolved.to_ron();
        assert_eq!(RunConfig::from_ron(&written, &name).unwrap_or_else(|error| panic!("{error}")), resolved, "{name}");
    }
}

fn small(name: &str) -> ExperimentConfig {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/experiments/small").join(name);
    ExperimentConfig::load(&file).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_small_experiment_leaves_the_place_of_its_data_to_the_config_that_it_varies() {
    let files = configs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/experiments/small"));
    for file in files.iter().filter(|file| is_experiment(file)) {
        let text = std::fs::read_to_string(file).expect("found in its folder");
        let mut settings = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        assert!(!settings.any(|line| line.contains("source")), "{} names data besides its base", file.display());
    }
}

#[test]
fn settings_are_selected_on_validation_cases_alone() {
    for name in ["brain_selection.ron", "hippocampus_selection.ron", "transfer.ron", "budget.ron", "frozen.ron"] {
        assert!(small(name).base().data.hold_back_test, "{name}");
    }
    let lists = |name: &str| match small(name).base().data.split.clone() {
        SplitConfig::Lists { pretrain, finetune, validation, test } => [pretrain, finetune, validation, test],
        other => panic!("{name}: {other:?}"),
    };
    let [_, training, none, tested] = lists("brain_labels.ron");
    assert_eq!((training.len(), none.len(), tested.len()), (15, 0, 20));
    let [pretrain, finetune, validation, test] = lists("brain_selection.ron");
    assert_eq!(
        (&pretrain, [finetune.as_slice(), &validation].concat(), test.len()),
        (&finetune, training, 0),
        "the training brains, parted"
    );
}

#[test]
fn the_five_folds_are_nnu_net_s() {
    let experiment = Experiment::outline(small("five_folds.ron")).unwrap_or_else(|error| panic!("{error}"));
    for arm in 0..experiment.arms().len() {
        let cells = experiment.cells.iter().filter(|cell| cell.arm == arm);
        let splits: Vec<_> = cells.map(|cell| experiment.trainings[cell.finetuned].config.data.split.clone()).collect();
        assert_eq!(splits, (0..NNUNET_FOLDS).map(|fold| SplitConfig::NnunetFolds { fold }).collect::<Vec<_>>());
    }
    let base = experiment.config.base();
    let augment = AugmentConfig { flip_p: [0.0, 0.0, 0.5], ..AugmentConfig::nnunet(base.finetune.crop_size) };
    assert!(base.finetune.augment == augment && base.infer.mirror, "nnU-Net's augmentations, mirrored where left is right");
}
