//! Where the program keeps what outlives a run: prepared volumes and the window's settings; and where libraries keep their sockets.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// Environment variable that moves the cache, for instance to a faster or larger disk.
pub const CACHE_VARIABLE: &str = "SIMTROT_CACHE";

/// Environment variable of the user's runtime folder (<https://specifications.freedesktop.org/basedir-spec/latest/>).
#[cfg(all(unix, not(target_os = "macos")))]
const RUNTIME_VARIABLE: &str = "XDG_RUNTIME_DIR";

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

/// Free space, in MiB, on the disk that holds `folder` or will hold it; none where the system does not say.
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

/// Tries whether `folder`, which need not exist yet, can be written; leaves nothing there.
///
/// # Errors
/// What the system says against it.
pub fn require_writable(folder: &Path) -> std::io::Result<()> {
    let folder = std::path::absolute(folder)?;
    match folder.ancestors().find(|folder| folder.exists()) {
        Some(place) if place.is_dir() => tempfile::tempfile_in(place).map(drop),
        Some(place) => Err(std::io::Error::other(format!("{} is a file", place.display()))),
        None => Err(std::io::ErrorKind::NotFound.into()),
    }
}

/// Begins the program anew with a runtime folder, where the system has named none: Vulkan's drivers look for a Wayland session there,
/// and complain on the terminal about a variable that is not set. Returns where there is one already, and where that cannot be done.
///
/// The folder is the system's own for this user, as after `su` or `ssh`, else an empty one in the cache. Call it before any thread runs.
#[cfg(all(unix, not(target_os = "macos")))]
pub fn ensure_runtime_folder() {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    use std::os::unix::process::CommandExt as _;

    if std::env::var_os(RUNTIME_VARIABLE).is_some_and(|path| Path::new(&path).is_absolute()) {
        return;
    }
    let Ok(user) = std::fs::metadata("/proc/self").map(|process| process.uid()) else { return };
    let system = PathBuf::from(format!("/run/user/{user}"));
    let is_own =
        |folder: &Path| std::fs::metadata(folder).is_ok_and(|folder| folder.is_dir() && folder.uid() == user && folder.mode() & 0o077 == 0);
    let make = || {
        let own = std::path::absolute(cache()).ok()?.join("runtime");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&own).ok()?;
        is_own(&own).then_some(own)
    };
    let Some(folder) = Some(system).filter(|folder| is_own(folder)).or_else(make) else { return };
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // It returns only where it fails, and then a needless line on the terminal is all that is lost.
    let _ = again.args(arguments).env(RUNTIME_VARIABLE, folder).exec();
}

/// Other systems have no such folder.
#[cfg(not(all(unix, not(target_os = "macos"))))]
pub fn ensure_runtime_folder() {}

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

    #[test]
    fn a_folder_yet_to_be_made_can_be_written_and_one_below_a_file_cannot() {
        let parent = tempfile::tempdir().unwrap();
        let missing = parent.path().join("not/yet");
        assert!(require_writable(&missing).is_ok() && !missing.exists());
        let file = parent.path().join("file");
        std::fs::write(&file, "no folder").unwrap();
        let error = require_writable(&file.join("volumes")).unwrap_err().to_string();
        assert!(error.contains("file is a file"), "{error}");
    }
}
