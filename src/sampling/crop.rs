//! Where a crop lies, and cutting it out.
//!
//! A volume smaller than the crop is padded with the least value of each channel (its background; labels with 0) and
//! lies at a random place in it, every place with equal chance: seen over many draws the padding is symmetric.

use std::ops::RangeInclusive;

use rand::{Rng, RngExt as _};

/// A box of voxels; it may reach beyond the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropBox {
    /// First voxel along D,H,W; negative outside.
    pub origin: [i64; 3],
    /// Voxels along D,H,W.
    pub size: [usize; 3],
}

/// Where a crop of `crop` voxels may start on an axis of `size`: inside the volume, or, if that is smaller, around it.
///
/// With fewer than `jitter` places besides the first, the range grows to that many on both sides alike, the upper
/// side first: the crop may then cut into padding.
fn origins(size: usize, crop: usize, jitter: usize) -> RangeInclusive<i64> {
    let slack = size as i64 - crop as i64;
    let lack = (jitter as i64 - slack.abs()).max(0);
    slack.min(0) - lack / 2..=slack.max(0) + (lack - lack / 2)
}

impl CropBox {
    /// A crop at a random place of a volume of `shape`.
    pub fn random(shape: [usize; 3], size: [usize; 3], rng: &mut impl Rng) -> Self {
        Self::jittered(shape, size, 0, rng)
    }

    /// As [`Self::random`], but on each axis with at least `jitter` + 1 places, the volume being padded where it takes
    /// that (by up to `jitter` voxels).
    pub fn jittered(shape: [usize; 3], size: [usize; 3], jitter: usize, rng: &mut impl Rng) -> Self {
        Self { origin: std::array::from_fn(|axis| rng.random_range(origins(shape[axis], size[axis], jitter))), size }
    }

    /// The crop with voxel number `voxel` in its middle, moved as little as it takes to stay in the volume (or, where
    /// that is smaller, to hold all of it).
    pub fn around(voxel: usize, shape: [usize; 3], size: [usize; 3]) -> Self {
        let centre = [voxel / (shape[1] * shape[2]), voxel / shape[2] % shape[1], voxel % shape[2]];
        let origin = std::array::from_fn(|axis| {
            let places = origins(shape[axis], size[axis], 0);
            (centre[axis] as i64 - size[axis] as i64 / 2).clamp(*places.start(), *places.end())
        });
        Self { origin, size }
    }

    /// Voxels of one channel.
    pub fn voxels(&self) -> usize {
        self.size.iter().product()
    }

    /// Copies the box out of `source`, `[channels, D, H, W]` of `shape`, to `crop`, `[channels, size..]`; voxels
    /// outside take the channel's value in `outside`, whose length is the number of channels.
    ///
    /// # Panics
    /// If an array has another size.
    pub fn cut<T: Copy>(&self, source: &[T], shape: [usize; 3], outside: &[T], crop: &mut [T]) {
        let voxels: usize = shape.iter().product();
        assert!(source.len() == outside.len() * voxels && crop.len() == outside.len() * self.voxels(), "arrays do not fit the box");
        // The part of a row of the crop that lies inside, and where that part starts in the volume.
        let [_, _, width] = self.size;
        let first = self.origin[2].clamp(0, shape[2] as i64) as usize;
        let left = (first as i64 - self.origin[2]).clamp(0, width as i64) as usize;
        let inside = (shape[2] - first).min(width - left);
        let at = |axis: usize, step: usize| usize::try_from(self.origin[axis] + step as i64).ok().filter(|&at| at < shape[axis]);
        let mut rows = crop.chunks_exact_mut(width);
        for (channel, &outside) in outside.iter().enumerate() {
            for d in 0..self.size[0] {
                for h in 0..self.size[1] {
                    let row = rows.next().expect("a row for each (channel, d, h)");
                    let (Some(d), Some(h)) = (at(0, d), at(1, h)) else {
                        row.fill(outside);
                        continue;
                    };
                    let start = channel * voxels + (d * shape[1] + h) * shape[2] + first;
                    row[..left].fill(outside);
                    row[left..left + inside].copy_from_slice(&source[start..start + inside]);
                    row[left + inside..].fill(outside);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    #[test]
    fn a_cut_holds_the_volume_inside_and_the_background_outside() {
        let shape = [3, 4, 5];
        let source: Vec<f32> = (0..2 * 60).map(|v| v as f32).collect();
        for origin in [[0, 0, 0], [-2, 1, 3], [2, -3, -4], [1, 2, 9], [-9, 0, 0], [0, 0, -7]] {
            let crop = CropBox { origin, size: [4, 3, 6] };
            let mut values = vec![f32::NAN; 2 * crop.voxels()];
            crop.cut(&source, shape, &[-1.0, -2.0], &mut values);
            for (index, value) in values.into_iter().enumerate() {
                let (channel, voxel) = (index / 72, index % 72);
                let at = [voxel / 18, voxel / 6 % 3, voxel % 6];
                let at: [i64; 3] = std::array::from_fn(|axis| origin[axis] + at[axis] as i64);
                let inside = (0..3).all(|axis| (0..shape[axis] as i64).contains(&at[axis]));
                let expected = match inside {
                    true => source[channel * 60 + (at[0] * 20 + at[1] * 5 + at[2]) as usize],
                    false => [-1.0, -2.0][channel],
                };
                assert_eq!(value, expected, "{origin:?} at {at:?}");
            }
        }
    }

    #[test]
    fn crops_stay_inside_or_hold_all_and_reach_every_place() {
        let (shape, size) = ([10, 4, 6], [6, 6, 6]);
        let mut seen = [[0; 5]; 3];
        for draw in 0..500 {
            let crop = CropBox::random(shape, size, &mut stream(1, "test", draw, 0));
            seen[0][crop.origin[0] as usize] += 1;
            seen[1][(crop.origin[1] + 2) as usize] += 1;
            seen[2][crop.origin[2] as usize] += 1;
        }
        assert!(seen[0].iter().all(|&n| n > 50) && seen[1][..3].iter().all(|&n| n > 100) && seen[1][3..] == [0, 0]);
        assert_eq!(seen[2], [500, 0, 0, 0, 0]);
    }

    #[test]
    fn jitter_pads_only_where_places_lack() {
        assert_eq!(origins(40, 32, 4), 0..=8);
        assert_eq!(origins(34, 32, 8), -3..=5);
        assert_eq!(origins(30, 32, 5), -3..=2);
        assert_eq!(origins(32, 32, 0), 0..=0);
    }

    #[test]
    fn a_crop_around_a_voxel_holds_it() {
        let shape = [9, 20, 5];
        for voxel in 0..900 {
            let crop = CropBox::around(voxel, shape, [4, 8, 8]);
            let at = [voxel / 100, voxel / 5 % 20, voxel % 5];
            for axis in 0..3 {
                let place = at[axis] as i64 - crop.origin[axis];
                assert!((0..crop.size[axis] as i64).contains(&place));
                assert!(origins(shape[axis], crop.size[axis], 0).contains(&crop.origin[axis]));
            }
        }
        assert_eq!(CropBox::around(4 * 100 + 10 * 5 + 2, shape, [4, 8, 8]).origin, [2, 6, -2]);
    }
}
