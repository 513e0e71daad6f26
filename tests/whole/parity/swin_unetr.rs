//! Swin UNETR against MONAI and the older copy in SimTROT's repository: feature maps, logits, gradients.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use simtrot::config::{MergingOrder, SwinUnetrConfig};
use simtrot::model::{
    Backbone as _, HostTensor, NamedWeights, Network, Pass, SwinUnetrEncoder, Task, TokenEncoder as _, export_gradients, export_named,
    load_named,
};
use simtrot::nn::Initialiser;

use super::Outcomes;
use crate::fixtures::{Array, Entry, list, triple};

/// A GPU adds in another order and fuses multiplications with additions: its own rounding differs from the
/// reference's by several times what the reference's float32 run differs from its float64 run.
const GPU_SLACK: f64 = 4.0;

pub fn applies(entry: &Entry) -> bool {
    let reference = entry.manifest["reference"].as_str().unwrap_or_default();
    entry.kind == "network" && (reference.contains("SwinUNETR") || reference.contains("SwinTransformer"))
}

pub fn run(entry: &Entry) -> Outcomes {
    simtrot::device::for_tests()
        .iter()
        .flat_map(|(name, device)| run_on(entry, if *name == "cpu" { 1.0 } else { GPU_SLACK }, device))
        .collect()
}

fn run_on(entry: &Entry, slack: f64, device: &Device) -> Outcomes {
    let device = device.clone().autodiff();
    let input = entry.shared("input_from", "input.x");
    let volume = Tensor::<5>::from_data(TensorData::new(input.values.clone(), input.shape.clone()), &device).require_grad();
    let (config, task) = (config(entry.hyper()), task(entry.hyper(), &input.shape));
    let wanted: Vec<&String> = entry.tensors.keys().filter(|name| name.starts_with("expected.") || name.starts_with("grad.")).collect();
    let whole = wanted.iter().any(|name| name.contains("logits") || name.contains("grad"));

    let mut got = BTreeMap::new();
    let encoder = load(entry, config.encoder(&task, &Initialiser::new(1, &device)), &config);
    feature_maps(&encoder, &config, &volume, &mut got);
    if whole {
        logits(&load(entry, Network::build(&config, &task, 1, &device), &config), &volume, &mut got);
    }
    wanted
        .into_iter()
        .map(|name| match got.get(name) {
            Some(values) => entry.compare(name, values, slack),
            None => Err(format!("{}: {name} is not computed", entry.name)),
        })
        .collect()
}

/// `module` with the entry's weights: all of its parameters, and nothing of its own is left over.
fn load<M: NamedWeights>(entry: &Entry, module: M, config: &SwinUnetrConfig) -> M {
    let weights = entry.all_weights().into_iter().map(|(name, Array { shape, values })| (name, HostTensor { shape, values })).collect();
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
fn feature_maps(encoder: &SwinUnetrEncoder, config: &SwinUnetrConfig, volume: &Tensor<5>, got: &mut BTreeMap<String, Vec<f32>>) {
    for (suffix, normalize) in [("", config.normalize), ("_raw", false), ("_norm", true)] {
        for (level, state) in encoder.hidden_states(volume.clone(), normalize, Pass::EVALUATION).into_iter().enumerate() {
            assert_eq!(state.tokens.dims()[2], encoder.dims()[level]);
            got.insert(format!("expected.hidden_{level}{suffix}"), values(state.into_volume()));
        }
    }
}

/// Logits, the loss that weights them, and its gradients.
fn logits(network: &Network<SwinUnetrEncoder>, volume: &Tensor<5>, got: &mut BTreeMap<String, Vec<f32>>) {
    let logits = network.forward(volume.clone(), Pass::EVALUATION).remove(0);
    got.insert("expected.logits".to_owned(), values(logits.clone()));
    let weighting: Vec<f32> = (0..logits.shape().num_elements()).map(|i| (((i as u64 * 7919) % 1009) as f32) / 504.0 - 1.0).collect();
    let weighting = Tensor::<5>::from_data(TensorData::new(weighting, logits.dims()), &logits.device());
    let loss = (logits * weighting).mean();
    got.insert("expected.grad_loss".to_owned(), values(loss.clone()));
    let mut gradients = loss.backward();
    got.insert("grad.input.x".to_owned(), values(volume.grad(&gradients).expect("the input's gradient")));
    let gradients = export_gradients(network, &GradientsParams::from_module(&mut gradients, network));
    got.extend(gradients.into_iter().map(|(name, tensor)| (format!("grad.{name}"), tensor.values)));
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
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
