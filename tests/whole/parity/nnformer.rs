//! nnFormer against the reference implementation: features of every stage, logits of every head, gradients.

use burn::tensor::{Device, Tensor};
use serde_json::Value;
use simtrot::config::{ModelConfig, NnFormerConfig};
use simtrot::model::{Encoder, Pass, Segmenter, Task};
use simtrot::nn::TokenGrid;

use super::Outcomes;
use super::networks::{Computed, host, input, loaded, logits, on_devices, values};
use crate::fixtures::{Entry, list, triple};

pub fn applies(entry: &Entry) -> bool {
    entry.kind == "network" && entry.manifest["reference"] == "nnFormer"
}

pub fn run(entry: &Entry) -> Outcomes {
    on_devices(entry, compute)
}

fn compute(entry: &Entry, device: &Device) -> Computed {
    let (config, task) = (ModelConfig::Nnformer(config(entry.hyper())), task(entry.hyper()));
    let network = loaded(entry, Segmenter::init(&config, &task, 1, device), &host(entry.weights()));
    let (volume, mut got) = (input(entry, device), Computed::new());
    features(&network, volume.clone(), &mut got);
    logits(&network, &volume, &mut got);
    got
}

/// Stem, skips (channels first) and decoder levels (channels last, coarsest first).
fn features(network: &Segmenter, volume: Tensor<5>, got: &mut Computed) {
    let Encoder::Nnformer(encoder) = &network.encoder else { panic!("an nnFormer") };
    got.insert("expected.patch_embed".to_owned(), values(encoder.patch_embed.forward(volume.clone()).into_volume()));
    let skips = network.encoder.stages(volume.clone(), Pass::EVALUATION);
    for (stage, skip) in skips.iter().enumerate() {
        got.insert(format!("expected.encoder_{stage}"), values(skip.clone().into_volume()));
    }
    let levels = network.decoder.levels(volume, skips, Pass::EVALUATION);
    for (level, TokenGrid { tokens, .. }) in levels.into_iter().rev().enumerate() {
        got.insert(format!("expected.decoder_{level}"), values(tokens));
    }
}

fn config(hyper: &Value) -> NnFormerConfig {
    let depths = list(&hyper["depths"]);
    let heads = &hyper["decoder_heads_by_skip_level"];
    NnFormerConfig {
        patch_size: triple(&hyper["patch_size"]),
        embed_dim: hyper["embedding_dim"].as_u64().expect("embedding_dim") as usize,
        num_heads: list(&hyper["num_heads"]),
        decoder_heads: heads.as_object().map_or_else(Vec::new, |table| {
            (0..table.len()).map(|level| heads[level.to_string()].as_u64().expect("heads of each skip level") as usize).collect()
        }),
        window_size: list(&hyper["window_size"]),
        mlp_ratio: hyper["mlp_ratio"].as_f64().expect("mlp_ratio"),
        qkv_bias: hyper["qkv_bias"].as_bool().expect("qkv_bias"),
        drop_path_rate: hyper["drop_path_rate"].as_f64().unwrap_or(0.0),
        deep_supervision: hyper["deep_supervision"].as_bool().expect("deep_supervision"),
        recompute: false,
        depths,
    }
}

fn task(hyper: &Value) -> Task {
    Task {
        channels: hyper["input_channels"].as_u64().expect("input_channels") as usize,
        classes: hyper["num_classes"].as_u64().expect("num_classes") as usize,
        crop_size: triple(&hyper["crop_size"]),
    }
}
