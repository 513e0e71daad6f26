//! A network as the sliding window calls it: windows on the host in, logits out where its device has them.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::convention::InputConvention;
use super::error::Fault;
use super::logits::{DeviceLogits, Logits};
use crate::config::Precision;
use crate::device::{on_host, require_half};
use crate::kernels::first_failure;
use crate::model::{Pass, Segmenter};

/// Full-resolution logits of `networks` for windows `[batch, channel, D, H, W]` of a prepared volume, whose axes are turned to those of
/// the networks' convention on the way in and back on the way out: those of each network behind the one before,
/// `[batch, network, class, D, H, W]`. Those of a GPU stay in its memory, along the networks' axes.
///
/// The closure's error is the device's: lost, or out of memory; in half precision also a device without it. A logit beyond half precision's
/// range shows when it is read.
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
            let logits = data.try_into_vec::<f32>().map_err(|error| format!("the device returned no float32: {error:?}"))?;
            return Ok(Logits::Here(axes.inverse().reorient(logits, turned)));
        }
        Ok(Logits::OnDevice(Box::new(DeviceLogits { tensor: logits, axes, half: precision == Precision::Half })))
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::super::ensemble::{Ensemble, Segmentation};
    use super::super::sliding_window::SlidingWindow;
    use super::*;
    use crate::config::{InferConfig, ModelConfig, Preset, UnetConfig};
    use crate::device::for_tests;
    use crate::model::Task;
    use crate::random::stream;
    use crate::volume::{Grid, Volume};

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

    /// Probabilities of two networks for an odd volume, windows mirrored along two axes; and the classes.
    fn segmented(device: &Device, convention: InputConvention, image: &Volume) -> Segmentation {
        let model = ModelConfig::Unet(UnetConfig {
            features: vec![4, 6],
            strides: vec![[1; 3], [2; 3]],
            blocks: vec![1, 1],
            ..UnetConfig::default()
        });
        let (crop_size, classes) = ([8, 12, 16], 3);
        let task = Task { channels: 1, classes, crop_size };
        let networks = [5, 6].map(|seed| Segmenter::init(&model, &task, seed, device));
        let roi = convention.axes().inverse().shape(crop_size);
        let window = SlidingWindow { mirror: [true, false, true], ..SlidingWindow::new(&InferConfig::default(), roi, 2) };
        let ensemble = Ensemble { networks: 2, classes, probabilities: true };
        let mut predict = predictor(&networks, device, (Precision::Full, convention));
        window.segment_by(ensemble, image, &mut predict, &mut |_, _, _| true).unwrap()
    }

    /// Float32 sums of some hundred terms, taken in two orders.
    #[test]
    fn a_gpu_segments_an_odd_volume_as_the_cpu_does_and_alike_each_time() {
        let tolerance = 1e-4;
        // The second is smaller than a window along one axis.
        for (convention, shape) in [(InputConvention::Simtrot, [13, 17, 21]), (InputConvention::Monai, [19, 13, 5])] {
            let grid = Grid::axis_aligned(shape, [1.0; 3]);
            let mut draws = stream(5, "volume", 0, 0);
            let image = Volume { channels: 1, voxels: (0..grid.len()).map(|_| draws.random_range(-1.5..1.5)).collect(), grid };
            for (name, device) in for_tests().into_iter().skip(1) {
                let [expected, found, again] = [&Device::flex(), &device, &device].map(|device| segmented(device, convention, &image));
                assert_eq!(found, again, "{name}: to the bit");
                let [expected_shares, shares] = [&expected, &found].map(|found| found.probabilities.as_ref().expect("asked for"));
                let mut sure = 0;
                for voxel in 0..image.grid.len() {
                    let mut by_size: Vec<f32> = expected_shares.iter().map(|class| class[voxel]).collect();
                    for (class, share) in shares.iter().enumerate() {
                        let difference = (share[voxel] - by_size[class]).abs();
                        assert!(difference <= tolerance, "{name}, {convention:?}, class {class}, voxel {voxel}: off by {difference}");
                    }
                    by_size.sort_by(f32::total_cmp);
                    if by_size[2] - by_size[1] > 2.0 * tolerance {
                        sure += 1;
                        assert_eq!(found.classes[voxel], expected.classes[voxel], "{name}, {convention:?}, voxel {voxel}");
                    }
                }
                assert!(2 * sure > image.grid.len(), "{name}: {sure} voxels with a clear class");
            }
        }
    }
}
