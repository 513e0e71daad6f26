//! Against series that dicom-rs writes: places computed by hand, and everything that makes a series no volume.

use std::path::{Path, PathBuf};

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::meta::FileMetaTableBuilder;
use dicom_object::{InMemDicomObject, Tag};

use super::find;
use crate::config::{DataConfig, DataSource};
use crate::volume::datalist::inputs;
use crate::volume::file::read;
use crate::volume::nifti::write_labels;
use crate::volume::{DataError, DataErrors, Dataset, Fault, LabelMap, Scan, SourceHeader, Together};

/// One file of a series of slices of 2 rows and 3 columns, in sagittal planes: columns run to the back, rows downwards.
#[derive(Clone)]
pub(super) struct Slice {
    series: &'static str,
    patient: &'static str,
    number: usize,
    position: [f64; 3],
    orientation: [f64; 6],
    spacing: &'static str,
    slope: f64,
    intercept: f64,
    /// Six for each frame.
    pixels: Vec<i16>,
    pub(super) more: Vec<(Tag, VR, &'static str)>,
}

impl Slice {
    /// Slice `at` of a stack whose slices lie 2 mm apart to the patient's left.
    fn new(at: usize) -> Self {
        Self {
            series: "1.2.3.1",
            patient: "Doe^Jane",
            number: at,
            position: [10.0 + 2.0 * at as f64, 20.0, 30.0],
            orientation: [0.0, 1.0, 0.0, 0.0, 0.0, -1.0],
            spacing: "0.5\\0.25",
            slope: 2.0,
            intercept: -1000.0,
            pixels: (0..6).map(|pixel| 10 * at as i16 + pixel - 3).collect(),
            more: Vec::new(),
        }
    }

    pub(super) fn object(&self) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        let text = |numbers: &[f64]| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join("\\");
        for (tag, vr, value) in [
            (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.to_owned()),
            (tags::SOP_INSTANCE_UID, VR::UI, format!("{}.{}", self.series, self.number)),
            (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3".to_owned()),
            (tags::SERIES_INSTANCE_UID, VR::UI, self.series.to_owned()),
            (tags::PATIENT_NAME, VR::PN, self.patient.to_owned()),
            (tags::PATIENT_ID, VR::LO, format!("ID-{}", self.patient)),
            (tags::STUDY_DATE, VR::DA, "20210304".to_owned()),
            (tags::MODALITY, VR::CS, "CT".to_owned()),
            (tags::SERIES_DESCRIPTION, VR::LO, "Thorax / soft".to_owned()),
            (tags::SERIES_NUMBER, VR::IS, "7".to_owned()),
            (tags::INSTANCE_NUMBER, VR::IS, self.number.to_string()),
            (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".to_owned()),
            (tags::IMAGE_POSITION_PATIENT, VR::DS, text(&self.position)),
            (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, text(&self.orientation)),
            (tags::PIXEL_SPACING, VR::DS, self.spacing.to_owned()),
            (tags::RESCALE_SLOPE, VR::DS, self.slope.to_string()),
            (tags::RESCALE_INTERCEPT, VR::DS, self.intercept.to_string()),
        ] {
            object.put_str(tag, vr, value);
        }
        for (tag, value) in [
            (tags::ROWS, 2),
            (tags::COLUMNS, 3),
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 12),
            (tags::HIGH_BIT, 11),
            (tags::PIXEL_REPRESENTATION, 1),
        ] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value as u16)));
        }
        for &(tag, vr, value) in &self.more {
            object.put_str(tag, vr, value);
        }
        // The four bits above those that are stored hold something else.
        let pixels = self.pixels.iter().map(|&pixel| pixel as u16 & 0x0fff | 0x5000).collect();
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels)));
        object
    }

    fn write(&self, file: &Path) {
        save(self.object(), file);
    }
}

pub(super) fn save(object: InMemDicomObject, file: &Path) {
    save_as(object, uids::EXPLICIT_VR_LITTLE_ENDIAN, file);
}

pub(super) fn save_as(object: InMemDicomObject, transfer_syntax: &str, file: &Path) {
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a writable folder");
    let meta = FileMetaTableBuilder::new().transfer_syntax(transfer_syntax);
    object.with_meta(meta).expect("a complete object").write_to_file(file).expect("a writable folder");
}

pub(super) struct Folder(pub(super) tempfile::TempDir);

impl Folder {
    /// A folder with these slices; their names say nothing of their order.
    pub(super) fn new(slices: impl IntoIterator<Item = Slice>) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        slices.into_iter().enumerate().for_each(|(at, slice)| slice.write(&folder.at(&format!("deep/IM{}", (at * 7 + 3) % 10))));
        folder
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn scan(&self) -> Scan {
        read(self.0.path()).expect("a good series")
    }

    pub(super) fn fault(&self) -> Fault {
        let DataError { fault, .. } = read(self.0.path()).expect_err("no volume");
        fault
    }
}

pub(super) fn stack() -> Vec<Slice> {
    (0..4).map(Slice::new).collect()
}

pub(super) fn notes(scan: &Scan) -> String {
    scan.notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// What [`stack`] is: checked by hand. The normal, (0,1,0) x (0,0,-1) = (-1,0,0), runs to the right, so that the slice farthest to the left
/// is the first.
pub(super) fn is_the_stack(scan: &Scan) {
    assert_eq!((scan.volume.channels, scan.volume.grid.shape), (1, [4, 2, 3]));
    let at = |ijk: [f64; 3]| scan.volume.grid.world_mm(ijk);
    assert_eq!(at([0.0; 3]), [-16.0, -20.0, 30.0]);
    // A column to the back is 0.25 mm, a row down 0.5 mm, a slice to the right 2 mm.
    assert_eq!(at([2.0, 1.0, 3.0]), [-10.0, -20.5, 29.5]);
    let expected = [3, 2, 1, 0].into_iter().flat_map(|slice| (0..6).map(move |pixel| (2 * (10 * slice + pixel - 3) - 1000) as f32));
    assert_eq!(scan.volume.voxels, expected.collect::<Vec<_>>());
}

#[test]
fn slices_in_any_order_lie_where_their_headers_say() {
    let folder = Folder::new(stack());
    is_the_stack(&folder.scan());
    assert_eq!(notes(&folder.scan()), "");
    // Of slices with scales of their own each keeps its own.
    let mut scaled = stack();
    scaled[3].slope = 0.5;
    assert_eq!(Folder::new(scaled).scan().volume.voxels[..2], [-986.5, -986.0]);
}

/// [`stack`] in one file, whose frames are slices 2, 0, 3 and 1.
pub(super) fn multi_frame() -> InMemDicomObject {
    let slices = stack();
    let pixels = [2, 0, 3, 1].into_iter().flat_map(|at| slices[at].pixels.clone()).collect();
    let mut object = Slice { pixels, ..slices[0].clone() }.object();
    for tag in
        [tags::IMAGE_POSITION_PATIENT, tags::IMAGE_ORIENTATION_PATIENT, tags::PIXEL_SPACING, tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT]
    {
        object.remove_element(tag);
    }
    object.put_str(tags::NUMBER_OF_FRAMES, VR::IS, "4");
    let sequence = |tag, items: Vec<InMemDicomObject>| DataElement::new(tag, VR::SQ, DataSetSequence::from(items));
    let group = |tag, of: &[(Tag, &str)]| {
        let item = InMemDicomObject::from_element_iter(of.iter().map(|&(tag, text)| DataElement::new(tag, VR::DS, text)));
        sequence(tag, vec![item])
    };
    let shared = InMemDicomObject::from_element_iter([
        group(tags::PLANE_ORIENTATION_SEQUENCE, &[(tags::IMAGE_ORIENTATION_PATIENT, "0\\1\\0\\0\\0\\-1")]),
        group(tags::PIXEL_MEASURES_SEQUENCE, &[(tags::PIXEL_SPACING, "0.5\\0.25")]),
        group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, &[(tags::RESCALE_SLOPE, "2"), (tags::RESCALE_INTERCEPT, "-1000")]),
    ]);
    let own = ["14\\20\\30", "10\\20\\30", "16\\20\\30", "12\\20\\30"].map(|position| {
        InMemDicomObject::from_element_iter([group(tags::PLANE_POSITION_SEQUENCE, &[(tags::IMAGE_POSITION_PATIENT, position)])])
    });
    object.put(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
    object.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, own.to_vec()));
    object
}

#[test]
fn frames_of_one_file_are_slices_by_their_functional_groups() {
    let folder = Folder::new([]);
    save(multi_frame(), &folder.at("one"));
    is_the_stack(&folder.scan());
    is_the_stack(&read(&folder.at("one")).expect("a file is a series too"));
}

#[test]
fn what_is_no_even_stack_is_refused_with_its_place() {
    let with = |change: fn(&mut Vec<Slice>)| {
        let mut slices: Vec<Slice> = (0..6).map(Slice::new).collect();
        change(&mut slices);
        Folder::new(slices).fault()
    };
    let fault = with(|slices| drop(slices.drain(2..4)));
    let Fault::MissingSlices(place) = &fault else { panic!("{fault}") };
    // Slices 1 and 4, written second and third.
    assert!(place.contains("2 between IM7 and IM0") && place.contains("6.00 mm apart instead of 2.00"), "{place}");

    assert!(matches!(with(|slices| slices.truncate(2)), Fault::TooFewSlices(2)));
    let fault = with(|slices| slices[2].position = slices[3].position);
    assert!(matches!(&fault, Fault::RepeatedSlices(1, ..)), "{fault}");
    let fault = with(|slices| slices[2].position[0] += 0.3);
    assert!(matches!(fault, Fault::UnevenSlices(..)), "{fault}");
    // 2 mm to the left and 0.5 mm upwards a slice: atan(0.25) = 14 degrees.
    let fault = with(|slices| (0..6).for_each(|at| slices[at].position[2] += 0.5 * at as f64));
    assert!(matches!(fault, Fault::GantryTilt(degrees) if (degrees - 14.036).abs() < 0.01), "{fault}");
    let fault = with(|slices| slices[0].orientation = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert!(matches!(&fault, Fault::MixedSlices(kinds) if kinds.contains("1 axial of 3 x 2") && kinds.contains("5 sagittal")), "{fault}");
    assert!(matches!(with(|slices| slices[0].spacing = "0.5\\0.5"), Fault::MixedSlices(_)));
    assert!(matches!(with(|slices| slices[0].orientation = [1.0; 6]), Fault::Header { .. }));
    assert!(matches!(with(|slices| slices[0].slope = 0.0), Fault::Header { .. }));
    assert!(matches!(with(|slices| slices[0].more.push((tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB"))), Fault::Dicom(_)));
    assert!(matches!(with(|slices| slices[0].pixels.truncate(5)), Fault::Length { .. } | Fault::Dicom(_)));
    assert!(matches!(with(|slices| slices[5].series = "1.2.3.9"), Fault::SeveralSeries(names) if names.len() == 2));
    assert!(matches!(Folder::new([]).fault(), Fault::Dicom(_)));
}

#[test]
fn everything_that_is_wrong_with_a_series_is_told_at_once() {
    let all = |change: fn(&mut Vec<Slice>)| {
        let mut slices: Vec<Slice> = (0..6).map(Slice::new).collect();
        change(&mut slices);
        let folder = Folder::new(slices);
        let dataset = Dataset::open(&DataSource::Dataset(folder.at(""))).expect("a series");
        let DataErrors(errors) = dataset.cases[0].images[0].read().expect_err("no volume");
        errors.into_iter().map(|error| error.fault).collect::<Vec<_>>()
    };
    let faults = all(|slices| {
        slices.remove(2);
        slices[4].position[0] = slices[3].position[0];
    });
    assert!(matches!(&faults[..], [Fault::RepeatedSlices(1, ..), Fault::MissingSlices(_)]), "{faults:?}");
    let faults = all(|slices| {
        (0..6).for_each(|at| slices[at].position[2] += 0.5 * at as f64);
        slices[2].position[0] += 0.3;
    });
    assert!(matches!(&faults[..], [Fault::GantryTilt(_), Fault::UnevenSlices(..)]), "{faults:?}");
    let faults = all(|slices| {
        (0..4).for_each(|at| slices[at].slope = 0.0);
        slices[5].orientation = [1.0; 6];
    });
    assert!(matches!(&faults[..], [Fault::Header { .. }, Fault::Alike(3, ..), Fault::Header { .. }]), "{faults:?}");
}

#[test]
fn what_had_to_be_assumed_is_said() {
    let said = |change: fn(&mut Slice), part: &str| {
        let mut slices = stack();
        slices.iter_mut().for_each(change);
        let scan = Folder::new(slices).scan();
        assert!(notes(&scan).contains(part), "no {part:?} in {:?}", notes(&scan));
    };
    said(|slice| slice.more.push((tags::SLICE_THICKNESS, VR::DS, "1.5")), "slices of 1.5 mm lie 2.00 mm apart");
    said(|slice| slice.more.push((tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1")), "larger values are darker");
    said(|slice| slice.more.push((tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01")), "compressed with loss");
    let mut copied = stack();
    copied.push(copied[2].clone());
    let scan = Folder::new(copied).scan();
    is_the_stack(&scan);
    assert!(notes(&scan).contains("1 of its 5 images are copies"), "{}", notes(&scan));
    said(|slice| slice.position[0] += if slice.number == 1 { 0.05 } else { 0.0 }, "lies 0.050 mm off");
}

#[test]
fn a_segmentation_among_the_images_is_said_to_be_one() {
    let folder = Folder::new(stack());
    let mut other = stack().remove(0);
    other.more.push((tags::MODALITY, VR::CS, "SEG"));
    other.write(&folder.at("drawn"));
    let found = find(folder.0.path()).expect("a folder");
    let said: Vec<&str> = found.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(said, ["is a DICOM segmentation, no image: left out; label maps go in a folder of their own"]);
    assert_eq!(found.series.iter().map(|series| series.files.len()).collect::<Vec<_>>(), [4]);
}

#[test]
fn a_folder_becomes_cases_by_patient_and_series_without_their_names() {
    let folder = Folder::new(stack());
    for (at, slice) in stack().into_iter().enumerate() {
        Slice { series: "1.2.3.2", ..slice.clone() }.write(&folder.at(&format!("b/{at}.dcm")));
        // Of another patient under the same numbers.
        Slice { patient: "Roe^Richard", ..slice }.write(&folder.at(&format!("deep/er/{at}.dcm")));
    }
    std::fs::write(folder.at("deep/notes"), "no DICOM").expect("a writable folder");
    let found = find(folder.0.path()).expect("a folder");
    assert_eq!(found.series.iter().map(|series| series.files.len()).collect::<Vec<_>>(), [4, 4, 4]);

    let dataset = Dataset::open(&DataSource::Dataset(folder.at(""))).expect("three series");
    assert_eq!(dataset.channels, ["CT"]);
    for case in &dataset.cases {
        assert!(case.name.starts_with("Thorax_soft_7_") && case.name.len() == "Thorax_soft_7_".len() + 8, "{}", case.name);
        is_the_stack(&dataset.load(case, Default::default()).expect("a good case").image);
    }
    let everything = format!("{dataset:?}{:?}", dataset.cases.iter().map(|case| case.images[0].read()).collect::<Vec<_>>());
    for secret in ["Doe^", "Jane", "Richard", "20210304"] {
        assert!(!everything.contains(secret), "{secret}");
    }

    // The two series of one patient are one unit of every split; so are, here, all three, since their voxels are equal.
    let mut other = stack();
    other.iter_mut().for_each(|slice| (slice.patient, slice.pixels[0]) = ("Poe^Paula", 99));
    other.iter().for_each(|slice| slice.write(&folder.at(&format!("c/{}", slice.number))));
    let mut third = stack();
    third.iter_mut().for_each(|slice| (slice.patient, slice.series, slice.pixels[0]) = ("Poe^Paula", "1.2.3.4", 98));
    third.iter().for_each(|slice| slice.write(&folder.at(&format!("d/{}", slice.number))));
    let five = Dataset::open(&DataSource::Dataset(folder.at(""))).expect("five series");
    let together = Together::of(&five, &DataConfig::default()).expect("two units");
    let all: Vec<String> = five.cases.iter().map(|case| case.name.clone()).collect();
    let mut sizes: Vec<usize> = together.sets(&all).iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 3]);
    ["c", "d"].iter().for_each(|name| std::fs::remove_dir_all(folder.at(name)).expect("a folder made before"));

    let names: Vec<String> = dataset.cases.iter().map(|case| case.name.clone()).collect();
    let given = inputs::gather(&[folder.at("")], 1).expect("cases");
    assert_eq!(given.cases.iter().map(|case| &case.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    assert_eq!(inputs::gather(&[folder.at("")], 2).expect("none of two channels").errors.len(), 3);

    let labels = tempfile::tempdir().expect("a folder");
    let grid = dataset.cases[0].images[0].read().expect("a good series").volume.grid;
    let map = LabelMap { voxels: (0..24).map(|at| at % 2).collect(), grid: grid.clone() };
    for name in [names[0].as_str(), "other"] {
        write_labels(&labels.path().join(format!("{name}.nii.gz")), &map, &SourceHeader::for_grid(&grid)).expect("a writable folder");
    }
    let labelled =
        Dataset::open(&DataSource::Folders { images: folder.at(""), labels: Some(labels.path().to_owned()) }).expect("three series");
    assert_eq!(labelled.cases.iter().map(|case| case.label.is_some()).collect::<Vec<_>>(), [true, false, false]);
    assert!(labelled.load(&labelled.cases[0], Default::default()).is_ok(), "the label map lies on the series' grid");
    assert!(
        matches!(&labelled.findings[..], [problem] if matches!(problem.error.fault, Fault::NoSeriesLabelled(..))),
        "{:?}",
        labelled.findings
    );
}

#[test]
fn series_in_images_tr_are_the_labelled_cases_and_those_in_images_ts_the_others() {
    let folder = Folder::new([]);
    let write = |at: &str, patient: &'static str| {
        stack().into_iter().for_each(|slice| Slice { patient, ..slice.clone() }.write(&folder.at(&format!("{at}/{}.dcm", slice.number))));
    };
    write("imagesTr/ANNA/ct", "Doe^Jane");
    write("imagesTr/BERT", "Roe^Richard");
    write("imagesTs/CARL", "Poe^Paula");
    let grid = read(&folder.at("imagesTr/BERT")).expect("a good series").volume.grid;
    let map = LabelMap { voxels: (0..24).map(|at| at % 2).collect(), grid: grid.clone() };
    let label = |name: &str| write_labels(&folder.at(name), &map, &SourceHeader::for_grid(&grid)).expect("a writable folder");
    label("labelsTr/ANNA.nii.gz");
    // The truth of a test case whose image is not handed out.
    label("labelsTs/DORA.nii.gz");
    let open = || Dataset::open(&DataSource::Dataset(folder.at("")));
    let dataset = open().expect("three series");
    let labelled: Vec<&str> = dataset.cases.iter().filter(|case| case.label.is_some()).map(|case| case.name.as_str()).collect();
    assert_eq!((dataset.cases.len(), labelled.len(), dataset.channels.join(" ")), (3, 1, "CT".to_owned()));
    assert!(dataset.load(dataset.case(labelled[0]).expect("a case"), Default::default()).is_ok_and(|case| case.label.is_some()));
    let [missing] = &dataset.findings[..] else { panic!("{:?}", dataset.findings) };
    assert!(matches!(&missing.error.fault, Fault::Unpaired { missing, .. } if missing == "label"), "{missing:?}");
    assert!(missing.error.file.to_string_lossy().contains("BERT"), "{missing:?}");

    label("labelsTr/BERT.nii.gz");
    write("imagesTs/again", "Doe^Jane");
    let dataset = open().expect("three series, one of them twice");
    assert_eq!(dataset.cases.len(), 3);
    assert!(matches!(&dataset.findings[..], [problem] if matches!(problem.error.fault, Fault::ListedTwice(2)) && problem.case.is_some()));

    label("imagesTs/volume.nii.gz");
    let fault = open().expect_err("series, and volumes of another format").fault;
    assert!(matches!(&fault, Fault::List(cause) if cause.contains("imagesTr")), "{fault}");
}
