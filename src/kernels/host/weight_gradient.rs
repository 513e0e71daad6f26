//! The gradient of the kernel: products of each token's neighbours with its gradient, summed in registers along W.

use std::ops::Range;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::simd::{LANES, vectorised};
use super::slab::{Geometry, Lanes, PLACES, Slab, Source, add_product};
use super::tensor::{contiguous, tensor};
use crate::kernels::conv_tables::ConvShape;

/// Parallel tasks to aim for. A constant, so that the order of sums does not depend on the number of cores.
const TASKS: usize = 32;

vectorised! {
    /// The gradient of one lane block in one plane of the kernel from some groups of output rows,
    /// `[kernel row][places in whole steps]`.
    fn weight_share<'a, const FUSED: bool>(
        sources: [Source<'a>; 2],
        geometry: Geometry,
        groups: Range<usize>,
        job: [usize; 2],
    ) -> Vec<Lanes> {
        let ([source, grad], [block, plane]) = (sources, job);
        let [depth, height, width] = geometry.output;
        let places = (3 * source.channels).next_multiple_of(PLACES);
        let mut total = vec![[0.0; LANES]; 3 * places];
        let (mut buffer, mut last) = (Vec::new(), Vec::new());
        let steps = [geometry.stride[2] * source.channels, grad.channels];
        for group in groups.map(|index| geometry.group(index)) {
            let Some(slab) = Slab::copied(&mut buffer, source, geometry, group, plane) else { continue };
            let first = ((group.sample * depth + group.depth) * height + group.first) * width * grad.channels + block * LANES;
            let row_length = width * grad.channels;
            let length = group.rows * row_length + LANES;
            // Lanes beyond the last channel hold what follows; their sums are left out in the end.
            let rows = grad.values.get(first..first + length).unwrap_or_else(|| {
                last.clear();
                last.extend_from_slice(&grad.values[first..]);
                last.resize(length, 0.0);
                &last
            });
            for (tap, total) in total.chunks_exact_mut(places).enumerate() {
                for (step, total) in total.chunks_exact_mut(PLACES).enumerate() {
                    for row in 0..group.rows {
                        if let Some(input) = slab.row(tap, row) {
                            add_outer::<FUSED>(total, &input[step * PLACES..], &rows[row * row_length..], steps, width);
                        }
                    }
                }
            }
        }
        total
    }
}

/// Adds the products of [`PLACES`] places with a lane block over a row's tokens, `steps` (input, gradient) apart.
#[inline(always)]
fn add_outer<const FUSED: bool>(sums: &mut [Lanes], row: &[f32], grad: &[f32], steps: [usize; 2], tokens: usize) {
    let sums: &mut [Lanes; PLACES] = sums.try_into().expect("as many as places");
    // Spelt out, because a loop over the places is vectorised across them, and every lane gathered.
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *sums;
    for token in 0..tokens {
        let values: &[f32; PLACES] = row[token * steps[0]..][..PLACES].try_into().expect("as many as places");
        let grad: &Lanes = grad[token * steps[1]..][..LANES].try_into().expect("as many as lanes");
        add_product::<FUSED>(&mut a, values[0], grad);
        add_product::<FUSED>(&mut b, values[1], grad);
        add_product::<FUSED>(&mut c, values[2], grad);
        add_product::<FUSED>(&mut d, values[3], grad);
        add_product::<FUSED>(&mut e, values[4], grad);
        add_product::<FUSED>(&mut f, values[5], grad);
        add_product::<FUSED>(&mut g, values[6], grad);
        add_product::<FUSED>(&mut h, values[7], grad);
    }
    *sums = [a, b, c, d, e, f, g, h];
}

/// Gradient of [`super::conv()`] with respect to one source's part of the kernel, `[3, 3, 3, in, out]`.
pub fn conv_weight_gradient(source: Tensor<3>, grad: Tensor<3>, shape: ConvShape) -> Tensor<5> {
    let [batch, _, _] = source.dims();
    let (source, grad) = (contiguous(source), contiguous(grad));
    let (source, grad) = (Source::new(&source), Source::new(&grad));
    let (inputs, outputs) = (source.channels, grad.channels);
    let geometry = Geometry::new(shape);
    // Lane blocks and planes are tasks of their own; where they are few, each is divided among groups.
    let (jobs, groups) = (3 * outputs.div_ceil(LANES), geometry.groups(batch));
    let share = groups.div_ceil(TASKS.div_ceil(jobs));
    let shares = groups.div_ceil(share);
    let tasks = (0..jobs * shares).into_par_iter().map(|task| {
        let (job, first) = (task / shares, task % shares * share);
        let groups = first..groups.min(first + share);
        weight_share([source, grad], geometry, groups, [job / 3, job % 3])
    });
    let tasks: Vec<Vec<Lanes>> = tasks.collect();
    let places = (3 * inputs).next_multiple_of(PLACES);
    let mut weight = vec![0.0; 27 * inputs * outputs];
    weight.par_chunks_mut(outputs).enumerate().with_min_len(64).for_each(|(row, weight)| {
        let (plane, tap, place) = (row / (9 * inputs), row / (3 * inputs) % 3, row % (3 * inputs));
        for (block, weight) in weight.chunks_mut(LANES).enumerate() {
            for task in &tasks[(block * 3 + plane) * shares..][..shares] {
                for (weight, share) in weight.iter_mut().zip(&task[tap * places + place]) {
                    *weight += share;
                }
            }
        }
    });
    tensor(weight, [3, 3, 3, inputs, outputs])
}
