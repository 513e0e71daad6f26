//! Voxels to files, zlib-compressed. Numbers of the place are written with all their digits.

use std::io;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::atomic_file;
use crate::volume::format::{ending, stem};
use crate::volume::voxels::Scalar;
use crate::volume::{DataError, Fault, Grid};

/// The file of voxels beside a header (`.mhd`); none where one file holds both.
pub(in crate::volume) fn data_file(file: &Path) -> Option<PathBuf> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    ending(&name)?.eq_ignore_ascii_case(".mhd").then(|| file.with_file_name(format!("{}.zraw", stem(file))))
}

/// Writes `[channel, D, H, W]` values; those of a voxel become neighbours.
///
/// # Errors
/// A file that cannot be written.
pub(in crate::volume) fn write(file: &Path, grid: &Grid, channels: usize, scalar: Scalar, voxels: &[f32]) -> Result<(), DataError> {
    let fault = |file: &Path, error: &io::Error| Fault::Unwritable(error.to_string()).at(file);
    let voxel_count = grid.len();
    let interleaved = (0..voxels.len()).map(|at| voxels[at % channels * voxel_count + at / channels]);
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    let packed = scalar.write(&mut packer, interleaved, false).and_then(|()| packer.finish()).map_err(|error| fault(file, &error))?;
    let header = header(grid, channels, scalar, packed.len());
    let Some(data) = data_file(file) else {
        let whole = atomic_file::write_with(file, |out| {
            writeln!(out, "{header}ElementDataFile = LOCAL")?;
            out.write_all(&packed)
        });
        return whole.map_err(|error| fault(file, &error));
    };
    atomic_file::write(&data, &packed).map_err(|error| fault(&data, &error))?;
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    atomic_file::write(file, format!("{header}ElementDataFile = {name}\n").as_bytes()).map_err(|error| fault(file, &error))
}

/// The header's lines but the last.
fn header(grid: &Grid, channels: usize, scalar: Scalar, packed: usize) -> String {
    let [d, h, w] = grid.shape;
    let [z, y, x] = grid.spacing_mm();
    // Zero has no sign.
    let lps = |[r, a, s]: [f64; 3]| format!("{} {} {}", 0.0 - r, 0.0 - a, s + 0.0);
    let directions = [(0, x), (1, y), (2, z)].map(|(axis, edge)| lps(grid.axis_mm(axis).map(|part| part / edge))).join(" ");
    let origin = lps(grid.world_mm([0.0; 3]));
    let kind = match scalar {
        Scalar::Uint8 => "MET_UCHAR",
        Scalar::Int16 => "MET_SHORT",
        Scalar::Uint16 => "MET_USHORT",
        Scalar::Int32 => "MET_INT",
        _ => "MET_FLOAT",
    };
    let several = if channels == 1 { String::new() } else { format!("ElementNumberOfChannels = {channels}\n") };
    format!(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = True\nCompressedDataSize = {packed}\n\
         TransformMatrix = {directions}\nOffset = {origin}\nCenterOfRotation = 0 0 0\nElementSpacing = {x} {y} {z}\nDimSize = {w} {h} {d}\n\
         {several}ElementType = {kind}\n"
    )
}
