//! From slices in any order to an even stack, or the reason why they are none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nalgebra::Vector3;
use rayon::prelude::*;

use super::frames::{self, Frame};
use crate::volume::voxels::check_sizes;
use crate::volume::{DataErrors, Fault, Grid, affine};

/// A series before its voxels are read.
pub(super) struct Headers {
    /// From the lowest slice along the normal.
    pub frames: Vec<Frame>,
    pub grid: Grid,
    pub notes: Vec<String>,
}

/// Slices below which there is no volume.
const FEWEST: usize = 3;

/// Directions and pixel sizes that differ by less are equal: headers round them.
const EQUAL: f64 = 1e-3;

/// Millimetres that a slice may lie off the even stack before it is said.
pub(super) const OFF_MM: f64 = 0.01;

/// Share of the distance of slices that one may lie off the even stack.
pub(super) const OFF_SHARE: f64 = 0.05;

/// Degrees between the line through the slices and their normal from which the gantry was tilted.
pub(super) const TILT_DEGREES: f64 = 0.2;

/// Share of the usual distance up to which two slices lie at one place.
const REPEATED: f64 = 0.05;
/// Multiple of the usual distance from which slices are missing.
const MISSING: f64 = 1.5;

/// Gaps that a message names.
const SHOWN: usize = 3;

/// The headers of a series' files; `place` names it in messages.
///
/// # Errors
/// Everything that shows: broken headers, and, where there are none, what is no even stack of slices.
pub(super) fn headers(place: &Path, files: &[PathBuf]) -> Result<Headers, DataErrors> {
    let of_file = |(number, file): (usize, &PathBuf)| frames::of_file(file, number).map_err(|fault| fault.at(file));
    let read = DataErrors::gather(files.par_iter().enumerate().map(of_file).collect::<Vec<_>>());
    let read = read.map_err(|errors| errors.with_equal_ones_counted(place))?;
    stack(read.into_iter().flatten().collect(), files)
        .map_err(|faults| DataErrors(faults.into_iter().map(|fault| fault.at(place)).collect()))
}

/// Sorts the slices along their normal.
///
/// # Errors
/// Too few, or of several sizes or orientations; else several at one place, and missing ones; else uneven distances, and a tilted gantry.
fn stack(mut frames: Vec<Frame>, files: &[PathBuf]) -> Result<Headers, Vec<Fault>> {
    let mut notes = Vec::new();
    let given = frames.len();
    let mut seen = BTreeMap::new();
    frames.retain(|frame| {
        frame.instance.is_empty() || seen.insert((frame.instance.clone(), frame.number), frame.position) != Some(frame.position)
    });
    if frames.len() < given {
        notes.push(format!(
            "{} of its {given} images are copies of others (equal SOP Instance UID); they are left out",
            given - frames.len()
        ));
    }
    refuse_mixed(&frames).map_err(|fault| vec![fault])?;
    if frames.len() < FEWEST {
        return Err(vec![Fault::TooFewSlices(frames.len())]);
    }
    let [along_row, along_column] = frames[0].directions.map(Vector3::from);
    let normal = along_row.cross(&along_column).normalize();
    let height = |frame: &Frame| normal.dot(&Vector3::from(frame.position));
    frames.sort_by(|a, b| height(a).total_cmp(&height(b)));
    let heights: Vec<f64> = frames.iter().map(height).collect();
    let gaps: Vec<f64> = heights.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut sorted = gaps.clone();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted[sorted.len() / 2];
    let name = |frame: &Frame| {
        let file = files[frame.file].file_name().unwrap_or_default().to_string_lossy().into_owned();
        if frame.number == 0 { file } else { format!("{file} (frame {})", frame.number + 1) }
    };
    let names: Vec<String> = frames.iter().map(name).collect();
    let faults = Vec::from_iter(repeated(&gaps, usual, &names).into_iter().chain(missing(&gaps, usual, &names)));
    if !faults.is_empty() {
        return Err(faults);
    }
    let [first, last] = [&frames[0], &frames[frames.len() - 1]].map(|frame| Vector3::from(frame.position));
    let step = (last - first) / (frames.len() - 1) as f64;
    let tilt = step.normalize().cross(&normal).norm().asin().to_degrees();
    let off = |(at, frame): (usize, &Frame)| (Vector3::from(frame.position) - (first + step * at as f64)).norm();
    let (worst, off_mm) =
        frames.iter().enumerate().map(|pair| (pair.0, off(pair))).fold((0, 0.0), |worst, next| if next.1 > worst.1 { next } else { worst });
    let tilted = (tilt >= TILT_DEGREES).then_some(Fault::GantryTilt(tilt));
    let uneven = (off_mm > OFF_SHARE * usual).then(|| Fault::UnevenSlices(names[worst].clone(), off_mm, usual));
    if tilted.is_some() || uneven.is_some() {
        return Err(tilted.into_iter().chain(uneven).collect());
    }
    if off_mm > OFF_MM {
        notes.push(format!(
            "its slices are not quite even: {} lies {off_mm:.3} mm off; they are taken as {:.4} mm apart",
            names[worst],
            step.norm()
        ));
    }
    if let Some(thickness) = frames[0].thickness_mm.filter(|thickness| step.norm() > thickness * (1.0 + OFF_SHARE)) {
        notes.push(format!("its slices of {thickness} mm lie {:.2} mm apart: what lies in the gaps was not scanned", step.norm()));
    }
    if frames.iter().any(|frame| frame.inverted) {
        notes.push("larger values are darker (MONOCHROME1); they are taken as they are stored".to_owned());
    }
    if frames.iter().any(|frame| frame.lossy) {
        notes.push("it was once compressed with loss (Lossy Image Compression)".to_owned());
    }
    let grid = grid(&frames[0], frames.len(), step).map_err(|fault| vec![fault])?;
    Ok(Headers { frames, grid, notes })
}

/// Places that hold more than one of the slices with such `gaps`. Seldom, but never all: the usual distance is then that of different places.
fn repeated(gaps: &[f64], usual: f64, names: &[String]) -> Option<Fault> {
    let is_one = |gap: f64| gap <= OFF_MM.max(REPEATED * usual);
    let at = gaps.iter().position(|&gap| is_one(gap))?;
    let count = gaps.iter().filter(|&&gap| is_one(gap)).count();
    Some(Fault::RepeatedSlices(count, names[at].clone(), names[at + 1].clone()))
}

/// Gaps that slices are missing from.
fn missing(gaps: &[f64], usual: f64, names: &[String]) -> Option<Fault> {
    let wide = gaps.iter().enumerate().filter(|&(_, &gap)| gap > MISSING * usual);
    let missing: Vec<String> = wide
        .map(|(at, gap)| {
            let between = format!("between {} and {}", names[at], names[at + 1]);
            format!("{} {between}, which lie {gap:.2} mm apart instead of {usual:.2}", (gap / usual).round() as usize - 1)
        })
        .collect();
    let more = if missing.len() > SHOWN { format!(" and at {} more places", missing.len() - SHOWN) } else { String::new() };
    (!missing.is_empty()).then(|| Fault::MissingSlices(missing[..missing.len().min(SHOWN)].join("; ") + &more))
}

/// Refuses frames of several sizes or orientations.
pub(super) fn refuse_mixed(frames: &[Frame]) -> Result<(), Fault> {
    let same = |a: &Frame, b: &Frame| {
        let numbers = |frame: &Frame| [frame.directions[0].as_slice(), &frame.directions[1], &frame.spacing_mm].concat();
        (a.rows, a.columns) == (b.rows, b.columns) && numbers(a).iter().zip(numbers(b)).all(|(a, b)| (a - b).abs() < EQUAL)
    };
    let mut kinds: Vec<(&Frame, usize)> = Vec::new();
    for frame in frames {
        match kinds.iter_mut().find(|(kind, _)| same(kind, frame)) {
            Some((_, count)) => *count += 1,
            None => kinds.push((frame, 1)),
        }
    }
    if kinds.len() <= 1 {
        return Ok(());
    }
    let shown = kinds.iter().take(SHOWN).map(|(frame, count)| {
        let normal = Vector3::from(frame.directions[0]).cross(&Vector3::from(frame.directions[1]));
        let plane = ["sagittal", "coronal", "axial"][normal.iamax()];
        let [across, down] = frame.spacing_mm;
        format!("{count} {plane} of {} x {} pixels of {across:.3} x {down:.3} mm", frame.columns, frame.rows)
    });
    let more = if kinds.len() > SHOWN { format!(" and {} kinds more", kinds.len() - SHOWN) } else { String::new() };
    Err(Fault::MixedSlices(shown.collect::<Vec<_>>().join(", ") + &more))
}

/// The grid of so many slices from the `first` on, `step` L,P,S mm from one to the next.
///
/// # Errors
/// Axes that span no volume, sizes and places beyond reason.
pub(super) fn grid(first: &Frame, slices: usize, step: Vector3<f64>) -> Result<Grid, Fault> {
    let [across, down] = first.spacing_mm;
    let columns =
        [Vector3::from(first.directions[0]) * across, Vector3::from(first.directions[1]) * down, step, Vector3::from(first.position)];
    // Zero has no sign.
    let row = |row: usize, sign: f64| columns.map(|column| sign * column[row] + 0.0);
    let rows = [row(0, -1.0), row(1, -1.0), row(2, 1.0)];
    if let Some(fault) = affine::fault_of_axes(&rows) {
        return Err(Fault::header(
            "Pixel Spacing and Image Position (Patient)",
            format_args!("what {fault}"),
            "three axes that span a volume",
        ));
    }
    check_sizes([first.columns, first.rows, slices], 1, "its slices")?;
    affine::refuse_far(&rows, "Image Position (Patient)")?;
    Ok(Grid { shape: [slices, first.rows, first.columns], world_from_voxel: [rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]] })
}
