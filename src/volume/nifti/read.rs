//! Bytes to voxels.

use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::header::{DataType, Endian, LENGTH, Layout, SourceHeader};
use crate::volume::{DataError, Fault, Volume};

/// Most bytes that one byte of a gzip stream can stand for (a property of deflate).
const GZIP_MOST: u64 = 1032;

/// Bytes decoded at a time.
const BLOCK: usize = 1 << 16;

/// A volume with the header it came with.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Where it was read (for messages).
    pub file: PathBuf,
    /// Grid and voxels, scaled by the header's slope and intercept.
    pub volume: Volume,
    /// The header, byte for byte.
    pub header: SourceHeader,
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
        let unpacked = MultiGzDecoder::new(BufReader::with_capacity(BLOCK, whole));
        Stream { source: unpacked, compressed: true, read: 0 }.parse(length, most)
    } else {
        Stream { source: whole, compressed: false, read: 0 }.parse(length, length)
    };
    let (volume, header) = parsed.map_err(|fault| fault.at(file))?;
    Ok(Scan { file: file.to_owned(), volume, header })
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
        let promised = values * layout.datatype.bytes() as u128 + u128::from(layout.offset);
        let Some(promised) = u64::try_from(promised).ok().filter(|&promised| promised <= most) else {
            let held = if self.compressed { format!("at most {most}") } else { most.to_string() };
            return Err(Fault::Length { promised: u64::try_from(promised).unwrap_or(u64::MAX), held });
        };
        let skipped = io::copy(&mut (&mut self.source).take(layout.offset - LENGTH as u64), &mut io::sink());
        self.read += skipped.map_err(|error| self.broken(&error))?;
        let voxels = self.voxels(&layout, &header, promised, stored)?;
        if self.fill(&mut [0])? > 0 {
            return Err(Fault::Length { promised, held: "more".to_owned() });
        }
        Ok((Volume { channels: layout.channels, grid: layout.grid, voxels }, header))
    }

    fn voxels(&mut self, layout: &Layout, header: &SourceHeader, promised: u64, stored: u64) -> Result<Vec<f32>, Fault> {
        let values = layout.channels * layout.grid.len();
        let mut voxels: Vec<f32> = Vec::new();
        // A header may lie within what a gzip stream could hold: memory beyond a multiple of the file is taken as data come.
        let at_once = values.min(usize::try_from(stored.saturating_mul(8)).unwrap_or(usize::MAX));
        voxels.try_reserve_exact(at_once).map_err(|error| Fault::Unreadable { cause: error.to_string() })?;
        let mut block = vec![0; BLOCK];
        let mut left = values * layout.datatype.bytes();
        while left > 0 {
            let block = &mut block[..left.min(BLOCK)];
            let got = self.fill(block)?;
            if got < block.len() {
                return Err(Fault::Length { promised, held: self.read.to_string() });
            }
            decode(block, layout, header.endian(), &mut voxels);
            left -= block.len();
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

/// Appends the values of a block; a block is a whole number of values.
fn decode(block: &[u8], layout: &Layout, endian: Endian, voxels: &mut Vec<f32>) {
    /// Reads values of `$kind`, through f64 since that holds every datatype up to 53 bits.
    macro_rules! append {
        ($kind:ty) => {
            match endian {
                Endian::Little => append(block, layout.scale, voxels, |bytes| <$kind>::from_le_bytes(bytes) as f64),
                Endian::Big => append(block, layout.scale, voxels, |bytes| <$kind>::from_be_bytes(bytes) as f64),
            }
        };
    }
    match layout.datatype {
        DataType::U8 => append!(u8),
        DataType::I8 => append!(i8),
        DataType::U16 => append!(u16),
        DataType::I16 => append!(i16),
        DataType::U32 => append!(u32),
        DataType::I32 => append!(i32),
        DataType::U64 => append!(u64),
        DataType::I64 => append!(i64),
        DataType::F32 => append!(f32),
        DataType::F64 => append!(f64),
    }
}

fn append<const BYTES: usize>(block: &[u8], scale: Option<(f64, f64)>, voxels: &mut Vec<f32>, value: impl Fn([u8; BYTES]) -> f64) {
    let (values, _) = block.as_chunks::<BYTES>();
    match scale {
        None => voxels.extend(values.iter().map(|&bytes| value(bytes) as f32)),
        Some((slope, inter)) => voxels.extend(values.iter().map(|&bytes| (value(bytes) * slope + inter) as f32)),
    }
}
