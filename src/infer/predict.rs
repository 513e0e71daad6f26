//! A network as the sliding window calls it: windows on the host in, logits on the host out.

use std::error::Error;

use burn::tensor::{Device, Tensor, TensorData};

use super::convention::InputConvention;
use crate::model::{Pass, Segmenter};

/// What a prediction gives: logits, or the device's reason.
type Predicted = Result<Vec<f32>, Box<dyn Error + Send + Sync>>;

/// Full-resolution logits of `network` for windows `[batch, channel, D, H, W]` of a prepared volume, whose axes are turned to those of
/// the network's convention on the way in and back on the way out.
///
/// The closure's error is the device's: lost, or out of memory.
pub fn predictor<'a>(
    network: &'a Segmenter,
    convention: InputConvention,
    device: &'a Device,
) -> impl FnMut(&[f32], [usize; 5]) -> Predicted + 'a {
    let axes = convention.axes();
    move |windows, [batch, channels, depth, height, width]| {
        let shape = [depth, height, width];
        let turned = axes.shape(shape);
        let [first, second, third] = turned;
        let windows = TensorData::new(axes.reorient(windows.to_vec(), shape), [batch, channels, first, second, third]);
        let logits = network.forward(Tensor::<5>::from_data(windows, device), Pass::EVALUATION).swap_remove(0);
        let data = logits.try_into_data().map_err(|error| format!("the device failed: {error}"))?;
        let logits = data.try_into_vec::<f32>().map_err(|error| format!("the device returned no float32: {error:?}"))?;
        Ok(axes.inverse().reorient(logits, turned))
    }
}
