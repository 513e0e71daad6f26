//! Patch merging as one operation: neighbouring tokens side by side, layer norm, linear map without a bias.
//!
//! The backward pass keeps the tokens alone and lays them side by side again: that is memory traffic, while the linear
//! map is arithmetic.

use std::sync::Arc;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, ExtensionType, TensorMetadata};
use burn::tensor::{Shape, Tensor, TensorData};

use super::PADDING;
use super::dispatch::{TokenKernels, TokenOps as _};
use super::linear::{input_gradient, rows, weight_gradient};

/// Tensors of a merging: its input and its parameters.
pub(super) const TENSORS: usize = 4;

/// Which tokens lie side by side in which merged token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeTables {
    /// Tokens of a merged token.
    pub parts: usize,
    /// For each merged token its `parts` tokens; [`PADDING`] for none, which counts as zeros.
    pub sources: Vec<u32>,
    /// For each token the places in `sources` that hold it, [`PADDING`] for fewer than two.
    pub uses: Vec<[u32; 2]>,
}

/// A merging's input and parameters.
#[derive(Clone, Debug, ExtensionType)]
pub struct MergeTensors<B: Backend> {
    /// `[batch, tokens, dim]`.
    pub x: FloatTensor<B>,
    /// `[parts * dim]`.
    pub norm_weight: FloatTensor<B>,
    /// `[parts * dim]`.
    pub norm_bias: FloatTensor<B>,
    /// `[parts * dim, out]`.
    pub weight: FloatTensor<B>,
}

impl MergeTables {
    /// The tables of `sources`, as the field, for `tokens` tokens.
    ///
    /// # Panics
    /// If a token is used more than twice.
    pub fn new(parts: usize, sources: Vec<u32>, tokens: usize) -> Self {
        let mut uses = vec![[PADDING; 2]; tokens];
        for (place, &token) in sources.iter().enumerate().filter(|&(_, &token)| token != PADDING) {
            let free = uses[token as usize].iter_mut().find(|place| **place == PADDING);
            *free.expect("a token is merged twice at most") = place as u32;
        }
        Self { parts, sources, uses }
    }

    /// Number of merged tokens.
    pub fn merged(&self) -> usize {
        self.sources.len() / self.parts
    }
}

/// Merges tokens: `[batch, tokens, dim]` -> `[batch, merged tokens, out]`.
pub fn merge_tokens(tensors: MergeTensors<Dispatch>, tables: &Arc<MergeTables>) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::token_merging(tensors, Arc::clone(tables)))
}

impl<B: Backend> MergeTensors<B> {
    /// Input first, parameters in the order of the fields.
    pub(super) fn into_array(self) -> [FloatTensor<B>; TENSORS] {
        [self.x, self.norm_weight, self.norm_bias, self.weight]
    }

    /// The inverse of [`MergeTensors::into_array`].
    pub(super) fn from_array([x, norm_weight, norm_bias, weight]: [FloatTensor<B>; TENSORS]) -> Self {
        Self { x, norm_weight, norm_bias, weight }
    }
}

pub(super) fn value<B: TokenKernels>(t: MergeTensors<B>, tables: &MergeTables) -> FloatTensor<B> {
    let [batch, _, _] = t.x.shape().dims();
    let [_, output] = t.weight.shape().dims();
    let normal = B::layer_norm_value(B::side_by_side(t.x, tables), t.norm_weight, t.norm_bias);
    B::float_reshape(B::float_matmul(rows::<B>(normal), t.weight), Shape::from([batch, tables.merged(), output]))
}

/// Gradients in the order of [`MergeTensors::into_array`].
pub(super) fn gradients<B: TokenKernels>(t: MergeTensors<B>, tables: &MergeTables, grad: FloatTensor<B>) -> [FloatTensor<B>; TENSORS] {
    let together = B::side_by_side(t.x, tables);
    let normal = B::layer_norm_value(together.clone(), t.norm_weight.clone(), t.norm_bias);
    let weight = weight_gradient::<B>(normal, grad.clone());
    let [together, norm_weight, norm_bias] = B::layer_norm_gradients(together, t.norm_weight, input_gradient::<B>(t.weight, grad));
    [B::side_by_side_gradient(together, tables), norm_weight, norm_bias, weight]
}

fn ints<B: Backend>(values: impl Iterator<Item = u32>, padding: usize, like: &FloatTensor<B>) -> IntTensor<B> {
    let values: Vec<i32> = values.map(|value| if value == PADDING { padding as i32 } else { value as i32 }).collect();
    let length = values.len();
    B::int_from_data(TensorData::new(values, [length]), &like.device())
}

/// `rows` `[batch, count, columns]` with a row of zeros behind each sample's.
fn with_zeros<B: Backend>(rows: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, _, columns] = rows.shape().dims();
    let zeros = B::float_zeros(Shape::from([batch, 1, columns]), &rows.device(), rows.dtype().into());
    B::float_cat(vec![rows, zeros], 1)
}

/// `[batch, tokens, dim]` -> `[batch, merged tokens, parts * dim]`.
pub(super) fn side_by_side<B: Backend>(x: FloatTensor<B>, tables: &MergeTables) -> FloatTensor<B> {
    let [batch, count, dim] = x.shape().dims();
    let index = ints::<B>(tables.sources.iter().copied(), count, &x);
    B::float_reshape(B::float_select(with_zeros::<B>(x), 1, index), Shape::from([batch, tables.merged(), tables.parts * dim]))
}

/// The gradient with respect to the tokens, from that with respect to [`side_by_side`]'s result: each token gathers its uses.
pub(super) fn side_by_side_gradient<B: Backend>(grad: FloatTensor<B>, tables: &MergeTables) -> FloatTensor<B> {
    let [batch, _, width] = grad.shape().dims();
    let places = with_zeros::<B>(B::float_reshape(grad, Shape::from([batch, tables.sources.len(), width / tables.parts])));
    let [first, second] = [0, 1].map(|use_| {
        let index = ints::<B>(tables.uses.iter().map(|uses| uses[use_]), tables.sources.len(), &places);
        B::float_select(places.clone(), 1, index)
    });
    B::float_add(first, second)
}
