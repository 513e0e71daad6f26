//! 3x3x3 convolution of a channels-last token sequence, as products of gathered rows.
//!
//! Forward, each output token gathers its 27 neighbours and multiplies them with the kernel. Backward, each input
//! token gathers the output tokens it went into: which kernel places those are depends only on the token's position
//! modulo the stride, so that the input gradient is one product for each such class, without a scatter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata};
use burn::tensor::{Shape, Slice, Tensor, TensorData};

use super::dispatch::{TokenKernels, TokenOps as _};
use super::linear::with_bias;
use super::sums::product_over_rows;
use super::{PADDING, cells};

/// Places of the kernel.
const TAPS: usize = 27;

/// Elements of the gathered matrix that a convolution holds at a time on a GPU, where each buffer has a limit.
pub const GATHERED_ELEMENTS: usize = 16 << 20;

/// Geometry of a 3x3x3 convolution with zero padding 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Input tokens along D,H,W.
    pub grid: [usize; 3],
    /// Step of the kernel along D,H,W.
    pub stride: [usize; 3],
}

/// For each row of a product the source tokens it gathers, [`PADDING`] for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatherIndex {
    /// Source tokens of a row.
    pub taps: usize,
    /// `[rows, taps]`.
    pub sources: Vec<u32>,
}

/// Input tokens that share a position modulo the stride.
struct InputClass {
    /// The places of the kernel that reach them.
    kernel_taps: Vec<i32>,
    /// The output tokens at those places.
    index: GatherIndex,
}

/// The tables of a geometry.
struct ConvTables {
    forward: GatherIndex,
    classes: Vec<InputClass>,
    /// For each input token its row in the classes' concatenated results; empty if that is its own number.
    places: Vec<i32>,
}

/// `tokens` `[batch, tokens, in]`, `weight` `[3, 3, 3, in, out]`, `bias` `[out]` -> `[batch, output tokens, out]`.
pub fn conv3d(tokens: Tensor<3>, weight: Tensor<5>, bias: Option<Tensor<1>>, shape: ConvShape) -> Tensor<3> {
    with_bias(Tensor::from_dispatch(Dispatch::token_conv(tokens.into_dispatch(), weight.into_dispatch(), shape)), bias)
}

/// [`conv3d`] of the channels of `first` and then those of `second`, which are never brought together.
pub fn conv3d_pair([first, second]: [Tensor<3>; 2], weight: Tensor<5>, bias: Option<Tensor<1>>, shape: ConvShape) -> Tensor<3> {
    let out = Dispatch::token_conv_pair(first.into_dispatch(), second.into_dispatch(), weight.into_dispatch(), shape);
    with_bias(Tensor::from_dispatch(out), bias)
}

impl GatherIndex {
    /// Number of gathered rows.
    pub fn rows(&self) -> usize {
        self.sources.len() / self.taps
    }
}

impl ConvShape {
    /// Output tokens along D,H,W.
    pub fn output(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.grid[axis].div_ceil(self.stride[axis]))
    }

    fn tables(self) -> Arc<ConvTables> {
        static TABLES: Mutex<Option<HashMap<ConvShape, Arc<ConvTables>>>> = Mutex::new(None);
        let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = tables.get_or_insert_default().entry(self);
        Arc::clone(entry.or_insert_with(|| Arc::new(ConvTables::new(self))))
    }
}

impl ConvTables {
    fn new(shape: ConvShape) -> Self {
        let ConvShape { grid, stride } = shape;
        let output = shape.output();
        let input_of = |at: [usize; 3], tap: [usize; 3]| std::array::from_fn(|axis| (at[axis] * stride[axis] + tap[axis]).checked_sub(1));
        let sources = cells(output).flat_map(|at| cells([3; 3]).map(move |tap| token(input_of(at, tap), grid)));
        let forward = GatherIndex { taps: TAPS, sources: sources.collect() };

        let mut places = vec![0; grid.iter().product()];
        let mut classes = Vec::new();
        let mut row = 0;
        for class in cells(stride) {
            // Kernel place `tap` carries input position p to output position (p + 1 - tap) / stride where that is whole.
            let reaches =
                |tap: [usize; 3]| (0..3).all(|axis| (class[axis] + 1 + 3 * stride[axis] - tap[axis]).is_multiple_of(stride[axis]));
            // From the last place to the first, so that a row's output tokens ascend and neighbours are copied together.
            let mut taps: Vec<[usize; 3]> = cells([3; 3]).filter(|&tap| reaches(tap)).collect();
            taps.reverse();
            if taps.is_empty() {
                // A stride beyond the kernel leaves some inputs unread: they gather nothing.
                taps.push([0; 3]);
            }
            let members = cells(grid).filter(|at| (0..3).all(|axis| at[axis] % stride[axis] == class[axis]));
            let mut sources = Vec::new();
            for at in members {
                places[(at[0] * grid[1] + at[1]) * grid[2] + at[2]] = row;
                row += 1;
                sources.extend(taps.iter().map(|tap| {
                    let from = std::array::from_fn(|axis| {
                        let steps = (at[axis] + 1).checked_sub(tap[axis])?;
                        steps.is_multiple_of(stride[axis]).then_some(steps / stride[axis])
                    });
                    token(from, output)
                }));
            }
            let kernel_taps = taps.iter().map(|tap| (tap[0] * 9 + tap[1] * 3 + tap[2]) as i32).collect();
            classes.push(InputClass { kernel_taps, index: GatherIndex { taps: taps.len(), sources } });
        }
        if classes.len() == 1 {
            places.clear();
        }
        Self { forward, classes, places }
    }
}

/// The token at `position`, or [`PADDING`] outside `grid`.
fn token(position: [Option<usize>; 3], grid: [usize; 3]) -> u32 {
    match position {
        [Some(d), Some(h), Some(w)] if d < grid[0] && h < grid[1] && w < grid[2] => ((d * grid[1] + h) * grid[2] + w) as u32,
        _ => PADDING,
    }
}

/// Channels of `[batch, tokens, channels]`.
pub(super) fn channels<B: Backend>(tokens: &FloatTensor<B>) -> usize {
    let [_, _, channels] = tokens.shape().dims();
    channels
}

/// `parts` one after the other along `axis`.
pub(super) fn joined<B: Backend>(mut parts: Vec<FloatTensor<B>>, axis: usize) -> FloatTensor<B> {
    if parts.len() == 1 { parts.remove(0) } else { B::float_cat(parts, axis) }
}

/// Convolution of `sources`, which lie one after the other along the input channels of `weight`.
pub(super) fn value<B: TokenKernels>(sources: Vec<FloatTensor<B>>, weight: FloatTensor<B>, shape: ConvShape) -> FloatTensor<B> {
    let [_, _, _, input, output] = weight.shape().dims();
    let weight = B::float_reshape(weight, Shape::from([TAPS * input, output]));
    B::gather_product(joined::<B>(sources, 2), &shape.tables().forward, weight)
}

/// Gradient of [`value`] with respect to the part of the weight that belongs to one source.
pub(super) fn weight_gradient<B: TokenKernels>(source: FloatTensor<B>, grad: FloatTensor<B>, shape: ConvShape) -> FloatTensor<B> {
    let (input, output) = (channels::<B>(&source), channels::<B>(&grad));
    B::float_reshape(gather_outer::<B>(source, &shape.tables().forward, grad), Shape::from([3, 3, 3, input, output]))
}

/// Gradient of [`value`] with respect to the source on the input channels `from..from + input`.
pub(super) fn input_gradient<B: TokenKernels>(
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    shape: ConvShape,
    [from, input]: [usize; 2],
) -> FloatTensor<B> {
    let [_, _, _, inputs, output] = weight.shape().dims();
    let device = grad.device();
    let tables = shape.tables();
    let weight = B::float_reshape(weight, Shape::from([TAPS, inputs, output]));
    let weight = if input == inputs { weight } else { B::float_slice(weight, &[slice(0, TAPS), slice(from, input), slice(0, output)]) };
    let weight = B::float_swap_dims(weight, 1, 2);
    let ints = |values: &[i32]| B::int_from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
    let parts = tables.classes.iter().map(|class| {
        let taps = class.index.taps;
        let slab = B::float_select(weight.clone(), 0, ints(&class.kernel_taps));
        B::gather_product(grad.clone(), &class.index, B::float_reshape(slab, Shape::from([taps * output, input])))
    });
    let parts = joined::<B>(parts.collect(), 1);
    if tables.places.is_empty() { parts } else { B::float_select(parts, 1, ints(&tables.places)) }
}

/// `source` `[batch, tokens, channels]`, `weight` `[taps * channels, out]` -> `[batch, rows, out]`:
/// the rows of `index`, their tokens side by side, times `weight`.
pub(super) fn gather_product<B: Backend>(source: FloatTensor<B>, index: &GatherIndex, weight: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, _, _] = source.shape().dims();
    let [_, output] = weight.shape().dims();
    let mut parts = Vec::new();
    gathered::<B>(source, index, |columns, _, rows| {
        let part = B::float_matmul(columns, weight.clone());
        parts.push(B::float_reshape(part, Shape::from([batch, rows, output])));
    });
    joined::<B>(parts, 1)
}

/// `source` `[batch, tokens, channels]`, `grad` `[batch, rows, out]` -> `[taps * channels, out]`:
/// what [`gather_product`]'s result changes by with its `weight`.
pub(super) fn gather_outer<B: Backend>(source: FloatTensor<B>, index: &GatherIndex, grad: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, _, output] = grad.shape().dims();
    let mut sum = None;
    gathered::<B>(source, index, |columns, first, rows| {
        let part = B::float_slice(grad.clone(), &[slice(0, batch), slice(first, rows), slice(0, output)]);
        let part = product_over_rows::<B>(columns, B::float_reshape(part, Shape::from([batch * rows, output])));
        sum = Some(sum.take().map_or(part.clone(), |sum| B::float_add(sum, part)));
    });
    sum.expect("a convolution has output tokens")
}

fn slice(first: usize, count: usize) -> Slice {
    Slice::from(first as isize..(first + count) as isize)
}

/// Calls `work(columns [batch * rows, taps * channels], first row, rows)` on pieces of the gathered matrix.
fn gathered<B: Backend>(source: FloatTensor<B>, index: &GatherIndex, mut work: impl FnMut(FloatTensor<B>, usize, usize)) {
    let [batch, tokens, channels] = source.shape().dims();
    let device = source.device();
    let zeros = B::float_zeros(Shape::from([batch, 1, channels]), &device, source.dtype().into());
    let padded = B::float_cat(vec![source, zeros], 1);
    let rows = (GATHERED_ELEMENTS / (batch * index.taps * channels)).max(1);
    for (piece, sources) in index.sources.chunks(rows * index.taps).enumerate() {
        let values: Vec<i32> = sources.iter().map(|&token| if token == PADDING { tokens as i32 } else { token as i32 }).collect();
        let count = sources.len() / index.taps;
        let columns = B::float_select(padded.clone(), 1, B::int_from_data(TensorData::new(values, [sources.len()]), &device));
        work(B::float_reshape(columns, Shape::from([batch * count, index.taps * channels])), piece * rows, count);
    }
}
