//! A label map as class indices, in slices that snapshots share until they are painted.

use std::ops::Range;
use std::sync::Arc;

use crate::geometry::{VoxelBox, ravel};

/// Class indices `[D, H, W]`, one shared block for each index of D. A clone shares all of them: it takes no time and no memory, and stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassVolume {
    shape: [usize; 3],
    slices: Vec<Arc<Vec<u8>>>,
}

impl ClassVolume {
    /// Copies class indices `[D, H, W]` of `shape`: one copy of a map, better made on a thread of its own.
    ///
    /// # Panics
    /// Where `classes` do not fill `shape`: our own bug.
    pub fn new(classes: &[u8], shape: [usize; 3]) -> Self {
        assert_eq!(classes.len(), shape.iter().product::<usize>(), "classes fill {shape:?}");
        let slices = classes.chunks((shape[1] * shape[2]).max(1)).map(|slice| Arc::new(slice.to_vec())).collect();
        Self { shape, slices }
    }

    /// Voxels along D,H,W.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The slices of D in their order, each `[H, W]` row-major.
    pub fn slices(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.slices.iter().map(|slice| slice.as_slice())
    }

    /// The slice of an index of D, `[H, W]` row-major.
    ///
    /// # Panics
    /// Beyond the last slice.
    pub fn slice(&self, d: usize) -> &[u8] {
        &self.slices[d]
    }

    /// The class of a voxel (D,H,W); none outside.
    pub fn get(&self, [d, h, w]: [usize; 3]) -> Option<u8> {
        let [_, height, width] = self.shape;
        if h >= height || w >= width {
            return None;
        }
        self.slices.get(d).map(|slice| slice[ravel([0, h, w], self.shape)])
    }

    /// The classes of a box, `[D, H, W]` of its shape: what is sent to the GPU after a stroke.
    ///
    /// # Panics
    /// Where the box reaches beyond the volume.
    pub fn cut(&self, part: VoxelBox) -> Vec<u8> {
        let [depths, heights, widths] = part.ranges();
        let mut inside = Vec::with_capacity(part.len());
        for (d, h) in depths.flat_map(|d| heights.clone().map(move |h| (d, h))) {
            let row = h * self.shape[2];
            inside.extend_from_slice(&self.slices[d][row + widths.start..row + widths.end]);
        }
        inside
    }

    /// A span of voxel indices in pieces that lie in one slice each: the slice, its first voxel's index, and the piece within it.
    pub(super) fn pieces(&self, span: Range<usize>) -> impl Iterator<Item = (usize, usize, Range<usize>)> + use<> {
        let plane = (self.shape[1] * self.shape[2]).max(1);
        let span = span.start..span.end.min(self.slices.len() * plane);
        let slices = if span.is_empty() { 0..0 } else { span.start / plane..span.end.div_ceil(plane) };
        slices.map(move |d| {
            let first = d * plane;
            (d, first, span.start.max(first) - first..span.end.min(first + plane) - first)
        })
    }

    /// Sets the class of a piece of a slice. A slice that a snapshot holds is copied first.
    pub(super) fn fill(&mut self, d: usize, piece: Range<usize>, class: u8) {
        Arc::make_mut(&mut self.slices[d])[piece].fill(class);
    }
}

/// Widens a box by a span of voxel indices of a volume of `shape`, which may go on from row to row.
pub(super) fn include_span(part: &mut VoxelBox, span: &Range<usize>, shape: [usize; 3]) {
    let Some(last) = span.end.checked_sub(1).filter(|&last| last >= span.start) else { return };
    let [mut first, mut last] = [span.start, last].map(|index| crate::geometry::unravel(index, shape));
    if first[0] != last[0] {
        (first[1], last[1]) = (0, shape[1] - 1);
    }
    if first[..2] != last[..2] {
        (first[2], last[2]) = (0, shape[2] - 1);
    }
    part.include(first, last);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_stays_as_it_is_and_shares_what_is_not_painted() {
        let shape = [3, 2, 4];
        let classes: Vec<u8> = (0..24).collect();
        let mut volume = ClassVolume::new(&classes, shape);
        let before = volume.clone();
        volume.fill(1, 2..4, 99);
        assert_eq!((volume.get([1, 0, 2]), before.get([1, 0, 2])), (Some(99), Some(10)));
        assert!(Arc::ptr_eq(&volume.slices[0], &before.slices[0]) && !Arc::ptr_eq(&volume.slices[1], &before.slices[1]));
        assert_eq!([volume.get([3, 0, 0]), volume.get([0, 2, 0]), volume.get([0, 0, 4])], [None; 3]);
        let part = VoxelBox { start: [1, 0, 1], end: [3, 2, 3] };
        assert_eq!(volume.cut(part), [9, 99, 13, 14, 17, 18, 21, 22]);
    }

    #[test]
    fn a_span_is_cut_at_slices_and_its_box_holds_all_of_it() {
        let shape = [3, 2, 4];
        let volume = ClassVolume::new(&[0; 24], shape);
        assert_eq!(volume.pieces(6..18).collect::<Vec<_>>(), [(0, 0, 6..8), (1, 8, 0..8), (2, 16, 0..2)]);
        assert_eq!(volume.pieces(22..99).collect::<Vec<_>>(), [(2, 16, 6..8)]);
        assert_eq!(volume.pieces(5..5).count(), 0);
        let bounds = |span: Range<usize>| {
            let mut part = VoxelBox::EMPTY;
            include_span(&mut part, &span, shape);
            part
        };
        assert!(bounds(5..5).is_empty());
        assert_eq!(bounds(5..7), VoxelBox { start: [0, 1, 1], end: [1, 2, 3] });
        assert_eq!(bounds(1..6), VoxelBox { start: [0, 0, 0], end: [1, 2, 4] });
        assert_eq!(bounds(7..9), VoxelBox { start: [0, 0, 0], end: [2, 2, 4] });
    }
}
