//! Prepared cases on disk, each under a key of everything that decides it.
//!
//! The key is the SHA-256 of the case's content ([`content`]), the settings, the label values and this format's version, so that an
//! entry never has to be invalidated: what has changed has another key. An entry is a line of text, its header's
//! length, the header as RON (whose numbers come back to the last bit), float32 voxels and class indices, all
//! little-endian.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::case::{Case, PreprocessRecord};
use crate::atomic_file;
use crate::config::PreprocessConfig;
use crate::volume::{CaseFiles, DataError, Fault, Grid, Note, Volume, VolumeSource, content};

/// First line of an entry. Its number is raised whenever preparing gives other values or this layout changes.
const VERSION: &[u8] = b"simtrot prepared case 3\n";

/// Voxels converted at a time.
const BLOCK: usize = 1 << 14;

#[derive(Serialize, Deserialize)]
struct Header {
    grid: Grid,
    channels: usize,
    labelled: bool,
    preprocess_record: PreprocessRecord,
    notes: Vec<Note>,
}

/// What names the entry of a case.
///
/// # Errors
/// A file that cannot be read.
pub fn key(case: &CaseFiles, label_values: &[u32], channels: usize, config: &PreprocessConfig) -> Result<String, DataError> {
    let content = content::case_key(case)?;
    let mut hash = Sha256::new();
    hash.update(VERSION);
    hash.update(format!("{config:?} {label_values:?} {channels} {content}"));
    Ok(crate::digest::finish(hash))
}

/// Reads the entry of a case; none if there is none or it isn't whole.
pub fn load(folder: &Path, key: &str, of: &CaseFiles) -> Option<Case> {
    let mut file = File::open(path(folder, key)).ok()?;
    let length = file.metadata().ok()?.len();
    let mut case = read(&mut file, length, &of.name)?;
    // The same content may have lain in another folder when the entry was written.
    for note in &mut case.notes {
        let now = of.images.iter().chain(&of.label).map(VolumeSource::file).find(|now| now.file_name() == note.file.file_name());
        note.file = now.map_or_else(|| note.file.clone(), Cow::into_owned);
    }
    Some(case)
}

/// Writes an entry.
///
/// # Errors
/// A folder that cannot be written.
pub fn store(folder: &Path, key: &str, case: &Case) -> Result<(), DataError> {
    let Case { image, label, preprocess_record, notes, .. } = case;
    let header = Header {
        grid: image.grid.clone(),
        channels: image.channels,
        labelled: label.is_some(),
        preprocess_record: preprocess_record.clone(),
        notes: notes.clone(),
    };
    let header = ron::to_string(&header).expect("plain data can be written as RON");
    let file = path(folder, key);
    let write = atomic_file::write_with(&file, |out| {
        out.write_all(VERSION)?;
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for block in image.voxels.chunks(BLOCK) {
            out.write_all(&block.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
        }
        out.write_all(label.as_deref().unwrap_or_default())
    });
    write.map_err(|error| Fault::Unwritable(error.to_string()).at(&file))
}

fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.case"))
}

fn read(file: &mut impl Read, length: u64, name: &str) -> Option<Case> {
    let mut bytes = |count: usize| {
        let mut bytes = vec![0; count];
        file.read_exact(&mut bytes).ok().map(|()| bytes)
    };
    if bytes(VERSION.len())? != VERSION {
        return None;
    }
    let size = u64::from_le_bytes(bytes(8)?.try_into().ok()?);
    if size > length {
        return None;
    }
    let Header { grid, channels, labelled, preprocess_record, notes } = ron::de::from_bytes(&bytes(size as usize)?).ok()?;
    let count = channels * grid.len();
    let labels = if labelled { grid.len() } else { 0 };
    if (VERSION.len() + 8) as u64 + size + (4 * count + labels) as u64 != length {
        return None;
    }
    let mut voxels = Vec::with_capacity(count);
    while voxels.len() < count {
        voxels.extend(bytes(4 * BLOCK.min(count - voxels.len()))?.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
    }
    let label = if labelled { Some(bytes(labels)?) } else { None };
    Some(Case { name: name.to_owned(), image: Volume { channels, grid, voxels }, label, preprocess_record, notes })
}
