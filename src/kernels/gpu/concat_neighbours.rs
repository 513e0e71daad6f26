//! Neighbouring tokens side by side on a GPU.

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::{UNITS, buffer, cubes_for, element, empty, numbers, position, table, tensor, vector_size};
use crate::kernels::merge_tables::MergeTables;

/// `x` `[batch, tokens, vectors]` -> `out` `[batch, places, vectors]`: the token of each place, zeros where it has none.
#[cube(launch)]
fn gather_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    sources: &[u32],
    out: &mut [Vector<F, N>],
    total: u32,
    places: u32,
    tokens: u32,
    vectors: u32,
    #[define(F)] _element: ElemType,
) {
    let at = position();
    if at < total {
        let place = at / vectors;
        let source = sources[(place % places) as usize];
        let mut value = Vector::<f32, N>::new(0.0f32);
        if source < tokens {
            value = Vector::<f32, N>::cast_from(x[((place / places * tokens + source) * vectors + at % vectors) as usize]);
        }
        out[at as usize] = Vector::<F, N>::cast_from(value);
    }
}

/// The inverse for gradients: each token adds up the one or two places that hold it.
#[cube(launch)]
fn gather_uses_kernel<N: Size>(
    grad: &[Vector<f32, N>],
    first: &[u32],
    second: &[u32],
    out: &mut [Vector<f32, N>],
    total: u32,
    places: u32,
    tokens: u32,
    vectors: u32,
) {
    let at = position();
    if at < total {
        let token = at / vectors;
        let from = token / tokens * places;
        let mut value = Vector::<f32, N>::new(0.0f32);
        let place = first[(token % tokens) as usize];
        if place < places {
            value += grad[((from + place) * vectors + at % vectors) as usize];
        }
        let place = second[(token % tokens) as usize];
        if place < places {
            value += grad[((from + place) * vectors + at % vectors) as usize];
        }
        out[at as usize] = value;
    }
}

/// `[batch, tokens, dim]` -> `[batch, merged tokens, parts * dim]`.
pub(in crate::kernels) fn concat_neighbours(x: Tensor<3>, tables: &MergeTables) -> Tensor<3> {
    let ([batch, tokens, dim], places) = (x.dims(), tables.sources.len());
    let sources = table(tables.sources.on(&x.device()));
    let (x, size) = (numbers(x), vector_size(&[dim]));
    let (out, element) = (empty(&x, [batch, tables.merged(), tables.parts * dim]), element(&x));
    let total = batch * places * dim / size;
    gather_kernel::launch(
        &out.client.clone(),
        cubes_for(total),
        CubeDim::new_1d(UNITS),
        size,
        x.into_buffer_arg(),
        sources.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        total as u32,
        places as u32,
        tokens as u32,
        (dim / size) as u32,
        element,
    );
    tensor(out)
}

/// The gradient of [`concat_neighbours`].
pub(in crate::kernels) fn concat_neighbours_gradient(grad: Tensor<3>, tables: &MergeTables) -> Tensor<3> {
    let ([batch, _, width], places, [first, second]) = (grad.dims(), tables.sources.len(), &tables.uses);
    let (dim, tokens) = (width / tables.parts, first.len());
    let [first, second] = [first, second].map(|uses| table(uses.on(&grad.device())));
    let (grad, size) = (buffer(grad), vector_size(&[dim]));
    let out = empty(&grad, [batch, tokens, dim]);
    let total = batch * tokens * dim / size;
    gather_uses_kernel::launch(
        &out.client.clone(),
        cubes_for(total),
        CubeDim::new_1d(UNITS),
        size,
        grad.into_buffer_arg(),
        first.into_buffer_arg(),
        second.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        total as u32,
        places as u32,
        tokens as u32,
        (dim / size) as u32,
    );
    tensor(out)
}
