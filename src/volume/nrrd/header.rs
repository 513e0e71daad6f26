//! The lines of a header, and what they say of the numbers behind them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::volume::voxels::{self, Encoding, Scalar, header_lines};
use crate::volume::{DataError, Fault};

/// Kinds of an axis of numbers that are no intensities.
const NO_INTENSITIES: [&str; 6] = ["complex", "rgb-color", "hsv-color", "rgba-color", "3-color", "4-color"];

/// Kinds of an axis that runs through space.
const SPATIAL: [&str; 4] = ["domain", "space", "???", "none"];

/// A header's fields and key/value pairs.
pub(super) struct Header {
    /// Field -> description; fields in lower case and without spaces (`spacedirections`).
    fields: BTreeMap<String, String>,
    /// Key -> value, as written with `:=`.
    pub keys: BTreeMap<String, String>,
}

/// Axes of a file, from the fastest: the three of space in their order, and that of the channels.
pub(super) struct Axes {
    pub space: [usize; 3],
    pub channels: Option<usize>,
}

impl Header {
    /// The header of a file, the file behind it, and how many bytes are left there.
    ///
    /// # Errors
    /// A file that cannot be opened, or that does not begin with a header.
    pub fn open(file: &Path) -> Result<(Self, BufReader<File>, u64), DataError> {
        let (mut source, length) = voxels::open(file).map_err(|fault| fault.at(file))?;
        let (header, read) = Self::read(&mut source).map_err(|fault| fault.at(file))?;
        Ok((header, source, length - read))
    }

    /// Reads a header; with the number of its bytes.
    ///
    /// # Errors
    /// No NRRD file, a line that is no field, a field that stands there twice.
    pub fn read(source: &mut dyn BufRead) -> Result<(Self, u64), Fault> {
        let (lines, length) = header_lines(source, "NRRD", str::is_empty)?;
        let magic = lines.first().map(String::as_str).unwrap_or_default();
        if !["NRRD0001", "NRRD0002", "NRRD0003", "NRRD0004", "NRRD0005"].contains(&magic) {
            let begin: String = magic.chars().take(12).collect();
            return Err(Fault::NotOfFormat("NRRD".to_owned(), format!("it begins with {begin:?} instead of NRRD0001 to NRRD0005")));
        }
        let (mut fields, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for line in lines[1..].iter().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some((key, value)) = line.split_once(":=") {
                keys.insert(key.to_owned(), value.replace("\\n", "\n").replace("\\\\", "\\"));
                continue;
            }
            let (field, description) = line
                .split_once(": ")
                .or_else(|| line.split_once(':'))
                .ok_or_else(|| Fault::header("a line", format_args!("{line:?}"), "`field: value`"))?;
            let name = field.to_ascii_lowercase().replace(' ', "");
            if fields.insert(name, description.trim().to_owned()).is_some() {
                return Err(Fault::header(&format!("the field `{field}`"), "two lines", "one line"));
            }
        }
        Ok((Self { fields, keys }, length))
    }

    /// A field's description; none where it isn't there.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub fn needed(&self, name: &str) -> Result<&str, Fault> {
        self.field(name).ok_or_else(|| Fault::header(&format!("the field `{name}`"), "nothing", "a value"))
    }

    /// The words of a field with one for each axis.
    pub fn per_axis(&self, name: &str, axes: usize) -> Result<Option<Vec<String>>, Fault> {
        let Some(text) = self.field(name) else { return Ok(None) };
        let words: Vec<String> = text.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect();
        if words.len() == axes {
            Ok(Some(words))
        } else {
            Err(Fault::header(&format!("`{name}`"), format_args!("{text:?}"), &format!("{axes} values")))
        }
    }

    /// The file beside the header's that holds the voxels; none where they follow the header.
    ///
    /// # Errors
    /// Several such files.
    pub fn data_file(&self) -> Result<Option<&str>, Fault> {
        match self.field("datafile") {
            Some(name) if name.starts_with("LIST") || name.contains('%') => {
                Err(Fault::Unsupported(format!("voxels in several files (`data file: {name}`)")))
            }
            name => Ok(name),
        }
    }

    /// Bytes of a data file of `stored` bytes before its voxels.
    pub fn skip(&self, stored: u64) -> Result<u64, Fault> {
        let skip = self.field("byteskip").map_or(Ok(0), str::parse::<i64>).unwrap_or(i64::MIN);
        match u64::try_from(skip) {
            Ok(skip) if skip <= stored => Ok(skip),
            _ => Err(Fault::header("the field `byte skip`", skip, &format!("0 to {stored}, the length of the file of voxels"))),
        }
    }

    /// Which axes run through space.
    pub fn axes(&self, dimension: usize) -> Result<Axes, Fault> {
        let kinds = self.per_axis("kinds", dimension)?.unwrap_or_default();
        let kind = |axis: usize| kinds.get(axis).map_or_else(String::new, |kind| kind.to_ascii_lowercase());
        let is_spatial = |axis: usize| SPATIAL.contains(&kind(axis).as_str());
        let others: Vec<usize> = match self.directions()? {
            Some(directions) if directions.len() != dimension => {
                return Err(Fault::header(
                    "`space directions`",
                    format_args!("{} vectors", directions.len()),
                    &format!("{dimension}, one for each axis"),
                ));
            }
            Some(directions) => (0..dimension).filter(|&axis| directions[axis].is_none()).collect(),
            None if kinds.is_empty() && dimension == 3 => Vec::new(),
            None => (0..dimension).filter(|&axis| !is_spatial(axis)).collect(),
        };
        if others.len() + 3 != dimension {
            let found = format!("{} axes of which {} run through space (`space directions`, `kinds`)", dimension, dimension - others.len());
            return Err(Fault::Unsupported(found));
        }
        let channels = others.first().copied();
        if let Some(strange) = channels.map(kind).filter(|kind| NO_INTENSITIES.contains(&kind.as_str())) {
            return Err(Fault::Unsupported(format!("{strange} voxels (`kinds`)")));
        }
        let space: Vec<usize> = (0..dimension).filter(|axis| Some(*axis) != channels).collect();
        if let Some(axis) = space.iter().copied().find(|&axis| !kinds.is_empty() && !is_spatial(axis)) {
            return Err(Fault::Unsupported(format!("an axis of the kind {:?} that has a direction in space", kind(axis))));
        }
        Ok(Axes { space: space.try_into().expect("three are left"), channels })
    }

    /// The vector of each axis; none for one outside space.
    pub fn directions(&self) -> Result<Option<Vec<Option<[f64; 3]>>>, Fault> {
        self.field("spacedirections").map(|text| vectors(text).ok_or_else(|| no_vectors("space directions", text))).transpose()
    }

    pub fn scalar(&self) -> Result<Scalar, Fault> {
        let name = self.needed("type")?.to_ascii_lowercase();
        Ok(match name.as_str() {
            "signed char" | "int8" | "int8_t" => Scalar::Int8,
            "uchar" | "unsigned char" | "uint8" | "uint8_t" => Scalar::Uint8,
            "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => Scalar::Int16,
            "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => Scalar::Uint16,
            "int" | "signed int" | "int32" | "int32_t" => Scalar::Int32,
            "uint" | "unsigned int" | "uint32" | "uint32_t" => Scalar::Uint32,
            "longlong" | "long long" | "long long int" | "signed long long" | "signed long long int" | "int64" | "int64_t" => Scalar::Int64,
            "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => Scalar::Uint64,
            "float" => Scalar::Float32,
            "double" => Scalar::Float64,
            "block" => return Err(Fault::Unsupported("voxels of the type block".to_owned())),
            _ => return Err(Fault::header("the type of its voxels (`type`)", format_args!("{name:?}"), "a type of the NRRD format")),
        })
    }

    pub fn encoding(&self) -> Result<Encoding, Fault> {
        let name = self.needed("encoding")?.to_ascii_lowercase();
        match name.as_str() {
            "raw" => Ok(Encoding::Raw),
            "gzip" | "gz" => Ok(Encoding::Gzip),
            "ascii" | "text" | "txt" => Ok(Encoding::Text),
            "hex" | "bzip2" | "bz2" => Err(Fault::Unsupported(format!("voxels encoded as {name} (`encoding`)"))),
            _ => Err(Fault::header("the field `encoding`", format_args!("{name:?}"), "raw, gzip or ascii")),
        }
    }
}

/// `(a,b,c)` and `none`, with white space between and perhaps within; no answer for text of another form.
pub(super) fn vectors(text: &str) -> Option<Vec<Option<[f64; 3]>>> {
    let (mut rest, mut vectors) = (text.trim_start(), Vec::new());
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('(') {
            let (inside, behind) = inner.split_once(')')?;
            let numbers: Option<Vec<f64>> = inside.split(',').map(|number| number.trim().parse().ok()).collect();
            vectors.push(Some(numbers?.try_into().ok()?));
            rest = behind.trim_start();
        } else {
            rest = rest.strip_prefix("none")?.trim_start();
            vectors.push(None);
        }
    }
    Some(vectors)
}

pub(super) fn no_vectors(field: &str, text: &str) -> Fault {
    Fault::header(&format!("`{field}`"), format_args!("{text:?}"), "vectors (a,b,c) of three numbers, or none for an axis outside space")
}
