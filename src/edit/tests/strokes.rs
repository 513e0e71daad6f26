//! Which voxels a stroke paints.

use std::collections::BTreeSet;

use rand::RngExt as _;

use super::*;
use crate::geometry::{all_grids, unravel};
use crate::random::stream;

/// Grids of every orientation, straight and oblique, and a sheared one.
fn grids() -> Vec<Grid> {
    let shape = [7, 9, 10];
    let mut sheared = Grid::axis_aligned(shape, [3.0, 1.3, 0.8]);
    (sheared.world_from_voxel[0][2], sheared.world_from_voxel[1][0]) = (0.9, -0.3);
    all_grids(shape, [3.0, 1.3, 0.8]).into_iter().chain([sheared]).collect()
}

/// Distance in mm of a voxel to a segment between two points (D,H,W) of the grid.
fn distance_mm(grid: &Grid, voxel: [usize; 3], from: [f64; 3], to: [f64; 3]) -> f64 {
    let [at, from, to] = [voxel.map(|at| at as f64), from, to].map(|[d, h, w]| grid.world_mm([w, h, d]));
    let dot = |a: [f64; 3], b: [f64; 3]| (0..3).map(|axis| a[axis] * b[axis]).sum::<f64>();
    let less = |a: [f64; 3], b: [f64; 3]| [0, 1, 2].map(|axis| a[axis] - b[axis]);
    let (way, offset) = (less(to, from), less(at, from));
    let share = if dot(way, way) == 0.0 { 0.0 } else { (dot(offset, way) / dot(way, way)).clamp(0.0, 1.0) };
    let off = less(offset, way.map(|step| share * step));
    dot(off, off).sqrt()
}

/// Whether some point of a segment is nearest to a voxel, by a hundredth of a voxel.
fn is_on_the_way(voxel: [usize; 3], from: [f64; 3], to: [f64; 3]) -> bool {
    (0..=2000)
        .map(|step| f64::from(step) / 2000.0)
        .any(|share| (0..3).all(|axis| (from[axis] + share * (to[axis] - from[axis]) - voxel[axis] as f64).abs() <= 0.51))
}

fn covered(brush: Brush, grid: &Grid, from: [f64; 3], to: [f64; 3]) -> BTreeSet<usize> {
    brush.spans(grid, from, to).into_iter().flatten().collect()
}

#[test]
fn a_round_brush_covers_what_lies_within_its_radius_on_every_grid() {
    let mut random = stream(1, "round strokes", 0, 0);
    for (number, grid) in grids().into_iter().enumerate() {
        let extents = [BrushExtent::Volume, BrushExtent::Plane(0), BrushExtent::Plane(1), BrushExtent::Plane(2)];
        let extent = extents[number % 4];
        let radius_mm = random.random_range(0.5..4.0);
        let brush = Brush { extent, ..round(radius_mm) };
        let place = grid.shape.map(|length| random.random_range(-1.0..length as f64));
        let end = grid.shape.map(|length| random.random_range(-1.0..length as f64));
        let to = if number % 5 == 0 { place } else { end };
        let (mut begin, mut finish) = (place, to);
        if let BrushExtent::Plane(axis) = extent {
            (begin[axis], finish[axis]) = (to[axis].round(), to[axis].round());
        }
        let found = covered(brush, &grid, place, to);
        for index in 0..grid.len() {
            let voxel = unravel(index, grid.shape);
            let in_slice = if let BrushExtent::Plane(axis) = extent { voxel[axis] as f64 == finish[axis] } else { true };
            let near = in_slice && distance_mm(&grid, voxel, begin, finish) <= radius_mm;
            let expected = near || is_on_the_way(voxel, begin, finish);
            assert!(!near || found.contains(&index), "{voxel:?} is missing on {grid}");
            assert!(!found.contains(&index) || expected, "{voxel:?} is painted on {grid}");
        }
    }
}

#[test]
fn a_voxel_on_the_rim_is_inside() {
    let grid = Grid::axis_aligned([9, 9, 9], [1.0; 3]);
    let middle = [4.0; 3];
    assert_eq!(covered(round(2.0), &grid, middle, middle).len(), 33);
    for axis in 0..3 {
        let extent = BrushExtent::Plane(axis);
        assert_eq!(covered(Brush { extent, ..round(2.0) }, &grid, middle, middle).len(), 13);
        let square = Brush { radius_mm: 2.0, shape: BrushShape::Square, extent };
        assert_eq!(covered(square, &grid, middle, middle).len(), 25);
    }
    let thick = Grid::axis_aligned([9, 9, 9], [5.0, 1.0, 0.5]);
    assert_eq!(covered(round(2.0), &thick, middle, middle).len(), 9 + 2 * 7 + 2, "one slice, 2 mm in it along H and W");
    let square = Brush { radius_mm: 2.0, shape: BrushShape::Square, extent: BrushExtent::Volume };
    assert_eq!(covered(square, &thick, middle, middle).len(), 5 * 9);
}

#[test]
fn a_square_brush_leaves_the_box_that_it_swept() {
    let grid = Grid::axis_aligned([9, 10, 11], [2.0, 1.0, 0.7]);
    let mut random = stream(2, "square strokes", 0, 0);
    for _ in 0..50 {
        let radius_mm = random.random_range(0.8..3.0);
        let brush = Brush { radius_mm, shape: BrushShape::Square, extent: BrushExtent::Volume };
        let [from, to] = [0; 2].map(|_| grid.shape.map(|length| random.random_range(-2.0..length as f64 + 1.0)));
        let found = covered(brush, &grid, from, to);
        let reach = grid.spacing_mm().map(|spacing| radius_mm / spacing);
        for index in 0..grid.len() {
            let voxel = unravel(index, grid.shape);
            // From which share of the way to which one the box holds the voxel.
            let shares = (0..3).map(|axis| {
                let (offset, way) = (voxel[axis] as f64 - from[axis], to[axis] - from[axis]);
                let [one, other] = [(offset - reach[axis]) / way, (offset + reach[axis]) / way];
                (one.min(other), one.max(other))
            });
            let (first, last) = shares.fold((0.0_f64, 1.0_f64), |all, one| (all.0.max(one.0), all.1.min(one.1)));
            assert!(first > last || found.contains(&index), "{voxel:?} is missing, {from:?} to {to:?}");
            assert!(!found.contains(&index) || first <= last || is_on_the_way(voxel, from, to), "{voxel:?}, {from:?} to {to:?}");
        }
    }
}

#[test]
fn a_fast_move_leaves_no_gap_and_looks_at_no_voxel_twice() {
    let grid = Grid::axis_aligned([20, 60, 70], [3.0, 0.7, 0.7]);
    let (from, to) = ([1.0, 2.0, 3.0], [18.0, 57.0, 66.0]);
    let found = covered(round(0.0), &grid, from, to);
    let voxels: Vec<[usize; 3]> = found.iter().map(|&index| unravel(index, grid.shape)).collect();
    assert!(voxels.len() >= 64, "{} voxels", voxels.len());
    let mut reached = BTreeSet::from([voxels[0]]);
    let mut open = vec![voxels[0]];
    while let Some(at) = open.pop() {
        let touches = |other: &&[usize; 3]| (0..3).all(|axis| at[axis].abs_diff(other[axis]) <= 1);
        open.extend(voxels.iter().filter(touches).copied().filter(|&next| reached.insert(next)));
    }
    assert_eq!(reached.len(), voxels.len(), "one piece");

    let brush = round(5.0);
    let looked_at: usize = brush.spans(&grid, from, to).iter().map(ExactSizeIterator::len).sum();
    let painted = covered(brush, &grid, from, to).len();
    assert!(looked_at <= painted + voxels.len(), "{looked_at} for {painted}");
}

#[test]
fn a_stroke_is_clipped_at_the_borders() {
    let grid = Grid::axis_aligned([5, 6, 7], [2.0, 1.0, 1.0]);
    let all_labels = Paint { label: label(1), over: Over::All, brush: round(1.6) };
    let mut edit = blank(&grid);
    edit.begin_stroke(all_labels);
    let changed = edit.stroke([2.0, 3.0, -4.0], [2.0, 3.0, 30.0], None);
    assert_eq!((changed.start, changed.end), ([2, 2, 0], [3, 5, 7]));
    let part = edit.classes().cut(changed);
    assert_eq!((part.len(), part.iter().all(|&class| class == 1)), (21, true));
    assert!(edit.stroke([2.0, 3.0, -4.0], [2.0, 3.0, 30.0], None).is_empty(), "nothing changes a second time");
    assert!(
        edit.stroke([-9.0, 3.0, 3.0], [-9.0, 5.0, 3.0], None).is_empty() && edit.stroke([2.0, 3.0, 99.0], [2.0, 3.0, 1e9], None).is_empty()
    );
    assert!(edit.end_stroke());

    let outside = Brush { extent: BrushExtent::Plane(0), ..round(9.0) };
    edit.begin_stroke(Paint { brush: outside, ..all_labels });
    assert!(edit.stroke([0.0; 3], [-1.0, 0.0, 0.0], None).is_empty() && edit.stroke([0.0; 3], [5.0, 0.0, 0.0], None).is_empty());
    assert!(!edit.end_stroke());
    assert_eq!(edit.depth(), (1, 0));
    assert!(edit.stroke([1.0; 3], [1.0; 3], None).is_empty(), "no stroke is under way");
}

#[test]
fn a_flat_brush_paints_in_the_slice_of_its_end() {
    let grid = Grid::axis_aligned([6, 6, 6], [1.0; 3]);
    for axis in 0..3 {
        let mut edit = blank(&grid);
        let brush = Brush { extent: BrushExtent::Plane(axis), ..round(1.5) };
        let (mut from, mut to) = ([2.0; 3], [2.0; 3]);
        (from[axis], to[axis], to[(axis + 1) % 3]) = (0.0, 3.4, 4.0);
        paint(&mut edit, Paint { label: label(2), over: Over::All, brush }, from, to);
        let slices: BTreeSet<usize> =
            (0..grid.len()).filter(|&index| bytes(&edit)[index] == 2).map(|index| unravel(index, grid.shape)[axis]).collect();
        assert_eq!(slices, BTreeSet::from([3]));
    }
}

#[test]
fn only_what_may_be_painted_over_is() {
    let grid = Grid::axis_aligned([1, 1, 6], [1.0; 3]);
    let start = [0, 1, 2, 3, 0, 1];
    let after = |class: u8, over: Over| {
        let mut edit = LabelEdit::new(grid.clone(), ClassVolume::new(&start, grid.shape), None);
        paint(&mut edit, Paint { label: label(class), over, brush: round(0.4) }, [0.0; 3], [0.0, 0.0, 5.0]);
        bytes(&edit)
    };
    assert_eq!(after(2, Over::All), [2; 6]);
    assert_eq!(after(2, Over::Background), [2, 1, 2, 3, 2, 1]);
    assert_eq!(after(2, Over::Label(1)), [0, 2, 2, 3, 0, 2]);
    assert_eq!(after(0, Over::Label(1)), [0, 0, 2, 3, 0, 0], "the eraser takes one label");
    assert_eq!(after(0, Over::All), [0; 6]);
    assert_eq!(after(0, Over::Background), start);
}

#[test]
fn a_threshold_keeps_a_stroke_to_its_range() {
    let grid = Grid::axis_aligned([1, 2, 5], [1.0; 3]);
    let image = [1.0, f32::NAN, 3.0, 4.0, 5.0, f32::INFINITY, 2.0, 2.999, 3.0, -1.0];
    let mut edit = blank(&grid);
    edit.begin_stroke(Paint { label: label(1), over: Over::All, brush: round(1.0) });
    let changed = edit.stroke([0.0; 3], [0.0, 0.0, 4.0], Some(WithinRange { voxels: &image, range: &(2.0..=4.0) }));
    assert_eq!(bytes(&edit), [0, 0, 1, 1, 0, 0, 1, 1, 1, 0]);
    assert_eq!((changed.start, changed.end), ([0, 0, 1], [1, 2, 4]));
    edit.undo();
    assert_eq!(bytes(&edit), [0; 10], "the stroke under way was ended, and taken back");
}
