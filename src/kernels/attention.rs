//! Attention within the windows of a token grid.

use std::sync::Arc;

use burn::tensor::{DType, Tensor, activation};

use super::bodies::{Bodies, bodies};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::linear::{column_sums, rows};
use super::sums::over_rows;
use super::window_tables::WindowTables;
use super::{gpu, host};

/// Softmax attention of each window's tokens among themselves.
///
/// * `qkv`: `[batch, tokens, 3 dim]` in the order of the grid: queries, keys and values after one another, heads within each.
/// * `padding`: `[3 dim]`, the row of a padded place.
/// * `table`: `[rows, heads]`, added to the scores by `tables.bias_rows`.
///
/// Returns `[batch, tokens, dim]` in the order of the grid.
pub fn window_attention(qkv: Tensor<3>, padding: Tensor<1>, table: Tensor<2>, tables: &Arc<WindowTables>) -> Tensor<3> {
    custom_gradient((qkv, padding, table), |(qkv, padding, table)| {
        let inputs = (qkv, padding, table);
        let body = bodies(&inputs.0);
        let on_gpu = if body == Bodies::Gpu { gpu::window_attention(&inputs, tables) } else { None };
        let out = match &on_gpu {
            Some(attended) => attended.out.clone(),
            None if body == Bodies::Host => host::attention(inputs.clone(), tables),
            None => value_in_float32(inputs.clone(), tables),
        };
        let tables = Arc::clone(tables);
        let backward = move |grad: Tensor<3>, into: &mut InputGradients| {
            let found = match on_gpu {
                Some(attended) => gpu::window_attention_gradients(&inputs, attended, &tables, grad),
                None if body == Bodies::Host => host::attention_gradients(inputs, &tables, grad),
                None => gradients(inputs, &tables, &grad),
            };
            into.put(0, || found.0);
            into.put(1, || found.1);
            into.put(2, || found.2);
        };
        (out, backward)
    })
}

/// What an attention is computed from, or the gradients of the same; see [`window_attention`].
type Inputs = (Tensor<3>, Tensor<1>, Tensor<2>);

/// Scaled queries, keys, values, and the attention of every query over the keys: what one pass computes of [`Inputs`].
struct Attended {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    /// `[batch * windows, heads, tokens, tokens]`.
    attention: Tensor<4>,
}

/// `[batch, places, parts * dim]` -> of each part `[batch * windows, heads, tokens, head_dim]`.
fn split<const PARTS: usize>(places: Tensor<3>, window_tokens: usize, heads: usize) -> [Tensor<4>; PARTS] {
    let [batch, count, width] = places.dims();
    let (windows, head_dim) = (batch * count / window_tokens, width / PARTS / heads);
    let split = places.reshape([windows, window_tokens, PARTS, heads, head_dim]).permute([2, 0, 3, 1, 4]);
    std::array::from_fn(|part| split.clone().narrow(0, part, 1).reshape([windows, heads, window_tokens, head_dim]))
}

/// The inverse of [`split`].
fn join<const PARTS: usize>(parts: [Tensor<4>; PARTS], batch: usize) -> Tensor<3> {
    let [windows, heads, tokens, head_dim] = parts[0].dims();
    let parts = Tensor::stack::<5>(parts.into(), 0).permute([1, 3, 0, 2, 4]);
    parts.reshape([batch, windows / batch * tokens, PARTS * heads * head_dim])
}

fn scale(head_dim: usize) -> f32 {
    (head_dim as f32).powf(-0.5)
}

fn attend((qkv, padding, table): Inputs, tables: &WindowTables) -> Attended {
    let [_, heads] = table.dims();
    let (device, tokens) = (qkv.device(), tables.window_tokens);
    let [query, key, value] = split(tables.window_to_token.gather_with(&qkv, padding), tokens, heads);
    let [windows, _, _, head_dim] = query.dims();
    let query = query * scale(head_dim);
    let bias = table.select(0, tables.bias_rows.on(&device)).reshape([1, tokens, tokens, heads]).permute([0, 3, 1, 2]);
    let mut scores = query.clone().matmul(key.clone().transpose()) + bias;
    if let Some(mask) = tables.mask_on(&device) {
        let by_window = scores.reshape([windows / tables.windows(), tables.windows(), heads, tokens, tokens]);
        scores = (by_window + mask).reshape([windows, heads, tokens, tokens]);
    }
    Attended { query, key, value, attention: activation::softmax(scores, 3) }
}

pub(super) fn value(inputs: Inputs, tables: &WindowTables) -> Tensor<3> {
    let [batch, _, _] = inputs.0.dims();
    let Attended { value, attention, .. } = attend(inputs, tables);
    tables.token_to_window.gather(join([attention.matmul(value)], batch))
}

/// [`value`] of inputs of any precision: scores and their softmax need float32.
fn value_in_float32((qkv, padding, table): Inputs, tables: &WindowTables) -> Tensor<3> {
    let own = qkv.dtype();
    value((qkv.cast(DType::F32), padding.cast(DType::F32), table.cast(DType::F32)), tables).cast(own)
}

/// Gradients with respect to the inputs of [`value`].
fn gradients(inputs: Inputs, tables: &WindowTables, grad: &Tensor<3>) -> Inputs {
    let ([batch, _, dim], [table_rows, heads]) = (grad.dims(), inputs.2.dims());
    let Attended { query, key, value, attention } = attend(inputs, tables);
    let [windows, _, tokens, head_dim] = query.dims();
    let [grad] = split(tables.window_to_token.gather_with(grad, Tensor::zeros([dim], &grad.device())), tokens, heads);
    let of_value = attention.clone().transpose().matmul(grad.clone());
    // Softmax: a (g - sum(a g)).
    let weighted = grad.matmul(value.transpose()) * attention.clone();
    let total = weighted.clone().sum_dim(3);
    let of_scores = weighted - attention * total;
    let of_query = of_scores.clone().matmul(key) * scale(head_dim);
    let of_key = of_scores.clone().transpose().matmul(query);

    let of_bias = over_rows(of_scores.reshape([1, windows, heads * tokens * tokens])).reshape([heads, tokens * tokens]).transpose();
    let of_places = join([of_query, of_key, of_value], batch);
    let of_padding = if tables.padded.is_empty() {
        Tensor::zeros([3 * dim], &of_places.device())
    } else {
        column_sums(rows(tables.padded.gather(of_places.clone())))
    };
    (tables.token_to_window.gather(of_places), of_padding, table_gradient(of_bias, tables, table_rows))
}

/// Gradients by pair, `[tokens * tokens, heads]`, summed up by the pairs' table rows, `[rows, heads]`.
///
/// Each row gathers its pairs: a scatter would add all of them up in a single thread.
fn table_gradient(bias: Tensor<2>, tables: &WindowTables, rows: usize) -> Tensor<2> {
    let [_, heads] = bias.dims();
    let index = tables.pairs_of_row(rows);
    let gathered = index.gather(bias.unsqueeze()).reshape([rows, index.len() / rows, heads]);
    over_rows(gathered).reshape([rows, heads])
}
