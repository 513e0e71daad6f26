//! Rotate and restore: the signed axis permutations of a volume, and the row order that undoes them on a token grid.
//!
//! The 48 elements are the symmetries of a cube. Turning a view costs one pass on the host; restoring its tokens
//! costs one `select` of rows on the device ([`SpatialElement::restore_indices`]).

mod admissible;
mod apply;

use std::fmt;

use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

pub use admissible::{CliError, TokenFrame, admissible};

/// Names of the spatial axes.
const AXES: [char; 3] = ['D', 'H', 'W'];

/// A signed axis permutation: first the axes are reordered, then some are mirrored.
///
/// The turned volume's axis `o` is the source's axis `axes[o]`, read backwards if `flips[o]`. In indices:
/// `turned[i] = source[j]` with `j[axes[o]] = if flips[o] { n[axes[o]] - 1 - i[o] } else { i[o] }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawElement")]
pub struct SpatialElement {
    axes: [usize; 3],
    flips: [bool; 3],
}

impl SpatialElement {
    /// Changes nothing.
    pub const IDENTITY: Self = Self { axes: [0, 1, 2], flips: [false; 3] };

    /// Mirrors all three axes: the point reflection through the volume's centre.
    pub const POINT_REFLECTION: Self = Self { axes: [0, 1, 2], flips: [true; 3] };

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
        (0..quarters.rem_euclid(4)).fold(Self::IDENTITY, |turn, _| turn.then(quarter))
    }

    /// All 48 elements, the identity first.
    pub fn all() -> Vec<Self> {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let flips = |bits: usize| [bits & 4 != 0, bits & 2 != 0, bits & 1 != 0];
        ORDERS.iter().flat_map(|&axes| (0..8).map(move |bits| Self { axes, flips: flips(bits) })).collect()
    }

    /// One of `elements`, each with equal chance.
    ///
    /// # Panics
    /// Without elements.
    pub fn draw(elements: &[Self], rng: &mut impl Rng) -> Self {
        elements[rng.random_range(0..elements.len())]
    }

    /// This element, then `next` on its result.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let axes = next.axes.map(|axis| self.axes[axis]);
        let flips = std::array::from_fn(|o| self.flips[next.axes[o]] != next.flips[o]);
        Self { axes, flips }
    }

    /// The element that undoes this one.
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

    /// The shape that a volume (or token grid) of `shape` has after the turn.
    pub fn turned_shape(self, shape: [usize; 3]) -> [usize; 3] {
        self.axes.map(|axis| shape[axis])
    }

    /// For a volume whose token grid is `grid` before the turn: `restored[n] = turned[indices[n]]` puts the rows of
    /// the turned view's tokens (`[tokens, dim]`, row-major over D,H,W) back to where they were.
    pub fn restore_indices(self, grid: [usize; 3]) -> Vec<u32> {
        let tokens: usize = grid.iter().product();
        let rows: Vec<u32> = (0..u32::try_from(tokens).expect("a token grid has fewer than 2^32 tokens")).collect();
        self.inverse().apply(&rows, 1, self.turned_shape(grid))
    }
}

/// The turns by 0, 1, 2 and 3 quarters in the H,W plane.
pub fn quarter_turns() -> [SpatialElement; 4] {
    std::array::from_fn(|quarters| SpatialElement::rot90(quarters as i64, [1, 2]))
}

/// Rows that restore a whole batch: for `[batch * tokens, dim]`, volume `b` turned by `elements[b]`, the argument of
/// one `select` along the rows.
pub fn restore_rows(elements: &[SpatialElement], grid: [usize; 3]) -> Vec<u32> {
    let tokens: usize = grid.iter().product();
    let restore = |(b, element): (usize, &SpatialElement)| {
        let first = u32::try_from(b * tokens).expect("a batch has fewer than 2^32 tokens");
        element.restore_indices(grid).into_iter().map(move |row| first + row)
    };
    elements.iter().enumerate().flat_map(restore).collect()
}

impl fmt::Display for SpatialElement {
    /// For example `D→H, H→D, flip W`; mirrored axes are those of the result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::IDENTITY {
            return f.write_str("identity");
        }
        let moved = (0..3).filter_map(|from| {
            let to = self.axes.iter().position(|&axis| axis == from)?;
            (to != from).then(|| format!("{}→{}", AXES[from], AXES[to]))
        });
        let mirrored = (0..3).filter(|&o| self.flips[o]).map(|o| format!("flip {}", AXES[o]));
        f.write_str(&moved.chain(mirrored).collect::<Vec<_>>().join(", "))
    }
}

/// What a stored element looks like before it is known to be a permutation.
#[derive(Deserialize)]
struct RawElement {
    axes: [usize; 3],
    flips: [bool; 3],
}

impl TryFrom<RawElement> for SpatialElement {
    type Error = String;

    fn try_from(RawElement { axes, flips }: RawElement) -> Result<Self, String> {
        let is_permutation = (0..3).all(|axis| axes.contains(&axis));
        is_permutation.then_some(Self { axes, flips }).ok_or_else(|| format!("{axes:?} is no order of the axes 0, 1, 2"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_48_elements_are_a_group() {
        let all = SpatialElement::all();
        let distinct: BTreeSet<_> = all.iter().copied().collect();
        assert_eq!((all[0], distinct.len()), (SpatialElement::IDENTITY, 48));
        for &a in &all {
            assert_eq!(a.then(a.inverse()), SpatialElement::IDENTITY);
            assert_eq!(a.inverse().then(a), SpatialElement::IDENTITY);
            assert!(all.iter().all(|&b| distinct.contains(&a.then(b))));
        }
    }

    #[test]
    fn composition_is_one_after_the_other() {
        let shape = [2, 3, 4];
        let source: Vec<u32> = (0..24).collect();
        for a in SpatialElement::all() {
            let turned = a.apply(&source, 1, shape);
            for b in SpatialElement::all() {
                let twice = b.apply(&turned, 1, a.turned_shape(shape));
                assert_eq!(a.then(b).apply(&source, 1, shape), twice, "{a} then {b}");
            }
        }
    }

    #[test]
    fn names_say_where_axes_go() {
        assert_eq!(SpatialElement::IDENTITY.to_string(), "identity");
        assert_eq!(SpatialElement::POINT_REFLECTION.to_string(), "flip D, flip H, flip W");
        // A quarter turn of H towards W: what was W lies along H, backwards.
        assert_eq!(SpatialElement::rot90(1, [1, 2]).to_string(), "H→W, W→H, flip H");
        let cycle = SpatialElement { axes: [2, 0, 1], flips: [false, false, true] };
        assert_eq!(cycle.to_string(), "D→H, H→W, W→D, flip W");
    }

    #[test]
    fn stored_elements_come_back_and_broken_ones_are_refused() {
        for element in SpatialElement::all() {
            let text = serde_json::to_string(&element).unwrap();
            assert_eq!(serde_json::from_str::<SpatialElement>(&text).unwrap(), element);
        }
        let error = serde_json::from_str::<SpatialElement>(r#"{"axes":[0,0,2],"flips":[false,false,false]}"#).unwrap_err();
        assert!(error.to_string().contains("no order"), "{error}");
    }
}
