//! What a run ran on: written to `environment.json`.

use serde::{Deserialize, Serialize};

/// Program, device and machine of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of simtrot.
    pub version: String,
    /// Commit it was built from, or `unknown`.
    pub commit: String,
    /// `cpu` or `gpu`.
    pub device: String,
    /// Name of the processor or adapter.
    pub device_name: String,
    /// Driver and its version; empty on the CPU.
    pub driver: String,
    /// Vulkan, Metal, Dx12, or Flex on the CPU.
    pub backend: String,
    /// Threads of the CPU pool.
    pub threads: usize,
    /// Operating system and architecture.
    pub system: String,
    /// When the run began, RFC 3339.
    pub started: String,
}
