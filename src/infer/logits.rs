//! Logits of a batch of windows, on the host or where a GPU has made them.

use burn::tensor::{Tensor, TensorData};

use super::error::Fault;
use crate::device::{DeviceError, start_reading};
use crate::geometry::SignedPermutation;

/// Logits of a batch of windows.
pub enum Logits {
    /// On the host.
    Here(Vec<f32>),
    /// On a device that computes beside the host: what waits for them. The network is called once more before.
    Awaited(Box<dyn FnOnce() -> Result<Vec<f32>, Fault>>),
    /// In a GPU's memory, where they are blended if there is room.
    OnDevice(Box<DeviceLogits>),
}

/// Logits in a GPU's memory, computed or not yet.
pub struct DeviceLogits {
    /// `[window, class, D, H, W]` along the network's axes, float32.
    pub tensor: Tensor<5>,
    /// From the windows' axes to the network's.
    pub axes: SignedPermutation,
    /// Whether they come from float16, whose range they may have left.
    pub half: bool,
}

impl Logits {
    /// The logits, waited for.
    ///
    /// # Errors
    /// The device's.
    pub fn wait(self) -> Result<Vec<f32>, Fault> {
        match self {
            Self::Here(logits) => Ok(logits),
            Self::Awaited(read) => read(),
            Self::OnDevice(logits) => logits.start_reading()(),
        }
    }

    /// The same, those in a GPU's memory on their way to the host.
    pub(super) fn into_host(self) -> Self {
        match self {
            Self::OnDevice(logits) => Self::Awaited(Box::new(logits.start_reading())),
            other => other,
        }
    }
}

impl DeviceLogits {
    /// Starts to bring them to the host, and returns what waits for them.
    fn start_reading(self) -> impl FnOnce() -> Result<Vec<f32>, Fault> {
        let Self { tensor, axes, half } = self;
        let [_, _, depth, height, width] = tensor.dims();
        let reading = start_reading(tensor);
        move || Ok(axes.inverse().reorient(numbers(reading(), half)?, [depth, height, width]))
    }
}

/// What was read of logits, or of their weighted means; from float16 all of it must be finite.
pub(super) fn numbers(read: Result<TensorData, DeviceError>, half: bool) -> Result<Vec<f32>, Fault> {
    let numbers = read?.try_into_vec::<f32>().map_err(|error| format!("the device returned no float32: {error:?}"))?;
    if half && numbers.iter().any(|number| !number.is_finite()) {
        return Err("half precision does not hold this network's numbers for this image; set infer.precision=full".into());
    }
    Ok(numbers)
}
