//! How a journal is written: a first line, then records that each have their length and checksum, so that a torn end is known as such.

use std::path::PathBuf;

use flate2::Crc;
use serde::{Deserialize, Serialize};

use crate::edit::class_volume::ClassVolume;
use crate::edit::step::{put, take};
use crate::geometry::Grid;
use crate::volume::segment::{Segment, Segments};

/// The first line. Its number is raised whenever a program of before could not read what follows.
pub(super) const FIRST_LINE: &[u8] = b"simtrot edit 1\n";

/// Kind, length and checksum of a record.
const FRAME: usize = 9;

/// What a record is; a byte in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A [`Header`] as JSON.
    Header = b'H',
    /// The map before the first step: runs of label values, each a length and a value as LEB128.
    Base = b'B',
    /// A [`NamedLabel`] as JSON.
    Label = b'L',
    /// A label value as two bytes, the lower first, and the runs of a step.
    Step = b'S',
    /// The last step was taken back.
    Undo = b'U',
    /// The step taken back last was done again.
    Redo = b'R',
    /// The map was saved as it was so many changes before, as LEB128.
    Saved = b'V',
}

const KINDS: [Kind; 7] = [Kind::Header, Kind::Base, Kind::Label, Kind::Step, Kind::Undo, Kind::Redo, Kind::Saved];

/// What an edit is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Digest of the image's header, grid and voxels.
    pub(super) image: String,
    /// Where its voxels lie.
    pub(super) grid: Grid,
    /// What the user knows the edited label map by.
    pub(super) title: String,
    /// Its file and the SHA-256 of that; none of a map that is in no file.
    pub(super) source: Option<(PathBuf, String)>,
    /// When the edit began, in UTC.
    pub(super) began: String,
    pub(super) labels: Vec<NamedLabel>,
}

/// What a label value is called and shown in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedLabel {
    value: u32,
    name: String,
    colour: [u8; 3],
}

impl NamedLabel {
    pub(in crate::edit) fn new(value: u32, segment: &Segment) -> Self {
        Self { value, name: segment.name.clone(), colour: segment.colour }
    }

    /// The names and colours of labels, the last of each value.
    pub(super) fn segments(labels: Vec<Self>) -> Segments {
        labels.into_iter().map(|Self { value, name, colour }| (value, Segment { name, colour })).collect()
    }
}

/// A record as it is appended.
pub(super) fn record(kind: Kind, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME + content.len());
    bytes.push(kind as u8);
    bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
    let checksum = checksum(&bytes, content);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// The records of a journal behind its first line up to the first that is torn, and where that one begins in it.
pub(super) fn records(journal: &[u8]) -> (Vec<(Kind, &[u8])>, usize) {
    let (mut found, mut at) = (Vec::new(), FIRST_LINE.len());
    while let Some((kind, content)) = journal.get(at..).and_then(first) {
        at += FRAME + content.len();
        found.push((kind, content));
    }
    (found, at)
}

/// Whether a record begins here that is not as it was written although others follow it: damaged, and not the torn end of a crash.
pub(super) fn is_damaged(bytes: &[u8]) -> bool {
    let Some((frame, rest)) = bytes.split_at_checked(FRAME) else { return false };
    let known = KINDS.into_iter().any(|kind| kind as u8 == frame[0]);
    known && rest.len() > number(&frame[1..5]) as usize && first(bytes).is_none()
}

fn first(bytes: &[u8]) -> Option<(Kind, &[u8])> {
    let (frame, rest) = bytes.split_at_checked(FRAME)?;
    let content = rest.get(..number(&frame[1..5]) as usize)?;
    let kind = KINDS.into_iter().find(|kind| *kind as u8 == frame[0])?;
    (checksum(&frame[..5], content) == number(&frame[5..])).then_some((kind, content))
}

/// Four bytes as a number, the lowest first.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

fn checksum(frame: &[u8], content: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(frame);
    sum.update(content);
    sum.sum()
}

/// A map as runs of label values; `values` are those of its classes.
pub(super) fn packed(classes: &ClassVolume, values: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut open: Option<(u8, usize)> = None;
    let mut close = |(class, length): (u8, usize)| {
        put(&mut bytes, length);
        put(&mut bytes, values.get(usize::from(class)).copied().unwrap_or(0).into());
    };
    for run in classes.slices().flat_map(|slice| slice.chunk_by(|a, b| a == b)) {
        open = match open {
            Some((class, length)) if class == run[0] => Some((class, length + run.len())),
            before => {
                before.into_iter().for_each(&mut close);
                Some((run[0], run.len()))
            }
        };
    }
    open.into_iter().for_each(&mut close);
    bytes
}

/// The classes of such runs, `voxels` in all, each value's by `class_of`.
///
/// # Errors
/// Runs of another length, in words; what `class_of` says.
pub(super) fn unpacked(mut bytes: &[u8], voxels: usize, mut class_of: impl FnMut(u16) -> Result<u8, String>) -> Result<Vec<u8>, String> {
    let damaged = || "its label map is damaged".to_owned();
    let mut classes = Vec::with_capacity(voxels);
    while !bytes.is_empty() {
        let length = take(&mut bytes).filter(|&length| length <= voxels - classes.len()).ok_or_else(damaged)?;
        let value = take(&mut bytes).and_then(|value| u16::try_from(value).ok()).ok_or_else(damaged)?;
        classes.resize(classes.len() + length, class_of(value)?);
    }
    if classes.len() == voxels { Ok(classes) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_up_to_the_one_that_is_torn() {
        let whole = [FIRST_LINE, &record(Kind::Undo, b""), &record(Kind::Label, b"abc"), &record(Kind::Redo, b"")].concat();
        let (found, end) = records(&whole);
        assert_eq!(found, [(Kind::Undo, b"".as_slice()), (Kind::Label, b"abc"), (Kind::Redo, b"")]);
        assert_eq!(end, whole.len());
        for cut in 1..=FRAME {
            let (found, end) = records(&whole[..whole.len() - cut]);
            assert_eq!((found.len(), end), (2, whole.len() - FRAME), "{cut} bytes are missing");
        }
        let mut damaged = whole.clone();
        damaged[FIRST_LINE.len() + FRAME + FRAME] ^= 1;
        assert_eq!(records(&damaged).0.len(), 1, "a bit of the second is another");
    }

    #[test]
    fn a_map_is_kept_by_its_label_values() {
        let classes = ClassVolume::new(&[0, 0, 1, 1, 1, 2, 2, 0], [2, 2, 2]);
        let bytes = packed(&classes, &[0, 300, 7]);
        assert_eq!(bytes.len(), 9, "300 takes two bytes");
        let other = |value| match value {
            0 => Ok(0),
            7 => Ok(1),
            300 => Ok(5),
            other => Err(format!("{other}")),
        };
        assert_eq!(unpacked(&bytes, 8, other), Ok(vec![0, 0, 5, 5, 5, 1, 1, 0]));
        assert!(unpacked(&bytes, 7, other).is_err() && unpacked(&bytes, 9, other).is_err());
        assert!(unpacked(&bytes[..8], 8, other).is_err());
    }
}
