//! The kernel of a 3x3x3 convolution.
//!
//! A cube of units makes a box of output tokens times a block of output channels. For each few input channels it loads the box's
//! inputs with their halo once, and the 27 places' weights, into shared memory; each unit then makes a strip of tokens along W times
//! a few vectors of channels from registers.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::launch::{CubeRange, cube_number};

/// What the compiler knows of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ConvPlan {
    /// Strips of a box along D and H, tokens of a strip.
    pub tile: [usize; 3],
    /// Vectors of output channels of a cube.
    pub groups: usize,
    /// Of them, those of a unit.
    pub each: usize,
    /// Step along D,H,W.
    pub stride: [usize; 3],
    /// Which places of the kernel, and where they lie.
    pub taps: Taps,
}

/// Places of the kernel along D,H,W: place `first - back * i` (`i` itself if `back` is 0) reads `i` tokens behind `shift - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Taps {
    /// How many.
    pub count: [usize; 3],
    pub first: [usize; 3],
    pub back: [usize; 3],
    pub shift: [usize; 3],
    /// The results go to tokens `spread * token + at` of a larger grid.
    pub spread: [usize; 3],
    pub at: [usize; 3],
}

impl Taps {
    /// The whole kernel.
    pub(super) const ALL: Self = Self { count: [3; 3], first: [0; 3], back: [0; 3], shift: [0; 3], spread: [1; 3], at: [0; 3] };

    /// Those that reach the tokens at `at` modulo the stride, for the input gradient; `None` if none does along an axis.
    pub(super) fn reaching(at: [usize; 3], stride: [usize; 3]) -> Option<Self> {
        let mut taps = Self { count: [0; 3], first: [0; 3], back: stride, shift: [0; 3], spread: stride, at };
        for axis in 0..3 {
            let reach = |tap: usize| (at[axis] + 1 + 3 * stride[axis] - tap).is_multiple_of(stride[axis]);
            let first = (0..3).rev().find(|&tap| reach(tap))?;
            taps.count[axis] = (0..3).filter(|&tap| reach(tap)).count();
            taps.first[axis] = first;
            // (at + 1 - first) / stride, from -1, and 1 more.
            taps.shift[axis] = (at[axis] + 1 + stride[axis] - first) / stride[axis];
        }
        Some(taps)
    }
}

/// The extents of a convolution.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct ConvExtents {
    pub grid_d: u32,
    pub grid_h: u32,
    pub grid_w: u32,
    pub out_d: u32,
    pub out_h: u32,
    pub out_w: u32,
    /// Boxes along each axis.
    pub boxes_d: u32,
    pub boxes_h: u32,
    pub boxes_w: u32,
    /// Boxes of all samples.
    pub boxes: u32,
    /// The grid that the results lie on.
    pub full_d: u32,
    pub full_h: u32,
    pub full_w: u32,
}

#[cube(launch)]
pub(super) fn conv_kernel<F: Float, O: Float, NI: Size, NO: Size>(
    first: &[Vector<F, NI>],
    second: &[Vector<F, NI>],
    weight: &[Vector<F, NO>],
    bias: &[Vector<F, NO>],
    output: &mut [Vector<O, NO>],
    range: CubeRange,
    e: ConvExtents,
    first_vectors: u32,
    second_vectors: u32,
    output_vectors: u32,
    splits: u32,
    #[comptime] plan: ConvPlan,
    #[comptime] biased: bool,
    #[define(F, O)] _elements: [ElemType; 2],
) {
    let [strips_d, strips_h, strip] = comptime!(plan.tile);
    let [step_d, step_h, step_w] = comptime!(plan.stride);
    let groups = comptime!(plan.groups);
    let each = comptime!(plan.each);
    let columns = comptime!(groups / each);
    let ni = NI::value();
    let [taps_d, taps_h, taps_w] = comptime!(plan.taps.count);
    let [first_d, first_h, first_w] = comptime!(plan.taps.first);
    let [back_d, back_h, back_w] = comptime!(plan.taps.back);
    let [shift_d, shift_h, shift_w] = comptime!(plan.taps.shift);
    let [spread_d, spread_h, spread_w] = comptime!(plan.taps.spread);
    let [at_d, at_h, at_w] = comptime!(plan.taps.at);
    let halo_h = comptime!((strips_h - 1) * step_h + taps_h);
    let halo_w = comptime!((strip - 1) * step_w + taps_w);
    let halo = comptime!(((strips_d - 1) * step_d + taps_d) * halo_h * halo_w);
    let units = comptime!(strips_d * strips_h * columns);
    let weights = comptime!(taps_d * taps_h * taps_w * ni * groups);

    let mut inputs = Shared::<[Vector<f32, NI>]>::new_slice(halo);
    let mut places = Shared::<[Vector<f32, NO>]>::new_slice(weights);

    let unit = UNIT_POS as usize;
    let group = unit % columns;
    let own = unit / columns;
    let own_h = own % strips_h;
    let own_d = own / strips_h;

    let cube = cube_number(&range);
    if cube >= range.end {
        terminate!();
    }
    let part = cube % e.boxes;
    let block = cube / e.boxes;
    let box_w = part % e.boxes_w;
    let rest = part / e.boxes_w;
    let box_h = rest % e.boxes_h;
    let rest = rest / e.boxes_h;
    let box_d = rest % e.boxes_d;
    let sample = rest / e.boxes_d;
    let from_d = box_d * strips_d as u32;
    let from_h = box_h * strips_h as u32;
    let from_w = box_w * strip as u32;
    let split = block % splits;
    let first_group = block / splits * groups as u32;

    let mut sums = Array::<Vector<f32, NO>>::new(comptime!(each * strip));
    #[unroll]
    for vector in 0..each {
        let mut start = Vector::<f32, NO>::new(0.0f32);
        if comptime!(biased) {
            let at = first_group + group as u32 + comptime!((vector * columns) as u32);
            if split == 0u32 && at < output_vectors {
                start = Vector::<f32, NO>::cast_from(bias[at as usize]);
            }
        }
        #[unroll]
        for token in 0..strip {
            sums[comptime!(vector * strip + token)] = start;
        }
    }

    let chunks = first_vectors + second_vectors;
    let input_channels = chunks * ni as u32;
    for chunk in chunks * split / splits..chunks * (split + 1) / splits {
        sync_cube();
        let mut at = unit;
        while at < halo {
            let w = (at % halo_w) as u32;
            let row = at / halo_w;
            let h = (row % halo_h) as u32;
            let d = (row / halo_h) as u32;
            // One more than the position, so that the padding in front is 0.
            let z = from_d * step_d as u32 + d + shift_d as u32;
            let y = from_h * step_h as u32 + h + shift_h as u32;
            let x = from_w * step_w as u32 + w + shift_w as u32;
            let mut value = Vector::<f32, NI>::new(0.0f32);
            if z > 0 && z <= e.grid_d && y > 0 && y <= e.grid_h && x > 0 && x <= e.grid_w {
                let token = ((sample * e.grid_d + z - 1) * e.grid_h + y - 1) * e.grid_w + x - 1;
                if chunk < first_vectors {
                    value = Vector::<f32, NI>::cast_from(first[(token * first_vectors + chunk) as usize]);
                } else {
                    value = Vector::<f32, NI>::cast_from(second[(token * second_vectors + chunk - first_vectors) as usize]);
                }
            }
            inputs[at] = value;
            at += units;
        }
        let mut at = unit;
        while at < weights {
            let place_group = (at % groups) as u32;
            let row = at / groups;
            let channel = (row % ni) as u32;
            let tap = row / ni;
            let place_d = place_of((tap / comptime!(taps_h * taps_w)) as u32, first_d, back_d);
            let place_h = place_of((tap / taps_w % taps_h) as u32, first_h, back_h);
            let place_w = place_of((tap % taps_w) as u32, first_w, back_w);
            let place = (place_d * 3 + place_h) * 3 + place_w;
            let mut value = Vector::<f32, NO>::new(0.0f32);
            if first_group + place_group < output_vectors {
                let row = place * input_channels + chunk * ni as u32 + channel;
                value = Vector::<f32, NO>::cast_from(weight[(row * output_vectors + first_group + place_group) as usize]);
            }
            places[at] = value;
            at += units;
        }
        sync_cube();
        for row in 0..comptime!(taps_d * taps_h) {
            let start = ((own_d * step_d + row / taps_h) * halo_h + own_h * step_h + row % taps_h) * halo_w;
            let mut inputs_of_row = Array::<Vector<f32, NI>>::new(halo_w);
            #[unroll]
            for w in 0..halo_w {
                inputs_of_row[w] = inputs[start + w];
            }
            let start = row * comptime!(taps_w * ni * groups) + group;
            #[unroll]
            for tap in 0..taps_w {
                #[unroll]
                for channel in 0..ni {
                    #[unroll]
                    for vector in 0..each {
                        let factor = places[start + comptime!((tap * ni + channel) * groups + vector * columns)];
                        #[unroll]
                        for token in 0..strip {
                            let value = inputs_of_row[comptime!(token * step_w + tap)].extract(channel);
                            let at = comptime!(vector * strip + token);
                            sums[at] = fma(Vector::<f32, NO>::new(value), factor, sums[at]);
                        }
                    }
                }
            }
        }
    }

    let d = from_d + own_d as u32;
    let h = from_h + own_h as u32;
    if d < e.out_d && h < e.out_h {
        let samples = e.boxes / (e.boxes_d * e.boxes_h * e.boxes_w);
        let row =
            (((split * samples + sample) * e.full_d + d * spread_d as u32 + at_d as u32) * e.full_h + h * spread_h as u32 + at_h as u32)
                * e.full_w;
        #[unroll]
        for vector in 0..each {
            let column = first_group + group as u32 + comptime!((vector * columns) as u32);
            if column < output_vectors {
                #[unroll]
                for token in 0..strip {
                    let w = from_w + token as u32;
                    if w < e.out_w {
                        let at = (row + w * spread_w as u32 + at_w as u32) * output_vectors + column;
                        output[at as usize] = Vector::<O, NO>::cast_from(sums[comptime!(vector * strip + token)]);
                    }
                }
            }
        }
    }
}

/// The kernel's place of the tap `index`.
#[cube]
fn place_of(index: u32, #[comptime] first: usize, #[comptime] back: usize) -> u32 {
    let mut place = index;
    if comptime!(back > 0) {
        place = first as u32 - index * back as u32;
    }
    place
}
