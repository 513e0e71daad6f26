//! 3x3x3 convolution of channels-last tokens on a GPU: no gathered matrix, no tables.
//!
//! The input gradient is the same kernel with a transposed weight; with strides, one launch for each class of tokens that meet the same
//! places of the kernel. So nothing is scattered, and no zero is multiplied.

use burn::tensor::Tensor;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::conv_kernel::{ConvExtentsLaunch, ConvPlan, Taps, conv_kernel, transpose_weight_kernel};
use super::launch::{SHARED_BYTES, UNITS, buffer, cubes_for, empty, reshaped, spread, tensor, vector_size, zeros};
use super::sums::sum_over_rows;
use crate::kernels::conv_tables::ConvShape;
use crate::kernels::index::cells;

/// Cubes that keep a GPU busy.
pub(super) const BUSY: usize = 512;

/// One convolution of a launch.
struct Launch<'a> {
    /// One source or two, whose channels lie one after the other.
    sources: &'a [CubeTensor],
    channels: &'a [usize],
    /// `[.. taps .., in, out]`.
    weight: &'a CubeTensor,
    output: usize,
    /// Input tokens, output tokens of this launch, and those of the tensor that holds them, along D,H,W.
    grids: [[usize; 3]; 3],
    stride: [usize; 3],
    taps: Taps,
}

/// `sources` `[batch, tokens, channels]`, one or two, `weight` `[3, 3, 3, in, out]` -> `[batch, output tokens, out]`.
pub(in crate::kernels) fn conv(sources: Vec<Tensor<3>>, weight: Tensor<5>, shape: ConvShape) -> Tensor<3> {
    let [batch, _, _] = sources[0].dims();
    let channels: Vec<usize> = sources.iter().map(|source| source.dims()[2]).collect();
    let [_, _, _, _, output] = weight.dims();
    let sources: Vec<CubeTensor> = sources.into_iter().map(buffer).collect();
    tensor(convolve(&sources, &channels, &buffer(weight), [batch, output], shape))
}

fn convolve(sources: &[CubeTensor], channels: &[usize], weight: &CubeTensor, [batch, output]: [usize; 2], shape: ConvShape) -> CubeTensor {
    let out = shape.output();
    let launch = Launch { sources, channels, weight, output, grids: [shape.grid, out, out], stride: shape.stride, taps: Taps::ALL };
    let (plan, blocks) = launch.plan();
    // Small grids have many channels: their sums are made in parts, so that there are cubes enough.
    let (_, boxes) = extents(shape.grid, out, out, plan.tile, batch);
    let chunks = channels.iter().sum::<usize>() / vector_size(channels);
    let splits = (BUSY / 2 / (boxes * blocks)).clamp(1, 16).min(chunks.div_ceil(4));
    let tokens = out.iter().product::<usize>();
    let parts = empty(&sources[0], [splits, batch * tokens * output]);
    launch.run(&parts, batch, splits);
    let sum = if splits == 1 { parts } else { sum_over_rows(parts, [1, splits, batch * tokens * output]) };
    reshaped(sum, [batch, tokens, output])
}

impl Launch<'_> {
    /// How the tokens are cut into boxes, and the blocks of output channels.
    fn plan(&self) -> (ConvPlan, usize) {
        let size = vector_size(&[self.output]);
        let vectors = self.output / size;
        let plan = ConvPlan::new(self.grids[1], self.stride, vector_size(self.channels), [size, vectors], self.taps);
        (plan, vectors.div_ceil(plan.groups))
    }

    /// Writes `splits` parts of the sum into `result`.
    fn run(&self, result: &CubeTensor, batch: usize, splits: usize) {
        let (plan, blocks) = self.plan();
        let [grid, out, full] = self.grids;
        let (extents, boxes) = extents(grid, out, full, plan.tile, batch);
        let (input_size, output_size) = (vector_size(self.channels), vector_size(&[self.output]));
        let [x, z] = spread(boxes);
        let first = self.sources[0].clone();
        let second = self.sources.get(1).unwrap_or(&first).clone();
        conv_kernel::launch(
            &result.client.clone(),
            CubeCount::Static(x, (blocks * splits) as u32, z),
            CubeDim::new_1d((plan.tile[0] * plan.tile[1] * plan.groups) as u32),
            input_size,
            output_size,
            first.into_buffer_arg(),
            second.into_buffer_arg(),
            self.weight.clone().into_buffer_arg(),
            result.clone().into_buffer_arg(),
            extents,
            (self.channels[0] / input_size) as u32,
            (self.channels.get(1).copied().unwrap_or(0) / input_size) as u32,
            (self.output / output_size) as u32,
            splits as u32,
            plan,
        );
    }
}

/// Gradient with respect to the source on the input channels `from..from + input`.
pub(in crate::kernels) fn conv_input_gradient(weight: Tensor<5>, grad: Tensor<3>, shape: ConvShape, inputs: [usize; 2]) -> Tensor<3> {
    let ([batch, _, output], [_, input]) = (grad.dims(), inputs);
    let whole = shape.stride == [1; 3];
    let weight = transposed(weight, inputs, whole);
    let grad = buffer(grad);
    if whole {
        return tensor(convolve(&[grad], &[output], &weight, [batch, input], shape));
    }
    let (grid, out) = (shape.grid, shape.output());
    // Tokens that share a position modulo the stride meet the same places of the kernel: a small convolution each.
    let classes: Vec<Option<Taps>> = cells(shape.stride).map(|at| Taps::reaching(at, shape.stride)).collect();
    let result_shape = [batch, grid.iter().product(), input];
    let result = if classes.contains(&None) { zeros(&grad, result_shape) } else { empty(&grad, result_shape) };
    for taps in classes.into_iter().flatten() {
        let own: [usize; 3] = std::array::from_fn(|axis| grid[axis].saturating_sub(taps.at[axis]).div_ceil(shape.stride[axis]));
        if !own.contains(&0) {
            let (sources, channels) = ([grad.clone()], [output]);
            let grids = [out, own, grid];
            Launch { sources: &sources, channels: &channels, weight: &weight, output: input, grids, stride: [1; 3], taps }
                .run(&result, batch, 1);
        }
    }
    tensor(result)
}

/// `weight` with input and output channels exchanged, the inputs `from..from + input` alone; its places in reverse order if `reverse`.
fn transposed(weight: Tensor<5>, [from, input]: [usize; 2], reverse: bool) -> CubeTensor {
    let [_, _, _, inputs, output] = weight.dims();
    let weight = buffer(weight);
    let result = empty(&weight, [27, output, input]);
    transpose_weight_kernel::launch(
        &result.client.clone(),
        cubes_for(27 * output * input),
        CubeDim::new_1d(UNITS),
        weight.into_buffer_arg(),
        result.clone().into_buffer_arg(),
        inputs as u32,
        output as u32,
        from as u32,
        input as u32,
        reverse,
    );
    result
}

/// The extents of a launch whose boxes are `tile` output tokens, and the number of boxes.
pub(super) fn extents(grid: [usize; 3], out: [usize; 3], full: [usize; 3], tile: [usize; 3], batch: usize) -> (ConvExtentsLaunch, usize) {
    let boxes: [usize; 3] = std::array::from_fn(|axis| out[axis].div_ceil(tile[axis]));
    let all = batch * boxes.iter().product::<usize>();
    let [grid_d, grid_h, grid_w] = grid.map(|n| n as u32);
    let [out_d, out_h, out_w] = out.map(|n| n as u32);
    let [boxes_d, boxes_h, boxes_w] = boxes.map(|n| n as u32);
    let [full_d, full_h, full_w] = full.map(|n| n as u32);
    let extents =
        ConvExtentsLaunch::new(grid_d, grid_h, grid_w, out_d, out_h, out_w, boxes_d, boxes_h, boxes_w, all as u32, full_d, full_h, full_w);
    (extents, all)
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
        let mut best = None;
        for strip in [8, 4] {
            for strips_h in [1, 2, 4, 8] {
                for strips_d in [1, 2, 4, 8] {
                    let tile = [strips_d, strips_h, strip];
                    let units = strips_d * strips_h * groups;
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
        Self { tile, groups, stride, taps }
    }
}
