//! A U-Net with residual encoder: the convolutional baseline beside the transformers.
//!
//! It has no reference whose weights it should take, so that its parameters go by their own names.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layout::{crop, pad, padded_size};
use super::plan::{Estimate, Estimated, ParameterCounts, TrainingPlan, elements};
use super::weights::NamedWeights;
use super::{Task, TokenEncoder};
use crate::config::{BackboneConfig as _, UnetConfig};
use crate::nn::{ConvBlock, Initialiser, Pass, PointConv, Scheme, TokenGrid, UpBlock};

/// The encoder's name in a whole network; its initial weights are keyed by it in both.
const ENCODER: &str = "encoder";

/// Residual blocks at ever coarser resolutions.
#[derive(Module, Debug)]
pub struct UnetEncoder {
    /// The blocks of each stage, finest first; the first block of a stage has its stride.
    pub stages: Vec<Vec<ConvBlock>>,
    #[module(skip)]
    features: Vec<usize>,
    #[module(skip)]
    total_stride: [usize; 3],
}

/// The whole network.
#[derive(Module, Debug)]
pub struct Unet {
    /// The encoder.
    pub encoder: UnetEncoder,
    /// Decoder stages, finest first; they run in the opposite order.
    pub decoders: Vec<UpBlock>,
    /// Decoder tokens to logits, finest first.
    pub heads: Vec<PointConv>,
}

impl UnetEncoder {
    /// Initial weights of `seed` as nnU-Net's.
    pub fn init(config: &UnetConfig, task: &Task, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device).with(Scheme::He).at(ENCODER).at("stages");
        let stages = config.features.iter().enumerate().map(|(stage, &features)| {
            let input = if stage == 0 { task.channels } else { config.features[stage - 1] };
            let first = ConvBlock::residual(input, features, config.strides[stage], &init.at(stage).at(0));
            let more = (1..config.blocks[stage]).map(|block| ConvBlock::residual(features, features, [1; 3], &init.at(stage).at(block)));
            std::iter::once(first).chain(more).collect()
        });
        Self { stages: stages.collect(), features: config.features.clone(), total_stride: config.total_stride() }
    }

    /// The output of each stage, finest first; `volume`'s size must be a multiple of the total stride.
    fn skips(&self, volume: Tensor<5>) -> Vec<TokenGrid> {
        let mut x = TokenGrid::from_volume(volume);
        let mut skips = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            x = stage.iter().fold(x, |x, block| block.forward(x));
            skips.push(x.clone());
        }
        skips
    }
}

impl TokenEncoder for UnetEncoder {
    fn encode(&self, volume: Tensor<5>, _pass: Pass) -> Vec<Tensor<5>> {
        self.skips(pad(volume, self.total_stride)).into_iter().map(TokenGrid::into_volume).collect()
    }

    fn total_stride(&self) -> [usize; 3] {
        self.total_stride
    }

    fn dims(&self) -> Vec<usize> {
        self.features.clone()
    }

    fn prefix(&self) -> &'static str {
        "encoder."
    }
}

impl Unet {
    /// Initial weights of `seed`; the encoder equals [`UnetEncoder::init`]'s bit by bit.
    pub fn init(config: &UnetConfig, task: &Task, seed: u64, device: &Device) -> Self {
        let init = Initialiser::new(seed, device).with(Scheme::He);
        let UnetConfig { features, strides, .. } = config;
        let levels = features.len() - 1;
        let decoders = (0..levels)
            .map(|level| UpBlock::init(features[level + 1], features[level], strides[level + 1], false, &init.at("decoders").at(level)));
        let heads = if config.deep_supervision { levels } else { 1 };
        let heads = (0..heads).map(|level| PointConv::init(features[level], task.classes, [1; 3], &init.at("heads").at(level)));
        Self { encoder: UnetEncoder::init(config, task, seed, device), decoders: decoders.collect(), heads: heads.collect() }
    }

    /// `[batch, channel, depth, height, width]` of any size -> logits `[batch, class, ...]` of each head, full resolution first.
    ///
    /// A volume is zero-padded at the high end to whole strides, and the logits are cropped back: those of a coarser head
    /// to the size divided by its stride, rounded up.
    pub fn forward(&self, volume: Tensor<5>, _pass: Pass) -> Vec<Tensor<5>> {
        let [_, _, depth, height, width] = volume.dims();
        let volume = pad(volume, self.encoder.total_stride);
        let [_, _, padded_depth, padded_height, padded_width] = volume.dims();
        let mut skips = self.encoder.skips(volume);
        let mut x = skips.pop().expect("a network has a stage");
        let mut logits = Vec::with_capacity(self.heads.len());
        for (level, (decoder, skip)) in self.decoders.iter().zip(skips).enumerate().rev() {
            x = decoder.forward(x, skip);
            if let Some(head) = self.heads.get(level) {
                let [d, h, w] = x.grid;
                let stride = [padded_depth / d, padded_height / h, padded_width / w];
                let size = [depth.div_ceil(stride[0]), height.div_ceil(stride[1]), width.div_ceil(stride[2])];
                logits.push(crop(head.forward(x.clone()).into_volume(), size));
            }
        }
        logits.reverse();
        logits
    }
}

impl TokenEncoder for Unet {
    fn encode(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        self.encoder.encode(volume, pass)
    }

    fn total_stride(&self) -> [usize; 3] {
        self.encoder.total_stride()
    }

    fn dims(&self) -> Vec<usize> {
        self.encoder.dims()
    }

    fn prefix(&self) -> &'static str {
        self.encoder.prefix()
    }
}

impl NamedWeights for UnetEncoder {
    fn reference_name(&self, path: &[String]) -> String {
        format!("{ENCODER}.{}", path.join("."))
    }
}

impl NamedWeights for Unet {}

/// What a stage needs: counts of float32 elements, activations of one sample.
struct StageSize {
    grid: [usize; 3],
    features: u64,
    input: u64,
    blocks: u64,
}

impl StageSize {
    /// Elements of one feature map.
    fn map(&self) -> u64 {
        elements(self.grid) * self.features
    }

    /// Trainable numbers of the encoder's blocks: two convolutions each, and the first one's shortcut.
    fn encoder_parameters(&self) -> u64 {
        let first = 27 * self.input * self.features + 27 * self.features.pow(2) + self.input * self.features;
        first + (self.blocks - 1) * 54 * self.features.pow(2)
    }

    /// Those of the decoder's transposed convolution from `coarse` channels with `taps` places, and of its plain block.
    fn decoder_parameters(&self, coarse: u64, taps: u64) -> u64 {
        coarse * self.features * taps + 81 * self.features.pow(2)
    }
}

impl Estimated for UnetConfig {
    fn estimate(&self, task: &Task) -> Estimate {
        let padded_crop = padded_size(task.crop_size, self.total_stride());
        let stages = (0..self.features.len()).map(|stage| {
            let stride = self.stride_at(stage);
            StageSize {
                grid: std::array::from_fn(|axis| padded_crop[axis] / stride[axis]),
                features: self.features[stage] as u64,
                input: if stage == 0 { task.channels } else { self.features[stage - 1] } as u64,
                blocks: self.blocks[stage] as u64,
            }
        });
        let stages: Vec<StageSize> = stages.collect();
        let levels = &stages[..stages.len() - 1];
        let heads = &levels[..if self.deep_supervision { levels.len() } else { 1 }];
        let (classes, taps) = (task.classes as u64, |level: usize| elements(self.strides[level + 1]));
        let decoders = levels.iter().enumerate().map(|(level, stage)| stage.decoder_parameters(stages[level + 1].features, taps(level)));
        Estimate {
            padded_crop,
            stages: stages.iter().map(|stage| TrainingPlan { grid: stage.grid, dim: stage.features as usize, attention: None }).collect(),
            parameters: ParameterCounts {
                encoder: stages.iter().map(StageSize::encoder_parameters).sum(),
                decoder: decoders.sum(),
                heads: heads.iter().map(|stage| stage.features * classes + classes).sum(),
            },
            // The volume; of each block the hidden map and the output, of the first one the shortcut too.
            encoder_activations: elements(padded_crop) * task.channels as u64
                + stages.iter().map(|stage| (2 * stage.blocks + 1) * stage.map()).sum::<u64>(),
            // The up-sampled map, what the skip adds, the hidden map and the output.
            decoder_activations: levels.iter().map(|stage| 4 * stage.map()).sum(),
            logits: heads.iter().map(|stage| elements(stage.grid) * classes).sum(),
            largest_encoder_activation: stages.iter().map(StageSize::map).max().unwrap_or_default(),
            largest_activation: 2 * stages.iter().map(StageSize::map).max().unwrap_or_default(),
            recomputed: 0,
            decoder_working: 0,
            largest_temporary: 0,
            largest_weight: stages.iter().map(|stage| 54 * stage.features.pow(2)).max().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module as _;
    use burn::optim::GradientsParams;
    use burn::tensor::TensorData;
    use rand::RngExt as _;

    use super::*;
    use crate::model::{export_gradients, export_named, load_named};
    use crate::random::stream;

    const TASK: Task = Task { channels: 2, classes: 3, crop_size: [8, 12, 16] };

    fn config() -> UnetConfig {
        UnetConfig { features: vec![3, 5, 6], strides: vec![[1; 3], [1, 2, 2], [2; 3]], blocks: vec![1, 2, 1], ..UnetConfig::small() }
    }

    fn volume(size: [usize; 3], device: &Device) -> Tensor<5> {
        let [d, h, w] = size;
        let mut rng = stream(5, "volume", 0, 0);
        let values: Vec<f32> = (0..2 * 2 * d * h * w).map(|_| rng.random_range(-1.0..1.0)).collect();
        Tensor::from_data(TensorData::new(values, [2, 2, d, h, w]), device)
    }

    fn values(tensor: Tensor<5>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn the_encoder_is_the_one_inside_and_the_plan_counts_its_parameters() {
        let device = Device::flex();
        for config in [config(), UnetConfig { deep_supervision: false, ..config() }, UnetConfig::small()] {
            let (encoder, network) = (UnetEncoder::init(&config, &TASK, 9, &device), Unet::init(&config, &TASK, 9, &device));
            let whole = export_named(&network);
            assert!(export_named(&encoder).iter().all(|(name, tensor)| name.starts_with(encoder.prefix()) && &whole[name] == tensor));
            let parameters = config.estimate(&TASK).parameters;
            assert_eq!(parameters.encoder, encoder.num_params() as u64);
            assert_eq!(parameters.heads, network.heads.num_params() as u64);
            assert_eq!(parameters.total(), network.num_params() as u64);
        }
    }

    #[test]
    fn any_size_is_padded_and_every_head_has_its_own() {
        let device = Device::flex();
        let network = Unet::init(&config(), &TASK, 9, &device);
        let odd = volume([7, 10, 13], &device);
        let padded = Tensor::zeros([2, 2, 8, 12, 16], &device).slice_assign([0..2, 0..2, 0..7, 0..10, 0..13], odd.clone());
        let [got, wanted] = [odd, padded].map(|volume| network.forward(volume, Pass::EVALUATION));
        assert_eq!(got.iter().map(Tensor::dims).collect::<Vec<_>>(), [[2, 3, 7, 10, 13], [2, 3, 7, 5, 7]]);
        assert_eq!(values(got[0].clone()), values(wanted[0].clone().slice([0..2, 0..3, 0..7, 0..10, 0..13])));
        let stages = network.encode(volume([7, 10, 13], &device), Pass::EVALUATION);
        assert_eq!(stages.iter().map(Tensor::dims).collect::<Vec<_>>(), [[2, 3, 8, 12, 16], [2, 5, 8, 6, 8], [2, 6, 4, 3, 4]]);
    }

    /// Central differences of a float32 loss of order 1: rounding and curvature leave a few per cent.
    const TOLERANCE: f64 = 0.03;

    #[test]
    fn gradients_match_finite_differences() {
        let device = Device::flex().autodiff();
        let loss = |network: &Unet| {
            let heads = network.forward(volume([8, 8, 8], &device), Pass::EVALUATION);
            heads.into_iter().map(|logits| (logits.clone() * logits).mean()).reduce(|sum, term| sum + term).unwrap()
        };
        let network = Unet::init(&config(), &TASK, 9, &device);
        let gradients = export_gradients(&network, &GradientsParams::from_grads(loss(&network).backward(), &network));
        let weights = export_named(&network);
        assert_eq!(gradients.len(), weights.len());
        for (name, gradient) in &gradients {
            let (place, &slope) = gradient.values.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap();
            let step = 2e-3_f32;
            let moved = |by: f32| {
                let mut weights = weights.clone();
                weights.get_mut(name).unwrap().values[place] += by;
                loss(&load_named(Unet::init(&config(), &TASK, 9, &device), &weights).0).into_scalar::<f64>()
            };
            let measured = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let allowed = TOLERANCE * f64::from(slope.abs()) + 1e-3;
            assert!((measured - f64::from(slope)).abs() < allowed, "{name}: slope {measured}, gradient {slope}");
        }
    }
}
