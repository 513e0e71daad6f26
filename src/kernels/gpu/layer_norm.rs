//! Layer normalisation on a GPU: a team of units has a row, whose statistics pass through shared memory.

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::{
    UNITS, buffer, cube_position, cubes, cubes_for, element, empty, numbers, position, reshaped, rows_and_columns, sum_of_vector, tensor,
    vector_size,
};
use super::sums::{parts_of, sum_over_rows};
use crate::kernels::host::EPSILON;

/// Where a unit is in the team that has a row.
#[derive(CubeType, Clone, Copy)]
struct TeamMember {
    pub member: u32,
    /// Of all rows; more than there are in the last cubes.
    pub row: u32,
    /// The first vector of the row, or of the last one.
    pub from: u32,
    /// Elements of the row.
    pub width: f32,
}

#[cube]
fn team_member<N: Size>(rows: u32, vectors: u32, #[comptime] team: u32) -> TeamMember {
    let row = cube_position() * comptime!(UNITS / team) + UNIT_POS / team;
    let (from, width) = (min(row, rows - 1) * vectors, f32::cast_from(vectors * N::value() as u32));
    TeamMember { member: UNIT_POS % team, row, from, width }
}

/// Sum of what the units of a row have, in a fixed order, over the elements of the row: for all of them.
#[cube]
fn team_mean<N: Size>(memory: &mut Shared<[f32]>, own: Vector<f32, N>, m: &TeamMember, #[comptime] team: u32) -> f32 {
    let own = sum_of_vector::<N>(own);
    let unit = UNIT_POS as usize;
    sync_cube();
    memory[unit] = own;
    sync_cube();
    let mut sum = 0.0f32;
    let first = unit - m.member as usize;
    #[unroll]
    for other in 0..team {
        sum += memory[first + other as usize];
    }
    sum / m.width
}

/// The mean of a row.
#[cube]
fn row_mean<F: Float, N: Size>(memory: &mut Shared<[f32]>, x: &[Vector<F, N>], vectors: u32, m: &TeamMember, #[comptime] team: u32) -> f32 {
    let mut sum = Vector::<f32, N>::new(0.0f32);
    let mut v = m.member;
    while v < vectors {
        sum += Vector::<f32, N>::cast_from(x[(m.from + v) as usize]);
        v += team;
    }
    team_mean::<N>(memory, sum, m, team)
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
    let m = team_member::<N>(rows, vectors, team);
    let mean = row_mean::<F, N>(&mut memory, x, vectors, &m, team);
    let mut squares = Vector::<f32, N>::new(0.0f32);
    let mut v = m.member;
    while v < vectors {
        let centred = Vector::<f32, N>::cast_from(x[(m.from + v) as usize]) - Vector::<f32, N>::new(mean);
        squares = fma(centred, centred, squares);
        v += team;
    }
    let factor = 1.0f32 / (team_mean::<N>(&mut memory, squares, &m, team) + epsilon).sqrt();
    if m.row < rows {
        let mut v = m.member;
        while v < vectors {
            let normal =
                (Vector::<f32, N>::cast_from(x[(m.from + v) as usize]) - Vector::<f32, N>::new(mean)) * Vector::<f32, N>::new(factor);
            let (scale, offset) = (Vector::<f32, N>::cast_from(weight[v as usize]), Vector::<f32, N>::cast_from(bias[v as usize]));
            out[(m.from + v) as usize] = Vector::<F, N>::cast_from(fma(normal, scale, offset));
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
    let m = team_member::<N>(rows, vectors, team);
    let mean = row_mean::<f32, N>(&mut memory, x, vectors, &m, team);
    let mut squares = Vector::<f32, N>::new(0.0f32);
    let mut scaled = Vector::<f32, N>::new(0.0f32);
    let mut product = Vector::<f32, N>::new(0.0f32);
    let mut v = m.member;
    while v < vectors {
        let centred = x[(m.from + v) as usize] - Vector::<f32, N>::new(mean);
        squares = fma(centred, centred, squares);
        let g = grad[(m.from + v) as usize] * weight[v as usize];
        scaled += g;
        product = fma(g, centred, product);
        v += team;
    }
    let factor = 1.0f32 / (team_mean::<N>(&mut memory, squares, &m, team) + epsilon).sqrt();
    let scaled = team_mean::<N>(&mut memory, scaled, &m, team);
    let projected = team_mean::<N>(&mut memory, product, &m, team) * factor;
    if m.row < rows {
        let mut v = m.member;
        while v < vectors {
            let normal = (x[(m.from + v) as usize] - Vector::<f32, N>::new(mean)) * Vector::<f32, N>::new(factor);
            let g = grad[(m.from + v) as usize] * weight[v as usize];
            let orthogonal = g - Vector::<f32, N>::new(scaled) - normal * Vector::<f32, N>::new(projected);
            out[(m.from + v) as usize] = orthogonal * Vector::<f32, N>::new(factor);
            v += team;
        }
        if m.member == 0u32 {
            statistics[(m.row * 2) as usize] = mean;
            statistics[(m.row * 2 + 1) as usize] = factor;
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

/// Units that share a row of so many vectors, and the cubes for so many rows.
fn teams(rows: usize, vectors: usize) -> (u32, CubeCount) {
    let team = (vectors.div_ceil(2).next_power_of_two() as u32).clamp(1, 32);
    (team, cubes(rows.div_ceil((UNITS / team) as usize)))
}

/// `(x - mean) / sqrt(variance + 1e-5) * weight + bias`, statistics over the last axis.
pub(in crate::kernels) fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<D> {
    let (x, weight, bias) = (numbers(x), numbers(weight), numbers(bias));
    let [rows, columns] = rows_and_columns(&x);
    let size = vector_size(&[columns]);
    let (team, cubes) = teams(rows, columns / size);
    let (out, element) = (empty(&x, x.meta.shape().clone()), element(&x));
    layer_norm_kernel::launch(
        &out.client.clone(),
        cubes,
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
    let (team, cubes) = teams(rows, vectors);
    let (out, statistics) = (empty(&x, x.meta.shape().clone()), empty(&x, [rows, 2]));
    layer_norm_gradient_kernel::launch(
        &out.client.clone(),
        cubes,
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
