//! Which turns a crop and its token grid allow.

use thiserror::Error;

use super::{AXES, SpatialElement};
use crate::config::Rotate;

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

impl TokenFrame {
    /// Tokens of the last stage along D,H,W.
    pub fn grid(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.crop[axis] / self.stride[axis])
    }
}

/// Why a turn cannot be restored exactly on the token grid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CliError {
    /// The turn exchanges axes that the network does not treat alike.
    #[error(
        "turn `{element}` puts {from} in the place of {to}, but their {what} differ: {from_size} and {to_size} voxels. \
         Make them agree, or set pretrain.rotate to full, which takes only the turns that fit, or to off"
    )]
    AxesDiffer {
        /// The turn.
        element: SpatialElement,
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
        "the crop has {crop} voxels along {axis}, which tokens of {stride} do not fill evenly: a turned crop would be cut elsewhere. \
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

impl SpatialElement {
    /// Whether tokens of a view turned by this element can be restored exactly.
    ///
    /// Two axes may change places only if crop size, patch size and total stride agree on them.
    ///
    /// # Errors
    /// The first rule that forbids it.
    pub fn fits(self, frame: &TokenFrame) -> Result<(), CliError> {
        if self == Self::IDENTITY {
            return Ok(());
        }
        for (axis, name) in AXES.into_iter().enumerate() {
            let (crop, stride) = (frame.crop[axis], frame.stride[axis]);
            if stride == 0 || crop % stride != 0 {
                return Err(CliError::Uneven { axis: name, crop, stride });
            }
        }
        for (to, from) in self.axes.into_iter().enumerate() {
            for (what, size) in [("crop sizes", frame.crop), ("patch sizes", frame.patch), ("total strides", frame.stride)] {
                if size[from] != size[to] {
                    let (from_size, to_size) = (size[from], size[to]);
                    return Err(CliError::AxesDiffer { element: self, from: AXES[from], to: AXES[to], what, from_size, to_size });
                }
            }
        }
        Ok(())
    }
}

/// The elements from which a view's turn is drawn, the identity first.
///
/// * [`Rotate::Off`]: the identity alone.
/// * [`Rotate::InPlane`], the paper's "rotation in the H,W plane, then a flip": 4 turns times 8 flips, flips along D
///   included, are the 16 different elements that keep D as an axis. All of them must fit.
/// * [`Rotate::Full`]: those of the 48 that fit; never fewer than the 8 flips.
///
/// # Errors
/// Why an element that was asked for cannot be restored exactly.
pub fn admissible(rotate: Rotate, crop: [usize; 3], patch: [usize; 3], stride: [usize; 3]) -> Result<Vec<SpatialElement>, CliError> {
    let frame = TokenFrame { crop, patch, stride };
    match rotate {
        Rotate::Off => Ok(vec![SpatialElement::IDENTITY]),
        Rotate::InPlane => {
            let keep_d = SpatialElement::all().into_iter().filter(|element| element.axes[0] == 0);
            keep_d.map(|element| element.fits(&frame).map(|()| element)).collect()
        }
        Rotate::Full => {
            SpatialElement::POINT_REFLECTION.fits(&frame)?;
            Ok(SpatialElement::all().into_iter().filter(|element| element.fits(&frame).is_ok()).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{ModelConfig, Preset};

    /// Mean of each block of `stride` voxels: an encoder that knows no positions. `[D,H,W]` -> `[tokens]`.
    ///
    /// The values are whole numbers, so that no order of summation rounds.
    fn patch_mean(volume: &[f64], shape: [usize; 3], stride: [usize; 3]) -> Vec<f64> {
        let grid: [usize; 3] = std::array::from_fn(|axis| shape[axis] / stride[axis]);
        let mut sums = vec![0.0; grid.iter().product()];
        for (index, value) in volume.iter().enumerate() {
            let at = [index / (shape[1] * shape[2]), index / shape[2] % shape[1], index % shape[2]];
            let [d, h, w]: [usize; 3] = std::array::from_fn(|axis| at[axis] / stride[axis]);
            sums[(d * grid[1] + h) * grid[2] + w] += value;
        }
        let block: usize = stride.iter().product();
        sums.into_iter().map(|sum| sum / block as f64).collect()
    }

    #[test]
    fn restore_undoes_rotate_exactly_for_every_admissible_element() {
        let frames = [
            ([8, 8, 8], [2, 2, 2], [2, 2, 2], 48),
            ([8, 16, 16], [2, 4, 4], [2, 4, 4], 16),
            ([12, 8, 12], [1, 1, 1], [3, 4, 3], 16),
            ([4, 6, 8], [1, 1, 1], [2, 2, 2], 8),
            // Equal crops, unequal tokens.
            ([8, 8, 8], [1, 2, 2], [2, 4, 4], 16),
        ];
        for (crop, patch, stride, count) in frames {
            let elements = admissible(Rotate::Full, crop, patch, stride).unwrap();
            assert_eq!((elements.len(), elements[0]), (count, SpatialElement::IDENTITY), "{crop:?} {stride:?}");
            let volume: Vec<f64> = (0..crop.iter().product::<usize>()).map(|v| ((v * 7919) % 1009) as f64).collect();
            let tokens = patch_mean(&volume, crop, stride);
            let grid = TokenFrame { crop, patch, stride }.grid();
            for element in elements {
                let turned = patch_mean(&element.apply(&volume, 1, crop), crop, stride);
                let restored: Vec<f64> = element.restore_indices(grid).iter().map(|&row| turned[row as usize]).collect();
                assert_eq!(restored, tokens, "{element}");
            }
        }
    }

    #[test]
    fn a_turn_that_fits_the_last_stage_of_a_named_network_restores_every_stage_exactly() {
        for preset in Preset::ALL {
            let strides = ModelConfig::Preset(*preset).backbone().stage_strides();
            let (patch, last) = (strides[0], strides[strides.len() - 1]);
            for (rotate, crop) in [(Rotate::Full, last.map(|edge| 2 * edge)), (Rotate::InPlane, [last[0], 2 * last[1], 2 * last[2]])] {
                for element in admissible(rotate, crop, patch, last).unwrap() {
                    for &stride in &strides {
                        assert_eq!(element.fits(&TokenFrame { crop, patch, stride }), Ok(()), "{preset}, {element}, {stride:?}");
                    }
                }
            }
        }
        let (crop, strides) = ([8, 16, 16], [[1, 2, 2], [2, 4, 4], [4, 8, 8]]);
        let volume: Vec<f64> = (0..crop.iter().product::<usize>()).map(|v| ((v * 7919) % 1009) as f64).collect();
        for element in admissible(Rotate::Full, crop, strides[0], strides[2]).unwrap() {
            for stride in strides {
                let turned = patch_mean(&element.apply(&volume, 1, crop), crop, stride);
                let grid = TokenFrame { crop, patch: strides[0], stride }.grid();
                let restored: Vec<f64> = element.restore_indices(grid).iter().map(|&row| turned[row as usize]).collect();
                assert_eq!(restored, patch_mean(&volume, crop, stride), "{element}, {stride:?}");
            }
        }
    }

    #[test]
    fn the_group_in_the_plane_is_four_turns_times_eight_flips() {
        let group = admissible(Rotate::InPlane, [8, 16, 16], [1, 2, 2], [8, 16, 16]).unwrap();
        let mut built = BTreeSet::new();
        for quarters in 0..4 {
            for flips in SpatialElement::all().into_iter().take(8) {
                built.insert(SpatialElement::rot90(quarters, [1, 2]).then(flips));
            }
        }
        assert_eq!(group.into_iter().collect::<BTreeSet<_>>(), built);
        assert_eq!(built.len(), 16);
    }

    #[test]
    fn inadmissible_turns_are_refused_with_the_reason() {
        let reason = |rotate, crop, stride| admissible(rotate, crop, [1, 1, 1], stride).unwrap_err().to_string();
        let crop_differs = reason(Rotate::InPlane, [8, 8, 16], [8, 8, 8]);
        assert!(crop_differs.contains("crop sizes differ") && crop_differs.contains("16 and 8"), "{crop_differs}");
        let stride_differs = reason(Rotate::InPlane, [8, 8, 8], [2, 4, 2]);
        assert!(stride_differs.contains("total strides differ"), "{stride_differs}");
        let uneven = reason(Rotate::Full, [8, 8, 10], [4, 4, 4]);
        assert!(uneven.contains("10 voxels along W") && uneven.contains("multiple of 4"), "{uneven}");
        assert_eq!(admissible(Rotate::Off, [9, 8, 10], [1, 1, 1], [4, 4, 4]).unwrap(), [SpatialElement::IDENTITY]);
        let frame = TokenFrame { crop: [8, 8, 8], patch: [2, 2, 4], stride: [4, 4, 4] };
        let patch_differs = SpatialElement::rot90(1, [0, 2]).fits(&frame).unwrap_err();
        assert!(patch_differs.to_string().contains("patch sizes differ"), "{patch_differs}");
    }
}
