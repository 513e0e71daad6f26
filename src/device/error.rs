//! Why a device cannot be used, each with the next step.

use super::{AdapterDescription, DeviceChoice};

/// Why a device cannot be opened or went wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DeviceError {
    /// wgpu finds nothing.
    #[error(
        "there is no GPU that Vulkan, Metal or DirectX 12 shows; install its driver \
         (a software one on Debian: mesa-vulkan-drivers), or use --device cpu"
    )]
    NoAdapter,
    /// There are adapters, but not the one asked for.
    #[error("no GPU fits {wanted}; there are:\n{}  cpu", lines(adapters))]
    NoneFits {
        /// What was asked for.
        wanted: DeviceChoice,
        /// What is there.
        adapters: Vec<AdapterDescription>,
    },
    /// The adapter cannot run Burn, or would not hand out a device.
    #[error("{adapter} refused: {reason}; update its driver, or choose another device (`simtrot doctor` lists them)")]
    Refused {
        /// Its name.
        adapter: String,
        /// The driver's or Burn's reason.
        reason: String,
    },
    /// It miscalculates a sum.
    #[error("{adapter} computes wrongly ({found} instead of {expected}); update its driver, or choose another device with --device")]
    Wrong {
        /// Its name.
        adapter: String,
        /// What came back.
        found: String,
        /// What is right.
        expected: String,
    },
    /// It has no half precision.
    #[error(
        "infer.precision is half, which the CPU and GPUs without SHADER_F16 cannot compute in; set infer.precision=full, or choose a GPU \
         for which `simtrot doctor` shows half precision"
    )]
    NoHalf,
    /// A GPU is to take two shares of each batch.
    #[error("--devices names {name} twice: one training takes a GPU once; only `cpu` may be named several times")]
    Twice {
        /// Its name.
        name: String,
    },
    /// A batch does not divide evenly.
    #[error(
        "{setting} is {batch}, which {devices} devices cannot share evenly: --set {setting}={next}, or name another number of devices \
         with --devices",
        next = batch.next_multiple_of(*devices)
    )]
    Uneven {
        /// The setting.
        setting: &'static str,
        /// Its value.
        batch: usize,
        /// How many are to share it.
        devices: usize,
    },
    /// A driver did not answer in time.
    #[error("{what} took more than {seconds} s: the driver hangs; choose another device, update the driver or restart")]
    Silent {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A driver or the library above it panicked.
    #[error("{what} crashed: {message}; choose another device with --device, or update the driver")]
    Crashed {
        /// What was tried.
        what: String,
        /// The panic's message.
        message: String,
    },
    /// The device is gone: reset, unplugged, or a kernel ran longer than the system allows.
    #[error(
        "the device was lost ({reason}); open it again and go on from the last checkpoint, \
         with a smaller crop or batch should it happen again"
    )]
    Lost {
        /// The driver's reason.
        reason: String,
    },
    /// An operation failed: most often a tensor beyond the device's limits or memory.
    #[error("the device could not compute ({reason}); a smaller crop or batch, or --device cpu, needs less of it")]
    Failed {
        /// The library's reason.
        reason: String,
    },
}

fn lines(adapters: &[AdapterDescription]) -> String {
    adapters.iter().map(|adapter| format!("  {adapter}\n")).collect()
}
