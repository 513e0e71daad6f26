//! A network as the sliding window calls it: windows on the host in, logits on the host out.

use std::error::Error;

use burn::tensor::{Device, Tensor, TensorData};

use crate::model::{Pass, Segmenter};

/// What a prediction gives: logits, or the device's reason.
type Predicted = Result<Vec<f32>, Box<dyn Error + Send + Sync>>;

/// Full-resolution logits of `networks` for windows `[batch, channel, D, H, W]`: those of each network behind the one before,
/// `[batch, network, class, D, H, W]`.
///
/// The closure's error is the device's: lost, or out of memory.
pub fn predictor<'a>(networks: &'a [Segmenter], device: &'a Device) -> impl FnMut(&[f32], [usize; 5]) -> Predicted + 'a {
    move |windows, shape| {
        let windows = Tensor::<5>::from_data(TensorData::new(windows.to_vec(), shape), device);
        let mut logits = networks.iter().map(|network| logits(network, windows.clone())).collect::<Result<Vec<_>, _>>()?;
        if logits.len() == 1 {
            return Ok(logits.swap_remove(0));
        }
        let batch = shape[0];
        let of_window = |window: usize| logits.iter().flat_map(move |own| &own[window * (own.len() / batch)..][..own.len() / batch]);
        Ok((0..batch).flat_map(of_window).copied().collect())
    }
}

fn logits(network: &Segmenter, windows: Tensor<5>) -> Predicted {
    let logits = network.forward(windows, Pass::EVALUATION).swap_remove(0);
    let data = logits.try_into_data().map_err(|error| format!("the device failed: {error}"))?;
    data.try_into_vec::<f32>().map_err(|error| format!("the device returned no float32: {error:?}").into())
}
