//! Segmentations of series that dicom-rs writes: bits by hand, there and back, and everything that is no label map.

use std::collections::BTreeMap;
use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject, OpenFileOptions, Tag};
use jiff::Timestamp;

use super::{Belonging, referenced, write};
use crate::config::DataSource;
use crate::volume::dicom::files;
use crate::volume::dicom::tests::{Folder, Slice, save, stack};
use crate::volume::file::read;
use crate::volume::label_table::LabelTable;
use crate::volume::segment::{self, Segments};
use crate::volume::segmentation::{self, Subject};
use crate::volume::{Dataset, Fault, LabelMap, Note, SourceHeader, VolumeSource};

/// Labels of the four slices of six pixels of [`stack`].
#[rustfmt::skip]
const LABELS: [u16; 24] = [
    0, 0, 0, 0, 0, 0,
    1, 1, 1, 0, 0, 0,
    0, 0, 0, 0, 0, 300,
    1, 1, 1, 1, 1, 1,
];

fn names() -> Segments {
    segment::named(&BTreeMap::from([(0, "background".to_owned()), (1, "Left Kidney".to_owned()), (300, "Überbein".to_owned())]))
}

/// Writes a segmentation of the series in a folder.
fn written(folder: &Folder, voxels: &[u16], file: &Path, seconds: i64) -> Result<Vec<Note>, Fault> {
    let series = folder.at("deep");
    let map = LabelMap { grid: folder.scan().volume.grid, voxels: voxels.to_vec() };
    let now = Timestamp::from_second(seconds).expect("a time");
    let files = files(&series).expect("one series");
    let belonging = Belonging { place: &series, files: &files, segments: &names(), dataset: "", now };
    write(file, &map, &belonging).map_err(|error| error.fault)
}

fn opened(file: &Path) -> DefaultDicomObject {
    OpenFileOptions::new().open_file(file).expect("our own file")
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.get(tag).and_then(|element| element.to_str().ok()).map(|text| text.trim_end_matches(['\0', ' ']).to_owned()).unwrap_or_default()
}

/// The first item of a sequence.
fn item(object: &InMemDicomObject, sequence: Tag) -> &InMemDicomObject {
    &object.get(sequence).and_then(|element| element.items()).expect("a sequence")[0]
}

#[test]
fn labels_become_bits_that_refer_to_their_slices_and_come_back() {
    let folder = Folder::new(stack());
    let file = folder.at("seg/a.dcm");
    let notes = written(&folder, &LABELS, &file, 1_700_000_000).expect("a series").into_iter().map(|note| note.text).collect::<Vec<_>>();
    assert!(notes[0].contains("Überbein") && notes[0].contains("85756007") && !notes[0].contains("Kidney"), "{notes:?}");
    assert!(notes[1].contains("Frame of Reference"), "{notes:?}");

    let object = opened(&file);
    // The first slice (empty), the second and the last of the kidney, the third of the other.
    assert_eq!(text(&object, tags::NUMBER_OF_FRAMES), "4");
    let pixels = object.get(tags::PIXEL_DATA).and_then(|element| element.to_bytes().ok()).expect("pixels");
    assert_eq!(*pixels, [0b1100_0000, 0b1111_0001, 0b1000_0011, 0]);
    let frames = object.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).and_then(|element| element.items()).expect("frames");
    // Slices are sorted along their normal, which runs against their numbers.
    let sources = frames.iter().map(|frame| {
        text(item(item(frame, tags::DERIVATION_IMAGE_SEQUENCE), tags::SOURCE_IMAGE_SEQUENCE), tags::REFERENCED_SOP_INSTANCE_UID)
    });
    assert_eq!(sources.collect::<Vec<_>>(), ["1.2.3.1.3", "1.2.3.1.2", "1.2.3.1.0", "1.2.3.1.1"]);
    assert_eq!(text(item(&frames[1], tags::PLANE_POSITION_SEQUENCE), tags::IMAGE_POSITION_PATIENT), "14\\20\\30");
    let segment = item(&object, tags::SEGMENT_SEQUENCE);
    let kind = item(segment, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
    let side = item(kind, tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE);
    assert_eq!([kind, side].map(|code| text(code, tags::CODE_VALUE)), ["64033007", "7771000"]);
    let series = item(&object, tags::REFERENCED_SERIES_SEQUENCE);
    assert_eq!(text(series, tags::SERIES_INSTANCE_UID), "1.2.3.1");
    assert_eq!(series.get(tags::REFERENCED_INSTANCE_SEQUENCE).and_then(|element| element.items()).map(<[_]>::len), Some(4));
    assert_eq!(referenced(&file).into_iter().collect::<Vec<_>>(), ["1.2.3.1"]);
    let whose = [tags::PATIENT_NAME, tags::STUDY_INSTANCE_UID, tags::STUDY_DATE, tags::CONTENT_DATE].map(|tag| text(&object, tag));
    assert_eq!(whose, ["Doe^Jane", "1.2.3", "20210304", "20231114"]);

    let back = read(&file).expect("our own file");
    assert_eq!(back.volume.grid, folder.scan().volume.grid);
    assert!(back.volume.voxels.iter().zip(LABELS).all(|(&a, b)| a == f32::from(b)));
    let table = LabelTable::within(&file).expect("our own file").expect("names");
    assert_eq!(table.entries.keys().copied().collect::<Vec<_>>(), [1, 300]);
    assert_eq!(table.entries[&300].name.as_deref(), Some("Überbein"));

    let bytes = |name: &str, seconds| {
        written(&folder, &LABELS, &folder.at(name), seconds).expect("a series");
        std::fs::read(folder.at(name)).expect("a file")
    };
    let first = std::fs::read(&file).expect("a file");
    assert!(bytes("seg/b.dcm", 1_700_000_000) == first, "equal arguments, equal bytes");
    bytes("seg/c.dcm", 1_700_000_001);
    let uids = ["seg/b.dcm", "seg/c.dcm"].map(|name| text(&opened(&folder.at(name)), tags::SOP_INSTANCE_UID));
    assert!(uids[0] != uids[1] && uids.iter().all(|uid| uid.starts_with("2.25.") && uid.len() <= 64), "{uids:?}");
}

#[test]
fn a_segmentation_is_a_label_map_of_a_dataset_under_the_names_in_it() {
    let folder = Folder::new(stack());
    let images = folder.at("deep");
    let open = || {
        let labels = Some(folder.at("seg"));
        Dataset::open(&DataSource::Folders { images: images.clone(), labels }).expect("one series")
    };
    std::fs::create_dir(folder.at("seg")).expect("a writable folder");
    let name = open().cases[0].name.clone();
    written(&folder, &LABELS, &folder.at(&format!("seg/{name}.dcm")), 0).expect("a series");
    let dataset = open();
    assert_eq!(
        dataset.labels.iter().map(|(&value, name)| (value, name.as_str())).collect::<Vec<_>>()[1..],
        [(1, "Left Kidney"), (300, "Überbein")]
    );
    let loaded = dataset.load(&dataset.cases[0], Default::default()).expect("a good case");
    assert_eq!(loaded.label.expect("a label map").voxels, LABELS);
}

#[test]
fn what_is_no_label_map_and_what_belongs_to_no_series_is_refused() {
    let folder = Folder::new(stack());
    let mut two = [0; 24];
    (two[6], two[7]) = (1, 300);
    let file = folder.at("seg/a.dcm");
    written(&folder, &two, &file, 0).expect("a series");
    let changed = |change: &dyn Fn(&mut InMemDicomObject)| {
        let mut object = opened(&file).into_inner();
        change(&mut object);
        save(object, &folder.at("seg/changed.dcm"));
        read(&folder.at("seg/changed.dcm")).expect_err("no label map").fault
    };
    let pixels = |bytes: &[u8]| DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(bytes.into()));
    // The kidney's frames of slices 1, 2 and 4, and the other's of slice 2: bit 18 is its first pixel, which is the kidney's.
    let fault = changed(&|object| drop(object.put(pixels(&[0b0100_0000, 0, 0b0000_1100, 0]))));
    assert!(matches!(&fault, Fault::Overlap(a, b, 1) if a == "Left Kidney" && b == "Überbein"), "{fault}");
    assert!(matches!(changed(&|object| drop(object.put(pixels(&[0, 0])))), Fault::Length { promised: 3, .. }));
    let fault = changed(&|object| drop(object.put_str(tags::SEGMENTATION_TYPE, VR::CS, "FRACTIONAL")));
    assert!(matches!(&fault, Fault::Segmentation(cause) if cause.contains("FRACTIONAL")), "{fault}");

    let contours: Vec<Slice> = stack()
        .into_iter()
        .map(|mut slice| {
            slice.more.push((tags::MODALITY, VR::CS, "RTSTRUCT"));
            slice
        })
        .collect();
    let contours = Folder::new(contours);
    assert_eq!(read(&contours.at("deep/IM3")).expect_err("contours").fault, Fault::Contours);

    let fault = written(&folder, &[0; 24], &folder.at("seg/none.dcm"), 0).map(|_| ());
    assert_eq!(fault, Ok(()), "an empty segmentation of named labels is a file of two empty frames");
    let header = SourceHeader::for_grid(&folder.scan().volume.grid);
    let map = LabelMap { grid: folder.scan().volume.grid, voxels: LABELS.to_vec() };
    let no_series = [VolumeSource::File(folder.at("scan.nii.gz"))];
    let subject = Subject { header: &header, images: &no_series, segments: &names(), dataset: "" };
    let fault = segmentation::write(&folder.at("seg/b.dcm"), &map, &subject).expect_err("no DICOM series").fault;
    assert!(matches!(&fault, Fault::NoSegmentation(cause) if cause.contains("scan.nii.gz")), "{fault}");
    let series = [VolumeSource::File(folder.at("deep"))];
    let mut moved = map;
    moved.grid.world_from_voxel[0][3] += 1.0;
    let fault = segmentation::write(&folder.at("seg/b.dcm"), &moved, &Subject { images: &series, ..subject }).expect_err("elsewhere").fault;
    assert!(matches!(fault, Fault::Place { .. }), "{fault}");
    assert!(!folder.at("seg/b.dcm").exists());
}
