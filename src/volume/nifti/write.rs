//! Voxels to bytes, under the source's header.

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use nifti::{Endianness, NiftiType};

use super::fields::LENGTH;
use super::header::{FIRST_VOXEL, SourceHeader};
use crate::atomic_file;
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
    let datatype = if small { NiftiType::Uint8 } else { NiftiType::Uint16 };
    let header = source.with_voxels(labels.grid.shape, 1, datatype);
    write_file(file, &header, |out| {
        for block in labels.voxels.chunks(1 << 15) {
            let bytes: Vec<u8> = match (datatype, header.endianness()) {
                (NiftiType::Uint8, _) => block.iter().map(|&value| value as u8).collect(),
                (_, Endianness::Little) => block.iter().flat_map(|value| value.to_le_bytes()).collect(),
                (_, Endianness::Big) => block.iter().flat_map(|value| value.to_be_bytes()).collect(),
            };
            out.write_all(&bytes)?;
        }
        Ok(())
    })
}

/// Writes intensities as float32, compressed if the name ends in `.gz`.
///
/// # Errors
/// A file that cannot be written.
pub fn write_volume(file: &Path, volume: &Volume, source: &SourceHeader) -> Result<(), DataError> {
    let header = source.with_voxels(volume.grid.shape, volume.channels, NiftiType::Float32);
    write_file(file, &header, |out| write_floats(out, &volume.voxels, header.endianness()))
}

/// A float32 `.nii` file in memory.
pub fn to_bytes(volume: &Volume, source: &SourceHeader) -> Vec<u8> {
    let header = source.with_voxels(volume.grid.shape, volume.channels, NiftiType::Float32);
    let mut bytes = Vec::with_capacity(FIRST_VOXEL + 4 * volume.voxels.len());
    write_head(&mut bytes, &header)
        .and_then(|()| write_floats(&mut bytes, &volume.voxels, header.endianness()))
        .expect("writing to memory does not fail");
    bytes
}

fn write_file(file: &Path, header: &SourceHeader, voxels: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), DataError> {
    let compress = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let write = atomic_file::write_with(file, |out| {
        if compress {
            let mut packed = GzEncoder::new(out, Compression::default());
            write_head(&mut packed, header)?;
            voxels(&mut packed)?;
            packed.finish().map(drop)
        } else {
            write_head(out, header)?;
            voxels(out)
        }
    });
    write.map_err(|error| Fault::Unwritable { cause: error.to_string() }.at(file))
}

/// The header and the four bytes that say that no extensions follow.
fn write_head(out: &mut (impl Write + ?Sized), header: &SourceHeader) -> io::Result<()> {
    out.write_all(header.as_bytes())?;
    out.write_all(&[0; FIRST_VOXEL - LENGTH])
}

fn write_floats(out: &mut (impl Write + ?Sized), voxels: &[f32], endianness: Endianness) -> io::Result<()> {
    for block in voxels.chunks(1 << 14) {
        let bytes: Vec<u8> = match endianness {
            Endianness::Little => block.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Endianness::Big => block.iter().flat_map(|value| value.to_be_bytes()).collect(),
        };
        out.write_all(&bytes)?;
    }
    Ok(())
}
