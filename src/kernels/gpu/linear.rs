//! Products of many rows with a small matrix on a GPU: a convolution whose kernel has one place.

use burn::tensor::Tensor;

use super::conv::Launch;
use super::conv_kernel::Taps;
use super::launch::{DISPATCH_WORK, buffer, tensor};

/// Rows of a box, along the two axes that rows are laid on besides their number of boxes.
const BOX: usize = 8;

/// `x` `[rows, in]` times `weight` `[in, out]`.
pub(in crate::kernels) fn product(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let ([rows, input], [_, output]) = (x.dims(), weight.dims());
    let grid = if rows.is_multiple_of(BOX * BOX) { [rows / (BOX * BOX), BOX, BOX] } else { [1, 1, rows] };
    let launch = Launch::single(output, vec![input], grid);
    let out: Tensor<3> = tensor(launch.convolve(&[buffer(x)], &buffer(weight), DISPATCH_WORK));
    out.reshape([rows, output])
}

impl Taps {
    /// A single place, that of the token itself.
    pub(super) const ONE: Self = Self { count: [1; 3], first: [0; 3], back: [0; 3], shift: [1; 3], spread: [1; 3], at: [0; 3] };
}
