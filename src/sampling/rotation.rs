//! Rotate and restore: which signed permutations a crop and its token grid allow, and the row order that undoes them on tokens.
//!
//! Rotating a view costs one pass on the host; restoring its tokens one `select` of rows on the device ([`restore_rows`]).

use rand::{Rng, RngExt as _};
use thiserror::Error;

use crate::config::Rotate;
use crate::geometry::{AXES, SignedPermutation};

/// How an encoder cuts a crop into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFrame {
    /// Voxels of a crop along D,H,W.
    pub crop: [usize; 3],
    /// Voxels of the first patch.
    pub patch: [usize; 3],
    /// Voxels of a token of the last stage: the encoder's total stride.
    pub stride: [usize; 3],
}

/// Why a rotation cannot be restored exactly on the token grid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RotationError {
    /// The rotation exchanges axes that the network does not treat alike.
    #[error(
        "rotation `{rotation}` puts {from} in the place of {to}, but their {what} differ: {from_size} and {to_size} voxels. \
         Make them agree, or set pretrain.rotate to full, which takes only the rotations that fit, or to off"
    )]
    AxesDiffer {
        /// The rotation.
        rotation: SignedPermutation,
        /// The source axis.
        from: char,
        /// The axis whose place it takes.
        to: char,
        /// Crop sizes, patch sizes or total strides.
        what: &'static str,
        /// Its value on the source axis.
        from_size: usize,
        /// Its value on the other.
        to_size: usize,
    },
    /// A mirrored crop would be cut into other tokens.
    #[error(
        "the crop has {crop} voxels along {axis}, which tokens of {stride} do not fill evenly: a rotated crop would be cut elsewhere. \
         Make pretrain.crop_size a multiple of {stride} there, or set pretrain.rotate to off"
    )]
    Uneven {
        /// The axis.
        axis: char,
        /// Voxels of the crop.
        crop: usize,
        /// Voxels of a token.
        stride: usize,
    },
}

impl TokenFrame {
    /// Tokens of the last stage along D,H,W.
    pub fn grid(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.crop[axis] / self.stride[axis])
    }

    /// Checks that tokens of a view rotated by `rotation` can be restored exactly: two axes may change places only if crop
    /// size, patch size and total stride agree on them.
    ///
    /// # Errors
    /// The first rule that forbids it.
    pub fn admits(&self, rotation: SignedPermutation) -> Result<(), RotationError> {
        if rotation.is_identity() {
            return Ok(());
        }
        for (axis, (crop, stride)) in AXES.into_iter().zip(self.crop.into_iter().zip(self.stride)) {
            if stride == 0 || crop % stride != 0 {
                return Err(RotationError::Uneven { axis, crop, stride });
            }
        }
        for (to, from) in rotation.axes().into_iter().enumerate() {
            for (what, size) in [("crop sizes", self.crop), ("patch sizes", self.patch), ("total strides", self.stride)] {
                if size[from] != size[to] {
                    let (from_size, to_size) = (size[from], size[to]);
                    return Err(RotationError::AxesDiffer { rotation, from: AXES[from], to: AXES[to], what, from_size, to_size });
                }
            }
        }
        Ok(())
    }

    /// The rotations from which a view's own is drawn, the identity first.
    ///
    /// * [`Rotate::Off`]: the identity alone.
    /// * [`Rotate::InPlane`], the paper's "rotation in the H,W plane, then a flip": 4 rotations times 8 flips, flips along D
    ///   included, are the 16 different permutations that keep D as an axis. All of them must fit.
    /// * [`Rotate::Full`]: those of the 48 that fit; never fewer than the 8 flips.
    ///
    /// # Errors
    /// Why a rotation that was asked for cannot be restored exactly.
    pub fn admissible(&self, rotate: Rotate) -> Result<Vec<SignedPermutation>, RotationError> {
        let all = SignedPermutation::all().into_iter();
        match rotate {
            Rotate::Off => Ok(vec![SignedPermutation::IDENTITY]),
            Rotate::InPlane => {
                all.filter(|rotation| rotation.axes()[0] == 0).map(|rotation| self.admits(rotation).map(|()| rotation)).collect()
            }
            Rotate::Full => {
                self.admits(SignedPermutation::POINT_REFLECTION)?;
                Ok(all.filter(|&rotation| self.admits(rotation).is_ok()).collect())
            }
        }
    }
}

/// One of `rotations`, each with equal chance.
pub(super) fn draw(rotations: &[SignedPermutation], rng: &mut impl Rng) -> SignedPermutation {
    rotations[rng.random_range(0..rotations.len())]
}

/// The rotations by 0, 1, 2 and 3 quarters in the H,W plane.
pub fn quarter_turns() -> [SignedPermutation; 4] {
    std::array::from_fn(|quarters| SignedPermutation::rot90(quarters as i64, [1, 2]))
}

/// Rows that restore a whole batch: for tokens `[batch * tokens, dim]` on a token grid of `grid`, volume `b` rotated by
/// `rotations[b]`, the argument of one `select` along the rows.
///
/// # Panics
/// If a batch has 2^32 tokens or more.
pub fn restore_rows(rotations: &[SignedPermutation], grid: [usize; 3]) -> Vec<u32> {
    let tokens: usize = grid.iter().product();
    let restore = |(b, rotation): (usize, &SignedPermutation)| {
        let row = |n: usize| u32::try_from(b * tokens + n).expect("a batch has fewer than 2^32 tokens");
        let rows: Vec<u32> = (0..tokens).map(row).collect();
        rotation.inverse().apply(&rows, 1, rotation.shape(grid))
    };
    rotations.iter().enumerate().flat_map(restore).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{ModelConfig, Preset};
    use crate::geometry::{ravel, unravel};

    /// Mean of each block of `stride` voxels: an encoder that knows no positions. `[D,H,W]` -> `[tokens]`.
    ///
    /// The values are whole numbers, so that no order of summation rounds.
    fn patch_mean(volume: &[f64], frame: &TokenFrame) -> Vec<f64> {
        let mut sums = vec![0.0; frame.grid().iter().product()];
        for (index, value) in volume.iter().enumerate() {
            let at = unravel(index, frame.crop);
            sums[ravel(std::array::from_fn(|axis| at[axis] / frame.stride[axis]), frame.grid())] += value;
        }
        let block: usize = frame.stride.iter().product();
        sums.into_iter().map(|sum| sum / block as f64).collect()
    }

    fn assert_restored(frame: &TokenFrame, rotation: SignedPermutation) {
        let volume: Vec<f64> = (0..frame.crop.iter().product::<usize>()).map(|v| ((v * 7919) % 1009) as f64).collect();
        let rotated = patch_mean(&rotation.apply(&volume, 1, frame.crop), frame);
        let restored: Vec<f64> = restore_rows(&[rotation], frame.grid()).iter().map(|&row| rotated[row as usize]).collect();
        assert_eq!(restored, patch_mean(&volume, frame), "{rotation} of {frame:?}");
    }

    #[test]
    fn restore_undoes_rotate_exactly_for_every_admissible_rotation() {
        for (crop, patch, stride, count) in [
            ([8, 8, 8], [2, 2, 2], [2, 2, 2], 48),
            ([8, 16, 16], [2, 4, 4], [2, 4, 4], 16),
            ([12, 8, 12], [1, 1, 1], [3, 4, 3], 16),
            ([4, 6, 8], [1, 1, 1], [2, 2, 2], 8),
            // Equal crops, unequal tokens.
            ([8, 8, 8], [1, 2, 2], [2, 4, 4], 16),
        ] {
            let frame = TokenFrame { crop, patch, stride };
            let rotations = frame.admissible(Rotate::Full).unwrap();
            assert_eq!((rotations.len(), rotations[0]), (count, SignedPermutation::IDENTITY), "{frame:?}");
            rotations.into_iter().for_each(|rotation| assert_restored(&frame, rotation));
        }
    }

    #[test]
    fn a_rotation_that_fits_the_last_stage_of_a_named_network_restores_every_stage_exactly() {
        for preset in Preset::ALL {
            let strides = ModelConfig::Preset(*preset).backbone().stage_strides();
            let (patch, last) = (strides[0], strides[strides.len() - 1]);
            for (rotate, crop) in [(Rotate::Full, last.map(|edge| 2 * edge)), (Rotate::InPlane, [last[0], 2 * last[1], 2 * last[2]])] {
                for rotation in (TokenFrame { crop, patch, stride: last }).admissible(rotate).unwrap() {
                    for &stride in &strides {
                        assert_eq!(TokenFrame { crop, patch, stride }.admits(rotation), Ok(()), "{preset}, {rotation}, {stride:?}");
                    }
                }
            }
        }
        let (crop, strides) = ([8, 16, 16], [[1, 2, 2], [2, 4, 4], [4, 8, 8]]);
        let frame = |stride| TokenFrame { crop, patch: strides[0], stride };
        for rotation in frame(strides[2]).admissible(Rotate::Full).unwrap() {
            strides.iter().for_each(|&stride| assert_restored(&frame(stride), rotation));
        }
    }

    #[test]
    fn the_group_in_the_plane_is_four_quarter_turns_times_eight_flips() {
        let frame = TokenFrame { crop: [8, 16, 16], patch: [1, 2, 2], stride: [8, 16, 16] };
        let flips = || SignedPermutation::all().into_iter().take(8);
        let built: BTreeSet<_> = quarter_turns().into_iter().flat_map(|turn| flips().map(move |flip| turn.then(flip))).collect();
        assert_eq!(frame.admissible(Rotate::InPlane).unwrap().into_iter().collect::<BTreeSet<_>>(), built);
        assert_eq!(built.len(), 16);
    }

    #[test]
    fn inadmissible_rotations_are_refused_with_the_reason() {
        let reason = |rotate, crop, stride| TokenFrame { crop, patch: [1; 3], stride }.admissible(rotate).unwrap_err().to_string();
        for (rotate, crop, stride, words) in [
            (Rotate::InPlane, [8, 8, 16], [8, 8, 8], ["crop sizes differ", "16 and 8"]),
            (Rotate::InPlane, [8, 8, 8], [2, 4, 2], ["total strides differ", "rotation `"]),
            (Rotate::Full, [8, 8, 10], [4, 4, 4], ["10 voxels along W", "multiple of 4"]),
        ] {
            let reason = reason(rotate, crop, stride);
            assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
        }
        let uneven = TokenFrame { crop: [9, 8, 10], patch: [1; 3], stride: [4; 3] };
        assert_eq!(uneven.admissible(Rotate::Off).unwrap(), [SignedPermutation::IDENTITY]);
        let frame = TokenFrame { crop: [8, 8, 8], patch: [2, 2, 4], stride: [4, 4, 4] };
        let patch_differs = frame.admits(SignedPermutation::rot90(1, [0, 2])).unwrap_err();
        assert!(patch_differs.to_string().contains("patch sizes differ"), "{patch_differs}");
    }
}
