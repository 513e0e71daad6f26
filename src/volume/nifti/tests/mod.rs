//! Against files that the `nifti` crate writes, against hand-made headers, and against files that lie.

mod files;
mod forms;

use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{Array3, Array4, ArrayD, Dimension};
use nifti::writer::WriterOptions;
use nifti::{Endianness, NiftiHeader};
use std::io::Write as _;

use super::{Scan, SourceHeader, read, read_from, to_bytes, write_labels, write_volume};
use crate::volume::{DataError, Fault, Grid, LabelMap, Volume};

const SHAPE: [usize; 3] = [2, 3, 4];

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
    let [depth, height, width] = SHAPE;
    (0..depth).flat_map(|k| (0..height).flat_map(move |j| (0..width).map(move |i| f32::from(value(i, j, k))))).collect()
}

/// Writes [`value`] as voxels of a type with the `nifti` crate, in that byte order, and reads it with ours.
macro_rules! written_elsewhere {
    ($kind:ty, $folder:expr, $endianness:expr, $ending:expr) => {{
        let header = NiftiHeader { endianness: $endianness, ..reference() };
        let array = Array3::from_shape_fn([4, 3, 2], |(i, j, k)| <$kind>::from(value(i, j, k)));
        let file = $folder.join(format!("volume{}", $ending));
        WriterOptions::new(&file).reference_header(&header).write_nifti(&array).expect("the nifti crate writes");
        read(&file).expect("a plain file")
    }};
}

#[test]
fn every_datatype_and_byte_order_reads_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for endianness in [Endianness::Little, Endianness::Big] {
        for ending in [".nii", ".nii.gz"] {
            let scans = [
                written_elsewhere!(u8, at, endianness, ending),
                written_elsewhere!(u16, at, endianness, ending),
                written_elsewhere!(i16, at, endianness, ending),
                written_elsewhere!(u32, at, endianness, ending),
                written_elsewhere!(i32, at, endianness, ending),
                written_elsewhere!(u64, at, endianness, ending),
                written_elsewhere!(i64, at, endianness, ending),
                written_elsewhere!(f32, at, endianness, ending),
                written_elsewhere!(f64, at, endianness, ending),
            ];
            for Scan { volume, .. } in scans {
                assert_eq!(volume.voxels, in_memory_order());
                assert_eq!((volume.channels, volume.grid.shape), (1, SHAPE));
                assert_eq!(volume.grid.world_from_voxel[1].map(|v| v as f32), [0.2, -0.7, 0.25, 126.25]);
            }
        }
    }
    let signed = Array3::from_shape_fn([4, 3, 2], |(i, ..)| i as i8 - 2);
    let file = at.join("signed.nii");
    WriterOptions::new(&file).write_nifti(&signed).expect("the nifti crate writes");
    assert_eq!(read(&file).expect("a plain file").volume.voxels[..4], [-2.0, -1.0, 0.0, 1.0]);
}

#[test]
fn more_voxels_than_are_decoded_at_once_keep_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("large.nii.gz");
    let array = Array3::from_shape_fn([41, 37, 29], |(i, j, k)| (i + 41 * (j + 37 * k)) as u32);
    WriterOptions::new(&file).write_nifti(&array).expect("the nifti crate writes");
    let voxels = read(&file).expect("a plain file").volume.voxels;
    assert!(voxels.iter().enumerate().all(|(index, &value)| value == index as f32));
    assert_eq!(voxels.len(), array.len());
}

#[test]
fn channels_lie_last_on_disk_and_first_in_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("channels.nii.gz");
    let array = Array4::from_shape_fn([4, 3, 2, 5], |(i, j, k, c)| f32::from(value(i, j, k)) + 1000.0 * c as f32);
    WriterOptions::new(&file).reference_header(&reference()).write_nifti(&array).expect("the nifti crate writes");
    let volume = read(&file).expect("a plain file").volume;
    assert_eq!(volume.channels, 5);
    for (c, channel) in volume.voxels.chunks(24).enumerate() {
        let expected: Vec<f32> = in_memory_order().iter().map(|v| v + 1000.0 * c as f32).collect();
        assert_eq!(channel, expected);
    }
}

#[test]
fn what_is_written_reads_the_same_here_and_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let grid = Grid::axis_aligned(SHAPE, [3.0, 0.75, 1.5]);
    let volume = Volume { channels: 2, voxels: (0..48).map(|v| v as f32 / 7.0 - 3.0).collect(), grid: grid.clone() };
    let header = SourceHeader::for_grid(&grid);
    let file = folder.path().join("new/folder/image.nii.gz");
    write_volume(&file, &volume, &header).expect("a writable folder");
    assert_eq!(read(&file).expect("our own file").volume, volume);
    let bytes = to_bytes(&volume, &header);
    assert_eq!(read_from(Path::new("memory"), bytes.as_slice(), bytes.len() as u64).expect("our own bytes").volume, volume);
    let elsewhere = nifti::ReaderOptions::new().read_file(&file).expect("the nifti crate reads");
    let array: ArrayD<f32> = nifti::IntoNdArray::into_ndarray(nifti::NiftiObject::into_volume(elsewhere)).expect("an array");
    assert_eq!(array.raw_dim().slice(), [4, 3, 2, 2]);
    assert_eq!(array[[3, 1, 0, 1]], volume.voxels[24 + 7]);
}

#[test]
fn a_segmentation_keeps_its_source_s_header_to_the_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    for endianness in [Endianness::Little, Endianness::Big] {
        for (largest, datatype) in [(255, 2_i16), (256, 512)] {
            let source = written_with(folder.path(), &NiftiHeader { endianness, ..reference() });
            let mut voxels: Vec<u16> = (0..24).collect();
            voxels[5] = largest;
            let labels = LabelMap { grid: source.volume.grid.clone(), voxels };
            let file = folder.path().join("labels.nii.gz");
            write_labels(&file, &labels, &source.header).expect("a writable folder");
            let back = read(&file).expect("our own file");
            assert_eq!(back.volume.grid, source.volume.grid);
            assert_eq!(back.volume.voxels, labels.voxels.iter().map(|&v| f32::from(v)).collect::<Vec<_>>());
            let parsed = NiftiHeader::from_file(&file).expect("the nifti crate reads");
            assert_eq!((parsed.datatype, parsed.dim[..4].to_vec()), (datatype, vec![3, 4, 3, 2]));
            // dim, intent, datatype + bitpix, vox_offset + scl_slope + scl_inter, cal_max + cal_min, descrip, intent_name.
            let may_change = [40..56, 56..70, 70..74, 108..120, 124..132, 148..228, 328..344];
            for (at, (was, is)) in source.header.as_bytes().iter().zip(back.header.as_bytes()).enumerate() {
                assert!(was == is || may_change.iter().any(|range| range.contains(&at)), "byte {at} changed from {was} to {is}");
            }
        }
    }
}

fn written_with(folder: &Path, header: &NiftiHeader) -> Scan {
    let file = folder.join("source.nii");
    let array = Array3::from_shape_fn([4, 3, 2], |(i, j, k)| i16::from(value(i, j, k)));
    WriterOptions::new(&file).reference_header(header).write_nifti(&array).expect("the nifti crate writes");
    read(&file).expect("a plain file")
}

#[test]
fn the_header_survives_json() {
    let header = SourceHeader::for_grid(&Grid::axis_aligned(SHAPE, [3.0, 0.75, 1.5]));
    let json = serde_json::to_string(&header).expect("text");
    assert_eq!(serde_json::from_str::<SourceHeader>(&json).expect("a header"), header);
    assert!(serde_json::from_str::<SourceHeader>("\"AAAA\"").is_err());
}

#[test]
fn without_sform_the_quaternion_counts_and_without_both_the_voxel_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let quaternion = nalgebra::UnitQuaternion::<f64>::from_euler_angles(0.4, -1.1, 2.6);
    let [b, c, d] = [quaternion.i, quaternion.j, quaternion.k].map(|v| (v * quaternion.w.signum()) as f32);
    for qfac in [1.0, -1.0] {
        let header = NiftiHeader {
            sform_code: 0,
            quatern_b: b,
            quatern_c: c,
            quatern_d: d,
            quatern_y: -4.0,
            pixdim: [qfac, 1.5, 0.75, 3.0, 0.0, 0.0, 0.0, 0.0],
            ..reference()
        };
        let grid = written_with(folder.path(), &header).volume.grid;
        let size = [1.5, 0.75, 3.0 * f64::from(qfac)];
        for (row, values) in grid.world_from_voxel[..3].iter().enumerate() {
            for column in 0..3 {
                let expected = quaternion.to_rotation_matrix()[(row, column)] * size[column];
                assert!((values[column] - expected).abs() < 1e-6, "{qfac} {row} {column}: {} is not {expected}", values[column]);
            }
        }
        assert_eq!(grid.world_from_voxel[1][3], -4.0);
    }
    let header = NiftiHeader { sform_code: 0, qform_code: 0, ..reference() };
    let grid = written_with(folder.path(), &header).volume.grid;
    assert_eq!(grid.world_from_voxel, [[-1.5, 0.0, 0.0, 2.25], [0.0, 0.75, 0.0, -0.75], [0.0, 0.0, 3.0, -1.5], [0.0, 0.0, 0.0, 1.0]]);
}

/// A valid file's bytes with two of them replaced.
fn damaged(at: usize, bytes: &[u8]) -> Vec<u8> {
    let grid = Grid::axis_aligned(SHAPE, [3.0, 0.75, 1.5]);
    let volume = Volume { channels: 1, voxels: vec![1.0; 24], grid: grid.clone() };
    let mut file = to_bytes(&volume, &SourceHeader::for_grid(&grid));
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

/// A valid file's bytes in the rarer byte order.
fn big_endian() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    written_with(folder.path(), &NiftiHeader { endianness: Endianness::Big, ..reference() });
    std::fs::read(folder.path().join("source.nii")).expect("the file just written")
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).and_then(|()| packer.finish()).expect("memory")
}

fn fault(bytes: &[u8]) -> Fault {
    let DataError { file, fault } = read_from(Path::new("bad.nii"), bytes, bytes.len() as u64).expect_err("a damaged file");
    assert_eq!(file, Path::new("bad.nii"));
    fault
}

#[test]
fn slope_and_intercept_scale_unless_the_slope_is_zero() {
    let scaled_from = |value: f32, slope: f32, inter: f32| {
        let mut bytes = damaged(112, &[slope.to_le_bytes(), inter.to_le_bytes()].concat());
        bytes[352..356].copy_from_slice(&value.to_le_bytes());
        read_from(Path::new("x"), bytes.as_slice(), bytes.len() as u64).expect("a good file").volume.voxels[0]
    };
    let scaled = |slope, inter| scaled_from(1.0, slope, inter);
    assert_eq!(scaled(2.0, -5.0), -3.0);
    assert_eq!(scaled(0.0, 7.0), 1.0);
    assert_eq!(scaled(f32::NAN, 7.0), 1.0);
    assert_eq!(scaled(f32::INFINITY, 7.0), 1.0);
    assert_eq!(scaled(2.0, f32::NAN), 2.0);
    // In f64: in f32 the product would round to the intercept, and nothing would be left.
    let product = 3.0 * f64::from(0.1_f32);
    assert_eq!(scaled_from(3.0, 0.1, -0.3), (product - f64::from(0.3_f32)) as f32);
    assert_ne!(scaled_from(3.0, 0.1, -0.3), 3.0 * 0.1_f32 - 0.3);
}

#[test]
fn absurd_headers_are_typed_errors() {
    let dim = |axis: usize, size: i16| damaged(40 + 2 * axis, &size.to_le_bytes());
    for (axis, size) in [(0, 0), (0, 1), (0, 8), (0, -3), (1, -4), (2, 0), (3, i16::MIN)] {
        assert!(matches!(fault(&dim(axis, size)), Fault::Header { .. }), "dim[{axis}] = {size}");
        assert!(matches!(fault(&packed(&dim(axis, size))), Fault::Header { .. }), "packed, dim[{axis}] = {size}");
    }
    // Numbers of axes by which the other byte order would be guessed.
    let mut swapped = big_endian();
    assert!(read_from(Path::new("x"), swapped.as_slice(), swapped.len() as u64).is_ok());
    for rank in [0_i16, 1, 8, 0x0300, -3] {
        swapped[40..42].copy_from_slice(&rank.to_be_bytes());
        let Fault::Header { field, found, .. } = fault(&swapped) else { panic!("{rank} axes") };
        assert_eq!((field.as_str(), found), ("the number of axes (dim[0])", rank.to_string()));
    }
    let mut gigantic = damaged(40, &[4, 0]);
    (1..=4).for_each(|axis| gigantic[40 + 2 * axis..42 + 2 * axis].copy_from_slice(&i16::MAX.to_le_bytes()));
    assert!(matches!(fault(&gigantic), Fault::Length { .. }));
    assert!(matches!(fault(&packed(&gigantic)), Fault::Length { .. }));
    // What a gzip stream could just hold must not be believed either: the data decide.
    assert!(matches!(fault(&packed(&dim(1, 100))), Fault::Length { .. }));
    for code in [0_i16, 1, 32, 128, 1536, 7] {
        assert!(matches!(fault(&damaged(70, &code.to_le_bytes())), Fault::Header { .. } | Fault::Unsupported { .. }), "{code}");
    }
    for offset in [-1.0_f32, 12.0, 352.5, f32::NAN, f32::INFINITY, 1e20] {
        assert!(matches!(fault(&damaged(108, &offset.to_le_bytes())), Fault::Header { .. }), "{offset}");
    }
    assert!(matches!(fault(&damaged(108, &1e9_f32.to_le_bytes())), Fault::Length { .. }));
    assert!(matches!(fault(&damaged(280, &1e6_f32.to_le_bytes())), Fault::Header { .. }), "a kilometre away");
}

#[test]
fn other_files_and_broken_ones_are_typed_errors() {
    assert!(matches!(fault(b""), Fault::NotNifti { .. }));
    assert!(matches!(fault(&[0; 4000]), Fault::NotNifti { .. }));
    assert!(matches!(fault(&damaged(344, b"ni1\0")), Fault::Unsupported { .. }));
    assert!(matches!(fault(&damaged(0, &540_i32.to_le_bytes())), Fault::NotNifti { .. }));
    let good = damaged(0, &348_i32.to_le_bytes());
    assert!(matches!(fault(&good[..good.len() - 1]), Fault::Length { .. }));
    assert!(matches!(fault(&packed(&good[..good.len() - 1])), Fault::Length { .. }));
    let gzip = packed(&good);
    for cut in [3, 60, gzip.len() - 9, gzip.len() - 1] {
        assert!(matches!(fault(&gzip[..cut]), Fault::Gzip { .. }), "cut at {cut}: {}", fault(&gzip[..cut]));
    }
    let mut wrong_sum = gzip.clone();
    wrong_sum[gzip.len() - 6] ^= 1;
    assert!(matches!(fault(&wrong_sum), Fault::Gzip { .. }));
    assert!(matches!(read(Path::new("no/such/file.nii")), Err(DataError { fault: Fault::Missing, .. })));
}
