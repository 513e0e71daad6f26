//! Where a crop lies.
//!
//! A volume smaller than the crop is padded with the least value of each channel (its background; labels with 0) and
//! lies at a random place in it, every place with equal chance: seen over many draws the padding is symmetric.

use std::array::from_fn;
use std::ops::RangeInclusive;

use rand::{Rng, RngExt as _};

use crate::geometry::{VoxelBox, unravel};

/// Where a crop of `crop` voxels may start on an axis of `size`: inside the volume, or, if that is smaller, around it.
///
/// With fewer than `jitter` places besides the first, the range grows to that many on both sides alike, the upper
/// side first: the crop may then cut into padding.
fn origins(size: usize, crop: usize, jitter: usize) -> RangeInclusive<i64> {
    let slack = size as i64 - crop as i64;
    let lack = (jitter as i64 - slack.abs()).max(0);
    slack.min(0) - lack / 2..=slack.max(0) + (lack - lack / 2)
}

/// A crop of `size` at a random place of a volume of `shape`.
pub fn random(shape: [usize; 3], size: [usize; 3], rng: &mut impl Rng) -> VoxelBox {
    jittered(shape, size, 0, rng)
}

/// As [`random`], but on each axis with at least `jitter` + 1 places, the volume being padded where it takes that (by up
/// to `jitter` voxels).
pub fn jittered(shape: [usize; 3], size: [usize; 3], jitter: usize, rng: &mut impl Rng) -> VoxelBox {
    VoxelBox::at(from_fn(|axis| rng.random_range(origins(shape[axis], size[axis], jitter))), size)
}

/// The crop with the voxel at index `voxel` in its middle, moved as little as it takes to stay in the volume (or, where
/// that is smaller, to hold all of it).
pub fn around(voxel: usize, shape: [usize; 3], size: [usize; 3]) -> VoxelBox {
    let centre = unravel(voxel, shape);
    let start = from_fn(|axis| {
        let places = origins(shape[axis], size[axis], 0);
        (centre[axis] as i64 - size[axis] as i64 / 2).clamp(*places.start(), *places.end())
    });
    VoxelBox::at(start, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    #[test]
    fn crops_stay_inside_or_hold_all_and_reach_every_place() {
        let (shape, size) = ([10, 4, 6], [6, 6, 6]);
        let mut seen = [[0; 5]; 3];
        for draw in 0..500 {
            let crop = random(shape, size, &mut stream(1, "test", draw, 0));
            seen[0][crop.start[0] as usize] += 1;
            seen[1][(crop.start[1] + 2) as usize] += 1;
            seen[2][crop.start[2] as usize] += 1;
        }
        assert!(seen[0].iter().all(|&n| n > 50) && seen[1][..3].iter().all(|&n| n > 100) && seen[1][3..] == [0, 0]);
        assert_eq!(seen[2], [500, 0, 0, 0, 0]);
    }

    #[test]
    fn jitter_pads_only_where_places_lack() {
        for (size, crop, jitter, expected) in [(40, 32, 4, 0..=8), (34, 32, 8, -3..=5), (30, 32, 5, -3..=2), (32, 32, 0, 0..=0)] {
            assert_eq!(origins(size, crop, jitter), expected);
        }
    }

    #[test]
    fn a_crop_around_a_voxel_holds_it() {
        let (shape, size) = ([9, 20, 5], [4, 8, 8]);
        for voxel in 0..900 {
            let (crop, at) = (around(voxel, shape, size), unravel(voxel, shape));
            for axis in 0..3 {
                assert!((crop.start[axis]..crop.end[axis]).contains(&(at[axis] as i64)));
                assert!(origins(shape[axis], size[axis], 0).contains(&crop.start[axis]));
            }
        }
        assert_eq!(around(4 * 100 + 10 * 5 + 2, shape, size).start, [2, 6, -2]);
    }
}
