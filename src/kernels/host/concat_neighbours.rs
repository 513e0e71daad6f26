//! Patch merging: rows copied side by side, and their gradients gathered back.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::tensor::{contiguous, elements, task_rows, tensor};
use crate::kernels::index::PADDING;
use crate::kernels::merge_tables::MergeTables;

/// See [`crate::kernels::concat_neighbours`].
pub fn concat_neighbours(x: Tensor<3>, tables: &MergeTables) -> Tensor<3> {
    let [batch, count, dim] = x.dims();
    let x = contiguous(x);
    let (tokens, places) = (elements(&x), tables.sources.len());
    let mut out = vec![0.0; batch * places * dim];
    let task = task_rows(dim);
    out.par_chunks_mut(task * dim).enumerate().for_each(|(index, out)| {
        for (place, out) in (index * task..).zip(out.chunks_exact_mut(dim)) {
            let token = tables.sources[place % places];
            if token != PADDING {
                out.copy_from_slice(&tokens[(place / places * count + token as usize) * dim..][..dim]);
            }
        }
    });
    tensor(out, [batch, tables.merged(), tables.parts * dim])
}

/// The gradient of [`concat_neighbours`]: each token gathers its uses.
pub fn concat_neighbours_gradient(grad: Tensor<3>, tables: &MergeTables) -> Tensor<3> {
    let [batch, _, width] = grad.dims();
    let grad = contiguous(grad);
    let [first, second] = &tables.uses;
    let (dim, count, places) = (width / tables.parts, first.len(), tables.sources.len());
    let grad = elements(&grad);
    let mut out = vec![0.0; batch * count * dim];
    let task = task_rows(dim);
    out.par_chunks_mut(task * dim).enumerate().for_each(|(index, out)| {
        for (token, out) in (index * task..).zip(out.chunks_exact_mut(dim)) {
            let (first, second) = (first[token % count], second[token % count]);
            let row = |place: u32| &grad[(token / count * places + place as usize) * dim..][..dim];
            if first != PADDING {
                out.copy_from_slice(row(first));
            }
            if second != PADDING {
                for (out, &value) in out.iter_mut().zip(row(second)) {
                    *out += value;
                }
            }
        }
    });
    tensor(out, [batch, count, dim])
}
