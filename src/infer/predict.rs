//! A network as the sliding window calls it: windows on the host in, logits on the host out.

use std::error::Error;

use burn::tensor::{Device, Tensor, TensorData};

use crate::model::{Pass, Segmenter};

/// What a prediction gives: logits, or the device's reason.
type Predicted = Result<Vec<f32>, Box<dyn Error + Send + Sync>>;

/// Full-resolution logits of `network` for windows `[batch, channel, D, H, W]`.
///
/// The closure's error is the device's: lost, or out of memory.
pub fn predictor<'a>(network: &'a Segmenter, device: &'a Device) -> impl FnMut(&[f32], [usize; 5]) -> Predicted + 'a {
    move |windows, shape| {
        let windows = Tensor::<5>::from_data(TensorData::new(windows.to_vec(), shape), device);
        let logits = network.forward(windows, Pass::EVALUATION).swap_remove(0);
        let data = logits.try_into_data().map_err(|error| format!("the device failed: {error}"))?;
        data.try_into_vec::<f32>().map_err(|error| format!("the device returned no float32: {error:?}").into())
    }
}
