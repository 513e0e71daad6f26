//! A residual convolution block as one operation that keeps its input only and recomputes the rest in the backward pass.
//!
//! The parts are the other operations of this folder. Samples are independent of each other, and large ones are worked
//! on one after the other: what is recomputed exists for a single one.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType, TensorMetadata};
use burn::tensor::{Shape, Slice, Tensor};

use super::conv::{self, ConvShape};
use super::dispatch::{TokenKernels, TokenOps as _};
use super::instance_norm::{NormGradients, Normed};
use super::linear;
use super::pieces::{Whole, add_up, pieces, taken};

/// What a block needs besides tensors.
#[derive(Clone, Copy, Debug)]
pub struct ConvBlockShape {
    /// Tokens along D,H,W.
    pub grid: [usize; 3],
    /// Negative slope of the leaky ReLU.
    pub slope: f32,
}

/// Inputs and weights of a residual block with stride 1. Inputs are `[batch, tokens, channels]`, the convolutions' weights
/// `[3, 3, 3, in, out]`, the shortcut's `[in, out]`; there are no biases.
#[derive(Clone, Debug, ExtensionType)]
pub enum ConvBlockTensors<B: Backend> {
    /// As many channels in as out: input, first and second convolution.
    Same(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    /// Other channels: the same and the shortcut.
    Convolved(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    /// Two inputs side by side, then as before.
    Merging(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
}

/// `activation(norm(conv2(activation(norm(conv1(x))))) + shortcut)`, the shortcut being `x` or `norm(conv3(x))`.
///
/// Returns `[batch, tokens, out]`.
pub fn conv_block(tensors: ConvBlockTensors<Dispatch>, shape: ConvBlockShape) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::token_conv_block(tensors, shape))
}

/// The tensors by their part in the block.
#[derive(Clone, Debug)]
pub(super) struct Parts<T> {
    x: T,
    /// The second input.
    skip: Option<T>,
    conv1: T,
    conv2: T,
    conv3: Option<T>,
}

impl<T> Parts<T> {
    /// From the fields of a variant of [`ConvBlockTensors`].
    pub(super) fn from_array<const N: usize>(tensors: [T; N]) -> Self {
        let mut tensors = tensors.into_iter();
        let mut next = || tensors.next();
        let missing = "three to five tensors";
        Self {
            x: next().expect(missing),
            skip: if N == 5 { next() } else { None },
            conv1: next().expect(missing),
            conv2: next().expect(missing),
            conv3: next(),
        }
    }
}

impl<B: Backend> ConvBlockTensors<B> {
    pub(super) fn into_parts(self) -> Parts<FloatTensor<B>> {
        match self {
            Self::Same(x, conv1, conv2) => Parts::from_array([x, conv1, conv2]),
            Self::Convolved(x, conv1, conv2, conv3) => Parts::from_array([x, conv1, conv2, conv3]),
            Self::Merging(x, skip, conv1, conv2, conv3) => Parts::from_array([x, skip, conv1, conv2, conv3]),
        }
    }
}

/// What the backward pass needs of the forward pass, for some samples.
struct Intermediates<B: Backend> {
    x: FloatTensor<B>,
    first: Normed<B>,
    shortcut: Option<Normed<B>>,
    last: Normed<B>,
}

impl ConvBlockShape {
    fn convolution(self) -> ConvShape {
        ConvShape { grid: self.grid, stride: [1; 3] }
    }

    fn intermediates<B: TokenKernels>(self, parts: &Parts<FloatTensor<B>>, piece: &Range<usize>) -> Intermediates<B> {
        let x = taken::<B>(&parts.x, piece);
        let x = match &parts.skip {
            Some(skip) => B::float_cat(vec![x, taken::<B>(skip, piece)], 2),
            None => x,
        };
        let first = conv::value::<B>(x.clone(), parts.conv1.clone(), self.convolution());
        let first = B::instance_norm_value(first, None, self.slope);
        let shortcut = parts.conv3.as_ref().map(|conv3| {
            let convolved = linear::product::<B>(x.clone(), conv3.clone());
            B::instance_norm_value(convolved, None, NO_ACTIVATION)
        });
        let last = conv::value::<B>(first.out.clone(), parts.conv2.clone(), self.convolution());
        let added = shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| shortcut.out.clone());
        let last = B::instance_norm_value(last, Some(added), self.slope);
        Intermediates { x, first, shortcut, last }
    }
}

/// The slope of a leaky ReLU that changes nothing.
const NO_ACTIVATION: f32 = 1.0;

/// The batch in pieces, by its widest intermediate.
fn pieces_of<B: Backend>(parts: &Parts<FloatTensor<B>>) -> impl Iterator<Item = Range<usize>> {
    let [batch, tokens, _] = parts.x.shape().dims();
    let [_, _, _, input, output] = parts.conv1.shape().dims();
    pieces(batch, tokens * input.max(output))
}

pub(super) fn value<B: TokenKernels>(parts: &Parts<FloatTensor<B>>, shape: ConvBlockShape) -> FloatTensor<B> {
    let [batch, tokens, _] = parts.x.shape().dims();
    let mut out = Whole::<B>::new(Shape::from([batch, tokens, parts.conv2.shape()[4]]));
    for piece in pieces_of::<B>(parts) {
        out.put(&piece, shape.intermediates::<B>(parts, &piece).last.out);
    }
    out.made()
}

/// Gradients in the order of a variant's fields, those of the inputs only if `inputs`.
pub(super) fn gradients<B: TokenKernels>(
    parts: &Parts<FloatTensor<B>>,
    shape: ConvBlockShape,
    grad: FloatTensor<B>,
    inputs: bool,
) -> Vec<Option<FloatTensor<B>>> {
    let mut of_inputs: Vec<Whole<B>> = std::iter::once(&parts.x).chain(&parts.skip).map(|input| Whole::new(input.shape())).collect();
    let channels: Vec<usize> = std::iter::once(&parts.x).chain(&parts.skip).map(|input| input.shape()[2]).collect();
    let mut of_weights = None;
    for piece in pieces_of::<B>(parts) {
        let (weights, x) = piece_gradients::<B>(parts, shape, (&piece, taken::<B>(&grad, &piece)), inputs);
        of_weights = add_up::<B>(of_weights, weights);
        let Some(x) = x else { continue };
        let mut first = 0;
        for (whole, &channels) in of_inputs.iter_mut().zip(&channels) {
            let own = Slice::from(first as isize..(first + channels) as isize);
            whole.put(&piece, B::float_slice(x.clone(), &[Slice::full(), Slice::full(), own]));
            first += channels;
        }
    }
    let of_inputs = of_inputs.into_iter().map(|whole| inputs.then(|| whole.made()));
    of_inputs.chain(of_weights.into_iter().flatten().map(Some)).collect()
}

/// Gradients of the weights, and of the input if `input`, that come from some samples.
fn piece_gradients<B: TokenKernels>(
    parts: &Parts<FloatTensor<B>>,
    shape: ConvBlockShape,
    (piece, grad): (&Range<usize>, FloatTensor<B>),
    input: bool,
) -> (Vec<FloatTensor<B>>, Option<FloatTensor<B>>) {
    let conv = shape.convolution();
    let Intermediates { x, first, shortcut, last } = shape.intermediates::<B>(parts, piece);
    let added = shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| shortcut.out.clone());
    let NormGradients { x: last, shortcut: added } = B::instance_norm_gradients(last, Some(added), grad, shape.slope);
    let added = added.expect("a shortcut has a gradient");
    let conv2 = conv::weight_gradient::<B>(first.out.clone(), last.clone(), conv);
    let first_gradient = conv::input_gradient::<B>(parts.conv2.clone(), last, conv);
    let first = B::instance_norm_gradients(first, None, first_gradient, shape.slope).x;
    let (conv3, added) = match (shortcut, &parts.conv3) {
        (Some(shortcut), Some(conv3)) => {
            let grad = B::instance_norm_gradients(shortcut, None, added, NO_ACTIVATION).x;
            let weight = linear::weight_gradient::<B>(x.clone(), grad.clone());
            (Some(weight), input.then(|| linear::input_gradient::<B>(conv3.clone(), grad)))
        }
        _ => (None, Some(added)),
    };
    let conv1 = conv::weight_gradient::<B>(x, first.clone(), conv);
    let x = match added {
        Some(added) if input => Some(B::float_add(conv::input_gradient::<B>(parts.conv1.clone(), first, conv), added)),
        _ => None,
    };
    ([conv1, conv2].into_iter().chain(conv3).collect(), x)
}
