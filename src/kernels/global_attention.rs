//! Attention of every token of a sequence to all of them, without windows and without a position bias.
//!
//! The scores of one call exist while it runs and are computed again in the backward pass.

use burn::tensor::{DType, Tensor, activation, s};

use super::bodies::{Bodies, bodies};
use super::custom_gradient::{InputGradients, custom_gradient};
use super::{gpu, host};

/// Softmax attention among the tokens of each sample, scores scaled by `head_dim^-0.5`.
///
/// `qkv`: `[batch, tokens, 3 dim]`: queries, keys and values after one another, heads within each.
/// Returns `[batch, tokens, dim]`.
pub fn global_attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    custom_gradient((qkv,), |(qkv,)| {
        let on_gpu = if bodies(&qkv) == Bodies::Gpu { gpu::global_attention(&qkv, heads) } else { None };
        let out = match &on_gpu {
            Some(attended) => attended.out.clone(),
            // Scores and their softmax need float32.
            None => value(&qkv.clone().cast(DType::F32), heads).cast(qkv.dtype()),
        };
        let backward = move |grad: Tensor<3>, gradients: &mut InputGradients| {
            gradients.put(0, || match on_gpu {
                Some(attended) => gpu::global_attention_gradient(&qkv, heads, attended, grad),
                None => gradient(&qkv, heads, &grad),
            });
        };
        (out, backward)
    })
}

fn value(qkv: &Tensor<3>, heads: usize) -> Tensor<3> {
    let [query, key, value] = split(qkv, heads);
    join(attend(query, key).matmul(value))
}

fn gradient(qkv: &Tensor<3>, heads: usize, grad: &Tensor<3>) -> Tensor<3> {
    let [query, key, value] = split(qkv, heads);
    let [grad] = split(grad, heads);
    let scale = scale(&query);
    let attention = attend(query.clone(), key.clone());
    let of_attention = grad.clone().matmul(value.transpose());
    let of_value = attention.clone().transpose().matmul(grad);
    let of_scores = softmax_gradient(attention, of_attention, scale);
    let of_query = of_scores.clone().matmul(key);
    let of_key = of_scores.transpose().matmul(query);
    Tensor::cat([of_query, of_key, of_value].map(join).to_vec(), 2)
}

/// `[batch, tokens, PARTS * dim]` -> of each part `[batch, heads, tokens, head_dim]`.
fn split<const PARTS: usize>(tokens: &Tensor<3>, heads: usize) -> [Tensor<4>; PARTS] {
    let [batch, count, width] = tokens.dims();
    let by_slot = tokens.clone().reshape([batch, count, PARTS * heads, width / PARTS / heads]);
    // Sliced after the reshape, so that on the CPU all parts stay views of one buffer.
    std::array::from_fn(|part| by_slot.clone().slice(s![.., .., part * heads..(part + 1) * heads]).permute([0, 2, 1, 3]))
}

/// `[batch, heads, tokens, head_dim]` -> `[batch, tokens, dim]`.
fn join(split: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, head_dim] = split.dims();
    split.permute([0, 2, 1, 3]).reshape([batch, tokens, heads * head_dim])
}

fn scale(query: &Tensor<4>) -> f32 {
    let [_, _, _, head_dim] = query.dims();
    (head_dim as f32).powf(-0.5)
}

/// `[batch, heads, tokens, tokens]`: the share of each key in each query's result.
fn attend(query: Tensor<4>, key: Tensor<4>) -> Tensor<4> {
    let scale = scale(&query);
    let scores = query.matmul(key.transpose());
    if bodies(&scores) == Bodies::Host { host::scaled_softmax(scores, scale) } else { activation::softmax(scores * scale, 3) }
}

/// What the scores change by: `scale * attention * (grad - sum(attention * grad))`.
fn softmax_gradient(attention: Tensor<4>, grad: Tensor<4>, scale: f32) -> Tensor<4> {
    if bodies(&attention) == Bodies::Host {
        return host::scaled_softmax_gradient(attention, grad, scale);
    }
    let weighted = grad * attention.clone();
    let total = weighted.clone().sum_dim(3);
    (weighted - attention * total) * scale
}
