use burn::tensor::{Device, TensorData};

use super::super::finite_difference::{check, noise};
use super::*;

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

/// The fused passes against the tensor operations, on more than one block of voxels.
#[test]
fn the_fused_passes_compute_the_tensor_operations() {
    let target = target([2, 9, 13, 17], 4);
    for config in VARIANTS {
        let logits = Tensor::<3>::from_data(noise([2, 4, 9 * 13 * 17], "logits"), &Device::flex()) * 9.0;
        let reference = kernel::classes_on_device(&config, logits.clone(), &target);
        let fused = kernel::classes_on_host(&config, logits, &target);
        let close =
            |a: TensorData, b: TensorData, tolerance: f64| a.iter::<f64>().zip(b.iter::<f64>()).all(|(a, b)| (a - b).abs() < tolerance);
        assert!(close(reference.dice.into_data(), fused.dice.into_data(), 1e-6));
        assert!(close(reference.cross_entropy.into_data(), fused.cross_entropy.into_data(), 1e-5));
        assert!(close(reference.gradient.into_data(), fused.gradient.into_data(), 1e-9));
    }
}

#[test]
fn a_perfect_prediction_reaches_the_floor() {
    let target = target([1, 4, 4, 4], 3);
    let one_hot = target.clone().reshape([1, 1, 4, 4, 4]).equal(Tensor::<1, Int>::arange(0..3, &Device::flex()).reshape([1, 3, 1, 1, 1]));
    let loss = DiceCeConfig::nnunet().loss(one_hot.float() * 50.0, &target).numbers();
    assert!((loss.loss + 1.0).abs() < 1e-5 && (loss.soft_dice - 1.0).abs() < 1e-5 && loss.cross_entropy < 1e-6, "{loss:?}");
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
