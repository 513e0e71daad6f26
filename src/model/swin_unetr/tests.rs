//! Swin UNETR as a whole: initial weights, sizes that are no multiple of the stride, recomputation, names.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;

use super::{SwinUnetr, SwinUnetrEncoder};
use crate::config::{MergingOrder, SwinUnetrConfig};
use crate::model::{HostTensor, Pass, Task, TokenEncoder as _, export_gradients, export_named};
use crate::random::stream;

const TASK: Task = Task { channels: 2, classes: 3, crop_size: [16, 32, 32] };

/// Odd in every respect: an anisotropic patch and window, both clamped and shifted axes, v2, dropped branches.
fn config() -> SwinUnetrConfig {
    SwinUnetrConfig {
        patch_size: [1, 2, 2],
        feature_size: 6,
        num_heads: vec![1, 3],
        window_size: [4, 5, 16],
        drop_path_rate: 0.5,
        merging: MergingOrder::Paper,
        use_v2: true,
        ..SwinUnetrConfig::small()
    }
}

fn volume(size: [usize; 3], device: &Device) -> Tensor<5> {
    let [d, h, w] = size;
    let mut rng = stream(5, "volume", 0, 0);
    let values: Vec<f32> = (0..2 * TASK.channels * d * h * w).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, [2, TASK.channels, d, h, w]), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

#[test]
fn an_encoder_alone_is_the_one_inside_the_network_bit_by_bit() {
    let device = Device::flex();
    let encoder = SwinUnetrEncoder::init(&config(), &TASK, 9, &device);
    let alone = export_named(&encoder);
    let whole = export_named(&SwinUnetr::init(&config(), &TASK, 9, &device.clone().autodiff()));
    let inside: BTreeMap<String, HostTensor> = whole.into_iter().filter(|(name, _)| name.starts_with(encoder.prefix())).collect();
    assert_eq!(alone, inside);
    assert_ne!(alone, export_named(&SwinUnetrEncoder::init(&config(), &TASK, 10, &device)));
}

#[test]
fn any_size_is_padded_and_cropped_back() {
    let device = Device::flex();
    let network = SwinUnetr::init(&config(), &TASK, 9, &device);
    let odd = volume([5, 20, 30], &device);
    let [batch, channels, d, h, w] = odd.dims();
    let zeros = Tensor::zeros([batch, channels, 8, 24, 32], &device);
    let padded = zeros.slice_assign([0..batch, 0..channels, 0..d, 0..h, 0..w], odd.clone());
    let [got, wanted] = [odd, padded].map(|volume| network.forward(volume, Pass::EVALUATION).remove(0));
    assert_eq!(got.dims(), [batch, TASK.classes, d, h, w]);
    assert_eq!(values(got), values(wanted.slice([0..batch, 0..TASK.classes, 0..d, 0..h, 0..w])));

    let encoder = SwinUnetrEncoder::init(&config(), &TASK, 9, &device);
    let stages: Vec<[usize; 5]> = encoder.encode(volume([5, 20, 30], &device), Pass::EVALUATION).iter().map(Tensor::dims).collect();
    assert_eq!(encoder.total_stride(), [4, 8, 8]);
    assert_eq!(encoder.dims(), [6, 12, 24]);
    assert_eq!(stages, [[2, 6, 8, 12, 16], [2, 12, 4, 6, 8], [2, 24, 2, 3, 4]]);
    // Unpadded, odd grids lose their last half cell to zeros, as in the reference.
    let states = encoder.hidden_states(volume([5, 19, 30], &device), true, Pass::EVALUATION);
    assert_eq!(states.iter().map(|state| state.grid).collect::<Vec<_>>(), [[5, 10, 15], [3, 5, 8], [2, 3, 4]]);
}

#[test]
fn recomputation_changes_neither_values_nor_gradients() {
    let device = Device::flex().autodiff();
    let run = |recompute: bool| {
        let network = SwinUnetr::init(&SwinUnetrConfig { recompute, ..config() }, &TASK, 9, &device);
        let logits = network.forward(volume([5, 32, 20], &device), Pass::training(1, 4, 0)).remove(0);
        let mut gradients = logits.clone().powi_scalar(2).mean().backward();
        (values(logits), export_gradients(&network, &GradientsParams::from_module(&mut gradients, &network)))
    };
    let (kept, recomputed) = (run(false), run(true));
    assert!(kept.0 == recomputed.0, "logits differ");
    assert_eq!(kept.1.keys().collect::<Vec<_>>(), recomputed.1.keys().collect::<Vec<_>>());
    assert_eq!(kept.1.len(), export_named(&SwinUnetr::init(&config(), &TASK, 9, &device)).len(), "a parameter has no gradient");
    for (name, gradient) in &kept.1 {
        let scale = gradient.values.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        assert!(scale > 0.0, "{name}");
        for (kept, recomputed) in gradient.values.iter().zip(&recomputed.1[name].values) {
            // Equal but for the order in which contributions to the same gradient are added.
            assert!((kept - recomputed).abs() <= 1e-5 * scale, "{name}: {kept} kept, {recomputed} recomputed");
        }
    }
}

#[test]
fn drop_path_follows_its_key() {
    let device = Device::flex();
    let encoder = SwinUnetrEncoder::init(&config(), &TASK, 9, &device);
    let run = |pass: Pass| values(encoder.encode(volume(TASK.crop_size, &device), pass).remove(1));
    assert_eq!(run(Pass::training(1, 4, 0)), run(Pass::training(1, 4, 0)));
    assert_ne!(run(Pass::training(1, 4, 0)), run(Pass::training(1, 5, 0)));
    assert_ne!(run(Pass::training(1, 4, 0)), run(Pass::EVALUATION));
}

#[test]
fn a_last_feature_map_of_one_token_is_refused_with_a_crop_that_would_do() {
    use crate::config::RunConfig;
    let text =
        |crop: &str| format!("(model: preset(swin_unetr_tumour), finetune: (crop_size: {crop}), pretrain: (crop_size: (64, 32, 32)))");
    let problems = RunConfig::from_ron(&text("(32, 32, 32)"), "test").unwrap_err().to_string();
    assert!(problems.contains("finetune.crop_size") && problems.contains("[32, 32, 64] would do"), "{problems}");
    assert!(!problems.contains("pretrain.crop_size"), "{problems}");
    RunConfig::from_ron(&text("(32, 32, 64)"), "test").unwrap();
}
