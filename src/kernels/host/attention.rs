//! Window attention: one task for each window and head, on a few kilobytes that stay in a core's cache.
//!
//! Tokens are gathered into the window and scattered back here, so that partition, shift and padding never exist as
//! tensors; the attention itself is recomputed in the backward pass instead of kept.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::product::{Extents, Strided, product};
use super::simd::{LANES, vectorised};
use super::softmax::{softmax, softmax_gradient};
use super::tensor::{HostTensor, contiguous, elements, tensor};
use crate::kernels::index::PADDING;
use crate::kernels::window_tables::{MASKED, WindowTables};

/// Tasks of a backward pass: each sums the bias gradient of its share in order. A constant, so that the result does
/// not depend on the number of cores.
const BACKWARD_TASKS: usize = 16;

/// Slices and sizes of one call.
struct Call<'a> {
    qkv: &'a [f32],
    padding: &'a [f32],
    /// `[heads, tokens, lanes of tokens]`.
    bias: Vec<f32>,
    tables: &'a WindowTables,
    count: usize,
    windows: usize,
    tokens: usize,
    heads: usize,
    head_dim: usize,
}

/// Buffers of one task, reused by the next.
#[derive(Default)]
struct Scratch {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    transposed_rows: Vec<f32>,
    scores: Vec<f32>,
    grad: Vec<f32>,
    score_gradient: Vec<f32>,
    product: Vec<f32>,
}

fn lanes(length: usize) -> usize {
    length.next_multiple_of(LANES)
}

impl<'a> Call<'a> {
    fn new(inputs: [&'a HostTensor; 3], tables: &'a WindowTables) -> Self {
        let [qkv, padding, table] = inputs;
        let [_, count, width] = qkv.layout().shape().dims();
        let [_, heads] = table.layout().shape().dims();
        let tokens = tables.window_tokens;
        let table = elements(table);
        let mut bias = vec![0.0; heads * tokens * lanes(tokens)];
        bias.par_chunks_mut(tokens * lanes(tokens)).enumerate().for_each(|(head, bias)| {
            for (bias, rows) in bias.chunks_exact_mut(lanes(tokens)).zip(tables.bias_rows.chunks_exact(tokens)) {
                for (bias, &row) in bias.iter_mut().zip(rows) {
                    *bias = table[row as usize * heads + head];
                }
            }
        });
        Self {
            qkv: elements(qkv),
            padding: elements(padding),
            bias,
            tables,
            count,
            windows: tables.windows(),
            tokens,
            heads,
            head_dim: width / 3 / heads,
        }
    }

    fn dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Samples times windows.
    fn items(&self) -> usize {
        self.qkv.len() / (3 * self.dim() * self.count) * self.windows
    }

    /// One head of the rows of a window, `[tokens, lanes of head_dim]`; `padding` where a place holds no token.
    #[inline(always)]
    fn gather(&self, out: &mut Vec<f32>, rows: &[f32], padding: Option<&[f32]>, [item, first]: [usize; 2]) {
        let width = rows.len() / (self.items() / self.windows * self.count);
        let sample = &rows[item / self.windows * self.count * width..][..self.count * width];
        let places = &self.tables.window_to_token[item % self.windows * self.tokens..][..self.tokens];
        out.clear();
        out.resize(self.tokens * lanes(self.head_dim), 0.0);
        for (out, &token) in out.chunks_exact_mut(lanes(self.head_dim)).zip(places) {
            let out = &mut out[..self.head_dim];
            match (token, padding) {
                (PADDING, None) => {}
                (PADDING, Some(padding)) => out.copy_from_slice(&padding[first..first + self.head_dim]),
                (token, _) => out.copy_from_slice(&sample[token as usize * width + first..][..self.head_dim]),
            }
        }
    }

    /// Scaled queries, keys, values and the attention of every query over the keys, into `scratch`.
    #[inline(always)]
    fn attend<const FUSED: bool>(&self, scratch: &mut Scratch, item: usize, head: usize) {
        let Scratch { query, key, value, transposed_rows, scores, .. } = scratch;
        for (part, out) in [&mut *query, &mut *key, &mut *value].into_iter().enumerate() {
            self.gather(out, self.qkv, Some(self.padding), [item, part * self.dim() + head * self.head_dim]);
        }
        let scale = (self.head_dim as f32).powf(-0.5);
        for value in query.iter_mut() {
            *value *= scale;
        }
        self.transpose(transposed_rows, key);
        scores.resize(self.tokens * lanes(self.tokens), 0.0);
        product::<FUSED>(scores, self.by_rows(query), transposed_rows, self.square(self.head_dim));
        let bias = &self.bias[head * scores.len()..][..scores.len()];
        let groups = self
            .tables
            .mask_groups
            .get(item % self.windows * self.tokens..)
            .map_or(&[][..], |groups| &groups[..self.tokens.min(groups.len())]);
        for (row, (scores, bias)) in scores.chunks_exact_mut(lanes(self.tokens)).zip(bias.chunks_exact(lanes(self.tokens))).enumerate() {
            for (score, &bias) in scores.iter_mut().zip(bias) {
                *score += bias;
            }
            if let Some(&own) = groups.get(row) {
                for (score, &group) in scores.iter_mut().zip(groups) {
                    *score += if group == own { 0.0 } else { MASKED };
                }
            }
            softmax(&mut scores[..self.tokens]);
        }
    }

    /// `[tokens, lanes of head_dim]` -> `[head_dim, lanes of tokens]`.
    #[inline(always)]
    fn transpose(&self, out: &mut Vec<f32>, rows: &[f32]) {
        out.clear();
        out.resize(self.head_dim * lanes(self.tokens), 0.0);
        for (token, row) in rows.chunks_exact(lanes(self.head_dim)).enumerate() {
            for (out, &value) in out.chunks_exact_mut(lanes(self.tokens)).zip(row) {
                out[token] = value;
            }
        }
    }

    fn by_rows<'m>(&self, values: &'m [f32]) -> Strided<'m> {
        Strided { values, row: lanes(self.head_dim), column: 1 }
    }

    /// A product with `[tokens, tokens]` for result.
    fn square(&self, inner: usize) -> Extents {
        Extents { rows: self.tokens, inner, columns: lanes(self.tokens) }
    }

    /// `scores` (transposed_rows over if `transposed`) times `[tokens, lanes of head_dim]`.
    #[inline(always)]
    fn mix<const FUSED: bool>(&self, out: &mut Vec<f32>, scores: &[f32], transposed: bool, rows: &[f32]) {
        let (row, column) = if transposed { (1, lanes(self.tokens)) } else { (lanes(self.tokens), 1) };
        out.resize(self.tokens * lanes(self.head_dim), 0.0);
        let extents = Extents { rows: self.tokens, inner: self.tokens, columns: lanes(self.head_dim) };
        product::<FUSED>(out, Strided { values: scores, row, column }, rows, extents);
    }

    /// Rows without the padding of their lanes.
    #[inline(always)]
    fn store(&self, out: &mut [f32], rows: &[f32], factor: f32) {
        for (out, row) in out.chunks_exact_mut(self.head_dim).zip(rows.chunks_exact(lanes(self.head_dim))) {
            for (out, &value) in out.iter_mut().zip(row) {
                *out = factor * value;
            }
        }
    }

    /// Results by item and head, `[head, item, parts, tokens, head_dim]`, in the order of the grid: `[batch, count, parts * dim]`.
    fn to_tokens(&self, results: &[f32], parts: usize) -> Vec<f32> {
        let (items, tokens, head_dim) = (self.items(), self.tokens, self.head_dim);
        let mut out = vec![0.0; items / self.windows * self.count * parts * self.dim()];
        out.par_chunks_mut(parts * self.dim()).enumerate().with_min_len(64).for_each(|(row, out)| {
            let place = self.tables.token_to_window[row % self.count] as usize;
            let item = row / self.count * self.windows + place / tokens;
            for (slot, out) in out.chunks_exact_mut(head_dim).enumerate() {
                let (part, head) = (slot / self.heads, slot % self.heads);
                let from = (((head * items + item) * parts + part) * tokens + place % tokens) * head_dim;
                out.copy_from_slice(&results[from..from + head_dim]);
            }
        });
        out
    }

    /// The gradient of the table, `[rows, heads]`, from each head's summed score gradients.
    fn table_gradient(&self, bias: &[Vec<f32>], rows: usize) -> Vec<f32> {
        let tasks = bias.len() / self.heads;
        let mut table = vec![0.0; rows * self.heads];
        for (index, bias) in bias.iter().enumerate() {
            let head = index / tasks;
            for (gradients, rows) in bias.chunks_exact(lanes(self.tokens)).zip(self.tables.bias_rows.chunks_exact(self.tokens)) {
                for (&gradient, &row) in gradients.iter().zip(rows) {
                    table[row as usize * self.heads + head] += gradient;
                }
            }
        }
        table
    }

    /// The gradient of the padding row: the sum over the places that hold it.
    fn padding_gradient(&self, results: &[f32]) -> Vec<f32> {
        let (items, tokens, head_dim) = (self.items(), self.tokens, self.head_dim);
        let mut sums = vec![0.0; 3 * self.dim()];
        sums.par_chunks_mut(head_dim).enumerate().for_each(|(slot, sums)| {
            let (part, head) = (slot / self.heads, slot % self.heads);
            for sample in 0..items / self.windows {
                for &place in &*self.tables.padded {
                    let place = place as usize;
                    let item = sample * self.windows + place / tokens;
                    let from = (((head * items + item) * 3 + part) * tokens + place % tokens) * head_dim;
                    for (sum, &value) in sums.iter_mut().zip(&results[from..from + head_dim]) {
                        *sum += value;
                    }
                }
            }
        });
        sums
    }
}

vectorised! {
    /// The attention of one window and head (`at`: head, item).
    fn forward<'a, const FUSED: bool>(call: &'a Call<'a>, out: &'a mut [f32], at: [usize; 2], scratch: &'a mut Scratch) -> () {
        let [head, item] = at;
        call.attend::<FUSED>(scratch, item, head);
        let Scratch { value, scores, product: result, .. } = scratch;
        call.mix::<FUSED>(result, scores, false, value);
        call.store(out, result, 1.0);
    }
}

vectorised! {
    /// The gradients of some items of one head (`at`: head, first item); returns the sum of their score gradients.
    fn backward<'a, const FUSED: bool>(
        call: &'a Call<'a>,
        out: &'a mut [f32],
        grad: &'a [f32],
        at: [usize; 2],
        scratch: &'a mut Scratch,
    ) -> Vec<f32> {
        let [head, first] = at;
        let part = call.tokens * call.head_dim;
        let scale = (call.head_dim as f32).powf(-0.5);
        let mut bias = vec![0.0; call.tokens * lanes(call.tokens)];
        for (item, out) in (first..).zip(out.chunks_exact_mut(3 * part)) {
            call.attend::<FUSED>(scratch, item, head);
            let Scratch { query, key, value, transposed_rows, scores, grad: own_grad, score_gradient, product: result } = &mut *scratch;
            call.gather(own_grad, grad, None, [item, head * call.head_dim]);
            call.mix::<FUSED>(result, scores, true, own_grad);
            call.store(&mut out[2 * part..], result, 1.0);

            call.transpose(transposed_rows, value);
            score_gradient.resize(call.tokens * lanes(call.tokens), 0.0);
            product::<FUSED>(score_gradient, call.by_rows(own_grad), transposed_rows, call.square(call.head_dim));
            let rows = score_gradient.chunks_exact_mut(lanes(call.tokens)).zip(scores.chunks_exact(lanes(call.tokens)));
            for (gradient, attention) in rows {
                softmax_gradient(&mut gradient[..call.tokens], &attention[..call.tokens]);
            }
            for (bias, &gradient) in bias.iter_mut().zip(&*score_gradient) {
                *bias += gradient;
            }
            call.mix::<FUSED>(result, score_gradient, false, key);
            call.store(out, result, scale);
            call.mix::<FUSED>(result, score_gradient, true, query);
            call.store(&mut out[part..], result, 1.0);
        }
        bias
    }
}

/// Queries, keys and values, the padding's row, and the bias table; or the gradients of the same.
type Inputs = (Tensor<3>, Tensor<1>, Tensor<2>);

/// See [`crate::kernels::window_attention`].
pub fn attention((qkv, padding, table): Inputs, tables: &WindowTables) -> Tensor<3> {
    let (qkv, padding, table) = (contiguous(qkv), contiguous(padding), contiguous(table));
    let call = Call::new([&qkv, &padding, &table], tables);
    let (items, part) = (call.items(), call.tokens * call.head_dim);
    let mut results = vec![0.0; call.heads * items * part];
    let tasks = results.par_chunks_mut(part).enumerate();
    tasks.for_each_init(Scratch::default, |scratch, (task, out)| forward(&call, out, [task / items, task % items], scratch));
    let samples = items / call.windows;
    tensor(call.to_tokens(&results, 1), [samples, call.count, call.dim()])
}

/// Gradients of [`attention`] with respect to its inputs.
pub fn attention_gradients((qkv, padding, table): Inputs, tables: &WindowTables, grad: Tensor<3>) -> Inputs {
    let [rows, heads] = table.dims();
    let (qkv, padding, table, grad) = (contiguous(qkv), contiguous(padding), contiguous(table), contiguous(grad));
    let call = Call::new([&qkv, &padding, &table], tables);
    let (items, part) = (call.items(), 3 * call.tokens * call.head_dim);
    let share = items.div_ceil(BACKWARD_TASKS.div_ceil(call.heads));
    let mut results = vec![0.0; call.heads * items * part];
    let tasks = results.par_chunks_mut(items * part).enumerate().flat_map(|(head, results)| {
        results.par_chunks_mut(share * part).enumerate().map(move |(task, results)| ([head, task * share], results))
    });
    let bias: Vec<Vec<f32>> =
        tasks.map_init(Scratch::default, |scratch, (at, out)| backward(&call, out, elements(&grad), at, scratch)).collect();
    (
        tensor(call.to_tokens(&results, 3), [items / call.windows, call.count, 3 * call.dim()]),
        tensor(call.padding_gradient(&results), [3 * call.dim()]),
        tensor(call.table_gradient(&bias, rows), [rows, heads]),
    )
}
