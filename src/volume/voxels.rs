//! Numbers of voxels in the formats whose header is text: how they are stored, read and written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

use super::{Fault, Grid, Note, Scan, SourceHeader, Volume};

/// Values converted at a time.
const BLOCK: usize = 1 << 14;

/// Most bytes that one compressed byte can stand for (a property of deflate).
const DEFLATE_MOST: u64 = 1032;

/// Bytes beyond which a header is none.
const LONGEST_HEADER: u64 = 1 << 22;

/// Most voxels along an axis of what is read, since a segmentation of it must fit a NIfTI-1 header.
const LONGEST_AXIS: usize = i16::MAX as usize;

/// Most channels that are read.
const MOST_CHANNELS: usize = 65_536;

/// The type of a stored number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Float32,
    Float64,
}

/// How the bytes of voxels are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Raw,
    /// Decimal numbers with white space between.
    Text,
    Gzip,
    Zlib,
}

/// What a header says: where the voxels lie in the patient, and how they lie in the file.
#[derive(Debug)]
pub(super) struct Stored {
    pub grid: Grid,
    pub channels: usize,
    /// Values from a voxel's channel to its next one: 1 where a voxel's channels lie together.
    pub stride: usize,
    pub scalar: Scalar,
    pub big_endian: bool,
    pub encoding: Encoding,
    /// What had to be assumed.
    pub notes: Vec<String>,
}

impl Scalar {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::Int8 | Self::Uint8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 => 4,
            Self::Int64 | Self::Uint64 | Self::Float64 => 8,
        }
    }

    /// Its name for people, of a type that [`Self::smallest`] gives.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Int16 => "int16",
            Self::Uint16 => "uint16",
            Self::Int32 => "int32",
            _ => "float32",
        }
    }

    /// The smallest type that holds all values to the bit: whole numbers of up to 32 bits, else float32.
    pub fn smallest(values: &[f32]) -> Self {
        let whole = |value: &f32| (*value as i64 as f32).to_bits() == value.to_bits();
        if !values.iter().all(whole) {
            return Self::Float32;
        }
        let (least, most) =
            values.iter().fold((0.0_f64, 0.0_f64), |(least, most), &value| (least.min(value.into()), most.max(value.into())));
        let holds = |low: f64, high: f64| least >= low && most <= high;
        [
            (Self::Uint8, 0.0, f64::from(u8::MAX)),
            (Self::Int16, f64::from(i16::MIN), f64::from(i16::MAX)),
            (Self::Uint16, 0.0, f64::from(u16::MAX)),
            (Self::Int32, f64::from(i32::MIN), f64::from(i32::MAX)),
        ]
        .into_iter()
        .find_map(|(scalar, low, high)| holds(low, high).then_some(scalar))
        .unwrap_or(Self::Float32)
    }

    /// Appends the numbers that `bytes` hold, by way of f64, which holds every type up to 53 bits.
    fn decode(self, bytes: &[u8], big_endian: bool, voxels: &mut Vec<f32>) {
        fn append<const SIZE: usize>(bytes: &[u8], big_endian: bool, voxels: &mut Vec<f32>, from_le: impl Fn([u8; SIZE]) -> f64) {
            voxels.extend(bytes.as_chunks::<SIZE>().0.iter().map(|&(mut number)| {
                if big_endian {
                    number.reverse();
                }
                from_le(number) as f32
            }));
        }
        match self {
            Self::Int8 => append(bytes, big_endian, voxels, |number| f64::from(i8::from_le_bytes(number))),
            Self::Uint8 => append(bytes, big_endian, voxels, |number| f64::from(u8::from_le_bytes(number))),
            Self::Int16 => append(bytes, big_endian, voxels, |number| f64::from(i16::from_le_bytes(number))),
            Self::Uint16 => append(bytes, big_endian, voxels, |number| f64::from(u16::from_le_bytes(number))),
            Self::Int32 => append(bytes, big_endian, voxels, |number| f64::from(i32::from_le_bytes(number))),
            Self::Uint32 => append(bytes, big_endian, voxels, |number| f64::from(u32::from_le_bytes(number))),
            Self::Int64 => append(bytes, big_endian, voxels, |number| i64::from_le_bytes(number) as f64),
            Self::Uint64 => append(bytes, big_endian, voxels, |number| u64::from_le_bytes(number) as f64),
            Self::Float32 => append(bytes, big_endian, voxels, |number| f64::from(f32::from_le_bytes(number))),
            Self::Float64 => append(bytes, big_endian, voxels, f64::from_le_bytes),
        }
    }

    /// Writes numbers of a type that [`Self::smallest`] gives.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(self, out: &mut dyn Write, values: impl IntoIterator<Item = f32>, big_endian: bool) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(BLOCK + 8);
        for value in values {
            let begin = bytes.len();
            match self {
                Self::Uint8 => bytes.push(value as u8),
                Self::Int16 => bytes.extend((value as i16).to_le_bytes()),
                Self::Uint16 => bytes.extend((value as u16).to_le_bytes()),
                Self::Int32 => bytes.extend((value as i32).to_le_bytes()),
                _ => bytes.extend(value.to_le_bytes()),
            }
            if big_endian {
                bytes[begin..].reverse();
            }
            if bytes.len() >= BLOCK {
                out.write_all(&bytes)?;
                bytes.clear();
            }
        }
        out.write_all(&bytes)
    }
}

/// Opens a file; with its length.
///
/// # Errors
/// A file that isn't there or cannot be read.
pub(super) fn open(file: &Path) -> Result<(BufReader<File>, u64), Fault> {
    let source = File::open(file).and_then(|source| Ok((source.metadata()?.len(), source)));
    let (length, source) = source.map_err(|error| if error.kind() == ErrorKind::NotFound { Fault::Missing } else { error.into() })?;
    Ok((BufReader::with_capacity(BLOCK, source), length))
}

/// The lines of a header of text, up to and with the last one, and their bytes; they end early where the file does.
///
/// # Errors
/// A file that cannot be read, a header without end.
pub(super) fn header_lines(source: &mut dyn BufRead, format: &str, is_last: impl Fn(&str) -> bool) -> Result<(Vec<String>, u64), Fault> {
    let mut source = source.take(LONGEST_HEADER);
    let (mut lines, mut length) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        length += source.read_until(b'\n', &mut line)? as u64;
        if length == LONGEST_HEADER {
            return Err(Fault::NotOfFormat(format.to_owned(), format!("its header does not end within {LONGEST_HEADER} bytes")));
        }
        if line.is_empty() {
            return Ok((lines, length));
        }
        let line = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
        let last = is_last(&line);
        lines.push(line);
        if last {
            return Ok((lines, length));
        }
    }
}

/// Refuses sizes (i, j, k) and a number of channels that no volume has.
pub(super) fn check_sizes(sizes: [usize; 3], channels: usize, field: &str) -> Result<(), Fault> {
    if let Some(size) = sizes.into_iter().chain([channels]).find(|&size| size == 0) {
        return Err(Fault::header(field, size, "at least 1 voxel along each axis"));
    }
    if let Some(long) = sizes.into_iter().find(|&size| size > LONGEST_AXIS) {
        return Err(Fault::Unsupported(format!("{long} voxels along an axis (at most {LONGEST_AXIS} are read)")));
    }
    if channels > MOST_CHANNELS {
        return Err(Fault::header("the number of channels", channels, "at most 65536"));
    }
    Ok(())
}

/// Reads the voxels behind a header from `source`, of which `stored` bytes are left; `file` is named in the scan.
///
/// # Errors
/// Fewer voxels than the header promises, a broken compressed stream, text that is no number.
pub(super) fn read(header: Stored, file: &Path, source: &mut dyn BufRead, stored: u64) -> Result<Scan, Fault> {
    let values = header.grid.shape.iter().fold(header.channels as u128, |all, &size| all * size as u128);
    // A number takes at least a digit and the space before the next.
    let (size, most) = match header.encoding {
        Encoding::Raw => (header.scalar.size(), stored),
        Encoding::Text => (2, stored.saturating_add(1)),
        Encoding::Gzip | Encoding::Zlib => (header.scalar.size(), stored.saturating_add(1).saturating_mul(DEFLATE_MOST)),
    };
    let promised = u64::try_from(values * size as u128).unwrap_or(u64::MAX);
    if promised > most {
        let held = if matches!(header.encoding, Encoding::Raw | Encoding::Text) { stored.to_string() } else { format!("at most {most}") };
        return Err(Fault::Length { promised, held });
    }
    let values = values as usize;
    let (voxels, behind) = match header.encoding {
        Encoding::Raw => numbers(source, &header, values, stored)?,
        Encoding::Gzip => numbers(&mut MultiGzDecoder::new(source), &header, values, stored)?,
        Encoding::Zlib => numbers(&mut ZlibDecoder::new(source), &header, values, stored)?,
        Encoding::Text => text_numbers(source, values)?,
    };
    let Stored { grid, channels, stride, mut notes, .. } = header;
    if behind > 0 {
        notes.push(format!("{behind} bytes behind the image are left out"));
    }
    let notes = notes.into_iter().map(|text| Note::new(file, text)).collect();
    let volume = Volume { channels, voxels: channels_first(voxels, channels, stride), grid };
    Ok(Scan { file: file.to_owned(), header: SourceHeader::for_grid(&volume.grid), volume, notes })
}

/// So many numbers, and how many bytes follow.
fn numbers(source: &mut dyn Read, header: &Stored, values: usize, stored: u64) -> Result<(Vec<f32>, u64), Fault> {
    let mut voxels = Vec::new();
    // Memory beyond a multiple of the file is taken as data come.
    let at_once = values.min(usize::try_from(stored.saturating_mul(8)).unwrap_or(usize::MAX));
    voxels.try_reserve_exact(at_once).map_err(|error| Fault::Unreadable(error.to_string()))?;
    let size = header.scalar.size();
    let broken = |voxels: usize, error: &io::Error| {
        let cause = if error.kind() == ErrorKind::UnexpectedEof { "it ends too early".to_owned() } else { error.to_string() };
        match header.encoding {
            Encoding::Raw | Encoding::Text => Fault::Unreadable(cause),
            Encoding::Gzip | Encoding::Zlib => Fault::Gzip { read: (voxels * size) as u64, cause },
        }
    };
    let mut block = Vec::new();
    while voxels.len() < values {
        let length = (values - voxels.len()).min(BLOCK) * size;
        block.clear();
        (&mut *source).take(length as u64).read_to_end(&mut block).map_err(|error| broken(voxels.len(), &error))?;
        if block.len() < length {
            return Err(Fault::Length { promised: (values * size) as u64, held: (voxels.len() * size + block.len()).to_string() });
        }
        header.scalar.decode(&block, header.big_endian, &mut voxels);
    }
    voxels.shrink_to_fit();
    // To the end, where checksums stand.
    let behind = io::copy(source, &mut io::sink()).map_err(|error| broken(values, &error))?;
    Ok((voxels, behind))
}

fn text_numbers(source: &mut dyn Read, values: usize) -> Result<(Vec<f32>, u64), Fault> {
    let mut text = Vec::new();
    source.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let mut voxels = Vec::new();
    for number in text.split_ascii_whitespace() {
        let parsed = number.parse::<f64>();
        voxels.push(parsed.map_err(|_| Fault::header("a voxel among its numbers in text", format_args!("{number:?}"), "a number"))? as f32);
    }
    if voxels.len() != values {
        return Err(Fault::header("numbers in text", voxels.len(), &format!("{values}, one for each voxel and channel")));
    }
    Ok((voxels, 0))
}

/// From channels that lie `stride` values apart in the file to `[channel, D, H, W]`.
fn channels_first(values: Vec<f32>, channels: usize, stride: usize) -> Vec<f32> {
    if channels == 1 || stride * channels == values.len() {
        return values;
    }
    let of = |channel: usize| values[channel * stride..].chunks(stride * channels).flat_map(move |part| &part[..stride]);
    (0..channels).flat_map(of).copied().collect()
}
