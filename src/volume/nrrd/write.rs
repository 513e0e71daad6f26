//! Voxels to files, gzip-compressed. Numbers of the place are written with all their digits, so that they are read to the bit.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::segments;
use crate::atomic_file;
use crate::volume::format::{ending, stem};
use crate::volume::segment::{Segment, Segments, colour};
use crate::volume::voxels::Scalar;
use crate::volume::{DataError, Fault, Grid, LabelMap};

/// The file of voxels beside a header (`.nhdr`); none where one file holds both.
pub(in crate::volume) fn data_file(file: &Path) -> Option<PathBuf> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    ending(&name)?.eq_ignore_ascii_case(".nhdr").then(|| file.with_file_name(format!("{}.raw.gz", stem(file))))
}

/// Writes `[channel, D, H, W]` values in left-posterior-superior space.
///
/// # Errors
/// A file that cannot be written.
pub(in crate::volume) fn write(file: &Path, grid: &Grid, channels: usize, scalar: Scalar, voxels: &[f32]) -> Result<(), DataError> {
    let header = header(grid, channels, scalar);
    let packed = |out: &mut dyn Write| packed(out, scalar, voxels.iter().copied());
    let Some(data) = data_file(file) else { return one_file(file, &header, packed) };
    let fault = |file: &Path, error: &io::Error| Fault::Unwritable(error.to_string()).at(file);
    atomic_file::write_with(&data, packed).map_err(|error| fault(&data, &error))?;
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    atomic_file::write(file, format!("{header}data file: {name}\n").as_bytes()).map_err(|error| fault(file, &error))
}

/// Writes a label map with the names and colours of its segments, as 3D Slicer reads them: those that are named, and values that occur
/// without a name.
///
/// # Errors
/// A file that cannot be written.
pub(in crate::volume) fn write_segments(file: &Path, labels: &LabelMap, named: &Segments) -> Result<(), DataError> {
    let mut all = named.clone();
    let occurring: BTreeSet<u32> = labels.voxels.iter().map(|&value| value.into()).filter(|&value| value != 0).collect();
    for value in occurring {
        all.entry(value).or_insert_with(|| Segment { name: format!("label {value}"), colour: colour(value) });
    }
    let small = labels.voxels.iter().all(|&value| value <= u16::from(u8::MAX));
    let scalar = if small { Scalar::Uint8 } else { Scalar::Uint16 };
    let header = header(&labels.grid, 1, scalar) + &segments::lines(&all, labels.grid.shape);
    one_file(file, &header, |out| packed(out, scalar, labels.voxels.iter().map(|&label| label.into())))
}

/// Writes header and voxels into one file.
fn one_file(file: &Path, header: &str, packed: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), DataError> {
    let whole = atomic_file::write_with(file, |out| {
        writeln!(out, "{header}")?;
        packed(out)
    });
    whole.map_err(|error| Fault::Unwritable(error.to_string()).at(file))
}

fn packed(out: &mut dyn Write, scalar: Scalar, values: impl Iterator<Item = f32>) -> io::Result<()> {
    let mut packer = GzEncoder::new(out, Compression::default());
    scalar.write(&mut packer, values, false)?;
    packer.finish().map(drop)
}

/// The header's lines. Without the empty one that ends it.
fn header(grid: &Grid, channels: usize, scalar: Scalar) -> String {
    let [d, h, w] = grid.shape;
    // Zero has no sign.
    let lps = |[r, a, s]: [f64; 3]| format!("({},{},{})", 0.0 - r, 0.0 - a, s);
    let directions = [0, 1, 2].map(|axis| lps(grid.axis_mm(axis))).join(" ");
    let origin = lps(grid.world_mm([0.0; 3]));
    let kind = match scalar {
        Scalar::Uint8 => "unsigned char",
        Scalar::Int16 => "short",
        Scalar::Uint16 => "unsigned short",
        Scalar::Int32 => "int",
        _ => "float",
    };
    let (dimension, sizes, none, list) =
        if channels == 1 { (3, String::new(), "", "") } else { (4, format!(" {channels}"), " none", " list") };
    format!(
        "NRRD0004\n# written by simtrot\ntype: {kind}\ndimension: {dimension}\nspace: left-posterior-superior\nsizes: {w} {h} {d}{sizes}\n\
         space directions: {directions}{none}\nkinds: domain domain domain{list}\nendian: little\nencoding: gzip\nspace origin: {origin}\n"
    )
}
