//! Sums over long axes, in the same order on every run.
//!
//! The tensor library's own are for short axes alone. On a GPU one thread adds an axis up: slowly, less exactly the longer it is, and
//! not to its end where a driver limits the rounds of a loop (llvmpipe leaves it after 65,535 without a word). Its sum of a whole
//! tensor uses atomics, in whatever order the threads arrive.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata};
use burn::tensor::{Shape, Slice, Tensor};

use super::dispatch::TokenOps as _;

/// Rows that are added up one after the other. Rounding errors of one sign add up as well: the fewer, the smaller.
const BLOCK: usize = 16;

/// Sum of all elements, `[1]`.
pub fn sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    middle(x.reshape([1, count, 1])).reshape([1])
}

/// Mean of all elements, `[1]`.
pub fn mean<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    sum(x) / count as f64
}

/// Sum over `axis`, which stays with length 1.
pub fn sum_axis<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let mut dims = x.dims();
    let [before, after] = [&dims[..axis], &dims[axis + 1..]].map(|axes| axes.iter().product::<usize>());
    let sums = middle(x.reshape([before, dims[axis], after]));
    dims[axis] = 1;
    sums.reshape(dims)
}

/// Mean over `axis`, which stays with length 1.
pub fn mean_axis<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let count = x.dims()[axis];
    sum_axis(x, axis) / count as f64
}

fn middle(x: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::token_sum(x.into_dispatch()))
}

/// `[batch, rows, columns]` -> `[batch, 1, columns]`.
pub(super) fn over_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, rows, columns] = x.shape().dims();
    let blocks = rows / BLOCK;
    if blocks < 2 {
        return B::float_sum_dim(x, 1);
    }
    let part =
        |first: usize, last: usize| B::float_slice(x.clone(), &[Slice::full(), Slice::from(first as isize..last as isize), Slice::full()]);
    let whole = if rows.is_multiple_of(BLOCK) { x.clone() } else { part(0, blocks * BLOCK) };
    let whole = B::float_reshape(whole, Shape::from([batch * blocks, BLOCK, columns]));
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

/// `left` transposed times `right`, `[rows, m]` and `[rows, n]` -> `[m, n]`: a sum over rows as well, and cut like one.
pub(super) fn product_over_rows<B: Backend>(left: FloatTensor<B>, right: FloatTensor<B>) -> FloatTensor<B> {
    /// Rows of one product.
    const ROWS: usize = 4096;
    let ([rows, m], [_, n]) = (left.shape().dims(), right.shape().dims());
    let part = |x: &FloatTensor<B>, first: usize, last: usize| {
        B::float_slice(x.clone(), &[Slice::from(first as isize..last as isize), Slice::full()])
    };
    let product = |left, right| B::float_matmul(B::float_transpose(left), right);
    let blocks = rows / ROWS;
    if blocks < 2 {
        return product(left, right);
    }
    let last = blocks * ROWS;
    let [whole_left, whole_right] =
        [(&left, m), (&right, n)].map(|(x, width)| B::float_reshape(part(x, 0, last), Shape::from([blocks, ROWS, width])));
    let parts = B::float_reshape(B::float_matmul(B::float_swap_dims(whole_left, 1, 2), whole_right), Shape::from([1, blocks, m * n]));
    let sum = B::float_reshape(over_rows::<B>(parts), Shape::from([m, n]));
    if last == rows { sum } else { B::float_add(sum, product(part(&left, last, rows), part(&right, last, rows))) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use rand::RngExt as _;

    use super::*;
    use crate::device::for_tests;
    use crate::random::stream;

    const MANY: usize = 1 << 23;

    fn exact(values: &[f32]) -> f64 {
        values.iter().map(|&value| f64::from(value)).sum()
    }

    fn near(found: f64, expected: f64, what: &str) {
        assert!((found / expected - 1.0).abs() < 1e-6, "{what}: {found} instead of {expected}");
    }

    #[test]
    fn eight_million_values_are_added_to_within_a_millionth_and_alike_each_time() {
        let mut draws = stream(3, "sums", 0, 0);
        let noise: Vec<f32> = (0..MANY).map(|_| draws.random_range(0.0..1.0)).collect();
        for (name, device) in for_tests() {
            for (what, values) in [("noise", noise.clone()), ("one tenth", vec![0.1; MANY]), ("an odd count", noise[..MANY - 77].to_vec())]
            {
                let expected = exact(&values);
                let count = values.len();
                let x = Tensor::<1>::from_data(TensorData::new(values, [count]), &device);
                let totals = [(); 2].map(|()| sum(x.clone()).into_scalar::<f32>());
                near(f64::from(totals[0]), expected, &format!("{name}: {what}"));
                assert_eq!(totals[0].to_bits(), totals[1].to_bits(), "{name}: {what}");
                near(mean(x).into_scalar::<f64>(), expected / count as f64, &format!("{name}: mean of {what}"));
            }
        }
    }

    #[test]
    fn an_axis_of_two_million_is_added_up_wherever_it_lies() {
        let rows = 2_000_003;
        let values: Vec<f32> = (0..2 * rows).map(|i| (i % 7) as f32 + 0.1).collect();
        for (name, device) in for_tests() {
            let x = Tensor::<1>::from_data(TensorData::new(values.clone(), [2 * rows]), &device);
            for (what, found, of) in [
                ("last axis", sum_axis(x.clone().reshape([2, rows]), 1).into_data(), [&values[..rows], &values[rows..]].map(exact)),
                (
                    "first axis",
                    sum_axis(x.clone().reshape([rows, 2]), 0).into_data(),
                    [0, 1].map(|column| values.iter().skip(column).step_by(2).map(|&value| f64::from(value)).sum()),
                ),
                ("mean", (mean_axis(x.reshape([2, rows]), 1) * rows as f64).into_data(), [&values[..rows], &values[rows..]].map(exact)),
            ] {
                found.iter::<f64>().zip(of).for_each(|(found, expected)| near(found, expected, &format!("{name}: {what}")));
            }
        }
    }

    #[test]
    fn a_product_over_two_million_rows_takes_every_row() {
        let rows = 2_000_003;
        for (name, device) in for_tests() {
            let [left, right] = [2, 3].map(|columns| Tensor::<2>::ones([rows, columns], &device).into_dispatch());
            let product: Tensor<2> = Tensor::from_dispatch(product_over_rows::<Dispatch>(left, right));
            product.into_data().iter::<f64>().for_each(|found| near(found, rows as f64, name));
        }
    }

    #[test]
    fn every_summand_has_the_gradient_of_its_sum() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], &device).require_grad();
        let weights = Tensor::from_data([[1.0], [10.0]], &device);
        let gradients = sum(sum_axis(x.clone(), 1) * weights).backward();
        let found: Vec<f32> = x.grad(&gradients).unwrap().into_data().iter().collect();
        assert_eq!(found, [1.0, 1.0, 1.0, 10.0, 10.0, 10.0]);
    }
}
