//! Parity of sliding-window inference with MONAI. Host data: the predictor is the entry's convolution, written out.

use simtrot::config::{Blending, InferConfig};
use simtrot::infer::sliding_window::{Fault, Logits, Outside, SlidingWindow};
use simtrot::volume::{Grid, Volume};

use super::Outcomes;
use crate::fixtures::{Array, Entry, compare, triple};

/// Entries with a window, an overlap and a convolution as predictor.
pub fn applies(entry: &Entry) -> bool {
    let hyper = entry.hyper();
    entry.kind == "inference"
        && ["roi", "overlap", "sigma_scale", "cval"].iter().all(|key| hyper.get(key).is_some())
        && hyper["padding_mode"] == "constant"
        && entry.tensors.contains_key("weights.weight")
}

/// Window starts, weight map and blended logits of every image of the entry.
pub fn run(entry: &Entry) -> Outcomes {
    let hyper = entry.hyper();
    let number = |key: &str| hyper[key].as_f64().unwrap_or_else(|| panic!("{}: no number {key:?}", entry.name));
    let config = InferConfig { overlap: number("overlap"), ..InferConfig::default() };
    let (sigma_scale, outside) = (number("sigma_scale"), Outside::Value(number("cval") as f32));
    let gaussian = SlidingWindow { sigma_scale, outside, ..SlidingWindow::new(&config, triple(&hyper["roi"]), 3) };
    let constant = SlidingWindow { blending: Blending::Constant, ..gaussian.clone() };
    let mut outcomes = vec![entry.compare("expected.gaussian_map", &gaussian.weights(), 1.0)];
    for (name, image) in entry.tensors.iter().filter_map(|(name, array)| Some((name.strip_prefix("input.")?, array))) {
        let [images, channels, depth, height, width] = image.shape[..] else { panic!("{}: {name} is no image", entry.name) };
        let shape = [depth, height, width];
        let starts: Vec<f32> = gaussian.starts(shape).concat().into_iter().map(|start| start as f32).collect();
        let expected = &entry.tensor(&format!("expected.{name}.window_starts")).values;
        outcomes.push(compare(&format!("{}: {name} window starts", entry.name), &starts, expected, 0.0, 0.0));
        let (weight, bias) = (entry.tensor("weights.weight"), entry.tensor("weights.bias"));
        for (blending, window) in [("constant", &constant), ("gaussian", &gaussian)] {
            let mut predict = |inputs: &[f32], shape: [usize; 5]| Ok::<_, Fault>(Logits::Here(convolve(inputs, shape, weight, bias)));
            let mut logits = Vec::new();
            for voxels in image.values.chunks_exact(image.values.len() / images) {
                let volume = Volume { channels, grid: Grid::axis_aligned(shape, [1.0; 3]), voxels: voxels.to_vec() };
                let mut go_on = |_: usize, _: usize, _: &[u8]| true;
                logits.extend(window.blend(&volume, bias.values.len(), &mut predict, &mut go_on).expect("the windows fit"));
            }
            outcomes.push(entry.compare(&format!("expected.{name}.{blending}"), &logits, 1.0));
        }
    }
    outcomes
}

/// A convolution with zeros around each window, `weight` `[out, in, kD, kH, kW]`, summed in double precision.
fn convolve(inputs: &[f32], [batch, channels, depth, height, width]: [usize; 5], weight: &Array, bias: &Array) -> Vec<f32> {
    let kernel: [usize; 3] = *weight.shape.last_chunk().expect("a kernel of three axes");
    let size = [depth, height, width];
    let voxels = depth * height * width;
    let taps: usize = kernel.iter().product();
    let place = |index: usize, size: [usize; 3]| [index / (size[1] * size[2]), index / size[2] % size[1], index % size[2]];
    let mut outputs = Vec::with_capacity(batch * bias.values.len() * voxels);
    for input in inputs.chunks_exact(channels * voxels) {
        for (weight, &bias) in weight.values.chunks_exact(channels * taps).zip(&bias.values) {
            for voxel in 0..voxels {
                let at = place(voxel, size);
                let mut sum = f64::from(bias);
                for (tap, offset) in (0..taps).map(|tap| (tap, place(tap, kernel))) {
                    let from: [usize; 3] = std::array::from_fn(|axis| (at[axis] + offset[axis]).wrapping_sub(kernel[axis] / 2));
                    if (0..3).all(|axis| from[axis] < size[axis]) {
                        let from = (from[0] * height + from[1]) * width + from[2];
                        sum += (0..channels).map(|c| f64::from(weight[c * taps + tap]) * f64::from(input[c * voxels + from])).sum::<f64>();
                    }
                }
                outputs.push(sum as f32);
            }
        }
    }
    outputs
}
