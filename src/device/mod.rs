//! Which device computes: the CPU (Burn's Flex backend) or a GPU through wgpu.
//!
//! [`DeviceChoice`] says what the user asked for, [`list`] what there is, [`open`] brings the two together
//! and hands out Burn's device with a [`DeviceDescription`] for the records. Every wait on a driver is
//! bounded, so that a hanging one becomes a [`DeviceError`].
//!
//! The GPUs are those that wgpu reaches through Vulkan, Metal or DirectX 12, their kernels compiled to WGSL.
//! `WGPU_BACKEND` narrows the search (`WGPU_BACKEND=dx12`), or widens it to OpenGL (`gl`).

mod adapter;
mod bounded;
mod candidate;
mod choice;
mod description;
mod error;
pub mod memory;
mod open;
mod peers;
mod reading;
mod several;
mod threads;

use std::sync::OnceLock;

use burn::tensor::Device;

pub use adapter::list;
pub(crate) use bounded::bounded;
pub use choice::{ChoiceError, DeviceChoice};
pub use description::{AdapterDescription, AdapterKind, DeviceDescription, DeviceKind, simd};
pub use error::DeviceError;
pub use open::{Opened, open, require_half, wait};
pub use peers::{PeerFailed, Peers};
pub use reading::start_reading;
pub use several::{open_beside, require_even};
pub use threads::{STACK_BYTES, own_threads};

/// Whether tensors of `device` lie in host memory, where one fused loop beats a chain of tensor operations.
pub fn on_host(device: &Device) -> bool {
    *device == Device::flex()
}

/// The devices on which a test that needs no particular one is run: the CPU, and the best adapter there is,
/// were it in software.
///
/// # Panics
/// Without an adapter while `SIMTROT_REQUIRE_GPU=1`, and with an adapter that does not work.
pub fn for_tests() -> Vec<(&'static str, Device)> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    let gpu = GPU.get_or_init(|| match open(&DeviceChoice::Gpu) {
        Ok(opened) => Some(opened.device),
        Err(DeviceError::NoAdapter) => None,
        Err(error) => panic!("{error}"),
    });
    if gpu.is_none() {
        assert!(std::env::var("SIMTROT_REQUIRE_GPU").as_deref() != Ok("1"), "SIMTROT_REQUIRE_GPU=1, but {}", DeviceError::NoAdapter);
        println!("skipped on the GPU: no adapter here");
    }
    std::iter::once(("cpu", Device::flex())).chain(gpu.clone().map(|gpu| ("gpu", gpu))).collect()
}
