//! Soft Dice plus cross-entropy for segmentation, and its sum over the heads of deep supervision.
//!
//! [`DiceCeConfig::nnunet`] is the loss of nnU-Net and nnFormer (`DC_and_CE_loss`); the fields reach the variants of MONAI's
//! `DiceLoss` and `DiceCELoss` as well.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::kernels::with_gradient;

use super::dice_ce_kernel::{self as kernel, Evaluated};
use super::loss::Loss;

pub use super::dice_ce_kernel::DiceCeConfig;

impl DiceCeConfig {
    /// The loss of `logits` `[batch, class, D, H, W]` (softmax over classes) against `classes` `[batch, D, H, W]`.
    pub fn loss(&self, logits: Tensor<5>, classes: &Tensor<4, Int>) -> Loss {
        let [batch, count, depth, height, width] = logits.dims();
        assert_eq!(classes.dims(), [batch, depth, height, width], "the target must lie on the grid of the logits");
        let plain = logits.clone().inner().reshape([batch, count, depth * height * width]);
        Self::finish(logits, kernel::classes(self, plain, classes))
    }

    /// The loss of `logits` `[batch, region, D, H, W]` (a sigmoid each) against overlapping `regions` of the same shape, 0 or 1.
    pub fn regions_loss(&self, logits: Tensor<5>, regions: Tensor<5>) -> Loss {
        let [batch, count, depth, height, width] = logits.dims();
        assert_eq!(regions.dims(), logits.dims(), "the target must lie on the grid of the logits");
        let flat = [batch, count, depth * height * width];
        let evaluated = kernel::regions(self, logits.clone().inner().reshape(flat), regions.inner().reshape(flat));
        Self::finish(logits, evaluated)
    }

    /// The sum over heads of falling resolution, `logits[0]` at that of `classes`, weighted by [`deep_supervision_weights`];
    /// its parts are the weighted means over the heads.
    ///
    /// Coarser heads see `classes` down-sampled by [`downsample`].
    pub fn deep_supervision(&self, logits: Vec<Tensor<5>>, classes: &Tensor<4, Int>) -> Loss {
        let weights = deep_supervision_weights(logits.len());
        let heads = logits.into_iter().zip(weights).map(|(logits, weight)| {
            let [_, _, depth, height, width] = logits.dims();
            let head = self.loss(logits, &downsample(classes.clone(), [depth, height, width]));
            Loss { loss: head.loss * weight, numbers: head.numbers * weight, ..head }
        });
        let add = |sum: Loss, head: Loss| Loss { loss: sum.loss + head.loss, numbers: sum.numbers + head.numbers, ..head };
        heads.reduce(add).expect("at least one head")
    }

    fn finish(logits: Tensor<5>, evaluated: Evaluated) -> Loss {
        let Evaluated { value, dice, cross_entropy, gradient } = evaluated;
        let numbers = Tensor::cat(vec![value.clone(), dice, cross_entropy], 0);
        let loss = if logits.is_tracked() {
            let gradient = gradient.reshape(logits.dims());
            with_gradient(value, [(logits, gradient)])
        } else {
            value
        };
        Loss { loss, numbers, parts: vec!["soft_dice", "cross_entropy"] }
    }
}

/// Weights of `heads` outputs, finest first: each half of the one before, summing to 1 (4/7, 2/7, 1/7 for three).
pub fn deep_supervision_weights(heads: usize) -> Vec<f64> {
    let raw: Vec<f64> = (0..heads).map(|head| 0.5_f64.powi(head as i32)).collect();
    let total: f64 = raw.iter().sum();
    raw.into_iter().map(|weight| weight / total).collect()
}

/// `classes` `[batch, D, H, W]` on a grid of `shape`, each voxel taking the class at its centre.
///
/// Output `i` of `n` takes input `floor((i + 1/2) * m / n)` of `m`, as `skimage.transform.resize(order=0)`, which nnU-Net uses.
pub fn downsample(classes: Tensor<4, Int>, shape: [usize; 3]) -> Tensor<4, Int> {
    let [_, depth, height, width] = classes.dims();
    let device = classes.device();
    let axes = [depth, height, width].into_iter().zip(shape).enumerate().filter(|(_, (from, to))| from != to);
    axes.fold(classes, |classes, (axis, (from, to))| {
        let nearest: Vec<i32> = (0..to).map(|i| ((2 * i + 1) * from / (2 * to)) as i32).collect();
        classes.select(axis + 1, Tensor::from_data(TensorData::new(nearest, [to]), &device))
    })
}

/// Class indices `[batch, D, H, W]` (row-major, of `shape`) from the host.
pub fn classes_from_host(classes: &[u8], shape: [usize; 4], device: &Device) -> Tensor<4, Int> {
    let indices: Vec<i32> = classes.iter().map(|&class| i32::from(class)).collect();
    Tensor::from_data(TensorData::new(indices, shape), &device.clone().inner())
}

#[cfg(test)]
#[path = "dice_ce_tests.rs"]
mod tests;
