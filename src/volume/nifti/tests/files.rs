//! Bytes behind the image, NIfTI-2, and images in two files.

use std::path::Path;

use nifti::{Endianness, NiftiHeader};

use super::{SHAPE, big_endian, damaged, fault, in_memory_order, packed, reference, written_with};
use crate::volume::nifti::{Scan, files, read, read_from, write_labels};
use crate::volume::{DataError, Fault, LabelMap, VolumeSource, content};

fn scan(bytes: &[u8]) -> Scan {
    read_from(Path::new("x.nii.gz"), bytes, bytes.len() as u64).expect("a file that can be read")
}

#[test]
fn bytes_behind_the_image_are_left_out_and_padding_is_nothing_to_mention() {
    let good = damaged(0, &348_i32.to_le_bytes());
    let whole = scan(&good).volume;
    let gzip = packed(&good);
    let (first, second) = good.split_at(377);
    let zeros = vec![0; 70_000];
    let cases: [(Vec<u8>, Option<&str>); 9] = [
        ([good.as_slice(), &zeros].concat(), Some("70000 bytes behind the image")),
        ([good.as_slice(), b"!"].concat(), Some("1 bytes behind the image")),
        ([gzip.as_slice(), &zeros].concat(), None),
        ([gzip.as_slice(), &zeros, b"tail"].concat(), Some("70004 bytes behind the gzip stream")),
        ([gzip.as_slice(), b"\x1f"].concat(), Some("1 bytes behind the gzip stream")),
        ([gzip.as_slice(), b"\x1f\x8b\x08 and no more"].concat(), Some("behind the gzip stream")),
        (packed(&[good.as_slice(), b"12345"].concat()), Some("5 bytes behind the image")),
        ([packed(first), packed(second), packed(b"")].concat(), None),
        ([packed(first), packed(second), packed(b"more")].concat(), Some("4 bytes behind the image")),
    ];
    for (number, (bytes, note)) in cases.iter().enumerate() {
        let scan = scan(bytes);
        assert_eq!(scan.volume, whole, "{number}");
        match (scan.notes.as_slice(), note) {
            ([], None) => {}
            ([found], Some(expected)) => assert!(found.text.contains(expected), "{number}: {found}"),
            (found, expected) => panic!("{number}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn a_gzip_stream_that_is_cut_or_damaged_is_refused_whatever_stands_behind_it() {
    let good = damaged(0, &348_i32.to_le_bytes());
    let gzip = packed(&good);
    for cut in [30, gzip.len() - 20, gzip.len() - 8, gzip.len() - 1] {
        assert!(matches!(fault(&gzip[..cut]), Fault::Gzip { .. }), "cut at {cut}");
    }
    // The checksum, with padding behind it, and of the second of two members.
    let mut wrong_sum = [gzip.as_slice(), &[0; 64]].concat();
    wrong_sum[gzip.len() - 6] ^= 1;
    assert!(matches!(fault(&wrong_sum), Fault::Gzip { .. }));
    let (first, second) = good.split_at(360);
    let mut members = [packed(first), packed(second)].concat();
    assert_eq!(scan(&members).volume.voxels.len(), 24);
    let last = members.len() - 6;
    members[last] ^= 1;
    assert!(matches!(fault(&members), Fault::Gzip { .. }));
    assert!(matches!(fault(&[packed(first), vec![0; 10]].concat()), Fault::Length { .. }), "padding is no content");
}

/// A NIfTI-2 header (and the four bytes behind it) with the reference's sform in 64-bit numbers, and its voxels as int16.
fn nifti2(endianness: Endianness, single_file: bool) -> (Vec<u8>, Vec<u8>) {
    let little = matches!(endianness, Endianness::Little);
    let mut bytes = vec![0; 544];
    let mut put = |at: usize, value: &[u8]| {
        bytes[at..at + value.len()].copy_from_slice(value);
        if !little {
            bytes[at..at + value.len()].reverse();
        }
    };
    put(0, &540_i32.to_le_bytes());
    put(12, &4_i16.to_le_bytes());
    put(14, &16_i16.to_le_bytes());
    [3_i64, 4, 3, 2, 1, 1, 1, 1].iter().enumerate().for_each(|(index, size)| put(16 + 8 * index, &size.to_le_bytes()));
    [1.0, 1.5, 0.75, 3.0].iter().enumerate().for_each(|(index, size): (usize, &f64)| put(104 + 8 * index, &size.to_le_bytes()));
    put(168, &(if single_file { 544_i64 } else { 0 }).to_le_bytes());
    put(176, &0.5_f64.to_le_bytes());
    put(348, &2_i32.to_le_bytes());
    put(500, &2_i32.to_le_bytes());
    let rows = [1.4, 0.1, -0.3, -90.5, 0.2, -0.7, 0.25, 126.25, -0.15, 0.2, 2.9, -72.125_f64];
    rows.iter().enumerate().for_each(|(index, value)| put(400 + 8 * index, &value.to_le_bytes()));
    bytes[4..12].copy_from_slice(if single_file { b"n+2\0\r\n\x1a\n" } else { b"ni2\0\r\n\x1a\n" });
    let voxels = in_memory_order().into_iter().flat_map(|value| {
        let value = 2 * value as i16;
        if little { value.to_le_bytes() } else { value.to_be_bytes() }
    });
    (bytes, voxels.collect())
}

#[test]
fn nifti_2_is_read_in_either_byte_order_and_a_segmentation_of_it_lies_where_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for endianness in [Endianness::Little, Endianness::Big] {
        let (header, voxels) = nifti2(endianness, true);
        let file = [header, voxels].concat();
        for bytes in [packed(&file), file.clone()] {
            let scan = scan(&bytes);
            assert_eq!(scan.volume.voxels, in_memory_order());
            assert_eq!(scan.volume.grid.shape, SHAPE);
            assert_eq!(scan.volume.grid.world_from_voxel[1], [0.2, -0.7, 0.25, 126.25], "to 64 bits");
            assert!(scan.notes[0].text.contains("in 64-bit numbers"), "{:?}", scan.notes);
            let labels = LabelMap { grid: scan.volume.grid.clone(), voxels: vec![1; 24] };
            write_labels(&at("labels.nii.gz"), &labels, &scan.header).expect("a writable folder");
            let back = read(&at("labels.nii.gz")).expect("our own file").volume.grid;
            assert!(back.shape == SHAPE && back.corner_distance_mm(&scan.volume.grid) < 1e-5, "{back:?}");
        }
        let (header, voxels) = nifti2(endianness, false);
        std::fs::write(at("pair.hdr"), header).expect("a writable folder");
        std::fs::write(at("pair.img"), voxels).expect("a writable folder");
        assert_eq!(read(&at("pair.img")).expect("a pair").volume, scan(&file).volume);
    }
    let (mut header, voxels) = nifti2(Endianness::Little, true);
    header[24..32].copy_from_slice(&40_000_i64.to_le_bytes());
    let refused = fault(&[header.clone(), voxels.clone()].concat());
    assert!(matches!(&refused, Fault::Unsupported { what } if what.contains("40000 voxels along the first axis")), "{refused}");
    header[4..12].copy_from_slice(b"n+2\0\n\n\x1a\n");
    assert!(matches!(fault(&[header, voxels].concat()), Fault::NotNifti { .. }), "its line ends were changed on the way");
}

#[test]
fn digits_that_a_nifti_1_header_cannot_hold_are_said_to_be_lost() {
    let (mut header, voxels) = nifti2(Endianness::Little, true);
    header[424..432].copy_from_slice(&123_456.786_f64.to_le_bytes());
    let scan = scan(&[header, voxels].concat());
    assert!(scan.notes[0].text.contains("which move it by 0.0031 mm"), "{:?}", scan.notes);
}

#[test]
fn a_pair_is_read_by_either_name_in_any_case_compressed_or_not() {
    let single = tempfile::tempdir().expect("a folder");
    for endianness in [Endianness::Little, Endianness::Big] {
        let scan = written_with(single.path(), &NiftiHeader { endianness, ..reference() });
        let bytes = std::fs::read(single.path().join("source.nii")).expect("the file just written");
        let mut header = bytes[..348].to_vec();
        header[344..348].copy_from_slice(b"ni1\0");
        header[108..112].fill(0);
        let voxels = &bytes[352..];
        for (header_name, voxel_name) in [("a.hdr", "a.img"), ("a.hdr.gz", "a.img.gz"), ("a.hdr", "a.img.gz"), ("a.HDR", "a.IMG")] {
            let folder = tempfile::tempdir().expect("a folder");
            let [header_file, voxel_file] = [header_name, voxel_name].map(|name| folder.path().join(name));
            let stored = |name: &str, bytes: &[u8]| if name.ends_with("gz") { packed(bytes) } else { bytes.to_vec() };
            std::fs::write(&header_file, stored(header_name, &header)).expect("a writable folder");
            std::fs::write(&voxel_file, stored(voxel_name, voxels)).expect("a writable folder");
            for name in [&header_file, &voxel_file] {
                assert_eq!(files(name).expect("a pair"), [header_file.clone(), voxel_file.clone()]);
                let pair = read(name).expect("a pair");
                assert_eq!((&pair.volume, &pair.file), (&scan.volume, name));
                let labels = LabelMap { grid: pair.volume.grid.clone(), voxels: vec![1; 24] };
                write_labels(&folder.path().join("labels.nii.gz"), &labels, &pair.header).expect("a writable folder");
                let back = read(&folder.path().join("labels.nii.gz")).expect("one file");
                assert_eq!(back.volume.grid, scan.volume.grid);
            }
        }
    }
}

#[test]
fn one_file_of_a_pair_without_the_other_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for (there, missing) in [("only.hdr", "only.img"), ("only.img.gz", "only.hdr")] {
        std::fs::write(at(there), [0; 400]).expect("a writable folder");
        std::fs::write(at("other.img"), [0; 400]).expect("a writable folder");
        let error = read(&at(there)).expect_err("half a pair");
        assert!(matches!(&error, DataError { file, fault: Fault::Unpaired { .. } } if *file == at(there)), "{error}");
        assert!(error.to_string().contains(missing), "{error}");
        std::fs::remove_file(at(there)).expect("the file just written");
    }
    assert!(matches!(read(&at("gone.hdr")), Err(DataError { fault: Fault::Missing, .. })));
    // Voxels that are cut short are a fault of their file.
    std::fs::write(at("cut.hdr"), &[&big_endian()[..344], b"ni1\0"].concat()).expect("a writable folder");
    std::fs::write(at("cut.img"), [0; 20]).expect("a writable folder");
    let error = read(&at("cut.hdr")).expect_err("too few voxels");
    assert!(error.file == at("cut.img") && matches!(error.fault, Fault::Length { .. }), "{error}");
}

#[test]
fn the_content_of_a_pair_is_both_of_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let key = |last: u8| {
        let file = big_endian();
        let voxels = [&file[352..file.len() - 1], &[last]].concat();
        std::fs::write(at("a.hdr"), &[&file[..108], &[0; 4], &file[112..344], b"ni1\0"].concat()).expect("a writable folder");
        std::fs::write(at("a.img"), &voxels).expect("a writable folder");
        content::of(&VolumeSource::File(at("a.hdr"))).expect("a pair")
    };
    assert_ne!(key(1), key(2));
}

/// An Analyze 7.5 header of 4 x 3 x 2 int16 voxels of 1.5 x 0.75 x 3 mm.
fn analyze() -> Vec<u8> {
    let mut header = vec![0; 348];
    header[..4].copy_from_slice(&348_i32.to_le_bytes());
    header[32..36].copy_from_slice(&16_384_i32.to_le_bytes());
    header[38] = b'r';
    for (at, value) in [(40, 3_i16), (42, 4), (44, 3), (46, 2), (48, 1), (70, 4), (72, 16)] {
        header[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    for (at, value) in [(80, 1.5_f32), (84, 0.75), (88, 3.0)] {
        header[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    header
}

#[test]
fn analyze_files_are_read_with_a_note_on_sides_and_refused_where_they_are_turned() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let voxels: Vec<u8> = in_memory_order().into_iter().flat_map(|value| (value as i16).to_le_bytes()).collect();
    std::fs::write(at("a.img"), voxels).expect("a writable folder");
    let read_with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut header = analyze();
        change(&mut header);
        std::fs::write(at("a.hdr"), header).expect("a writable folder");
        read(&at("a.hdr"))
    };
    let plain = read_with(&|_| {}).expect("an Analyze file");
    assert_eq!(plain.volume.voxels, in_memory_order());
    assert_eq!(plain.volume.grid.world_from_voxel[..2], [[-1.5, 0.0, 0.0, 2.25], [0.0, 0.75, 0.0, -0.75]], "as nibabel reads it");
    assert!(plain.notes[0].text.contains("doesn't tell left from right"), "{:?}", plain.notes);
    // SPM's origin: voxel 2, 1, 2, counted from 1, and its scale.
    let spm = read_with(&|header| {
        header[253..259].copy_from_slice(&[2, 0, 1, 0, 2, 0]);
        header[112..116].copy_from_slice(&0.5_f32.to_le_bytes());
    });
    let spm = spm.expect("an SPM file");
    assert_eq!(spm.volume.grid.world_mm([1.0, 0.0, 1.0]), [0.0; 3]);
    assert_eq!(spm.volume.voxels[1], in_memory_order()[1] / 2.0);
    let labels = LabelMap { grid: spm.volume.grid.clone(), voxels: vec![1; 24] };
    write_labels(&at("labels.nii.gz"), &labels, &spm.header).expect("a writable folder");
    assert_eq!(read(&at("labels.nii.gz")).expect("our own file").volume.grid, spm.volume.grid);

    std::fs::write(at("a.mat"), "").expect("a writable folder");
    let placed = read_with(&|_| {}).expect("an Analyze file");
    assert!(placed.notes.iter().any(|note| note.text.contains("a.mat")), "{:?}", placed.notes);
    let turned = read_with(&|header| header[252] = 2).expect_err("sagittal slices");
    assert!(turned.to_string().contains("`orient` is 2"), "{turned}");
    let twice = fault(&analyze());
    assert!(matches!(twice, Fault::NotNifti { .. }), "only the names of a pair may hold Analyze: {twice}");
}
