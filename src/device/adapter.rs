//! The adapters that wgpu finds, in the order of `gpu:N`.

use std::sync::OnceLock;
use std::time::Duration;

use super::{AdapterDescription, AdapterKind, DeviceError, bounded};

/// How long drivers may take to list their adapters: loading them all from a cold disk takes a second or two.
const LISTING_LIMIT: Duration = Duration::from_secs(30);

/// Names under which rasterisers on the CPU go; some of them do not report themselves as such.
const SOFTWARE_NAMES: [&str; 6] = ["llvmpipe", "lavapipe", "softpipe", "swiftshader", "microsoft basic render", "warp"];

/// An adapter with its description.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// wgpu's handle.
    pub adapter: wgpu::Adapter,
    /// What is known of it.
    pub description: AdapterDescription,
}

/// The adapters of this machine, best first; `gpu:N` is the N-th.
///
/// A GPU shown by two graphics APIs stands in the list twice. An empty list is no error.
///
/// # Errors
/// A driver that hangs or panics while it is asked.
pub fn list() -> Result<Vec<AdapterDescription>, DeviceError> {
    Ok(find()?.into_iter().map(|found| found.description).collect())
}

/// As [`list`], with wgpu's handles.
pub(super) fn find() -> Result<Vec<Found>, DeviceError> {
    bounded("listing the GPUs", LISTING_LIMIT, || {
        let adapters = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all()));
        let mut found: Vec<Found> = adapters.into_iter().map(Found::new).collect();
        // Stable: within a kind the order of the APIs, Vulkan first, and of the driver.
        found.sort_by_key(|found| found.description.kind);
        for (index, found) in found.iter_mut().enumerate() {
            found.description.index = index;
        }
        found
    })
}

/// The one wgpu instance: Vulkan's loader can crash when instances come and go on several threads.
pub(super) fn instance() -> &'static wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let backends = wgpu::Backends::PRIMARY;
        let defaults = wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
        wgpu::Instance::new(defaults.with_env())
    })
}

impl Found {
    fn new(adapter: wgpu::Adapter) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let driver = [info.driver.as_str(), info.driver_info.as_str()];
        let driver = driver.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let description = AdapterDescription {
            index: 0,
            kind: kind(info.device_type, &info.name),
            name: info.name,
            backend: format!("{:?}", info.backend),
            driver,
            max_buffer_bytes: limits.max_buffer_size,
            max_binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        };
        Self { adapter, description }
    }
}

/// The kind an API reports, unless the name betrays a rasteriser on the CPU.
fn kind(reported: wgpu::DeviceType, name: &str) -> AdapterKind {
    let name = name.to_lowercase();
    match reported {
        wgpu::DeviceType::Cpu => AdapterKind::Software,
        _ if SOFTWARE_NAMES.iter().any(|software| name.contains(software)) => AdapterKind::Software,
        wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
        wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
        wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
        wgpu::DeviceType::Other => AdapterKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rasteriser_is_known_by_its_type_or_its_name() {
        assert_eq!(kind(wgpu::DeviceType::Cpu, "something new"), AdapterKind::Software);
        assert_eq!(kind(wgpu::DeviceType::Other, "llvmpipe (LLVM 15.0.6, 256 bits)"), AdapterKind::Software);
        assert_eq!(kind(wgpu::DeviceType::IntegratedGpu, "Microsoft Basic Render Driver"), AdapterKind::Software);
        assert_eq!(kind(wgpu::DeviceType::DiscreteGpu, "AMD Radeon RX 7900"), AdapterKind::Discrete);
    }

    #[test]
    fn the_list_is_numbered_best_first() {
        let adapters = list().unwrap();
        assert!(adapters.iter().enumerate().all(|(place, adapter)| adapter.index == place));
        assert!(adapters.is_sorted_by_key(|adapter| adapter.kind));
        assert!(adapters.iter().all(|adapter| adapter.max_binding_bytes > 0 && !adapter.name.is_empty()));
    }
}
