//! A whole case as one vector: the mean of an encoder's tokens.

use burn::module::Module as _;
use burn::tensor::{Device, Tensor, TensorData};

use super::convention::InputConvention;
use super::sliding_window::{Fault, Outside, SlidingWindowError};
use super::windows::Windows;
use crate::geometry::VoxelBox;
use crate::model::{Encoder, Pass};
use crate::volume::Volume;

/// Windows encoded at once: enough to keep a device busy, few enough for a small one.
const WINDOWS_AT_ONCE: usize = 4;

/// An encoder, and how volumes are handed to it.
pub struct TokenReader {
    /// Volume to tokens.
    pub encoder: Encoder,
    /// Voxels along the network's own axes of the crops that it is built for.
    pub crop: [usize; 3],
    /// How volumes are handed to it.
    pub convention: InputConvention,
}

impl TokenReader {
    /// The mean token of a prepared image, `z = 1/T sum_t e_t / |e_t|` over the `T` tokens of the encoder's last stage in all windows; a token of
    /// zeros counts as zeros. Windows of the crop's size lie side by side, the last on each axis moved back to the border.
    ///
    /// None when `go_on`, which is asked before each batch of windows, says no.
    ///
    /// # Errors
    /// The device's.
    pub fn mean_token(&self, image: &Volume, go_on: &mut dyn FnMut() -> bool) -> Result<Option<Vec<f32>>, SlidingWindowError> {
        let (axes, shape) = (self.convention.axes(), image.grid.shape);
        let roi = axes.inverse().shape(self.crop);
        let layout = Windows::new(roi, 0.0, shape);
        let outside = match self.convention.outside() {
            Outside::Value(value) => vec![value; image.channels],
            Outside::Background => image.minima(),
        };
        let device = self.encoder.devices().pop().expect("an encoder has parameters");
        let windows = layout.starts.len();
        let (mut sum, mut tokens) = (Vec::new(), 0);
        for (batch, starts) in layout.starts.chunks(WINDOWS_AT_ONCE).enumerate() {
            if !go_on() {
                return Ok(None);
            }
            let mut inputs = Vec::new();
            for start in starts {
                let origin = std::array::from_fn(|axis| start[axis] as i64 - layout.before[axis] as i64);
                let mut window = vec![0.0; image.channels * roi.iter().product::<usize>()];
                VoxelBox::at(origin, roi).cut_padded(&image.voxels, shape, &outside, &mut window);
                inputs.extend(axes.reorient(window, roi));
            }
            let [depth, height, width] = self.crop;
            let inputs = TensorData::new(inputs, [starts.len(), image.channels, depth, height, width]);
            let (values, dim) = self.encode(inputs, &device).map_err(|cause| SlidingWindowError::Predict {
                window: batch * WINDOWS_AT_ONCE + 1,
                windows,
                cause,
            })?;
            sum.resize(dim, 0.0);
            tokens += values.len() / dim;
            values.chunks_exact(dim).for_each(|token| add_normalised(token, &mut sum));
        }
        Ok(Some(sum.into_iter().map(|sum| (sum / tokens as f64) as f32).collect()))
    }

    /// Tokens of the last stage, one behind the other, and how many numbers each has.
    fn encode(&self, windows: TensorData, device: &Device) -> Result<(Vec<f32>, usize), Fault> {
        let features = self.encoder.encode(Tensor::<5>::from_data(windows, device), Pass::EVALUATION).pop().expect("a network has a stage");
        let [batch, dim, depth, height, width] = features.dims();
        let tokens = features.reshape([batch, dim, depth * height * width]).swap_dims(1, 2);
        let data = tokens.try_into_data().map_err(|error| format!("the device failed: {error}"))?;
        let values = data.try_into_vec::<f32>().map_err(|error| format!("the device returned no float32: {error:?}"))?;
        Ok((values, dim))
    }
}

/// Adds a token of length 1.
fn add_normalised(token: &[f32], sum: &mut [f64]) {
    let length = token.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    if length != 0.0 {
        sum.iter_mut().zip(token).for_each(|(sum, &value)| *sum += f64::from(value) / length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelConfig, Preset};
    use crate::model::Task;
    use crate::volume::Grid;

    fn reader() -> TokenReader {
        let task = Task { channels: 1, classes: 0, crop_size: [16; 3] };
        let encoder = Encoder::init(&ModelConfig::Preset(Preset::NnformerSmall), &task, 3, &Device::flex());
        TokenReader { encoder, crop: [16; 3], convention: InputConvention::default() }
    }

    fn image(shape: [usize; 3], value: impl Fn(usize) -> f32) -> Volume {
        let grid = Grid::axis_aligned(shape, [1.0; 3]);
        Volume { channels: 1, voxels: (0..grid.len()).map(value).collect(), grid }
    }

    fn distance(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    }

    #[test]
    fn like_cases_have_like_tokens_whatever_their_size_and_an_outlier_has_not() {
        let reader = reader();
        let of = |image: &Volume| reader.mean_token(image, &mut || true).unwrap().unwrap();
        let wave = |voxel: usize| (voxel as f32 / 9.0).sin();
        let [whole, again, like, outlier] = [
            of(&image([16, 16, 16], wave)),
            of(&image([16, 16, 16], wave)),
            of(&image([16, 16, 16], |voxel| wave(voxel) + 1e-4 * (voxel % 7) as f32)),
            of(&image([16, 16, 16], |voxel| if voxel % 2 == 0 { 2.0 } else { -2.0 })),
        ];
        assert_eq!(whole, again, "to the bit");
        assert!(distance(&whole, &like) < 0.1 * distance(&whole, &outlier), "{} {}", distance(&whole, &like), distance(&whole, &outlier));
        let length = whole.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!(length > 0.0 && length <= 1.0 + 1e-5, "a mean of vectors of length 1: {length}");
        // Smaller than a window, and several windows that do not fit evenly.
        for shape in [[9, 16, 12], [20, 16, 40]] {
            assert_eq!(of(&image(shape, wave)).len(), whole.len());
        }
    }

    #[test]
    fn it_stops_where_it_is_asked_to() {
        let mut left = 2;
        let mut twice = || {
            left -= 1;
            left > 0
        };
        assert_eq!(reader().mean_token(&image([16, 16, 160], |voxel| voxel as f32), &mut twice).unwrap(), None);
        assert_eq!(left, 0);
    }
}
