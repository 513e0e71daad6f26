//! UNETR against MONAI's, and its transformer against the one of the paper's released code: hidden states, tokens,
//! logits, gradients.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use simtrot::config::{PatchProjection, PositionCode, UnetrConfig};
use simtrot::model::{Backbone as _, HostTensor, NamedWeights, Network, Pass, Task, VitStates, export_gradients, export_named, load_named};
use simtrot::nn::Initialiser;

use super::Outcomes;
use crate::fixtures::{Array, Entry, triple};

/// A GPU adds in another order and fuses multiplications with additions: its own rounding differs from the
/// reference's by several times what the reference's float32 run differs from its float64 run.
const GPU_SLACK: f64 = 4.0;

/// MONAI's blocks hold a layer norm for cross-attention, which UNETR never runs.
const UNUSED: &str = ".norm_cross_attn.";

type Weights = BTreeMap<String, HostTensor>;
type Computed = BTreeMap<String, Vec<f32>>;

/// MONAI's UNETR, or one assembled from its blocks.
pub fn is_network(entry: &Entry) -> bool {
    has(entry, &["hidden_size", "mlp_dim", "feature_size"]) && entry.tensors.contains_key("weights.vit.norm.weight")
}

/// The transformer of the released code.
pub fn is_encoder(entry: &Entry) -> bool {
    has(entry, &["img", "patch", "dim", "depth"]) && entry.tensors.contains_key("weights.patch_embed.proj.weight")
}

fn has(entry: &Entry, keys: &[&str]) -> bool {
    entry.kind == "network" && keys.iter().all(|key| entry.hyper().get(key).is_some())
}

pub fn network(entry: &Entry) -> Outcomes {
    on_devices(entry, network_on)
}

pub fn encoder(entry: &Entry) -> Outcomes {
    on_devices(entry, encoder_on)
}

fn on_devices(entry: &Entry, compute: fn(&Entry, &Device) -> Computed) -> Outcomes {
    let outcomes = |(name, device): &(&str, Device)| {
        let slack = if *name == "cpu" { 1.0 } else { GPU_SLACK };
        let got = compute(entry, &device.clone().autodiff());
        let wanted = entry.tensors.keys().filter(|name| name.starts_with("expected.") || name.starts_with("grad."));
        let compare = |name: &String| match got.get(name) {
            Some(values) => entry.compare(name, values, slack),
            None => Err(format!("{}: {name} is not computed", entry.name)),
        };
        wanted.map(compare).collect::<Outcomes>()
    };
    simtrot::device::for_tests().iter().flat_map(outcomes).collect()
}

fn network_on(entry: &Entry, device: &Device) -> Computed {
    let hyper = entry.hyper();
    assert!(hyper.get("norm_name").is_none_or(|norm| norm == "instance"), "{}: only instance norm is built", entry.name);
    let (config, task) = (network_config(hyper), network_task(hyper));
    let mut weights = host(entry.weights());
    weights.retain(|name, _| !name.contains(UNUSED));
    let network = loaded(entry, Network::build(&config, &task, 1, device), &weights);

    let volume = input(entry, device);
    let mut got = Computed::new();
    let VitStates { hidden, tokens } = network.encoder.states(volume.clone(), Pass::EVALUATION);
    got.insert("expected.vit_hidden".to_owned(), hidden.into_iter().flat_map(values).collect());
    got.insert("expected.vit_tokens".to_owned(), values(tokens));
    let logits = network.forward(volume.clone(), Pass::EVALUATION).remove(0);
    got.insert("expected.logits".to_owned(), values(logits.clone()));

    let weighting: Vec<f32> = (0..logits.shape().num_elements()).map(|i| (((i as u64 * 7919) % 1009) as f32) / 504.0 - 1.0).collect();
    let weighting = Tensor::<5>::from_data(TensorData::new(weighting, logits.dims()), device);
    let loss = (logits * weighting).mean();
    got.insert("expected.grad_loss".to_owned(), values(loss.clone()));
    let mut gradients = loss.backward();
    got.insert("grad.input.x".to_owned(), values(volume.grad(&gradients).expect("the input's gradient")));
    let gradients = export_gradients(&network, &GradientsParams::from_module(&mut gradients, &network));
    got.extend(gradients.into_iter().map(|(name, tensor)| (format!("grad.{name}"), tensor.values)));
    got
}

fn network_config(hyper: &Value) -> UnetrConfig {
    let count = |key: &str| hyper[key].as_u64().unwrap_or_else(|| panic!("{key}")) as usize;
    let flag = |key: &str, default: bool| hyper.get(key).map_or(default, |value| value.as_bool().unwrap_or_else(|| panic!("{key}")));
    UnetrConfig {
        patch_size: hyper.get("patch_size").map_or([16; 3], cube_or_triple),
        hidden_size: count("hidden_size"),
        mlp_dim: count("mlp_dim"),
        num_heads: count("num_heads"),
        num_layers: hyper.get("num_layers").map_or(12, |_| count("num_layers")),
        feature_size: count("feature_size"),
        projection: match hyper.get("proj_type").and_then(Value::as_str) {
            None | Some("conv") => PatchProjection::Conv,
            Some("perceptron") => PatchProjection::Perceptron,
            Some(other) => panic!("proj_type {other}"),
        },
        position: PositionCode::Learned,
        qkv_bias: flag("qkv_bias", false),
        conv_block: flag("conv_block", true),
        res_block: flag("res_block", true),
        recompute: false,
    }
}

fn network_task(hyper: &Value) -> Task {
    Task {
        channels: hyper["in_channels"].as_u64().expect("in_channels") as usize,
        classes: hyper["out_channels"].as_u64().expect("out_channels") as usize,
        crop_size: cube_or_triple(&hyper["img_size"]),
    }
}

/// A list of three, or the edge of a cube.
fn cube_or_triple(value: &Value) -> [usize; 3] {
    value.as_u64().map_or_else(|| triple(value), |edge| [edge as usize; 3])
}

fn encoder_on(entry: &Entry, device: &Device) -> Computed {
    let hyper = entry.hyper();
    let count = |key: &str| hyper[key].as_u64().unwrap_or_else(|| panic!("{key}")) as usize;
    assert!(hyper["init_values"].as_f64().is_none_or(|scale| scale == 0.0), "{}: layer scale is not built", entry.name);
    let config = UnetrConfig {
        patch_size: cube_or_triple(&hyper["patch"]),
        hidden_size: count("dim"),
        mlp_dim: (count("dim") as f64 * hyper["mlp_ratio"].as_f64().expect("mlp_ratio")) as usize,
        num_heads: count("heads"),
        num_layers: count("depth"),
        projection: PatchProjection::Conv,
        position: PositionCode::Sinusoid,
        qkv_bias: hyper["qkv_bias"].as_bool().expect("qkv_bias"),
        ..UnetrConfig::default()
    };
    let task = Task { channels: count("in_chans"), classes: 2, crop_size: cube_or_triple(&hyper["img"]) };
    let encoder = loaded(entry, config.encoder(&task, &Initialiser::new(1, device)), &encoder_weights(&host(entry.weights())));
    let volume = input(entry, device);
    let VitStates { hidden, tokens } = encoder.states(volume.clone(), Pass::EVALUATION);
    Computed::from([
        ("expected.sinusoid_table".to_owned(), values(encoder.patch_embedding.position_embeddings.table())),
        // What the released code returns for tokens by mistake: those that enter the first block.
        ("expected.returned".to_owned(), values(encoder.patch_embedding.forward(volume))),
        ("expected.hidden".to_owned(), hidden.into_iter().flat_map(values).collect()),
        ("expected.pretrain_encoder".to_owned(), values(tokens)),
    ])
}

/// The released code's weights under the names of ours; its keys have no bias.
fn encoder_weights(weights: &Weights) -> Weights {
    let mut ours = Weights::new();
    for (name, tensor) in weights {
        let renamed = name
            .replace("patch_embed.proj.", "patch_embedding.patch_embeddings.")
            .replace("attn.proj.", "attn.out_proj.")
            .replace("mlp.fc", "mlp.linear")
            .replace("pretrain_norm.", "norm.");
        if let Some(block) = renamed.strip_suffix("q_bias") {
            let no_key = vec![0.0; tensor.values.len()];
            let values = [&tensor.values, &no_key, &weights[&name.replace("q_bias", "v_bias")].values].into_iter().flatten().copied();
            let values: Vec<f32> = values.collect();
            ours.insert(format!("vit.{block}qkv.bias"), HostTensor { shape: vec![values.len()], values });
        } else if !renamed.ends_with("v_bias") {
            ours.insert(format!("vit.{renamed}"), tensor.clone());
        }
    }
    ours
}

/// `network` with `weights`, which must be all it has, and must come out as they went in.
fn loaded<N: NamedWeights>(entry: &Entry, network: N, weights: &Weights) -> N {
    let (network, report) = load_named(network, weights);
    let complete = report.missing.is_empty() && report.skipped.is_empty() && report.mismatched.is_empty();
    assert!(complete, "{}: the network's parameters are not the reference's:\n{report}", entry.name);
    assert_eq!(&export_named(&network), weights, "{}: weights change on their way through the network", entry.name);
    network
}

fn host(weights: BTreeMap<String, Array>) -> Weights {
    weights.into_iter().map(|(name, Array { shape, values })| (name, HostTensor { shape, values })).collect()
}

fn input(entry: &Entry, device: &Device) -> Tensor<5> {
    let Array { shape, values } = entry.tensor("input.x").clone();
    Tensor::<5>::from_data(TensorData::new(values, shape), device).require_grad()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
}
