//! From class indices on the prepared grid back to the scanner's grid, and into a file.
//!
//! Undoes the crop, the change of voxel size and the reorientation to RAS, in that order. Between voxel sizes each class present
//! is interpolated on its own (trilinear of its 0/1 map) and the strongest wins, which keeps borders smooth where
//! nearest-neighbour would make stairs. One slice is in work at a time on each thread: memory does not grow with the
//! number of classes.

use std::ops::Range;

use rayon::prelude::*;

use crate::geometry::VoxelBox;
use crate::preprocess::PreprocessRecord;
use crate::preprocess::resample::Taps;
use crate::volume::LabelMap;

/// Class indices on the prepared grid (`[D, H, W]`) as label values on the scanner's grid.
///
/// `label_values[class]` is the value of a class; what the crop cut away is class 0.
pub fn to_source(classes: Vec<u8>, record: &PreprocessRecord, label_values: &[u32]) -> LabelMap {
    assert_eq!(classes.len(), record.crop.len(), "one class for each voxel of the prepared grid");
    let shape = record.resampled_shape();
    let whole = record.crop.paste(classes, shape, 0);
    let oriented = match &record.resampling {
        None => whole,
        Some(plan) => strongest_class(&whole, shape, &plan.taps_back()),
    };
    let voxels = record.orientation.inverse().reorient(oriented, record.oriented_shape());
    let value = |class: u8| u16::try_from(label_values[usize::from(class)]).expect("label values are at most 65535");
    LabelMap { grid: record.source.clone(), voxels: voxels.into_iter().map(value).collect() }
}

/// For each output position the class whose 0/1 map, interpolated, is largest there; of equals the first.
fn strongest_class(classes: &[u8], shape: [usize; 3], taps: &[Taps; 3]) -> Vec<u8> {
    let boxes = class_boxes(classes, shape);
    let [d_taps, h_taps, w_taps] = taps;
    let [depth, height, width] = taps.each_ref().map(|taps| taps.lower.len());
    let mut labels = vec![0; depth * height * width];
    let scratch = || (vec![0.0_f32; height * width], vec![0.0_f32; shape[2]]);
    labels.par_chunks_mut(height * width).enumerate().for_each_init(scratch, |(best, blend), (d, plane)| {
        best.fill(0.0);
        for (class, bounds) in &boxes {
            if !touching(d_taps, &bounds[0]).contains(&d) {
                continue;
            }
            let columns = touching(w_taps, &bounds[2]);
            for h in touching(h_taps, &bounds[1]) {
                share_of_class(classes, shape, *class, [d_taps.at(d), h_taps.at(h)], blend);
                for w in columns.clone() {
                    let [(lower, before), (upper, after)] = w_taps.at(w);
                    let share = before * blend[lower] + after * blend[upper];
                    let at = h * width + w;
                    if share > best[at] {
                        best[at] = share;
                        plane[at] = *class;
                    }
                }
            }
        }
    });
    labels
}

/// Along one input row, how much of the four rows around an output row is of a class.
fn share_of_class(classes: &[u8], [_, height, width]: [usize; 3], class: u8, [planes, rows]: [[(usize, f32); 2]; 2], share: &mut [f32]) {
    share.fill(0.0);
    for (d, of_plane) in planes {
        for (h, of_row) in rows {
            let weight = of_plane * of_row;
            if weight == 0.0 {
                continue;
            }
            let row = &classes[(d * height + h) * width..][..width];
            for (share, &found) in share.iter_mut().zip(row) {
                *share += if found == class { weight } else { 0.0 };
            }
        }
    }
}

/// Output positions that read any of the `inputs`. Taps ascend, so they are one range.
fn touching(taps: &Taps, inputs: &Range<usize>) -> Range<usize> {
    taps.upper.partition_point(|&upper| upper < inputs.start)..taps.lower.partition_point(|&lower| lower < inputs.end)
}

/// The classes present, ascending, each with its bounding box.
fn class_boxes(classes: &[u8], shape: [usize; 3]) -> Vec<(u8, [Range<usize>; 3])> {
    let [_, height, width] = shape;
    let mut boxes = vec![VoxelBox::EMPTY; 256];
    for (line, row) in classes.chunks(width).enumerate() {
        let at = |w: usize| [line / height, line % height, w];
        let mut first = 0;
        for run in row.chunk_by(|a, b| a == b) {
            boxes[usize::from(run[0])].include(at(first), at(first + run.len() - 1));
            first += run.len();
        }
    }
    (0..=u8::MAX).zip(boxes).filter(|(_, bounds)| !bounds.is_empty()).map(|(class, bounds)| (class, bounds.ranges())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PreprocessConfig;
    use crate::geometry::{all_grids, unravel};
    use crate::preprocess::{Case, prepare_one};
    use crate::volume::{Grid, LoadedCase, Scan, SourceHeader, Volume, nifti};

    const LABEL_VALUES: [u32; 3] = [0, 7, 300];

    /// An image with a border to crop, and labels without any symmetry.
    fn phantom(grid: &Grid, label: impl Fn([f64; 3]) -> u16) -> LoadedCase {
        let inside = |at: [usize; 3]| (0..3).all(|axis| at[axis] > 0 && at[axis] + 2 < grid.shape[axis]);
        let places = (0..grid.len()).map(|index| unravel(index, grid.shape));
        let world = |[d, h, w]: [usize; 3]| grid.world_mm([w as f64, h as f64, d as f64]);
        let image = places.clone().enumerate().map(|(index, at)| if inside(at) { 1.0 + (index % 13) as f32 } else { 0.0 });
        let labels = places.map(|at| if inside(at) { label(world(at)) } else { 0 });
        let volume = Volume { channels: 1, voxels: image.collect(), grid: grid.clone() };
        let image = Scan { file: "phantom".into(), header: SourceHeader::for_grid(grid), volume, notes: Vec::new() };
        LoadedCase { image, label: Some(LabelMap { grid: grid.clone(), voxels: labels.collect() }) }
    }

    fn prepare(case: &LoadedCase, spacing_mm: Option<[f64; 3]>) -> Case {
        let config = PreprocessConfig { spacing_mm, ..PreprocessConfig::default() };
        prepare_one("phantom", case.clone(), &LABEL_VALUES, &config).expect("known labels")
    }

    fn there_and_back(case: &LoadedCase, spacing_mm: Option<[f64; 3]>) -> LabelMap {
        let prepared = prepare(case, spacing_mm);
        assert_eq!(prepared.image.grid.axis_codes(), "RAS");
        let label = prepared.label.expect("a label");
        assert_eq!(label.len(), prepared.image.grid.len());
        assert!(label.len() < case.image.volume.grid.len() || spacing_mm.is_some(), "the border is cropped");
        to_source(label, &prepared.preprocess_record, &LABEL_VALUES)
    }

    #[test]
    fn without_resampling_the_way_back_is_exact_from_every_orientation() {
        let folder = tempfile::tempdir().expect("a folder");
        for (number, grid) in all_grids([6, 7, 9], [3.0, 2.0, 1.0]).iter().enumerate() {
            let case = phantom(grid, |[x, y, z]| if x + 2.0 * y > 20.0 + z { 300 } else { u16::from(x > 12.0) * 7 });
            let truth = case.label.clone().expect("a label");
            assert!([7, 300].iter().all(|value| truth.voxels.contains(value)) || number > 0, "the phantom has both labels");
            let back = there_and_back(&case, None);
            assert_eq!(back, truth, "from {}", grid.axis_codes());
            let file = folder.path().join("back.nii.gz");
            nifti::write_labels(&file, &back, &case.image.header).expect("a writable folder");
            let read = nifti::read(&file).expect("our own file");
            assert_eq!(read.header.as_bytes()[76..108], case.image.header.as_bytes()[76..108], "pixdim");
            assert_eq!(read.header.as_bytes()[252..344], case.image.header.as_bytes()[252..344], "qform and sform");
            assert!(read.volume.voxels.iter().zip(&truth.voxels).all(|(&a, &b)| a == f32::from(b)));
        }
    }

    fn dice(a: &LabelMap, b: &LabelMap, value: u16) -> f64 {
        let count = |map: &LabelMap| map.voxels.iter().filter(|&&v| v == value).count();
        let both = a.voxels.iter().zip(&b.voxels).filter(|&(&a, &b)| a == value && b == value).count();
        2.0 * both as f64 / (count(a) + count(b)) as f64
    }

    /// Centre of mass in mm.
    fn centre(map: &LabelMap, value: u16) -> [f64; 3] {
        let inside = || (0..map.voxels.len()).filter(|&index| map.voxels[index] == value);
        let world = |index| {
            let [d, h, w] = unravel(index, map.grid.shape);
            map.grid.world_mm([w as f64, h as f64, d as f64])
        };
        let sum = inside().map(world).fold([0.0; 3], |sum, at| [sum[0] + at[0], sum[1] + at[1], sum[2] + at[2]]);
        sum.map(|total| total / inside().count() as f64)
    }

    /// Labels there and back, and a ball drawn on the prepared grid as a prediction is. Half a voxel's shift (0.5 to 1 mm)
    /// would be a mistake; what remains is the roughness of both grids.
    #[test]
    fn with_resampling_a_ball_stays_a_ball_from_every_orientation() {
        let (mut returned, mut drawn, mut shift_mm) = (1.0_f64, 1.0_f64, 0.0_f64);
        for grid in all_grids([24, 40, 44], [2.0, 1.2, 1.0]) {
            let middle = grid.world_mm([22.3, 19.1, 11.7]);
            let distance = |at: [f64; 3]| at.iter().zip(middle).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            let class = |at: [f64; 3]| [2, 1, 0][usize::from(distance(at) > 14.0) + usize::from(distance(at) > 18.0)];
            let case = phantom(&grid, |at| LABEL_VALUES[class(at)] as u16);
            let truth = case.label.clone().expect("a label");
            returned = returned.min(dice(&there_and_back(&case, Some([1.5; 3])), &truth, 300));

            let prepared = prepare(&case, Some([1.5; 3]));
            let on_grid = &prepared.image.grid;
            let world = |[d, h, w]: [usize; 3]| on_grid.world_mm([w as f64, h as f64, d as f64]);
            let classes = (0..on_grid.len()).map(|index| class(world(unravel(index, on_grid.shape))) as u8).collect();
            let back = to_source(classes, &prepared.preprocess_record, &LABEL_VALUES);
            drawn = drawn.min(dice(&back, &truth, 300));
            let moved = centre(&back, 300).iter().zip(centre(&truth, 300)).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            shift_mm = shift_mm.max(moved.sqrt());
        }
        println!(
            "ball of 14 mm, 2 x 1.2 x 1 mm over 1.5 mm and back: smallest Dice {returned:.4}; \
             drawn at 1.5 mm: {drawn:.4}, its centre moved {shift_mm:.3} mm"
        );
        assert!(returned > 0.95 && drawn > 0.97 && shift_mm < 0.2, "{returned} {drawn} {shift_mm}");
    }
}
