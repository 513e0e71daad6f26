//! Neighbouring tokens side by side, as patch merging wants them.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::bodies::{Bodies, bodies};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::merge_tables::MergeTables;
use super::{gpu, host};

/// `[batch, tokens, dim]` -> `[batch, merged tokens, parts * dim]`, see [`MergeTables`].
pub fn concat_neighbours(x: Tensor<3>, tables: &Arc<MergeTables>) -> Tensor<3> {
    custom_gradient((x,), |(x,)| {
        let out = value(x, tables);
        let tables = Arc::clone(tables);
        (out, move |grad, gradients: &mut InputGradients| gradients.put(0, || gradient(grad, &tables)))
    })
}

fn value(x: Tensor<3>, tables: &MergeTables) -> Tensor<3> {
    match bodies(&x) {
        Bodies::Host => return host::concat_neighbours(x, tables),
        Bodies::Gpu => return gpu::concat_neighbours(x, tables),
        Bodies::Reference => {}
    }
    let [batch, _, dim] = x.dims();
    tables.sources.gather(x).reshape([batch, tables.merged(), tables.parts * dim])
}

/// Each token gathers its uses.
fn gradient(grad: Tensor<3>, tables: &MergeTables) -> Tensor<3> {
    match bodies(&grad) {
        Bodies::Host => return host::concat_neighbours_gradient(grad, tables),
        Bodies::Gpu => return gpu::concat_neighbours_gradient(grad, tables),
        Bodies::Reference => {}
    }
    let [batch, _, width] = grad.dims();
    let places = grad.reshape([batch, tables.sources.len(), width / tables.parts]);
    let [first, second] = tables.uses.each_ref().map(|uses| uses.gather(places.clone()));
    first + second
}
