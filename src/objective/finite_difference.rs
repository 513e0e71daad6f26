//! Central differences, against which the losses' closed gradients are tested.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;

use crate::random::stream;

/// Half the step. Losses are float32, exact to about 1e-7; a step of 1e-2 leaves a rounding error of 1e-5 in the slope and, third
/// derivatives being of order 1, a truncation error of 1e-5 to 1e-4 of it.
const STEP: f32 = 1e-2;
/// Allowed difference of a slope, from the two errors above, relative to the largest gradient of the input.
const TOLERANCE: f64 = 5e-3;

/// Noise in -1..1, shape `shape`.
pub(super) fn noise<const D: usize>(shape: [usize; D], purpose: &str) -> TensorData {
    let mut draws = stream(7, purpose, 0, 0);
    TensorData::new((0..shape.iter().product()).map(|_| draws.random_range(-1.0..1.0)).collect::<Vec<f32>>(), shape)
}

/// Compares the gradient of `loss` at `input` with central differences at every `stride`-th coordinate.
pub(super) fn check<const D: usize>(input: &TensorData, stride: usize, loss: impl Fn(Tensor<D>) -> Tensor<1>) {
    let device = Device::flex().autodiff();
    let at = |data: TensorData| Tensor::<D>::from_data(data, &device).require_grad();
    let value = |data: TensorData| loss(at(data)).into_scalar::<f64>();
    let leaf = at(input.clone());
    let gradient: Vec<f64> = leaf.grad(&loss(leaf.clone()).backward()).unwrap().into_data().iter().collect();
    let largest = gradient.iter().fold(0.0_f64, |largest, slope| largest.max(slope.abs()));
    assert!(largest > 0.0);
    for index in (0..gradient.len()).step_by(stride) {
        let moved = |by: f32| {
            let mut data = input.clone();
            data.as_mut_slice::<f32>().unwrap()[index] += by;
            value(data)
        };
        let slope = (moved(STEP) - moved(-STEP)) / (2.0 * f64::from(STEP));
        let rounding = 2e-7 * value(input.clone()).abs() / f64::from(STEP);
        let allowed = TOLERANCE * largest + rounding;
        assert!((slope - gradient[index]).abs() < allowed, "{index}: slope {slope}, gradient {}", gradient[index]);
    }
}
