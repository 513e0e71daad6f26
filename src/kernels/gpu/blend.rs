//! Windows added to the sums of a volume's rows on a GPU, and finished rows taken from them, both in place. A unit has a voxel and all of
//! its classes.

use std::array::from_fn;

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::{UNITS, buffer, cubes_for, empty, numbers, position, tensor};
use crate::kernels::blend::WindowPlaces;

#[derive(CubeLaunch, CubeType, Clone, Copy)]
struct BlendExtents {
    pub classes: u32,
    /// Of the window.
    pub voxels: u32,
    pub height: u32,
    pub width: u32,
    /// The logit of its first voxel and class, and how far that of the next voxel along D, H and W lies.
    pub first: u32,
    pub step_d: u32,
    pub step_h: u32,
    pub step_w: u32,
    /// The row of the sums that its first one is added to, and how many they are.
    pub row: u32,
    pub rows: u32,
    /// Its first voxel in a row.
    pub corner: u32,
    /// Voxels of a row, and of a line of it.
    pub plane: u32,
    pub line: u32,
}

/// Adds `logits` times `weights` to `sums` `[class + 1, rows, plane]`, and `weights` to the last of them.
#[cube(launch)]
fn blend_kernel(logits: &[f32], weights: &[f32], sums: &mut [f32], e: BlendExtents) {
    let at = position();
    if at < e.voxels {
        let w = at % e.width;
        let h = at / e.width % e.height;
        let d = at / (e.width * e.height);
        // A step backwards is one around all numbers.
        let from = e.first + d * e.step_d + h * e.step_h + w * e.step_w;
        let mut row = e.row + d;
        if row >= e.rows {
            row -= e.rows;
        }
        let to = row * e.plane + e.corner + h * e.line + w;
        let held = e.rows * e.plane;
        let weight = weights[at as usize];
        for class in 0..e.classes {
            let logit = logits[(from + class * e.voxels) as usize];
            sums[(to + class * held) as usize] += logit * weight;
        }
        sums[(to + e.classes * held) as usize] += weight;
    }
}

/// Divides `total` voxels of `sums`, from row `first` on, by their weights, into `out` `[class, total]`; zeros stay in their places.
#[cube(launch)]
fn take_rows_kernel(sums: &mut [f32], out: &mut [f32], total: u32, classes: u32, first: u32, rows: u32, plane: u32) {
    let at = position();
    if at < total {
        let mut row = first + at / plane;
        if row >= rows {
            row -= rows;
        }
        let from = row * plane + at % plane;
        let held = rows * plane;
        let weight = sums[(from + classes * held) as usize];
        for class in 0..classes {
            let sum = (from + class * held) as usize;
            out[(class * total + at) as usize] = sums[sum] / weight;
            sums[sum] = 0.0f32;
        }
        sums[(from + classes * held) as usize] = 0.0f32;
    }
}

/// See [`BlendSums::add`](crate::kernels::BlendSums::add): changes the memory of `sums`.
pub(in crate::kernels) fn blend(sums: Tensor<4>, logits: Tensor<5>, weights: Tensor<3>, places: &WindowPlaces<'_>) {
    let ([channels, rows, plane_height, line], [_, _, _, own_height, own_width]) = (sums.dims(), logits.dims());
    let ([depth, height, width], strides) = (weights.dims(), [own_height * own_width, own_width, 1]);
    let (classes, voxels) = (channels - 1, depth * height * width);
    let mut corner = 0;
    let [step_d, step_h, step_w] = from_fn(|axis| {
        let stride = strides[places.axes[axis]];
        if !places.flips[axis] {
            return stride as u32;
        }
        corner += ([depth, height, width][axis] - 1) * stride;
        (stride as u32).wrapping_neg()
    });
    let (sums, logits, weights) = (buffer(sums), buffer(logits), buffer(weights));
    for (window, &[start, top, left]) in places.starts.iter().enumerate() {
        let sizes = [classes, voxels, height, width, window * classes * voxels + corner];
        let [classes, of_class, height, width, first] = sizes.map(|size| size as u32);
        let sizes = [start % rows, rows, top * line + left, plane_height * line, line];
        let [row, rows, corner, plane, line] = sizes.map(|size| size as u32);
        let extents =
            BlendExtentsLaunch::new(classes, of_class, height, width, first, step_d, step_h, step_w, row, rows, corner, plane, line);
        blend_kernel::launch(
            &sums.client,
            cubes_for(voxels),
            CubeDim::new_1d(UNITS),
            logits.clone().into_buffer_arg(),
            weights.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            extents,
        );
    }
}

/// See [`BlendSums::take`](crate::kernels::BlendSums::take): changes the memory of `sums`.
pub(in crate::kernels) fn take_rows(sums: Tensor<4>, first: usize, count: usize) -> Tensor<4> {
    let [channels, rows, height, width] = sums.dims();
    let sums = buffer(sums);
    let out = empty(&sums, [channels - 1, count, height, width]);
    let total = count * height * width;
    take_rows_kernel::launch(
        &out.client.clone(),
        cubes_for(total),
        CubeDim::new_1d(UNITS),
        sums.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        total as u32,
        (channels - 1) as u32,
        (first % rows) as u32,
        rows as u32,
        (height * width) as u32,
    );
    tensor(out)
}

/// The largest buffer that the adapter of a tensor binds, in bytes.
pub(in crate::kernels) fn binding_bytes<const D: usize>(tensor: &Tensor<D>) -> u64 {
    numbers(tensor.clone()).client.properties().memory.max_page_size
}
