//! Bytes behind the image, NIfTI-2, and images in two files.

use std::path::PathBuf;

use nifti::{Endianness, NiftiHeader};
use tempfile::TempDir;

use super::{BYTE_ORDERS, SHAPE, fault, good, in_memory_order, packed, reference, scan, segmented, stored};
use crate::volume::nifti::{Scan, files, read};
use crate::volume::{DataError, Fault, VolumeSource, content};

/// A folder with these files.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        files.iter().for_each(|(name, bytes)| folder.put(name, bytes));
        folder
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.at(name), bytes).expect("a writable folder");
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Result<Scan, DataError> {
        read(&self.at(name))
    }
}

#[test]
fn bytes_behind_the_image_are_left_out_and_padding_is_nothing_to_mention() {
    let (good, gzip, zeros) = (good(), packed(&good()), vec![0; 70_000]);
    let (first, second) = good.split_at(377);
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
        let found = scan(bytes);
        assert_eq!(found.volume, scan(&good).volume, "{number}");
        let texts: Vec<&str> = found.notes.iter().map(|note| note.text.as_str()).collect();
        assert!(texts.len() == note.iter().len() && note.iter().all(|note| texts[0].contains(note)), "{number}: {texts:?}, not {note:?}");
    }
}

#[test]
fn a_gzip_stream_that_is_cut_or_damaged_is_refused_whatever_stands_behind_it() {
    let (good, gzip) = (good(), packed(&good()));
    let (first, second) = good.split_at(360);
    let members = [packed(first), packed(second)].concat();
    assert_eq!(scan(&members).volume.voxels.len(), 24);
    let flipped = |mut bytes: Vec<u8>, at: usize| {
        bytes[at] ^= 1;
        bytes
    };
    let cuts = [3, 30, 60, gzip.len() - 20, gzip.len() - 9, gzip.len() - 8, gzip.len() - 1].map(|cut| gzip[..cut].to_vec());
    // The checksum, with and without padding behind it, and of the second of two members.
    let sum = gzip.len() - 6;
    let sums =
        [flipped(gzip.clone(), sum), flipped([gzip.as_slice(), &[0; 64]].concat(), sum), flipped(members.clone(), members.len() - 6)];
    for bytes in cuts.into_iter().chain(sums) {
        assert!(matches!(fault(&bytes), Fault::Gzip { .. }), "{} of {} bytes: {}", bytes.len(), gzip.len(), fault(&bytes));
    }
}

/// A NIfTI-2 header (and the four bytes behind it) with the reference's sform in 64-bit numbers, and its voxels as int16.
fn nifti2(endianness: Endianness, single_file: bool) -> (Vec<u8>, Vec<u8>) {
    let little = endianness == Endianness::Little;
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
    for endianness in BYTE_ORDERS {
        let (header, voxels) = nifti2(endianness, true);
        let file = [header, voxels].concat();
        for bytes in [packed(&file), file.clone()] {
            let scan = scan(&bytes);
            assert_eq!((&scan.volume.voxels, scan.volume.grid.shape), (&in_memory_order(), SHAPE));
            assert_eq!(scan.volume.grid.world_from_voxel[1], [0.2, -0.7, 0.25, 126.25], "to 64 bits");
            assert!(scan.notes[0].text.contains("in 64-bit numbers"), "{:?}", scan.notes);
            let back = segmented(&scan, vec![1; 24]).volume.grid;
            assert!(back.shape == SHAPE && back.corner_distance_mm(&scan.volume.grid) < 1e-5, "{back:?}");
        }
        let (header, voxels) = nifti2(endianness, false);
        let folder = Files::new(&[("pair.hdr", &header), ("pair.img", &voxels)]);
        assert_eq!(folder.read("pair.img").expect("a pair").volume, scan(&file).volume);
    }
}

#[test]
fn of_nifti_2_what_nifti_1_cannot_hold_is_said_or_refused() {
    let changed = |at: usize, bytes: &[u8]| {
        let (mut header, voxels) = nifti2(Endianness::Little, true);
        header[at..at + bytes.len()].copy_from_slice(bytes);
        [header, voxels].concat()
    };
    let moved = scan(&changed(424, &123_456.786_f64.to_le_bytes()));
    assert!(moved.notes[0].text.contains("which move it by 0.0031 mm"), "{:?}", moved.notes);
    let refused = fault(&changed(24, &40_000_i64.to_le_bytes()));
    assert!(matches!(&refused, Fault::Unsupported(what) if what.contains("40000 voxels along the first axis")), "{refused}");
    assert!(matches!(fault(&changed(4, b"n+2\0\n\n\x1a\n")), Fault::NotNifti(..)), "its line ends were changed on the way");
}

/// Header and voxels of a NIfTI-1 pair.
fn pair(endianness: Endianness) -> [Vec<u8>; 2] {
    let bytes = stored(&NiftiHeader { endianness, ..reference() });
    [[&bytes[..108], &[0; 4], &bytes[112..344], b"ni1\0"].concat(), bytes[352..].to_vec()]
}

#[test]
fn a_pair_is_read_by_either_name_in_any_case_compressed_or_not() {
    for endianness in BYTE_ORDERS {
        let single = scan(&stored(&NiftiHeader { endianness, ..reference() }));
        let [header, voxels] = pair(endianness);
        for (header_name, voxel_name) in [("a.hdr", "a.img"), ("a.hdr.gz", "a.img.gz"), ("a.hdr", "a.img.gz"), ("a.HDR", "a.IMG")] {
            let in_file = |name: &str, bytes: &[u8]| if name.ends_with("gz") { packed(bytes) } else { bytes.to_vec() };
            let folder = Files::new(&[(header_name, &in_file(header_name, &header)), (voxel_name, &in_file(voxel_name, &voxels))]);
            for name in [header_name, voxel_name] {
                assert_eq!(files(&folder.at(name)).expect("a pair"), [folder.at(header_name), folder.at(voxel_name)]);
                let pair = folder.read(name).expect("a pair");
                assert_eq!((&pair.volume, &pair.file), (&single.volume, &folder.at(name)));
                assert_eq!(segmented(&pair, vec![1; 24]).volume.grid, single.volume.grid);
            }
        }
    }
}

#[test]
fn one_file_of_a_pair_without_the_other_or_cut_short_is_refused_by_name() {
    for (there, missing) in [("only.hdr", "only.img"), ("only.img.gz", "only.hdr")] {
        let folder = Files::new(&[(there, &[0; 400]), ("other.img", &[0; 400])]);
        let error = folder.read(there).expect_err("half a pair");
        assert!(matches!(&error, DataError { file, fault: Fault::Unpaired { .. } } if *file == folder.at(there)), "{error}");
        assert!(error.to_string().contains(missing), "{error}");
        assert!(matches!(folder.read("gone.hdr"), Err(DataError { fault: Fault::Missing, .. })));
    }
    // Voxels that are cut short are a fault of their file.
    let [header, voxels] = pair(Endianness::Big);
    let folder = Files::new(&[("cut.hdr", &header), ("cut.img", &voxels[..20])]);
    let error = folder.read("cut.hdr").expect_err("too few voxels");
    assert!(error.file == folder.at("cut.img") && matches!(error.fault, Fault::Length { .. }), "{error}");
}

#[test]
fn the_content_of_a_pair_is_both_of_its_files() {
    let [header, voxels] = pair(Endianness::Big);
    let folder = Files::new(&[("a.hdr", &header)]);
    let key = |last: u8| {
        folder.put("a.img", &[&voxels[..voxels.len() - 1], &[last]].concat());
        content::of(&VolumeSource::File(folder.at("a.hdr"))).expect("a pair")
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
fn analyze_files_are_read_with_a_note_on_sides_and_refused_where_slices_lie_otherwise() {
    let voxels: Vec<u8> = in_memory_order().into_iter().flat_map(|value| (value as i16).to_le_bytes()).collect();
    let folder = Files::new(&[("a.img", &voxels)]);
    let read_with = |changes: &[(usize, &[u8])]| {
        let mut header = analyze();
        changes.iter().for_each(|(at, bytes)| header[*at..at + bytes.len()].copy_from_slice(bytes));
        folder.put("a.hdr", &header);
        folder.read("a.hdr")
    };
    let plain = read_with(&[]).expect("an Analyze file");
    assert_eq!(plain.volume.voxels, in_memory_order());
    assert_eq!(plain.volume.grid.world_from_voxel[..2], [[-1.5, 0.0, 0.0, 2.25], [0.0, 0.75, 0.0, -0.75]], "as nibabel reads it");
    assert!(plain.notes[0].text.contains("doesn't tell left from right"), "{:?}", plain.notes);
    // SPM's origin: voxel 2, 1, 2, counted from 1, and its scale.
    let spm = read_with(&[(253, &[2, 0, 1, 0, 2, 0]), (112, &0.5_f32.to_le_bytes())]).expect("an SPM file");
    assert_eq!(spm.volume.grid.voxel_mm([1, 0, 1]), [0.0; 3]);
    assert_eq!(spm.volume.voxels[1], in_memory_order()[1] / 2.0);
    assert_eq!(segmented(&spm, vec![1; 24]).volume.grid, spm.volume.grid);

    folder.put("a.mat", b"");
    let placed = read_with(&[]).expect("an Analyze file");
    assert!(placed.notes.iter().any(|note| note.text.contains("a.mat")), "{:?}", placed.notes);
    let sagittal = read_with(&[(252, &[2])]).expect_err("sagittal slices");
    assert!(sagittal.to_string().contains("`orient` is 2"), "{sagittal}");
    let twice = fault(&analyze());
    assert!(matches!(twice, Fault::NotNifti(..)), "only the names of a pair may hold Analyze: {twice}");
}
