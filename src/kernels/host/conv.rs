//! 3x3x3 convolution, directly: no matrix of neighbours is ever made.
//!
//! Along W, the three neighbours of a token and their channels lie side by side in memory, so that one row of the
//! kernel is a product with a matrix whose rows overlap: [`TOKENS`] tokens at a time, [`LANES`] output channels at a
//! time, sums in registers over the whole kernel.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::simd::{LANES, vectorised};
use super::slab::{Geometry, Group, Lanes, ROWS, Slab, Source, TOKENS, add_product};
use super::tensor::{HostTensor, contiguous, elements, tensor};
use crate::kernels::conv_tables::ConvShape;

/// A source with its part of the kernel, packed by lane block and place of the kernel: `[block][27][channels]`.
struct Packed<'a> {
    source: Source<'a>,
    weight: Vec<Lanes>,
}

impl<'a> Packed<'a> {
    /// `weight(tap, input)` gives the output channels of a place of the kernel from a lane block's first on.
    fn new(source: Source<'a>, outputs: usize, weight: impl Fn(usize, usize, usize, &mut [f32]) + Sync) -> Self {
        let channels = source.channels;
        let mut packed = vec![[0.0; LANES]; outputs.div_ceil(LANES) * 27 * channels];
        packed.par_chunks_mut(channels).enumerate().with_min_len(27).for_each(|(row, packed)| {
            let (first, tap) = (row / 27 * LANES, row % 27);
            for (input, lanes) in packed.iter_mut().enumerate() {
                weight(tap, input, first, &mut lanes[..LANES.min(outputs - first)]);
            }
        });
        Self { source, weight: packed }
    }
}

/// Buffers of a thread.
#[derive(Default)]
struct Scratch {
    /// Three for each source.
    slabs: Vec<Vec<f32>>,
    row: Vec<f32>,
}

vectorised! {
    /// The output rows of one group.
    fn forward<'a, const FUSED: bool>(
        parts: &'a [Packed<'a>],
        place: (Geometry, Group),
        out: &'a mut [f32],
        outputs: usize,
        scratch: &'a mut Scratch,
    ) -> () {
        let ((geometry, group), Scratch { slabs, row: out_row }) = (place, scratch);
        slabs.resize_with(3 * parts.len(), Vec::new);
        let buffers = slabs.iter_mut().enumerate();
        let slabs = buffers.map(|(index, buffer)| Slab::copied(buffer, parts[index / 3].source, geometry, group, index % 3));
        let slabs: Vec<Option<Slab<'_>>> = slabs.collect();
        // A token's last lanes may reach into its neighbour, which is written after it.
        out_row.resize(geometry.output[2].next_multiple_of(TOKENS) * outputs + LANES, 0.0);
        let mut sums = vec![[[0.0; LANES]; TOKENS]; outputs.div_ceil(LANES)];
        for (row, out) in out.chunks_exact_mut(geometry.output[2] * outputs).enumerate() {
            for first in (0..geometry.output[2]).step_by(TOKENS) {
                for (block, sums) in sums.iter_mut().enumerate() {
                    *sums = [[0.0; LANES]; TOKENS];
                    for (part, slabs) in parts.iter().zip(slabs.chunks_exact(3)) {
                        let (channels, step) = (part.source.channels, geometry.stride[2] * part.source.channels);
                        let planes = part.weight[block * 27 * channels..][..27 * channels].chunks_exact(9 * channels);
                        for (slab, weight) in slabs.iter().zip(planes) {
                            let Some(slab) = slab else { continue };
                            for (tap, weight) in weight.chunks_exact(3 * channels).enumerate() {
                                if let Some(input) = slab.row(tap, row) {
                                    add_kernel_row::<FUSED>(sums, &input[first * step..], step, weight);
                                }
                            }
                        }
                    }
                }
                for token in 0..TOKENS {
                    for (block, sums) in sums.iter().enumerate() {
                        out_row[(first + token) * outputs + block * LANES..][..LANES].copy_from_slice(&sums[token]);
                    }
                }
            }
            out.copy_from_slice(&out_row[..out.len()]);
        }
    }
}

/// Adds the share of one row of the kernel: `row` begins at the first token's first place, tokens lie `step` apart.
#[inline(always)]
fn add_kernel_row<const FUSED: bool>(sums: &mut [Lanes; TOKENS], row: &[f32], step: usize, weight: &[Lanes]) {
    let token = |token: usize| &row[token * step..][..weight.len()];
    let tokens = [token(0), token(1), token(2), token(3), token(4), token(5), token(6), token(7)];
    // Spelt out, so that each sum stays in a register.
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *sums;
    for place in 0..weight.len() {
        let weight = weight[place];
        add_product::<FUSED>(&mut a, tokens[0][place], &weight);
        add_product::<FUSED>(&mut b, tokens[1][place], &weight);
        add_product::<FUSED>(&mut c, tokens[2][place], &weight);
        add_product::<FUSED>(&mut d, tokens[3][place], &weight);
        add_product::<FUSED>(&mut e, tokens[4][place], &weight);
        add_product::<FUSED>(&mut f, tokens[5][place], &weight);
        add_product::<FUSED>(&mut g, tokens[6][place], &weight);
        add_product::<FUSED>(&mut h, tokens[7][place], &weight);
    }
    *sums = [a, b, c, d, e, f, g, h];
}

fn convolve(parts: &[Packed<'_>], shape: ConvShape, batch: usize, outputs: usize) -> Tensor<3> {
    let geometry = Geometry::new(shape);
    let [depth, height, width] = geometry.output;
    let mut out = vec![0.0; batch * depth * height * width * outputs];
    let planes = out.par_chunks_mut(height * width * outputs).enumerate();
    let groups = planes.flat_map(|(plane, out)| {
        let groups = out.par_chunks_mut(ROWS * width * outputs).enumerate();
        groups.map(move |(group, out)| (plane * geometry.groups_of_plane() + group, out))
    });
    groups.for_each_init(Scratch::default, |scratch, (group, out)| {
        forward(parts, (geometry, geometry.group(group)), out, outputs, scratch);
    });
    tensor(out, [batch, depth * height * width, outputs])
}

/// Convolution of sources that lie one after the other along the kernel's input channels.
pub fn conv(sources: Vec<Tensor<3>>, weight: Tensor<5>, shape: ConvShape) -> Tensor<3> {
    let ([batch, _, _], [_, _, _, inputs, outputs]) = (sources[0].dims(), weight.dims());
    let sources: Vec<HostTensor> = sources.into_iter().map(contiguous).collect();
    let weight = contiguous(weight);
    let weight = elements(&weight);
    let mut from = 0;
    let mut parts = Vec::with_capacity(sources.len());
    for source in &sources {
        let source = Source::new(source);
        parts.push(Packed::new(source, outputs, |tap, input, first, lanes| {
            let weight = &weight[(tap * inputs + from + input) * outputs + first..];
            lanes.copy_from_slice(&weight[..lanes.len()]);
        }));
        from += source.channels;
    }
    convolve(&parts, shape, batch, outputs)
}

/// Gradient of [`conv`] with stride 1 with respect to the source on the input channels `from..from + channels`: the
/// convolution of `grad` with the kernel reversed.
pub fn conv_input_gradient(weight: Tensor<5>, grad: Tensor<3>, shape: ConvShape, [from, channels]: [usize; 2]) -> Tensor<3> {
    let ([_, _, _, inputs, outputs], [batch, _, _]) = (weight.dims(), grad.dims());
    let (weight, grad) = (contiguous(weight), contiguous(grad));
    let weight = elements(&weight);
    let part = Packed::new(Source::new(&grad), channels, |tap, output, first, lanes| {
        for (input, lane) in (from + first..).zip(lanes) {
            *lane = weight[((26 - tap) * inputs + input) * outputs + output];
        }
    });
    convolve(&[part], shape, batch, channels)
}
