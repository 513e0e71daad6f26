//! Attention within the windows of a token grid.

use std::sync::Arc;

use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, TensorData};

/// Row of [`WindowTables::rows`] that holds padding instead of a token.
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
/// * `qkv`: `[batch, tokens, 3 dim]` in the order of the grid, queries, keys and values after one another, heads within each.
/// * `padding`: `[3 dim]`, the row of a padded place; zeros if absent.
/// * `table`: `[rows, heads]`, added to the scores by `tables.bias_rows`.
///
/// Returns `[batch, tokens, dim]` in the order of the grid.
pub fn window_attention(qkv: Tensor<3>, padding: Option<Tensor<1>>, table: Tensor<2>, tables: &Arc<WindowTables>) -> Tensor<3> {
    let [batch, count, width] = qkv.dims();
    let [_, heads] = table.dims();
    let (dim, device) = (width / 3, qkv.device());
    let (tokens, places) = (tables.window_tokens, tables.rows.len());
    let windows = places / tokens;
    let gather = int_tensor(&tables.rows, count, &device);
    let padding = padding.map_or_else(|| Tensor::zeros([1, 1, width], &device), Tensor::unsqueeze::<3>);
    let padded = Tensor::cat(vec![qkv, padding.repeat_dim(0, batch)], 1);
    let split = padded.select(1, gather).reshape([batch * windows, tokens, 3, heads, dim / heads]).permute([2, 0, 3, 1, 4]);
    let part = |index: usize| split.clone().narrow(0, index, 1).reshape([batch * windows, heads, tokens, dim / heads]);
    let (query, key, value) = (part(0) * ((dim / heads) as f64).powf(-0.5), part(1), part(2));
    let bias = table.select(0, int_tensor(&tables.bias_rows, 0, &device)).reshape([tokens, tokens, heads]).permute([2, 0, 1]);
    let mut scores = query.matmul(key.swap_dims(2, 3)) + bias.unsqueeze::<4>();
    if !tables.regions.is_empty() {
        let mask = Tensor::<4>::from_data(TensorData::new(tables.mask(), [windows, 1, tokens, tokens]), &device);
        let shape = scores.dims();
        scores = (scores.reshape([batch, windows, heads, tokens * tokens]) + mask.reshape([1, windows, 1, tokens * tokens])).reshape(shape);
    }
    let mixed = softmax(scores, 3).matmul(value).swap_dims(1, 2).reshape([batch, places, dim]);
    mixed.select(1, int_tensor(&tables.places, 0, &device))
}

fn int_tensor(values: &[u32], padding: usize, device: &burn::tensor::Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.iter().map(|&v| if v == PADDING { padding as i32 } else { v as i32 }).collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
