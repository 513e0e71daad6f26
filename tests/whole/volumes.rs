//! A folder in which tests make volumes, lists and texts.

use std::path::PathBuf;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use simtrot::config::DataSource;
use simtrot::volume::nifti::{write_labels, write_volume};
use simtrot::volume::{Dataset, Grid, LabelMap, SourceHeader, Volume};
use tempfile::TempDir;

/// Spacing of what is made, mm along D,H,W.
const SPACING_MM: [f64; 3] = [2.0, 1.0, 0.5];

/// A folder that goes with its test; names of files are relative to it, and folders in them are made.
pub struct Folder {
    place: TempDir,
    /// Of images and label maps for which no other is given.
    pub grid: Grid,
}

impl Folder {
    /// An empty folder for volumes of so many voxels along D,H,W.
    pub fn new(shape: [usize; 3]) -> Self {
        Self { place: tempfile::tempdir().expect("a temporary folder"), grid: Grid::axis_aligned(shape, SPACING_MM) }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn text(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        std::fs::create_dir_all(self.at(name).parent().expect("a folder")).expect("a writable folder");
        std::fs::write(self.at(name), text).expect("a writable folder");
        self.at(name)
    }

    /// An image; `content` tells one from another.
    pub fn image(&self, name: &str, content: usize, channels: usize) {
        self.image_with(name, &self.grid, channels, |index| ((index * 37 + content * 1009) % 101) as f32);
    }

    pub fn image_with(&self, name: &str, grid: &Grid, channels: usize, value: impl Fn(usize) -> f32) {
        let voxels = (0..channels * grid.len()).map(value).collect();
        let volume = Volume { channels, grid: grid.clone(), voxels };
        write_volume(&self.at(name), &volume, &SourceHeader::for_grid(grid)).expect("a writable folder");
    }

    pub fn labels_with(&self, name: &str, grid: &Grid, value: impl Fn(usize) -> u16) {
        self.labels(name, &LabelMap { grid: grid.clone(), voxels: (0..grid.len()).map(value).collect() });
    }

    pub fn labels(&self, name: &str, map: &LabelMap) {
        write_labels(&self.at(name), map, &SourceHeader::for_grid(&map.grid)).expect("a writable folder");
    }

    /// A DICOM series of axial slices where the folder's own grid lies, whose columns run to the left and rows to the back.
    pub fn series(&self, name: &str) {
        self.series_of(name, "somebody", 0);
    }

    /// The same of a patient; `content` tells one image from another.
    pub fn series_of(&self, name: &str, patient: &str, content: usize) {
        std::fs::create_dir_all(self.at(name)).expect("a writable folder");
        let ([slices, rows, columns], [apart, down, across]) = (self.grid.shape, SPACING_MM);
        let corner = [-across * (columns - 1) as f64, -down * (rows - 1) as f64];
        for slice in 0..slices {
            let mut object = InMemDicomObject::new_empty();
            for (tag, vr, value) in [
                (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.to_owned()),
                (tags::SOP_INSTANCE_UID, VR::UI, format!("1.2.3.4.{slice}")),
                (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3".to_owned()),
                (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4".to_owned()),
                (tags::PATIENT_ID, VR::LO, patient.to_owned()),
                (tags::MODALITY, VR::CS, "CT".to_owned()),
                (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".to_owned()),
                (tags::IMAGE_POSITION_PATIENT, VR::DS, format!("{}\\{}\\{}", corner[0], corner[1], apart * slice as f64)),
                (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0".to_owned()),
                (tags::PIXEL_SPACING, VR::DS, format!("{down}\\{across}")),
            ] {
                object.put_str(tag, vr, value);
            }
            for (tag, value) in [
                (tags::ROWS, rows),
                (tags::COLUMNS, columns),
                (tags::SAMPLES_PER_PIXEL, 1),
                (tags::BITS_ALLOCATED, 16),
                (tags::BITS_STORED, 16),
                (tags::HIGH_BIT, 15),
                (tags::PIXEL_REPRESENTATION, 0),
            ] {
                object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value as u16)));
            }
            let pixels = (0..rows * columns).map(|pixel| ((pixel * 37 + slice * 11 + content * 29) % 101) as u16).collect();
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels)));
            let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
            let whole = object.with_meta(meta).expect("a complete object");
            whole.write_to_file(self.at(name).join(format!("IM{slice}"))).expect("a writable folder");
        }
    }

    /// A DICOM structure set of the series that [`Self::series`] makes: `Left Kidney`, of a rectangle in each of some slices, by two opposite
    /// corners (right, front) in mm.
    pub fn contours(&self, name: &str, slices: &[f64], [left, top]: [f64; 2], [right, bottom]: [f64; 2]) {
        let sequence = |tag, items: Vec<InMemDicomObject>| DataElement::new(tag, VR::SQ, DataSetSequence::from(items));
        let number = |tag| DataElement::new(tag, VR::IS, "1");
        let contour = |slice: &f64| {
            let up = SPACING_MM[0] * slice;
            let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
            let data = corners.map(|[right, front]| format!("{}\\{}\\{up}", -right, -front)).join("\\");
            InMemDicomObject::from_element_iter([
                DataElement::new(tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR"),
                DataElement::new(tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, "4"),
                DataElement::new(tags::CONTOUR_DATA, VR::DS, data),
            ])
        };
        let named = [number(tags::ROI_NUMBER), DataElement::new(tags::ROI_NAME, VR::LO, "Left Kidney")];
        let drawn = [number(tags::REFERENCED_ROI_NUMBER), sequence(tags::CONTOUR_SEQUENCE, slices.iter().map(contour).collect())];
        let series = [DataElement::new(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4")];
        let wrapped = |tag, inner| sequence(tag, vec![InMemDicomObject::from_element_iter([inner])]);
        let series = sequence(tags::RT_REFERENCED_SERIES_SEQUENCE, vec![InMemDicomObject::from_element_iter(series)]);
        let study = wrapped(tags::RT_REFERENCED_STUDY_SEQUENCE, series);
        let object = InMemDicomObject::from_element_iter([
            DataElement::new(tags::SOP_CLASS_UID, VR::UI, uids::RT_STRUCTURE_SET_STORAGE),
            DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.5"),
            DataElement::new(tags::MODALITY, VR::CS, "RTSTRUCT"),
            wrapped(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, study),
            sequence(tags::STRUCTURE_SET_ROI_SEQUENCE, vec![InMemDicomObject::from_element_iter(named)]),
            sequence(tags::ROI_CONTOUR_SEQUENCE, vec![InMemDicomObject::from_element_iter(drawn)]),
        ]);
        let file = self.text(name, "");
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        object.with_meta(meta).expect("a complete object").write_to_file(file).expect("a writable folder");
    }

    /// Rewrites a file.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.at(name)).expect("a file made before");
        change(&mut bytes);
        self.text(name, bytes);
    }

    /// The folder as a dataset.
    pub fn dataset(&self) -> Dataset {
        Dataset::open(&DataSource::Dataset(self.at(""))).expect("a dataset")
    }
}
