//! Bytes to voxels.

use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use nifti::{Endianness, InMemNiftiVolume, IntoNdArray as _};

use super::header::{LENGTH, Layout, SourceHeader};
use crate::volume::{DataError, Fault, Note, Volume};

/// Most bytes that one byte of a gzip stream can stand for (a property of deflate).
const GZIP_MOST: u64 = 1032;

/// Bytes taken from a compressed file at a time.
const BUFFER: usize = 1 << 16;

/// Voxels decoded at a time: few enough for the caches and for one axis of a NIfTI volume.
const BLOCK: u16 = 1 << 14;

/// A volume with the header it came with.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Where it was read (for messages).
    pub file: PathBuf,
    /// Grid and voxels, scaled by the header's slope and intercept.
    pub volume: Volume,
    /// The header, byte for byte.
    pub header: SourceHeader,
    /// What was assumed, left out or replaced on reading; of a case's image also what concerns its other files.
    pub notes: Vec<Note>,
}

/// Reads a `.nii` or `.nii.gz` file; which of them is told by its first bytes.
///
/// # Errors
/// A file that cannot be opened or that [`read_from`] refuses.
pub fn read(file: &Path) -> Result<Scan, DataError> {
    let unreadable = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => Fault::Missing.at(file),
        _ => Fault::Unreadable { cause: error.to_string() }.at(file),
    };
    let source = File::open(file).map_err(unreadable)?;
    let length = source.metadata().map_err(unreadable)?.len();
    read_from(file, source, length)
}

/// Reads a NIfTI-1 file of `length` bytes (compressed or not) from `source`; `file` names it in messages.
///
/// Further axes beyond the third become channels. Slope 0 means "not scaled".
///
/// # Errors
/// Not NIfTI-1, a header beyond reason, a length that disagrees with the header, a broken gzip stream.
pub fn read_from(file: &Path, mut source: impl Read, length: u64) -> Result<Scan, DataError> {
    let mut first = [0; 2];
    let there = read_fully(&mut source, &mut first).map_err(|error| Fault::Unreadable { cause: error.to_string() }.at(file))?;
    let whole = Cursor::new(first).take(there as u64).chain(source);
    let parsed = if first == [0x1f, 0x8b] {
        let most = length.saturating_mul(GZIP_MOST).saturating_add(GZIP_MOST);
        let unpacked = MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole));
        Stream { source: unpacked, compressed: true, read: 0 }.parse(length, most)
    } else {
        Stream { source: whole, compressed: false, read: 0 }.parse(length, length)
    };
    let (volume, header) = parsed.map_err(|fault| fault.at(file))?;
    Ok(Scan { file: file.to_owned(), volume, header, notes: Vec::new() })
}

/// The file's content with what is needed to explain where it breaks off.
struct Stream<R> {
    source: R,
    compressed: bool,
    read: u64,
}

impl<R: Read> Stream<R> {
    /// `stored`: the file's length; `most`: the longest content it can hold.
    fn parse(mut self, stored: u64, most: u64) -> Result<(Volume, SourceHeader), Fault> {
        let mut bytes = [0; LENGTH];
        let got = self.fill(&mut bytes)?;
        if got < LENGTH {
            return Err(Fault::NotNifti { found: format!("it is {got} bytes long, shorter than a header") });
        }
        let header = SourceHeader::from_bytes(bytes)?;
        let layout = header.layout()?;
        let values = layout.grid.shape.iter().fold(layout.channels as u128, |all, &n| all * n as u128);
        let promised = values * layout.datatype.size_of() as u128 + u128::from(layout.offset);
        let Some(promised) = u64::try_from(promised).ok().filter(|&promised| promised <= most) else {
            let held = if self.compressed { format!("at most {most}") } else { most.to_string() };
            return Err(Fault::Length { promised: u64::try_from(promised).unwrap_or(u64::MAX), held });
        };
        let skipped = io::copy(&mut (&mut self.source).take(layout.offset - LENGTH as u64), &mut io::sink());
        self.read += skipped.map_err(|error| self.broken(&error))?;
        let voxels = self.voxels(&layout, header.endianness(), promised, stored)?;
        if self.fill(&mut [0])? > 0 {
            return Err(Fault::Length { promised, held: "more".to_owned() });
        }
        Ok((Volume { channels: layout.channels, grid: layout.grid, voxels }, header))
    }

    fn voxels(&mut self, layout: &Layout, endianness: Endianness, promised: u64, stored: u64) -> Result<Vec<f32>, Fault> {
        let values = layout.channels * layout.grid.len();
        let mut voxels: Vec<f32> = Vec::new();
        // A header may lie within what a gzip stream could hold: memory beyond a multiple of the file is taken as data come.
        let at_once = values.min(usize::try_from(stored.saturating_mul(8)).unwrap_or(usize::MAX));
        voxels.try_reserve_exact(at_once).map_err(|error| Fault::Unreadable { cause: error.to_string() })?;
        while voxels.len() < values {
            let next = (values - voxels.len()).min(usize::from(BLOCK)) as u16;
            let mut block = vec![0; usize::from(next) * layout.datatype.size_of()];
            if self.fill(&mut block)? < block.len() {
                return Err(Fault::Length { promised, held: self.read.to_string() });
            }
            decode(block, next, layout, endianness, &mut voxels);
        }
        voxels.shrink_to_fit();
        Ok(voxels)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let got = read_fully(&mut self.source, buffer).map_err(|error| self.broken(&error))?;
        self.read += got as u64;
        Ok(got)
    }

    fn broken(&self, error: &io::Error) -> Fault {
        let cause = if error.kind() == ErrorKind::UnexpectedEof { "it ends too early".to_owned() } else { error.to_string() };
        if self.compressed { Fault::Gzip { read: self.read, cause } } else { Fault::Unreadable { cause } }
    }
}

/// Fills `buffer` as far as the source goes.
fn read_fully(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Appends the `count` values of a block, scaled in f64, which holds every datatype up to 53 bits.
fn decode(block: Vec<u8>, count: u16, layout: &Layout, endianness: Endianness, voxels: &mut Vec<f32>) {
    let (slope, inter) = layout.scale;
    let values = InMemNiftiVolume::from_raw_fields([1, count, 1, 1, 1, 1, 1, 1], layout.datatype, slope, inter, block, endianness)
        .and_then(|volume| volume.into_ndarray::<f64>())
        .expect("as many bytes as `count` real-valued voxels take");
    let (values, _) = values.into_raw_vec_and_offset();
    voxels.extend(values.iter().map(|&value| value as f32));
}
