//! Against headers made by hand, whose positions are computed by hand, and against files that lie.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::config::DataSource;
use crate::volume::file::{read, write_volume};
use crate::volume::label_table::LabelTable;
use crate::volume::segment::{self, Segments};
use crate::volume::segmentation::{self, Subject};
use crate::volume::{Dataset, Fault, Grid, LabelMap, Scan, SourceHeader, Volume};

/// A header of a grid of 2 x 3 x 4 voxels (i, j, k) with oblique signs: without type, endian, encoding and space.
const PLACE: &str = "space directions: (2,0,0) (0,0,3) (0,-4,0)\nspace origin: (10,20,30)\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str, header: &str, data: &[u8]) -> PathBuf {
        let file = self.0.path().join(name);
        std::fs::write(&file, [format!("NRRD0005\n{header}\n").as_bytes(), data].concat()).expect("a writable folder");
        file
    }

    fn scan(&self, header: &str, data: &[u8]) -> Scan {
        read(&self.file("x.nrrd", header, data)).expect("a file that can be read")
    }

    fn fault(&self, header: &str, data: &[u8]) -> Fault {
        read(&self.file("bad.nrrd", header, data)).expect_err("a file that lies").fault
    }
}

/// The numbers 0, 1, .. as text.
fn text(count: usize) -> Vec<u8> {
    (0..count).map(|number| format!("{number} ")).collect::<String>().into_bytes()
}

fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|number| number as f32).collect()
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
fn each_space_places_voxels_where_its_name_says() {
    let folder = Folder::new();
    // Voxel (1, 2, 3) lies at origin + 1 (2,0,0) + 2 (0,0,3) + 3 (0,-4,0) = (12, 8, 36) in the file's own space.
    for (space, expected) in [
        ("left-posterior-superior", [-12.0, -8.0, 36.0]),
        ("LPS", [-12.0, -8.0, 36.0]),
        ("right-anterior-superior", [12.0, 8.0, 36.0]),
        ("RAS", [12.0, 8.0, 36.0]),
        ("left-anterior-superior", [-12.0, 8.0, 36.0]),
        ("LAS", [-12.0, 8.0, 36.0]),
    ] {
        let header = format!("type: short\ndimension: 3\nspace: {space}\nsizes: 2 3 4\nencoding: ascii\n{PLACE}");
        let scan = folder.scan(&header, &text(24));
        assert_eq!(scan.volume.grid.shape, [4, 3, 2]);
        assert_eq!(scan.volume.grid.world_mm([1.0, 2.0, 3.0]), expected, "{space}");
        assert_eq!(scan.volume.voxels, ramp(24), "i is the fastest axis");
        assert_eq!(notes(&scan), "");
    }
    let units = format!("type: short\ndimension: 3\nspace: RAS\nspace units: \"cm\" \"mm\" \"um\"\nsizes: 2 3 4\nencoding: ascii\n{PLACE}");
    assert!(close(folder.scan(&units, &text(24)).volume.grid.world_mm([1.0, 2.0, 3.0]), [120.0, 8.0, 0.036]));
}

#[test]
fn every_type_byte_order_and_encoding_reads_the_same() {
    let folder = Folder::new();
    macro_rules! types {
        ($($kind:ty: $names:expr;)*) => {$(
            for name in $names {
                let numbers = || (0..24).map(|number: u8| number as $kind);
                let little: Vec<u8> = numbers().flat_map(<$kind>::to_le_bytes).collect();
                let big: Vec<u8> = numbers().flat_map(<$kind>::to_be_bytes).collect();
                for (endian, bytes) in [("little", little), ("big", big)] {
                    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
                    let packed = packer.write_all(&bytes).and_then(|()| packer.finish()).expect("memory");
                    for (encoding, data) in [("raw", &bytes), ("gzip", &packed), ("gz", &packed)] {
                        let header = format!("type: {name}\ndimension: 3\nspace: LPS\nsizes: 2 3 4\nendian: {endian}\nencoding: {encoding}\n{PLACE}");
                        assert_eq!(folder.scan(&header, data).volume.voxels, ramp(24), "{name} {endian} {encoding}");
                        let short = folder.fault(&header, &data[..data.len() - 9]);
                        assert!(matches!(short, Fault::Length { .. } | Fault::Gzip { .. }), "{name} {encoding}: {short}");
                    }
                }
            }
        )*};
    }
    types! {
        i8: ["signed char", "int8"];
        u8: ["uchar", "unsigned char", "uint8_t"];
        i16: ["short", "signed short int", "int16"];
        u16: ["ushort", "unsigned short"];
        i32: ["int", "int32_t"];
        u32: ["unsigned int"];
        i64: ["long long", "int64"];
        u64: ["ulonglong"];
        f32: ["float"];
        f64: ["double"];
    }
}

#[test]
fn channels_are_found_wherever_their_axis_stands() {
    let folder = Folder::new();
    // Channel c of voxel (i, j, k) holds 100 c + its place in memory.
    let value = |c: usize, i: usize, j: usize, k: usize| (100 * c + i + 2 * (j + 3 * k)) as u8;
    let expected: Vec<f32> = (0..2).flat_map(|c| (0..24).map(move |at| (100 * c + at) as f32)).collect();
    for (at, sizes, directions, kinds) in [
        (0, "2 2 3 4", "none (2,0,0) (0,0,3) (0,-4,0)", "list domain domain domain"),
        (2, "2 3 2 4", "(2,0,0) (0,0,3) none (0,-4,0)", "space space vector space"),
        (3, "2 3 4 2", "(2,0,0) (0,0,3) (0,-4,0) none", "domain domain domain list"),
    ] {
        let mut bytes = Vec::new();
        for outer in 0..48 {
            let (mut rest, mut index) = (outer, [0; 4]);
            let sizes: Vec<usize> = sizes.split(' ').map(|size| size.parse().expect("a number")).collect();
            for axis in 0..4 {
                index[axis] = rest % sizes[axis];
                rest /= sizes[axis];
            }
            let space: Vec<usize> = (0..4).filter(|&axis| axis != at).map(|axis| index[axis]).collect();
            bytes.push(value(index[at], space[0], space[1], space[2]));
        }
        let header = format!(
            "type: uchar\ndimension: 4\nspace: LPS\nsizes: {sizes}\nspace directions: {directions}\nkinds: {kinds}\nencoding: raw\nspace origin: (10,20,30)\n"
        );
        let volume = folder.scan(&header, &bytes).volume;
        assert_eq!((volume.channels, volume.voxels), (2, expected.clone()), "{kinds}");
        assert_eq!(volume.grid.world_mm([1.0, 2.0, 3.0]), [-12.0, -8.0, 36.0], "{kinds}");
        assert_eq!(crate::volume::file::channels(&folder.0.path().join("x.nrrd")), Ok(2));
    }
    // Without directions the kinds tell, and without either nothing does.
    let edges = "type: uchar\ndimension: 4\nsizes: 2 2 3 4\nspacings: nan 0.5 1 2\nencoding: ascii\n";
    assert_eq!(folder.scan(&format!("{edges}kinds: list domain domain domain\n"), &text(48)).volume.channels, 2);
    assert!(matches!(folder.fault(edges, &text(48)), Fault::Unsupported(..)));
}

#[test]
fn what_had_to_be_assumed_is_said() {
    let folder = Folder::new();
    let header = "type: uchar\ndimension: 3\nsizes: 2 3 4\nencoding: ascii\n";
    let scan = folder.scan(&format!("{header}spacings: 0.5 2 3\n"), &text(24));
    assert!(notes(&scan).contains("names no place in space"), "{}", notes(&scan));
    assert_eq!(scan.volume.grid.world_mm([1.0, 1.0, 1.0]), [-0.5, -2.0, 3.0]);
    for (more, part) in [
        ("spacings: 0.5 2 nan\n".to_owned(), "along k (`spacings`) is not given; taken as 1 mm"),
        (format!("space: scanner-xyz\n{PLACE}"), "does not name the patient's sides"),
        (format!("space dimension: 3\n{PLACE}"), "names no space"),
        ("space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n".to_owned(), "names no `space origin`"),
        (format!("space: LPS\nspace units: \"ell\" \"ell\" \"ell\"\n{PLACE}"), "\"ell\" is not known"),
        (format!("space: LPS\nold min: 3\n{PLACE}"), "`oldmin` is not used"),
        ("space: LPS\nspace directions: (200,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n".to_owned(), "odd for a scan"),
    ] {
        let scan = folder.scan(&format!("{header}{more}"), &text(24));
        assert!(notes(&scan).contains(part), "no {part:?} in {:?}", notes(&scan));
    }
    let raw = header.replace("ascii", "raw");
    let scan = folder.scan(&format!("{raw}space: LPS\n{PLACE}"), &[0; 27]);
    assert!(notes(&scan).contains("3 bytes behind the image are left out"), "{}", notes(&scan));
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let folder = Folder::new();
    let good = format!("type: short\ndimension: 3\nspace: LPS\nsizes: 2 3 4\nendian: little\nencoding: raw\n{PLACE}");
    assert_eq!(folder.scan(&good, &[0; 48]).volume.voxels, [0.0; 24]);
    let header = |fault: &Fault| matches!(fault, Fault::Header { .. });
    let unsupported = |fault: &Fault| matches!(fault, Fault::Unsupported(..));
    let cases: [Refused; 19] = [
        ("endian: little\n", "", header),
        ("type: short", "type: rational", header),
        ("type: short", "type: block", unsupported),
        ("encoding: raw", "encoding: bzip2", unsupported),
        ("encoding: raw", "encoding: morse", header),
        ("sizes: 2 3 4", "sizes: 2 3 0", header),
        ("sizes: 2 3 4", "sizes: 2 3", header),
        ("sizes: 2 3 4", "sizes: 2 3 400000", unsupported),
        ("dimension: 3", "dimension: 2", unsupported),
        ("space: LPS", "space: left-posterior-superior-time", unsupported),
        ("(2,0,0)", "(2,0)", header),
        ("(2,0,0)", "(0,0,6)", header),
        ("(2,0,0)", "(nan,0,0)", header),
        ("(2,0,0)", "none", unsupported),
        ("(10,20,30)", "(10,20,3e9)", header),
        ("sizes:", "kinds: domain time domain\nsizes:", unsupported),
        ("sizes:", "data file: LIST\nsizes:", unsupported),
        ("sizes:", "space: RAS\nsizes:", header),
        ("sizes:", "nonsense\nsizes:", header),
    ];
    for (from, to, expected) in cases {
        assert!(good.contains(from));
        let fault = folder.fault(&good.replace(from, to), &[0; 48]);
        assert!(expected(&fault), "{from:?} -> {to:?}: {fault}");
    }
    let hostile = good.replace("2 3 4", "32000 32000 32000");
    assert!(matches!(folder.fault(&hostile, &[0; 48]), Fault::Length { .. }));
    let file = folder.0.path().join("other.nrrd");
    std::fs::write(&file, "no header").expect("a writable folder");
    assert!(matches!(read(&file).expect_err("no NRRD").fault, Fault::NotOfFormat(..)));
    let colours = "type: uchar\ndimension: 4\nspace: LPS\nsizes: 3 2 3 4\nspace directions: none (2,0,0) (0,0,3) (0,-4,0)\nkinds: RGB-color domain domain domain\nencoding: raw\nspace origin: (0,0,0)\n";
    assert!(matches!(folder.fault(colours, &[0; 72]), Fault::Unsupported(..)));
}

#[test]
fn a_header_finds_its_voxels_in_another_file_and_says_when_they_are_not_there() {
    let folder = Folder::new();
    let header = format!("type: uchar\ndimension: 3\nspace: LPS\nsizes: 2 3 4\nencoding: raw\nbyte skip: 5\n{PLACE}data file: x.bin\n");
    let file = folder.file("x.nhdr", &header, b"");
    assert_eq!(read(&file).expect_err("no voxels").fault, Fault::Missing);
    std::fs::write(folder.0.path().join("x.bin"), [&[9; 5][..], &(0..24).collect::<Vec<u8>>()].concat()).expect("a writable folder");
    assert_eq!(read(&file).expect("both files").volume.voxels, ramp(24));
    assert_eq!(crate::volume::file::files(&file), Ok(vec![file.clone(), folder.0.path().join("x.bin")]));
}

#[test]
fn what_is_written_reads_the_same_to_the_bit() {
    let folder = Folder::new();
    let mut grid = Grid::axis_aligned([4, 3, 2], [3.0, 0.7, 1.1]);
    grid.world_from_voxel[0] = [1.0 / 3.0, 0.2, -0.1, -71.7];
    grid.world_from_voxel[1][0] = 0.37;
    let header = SourceHeader::for_grid(&grid);
    for name in ["a.nrrd", "b.NHDR"] {
        let file = folder.0.path().join(name);
        for (voxels, stored) in [
            (ramp(48), "uint8"),
            (ramp(48).iter().map(|value| 7.0 - 40.0 * value).collect(), "int16"),
            (ramp(48).iter().map(|value| 1000.0 * value).collect(), "uint16"),
            (ramp(48).iter().map(|value| 1000.0 - 1000.0 * value).collect(), "int32"),
            (ramp(48).iter().map(|value| value / 7.0).collect(), "float32"),
            (ramp(48).iter().map(|value| if *value == 3.0 { f32::NAN } else { -value }).collect(), "float32"),
        ] {
            let volume = Volume { channels: 2, grid: grid.clone(), voxels };
            assert_eq!(write_volume(&file, &volume, &header), Ok(stored), "{name}");
            let back = read(&file).expect("our own file");
            assert_eq!((back.volume.channels, &back.volume.grid), (2, &grid));
            assert!(back.volume.voxels.iter().map(|value| value.to_bits()).eq(volume.voxels.iter().map(|value| value.to_bits())));
            assert_eq!(notes(&back), "");
        }
    }
    assert!(folder.0.path().join("b.raw.gz").is_file());
    let labels = LabelMap { grid: grid.clone(), voxels: (0..24).map(|label| 1000 * label).collect() };
    let file = folder.0.path().join("labels.nrrd");
    let write = |file: &Path, segments: &Segments| {
        let subject = Subject { header: &header, images: &[], segments, dataset: "" };
        assert_eq!(segmentation::write(file, &labels, &subject), Ok(Vec::new()));
        let expected: Vec<f32> = labels.voxels.iter().map(|&label| f32::from(label)).collect();
        assert_eq!(read(file).expect("our own file").volume.voxels, expected);
    };
    let segments =
        segment::named(&BTreeMap::from([(0, "background".to_owned()), (1000, "left \\ lung".to_owned()), (7, "absent".to_owned())]));
    write(&file, &segments);
    assert_eq!(LabelTable::within(&file), Ok(None), "a plain file has no place for names");
    let named = folder.0.path().join("labels.seg.nrrd");
    write(&named, &segments);
    let table = LabelTable::within(&named).expect("our own file").expect("names");
    let entry = |value: u32| table.entries.get(&value).map(|entry| (entry.name.clone().unwrap_or_default(), entry.colour));
    assert_eq!(entry(1000), segments.get(&1000).map(|segment| (segment.name.clone(), segment.colour)));
    assert_eq!(entry(7).expect("named, though it does not occur").0, "absent");
    assert_eq!((entry(23_000).expect("it occurs").0.as_str(), entry(0)), ("label 23000", None));
}

/// A label map of two segments under these names.
fn segments(folder: &Path, name: &str, [first, second]: [&str; 2]) {
    let keys = format!(
        "Segment0_Color:=1 0.5 0\nSegment0_ID:=a\nSegment0_LabelValue:=1\nSegment0_Layer:=0\nSegment0_Name:={first}\n\
         Segment1_Color:=0 0 1\nSegment1_LabelValue:=2\nSegment1_Layer:=0\nSegment1_Name:={second}\n"
    );
    let header = format!("NRRD0004\ntype: uchar\ndimension: 3\nspace: LPS\nsizes: 2 3 4\nencoding: ascii\n{PLACE}{keys}\n");
    let labels = (0..24).map(|at| format!("{} ", at % 3)).collect::<String>();
    std::fs::write(folder.join(name), header + &labels).expect("a writable folder");
}

#[test]
fn segments_name_the_labels_of_a_dataset_and_may_not_contradict_each_other() {
    let folder = Folder::new();
    let [images, labels] = ["images", "labels"].map(|name| folder.0.path().join(name));
    for folder in [&images, &labels] {
        std::fs::create_dir(folder).expect("a writable folder");
    }
    let header = format!("NRRD0004\ntype: uchar\ndimension: 3\nspace: LPS\nsizes: 2 3 4\nencoding: ascii\n{PLACE}\n");
    for name in ["a", "b"] {
        std::fs::write(images.join(format!("{name}.nrrd")), [header.as_bytes(), &text(24)].concat()).expect("a writable folder");
        segments(&labels, &format!("{name}.seg.nrrd"), ["liver", "left_lung"]);
    }
    let open = || Dataset::open(&DataSource::Folders { images: images.clone(), labels: Some(labels.clone()) }).expect("a dataset");
    let dataset = open();
    assert_eq!(dataset.labels.values().collect::<Vec<_>>(), ["background", "liver", "left_lung"]);
    assert!(dataset.findings.is_empty(), "{:?}", dataset.findings);
    let case = dataset.case("a").expect("paired by its stem");
    assert!(dataset.load(case, Default::default()).expect("a good case").label.is_some());

    segments(&labels, "b.seg.nrrd", ["left lung", "liver"]);
    let dataset = open();
    let errors: Vec<_> = dataset.findings_of("b").collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(matches!(&errors[0].fault, Fault::SegmentNames(1, name, _, other) if name == "left lung" && other == "liver"), "{errors:?}");
    assert!(errors[0].to_string().contains("structure sets (RTSTRUCT), by exporting the same structures in the same order"), "{errors:?}");
    assert!(dataset.findings_of("a").next().is_none());

    segments(&labels, "a.seg.nrrd", ["liver", "Liver"]);
    segments(&labels, "b.seg.nrrd", ["liver", "Liver"]);
    let dataset = open();
    for case in ["a", "b"] {
        let errors: Vec<_> = dataset.findings_of(case).collect();
        assert_eq!(errors.len(), 1, "one name of two values would be two classes: {errors:?}");
        assert!(matches!(&errors[0].fault, Fault::SegmentValues(name, 2, _, 1) if name == "Liver"), "{errors:?}");
    }
}

#[test]
fn segments_in_layers_are_refused_and_their_remedy_is_given() {
    let folder = Folder::new();
    let header = "type: uchar\ndimension: 4\nspace: LPS\nsizes: 2 2 3 4\nspace directions: none (2,0,0) (0,0,3) (0,-4,0)\nkinds: list domain domain domain\nencoding: ascii\nspace origin: (0,0,0)\nSegment0_LabelValue:=1\nSegment0_Name:=a\n";
    let file = folder.file("x.seg.nrrd", header, &text(48));
    let error = read(&file).expect_err("two layers");
    assert_eq!(error.fault, Fault::Layers(2));
    assert!(error.to_string().contains("label map without overlaps"), "{error}");
}
