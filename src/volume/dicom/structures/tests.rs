//! Contours whose voxels are counted by hand, and structure sets that dicom-rs writes.

use std::path::Path;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, Tag};

use super::polygons::{Roi, label_map};
use crate::config::DataSource;
use crate::volume::dicom::tests::{Folder, save, stack};
use crate::volume::file;
use crate::volume::label_table::LabelTable;
use crate::volume::segment::Segment;
use crate::volume::{DataErrors, Dataset, Fault, Grid, Scan, VolumeSource};

type Contour = Vec<[f64; 3]>;

fn roi(value: u16, name: &str, contours: Vec<Contour>) -> Roi {
    Roi { value, segment: Segment { name: name.to_owned(), colour: [0; 3] }, space: String::new(), contours }
}

/// A contour through places (column, row) of a slice.
fn through(grid: &Grid, slice: f64, corners: &[[f64; 2]]) -> Contour {
    let place = |&[column, row]: &[f64; 2]| {
        let [right, front, up] = grid.world_mm([column, row, slice]);
        [-right, -front, up]
    };
    corners.iter().map(place).collect()
}

/// A rectangle of a slice, by two opposite corners (column, row).
fn rectangle(grid: &Grid, slice: f64, [left, top]: [f64; 2], [right, bottom]: [f64; 2]) -> Contour {
    through(grid, slice, &[[left, top], [right, top], [right, bottom], [left, bottom]])
}

/// The rows of a slice, a digit for each voxel.
fn rows(labels: &[u16], grid: &Grid, slice: usize) -> Vec<String> {
    let [_, rows, columns] = grid.shape;
    let plane = &labels[slice * rows * columns..][..rows * columns];
    plane
        .chunks(columns)
        .map(|row| row.iter().map(|label| if *label == 0 { ".".to_owned() } else { label.to_string() }).collect())
        .collect()
}

/// The labels of one structure, and the notes.
fn drawn(grid: &Grid, contours: Vec<Contour>) -> (Vec<u16>, Vec<String>) {
    label_map(&[roi(1, "a", contours)], grid).expect("contours in slices")
}

/// Why contours are refused.
fn refused(grid: &Grid, contours: Vec<Contour>) -> String {
    label_map(&[roi(1, "Heart", contours)], grid).expect_err("contours elsewhere").to_string()
}

#[test]
fn voxels_belong_whose_centres_lie_inside() {
    // 2 mm from slice to slice, 1 mm from row to row, 0.5 mm from column to column; columns run to the right, rows to the front.
    let grid = Grid::axis_aligned([3, 4, 5], [2.0, 1.0, 0.5]);
    let square = vec![[-0.25, -0.5, 2.0], [-1.75, -0.5, 2.0], [-1.75, -2.5, 2.0], [-0.25, -2.5, 2.0]];
    let (labels, notes) = drawn(&grid, vec![square.clone()]);
    assert_eq!(rows(&labels, &grid, 1), [".....", ".111.", ".111.", "....."]);
    assert_eq!(labels.iter().filter(|&&label| label != 0).count(), 6, "nothing in other slices");
    assert_eq!(notes, [""; 0]);
    // In the other direction, and from another corner on.
    let mut turned: Contour = square.into_iter().rev().collect();
    turned.rotate_left(1);
    assert_eq!(drawn(&grid, vec![turned]).0, labels);
    // A diamond around (2, 2) with a half-diagonal of 1.5 voxels.
    let plane = Grid::axis_aligned([1, 5, 5], [1.0; 3]);
    let diamond = through(&plane, 0.0, &[[0.5, 2.0], [2.0, 0.5], [3.5, 2.0], [2.0, 3.5]]);
    assert_eq!(rows(&drawn(&plane, vec![diamond]).0, &plane, 0), [".....", "..1..", ".111.", "..1..", "....."]);
}

#[test]
fn a_centre_on_a_common_contour_belongs_to_exactly_one_side() {
    // Sizes that no binary number holds: corners come back with rounding errors.
    let mut grid = Grid::axis_aligned([1, 5, 5], [1.1, 0.7, 0.3]);
    grid.world_from_voxel[0][3] = -33.3;
    let square = |value, from, to| roi(value, "square", vec![rectangle(&grid, 0.0, from, to)]);
    let three = [square(1, [0.0, 0.0], [2.0, 2.0]), square(2, [2.0, 0.0], [4.0, 2.0]), square(3, [0.0, 2.0], [4.0, 4.0])];
    let (labels, _) = label_map(&three, &grid).expect("no overlap");
    assert_eq!(rows(&labels, &grid, 0), ["1122.", "1122.", "3333.", "3333.", "....."]);
    let triangle = |value, corners: [[f64; 2]; 3]| roi(value, "triangle", vec![through(&grid, 0.0, &corners)]);
    let two = [triangle(1, [[0.0, 0.0], [3.0, 0.0], [3.0, 3.0]]), triangle(2, [[0.0, 0.0], [3.0, 3.0], [0.0, 3.0]])];
    let (labels, _) = label_map(&two, &grid).expect("no overlap");
    assert_eq!(rows(&labels, &grid, 0), ["111..", "211..", "221..", ".....", "....."]);
}

#[test]
fn holes_are_contours_within_others_or_keyholes() {
    let grid = Grid::axis_aligned([1, 5, 5], [1.0; 3]);
    let outer = rectangle(&grid, 0.0, [-0.5, -0.5], [4.5, 4.5]);
    let inner = rectangle(&grid, 0.0, [0.5, 0.5], [3.5, 3.5]);
    let ring = ["11111", "1...1", "1...1", "1...1", "11111"];
    assert_eq!(rows(&drawn(&grid, vec![inner.clone(), outer.clone()]).0, &grid, 0), ring);
    let island = rectangle(&grid, 0.0, [1.5, 1.5], [2.5, 2.5]);
    let with_island = ["11111", "1...1", "1.1.1", "1...1", "11111"];
    assert_eq!(rows(&drawn(&grid, vec![outer.clone(), inner.clone(), island]).0, &grid, 0), with_island);
    // Around, through a channel that goes over the centre of a voxel, around the hole the other way, and back.
    let keyhole = [outer.clone(), vec![outer[0], inner[0]], inner.iter().rev().copied().collect(), vec![outer[0]]].concat();
    assert_eq!(rows(&drawn(&grid, vec![keyhole]).0, &grid, 0), ring);
}

#[test]
fn contours_of_oblique_and_flipped_series_lie_in_their_slices() {
    // Columns, rows and slices of 2, 3 and 4 mm along (0.6, 0, 0.8), (0, 1, 0) and (-0.8, 0, 0.6).
    let world_from_voxel = [[1.2, 0.0, -3.2, 10.0], [0.0, 3.0, 0.0, 20.0], [1.6, 0.0, 2.4, 30.0], [0.0, 0.0, 0.0, 1.0]];
    let oblique = Grid { shape: [3, 3, 4], world_from_voxel };
    let square = vec![[-7.4, -21.5, 33.2], [-9.8, -21.5, 36.4], [-9.8, -24.5, 36.4], [-7.4, -24.5, 33.2]];
    let (labels, _) = drawn(&oblique, vec![square]);
    assert_eq!(rows(&labels, &oblique, 1), ["....", ".11.", "...."]);
    assert_eq!(labels.iter().filter(|&&label| label != 0).count(), 2);
    let axial = vec![[-7.4, -21.5, 33.2], [-9.8, -21.5, 33.2], [-9.8, -24.5, 33.2]];
    // 2.4 mm to the right are 2.4 * 0.8 mm against the slices.
    let cause = refused(&oblique, vec![axial]);
    assert!(cause.contains("\"Heart\"") && cause.contains("-7.40, -21.50, 33.20 mm") && cause.contains("spans 1.92 mm"), "{cause}");

    // The first slice is the uppermost, at 10 mm; the next lie 2 mm below one another.
    let mut flipped = Grid::axis_aligned([3, 1, 3], [2.0, 1.0, 1.0]);
    (flipped.world_from_voxel[2][2], flipped.world_from_voxel[2][3]) = (-2.0, 10.0);
    let at = |up: f64| vec![[-0.5, -0.5, up], [-1.5, -0.5, up], [-1.5, 0.5, up], [-0.5, 0.5, up]];
    let (labels, notes) = drawn(&flipped, vec![at(6.0), at(10.0)]);
    assert_eq!(labels, [0, 1, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(notes, ["\"a\" has no contour in 1 of the 3 slices from its first to its last; they are not filled in"]);
}

#[test]
fn contours_that_lie_in_no_slice_or_beyond_the_image_are_refused_with_their_place() {
    let grid = Grid::axis_aligned([3, 5, 5], [2.0, 1.0, 1.0]);
    let at = |slice: f64, to: f64| rectangle(&grid, slice, [0.5, 0.5], [to, 2.5]);
    assert_eq!(drawn(&grid, vec![at(1.09, 2.5)]).0, drawn(&grid, vec![at(1.0, 2.5)]).0, "within a tenth of the distance of slices");
    assert_eq!(rows(&drawn(&grid, vec![at(0.0, 4.9)]).0, &grid, 0)[1], ".1111", "up to a voxel beyond the outermost centres");
    for (contour, expected) in [
        (at(1.2, 2.5), "lies between slices, 0.40 mm off the nearest of them, which are 2.00 mm apart"),
        (at(3.0, 2.5), "lies 2.00 mm beyond the outermost slice"),
        (at(-1.5, 2.5), "lies 3.00 mm beyond the outermost slice"),
        (at(1.0, 5.0), "reaches beyond the image"),
        (at(1.0, -1.0), "reaches beyond the image"),
    ] {
        let cause = refused(&grid, vec![at(1.0, 2.5), contour.clone(), contour]);
        assert!(cause.contains(expected) && cause.contains("-0.50, -0.50, ") && cause.contains("2 of 3 contours"), "{cause}");
    }
}

#[test]
fn structures_keep_apart_and_what_is_empty_is_said() {
    let grid = Grid::axis_aligned([4, 4, 4], [1.0; 3]);
    let a = rectangle(&grid, 1.0, [-0.5, -0.5], [2.5, 2.5]);
    let b = |from: [f64; 2]| rectangle(&grid, 1.0, from, [3.5, 3.5]);
    let overlap = [roi(1, "a", vec![a.clone()]), roi(5, "b", vec![b([1.5, 0.5])])];
    // Columns 2, rows 1 and 2.
    assert_eq!(label_map(&overlap, &grid), Err(Fault::Overlap("a".to_owned(), "b".to_owned(), 2)));
    let beside = [roi(1, "a", vec![a]), roi(5, "b", vec![b([2.5, 0.5])]), roi(6, "none", Vec::new())];
    let (labels, notes) = label_map(&beside, &grid).expect("no overlap");
    assert_eq!(rows(&labels, &grid, 1), ["111.", "1115", "1115", "...5"]);
    assert_eq!(notes, ["\"none\" holds no contour"]);
    let (labels, notes) = drawn(&grid, vec![rectangle(&grid, 0.0, [0.2, 0.2], [0.8, 0.8]), through(&grid, 1.0, &[[1.0, 1.0]])]);
    assert!(labels.iter().all(|&label| label == 0));
    assert_eq!(
        notes,
        [
            "contours of \"a\" with fewer than three different points enclose nothing (1 of 2 are left out)",
            "the contours of \"a\" enclose no voxel centre in 1 of its 1 slices"
        ]
    );
}

#[test]
fn a_contour_that_a_slice_holds_twice_counts_once() {
    let grid = Grid::axis_aligned([2, 5, 5], [1.0; 3]);
    let square = |slice: f64| rectangle(&grid, slice, [0.5, 0.5], [3.5, 3.5]);
    // In the other direction, from another corner on, closed by its first point, and off by less than half a step.
    let mut again: Contour = square(0.0).into_iter().rev().collect();
    again.rotate_left(2);
    again.push(again[0]);
    again.iter_mut().for_each(|point| point[0] += 1e-5);
    let (labels, notes) = drawn(&grid, vec![square(0.0), again, square(1.0)]);
    assert_eq!(notes, ["contours of \"a\" that a slice holds twice count once (1 of 3 are left out)"]);
    let filled = [".....", ".111.", ".111.", ".111.", "....."];
    assert_eq!([0, 1].map(|slice| rows(&labels, &grid, slice)), [filled, filled]);
    // The same corners in another order are another contour.
    let corners = square(0.0);
    let crossed = [0, 2, 1, 3].map(|corner| corners[corner]).to_vec();
    assert_eq!(drawn(&grid, vec![corners, crossed]).1, [""; 0]);
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

fn item(texts: &[(Tag, VR, &str)], more: Vec<DataElement<InMemDicomObject>>) -> InMemDicomObject {
    let texts = texts.iter().map(|&(tag, vr, text)| DataElement::new(tag, vr, text));
    InMemDicomObject::from_element_iter(texts.chain(more))
}

/// A contour by its type and its numbers in text.
fn contour(kind: &str, data: &str, points: &str) -> InMemDicomObject {
    let texts = [
        (tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, kind),
        (tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, points),
        (tags::CONTOUR_DATA, VR::DS, data),
    ];
    item(&texts, Vec::new())
}

/// A structure set of structures (number, name) with their contours, in this order, that refers to nothing as yet.
fn structure_set(structures: Vec<(&str, &str, Vec<InMemDicomObject>)>) -> InMemDicomObject {
    let named =
        structures.iter().map(|&(number, name, _)| item(&[(tags::ROI_NUMBER, VR::IS, number), (tags::ROI_NAME, VR::LO, name)], Vec::new()));
    let named = sequence(tags::STRUCTURE_SET_ROI_SEQUENCE, named.collect());
    let of_structure = |(number, _, contours): (&str, &str, Vec<InMemDicomObject>)| {
        let texts = [(tags::REFERENCED_ROI_NUMBER, VR::IS, number), (tags::ROI_DISPLAY_COLOR, VR::IS, "255\\0\\10")];
        item(&texts, vec![sequence(tags::CONTOUR_SEQUENCE, contours)])
    };
    let contours = sequence(tags::ROI_CONTOUR_SEQUENCE, structures.into_iter().map(of_structure).collect());
    let whole = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::SOP_CLASS_UID, VR::UI, uids::RT_STRUCTURE_SET_STORAGE),
        (tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.7"),
        (tags::MODALITY, VR::CS, "RTSTRUCT"),
        (tags::PATIENT_NAME, VR::PN, "Doe^Jane"),
        (tags::STUDY_DATE, VR::DA, "20210304"),
    ];
    item(&whole, vec![named, contours])
}

const KIDNEY: &str = "14\\19.875\\30.25\\14\\20.375\\30.25\\14\\20.375\\29.75\\14\\19.875\\29.75";

/// Three structures and a point on the four slices of [`stack`]: sagittal, to the patient's right from 16 mm to the left on, of two rows downwards from
/// 30 mm on by 0.5 mm, and three columns to the back from 20 mm on by 0.25 mm.
fn three_and_a_point() -> InMemDicomObject {
    let corner = "14\\20.375\\29.75\\14\\20.625\\29.75\\14\\20.625\\29.25\\14\\20.375\\29.25";
    let whole = "10\\19.875\\30.25\\10\\20.625\\30.25\\10\\20.625\\29.25\\10\\19.875\\29.25";
    let hole = "10\\20.125\\30.25\\10\\20.375\\30.25\\10\\20.375\\29.75\\10\\20.125\\29.75";
    let xor = |data: &str| contour("CLOSEDPLANAR_XOR", data, "4");
    let mut as_bytes = xor("");
    as_bytes.put(DataElement::new(tags::CONTOUR_DATA, VR::UN, PrimitiveValue::U8(hole.as_bytes().into())));
    structure_set(vec![
        ("9", "Überbein", vec![xor(corner), xor(whole), as_bytes]),
        ("2", "Left Kidney", vec![contour("CLOSED_PLANAR", KIDNEY, "4")]),
        ("11", "Spleen", Vec::new()),
        ("5", "Isocentre", vec![contour("POINT", "14\\20\\30", "1")]),
    ])
}

#[rustfmt::skip]
const LABELS: [f32; 24] = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    1.0, 1.0, 0.0, 0.0, 0.0, 3.0,
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    3.0, 0.0, 3.0, 3.0, 3.0, 3.0,
];

/// What a structure set says of its space, and of the series that it is of.
fn space(space: &str, series: Option<&str>) -> DataElement<InMemDicomObject> {
    let series = series.map(|series| item(&[(tags::SERIES_INSTANCE_UID, VR::UI, series)], Vec::new()));
    let study = item(&[], vec![sequence(tags::RT_REFERENCED_SERIES_SEQUENCE, series.into_iter().collect())]);
    let within = vec![sequence(tags::RT_REFERENCED_STUDY_SEQUENCE, vec![study])];
    sequence(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, vec![item(&[(tags::FRAME_OF_REFERENCE_UID, VR::UI, space)], within)])
}

/// A structure set as the label map of the series in a folder.
fn on_series(folder: &Folder, set: &Path) -> Result<Scan, DataErrors> {
    VolumeSource::label_map(set.to_owned(), &[VolumeSource::File(folder.at("deep"))]).read()
}

#[test]
fn a_structure_set_becomes_labels_on_the_slices_of_its_series() {
    let folder = Folder::new(stack());
    let set = folder.at("rt/set");
    save(three_and_a_point(), &set);
    let scan = on_series(&folder, &set).expect("closed contours");
    assert_eq!(scan.volume.grid, folder.scan().volume.grid);
    assert_eq!(scan.volume.voxels, LABELS);
    let notes: Vec<&str> = scan.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(
        notes,
        [
            "\"Isocentre\" is left out: it holds contours of POINT, which enclose nothing",
            "its structures are taken as label values: 1 Left Kidney, 3 Überbein, 4 Spleen",
            "\"Überbein\" has no contour in 1 of the 3 slices from its first to its last; they are not filled in",
            "\"Spleen\" holds no contour",
            "does not refer to the series of its image; its contours are taken where they lie in space",
            "its image does not say in which space it lies (Frame of Reference UID); the contours are taken to lie there too",
        ]
    );
    let table = LabelTable::within(&set).expect("our own file").expect("names");
    assert_eq!(table.entries.keys().copied().collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!((table.entries[&3].name.as_deref(), table.entries[&3].colour), (Some("Überbein"), [255, 0, 10]));
    assert_eq!(file::read(&set).expect_err("no image").fault, Fault::Contours);
}

/// [`stack`] in the space 1.2.9.
fn in_space() -> Folder {
    let mut slices = stack();
    slices.iter_mut().for_each(|slice| slice.more.push((tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.9")));
    Folder::new(slices)
}

#[test]
fn contours_of_another_space_are_refused_though_the_series_is_theirs() {
    let folder = in_space();
    let read = |of_set: Option<&str>, of_structure: Option<&str>| {
        let mut object = structure_set(vec![("1", "a", vec![contour("CLOSED_PLANAR", KIDNEY, "4"), contour("POINT", "14\\20\\30", "1")])]);
        of_set.into_iter().for_each(|of_set| drop(object.put(space(of_set, Some("1.2.3.1")))));
        let texts =
            [Some((tags::ROI_NUMBER, VR::IS, "1")), of_structure.map(|space| (tags::REFERENCED_FRAME_OF_REFERENCE_UID, VR::UI, space))];
        let named = item(&texts.into_iter().flatten().collect::<Vec<_>>(), Vec::new());
        object.put(sequence(tags::STRUCTURE_SET_ROI_SEQUENCE, vec![named]));
        save(object, &folder.at("rt/set"));
        on_series(&folder, &folder.at("rt/set"))
    };
    for (of_set, of_structure) in [(Some("1.2.8"), None), (Some("1.2.9"), Some("1.2.8")), (None, Some("1.2.8"))] {
        let cause = read(of_set, of_structure).expect_err("another space").to_string();
        assert!(cause.contains("in the space 1.2.8, the image in 1.2.9"), "{cause}");
    }
    for (of_set, of_structure, said) in [(Some("1.2.9"), None, 0), (None, Some("1.2.9"), 0), (None, None, 1)] {
        let scan = read(of_set, of_structure).expect("no other space");
        let noted = |text: &str| scan.notes.iter().filter(|note| note.text.contains(text)).count();
        assert_eq!(noted("does not say of all its contours in which space they lie"), said, "{:?}", scan.notes);
        // The point is left out, and the contour beside it is not.
        assert_eq!(noted("contours of POINT in \"structure 1\" are left out: they enclose nothing; 1 of its 2 contours remain"), 1);
        assert!(scan.volume.voxels.iter().zip(LABELS).all(|(&label, all)| label == f32::from(all == 1.0)));
    }
}

#[test]
fn a_structure_set_is_of_the_series_that_it_refers_to_by_series_images_or_space() {
    let folder = in_space();
    let opened = |change: &dyn Fn(&mut InMemDicomObject)| {
        let mut object = three_and_a_point();
        change(&mut object);
        save(object, &folder.at("rt/any name"));
        let source = DataSource::Folders { images: folder.at("deep"), labels: Some(folder.at("rt")) };
        Dataset::open(&source).expect("one series")
    };
    let by_images = |object: &mut InMemDicomObject| {
        let image = item(&[(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.1.2")], Vec::new());
        let point = item(&[(tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "POINT")], vec![sequence(tags::CONTOUR_IMAGE_SEQUENCE, vec![image])]);
        let structure = item(&[(tags::REFERENCED_ROI_NUMBER, VR::IS, "5")], vec![sequence(tags::CONTOUR_SEQUENCE, vec![point])]);
        object.put(sequence(tags::ROI_CONTOUR_SEQUENCE, vec![structure]));
    };
    let by_series = opened(&|object| drop(object.put(space("1.2.9", Some("1.2.3.1")))));
    for dataset in [&by_series, &opened(&by_images), &opened(&|object| drop(object.put(space("1.2.9", None))))] {
        assert_eq!((dataset.cases[0].label.is_some(), &dataset.findings[..]), (true, &[][..]));
    }
    let of_another = opened(&|object| drop(object.put(space("1.2.8", Some("1.2.3.8")))));
    assert!(matches!(&of_another.findings[..], [problem] if matches!(problem.error.fault, Fault::NoSeriesLabelled(..))));

    let dataset = opened(&|object| drop(object.put(space("1.2.9", Some("1.2.3.1")))));
    let names: Vec<(u32, &str)> = dataset.labels.iter().map(|(&value, name)| (value, name.as_str())).collect();
    assert_eq!(names[1..], [(1, "Left Kidney"), (3, "Überbein")], "of what occurs");
    let loaded = dataset.load(&dataset.cases[0], Default::default()).expect("a good case");
    assert!(loaded.label.expect("a label map").voxels.iter().zip(LABELS).all(|(&a, b)| f32::from(a) == b));
    let everything = format!("{dataset:?}{:?}", loaded.image.notes);
    assert!(everything.contains("Isocentre") && !everything.contains("Jane") && !everything.contains("20210304"), "{everything}");
    assert!(!everything.contains("does not refer"), "{everything}");
}

#[test]
fn what_is_no_list_of_closed_contours_is_refused() {
    let folder = Folder::new(stack());
    let set = folder.at("rt/set");
    let fault = |object: InMemDicomObject| {
        save(object, &set);
        let DataErrors(errors) = on_series(&folder, &set).expect_err("no label map");
        errors.into_iter().next().expect("never empty").fault
    };
    let of = |data: &str, points: &str| structure_set(vec![("1", "a", vec![contour("CLOSED_PLANAR", data, points)])]);
    for (data, points) in [("14\\20\\30\\14\\20", "2"), ("14\\20\\30", "2"), ("14\\20\\x", "1"), ("14\\20\\x", ""), ("14\\20\\nan", "1")] {
        let fault = fault(of(data, points));
        assert!(matches!(&fault, Fault::Header { field, .. } if field.contains("Contour Data of \"a\"")), "{data}: {fault}");
    }
    let fault_of = fault(structure_set(Vec::new()));
    assert!(matches!(&fault_of, Fault::Structures(cause) if cause.contains("0 structures")), "{fault_of}");
    assert!(matches!(fault(structure_set(vec![("1", "a", Vec::new()), ("1", "b", Vec::new())])), Fault::Header { .. }));
    let mut nameless = of("14\\20\\30", "1");
    nameless.put(sequence(tags::STRUCTURE_SET_ROI_SEQUENCE, vec![item(&[(tags::ROI_NUMBER, VR::IS, "3")], Vec::new())]));
    let fault_of = fault(nameless);
    assert!(matches!(&fault_of, Fault::Structures(cause) if cause.contains("contours of structure 1")), "{fault_of}");
    let nothing = structure_set(vec![("1", "a", vec![contour("POINT", "14\\20\\30", "1")]), ("2", "b", Vec::new())]);
    let fault_of = fault(nothing);
    let whole = "none of its structures holds a voxel: \"a\" is left out: it holds contours of POINT, which enclose nothing; \"b\" holds no contour";
    assert_eq!(fault_of, Fault::Structures(whole.to_owned()));
    // Half-way between two slices.
    let fault_of = fault(of("13\\20\\30\\13\\20.5\\30\\13\\20.5\\29.5", "3"));
    assert!(
        matches!(&fault_of, Fault::Structures(cause) if cause.contains("\"a\"") && cause.contains("13.00, 20.00, 30.00")),
        "{fault_of}"
    );
    // Without an image whose grid it could take.
    let two = VolumeSource::label_map(set.clone(), &[VolumeSource::File(set)]).read().expect_err("no grid");
    assert_eq!(two.0[0].fault, Fault::Contours);
}
