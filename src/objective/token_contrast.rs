//! SimTROT's token-level contrast (eq. 1) and its weighted form SimTROT-W (eq. 3).
//!
//! Anchors are all `2BN` tokens of both views; the positive of token (volume, position) is the same token of the other
//! view. With `s(a, b) = cos(a, b) / tau` the loss of an anchor is `-s(anchor, positive) + log sum_k exp s(anchor, k)`, `k`
//! over all other tokens. Eq. 3 counts the tokens of the anchor's position in OTHER volumes `w` times: `ln w` is added to
//! their logits. The reading of the paper's index sets is the one under which `w = 1` is eq. 1.
//!
//! The loss itself does not show positional collapse (its floor hardly differs); its parts say where the
//! nearest tokens lie, and `metrics::collapse` measures it.

use burn::tensor::Tensor;

use crate::config::Weighting;
use crate::kernels::with_gradient;

use super::loss::Loss;
use super::token_contrast_kernel::{self as kernel, Contrast, Scales};

/// Tokens shorter than this count as zero: they are divided by it, not by their length, and get no gradient.
pub const SHORTEST_TOKEN: f64 = 1e-8;

/// What a step looks like from outside: the mean cosine of an anchor and its positive; that of an anchor and a token that is neither
/// itself nor its positive, 0 where there is none; the share of anchors whose nearest token of the other view has the right position but
/// the wrong volume.
const PARTS: [&str; 3] = ["positive_similarity", "negative_similarity", "wrong_volume"];

/// Token-level contrast between two views.
#[derive(Debug)]
pub struct TokenContrast {
    scales: Scales,
}

impl TokenContrast {
    /// Contrast at `temperature` tau, in which same-position tokens of other volumes count `weight` (w) times, or what
    /// `weighting` makes of `weight`.
    pub fn new(temperature: f64, weight: f64, weighting: Weighting) -> Self {
        Self { scales: Scales { temperature, weight, weighting } }
    }

    /// The loss of two views' projected tokens, each `[batch, tokens, dim]`, not yet normalised.
    ///
    /// Token `n` of both must be the same position of the same volume: restore a rotated view first.
    pub fn forward(&self, z: Tensor<3>, z_hat: Tensor<3>) -> Loss {
        let [batch, tokens, dim] = z.dims();
        let anchors = 2 * batch * tokens;
        let (rows, inverse_norm) = normalise(Tensor::cat(vec![z.clone().inner(), z_hat.clone().inner()], 0).reshape([anchors, dim]));
        let wants_gradient = z.is_tracked() || z_hat.is_tracked();

        let shape = kernel::Shape { batch, tokens };
        let Contrast { value, gradient, numbers } = kernel::contrast(&rows, shape, self.scales, wants_gradient);

        let parts = PARTS.to_vec();
        let Some(gradient) = gradient else { return Loss { loss: value, numbers, parts } };
        let gradient = through_normalisation(gradient, rows, inverse_norm);
        let [first, second] = [0, 1].map(|view| {
            let half = anchors / 2;
            gradient.clone().narrow(0, view * half, half).reshape([batch, tokens, dim])
        });
        Loss { loss: with_gradient(value, [(z, first), (z_hat, second)]), numbers, parts }
    }
}

/// Rows of length 1, `[rows, dim]`, and what each was multiplied by, `[rows, 1]`; 0 there marks a row without gradient.
fn normalise(rows: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let norm = rows.clone().square().sum_dim(1).sqrt();
    let too_short = norm.clone().lower_elem(SHORTEST_TOKEN);
    let inverse = norm.clamp_min(SHORTEST_TOKEN).recip();
    (rows * inverse.clone(), inverse.mask_fill(too_short, 0.0))
}

/// The gradient of a function of normalised rows with respect to the rows before normalisation.
fn through_normalisation(gradient: Tensor<2>, rows: Tensor<2>, inverse_norm: Tensor<2>) -> Tensor<2> {
    let along = (gradient.clone() * rows.clone()).sum_dim(1);
    (gradient - rows * along) * inverse_norm
}

#[cfg(test)]
#[path = "token_contrast_tests.rs"]
mod tests;
