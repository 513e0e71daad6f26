//! Filling a label between the slices that were painted: shape-based interpolation of signed distances (Raya and Udupa, "Shape-based interpolation
//! of multidimensional objects", IEEE Transactions on Medical Imaging 9(1), 1990), in mm within the slices.

use std::array::from_fn;
use std::ops::Range;

use rayon::prelude::*;

use super::class_volume::ClassVolume;
use crate::geometry::{VoxelBox, ravel};
use crate::metrics::squared_distances;

/// What filling between slices found, until it is painted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The label's class.
    pub class: u8,
    /// Along which axis (0 = D, 1 = H, 2 = W).
    pub axis: usize,
    /// Slices that hold the label, in their order.
    pub painted: Vec<usize>,
    /// Slices between them that are filled.
    pub filled: Vec<usize>,
    /// Slices between them for which nothing was found: the shapes on both sides lie too far apart.
    pub empty: Vec<usize>,
    /// The voxels to be painted.
    pub(super) spans: Vec<Range<usize>>,
}

impl Filled {
    /// What was found, in a sentence.
    pub fn summary(&self) -> String {
        let of = |slices: &[usize]| match slices {
            [one] => format!("slice {}", one + 1),
            slices => format!("{} slices", slices.len()),
        };
        let left = match self.empty.as_slice() {
            [] => String::new(),
            empty => format!(" Nothing lies between the shapes in {}: paint there too.", of(empty)),
        };
        format!("Filled {} between {} painted ones.{left}", of(&self.filled), self.painted.len())
    }
}

/// What lies between the slices along `axis` that hold a class; slices between neighbours are its to fill. `spacing_mm` is along D,H,W. As long as a pass
/// over the volume: better asked on a thread of its own, of a snapshot.
///
/// # Errors
/// Fewer than two slices that hold the class, or none between them, in words.
///
/// # Panics
/// Where `axis` is none of 0, 1 and 2: our own bug.
pub fn fill_between(classes: &ClassVolume, spacing_mm: [f64; 3], class: u8, axis: usize) -> Result<Filled, String> {
    let bounds = bounds(classes, class, axis);
    let painted: Vec<usize> = (0..bounds.len()).filter(|&slice| !bounds[slice].is_empty()).collect();
    match painted.as_slice() {
        [] => return Err("no slice holds this label: paint it in two slices with some between them".to_owned()),
        [one] => return Err(format!("slice {} alone holds this label: paint it in another slice, too", one + 1)),
        slices if slices.windows(2).all(|pair| pair[1] == pair[0] + 1) => {
            return Err(format!("no slice lies between the {} that hold this label", slices.len()));
        }
        _ => {}
    }
    let gaps: Vec<[usize; 2]> = painted.windows(2).map(|pair| [pair[0], pair[1]]).filter(|[from, to]| to - from > 1).collect();
    let one = |&[from, to]: &[usize; 2]| {
        let part = bounds[from].union(&bounds[to]);
        Gap::new(classes, spacing_mm, (class, axis, part), [from, to]).between()
    };
    let slices: Vec<(usize, Vec<Range<usize>>)> = gaps.par_iter().flat_map_iter(one).collect();
    let (filled, empty): (Vec<_>, Vec<_>) = slices.iter().partition(|(_, spans)| !spans.is_empty());
    let numbers = |slices: Vec<&(usize, _)>| slices.into_iter().map(|(slice, _)| *slice).collect();
    let (filled, empty) = (numbers(filled), numbers(empty));
    Ok(Filled { class, axis, painted, filled, empty, spans: slices.into_iter().flat_map(|(_, spans)| spans).collect() })
}

/// The box of a class in each slice along an axis; empty where it is not there.
fn bounds(classes: &ClassVolume, class: u8, axis: usize) -> Vec<VoxelBox> {
    let [depth, height, width] = classes.shape();
    let length = [depth, height, width][axis];
    let of_slice = |d: usize| {
        let mut found = vec![VoxelBox::EMPTY; if axis == 0 { 1 } else { length }];
        for (h, row) in classes.slice(d).chunks_exact(width).enumerate() {
            let Some(first) = row.iter().position(|&at| at == class) else { continue };
            let last = row.iter().rposition(|&at| at == class).unwrap_or(first);
            match axis {
                0 => found[0].include([d, h, first], [d, h, last]),
                1 => found[h].include([d, h, first], [d, h, last]),
                _ => (first..=last).filter(|&w| row[w] == class).for_each(|w| found[w].include([d, h, w], [d, h, w])),
            }
        }
        found
    };
    let all: Vec<Vec<VoxelBox>> = (0..depth).into_par_iter().map(of_slice).collect();
    if axis == 0 {
        return all.into_iter().flatten().collect();
    }
    (0..length).map(|at| all.iter().fold(VoxelBox::EMPTY, |whole, slice| whole.union(&slice[at]))).collect()
}

/// Two painted slices with others between them, and the signed distances of both: negative inside, mm.
struct Gap {
    ends: [usize; 2],
    axis: usize,
    shape: [usize; 3],
    /// The part of a slice that is looked at, along the two other axes.
    rows: Range<usize>,
    columns: Range<usize>,
    distances: [Vec<f64>; 2],
}

impl Gap {
    fn new(classes: &ClassVolume, spacing_mm: [f64; 3], (class, axis, part): (u8, usize, VoxelBox), ends: [usize; 2]) -> Self {
        let shape = classes.shape();
        let [row_axis, column_axis] = other_axes(axis);
        // The nearest voxel outside a shape touches it, and what is filled lies inside one of the two.
        let around = |axis: usize| (part.start[axis] - 1).max(0) as usize..(part.end[axis] + 1).min(shape[axis] as i64) as usize;
        let (rows, columns) = (around(row_axis), around(column_axis));
        let spacing = [1.0, spacing_mm[row_axis], spacing_mm[column_axis]];
        let mut gap = Self { ends, axis, shape, rows, columns, distances: [Vec::new(), Vec::new()] };
        gap.distances = ends.map(|slice| {
            let inside: Vec<bool> = gap.places().map(|place| classes.get(gap.voxel(slice, place)) == Some(class)).collect();
            gap.signed(&inside, spacing)
        });
        gap
    }

    /// Rows and columns of the part, row by row.
    fn places(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let columns = self.columns.clone();
        self.rows.clone().flat_map(move |row| columns.clone().map(move |column| [row, column]))
    }

    fn voxel(&self, slice: usize, [row, column]: [usize; 2]) -> [usize; 3] {
        let [row_axis, column_axis] = other_axes(self.axis);
        from_fn(|axis| {
            if axis == row_axis {
                row
            } else if axis == column_axis {
                column
            } else {
                slice
            }
        })
    }

    /// Distance to the shape outside of it, less that to its outside within.
    fn signed(&self, inside: &[bool], spacing: [f64; 3]) -> Vec<f64> {
        let shape = [1, self.rows.len(), self.columns.len()];
        let outside: Vec<bool> = inside.iter().map(|inside| !inside).collect();
        let all = vec![true; inside.len()];
        let [to_shape, to_outside] = [inside, &outside].map(|sites| squared_distances(&all, sites, shape, spacing));
        to_shape.into_iter().zip(to_outside).map(|(shape, outside)| shape.sqrt() - outside.sqrt()).collect()
    }

    /// Each slice between with its spans of voxels.
    fn between(self) -> impl Iterator<Item = (usize, Vec<Range<usize>>)> {
        let [from, to] = self.ends;
        (from + 1..to).map(move |slice| {
            let share = (slice - from) as f64 / (to - from) as f64;
            let signed = self.distances[0].iter().zip(&self.distances[1]).map(|(before, after)| (1.0 - share) * before + share * after);
            let mut spans: Vec<Range<usize>> = Vec::new();
            for (place, _) in self.places().zip(signed).filter(|(_, signed)| *signed < 0.0) {
                let index = ravel(self.voxel(slice, place), self.shape);
                match spans.last_mut() {
                    Some(span) if span.end == index => span.end += 1,
                    _ => spans.push(index..index + 1),
                }
            }
            (slice, spans)
        })
    }
}

/// The axes within a slice along another one.
fn other_axes(axis: usize) -> [usize; 2] {
    match axis {
        0 => [1, 2],
        1 => [0, 2],
        2 => [0, 1],
        axis => unreachable!("axis {axis} of a volume"),
    }
}
