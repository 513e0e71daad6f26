//! UNETR: initial weights, sizes below the training crop, and the encoding of some patches alone.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use super::{Unetr, UnetrEncoder};
use crate::config::{PatchProjection, UnetrConfig};
use crate::model::{HostTensor, Pass, Task, TokenEncoder as _, export_gradients, export_named};
use crate::random::stream;

const TASK: Task = Task { channels: 2, classes: 3, crop_size: [16, 30, 48] };

/// Tokens of the crop, zero-padded to 16x32x48.
const GRID: [usize; 3] = [2, 2, 3];

/// The same sums of some hundred float32 terms, taken in another order.
const TOLERANCE: f32 = 1e-5;

fn config(projection: PatchProjection) -> UnetrConfig {
    UnetrConfig {
        patch_size: [8, 16, 16],
        hidden_size: 12,
        mlp_dim: 20,
        num_heads: 3,
        num_layers: 4,
        feature_size: 3,
        projection,
        ..UnetrConfig::small()
    }
}

fn volume(purpose: &str, size: [usize; 3], device: &Device) -> Tensor<5> {
    let [d, h, w] = size;
    let mut rng = stream(5, purpose, 0, 0);
    let values: Vec<f32> = (0..2 * 2 * d * h * w).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, [2, 2, d, h, w]), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

#[test]
fn an_encoder_alone_is_the_one_inside_the_network_bit_by_bit() {
    let device = Device::flex();
    for projection in [PatchProjection::Conv, PatchProjection::Perceptron] {
        let encoder = UnetrEncoder::init(&config(projection), &TASK, 9, &device);
        let whole = export_named(&Unetr::init(&config(projection), &TASK, 9, &device.clone().autodiff()));
        let inside: BTreeMap<String, HostTensor> = whole.into_iter().filter(|(name, _)| name.starts_with(encoder.prefix())).collect();
        assert_eq!(export_named(&encoder), inside);
    }
}

#[test]
fn a_volume_below_the_training_crop_is_padded_and_its_logits_cropped_back() {
    let device = Device::flex();
    let network = Unetr::init(&config(PatchProjection::Conv), &TASK, 9, &device);
    let odd = volume("odd", [7, 30, 33], &device);
    let [batch, channels, d, h, w] = odd.dims();
    let zeros = Tensor::zeros([batch, channels, 16, 32, 48], &device);
    let padded = zeros.slice_assign([0..batch, 0..channels, 0..d, 0..h, 0..w], odd.clone());
    let [got, wanted] = [odd.clone(), padded].map(|volume| network.forward(volume, Pass::EVALUATION).remove(0));
    assert_eq!(got.dims(), [batch, TASK.classes, d, h, w]);
    assert_eq!(values(got), values(wanted.slice([0..batch, 0..TASK.classes, 0..d, 0..h, 0..w])));
    let stages = network.encode(odd, Pass::EVALUATION);
    assert_eq!(network.dims(), [12; 4]);
    assert!(stages.iter().all(|stage| stage.dims() == [batch, 12, GRID[0], GRID[1], GRID[2]]));
}

#[test]
#[should_panic(expected = "larger than the crop of [16, 32, 48]")]
fn a_volume_above_the_training_crop_has_no_position_code() {
    let device = Device::flex();
    UnetrEncoder::init(&config(PatchProjection::Conv), &TASK, 9, &device).states(volume("large", [17, 32, 48], &device));
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], wanted: &[f32]) {
    let scale = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    for (index, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!((got - wanted).abs() <= TOLERANCE * scale, "{what}[{index}]: {got}, expected {wanted} (largest {scale})");
    }
}

/// For each sample other tokens in another order.
fn shuffled(kept: usize, device: &Device) -> (Vec<Vec<usize>>, Tensor<2, Int>) {
    let orders = [0, 1].map(|sample| {
        let mut order: Vec<usize> = (0..GRID.iter().product()).collect();
        order.shuffle(&mut stream(5, "order", sample, 0));
        order.truncate(kept);
        order
    });
    let flat: Vec<i32> = orders.iter().flatten().map(|&token| token as i32).collect();
    (orders.to_vec(), Tensor::from_data(TensorData::new(flat, [2, kept]), device))
}

#[test]
fn all_tokens_made_visible_are_the_last_map_in_their_order() {
    let device = Device::flex().autodiff();
    for projection in [PatchProjection::Conv, PatchProjection::Perceptron] {
        let encoder = UnetrEncoder::init(&config(projection), &TASK, 9, &device);
        let volume = volume("whole", TASK.crop_size, &device);
        let (orders, visible) = shuffled(12, &device);
        let got = encoder.encode_visible(volume.clone(), visible).expect("a plain transformer can leave patches out");
        let last: Tensor<3> = encoder.encode(volume, Pass::EVALUATION).remove(3).reshape([2, 12, 12]).swap_dims(1, 2);
        // The order of the tokens does not enter this sum, so that every parameter has the same gradient.
        let [gradients, wanted] = [&got, &last].map(|tokens| {
            let mut gradients = tokens.clone().powi_scalar(4).sum().backward();
            export_gradients(&encoder, &GradientsParams::from_module(&mut gradients, &encoder))
        });
        for (name, wanted) in &wanted {
            assert_close(name, &gradients[name].values, &wanted.values);
        }
        let last = values(last);
        let tokens = orders.iter().enumerate().flat_map(|(sample, order)| order.iter().map(move |token| sample * 12 + token));
        let wanted: Vec<f32> = tokens.flat_map(|token| last[token * 12..][..12].to_vec()).collect();
        assert_close("tokens", &values(got), &wanted);
    }
}

#[test]
fn hidden_patches_cannot_reach_visible_tokens() {
    let device = Device::flex();
    let encoder = UnetrEncoder::init(&config(PatchProjection::Conv), &TASK, 9, &device);
    let (orders, visible) = shuffled(5, &device);
    let clean = volume("whole", [16, 32, 48], &device);
    let mut poisoned = values(clean.clone());
    for (index, value) in poisoned.iter_mut().enumerate() {
        let (w, h, d) = (index % 48, index / 48 % 32, index / (48 * 32) % 16);
        let token = ((d / 8) * GRID[1] + h / 16) * GRID[2] + w / 16;
        if !orders[index / (2 * 16 * 32 * 48)].contains(&token) {
            *value = f32::NAN;
        }
    }
    let poisoned = Tensor::from_data(TensorData::new(poisoned, clean.dims()), &device);
    let [clean, poisoned] = [clean, poisoned].map(|volume| values(encoder.encode_visible(volume, visible.clone()).expect("tokens")));
    assert!(clean.iter().all(|value| value.is_finite()));
    assert_eq!(clean, poisoned);
}
