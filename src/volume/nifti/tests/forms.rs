//! Units, forms that hold nothing, flat images, and what a segmentation takes over of its source's header.

use std::path::Path;

use nifti::NiftiHeader;

use super::{SHAPE, damaged, fault, reference, written_with};
use crate::volume::nifti::{Scan, SourceHeader, read, read_from, to_bytes, write_labels, write_volume};
use crate::volume::{Fault, Grid, LabelMap, Volume};

fn scan_with(header: &NiftiHeader) -> Scan {
    let folder = tempfile::tempdir().expect("a folder");
    written_with(folder.path(), header)
}

fn texts(scan: &Scan) -> Vec<&str> {
    scan.notes.iter().map(|note| note.text.as_str()).collect()
}

/// Rows of the reference's sform and the reference's other lengths, in another unit.
fn in_unit(code: i32, of_mm: f32) -> NiftiHeader {
    let mut header = reference();
    header.xyzt_units = code as u8;
    header.pixdim[1..4].iter_mut().for_each(|size| *size *= of_mm);
    for row in [&mut header.srow_x, &mut header.srow_y, &mut header.srow_z] {
        row.iter_mut().for_each(|value| *value *= of_mm);
    }
    for offset in [&mut header.quatern_x, &mut header.quatern_y, &mut header.quatern_z] {
        *offset *= of_mm;
    }
    header
}

fn assert_same_place(a: &Grid, b: &Grid, what: &str) {
    assert!(a.shape == b.shape && a.corner_distance_mm(b) < 1e-3, "{what}: {a:?} is not {b:?}");
}

#[test]
fn lengths_in_metres_and_microns_become_mm_whichever_form_they_stand_in() {
    // Units of time stand in the upper bits.
    for (code, of_mm) in [(0, 1.0), (2, 1.0), (1, 1e-3), (3, 1e3), (8 + 1, 1e-3), (16 + 3, 1e3), (24 + 2, 1.0)] {
        for (sform_code, qform_code) in [(2, 1), (0, 1), (0, 0)] {
            let with = |header: NiftiHeader| scan_with(&NiftiHeader { sform_code, qform_code, ..header });
            let (scan, in_mm) = (with(in_unit(code, of_mm)), with(reference()));
            assert_same_place(&scan.volume.grid, &in_mm.volume.grid, &format!("unit {code}, forms {sform_code} {qform_code}"));
            assert_eq!(texts(&scan), texts(&in_mm), "the unit is no matter for a note");
        }
    }
    let odd = scan_with(&in_unit(5, 1.0));
    assert!(texts(&odd)[0].contains("unknown code 5"), "{:?}", odd.notes);
}

#[test]
fn coordinates_are_judged_in_mm_and_odd_voxel_sizes_noted() {
    let mut far = in_unit(3, 1e3);
    far.srow_x[3] = 1.5e6;
    assert_eq!(scan_with(&far).volume.grid.world_from_voxel[0][3], 1500.0);
    let metres = damaged(123, &[1]);
    let scan = read_from(Path::new("metres.nii"), metres.as_slice(), metres.len() as u64).expect("a large scan");
    assert_eq!(scan.volume.grid.spacing_mm(), [3000.0, 750.0, 1500.0]);
    assert!(texts(&scan)[0].contains("1500 x 750 x 3000 mm are odd"), "{:?}", scan.notes);
    let mut beyond = metres;
    beyond[292..296].copy_from_slice(&1001_f32.to_le_bytes());
    let Fault::Header { field, found, .. } = fault(&beyond) else { panic!("a thousand metres") };
    assert!(field.contains("sform (srow_x") && found.contains("1001000 mm"), "{field} {found}");
    let unnamed = scan_with(&NiftiHeader { xyzt_units: 0, srow_x: [400.0, 0.0, 0.0, 0.0], ..reference() });
    assert!(texts(&unnamed)[0].contains("names no unit of length and mm is assumed"), "{:?}", unnamed.notes);
}

#[test]
fn a_segmentation_keeps_unit_and_forms_of_its_source_to_the_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    for (code, of_mm) in [(1, 1e-3), (3, 1e3)] {
        let source = written_with(folder.path(), &in_unit(code, of_mm));
        let file = folder.path().join("labels.nii.gz");
        let labels = LabelMap { grid: source.volume.grid.clone(), voxels: vec![1; 24] };
        write_labels(&file, &labels, &source.header).expect("a writable folder");
        let back = read(&file).expect("our own file");
        assert_eq!(back.volume.grid, source.volume.grid);
        for kept in [76..108, 123..124, 252..328] {
            assert_eq!(back.header.as_bytes()[kept.clone()], source.header.as_bytes()[kept]);
        }
    }
}

#[test]
fn an_sform_that_holds_nothing_gives_way_to_the_qform_and_then_to_the_voxel_sizes() {
    let by_qform = scan_with(&NiftiHeader { sform_code: 0, ..reference() }).volume.grid;
    let by_sizes = scan_with(&NiftiHeader { sform_code: 0, qform_code: 0, ..reference() }).volume.grid;
    let row = |values: [f32; 4]| values;
    let useless = [
        ("is empty", [row([0.0; 4]); 3]),
        ("is empty", [[0.0, 0.0, 0.0, 7.0]; 3]),
        ("holds NaN", [[f32::NAN; 4]; 3]),
        ("holds NaN", [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, f32::INFINITY], [0.0, 0.0, 1.0, 0.0]]),
        ("spans no volume", [[1.0, 2.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]),
        ("spans no volume", [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]),
    ];
    for (why, [srow_x, srow_y, srow_z]) in useless {
        let header = NiftiHeader { srow_x, srow_y, srow_z, ..reference() };
        let scan = scan_with(&header);
        assert_same_place(&scan.volume.grid, &by_qform, why);
        let [note] = texts(&scan)[..] else { panic!("{why}: {:?}", scan.notes) };
        assert!(note.contains(why) && note.contains("placed by its qform"), "{note}");
        let scan = scan_with(&NiftiHeader { qform_code: 0, ..header });
        assert_same_place(&scan.volume.grid, &by_sizes, why);
        assert!(texts(&scan)[0].contains("placed by its voxel sizes, with assumed sides"), "{:?}", scan.notes);
    }
    let scan = scan_with(&NiftiHeader { sform_code: 0, quatern_c: f32::NAN, ..reference() });
    assert_same_place(&scan.volume.grid, &by_sizes, "a NaN quaternion");
    assert!(texts(&scan)[0].contains("its qform (quatern, qoffset) holds NaN"), "{:?}", scan.notes);
    let scan = scan_with(&NiftiHeader { sform_code: 0, quatern_b: 0.8, quatern_c: 0.8, quatern_d: 0.0, ..reference() });
    assert!(texts(&scan)[0].contains("is longer than 1; taken as a half turn"), "{:?}", scan.notes);
    assert_eq!(scan_with(&reference()).notes, [], "a good header has nothing to note");
}

#[test]
fn a_voxel_size_of_0_is_1_mm_and_one_that_is_no_number_is_refused_by_name() {
    for (qform_code, code, of_mm) in [(1, 2, 1.0_f32), (0, 2, 1.0), (1, 3, 1e3)] {
        let mut header = NiftiHeader { sform_code: 0, qform_code, ..in_unit(code, of_mm) };
        header.pixdim[3] = 0.0;
        let scan = scan_with(&header);
        let spacing = scan.volume.grid.spacing_mm();
        assert!((spacing[0] - 1.0).abs() < 1e-6 && (spacing[2] - 1.5).abs() < 1e-6, "{spacing:?}");
        assert!(texts(&scan).iter().any(|note| note.contains("along k (pixdim[3]) is 0; taken as 1 mm")), "{:?}", scan.notes);
    }
    // Without forms, pixdim[2] decides; 254 is the sform's code.
    let mut bytes = damaged(254, &[0, 0]);
    bytes[84..88].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = read_from(Path::new("x.nii"), bytes.as_slice(), bytes.len() as u64).expect_err("no voxel size").to_string();
    assert!(error.contains("the voxel size along j (pixdim[2]) as NaN"), "{error}");
}

#[test]
fn a_flat_image_has_one_slice() {
    let flat = |rank: i16, depth: i16| {
        let mut bytes = damaged(40, &[rank.to_le_bytes(), 4_i16.to_le_bytes(), 3_i16.to_le_bytes(), depth.to_le_bytes()].concat());
        bytes.truncate(352 + 4 * 12);
        read_from(Path::new("flat.nii"), bytes.as_slice(), bytes.len() as u64).expect("a flat image")
    };
    // Beyond the rank, dim means nothing.
    for scan in [flat(2, 1), flat(2, 0), flat(2, 77), flat(3, 1)] {
        assert_eq!((scan.volume.grid.shape, scan.volume.channels, scan.volume.voxels.len()), ([1, 3, 4], 1, 12));
    }
}

#[test]
fn what_is_written_takes_over_no_intent_description_or_display_range() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = NiftiHeader {
        intent_p1: 3.0,
        intent_p2: 4.0,
        intent_p3: 5.0,
        intent_code: 5,
        cal_min: -4.0,
        glmax: 9,
        glmin: 3,
        aux_file: *b"atlas.lut\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        scl_slope: 2.0,
        scl_inter: 1.0,
        ..reference()
    };
    let source = written_with(folder.path(), &source);
    let (labels, values) = (folder.path().join("labels.nii.gz"), folder.path().join("values.nii"));
    write_labels(&labels, &LabelMap { grid: source.volume.grid.clone(), voxels: vec![3; 24] }, &source.header).expect("a writable folder");
    write_volume(&values, &source.volume, &source.header).expect("a writable folder");
    for file in [labels, values] {
        let header = NiftiHeader::from_file(&file).expect("the nifti crate reads");
        assert_eq!((header.intent_code, [header.intent_p1, header.intent_p2, header.intent_p3]), (0, [0.0; 3]));
        assert_eq!((header.cal_min, header.cal_max, header.glmin, header.glmax), (0.0, 0.0, 0, 0));
        assert_eq!((header.scl_slope, header.scl_inter), (1.0, 0.0));
        assert_eq!((header.aux_file, header.intent_name), ([0; 24], [0; 16]));
        assert!(header.descrip.starts_with(b"simtrot\0") && !String::from_utf8_lossy(&header.descrip).contains("scanner"));
    }
}

#[test]
fn a_header_without_forms_says_that_its_sides_are_assumed() {
    let volume = Volume { channels: 1, voxels: vec![1.0; 24], grid: Grid::axis_aligned(SHAPE, [3.0, 0.75, 1.5]) };
    let mut bytes = to_bytes(&volume, &SourceHeader::for_grid(&volume.grid));
    bytes[254] = 0;
    let scan = read_from(Path::new("x"), bytes.as_slice(), bytes.len() as u64).expect("a plain file");
    assert!(texts(&scan)[0].contains("neither qform nor sform"), "{:?}", scan.notes);
    assert_eq!(scan.volume.grid.axis_codes(), "LAS");
}
