//! The weight gradient of a 3x3x3 convolution on a GPU.
//!
//! A unit owns three places of the kernel along W times a vector of input and one of output channels; a cube slides over boxes of
//! tokens, which pass through shared memory. The cubes' results are added in order.

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::conv::{boxes_of, extents, waste};
use super::conv_kernel::ConvExtents;
use super::launch::{BUSY, CubeRange, DISPATCH_WORK, SHARED_BYTES, Work, buffer, cube_number, empty, vector_size};
use super::sums::sum_of_parts;
use crate::kernels::conv_tables::ConvShape;

/// What the compiler knows of a weight gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct GradientPlan {
    /// Strips of a box along D and H, tokens of a strip.
    pub tile: [usize; 3],
    /// Vectors of input and of output channels of a cube.
    pub groups: [usize; 2],
    /// Step along D,H,W.
    pub stride: [usize; 3],
}

impl GradientPlan {
    /// The plan for these sizes: channels of a vector and vectors, in and out.
    fn of(out: [usize; 3], stride: [usize; 3], [ni, input_vectors]: [usize; 2], [no, output_vectors]: [usize; 2]) -> Self {
        let even = |vectors: usize, most: usize| vectors.div_ceil(vectors.div_ceil(most));
        let out_groups = even(output_vectors, 6);
        let in_groups = even(input_vectors, 28 / out_groups.max(4));
        let groups = [in_groups, out_groups];
        let mut best = None;
        for strip in [8, 4] {
            for strips_h in [1, 2, 4, 8] {
                for strips_d in [1, 2, 4] {
                    let tile = [strips_d, strips_h, strip];
                    let halo: usize = (0..3).map(|axis| (tile[axis] - 1) * stride[axis] + 3).product();
                    let tokens: usize = tile.iter().product();
                    let shared = (halo * ni * in_groups + tokens * no * out_groups) * 4;
                    if shared > SHARED_BYTES {
                        continue;
                    }
                    let loads = (halo * in_groups * ni + tokens * out_groups * no) as f64 / tokens as f64;
                    let cost = waste(out, tile) * (1.0 + loads / (27 * in_groups * ni * out_groups * no) as f64 * 2.0);
                    if best.is_none_or(|(least, _)| cost < least) {
                        best = Some((cost, tile));
                    }
                }
            }
        }
        let (_, tile) = best.expect("the smallest box fits");
        Self { tile, groups, stride }
    }
}

#[cube(launch)]
fn weight_gradient_kernel<NI: Size, NO: Size>(
    source: &[Vector<f32, NI>],
    grad: &[Vector<f32, NO>],
    parts: &mut [Vector<f32, NO>],
    range: CubeRange,
    e: ConvExtents,
    input_vectors: u32,
    output_vectors: u32,
    input_blocks: u32,
    splits: u32,
    #[comptime] plan: GradientPlan,
) {
    let [strips_d, strips_h, strip] = comptime!(plan.tile);
    let [step_d, step_h, step_w] = comptime!(plan.stride);
    let [in_groups, out_groups] = comptime!(plan.groups);
    let ni = NI::value();
    let halo_h = comptime!((strips_h - 1) * step_h + 3);
    let halo_w = comptime!((strip - 1) * step_w + 3);
    let halo = comptime!(((strips_d - 1) * step_d + 3) * halo_h * halo_w * in_groups);
    let tokens = comptime!(strips_d * strips_h * strip * out_groups);
    let units = comptime!(9 * in_groups * out_groups);

    let mut inputs = Shared::<[Vector<f32, NI>]>::new_slice(halo);
    let mut grads = Shared::<[Vector<f32, NO>]>::new_slice(tokens);

    let unit = UNIT_POS as usize;
    let own_out = unit % out_groups;
    let rest = unit / out_groups;
    let own_in = rest % in_groups;
    let place = rest / in_groups;
    let place_d = place / 3;
    let place_h = place % 3;
    let cube = cube_number(&range);
    if cube >= range.end {
        terminate!();
    }
    let split = cube % splits;
    let block = cube / splits;
    let first_in = block % input_blocks * in_groups as u32;
    let first_out = block / input_blocks * out_groups as u32;

    let mut sums = Array::<Vector<f32, NO>>::new(comptime!(3 * ni));
    #[unroll]
    for index in 0..comptime!(3 * ni) {
        sums[index] = Vector::new(0.0f32);
    }

    let mut part = split;
    while part < e.boxes {
        let box_w = part % e.boxes_w;
        let rest = part / e.boxes_w;
        let box_h = rest % e.boxes_h;
        let rest = rest / e.boxes_h;
        let box_d = rest % e.boxes_d;
        let sample = rest / e.boxes_d;
        let from_d = box_d * strips_d as u32;
        let from_h = box_h * strips_h as u32;
        let from_w = box_w * strip as u32;
        sync_cube();
        let mut at = unit;
        while at < halo {
            let vector = first_in + (at % in_groups) as u32;
            let token = at / in_groups;
            let w = (token % halo_w) as u32;
            let row = token / halo_w;
            let h = (row % halo_h) as u32;
            let d = (row / halo_h) as u32;
            let z = from_d * step_d as u32 + d;
            let y = from_h * step_h as u32 + h;
            let x = from_w * step_w as u32 + w;
            let mut value = Vector::<f32, NI>::new(0.0f32);
            if z > 0 && z <= e.grid_d && y > 0 && y <= e.grid_h && x > 0 && x <= e.grid_w && vector < input_vectors {
                let token = ((sample * e.grid_d + z - 1) * e.grid_h + y - 1) * e.grid_w + x - 1;
                value = source[(token * input_vectors + vector) as usize];
            }
            inputs[at] = value;
            at += units;
        }
        let mut at = unit;
        while at < tokens {
            let vector = first_out + (at % out_groups) as u32;
            let token = at / out_groups;
            let w = from_w + (token % strip) as u32;
            let row = token / strip;
            let h = from_h + (row % strips_h) as u32;
            let d = from_d + (row / strips_h) as u32;
            let mut value = Vector::<f32, NO>::new(0.0f32);
            if d < e.out_d && h < e.out_h && w < e.out_w && vector < output_vectors {
                value = grad[((((sample * e.out_d + d) * e.out_h + h) * e.out_w + w) * output_vectors + vector) as usize];
            }
            grads[at] = value;
            at += units;
        }
        sync_cube();
        for row in 0..comptime!(strips_d * strips_h) {
            let row_d = row / strips_h;
            let row_h = row % strips_h;
            let start = ((row_d * step_d + place_d) * halo_h + row_h * step_h + place_h) * comptime!(halo_w * in_groups) + own_in;
            let mut inputs_of_row = Array::<Vector<f32, NI>>::new(halo_w);
            #[unroll]
            for w in 0..halo_w {
                inputs_of_row[w] = inputs[start + comptime!(w * in_groups)];
            }
            let start = row * comptime!(strip * out_groups) + own_out;
            #[unroll]
            for token in 0..strip {
                let factor = grads[start + comptime!(token * out_groups)];
                #[unroll]
                for tap in 0..3 {
                    #[unroll]
                    for channel in 0..ni {
                        let value = inputs_of_row[comptime!(token * step_w + tap)].extract(channel);
                        let index = comptime!(tap * ni + channel);
                        sums[index] = fma(Vector::<f32, NO>::new(value), factor, sums[index]);
                    }
                }
            }
        }
        part += splits;
    }

    let vector_in = first_in + own_in as u32;
    let vector_out = first_out + own_out as u32;
    if vector_in < input_vectors && vector_out < output_vectors {
        #[unroll]
        for tap in 0..3 {
            #[unroll]
            for channel in 0..ni {
                let row = (split * 27 + place as u32 * 3 + tap as u32) * input_vectors * ni as u32 + vector_in * ni as u32 + channel as u32;
                parts[(row * output_vectors + vector_out) as usize] = sums[comptime!(tap * ni + channel)];
            }
        }
    }
}

/// The sizes of a launch.
pub(super) struct GradientLaunch {
    plan: GradientPlan,
    /// Channels of a vector and vectors, in and out.
    vectors: [[usize; 2]; 2],
    /// Blocks of input and of output channels.
    blocks: [usize; 2],
    boxes: usize,
    /// Parts that the sums over the boxes are made in.
    splits: usize,
}

impl GradientLaunch {
    /// Of a convolution with so many channels in and out.
    pub(super) fn of(batch: usize, channels: [usize; 2], shape: ConvShape) -> Self {
        let out = shape.output();
        let vectors = channels.map(|channels| [vector_size(&[channels]), channels / vector_size(&[channels])]);
        let plan = GradientPlan::of(out, shape.stride, vectors[0], vectors[1]);
        let blocks: [usize; 2] = std::array::from_fn(|side| vectors[side][1].div_ceil(plan.groups[side]));
        let boxes = boxes_of(out, plan.tile, batch);
        Self { plan, vectors, blocks, boxes, splits: (BUSY / (blocks[0] * blocks[1])).clamp(1, boxes) }
    }

    /// What it computes.
    pub(super) fn work(&self) -> Work {
        let channels: usize = (0..2).map(|side| self.plan.groups[side] * self.vectors[side][0]).product();
        let tokens = self.plan.tile.iter().product::<usize>() * self.boxes.div_ceil(self.splits);
        Work { cubes: self.splits * self.blocks[0] * self.blocks[1], of_cube: (2 * 27 * channels * tokens) as u64 }
    }
}

/// Gradient of a convolution of `source` `[batch, tokens, in]` with respect to its weight, `[3, 3, 3, in, out]`.
pub(in crate::kernels) fn conv_weight_gradient(source: Tensor<3>, grad: Tensor<3>, shape: ConvShape) -> Tensor<5> {
    weight_gradient_within(source, grad, shape, DISPATCH_WORK)
}

/// The same in dispatches of `most` operations.
pub(super) fn weight_gradient_within(source: Tensor<3>, grad: Tensor<3>, shape: ConvShape, most: u64) -> Tensor<5> {
    let ([batch, _, input], [_, _, output]) = (source.dims(), grad.dims());
    let launch = GradientLaunch::of(batch, [input, output], shape);
    let ([input_vectors, output_vectors], [in_groups, out_groups]) = (launch.vectors, launch.plan.groups);
    let (source, grad) = (buffer(source), buffer(grad));
    let parts = empty(&source, [launch.splits, 27 * input * output]);
    for (cubes, range) in launch.work().dispatches(most) {
        weight_gradient_kernel::launch(
            &source.client,
            cubes,
            CubeDim::new_1d((9 * in_groups * out_groups) as u32),
            input_vectors[0],
            output_vectors[0],
            source.clone().into_buffer_arg(),
            grad.clone().into_buffer_arg(),
            parts.clone().into_buffer_arg(),
            range,
            extents(shape.grid, shape.output(), shape.output(), launch.plan.tile, batch),
            input_vectors[1] as u32,
            output_vectors[1] as u32,
            launch.blocks[0] as u32,
            launch.splits as u32,
            launch.plan,
        );
    }
    sum_of_parts(parts, [3, 3, 3, input, output])
}

/// Elements of the parts that a GPU sums the weight gradient of a convolution from, of `[in, out]` channels.
pub fn gpu_parts_of_weight_gradient(batch: usize, channels: [usize; 2], shape: ConvShape) -> usize {
    GradientLaunch::of(batch, channels, shape).splits * 27 * channels[0] * channels[1]
}
