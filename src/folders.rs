//! Where the program keeps what outlives a run: prepared volumes and the window's settings.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// Environment variable that moves the cache, for instance to a faster or larger disk.
pub const CACHE_VARIABLE: &str = "SIMTROT_CACHE";

/// The folder of prepared volumes: `SIMTROT_CACHE`, else the user's cache folder, else one among the temporary files.
/// It need not exist yet.
pub fn cache() -> PathBuf {
    let named = std::env::var_os(CACHE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(project()?.cache_dir().to_owned())).unwrap_or_else(|| std::env::temp_dir().join("simtrot"))
}

/// The folder of the window's settings; none for a user without a home. It need not exist yet.
pub fn config() -> Option<PathBuf> {
    Some(project()?.config_dir().to_owned())
}

/// Free space, in MiB, on the disk that holds `folder` or will hold it; none where the system does not tell.
pub fn free_mib(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    #[cfg(unix)]
    {
        let disk = nix::sys::statvfs::statvfs(existing).ok()?;
        // The width of these counts differs between systems.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "32 bits wide on some systems")]
        let bytes = disk.blocks_available() as u64 * disk.fragment_size() as u64;
        Some(bytes >> 20)
    }
    #[cfg(not(unix))]
    {
        let _ = existing;
        None
    }
}

fn project() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "simtrot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_known_even_for_a_folder_yet_to_be_made() {
        let parent = tempfile::tempdir().unwrap();
        let missing = parent.path().join("not/yet");
        assert_eq!(free_mib(&missing).is_some(), cfg!(unix));
        assert!(!cache().as_os_str().is_empty());
    }
}
