//! Singular values of the tokens and their effective rank (RankMe: Garrido et al., ICML 2023).

use nalgebra::DMatrix;
use ndarray::{Array2, ArrayView2};

use super::ProbeTokens;
use super::variance::EQUAL;

/// Singular values of the tokens, largest first, summing to 1; empty where all tokens are zero.
pub(super) fn spectrum(probe_set: &ProbeTokens) -> Vec<f64> {
    normalised_singular_values(&rows(probe_set))
}

/// Singular values after each position's mean is taken off; `None` where nothing is left.
pub(super) fn residual_spectrum(probe_set: &ProbeTokens) -> Option<Vec<f64>> {
    let grid = probe_set.grid();
    let means = probe_set.sums(grid, |token| token % grid);
    let mut rows = rows(probe_set);
    for (token, mut row) in rows.outer_iter_mut().enumerate() {
        let mean = &means[token % grid * probe_set.dim..][..probe_set.dim];
        row.iter_mut().zip(mean).for_each(|(x, sum)| *x -= sum / probe_set.samples() as f64);
    }
    let left: f64 = rows.iter().map(|x| x * x).sum();
    (left > EQUAL * probe_set.len() as f64).then(|| normalised_singular_values(&rows))
}

/// `exp` of the entropy of values that sum to 1: as many as there are if all are equal, 1 if one stands alone.
pub(super) fn effective_rank(spectrum: &[f64]) -> Option<f64> {
    let entropy: f64 = spectrum.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum();
    (!spectrum.is_empty()).then(|| entropy.exp())
}

/// The tokens as a matrix in double precision, `[tokens, dim]`.
pub(super) fn rows(probe_set: &ProbeTokens) -> Array2<f64> {
    let view =
        ArrayView2::from_shape((probe_set.len(), probe_set.dim), &probe_set.tokens).expect("a probe_set has as many numbers as it says");
    view.mapv(f64::from)
}

/// From the eigenvalues of the smaller Gram matrix: enough for an entropy, and cheap for many tokens.
fn normalised_singular_values(rows: &Array2<f64>) -> Vec<f64> {
    let (tokens, dim) = rows.dim();
    let gram = if dim <= tokens { rows.t().dot(rows) } else { rows.dot(&rows.t()) };
    let size = gram.nrows();
    let eigenvalues = DMatrix::from_iterator(size, size, gram.iter().copied()).symmetric_eigenvalues();
    // What rounding leaves of an eigenvalue of 0 would count once its root is taken.
    let rounding = eigenvalues.max() * size as f64 * f64::EPSILON;
    let mut values: Vec<f64> = eigenvalues.iter().map(|&value| if value > rounding { value.sqrt() } else { 0.0 }).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = values.iter().sum();
    if total <= 0.0 {
        return Vec::new();
    }
    values.iter_mut().for_each(|value| *value /= total);
    values
}
