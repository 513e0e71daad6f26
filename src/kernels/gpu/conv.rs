//! 3x3x3 convolution of channels-last tokens on a GPU: no gathered matrix, no tables.
//!
//! The input gradient is the same kernel with a transposed weight; with strides, one launch for each class of tokens that meet the same
//! places of the kernel. So nothing is scattered, and no zero is multiplied.

use burn::tensor::Tensor;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::conv_kernel::{ConvExtentsLaunch, ConvPlan, Taps, conv_kernel};
use super::launch::{
    BUSY, DISPATCH_WORK, SHARED_BYTES, UNITS, Work, buffer, element, empty, empty_sums, numbers, reshaped, tensor, vector_size, zeros,
};
use super::sums::sum_over_rows;
use super::transpose::transposed;
use crate::kernels::conv_tables::ConvShape;
use crate::kernels::index::cells;

/// Output tokens below which a grid is small.
const SMALL: usize = 2048;

/// The sizes of one convolution.
pub(super) struct Launch {
    batch: usize,
    /// Channels of its sources, one or two, which lie one after the other.
    channels: Vec<usize>,
    output: usize,
    /// Input tokens, output tokens of this launch, and those of the tensor that holds them, along D,H,W.
    grids: [[usize; 3]; 3],
    plan: ConvPlan,
    /// Blocks of output channels.
    blocks: usize,
    /// Parts that the sums over the input channels are made in.
    splits: usize,
}

/// `sources` `[batch, tokens, channels]`, one or two, `weight` `[3, 3, 3, in, out]`, `bias` `[out]` -> `[batch, output tokens, out]`.
pub(in crate::kernels) fn conv(sources: Vec<Tensor<3>>, weight: Tensor<5>, bias: Option<Tensor<1>>, shape: ConvShape) -> Tensor<3> {
    conv_within(sources, weight, bias, shape, DISPATCH_WORK)
}

/// The same in dispatches of `most` operations.
pub(super) fn conv_within(sources: Vec<Tensor<3>>, weight: Tensor<5>, bias: Option<Tensor<1>>, shape: ConvShape, most: u64) -> Tensor<3> {
    let [batch, _, _] = sources[0].dims();
    let channels = sources.iter().map(|source| source.dims()[2]).collect();
    let [_, _, _, _, output] = weight.dims();
    let sources: Vec<CubeTensor> = sources.into_iter().map(numbers).collect();
    tensor(Launch::whole(batch, channels, output, shape).convolve(&sources, &numbers(weight), bias.map(numbers).as_ref(), most))
}

/// Gradient with respect to the source on the input channels `from..from + input`.
pub(in crate::kernels) fn conv_input_gradient(weight: Tensor<5>, grad: Tensor<3>, shape: ConvShape, inputs: [usize; 2]) -> Tensor<3> {
    input_gradient_within(weight, grad, shape, inputs, DISPATCH_WORK)
}

/// The same in dispatches of `most` operations.
pub(super) fn input_gradient_within(weight: Tensor<5>, grad: Tensor<3>, shape: ConvShape, inputs: [usize; 2], most: u64) -> Tensor<3> {
    let ([batch, _, output], [_, input], [_, _, _, all, _]) = (grad.dims(), inputs, weight.dims());
    let whole = shape.stride == [1; 3];
    let weight = transposed(buffer(weight), [27, all, output], inputs, whole);
    let grad = [buffer(grad)];
    if whole {
        return tensor(Launch::whole(batch, vec![output], input, shape).convolve(&grad, &weight, None, most));
    }
    let result_shape = [batch, shape.grid.iter().product(), input];
    // A stride beyond the kernel leaves some tokens unread.
    let result = if shape.stride.iter().any(|&step| step > 3) { zeros(&grad[0], result_shape) } else { empty(&grad[0], result_shape) };
    for launch in Launch::of_classes(batch, output, input, shape) {
        launch.run(&grad, (&weight, None), &result, most);
    }
    tensor(result)
}

impl Launch {
    fn new([batch, output]: [usize; 2], channels: Vec<usize>, grids: [[usize; 3]; 3], stride: [usize; 3], taps: Taps) -> Self {
        let size = vector_size(&[output]);
        let vectors = output / size;
        let plan = ConvPlan::new(grids[1], stride, vector_size(&channels), [size, vectors], taps);
        Self { batch, channels, output, grids, plan, blocks: vectors.div_ceil(plan.groups), splits: 1 }
    }

    /// A convolution of the whole grid.
    pub(super) fn whole(batch: usize, channels: Vec<usize>, output: usize, shape: ConvShape) -> Self {
        let out = shape.output();
        let launch = Self::new([batch, output], channels, [shape.grid, out, out], shape.stride, Taps::ALL);
        // Small grids have many channels: their sums are made in parts, so that there are cubes enough.
        let splits = (BUSY / 2 / (launch.boxes() * launch.blocks)).clamp(1, 16).min(launch.chunks().div_ceil(4));
        Self { splits, ..launch }
    }

    /// The gradient of `channels` to `input` channels of a strided convolution: tokens that share a position modulo the stride meet the
    /// same places of the kernel, a small convolution each.
    pub(super) fn of_classes(batch: usize, channels: usize, input: usize, shape: ConvShape) -> impl Iterator<Item = Self> {
        let (grid, out, stride) = (shape.grid, shape.output(), shape.stride);
        cells(stride).filter_map(move |at| Taps::reaching(at, stride)).filter_map(move |taps| {
            let own: [usize; 3] = std::array::from_fn(|axis| grid[axis].saturating_sub(taps.at[axis]).div_ceil(stride[axis]));
            (!own.contains(&0)).then(|| Self::new([batch, input], vec![channels], [out, own, grid], [1; 3], taps))
        })
    }

    fn boxes(&self) -> usize {
        boxes_of(self.grids[1], self.plan.tile, self.batch)
    }

    /// Vectors of input channels.
    fn chunks(&self) -> usize {
        self.channels.iter().sum::<usize>() / vector_size(&self.channels)
    }

    /// What it computes.
    pub(super) fn work(&self) -> Work {
        let taps: usize = self.plan.taps.count.iter().product();
        let tokens: usize = self.plan.tile.iter().product();
        let input = self.chunks().div_ceil(self.splits) * vector_size(&self.channels);
        let output = self.plan.groups * vector_size(&[self.output]);
        Work { cubes: self.boxes() * self.blocks * self.splits, of_cube: (2 * taps * tokens * input * output) as u64 }
    }

    /// The result, `[batch, tokens, out]`.
    fn convolve(&self, sources: &[CubeTensor], weight: &CubeTensor, bias: Option<&CubeTensor>, most: u64) -> CubeTensor {
        let tokens = self.grids[1].iter().product::<usize>();
        let (like, length) = (&sources[0], self.batch * tokens * self.output);
        if self.splits == 1 {
            let result = empty(like, [self.batch, tokens, self.output]);
            self.run(sources, (weight, bias), &result, most);
            return result;
        }
        let parts = empty_sums(like, [self.splits, length]);
        self.run(sources, (weight, bias), &parts, most);
        let sum = sum_over_rows(parts, [1, self.splits, length]);
        burn_cubecl::kernel::cast(reshaped(sum, [self.batch, tokens, self.output]), like.dtype)
    }

    /// Writes the parts of the sums into `result`; `weight` is `[.. places .., in, out]`.
    fn run(&self, sources: &[CubeTensor], (weight, bias): (&CubeTensor, Option<&CubeTensor>), result: &CubeTensor, most: u64) {
        let [grid, out, full] = self.grids;
        let (input_size, output_size) = (vector_size(&self.channels), vector_size(&[self.output]));
        let [first, second] = [&sources[0], sources.last().expect("a source")];
        for (cubes, range) in self.work().dispatches(most) {
            conv_kernel::launch(
                &result.client,
                cubes,
                CubeDim::new_1d((self.plan.tile[0] * self.plan.tile[1] * self.plan.groups / self.plan.each) as u32),
                input_size,
                output_size,
                first.clone().into_buffer_arg(),
                second.clone().into_buffer_arg(),
                weight.clone().into_buffer_arg(),
                bias.unwrap_or(weight).clone().into_buffer_arg(),
                result.clone().into_buffer_arg(),
                range,
                extents(grid, out, full, self.plan.tile, self.batch),
                (self.channels[0] / input_size) as u32,
                (self.channels.get(1).copied().unwrap_or(0) / input_size) as u32,
                (self.output / output_size) as u32,
                self.splits as u32,
                self.plan,
                bias.is_some(),
                [element(first), element(result)],
            );
        }
    }
}

/// Boxes of `tile` output tokens in all samples.
pub(super) fn boxes_of(out: [usize; 3], tile: [usize; 3], batch: usize) -> usize {
    batch * (0..3).map(|axis| out[axis].div_ceil(tile[axis])).product::<usize>()
}

/// The extents of a launch whose boxes are `tile` output tokens.
pub(super) fn extents(grid: [usize; 3], out: [usize; 3], full: [usize; 3], tile: [usize; 3], batch: usize) -> ConvExtentsLaunch {
    let all = boxes_of(out, tile, batch) as u32;
    let [boxes_d, boxes_h, boxes_w] = std::array::from_fn(|axis| out[axis].div_ceil(tile[axis]) as u32);
    let [grid_d, grid_h, grid_w] = grid.map(|n| n as u32);
    let [out_d, out_h, out_w] = out.map(|n| n as u32);
    let [full_d, full_h, full_w] = full.map(|n| n as u32);
    ConvExtentsLaunch::new(grid_d, grid_h, grid_w, out_d, out_h, out_w, boxes_d, boxes_h, boxes_w, all, full_d, full_h, full_w)
}

/// Tokens that boxes of this size cover, over the tokens there are.
pub(super) fn waste(out: [usize; 3], tile: [usize; 3]) -> f64 {
    (0..3).map(|axis| out[axis].next_multiple_of(tile[axis]) as f64 / out[axis] as f64).product()
}

impl ConvPlan {
    /// The plan for these sizes: `ni`, `no` channels of a vector.
    pub(super) fn new(out: [usize; 3], stride: [usize; 3], ni: usize, [no, vectors]: [usize; 2], taps: Taps) -> Self {
        // As few blocks of channels as fit, all of the same size.
        let most = 12.min(UNITS as usize / 8);
        let groups = vectors.div_ceil(vectors.div_ceil(most));
        // Two vectors a unit share the loads of the inputs; of small grids that would leave too few units.
        let each = if groups.is_multiple_of(2) && out.iter().product::<usize>() >= SMALL { 2 } else { 1 };
        let mut best = None;
        for strip in [8, 4] {
            for strips_h in [1, 2, 4, 8] {
                for strips_d in [1, 2, 4, 8] {
                    let tile = [strips_d, strips_h, strip];
                    let units = strips_d * strips_h * groups / each;
                    let halo: usize = (0..3).map(|axis| (tile[axis] - 1) * stride[axis] + taps.count[axis]).product();
                    let places: usize = taps.count.iter().product();
                    let shared = (halo * ni + places * ni * groups * no) * 4;
                    if units > UNITS as usize || shared > SHARED_BYTES {
                        continue;
                    }
                    // Work lost to empty tokens, loads by their share in a multiplication, idle units.
                    let tokens: usize = tile.iter().product();
                    let loads = (halo + places * groups * no) as f64 / (tokens * groups * no) as f64 * 27.0 / places as f64;
                    let idle = units.next_multiple_of(32) as f64 / units as f64;
                    let short = if strip == 4 { 1.15 } else { 1.0 };
                    let cost = waste(out, tile) * (1.0 + 0.5 * loads) * idle * short * if units < 64 { 1.5 } else { 1.0 };
                    if best.is_none_or(|(least, _)| cost < least) {
                        best = Some((cost, tile));
                    }
                }
            }
        }
        let (_, tile) = best.expect("the smallest box fits");
        Self { tile, groups, each, stride, taps }
    }
}
