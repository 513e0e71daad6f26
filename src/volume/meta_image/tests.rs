//! Against headers made by hand, whose positions are computed by hand, and against files that lie.

use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::volume::file::{channels, files, read, write_volume};
use crate::volume::{Fault, Grid, Scan, SourceHeader, Volume};

/// 2 x 3 x 4 voxels: i runs to the left, j upwards, k to the front.
const HEADER: &str = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n\
                      TransformMatrix = 1 0 0 0 0 1 0 -1 0\nOffset = 10 20 30\nCenterOfRotation = 0 0 0\nElementSpacing = 2 3 4\n\
                      DimSize = 2 3 4\nElementType = MET_SHORT\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str, header: &str, place: &str, data: &[u8]) -> PathBuf {
        let file = self.0.path().join(name);
        std::fs::write(&file, [format!("{header}ElementDataFile = {place}\n").as_bytes(), data].concat()).expect("a writable folder");
        file
    }

    fn scan(&self, header: &str, data: &[u8]) -> Scan {
        read(&self.file("x.mha", header, "LOCAL", data)).expect("a file that can be read")
    }

    fn fault(&self, header: &str, data: &[u8]) -> Fault {
        read(&self.file("bad.mha", header, "LOCAL", data)).expect_err("a file that lies").fault
    }
}

fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|number| number as f32).collect()
}

fn shorts(count: i16) -> Vec<u8> {
    (0..count).flat_map(i16::to_le_bytes).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).and_then(|()| packer.finish()).expect("memory")
}

/// Whether two points are the same but for rounding.
fn close(a: [f64; 3], b: [f64; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
}

fn notes(scan: &Scan) -> String {
    scan.notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// What is replaced in a header, by what, and how that is refused.
type Refused = (&'static str, &'static str, fn(&Fault) -> bool);

#[test]
fn positions_are_those_that_the_header_says_under_each_of_its_names() {
    let folder = Folder::new();
    // Voxel (1, 2, 3) lies at L,P,S = (10, 20, 30) + 1 * 2 (1,0,0) + 2 * 3 (0,0,1) + 3 * 4 (0,-1,0) = (12, 8, 36).
    for (matrix, offset) in [("TransformMatrix", "Offset"), ("Orientation", "Position"), ("Rotation", "Origin")] {
        let scan = folder.scan(&HEADER.replace("TransformMatrix", matrix).replace("Offset", offset), &shorts(24));
        assert_eq!(scan.volume.grid.shape, [4, 3, 2]);
        assert_eq!(scan.volume.grid.world_mm([1.0, 2.0, 3.0]), [-12.0, -8.0, 36.0], "{matrix}");
        assert_eq!(scan.volume.voxels, ramp(24), "i is the fastest axis");
        assert_eq!(notes(&scan), "");
    }
    let microns = HEADER.to_owned() + "DistanceUnits = um\n";
    assert!(close(folder.scan(&microns, &shorts(24)).volume.grid.world_mm([1.0, 2.0, 3.0]), [-0.012, -0.008, 0.036]));
}

#[test]
fn every_type_byte_order_and_encoding_reads_the_same() {
    let folder = Folder::new();
    macro_rules! types {
        ($($kind:ty: $name:literal;)*) => {$(
            let numbers = || (0..24).map(|number: u8| number as $kind);
            let little: Vec<u8> = numbers().flat_map(<$kind>::to_le_bytes).collect();
            let big: Vec<u8> = numbers().flat_map(<$kind>::to_be_bytes).collect();
            for (order, bytes) in [("False", little), ("True", big)] {
                let header = HEADER.replace("MET_SHORT", $name).replace("ByteOrderMSB = False", &format!("ByteOrderMSB = {order}"));
                assert_eq!(folder.scan(&header, &bytes).volume.voxels, ramp(24), "{} {order}", $name);
                let compressed = header.replace("CompressedData = False", "CompressedData = True");
                let element = compressed.replace("BinaryDataByteOrderMSB", "ElementByteOrderMSB");
                assert_eq!(folder.scan(&element, &packed(&bytes)).volume.voxels, ramp(24), "{} {order}", $name);
                assert!(matches!(folder.fault(&header, &bytes[1..]), Fault::Length { .. }));
                assert!(matches!(folder.fault(&compressed, &packed(&bytes)[..9]), Fault::Length { .. } | Fault::Gzip { .. }));
            }
        )*};
    }
    types! {
        i8: "MET_CHAR";
        u8: "MET_UCHAR";
        i16: "MET_SHORT";
        u16: "MET_USHORT";
        i32: "MET_INT";
        u32: "MET_UINT";
        i64: "MET_LONG_LONG";
        u64: "MET_ULONG_LONG";
        f32: "MET_FLOAT";
        f64: "MET_DOUBLE";
    }
    let text = HEADER.replace("BinaryData = True", "BinaryData = False");
    let numbers: String = (0..24).map(|number| format!("{number}\n")).collect();
    assert_eq!(folder.scan(&text, numbers.as_bytes()).volume.voxels, ramp(24));
}

#[test]
fn channels_lie_together_in_a_voxel_or_along_a_fourth_axis() {
    let folder = Folder::new();
    let expected: Vec<f32> = (0..2).flat_map(|channel| (0..24).map(move |at| (100 * channel + at) as f32)).collect();
    let together: Vec<u8> = (0..24_i16).flat_map(|at| [at, 100 + at]).flat_map(i16::to_le_bytes).collect();
    let scan = folder.scan(&(HEADER.to_owned() + "ElementNumberOfChannels = 2\n"), &together);
    assert_eq!((scan.volume.channels, &scan.volume.voxels), (2, &expected));
    assert_eq!(channels(&folder.0.path().join("x.mha")), Ok(2));

    let fourth = HEADER
        .replace("NDims = 3", "NDims = 4")
        .replace("1 0 0 0 0 1 0 -1 0", "1 0 0 0 0 0 1 0 0 -1 0 0 0 0 0 1")
        .replace("10 20 30", "10 20 30 0")
        .replace("ElementSpacing = 2 3 4", "ElementSpacing = 2 3 4 1")
        .replace("DimSize = 2 3 4", "DimSize = 2 3 4 2");
    let apart: Vec<u8> = expected.iter().flat_map(|&value| (value as i16).to_le_bytes()).collect();
    let scan = folder.scan(&fourth, &apart);
    assert_eq!((scan.volume.channels, &scan.volume.voxels), (2, &expected));
    assert_eq!(scan.volume.grid.world_mm([1.0, 2.0, 3.0]), [-12.0, -8.0, 36.0]);
}

#[test]
fn a_header_finds_its_voxels_in_another_file_at_its_place_there() {
    let folder = Folder::new();
    let file = folder.file("x.mhd", &(HEADER.to_owned() + "HeaderSize = 5\n"), "x.raw", b"");
    assert_eq!(read(&file).expect_err("no voxels").fault, Fault::Missing);
    let bytes = [&[9; 5][..], &shorts(24)].concat();
    std::fs::write(folder.0.path().join("x.raw"), &bytes).expect("a writable folder");
    assert_eq!(read(&file).expect("both files").volume.voxels, ramp(24));
    assert_eq!(files(&file), Ok(vec![file.clone(), folder.0.path().join("x.raw")]));
    let from_end = folder.file("x.mhd", &(HEADER.to_owned() + "HeaderSize = -1\n"), "x.raw", b"");
    assert_eq!(read(&from_end).expect("both files").volume.voxels, ramp(24));
    assert!(notes(&folder.scan(HEADER, &[shorts(24), vec![0; 3]].concat())).contains("3 bytes behind the image"));
}

#[test]
fn what_had_to_be_assumed_is_said_and_what_cannot_be_understood_is_refused() {
    let folder = Folder::new();
    let said = |header: &str, part: &str| {
        let scan = folder.scan(header, &shorts(24));
        assert!(notes(&scan).contains(part), "no {part:?} in {:?}", notes(&scan));
        scan.volume.grid
    };
    let without = |field: &str| HEADER.lines().filter(|line| !line.starts_with(field)).map(|line| format!("{line}\n")).collect::<String>();
    let grid = said(&without("TransformMatrix"), "names no directions (TransformMatrix): i is taken to run to the patient's left");
    assert_eq!(grid.world_mm([1.0, 1.0, 1.0]), [-12.0, -23.0, 34.0]);
    said(&(without("TransformMatrix") + "AnatomicalOrientation = LPI\n"), "AnatomicalOrientation LPI is not used");
    assert_eq!(said(&without("Offset"), "names no origin (Offset)").world_mm([0.0; 3]), [0.0; 3]);
    assert_eq!(said(&without("ElementSpacing"), "1 mm is taken").spacing_mm(), [1.0; 3]);
    assert_eq!(said(&(without("ElementSpacing") + "ElementSize = 1 1 5\n"), "its ElementSize is taken").spacing_mm(), [5.0, 1.0, 1.0]);
    said(&(HEADER.to_owned() + "DistanceUnits = ell\n"), "\"ell\" (DistanceUnits) is not known");
    said(&(HEADER.to_owned() + "ElementToIntensityFunctionSlope = 2\n"), "ElementToIntensityFunction is not used");

    let header = |fault: &Fault| matches!(fault, Fault::Header { .. });
    let unsupported = |fault: &Fault| matches!(fault, Fault::Unsupported(..));
    let cases: [Refused; 12] = [
        ("ObjectType = Image", "ObjectType = Tube", unsupported),
        ("NDims = 3", "NDims = 2", unsupported),
        ("DimSize = 2 3 4", "DimSize = 2 3", header),
        ("DimSize = 2 3 4", "DimSize = 2 0 4", header),
        ("DimSize = 2 3 4", "DimSize = 2 3 99999", unsupported),
        ("ElementSpacing = 2 3 4", "ElementSpacing = 2 0 4", header),
        ("ElementSpacing = 2 3 4", "ElementSpacing = 2 x 4", header),
        ("0 0 1 0 -1 0", "0 0 1 0 0 1", header),
        ("Offset = 10", "Offset = 1e9", header),
        ("MET_SHORT", "MET_LONG", unsupported),
        ("MET_SHORT", "MET_WORD", header),
        ("DimSize", "NDims = 3\nDimSize", header),
    ];
    for (from, to, expected) in cases {
        assert!(HEADER.contains(from));
        let fault = folder.fault(&HEADER.replace(from, to), &shorts(24));
        assert!(expected(&fault), "{from:?} -> {to:?}: {fault}");
    }
    let hostile = HEADER.replace("2 3 4\nElementType", "32000 32000 32000\nElementType");
    assert!(matches!(folder.fault(&hostile, &shorts(24)), Fault::Length { .. }));
    let several = folder.file("x.mhd", HEADER, "LIST", b"a.raw\nb.raw\n");
    assert!(unsupported(&read(&several).expect_err("several files").fault));
    let other = folder.0.path().join("other.mha");
    for text in ["no header", "NDims = 3\n"] {
        std::fs::write(&other, text).expect("a writable folder");
        assert!(matches!(read(&other).expect_err("no MetaImage").fault, Fault::NotOfFormat(..)), "{text}");
    }
}

#[test]
fn what_is_written_reads_the_same() {
    let folder = Folder::new();
    let mut grid = Grid::axis_aligned([4, 3, 2], [3.0, 0.7, 1.1]);
    grid.world_from_voxel[0] = [1.0 / 3.0, 0.2, -0.1, -71.7];
    grid.world_from_voxel[1][0] = 0.37;
    for (name, voxels, stored) in [
        ("a.mha", ramp(48), "uint8"),
        ("b.MHD", ramp(48).iter().map(|value| 7.0 - 40.0 * value).collect(), "int16"),
        ("c.mha", ramp(48).iter().map(|value| value / 7.0).collect(), "float32"),
    ] {
        let file = folder.0.path().join(name);
        let volume = Volume { channels: 2, grid: grid.clone(), voxels };
        assert_eq!(write_volume(&file, &volume, &SourceHeader::for_grid(&grid)), Ok(stored));
        let back = read(&file).expect("our own file");
        assert_eq!((back.volume.channels, back.volume.grid.shape, &back.volume.voxels), (2, grid.shape, &volume.voxels));
        assert!(back.volume.grid.corner_distance_mm(&grid) < 1e-9);
        assert_eq!(notes(&back), "");
    }
    assert!(folder.0.path().join("b.zraw").is_file());
}
