//! The lines of a header, and what they say of the numbers behind them.

use std::array::from_fn;
use std::collections::BTreeMap;
use std::io::BufRead;

use crate::volume::affine::{self, Rows};
use crate::volume::voxels::{Encoding, Scalar, Stored, check_sizes, header_lines};
use crate::volume::{Fault, Grid};

/// Signs from L,P,S to R,A,S.
const LPS: [f64; 3] = [-1.0, -1.0, 1.0];

/// The field that ends a header.
const LAST: &str = "ElementDataFile";

/// A header's fields.
pub(super) struct Header {
    fields: BTreeMap<String, String>,
}

impl Header {
    /// Reads a header; with the number of its bytes.
    ///
    /// # Errors
    /// No MetaImage file, a line that is no field, a field that stands there twice.
    pub fn read(source: &mut dyn BufRead) -> Result<(Self, u64), Fault> {
        let no_header = |cause: String| Fault::NotOfFormat("MetaImage".to_owned(), cause);
        let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
        let (lines, length) = header_lines(source, "MetaImage", |line| name(line).as_deref() == Some(LAST))?;
        let mut fields = BTreeMap::new();
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            let Some((name, value)) = line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) else {
                let begin: String = line.chars().take(40).collect();
                return Err(no_header(format!("{begin:?} stands where `Name = value` should")));
            };
            if fields.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(Fault::header(&format!("the field {name}"), "two lines", "one line"));
            }
        }
        if !fields.contains_key(LAST) {
            return Err(no_header(format!("its header has no field {LAST}")));
        }
        Ok((Self { fields }, length))
    }

    /// The value of the first of such names that is there.
    fn field(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|&name| self.fields.get(name).map(String::as_str))
    }

    fn is_true(&self, names: &[&str]) -> bool {
        self.field(names).is_some_and(|value| value.to_ascii_lowercase().starts_with(['t', '1', 'y']))
    }

    fn numbers<T: std::str::FromStr>(&self, names: &[&str], count: usize) -> Result<Option<Vec<T>>, Fault> {
        let Some(text) = self.field(names) else { return Ok(None) };
        let numbers: Option<Vec<T>> = text.split_whitespace().map(|number| number.parse().ok()).collect();
        match numbers {
            Some(numbers) if numbers.len() == count => Ok(Some(numbers)),
            _ => Err(Fault::header(&names.join(" or "), format_args!("{text:?}"), &format!("{count} numbers"))),
        }
    }

    /// The file beside the header's that holds the voxels; none where they follow the header.
    ///
    /// # Errors
    /// Several such files.
    pub fn data_file(&self) -> Result<Option<&str>, Fault> {
        match self.field(&[LAST]) {
            Some(name) if name.eq_ignore_ascii_case("LOCAL") => Ok(None),
            Some(name) if name.starts_with("LIST") || name.contains('%') => {
                Err(Fault::Unsupported(format!("voxels in several files ({LAST} = {name})")))
            }
            name => Ok(name),
        }
    }

    /// Bytes before the voxels, of so many; -1 means that the voxels stand at the end.
    pub fn skip(&self, stored: &Stored, bytes: u64) -> Result<u64, Fault> {
        let skip = self.numbers::<i64>(&["HeaderSize"], 1)?.map_or(0, |numbers| numbers[0]);
        let size = stored.grid.shape.iter().fold((stored.channels * stored.scalar.size()) as u128, |all, &size| all * size as u128);
        let from_end = || u64::try_from(size).ok().and_then(|size| bytes.checked_sub(size));
        let skip = if skip == -1 && stored.encoding == Encoding::Raw { from_end() } else { u64::try_from(skip).ok() };
        skip.filter(|&skip| skip <= bytes)
            .ok_or_else(|| Fault::header("HeaderSize", format_args!("{:?}", self.field(&["HeaderSize"])), "a place in the file"))
    }

    /// What the header says of its numbers.
    ///
    /// # Errors
    /// What is missing, beyond reason or not supported.
    pub fn stored(&self) -> Result<Stored, Fault> {
        if let Some(other) = self.field(&["ObjectType"]).filter(|kind| !kind.eq_ignore_ascii_case("Image")) {
            return Err(Fault::Unsupported(format!("an object of the type {other} (ObjectType)")));
        }
        let axes = self.numbers::<usize>(&["NDims"], 1)?.map_or(0, |numbers| numbers[0]);
        if !(3..=4).contains(&axes) {
            return Err(Fault::Unsupported(format!("{axes} axes (NDims); three of space and one of channels are read")));
        }
        let sizes: Vec<usize> =
            self.numbers(&["DimSize"], axes)?.ok_or_else(|| Fault::header("DimSize", "nothing", "the voxels along each axis"))?;
        let size @ [w, h, d] = [sizes[0], sizes[1], sizes[2]];
        let of_voxel = self.numbers::<usize>(&["ElementNumberOfChannels"], 1)?.map_or(1, |numbers| numbers[0]);
        let further = sizes.get(3).copied().unwrap_or(1);
        if of_voxel > 1 && further > 1 {
            return Err(Fault::Unsupported(format!(
                "{further} volumes of {of_voxel} channels each (a fourth axis and ElementNumberOfChannels)"
            )));
        }
        let channels = of_voxel.saturating_mul(further);
        check_sizes(size, channels, "DimSize and ElementNumberOfChannels")?;
        let mut notes = Vec::new();
        let rows = self.rows(axes, &mut notes)?;
        let world_from_voxel = [rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]];
        let scalar = self.scalar()?;
        let slope = self.numbers::<f64>(&["ElementToIntensityFunctionSlope"], 1)?.is_some_and(|slope| slope != [1.0]);
        let offset = self.numbers::<f64>(&["ElementToIntensityFunctionOffset"], 1)?.is_some_and(|offset| offset != [0.0]);
        if slope || offset {
            notes.push("its ElementToIntensityFunction is not used, as ITK doesn't use it: values are taken as they are stored".to_owned());
        }
        let text = self.field(&["BinaryData"]).is_some() && !self.is_true(&["BinaryData"]);
        let encoding = match (text, self.is_true(&["CompressedData"])) {
            (true, _) => Encoding::Text,
            (false, true) => Encoding::Zlib,
            (false, false) => Encoding::Raw,
        };
        let big_endian = self.is_true(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"]);
        // A fourth axis is the slowest, and channels of a voxel are the fastest.
        let voxels = size.iter().fold(1_usize, |all, &size| all.saturating_mul(size));
        let stride = if further > 1 { voxels } else { 1 };
        Ok(Stored { grid: Grid { shape: [d, h, w], world_from_voxel }, channels, stride, scalar, big_endian, encoding, notes })
    }

    /// Rows of the affine from index to RAS+ mm.
    fn rows(&self, axes: usize, notes: &mut Vec<String>) -> Result<Rows, Fault> {
        let unit = self.unit_mm(notes);
        let edges: Vec<f64> = match self.numbers(&["ElementSpacing"], axes)? {
            Some(edges) => edges,
            None => {
                let sizes = self.numbers(&["ElementSize"], axes)?;
                let instead = if sizes.is_some() { "its ElementSize is taken" } else { "1 mm is taken" };
                notes.push(format!("it names no distance of voxels (ElementSpacing); {instead}"));
                sizes.unwrap_or_else(|| vec![unit.recip(); axes])
            }
        };
        let matrix = self.numbers::<f64>(&["TransformMatrix", "Orientation", "Rotation"], axes * axes)?;
        let origin = self.numbers::<f64>(&["Offset", "Position", "Origin"], axes)?;
        if matrix.is_none() || origin.is_none() {
            let [direction, place] = [matrix.is_none(), origin.is_none()];
            let missing = [(direction, "directions (TransformMatrix)"), (place, "origin (Offset)")];
            let missing: Vec<&str> = missing.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
            let side = if direction { ": i is taken to run to the patient's left, j to the back, k upwards" } else { "" };
            let zero = if place { "; its first voxel is taken to lie at 0, 0, 0" } else { "" };
            notes.push(format!("it names no {}{side}{zero}", missing.join(" and no ")));
            // RAI is MetaImage's word for what others call LPS.
            let named = self.field(&["AnatomicalOrientation"]).filter(|code| direction && !["RAI", "???"].contains(code));
            notes.extend(named.map(|code| format!("its AnatomicalOrientation {code} is not used, as ITK doesn't use it")));
        }
        let matrix = matrix.unwrap_or_else(|| (0..axes * axes).map(|at| f64::from(u8::from(at % (axes + 1) == 0))).collect());
        if (3..axes).any(|axis| (0..3).any(|other| matrix[axis * axes + other] != 0.0 || matrix[other * axes + axis] != 0.0)) {
            return Err(Fault::Unsupported("a fourth axis that runs through space (TransformMatrix)".to_owned()));
        }
        let origin = origin.unwrap_or_else(|| vec![0.0; axes]);
        // Zero has no sign.
        let rows: Rows = from_fn(|row| {
            from_fn(|column| {
                let value = if column < 3 { matrix[column * axes + row] * edges[column] } else { origin[row] };
                value * unit * LPS[row] + 0.0
            })
        });
        let fields = "TransformMatrix, ElementSpacing and Offset";
        if let Some(fault) = affine::fault_of_axes(&rows) {
            return Err(Fault::header(fields, format_args!("what {fault}"), "three axes that span a volume"));
        }
        affine::refuse_far(&rows, fields)?;
        notes.extend(affine::odd_sizes(&rows, unit < 1.0).map(|odd| format!("{odd}: its unit of length may be wrong (DistanceUnits)")));
        Ok(rows)
    }

    /// Millimetres of the unit of length; a header that names none means mm.
    fn unit_mm(&self, notes: &mut Vec<String>) -> f64 {
        match self.field(&["DistanceUnits"]).map(str::to_ascii_lowercase).as_deref() {
            None | Some("mm" | "?" | "") => 1.0,
            Some("um") => 1e-3,
            Some("cm") => 10.0,
            Some(other) => {
                notes.push(format!("its unit of length {other:?} (DistanceUnits) is not known; taken as mm"));
                1.0
            }
        }
    }

    fn scalar(&self) -> Result<Scalar, Fault> {
        let name = self.field(&["ElementType"]).unwrap_or_default();
        Ok(match name.trim_end_matches("_ARRAY") {
            "MET_CHAR" => Scalar::Int8,
            "MET_UCHAR" => Scalar::Uint8,
            "MET_SHORT" => Scalar::Int16,
            "MET_USHORT" => Scalar::Uint16,
            "MET_INT" => Scalar::Int32,
            "MET_UINT" => Scalar::Uint32,
            "MET_LONG_LONG" => Scalar::Int64,
            "MET_ULONG_LONG" => Scalar::Uint64,
            "MET_FLOAT" => Scalar::Float32,
            "MET_DOUBLE" => Scalar::Float64,
            "MET_LONG" | "MET_ULONG" => {
                return Err(Fault::Unsupported(format!(
                    "voxels of the type {name}, which is of 4 bytes to some programs and of 8 to others"
                )));
            }
            _ => return Err(Fault::header("the type of its voxels (ElementType)", format_args!("{name:?}"), "a number type of MetaImage")),
        })
    }
}
