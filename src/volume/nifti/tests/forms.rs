//! Units, forms that hold nothing, flat images, and what a segmentation takes over of its source's header.

use nifti::NiftiHeader;

use super::{SHAPE, damaged, fault, reference, scan, scan_with, segmented};
use crate::volume::nifti::{Scan, to_bytes};
use crate::volume::{Fault, Grid};

fn texts(scan: &Scan) -> Vec<&str> {
    scan.notes.iter().map(|note| note.text.as_str()).collect()
}

/// Rows of the reference's sform and the reference's other lengths, in another unit.
fn in_unit(code: i32, of_mm: f32) -> NiftiHeader {
    let mut header = reference();
    header.xyzt_units = code as u8;
    let rows = [&mut header.srow_x, &mut header.srow_y, &mut header.srow_z];
    let lengths = rows.into_iter().flatten().chain(&mut header.pixdim[1..4]);
    lengths.chain([&mut header.quatern_x, &mut header.quatern_y, &mut header.quatern_z]).for_each(|length| *length *= of_mm);
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
    let large = scan(&metres);
    assert_eq!(large.volume.grid.spacing_mm(), [3000.0, 750.0, 1500.0]);
    assert!(texts(&large)[0].contains("1500 x 750 x 3000 mm are odd"), "{:?}", large.notes);
    let mut beyond = metres;
    beyond[292..296].copy_from_slice(&1001_f32.to_le_bytes());
    let Fault::Header { field, found, .. } = fault(&beyond) else { panic!("a thousand metres") };
    assert!(field.contains("sform (srow_x") && found.contains("1001000 mm"), "{field} {found}");
    let unnamed = scan_with(&NiftiHeader { xyzt_units: 0, srow_x: [400.0, 0.0, 0.0, 0.0], ..reference() });
    assert!(texts(&unnamed)[0].contains("names no unit of length and mm is assumed"), "{:?}", unnamed.notes);
}

#[test]
fn an_sform_that_holds_nothing_gives_way_to_the_qform_and_then_to_the_voxel_sizes() {
    let by_qform = scan_with(&NiftiHeader { sform_code: 0, ..reference() }).volume.grid;
    let by_sizes = scan_with(&NiftiHeader { sform_code: 0, qform_code: 0, ..reference() }).volume.grid;
    let [x, y, z] = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    for (why, [srow_x, srow_y, srow_z]) in [
        ("is empty", [[0.0; 4]; 3]),
        ("is empty", [[0.0, 0.0, 0.0, 7.0]; 3]),
        ("holds NaN", [[f32::NAN; 4]; 3]),
        ("holds NaN", [x, [0.0, 1.0, 0.0, f32::INFINITY], z]),
        ("spans no volume", [[1.0, 2.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0], z]),
        ("spans no volume", [x, y, [0.0; 4]]),
    ] {
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
fn without_sform_the_quaternion_counts_and_without_both_the_voxel_size() {
    let quaternion = nalgebra::UnitQuaternion::<f64>::from_euler_angles(0.4, -1.1, 2.6);
    let [b, c, d] = [quaternion.i, quaternion.j, quaternion.k].map(|v| (v * quaternion.w.signum()) as f32);
    for qfac in [1.0, -1.0] {
        let pixdim = [qfac, 1.5, 0.75, 3.0, 0.0, 0.0, 0.0, 0.0];
        let quatern = NiftiHeader { quatern_b: b, quatern_c: c, quatern_d: d, quatern_y: -4.0, ..reference() };
        let grid = scan_with(&NiftiHeader { sform_code: 0, pixdim, ..quatern }).volume.grid;
        let size = [1.5, 0.75, 3.0 * f64::from(qfac)];
        for (row, column) in (0..9).map(|at| (at / 3, at % 3)) {
            let (found, expected) = (grid.world_from_voxel[row][column], quaternion.to_rotation_matrix()[(row, column)] * size[column]);
            assert!((found - expected).abs() < 1e-6, "{qfac} {row} {column}: {found} is not {expected}");
        }
        assert_eq!(grid.world_from_voxel[1][3], -4.0);
    }
    let grid = scan_with(&NiftiHeader { sform_code: 0, qform_code: 0, ..reference() }).volume.grid;
    assert_eq!(grid.world_from_voxel, [[-1.5, 0.0, 0.0, 2.25], [0.0, 0.75, 0.0, -0.75], [0.0, 0.0, 3.0, -1.5], [0.0, 0.0, 0.0, 1.0]]);
    let sides = scan(&damaged(254, &[0]));
    assert!(texts(&sides)[0].contains("neither qform nor sform"), "{:?}", sides.notes);
    assert_eq!(sides.volume.grid.axis_codes(), "LAS");
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
    let fault = fault(&bytes).to_string();
    assert!(fault.contains("the voxel size along j (pixdim[2]) as NaN"), "{fault}");
}

#[test]
fn a_flat_image_has_one_slice() {
    // Beyond the rank, dim means nothing.
    for (rank, depth) in [(2_i16, 1_i16), (2, 0), (2, 77), (3, 1)] {
        let mut bytes = damaged(40, &[rank.to_le_bytes(), 4_i16.to_le_bytes(), 3_i16.to_le_bytes(), depth.to_le_bytes()].concat());
        bytes.truncate(352 + 4 * 12);
        let volume = scan(&bytes).volume;
        assert_eq!((volume.grid.shape, volume.channels, volume.voxels.len()), ([1, 3, 4], 1, 12));
    }
}

#[test]
fn a_segmentation_keeps_unit_and_forms_of_its_source_and_takes_over_no_intent_description_or_display_range() {
    for (code, of_mm) in [(1, 1e-3), (3, 1e3)] {
        let source = scan_with(&in_unit(code, of_mm));
        let back = segmented(&source, vec![1; 24]);
        assert_eq!(back.volume.grid, source.volume.grid);
        for kept in [76..108, 123..124, 252..328] {
            assert_eq!(back.header.as_bytes()[kept.clone()], source.header.as_bytes()[kept]);
        }
    }
    let source = scan_with(&NiftiHeader {
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
    });
    let values = scan(&to_bytes(&source.volume, &source.header));
    for written in [segmented(&source, vec![3; 24]), values] {
        let bytes = written.header.as_bytes();
        // intent_p and intent_code, scl_inter, cal_max and cal_min, glmax and glmin, aux_file, intent_name.
        for zeros in [56..70, 116..120, 124..132, 140..148, 228..252, 328..344] {
            assert!(bytes[zeros.clone()].iter().all(|&byte| byte == 0), "{zeros:?}");
        }
        assert_eq!(bytes[112..116], 1.0_f32.to_le_bytes());
        assert!(bytes[148..228].starts_with(b"simtrot\0") && !bytes[148..228].windows(7).any(|text| text == b"scanner"));
        assert_eq!(written.volume.grid.shape, SHAPE);
    }
}
