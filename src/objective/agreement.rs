//! Eq. 2: how far predictions lie from their targets, both taken at length 1.

use burn::tensor::Tensor;

use super::token_contrast::SHORTEST_TOKEN;
use super::{Loss, number};

/// Mean over all tokens of `|p/|p| - t/|t||^2 = 2 - 2 cos(p, t)`, `[1]`; `target` gets no gradient.
/// Both are `[batch, tokens, dim]`.
pub fn squared_distance(prediction: Tensor<3>, target: Tensor<3>) -> Tensor<1> {
    let target = if target.is_tracked() { target.detach() } else { target };
    (normalised(prediction) * normalised(target)).sum_dim(2).mean() * -2.0 + 2.0
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
