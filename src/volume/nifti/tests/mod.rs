//! Against files that the `nifti` crate writes, against hand-made headers, and against files that lie.

mod files;
mod forms;

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{Array3, Array4, ArrayD, Dimension};
use nifti::writer::WriterOptions;
use nifti::{Endianness, NiftiHeader};

use super::{Scan, SourceHeader, read, read_from, to_bytes, write_labels, write_volume};
use crate::geometry::unravel;
use crate::volume::{DataError, Fault, Grid, LabelMap, Volume};

const SHAPE: [usize; 3] = [2, 3, 4];
const BYTE_ORDERS: [Endianness; 2] = [Endianness::Little, Endianness::Big];

/// A header with an affine in which no entry is zero.
fn reference() -> NiftiHeader {
    NiftiHeader {
        pixdim: [-1.0, 1.5, 0.75, 3.0, 2.5, 0.0, 0.0, 0.0],
        srow_x: [1.4, 0.1, -0.3, -90.5],
        srow_y: [0.2, -0.7, 0.25, 126.25],
        srow_z: [-0.15, 0.2, 2.9, -72.125],
        qform_code: 1,
        sform_code: 2,
        quatern_b: 0.1,
        quatern_c: 0.2,
        quatern_d: 0.3,
        quatern_x: 5.0,
        xyzt_units: 10,
        cal_max: 4.0,
        descrip: b"scanner 7".iter().copied().chain([0; 71]).collect(),
        intent_name: *b"what it is for\0\0",
        ..NiftiHeader::default()
    }
}

/// Distinct small values that every datatype can hold.
fn value(i: usize, j: usize, k: usize) -> u8 {
    (i + 10 * j + 40 * k) as u8
}

fn in_memory_order() -> Vec<f32> {
    (0..24).map(|index| unravel(index, SHAPE)).map(|[k, j, i]| f32::from(value(i, j, k))).collect()
}

/// A file's bytes, as the `nifti` crate writes int16 voxels.
fn stored(header: &NiftiHeader) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("source.nii");
    let array = Array3::from_shape_fn([4, 3, 2], |(i, j, k)| i16::from(value(i, j, k)));
    WriterOptions::new(&file).reference_header(header).write_nifti(&array).expect("the nifti crate writes");
    std::fs::read(file).expect("the file just written")
}

fn scan(bytes: &[u8]) -> Scan {
    read_from(Path::new("x.nii"), bytes, bytes.len() as u64).expect("a file that can be read")
}

fn scan_with(header: &NiftiHeader) -> Scan {
    scan(&stored(header))
}

fn fault(bytes: &[u8]) -> Fault {
    let DataError { file, fault } = read_from(Path::new("bad.nii"), bytes, bytes.len() as u64).expect_err("a damaged file");
    assert_eq!(file, Path::new("bad.nii"));
    fault
}

/// A segmentation of a scan, written under its header and read again.
fn segmented(scan: &Scan, voxels: Vec<u16>) -> Scan {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("labels.nii.gz");
    write_labels(&file, &LabelMap { grid: scan.volume.grid.clone(), voxels }, &scan.header).expect("a writable folder");
    read(&file).expect("our own file")
}

/// A valid float32 file's bytes with some of them replaced.
fn damaged(at: usize, bytes: &[u8]) -> Vec<u8> {
    let grid = Grid::axis_aligned(SHAPE, [3.0, 0.75, 1.5]);
    let mut file = to_bytes(&Volume { channels: 1, voxels: vec![1.0; 24], grid: grid.clone() }, &SourceHeader::for_grid(&grid));
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn good() -> Vec<u8> {
    damaged(0, &[])
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).and_then(|()| packer.finish()).expect("memory")
}

#[test]
fn every_datatype_and_byte_order_reads_the_same() {
    macro_rules! scans {
        ($header:expr, $name:expr, $($kind:ty)*) => {[$({
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join($name);
            let array = Array3::from_shape_fn([4, 3, 2], |(i, j, k)| <$kind>::from(value(i, j, k)));
            WriterOptions::new(&file).reference_header($header).write_nifti(&array).expect("the nifti crate writes");
            read(&file).expect("a plain file")
        }),*]};
    }
    for endianness in BYTE_ORDERS {
        let header = NiftiHeader { endianness, ..reference() };
        for name in ["volume.nii", "volume.nii.gz"] {
            for Scan { volume, .. } in scans!(&header, name, u8 u16 i16 u32 i32 u64 i64 f32 f64) {
                assert_eq!(volume.voxels, in_memory_order());
                assert_eq!((volume.channels, volume.grid.shape), (1, SHAPE));
                assert_eq!(volume.grid.world_from_voxel[1].map(|v| v as f32), [0.2, -0.7, 0.25, 126.25]);
            }
        }
    }
}

#[test]
fn signed_voxels_many_voxels_and_channels_keep_their_values_and_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("volume.nii.gz");
    let signed = Array3::from_shape_fn([4, 3, 2], |(i, ..)| i as i8 - 2);
    WriterOptions::new(&file).write_nifti(&signed).expect("the nifti crate writes");
    assert_eq!(read(&file).expect("a plain file").volume.voxels[..4], [-2.0, -1.0, 0.0, 1.0]);

    // More voxels than are decoded at once.
    let large = Array3::from_shape_fn([41, 37, 29], |(i, j, k)| (i + 41 * (j + 37 * k)) as u32);
    WriterOptions::new(&file).write_nifti(&large).expect("the nifti crate writes");
    assert!(read(&file).expect("a plain file").volume.voxels.into_iter().eq((0..large.len()).map(|index| index as f32)));

    // Channels lie last on disk and first in memory.
    let channels = Array4::from_shape_fn([4, 3, 2, 5], |(i, j, k, c)| f32::from(value(i, j, k)) + 1000.0 * c as f32);
    WriterOptions::new(&file).reference_header(&reference()).write_nifti(&channels).expect("the nifti crate writes");
    let volume = read(&file).expect("a plain file").volume;
    assert_eq!(volume.channels, 5);
    for (c, channel) in volume.iter_channels().enumerate() {
        assert_eq!(channel, in_memory_order().iter().map(|v| v + 1000.0 * c as f32).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_written_reads_the_same_here_and_elsewhere_and_the_header_survives_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let grid = Grid::axis_aligned(SHAPE, [3.0, 0.75, 1.5]);
    let volume = Volume { channels: 2, voxels: (0..48).map(|v| v as f32 / 7.0 - 3.0).collect(), grid: grid.clone() };
    let header = SourceHeader::for_grid(&grid);
    let file = folder.path().join("new/folder/image.nii.gz");
    write_volume(&file, &volume, &header).expect("a writable folder");
    assert_eq!(read(&file).expect("our own file").volume, volume);
    assert_eq!(scan(&to_bytes(&volume, &header)).volume, volume);
    let elsewhere = nifti::ReaderOptions::new().read_file(&file).expect("the nifti crate reads");
    let array: ArrayD<f32> = nifti::IntoNdArray::into_ndarray(nifti::NiftiObject::into_volume(elsewhere)).expect("an array");
    assert_eq!((array.raw_dim().slice(), array[[3, 1, 0, 1]]), ([4, 3, 2, 2].as_slice(), volume.voxels[24 + 7]));

    let json = serde_json::to_string(&header).expect("text");
    assert_eq!(serde_json::from_str::<SourceHeader>(&json).expect("a header"), header);
    assert!(serde_json::from_str::<SourceHeader>("\"AAAA\"").is_err());
}

#[test]
fn a_segmentation_keeps_its_source_s_header_to_the_bit() {
    for (endianness, largest, datatype) in BYTE_ORDERS.into_iter().flat_map(|order| [(order, 255, 2), (order, 256, 512)]) {
        let source = scan_with(&NiftiHeader { endianness, ..reference() });
        let mut voxels: Vec<u16> = (0..24).collect();
        voxels[5] = largest;
        let back = segmented(&source, voxels.clone());
        assert_eq!(back.volume.grid, source.volume.grid);
        assert_eq!(back.volume.voxels, voxels.iter().map(|&v| f32::from(v)).collect::<Vec<_>>());
        let bytes = back.header.as_bytes();
        let number = |at: usize| {
            let bytes = [bytes[at], bytes[at + 1]];
            if endianness == Endianness::Little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
        };
        assert_eq!((number(70), [40, 42, 44, 46].map(number)), (datatype, [3, 4, 3, 2]));
        // dim, intent, datatype + bitpix, vox_offset + scl_slope + scl_inter, cal_max + cal_min, descrip, intent_name.
        let may_change = [40..56, 56..70, 70..74, 108..120, 124..132, 148..228, 328..344];
        for (at, (was, is)) in source.header.as_bytes().iter().zip(bytes).enumerate() {
            assert!(was == is || may_change.iter().any(|range| range.contains(&at)), "byte {at} changed from {was} to {is}");
        }
    }
}

#[test]
fn slope_and_intercept_scale_unless_the_slope_is_zero() {
    let product = 3.0 * f64::from(0.1_f32);
    assert_ne!((product - f64::from(0.3_f32)) as f32, 3.0 * 0.1_f32 - 0.3);
    for (value, slope, inter, expected) in [
        (1.0, 2.0, -5.0, -3.0),
        (1.0, 0.0, 7.0, 1.0),
        (1.0, f32::NAN, 7.0, 1.0),
        (1.0, f32::INFINITY, 7.0, 1.0),
        (1.0, 2.0, f32::NAN, 2.0),
        // In f64: in f32 the product would round to the intercept, and nothing would be left.
        (3.0, 0.1, -0.3, (product - f64::from(0.3_f32)) as f32),
    ] {
        let mut bytes = damaged(112, &[slope.to_le_bytes(), inter.to_le_bytes()].concat());
        bytes[352..356].copy_from_slice(&f32::to_le_bytes(value));
        assert_eq!(scan(&bytes).volume.voxels[0], expected, "{value} * {slope} + {inter}");
    }
}

#[test]
fn absurd_headers_are_typed_errors() {
    let dim = |axis: usize, size: i16| damaged(40 + 2 * axis, &size.to_le_bytes());
    for (axis, size) in [(0, 0), (0, 1), (0, 8), (0, -3), (1, -4), (2, 0), (3, i16::MIN)] {
        for bytes in [dim(axis, size), packed(&dim(axis, size))] {
            assert!(matches!(fault(&bytes), Fault::Header { .. }), "dim[{axis}] = {size}");
        }
    }
    // Numbers of axes by which the other byte order would be guessed.
    let mut swapped = stored(&NiftiHeader { endianness: Endianness::Big, ..reference() });
    scan(&swapped);
    for rank in [0_i16, 1, 8, 0x0300, -3] {
        swapped[40..42].copy_from_slice(&rank.to_be_bytes());
        let Fault::Header { field, found, .. } = fault(&swapped) else { panic!("{rank} axes") };
        assert_eq!((field.as_str(), found), ("the number of axes (dim[0])", rank.to_string()));
    }
    let mut gigantic = dim(0, 4);
    (1..=4).for_each(|axis| gigantic[40 + 2 * axis..42 + 2 * axis].copy_from_slice(&i16::MAX.to_le_bytes()));
    // What a gzip stream could just hold must not be believed either: the data decide.
    for bytes in [packed(&gigantic), gigantic, packed(&dim(1, 100)), damaged(108, &1e9_f32.to_le_bytes())] {
        assert!(matches!(fault(&bytes), Fault::Length { .. }));
    }
    for code in [0_i16, 1, 32, 128, 1536, 7] {
        assert!(matches!(fault(&damaged(70, &code.to_le_bytes())), Fault::Header { .. } | Fault::Unsupported(..)), "{code}");
    }
    for offset in [-1.0_f32, 12.0, 352.5, f32::NAN, f32::INFINITY, 1e20] {
        assert!(matches!(fault(&damaged(108, &offset.to_le_bytes())), Fault::Header { .. }), "{offset}");
    }
    assert!(matches!(fault(&damaged(280, &1e6_f32.to_le_bytes())), Fault::Header { .. }), "a kilometre away");
}

#[test]
fn other_files_and_broken_ones_are_typed_errors() {
    for bytes in [Vec::new(), vec![0; 4000], damaged(0, &540_i32.to_le_bytes())] {
        assert!(matches!(fault(&bytes), Fault::NotNifti(..)), "{} bytes", bytes.len());
    }
    assert!(matches!(fault(&damaged(344, b"ni1\0")), Fault::Unsupported(..)));
    let short = &good()[..good().len() - 1];
    for bytes in [short.to_vec(), packed(short), [packed(&short[..360]), vec![0; 10]].concat()] {
        assert!(matches!(fault(&bytes), Fault::Length { .. }), "padding is no content");
    }
    assert!(matches!(read(Path::new("no/such/file.nii")), Err(DataError { fault: Fault::Missing, .. })));
}
