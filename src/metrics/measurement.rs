//! What is measured by hand: lengths and circles in the patient, and intensities in a circle or under each label.
//!
//! Points are D,H,W in parts of voxels. Lengths go by the affine, so that they hold on oblique, sheared and anisotropic grids alike.

use rayon::prelude::*;

use crate::geometry::{Grid, ravel};

/// Distance of two points in mm.
pub fn length_mm(grid: &Grid, [from, to]: [[f64; 3]; 2]) -> f64 {
    let steps = [0, 1, 2].map(|axis: usize| (to[axis] - from[axis], grid.axis_mm(2 - axis)));
    [0, 1, 2].map(|row: usize| steps.iter().map(|(step, mm)| step * mm[row]).sum::<f64>().powi(2)).iter().sum::<f64>().sqrt()
}

/// Intensities of some voxels. The deviation is that of a sample (n - 1), as in ImageJ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intensities {
    /// Voxels with a finite intensity: all below is of them.
    pub voxels: u64,
    /// Voxels that are NaN or infinite.
    pub not_finite: u64,
    /// Least and greatest; the wrong way round where there is no voxel.
    pub range: [f32; 2],
    mean: f64,
    /// Sum of squared differences from the mean.
    squares: f64,
}

impl Default for Intensities {
    fn default() -> Self {
        Self { voxels: 0, not_finite: 0, range: [f32::INFINITY, f32::NEG_INFINITY], mean: 0.0, squares: 0.0 }
    }
}

impl Intensities {
    /// Their mean; none of no voxels.
    pub fn mean(&self) -> Option<f64> {
        (self.voxels > 0).then_some(self.mean)
    }

    /// Their standard deviation; none of fewer than two voxels.
    pub fn deviation(&self) -> Option<f64> {
        (self.voxels > 1).then(|| (self.squares / (self.voxels - 1) as f64).sqrt())
    }

    fn add(&mut self, value: f32) {
        if !value.is_finite() {
            self.not_finite += 1;
            return;
        }
        self.voxels += 1;
        self.range = [self.range[0].min(value), self.range[1].max(value)];
        let off = f64::from(value) - self.mean;
        self.mean += off / self.voxels as f64;
        self.squares += off * (f64::from(value) - self.mean);
    }

    fn merge(&mut self, other: &Self) {
        self.not_finite += other.not_finite;
        if other.voxels == 0 {
            return;
        }
        let (mine, theirs) = (self.voxels as f64, other.voxels as f64);
        let off = other.mean - self.mean;
        self.voxels += other.voxels;
        self.range = [self.range[0].min(other.range[0]), self.range[1].max(other.range[1])];
        self.mean += off * theirs / (mine + theirs);
        self.squares += other.squares + off * off * mine * theirs / (mine + theirs);
    }
}

impl FromIterator<f32> for Intensities {
    fn from_iter<T: IntoIterator<Item = f32>>(values: T) -> Self {
        let mut all = Self::default();
        values.into_iter().for_each(|value| all.add(value));
        all
    }
}

/// Intensities of `image`, `[D, H, W]`, under each of `classes` class indices of `slices`, one `[H, W]` for each index of D. The order of
/// sums goes by slices, and not by the number of threads.
///
/// # Panics
/// If an index in `slices` is not below `classes`.
pub fn under_labels(image: &[f32], slices: &[&[u8]], classes: usize) -> Vec<Intensities> {
    let plane = slices.first().map_or(1, |slice| slice.len().max(1));
    let block = |(image, labels): (&[f32], &[u8])| {
        let mut found = vec![Intensities::default(); classes];
        image.iter().zip(labels).for_each(|(&value, &class)| found[usize::from(class)].add(value));
        found
    };
    let blocks: Vec<Vec<Intensities>> = image.par_chunks(plane).zip(slices.par_iter().copied()).map(block).collect();
    let mut all = vec![Intensities::default(); classes];
    for block in blocks {
        all.iter_mut().zip(&block).for_each(|(all, part)| all.merge(part));
    }
    all
}

/// A circle on a slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    /// D,H,W; whole along `through`.
    pub centre: [f64; 3],
    /// In the patient.
    pub radius_mm: f64,
    /// Array axis perpendicular to the slice.
    pub through: usize,
}

impl Circle {
    /// Its own area, whatever voxels it holds.
    pub fn area_mm2(&self) -> f64 {
        std::f64::consts::PI * self.radius_mm.powi(2)
    }

    /// The array axes of its slice.
    fn axes(&self) -> [usize; 2] {
        [(self.through + 1) % 3, (self.through + 2) % 3]
    }

    /// How far it reaches along the axes of its slice, in voxels to each side.
    fn reach(&self, grid: &Grid) -> [f64; 2] {
        let [a, b] = self.axes().map(|axis| grid.axis_mm(2 - axis));
        let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (aa, bb, ab) = (dot(a, a), dot(b, b), dot(a, b));
        // An ellipse of voxels where the grid is sheared: its extent by the inverse of the axes' products.
        let determinant = aa * bb - ab * ab;
        [bb, aa].map(|other| self.radius_mm * (other / determinant).sqrt())
    }

    /// Whether a part of it lies outside the volume.
    pub fn is_cut(&self, grid: &Grid) -> bool {
        let beyond = |(axis, reach): (usize, f64)| {
            let last = grid.shape[axis] as f64 - 0.5;
            self.centre[axis] - reach < -0.5 || self.centre[axis] + reach > last
        };
        self.axes().into_iter().zip(self.reach(grid)).any(beyond)
    }

    /// Intensities of the voxels whose centres lie inside it; `image` is one channel, `[D, H, W]`.
    pub fn intensities(&self, grid: &Grid, image: &[f32]) -> Intensities {
        let [a, b] = self.axes();
        let [reach_a, reach_b] = self.reach(grid);
        let range = |axis: usize, reach: f64| {
            let first = (self.centre[axis] - reach).floor().max(0.0) as usize;
            first..((self.centre[axis] + reach).ceil().max(-1.0) + 1.0).min(grid.shape[axis] as f64) as usize
        };
        let mut voxel = [0; 3];
        voxel[self.through] = self.centre[self.through].round().max(0.0) as usize;
        let mut found = Intensities::default();
        for at in range(a, reach_a) {
            for beside in range(b, reach_b) {
                (voxel[a], voxel[b]) = (at, beside);
                if length_mm(grid, [self.centre, voxel.map(|index| index as f64)]) <= self.radius_mm {
                    found.add(image[ravel(voxel, grid.shape)]);
                }
            }
        }
        found
    }

    /// So many points of its rim, one after the other.
    pub fn rim(&self, grid: &Grid, points: usize) -> Vec<[f64; 3]> {
        let [a, b] = self.axes();
        let spacing_mm = grid.spacing_mm();
        let point = |index: usize| {
            let (sin, cos) = (std::f64::consts::TAU * index as f64 / points as f64).sin_cos();
            let mut towards = self.centre;
            (towards[a], towards[b]) = (towards[a] + cos / spacing_mm[a], towards[b] + sin / spacing_mm[b]);
            let far = self.radius_mm / length_mm(grid, [self.centre, towards]);
            [0, 1, 2].map(|axis: usize| self.centre[axis] + (towards[axis] - self.centre[axis]) * far)
        };
        (0..points).map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;
    use crate::geometry::{all_grids, unravel};

    /// The 96 grids of all orientations, straight and oblique, and a sheared one.
    fn grids() -> Vec<Grid> {
        let mut grids = all_grids([5, 9, 7], [3.1, 0.9, 1.4]);
        let mut sheared = grids[1].clone();
        (0..3).for_each(|row| sheared.world_from_voxel[row][0] += 0.4 * sheared.world_from_voxel[row][1]);
        assert!(sheared.shear() > 0.1);
        grids.push(sheared);
        grids
    }

    /// By both points' places in the patient.
    fn apart_mm(grid: &Grid, points: [[f64; 3]; 2]) -> f64 {
        let [a, b] = points.map(|[d, h, w]| grid.world_mm([w, h, d]));
        ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)).sqrt()
    }

    #[test]
    fn lengths_are_those_in_the_patient_in_every_orientation() {
        let points = [[0.25, 7.5, 1.0], [3.0, 0.5, 6.25]];
        for grid in grids() {
            let found = length_mm(&grid, points);
            assert!((found - apart_mm(&grid, points)).abs() < 1e-9, "{}: {found}", grid.axis_codes());
        }
        let right_angled = length_mm(&Grid::axis_aligned([5, 9, 7], [3.0, 2.0, 1.0]), [[0.0; 3], [1.0, 2.0, 12.0]]);
        assert!((right_angled - 13.0).abs() < 1e-12, "3, 4 and 12 mm");
    }

    #[test]
    fn a_circle_holds_the_voxels_that_a_search_finds_and_its_rim_is_as_far_as_it_says() {
        let mut random = crate::random::stream(7, "circles", 0, 0);
        let (mut cut, mut empty, mut held) = (0, 0, 0);
        for grid in grids() {
            let image: Vec<f32> = (0..grid.len()).map(|index| (index * 37 % 101) as f32).collect();
            for through in 0..3 {
                let mut centre = grid.shape.map(|voxels| random.random_range(-0.5..voxels as f64 - 0.5));
                centre[through] = centre[through].round().clamp(0.0, grid.shape[through] as f64 - 1.0);
                let circle = Circle { centre, radius_mm: random.random_range(0.2..7.0), through };
                let inside = |index: &usize| {
                    let voxel = unravel(*index, grid.shape).map(|index| index as f64);
                    voxel[through] == centre[through] && apart_mm(&grid, [centre, voxel]) <= circle.radius_mm
                };
                let values: Vec<f64> = (0..grid.len()).filter(inside).map(|index| f64::from(image[index])).collect();
                let found = circle.intensities(&grid, &image);
                assert_eq!(found.voxels as usize, values.len(), "{} through {through}", grid.axis_codes());
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                if let Some(found) = found.mean() {
                    assert!((found - mean).abs() < 1e-9);
                }
                if let Some(found) = found.deviation() {
                    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
                    assert!((found - (squares / (values.len() as f64 - 1.0)).sqrt()).abs() < 1e-9);
                }
                for end in [f64::min, f64::max].into_iter().zip(found.range).filter(|_| !values.is_empty()) {
                    assert_eq!(values.iter().copied().reduce(end.0), Some(f64::from(end.1)));
                }
                let rim = circle.rim(&grid, 90);
                let beyond = |axis: usize, at: f64| at < -0.5 || at > grid.shape[axis] as f64 - 0.5;
                let leaves = rim.iter().any(|point| (0..3).any(|axis| beyond(axis, point[axis])));
                assert!(circle.is_cut(&grid) || !leaves, "no point of an uncut circle is outside");
                assert!(rim.iter().all(|point| point[through] == centre[through]));
                assert!(rim.iter().all(|&point| (apart_mm(&grid, [centre, point]) - circle.radius_mm).abs() < 1e-9));
                (cut, empty, held) = (cut + usize::from(leaves), empty + usize::from(values.is_empty()), held + values.len());
            }
        }
        assert!(cut > 20 && empty > 5 && held > 1000, "{cut} cut, {empty} without a voxel, {held} voxels");
        let whole = Circle { centre: [2.0, 4.0, 3.0], radius_mm: 1.5, through: 0 };
        assert!(!whole.is_cut(&Grid::axis_aligned([5, 9, 7], [1.0; 3])) && (whole.area_mm2() - 7.068_583_470_577).abs() < 1e-9);
    }

    /// Voxels of a slice.
    const SLICE: usize = 1 << 14;

    #[test]
    fn intensities_are_counted_apart_for_each_label_in_all_slices() {
        // Many slices, large numbers with a small spread, and some that are none.
        let count = 130 * SLICE;
        let labels: Vec<u8> = (0..count).map(|index| (index % 3) as u8).collect();
        let value = |index: usize| if index % 1000 == 1 { f32::NAN } else { 100_000.0 + (index % 7) as f32 };
        let image: Vec<f32> = (0..count).map(value).collect();
        let found = under_labels(&image, &labels.chunks(SLICE).collect::<Vec<_>>(), 4);
        for (class, found) in found.iter().enumerate() {
            let of = || (0..count).filter(|index| index % 3 == class).map(|index| f64::from(image[index]));
            let finite: Vec<f64> = of().filter(|value| value.is_finite()).collect();
            assert_eq!((found.voxels as usize, found.not_finite as usize), (finite.len(), of().count() - finite.len()));
            if class == 3 {
                assert_eq!((found.mean(), found.deviation()), (None, None));
                continue;
            }
            let mean = finite.iter().sum::<f64>() / finite.len() as f64;
            let deviation = (finite.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (finite.len() - 1) as f64).sqrt();
            assert!((found.mean().unwrap() - mean).abs() < 1e-6 && (found.deviation().unwrap() - deviation).abs() < 1e-9);
            assert_eq!(found.range, [100_000.0, 100_006.0]);
        }
        let one: Intensities = [5.0].into_iter().collect();
        assert_eq!((one.mean(), one.deviation()), (Some(5.0), None));
    }
}
