//! Who writes into a folder, and the files in which it says so.

use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Locked by whoever writes into the folder. It stays empty: on Windows nobody can read a locked file.
pub(super) const LOCK: &str = ".writer.lock";
/// Who holds the lock.
pub(super) const HOLDER: &str = ".writer.json";
/// Written again and again by the holder, as a sign that it lives.
pub(super) const BEAT: &str = ".writer.beat";
/// There when somebody has asked the holder to stop.
pub(super) const STOP: &str = ".stop-request";

/// The program that writes into a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub process: u32,
    /// The computer on which it runs.
    pub host: String,
    /// That computer since its last start, and on Linux the container: processes of one such text see the same locks. None where the system
    /// does not tell.
    #[serde(default)]
    pub machine: Option<String>,
    /// When it took the folder, in UTC: `2026-11-28 17:20:05`.
    pub since: String,
    /// Its command line.
    pub command: String,
}

impl Holder {
    pub(super) fn this_program() -> Self {
        let (host, machine) = this_machine().clone();
        Self {
            process: std::process::id(),
            host,
            machine,
            since: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
        }
    }

    /// The one that has left its name in a folder.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        std::fs::read(folder.join(HOLDER)).ok().and_then(|text| serde_json::from_slice(&text).ok())
    }

    /// Whether it runs where this program cannot tell by the system whether it still does: on another computer, before the last start of
    /// this one, or in another container.
    pub fn is_elsewhere(&self) -> bool {
        let (host, machine) = this_machine();
        match (&self.machine, machine) {
            (Some(its), Some(own)) => its != own,
            _ => self.host != *host,
        }
    }
}

/// Name of this computer, and what [`Holder::machine`] is of a program on it.
fn this_machine() -> &'static (String, Option<String>) {
    static THIS: OnceLock<(String, Option<String>)> = OnceLock::new();
    THIS.get_or_init(|| {
        let start = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let processes = std::fs::read_link("/proc/self/ns/pid").ok();
        let machine = start.zip(processes).map(|(start, processes)| format!("{} {}", start.trim(), processes.display()));
        (host(), machine)
    })
}

/// The computer's name, as far as the system tells.
fn host() -> String {
    let from_linux = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let from_windows = || std::env::var("COMPUTERNAME").ok();
    let from_command = || Some(String::from_utf8_lossy(&std::process::Command::new("hostname").output().ok()?.stdout).into_owned());
    let name = from_linux().or_else(from_windows).or_else(from_command).unwrap_or_default();
    if name.trim().is_empty() { "a computer without a name".to_owned() } else { name.trim().to_owned() }
}
