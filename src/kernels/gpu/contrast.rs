//! Contrast of tokens on a GPU, over the matrix of their cosines: what each row gives, and the gradient with respect to each cosine in its
//! place. Which pairs count otherwise than by their cosine is found from their places; there is no table of it.

use burn::tensor::Tensor;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::{UNITS, buffer, cube_position, cube_sum, cubes, cubes_for, empty, position, tensor};
use super::softplus::{LEFT_OUT, above_largest, sigmoid, softplus};

/// Numbers of an anchor: its loss, the cosine of its positive, the sum of the others, whether its nearest token of the other view is
/// another volume's of the same position (1 or 0), the logarithm of its softmax's sum, and what its positive lacks of 1.
pub(crate) const ANCHOR_NUMBERS: usize = 6;

/// How pairs of tokens count. Rows are tokens by view, volume and position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairs {
    /// Tokens of a volume.
    pub tokens: usize,
    /// What cosines are multiplied by.
    pub scale: f32,
    /// What the scaled cosine of a marked pair is multiplied by, and what is added.
    pub factor: f32,
    /// See `factor`.
    pub bonus: f32,
    /// Whether pairs of one position in different volumes are marked, or those half a view apart.
    pub by_position: bool,
}

/// The sizes of a contrast.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
struct PairsOf {
    /// Tokens of both views.
    pub rows: u32,
    /// Tokens of a volume.
    pub tokens: u32,
    /// What cosines are multiplied by.
    pub scale: f32,
    /// What the scaled cosine of a marked pair is multiplied by, and what is added.
    pub factor: f32,
    pub bonus: f32,
}

/// Whether a pair is marked: the same position of other volumes, or half a view apart.
#[cube]
fn is_marked(e: &PairsOf, row: u32, other: u32, #[comptime] by_position: bool) -> bool {
    if comptime!(by_position) {
        let half = e.rows / 2u32;
        other % e.tokens == row % e.tokens && other % half != row % half
    } else {
        let apart = e.rows / 4u32;
        apart > 0u32 && (other == row + apart || other + apart == row)
    }
}

/// The logit of a pair.
#[cube]
fn logit_of(e: &PairsOf, cosine: f32, row: u32, other: u32, #[comptime] by_position: bool) -> f32 {
    let mut logit = cosine * e.scale;
    if is_marked(e, row, other, by_position) {
        logit = fma(logit, e.factor, e.bonus);
    }
    logit
}

/// A cube has a row.
#[cube(launch)]
fn contrast_rows_kernel(cosines: &[f32], out: &mut [f32], e: PairsOf, #[comptime] by_position: bool) {
    let row = cube_position();
    if row >= e.rows {
        terminate!();
    }
    let half = e.rows / 2u32;
    let positive = (row + half) % e.rows;
    let from = row * e.rows;
    let unit = UNIT_POS as usize;
    let mut memory = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut places = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    let mut largest = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));

    let mut sum = 0.0f32;
    let mut nearest = f32::new(-2.0);
    let mut place = e.rows;
    let mut top = f32::new(LEFT_OUT);
    let mut other = UNIT_POS;
    while other < e.rows {
        if other != row {
            let cosine = cosines[(from + other) as usize];
            if other != positive {
                sum += cosine;
                top = max(top, logit_of(&e, cosine, row, other, by_position));
            }
            if other / half != row / half && cosine > nearest {
                nearest = cosine;
                place = other;
            }
        }
        other += UNITS;
    }
    let others = cube_sum(&mut memory, sum);
    memory[unit] = nearest;
    places[unit] = place;
    largest[unit] = top;
    #[unroll]
    for level in 0..8 {
        let apart = comptime!(128usize >> level);
        sync_cube();
        if unit < apart {
            largest[unit] = max(largest[unit], largest[unit + apart]);
            let mine = memory[unit];
            let its = memory[unit + apart];
            // Of equal ones the first, as everywhere.
            if its > mine || (its == mine && places[unit + apart] < places[unit]) {
                memory[unit] = its;
                places[unit] = places[unit + apart];
            }
        }
    }
    sync_cube();
    let top = largest[0];
    let place = places[0];
    let mut total = 0.0f32;
    let mut other = UNIT_POS;
    while other < e.rows {
        if other != row && other != positive {
            total += (logit_of(&e, cosines[(from + other) as usize], row, other, by_position) - top).exp();
        }
        other += UNITS;
    }
    let total = cube_sum(&mut memory, total);
    if UNIT_POS == 0u32 {
        let cosine = cosines[(from + positive) as usize];
        let own = cosine * e.scale;
        let spread = max(total, 1e-30f32).ln();
        let ahead = (top - own) + spread;
        let mut wrong = 0.0f32;
        if place != positive && place % e.tokens == row % e.tokens {
            wrong = 1.0f32;
        }
        let to = (row * comptime!(ANCHOR_NUMBERS as u32)) as usize;
        out[to] = softplus(ahead);
        out[to + 1] = cosine;
        out[to + 2] = others;
        out[to + 3] = wrong;
        out[to + 4] = max(own, top + spread) + above_largest(ahead);
        out[to + 5] = sigmoid(ahead);
    }
}

/// Cosines to the gradient with respect to them, without its factor: `P + P'` by pair, less 2 at the positive.
#[cube(launch)]
fn contrast_gradient_kernel(cosines: &mut [f32], rows: &[f32], e: PairsOf, #[comptime] by_position: bool) {
    let at = position();
    if at < e.rows * e.rows {
        let row = at / e.rows;
        let other = at % e.rows;
        let of_row = row * comptime!(ANCHOR_NUMBERS as u32);
        let of_other = other * comptime!(ANCHOR_NUMBERS as u32);
        let mut pull = 0.0f32;
        if other == (row + e.rows / 2u32) % e.rows {
            pull = -(rows[(of_row + 5u32) as usize] + rows[(of_other + 5u32) as usize]);
        } else if other != row {
            let logit = logit_of(&e, cosines[at as usize], row, other, by_position);
            pull = (logit - rows[(of_row + 4u32) as usize]).exp() + (logit - rows[(of_other + 4u32) as usize]).exp();
            if is_marked(&e, row, other, by_position) {
                pull *= e.factor;
            }
        }
        cosines[at as usize] = pull;
    }
}

fn sizes(pairs: &Pairs, rows: usize) -> PairsOfLaunch {
    let [rows, tokens] = [rows, pairs.tokens].map(|size| size as u32);
    PairsOfLaunch::new(rows, tokens, pairs.scale, pairs.factor, pairs.bonus)
}

/// The numbers of each anchor, `[rows, 6]`, from the cosines `[rows, rows]`.
pub(crate) fn contrast_rows(cosines: Tensor<2>, pairs: &Pairs) -> Tensor<2> {
    let [rows, _] = cosines.dims();
    let cosines = buffer(cosines);
    let out = empty(&cosines, [rows, ANCHOR_NUMBERS]);
    contrast_rows_kernel::launch(
        &out.client.clone(),
        cubes(rows),
        CubeDim::new_1d(UNITS),
        cosines.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        sizes(pairs, rows),
        pairs.by_position,
    );
    tensor(out)
}

/// The gradient with respect to each cosine, written over the cosines.
pub(crate) fn contrast_gradient(cosines: Tensor<2>, anchors: Tensor<2>, pairs: &Pairs) -> Tensor<2> {
    let [rows, _] = cosines.dims();
    let cosines = buffer(cosines);
    let cosines = if cosines.can_mut() { cosines } else { cosines.copy() };
    contrast_gradient_kernel::launch(
        &cosines.client.clone(),
        cubes_for(rows * rows),
        CubeDim::new_1d(UNITS),
        cosines.clone().into_buffer_arg(),
        buffer(anchors).into_buffer_arg(),
        sizes(pairs, rows),
        pairs.by_position,
    );
    tensor(cosines)
}
