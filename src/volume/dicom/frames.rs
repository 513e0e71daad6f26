//! What headers say of each frame: its place, its size, and how its numbers become intensities.

use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::mem::InMemElement;
use dicom_object::{InMemDicomObject, Tag};

use super::find::open_header;
use crate::volume::Fault;
use crate::volume::voxels::check_sizes;

/// How far direction cosines may be from perpendicular vectors of length 1.
const COSINES: f64 = 1e-3;

/// One slice.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Which of the series' files it stands in.
    pub file: usize,
    /// Which of that file's frames it is, from 0.
    pub number: usize,
    /// How many frames that file holds.
    pub of: usize,
    /// SOP Class UID of its file.
    pub class: String,
    /// SOP Instance UID of its file: equal in copies.
    pub instance: String,
    pub rows: usize,
    pub columns: usize,
    /// L,P,S mm of the centre of its first pixel.
    pub position: [f64; 3],
    /// Directions in which columns count (along a row), and rows.
    pub directions: [[f64; 3]; 2],
    /// Mm from a column to the next, and from a row to the next.
    pub spacing_mm: [f64; 2],
    pub slope: f64,
    pub intercept: f64,
    /// Thickness in mm, if said.
    pub thickness_mm: Option<f64>,
    /// Whether larger numbers are darker.
    pub inverted: bool,
    /// Whether it was compressed with loss.
    pub lossy: bool,
}

/// The frames of the file with such a number in its series.
///
/// # Errors
/// A broken header, no place in space, colours, values by a table.
pub(super) fn of_file(file: &Path, number: usize) -> Result<Vec<Frame>, Fault> {
    let object = open_header(file)?;
    match text(&object, tags::MODALITY).as_str() {
        "SEG" => Err(Fault::Dicom("it is a DICOM segmentation (SEG): a label map, no image".to_owned())),
        "RTSTRUCT" => Err(Fault::Contours),
        _ => of_object(&object, number),
    }
}

/// The frames of a file's data set, as [`of_file`].
///
/// # Errors
/// As of [`of_file`].
pub(super) fn of_object(object: &InMemDicomObject, number: usize) -> Result<Vec<Frame>, Fault> {
    let count = |tag: Tag| object.get(tag).and_then(|element| element.to_int::<usize>().ok());
    let text = |tag: Tag| text(object, tag);
    let colours = text(tags::PHOTOMETRIC_INTERPRETATION);
    if count(tags::SAMPLES_PER_PIXEL).unwrap_or(1) != 1 || !colours.starts_with("MONOCHROME") {
        return Err(Fault::Dicom(format!("it holds colours ({colours}), not intensities")));
    }
    if object.get(tags::MODALITY_LUT_SEQUENCE).is_some() {
        return Err(Fault::Dicom("its numbers become intensities by a table (Modality LUT Sequence), which is not read".to_owned()));
    }
    let [rows, columns] = [tags::ROWS, tags::COLUMNS].map(|tag| count(tag).unwrap_or(0));
    let [class, instance] = [tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID].map(|tag| text(tag).trim_end_matches('\0').to_owned());
    let frames = count(tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1);
    let frame = |frame: usize| {
        let needed = |group, tag, name: &str| {
            of_frame(object, frame, group, tag)
                .ok_or_else(|| Fault::Dicom(format!("it has no place in space (no {name} of frame {})", frame + 1)))
        };
        let orientation: [f64; 6] = floats(
            needed(tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT, "Image Orientation (Patient)")?,
            "Image Orientation (Patient)",
        )?;
        let [a, b, c, d, e, f] = orientation;
        let directions = [[a, b, c], [d, e, f]];
        let dot = |[x, y]: [usize; 2]| (0..3).map(|axis| directions[x][axis] * directions[y][axis]).sum::<f64>();
        if (dot([0, 0]) - 1.0).abs() > COSINES || (dot([1, 1]) - 1.0).abs() > COSINES || dot([0, 1]).abs() > COSINES {
            return Err(Fault::header(
                "Image Orientation (Patient)",
                format_args!("{orientation:?}"),
                "two perpendicular directions of length 1",
            ));
        }
        let [down, across] = floats(needed(tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING, "Pixel Spacing")?, "Pixel Spacing")?;
        let number_of = |group, tag| of_frame(object, frame, group, tag).and_then(|element| element.to_float64().ok());
        let (slope, intercept) = (
            number_of(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tags::RESCALE_SLOPE).unwrap_or(1.0),
            number_of(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tags::RESCALE_INTERCEPT).unwrap_or(0.0),
        );
        if !slope.is_finite() || !intercept.is_finite() || slope == 0.0 {
            return Err(Fault::header(
                "Rescale Slope and Intercept",
                format_args!("{slope} and {intercept}"),
                "finite numbers, a slope other than 0",
            ));
        }
        Ok(Frame {
            file: number,
            number: frame,
            of: frames,
            class: class.clone(),
            instance: instance.clone(),
            rows,
            columns,
            position: floats(
                needed(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT, "Image Position (Patient)")?,
                "Image Position (Patient)",
            )?,
            directions,
            spacing_mm: [across, down],
            slope,
            intercept,
            thickness_mm: number_of(tags::PIXEL_MEASURES_SEQUENCE, tags::SLICE_THICKNESS).filter(|&mm| mm > 0.0),
            inverted: colours == "MONOCHROME1",
            lossy: text(tags::LOSSY_IMAGE_COMPRESSION) == "01",
        })
    };
    check_sizes([columns, rows, frames], 1, "Columns, Rows and Number of Frames")?;
    (0..frames).map(frame).collect()
}

/// An element of one frame: of its own functional group, of the one that all frames share, or of the whole file.
pub(super) fn of_frame(object: &InMemDicomObject, frame: usize, group: Tag, tag: Tag) -> Option<&InMemElement> {
    let item = |sequence: Tag, number: usize| object.get(sequence)?.items()?.get(number);
    let own = item(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frame);
    let shared = item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, 0);
    own.into_iter().chain(shared).find_map(|groups| groups.get(group)?.items()?.first()?.get(tag)).or_else(|| object.get(tag))
}

/// An element's text without spaces around it; empty where there is none.
pub(super) fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.get(tag).and_then(|element| element.to_str().ok()).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn floats<const COUNT: usize>(element: &InMemElement, name: &str) -> Result<[f64; COUNT], Fault> {
    let numbers = element.to_multi_float64().ok().filter(|numbers| numbers.iter().all(|number| number.is_finite()));
    let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
    numbers.ok_or_else(|| Fault::header(name, "something else", &format!("{COUNT} numbers")))
}
