//! nnFormer against the reference implementation: features of every stage, logits of every head, gradients.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use simtrot::config::NnFormerConfig;
use simtrot::model::{HostTensor, Network, NnFormerEncoder, Pass, Task, TokenEncoder as _, export_gradients, export_named, load_named};
use simtrot::nn::TokenGrid;

use super::Outcomes;
use crate::fixtures::{Array, Entry, list, triple};

/// A GPU adds in another order and fuses multiplications with additions: its own rounding differs from the
/// reference's by several times what the reference's float32 run differs from its float64 run.
const GPU_SLACK: f64 = 4.0;

pub fn applies(entry: &Entry) -> bool {
    entry.kind == "network" && entry.manifest["reference"] == "nnFormer"
}

pub fn run(entry: &Entry) -> Outcomes {
    simtrot::device::for_tests()
        .iter()
        .flat_map(|(name, device)| run_on(entry, if *name == "cpu" { 1.0 } else { GPU_SLACK }, device))
        .collect()
}

fn run_on(entry: &Entry, slack: f64, device: &Device) -> Outcomes {
    let (config, task) = (config(entry.hyper()), task(entry.hyper()));
    let device = device.clone().autodiff();
    let weights: BTreeMap<String, HostTensor> =
        entry.weights().into_iter().map(|(name, Array { shape, values })| (name, HostTensor { shape, values })).collect();
    let (network, report) = load_named(Network::build(&config, &task, 1, &device), &weights);
    let complete = report.missing.is_empty() && report.skipped.is_empty() && report.mismatched.is_empty();
    assert!(complete, "{}: the network's parameters are not the reference's:\n{report}", entry.name);
    assert_eq!(export_named(&network), weights, "{}: weights change on their way through the network", entry.name);

    let input = entry.tensor("input.x");
    let volume = Tensor::<5>::from_data(TensorData::new(input.values.clone(), input.shape.clone()), &device).require_grad();
    let mut got: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    features(&network, volume.clone(), &mut got);

    let logits = network.forward(volume.clone(), Pass::EVALUATION);
    for (level, logits) in logits.iter().enumerate() {
        got.insert(format!("expected.logits_{level}"), values(logits.clone()));
    }
    let finest = logits[0].clone();
    got.insert("expected.logits".to_owned(), values(finest.clone()));
    let weighting: Vec<f32> = (0..finest.shape().num_elements()).map(|i| (((i as u64 * 7919) % 1009) as f32) / 504.0 - 1.0).collect();
    let weighting = Tensor::<5>::from_data(TensorData::new(weighting, finest.dims()), &device);
    let loss = (finest * weighting).mean();
    got.insert("expected.grad_loss".to_owned(), values(loss.clone()));
    let mut gradients = loss.backward();
    got.insert("grad.input.x".to_owned(), values(volume.grad(&gradients).expect("the input's gradient")));
    let gradients = export_gradients(&network, &GradientsParams::from_module(&mut gradients, &network));
    got.extend(gradients.into_iter().map(|(name, tensor)| (format!("grad.{name}"), tensor.values)));

    let wanted = entry.tensors.keys().filter(|name| name.starts_with("expected.") || name.starts_with("grad."));
    wanted
        .map(|name| match got.get(name) {
            Some(values) => entry.compare(name, values, slack),
            None => Err(format!("{}: {name} is not computed", entry.name)),
        })
        .collect()
}

/// Stem, skips (channels first) and decoder levels (channels last, coarsest first).
fn features(network: &Network<NnFormerEncoder>, volume: Tensor<5>, got: &mut BTreeMap<String, Vec<f32>>) {
    got.insert("expected.patch_embed".to_owned(), values(network.encoder.patch_embed.forward(volume.clone()).into_volume()));
    let skips = network.encoder.stages(volume.clone(), Pass::EVALUATION);
    for (stage, skip) in skips.iter().enumerate() {
        got.insert(format!("expected.encoder_{stage}"), values(skip.clone().into_volume()));
    }
    let levels = network.decoder.levels(volume, skips, Pass::EVALUATION);
    for (level, TokenGrid { tokens, .. }) in levels.into_iter().rev().enumerate() {
        got.insert(format!("expected.decoder_{level}"), values(tokens));
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
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
