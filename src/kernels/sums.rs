//! Sums over a long axis in two steps: a GPU adds an axis up in one thread, slowly, and the longer the less exactly.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};

/// Rows of a first step.
const BLOCK: usize = 256;

/// `[batch, rows, columns]` -> `[batch, 1, columns]`.
pub(super) fn over_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, rows, columns] = x.shape().dims();
    let blocks = rows / BLOCK;
    if blocks < 2 {
        return B::float_sum_dim(x, 1);
    }
    let part =
        |first: usize, last: usize| B::float_slice(x.clone(), &[Slice::full(), Slice::from(first as isize..last as isize), Slice::full()]);
    let whole = B::float_reshape(part(0, blocks * BLOCK), Shape::from([batch * blocks, BLOCK, columns]));
    let sum = over_rows::<B>(B::float_reshape(B::float_sum_dim(whole, 1), Shape::from([batch, blocks, columns])));
    match rows % BLOCK {
        0 => sum,
        _ => B::float_add(sum, B::float_sum_dim(part(blocks * BLOCK, rows), 1)),
    }
}

/// The mean of the same.
pub(super) fn mean_over_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let rows = x.shape()[1];
    B::float_div_scalar(over_rows::<B>(x), (rows as f32).into())
}
