//! Prepared cases on disk, each under a key of everything that decides it.
//!
//! The key is the SHA-256 of the case's content ([`content`]), the settings, the label values and this format's version, so that an
//! entry never has to be invalidated: what has changed has another key. An entry is a line of text, float32 voxels and class indices, the
//! header as RON (whose numbers come back to the last bit), its length, all little-endian, and the SHA-256 of all before it, as hexadecimal
//! digits. The digest is held against the entry when it is opened, unless that is [`Remembered`] of the file as it is. Voxels always begin at
//! the same byte: an entry that another program replaces by its own of the same content can go on being read.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::case::Case;
use super::prepared::{Header, Place, PreparedCase, write_voxels};
use crate::config::PreprocessConfig;
use crate::volume::remembered::{Remembered, SETTLED};
use crate::volume::{CaseFiles, DataError, Fault, VolumeSource, content};
use crate::{atomic_file, digest};

/// First line of an entry. Its number is raised whenever preparing gives other values or this layout changes.
const VERSION: &[u8] = b"simtrot prepared case 4\n";

/// Where an entry's voxels begin.
const FIRST: u64 = VERSION.len() as u64;

/// Bytes of the header's length.
const SIZE: u64 = 8;

/// What is remembered of an entry: its digest, which fits.
const INTACT: &str = "simtrot prepared case intact";

/// Bytes of a digest.
const DIGEST: u64 = 64;

/// What names the entry of a case.
///
/// # Errors
/// A file that cannot be read.
pub fn key(case: &CaseFiles, label_values: &[u32], channels: usize, config: &PreprocessConfig) -> Result<String, DataError> {
    let content = content::case_key(case)?;
    let mut hash = Sha256::new();
    hash.update(VERSION);
    hash.update(format!("{config:?} {label_values:?} {channels} {content}"));
    Ok(digest::finish(hash))
}

/// Opens the entry of a case; none if there is none or it isn't whole and as it was written.
pub fn open(folder: &Path, key: &str, of: &CaseFiles) -> Option<PreparedCase> {
    let path = path(folder, key);
    let mut header = read_header(&path)?;
    // The same content may have lain in another folder when the entry was written.
    for note in &mut header.notes {
        let now = of.images.iter().chain(&of.label).map(VolumeSource::file).find(|now| now.file_name() == note.file.file_name());
        note.file = now.map_or_else(|| note.file.clone(), Cow::into_owned);
    }
    Some(PreparedCase::new(of.name.clone(), header, Place::File(path, FIRST)))
}

/// The header of an entry that is whole and as it was written.
fn read_header(path: &Path) -> Option<Header> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    if !is_intact(path, length) {
        return None;
    }
    let mut bytes = |from: u64, count: u64| {
        let mut bytes = vec![0; usize::try_from(count).ok()?];
        file.seek(SeekFrom::Start(from)).ok()?;
        file.read_exact(&mut bytes).ok().map(|()| bytes)
    };
    if bytes(0, FIRST)? != VERSION {
        return None;
    }
    let end = length.checked_sub(DIGEST + SIZE)?;
    let size = u64::from_le_bytes(bytes(end, SIZE)?.try_into().ok()?);
    let begin = end.checked_sub(size)?;
    let header: Header = ron::de::from_bytes(&bytes(begin, size)?).ok()?;
    (FIRST + header.voxel_bytes() == begin).then_some(header)
}

/// Writes an entry.
///
/// # Errors
/// A folder that cannot be written.
pub fn store(folder: &Path, key: &str, case: &Case) -> Result<PreparedCase, DataError> {
    let header = Header::of(case);
    let text = ron::to_string(&header).expect("plain data can be written as RON");
    let file = path(folder, key);
    let write = atomic_file::write_with(&file, |out| {
        let mut out = Hashing { out, hash: Sha256::new() };
        out.write_all(VERSION)?;
        write_voxels(case, &mut out)?;
        out.write_all(text.as_bytes())?;
        out.write_all(&(text.len() as u64).to_le_bytes())?;
        let Hashing { out, hash } = out;
        out.write_all(digest::finish(hash).as_bytes())
    });
    write.map_err(|error| Fault::Unwritable(error.to_string()).at(&file))?;
    // It was written by this program alone, under a name that nobody knew: it need not settle.
    if let Some(memory) = Remembered::of(INTACT, std::slice::from_ref(&file), Duration::ZERO) {
        memory.keep(&true);
    }
    Ok(PreparedCase::new(case.name.clone(), header, Place::File(file, FIRST)))
}

fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.case"))
}

/// Whether an entry of so many bytes is as it was written.
fn is_intact(path: &Path, length: u64) -> bool {
    let memory = Remembered::of(INTACT, &[path.to_owned()], SETTLED);
    if memory.as_ref().and_then(Remembered::recall) == Some(true) {
        return true;
    }
    let intact = length.checked_sub(DIGEST).is_some_and(|content| has_digest(path, content).unwrap_or(false));
    if let Some(memory) = memory.filter(|_| intact) {
        memory.keep(&true);
    }
    intact
}

/// Whether behind the first `content` bytes of a file stands their digest.
fn has_digest(path: &Path, content: u64) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    io::copy(&mut (&mut file).take(content), &mut hash)?;
    let mut told = String::new();
    file.read_to_string(&mut told)?;
    Ok(told == digest::finish(hash))
}

/// Hashes what it passes on.
struct Hashing<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
