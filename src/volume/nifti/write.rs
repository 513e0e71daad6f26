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

/// Values converted at a time.
const BLOCK: usize = 1 << 14;

/// Writes a segmentation as the smallest integer type that holds its largest value, compressed if the name ends in `.gz`.
///
/// Affine, units and description are the source's to the last bit, whatever `labels.grid` has become in f64; only the
/// fields that describe the voxels change. The file appears whole or not at all.
///
/// # Errors
/// A file that cannot be written.
pub fn write_labels(file: &Path, labels: &LabelMap, source: &SourceHeader) -> Result<(), DataError> {
    let small = labels.voxels.iter().all(|&value| value <= u16::from(u8::MAX));
    let header = source.with_voxels(labels.grid.shape, 1, if small { NiftiType::Uint8 } else { NiftiType::Uint16 });
    write_file(file, |out| match small {
        true => write(out, &header, &labels.voxels, |value| [value as u8]),
        false => write(out, &header, &labels.voxels, u16::to_le_bytes),
    })
}

/// Writes intensities as float32, compressed if the name ends in `.gz`.
///
/// # Errors
/// A file that cannot be written.
pub fn write_volume(file: &Path, volume: &Volume, source: &SourceHeader) -> Result<(), DataError> {
    write_file(file, |out| write_floats(out, volume, source))
}

/// A float32 `.nii` file in memory.
pub fn to_bytes(volume: &Volume, source: &SourceHeader) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIRST_VOXEL + 4 * volume.voxels.len());
    write_floats(&mut bytes, volume, source).expect("writing to memory does not fail");
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

fn write_floats(out: &mut dyn Write, volume: &Volume, source: &SourceHeader) -> io::Result<()> {
    let header = source.with_voxels(volume.grid.shape, volume.channels, NiftiType::Float32);
    write(out, &header, &volume.voxels, f32::to_le_bytes)
}

/// Header, the four bytes that say that no extensions follow, and voxels in the header's byte order.
fn write<T: Copy, const BYTES: usize>(
    out: &mut dyn Write,
    header: &SourceHeader,
    voxels: &[T],
    to_le: fn(T) -> [u8; BYTES],
) -> io::Result<()> {
    out.write_all(header.as_bytes())?;
    out.write_all(&[0; FIRST_VOXEL - LENGTH])?;
    for block in voxels.chunks(BLOCK) {
        let bytes: Vec<u8> = match header.endianness() {
            Endianness::Little => block.iter().flat_map(|&value| to_le(value)).collect(),
            Endianness::Big => block.iter().flat_map(|&value| to_le(value).into_iter().rev()).collect(),
        };
        out.write_all(&bytes)?;
    }
    Ok(())
}
