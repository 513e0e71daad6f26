//! Layer normalisation on a GPU: a team of units has a row, whose statistics pass through shared memory.

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::{
    UNITS, buffer, cubes_for, element, empty, numbers, position, reshaped, rows_and_columns, spread, sum_of_vector, tensor, vector_size,
};
use super::sums::{parts_of, sum_over_rows};
use crate::kernels::host::EPSILON;

/// Sum of `own` over the `team` units of a row, in a fixed order, for all of them.
#[cube]
fn team_sum(memory: &mut Shared<[f32]>, own: f32, member: u32, #[comptime] team: u32) -> f32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    memory[unit] = own;
    sync_cube();
    let mut sum = 0.0f32;
    let first = unit - member as usize;
    #[unroll]
    for other in 0..team {
        sum += memory[first + other as usize];
    }
    sum
}

#[cube(launch)]
fn layer_norm_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    weight: &[Vector<F, N>],
    bias: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    rows: u32,
    vectors: u32,
    epsilon: f32,
    #[comptime] team: u32,
    #[define(F)] _element: ElemType,
) {
    let mut memory = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let member = UNIT_POS % team;
    let row = (CUBE_POS_X + CUBE_POS_Y * CUBE_COUNT_X) * comptime!(UNITS / team) + UNIT_POS / team;
    let live = row < rows;
    let from = min(row, rows - 1) * vectors;
    let width = f32::cast_from(vectors * N::value() as u32);
    let mut sum = Vector::<f32, N>::new(0.0f32);
    let mut v = member;
    while v < vectors {
        sum += Vector::<f32, N>::cast_from(x[(from + v) as usize]);
        v += team;
    }
    let mean = team_sum(&mut memory, sum_of_vector::<N>(sum), member, team) / width;
    let mut squares = Vector::<f32, N>::new(0.0f32);
    let mut v = member;
    while v < vectors {
        let centred = Vector::<f32, N>::cast_from(x[(from + v) as usize]) - Vector::<f32, N>::new(mean);
        squares = fma(centred, centred, squares);
        v += team;
    }
    let variance = team_sum(&mut memory, sum_of_vector::<N>(squares), member, team) / width;
    let factor = 1.0f32 / (variance + epsilon).sqrt();
    if live {
        let mut v = member;
        while v < vectors {
            let normal =
                (Vector::<f32, N>::cast_from(x[(from + v) as usize]) - Vector::<f32, N>::new(mean)) * Vector::<f32, N>::new(factor);
            let (scale, offset) = (Vector::<f32, N>::cast_from(weight[v as usize]), Vector::<f32, N>::cast_from(bias[v as usize]));
            out[(from + v) as usize] = Vector::<F, N>::cast_from(fma(normal, scale, offset));
            v += team;
        }
    }
}

/// The input's gradient, and each row's mean and factor for the parameters'.
#[cube(launch)]
fn layer_norm_gradient_kernel<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[Vector<f32, N>],
    grad: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    statistics: &mut [f32],
    rows: u32,
    vectors: u32,
    epsilon: f32,
    #[comptime] team: u32,
) {
    let mut memory = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let member = UNIT_POS % team;
    let row = (CUBE_POS_X + CUBE_POS_Y * CUBE_COUNT_X) * comptime!(UNITS / team) + UNIT_POS / team;
    let live = row < rows;
    let from = min(row, rows - 1) * vectors;
    let width = f32::cast_from(vectors * N::value() as u32);
    let mut sum = Vector::<f32, N>::new(0.0f32);
    let mut v = member;
    while v < vectors {
        sum += x[(from + v) as usize];
        v += team;
    }
    let mean = team_sum(&mut memory, sum_of_vector::<N>(sum), member, team) / width;
    let mut squares = Vector::<f32, N>::new(0.0f32);
    let mut scaled = Vector::<f32, N>::new(0.0f32);
    let mut product = Vector::<f32, N>::new(0.0f32);
    let mut v = member;
    while v < vectors {
        let centred = x[(from + v) as usize] - Vector::<f32, N>::new(mean);
        squares = fma(centred, centred, squares);
        let g = grad[(from + v) as usize] * weight[v as usize];
        scaled += g;
        product = fma(g, centred, product);
        v += team;
    }
    let variance = team_sum(&mut memory, sum_of_vector::<N>(squares), member, team) / width;
    let factor = 1.0f32 / (variance + epsilon).sqrt();
    let scaled = team_sum(&mut memory, sum_of_vector::<N>(scaled), member, team) / width;
    let projected = team_sum(&mut memory, sum_of_vector::<N>(product), member, team) / width * factor;
    if live {
        let mut v = member;
        while v < vectors {
            let normal = (x[(from + v) as usize] - Vector::<f32, N>::new(mean)) * Vector::<f32, N>::new(factor);
            let g = grad[(from + v) as usize] * weight[v as usize];
            let orthogonal = g - Vector::<f32, N>::new(scaled) - normal * Vector::<f32, N>::new(projected);
            out[(from + v) as usize] = orthogonal * Vector::<f32, N>::new(factor);
            v += team;
        }
        if member == 0u32 {
            statistics[(row * 2) as usize] = mean;
            statistics[(row * 2 + 1) as usize] = factor;
        }
    }
}

/// Partial sums over rows of `grad` times the normalised input, and of `grad`: `[2, splits, vectors]`.
#[cube(launch)]
fn layer_norm_parameters_kernel<N: Size>(
    x: &[Vector<f32, N>],
    grad: &[Vector<f32, N>],
    statistics: &[f32],
    parts: &mut [Vector<f32, N>],
    rows: u32,
    vectors: u32,
    splits: u32,
) {
    let at = position();
    if at < vectors * splits {
        let v = at % vectors;
        let split = at / vectors;
        let mut product = Vector::<f32, N>::new(0.0f32);
        let mut sum = Vector::<f32, N>::new(0.0f32);
        let mut row = split;
        while row < rows {
            let mean = statistics[(row * 2) as usize];
            let factor = statistics[(row * 2 + 1) as usize];
            let g = grad[(row * vectors + v) as usize];
            let normal = (x[(row * vectors + v) as usize] - Vector::<f32, N>::new(mean)) * Vector::<f32, N>::new(factor);
            product = fma(g, normal, product);
            sum += g;
            row += splits;
        }
        parts[at as usize] = product;
        parts[(vectors * splits + at) as usize] = sum;
    }
}

/// Units that share a row of so many vectors.
fn team_of(vectors: usize) -> u32 {
    (vectors.div_ceil(2).next_power_of_two() as u32).clamp(1, 32)
}

/// Cubes for so many rows, a team for each.
fn cubes_of(rows: usize, team: u32) -> CubeCount {
    let [x, y] = spread(rows.div_ceil((UNITS / team) as usize));
    CubeCount::Static(x, y, 1)
}

/// `(x - mean) / sqrt(variance + 1e-5) * weight + bias`, statistics over the last axis.
pub(in crate::kernels) fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<D> {
    let (x, weight, bias) = (numbers(x), numbers(weight), numbers(bias));
    let [rows, columns] = rows_and_columns(&x);
    let size = vector_size(&[columns]);
    let team = team_of(columns / size);
    let (out, element) = (empty(&x, x.meta.shape().clone()), element(&x));
    layer_norm_kernel::launch(
        &out.client.clone(),
        cubes_of(rows, team),
        CubeDim::new_1d(UNITS),
        size,
        x.into_buffer_arg(),
        weight.into_buffer_arg(),
        bias.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        rows as u32,
        (columns / size) as u32,
        EPSILON,
        team,
        element,
    );
    tensor(out)
}

/// Gradients with respect to input, weight and bias.
pub(in crate::kernels) fn layer_norm_gradients<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    grad: Tensor<D>,
) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    let (x, weight, grad) = (buffer(x), buffer(weight), buffer(grad));
    let [rows, columns] = rows_and_columns(&x);
    let size = vector_size(&[columns]);
    let vectors = columns / size;
    let team = team_of(vectors);
    let (out, statistics) = (empty(&x, x.meta.shape().clone()), empty(&x, [rows, 2]));
    layer_norm_gradient_kernel::launch(
        &out.client.clone(),
        cubes_of(rows, team),
        CubeDim::new_1d(UNITS),
        size,
        x.clone().into_buffer_arg(),
        weight.into_buffer_arg(),
        grad.clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        statistics.clone().into_buffer_arg(),
        rows as u32,
        vectors as u32,
        EPSILON,
        team,
    );
    let splits = parts_of(rows);
    let parts = empty(&x, [2, splits, columns]);
    let total = vectors * splits;
    layer_norm_parameters_kernel::launch(
        &out.client.clone(),
        cubes_for(total),
        CubeDim::new_1d(UNITS),
        size,
        x.into_buffer_arg(),
        grad.into_buffer_arg(),
        statistics.into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        rows as u32,
        vectors as u32,
        splits as u32,
    );
    let sums: Tensor<2> = tensor(reshaped(sum_over_rows(parts, [2, splits, columns]), [2, columns]));
    let parameter = |row: usize| sums.clone().narrow(0, row, 1).reshape([columns]);
    (tensor(out), parameter(0), parameter(1))
}
