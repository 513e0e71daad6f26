//! `ln(1 + e^x)` and `1 / (1 + e^-x)` of one number on a GPU, with all their digits however small they are.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Stands for minus infinity; finite, since a driver's compiler may assume finite numbers.
pub(super) const LEFT_OUT: f32 = -1e9;

/// `ln(1 + x)` for `x` in 0..=1, as `2 artanh(x / (2 + x))` by its series: a GPU's logarithm of `1 + x` has lost the digits of a small
/// `x`. To 2e-9 of it.
#[cube]
fn ln_1p(x: f32) -> f32 {
    let ratio = x / (x + 2.0f32);
    let square = ratio * ratio;
    let mut series = fma(square, 0.066_666_67f32, 0.076_923_08f32);
    series = fma(series, square, 0.090_909_09f32);
    series = fma(series, square, 0.111_111_11f32);
    series = fma(series, square, 0.142_857_14f32);
    series = fma(series, square, 0.2f32);
    series = fma(series, square, 0.333_333_34f32);
    series = fma(series, square, 1.0f32);
    ratio * series * 2.0f32
}

/// By how much `ln(e^a + e^b)` lies above the larger of the two, `difference` being `a - b` or `b - a`.
#[cube]
pub(super) fn above_largest(difference: f32) -> f32 {
    ln_1p((-difference.abs()).exp())
}

#[cube]
pub(super) fn softplus(x: f32) -> f32 {
    max(x, 0.0f32) + above_largest(x)
}

/// Of numbers down to -87: below, the exponential is infinite and the result 0.
#[cube]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0f32 / (1.0f32 + (-x).exp())
}
