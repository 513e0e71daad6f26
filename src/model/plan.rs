//! What a network will need, worked out on the host before anything is allocated: it is built without values and walked.
//!
//! The counts of parameters are exact. The memory of a step is an estimate: what the blocks hold ([`Memory`]), plus weights and what
//! the optimiser keeps of them.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::backbone::{Attention, Backbone as _, Task};
use super::segmenter::Segmenter;
use crate::config::ModelConfig;
use crate::nn::{Arithmetic, Extent, Initialiser, Memory, Weights};

/// Bytes of a float32.
const FLOAT: u64 = 4;

/// What passes the network at once.
#[derive(Clone, Copy, Debug)]
pub struct StepSize {
    /// Volumes: in pre-training every view of each volume of a batch.
    pub volumes: usize,
    /// Whether they pass the decoder, and a segmentation loss behind it, as well.
    pub decoded: bool,
    /// Whether in host memory, or on another device.
    pub on_host: bool,
}

/// What a network needs for crops of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPlan {
    /// The crop, zero-padded to whole strides.
    pub padded_crop: [usize; 3],
    /// Encoder stages, finest first.
    pub stages: Vec<StageSize>,
    /// Trainable numbers of the whole network.
    pub parameters: ParameterCounts,
    /// The weights that the step trains, once.
    pub weight_bytes: u64,
    /// Kept at the end of the forward pass.
    pub kept_bytes: u64,
    /// Most that is kept, worked on, and found of the weights' gradients at once in the backward pass.
    pub peak_bytes: u64,
    /// The largest single tensor on the device, which must fit into one of its buffers.
    pub largest_buffer_bytes: u64,
    /// What the forward pass computes.
    pub forward: Arithmetic,
    /// What forward and backward pass compute, recomputed blocks once more.
    pub step: Arithmetic,
}

/// One stage on such a crop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSize {
    /// Tokens along D,H,W.
    pub grid: [usize; 3],
    /// Channels of a token.
    pub dim: usize,
    /// How its tokens attend; none in a convolutional stage.
    pub attention: Option<Attention>,
}

/// Trainable numbers by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterCounts {
    /// The encoder, which pre-training hands on.
    pub encoder: u64,
    /// The decoder.
    pub decoder: u64,
    /// The heads.
    pub heads: u64,
}

impl ParameterCounts {
    /// The whole network.
    pub fn total(&self) -> u64 {
        self.encoder + self.decoder + self.heads
    }
}

impl ModelPlan {
    /// Peak of a step with a loss that holds `loss_bytes` between forward and backward pass, if `copies` of the weights live all
    /// through it. The gradients are part of the backward pass's peak: they appear as activations go.
    pub fn step_bytes(&self, loss_bytes: u64, copies: u64) -> u64 {
        copies * self.weight_bytes + self.peak_bytes.max(self.kept_bytes + loss_bytes).max(self.weight_bytes)
    }
}

/// The plan of `config` for steps of one size.
pub fn plan(config: &ModelConfig, task: &Task, size: StepSize) -> ModelPlan {
    let Segmenter { encoder, decoder } = Segmenter::build(config, task, &Initialiser::sizes_only(&Device::flex()));
    let volume = Extent { grid: encoder.padded_size(task.crop_size), dim: task.channels };
    let mut memory = Memory::new(size.volumes, size.on_host);
    memory.keep(volume.elements());
    let extents = encoder.kept(volume, size.decoded, &mut memory);
    let of_stage = |(stage, &Extent { grid, dim })| StageSize { grid, dim, attention: config.attention(stage, grid) };
    let stages: Vec<StageSize> = extents.iter().enumerate().map(of_stage).collect();
    if size.decoded {
        decoder.kept(volume, extents, &mut memory);
    }
    let (of_encoder, of_decoder, of_heads) = (Weights::of(&encoder), Weights::of(&decoder), Weights::of(&decoder.heads));
    let parameters = ParameterCounts { encoder: of_encoder.total, decoder: of_decoder.total - of_heads.total, heads: of_heads.total };
    let (trained, widest) = if size.decoded {
        (parameters.total(), of_encoder.largest.max(of_decoder.largest))
    } else {
        (parameters.encoder, of_encoder.largest)
    };
    ModelPlan {
        padded_crop: volume.grid,
        stages,
        parameters,
        weight_bytes: FLOAT * trained,
        kept_bytes: FLOAT * memory.kept(),
        peak_bytes: FLOAT * memory.peak(),
        largest_buffer_bytes: FLOAT * memory.largest().max(widest),
        forward: memory.forward(),
        step: memory.step(),
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module as _;

    use super::*;
    use crate::config::{Preset, SwinUnetrConfig};
    use crate::model::{Encoder, Segmenter};

    #[test]
    fn a_network_without_values_has_the_parameters_of_one_with_them() {
        let task = Task { channels: 3, classes: 5, crop_size: [32; 3] };
        for &preset in Preset::ALL.iter().filter(|preset| preset.to_string().ends_with("small")) {
            let config = ModelConfig::Preset(preset);
            let parameters = plan(&config, &task, StepSize { volumes: 1, decoded: true, on_host: true }).parameters;
            let network = Segmenter::init(&config, &task, 0, &Device::flex());
            assert_eq!(parameters.encoder, Encoder::init(&config, &task, 0, &Device::flex()).num_params() as u64, "{preset}");
            assert_eq!(parameters.heads, network.decoder.heads.num_params() as u64, "{preset}");
            assert_eq!(parameters.total(), network.num_params() as u64, "{preset}");
        }
    }

    /// Peaks of resident memory of two steps, momentum included, measured on the CPU for the published sizes with batch 2: preset,
    /// task, pre-training where it was measured, fine-tuning, in bytes.
    const MEASURED: [(Preset, Task, Option<u64>, u64); 6] = [
        (Preset::NnformerSynapse, SYNAPSE, Some(8_092_389_376), 7_032_262_656),
        (Preset::NnformerTumour, TUMOUR, Some(4_729_569_280), 4_070_125_568),
        (Preset::UnetrSynapse, SYNAPSE, Some(2_159_144_960), 3_662_041_088),
        (Preset::UnetrTumour, TUMOUR, Some(2_475_749_376), 5_403_070_464),
        (Preset::SwinUnetrSynapse, SYNAPSE, Some(2_160_115_712), 5_260_894_208),
        (Preset::SwinUnetrTumour, TUMOUR, None, 9_096_339_456),
    ];

    const SYNAPSE: Task = Task { channels: 1, classes: 9, crop_size: [64, 128, 128] };
    const TUMOUR: Task = Task { channels: 4, classes: 4, crop_size: [128, 128, 128] };

    /// GFLOP of a forward pass of two volumes, counted by hand: 3x3x3 convolutions as twice 27 times the channels of both sides for each
    /// token, attention as four times tokens, window and channels, linear maps as twice their weights. Of Swin UNETR's linear maps those
    /// on 64³ are 14.7 in blocks and mergings, 6.0 in shortcuts, 3.5 in transposed convolutions and 0.2 at both ends.
    #[test]
    fn arithmetic_of_published_sizes_is_what_was_counted_by_hand() {
        let swin = ModelConfig::Preset(Preset::SwinUnetrTumour);
        let cases = [
            (&swin, Task { channels: 1, classes: 3, crop_size: [64; 3] }, [338.0, 24.4, 19.0]),
            (&swin, TUMOUR, [2734.0, 198.7, 128.0]),
            (&ModelConfig::Preset(Preset::NnformerSynapse), Task { classes: 14, ..SYNAPSE }, [385.0, 449.0, 23.0]),
        ];
        for (config, task, counted) in cases {
            let plan = plan(config, &task, StepSize { volumes: 2, decoded: true, on_host: true });
            let found = [plan.forward.convolution, plan.forward.linear, plan.forward.attention].map(|operations| operations as f64 / 1e9);
            for (found, counted) in found.into_iter().zip(counted) {
                assert!((found / counted - 1.0).abs() < 0.03, "{task:?}: {found} instead of {counted}");
            }
            // Backward two products for each; Swin UNETR computes all but embedding and head once more.
            let passes = plan.step.convolution as f64 / plan.forward.convolution as f64;
            assert_eq!(passes, if config == &swin { 4.0 } else { 3.0 });
        }
    }

    #[test]
    fn a_gpu_stores_the_scores_of_no_published_network() {
        for (preset, task, ..) in MEASURED {
            let config = ModelConfig::Preset(preset);
            let [host, gpu] = [true, false].map(|on_host| plan(&config, &task, StepSize { volumes: 2, decoded: true, on_host }));
            let ratio = gpu.peak_bytes as f64 / host.peak_bytes as f64;
            assert!((0.8..1.2).contains(&ratio), "{preset}: {ratio} of the host's");
            assert!(gpu.largest_buffer_bytes < 1 << 30, "{preset}: {}", gpu.largest_buffer_bytes);
        }
        // A head wider than the kernels take has scores again.
        let widest = |num_heads| {
            let config = SwinUnetrConfig { feature_size: 96, num_heads, ..SwinUnetrConfig::tumour() };
            let model = ModelConfig::SwinUnetr(config);
            plan(&model, &TUMOUR, StepSize { volumes: 2, decoded: false, on_host: false }).largest_buffer_bytes
        };
        let [narrow, wide] = [vec![3, 6, 12, 24], vec![1, 6, 12, 24]].map(widest);
        assert!(wide > narrow, "{wide} and {narrow}");
    }

    #[test]
    fn memory_of_published_sizes_is_estimated_within_a_fifth_of_what_was_measured() {
        for (preset, task, pretrain, finetune) in MEASURED {
            // The measured networks kept everything, but for Swin UNETR, which recomputes.
            let config = match ModelConfig::Preset(preset).resolve() {
                ModelConfig::Nnformer(config) => ModelConfig::Nnformer(crate::config::NnFormerConfig { recompute: false, ..config }),
                other => other,
            };
            for (step, volumes, decoded, measured) in [("pre-training", 4, false, pretrain), ("fine-tuning", 2, true, Some(finetune))] {
                let Some(measured) = measured else { continue };
                let estimated = plan(&config, &task, StepSize { volumes, decoded, on_host: true }).step_bytes(0, 2);
                let ratio = estimated as f64 / measured as f64;
                assert!((0.8..1.2).contains(&ratio), "{preset}, {step}: {estimated} estimated, {measured:?} measured, ratio {ratio}");
            }
        }
    }
}
