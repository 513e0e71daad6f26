//! What a run ran on: written to `environment.json`.

use serde::{Deserialize, Serialize};

/// Version of the code that trains. Raise it with every change after which a training with equal settings, data and seed would end
/// with other weights or other scores: initial weights, losses, optimisers, schedules, sampling, preprocessing, the sliding window.
/// Trainings of another version are made anew, not gone on with, and never compared with those of this one.
/// (Version 2 does not tell in which order a GPU adds up the norm by which gradients are clipped, which has changed: last digits.)
pub const TRAINING_VERSION: u32 = 2;

/// Program, device and machine of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of simtrot.
    pub version: String,
    /// Commit it was built from, or `unknown`.
    pub commit: String,
    /// [`TRAINING_VERSION`] of the program; 0 for programs before it was recorded.
    #[serde(default)]
    pub training: u32,
    /// `cpu` or `gpu`.
    pub device: String,
    /// Name of the processor or adapter.
    pub device_name: String,
    /// Names of the devices that shared each batch with it: results differ from those of one alone in the last digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
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
