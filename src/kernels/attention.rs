//! Attention within the windows of a token grid.

use std::sync::Arc;

use burn::backend::tensor::{Device, FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, TensorMetadata};
use burn::tensor::{Shape, Slice, Tensor, TensorData};

use super::dispatch::TokenOps as _;
use super::sums::over_rows;

/// A row that holds padding instead of a token.
pub const PADDING: u32 = u32::MAX;

/// Added to the attention score of two tokens that only the cyclic shift brought together.
pub const MASKED: f32 = -100.0;

/// Which token sits where in which window, and which bias belongs to which pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowTables {
    /// Tokens of one window.
    pub window_tokens: usize,
    /// For each place, window by window: the token of the grid, or [`PADDING`].
    pub rows: Vec<u32>,
    /// For each token of the grid its place in `rows`.
    pub places: Vec<u32>,
    /// For each place the region it came from; empty if no pair of tokens is masked.
    pub regions: Vec<u8>,
    /// Bias table row of each pair of a window's tokens, query by key.
    pub bias_rows: Vec<u32>,
}

impl WindowTables {
    /// `[windows, tokens, tokens]` of 0 and [`MASKED`]; empty without regions.
    pub fn mask(&self) -> Vec<f32> {
        let windows = self.regions.chunks_exact(self.window_tokens);
        windows
            .flat_map(|window| window.iter().flat_map(move |query| window.iter().map(move |key| if query == key { 0.0 } else { MASKED })))
            .collect()
    }
}

/// Softmax attention of each window's tokens among themselves.
///
/// * `qkv`: `[batch, tokens, 3 dim]` in the order of the grid: queries, keys and values after one another, heads within each.
/// * `padding`: `[3 dim]`, the row of a padded place.
/// * `table`: `[rows, heads]`, added to the scores by `tables.bias_rows`.
///
/// Returns `[batch, tokens, dim]` in the order of the grid.
pub fn window_attention(qkv: Tensor<3>, padding: Tensor<1>, table: Tensor<2>, tables: &Arc<WindowTables>) -> Tensor<3> {
    let inputs = (qkv.into_dispatch(), padding.into_dispatch(), table.into_dispatch());
    Tensor::from_dispatch(Dispatch::token_attention(inputs.0, inputs.1, inputs.2, Arc::clone(tables)))
}

/// What an attention is computed from; see [`window_attention`].
#[derive(Clone, Debug)]
pub struct Inputs<B: Backend> {
    pub(super) qkv: FloatTensor<B>,
    pub(super) padding: FloatTensor<B>,
    pub(super) table: FloatTensor<B>,
}

/// Gradients with respect to [`Inputs`].
#[derive(Debug)]
pub struct AttentionGradients<B: Backend> {
    pub(super) qkv: FloatTensor<B>,
    pub(super) padding: FloatTensor<B>,
    pub(super) table: FloatTensor<B>,
}

/// The sizes of one call.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    windows: usize,
    tokens: usize,
    heads: usize,
    head_dim: usize,
}

impl Sizes {
    fn of<B: Backend>(inputs: &Inputs<B>, tables: &WindowTables) -> Self {
        let [batch, _, width] = inputs.qkv.shape().dims();
        let [_, heads] = inputs.table.shape().dims();
        let tokens = tables.window_tokens;
        Self { batch, windows: tables.rows.len() / tokens, tokens, heads, head_dim: width / 3 / heads }
    }

    fn dim(self) -> usize {
        self.heads * self.head_dim
    }

    fn scale(self) -> f32 {
        (self.head_dim as f32).powf(-0.5)
    }

    /// `[batch, places, parts * dim]` -> `[parts, batch * windows, heads, tokens, head_dim]`.
    fn split<B: Backend>(self, places: FloatTensor<B>, parts: usize) -> FloatTensor<B> {
        let Self { batch, windows, tokens, heads, head_dim } = self;
        B::float_permute(B::float_reshape(places, Shape::from([batch * windows, tokens, parts, heads, head_dim])), &[2, 0, 3, 1, 4])
    }

    /// The inverse of [`Sizes::split`].
    fn join<B: Backend>(self, split: FloatTensor<B>, parts: usize) -> FloatTensor<B> {
        let Self { batch, windows, tokens, .. } = self;
        B::float_reshape(B::float_permute(split, &[1, 3, 0, 2, 4]), Shape::from([batch, windows * tokens, parts * self.dim()]))
    }

    /// One part of a split, `[batch * windows, heads, tokens, head_dim]`.
    fn part<B: Backend>(self, split: &FloatTensor<B>, part: usize) -> FloatTensor<B> {
        let Self { batch, windows, tokens, heads, head_dim } = self;
        let slice = B::float_slice(split.clone(), &[Slice::from(part as isize..part as isize + 1)]);
        B::float_reshape(slice, Shape::from([batch * windows, heads, tokens, head_dim]))
    }
}

fn ints<B: Backend>(values: impl Iterator<Item = u32>, device: &Device<B>) -> IntTensor<B> {
    let values: Vec<i32> = values.map(|value| value as i32).collect();
    let length = values.len();
    B::int_from_data(TensorData::new(values, [length]), device)
}

/// `[batch, tokens, columns]` -> `[batch, places, columns]`, `padding` `[columns]` where a place holds no token.
fn to_places<B: Backend>(tokens: FloatTensor<B>, padding: FloatTensor<B>, tables: &WindowTables) -> FloatTensor<B> {
    let [batch, count, columns] = tokens.shape().dims();
    let device = tokens.device();
    let padding = B::float_expand(B::float_reshape(padding, Shape::from([1, 1, columns])), Shape::from([batch, 1, columns]));
    let rows = tables.rows.iter().map(|&row| if row == PADDING { count as u32 } else { row });
    B::float_select(B::float_cat(vec![tokens, padding], 1), 1, ints::<B>(rows, &device))
}

/// Scaled queries, keys, values, and the attention of every query over the keys.
fn attend<B: Backend>(inputs: Inputs<B>, tables: &WindowTables, sizes: Sizes) -> [FloatTensor<B>; 4] {
    let Sizes { batch, windows, tokens, heads, .. } = sizes;
    let device = inputs.qkv.device();
    let split = sizes.split::<B>(to_places::<B>(inputs.qkv, inputs.padding, tables), 3);
    let [query, key, value] = [0, 1, 2].map(|part| sizes.part::<B>(&split, part));
    let query = B::float_mul_scalar(query, sizes.scale().into());
    let bias = B::float_select(inputs.table, 0, ints::<B>(tables.bias_rows.iter().copied(), &device));
    let bias = B::float_permute(B::float_reshape(bias, Shape::from([1, tokens, tokens, heads])), &[0, 3, 1, 2]);
    let mut scores = B::float_add(B::float_matmul(query.clone(), B::float_transpose(key.clone())), bias);
    if !tables.regions.is_empty() {
        let mask = B::float_from_data(TensorData::new(tables.mask(), [1, windows, 1, tokens, tokens]), &device);
        let shape = scores.shape();
        let by_window = B::float_reshape(scores, Shape::from([batch, windows, heads, tokens, tokens]));
        scores = B::float_reshape(B::float_add(by_window, mask), shape);
    }
    [query, key, value, B::softmax(scores, 3)]
}

pub(super) fn value<B: Backend>(
    qkv: FloatTensor<B>,
    padding: FloatTensor<B>,
    table: FloatTensor<B>,
    tables: &WindowTables,
) -> FloatTensor<B> {
    let device = qkv.device();
    let inputs = Inputs { qkv, padding, table };
    let sizes = Sizes::of(&inputs, tables);
    let [_, _, value, attention] = attend::<B>(inputs, tables, sizes);
    let Sizes { batch, windows, tokens, heads, head_dim } = sizes;
    let mixed = B::float_reshape(B::float_matmul(attention, value), Shape::from([1, batch * windows, heads, tokens, head_dim]));
    B::float_select(sizes.join::<B>(mixed, 1), 1, ints::<B>(tables.places.iter().copied(), &device))
}

pub(super) fn gradients<B: Backend>(inputs: Inputs<B>, tables: &WindowTables, grad: FloatTensor<B>) -> AttentionGradients<B> {
    let sizes = Sizes::of(&inputs, tables);
    let Sizes { batch, windows, tokens, heads, head_dim } = sizes;
    let (device, dtype) = (grad.device(), grad.dtype().into());
    let table_rows = inputs.table.shape()[0];
    let [query, key, value, attention] = attend::<B>(inputs, tables, sizes);

    let nothing = B::float_zeros(Shape::from([sizes.dim()]), &device, dtype);
    let grad = sizes.part::<B>(&sizes.split::<B>(to_places::<B>(grad, nothing, tables), 1), 0);
    let value_gradient = B::float_matmul(B::float_transpose(attention.clone()), grad.clone());
    let attention_gradient = B::float_matmul(grad, B::float_transpose(value));
    // Softmax: a (g - sum(a g)).
    let weighted = B::float_mul(attention_gradient, attention.clone());
    let total = B::float_sum_dim(weighted.clone(), 3);
    let scores = B::float_sub(weighted, B::float_mul(attention, total));
    let query_gradient = B::float_mul_scalar(B::float_matmul(scores.clone(), key), sizes.scale().into());
    let key_gradient = B::float_matmul(B::float_transpose(scores.clone()), query);

    let bias = over_rows::<B>(B::float_reshape(scores, Shape::from([1, batch * windows, heads * tokens * tokens])));
    let bias = B::float_transpose(B::float_reshape(bias, Shape::from([heads, tokens * tokens])));
    let table = table_gradient::<B>(bias, tables, table_rows);

    let parts = [query_gradient, key_gradient, value_gradient];
    let parts = parts.map(|part| B::float_reshape(part, Shape::from([1, batch * windows, heads, tokens, head_dim])));
    let places = sizes.join::<B>(B::float_cat(parts.to_vec(), 0), 3);
    let padded = tables.rows.iter().zip(0..).filter(|&(&row, _)| row == PADDING).map(|(_, place)| place);
    let padded: Vec<u32> = padded.collect();
    let padding = if padded.is_empty() {
        B::float_zeros(Shape::from([3 * sizes.dim()]), &device, dtype)
    } else {
        let rows = B::float_select(places.clone(), 1, ints::<B>(padded.into_iter(), &device));
        super::linear::column_sums::<B>(super::linear::rows::<B>(rows))
    };
    let qkv = B::float_select(places, 1, ints::<B>(tables.places.iter().copied(), &device));
    AttentionGradients { qkv, padding, table }
}

/// Gradients by pair, `[tokens * tokens, heads]`, summed up by the pairs' table rows, `[rows, heads]`.
///
/// Each row gathers its pairs: a scatter would add all of them up in a single thread.
fn table_gradient<B: Backend>(bias: FloatTensor<B>, tables: &WindowTables, rows: usize) -> FloatTensor<B> {
    let [pairs, heads] = bias.shape().dims();
    let device = bias.device();
    let mut of_row = vec![Vec::new(); rows];
    for (pair, &row) in tables.bias_rows.iter().enumerate() {
        of_row[row as usize].push(pair as u32);
    }
    let most = of_row.iter().map(Vec::len).max().unwrap_or_default();
    let nothing = B::float_zeros(Shape::from([1, heads]), &device, bias.dtype().into());
    let index = of_row.iter().flat_map(|pairs_of_row| (0..most).map(|place| pairs_of_row.get(place).map_or(pairs as u32, |&pair| pair)));
    let gathered = B::float_select(B::float_cat(vec![bias, nothing], 0), 0, ints::<B>(index, &device));
    B::float_reshape(over_rows::<B>(B::float_reshape(gathered, Shape::from([rows, most, heads]))), Shape::from([rows, heads]))
}
