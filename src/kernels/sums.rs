//! Sums over long axes, in the same order on every run.
//!
//! The tensor library's own are for short axes alone. On a GPU one thread adds an axis up: slowly, less exactly the longer it is, and
//! not to its end where a driver limits the rounds of a loop (llvmpipe leaves it after 65,535 without a word). Its sum of a whole
//! tensor uses atomics, in whatever order the threads arrive.

use burn::tensor::{Tensor, s};

use super::bodies::{Bodies, bodies};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::{gpu, host};

/// Rows that are added up one after the other. Rounding errors of one sign add up as well: the fewer, the smaller.
const BLOCK: usize = 16;

/// Sum of all elements, `[1]`.
pub fn sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    sum_of_middle_axis(x.reshape([1, count, 1])).reshape([1])
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
    let sums = sum_of_middle_axis(x.reshape([before, dims[axis], after]));
    dims[axis] = 1;
    sums.reshape(dims)
}

/// Mean over `axis`, which stays with length 1.
pub fn mean_axis<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let count = x.dims()[axis];
    sum_axis(x, axis) / count as f64
}

/// Sum over the middle axis.
fn sum_of_middle_axis(x: Tensor<3>) -> Tensor<3> {
    custom_gradient((x,), |(x,)| {
        let shape = x.dims();
        let out = match bodies(&x) {
            Bodies::Host => host::sum_rows(x),
            Bodies::Gpu | Bodies::Reference => over_rows(x),
        };
        (out, move |grad: Tensor<3>, gradients: &mut InputGradients| gradients.put(0, || grad.expand(shape)))
    })
}

/// `[batch, rows, columns]` -> `[batch, 1, columns]`.
pub(super) fn over_rows(x: Tensor<3>) -> Tensor<3> {
    if bodies(&x) == Bodies::Gpu {
        return gpu::sum_rows(x);
    }
    let [batch, rows, columns] = x.dims();
    let blocks = rows / BLOCK;
    if blocks < 2 {
        return x.sum_dim(1);
    }
    let last = blocks * BLOCK;
    let whole = if last == rows { x.clone() } else { x.clone().slice(s![.., ..last, ..]) };
    let sums = whole.reshape([batch * blocks, BLOCK, columns]).sum_dim(1);
    let sum = over_rows(sums.reshape([batch, blocks, columns]));
    if last == rows { sum } else { sum + x.slice(s![.., last.., ..]).sum_dim(1) }
}

/// The mean of the same.
pub(super) fn mean_over_rows(x: Tensor<3>) -> Tensor<3> {
    let rows = x.dims()[1];
    over_rows(x) / rows as f32
}

/// `left` transposed times `right`, `[rows, m]` and `[rows, n]` -> `[m, n]`: a sum over rows as well, and cut like one.
pub(super) fn product_over_rows(left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    /// Rows of one product.
    const ROWS: usize = 4096;
    let ([rows, m], [_, n]) = (left.dims(), right.dims());
    let blocks = rows / ROWS;
    if blocks < 2 {
        return left.transpose().matmul(right);
    }
    let last = blocks * ROWS;
    let whole = |x: &Tensor<2>, width: usize| x.clone().slice(s![..last, ..]).reshape([blocks, ROWS, width]);
    let parts = whole(&left, m).swap_dims(1, 2).matmul(whole(&right, n));
    let sum = over_rows(parts.reshape([1, blocks, m * n])).reshape([m, n]);
    if last == rows { sum } else { sum + left.slice(s![last.., ..]).transpose().matmul(right.slice(s![last.., ..])) }
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
            let [left, right] = [2, 3].map(|columns| Tensor::<2>::ones([rows, columns], &device));
            product_over_rows(left, right).into_data().iter::<f64>().for_each(|found| near(found, rows as f64, name));
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
