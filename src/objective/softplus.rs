//! `ln(1 + e^x)` on any device: a cross-entropy, with all its digits however small it is.

use burn::tensor::Tensor;

/// `1, 1/3, 1/5, ...`: artanh over its argument, by powers of its square. For arguments up to 1/3, to 2e-9 of it.
const ARTANH: [f64; 8] = [1.0, 1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0, 1.0 / 9.0, 1.0 / 11.0, 1.0 / 13.0, 1.0 / 15.0];

/// `ln(1 + e^x)` of every element.
pub(super) fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone().clamp_min(0.0) + above_largest(x)
}

/// By how much `ln(e^a + e^b)` lies above the larger of the two, `difference` being `a - b` or `b - a`.
pub(super) fn above_largest<const D: usize>(difference: Tensor<D>) -> Tensor<D> {
    ln_1p(difference.abs().neg().exp())
}

/// The same of one number.
pub(super) fn softplus_of(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `ln(1 + x) = 2 artanh(x / (2 + x))` for `x` in 0..=1: a GPU's `log1p` rounds `1 + x` first.
fn ln_1p<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let ratio = x.clone() / (x + 2.0);
    let square = ratio.clone().square();
    let [first, rest @ ..] = ARTANH;
    let series = rest.into_iter().rev().fold(square.zeros_like(), |sum, term| (sum + term) * square.clone()) + first;
    ratio * series * 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::for_tests;

    #[test]
    fn a_small_value_keeps_its_digits_on_every_device() {
        let values: Vec<f32> = (-200..=200).map(|tenth| tenth as f32 / 10.0).collect();
        for (name, device) in for_tests() {
            let found: Vec<f32> = softplus(Tensor::<1>::from_data(values.as_slice(), &device)).into_data().iter().collect();
            for (&x, found) in values.iter().zip(found) {
                let exact = softplus_of(f64::from(x));
                assert!((f64::from(found) / exact - 1.0).abs() < 3e-6, "{name}: softplus({x}) is {exact:e}, found {found:e}");
            }
        }
    }
}
