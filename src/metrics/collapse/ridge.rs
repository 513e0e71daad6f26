//! Standardised ridge regression from sums over tokens.
//!
//! Everything is computed from Gram matrices, so that many penalties cost one pass over the tokens.

use nalgebra::{Cholesky, DMatrix, Dyn};
use ndarray::{Array1, Array2, Axis};

/// Variance of a feature below which it counts as constant.
const CONSTANT: f64 = 1e-12;

/// Shifts features to mean 0 and scales them to variance 1; a constant feature becomes 0.
pub(super) struct Standardise {
    mean: Array1<f64>,
    scale: Array1<f64>,
}

/// Sums over rows of standardised features `x` and centred targets `y`.
pub(super) struct Sums {
    rows: f64,
    /// `x'x`
    gram: Array2<f64>,
    /// `x'y`
    cross: Array2<f64>,
    /// `y'y`, summed over targets.
    square: f64,
}

impl Standardise {
    pub(super) fn fit(x: &Array2<f64>) -> Self {
        let mean = x.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(x.ncols()));
        let variance = x.var_axis(Axis(0), 0.0);
        let scale = variance.mapv(|variance| if variance > CONSTANT { variance.sqrt().recip() } else { 0.0 });
        Self { mean, scale }
    }

    pub(super) fn apply(&self, x: &Array2<f64>) -> Array2<f64> {
        (x - &self.mean) * &self.scale
    }
}

impl Sums {
    pub(super) fn of(x: &Array2<f64>, y: &Array2<f64>) -> Self {
        Self { rows: x.nrows() as f64, gram: x.t().dot(x), cross: x.t().dot(y), square: y.iter().map(|y| y * y).sum() }
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            gram: &self.gram + &other.gram,
            cross: &self.cross + &other.cross,
            square: self.square + other.square,
        }
    }

    /// The weights `[features, targets]` that minimise mean squared error plus `penalty` times their squares.
    pub(super) fn weights(&self, penalty: f64) -> Array2<f64> {
        let (features, targets) = self.cross.dim();
        let mut gram = DMatrix::from_iterator(features, features, self.gram.iter().copied());
        (0..features).for_each(|feature| gram[(feature, feature)] += penalty * self.rows.max(1.0));
        let factor: Cholesky<f64, Dyn> = Cholesky::new(gram).expect("a Gram matrix plus a positive diagonal is positive definite");
        // nalgebra stores columns, ndarray rows: the transposed right-hand side is the same memory.
        let right = DMatrix::from_iterator(features, targets, self.cross.t().iter().copied());
        let solution = factor.solve(&right);
        Array2::from_shape_fn((features, targets), |(feature, target)| solution[(feature, target)])
    }

    /// The squared error of `weights` on these rows.
    pub(super) fn error(&self, weights: &Array2<f64>) -> f64 {
        let explained = (weights * &self.cross).sum();
        let spread = (weights * &self.gram.dot(weights)).sum();
        self.square - 2.0 * explained + spread
    }
}

/// Mean of each column.
pub(super) fn column_means(y: &Array2<f64>) -> Array1<f64> {
    y.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(y.ncols()))
}

/// Share of the variance of `y` (all columns together, about their own means) that `predicted` explains; `None` without any.
pub(super) fn r2(y: &Array2<f64>, predicted: &Array2<f64>) -> Option<f64> {
    let square = |values: Array2<f64>| values.iter().map(|value| value * value).sum::<f64>();
    let total = square(y - &column_means(y));
    (total > CONSTANT).then(|| 1.0 - square(y - predicted) / total)
}
