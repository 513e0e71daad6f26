//! UNETR against MONAI's, and its transformer against the one of the paper's released code: hidden states, tokens,
//! logits, gradients.

use burn::tensor::Device;
use serde_json::Value;
use simtrot::config::{ModelConfig, PatchProjection, PositionCode, UnetrConfig};
use simtrot::model::{Encoder, HostTensor, Pass, Segmenter, Task, UnetrEncoder, VitStates};

use super::Outcomes;
use super::networks::{Computed, Weights, host, input, loaded, logits, on_devices, values};
use crate::fixtures::{Entry, triple};

/// MONAI's blocks hold a layer norm for cross-attention, which UNETR never runs.
const UNUSED: &str = ".norm_cross_attn.";

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

fn network_on(entry: &Entry, device: &Device) -> Computed {
    let hyper = entry.hyper();
    assert!(hyper.get("norm_name").is_none_or(|norm| norm == "instance"), "{}: only instance norm is built", entry.name);
    let (config, task) = (network_config(hyper), network_task(hyper));
    let mut weights = host(entry.weights());
    weights.retain(|name, _| !name.contains(UNUSED));
    let network = loaded(entry, Segmenter::init(&ModelConfig::Unetr(config), &task, 1, device), &weights);

    let volume = input(entry, device);
    let mut got = Computed::new();
    let VitStates { hidden, tokens } = unetr(&network.encoder).states(volume.clone(), Pass::EVALUATION);
    got.insert("expected.vit_hidden".to_owned(), hidden.into_iter().flat_map(values).collect());
    got.insert("expected.vit_tokens".to_owned(), values(tokens));
    logits(&network, &volume, &mut got);
    got
}

fn unetr(encoder: &Encoder) -> &UnetrEncoder {
    let Encoder::Unetr(encoder) = encoder else { panic!("a UNETR") };
    encoder
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
        deep_supervision: false,
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
    let encoder = Encoder::init(&ModelConfig::Unetr(config), &task, 1, device);
    let encoder = loaded(entry, encoder, &encoder_weights(&host(entry.weights())));
    let encoder = unetr(&encoder);
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
