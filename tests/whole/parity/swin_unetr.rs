//! Swin UNETR against MONAI and the older copy in SimTROT's repository: feature maps, logits, gradients.

use burn::tensor::{Device, Tensor};
use serde_json::Value;
use simtrot::config::{MergingOrder, ModelConfig, SwinUnetrConfig};
use simtrot::model::{Encoder, NamedWeights, Pass, Segmenter, Task, export_named, load_named};

use super::Outcomes;
use super::networks::{Computed, host, input, logits, on_devices, values, wanted};
use crate::fixtures::{Entry, list, triple};

pub fn applies(entry: &Entry) -> bool {
    let reference = entry.manifest["reference"].as_str().unwrap_or_default();
    entry.kind == "network" && (reference.contains("SwinUNETR") || reference.contains("SwinTransformer"))
}

pub fn run(entry: &Entry) -> Outcomes {
    on_devices(entry, compute)
}

fn compute(entry: &Entry, device: &Device) -> Computed {
    let (volume, config) = (input(entry, device), config(entry.hyper()));
    let (task, model) = (task(entry.hyper(), &volume.dims()), ModelConfig::SwinUnetr(config.clone()));
    let mut got = Computed::new();
    feature_maps(&load(entry, Encoder::init(&model, &task, 1, device), &config), &config, &volume, &mut got);
    if wanted(entry).any(|name| name.contains("logits") || name.contains("grad")) {
        logits(&load(entry, Segmenter::init(&model, &task, 1, device), &config), &volume, &mut got);
    }
    got
}

/// `module` with the entry's weights: all of its parameters, and nothing of its own is left over.
fn load<M: NamedWeights>(entry: &Entry, module: M, config: &SwinUnetrConfig) -> M {
    let weights = host(entry.all_weights());
    let (module, report) = load_named(module, &weights);
    assert!(report.missing.is_empty() && report.mismatched.is_empty(), "{}: weights do not fit:\n{report}", entry.name);
    let exported = export_named(&module);
    let encoder_alone = exported.keys().all(|name| name.starts_with("swinViT."));
    for name in &report.skipped {
        // The weights are those of v2; v1 has no convolutions in front of its stages, and the encoder no decoder.
        let of_v2 = !config.use_v2 && name.split('.').nth(1).is_some_and(|layer| layer.starts_with("layers") && layer.ends_with('c'));
        assert!(of_v2 || (encoder_alone && !name.starts_with("swinViT.")), "{}: {name} is not used", entry.name);
    }
    assert!(exported.iter().all(|(name, tensor)| *tensor == weights[name]), "{}: weights change on their way", entry.name);
    module
}

/// `hidden_K` as configured, `hidden_K_raw` and `hidden_K_norm`.
fn feature_maps(encoder: &Encoder, config: &SwinUnetrConfig, volume: &Tensor<5>, got: &mut Computed) {
    let dims = encoder.dims();
    let Encoder::SwinUnetr(encoder) = encoder else { panic!("a Swin UNETR") };
    for (suffix, normalize) in [("", config.normalize), ("_raw", false), ("_norm", true)] {
        for (level, state) in encoder.hidden_states(volume.clone(), normalize, Pass::EVALUATION).into_iter().enumerate() {
            assert_eq!(state.tokens.dims()[2], dims[level]);
            got.insert(format!("expected.hidden_{level}{suffix}"), values(state.into_volume()));
        }
    }
}

/// An entry may leave out what has MONAI's default.
fn config(hyper: &Value) -> SwinUnetrConfig {
    let depths = list(&hyper["depths"]);
    SwinUnetrConfig {
        patch_size: sizes(&hyper["patch_size"], 2),
        feature_size: hyper["feature_size"].as_u64().expect("feature_size") as usize,
        num_heads: list(&hyper["num_heads"]),
        window_size: sizes(&hyper["window_size"], 7),
        mlp_ratio: hyper["mlp_ratio"].as_f64().unwrap_or(4.0),
        qkv_bias: hyper["qkv_bias"].as_bool().unwrap_or(true),
        drop_path_rate: hyper["dropout_path_rate"].as_f64().unwrap_or(0.0),
        normalize: hyper["normalize"].as_bool().unwrap_or(true),
        merging: match hyper["downsample"].as_str().unwrap_or("merging") {
            "merging" => MergingOrder::Merging,
            "mergingv2" => MergingOrder::MergingV2,
            older if older.starts_with("merging as of") => MergingOrder::Paper,
            other => panic!("no patch merging {other:?}"),
        },
        use_v2: hyper["use_v2"].as_bool().unwrap_or(false),
        deep_supervision: false,
        recompute: false,
        depths,
    }
}

/// One number for all axes, or one for each.
fn sizes(value: &Value, default: usize) -> [usize; 3] {
    match value {
        Value::Null => [default; 3],
        Value::Number(edge) => [edge.as_u64().expect("a whole number") as usize; 3],
        list => triple(list),
    }
}

fn task(hyper: &Value, input: &[usize]) -> Task {
    Task {
        channels: hyper["in_channels"].as_u64().expect("in_channels") as usize,
        classes: hyper["out_channels"].as_u64().expect("out_channels") as usize,
        crop_size: input[2..].try_into().expect("N C D H W"),
    }
}
