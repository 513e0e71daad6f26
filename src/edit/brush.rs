//! Which voxels a brush covers on its way: round and square brushes in millimetres, on any grid.

use std::array::from_fn;
use std::ops::{Range, RangeInclusive};

use nalgebra::{Matrix3, Vector3};

use crate::geometry::{Grid, ravel};

/// Share of a voxel and of a radius by which rounding may miss a voxel that lies on the rim.
const RIM: f64 = 1e-9;

/// The outline of a brush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrushShape {
    /// Voxels whose centre lies within the radius.
    Round,
    /// Voxels whose centre lies within the radius along each axis of the array.
    Square,
}

/// How far a brush reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrushExtent {
    /// One slice, of one index along this axis (0 = D, 1 = H, 2 = W).
    Plane(usize),
    /// All directions.
    Volume,
}

/// A brush. However small, it covers the voxels nearest to its path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brush {
    /// Half its width in mm in the patient, the same in all directions.
    pub radius_mm: f64,
    /// Its outline.
    pub shape: BrushShape,
    /// How far it reaches.
    pub extent: BrushExtent,
}

/// A segment in the patient, and how a row of voxels runs.
struct Sweep {
    /// From its begin to its end, in mm.
    way: Vector3<f64>,
    /// One voxel along W, in mm.
    step: Vector3<f64>,
    radius_mm: f64,
}

impl Brush {
    /// The voxels that the brush covers on its way `from` one point `to` another (D,H,W, whole numbers at voxel centres), as spans of indices of
    /// a volume of the grid, each within a row. Spans may overlap. A brush of one slice paints in that of `to`.
    pub(super) fn spans(&self, grid: &Grid, mut from: [f64; 3], mut to: [f64; 3]) -> Vec<Range<usize>> {
        if let BrushExtent::Plane(axis) = self.extent {
            to[axis] = to[axis].round();
            from[axis] = to[axis];
        }
        let mut spans = line(grid.shape, from, to);
        let reach = self.reach(grid);
        let [depths, heights, widths] = from_fn(|axis| {
            let all = whole_numbers(from[axis].min(to[axis]) - reach[axis], from[axis].max(to[axis]) + reach[axis]);
            *all.start().max(&0)..=*all.end().min(&(grid.shape[axis] as i64 - 1))
        });
        let sweep = Sweep::new(self.radius_mm, grid, from, to);
        for (d, h) in depths.flat_map(|d| heights.clone().map(move |h| (d, h))) {
            let covered = match self.shape {
                BrushShape::Round => sweep.row([d as f64 - from[0], h as f64 - from[1], -from[2]], grid),
                BrushShape::Square => square_row([d as f64, h as f64], from, to, reach),
            };
            let Some((first, last)) = covered else { continue };
            let row = whole_numbers(first.max(*widths.start() as f64), last.min(*widths.end() as f64));
            if row.start() <= row.end() {
                let start = ravel([d as usize, h as usize, *row.start() as usize], grid.shape);
                spans.push(start..start + (row.end() - row.start() + 1) as usize);
            }
        }
        spans
    }

    /// How far it reaches along D,H,W in voxels. On a sheared grid a ball reaches further along an axis than its radius.
    fn reach(&self, grid: &Grid) -> [f64; 3] {
        let radius_mm = self.radius_mm.max(0.0) * (1.0 + RIM);
        let spacing_mm = grid.spacing_mm();
        let of_ball = || {
            let [w, h, d] = [0, 1, 2].map(|axis| Vector3::from(grid.axis_mm(axis)));
            let axes = Matrix3::from_columns(&[d, h, w]);
            // No scan has such a grid; all of the volume is looked at then.
            (axes.transpose() * axes)
                .try_inverse()
                .map_or([f64::INFINITY; 3], |inverse| from_fn(|axis| radius_mm * inverse[(axis, axis)].sqrt()))
        };
        let reach = match self.shape {
            BrushShape::Round => of_ball(),
            BrushShape::Square => spacing_mm.map(|spacing| radius_mm / spacing),
        };
        from_fn(|axis| if self.extent == BrushExtent::Plane(axis) { 0.0 } else { reach[axis] })
    }
}

impl Sweep {
    fn new(radius_mm: f64, grid: &Grid, from: [f64; 3], to: [f64; 3]) -> Self {
        Self {
            way: in_mm(grid, from_fn(|axis| to[axis] - from[axis])),
            step: in_mm(grid, [0.0, 0.0, 1.0]),
            radius_mm: radius_mm.max(0.0) * (1.0 + RIM),
        }
    }

    /// From which W to which one a row lies within the radius of the segment; `offset` (D,H,W) is where W = 0 lies from the segment's begin.
    ///
    /// What is near a segment is convex, so that the row is in it from the first to the last place at which it is near its begin, its
    /// end or the line between.
    fn row(&self, offset: [f64; 3], grid: &Grid) -> Option<(f64, f64)> {
        let start = in_mm(grid, offset);
        let near =
            |from: Vector3<f64>, step: Vector3<f64>| roots(step.dot(&step), from.dot(&step), from.dot(&from) - self.radius_mm.powi(2));
        let squared = self.way.norm_squared();
        let between = (squared > 0.0).then(|| {
            let across = |vector: Vector3<f64>| vector - self.way * (vector.dot(&self.way) / squared);
            let (line, slab) = (near(across(start), across(self.step))?, slab(start.dot(&self.way), self.step.dot(&self.way), squared)?);
            Some((line.0.max(slab.0), line.1.min(slab.1))).filter(|(first, last)| first <= last)
        });
        let ends = [near(start, self.step), near(start - self.way, self.step)];
        let all = ends.into_iter().chain([between.flatten()]).flatten();
        all.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
}

/// A vector of D,H,W voxels in mm.
fn in_mm(grid: &Grid, [d, h, w]: [f64; 3]) -> Vector3<f64> {
    let [i, j, k] = [0, 1, 2].map(|axis| Vector3::from(grid.axis_mm(axis)));
    k * d + j * h + i * w
}

/// Where `a x² + 2 b x + c <= 0`, for `a >= 0`.
fn roots(a: f64, b: f64, c: f64) -> Option<(f64, f64)> {
    if a <= RIM * RIM {
        return (c <= 0.0).then_some((f64::NEG_INFINITY, f64::INFINITY));
    }
    let root = Some(b * b - a * c).filter(|square| *square >= 0.0)?.sqrt();
    Some(((-b - root) / a, (-b + root) / a))
}

/// Where `0 <= at + x step <= length`.
fn slab(at: f64, step: f64, length: f64) -> Option<(f64, f64)> {
    if step.abs() <= RIM * length.sqrt() {
        return (0.0..=length).contains(&at).then_some((f64::NEG_INFINITY, f64::INFINITY));
    }
    let (one, other) = (-at / step, (length - at) / step);
    Some((one.min(other), one.max(other)))
}

/// From which W to which one the row at D,H lies in a box of half size `reach` that moves `from` one point `to` another.
fn square_row(at: [f64; 2], from: [f64; 3], to: [f64; 3], reach: [f64; 3]) -> Option<(f64, f64)> {
    let [low, high] = [-1.0, 1.0].map(|side| [0, 1].map(|axis| at[axis] + side * (reach[axis] + RIM)));
    let shares = shares([from[0], from[1]], [to[0], to[1]], low, high)?;
    let place = |share: f64| from[2] + share * (to[2] - from[2]);
    let (first, last) = (place(shares.0), place(shares.1));
    Some((first.min(last) - reach[2], first.max(last) + reach[2]))
}

/// From which share of the way to which one every coordinate lies from `low` to `high`.
fn shares<const N: usize>(from: [f64; N], to: [f64; N], low: [f64; N], high: [f64; N]) -> Option<(f64, f64)> {
    let (mut first, mut last) = (0.0_f64, 1.0_f64);
    for axis in 0..N {
        let way = to[axis] - from[axis];
        if way == 0.0 {
            if !(low[axis]..=high[axis]).contains(&from[axis]) {
                return None;
            }
            continue;
        }
        let (one, other) = ((low[axis] - from[axis]) / way, (high[axis] - from[axis]) / way);
        (first, last) = (first.max(one.min(other)), last.min(one.max(other)));
    }
    (first <= last).then_some((first, last))
}

/// The voxels nearest to a segment, so close that none is missed, as far as they lie inside.
fn line(shape: [usize; 3], from: [f64; 3], to: [f64; 3]) -> Vec<Range<usize>> {
    let Some((first, last)) = shares(from, to, [-0.5; 3], shape.map(|length| length as f64 - 0.5)) else { return Vec::new() };
    let longest = (0..3).map(|axis| (last - first) * (to[axis] - from[axis]).abs()).fold(0.0, f64::max);
    let steps = (2.0 * longest).ceil().max(1.0);
    let nearest = |step: usize| -> [i64; 3] {
        let share = first + step as f64 / steps * (last - first);
        from_fn(|axis| (from[axis] + share * (to[axis] - from[axis])).round() as i64)
    };
    let inside = |at: [i64; 3]| (0..3).all(|axis| (0..shape[axis] as i64).contains(&at[axis]));
    let mut voxels: Vec<usize> =
        (0..=steps as usize).map(nearest).filter(|&at| inside(at)).map(|at| ravel(at.map(|at| at as usize), shape)).collect();
    voxels.dedup();
    voxels.into_iter().map(|index| index..index + 1).collect()
}

/// The whole numbers from `low` to `high`.
fn whole_numbers(low: f64, high: f64) -> RangeInclusive<i64> {
    (low - RIM).ceil() as i64..=(high + RIM).floor() as i64
}
