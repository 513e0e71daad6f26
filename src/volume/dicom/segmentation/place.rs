//! Where the frames of a segmentation lie: the grid that they are part of, and the slice that each is.

use nalgebra::Vector3;

use crate::volume::dicom::frames::Frame;
use crate::volume::dicom::stack::{OFF_MM, OFF_SHARE, TILT_DEGREES, grid, refuse_mixed};
use crate::volume::{Fault, Grid};

/// The grid from the lowest to the highest frame along their normal, and the slice of each frame. `between_mm` is the distance of slices
/// that the header gives; where it does not fit the frames, the least distance of two counts.
///
/// # Errors
/// Frames of several sizes or orientations, at uneven distances, shifted against each other; one place alone without a distance.
pub(super) fn placed(frames: &[Frame], between_mm: Option<f64>) -> Result<(Grid, Vec<usize>), Fault> {
    refuse_mixed(frames)?;
    let Some(any) = frames.first() else { return Err(Fault::Segmentation("it holds no frame".to_owned())) };
    let [along_row, along_column] = any.directions.map(Vector3::from);
    let normal = along_row.cross(&along_column).normalize();
    let height = |frame: &Frame| normal.dot(&Vector3::from(frame.position));
    let mut sorted: Vec<(f64, &Frame)> = frames.iter().map(|frame| (height(frame), frame)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ((lowest, first), (highest, last)) = (sorted[0], sorted[sorted.len() - 1]);
    let gaps: Vec<f64> = sorted.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|&gap| gap > OFF_MM).collect();
    let fits = |unit: f64| gaps.iter().all(|gap| ((gap / unit).round() * unit - gap).abs() <= OFF_SHARE * unit && gap / unit > 0.5);
    let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let unit = between_mm.filter(|&unit| unit > OFF_MM && fits(unit)).or_else(|| (least.is_finite() && fits(least)).then_some(least));
    let Some(unit) = unit else {
        return Err(Fault::Segmentation(match gaps.len() {
            0 => "all its frames lie in one slice, and it gives no distance of slices".to_owned(),
            _ => "its frames lie at uneven distances".to_owned(),
        }));
    };
    let steps = ((highest - lowest) / unit).round();
    let [begin, end] = [first, last].map(|frame| Vector3::from(frame.position));
    let step = if steps > 0.0 { (end - begin) / steps } else { normal * unit };
    let tilt = step.normalize().cross(&normal).norm().asin().to_degrees();
    if tilt >= TILT_DEGREES {
        return Err(Fault::GantryTilt(tilt));
    }
    let slices = frames.iter().map(|frame| {
        let slice = (step.dot(&(Vector3::from(frame.position) - begin)) / step.norm_squared()).round().max(0.0);
        let off = (begin + step * slice - Vector3::from(frame.position)).norm();
        if off > OFF_SHARE * unit {
            return Err(Fault::Segmentation(format!("its frame {} lies {off:.2} mm off an even stack of {unit:.2} mm", frame.number + 1)));
        }
        Ok(slice as usize)
    });
    let slices = slices.collect::<Result<Vec<_>, Fault>>()?;
    Ok((grid(first, steps as usize + 1, step)?, slices))
}
