//! Which encoders fine-tuning takes over, and which it refuses by name.

use simtrot::config::{Arm, ExperimentConfig, ModelConfig, Preset, RunConfig};
use simtrot::experiment::{Contents, Experiment};
use simtrot::protocol::{StageKind, TransferReport};
use simtrot::train::{Checkpoint, CheckpointInfo, DatasetInfo, init_segmenter, transfer_encoder, transfer_network, untrained};

/// A small preset with settings laid over it.
fn config(preset: Preset, settings: &[&str]) -> RunConfig {
    let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
    RunConfig { model: ModelConfig::Preset(preset).resolve(), ..RunConfig::default() }.with_overrides(&settings).unwrap()
}

/// Pre-trains with the one config, for no step, and starts fine-tuning with the other.
fn moved(then: &RunConfig, now: &RunConfig) -> Result<TransferReport, String> {
    let folder = tempfile::tempdir().unwrap();
    let device = burn::tensor::Device::flex();
    let labels = [(0, "background".to_owned()), (1, "organ".to_owned())].into();
    let dataset = DatasetInfo { name: "made up".to_owned(), channels: vec!["CT".to_owned()], labels };
    let info = CheckpointInfo::new(StageKind::Pretrain, 0, then, &dataset);
    let weights = simtrot::model::export_named(&untrained(&info, &device));
    Checkpoint { info, weights, optimiser: Vec::new() }.save(folder.path(), "last").unwrap();
    let moved = transfer_encoder(init_segmenter(now, &dataset, &device), now, folder.path());
    moved.map(|(_, report, _)| report).map_err(|error| error.to_string())
}

/// Each setting that changes what an encoder computes, at two values; the first of a pair is the preset's.
const DEPARTURES: &[(Preset, &str, &str, &str)] = &[
    (Preset::UnetrSmall, "unetr.num_layers", "8", "4"),
    (Preset::UnetrSmall, "unetr.num_layers", "8", "12"),
    (Preset::UnetrSmall, "unetr.position", "\"learned\"", "\"sinusoid\""),
    (Preset::UnetrSmall, "unetr.qkv_bias", "false", "true"),
    (Preset::UnetrSmall, "unetr.num_heads", "6", "3"),
    (Preset::UnetrSmall, "unetr.projection", "\"conv\"", "\"perceptron\""),
    (Preset::UnetrSmall, "unetr.patch_size", "[8,8,8]", "[16,8,8]"),
    (Preset::UnetrSmall, "unetr.hidden_size", "96", "48"),
    (Preset::UnetrSmall, "unetr.mlp_dim", "384", "192"),
    (Preset::NnformerSmall, "nnformer.depths", "[2,2]", "[2,1]"),
    (Preset::NnformerSmall, "nnformer.num_heads", "[3,6]", "[6,6]"),
    (Preset::NnformerSmall, "nnformer.window_size", "[4,4]", "[2,4]"),
    (Preset::NnformerSmall, "nnformer.patch_size", "[4,4,4]", "[2,4,4]"),
    (Preset::NnformerSmall, "nnformer.embed_dim", "48", "24"),
    (Preset::NnformerSmall, "nnformer.mlp_ratio", "4.0", "2.0"),
    (Preset::NnformerSmall, "nnformer.qkv_bias", "true", "false"),
    (Preset::SwinUnetrSmall, "swin_unetr.use_v2", "false", "true"),
    (Preset::SwinUnetrSmall, "swin_unetr.depths", "[2,2]", "[2,1]"),
    (Preset::SwinUnetrSmall, "swin_unetr.num_heads", "[3,6]", "[6,6]"),
    (Preset::SwinUnetrSmall, "swin_unetr.window_size", "[4,4,4]", "[2,4,4]"),
    (Preset::SwinUnetrSmall, "swin_unetr.merging", "\"merging\"", "\"paper\""),
    (Preset::SwinUnetrSmall, "swin_unetr.normalize", "true", "false"),
    (Preset::SwinUnetrSmall, "swin_unetr.patch_size", "[2,2,2]", "[1,2,2]"),
    (Preset::SwinUnetrSmall, "swin_unetr.feature_size", "24", "12"),
    (Preset::SwinUnetrSmall, "swin_unetr.mlp_ratio", "4.0", "2.0"),
    (Preset::SwinUnetrSmall, "swin_unetr.qkv_bias", "true", "false"),
    (Preset::UnetSmall, "unet.blocks", "[1,2,2,2]", "[1,1,1,1]"),
    (Preset::UnetSmall, "unet.features", "[12,24,48,96]", "[12,24,48,48]"),
    (Preset::UnetSmall, "unet.strides", "[[1,1,1],[2,2,2],[2,2,2],[2,2,2]]", "[[1,1,1],[2,2,2],[2,2,2],[1,2,2]]"),
];

#[test]
fn an_encoder_that_computes_otherwise_is_refused_with_both_values() {
    for (preset, key, here, there) in DEPARTURES {
        let [plain, other] = [here, there].map(|value| config(*preset, &[&format!("model.{key}={value}")]));
        // Losing part of the encoder must be seen as much as gaining one.
        for (then, now, values) in [(&plain, &other, [here, there]), (&other, &plain, [there, here])] {
            let error = moved(then, now).expect_err(key);
            let told = format!("model.{key} is {} in the checkpoint and {} in the config", values[0], values[1]);
            assert!(error.contains(&told), "{told}: {error}");
        }
    }
    let (deep, shallow) = (
        config(Preset::UnetSmall, &[]),
        config(Preset::UnetSmall, &[r#"model={"unet":{"features":[12,24,48],"strides":[[1,1,1],[2,2,2],[2,2,2]],"blocks":[1,2,2]}}"#]),
    );
    assert!(moved(&deep, &shallow).unwrap_err().contains("model.unet.features is [12,24,48,96] in the checkpoint and [12,24,48]"));
    let backbone = moved(&deep, &config(Preset::SwinUnetrSmall, &[])).unwrap_err();
    assert!(backbone.contains("model is U-Net in the checkpoint and Swin UNETR in the config"), "{backbone}");
}

#[test]
fn a_position_code_is_refused_on_another_grid_with_as_many_places() {
    let then = config(Preset::UnetrSmall, &["pretrain.crop_size=[16,32,64]"]);
    let now = config(Preset::UnetrSmall, &["finetune.crop_size=[64,32,16]"]);
    let error = moved(&then, &now).unwrap_err();
    assert!(error.contains("is [2,4,8] in the checkpoint and [8,4,2] in the config"), "{error}");
}

#[test]
fn what_leaves_the_encoder_alone_may_differ() {
    for (preset, settings) in [
        (
            Preset::UnetrSmall,
            &[
                "model.unetr.feature_size=4",
                "model.unetr.conv_block=false",
                "model.unetr.res_block=false",
                "model.unetr.deep_supervision=true",
            ][..],
        ),
        (
            Preset::NnformerSmall,
            &[
                "model.nnformer.drop_path_rate=0.1",
                "model.nnformer.deep_supervision=false",
                "model.nnformer.decoder_heads=[6]",
                "model.nnformer.recompute=true",
                "finetune.crop_size=[64,32,32]",
            ],
        ),
        (
            Preset::SwinUnetrSmall,
            &[
                "model.swin_unetr.drop_path_rate=0.1",
                "model.swin_unetr.deep_supervision=true",
                "model.swin_unetr.recompute=true",
                "finetune.crop_size=[32,32,64]",
            ],
        ),
        (Preset::UnetSmall, &["model.unet.deep_supervision=false", "finetune.crop_size=[32,32,64]"]),
    ] {
        let report = moved(&config(preset, &[]), &config(preset, settings)).unwrap_or_else(|error| panic!("{preset}: {error}"));
        assert!(report.skipped.iter().all(|(name, _)| name.starts_with("projector.")), "{preset}: {:?}", report.skipped);
    }
}

#[test]
fn an_arm_cannot_start_from_an_encoder_that_computes_otherwise() {
    let mut run = config(Preset::UnetrSmall, &[]);
    run.check_arms(&run).unwrap();
    run.arms.finetune.push(Arm {
        name: "shallow".to_owned(),
        from: Some("simtrot_w".to_owned()),
        set: vec!["model.unetr.num_layers=4".to_owned()],
        ..Arm::default()
    });
    let error = run.check_arms(&run).unwrap_err().to_string();
    assert!(error.contains("\"shallow\"") && error.contains("num_layers is 8 in \"simtrot_w\""), "{error}");
    assert!(error.contains("and 4 here"), "{error}");
    // A pre-training of its own mends it.
    run.arms.pretrain.push(Arm { name: "shallow".to_owned(), set: vec!["model.unetr.num_layers=4".to_owned()], ..Arm::default() });
    run.arms.finetune.last_mut().unwrap().from = Some("shallow".to_owned());
    run.check_arms(&run).unwrap();
}

#[test]
fn points_of_a_experiment_share_no_pre_training_that_they_cannot_take_over() {
    let experiment = |shares: bool| {
        let text = format!(
            "(name: \"s\", base: run((model: preset(nnformer_small))), axes: [(name: \"backbone\", levels: [\
             (name: \"a\", set: [\"model={{\\\"preset\\\":\\\"nnformer_small\\\"}}\"]), \
             (name: \"b\", set: [\"model={{\\\"preset\\\":\\\"unet_small\\\"}}\"])], shares_pretraining: {shares})])"
        );
        Experiment::new(ExperimentConfig::from_ron(&text, "s.ron", std::path::Path::new("")).unwrap(), Contents::default())
            .map_err(|error| error.to_string())
    };
    experiment(false).unwrap();
    let error = experiment(true).unwrap_err();
    assert!(error.contains("model is nnFormer in \"simtrot_w\"") && error.contains("U-Net here"), "{error}");
}

#[test]
fn a_whole_network_is_taken_over_to_the_bit_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let device = burn::tensor::Device::flex();
    let labels = |name: &str| [(0, "background".to_owned()), (1, name.to_owned())].into();
    let dataset = DatasetInfo { name: "made up".to_owned(), channels: vec!["CT".to_owned()], labels: labels("organ") };
    let then = config(Preset::UnetSmall, &["finetune.whole_network=true"]);
    let now = RunConfig { seed: 7, ..then.clone() };
    let saved = |kind| {
        let info = CheckpointInfo::new(kind, 0, &then, &dataset);
        let weights = match kind {
            StageKind::Finetune => simtrot::model::export_named(&init_segmenter(&then, &dataset, &device)),
            _ => simtrot::model::export_named(&untrained(&info, &device)),
        };
        Checkpoint { info, weights: weights.clone(), optimiser: Vec::new() }.save(folder.path(), "last").unwrap();
        weights
    };
    let moved = |config: &RunConfig, dataset: &DatasetInfo| {
        let moved = transfer_network(init_segmenter(config, dataset, &device), (config, dataset), folder.path());
        moved.map(|(network, report, _)| (simtrot::model::export_named(&network), report)).map_err(|error| error.to_string())
    };
    let weights = saved(StageKind::Finetune);
    let (own, report) = moved(&now, &dataset).unwrap();
    assert_eq!(own, weights);
    assert_ne!(simtrot::model::export_named(&init_segmenter(&now, &dataset, &device)), weights, "another seed has other weights");
    assert_eq!((report.matched.len(), report.missing.len(), report.skipped.len(), report.what()), (weights.len(), 0, 0, "network"));
    let renamed = DatasetInfo { labels: labels("another organ"), ..dataset.clone() };
    assert!(moved(&now, &renamed).unwrap_err().contains("another organ"));
    assert!(moved(&config(Preset::UnetSmall, &["model.unet.blocks=[1,1,1,1]"]), &dataset).is_err());
    saved(StageKind::Pretrain);
    assert!(moved(&now, &dataset).unwrap_err().contains("whole_network"));
}
