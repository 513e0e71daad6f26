//! One case from scanner grid to network input, and the record by which a segmentation gets back.

use serde::{Deserialize, Serialize};

use super::resample::Resampling;
use super::{foreground, intensity};
use crate::config::{Intensity, PreprocessConfig};
use crate::geometry::{SignedPermutation, VoxelBox};
use crate::volume::{DataError, Fault, Grid, LabelMap, LoadedCase, Note, SourceHeader, Volume};

/// A case as the networks see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name in the dataset.
    pub name: String,
    /// Normalised intensities.
    pub image: Volume,
    /// Class indices on the image's grid, `[D, H, W]`.
    pub label: Option<Vec<u8>>,
    /// How a segmentation gets back to the scanner's grid.
    pub preprocess_record: PreprocessRecord,
    /// What was assumed, left out or replaced in its files.
    pub notes: Vec<Note>,
}

/// What was done to a case's grid, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreprocessRecord {
    /// Header of the (first) image file.
    pub header: SourceHeader,
    /// The scanner's grid.
    pub source: Grid,
    /// Its reorientation to RAS.
    pub orientation: SignedPermutation,
    /// The change of voxel size of the reoriented grid, if any.
    pub resampling: Option<Resampling>,
    /// The part of the resampled grid that was kept.
    pub crop: VoxelBox,
}

impl PreprocessRecord {
    /// Shape of the reoriented grid.
    pub fn oriented_shape(&self) -> [usize; 3] {
        self.orientation.shape(self.source.shape)
    }

    /// Shape after resampling, before the crop.
    pub fn resampled_shape(&self) -> [usize; 3] {
        self.resampling.as_ref().map_or_else(|| self.oriented_shape(), |plan| plan.grid.shape)
    }
}

/// Prepares one loaded case, of a dataset or not; `label_values` are the label values of the class indices.
///
/// # Errors
/// A label value that is not among `label_values`.
pub fn prepare_one(name: &str, loaded: LoadedCase, label_values: &[u32], config: &PreprocessConfig) -> Result<Case, DataError> {
    let LoadedCase { image: scan, label } = loaded;
    let label = label.map(|label| classes(&label, label_values).map_err(|fault| fault.at(&scan.file))).transpose()?;
    let source = scan.volume.grid.clone();
    let orientation = SignedPermutation::to_ras(&source);
    let mut image = orient(scan.volume, orientation);
    let mut label = label.map(|label| orientation.reorient(label, source.shape));
    let resampling = config.spacing_mm.and_then(|spacing_mm| Resampling::plan(&image.grid, spacing_mm));
    if let Some(plan) = &resampling {
        image = Volume { channels: image.channels, voxels: plan.trilinear(&image.voxels), grid: plan.grid.clone() };
        label = label.map(|label| plan.nearest(&label));
    }
    let (image, crop) = scale_and_box(image, config);
    let shape = image.grid.shape;
    let image = Volume { channels: image.channels, voxels: crop.cut(image.voxels, shape), grid: crop.grid(&image.grid) };
    let label = label.map(|label| crop.cut(label, shape));
    let preprocess_record = PreprocessRecord { header: scan.header, source, orientation, resampling, crop };
    Ok(Case { name: name.to_owned(), image, label, preprocess_record, notes: scan.notes })
}

/// Reorients an image.
pub fn orient(volume: Volume, orientation: SignedPermutation) -> Volume {
    let grid = orientation.grid(&volume.grid);
    Volume { channels: volume.channels, voxels: orientation.reorient(volume.voxels, volume.grid.shape), grid }
}

/// Normalises an image and finds the box of its foreground: above the lower end of the window for CT, above the channel's minimum for MRI. An
/// image without foreground is kept whole.
pub fn scale_and_box(mut image: Volume, config: &PreprocessConfig) -> (Volume, VoxelBox) {
    let whole = VoxelBox::whole(image.grid.shape);
    let find = |image: &Volume, above: &[f32]| {
        let bounds = config.crop_foreground.then(|| foreground::bounding_box(image, above)).flatten();
        bounds.unwrap_or(whole)
    };
    match config.intensity {
        Intensity::CtWindow { .. } => {
            intensity::normalise(&mut image, config.intensity);
            let crop = find(&image, &vec![0.0; image.channels]);
            (image, crop)
        }
        Intensity::CtStatistics { low, .. } => {
            let crop = find(&image, &vec![low as f32; image.channels]);
            intensity::normalise(&mut image, config.intensity);
            (image, crop)
        }
        Intensity::ZScore { .. } => {
            let crop = find(&image, &image.minima());
            intensity::normalise(&mut image, config.intensity);
            (image, crop)
        }
    }
}

/// Label values as class indices.
fn classes(label: &LabelMap, label_values: &[u32]) -> Result<Vec<u8>, Fault> {
    let mut class_of = vec![None; usize::from(u16::MAX) + 1];
    for (class, &value) in (0..=u8::MAX).zip(label_values) {
        class_of[value as usize] = Some(class);
    }
    let class = |&value: &u16| {
        let unknown = || Fault::UnknownLabel { found: vec![u32::from(value)], known: label_values.to_vec() };
        class_of[usize::from(value)].ok_or_else(unknown)
    };
    label.voxels.iter().map(class).collect()
}
