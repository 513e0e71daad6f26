//! Structure sets in: what their structures are called, and their contours.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{InMemDicomObject, Tag};

use super::polygons::{Roi, label_map};
use crate::volume::dicom::find::{class, open_header};
use crate::volume::dicom::frames::text;
use crate::volume::segment::{Segment, Segments, colour};
use crate::volume::{DataError, Fault, Grid, Note, Scan, SourceHeader, Volume};

/// Types of contours that enclose something.
const CLOSED: [&str; 2] = ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"];

/// A shift of all points of a contour, which DICOM has given up.
const CONTOUR_OFFSET_VECTOR: Tag = Tag(0x3006, 0x0045);

/// Whether a file is a structure set, by its first bytes.
pub(in crate::volume) fn is_structure_set(file: &Path) -> bool {
    class(file).is_some_and(|class| class == uids::RT_STRUCTURE_SET_STORAGE)
}

/// What a file's structures are called and shown in, by label value: those that [`read`] does not leave out.
///
/// # Errors
/// As of [`read`], as far as structures and the numbers of contours go.
pub(in crate::volume) fn segments(file: &Path) -> Result<Segments, DataError> {
    let (rois, _) = open_header(file).and_then(|object| structures(&object)).map_err(|fault| fault.at(file))?;
    Ok(rois.into_iter().map(|roi| (u32::from(roi.value), roi.segment)).collect())
}

/// What a file refers to, the most exact first: Series Instance UIDs, SOP Instance UIDs of images, Frame of Reference UIDs. All may be empty, as
/// they are of a header that cannot be read, which whoever reads the label map reports.
pub(in crate::volume) fn referenced(file: &Path) -> [BTreeSet<String>; 3] {
    open_header(file).map(|object| references(&object)).unwrap_or_default()
}

fn references(object: &InMemDicomObject) -> [BTreeSet<String>; 3] {
    // The items at the end of a path of sequences.
    let items_at =
        |path: &[Tag]| path.iter().fold(vec![object], |outer, &tag| outer.into_iter().flat_map(|item| items(item, tag)).collect());
    let identifiers = |paths: &[&[Tag]], tag: Tag| -> BTreeSet<String> {
        let texts = paths.iter().flat_map(|path| items_at(path)).map(|item| identifier(item, tag));
        texts.filter(|identifier| !identifier.is_empty()).collect()
    };
    let space = tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE;
    let series = [space, tags::RT_REFERENCED_STUDY_SEQUENCE, tags::RT_REFERENCED_SERIES_SEQUENCE];
    let drawn_on = [tags::ROI_CONTOUR_SEQUENCE, tags::CONTOUR_SEQUENCE, tags::CONTOUR_IMAGE_SEQUENCE];
    let [first, second, third] = series;
    [
        identifiers(&[&series], tags::SERIES_INSTANCE_UID),
        identifiers(&[&[first, second, third, tags::CONTOUR_IMAGE_SEQUENCE], &drawn_on], tags::REFERENCED_SOP_INSTANCE_UID),
        identifiers(&[&[space]], tags::FRAME_OF_REFERENCE_UID),
    ]
}

/// Said of an image that is no DICOM series, or one that does not tell.
const UNKNOWN_SPACE: &str =
    "its image does not say in which space it lies (Frame of Reference UID); the contours are taken to lie there too";

/// Reads the closed contours of a structure set as a label map on the grid of its image. Each structure gets its place in the order of ROI Numbers as
/// label value. `slice` is a file of the image, where that is a DICOM series: what the structure set should refer to.
///
/// # Errors
/// A file that cannot be read or names no structure, another space than that of the series, contours that are no list of points, lie in no slice or
/// reach beyond the image, structures that overlap, no voxel in any of them.
pub(in crate::volume) fn read(file: &Path, grid: &Grid, slice: Option<&Path>) -> Result<Scan, DataError> {
    let header = slice.and_then(|slice| open_header(slice).ok());
    let on_grid = |object: &InMemDicomObject| {
        let (rois, mut notes) = structures(object)?;
        let unchecked = header.as_ref().map_or_else(|| Ok(Some(UNKNOWN_SPACE.to_owned())), |header| in_space(object, &rois, header))?;
        let (labels, more) = label_map(&rois, grid)?;
        if labels.iter().all(|&label| label == 0) {
            let said = [notes, more].concat().join("; ");
            return Err(Fault::Structures(format!("none of its structures holds a voxel: {said}")));
        }
        let named: Vec<String> = rois.iter().map(|roi| format!("{} {}", roi.value, roi.segment.name)).collect();
        notes.push(format!("its structures are taken as label values: {}", named.join(", ")));
        notes.extend(more);
        if header.as_ref().is_some_and(|header| !refers_to(object, header)) {
            notes.push("does not refer to the series of its image; its contours are taken where they lie in space".to_owned());
        }
        notes.extend(unchecked);
        Ok((labels, notes))
    };
    let (labels, notes) = open_header(file).and_then(|object| on_grid(&object)).map_err(|fault: Fault| fault.at(file))?;
    let volume = Volume { channels: 1, voxels: labels.into_iter().map(f32::from).collect(), grid: grid.clone() };
    let notes = notes.into_iter().map(|text| Note::new(file, text)).collect();
    Ok(Scan { file: file.to_owned(), header: SourceHeader::for_grid(grid), volume, notes })
}

/// A UID without what fills it up; empty where there is none.
fn identifier(object: &InMemDicomObject, tag: Tag) -> String {
    text(object, tag).trim_end_matches('\0').to_owned()
}

/// Whether a structure set refers to the series of an image's file: by its series, or, where it names none, by its images or its space.
fn refers_to(object: &InMemDicomObject, header: &InMemDicomObject) -> bool {
    let [series, images, spaces] = references(object);
    let has = |known: &BTreeSet<String>, tag: Tag| known.contains(&identifier(header, tag));
    if !series.is_empty() {
        return has(&series, tags::SERIES_INSTANCE_UID);
    }
    has(&images, tags::SOP_INSTANCE_UID) || has(&spaces, tags::FRAME_OF_REFERENCE_UID)
}

/// Checks that contours lie in the space of the image's file, and says where that cannot be told.
///
/// # Errors
/// Another space, of the whole set or of a structure with contours.
fn in_space(object: &InMemDicomObject, rois: &[Roi], header: &InMemDicomObject) -> Result<Option<String>, Fault> {
    let of_image = identifier(header, tags::FRAME_OF_REFERENCE_UID);
    if of_image.is_empty() {
        return Ok(Some(UNKNOWN_SPACE.to_owned()));
    }
    let [.., mut of_set] = references(object);
    if of_set.is_empty() {
        of_set.extend(Some(identifier(object, tags::FRAME_OF_REFERENCE_UID)).filter(|space| !space.is_empty()));
    }
    let drawn = || rois.iter().filter(|roi| !roi.contours.is_empty());
    let other = drawn().find(|roi| !roi.space.is_empty() && roi.space != of_image);
    let found = match other {
        Some(roi) => format!("its structure {:?} lies in the space {}", roi.segment.name, roi.space),
        None if of_set.is_empty() || of_set.contains(&of_image) => {
            let told = |roi: &Roi| !roi.space.is_empty() || of_set.len() == 1;
            let untold = "does not say of all its contours in which space they lie (Frame of Reference UID); they are taken to lie in that of its image";
            return Ok((!drawn().all(told)).then(|| untold.to_owned()));
        }
        None => format!("it lies in the space {}", of_set.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Err(Fault::Structures(format!(
        "{found}, the image in {of_image} (Frame of Reference UID), so that their coordinates have nothing in common"
    )))
}

/// The structures of a file in the order of their ROI Numbers, and what is said of those that are left out.
///
/// # Errors
/// No structure or too many, numbers that are missing or given twice, contours of no structure, contours that are no list of points.
fn structures(object: &InMemDicomObject) -> Result<(Vec<Roi>, Vec<String>), Fault> {
    let number_of = |item: &InMemDicomObject, tag: Tag| item.get(tag).and_then(|element| element.to_int::<i64>().ok());
    // What each is called, and its space.
    let mut names: BTreeMap<i64, [String; 2]> = BTreeMap::new();
    for item in items(object, tags::STRUCTURE_SET_ROI_SEQUENCE) {
        let number = number_of(item, tags::ROI_NUMBER);
        let named = [text(item, tags::ROI_NAME), identifier(item, tags::REFERENCED_FRAME_OF_REFERENCE_UID)];
        if number.is_none_or(|number| names.insert(number, named).is_some()) {
            let found = number.map_or_else(|| "nothing".to_owned(), |number| number.to_string());
            return Err(Fault::header("ROI Number", found, "one for each structure"));
        }
    }
    if names.is_empty() || names.len() > usize::from(u16::MAX) {
        return Err(Fault::Structures(format!("it names {} structures (Structure Set ROI Sequence)", names.len())));
    }
    let mut contours_of: BTreeMap<i64, Vec<&InMemDicomObject>> = BTreeMap::new();
    let mut colour_of: BTreeMap<i64, [u8; 3]> = BTreeMap::new();
    for item in items(object, tags::ROI_CONTOUR_SEQUENCE) {
        let number = number_of(item, tags::REFERENCED_ROI_NUMBER);
        let Some(number) = number.filter(|number| names.contains_key(number)) else {
            let which = number.map_or_else(|| "without a number".to_owned(), |number| number.to_string());
            return Err(Fault::Structures(format!("it holds contours of structure {which}, which it does not name")));
        };
        contours_of.entry(number).or_default().extend(items(item, tags::CONTOUR_SEQUENCE));
        let shown = item.get(tags::ROI_DISPLAY_COLOR).and_then(|element| element.to_multi_int::<u8>().ok());
        colour_of.extend(shown.and_then(|shown| <[u8; 3]>::try_from(shown).ok()).map(|shown| (number, shown)));
    }
    let (mut rois, mut left_out) = (Vec::new(), Vec::new());
    for (value, (number, [name, space])) in (1..=u16::MAX).zip(names) {
        let name = if name.is_empty() { format!("structure {number}") } else { name };
        let kind = |contour: &InMemDicomObject| text(contour, tags::CONTOUR_GEOMETRIC_TYPE);
        let contours = contours_of.remove(&number).unwrap_or_default();
        let (closed, open): (Vec<_>, Vec<_>) = contours.into_iter().partition(|&contour| CLOSED.contains(&kind(contour).as_str()));
        if !open.is_empty() {
            let kinds: BTreeSet<String> = open.iter().map(|&contour| kind(contour)).collect();
            let kinds = kinds.iter().map(|kind| if kind.is_empty() { "no type" } else { kind }).collect::<Vec<_>>().join(", ");
            left_out.push(match closed.len() {
                0 => format!("{name:?} is left out: it holds contours of {kinds}, which enclose nothing"),
                some => {
                    let all = some + open.len();
                    format!("contours of {kinds} in {name:?} are left out: they enclose nothing; {some} of its {all} contours remain")
                }
            });
            if closed.is_empty() {
                continue;
            }
        }
        let contours = closed.into_iter().map(|contour| points(contour, &name)).collect::<Result<_, _>>()?;
        let colour = colour_of.get(&number).copied().unwrap_or_else(|| colour(value.into()));
        rois.push(Roi { value, segment: Segment { name, colour }, space, contours });
    }
    Ok((rois, left_out))
}

/// The corners of a contour of a structure, in L,P,S mm.
///
/// # Errors
/// What is no list of points, or of another length than it says; a shift of all points.
fn points(contour: &InMemDicomObject, name: &str) -> Result<Vec<[f64; 3]>, Fault> {
    let data = contour.get(tags::CONTOUR_DATA).filter(|element| element.to_bytes().is_ok_and(|bytes| !bytes.is_empty()));
    let numbers = data.map_or_else(|| Some(Vec::new()), decimals).ok_or_else(|| {
        Fault::header(&format!("Contour Data of {name:?}"), "text that is no list of numbers", "three numbers for each point")
    })?;
    let said = contour.get(tags::NUMBER_OF_CONTOUR_POINTS).and_then(|element| element.to_int::<usize>().ok());
    let points: Vec<[f64; 3]> = numbers.chunks_exact(3).map(|point| [point[0], point[1], point[2]]).collect();
    if numbers.len() % 3 != 0 || said.is_some_and(|said| said != points.len()) || numbers.iter().any(|number| !number.is_finite()) {
        let rule = said.map_or_else(|| "three for each point".to_owned(), |said| format!("three for each of its {said} points"));
        return Err(Fault::header(&format!("Contour Data of {name:?}"), format_args!("{} numbers", numbers.len()), &rule));
    }
    let shift = contour.get(CONTOUR_OFFSET_VECTOR).and_then(decimals).unwrap_or_default();
    if shift.iter().any(|&mm| mm != 0.0) {
        return Err(Fault::Structures(format!("contours of {name:?} are shifted (Contour Offset Vector), which is not read")));
    }
    Ok(points)
}

/// Numbers in text. Text of more than 64 KiB has the type UN in files of explicit types (PS3.5, 6.2.2), and then comes as it is stored.
fn decimals(element: &InMemElement) -> Option<Vec<f64>> {
    if element.vr() != VR::UN {
        return element.to_multi_float64().ok();
    }
    let bytes = element.to_bytes().ok()?;
    std::str::from_utf8(&bytes).ok()?.split('\\').map(|number| number.trim_matches(['\0', ' ']).parse().ok()).collect()
}

fn items(object: &InMemDicomObject, sequence: Tag) -> &[InMemDicomObject] {
    object.get(sequence).and_then(InMemElement::items).unwrap_or_default()
}
