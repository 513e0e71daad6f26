//! What is known of a device: plain data for records, lists and messages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One GPU as one graphics API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdapterDescription {
    /// Its place in the list: the N of `gpu:N`.
    pub index: usize,
    /// The driver's name for it.
    pub name: String,
    /// What it is.
    pub kind: AdapterKind,
    /// Graphics API: Vulkan, Metal, Dx12 or Gl.
    pub backend: String,
    /// Driver and its version; empty where the API does not say.
    pub driver: String,
    /// Largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    /// Largest part of a buffer that one kernel can reach, in bytes: no tensor may be larger.
    pub max_binding_bytes: u64,
}

/// What an adapter is, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A share of a GPU in a virtual machine.
    Virtual,
    /// The API does not say.
    #[default]
    Unknown,
    /// A GPU imitated by the CPU: right, but slower than the CPU itself.
    Software,
}

/// CPU or GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Burn's Flex backend.
    Cpu,
    /// Burn's wgpu backend.
    Gpu,
}

/// An opened device, for the records of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceDescription {
    /// CPU or GPU.
    pub kind: DeviceKind,
    /// Name of the processor or adapter.
    pub name: String,
    /// Driver and its version; empty on the CPU.
    pub driver: String,
    /// Vulkan, Metal, Dx12 or Gl; Flex on the CPU.
    pub backend: String,
    /// Threads of the CPU pool, which also prepares the batches of a GPU. `RAYON_NUM_THREADS` sets it.
    pub threads: usize,
    /// The adapter; none on the CPU.
    pub adapter: Option<AdapterDescription>,
    /// Names of the devices that share each batch of a training with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// What the user should know, such as an adapter passed over.
    pub notes: Vec<String>,
}

impl AdapterDescription {
    /// Whether the CPU imitates this GPU.
    pub fn is_software(&self) -> bool {
        self.kind == AdapterKind::Software
    }

    /// Whether its memory is the computer's, of which the system tells how much is free.
    pub fn shares_memory(&self) -> bool {
        matches!(self.kind, AdapterKind::Integrated | AdapterKind::Software)
    }

    /// Whether its name, driver or backend contains `part`, capitals ignored.
    pub(super) fn is_called(&self, part: &str) -> bool {
        let part = part.to_lowercase();
        [&self.name, &self.driver, &self.backend].iter().any(|text| text.to_lowercase().contains(&part))
    }
}

impl DeviceDescription {
    /// The CPU of this machine.
    pub(crate) fn cpu() -> Self {
        Self {
            kind: DeviceKind::Cpu,
            name: cpu_name(),
            driver: String::new(),
            backend: "Flex".to_owned(),
            threads: rayon::current_num_threads(),
            adapter: None,
            beside: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// An adapter.
    pub(super) fn gpu(adapter: &AdapterDescription) -> Self {
        let software = "software GPU: slower than the CPU; use --device cpu unless the GPU's code is to be tested";
        Self {
            kind: DeviceKind::Gpu,
            name: adapter.name.clone(),
            driver: adapter.driver.clone(),
            backend: adapter.backend.clone(),
            threads: rayon::current_num_threads(),
            adapter: Some(adapter.clone()),
            beside: Vec::new(),
            notes: if adapter.is_software() { vec![software.to_owned()] } else { Vec::new() },
        }
    }
}

impl fmt::Display for AdapterDescription {
    /// One line of the list: `gpu:0  NAME (Vulkan, discrete, DRIVER, tensors up to 2048 MiB)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, name, kind, backend, driver, .. } = self;
        let driver = if driver.is_empty() { String::new() } else { format!(", {driver}") };
        write!(f, "gpu:{index}  {name} ({backend}, {kind}{driver}, tensors up to {} MiB)", self.max_binding_bytes >> 20)
    }
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Unknown => "of unknown kind",
            Self::Software => "software",
        })
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        })
    }
}

/// The processor's name where the system gives it, else its architecture.
fn cpu_name() -> String {
    let linux = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    linux.or_else(|| std::env::var("PROCESSOR_IDENTIFIER").ok()).unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The widest vector instructions of this CPU that the CPU backend makes use of.
pub fn simd() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            "AVX-512"
        } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            "AVX2 with FMA"
        } else {
            "SSE2"
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "none"
    }
}
