//! What nnFormer needs, counted operation by operation.

use crate::config::{BackboneConfig as _, NnFormerConfig};
use crate::model::Task;
use crate::model::layout::{StageLayout, padded_size, stage_layouts};
use crate::model::plan::{AttentionPlan, Estimate, Estimated, ParameterCounts, TrainingPlan, conv, elements, linear, norm};

impl Estimated for NnFormerConfig {
    fn estimate(&self, task: &Task) -> Estimate {
        let sizes = Sizes { layouts: stage_layouts(self, task.crop_size), config: self, task };
        let stages = sizes.layouts.iter().zip(&self.num_heads).map(|(layout, &heads)| {
            let StageLayout { grid, dim, window, shift } = *layout;
            TrainingPlan { grid, dim, attention: Some(AttentionPlan { heads, window: [window; 3], shift: [shift; 3] }) }
        });
        Estimate {
            padded_crop: padded_size(task.crop_size, self.total_stride()),
            stages: stages.collect(),
            parameters: ParameterCounts {
                encoder: sizes.encoder_parameters(),
                decoder: sizes.decoder_parameters(),
                heads: sizes.head_parameters(),
            },
            encoder_activations: sizes.encoder_activations(),
            decoder_activations: sizes.decoder_activations(),
            logits: sizes.logits(),
            largest_encoder_activation: sizes.largest_activation(),
            largest_activation: sizes.largest_activation(),
            recomputed: sizes.recomputed(),
            decoder_working: 0,
            largest_temporary: sizes.largest_scores(),
            largest_weight: sizes.largest_weight(),
        }
    }
}

/// Everything below counts float32 elements; activations are those of one sample.
struct Sizes<'a> {
    config: &'a NnFormerConfig,
    task: &'a Task,
    layouts: Vec<StageLayout>,
}

impl Sizes<'_> {
    /// Decoder levels.
    fn levels(&self) -> usize {
        self.layouts.len() - 1
    }

    fn hidden(&self, dim: u64) -> u64 {
        (dim as f64 * self.config.mlp_ratio) as u64
    }

    /// `projected`: how many of queries, keys and values a linear map makes.
    fn block(&self, layout: &StageLayout, heads: usize, projected: u64) -> u64 {
        let (dim, hidden) = (layout.dim as u64, self.hidden(layout.dim as u64));
        let table = (2 * layout.window as u64 - 1).pow(3) * heads as u64;
        let bias = if self.config.qkv_bias { projected * dim } else { 0 };
        2 * norm(dim) + table + projected * dim * dim + bias + linear(dim, dim) + linear(dim, hidden) + linear(hidden, dim)
    }

    fn encoder_parameters(&self) -> u64 {
        let dim = self.config.embed_dim as u64;
        let (half, channels) = (dim / 2, self.task.channels as u64);
        let stem = conv(channels, half) + conv(half, half) + 2 * norm(half) + conv(half, dim) + conv(dim, dim) + 2 * norm(dim);
        let stages = self.layouts.iter().enumerate().map(|(stage, layout)| {
            let dim = layout.dim as u64;
            let merging = if stage < self.levels() { norm(dim) + conv(dim, 2 * dim) } else { 0 };
            self.config.depths[stage] as u64 * self.block(layout, self.config.num_heads[stage], 3) + merging + norm(dim)
        });
        stem + stages.sum::<u64>()
    }

    fn decoder_parameters(&self) -> u64 {
        let heads = if self.config.decoder_heads.is_empty() { &self.config.num_heads } else { &self.config.decoder_heads };
        let levels = self.layouts[..self.levels()].iter().enumerate().map(|(level, layout)| {
            let dim = layout.dim as u64;
            let own = (self.config.depths[level] as u64 - 1) * self.block(layout, heads[level], 3);
            self.block(layout, heads[level], 2) + own + norm(2 * dim) + 2 * dim * dim * 8 + dim
        });
        levels.sum()
    }

    fn head_count(&self) -> usize {
        if self.config.deep_supervision { self.levels().max(1) } else { 1 }
    }

    fn head_parameters(&self) -> u64 {
        let classes = self.task.classes as u64;
        let head = |level: usize| self.config.dim(level) as u64 * classes * elements(self.config.patch_size) + classes;
        (0..self.head_count()).map(head).sum()
    }

    /// Elements of a stage's token sequence.
    fn tokens(layout: &StageLayout) -> u64 {
        elements(layout.grid) * layout.dim as u64
    }

    /// Kept by a block, in token sequences: the inputs of both norms, of the four linear maps (the last `hidden`
    /// wide), of the attention (three) and of the GELU (`hidden` wide).
    fn whole_block(&self) -> f64 {
        8.0 + 2.0 * self.config.mlp_ratio
    }

    /// The same for blocks that can be recomputed from their input.
    fn block_activations(&self) -> f64 {
        if self.config.recompute { 1.0 } else { self.whole_block() }
    }

    /// What a recomputed block holds while its backward step runs.
    fn recomputed(&self) -> u64 {
        if self.config.recompute { (self.whole_block() * Self::tokens(&self.layouts[0]) as f64) as u64 } else { 0 }
    }

    /// Elements after the stem's first convolution: half the channels at half the resolution.
    fn stem(&self) -> u64 {
        let crop = padded_size(self.task.crop_size, self.config.total_stride());
        elements(crop.map(|edge| edge / 2)) * (self.config.embed_dim as u64 / 2)
    }

    fn encoder_activations(&self) -> u64 {
        let crop = elements(padded_size(self.task.crop_size, self.config.total_stride()));
        // Both halves of the stem keep the inputs of convolutions, GELUs and norms; then norm and patch merging.
        let stem = crop * self.task.channels as u64 + 6 * self.stem() + 4 * Self::tokens(&self.layouts[0]);
        let stages = self.layouts.iter().enumerate().map(|(stage, layout)| {
            let blocks = self.config.depths[stage] as f64 * self.block_activations();
            let merging = if stage < self.levels() { 3.0 } else { 2.0 };
            ((blocks + merging) * Self::tokens(layout) as f64) as u64
        });
        stem + stages.sum::<u64>()
    }

    fn decoder_activations(&self) -> u64 {
        let levels = self.layouts[..self.levels()].iter().enumerate().map(|(level, layout)| {
            // The cross block keeps the skip as well; the up-sampling the coarse norm's result, a quarter of a sequence.
            let own = (self.config.depths[level] - 1) as f64 * self.block_activations();
            ((own + self.whole_block() + 2.25) * Self::tokens(layout) as f64) as u64
        });
        levels.sum()
    }

    /// Elements of all heads' logits.
    fn logits(&self) -> u64 {
        let crop = padded_size(self.task.crop_size, self.config.total_stride());
        (0..self.head_count()).map(|level| elements(crop.map(|edge| edge >> level)) * self.task.classes as u64).sum()
    }

    fn largest_activation(&self) -> u64 {
        let hidden = self.hidden(self.layouts[0].dim as u64).max(3 * self.layouts[0].dim as u64);
        self.stem().max(elements(self.layouts[0].grid) * hidden)
    }

    /// Scores of all windows of a stage, which a GPU holds at once.
    fn largest_scores(&self) -> u64 {
        let scores = self.layouts.iter().zip(&self.config.num_heads).map(|(layout, &heads)| {
            let window = (layout.window as u64).pow(3);
            let windows: u64 = layout.grid.iter().map(|edge| edge.div_ceil(layout.window) as u64).product();
            windows * heads as u64 * window * window
        });
        scores.max().unwrap_or_default()
    }

    fn largest_weight(&self) -> u64 {
        self.layouts[..self.levels()].iter().map(|layout| 27 * 2 * (layout.dim as u64).pow(2)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module as _;
    use burn::tensor::Device;

    use super::*;
    use crate::model::{NnFormer, NnFormerEncoder};

    #[test]
    fn parameters_are_those_of_the_module() {
        let device = Device::flex();
        let task = Task { channels: 3, classes: 5, crop_size: [20, 33, 48] };
        let three = NnFormerConfig {
            patch_size: [2, 4, 4],
            embed_dim: 12,
            depths: vec![1, 3, 2],
            num_heads: vec![1, 2, 4],
            decoder_heads: vec![2, 4],
            window_size: vec![3, 4, 2],
            mlp_ratio: 2.5,
            qkv_bias: false,
            ..NnFormerConfig::small()
        };
        let one = NnFormerConfig {
            depths: vec![1],
            num_heads: vec![3],
            window_size: vec![4],
            deep_supervision: false,
            ..NnFormerConfig::small()
        };
        for config in [NnFormerConfig::small(), three, one] {
            let parameters = config.estimate(&task).parameters;
            let network = NnFormer::init(&config, &task, 0, &device);
            assert_eq!(parameters.encoder, NnFormerEncoder::init(&config, &task, 0, &device).num_params() as u64);
            assert_eq!(parameters.decoder, network.decoder.num_params() as u64);
            assert_eq!(parameters.heads, network.heads.num_params() as u64);
        }
    }
}
