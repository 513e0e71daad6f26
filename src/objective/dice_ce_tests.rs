use burn::tensor::{Device, TensorData};

use super::*;
use crate::kernels::with_references;
use crate::objective::finite_difference::{check, noise};

const VARIANTS: [DiceCeConfig; 2] = [
    NNUNET,
    DiceCeConfig { batch_dice: false, include_background: true, squared_prediction: true, one_minus: true, ce_weight: 0.5, ..NNUNET },
];
const NNUNET: DiceCeConfig = DiceCeConfig {
    batch_dice: true,
    include_background: false,
    squared_prediction: false,
    smooth_numerator: 1e-5,
    smooth_denominator: 1e-5 + 1e-8,
    one_minus: false,
    dice_weight: 1.0,
    ce_weight: 1.0,
};

fn target(shape: [usize; 4], count: u8) -> Tensor<4, Int> {
    let classes: Vec<u8> = (0..shape.iter().product::<usize>()).map(|i| (i * 7 / 3) as u8 % count).collect();
    classes_from_host(&classes, shape, &Device::flex())
}

#[test]
fn gradient_matches_finite_differences() {
    let target = target([2, 2, 3, 2], 3);
    for config in VARIANTS {
        check(&noise([2, 3, 2, 3, 2], "logits"), 4, |logits| config.loss(logits, &target).loss);
    }
}

#[test]
fn gradient_of_regions_matches_finite_differences() {
    let regions = noise([2, 3, 2, 3, 2], "regions");
    let regions: Vec<f32> = regions.iter::<f32>().map(|draw| f32::from(u8::from(draw > 0.0))).collect();
    let regions = TensorData::new(regions, [2, 3, 2, 3, 2]);
    for config in VARIANTS {
        let regions = Tensor::<5>::from_data(regions.clone(), &Device::flex());
        check(&noise([2, 3, 2, 3, 2], "logits"), 4, |logits| config.regions_loss(logits, regions.clone()).loss);
    }
}

/// The fused bodies against the tensor operations, on more than one block of voxels.
#[test]
fn every_body_computes_the_tensor_operations() {
    for (name, device) in crate::device::for_tests() {
        let target = target([2, 9, 13, 17], 4).to_device(&device);
        for config in VARIANTS {
            let logits = Tensor::<3>::from_data(noise([2, 4, 9 * 13 * 17], "logits"), &device) * 9.0;
            let fused = kernel::classes(&config, logits.clone(), &target);
            let reference = with_references(|| kernel::classes(&config, logits, &target));
            let close =
                |a: TensorData, b: TensorData, tolerance: f64| a.iter::<f64>().zip(b.iter::<f64>()).all(|(a, b)| (a - b).abs() < tolerance);
            assert!(close(reference.value.into_data(), fused.value.into_data(), 1e-5), "{name}, {config:?}");
            assert!(close(reference.dice.into_data(), fused.dice.into_data(), 1e-6), "{name}, {config:?}");
            assert!(close(reference.cross_entropy.into_data(), fused.cross_entropy.into_data(), 1e-5), "{name}, {config:?}");
            assert!(close(reference.gradient.into_data(), fused.gradient.into_data(), 1e-9), "{name}, {config:?}");
        }
    }
}

/// Two volumes of four voxels and one class beside the background: predicted 3/4 everywhere where two voxels hold it, and 1/4 where one
/// does. Each alone has a Dice of 2 * 1.5 / (3 + 2) and 2 * 0.25 / (1 + 1), both together of 2 * 1.75 / (4 + 3).
#[test]
fn the_dice_of_a_batch_is_that_of_its_sums_and_the_gradient_goes_with_it() {
    let odds = 3.0_f32.ln();
    let logits = TensorData::new([[0.0; 4], [odds; 4], [0.0; 4], [-odds; 4]].concat(), [2, 2, 1, 2, 2]);
    let labels = [1, 1, 0, 0, 0, 1, 0, 0];
    let exact = DiceCeConfig { smooth_numerator: 0.0, smooth_denominator: 0.0, ce_weight: 0.0, ..NNUNET };
    // (2 t - Dice) / size is the derivative of a Dice by a prediction, p (1 - p) = 3/16 that of each prediction by its logit.
    let slope = |label: u8, dice: f32, size: f32| (2.0 * f32::from(label) - dice) / size * 3.0 / 16.0;
    for (name, device) in crate::device::for_tests() {
        let device = device.autodiff();
        let target = classes_from_host(&labels, [2, 1, 2, 2], &device);
        for (batch_dice, dice, of_volumes) in [(true, 0.5, [(0.5, 7.0); 2]), (false, 0.425, [(0.6, 2.0 * 5.0), (0.25, 2.0 * 2.0)])] {
            let logits = Tensor::<5>::from_data(logits.clone(), &device).require_grad();
            let loss = DiceCeConfig { batch_dice, ..exact }.loss(logits.clone(), &target);
            let value = loss.numbers().value;
            assert!((value + dice).abs() < 1e-5, "{name}, batch_dice {batch_dice}: {value} instead of -{dice}");
            let gradient: Vec<f32> =
                logits.grad(&loss.loss.backward()).expect("the loss depends on its logits").into_data().iter().collect();
            for (voxel, &label) in labels.iter().enumerate() {
                let (volume, place) = (voxel / 4, voxel % 4);
                let (dice, size) = of_volumes[volume];
                let expected = -slope(label, dice, size);
                let [background, class] = [0, 1].map(|class| gradient[(2 * volume + class) * 4 + place]);
                assert!(
                    (class - expected).abs() < 1e-5 && (background + expected).abs() < 1e-5,
                    "{name}, batch_dice {batch_dice}, voxel {voxel}: {background} and {class} instead of {expected} and its negative"
                );
            }
        }
    }
}

#[test]
fn a_perfect_prediction_reaches_the_floor() {
    let target = target([1, 4, 4, 4], 3);
    let one_hot = target.clone().reshape([1, 1, 4, 4, 4]).equal(Tensor::<1, Int>::arange(0..3, &Device::flex()).reshape([1, 3, 1, 1, 1]));
    let loss = DiceCeConfig::nnunet().loss(one_hot.float() * 50.0, &target).numbers();
    let [soft_dice, cross_entropy] = ["soft_dice", "cross_entropy"].map(|part| loss.part(part).unwrap());
    assert!((loss.value + 1.0).abs() < 1e-5 && (soft_dice - 1.0).abs() < 1e-5 && cross_entropy < 1e-6, "{loss:?}");
}

#[test]
fn weights_of_the_heads_halve() {
    assert_eq!(deep_supervision_weights(3), [4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]);
    assert_eq!(deep_supervision_weights(1), [1.0]);
}

#[test]
fn down_sampling_takes_the_middle_of_each_cell() {
    let device = Device::flex();
    let classes = Tensor::<1, Int>::arange(0..12, &device).reshape([1, 1, 2, 6]);
    let values = |shape| downsample(classes.clone(), shape).into_data().iter::<u8>().collect::<Vec<_>>();
    assert_eq!(values([1, 1, 3]), [7, 9, 11]);
    assert_eq!(values([1, 2, 2]), [1, 4, 7, 10]);
}

/// Logits of which the right class leads by `lead`, with noise on all, and their classes.
fn nearly_right(shape: [usize; 5], lead: f32) -> (TensorData, Vec<u8>) {
    let [batch, count, depth, height, width] = shape;
    let voxels = depth * height * width;
    let classes: Vec<u8> = (0..batch * voxels).map(|i| (i * 7 / 3 % count) as u8).collect();
    let mut logits = noise(shape, "logits");
    for (place, logit) in logits.as_mut_slice::<f32>().unwrap().iter_mut().enumerate() {
        let (volume, class, voxel) = (place / (count * voxels), place / voxels % count, place % voxels);
        *logit = 3.0 * *logit + if usize::from(classes[volume * voxels + voxel]) == class { lead } else { 0.0 };
    }
    (logits, classes)
}

/// The loss in double precision, by its definition but for `1 - p`, which is the sum over the other classes.
fn in_double(config: &DiceCeConfig, logits: &TensorData, classes: &[u8], [batch, count, voxels]: [usize; 3]) -> f64 {
    let logits: Vec<f64> = logits.iter().collect();
    let volumes = if config.batch_dice { 1 } else { batch };
    let (mut lacking, mut size) = (vec![0.0; volumes * count], vec![0.0; volumes * count]);
    let mut entropy = 0.0;
    for (place, &right) in classes.iter().enumerate() {
        let (volume, voxel) = (place / voxels, place % voxels);
        let at = |class: usize| logits[(volume * count + class) * voxels + voxel];
        let total: f64 = (0..count).map(|class| at(class).exp()).sum();
        let missing = (0..count).filter(|&class| class != usize::from(right)).map(|class| at(class).exp() / total).sum::<f64>();
        entropy -= (-missing).ln_1p();
        for class in 0..count {
            let hit = class == usize::from(right);
            let p = at(class).exp() / total;
            let error = if hit { missing } else { p };
            let raised = |value: f64| if config.squared_prediction { value * value } else { value };
            let sum = volume % volumes * count + class;
            lacking[sum] += raised(error);
            size[sum] += raised(p) + f64::from(u8::from(hit));
        }
    }
    let counted: Vec<usize> = (0..volumes * count).filter(|sum| config.include_background || sum % count > 0).collect();
    let lacks =
        |&sum: &usize| (lacking[sum] + config.smooth_denominator - config.smooth_numerator) / (size[sum] + config.smooth_denominator);
    let mean = counted.iter().map(lacks).sum::<f64>() / counted.len() as f64;
    config.dice_weight * (mean - if config.one_minus { 0.0 } else { 1.0 }) + config.ce_weight * entropy / classes.len() as f64
}

#[test]
fn a_small_loss_keeps_its_digits_on_every_device() {
    let monai = DiceCeConfig { one_minus: true, ..NNUNET };
    let configs = [
        DiceCeConfig { dice_weight: 0.0, ..NNUNET },
        DiceCeConfig { ce_weight: 0.0, ..monai },
        monai,
        DiceCeConfig { batch_dice: false, include_background: true, squared_prediction: true, ..monai },
    ];
    let shape = [2, 4, 8, 8, 12];
    for (name, device) in crate::device::for_tests() {
        for lead in [9.0, 13.0, 17.0] {
            let (logits, classes) = nearly_right(shape, lead);
            let target = classes_from_host(&classes, [2, 8, 8, 12], &device);
            for config in configs {
                let expected = in_double(&config, &logits, &classes, [2, 4, 8 * 8 * 12]);
                let found = config.loss(Tensor::from_data(logits.clone(), &device), &target).numbers().value;
                assert!((found / expected - 1.0).abs() < 3e-6, "{name}, lead {lead}, {config:?}: {found:e} instead of {expected:e}");
            }
        }
    }
}

#[test]
fn the_dice_of_two_million_voxels_counts_them_all() {
    let shape = [1, 2, 128, 128, 128];
    let voxels = 128 * 128 * 128;
    let config = DiceCeConfig { one_minus: true, ..NNUNET };
    for (name, device) in crate::device::for_tests() {
        // Class 1 everywhere at one and the same probability p: 1 - Dice is (1 - p) / (p + 1), the cross-entropy -ln p.
        let logits = Tensor::<5>::zeros(shape, &device).slice_fill([0..1, 1..2], 2.0);
        let target = classes_from_host(&vec![1; voxels], [1, 128, 128, 128], &device);
        let p = 1.0 / (1.0 + (-2.0_f64).exp());
        let expected = (1.0 - p) / (1.0 + p) - p.ln();
        let found = config.loss(logits, &target).numbers().value;
        assert!((found / expected - 1.0).abs() < 3e-6, "{name}: {found} instead of {expected}");
    }
}
