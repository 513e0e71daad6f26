//! Which input rows some output rows need, copied side by side with zeros at their ends.

use super::simd::{LANES, multiply_add};
use super::tensor::{HostTensor, elements};
use crate::kernels::conv_tables::ConvShape;

/// Tokens whose sums the forward pass holds in registers.
pub(super) const TOKENS: usize = 8;

/// Places of a kernel row (three neighbours' channels) whose sums the weight gradient holds in registers.
pub(super) const PLACES: usize = 8;

/// Values of consecutive output channels.
pub(super) type Lanes = [f32; LANES];

/// Output rows of a group: the input rows around them stay in a core's cache.
pub(super) const ROWS: usize = 8;

/// Extents of one convolution.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub(super) grid: [usize; 3],
    pub(super) stride: [usize; 3],
    pub(super) output: [usize; 3],
}

/// Neighbouring output rows.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub(super) sample: usize,
    pub(super) depth: usize,
    pub(super) first: usize,
    pub(super) rows: usize,
}

impl Geometry {
    pub(super) fn new(shape: ConvShape) -> Self {
        Self { grid: shape.grid, stride: shape.stride, output: shape.output() }
    }

    pub(super) fn groups_of_plane(&self) -> usize {
        self.output[1].div_ceil(ROWS)
    }

    pub(super) fn groups(&self, batch: usize) -> usize {
        batch * self.output[0] * self.groups_of_plane()
    }

    /// The `index`-th group of output rows.
    pub(super) fn group(&self, index: usize) -> Group {
        let plane = index / self.groups_of_plane();
        let first = index % self.groups_of_plane() * ROWS;
        Group { sample: plane / self.output[0], depth: plane % self.output[0], first, rows: ROWS.min(self.output[1] - first) }
    }
}

/// A tensor `[batch, tokens, channels]`.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) values: &'a [f32],
    pub(super) channels: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(tensor: &'a HostTensor) -> Self {
        let [_, _, channels] = tensor.layout().shape().dims();
        Self { values: elements(tensor), channels }
    }
}

/// The input rows that one plane of the kernel (its place along D) needs for a group.
pub(super) struct Slab<'a> {
    rows: &'a [f32],
    /// Elements of a padded row.
    length: usize,
    geometry: Geometry,
    group: Group,
}

impl<'a> Slab<'a> {
    /// Copies the rows into `buffer`; none where the plane lies outside the volume.
    #[inline(always)]
    pub(super) fn copied(buffer: &'a mut Vec<f32>, source: Source<'_>, geometry: Geometry, group: Group, plane: usize) -> Option<Self> {
        let Geometry { grid: [depth, height, width], stride, output } = geometry;
        let d = inside(group.depth * stride[0] + plane, depth)?;
        let tokens = (output[2].next_multiple_of(TOKENS) - 1) * stride[2] + 3;
        // The weight gradient reads places in whole steps, and so beyond the last token's.
        let length = tokens * source.channels + PLACES;
        buffer.resize(((group.rows - 1) * stride[1] + 3) * length, 0.0);
        for (slot, row) in buffer.chunks_exact_mut(length).enumerate() {
            let Some(h) = inside(group.first * stride[1] + slot, height) else { continue };
            let from = ((group.sample * depth + d) * height + h) * width;
            let (before, rest) = row.split_at_mut(source.channels);
            let (own, after) = rest.split_at_mut(width.min(tokens - 1) * source.channels);
            before.fill(0.0);
            own.copy_from_slice(&source.values[from * source.channels..][..own.len()]);
            after.fill(0.0);
        }
        Some(Self { rows: buffer, length, geometry, group })
    }

    /// The input row that row `tap` of the kernel (its place along H) needs for the group's output row `row`.
    #[inline(always)]
    pub(super) fn row(&self, tap: usize, row: usize) -> Option<&'a [f32]> {
        let slot = row * self.geometry.stride[1] + tap;
        inside(self.group.first * self.geometry.stride[1] + slot, self.geometry.grid[1])?;
        Some(&self.rows[slot * self.length..][..self.length])
    }
}

/// The position that `place` means on an axis padded by one; none in the padding.
#[inline(always)]
fn inside(place: usize, extent: usize) -> Option<usize> {
    place.checked_sub(1).filter(|&position| position < extent)
}

/// Adds `value` times `lanes` to `sum`.
#[inline(always)]
pub(super) fn add_product<const FUSED: bool>(sum: &mut Lanes, value: f32, lanes: &Lanes) {
    *sum = std::array::from_fn(|lane| multiply_add::<FUSED>(value, lanes[lane], sum[lane]));
}
