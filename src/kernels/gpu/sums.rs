//! Sums over rows on a GPU: in parts of a fixed number, which are added in a fixed order.

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{UNITS, buffer, cube_position, cubes, cubes_for, empty, position, reshaped, tensor, vector_size};

/// Rows that a unit adds up one after the other. Rounding errors of one sign add up as well: the fewer, the smaller.
const ROWS: usize = 32;

/// `[batch, rows, vectors]` -> `[batch, parts, vectors]`: part `p` is the sum of the rows `p, p + parts, ..`.
#[cube(launch)]
fn sum_rows_kernel<N: Size>(x: &[Vector<f32, N>], out: &mut [Vector<f32, N>], total: u32, rows: u32, vectors: u32, parts: u32) {
    let at = position();
    if at < total {
        let column = at % vectors;
        let part = at / vectors % parts;
        let from = at / vectors / parts * rows;
        let mut sum = Vector::<f32, N>::new(0.0f32);
        let mut row = part;
        while row < rows {
            sum += x[((from + row) * vectors + column) as usize];
            row += parts;
        }
        out[at as usize] = sum;
    }
}

/// The same by cubes: part `p` is the sum of `lanes` rows in every `parts * lanes`, each by a unit for itself and then pairwise.
#[cube(launch)]
fn sum_lanes_kernel<N: Size>(
    x: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    total: u32,
    rows: u32,
    vectors: u32,
    parts: u32,
    #[comptime] lanes: u32,
) {
    let cube = cube_position();
    if cube >= total {
        terminate!();
    }
    let mut memory = Shared::<[Vector<f32, N>]>::new_slice(comptime!(UNITS as usize));
    let unit = UNIT_POS as usize;
    let column = UNIT_POS % vectors;
    let lane = UNIT_POS / vectors;
    let from = cube / parts * rows;
    let mut sum = Vector::<f32, N>::new(0.0f32);
    if lane < lanes {
        let mut row = cube % parts * lanes + lane;
        while row < rows {
            sum += x[((from + row) * vectors + column) as usize];
            row += parts * lanes;
        }
    }
    memory[unit] = sum;
    #[unroll]
    for level in 0..comptime!(lanes.trailing_zeros()) {
        let half = comptime!(lanes >> (level + 1));
        sync_cube();
        if lane < half {
            let other = memory[unit + (half * vectors) as usize];
            memory[unit] += other;
        }
    }
    if lane == 0u32 {
        out[(cube * vectors + column) as usize] = memory[unit];
    }
}

/// Units of a cube that have a row of so many vectors each; a power of two.
fn lanes_of(vectors: usize) -> usize {
    1 << (UNITS as usize / vectors).max(1).ilog2()
}

/// Parts that a sum over `rows` rows is made in.
pub(super) fn parts_of(rows: usize) -> usize {
    rows.div_ceil(ROWS).max(1)
}

/// `[batch, rows, columns]` summed over the rows, `[batch, 1, columns]`.
pub(super) fn sum_over_rows(x: CubeTensor, [batch, mut rows, columns]: [usize; 3]) -> CubeTensor {
    let (mut x, size) = (x, vector_size(&[columns]));
    let vectors = columns / size;
    let lanes = lanes_of(vectors);
    loop {
        let parts = rows.div_ceil(ROWS * lanes).max(1);
        let out = empty(&x, [batch, parts, columns]);
        let total = batch * parts * vectors;
        let sizes = [total, rows, vectors, parts].map(|size| size as u32);
        let (client, units) = (out.client.clone(), CubeDim::new_1d(UNITS));
        let (from, to) = (x.into_buffer_arg(), out.clone().into_buffer_arg());
        if lanes == 1 {
            sum_rows_kernel::launch(&client, cubes_for(total), units, size, from, to, sizes[0], sizes[1], sizes[2], sizes[3]);
        } else {
            let (cubes, count) = (cubes(batch * parts), (batch * parts) as u32);
            sum_lanes_kernel::launch(&client, cubes, units, size, from, to, count, sizes[1], sizes[2], sizes[3], lanes as u32);
        }
        if parts == 1 {
            return out;
        }
        (x, rows) = (out, parts);
    }
}

/// The sum of the tensors of this shape that a buffer holds one after the other.
pub(super) fn sum_of_parts<const D: usize>(parts: CubeTensor, shape: [usize; D]) -> Tensor<D> {
    let length = shape.iter().product();
    let count = parts.meta.shape().num_elements() / length;
    tensor(reshaped(sum_over_rows(parts, [1, count, length]), shape))
}

/// `[batch, rows, columns]` -> `[batch, 1, columns]`.
pub(in crate::kernels) fn sum_rows(x: Tensor<3>) -> Tensor<3> {
    let shape = x.dims();
    tensor(sum_over_rows(buffer(x), shape))
}

/// `[rows, columns]` -> `[columns]`.
pub(in crate::kernels) fn column_sums(x: Tensor<2>) -> Tensor<1> {
    let [_, columns] = x.dims();
    sum_of_parts(buffer(x), [columns])
}
