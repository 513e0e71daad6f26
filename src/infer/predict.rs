//! A network as the sliding window calls it: windows on the host in, logits on the host out.

use burn::tensor::{Device, Tensor, TensorData};

use super::sliding_window::{Fault, Logits};
use crate::device::{on_host, start_reading};
use crate::model::{Pass, Segmenter};

/// Full-resolution logits of `network` for windows `[batch, channel, D, H, W]`; those of a GPU are awaited.
///
/// The closure's error is the device's: lost, or out of memory.
pub fn predictor<'a>(network: &'a Segmenter, device: &'a Device) -> impl FnMut(&[f32], [usize; 5]) -> Result<Logits, Fault> + 'a {
    move |windows, shape| {
        let windows = Tensor::<5>::from_data(TensorData::new(windows.to_vec(), shape), device);
        let logits = network.forward(windows, Pass::EVALUATION).swap_remove(0);
        if on_host(device) {
            let data = logits.try_into_data().map_err(|error| format!("the device failed: {error}"))?;
            return Ok(Logits::Here(values(data)?));
        }
        let reading = start_reading(logits);
        Ok(Logits::Awaited(Box::new(|| values(reading()?))))
    }
}

fn values(logits: TensorData) -> Result<Vec<f32>, Fault> {
    logits.try_into_vec::<f32>().map_err(|error| format!("the device returned no float32: {error:?}").into())
}
