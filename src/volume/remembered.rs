//! What was found out about files by reading all of them, remembered as long as they stay as they are.
//!
//! A memory is a small file in the program's cache folder, named after the files' paths, sizes and times. A file that has changed in any
//! of these has another memory. On Unix the time of the last change of its entry counts, which no program can set back; on other
//! systems a file of the same size and time of modification is taken for the same.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::{digest, folders};

/// A file changed later than so long ago isn't remembered: the next change could leave the same size and time.
pub const SETTLED: Duration = Duration::from_secs(2);

/// Where something about files as they are now is remembered.
#[derive(Clone, Debug)]
pub struct Remembered(PathBuf);

impl Remembered {
    /// The memory of `what` about some files; none where one of them cannot be looked at, or has changed less than `settled` ago.
    pub fn of(what: &str, files: &[PathBuf], settled: Duration) -> Option<Self> {
        let mut hash = Sha256::new_with_prefix(what);
        for file in files {
            let path = std::fs::canonicalize(file).ok()?;
            let metadata = std::fs::metadata(&path).ok()?;
            let modified = metadata.modified().ok()?;
            SystemTime::now().duration_since(modified).ok().filter(|&age| age >= settled)?;
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update(format!("\n{} {modified:?}", metadata.len()));
            // A copy can keep the time of modification; the time of the last change of the entry is the system's own.
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt as _;
                hash.update(format!(" {} {}", metadata.ctime(), metadata.ctime_nsec()));
            }
        }
        Some(Self(folders::cache().join("contents").join(format!("{}.json", digest::finish(hash)))))
    }

    /// What is remembered.
    pub fn recall<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&std::fs::read(&self.0).ok()?).ok()
    }

    /// Remembers. Written without care for a crash: half a memory cannot be read and is made anew.
    ///
    /// # Panics
    /// If `found` cannot become JSON.
    pub fn keep(&self, found: &impl Serialize) {
        let Self(place) = self;
        let text = serde_json::to_vec(found).expect("plain data becomes JSON");
        let folder = place.parent().unwrap_or(Path::new("."));
        if let Err(error) = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(place, text)) {
            // Only the next start will be slower.
            tracing::warn!("{}: cannot be written: {error}", place.display());
        }
    }
}
