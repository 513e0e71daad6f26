//! A network as the sliding window calls it: windows on the host in, logits on the host out.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::convention::InputConvention;
use super::sliding_window::{Fault, Logits};
use crate::config::Precision;
use crate::device::{on_host, require_half, start_reading};
use crate::kernels::first_failure;
use crate::model::{Pass, Segmenter};

/// Full-resolution logits of `networks` for windows `[batch, channel, D, H, W]` of a prepared volume, whose axes are turned to those of
/// the networks' convention on the way in and back on the way out: those of each network behind the one before,
/// `[batch, network, class, D, H, W]`. Those of a GPU are awaited.
///
/// The closure's error is the device's: lost, or out of memory; in half precision also a device without it, and a logit beyond its range.
pub fn predictor(
    networks: &[Segmenter],
    device: &Device,
    (precision, convention): (Precision, InputConvention),
) -> impl FnMut(&[f32], [usize; 5]) -> Result<Logits, Fault> + use<> {
    let device = device.clone();
    let (networks, numbers) = match precision {
        Precision::Full => (networks.to_vec(), DType::F32),
        Precision::Half => (networks.iter().cloned().map(Segmenter::in_half).collect(), DType::F16),
    };
    let axes = convention.axes();
    let mut is_first = true;
    move |windows, [batch, channels, depth, height, width]| {
        let shape = [depth, height, width];
        let turned = axes.shape(shape);
        let [first, second, third] = turned;
        let back = move |logits: Vec<f32>| axes.inverse().reorient(logits, turned);
        if precision == Precision::Half {
            require_half(&device)?;
        }
        let windows = TensorData::new(axes.reorient(windows.to_vec(), shape), [batch, channels, first, second, third]);
        let windows = Tensor::<5>::from_data(windows, &device).cast(numbers);
        let forward = || {
            let mut logits: Vec<Tensor<5>> =
                networks.iter().map(|network| network.forward(windows.clone(), Pass::EVALUATION).swap_remove(0)).collect();
            if logits.len() == 1 { logits.swap_remove(0) } else { Tensor::cat(logits, 1) }.cast(DType::F32)
        };
        // What a device cannot do shows at the first windows, by its name.
        let (logits, failure) = if std::mem::take(&mut is_first) { first_failure(forward) } else { (forward(), None) };
        if let Some(failure) = failure {
            return Err(format!("the device failed {failure}").into());
        }
        if on_host(&device) {
            let data = logits.try_into_data().map_err(|error| format!("the device failed: {error}"))?;
            return Ok(Logits::Here(back(values(data)?)));
        }
        let reading = start_reading(logits);
        Ok(Logits::Awaited(Box::new(move || {
            let logits = values(reading()?)?;
            match precision {
                Precision::Half if logits.iter().any(|logit| !logit.is_finite()) => {
                    Err("half precision does not hold this network's numbers for this image; set infer.precision=full".into())
                }
                _ => Ok(back(logits)),
            }
        })))
    }
}

fn values(logits: TensorData) -> Result<Vec<f32>, Fault> {
    logits.try_into_vec::<f32>().map_err(|error| format!("the device returned no float32: {error:?}").into())
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;
    use crate::config::{ModelConfig, Preset};
    use crate::device::for_tests;
    use crate::model::Task;
    use crate::random::stream;

    /// A network with initial weights, and a window that it has to pad.
    fn network(preset: Preset, device: &Device) -> (Segmenter, Vec<f32>, [usize; 5]) {
        let task = preset.task();
        let [depth, height, width] = task.crop_size;
        let shape = [1, task.channels, depth - 1, height, width];
        let mut draws = stream(5, "predict", 0, 0);
        let window = (0..shape.iter().product()).map(|_| draws.random_range(-1.5..1.5)).collect();
        let task = Task { channels: task.channels, classes: task.classes, crop_size: task.crop_size };
        (Segmenter::init(&ModelConfig::Preset(preset), &task, 1, device), window, shape)
    }

    /// Rounding to eleven bits at each of some tens of layers.
    #[test]
    fn every_network_gives_the_same_logits_in_half_precision_within_two_percent() {
        for (name, device) in for_tests().into_iter().skip(1) {
            if require_half(&device).is_err() {
                println!("skipped on {name}: no half precision here");
                continue;
            }
            for preset in [Preset::NnformerSmall, Preset::SwinUnetrSmall, Preset::UnetrSmall, Preset::UnetSmall] {
                let (network, window, shape) = network(preset, &device);
                let [full, half] = [Precision::Full, Precision::Half].map(|precision| {
                    let predicted =
                        predictor(std::slice::from_ref(&network), &device, (precision, InputConvention::default()))(&window, shape);
                    let logits = predicted.and_then(Logits::wait);
                    logits.unwrap_or_else(|error| panic!("{preset} on {name}: {error}"))
                });
                let largest = full.iter().fold(0.0_f32, |largest, logit| largest.max(logit.abs()));
                let difference = full.iter().zip(&half).map(|(full, half)| (full - half).abs()).fold(0.0_f32, f32::max) / largest;
                println!("{preset} on {name}: {difference:.1e}");
                assert!(difference < 0.02 && difference > 0.0, "{preset} on {name}: {difference}");
            }
        }
    }

    #[test]
    fn the_cpu_refuses_half_precision() {
        let device = Device::flex();
        let (network, window, shape) = network(Preset::NnformerSmall, &device);
        let half = (Precision::Half, InputConvention::default());
        let Err(refused) = predictor(std::slice::from_ref(&network), &device, half)(&window, shape) else { panic!("it is not refused") };
        assert!(refused.to_string().contains("infer.precision=full"), "{refused}");
    }
}
