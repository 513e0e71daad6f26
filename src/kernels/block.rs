//! A whole transformer block as one operation that keeps its input only and recomputes the rest in the backward pass.
//!
//! `x + attention(norm1(x))`, then `x + mlp(norm2(x))`: the parts are the other operations of this folder. Samples are
//! independent of each other, and large ones are worked on one after the other: what is recomputed exists for a single one.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType, TensorMetadata};
use burn::tensor::{Tensor, TensorData};

use super::attention::{AttentionGradients, Inputs, WindowTables};
use super::dispatch::{TokenKernels, TokenOps as _};
use super::linear::{self, rows};
use super::pieces::{Whole, add_up, pieces, taken};

/// Tensors of a block: its input and its parameters.
pub(super) const TENSORS: usize = 14;

/// A block's input and parameters.
#[derive(Clone, Debug, ExtensionType)]
pub struct BlockTensors<B: Backend> {
    /// `[batch, tokens, dim]`.
    pub x: FloatTensor<B>,
    /// `[dim]`.
    pub norm1_weight: FloatTensor<B>,
    /// `[dim]`.
    pub norm1_bias: FloatTensor<B>,
    /// `[rows, heads]`.
    pub table: FloatTensor<B>,
    /// `[dim, 3 dim]`.
    pub qkv_weight: FloatTensor<B>,
    /// `[3 dim]`.
    pub qkv_bias: FloatTensor<B>,
    /// `[dim, dim]`.
    pub proj_weight: FloatTensor<B>,
    /// `[dim]`.
    pub proj_bias: FloatTensor<B>,
    /// `[dim]`.
    pub norm2_weight: FloatTensor<B>,
    /// `[dim]`.
    pub norm2_bias: FloatTensor<B>,
    /// `[dim, hidden]`.
    pub fc1_weight: FloatTensor<B>,
    /// `[hidden]`.
    pub fc1_bias: FloatTensor<B>,
    /// `[hidden, dim]`.
    pub fc2_weight: FloatTensor<B>,
    /// `[dim]`.
    pub fc2_bias: FloatTensor<B>,
}

/// What a block needs besides tensors.
#[derive(Clone, Debug)]
pub struct BlockShape {
    /// The windows of its attention.
    pub tables: Arc<WindowTables>,
    /// Drop path: a factor for each sample, on the branches of attention and perceptron; empty: none is dropped.
    pub factors: [Vec<f32>; 2],
}

/// A block, recomputed in the backward pass.
pub fn transformer_block(tensors: BlockTensors<Dispatch>, shape: BlockShape) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::token_block(tensors, shape))
}

impl<B: Backend> BlockTensors<B> {
    /// Input first, parameters in the order of the fields.
    pub(super) fn into_array(self) -> [FloatTensor<B>; TENSORS] {
        [
            self.x,
            self.norm1_weight,
            self.norm1_bias,
            self.table,
            self.qkv_weight,
            self.qkv_bias,
            self.proj_weight,
            self.proj_bias,
            self.norm2_weight,
            self.norm2_bias,
            self.fc1_weight,
            self.fc1_bias,
            self.fc2_weight,
            self.fc2_bias,
        ]
    }

    /// The inverse of [`BlockTensors::into_array`].
    pub(super) fn from_array(tensors: [FloatTensor<B>; TENSORS]) -> Self {
        let [x, norm1_weight, norm1_bias, table, qkv_weight, qkv_bias, proj_weight, proj_bias, ..] = tensors.clone();
        let [.., norm2_weight, norm2_bias, fc1_weight, fc1_bias, fc2_weight, fc2_bias] = tensors;
        Self {
            x,
            norm1_weight,
            norm1_bias,
            table,
            qkv_weight,
            qkv_bias,
            proj_weight,
            proj_bias,
            norm2_weight,
            norm2_bias,
            fc1_weight,
            fc1_bias,
            fc2_weight,
            fc2_bias,
        }
    }
}

/// What the backward pass needs of the forward pass, for some samples.
struct Intermediates<B: Backend> {
    normal1: FloatTensor<B>,
    qkv: FloatTensor<B>,
    attended: FloatTensor<B>,
    middle: FloatTensor<B>,
    normal2: FloatTensor<B>,
    hidden: FloatTensor<B>,
    active: FloatTensor<B>,
}

/// A branch times its samples' factors.
fn scaled<B: Backend>(branch: FloatTensor<B>, factors: &[f32]) -> FloatTensor<B> {
    if factors.is_empty() {
        return branch;
    }
    let factors = B::float_from_data(TensorData::new(factors.to_vec(), [factors.len(), 1, 1]), &branch.device());
    B::float_mul(branch, factors)
}

fn intermediates<B: TokenKernels>(t: &BlockTensors<B>, shape: &BlockShape) -> Intermediates<B> {
    let normal1 = B::layer_norm_value(t.x.clone(), t.norm1_weight.clone(), t.norm1_bias.clone());
    let qkv = linear::value::<B>(normal1.clone(), t.qkv_weight.clone(), t.qkv_bias.clone());
    let attended = B::attention_value(qkv.clone(), t.qkv_bias.clone(), t.table.clone(), &shape.tables);
    let branch = linear::value::<B>(attended.clone(), t.proj_weight.clone(), t.proj_bias.clone());
    let middle = B::float_add(scaled::<B>(branch, &shape.factors[0]), t.x.clone());
    let normal2 = B::layer_norm_value(middle.clone(), t.norm2_weight.clone(), t.norm2_bias.clone());
    let hidden = linear::value::<B>(normal2.clone(), t.fc1_weight.clone(), t.fc1_bias.clone());
    let active = B::gelu_value(hidden.clone());
    Intermediates { normal1, qkv, attended, middle, normal2, hidden, active }
}

impl<B: Backend> BlockTensors<B> {
    /// The batch in pieces, by its widest intermediate.
    fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let [batch, tokens, dim] = self.x.shape().dims();
        let [_, hidden] = self.fc1_weight.shape().dims();
        pieces(batch, tokens * hidden.max(3 * dim))
    }

    /// The same parameters with some samples of the input.
    fn piece(&self, piece: &Range<usize>) -> Self {
        Self { x: taken::<B>(&self.x, piece), ..self.clone() }
    }
}

impl BlockShape {
    fn piece(&self, piece: &Range<usize>) -> Self {
        let factors = self.factors.each_ref().map(|factors| factors.get(piece.clone()).unwrap_or_default().to_vec());
        Self { tables: Arc::clone(&self.tables), factors }
    }
}

pub(super) fn value<B: TokenKernels>(tensors: &BlockTensors<B>, shape: &BlockShape) -> FloatTensor<B> {
    let mut out = Whole::<B>::new(tensors.x.shape());
    for piece in tensors.pieces() {
        let (tensors, shape) = (tensors.piece(&piece), shape.piece(&piece));
        let Intermediates { middle, active, .. } = intermediates::<B>(&tensors, &shape);
        let branch = linear::value::<B>(active, tensors.fc2_weight, tensors.fc2_bias);
        out.put(&piece, B::float_add(scaled::<B>(branch, &shape.factors[1]), middle));
    }
    out.made()
}

/// Gradients of a linear map with respect to input, weight and bias.
fn linear_gradients<B: TokenKernels>(x: FloatTensor<B>, weight: FloatTensor<B>, grad: FloatTensor<B>) -> [FloatTensor<B>; 3] {
    [linear::input_gradient::<B>(weight, grad.clone()), linear::weight_gradient::<B>(x, grad.clone()), B::column_sums(rows::<B>(grad))]
}

/// Gradients in the order of [`BlockTensors::into_array`].
pub(super) fn gradients<B: TokenKernels>(tensors: &BlockTensors<B>, shape: &BlockShape, grad: FloatTensor<B>) -> Vec<FloatTensor<B>> {
    let mut x = Whole::<B>::new(tensors.x.shape());
    let mut of_parameters = None;
    for piece in tensors.pieces() {
        let grad = taken::<B>(&grad, &piece);
        let [of_x, parameters @ ..] = piece_gradients::<B>(tensors.piece(&piece), &shape.piece(&piece), grad);
        x.put(&piece, of_x);
        of_parameters = add_up::<B>(of_parameters, parameters.to_vec());
    }
    std::iter::once(x.made()).chain(of_parameters.into_iter().flatten()).collect()
}

/// The same for some samples.
fn piece_gradients<B: TokenKernels>(t: BlockTensors<B>, shape: &BlockShape, grad: FloatTensor<B>) -> [FloatTensor<B>; TENSORS] {
    let Intermediates { normal1, qkv, attended, middle, normal2, hidden, active } = intermediates::<B>(&t, shape);
    let [active_gradient, fc2_weight, fc2_bias] = linear_gradients::<B>(active, t.fc2_weight, scaled::<B>(grad.clone(), &shape.factors[1]));
    let [normal2, fc1_weight, fc1_bias] = linear_gradients::<B>(normal2, t.fc1_weight, B::gelu_gradient(hidden, active_gradient));
    let [through, norm2_weight, norm2_bias] = B::layer_norm_gradients(middle, t.norm2_weight, normal2);
    let grad = B::float_add(through, grad);

    let [attended, proj_weight, proj_bias] = linear_gradients::<B>(attended, t.proj_weight, scaled::<B>(grad.clone(), &shape.factors[0]));
    let inputs = Inputs { qkv, padding: t.qkv_bias, table: t.table };
    let AttentionGradients { qkv, padding, table } = B::attention_gradients(inputs, &shape.tables, attended);
    let [normal1, qkv_weight, qkv_bias] = linear_gradients::<B>(normal1, t.qkv_weight, qkv);
    let [through, norm1_weight, norm1_bias] = B::layer_norm_gradients(t.x, t.norm1_weight, normal1);
    BlockTensors::<B> {
        x: B::float_add(through, grad),
        norm1_weight,
        norm1_bias,
        table,
        qkv_weight,
        // The row of padded places is the bias as well.
        qkv_bias: B::float_add(qkv_bias, padding),
        proj_weight,
        proj_bias,
        norm2_weight,
        norm2_bias,
        fc1_weight,
        fc1_bias,
        fc2_weight,
        fc2_bias,
    }
    .into_array()
}
