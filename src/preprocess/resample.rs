//! A new voxel size along the grid's own axes: trilinear for intensities, nearest for labels.
//!
//! The conventions are those of MONAI 1.6's `Spacing` (checked by the fixtures):
//! * size along an axis: `(n - 1) * old / new + 1`, a half rounded to even;
//! * the first voxel keeps its place if the axes are at right angles to within 1e-8 voxels over the whole grid; else
//!   the grids' centres (index n / 2) are aligned. Headers store affines in float32, so that oblique grids nearly
//!   always count among the latter;
//! * beyond the outermost voxel centres the outermost value goes on.
//!
//! One departure: a sheared grid stays sheared, since the axes are never rotated. MONAI squares them.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::volume::{Grid, Volume};

/// Departure from right angles, in voxels of the new grid, up to which the first voxel keeps its place.
const RIGHT_ANGLE_TOLERANCE: f64 = 1e-8;

/// Change of voxel size in mm below which a grid stays as it is.
const SAME_SPACING_MM: f64 = 1e-3;

/// Where positions along an axis read: `start + step * index`, in voxels of the other grid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AxisMap {
    /// Place of the first voxel.
    pub start: f64,
    /// Distance of neighbours.
    pub step: f64,
}

/// A change of voxel size, planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resampling {
    /// Shape (D,H,W) before.
    pub from: [usize; 3],
    /// Grid after.
    pub grid: Grid,
    /// Along D,H,W: where the new grid's voxels lie on the old one.
    pub axes: [AxisMap; 3],
}

/// Neighbours and weight of each output position along an axis.
pub struct Taps {
    /// Input index at or before the position.
    pub lower: Vec<usize>,
    /// Input index after it.
    pub upper: Vec<usize>,
    /// Weight of `upper`; that of `lower` is the rest to 1.
    pub weight: Vec<f32>,
}

/// Resamples an image to a voxel size (mm along D,H,W). See the module for the conventions.
pub fn resample_trilinear(volume: &Volume, spacing_mm: [f64; 3]) -> Volume {
    match Resampling::plan(&volume.grid, spacing_mm) {
        None => volume.clone(),
        Some(plan) => Volume { channels: volume.channels, voxels: plan.trilinear(&volume.voxels), grid: plan.grid },
    }
}

impl AxisMap {
    fn place(self, index: usize) -> f64 {
        self.start + self.step * index as f64
    }

    /// The map from the other grid to this one.
    pub fn inverse(self) -> Self {
        Self { start: -self.start / self.step, step: self.step.recip() }
    }
}

impl Resampling {
    /// The plan from `grid` to a voxel size (mm along D,H,W); none if nothing changes by more than 0.001 mm.
    pub fn plan(grid: &Grid, spacing_mm: [f64; 3]) -> Option<Self> {
        let old = grid.spacing_mm();
        if old.iter().zip(spacing_mm).all(|(old, new)| (old - new).abs() <= SAME_SPACING_MM) {
            return None;
        }
        let step = [0, 1, 2].map(|axis| spacing_mm[axis] / old[axis]);
        let size = |axis: usize| ((grid.shape[axis] - 1) as f64 / step[axis] + 1.0).round_ties_even().max(1.0);
        let shape = [0, 1, 2].map(|axis| size(axis) as usize);
        let corner_stays = keeps_corner(grid, spacing_mm);
        let axes = [0, 1, 2].map(|axis| {
            let centred = grid.shape[axis] as f64 / 2.0 - shape[axis] as f64 / 2.0 * step[axis];
            AxisMap { start: if corner_stays { 0.0 } else { centred }, step: step[axis] }
        });
        let [d, h, w] = axes;
        let origin = grid.world_mm([w.start, h.start, d.start]);
        let mut world_from_voxel = grid.world_from_voxel;
        for (row, values) in world_from_voxel[..3].iter_mut().enumerate() {
            for (value, step) in values.iter_mut().zip([w.step, h.step, d.step]) {
                *value *= step;
            }
            values[3] = origin[row];
        }
        Some(Self { from: grid.shape, grid: Grid { shape, world_from_voxel }, axes })
    }

    /// Image channels `[channel, D, H, W]` on the new grid.
    pub fn trilinear(&self, voxels: &[f32]) -> Vec<f32> {
        let taps = self.taps();
        let mut resampled = vec![0.0; voxels.len() / size_of_grid(self.from) * self.grid.len()];
        let channels = voxels.chunks(size_of_grid(self.from)).zip(resampled.chunks_mut(self.grid.len()));
        channels.for_each(|(channel, out)| trilinear(channel, self.from, &taps, out));
        resampled
    }

    /// One channel `[D, H, W]` of the new grid on the old one.
    pub fn trilinear_back(&self, voxels: &[f32]) -> Vec<f32> {
        let mut resampled = vec![0.0; size_of_grid(self.from)];
        trilinear(voxels, self.grid.shape, &self.taps_back(), &mut resampled);
        resampled
    }

    /// Neighbours on the new grid of each position of the old one.
    pub fn taps_back(&self) -> [Taps; 3] {
        [0, 1, 2].map(|axis| Taps::new(self.axes[axis].inverse(), self.grid.shape[axis], self.from[axis]))
    }

    /// Class indices `[D, H, W]` on the new grid; a place exactly between two voxels takes the even index.
    pub fn nearest(&self, voxels: &[u8]) -> Vec<u8> {
        let [_, height, width] = self.from;
        let index = |axis: usize, n: usize| self.axes[axis].place(n).round_ties_even().clamp(0.0, (self.from[axis] - 1) as f64) as usize;
        let [depths, heights, widths] = [0, 1, 2].map(|axis| (0..self.grid.shape[axis]).map(|n| index(axis, n)).collect::<Vec<_>>());
        let mut resampled = Vec::with_capacity(self.grid.len());
        for d in depths {
            for &h in &heights {
                let row = &voxels[(d * height + h) * width..][..width];
                resampled.extend(widths.iter().map(|&w| row[w]));
            }
        }
        resampled
    }

    fn taps(&self) -> [Taps; 3] {
        [0, 1, 2].map(|axis| Taps::new(self.axes[axis], self.from[axis], self.grid.shape[axis]))
    }
}

/// Whether MONAI keeps the first voxel's place.
///
/// It squares the axes (Cholesky factor of their Gram matrix) and asks whether the first corner is the least along
/// every squared axis; the factor's off-diagonal part, rounding noise of the stored affine, says no if it is negative.
fn keeps_corner(grid: &Grid, spacing_mm: [f64; 3]) -> bool {
    let [x, y, z] = [0, 1, 2].map(|axis| grid.axis_mm(axis));
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let xx = dot(x, x).sqrt();
    let (xy, xz) = (dot(x, y) / xx, dot(x, z) / xx);
    let yy = (dot(y, y) - xy * xy).sqrt();
    let yz = (dot(y, z) - xy * xz) / yy;
    let [_, along_j, along_k] = [grid.shape[2], grid.shape[1], grid.shape[0]].map(|n| (n - 1) as f64);
    let [_, new_y, new_x] = spacing_mm;
    let least_x = ((xy * along_j).min(0.0) + (xz * along_k).min(0.0)) / new_x;
    let least_y = (yz * along_k).min(0.0) / new_y;
    least_x.min(least_y) >= -RIGHT_ANGLE_TOLERANCE
}

impl Taps {
    /// Linear interpolation of `outputs` positions on an axis of `inputs` voxels, clamped at its ends.
    pub fn new(map: AxisMap, inputs: usize, outputs: usize) -> Self {
        let last = inputs - 1;
        let places: Vec<f64> = (0..outputs).map(|index| map.place(index).clamp(0.0, last as f64)).collect();
        let lower: Vec<usize> = places.iter().map(|&place| place as usize).collect();
        let weight = places.iter().map(|place| place.fract() as f32).collect();
        Self { upper: lower.iter().map(|&index| (index + 1).min(last)).collect(), lower, weight }
    }

    /// Input indices and their weights at an output position.
    pub fn at(&self, index: usize) -> [(usize, f32); 2] {
        let weight = self.weight[index];
        [(self.lower[index], 1.0 - weight), (self.upper[index], weight)]
    }
}

fn size_of_grid(shape: [usize; 3]) -> usize {
    shape.iter().product()
}

/// Blends the four rows around each output row (long vectors, no gather), then interpolates along the blend.
fn trilinear(source: &[f32], shape: [usize; 3], taps: &[Taps; 3], out: &mut [f32]) {
    let [_, height, width] = shape;
    let [along_d, along_h, along_w] = taps;
    let (rows, columns) = (along_h.lower.len(), along_w.lower.len());
    let row = |d: usize, h: usize| &source[(d * height + h) * width..][..width];
    out.par_chunks_mut(rows * columns).enumerate().for_each_init(
        || vec![0.0; width],
        |blend, (d, plane)| {
            let [(d0, near), (d1, far)] = along_d.at(d);
            for (h, out) in plane.chunks_mut(columns).enumerate() {
                let [(h0, above), (h1, below)] = along_h.at(h);
                let weights = [near * above, near * below, far * above, far * below];
                blend_rows([row(d0, h0), row(d0, h1), row(d1, h0), row(d1, h1)], weights, blend);
                for (index, value) in out.iter_mut().enumerate() {
                    let (lower, upper) = (blend[along_w.lower[index]], blend[along_w.upper[index]]);
                    *value = lower + along_w.weight[index] * (upper - lower);
                }
            }
        },
    );
}

fn blend_rows([a, b, c, d]: [&[f32]; 4], [wa, wb, wc, wd]: [f32; 4], blend: &mut [f32]) {
    for ((((out, a), b), c), d) in blend.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *out = wa * a + wb * b + wc * c + wd * d;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear function of the place in the patient is reproduced inside the old grid, whatever the orientation.
    #[test]
    fn a_ramp_stays_a_ramp() {
        for grid in crate::geometry::all_grids([7, 9, 11], [2.5, 1.2, 0.8]) {
            let ramp = |grid: &Grid| -> Vec<f32> {
                (0..grid.len())
                    .map(|index| {
                        let [d, h, w] = crate::geometry::unravel(index, grid.shape).map(|n| n as f64);
                        let [x, y, z] = grid.world_mm([w, h, d]);
                        (3.0 * x - 2.0 * y + z) as f32
                    })
                    .collect()
            };
            let volume = Volume { channels: 1, voxels: ramp(&grid), grid };
            let resampled = resample_trilinear(&volume, [1.0, 1.0, 1.0]);
            let expected = ramp(&resampled.grid);
            let plan = Resampling::plan(&volume.grid, [1.0; 3]).expect("another spacing");
            let mut compared = 0;
            for (index, (got, expected)) in resampled.voxels.iter().zip(expected).enumerate() {
                let place = crate::geometry::unravel(index, plan.grid.shape);
                let inside = (0..3).all(|axis| {
                    let place = plan.axes[axis].place(place[axis]);
                    place >= 0.0 && place <= (plan.from[axis] - 1) as f64
                });
                assert!(!inside || (got - expected).abs() < 1e-3, "{got} is not {expected}");
                compared += usize::from(inside);
            }
            assert!(2 * compared > resampled.voxels.len(), "{compared} of {} voxels lie inside", resampled.voxels.len());
        }
    }

    #[test]
    fn a_spacing_that_is_already_there_changes_nothing() {
        let grid = Grid::axis_aligned([4, 5, 6], [2.0, 1.0, 1.0]);
        assert_eq!(Resampling::plan(&grid, [2.0004, 1.0, 0.9996]), None);
        let plan = Resampling::plan(&grid, [1.0, 2.0, 2.0]).expect("another spacing");
        // (5 - 1) / 2 + 1 = 3 and (6 - 1) / 2 + 1 = 3.5, which goes to the even 4.
        assert_eq!(plan.grid.shape, [7, 3, 4]);
        assert_eq!(plan.nearest(&(0..120).map(|v| v as u8).collect::<Vec<_>>())[..4], [0, 2, 4, 5]);
    }
}
