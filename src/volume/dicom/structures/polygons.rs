//! From contours to voxels: which slice a contour lies in, and which voxel centres lie inside.

use std::collections::{BTreeMap, BTreeSet};

use nalgebra::{Matrix3, Vector3};

use crate::volume::segment::Segment;
use crate::volume::{Fault, Grid};

/// Share of the distance of slices that a contour's corners may lie off their slice. Slices themselves may lie half as far off an even stack
/// ([`crate::volume::dicom::stack::OFF_SHARE`]).
pub(super) const OFF_SLICE: f64 = 0.1;

/// Steps of a voxel's edge to which corners are rounded, so that those that are meant to lie on centres and half-way between them do so
/// whatever the last digit of a header. Products of such numbers are exact up to 65 536 voxels.
const STEPS: f64 = 1024.0;

/// A structure, which DICOM calls a region of interest (ROI).
#[derive(Clone, Debug)]
pub(super) struct Roi {
    /// Label value.
    pub value: u16,
    pub segment: Segment,
    /// UID of the space (Frame of Reference) that the structure says its contours lie in; may be empty.
    pub space: String,
    /// Closed contours, each by its corners in L,P,S mm.
    pub contours: Vec<Vec<[f64; 3]>>,
}

/// The corners of a contour as (column, row) of its slice; voxel centres are whole numbers.
type Polygon = Vec<[f64; 2]>;

/// The contours of a structure by their slice.
type Slices = BTreeMap<usize, Vec<Polygon>>;

/// The labels `[D, H, W]` of structures on a grid, and what is to be said of them. A voxel belongs to a structure if its centre lies inside an odd
/// number of the structure's contours in its slice. A centre on a contour belongs to what follows it along the row, or, where the contour runs along
/// the row, to what follows it along the column: so to exactly one of two neighbours that share a contour. A contour of fewer than three different
/// corners counts as none, and one that a slice holds twice counts once.
///
/// # Errors
/// Contours that lie in no slice or reach beyond the image, structures that overlap.
pub(super) fn label_map(rois: &[Roi], grid: &Grid) -> Result<(Vec<u16>, Vec<String>), Fault> {
    let [_, rows, columns] = grid.shape;
    let mut labels: Vec<u16> = Vec::new();
    labels.try_reserve_exact(grid.len()).map_err(|error| Fault::Unreadable(error.to_string()))?;
    labels.resize(grid.len(), 0);
    let mut overlaps: BTreeMap<(u16, u16), usize> = BTreeMap::new();
    let (of_roi, mut notes) = by_slice(rois, grid)?;
    for (roi, slices) in rois.iter().zip(of_roi) {
        let (name, mut bare) = (&roi.segment.name, 0);
        for (&slice, polygons) in &slices {
            let pixels = inside(polygons, [rows, columns]);
            bare += usize::from(pixels.is_empty());
            for pixel in pixels {
                let label = &mut labels[slice * rows * columns + pixel];
                if *label != 0 {
                    *overlaps.entry((*label, roi.value)).or_default() += 1;
                }
                *label = roi.value;
            }
        }
        if bare > 0 {
            notes.push(format!("the contours of {name:?} enclose no voxel centre in {bare} of its {} slices", slices.len()));
        }
        let (Some((&first, _)), Some((&last, _))) = (slices.first_key_value(), slices.last_key_value()) else {
            if roi.contours.is_empty() {
                notes.push(format!("{name:?} holds no contour"));
            }
            continue;
        };
        let all = last - first + 1;
        if slices.len() < all {
            let lacking = all - slices.len();
            notes.push(format!(
                "{name:?} has no contour in {lacking} of the {all} slices from its first to its last; they are not filled in"
            ));
        }
    }
    match overlaps.into_iter().max_by_key(|&(_, voxels)| voxels) {
        Some(((a, b), voxels)) => {
            let name = |value: u16| rois.iter().find(|roi| roi.value == value).map_or_else(String::new, |roi| roi.segment.name.clone());
            Err(Fault::Overlap(name(a), name(b), voxels))
        }
        None => Ok((labels, notes)),
    }
}

/// The contours of each structure by their slice, and what is to be said of those that count for nothing.
///
/// # Errors
/// The first contour that lies in no slice or reaches beyond the image, and how many more do.
fn by_slice(rois: &[Roi], grid: &Grid) -> Result<(Vec<Slices>, Vec<String>), Fault> {
    let axes = Matrix3::from_fn(|row, column| grid.world_from_voxel[row][column]);
    let inverse = axes.try_inverse().ok_or_else(|| Fault::Structures("the axes of the image span no volume".to_owned()))?;
    let origin = Vector3::from(grid.world_mm([0.0; 3]));
    let index = |&[left, back, up]: &[f64; 3]| inverse * (Vector3::new(-left, -back, up) - origin);
    let (mut misplaced, mut of_roi, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for roi in rois {
        let mut slices = Slices::new();
        let mut seen: BTreeSet<(usize, Vec<[i64; 2]>)> = BTreeSet::new();
        let (mut flat, mut twice) = (0, 0);
        for contour in &roi.contours {
            let corners: Vec<Vector3<f64>> = contour.iter().map(index).collect();
            let different: BTreeSet<[i64; 3]> = corners.iter().map(|corner| [corner.x, corner.y, corner.z].map(steps)).collect();
            if different.len() < 3 {
                flat += 1;
                continue;
            }
            match slice_of(&corners, grid) {
                Ok(slice) => {
                    let rounded: Vec<[i64; 2]> = corners.iter().map(|corner| [corner.x, corner.y].map(steps)).collect();
                    let polygon = rounded.iter().map(|corner| corner.map(|at| at as f64 / STEPS)).collect();
                    if seen.insert((slice, from_its_least_corner(rounded))) {
                        slices.entry(slice).or_default().push(polygon);
                    } else {
                        twice += 1;
                    }
                }
                Err(cause) => {
                    let [left, back, up] = contour[0];
                    let place = format!("its contour at {left:.2}, {back:.2}, {up:.2} mm (L,P,S)");
                    misplaced.push(format!("{:?}: {place} {cause}", roi.segment.name));
                }
            }
        }
        let (name, all) = (&roi.segment.name, roi.contours.len());
        if flat > 0 {
            notes.push(format!(
                "contours of {name:?} with fewer than three different points enclose nothing ({flat} of {all} are left out)"
            ));
        }
        if twice > 0 {
            notes.push(format!("contours of {name:?} that a slice holds twice count once ({twice} of {all} are left out)"));
        }
        of_roi.push(slices);
    }
    let all: usize = rois.iter().map(|roi| roi.contours.len()).sum();
    match misplaced.first() {
        None => Ok((of_roi, notes)),
        Some(first) => Err(Fault::Structures(format!("{first} ({} of {all} contours are misplaced)", misplaced.len()))),
    }
}

/// A place in voxels as a whole number of steps.
fn steps(at: f64) -> i64 {
    (at * STEPS).round() as i64
}

/// A polygon without repeated neighbours, from its least corner on in the direction that makes it least: the same for every corner and direction that
/// it may be given from.
fn from_its_least_corner(mut corners: Vec<[i64; 2]>) -> Vec<[i64; 2]> {
    corners.dedup();
    if corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    let Some(&least) = corners.iter().min() else { return corners };
    let reversed = corners.iter().rev().copied().collect();
    let turned = |corners: Vec<[i64; 2]>| {
        let starts: Vec<usize> = (0..corners.len()).filter(|&start| corners[start] == least).collect();
        starts.into_iter().map(move |start| [&corners[start..], &corners[..start]].concat())
    };
    turned(corners).chain(turned(reversed)).min().unwrap_or_default()
}

/// The slice in which a contour lies, by its corners (i, j, k).
///
/// # Errors
/// It lies in none, or reaches beyond the image by a voxel or more; in words.
fn slice_of(corners: &[Vector3<f64>], grid: &Grid) -> Result<usize, String> {
    let range = |axis: usize| {
        corners.iter().map(|corner| corner[axis]).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)))
    };
    let ([slices, rows, columns], [between_mm, ..]) = (grid.shape.map(|count| count as f64), grid.spacing_mm());
    let (low, high) = range(2);
    let slice = f64::midpoint(low, high).round();
    let off = (low - slice).abs().max((high - slice).abs());
    if high - low > 2.0 * OFF_SLICE {
        return Err(format!("spans {:.2} mm across the slices: its plane is not theirs", (high - low) * between_mm));
    }
    if slice < 0.0 || slice >= slices {
        return Err(format!("lies {:.2} mm beyond the outermost slice", (-low).max(high - (slices - 1.0)) * between_mm));
    }
    if off > OFF_SLICE {
        return Err(format!("lies between slices, {:.2} mm off the nearest of them, which are {between_mm:.2} mm apart", off * between_mm));
    }
    let beyond = |axis: usize, count: f64| range(axis).0 <= -1.0 || range(axis).1 >= count;
    if beyond(0, columns) || beyond(1, rows) {
        return Err("reaches beyond the image".to_owned());
    }
    Ok(slice as usize)
}

/// The pixels (`row * columns + column`) whose centres lie inside an odd number of polygons.
fn inside(polygons: &[Polygon], [rows, columns]: [usize; 2]) -> Vec<usize> {
    // The first whole number from a place on.
    let from = |at: f64, count: usize| at.ceil().clamp(0.0, count as f64) as usize;
    let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); rows];
    for polygon in polygons {
        for (&a, &b) in polygon.iter().zip(polygon.iter().cycle().skip(1)) {
            // The same numbers in whichever direction an edge runs.
            let ([x, y], [end_x, end_y]) = if a[1] <= b[1] { (a, b) } else { (b, a) };
            let crossed = from(y, rows)..from(end_y, rows);
            for (row, places) in crossed.clone().zip(&mut crossings[crossed]) {
                places.push(x + (row as f64 - y) * (end_x - x) / (end_y - y));
            }
        }
    }
    let mut pixels = Vec::new();
    for (row, crossed) in crossings.iter_mut().enumerate() {
        crossed.sort_by(f64::total_cmp);
        for pair in crossed.chunks_exact(2) {
            pixels.extend((from(pair[0], columns)..from(pair[1], columns)).map(|column| row * columns + column));
        }
    }
    pixels
}
