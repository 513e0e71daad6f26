//! The signed axis permutations of a volume: the 48 symmetries of a cube.

use std::array::from_fn;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::permute::Permute;

/// Names of the array axes.
pub const AXES: [char; 3] = ['D', 'H', 'W'];

/// A signed axis permutation: first the axes are reordered, then some are mirrored.
///
/// The result's axis `o` is the source's axis `axes[o]`, read backwards if `flips[o]`. In indices:
/// `result[i] = source[j]` with `j[axes[o]] = if flips[o] { n[axes[o]] - 1 - i[o] } else { i[o] }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawPermutation")]
pub struct SignedPermutation {
    axes: [usize; 3],
    flips: [bool; 3],
}

impl SignedPermutation {
    /// Changes nothing.
    pub const IDENTITY: Self = Self { axes: [0, 1, 2], flips: [false; 3] };

    /// Mirrors all three axes: the point reflection through the volume's centre.
    pub const POINT_REFLECTION: Self = Self { axes: [0, 1, 2], flips: [true; 3] };

    /// The permutation of `axes` with `flips`; none where an axis occurs twice.
    pub fn new(axes: [usize; 3], flips: [bool; 3]) -> Option<Self> {
        (0..3).all(|axis| axes.contains(&axis)).then_some(Self { axes, flips })
    }

    /// Mirrors the marked axes.
    pub const fn flip(flips: [bool; 3]) -> Self {
        Self { axes: [0, 1, 2], flips }
    }

    /// `quarters` quarter turns of axis `from` towards axis `to` (0, 1, 2 = D, H, W), as `torch.rot90` counts them.
    ///
    /// # Panics
    /// If the two axes are not two different ones of the three.
    pub fn rot90(quarters: i64, [from, to]: [usize; 2]) -> Self {
        assert!(from != to && from < 3 && to < 3, "axes {from} and {to} span no plane");
        let mut quarter = Self::IDENTITY;
        quarter.axes.swap(from, to);
        quarter.flips[from] = true;
        (0..quarters.rem_euclid(4)).fold(Self::IDENTITY, |rotation, _| rotation.then(quarter))
    }

    /// All 48 permutations, the identity first.
    pub fn all() -> Vec<Self> {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let flips = |bits: usize| [bits & 4 != 0, bits & 2 != 0, bits & 1 != 0];
        ORDERS.iter().flat_map(|&axes| (0..8).map(move |bits| Self { axes, flips: flips(bits) })).collect()
    }

    /// This permutation, then `next` on its result.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self { axes: next.axes.map(|axis| self.axes[axis]), flips: from_fn(|o| self.flips[next.axes[o]] != next.flips[o]) }
    }

    /// The permutation that undoes this one.
    #[must_use]
    pub fn inverse(self) -> Self {
        let mut inverse = Self::IDENTITY;
        for (o, &axis) in self.axes.iter().enumerate() {
            inverse.axes[axis] = o;
            inverse.flips[axis] = self.flips[o];
        }
        inverse
    }

    /// Which source axis each axis of the result is.
    pub fn axes(self) -> [usize; 3] {
        self.axes
    }

    /// Which axes of the result are mirrored.
    pub fn flips(self) -> [bool; 3] {
        self.flips
    }

    /// Whether it changes nothing.
    pub fn is_identity(self) -> bool {
        self == Self::IDENTITY
    }

    /// The shape that a volume (or token grid) of `shape` has afterwards.
    pub fn shape(self, shape: [usize; 3]) -> [usize; 3] {
        self.axes.map(|axis| shape[axis])
    }

    /// Where a voxel of a volume of `shape` lies afterwards.
    pub fn voxel(self, voxel: [usize; 3], shape: [usize; 3]) -> [usize; 3] {
        from_fn(|o| {
            let axis = self.axes[o];
            if self.flips[o] { shape[axis] - 1 - voxel[axis] } else { voxel[axis] }
        })
    }

    /// The permuted copy of `source`, `[channels, D, H, W]` of `shape`; its shape is [`Self::shape`].
    ///
    /// # Panics
    /// If `source` does not hold `channels` volumes of `shape`.
    pub fn apply<T: Copy + Default>(self, source: &[T], channels: usize, shape: [usize; 3]) -> Vec<T> {
        let mut result = vec![T::default(); source.len()];
        self.apply_into(source, channels, shape, &mut result);
        result
    }

    /// As [`Self::apply`], into memory of the caller.
    ///
    /// # Panics
    /// If `source` or `result` does not hold `channels` volumes of `shape`.
    pub fn apply_into<T: Copy>(self, source: &[T], channels: usize, shape: [usize; 3], result: &mut [T]) {
        let voxels: usize = shape.iter().product();
        assert!(source.len() == channels * voxels && result.len() == source.len(), "arrays do not hold {channels} volumes of {shape:?}");
        if voxels > 0 {
            Permute::new(self.axes, self.flips, shape).copy(source, result);
        }
    }

    /// Permutes whole volumes `[channel, D, H, W]` of `shape` on all threads.
    ///
    /// # Panics
    /// If `voxels` does not hold whole volumes of `shape`.
    pub fn reorient<T: Copy + Send + Sync>(self, voxels: Vec<T>, shape: [usize; 3]) -> Vec<T> {
        if self.is_identity() || voxels.is_empty() {
            return voxels;
        }
        assert!(voxels.len().is_multiple_of(shape.iter().product()), "{} voxels are no whole volumes of {shape:?}", voxels.len());
        let mut result = voxels.clone();
        Permute::new(self.axes, self.flips, shape).par_copy(&voxels, &mut result);
        result
    }
}

impl fmt::Display for SignedPermutation {
    /// For example `D→H, H→D, flip W`; mirrored axes are those of the result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_identity() {
            return f.write_str("identity");
        }
        let to = self.inverse().axes;
        let moved = (0..3).filter(|&from| to[from] != from).map(|from| format!("{}→{}", AXES[from], AXES[to[from]]));
        let mirrored = (0..3).filter(|&o| self.flips[o]).map(|o| format!("flip {}", AXES[o]));
        f.write_str(&moved.chain(mirrored).collect::<Vec<_>>().join(", "))
    }
}

/// What a stored permutation looks like before it is known to be one.
#[derive(Deserialize)]
struct RawPermutation {
    axes: [usize; 3],
    flips: [bool; 3],
}

impl TryFrom<RawPermutation> for SignedPermutation {
    type Error = String;

    fn try_from(RawPermutation { axes, flips }: RawPermutation) -> Result<Self, String> {
        Self::new(axes, flips).ok_or_else(|| format!("{axes:?} is no order of the axes 0, 1, 2"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::geometry::{ravel, unravel};

    /// The definition, voxel by voxel.
    fn by_definition(permutation: SignedPermutation, source: &[f32], channels: usize, shape: [usize; 3]) -> Vec<f32> {
        let (result, voxels) = (permutation.shape(shape), source.len() / channels);
        let value = |index: usize| {
            let at = unravel(index % voxels, result);
            let mut from = [0; 3];
            for o in 0..3 {
                from[permutation.axes[o]] = if permutation.flips[o] { result[o] - 1 - at[o] } else { at[o] };
            }
            assert_eq!((permutation.voxel(from, shape), permutation.inverse().voxel(at, result)), (at, from));
            source[index / voxels * voxels + ravel(from, shape)]
        };
        (0..source.len()).map(value).collect()
    }

    #[test]
    fn every_permutation_does_what_it_is_defined_to_do() {
        for shape in [[5, 5, 5], [3, 18, 21], [1, 4, 33], [34, 1, 2], [17, 3, 1]] {
            let source: Vec<f32> = (0..2 * shape.iter().product::<usize>()).map(|v| v as f32).collect();
            for permutation in SignedPermutation::all() {
                let result = permutation.apply(&source, 2, shape);
                assert_eq!(result, by_definition(permutation, &source, 2, shape), "{permutation} of {shape:?}");
                assert_eq!(result, permutation.reorient(source.clone(), shape));
                assert_eq!(permutation.inverse().apply(&result, 2, permutation.shape(shape)), source);
            }
        }
    }

    #[test]
    fn the_48_permutations_are_a_group_whose_composition_is_one_after_the_other() {
        let (all, shape) = (SignedPermutation::all(), [2, 3, 4]);
        let distinct: BTreeSet<_> = all.iter().copied().collect();
        assert_eq!((all[0], distinct.len()), (SignedPermutation::IDENTITY, 48));
        let source: Vec<u32> = (0..24).collect();
        for &a in &all {
            assert_eq!((a.then(a.inverse()), a.inverse().then(a)), (SignedPermutation::IDENTITY, SignedPermutation::IDENTITY));
            let once = a.apply(&source, 1, shape);
            for &b in &all {
                assert!(distinct.contains(&a.then(b)));
                assert_eq!(a.then(b).apply(&source, 1, shape), b.apply(&once, 1, a.shape(shape)), "{a} then {b}");
            }
        }
    }

    #[test]
    fn names_say_where_axes_go() {
        let cycle = SignedPermutation { axes: [2, 0, 1], flips: [false, false, true] };
        for (permutation, name) in [
            (SignedPermutation::IDENTITY, "identity"),
            (SignedPermutation::POINT_REFLECTION, "flip D, flip H, flip W"),
            // A quarter turn of H towards W: what was W lies on H, backwards.
            (SignedPermutation::rot90(1, [1, 2]), "H→W, W→H, flip H"),
            (cycle, "D→H, H→W, W→D, flip W"),
        ] {
            assert_eq!(permutation.to_string(), name);
        }
    }

    #[test]
    fn stored_permutations_come_back_and_broken_ones_are_refused() {
        for permutation in SignedPermutation::all() {
            let text = serde_json::to_string(&permutation).unwrap();
            assert_eq!(serde_json::from_str::<SignedPermutation>(&text).unwrap(), permutation);
        }
        let error = serde_json::from_str::<SignedPermutation>(r#"{"axes":[0,0,2],"flips":[false,false,false]}"#).unwrap_err();
        assert!(error.to_string().contains("no order"), "{error}");
    }
}
