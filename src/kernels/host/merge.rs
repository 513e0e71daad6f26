//! Patch merging: rows copied side by side, and their gradients gathered back.

use rayon::prelude::*;

use super::{HostTensor, contiguous, elements, tensor};
use crate::kernels::PADDING;
use crate::kernels::merge::MergeTables;

/// Elements of one parallel task.
const TASK_ELEMENTS: usize = 16 << 10;

/// See [`crate::kernels::merge::side_by_side`].
pub fn side_by_side(x: HostTensor, tables: &MergeTables) -> HostTensor {
    let x = contiguous(x);
    let [batch, count, dim] = x.layout().shape().dims();
    let (tokens, places) = (elements(&x), tables.sources.len());
    let mut out = vec![0.0; batch * places * dim];
    let task = (TASK_ELEMENTS / dim).max(1);
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

/// See [`crate::kernels::merge::side_by_side_gradient`].
pub fn side_by_side_gradient(grad: HostTensor, tables: &MergeTables) -> HostTensor {
    let grad = contiguous(grad);
    let [batch, _, width] = grad.layout().shape().dims();
    let (dim, count, places) = (width / tables.parts, tables.uses.len(), tables.sources.len());
    let grad = elements(&grad);
    let mut out = vec![0.0; batch * count * dim];
    let task = (TASK_ELEMENTS / dim).max(1);
    out.par_chunks_mut(task * dim).enumerate().for_each(|(index, out)| {
        for (token, out) in (index * task..).zip(out.chunks_exact_mut(dim)) {
            let [first, second] = tables.uses[token % count];
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
