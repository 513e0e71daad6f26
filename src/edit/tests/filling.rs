//! Filling between slices.

use super::*;
use crate::edit::{Filled, fill_between};
use crate::geometry::unravel;

const SPACING_MM: [f64; 3] = [1.5, 1.0, 0.75];

/// A map whose voxels have the class that `class` gives for slice, and mm within it, along `axis`.
fn map(axis: usize, class: impl Fn(usize, [f64; 2]) -> u8) -> ClassVolume {
    let shape = [37, 38, 39];
    let others: Vec<usize> = (0..3).filter(|&other| other != axis).collect();
    let voxel = |index: usize| {
        let at = unravel(index, shape);
        let mm = |other: usize| (at[other] as f64 - 18.0) * SPACING_MM[other];
        class(at[axis], [mm(others[0]), mm(others[1])])
    };
    ClassVolume::new(&(0..shape.iter().product()).map(voxel).collect::<Vec<u8>>(), shape)
}

fn applied(classes: &ClassVolume, filled: &Filled, over: Over) -> LabelEdit {
    let mut edit = LabelEdit::new(Grid::axis_aligned(classes.shape(), SPACING_MM), classes.clone(), None);
    edit.apply_fill(filled, VALUES[usize::from(filled.class)], over);
    edit
}

#[test]
fn a_cone_is_filled_along_every_axis() {
    // From 12 mm in slice 4 to 4 mm in slice 20.
    let radius_mm = |slice: usize| 12.0 - 0.5 * (slice as f64 - 4.0);
    for axis in 0..3 {
        let inside = |slice: usize, [a, b]: [f64; 2]| a.hypot(b) <= radius_mm(slice);
        let painted = map(axis, |slice, at| u8::from([4, 12, 20].contains(&slice) && inside(slice, at)));
        let filled = fill_between(&painted, SPACING_MM, 1, axis).expect("three slices");
        assert_eq!((filled.painted.as_slice(), filled.filled.len(), filled.empty.len()), ([4, 12, 20].as_slice(), 14, 0));
        assert_eq!(filled.summary(), "Filled 14 slices between 3 painted ones.");
        let mut edit = applied(&painted, &filled, Over::Background);
        for (off_mm, name) in [(1.5, "too wide"), (-1.5, "too narrow")] {
            let limit = map(axis, |slice, [a, b]| u8::from((4..=20).contains(&slice) && a.hypot(b) <= radius_mm(slice) + off_mm));
            let beyond = |found: u8, limit: u8| if off_mm > 0.0 { found > limit } else { found < limit };
            let limit = limit.slices().collect::<Vec<_>>().concat();
            assert!(!bytes(&edit).iter().zip(&limit).any(|(&found, &limit)| beyond(found, limit)), "{name} along {axis}");
        }
        assert_eq!(edit.depth(), (1, 0));
        edit.undo();
        assert_eq!(edit.classes(), &painted);
    }
}

#[test]
fn two_labels_beside_each_other_are_filled_each_by_itself() {
    let painted = map(0, |slice, [h, w]| match slice {
        3 | 9 if h.abs() < 6.0 && (-8.0..0.0).contains(&w) => 1,
        3 | 9 if h.abs() < 6.0 && (0.0..8.0).contains(&w) => 2,
        6 if h.abs() < 1.0 && w.abs() < 1.0 => 3,
        _ => 0,
    });
    let expected = map(0, |slice, [h, w]| match slice {
        6 if h.abs() < 1.0 && w.abs() < 1.0 => 3,
        3..=9 if h.abs() < 6.0 && (-8.0..0.0).contains(&w) => 1,
        3..=9 if h.abs() < 6.0 && (0.0..8.0).contains(&w) => 2,
        _ => 0,
    });
    let mut edit = LabelEdit::new(Grid::axis_aligned(painted.shape(), SPACING_MM), painted.clone(), None);
    for class in [1, 2] {
        let filled = fill_between(edit.classes(), SPACING_MM, class, 0).expect("two slices");
        edit.apply_fill(&filled, VALUES[usize::from(class)], Over::Background);
    }
    assert_eq!(edit.classes(), &expected, "a third label between stays");
    let filled = fill_between(&painted, SPACING_MM, 1, 0).expect("two slices");
    let over_all = applied(&painted, &filled, Over::All);
    assert!(
        over_all.classes().slice(6).iter().filter(|&&class| class == 3).count()
            < painted.slice(6).iter().filter(|&&class| class == 3).count()
    );
}

#[test]
fn what_cannot_be_filled_is_said() {
    let refused = |painted: &[usize], axis: usize| {
        fill_between(&map(axis, |slice, _| u8::from(painted.contains(&slice))), SPACING_MM, 1, axis).expect_err("nothing to fill")
    };
    for axis in 0..3 {
        assert!(refused(&[], axis).starts_with("no slice holds this label"));
        assert!(refused(&[6], axis).starts_with("slice 7 alone"));
        assert!(refused(&[6, 7, 8], axis).starts_with("no slice lies between the 3"));
    }
    // Corner to corner: no voxel lies between the shapes.
    let apart = map(1, |slice, [d, w]| {
        u8::from((slice == 2 && d < -9.0 && w < -9.0) || (slice == 6 && d > 9.0 && w > 9.0) || (slice == 8 && d > 9.0))
    });
    let filled = fill_between(&apart, SPACING_MM, 1, 1).expect("three slices");
    assert_eq!((filled.filled.as_slice(), filled.empty.as_slice()), ([7].as_slice(), [3, 4, 5].as_slice()));
    assert_eq!(filled.summary(), "Filled slice 8 between 3 painted ones. Nothing lies between the shapes in 3 slices: paint there too.");
    // Whole slices, that reach every border.
    let whole = map(2, |slice, _| u8::from(slice == 0 || slice == 38));
    let filled = fill_between(&whole, SPACING_MM, 1, 2).expect("two slices");
    assert!(bytes(&applied(&whole, &filled, Over::Background)).iter().all(|&class| class == 1));
}
