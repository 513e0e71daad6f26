//! What Swin UNETR needs, counted operation by operation.

use crate::config::{BackboneConfig as _, SwinUnetrConfig};
use crate::model::Task;
use crate::model::layout::padded_size;
use crate::model::plan::{AttentionPlan, Estimate, Estimated, ParameterCounts, TrainingPlan, elements, linear, norm};
use crate::nn::{clamped_window, table_rows};

impl Estimated for SwinUnetrConfig {
    fn estimate(&self, task: &Task) -> Estimate {
        let sizes = Sizes { padded: padded_size(task.crop_size, self.total_stride()), config: self, task };
        Estimate {
            padded_crop: sizes.padded,
            stages: (0..self.stages()).map(|stage| sizes.stage(stage)).collect(),
            parameters: ParameterCounts {
                encoder: sizes.encoder_parameters(),
                decoder: sizes.decoder_parameters(),
                heads: linear(self.feature_size as u64, task.classes as u64),
            },
            encoder_activations: sizes.encoder_activations(),
            decoder_activations: sizes.decoder_activations(),
            logits: elements(sizes.padded) * task.classes as u64,
            largest_encoder_activation: sizes.largest_encoder_activation(),
            largest_activation: sizes.largest_encoder_activation().max(sizes.finest()),
            recomputed: sizes.recomputed(),
            decoder_working: WORKING_MAPS * sizes.finest(),
            largest_temporary: sizes.largest_temporary(),
            largest_weight: sizes.largest_weight(),
        }
    }
}

/// Working space of the decoder's backward step, in maps of full resolution: the gradients of a block's result, of its two
/// inputs, of both summands of a residual, of two convolutions.
const WORKING_MAPS: u64 = 6;

/// Everything below counts float32 elements; activations are those of one sample.
struct Sizes<'a> {
    config: &'a SwinUnetrConfig,
    task: &'a Task,
    padded: [usize; 3],
}

/// Trainable numbers of a residual convolution block.
fn conv_block(input: u64, output: u64) -> u64 {
    let shortcut = if input == output { 0 } else { input * output };
    27 * (input + output) * output + shortcut
}

impl Sizes<'_> {
    fn stages(&self) -> usize {
        self.config.stages()
    }

    /// Tokens of feature map `level` along D,H,W.
    fn grid(&self, level: usize) -> [usize; 3] {
        std::array::from_fn(|axis| (self.padded[axis] / self.config.patch_size[axis]) >> level)
    }

    fn dim(&self, level: usize) -> u64 {
        self.config.dim(level) as u64
    }

    /// Elements of feature map `level`.
    fn map(&self, level: usize) -> u64 {
        elements(self.grid(level)) * self.dim(level)
    }

    /// Elements of the decoder's finest maps.
    fn finest(&self) -> u64 {
        elements(self.padded) * self.dim(0)
    }

    fn hidden(&self, dim: u64) -> u64 {
        (dim as f64 * self.config.mlp_ratio) as u64
    }

    fn stage(&self, stage: usize) -> TrainingPlan {
        let grid = self.grid(stage);
        let (window, shift) = clamped_window(grid, self.config.window_size, true);
        TrainingPlan {
            grid,
            dim: self.config.dim(stage),
            attention: Some(AttentionPlan { heads: self.config.num_heads[stage], window, shift }),
        }
    }

    fn encoder_parameters(&self) -> u64 {
        let stages = (0..self.stages()).map(|stage| {
            let (dim, hidden) = (self.dim(stage), self.hidden(self.dim(stage)));
            let table = table_rows(self.config.window_size) * self.config.num_heads[stage];
            let bias = if self.config.qkv_bias { 3 * dim } else { 0 };
            let block = 2 * norm(dim) + table as u64 + 3 * dim * dim + bias + linear(dim, dim) + linear(dim, hidden) + linear(hidden, dim);
            let merging = norm(8 * dim) + 16 * dim * dim;
            let residual = if self.config.use_v2 { conv_block(dim, dim) } else { 0 };
            self.config.depths[stage] as u64 * block + merging + residual
        });
        let patch = elements(self.config.patch_size) * self.task.channels as u64;
        linear(patch, self.dim(0)) + stages.sum::<u64>()
    }

    fn decoder_parameters(&self) -> u64 {
        let skips = (1..self.stages()).map(|skip| conv_block(self.dim(skip - 1), self.dim(skip - 1)));
        let levels = (0..=self.stages()).map(|level| {
            let (input, output) = (self.dim(level), self.dim(level.saturating_sub(1)));
            let kernel = if level == 0 { elements(self.config.patch_size) } else { 8 };
            kernel * input * output + conv_block(2 * output, output)
        });
        let coarsest = self.dim(self.stages());
        conv_block(self.task.channels as u64, self.dim(0)) + skips.sum::<u64>() + conv_block(coarsest, coarsest) + levels.sum::<u64>()
    }

    /// Kept by a transformer block, in token sequences: the inputs of both norms, of the four linear maps (the last `hidden`
    /// wide), of the attention (three) and of the GELU (`hidden` wide).
    fn whole_block(&self) -> f64 {
        8.0 + 2.0 * self.config.mlp_ratio
    }

    fn encoder_activations(&self) -> u64 {
        let block = if self.config.recompute { 1.0 } else { self.whole_block() };
        // A convolution block keeps its input and, unless recomputed, its first normalised result; its last is a block's input.
        let residual = match (self.config.use_v2, self.config.recompute) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            (true, false) => 2.0,
        };
        let stages = (0..self.stages()).map(|stage| {
            // The patch merging keeps its input.
            let kept = residual + self.config.depths[stage] as f64 * block + 1.0;
            (kept * self.map(stage) as f64) as u64
        });
        elements(self.padded) * self.task.channels as u64 + stages.sum::<u64>() + self.map(self.stages())
    }

    fn decoder_activations(&self) -> u64 {
        // Maps of a level: the skip's input, first result and last result; the up-sampled map; the first result, the
        // shortcut and the last result on the way up. The first and the shortcut are recomputed.
        let (skip, up) = if self.config.recompute { (2, 2) } else { (3, 4) };
        let finest = (skip - 1 + up) * self.finest();
        // The last skip is the feature map itself.
        let levels = (0..self.stages()).map(|level| (up + if level + 1 < self.stages() { skip } else { 1 }) * self.map(level));
        finest + levels.sum::<u64>() + skip * self.map(self.stages())
    }

    /// What a recomputed block holds while its backward step runs.
    fn recomputed(&self) -> u64 {
        if self.config.recompute { (self.whole_block() * self.map(0) as f64) as u64 } else { 0 }
    }

    /// Large samples are recomputed one after the other, so that a batch exists of a block's input and output alone.
    fn largest_encoder_activation(&self) -> u64 {
        if self.config.recompute { self.map(0) } else { self.widest() }
    }

    /// Elements of the widest token sequence inside a block.
    fn widest(&self) -> u64 {
        elements(self.grid(0)) * self.hidden(self.dim(0)).max(3 * self.dim(0))
    }

    /// Inside a block, recomputed or not; or the scores of all windows of a stage, which a GPU holds at once.
    fn largest_temporary(&self) -> u64 {
        self.widest().max(self.largest_scores())
    }

    fn largest_scores(&self) -> u64 {
        let scores = (0..self.stages()).map(|stage| {
            let grid = self.grid(stage);
            let (window, _) = clamped_window(grid, self.config.window_size, false);
            let windows: u64 = (0..3).map(|axis| grid[axis].div_ceil(window[axis]) as u64).product();
            windows * self.config.num_heads[stage] as u64 * elements(window).pow(2)
        });
        scores.max().unwrap_or_default()
    }

    fn largest_weight(&self) -> u64 {
        27 * self.dim(self.stages()).pow(2)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module as _;
    use burn::tensor::Device;

    use super::*;
    use crate::config::{ModelConfig, Preset};
    use crate::model::{SwinUnetr, SwinUnetrEncoder, plan};

    /// Peaks of resident memory of two steps, momentum included, measured on the CPU with batch 2:
    /// (preset, task, pre-training where it was measured, fine-tuning), in bytes.
    const MEASURED: [(Preset, Task, Option<u64>, u64); 2] = [
        (Preset::SwinUnetrSynapse, Task { channels: 1, classes: 9, crop_size: [64, 128, 128] }, Some(2_160_115_712), 5_260_894_208),
        (Preset::SwinUnetrTumour, Task { channels: 4, classes: 4, crop_size: [128, 128, 128] }, None, 9_096_339_456),
    ];

    #[test]
    fn memory_is_estimated_within_a_fifth_of_what_was_measured() {
        for (preset, task, pretrain, finetune) in MEASURED {
            let plan = plan(&ModelConfig::Preset(preset), &task, 2);
            for (step, estimated, measured) in
                [("pre-training", plan.pretrain_bytes, pretrain), ("fine-tuning", plan.finetune_bytes, Some(finetune))]
            {
                let Some(measured) = measured else { continue };
                let ratio = estimated as f64 / measured as f64;
                assert!((0.95..1.2).contains(&ratio), "{preset:?}, {step}: {estimated} estimated, {measured} measured");
            }
        }
    }

    #[test]
    fn parameters_are_those_of_the_module() {
        let device = Device::flex();
        let task = Task { channels: 3, classes: 5, crop_size: [20, 33, 48] };
        let other = SwinUnetrConfig {
            patch_size: [1, 2, 3],
            feature_size: 6,
            depths: vec![1, 3, 2],
            num_heads: vec![1, 2, 4],
            window_size: [3, 4, 2],
            mlp_ratio: 2.5,
            qkv_bias: false,
            use_v2: true,
            ..SwinUnetrConfig::small()
        };
        let one = SwinUnetrConfig { feature_size: 3, depths: vec![1], num_heads: vec![3], ..SwinUnetrConfig::small() };
        for config in [SwinUnetrConfig::small(), other, one] {
            let parameters = config.estimate(&task).parameters;
            let network = SwinUnetr::init(&config, &task, 0, &device);
            assert_eq!(parameters.encoder, SwinUnetrEncoder::init(&config, &task, 0, &device).num_params() as u64);
            assert_eq!(parameters.decoder, network.decoder.num_params() as u64);
            assert_eq!(parameters.heads, network.out.num_params() as u64);
        }
    }
}
