use std::collections::BTreeMap;

use burn::tensor::{Device, TensorData};

use super::*;
use crate::kernels::with_references;
use crate::objective::finite_difference::{check, noise};

/// The loss with its parts, and the bits of the gradient of the first view.
fn contrast(weight: f64, z: &TensorData, z_hat: &TensorData) -> (f64, BTreeMap<&'static str, f64>, Vec<u32>) {
    let device = Device::flex().autodiff();
    let z = Tensor::<3>::from_data(z.clone(), &device).require_grad();
    let loss = TokenContrast::new(0.5, weight, Weighting::Term).forward(z.clone(), Tensor::from_data(z_hat.clone(), &device));
    let gradients = loss.loss.clone().backward();
    let read = loss.numbers();
    let gradient = z.grad(&gradients).unwrap().into_data().iter::<f32>().map(f32::to_bits).collect();
    (read.value, read.parts.into_iter().collect(), gradient)
}

#[test]
fn gradient_matches_finite_differences() {
    let (z, z_hat) = (noise([3, 4, 6], "z"), noise([3, 4, 6], "z_hat"));
    for (weight, weighting) in [(1.0, Weighting::Term), (5.0, Weighting::Term), (5.0, Weighting::Logit)] {
        let objective = TokenContrast::new(0.5, weight, weighting);
        let device = Device::flex().autodiff();
        check(&z, 5, |z| objective.forward(z, Tensor::from_data(z_hat.clone(), &device)).loss);
        check(&z_hat, 5, |z_hat| objective.forward(Tensor::from_data(z.clone(), &device), z_hat).loss);
    }
}

#[test]
fn the_scale_of_the_loss_reaches_the_gradient() {
    let z_hat = noise([2, 3, 4], "z_hat");
    let objective = TokenContrast::new(0.5, 5.0, Weighting::Term);
    let device = Device::flex().autodiff();
    check(&noise([2, 3, 4], "z"), 3, |z| objective.forward(z, Tensor::from_data(z_hat.clone(), &device)).loss * 0.25);
}

#[test]
fn one_volume_has_no_weighted_term() {
    let (z, z_hat) = (noise([1, 6, 4], "z"), noise([1, 6, 4], "z_hat"));
    assert_eq!(contrast(1.0, &z, &z_hat), contrast(50.0, &z, &z_hat));
}

#[test]
fn the_weight_counts_a_token_as_often() {
    // Two volumes of one token: each anchor meets its positive and two tokens of its position in the other volume.
    let z = TensorData::from([[[1.0_f32, 0.0]], [[0.0, 1.0]]]);
    let expected = |weight: f64| -2.0 + (2.0_f64.exp() + 2.0 * weight).ln();
    for weight in [1.0, 5.0] {
        assert!((contrast(weight, &z, &z).0 - expected(weight)).abs() < 1e-6);
    }
}

/// Tokens that are a function of their position alone retrieve no volume; tokens all their own retrieve the positive.
#[test]
fn the_numbers_tell_positional_collapse() {
    let collapsed = TensorData::from([[[1.0_f32, 0.1], [0.1, 1.0]], [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.05], [0.05, 1.0]]]);
    let shifted = TensorData::from([[[1.0_f32, 0.0], [0.0, 1.0]], [[1.0, 0.05], [0.05, 1.0]], [[1.0, 0.1], [0.1, 1.0]]]);
    assert_eq!(contrast(5.0, &collapsed, &shifted).1["wrong_volume"], 1.0);
    let own = noise([3, 2, 8], "own");
    let parts = contrast(5.0, &own, &own).1;
    assert_eq!(parts["wrong_volume"], 0.0);
    assert!((parts["positive_similarity"] - 1.0).abs() < 1e-6);
    let opposite = TensorData::from([[[1.0_f32, 0.0], [-1.0, 0.0]]]);
    let parts = contrast(1.0, &opposite, &opposite).1;
    assert!((parts["negative_similarity"] + 1.0).abs() < 1e-6, "{parts:?}");
}

#[test]
fn a_token_of_zeros_costs_nothing_and_moves_nowhere() {
    let mut z = noise([2, 2, 3], "z");
    z.as_mut_slice::<f32>().unwrap()[..3].fill(0.0);
    let (loss, _, gradient) = contrast(5.0, &z, &noise([2, 2, 3], "z_hat"));
    assert!(loss.is_finite());
    assert!(gradient.iter().all(|&bits| f32::from_bits(bits).is_finite()));
    assert!(gradient[..3].iter().all(|&bits| f32::from_bits(bits) == 0.0));
}

/// The fused bodies against the tensor operations, which are their specification; tau small enough to overflow a bare `exp`.
#[test]
fn every_body_computes_the_tensor_operations() {
    for (name, device) in crate::device::for_tests() {
        for shape in [kernel::Shape { batch: 3, tokens: 9 }, kernel::Shape { batch: 1, tokens: 1 }, kernel::Shape { batch: 2, tokens: 100 }]
        {
            let anchors = 2 * shape.batch * shape.tokens;
            let (rows, _) = normalise(Tensor::from_data(noise([anchors, 5], "rows"), &device));
            for (temperature, weight, weighting) in
                [(0.5, 5.0, Weighting::Term), (0.005, 100.0, Weighting::Term), (0.5, 5.0, Weighting::Logit)]
            {
                let scales = Scales { temperature, weight, weighting };
                let fused = kernel::contrast(&rows, shape, scales, true);
                let reference = with_references(|| kernel::contrast(&rows, shape, scales, true));
                // A logit of 1 / tau is exact to 6e-8 of it, and so is its exponential.
                let tolerance = 1e-6 + 2e-7 / scales.temperature;
                let close = |a: TensorData, b: TensorData| {
                    a.iter::<f64>().zip(b.iter::<f64>()).all(|(a, b)| (a - b).abs() <= tolerance * (1.0 + a.abs()))
                };
                let what = format!("{name}, {shape:?}, {scales:?}");
                assert!(close(reference.numbers.clone().into_data(), fused.numbers.clone().into_data()), "{what}: {reference:?} {fused:?}");
                assert!(close(reference.value.into_data(), fused.value.into_data()), "{what}");
                assert!(close(reference.gradient.unwrap().into_data(), fused.gradient.unwrap().into_data()), "{what}");
            }
        }
    }
}

/// Volumes whose tokens are as good as alike in both views and far from all others: nothing but the last digits makes the loss.
#[test]
fn a_small_loss_keeps_its_digits_on_every_device() {
    let (batch, tokens, dim, tau) = (2, 4, 16, 0.07);
    let z = noise([batch, tokens, dim], "z");
    let unit = |data: &TensorData| -> Vec<Vec<f64>> {
        let values: Vec<f64> = data.iter().collect();
        values
            .chunks(dim)
            .map(|row| {
                let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                row.iter().map(|x| x / length).collect()
            })
            .collect()
    };
    let rows = [unit(&z), unit(&z)].concat();
    let cosine = |a: usize, b: usize| rows[a].iter().zip(&rows[b]).map(|(a, b)| a * b).sum::<f64>();
    let half = batch * tokens;
    let losses = (0..2 * half).map(|anchor| {
        let positive = (anchor + half) % (2 * half);
        let others = (0..2 * half).filter(|&other| other != anchor && other != positive);
        others.map(|other| ((cosine(anchor, other) - cosine(anchor, positive)) / tau).exp()).sum::<f64>().ln_1p()
    });
    let expected = losses.sum::<f64>() / (2 * half) as f64;
    assert!(expected < 0.1, "{expected}");
    for (name, device) in crate::device::for_tests() {
        let z = Tensor::<3>::from_data(z.clone(), &device);
        let found = TokenContrast::new(tau, 1.0, Weighting::Term).forward(z.clone(), z).numbers().value;
        assert!((found / expected - 1.0).abs() < 1e-5, "{name}: {found:e} instead of {expected:e}");
    }
}
