//! Rotation and field of view of a labelled crop: one resampling, straight out of the prepared case, so that what lies beside the crop
//! comes into sight where the case has it.
//!
//! As nnU-Net (`SpatialTransform` and `create_affine_matrix_3d` of batchgeneratorsv2): a voxel whose distance from the crop's middle is
//! `x` reads the case at `R S x` from there; `S` is the field of view, and `R` rotates about D first, then about H, then about W. All of it is
//! in voxels.

use std::array::from_fn;

use nalgebra::{Matrix3, Rotation3, Vector3};
use rand::{Rng, RngExt as _};

use super::SamplingError;
use crate::config::AugmentConfig;
use crate::geometry::{VoxelBox, ravel};
use crate::preprocess::PreparedCase;

/// Where the voxels of a crop read the case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spatial {
    /// From the distance of a voxel to the crop's middle to that of what it reads, both along D,H,W.
    matrix: Matrix3<f64>,
}

impl Spatial {
    /// Draws from a config that was checked; none: the crop is to be cut as it lies.
    pub fn draw(config: &AugmentConfig, rng: &mut impl Rng) -> Option<Self> {
        let most = config.rotation_deg.to_radians();
        let rotates = rng.random_bool(config.rotation_p);
        let [about_d, about_h, about_w]: [f64; 3] = from_fn(|_| rng.random_range(-most..=most));
        let scales = rng.random_bool(config.field_of_view_p);
        let factor = rng.random_range(config.field_of_view[0]..=config.field_of_view[1]);
        let angles = match (rotates, config.in_plane) {
            (false, _) => [0.0; 3],
            (true, true) => [about_d, 0.0, 0.0],
            (true, false) => [about_d, about_h, about_w],
        };
        let factors = match (scales, config.in_plane) {
            (false, _) => [1.0; 3],
            (true, true) => [1.0, factor, factor],
            (true, false) => [factor; 3],
        };
        (rotates || scales).then(|| Self::new(angles, factors))
    }

    /// Rotated by `angles`, radians about D,H,W, and reaching `factors` times as far along D,H,W.
    fn new([about_d, about_h, about_w]: [f64; 3], factors: [f64; 3]) -> Self {
        let rotation = Rotation3::from_euler_angles(about_d, about_h, about_w);
        Self { matrix: rotation.into_inner() * Matrix3::from_diagonal(&Vector3::from(factors)) }
    }

    /// Image and label of `crop`, `[channel, crop]` and `[crop]`; of the case only what they read is read.
    ///
    /// # Errors
    /// A case that can no longer be read.
    pub fn cut(&self, case: &PreparedCase, crop: &VoxelBox, (image, label): (&mut [f32], &mut [u8])) -> Result<(), SamplingError> {
        let read = self.reach(crop, case.grid().shape);
        let (mut voxels, mut classes) = (vec![0.0; case.channels() * read.len()], vec![0; read.len()]);
        case.cut_image(&read, &mut voxels)?;
        case.cut_label(&read, &mut classes)?;
        let crop = VoxelBox::at(from_fn(|axis| crop.start[axis] - read.start[axis]), crop.shape());
        self.image(&crop, (&voxels, read.shape()), case.background(), image);
        self.label(&crop, (&classes, read.shape()), label);
        Ok(())
    }

    /// The voxels of a case of `shape` that `crop` may read; one at least.
    fn reach(&self, crop: &VoxelBox, shape: [usize; 3]) -> VoxelBox {
        let half = Vector3::from(crop.shape().map(|edge| (edge as f64 - 1.0) / 2.0));
        let reach = self.matrix.abs() * half;
        let [starts, ends]: [[i64; 3]; 2] = [-1.0, 1.0].map(|side| {
            from_fn(|axis| {
                let edge = crop.start[axis] as f64 + half[axis] + side * reach[axis];
                let last = shape[axis] as i64 - 1;
                if side < 0.0 { (edge.floor() as i64).clamp(0, last) } else { (edge.ceil() as i64 + 1).clamp(0, last) }
            })
        });
        VoxelBox::at(starts, from_fn(|axis| (ends[axis] - starts[axis] + 1) as usize))
    }

    /// The image of `crop`, `[channel, crop]`, from `source`, `[channel, D, H, W]` of `shape`, trilinear between its voxels. Around them all
    /// is `outside`, a value for each channel.
    fn image(&self, crop: &VoxelBox, (source, shape): (&[f32], [usize; 3]), outside: &[f32], image: &mut [f32]) {
        let [plane, row] = [shape[1] * shape[2], shape[2]];
        let neighbours = [0, 1, row, row + 1, plane, plane + 1, plane + row, plane + row + 1];
        let channels = || source.chunks_exact(shape[0] * plane).zip(outside);
        let size = crop.len();
        self.places(crop, |index, place| {
            let cell = place.map(f64::floor);
            let beyond = from_fn(|axis| (place[axis] - cell[axis]) as f32);
            let cell = cell.map(|n| n as i64);
            let whole = (0..3).all(|axis| cell[axis] >= 0 && cell[axis] + 1 < shape[axis] as i64);
            for (channel, (voxels, &outside)) in channels().enumerate() {
                let corners = if whole {
                    let first = ravel(cell.map(|n| n as usize), shape);
                    neighbours.map(|step| voxels[first + step])
                } else {
                    from_fn(|corner| {
                        let at = from_fn(|axis| cell[axis] + ((corner >> (2 - axis)) & 1) as i64);
                        inside(at, shape).map_or(outside, |voxel| voxels[voxel])
                    })
                };
                image[channel * size + index] = blend(corners, beyond);
            }
        });
    }

    /// The classes of `crop` from `source`, `[D, H, W]` of `shape`, each that of the nearest voxel; 0 around them.
    fn label(&self, crop: &VoxelBox, (source, shape): (&[u8], [usize; 3]), label: &mut [u8]) {
        self.places(crop, |index, place| {
            label[index] = inside(place.map(|n| (n + 0.5).floor() as i64), shape).map_or(0, |voxel| source[voxel]);
        });
    }

    /// Calls `read` with the number of each voxel of `crop`, row by row, and the place in the case that it reads.
    fn places(&self, crop: &VoxelBox, mut read: impl FnMut(usize, [f64; 3])) {
        let [depth, height, width] = crop.shape();
        let to_middle = Vector3::from([depth, height, width].map(|edge| (edge as f64 - 1.0) / 2.0));
        let middle = Vector3::from(crop.start.map(|n| n as f64)) + to_middle;
        let step: [f64; 3] = self.matrix.column(2).into_owned().into();
        for row in 0..depth * height {
            let first = Vector3::new((row / height) as f64, (row % height) as f64, 0.0);
            let start: [f64; 3] = (middle + self.matrix * (first - to_middle)).into();
            for w in 0..width {
                read(row * width + w, from_fn(|axis| start[axis] + w as f64 * step[axis]));
            }
        }
    }
}

/// The index of a voxel, if it is one of a volume of `shape`.
fn inside(at: [i64; 3], shape: [usize; 3]) -> Option<usize> {
    (0..3).all(|axis| (0..shape[axis] as i64).contains(&at[axis])).then(|| ravel(at.map(|n| n as usize), shape))
}

/// Between eight neighbours, W fastest, so far beyond the first along D,H,W.
fn blend(corners: [f32; 8], [along_d, along_h, along_w]: [f32; 3]) -> f32 {
    let mix = |near: f32, far: f32, beyond: f32| near + beyond * (far - near);
    let edges: [f32; 4] = from_fn(|edge| mix(corners[2 * edge], corners[2 * edge + 1], along_w));
    mix(mix(edges[0], edges[1], along_h), mix(edges[2], edges[3], along_h), along_d)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::*;
    use crate::geometry::unravel;
    use crate::random::stream;
    use crate::sampling::case::tests::of;

    const SHAPE: [usize; 3] = [7, 9, 8];

    /// Calls `check` with each place in a crop, D,H,W, and the two channels there.
    fn each(spatial: Spatial, crop: &VoxelBox, source: &[f32], mut check: impl FnMut([usize; 3], [f32; 2])) {
        let mut image = vec![f32::NAN; 2 * crop.len()];
        spatial.image(crop, (source, SHAPE), &[-1.0, -2.0], &mut image);
        (0..crop.len()).for_each(|index| check(unravel(index, crop.shape()), [image[index], image[crop.len() + index]]));
    }

    /// A quarter about an axis takes one of the others to the next: the voxel at a, b of the plane reads -b, a from the middle.
    #[test]
    fn quarters_are_exact_permutations_of_image_and_label_and_the_background_lies_around_them() {
        let source: Vec<f32> = (0..1008).map(|voxel| voxel as f32).collect();
        let classes: Vec<u8> = (0..504).map(|voxel| 1 + (voxel % 255) as u8).collect();
        for (axis, [a, b]) in [(0, [1, 2]), (1, [2, 0]), (2, [0, 1])] {
            for start in [[1, 2, 1], [-2, 3, 5]] {
                let crop = VoxelBox::at(start, [5; 3]);
                let mut angles = [0.0; 3];
                angles[axis] = FRAC_PI_2;
                let spatial = Spatial::new(angles, [1.0; 3]);
                let reads = |at: [usize; 3]| {
                    let mut place: [i64; 3] = from_fn(|axis| start[axis] + at[axis] as i64);
                    (place[a], place[b]) = (start[a] + 4 - at[b] as i64, start[b] + at[a] as i64);
                    inside(place, SHAPE)
                };
                each(spatial, &crop, &source, |at, values| {
                    let expected = reads(at).map_or([-1.0, -2.0], |voxel| [voxel as f32, (504 + voxel) as f32]);
                    let close = values.iter().zip(expected).all(|(value, expected)| (value - expected).abs() < 1e-3);
                    assert!(close, "axis {axis}, {at:?}: {values:?}, not {expected:?}");
                });
                let mut label = vec![255; 125];
                spatial.label(&crop, (&classes, SHAPE), &mut label);
                let expected: Vec<u8> = (0..125).map(|index| reads(unravel(index, [5; 3])).map_or(0, |voxel| classes[voxel])).collect();
                assert_eq!(label, expected, "axis {axis}");
            }
        }
    }

    #[test]
    fn a_ramp_stays_a_ramp_whatever_the_field_of_view() {
        let source: Vec<f32> = (0..1008)
            .map(|index| {
                let [d, h, w] = unravel(index % 504, SHAPE).map(|n| n as f32);
                3.0 * d - 2.0 * h + w
            })
            .collect();
        let crop = VoxelBox::at([2, 2, 1], [4, 4, 5]);
        for factors in [[0.5; 3], [1.0, 1.4, 1.4]] {
            each(Spatial::new([0.0; 3], factors), &crop, &source, |at, values| {
                let [d, h, w]: [f64; 3] = from_fn(|axis| {
                    let to_middle = [1.5, 1.5, 2.0][axis];
                    crop.start[axis] as f64 + to_middle + factors[axis] * (at[axis] as f64 - to_middle)
                });
                let expected = (3.0 * d - 2.0 * h + w) as f32;
                assert!(values.iter().all(|value| (value - expected).abs() < 1e-4), "{at:?}: {values:?}, not {expected}");
            });
        }
    }

    #[test]
    fn a_crop_of_a_prepared_case_reads_the_whole_of_what_it_needs() {
        let intensities: Vec<f32> = (0..1008).map(|voxel| voxel as f32).collect();
        let classes: Vec<u8> = (0..504).map(|voxel| (voxel % 251) as u8).collect();
        let case = of(0, SHAPE, intensities.clone(), Some(classes.clone()));
        let config = AugmentConfig { rotation_p: 0.5, rotation_deg: 180.0, field_of_view_p: 1.0, ..AugmentConfig::default() };
        for draw in 0..40 {
            let spatial = Spatial::draw(&config, &mut stream(9, "test", draw, 0)).expect("always scaled");
            let crop = VoxelBox::at([draw as i64 % 9 - 4, 3, draw as i64 % 5], [4, 3, 6]);
            let ([mut whole, mut cut], [mut whole_label, mut cut_label]) =
                ([(); 2].map(|()| vec![0.0; 144]), [(); 2].map(|()| vec![0; 72]));
            spatial.image(&crop, (&intensities, SHAPE), case.background(), &mut whole);
            spatial.label(&crop, (&classes, SHAPE), &mut whole_label);
            spatial.cut(&case, &crop, (&mut cut, &mut cut_label)).expect("a case in memory");
            assert!(whole.iter().zip(&cut).all(|(whole, cut)| (whole - cut).abs() < 1e-2), "{draw}: {whole:?}, not {cut:?}");
            assert_eq!(whole_label, cut_label, "{draw}");
        }
    }

    /// Of the eight voxels around a place the nearest weighs an eighth or more.
    #[test]
    fn labels_follow_the_image_at_any_angle() {
        let labels: Vec<u8> = (0..504).map(|index| u8::from(index * 7 / 3 % 5 < 2)).collect();
        let image: Vec<f32> = labels.iter().map(|&label| f32::from(label)).collect();
        let config = AugmentConfig { rotation_p: 1.0, rotation_deg: 180.0, field_of_view_p: 0.5, ..AugmentConfig::default() };
        let crop = VoxelBox::at([1, -1, 2], [4, 6, 8]);
        let mut found = [0; 2];
        for draw in 0..20 {
            let spatial = Spatial::draw(&config, &mut stream(5, "test", draw, 0)).expect("always rotated");
            let (mut values, mut label) = (vec![0.0; crop.len()], vec![0; crop.len()]);
            spatial.image(&crop, (&image, SHAPE), &[0.0], &mut values);
            spatial.label(&crop, (&labels, SHAPE), &mut label);
            for (value, label) in values.into_iter().zip(label) {
                found[usize::from(label)] += 1;
                let nearest = if label == 1 { value } else { 1.0 - value };
                assert!(nearest > 0.1249, "class {label} where the image is {value}");
            }
        }
        assert!(found.iter().all(|&voxels| voxels > 300), "{found:?}");
    }

    #[test]
    fn draws_follow_probabilities_and_ranges_and_leave_d_alone_where_they_should() {
        let config = AugmentConfig { rotation_p: 0.2, field_of_view_p: 0.3, ..AugmentConfig::default() };
        let draws = |config: &AugmentConfig| -> Vec<_> { (0..2000).map(|n| Spatial::draw(config, &mut stream(3, "test", n, 0))).collect() };
        let changed = draws(&config).into_iter().flatten().collect::<Vec<_>>();
        assert!((changed.len() as f64 / 2000.0 - 0.44).abs() < 0.04, "{} of 2000, not 1 - 0.8 * 0.7", changed.len());
        for Spatial { matrix } in changed {
            let factor = matrix.column(0).norm();
            assert!((0.7 - 1e-9..1.4 + 1e-9).contains(&factor), "{factor}");
            // The least cos² 30° - sin³ 30° is 0.625.
            assert!((0..3).all(|axis| matrix[(axis, axis)] / factor > 0.6), "{matrix}");
        }
        let in_plane = AugmentConfig { rotation_deg: 180.0, in_plane: true, ..config };
        for Spatial { matrix } in draws(&in_plane).into_iter().flatten() {
            assert_eq!([matrix.column(0).into_owned(), matrix.row(0).transpose()], [Vector3::x(); 2]);
        }
        assert!(draws(&AugmentConfig::default()).iter().all(Option::is_none));
    }
}
