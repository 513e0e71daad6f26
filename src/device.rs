//! Which device computes: the CPU (Burn's Flex backend) or a wgpu adapter.

use burn::tensor::{Device, DeviceKind};

/// Whether tensors of `device` lie in host memory, where one fused loop beats a chain of tensor operations.
pub fn on_host(device: &Device) -> bool {
    *device == Device::flex()
}

/// The devices on which a test that needs no particular one is run: the CPU, and the first wgpu adapter.
///
/// # Panics
/// Without an adapter while `SIMTROT_REQUIRE_GPU=1`.
pub fn for_tests() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("cpu", Device::flex())];
    let instance = wgpu::Instance::default();
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    if adapters.is_empty() {
        assert!(std::env::var("SIMTROT_REQUIRE_GPU").as_deref() != Ok("1"), "SIMTROT_REQUIRE_GPU=1, but there is no wgpu adapter");
        println!("skipped on the GPU: no wgpu adapter here");
    } else {
        devices.push(("gpu", Device::wgpu(DeviceKind::DefaultDevice)));
    }
    devices
}
