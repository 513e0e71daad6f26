//! Attention of every token of a sequence to all of them, without windows and without a position bias.
//!
//! The scores of one call exist while it runs and are computed again in the backward pass.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata};
use burn::tensor::{Shape, Slice, Tensor};

use super::dispatch::{TokenKernels, TokenOps as _};

/// Softmax attention among the tokens of each sample, scores scaled by `head_dim^-0.5`.
///
/// `qkv`: `[batch, tokens, 3 dim]`: queries, keys and values after one another, heads within each.
/// Returns `[batch, tokens, dim]`.
pub fn global_attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::token_global_attention(qkv.into_dispatch(), heads))
}

/// The sizes of one call.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    tokens: usize,
    heads: usize,
    head_dim: usize,
}

impl Sizes {
    /// Of queries, keys and values.
    fn of<B: Backend>(qkv: &FloatTensor<B>, heads: usize) -> Self {
        let [batch, tokens, width] = qkv.shape().dims();
        Self { batch, tokens, heads, head_dim: width / 3 / heads }
    }

    fn dim(self) -> usize {
        self.heads * self.head_dim
    }

    fn scale(self) -> f32 {
        (self.head_dim as f32).powf(-0.5)
    }

    /// Part `part` of `[batch, tokens, parts * dim]` as `[batch, heads, tokens, head_dim]`.
    fn split<B: Backend>(self, tokens: &FloatTensor<B>, part: usize) -> FloatTensor<B> {
        let Self { batch, tokens: count, heads, head_dim } = self;
        let slots = tokens.shape()[2] / head_dim;
        let by_slot = B::float_reshape(tokens.clone(), Shape::from([batch, count, slots, head_dim]));
        let own = [0..batch, 0..count, part * heads..(part + 1) * heads].map(|range| Slice::from(range.start as isize..range.end as isize));
        // Sliced after the reshape, so that on the CPU all three parts stay views of one buffer.
        B::float_permute(B::float_slice(by_slot, &own), &[0, 2, 1, 3])
    }

    /// `[batch, heads, tokens, head_dim]` -> `[batch, tokens, dim]`.
    fn join<B: Backend>(self, split: FloatTensor<B>) -> FloatTensor<B> {
        B::float_reshape(B::float_permute(split, &[0, 2, 1, 3]), Shape::from([self.batch, self.tokens, self.dim()]))
    }
}

/// `[batch, heads, tokens, tokens]`: the share of each key in each query's result.
fn attend<B: TokenKernels>(query: FloatTensor<B>, key: FloatTensor<B>, scale: f32) -> FloatTensor<B> {
    B::softmax_value(B::float_matmul(query, B::float_transpose(key)), scale)
}

pub(super) fn value<B: TokenKernels>(qkv: FloatTensor<B>, heads: usize) -> FloatTensor<B> {
    let sizes = Sizes::of::<B>(&qkv, heads);
    let [query, key, value] = [0, 1, 2].map(|part| sizes.split::<B>(&qkv, part));
    sizes.join::<B>(B::float_matmul(attend::<B>(query, key, sizes.scale()), value))
}

pub(super) fn gradient<B: TokenKernels>(qkv: FloatTensor<B>, heads: usize, grad: FloatTensor<B>) -> FloatTensor<B> {
    let sizes = Sizes::of::<B>(&qkv, heads);
    let [query, key, value] = [0, 1, 2].map(|part| sizes.split::<B>(&qkv, part));
    let grad = sizes.split::<B>(&grad, 0);
    let attention = attend::<B>(query.clone(), key.clone(), sizes.scale());
    let attention_gradient = B::float_matmul(grad.clone(), B::float_transpose(value));
    let value_gradient = B::float_matmul(B::float_transpose(attention.clone()), grad);
    let scores = B::softmax_gradient(attention, attention_gradient, sizes.scale());
    let query_gradient = B::float_matmul(scores.clone(), key);
    let key_gradient = B::float_matmul(B::float_transpose(scores), query);
    B::float_cat([query_gradient, key_gradient, value_gradient].map(|part| sizes.join::<B>(part)).to_vec(), 2)
}

/// Softmax of `scale * scores` over the last axis.
pub(super) fn softmax<B: Backend>(scores: FloatTensor<B>, scale: f32) -> FloatTensor<B> {
    let last = scores.shape().num_dims() - 1;
    B::softmax(B::float_mul_scalar(scores, scale.into()), last)
}

/// What the scores of [`softmax`] change by: with its result `attention`, `scale * attention * (grad - sum(attention * grad))`.
pub(super) fn softmax_gradient<B: Backend>(attention: FloatTensor<B>, grad: FloatTensor<B>, scale: f32) -> FloatTensor<B> {
    let last = attention.shape().num_dims() - 1;
    let weighted = B::float_mul(grad, attention.clone());
    let total = B::float_sum_dim(weighted.clone(), last);
    B::float_mul_scalar(B::float_sub(weighted, B::float_mul(attention, total)), scale.into())
}
