//! Instance normalisation, with a shortcut's sum and a leaky ReLU, on a GPU.

use burn::tensor::Tensor;
use burn_cubecl::cubecl::prelude::*;

use super::instance_norm_kernel::{moments_kernel, norm_gradient_kernel, norm_sums_kernel, normed_kernel, statistics_kernel};
use super::launch::{UNITS, buffer, cubes_for, element, empty, empty_sums, numbers, tensor, vector_size};
use super::sums::sum_over_rows;
use crate::kernels::host::EPSILON;

/// Parts that the statistics of `rows` rows are made in, where a part of one row takes `vectors` units.
fn parts_of(rows: usize, vectors: usize) -> usize {
    ((16 << 10) / vectors).clamp(1, rows.div_ceil(16).max(1)).min(1024)
}

/// `activation((x - mean) / sqrt(variance + 1e-5) + shortcut)`, and the factor that brought the variance to 1,
/// `[batch, 1, channels]`.
pub(in crate::kernels) fn instance_norm(x: Tensor<3>, shortcut: Option<Tensor<3>>, slope: f32) -> (Tensor<3>, Tensor<3>) {
    let [batch, rows, channels] = x.dims();
    let (x, shortcut, size) = (numbers(x), shortcut.map(numbers), vector_size(&[channels]));
    let vectors = channels / size;
    let splits = parts_of(rows, vectors * batch);
    let (client, units, element) = (x.client.clone(), CubeDim::new_1d(UNITS), element(&x));
    let sizes = [batch, rows, vectors, splits].map(|size| size as u32);
    let parts = empty_sums(&x, [batch, splits, 2, channels]);
    moments_kernel::launch(
        &client,
        cubes_for(vectors * splits * batch),
        units,
        size,
        x.clone().into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        sizes[0],
        sizes[1],
        sizes[2],
        sizes[3],
        element,
    );
    let [mean, factor] = [(); 2].map(|()| empty_sums(&x, [batch, 1, channels]));
    statistics_kernel::launch(
        &client,
        cubes_for(vectors * batch),
        units,
        size,
        parts.into_buffer_arg(),
        mean.clone().into_buffer_arg(),
        factor.clone().into_buffer_arg(),
        sizes[0],
        sizes[1],
        sizes[2],
        sizes[3],
        EPSILON,
    );
    let out = empty(&x, [batch, rows, channels]);
    let total = batch * rows * vectors;
    normed_kernel::launch(
        &client,
        cubes_for(total),
        units,
        size,
        x.clone().into_buffer_arg(),
        shortcut.as_ref().unwrap_or(&x).clone().into_buffer_arg(),
        mean.into_buffer_arg(),
        factor.clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        total as u32,
        sizes[1],
        sizes[2],
        slope,
        shortcut.is_some(),
        element,
    );
    (tensor(out), tensor(factor))
}

/// Gradients of input and shortcut from the results of [`instance_norm`].
pub(in crate::kernels) fn instance_norm_gradients(
    (out, factor): (Tensor<3>, Tensor<3>),
    shortcut: Option<Tensor<3>>,
    grad: Tensor<3>,
    slope: f32,
) -> (Tensor<3>, Option<Tensor<3>>) {
    let [batch, rows, channels] = out.dims();
    let (out, factor, shortcut, grad) = (buffer(out), buffer(factor), shortcut.map(buffer), buffer(grad));
    let size = vector_size(&[channels]);
    let vectors = channels / size;
    let splits = parts_of(rows, vectors * batch);
    let (client, units) = (out.client.clone(), CubeDim::new_1d(UNITS));
    let parts = empty(&out, [2, batch, splits, channels]);
    norm_sums_kernel::launch(
        &client,
        cubes_for(vectors * splits * batch),
        units,
        size,
        out.clone().into_buffer_arg(),
        shortcut.as_ref().unwrap_or(&out).clone().into_buffer_arg(),
        grad.clone().into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        batch as u32,
        rows as u32,
        vectors as u32,
        splits as u32,
        slope,
        shortcut.is_some(),
    );
    let sums = sum_over_rows(parts, [2 * batch, splits, channels]);
    let gradient = empty(&out, [batch, rows, channels]);
    let of_shortcut = if shortcut.is_some() { empty(&out, [batch, rows, channels]) } else { empty(&out, [4]) };
    let total = batch * rows * vectors;
    norm_gradient_kernel::launch(
        &client,
        cubes_for(total),
        units,
        size,
        out.clone().into_buffer_arg(),
        shortcut.as_ref().unwrap_or(&out).clone().into_buffer_arg(),
        grad.into_buffer_arg(),
        factor.into_buffer_arg(),
        sums.into_buffer_arg(),
        gradient.clone().into_buffer_arg(),
        of_shortcut.clone().into_buffer_arg(),
        total as u32,
        rows as u32,
        vectors as u32,
        slope,
        shortcut.is_some(),
    );
    (tensor(gradient), shortcut.map(|_| tensor(of_shortcut)))
}
