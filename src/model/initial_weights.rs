//! What the initial weights of every backbone are distributed as; the pretext tasks' heads are held to the same.
//!
//! Bounds and variances are worked out from the shapes in PyTorch's layout, as PyTorch does it.

use std::collections::BTreeMap;

use burn::tensor::Device;

use super::{HostTensor, Segmenter, Task, export_named};
use crate::config::{ModelConfig, NnFormerConfig, PatchProjection, SwinUnetrConfig, UnetConfig, UnetrConfig};

/// How far a mean or a share may lie from its expectation, in standard deviations of itself.
const SIGMAS: f64 = 5.0;

/// What the reference draws a parameter from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Drawn {
    /// All of one value.
    Constant(f32),
    /// Uniform between minus and plus the bound.
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

impl Drawn {
    /// Fails unless `values` look drawn from it.
    #[track_caller]
    fn assert(self, name: &str, values: &[f32]) {
        let count = values.len() as f64;
        let share = |holds: &dyn Fn(f64) -> bool| values.iter().filter(|&&value| holds(f64::from(value))).count() as f64 / count;
        let check = |what: &str, got: f64, expected: f64, deviation: f64| {
            assert!(
                (got - expected).abs() <= SIGMAS * deviation,
                "{name}, not {self:?}: {what} is {got}, expected {expected} ± {deviation}"
            );
        };
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let square = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / count;
        // The fourth moment, in squares of the variance, tells how far a sample's variance strays; the share within one
        // standard deviation tells the two distributions apart.
        let (std, fourth, within) = match self {
            Self::Constant(expected) => return assert!(values.iter().all(|&value| value == expected), "{name} is not all {expected}"),
            Self::Uniform(bound) => (bound / 3_f64.sqrt(), 1.8, 1.0 / 3_f64.sqrt()),
            Self::Normal(std) => (std, 3.0, 0.6827),
        };
        check("mean", mean, 0.0, std / count.sqrt());
        check("mean square", square, std * std, std * std * ((fourth - 1.0) / count).sqrt());
        check("share within a standard deviation", share(&|value| value.abs() <= std), within, (within * (1.0 - within) / count).sqrt());
        if let Self::Uniform(bound) = self {
            assert_eq!(share(&|value| value.abs() <= bound * (1.0 + 1e-6)), 1.0, "{name} leaves ±{bound}");
        }
    }
}

/// Uniform in `±1/√fan_in`, weights and biases: PyTorch's default.
pub(crate) fn pytorch(fan_in: f64, _is_weight: bool) -> Drawn {
    Drawn::Uniform(1.0 / fan_in.sqrt())
}

/// nnU-Net's: weights normal, allowing for a leaky ReLU of slope 0.01; biases 0.
fn he(fan_in: f64, is_weight: bool) -> Drawn {
    if is_weight { Drawn::Normal((2.0 / 1.0001 / fan_in).sqrt()) } else { Drawn::Constant(0.0) }
}

/// Holds every parameter to what the reference draws it from: those of linear layers and convolutions to `layer`
/// (of the weight's fan-in, and whether it is the weight), those whose names end in one of `normal` to a normal of 0.02,
/// those of norms to 1 and 0.
#[track_caller]
pub(crate) fn assert_drawn(weights: &BTreeMap<String, HostTensor>, normal: &[&str], layer: impl Fn(f64, bool) -> Drawn) {
    for (name, tensor) in weights {
        let (module, field) = name.rsplit_once('.').unwrap_or(("", name));
        let drawn = match (field, weights.get(&format!("{module}.weight"))) {
            _ if normal.iter().any(|end| name.ends_with(end)) => Drawn::Normal(0.02),
            ("scale", _) => Drawn::Constant(1.0),
            ("shift" | "centre", _) => Drawn::Constant(0.0),
            (_, Some(weight)) if weight.shape.len() == 1 => Drawn::Constant(if field == "weight" { 1.0 } else { 0.0 }),
            (_, Some(weight)) => layer(weight.shape[1..].iter().product::<usize>() as f64, field == "weight"),
            (_, None) => panic!("{name}: what the reference draws it from is not said"),
        };
        drawn.assert(name, &tensor.values);
    }
}

fn weights(model: &ModelConfig) -> BTreeMap<String, HostTensor> {
    let task = Task { channels: 2, classes: 3, crop_size: [32; 3] };
    export_named(&Segmenter::init(model, &task, 9, &Device::flex()))
}

#[test]
fn nnformer_starts_with_normal_position_tables_and_all_else_as_pytorch() {
    for deep_supervision in [true, false] {
        let config = NnFormerConfig { deep_supervision, ..NnFormerConfig::default() };
        let weights = weights(&ModelConfig::Nnformer(config));
        for name in ["model_down.layers.1.blocks.1.mlp.fc2.bias", "decoder.layers.0.blocks.0.attn.kv.weight", "final.0.up.bias"] {
            assert!(weights.contains_key(name), "{name}");
        }
        assert_drawn(&weights, &["relative_position_bias_table"], pytorch);
    }
}

#[test]
fn unetr_starts_with_a_normal_position_code_and_all_else_as_pytorch() {
    let config = UnetrConfig { qkv_bias: true, deep_supervision: true, ..UnetrConfig::default() };
    assert_drawn(&weights(&ModelConfig::Unetr(config.clone())), &["position_embeddings"], pytorch);

    let mut perceptron = weights(&ModelConfig::Unetr(UnetrConfig { projection: PatchProjection::Perceptron, ..config }));
    // MONAI draws this one linear layer otherwise.
    let layer = "vit.patch_embedding.patch_embeddings.1";
    Drawn::Constant(0.0).assert(layer, &perceptron.remove(&format!("{layer}.bias")).unwrap().values);
    assert_drawn(&perceptron, &["position_embeddings", &format!("{layer}.weight")], pytorch);
}

#[test]
fn swin_unetr_starts_with_normal_position_tables_and_all_else_as_pytorch() {
    for use_v2 in [false, true] {
        let config = SwinUnetrConfig { use_v2, deep_supervision: use_v2, ..SwinUnetrConfig::default() };
        let weights = weights(&ModelConfig::SwinUnetr(config));
        assert_eq!(weights.contains_key("decoder.heads.2.weight"), use_v2);
        assert_eq!(weights.contains_key("swinViT.layers2c.0.layer.conv1.conv.weight"), use_v2);
        assert_drawn(&weights, &["relative_position_bias_table"], pytorch);
    }
}

#[test]
fn the_u_net_starts_as_nnu_net() {
    for deep_supervision in [true, false] {
        assert_drawn(&weights(&ModelConfig::Unet(UnetConfig { deep_supervision, ..UnetConfig::default() })), &[], he);
    }
}

#[test]
fn weights_that_the_reference_draws_otherwise_are_found() {
    let drawn = |model: ModelConfig, normal: &'static [&'static str], layer: fn(f64, bool) -> Drawn| {
        std::panic::catch_unwind(move || assert_drawn(&weights(&model), normal, layer)).is_ok()
    };
    let (nnformer, unet) = (ModelConfig::Nnformer(NnFormerConfig::default()), ModelConfig::Unet(UnetConfig::default()));
    assert!(drawn(nnformer.clone(), &["relative_position_bias_table"], pytorch));
    assert!(!drawn(nnformer.clone(), &["relative_position_bias_table", "fc1.weight"], pytorch));
    assert!(!drawn(nnformer, &["relative_position_bias_table"], |fan_in, is_weight| pytorch(1.1 * fan_in, is_weight)));
    assert!(!drawn(unet, &[], pytorch));
}
