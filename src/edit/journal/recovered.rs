//! An edit that a crash interrupted, from its journal.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::place::{Lock, lock, names, places};
use super::record::{FIRST_LINE, Header, Kind, NamedLabel, is_damaged, records, unpacked};
use super::writer::Journal;
use crate::digest;
use crate::edit::class_volume::ClassVolume;
use crate::edit::label_edit::LabelEdit;
use crate::edit::step::{PaintLabel, Step, take};
use crate::folder_lock::{SILENCE, silence_of};
use crate::volume::segment::Segments;
use crate::volume::{Scan, VolumeSource, content, grid_fault};

/// Why an edit is left alone.
const TAKEN: &str = "another window has taken it up meanwhile";

/// An edit that was not saved when its program ended. While it is held no other window offers it.
#[derive(Debug)]
pub struct Recovered {
    path: PathBuf,
    file: File,
    /// Why it has no lock, in a sentence.
    unlocked: Option<String>,
    bytes: Vec<u8>,
    /// Bytes that are whole.
    length: usize,
    header: Header,
    /// Changes that are not saved.
    unsaved: u64,
}

/// Looks for journals of an image; `image` is the first of its files. Each is an edit to be restored or discarded, or says why it is not, in words. Journals
/// without a change are removed.
pub fn find_journals(image: &VolumeSource) -> Vec<Result<Recovered, String>> {
    let files = places(image).into_iter().flat_map(|place| names(&place).collect::<Vec<_>>());
    files.filter(|file| file.is_file()).filter_map(|file| Recovered::read(&file).transpose()).collect()
}

impl Recovered {
    /// None where there is nothing to bring back: the file is removed then.
    fn read(path: &Path) -> Result<Option<Self>, String> {
        let failed = |error: io::Error| format!("{}: an edit that was not saved cannot be read: {error}", path.display());
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let unlocked = match lock(&file, path) {
            Lock::Own => None,
            Lock::Others => return Err(format!("{}: these labels are being edited in another window", path.display())),
            Lock::Missing(cause) => Some(cause),
        };
        if let Some(left) = unlocked.as_ref().and_then(|_| until_silent(path)) {
            return Err(format!(
                "{}: these labels are being edited in another window, or were until a moment ago; its file system cannot lock files. If that \
                 window is gone, open the image again in {left} s: the edit is kept",
                path.display()
            ));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let begun = bytes.len() >= FIRST_LINE.len();
        if begun && !bytes.starts_with(FIRST_LINE) {
            return Err(format!(
                "{}: no journal of an edit that this version of the program can read; it is left as it is",
                path.display()
            ));
        }
        let (found, length) = records(&bytes);
        let left =
            |cause: &str| format!("{}: an edit that was not saved cannot be brought back: {cause}; it is left as it is", path.display());
        let header = match found.as_slice() {
            [(Kind::Header, header), (Kind::Base, _), ..] => {
                Some(serde_json::from_slice::<Header>(header).map_err(|error| left(&error.to_string()))?)
            }
            _ if bytes.get(length..).is_some_and(is_damaged) => return Err(left("the beginning of the file is damaged")),
            _ => None,
        };
        let unsaved = unsaved(&found);
        let Some(header) = header.filter(|_| unsaved > 0) else {
            drop(file);
            return std::fs::remove_file(path).map(|()| None).map_err(failed);
        };
        Ok(Some(Self { path: path.to_owned(), file, unlocked, length, header, unsaved, bytes }))
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the user knows the edited label map by.
    pub fn title(&self) -> &str {
        &self.header.title
    }

    /// The edited label map's file; none of a map that was in no file.
    pub fn source(&self) -> Option<&Path> {
        self.header.source.as_ref().map(|(file, _)| file.as_path())
    }

    /// What was edited, since when, and how much of it is not saved, in a sentence.
    pub fn summary(&self) -> String {
        let changes = if self.unsaved == 1 { "1 change".to_owned() } else { format!("{} changes", self.unsaved) };
        format!("An edit of {}, begun {} UTC, was not saved: {changes}.", self.header.title, self.header.began)
    }

    /// What has happened meanwhile that the user should know, in a sentence: the edit goes on from the map that it began with.
    pub fn source_notice(&self) -> Option<String> {
        let (file, before) = self.header.source.as_ref()?;
        let now = digest::sha256_of_file(file);
        let what = match &now {
            Ok(now) if now == before => return None,
            Ok(_) => "has changed",
            Err(_) => "cannot be read any more",
        };
        Some(format!("{} {what} since the edit began: what is restored is the edit of the labels as they were.", file.display()))
    }

    /// What its labels are called and shown in.
    pub fn segments(&self) -> Segments {
        let named = records(&self.bytes).0.into_iter().filter(|(kind, _)| *kind == Kind::Label);
        let later = named.filter_map(|(_, content)| serde_json::from_slice(content).ok());
        NamedLabel::segments(self.header.labels.iter().cloned().chain(later).collect())
    }

    /// Brings the edit back onto its image, to the byte, with what can be undone, and goes on with its journal. `class_of` is the class of a label value, which it
    /// may add. Takes as long as reading the image's voxels once.
    ///
    /// # Errors
    /// An image of another grid or with other voxels, a journal that is damaged or that another window has taken up, and what `class_of` says, in
    /// words. The journal stays where it is.
    pub fn restore(self, scan: &Scan, mut class_of: impl FnMut(u16) -> Result<u8, String>) -> Result<LabelEdit, String> {
        let refused = |cause: String| format!("{}: the edit cannot be restored: {cause}", self.path.display());
        let grid = &scan.volume.grid;
        if let Some(fault) = grid_fault(&self.header.grid, grid, &scan.file) {
            return Err(refused(format!(
                "it {fault}. It is of {}, the image is of {grid}. Open the image that it is of",
                self.header.grid
            )));
        }
        if content::of_scan(scan).whole != self.header.image {
            return Err(refused(format!(
                "{} is not the image any more that it is of. Bring that back under its name",
                scan.file.display()
            )));
        }
        let edit = self.replay(scan, &mut class_of).map_err(refused)?;
        if self.is_taken() {
            return Err(refused(TAKEN.to_owned()));
        }
        Ok(self.go_on(edit))
    }

    fn replay(&self, scan: &Scan, class_of: &mut impl FnMut(u16) -> Result<u8, String>) -> Result<LabelEdit, String> {
        let grid = scan.volume.grid.clone();
        let (found, _) = records(&self.bytes);
        let (voxels, shape) = (grid.len(), grid.shape);
        let [(_, _), (_, base), changes @ ..] = found.as_slice() else { return Err("it is damaged".to_owned()) };
        let base = ClassVolume::new(&unpacked(base, voxels, &mut *class_of)?, shape);
        let mut edit = LabelEdit::new(grid, base, None);
        for (kind, content) in changes {
            match kind {
                Kind::Step => {
                    let (value, runs) = content.split_first_chunk().ok_or("a step is damaged")?;
                    let value = u16::from_le_bytes(*value);
                    let label = PaintLabel { class: class_of(value)?, value };
                    let step = Step::from_bytes(label, runs.to_vec(), voxels).ok_or("a step is damaged")?;
                    edit.replay(&step, label);
                }
                Kind::Undo => drop(edit.undo()),
                Kind::Redo => drop(edit.redo()),
                Kind::Saved => {
                    let since = take(&mut &**content).ok_or("a record is damaged")? as u64;
                    edit.saved(edit.version().saturating_sub(since));
                }
                Kind::Label | Kind::Header | Kind::Base => {}
            }
        }
        Ok(edit)
    }

    fn go_on(self, mut edit: LabelEdit) -> LabelEdit {
        // What is torn is written over.
        let shortened = self.file.set_len(self.length as u64);
        if let Err(error) = shortened {
            tracing::warn!("{}: its torn end cannot be cut off: {error}", self.path.display());
        }
        edit.resume(Journal::go_on((self.path, self.file, self.unlocked), self.length as u64, self.unsaved));
        edit
    }

    /// Whether another window, which no lock kept away, has gone on with it since it was read.
    fn is_taken(&self) -> bool {
        self.unlocked.is_some() && until_silent(&self.path).is_some()
    }

    /// Gives the edit up: its journal is removed.
    ///
    /// # Errors
    /// The operating system's; another window has taken the edit up.
    pub fn discard(self) -> io::Result<()> {
        if self.is_taken() {
            return Err(io::Error::other(TAKEN));
        }
        drop(self.file);
        std::fs::remove_file(self.path)
    }
}

/// Seconds until a journal without a lock counts as nobody's; none where it does.
fn until_silent(path: &Path) -> Option<u64> {
    let left = SILENCE.checked_sub(silence_of(path)?)?;
    (!left.is_zero()).then(|| left.as_secs() + 1)
}

/// Changes since the map was saved.
fn unsaved(records: &[(Kind, &[u8])]) -> u64 {
    records.iter().fold(0, |count, (kind, content)| match kind {
        Kind::Step | Kind::Undo | Kind::Redo => count + 1,
        Kind::Saved => take(&mut &**content).map_or(count, |since| since as u64),
        Kind::Label | Kind::Header | Kind::Base => count,
    })
}
