//! Is this machine fit? Devices, what they compute and how fast, folders, version.
//!
//! Every device runs the operations that the networks lean on, forward and backward (`operation`);
//! the CPU is held against finite differences, the GPUs against the CPU. A device that fails, miscalculates,
//! hangs or takes its process down with it gets its verdict and does not stop the others ([`Isolation`]).
//!
//! One that works is timed at the work of training (`speed`), from which and from the plan of each published network follow what it can
//! train, and how fast (`training`).

mod check;
mod half;
mod isolation;
mod operation;
mod report;
mod speed;
mod training;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use check::{DeviceCheck, GPU_TOLERANCE, OperationCheck, SLOPE_TOLERANCE, Verdict, check_device};
pub use half::HalfCheck;
pub use isolation::Isolation;
pub use speed::Speed;
pub use training::{NetworkCheck, TrainingCheck};

use crate::device::{AdapterDescription, DeviceChoice, DeviceDescription};
use crate::{device, folders};

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoctorReport {
    /// Version of simtrot.
    pub version: String,
    /// Commit it was built from, or `unknown`.
    pub commit: String,
    /// Operating system and architecture.
    pub system: String,
    /// The processor, its threads, and its widest vector instructions.
    pub cpu: Cpu,
    /// All adapters, in the order of `gpu:N`.
    pub adapters: Vec<AdapterDescription>,
    /// Why the adapters could not be listed, if so.
    pub listing_problem: Option<String>,
    /// The device that `auto` tries first: `cpu` or `gpu:N`.
    pub automatic: DeviceChoice,
    /// What each device computes and how fast: the CPU, then the adapters.
    pub devices: Vec<DeviceCheck>,
    /// Folder of prepared volumes.
    pub cache: PathBuf,
    /// Free space there, in MiB.
    pub cache_free_mib: Option<u64>,
    /// Folder of the window's settings.
    pub config: Option<PathBuf>,
}

/// The processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Its name.
    pub name: String,
    /// Threads that simtrot uses of it.
    pub threads: usize,
    /// Its widest vector instructions.
    pub simd: String,
}

impl DoctorReport {
    /// Whether the device that `auto` tries first works.
    pub fn is_fit(&self) -> bool {
        self.devices.iter().any(|device| device.choice == self.automatic && device.verdict == Verdict::Works)
    }
}

/// Examines this machine: a few seconds, or up to some minutes with slow or broken drivers.
pub fn examine(isolation: &Isolation) -> DoctorReport {
    let (adapters, listing_problem) = match device::list() {
        Ok(adapters) => (adapters, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let hardware = adapters.iter().find(|adapter| !adapter.is_software());
    let automatic = hardware.map_or(DeviceChoice::Cpu, |adapter| DeviceChoice::GpuIndex(adapter.index));
    let choices = std::iter::once(DeviceChoice::Cpu).chain((0..adapters.len()).map(DeviceChoice::GpuIndex));
    let devices = choices.map(|choice| isolation.check(&choice)).collect();
    let DeviceDescription { name, threads, .. } = DeviceDescription::cpu();
    let cache = folders::cache();
    DoctorReport {
        version: crate::VERSION.to_owned(),
        commit: crate::COMMIT.to_owned(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cpu: Cpu { name, threads, simd: device::simd().to_owned() },
        adapters,
        listing_problem,
        automatic,
        devices,
        cache_free_mib: folders::free_mib(&cache),
        cache,
        config: folders::config(),
    }
}
