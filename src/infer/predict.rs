//! A network as the sliding window calls it: windows on the host in, logits on the host out.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::sliding_window::{Fault, Logits};
use crate::config::Precision;
use crate::device::{on_host, require_half, start_reading};
use crate::model::{Pass, Segmenter};

/// Full-resolution logits of `network` for windows `[batch, channel, D, H, W]`; those of a GPU are awaited.
///
/// The closure's error is the device's: lost, or out of memory; in half precision also a device without it, and a logit beyond its range.
pub fn predictor(network: &Segmenter, device: &Device, precision: Precision) -> impl FnMut(&[f32], [usize; 5]) -> Result<Logits, Fault> {
    let (network, device) = (network.clone(), device.clone());
    let (network, numbers) = match precision {
        Precision::Full => (network, DType::F32),
        Precision::Half => (network.in_half(), DType::F16),
    };
    move |windows, shape| {
        if precision == Precision::Half {
            require_half(&device)?;
        }
        let windows = Tensor::<5>::from_data(TensorData::new(windows.to_vec(), shape), &device).cast(numbers);
        let logits = network.forward(windows, Pass::EVALUATION).swap_remove(0).cast(DType::F32);
        if on_host(&device) {
            let data = logits.try_into_data().map_err(|error| format!("the device failed: {error}"))?;
            return Ok(Logits::Here(values(data)?));
        }
        let reading = start_reading(logits);
        Ok(Logits::Awaited(Box::new(move || {
            let logits = values(reading()?)?;
            match precision {
                Precision::Half if logits.iter().any(|logit| !logit.is_finite()) => {
                    Err("half precision does not hold this network's numbers for this image; set infer.precision=full".into())
                }
                _ => Ok(logits),
            }
        })))
    }
}

fn values(logits: TensorData) -> Result<Vec<f32>, Fault> {
    logits.try_into_vec::<f32>().map_err(|error| format!("the device returned no float32: {error:?}").into())
}
