//! Bytes to voxels.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use nifti::{InMemNiftiVolume, IntoNdArray as _};

use super::content::Content;
use super::fields::Fields;
use super::header::SourceHeader;
use super::layout::Layout;
use super::pair::files;
use crate::volume::format::stem;
use crate::volume::{DataError, Fault, Note, Volume};

/// Voxels decoded at a time: few enough for the caches and for one axis of a NIfTI volume.
const BLOCK: u16 = 1 << 14;

/// A volume with the header it came with.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Where it was read (for messages).
    pub file: PathBuf,
    /// Grid and voxels, scaled by the header's slope and intercept.
    pub volume: Volume,
    /// The header, byte for byte where it is NIfTI-1.
    pub header: SourceHeader,
    /// What was assumed, left out or replaced on reading; of a case's image also what concerns its other files.
    pub notes: Vec<Note>,
}

/// Reads an image file: `.nii`, or `.hdr` and `.img` (named by either), each of them also compressed, which its first
/// bytes show.
///
/// # Errors
/// A file that cannot be opened, one of a pair without the other, or what [`read_from`] refuses.
pub fn read(file: &Path) -> Result<Scan, DataError> {
    let files = files(file)?;
    let (mut layout, content) = open_header(&files)?;
    let [header_file, voxel_file] = files.as_slice() else { return scan(layout, file, content).map_err(|fault| fault.at(file)) };
    let matrix = header_file.with_file_name(format!("{}.mat", stem(header_file)));
    if layout.is_analyze && matrix.exists() {
        layout.notes.push(format!("the place that SPM wrote beside it is not read ({})", matrix.display()));
    }
    scan(layout, file, open(voxel_file)?).map_err(|fault| fault.at(voxel_file))
}

/// Reads a NIfTI file of `length` bytes (compressed or not) from `source`; `file` names it in messages.
///
/// Further axes beyond the third become channels; of a flat image the one slice is the third. Slope 0 means "not scaled".
///
/// # Errors
/// Not NIfTI, a header beyond reason, a length that falls short of the header's promise, a broken gzip stream.
pub fn read_from(file: &Path, source: impl Read, length: u64) -> Result<Scan, DataError> {
    let parsed = Content::new(source, length).and_then(|mut content| scan(layout(&mut content, false)?, file, content));
    parsed.map_err(|fault| fault.at(file))
}

/// How many channels an image has, by its header alone.
///
/// # Errors
/// As of [`read`], as far as the header shows.
pub fn channels(file: &Path) -> Result<usize, DataError> {
    open_header(&files(file)?).map(|(layout, _)| layout.channels)
}

/// The header of an image by its files, and what follows in the header's file.
fn open_header(files: &[PathBuf]) -> Result<(Layout, Content<File>), DataError> {
    let mut content = open(&files[0])?;
    let layout = layout(&mut content, files.len() > 1).map_err(|fault| fault.at(&files[0]))?;
    Ok((layout, content))
}

fn open(file: &Path) -> Result<Content<File>, DataError> {
    let fault = |error: io::Error| if error.kind() == ErrorKind::NotFound { Fault::Missing } else { error.into() };
    let source = File::open(file).and_then(|source| Ok((source.metadata()?.len(), source))).map_err(fault);
    source.and_then(|(length, source)| Content::new(source, length)).map_err(|fault| fault.at(file))
}

/// Reads and checks a header.
fn layout<R: Read>(content: &mut Content<R>, pair: bool) -> Result<Layout, Fault> {
    let mut bytes = content.take_bytes(4)?;
    if let Some(&first) = bytes.first_chunk() {
        let (length, _) = Fields::length(first)?;
        bytes.extend(content.take_bytes(length - 4)?);
    }
    Layout::of(&Fields::parse(&bytes, pair)?, &bytes)
}

/// Reads the voxels: the rest of the header's own file, or another one from its begin.
fn scan<R: Read>(layout: Layout, file: &Path, mut content: Content<R>) -> Result<Scan, Fault> {
    let values = layout.grid.shape.iter().fold(layout.channels as u128, |all, &n| all * n as u128);
    let promised = values * layout.datatype.size_of() as u128 + u128::from(layout.offset);
    let (most, held) = content.most();
    let Some(promised) = u64::try_from(promised).ok().filter(|&promised| promised <= most) else {
        return Err(Fault::Length { promised: u64::try_from(promised).unwrap_or(u64::MAX), held });
    };
    content.skip(layout.offset - content.taken())?;
    let voxels = voxels(&mut content, &layout, promised)?;
    let Layout { grid, channels, header, mut notes, .. } = layout;
    notes.extend(content.end()?);
    let notes = notes.into_iter().map(|text| Note::new(file, text)).collect();
    Ok(Scan { file: file.to_owned(), volume: Volume { channels, grid, voxels }, header, notes })
}

fn voxels<R: Read>(content: &mut Content<R>, layout: &Layout, promised: u64) -> Result<Vec<f32>, Fault> {
    let values = layout.channels * layout.grid.len();
    let mut voxels: Vec<f32> = Vec::new();
    // A header may lie within what a gzip stream could hold: memory beyond a multiple of the file is taken as data come.
    let at_once = values.min(usize::try_from(content.stored().saturating_mul(8)).unwrap_or(usize::MAX));
    voxels.try_reserve_exact(at_once).map_err(|error| Fault::Unreadable(error.to_string()))?;
    while voxels.len() < values {
        let next = (values - voxels.len()).min(usize::from(BLOCK)) as u16;
        let length = usize::from(next) * layout.datatype.size_of();
        let block = content.take_bytes(length)?;
        if block.len() < length {
            return Err(Fault::Length { promised, held: content.taken().to_string() });
        }
        decode(block, next, layout, &mut voxels);
    }
    voxels.shrink_to_fit();
    Ok(voxels)
}

/// Appends the `count` values of a block, scaled in f64, which holds every datatype up to 53 bits.
fn decode(block: Vec<u8>, count: u16, layout: &Layout, voxels: &mut Vec<f32>) {
    let values = InMemNiftiVolume::from_raw_fields([1, count, 1, 1, 1, 1, 1, 1], layout.datatype, 0.0, 0.0, block, layout.endianness)
        .and_then(|volume| volume.into_ndarray::<f64>())
        .expect("as many bytes as `count` real-valued voxels take");
    let (values, _) = values.into_raw_vec_and_offset();
    let (slope, inter) = layout.scale;
    voxels.extend(values.iter().map(|&value| (value * slope + inter) as f32));
}
