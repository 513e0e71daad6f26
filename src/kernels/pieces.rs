//! A batch a few samples at a time: what an operation recomputes then exists for these alone.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};

/// Elements up to which an intermediate of several samples is small beside all else, and one product of it faster than
/// several. Next to none in tests, so that they see pieces.
const ELEMENTS: usize = if cfg!(test) { 1 } else { 8 << 20 };

/// A batch in pieces of as many samples as an intermediate of `sample` elements each allows.
pub(super) fn pieces(batch: usize, sample: usize) -> impl Iterator<Item = Range<usize>> {
    let samples = (ELEMENTS / sample).clamp(1, batch);
    (0..batch).step_by(samples).map(move |first| first..(first + samples).min(batch))
}

/// The samples `piece` of a tensor.
pub(super) fn taken<B: Backend>(tensor: &FloatTensor<B>, piece: &Range<usize>) -> FloatTensor<B> {
    if tensor.shape()[0] == piece.len() { tensor.clone() } else { B::float_slice(tensor.clone(), &[slice(piece)]) }
}

/// A tensor of some samples made piece by piece.
pub(super) struct Whole<B: Backend> {
    shape: Shape,
    made: Option<FloatTensor<B>>,
}

impl<B: Backend> Whole<B> {
    /// Nothing of a tensor of this shape.
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, made: None }
    }

    /// Puts `part` where its samples are.
    pub(super) fn put(&mut self, piece: &Range<usize>, part: FloatTensor<B>) {
        if piece.len() == self.shape[0] {
            self.made = Some(part);
            return;
        }
        let made = self.made.take().unwrap_or_else(|| B::float_zeros(self.shape.clone(), &part.device(), part.dtype().into()));
        self.made = Some(B::float_slice_assign(made, &[slice(piece)], part));
    }

    /// The tensor.
    ///
    /// # Panics
    /// If nothing was put.
    pub(super) fn made(self) -> FloatTensor<B> {
        self.made.expect("a batch has samples")
    }
}

/// Sums of as many tensors, piece by piece.
pub(super) fn add_up<B: Backend>(sums: Option<Vec<FloatTensor<B>>>, more: Vec<FloatTensor<B>>) -> Option<Vec<FloatTensor<B>>> {
    Some(match sums {
        Some(sums) => sums.into_iter().zip(more).map(|(sum, more)| B::float_add(sum, more)).collect(),
        None => more,
    })
}

fn slice(piece: &Range<usize>) -> Slice {
    Slice::from(piece.start as isize..piece.end as isize)
}
