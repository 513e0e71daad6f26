//! How fast a device is: a pass of the encoder block, and a matrix product.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, Tensor};
use serde::{Deserialize, Serialize};

use super::operation::operations;

/// How long each of the two measurements goes on, unless a single repetition takes longer.
const BUDGET: Duration = Duration::from_millis(500);

/// Side of the matrices on hardware and on a software adapter, which needs seconds for the former.
const PRODUCT_SIZES: [usize; 2] = [1024, 256];

/// Speed of a device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Best time of one small encoder block forward and backward, in ms: mostly the cost of starting kernels.
    pub pass_millis: f64,
    /// Side of the square matrices of the product.
    pub product_size: usize,
    /// Best speed of their product in float32, in 10⁹ multiplications and additions a second.
    pub product_gflops: f64,
}

/// Measures a device that computes rightly.
pub(super) fn measure(device: &Device, software: bool) -> Result<Speed, String> {
    let block = operations().pop().expect("there are operations");
    let inputs = block.draw();
    let pass = best_of(|| block.compute(&inputs, device).map(drop))?;
    let product_size = PRODUCT_SIZES[usize::from(software)];
    let [left, right] = [0, 1].map(|_| Tensor::<2>::random([product_size; 2], Distribution::Default, device));
    // One value read back forces the whole product without the cost of moving it.
    let product = best_of(|| {
        let product = left.clone().matmul(right.clone()).slice([0..1, 0..1]);
        product.try_into_scalar::<f32>().map(drop).map_err(|error| error.to_string())
    })?;
    let product_gflops = 2.0 * (product_size as f64).powi(3) / product.as_secs_f64() / 1e9;
    Ok(Speed { pass_millis: pass.as_secs_f64() * 1e3, product_size, product_gflops })
}

/// The shortest of as many runs as fit into [`BUDGET`], after one that compiles and warms up.
fn best_of(mut run: impl FnMut() -> Result<(), String>) -> Result<Duration, String> {
    run()?;
    let began = Instant::now();
    let mut best = Duration::MAX;
    while best == Duration::MAX || began.elapsed() < BUDGET {
        let before = Instant::now();
        run()?;
        best = best.min(before.elapsed());
    }
    Ok(best)
}
