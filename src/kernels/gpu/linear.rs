//! Linear maps of token rows on a GPU: many rows, few columns.
//!
//! A unit makes a tile of rows and vectors of columns in registers, straight from memory: units side by side share rows and read
//! neighbouring columns, so that caches do what shared memory would.

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{
    CubeRange, DISPATCH_WORK, UNITS, Work, buffer, cube_number, element, empty, numbers, rows_and_columns, tensor, vector_size,
};
use super::sums::sum_of_parts;
use super::transpose::transposed;

/// Rows of a unit.
const ROWS: usize = 8;

/// Units that keep a GPU busy.
const BUSY: usize = 1 << 15;

/// Rows that a unit of the weight's gradient adds up, at least.
const LEAST_ROWS: usize = 64;

/// `x` `[rows, in]` times `weight` `[in, out]`, plus `bias` `[out]`.
#[cube(launch)]
fn linear_kernel<F: Float, NI: Size, NO: Size>(
    x: &[Vector<F, NI>],
    weight: &[Vector<F, NO>],
    bias: &[Vector<F, NO>],
    out: &mut [Vector<F, NO>],
    range: CubeRange,
    rows: u32,
    input_vectors: u32,
    output_vectors: u32,
    blocks: u32,
    #[comptime] vectors: usize,
    #[comptime] biased: bool,
    #[define(F)] _element: ElemType,
) {
    let cube = cube_number(&range);
    if cube >= range.end {
        terminate!();
    }
    let unit = cube * UNITS + UNIT_POS;
    let first = unit % blocks * vectors as u32;
    let first_row = unit / blocks * ROWS as u32;
    if first_row >= rows {
        terminate!();
    }
    let mut sums = Array::<Vector<f32, NO>>::new(comptime!(ROWS * vectors));
    #[unroll]
    for vector in 0..vectors {
        let mut start = Vector::<f32, NO>::new(0.0f32);
        if comptime!(biased) {
            start = Vector::<f32, NO>::cast_from(bias[min(first + vector as u32, output_vectors - 1) as usize]);
        }
        #[unroll]
        for row in 0..ROWS {
            sums[comptime!(row * vectors + vector)] = start;
        }
    }
    for chunk in 0..input_vectors {
        let mut own = Array::<Vector<f32, NI>>::new(ROWS);
        #[unroll]
        for row in 0..ROWS {
            let at = min(first_row + row as u32, rows - 1) * input_vectors + chunk;
            own[row] = Vector::<f32, NI>::cast_from(x[at as usize]);
        }
        #[unroll]
        for channel in 0..NI::value() {
            let from = (chunk * NI::value() as u32 + channel as u32) * output_vectors;
            #[unroll]
            for vector in 0..vectors {
                let factor = Vector::<f32, NO>::cast_from(weight[(from + min(first + vector as u32, output_vectors - 1)) as usize]);
                #[unroll]
                for row in 0..ROWS {
                    let at = comptime!(row * vectors + vector);
                    sums[at] = fma(Vector::<f32, NO>::new(own[row].extract(channel)), factor, sums[at]);
                }
            }
        }
    }
    #[unroll]
    for row in 0..ROWS {
        if first_row + (row as u32) < rows {
            #[unroll]
            for vector in 0..vectors {
                if first + (vector as u32) < output_vectors {
                    let at = (first_row + row as u32) * output_vectors + first + vector as u32;
                    out[at as usize] = Vector::<F, NO>::cast_from(sums[comptime!(row * vectors + vector)]);
                }
            }
        }
    }
}

/// `x` `[rows, in]` transposed times `grad` `[rows, out]`, in parts of the rows `split, split + splits, ..`: `[splits, in, out]`; and the sums of
/// `grad` alone in the same parts, `[splits, out]`.
#[cube(launch)]
fn linear_gradient_kernel<NI: Size, NO: Size>(
    x: &[Vector<f32, NI>],
    grad: &[Vector<f32, NO>],
    parts: &mut [Vector<f32, NO>],
    sums_of_grad: &mut [Vector<f32, NO>],
    range: CubeRange,
    rows: u32,
    input_vectors: u32,
    output_vectors: u32,
    blocks_in: u32,
    blocks_out: u32,
    splits: u32,
    #[comptime] tile: [usize; 2],
) {
    let [inputs, outputs] = comptime!(tile);
    let ni = NI::value();
    let cube = cube_number(&range);
    if cube >= range.end {
        terminate!();
    }
    let unit = cube * UNITS + UNIT_POS;
    let first_out = unit % blocks_out * outputs as u32;
    let first_in = unit / blocks_out % blocks_in * inputs as u32;
    let split = unit / blocks_out / blocks_in;
    if split >= splits {
        terminate!();
    }
    let mut sums = Array::<Vector<f32, NO>>::new(comptime!(inputs * ni * outputs));
    #[unroll]
    for at in 0..comptime!(inputs * ni * outputs) {
        sums[at] = Vector::new(0.0f32);
    }
    let mut totals = Array::<Vector<f32, NO>>::new(outputs);
    #[unroll]
    for vector in 0..outputs {
        totals[vector] = Vector::new(0.0f32);
    }
    let mut row = split;
    while row < rows {
        let mut factors = Array::<Vector<f32, NO>>::new(outputs);
        #[unroll]
        for vector in 0..outputs {
            factors[vector] = grad[(row * output_vectors + min(first_out + vector as u32, output_vectors - 1)) as usize];
            totals[vector] += factors[vector];
        }
        #[unroll]
        for input in 0..inputs {
            let value = x[(row * input_vectors + min(first_in + input as u32, input_vectors - 1)) as usize];
            #[unroll]
            for channel in 0..ni {
                #[unroll]
                for vector in 0..outputs {
                    let at = comptime!((input * ni + channel) * outputs + vector);
                    sums[at] = fma(Vector::<f32, NO>::new(value.extract(channel)), factors[vector], sums[at]);
                }
            }
        }
        row += splits;
    }
    if first_in == 0u32 {
        #[unroll]
        for vector in 0..outputs {
            if first_out + (vector as u32) < output_vectors {
                sums_of_grad[(split * output_vectors + first_out + vector as u32) as usize] = totals[vector];
            }
        }
    }
    #[unroll]
    for input in 0..inputs {
        #[unroll]
        for channel in 0..ni {
            #[unroll]
            for vector in 0..outputs {
                if first_in + (input as u32) < input_vectors && first_out + (vector as u32) < output_vectors {
                    let row = (split * input_vectors + first_in + input as u32) * ni as u32 + channel as u32;
                    parts[(row * output_vectors + first_out + vector as u32) as usize] =
                        sums[comptime!((input * ni + channel) * outputs + vector)];
                }
            }
        }
    }
}

/// As few equal blocks of at most `most` vectors as there can be: vectors of each, blocks.
fn blocks_of(vectors: usize, most: usize) -> [usize; 2] {
    let size = vectors.div_ceil(vectors.div_ceil(most));
    [size, vectors.div_ceil(size)]
}

/// Cubes of units that compute `of_unit` operations each.
fn work_of(units: usize, of_unit: usize) -> Work {
    Work { cubes: units.div_ceil(UNITS as usize), of_cube: (UNITS as usize * of_unit) as u64 }
}

/// `x` `[rows, in]`, `weight` `[in, out]`, `bias` `[out]` -> `[rows, out]`.
pub(in crate::kernels) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    tensor(product(&numbers(x), &numbers(weight), bias.map(numbers).as_ref()))
}

/// Gradient with respect to `x`: `grad` `[rows, out]`, `weight` `[in, out]` -> `[rows, in]`.
pub(in crate::kernels) fn linear_input_gradient(weight: Tensor<2>, grad: Tensor<2>) -> Tensor<2> {
    let [input, output] = weight.dims();
    let weight = transposed(buffer(weight), [1, input, output], [0, input], false);
    tensor(product(&buffer(grad), &weight, None))
}

fn product(x: &CubeTensor, weight: &CubeTensor, bias: Option<&CubeTensor>) -> CubeTensor {
    let ([rows, input], [_, output]) = (rows_and_columns(x), rows_and_columns(weight));
    let [ni, no] = [input, output].map(|channels| vector_size(&[channels]));
    let [vectors, blocks] = blocks_of(output / no, 3);
    let out = empty(x, [rows, output]);
    let work = work_of(rows.div_ceil(ROWS) * blocks, 2 * ROWS * input * vectors * no);
    for (cubes, range) in work.dispatches(DISPATCH_WORK) {
        linear_kernel::launch(
            &out.client,
            cubes,
            CubeDim::new_1d(UNITS),
            ni,
            no,
            x.clone().into_buffer_arg(),
            weight.clone().into_buffer_arg(),
            bias.unwrap_or(weight).clone().into_buffer_arg(),
            out.clone().into_buffer_arg(),
            range,
            rows as u32,
            (input / ni) as u32,
            (output / no) as u32,
            blocks as u32,
            vectors,
            bias.is_some(),
            element(x),
        );
    }
    out
}

/// Gradients with respect to weight and bias: `x` `[rows, in]`, `grad` `[rows, out]` -> `[in, out]`, `[out]`.
pub(in crate::kernels) fn linear_gradients(x: Tensor<2>, grad: Tensor<2>) -> (Tensor<2>, impl FnOnce() -> Tensor<1>) {
    let (x, grad) = (buffer(x), buffer(grad));
    let ([rows, input], [_, output]) = (rows_and_columns(&x), rows_and_columns(&grad));
    let [ni, no] = [input, output].map(|channels| vector_size(&[channels]));
    let [[inputs, blocks_in], [outputs, blocks_out]] = [blocks_of(input / ni, 2), blocks_of(output / no, 3)];
    let tiles = blocks_in * blocks_out;
    let splits = BUSY.div_ceil(tiles).clamp(1, rows.div_ceil(LEAST_ROWS).max(1)).max(rows.div_ceil(1 << 15));
    let (parts, sums_of_grad) = (empty(&x, [splits, input * output]), empty(&x, [splits, output]));
    let work = work_of(splits * tiles, 2 * rows.div_ceil(splits) * inputs * ni * outputs * no);
    for (cubes, range) in work.dispatches(DISPATCH_WORK) {
        linear_gradient_kernel::launch(
            &parts.client,
            cubes,
            CubeDim::new_1d(UNITS),
            ni,
            no,
            x.clone().into_buffer_arg(),
            grad.clone().into_buffer_arg(),
            parts.clone().into_buffer_arg(),
            sums_of_grad.clone().into_buffer_arg(),
            range,
            rows as u32,
            (input / ni) as u32,
            (output / no) as u32,
            blocks_in as u32,
            blocks_out as u32,
            splits as u32,
            [inputs, outputs],
        );
    }
    (sum_of_parts(parts, [input, output]), move || sum_of_parts(sums_of_grad, [output]))
}
