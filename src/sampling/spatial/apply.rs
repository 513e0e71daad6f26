//! Turns arrays on the host: images, labels, masks and token indices alike.

use super::SpatialElement;

/// Edge of the square tiles in which a turn that moves W is copied: keeps both sides of the transposition in cache.
const TILE: usize = 16;

/// Distance in the source of neighbours along one axis of the result, and the way it is read.
#[derive(Clone, Copy)]
struct Walk {
    count: usize,
    stride: usize,
    backwards: bool,
}

impl Walk {
    fn offset(self, index: usize) -> usize {
        let index = if self.backwards { self.count - 1 - index } else { index };
        index * self.stride
    }
}

impl SpatialElement {
    /// The turned copy of `source`, `[channels, D, H, W]` of `shape`; its shape is [`Self::turned_shape`].
    ///
    /// # Panics
    /// If `source` does not hold `channels` volumes of `shape`.
    pub fn apply<T: Copy + Default>(self, source: &[T], channels: usize, shape: [usize; 3]) -> Vec<T> {
        let mut turned = vec![T::default(); source.len()];
        self.apply_into(source, channels, shape, &mut turned);
        turned
    }

    /// As [`Self::apply`], into memory of the caller.
    ///
    /// # Panics
    /// If `source` or `turned` does not hold `channels` volumes of `shape`.
    pub fn apply_into<T: Copy>(self, source: &[T], channels: usize, shape: [usize; 3], turned: &mut [T]) {
        let voxels: usize = shape.iter().product();
        assert!(source.len() == channels * voxels && turned.len() == source.len(), "arrays do not hold {channels} volumes of {shape:?}");
        if voxels == 0 {
            return;
        }
        let strides = [shape[1] * shape[2], shape[2], 1];
        let walks = std::array::from_fn(|o| Walk { count: shape[self.axes[o]], stride: strides[self.axes[o]], backwards: self.flips[o] });
        for (source, turned) in source.chunks_exact(voxels).zip(turned.chunks_exact_mut(voxels)) {
            if self.axes[2] == 2 {
                copy_rows(source, turned, walks);
            } else {
                copy_tiles(source, turned, walks, usize::from(self.axes[1] == 2));
            }
        }
    }
}

/// W stays the fastest axis: whole rows are copied, forwards or backwards.
fn copy_rows<T: Copy>(source: &[T], turned: &mut [T], [d, h, w]: [Walk; 3]) {
    let mut rows = turned.chunks_exact_mut(w.count);
    for i in 0..d.count {
        for j in 0..h.count {
            let first = d.offset(i) + h.offset(j);
            let (row, source) = (rows.next().expect("a row for each (d, h)"), &source[first..first + w.count]);
            if w.backwards {
                row.iter_mut().zip(source.iter().rev()).for_each(|(to, from)| *to = *from);
            } else {
                row.copy_from_slice(source);
            }
        }
    }
}

/// W moves: the result's axis `fast` (0 or 1) is the source's W. A transposition of the two in square tiles, plane by
/// plane of the axis that is left.
fn copy_tiles<T: Copy>(source: &[T], turned: &mut [T], walks: [Walk; 3], fast: usize) {
    let strides = [walks[1].count * walks[2].count, walks[2].count];
    let outer = 1 - fast;
    let (slow, w) = (walks[fast], walks[2]);
    for o in 0..walks[outer].count {
        let (from_plane, to_plane) = (walks[outer].offset(o), o * strides[outer]);
        for top in (0..slow.count).step_by(TILE) {
            for left in (0..w.count).step_by(TILE) {
                for i in top..(top + TILE).min(slow.count) {
                    let (from, to) = (from_plane + slow.offset(i), to_plane + i * strides[fast]);
                    let right = (left + TILE).min(w.count);
                    for (k, value) in turned[to + left..to + right].iter_mut().enumerate() {
                        *value = source[from + w.offset(left + k)];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, voxel by voxel.
    fn by_definition(element: SpatialElement, source: &[f32], channels: usize, shape: [usize; 3]) -> Vec<f32> {
        let turned = element.turned_shape(shape);
        let mut values = Vec::new();
        for c in 0..channels {
            for i in 0..turned[0] * turned[1] * turned[2] {
                let at = [i / (turned[1] * turned[2]), i / turned[2] % turned[1], i % turned[2]];
                let mut from = [0; 3];
                for o in 0..3 {
                    from[element.axes[o]] = if element.flips[o] { turned[o] - 1 - at[o] } else { at[o] };
                }
                values.push(source[((c * shape[0] + from[0]) * shape[1] + from[1]) * shape[2] + from[2]]);
            }
        }
        values
    }

    #[test]
    fn every_element_does_what_it_is_defined_to_do() {
        for shape in [[5, 5, 5], [3, 18, 21], [1, 4, 33], [34, 1, 2], [17, 3, 1]] {
            let channels = 2;
            let source: Vec<f32> = (0..channels * shape.iter().product::<usize>()).map(|v| v as f32).collect();
            for element in SpatialElement::all() {
                let turned = element.apply(&source, channels, shape);
                assert_eq!(turned, by_definition(element, &source, channels, shape), "{element} of {shape:?}");
                assert_eq!(element.inverse().apply(&turned, channels, element.turned_shape(shape)), source);
            }
        }
    }
}
