//! Neighbouring tokens side by side, as patch merging wants them.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::custom_gradient::{InputGradients, custom_gradient};
use super::host;
use super::merge_tables::MergeTables;

/// `[batch, tokens, dim]` -> `[batch, merged tokens, parts * dim]`, see [`MergeTables`].
pub fn concat_neighbours(x: Tensor<3>, tables: &Arc<MergeTables>) -> Tensor<3> {
    custom_gradient((x,), |(x,)| {
        let out = if host::runs(&x) { host::concat_neighbours(x, tables) } else { value(x, tables) };
        let tables = Arc::clone(tables);
        (out, move |grad, gradients: &mut InputGradients| gradients.put(0, || gradient(grad, &tables)))
    })
}

fn value(x: Tensor<3>, tables: &MergeTables) -> Tensor<3> {
    let [batch, _, dim] = x.dims();
    tables.sources.gather(x).reshape([batch, tables.merged(), tables.parts * dim])
}

/// Each token gathers its uses.
fn gradient(grad: Tensor<3>, tables: &MergeTables) -> Tensor<3> {
    if host::runs(&grad) {
        return host::concat_neighbours_gradient(grad, tables);
    }
    let [batch, _, width] = grad.dims();
    let places = grad.reshape([batch, tables.sources.len(), width / tables.parts]);
    let [first, second] = tables.uses.each_ref().map(|uses| uses.gather(places.clone()));
    first + second
}
