//! A residual convolution block as one operation that keeps its input only and recomputes the rest in the backward pass.
//!
//! The parts are the other operations of this folder. Samples are independent of each other, and large ones are worked
//! on one after the other: what is recomputed exists for a single one.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType, TensorMetadata};
use burn::tensor::{Shape, Slice, Tensor};

use super::conv::{ConvShape, joined};
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
pub(super) struct Parts<B: Backend> {
    /// One, or two that lie side by side.
    inputs: Vec<FloatTensor<B>>,
    conv1: FloatTensor<B>,
    conv2: FloatTensor<B>,
    conv3: Option<FloatTensor<B>>,
}

impl<B: Backend> Parts<B> {
    /// From the fields of a variant of [`ConvBlockTensors`].
    pub(super) fn from_array<const N: usize>(tensors: [FloatTensor<B>; N]) -> Self {
        let mut tensors = tensors.into_iter();
        let inputs = tensors.by_ref().take(if N == 5 { 2 } else { 1 }).collect();
        let mut next = || tensors.next().expect("three to five tensors");
        Self { inputs, conv1: next(), conv2: next(), conv3: tensors.next() }
    }
}

impl<B: Backend> ConvBlockTensors<B> {
    pub(super) fn into_parts(self) -> Parts<B> {
        match self {
            Self::Same(x, conv1, conv2) => Parts::from_array([x, conv1, conv2]),
            Self::Convolved(x, conv1, conv2, conv3) => Parts::from_array([x, conv1, conv2, conv3]),
            Self::Merging(x, skip, conv1, conv2, conv3) => Parts::from_array([x, skip, conv1, conv2, conv3]),
        }
    }
}

/// What the backward pass needs of the forward pass, for some samples.
struct Intermediates<B: Backend> {
    first: Normed<B>,
    shortcut: Option<Normed<B>>,
    last: Normed<B>,
}

/// The slope of a leaky ReLU that changes nothing.
const NO_ACTIVATION: f32 = 1.0;

impl<B: TokenKernels> Parts<B> {
    /// The batch in pieces, by its widest intermediate.
    fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<B> {
        let [batch, tokens, input] = self.inputs[0].shape().dims();
        pieces(batch, tokens * input.max(self.conv2.shape()[4]))
    }

    /// Some samples of the inputs.
    fn taken(&self, piece: &Range<usize>) -> Vec<FloatTensor<B>> {
        self.inputs.iter().map(|input| taken::<B>(input, piece)).collect()
    }

    /// First channel and number of channels of each input.
    fn channels(&self) -> Vec<[usize; 2]> {
        let mut first = 0;
        let channels = self.inputs.iter().map(|input| {
            let own = [first, input.shape()[2]];
            first += own[1];
            own
        });
        channels.collect()
    }

    /// The shares of the shortcut's weight that the inputs meet.
    fn conv3(&self) -> Option<Vec<FloatTensor<B>>> {
        let conv3 = self.conv3.as_ref()?;
        let share = |[first, own]: [usize; 2]| B::float_slice(conv3.clone(), &[Slice::from(first as isize..(first + own) as isize)]);
        Some(self.channels().into_iter().map(share).collect())
    }

    fn intermediates(&self, inputs: &[FloatTensor<B>], shape: ConvBlockShape) -> Intermediates<B> {
        let conv = shape.convolution();
        let first = B::instance_norm_value(B::conv_value(inputs.to_vec(), self.conv1.clone(), conv), None, shape.slope);
        let shortcut = self.conv3().map(|conv3| {
            let parts = inputs.iter().zip(conv3).map(|(x, conv3)| linear::product::<B>(x.clone(), conv3));
            let total = parts.reduce(|sum, more| B::float_add(sum, more)).expect("an input");
            B::instance_norm_value(total, None, NO_ACTIVATION)
        });
        let last = B::conv_value(vec![first.out.clone()], self.conv2.clone(), conv);
        let added = shortcut.as_ref().map_or_else(|| inputs[0].clone(), |shortcut| shortcut.out.clone());
        let last = B::instance_norm_value(last, Some(added), shape.slope);
        Intermediates { first, shortcut, last }
    }

    /// Gradients of the weights that come from some samples; those of the inputs are put into `wholes` if there are any.
    fn piece_gradients(
        &self,
        shape: ConvBlockShape,
        piece: &Range<usize>,
        grad: FloatTensor<B>,
        wholes: &mut [Whole<B>],
    ) -> Vec<FloatTensor<B>> {
        let conv = shape.convolution();
        let inputs = self.taken(piece);
        let Intermediates { first, shortcut, last } = self.intermediates(&inputs, shape);
        let added = shortcut.as_ref().map_or_else(|| inputs[0].clone(), |shortcut| shortcut.out.clone());
        let NormGradients { x: last, shortcut: added } = B::instance_norm_gradients(last, Some(added), grad, shape.slope);
        let mut added = added.expect("a shortcut has a gradient");
        let conv2 = B::conv_weight_gradient(first.out.clone(), last.clone(), conv);
        let first_gradient = B::conv_input_gradient(self.conv2.clone(), last, conv, [0, self.conv2.shape()[3]]);
        let first = B::instance_norm_gradients(first, None, first_gradient, shape.slope).x;
        if let Some(shortcut) = shortcut {
            added = B::instance_norm_gradients(shortcut, None, added, NO_ACTIVATION).x;
        }
        let conv3 = self.conv3();
        for (index, (whole, channels)) in wholes.iter_mut().zip(self.channels()).enumerate() {
            let through = B::conv_input_gradient(self.conv1.clone(), first.clone(), conv, channels);
            let beside = match &conv3 {
                Some(conv3) => linear::input_gradient::<B>(conv3[index].clone(), added.clone()),
                None => added.clone(),
            };
            whole.put(piece, B::float_add(through, beside));
        }
        let conv1 = inputs.iter().map(|x| B::conv_weight_gradient(x.clone(), first.clone(), conv)).collect();
        let conv3 = conv3.map(|_| inputs.into_iter().map(|x| linear::weight_gradient::<B>(x, added.clone())).collect());
        [joined::<B>(conv1, 3), conv2].into_iter().chain(conv3.map(|parts| joined::<B>(parts, 0))).collect()
    }
}

pub(super) fn value<B: TokenKernels>(parts: &Parts<B>, shape: ConvBlockShape) -> FloatTensor<B> {
    let [batch, tokens, _] = parts.inputs[0].shape().dims();
    let mut out = Whole::<B>::new(Shape::from([batch, tokens, parts.conv2.shape()[4]]));
    for piece in parts.pieces() {
        out.put(&piece, parts.intermediates(&parts.taken(&piece), shape).last.out);
    }
    out.made()
}

/// Gradients in the order of a variant's fields, those of the inputs only if `inputs`.
pub(super) fn gradients<B: TokenKernels>(
    parts: &Parts<B>,
    shape: ConvBlockShape,
    grad: FloatTensor<B>,
    inputs: bool,
) -> Vec<Option<FloatTensor<B>>> {
    let mut of_inputs: Vec<Whole<B>> = parts.inputs.iter().filter(|_| inputs).map(|input| Whole::new(input.shape())).collect();
    let mut of_weights = None;
    for piece in parts.pieces() {
        let weights = parts.piece_gradients(shape, &piece, taken::<B>(&grad, &piece), &mut of_inputs);
        of_weights = add_up::<B>(of_weights, weights);
    }
    let mut gradients: Vec<_> = of_inputs.into_iter().map(|whole| Some(whole.made())).collect();
    gradients.resize_with(parts.inputs.len(), || None);
    gradients.extend(of_weights.into_iter().flatten().map(Some));
    gradients
}

impl ConvBlockShape {
    fn convolution(self) -> ConvShape {
        ConvShape { grid: self.grid, stride: [1; 3] }
    }
}
