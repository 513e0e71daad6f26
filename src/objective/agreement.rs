//! Eq. 2: how far predictions lie from their targets, both taken at length 1.

use burn::tensor::Tensor;

use super::token_contrast::SHORTEST_TOKEN;
use super::{Loss, number};
use crate::kernels::sum;

/// Mean over all tokens of `|p/|p| - t/|t||^2 = 2 - 2 cos(p, t)`, `[1]`; `target` gets no gradient.
/// Both are `[batch, tokens, dim]`.
pub fn squared_distance(prediction: Tensor<3>, target: Tensor<3>) -> Tensor<1> {
    let target = if target.is_tracked() { target.detach() } else { target };
    // As a sum of squares: of two tokens that nearly agree, `2 - 2 cos` would keep no digit.
    let tokens = prediction.dims()[0] * prediction.dims()[1];
    sum((normalised(prediction) - normalised(target)).square()) / tokens as f64
}

/// Both directions of a pair of views, and their mean: each view's prediction against the other's target.
pub(super) fn both_ways([p_first, p_second]: [Tensor<3>; 2], [t_first, t_second]: [Tensor<3>; 2]) -> Loss {
    let loss = (squared_distance(p_first, t_second) + squared_distance(p_second, t_first)) / 2.0;
    let value = number(&loss);
    Loss { loss, value, parts: vec![("positive_similarity", 1.0 - value / 2.0)] }
}

fn normalised(tokens: Tensor<3>) -> Tensor<3> {
    let length = tokens.clone().square().sum_dim(2).clamp_min(SHORTEST_TOKEN * SHORTEST_TOKEN).sqrt();
    tokens / length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::for_tests;

    #[test]
    fn tokens_that_nearly_agree_keep_the_digits_of_their_distance() {
        for (name, device) in for_tests() {
            let first = Tensor::<3>::from_data([[[3.0_f32, 4.0]]], &device);
            let second = Tensor::<3>::from_data([[[3.0_f32, 4.003]]], &device);
            let cos = (9.0 + 4.0 * f64::from(4.003_f32)) / (5.0 * f64::from(4.003_f32).hypot(3.0));
            // 2 - 2 cos = 2 sin² / (1 + cos), the sine by the cross product.
            let sin = 3.0 * (f64::from(4.003_f32) - 4.0) / (5.0 * f64::from(4.003_f32).hypot(3.0));
            let expected = 2.0 * sin * sin / (1.0 + cos);
            let found = squared_distance(first, second).into_scalar::<f64>();
            // Of lengths rounded to 6e-8, a distance of 4e-4 keeps 3 to 4 digits, where `2 - 2 cos` has none.
            assert!((found / expected - 1.0).abs() < 2e-3, "{name}: {found:e} instead of {expected:e}");
        }
    }
}
