//! Voxels to bytes, under the source's header.

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use nifti::{Endianness, NiftiType};

use super::fields::LENGTH;
use super::header::{FIRST_VOXEL, SourceHeader};
use crate::atomic_file;
use crate::volume::voxels::Scalar;
use crate::volume::{DataError, Fault, LabelMap, Volume};

/// Writes a segmentation as the smallest integer type that holds its largest value, compressed if the name ends in `.gz`.
///
/// Affine, units and description are the source's to the last bit, whatever `labels.grid` has become in f64; only the
/// fields that describe the voxels change. The file appears whole or not at all.
///
/// # Errors
/// A file that cannot be written.
pub fn write_labels(file: &Path, labels: &LabelMap, source: &SourceHeader) -> Result<(), DataError> {
    let small = labels.voxels.iter().all(|&value| value <= u16::from(u8::MAX));
    let scalar = if small { Scalar::Uint8 } else { Scalar::Uint16 };
    let header = source.with_voxels(labels.grid.shape, 1, datatype(scalar));
    write_file(file, |out| write(out, &header, scalar, labels.voxels.iter().map(|&label| f32::from(label))))
}

/// Writes intensities as float32, compressed if the name ends in `.gz`.
///
/// # Errors
/// A file that cannot be written.
pub fn write_volume(file: &Path, volume: &Volume, source: &SourceHeader) -> Result<(), DataError> {
    write_numbers(file, volume, source, Scalar::Float32)
}

/// Writes intensities as numbers of a type that holds them, compressed if the name ends in `.gz`.
///
/// # Errors
/// A file that cannot be written.
pub(in crate::volume) fn write_numbers(file: &Path, volume: &Volume, source: &SourceHeader, scalar: Scalar) -> Result<(), DataError> {
    write_file(file, |out| volume_to(out, volume, source, scalar))
}

/// A float32 `.nii` file in memory.
pub fn to_bytes(volume: &Volume, source: &SourceHeader) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIRST_VOXEL + 4 * volume.voxels.len());
    volume_to(&mut bytes, volume, source, Scalar::Float32).expect("writing to memory does not fail");
    bytes
}

fn write_file(file: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), DataError> {
    let compress = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let write = atomic_file::write_with(file, |out| {
        if !compress {
            return content(out);
        }
        let mut packed = GzEncoder::new(out, Compression::default());
        content(&mut packed)?;
        packed.finish().map(drop)
    });
    write.map_err(|error| Fault::Unwritable(error.to_string()).at(file))
}

fn volume_to(out: &mut dyn Write, volume: &Volume, source: &SourceHeader, scalar: Scalar) -> io::Result<()> {
    let header = source.with_voxels(volume.grid.shape, volume.channels, datatype(scalar));
    write(out, &header, scalar, volume.voxels.iter().copied())
}

/// Header, the four bytes that say that no extensions follow, and voxels in the header's byte order.
fn write(out: &mut dyn Write, header: &SourceHeader, scalar: Scalar, voxels: impl Iterator<Item = f32>) -> io::Result<()> {
    out.write_all(header.as_bytes())?;
    out.write_all(&[0; FIRST_VOXEL - LENGTH])?;
    scalar.write(out, voxels, header.endianness() == Endianness::Big)
}

/// NIfTI's name of a type that is written.
fn datatype(scalar: Scalar) -> NiftiType {
    match scalar {
        Scalar::Uint8 => NiftiType::Uint8,
        Scalar::Int16 => NiftiType::Int16,
        Scalar::Uint16 => NiftiType::Uint16,
        Scalar::Int32 => NiftiType::Int32,
        _ => NiftiType::Float32,
    }
}
