//! What UNETR needs, counted operation by operation.

use crate::config::{PositionCode, UnetrConfig};
use crate::model::Task;
use crate::model::plan::{AttentionPlan, Estimate, Estimated, ParameterCounts, TrainingPlan, elements, linear, norm};

impl Estimated for UnetrConfig {
    fn estimate(&self, task: &Task) -> Estimate {
        let sizes = Sizes { config: self, task, grid: self.grid(task.crop_size) };
        let attention = AttentionPlan { heads: self.num_heads, window: sizes.grid, shift: [0; 3] };
        let stage = TrainingPlan { grid: sizes.grid, dim: self.hidden_size, attention: Some(attention) };
        Estimate {
            padded_crop: std::array::from_fn(|axis| sizes.grid[axis] * self.patch_size[axis]),
            // The three skips and the last tokens.
            stages: vec![stage; self.skip_blocks().len() + 1],
            parameters: ParameterCounts {
                encoder: sizes.encoder_parameters(),
                decoder: sizes.decoder_parameters(),
                heads: linear(self.feature_size as u64, task.classes as u64),
            },
            encoder_activations: sizes.encoder_activations(),
            decoder_activations: sizes.decoder_activations(),
            logits: sizes.voxels() * task.classes as u64,
            largest_encoder_activation: sizes.largest_encoder_activation(),
            largest_activation: sizes.largest_encoder_activation().max(sizes.map(0)),
            recomputed: 0,
            decoder_working: 0,
            largest_temporary: sizes.scores(),
            largest_weight: sizes.largest_weight(),
        }
    }
}

/// Everything below counts float32 elements; activations are those of one sample.
struct Sizes<'a> {
    config: &'a UnetrConfig,
    task: &'a Task,
    grid: [usize; 3],
}

/// Trainable numbers of a 3x3x3 convolution without a bias.
fn conv(input: u64, output: u64) -> u64 {
    27 * input * output
}

/// Those of a transposed convolution without a bias.
fn transposed(input: u64, output: u64, kernel: [usize; 3]) -> u64 {
    input * output * elements(kernel)
}

impl Sizes<'_> {
    fn voxels(&self) -> u64 {
        elements(self.grid) * elements(self.config.patch_size)
    }

    /// Elements of the token sequence.
    fn tokens(&self) -> u64 {
        elements(self.grid) * self.config.hidden_size as u64
    }

    /// Channels of decoder level `level`, 0 at full resolution.
    fn features(&self, level: usize) -> u64 {
        (self.config.feature_size << level) as u64
    }

    /// Elements of one feature map of decoder level `level`.
    fn map(&self, level: usize) -> u64 {
        let grid = match level {
            0 => self.voxels(),
            _ => elements(self.grid.map(|edge| edge << (4 - level))),
        };
        grid * self.features(level)
    }

    /// A convolution block with a shortcut where configured.
    fn conv_block(&self, input: u64, output: u64) -> u64 {
        let shortcut = if self.config.res_block && input != output { input * output } else { 0 };
        conv(input, output) + conv(output, output) + shortcut
    }

    fn encoder_parameters(&self) -> u64 {
        let UnetrConfig { hidden_size, mlp_dim, num_layers, qkv_bias, position, .. } = *self.config;
        let (dim, hidden) = (hidden_size as u64, mlp_dim as u64);
        let codes = if position == PositionCode::Learned { self.tokens() } else { 0 };
        let bias = if qkv_bias { 3 * dim } else { 0 };
        let block = 2 * norm(dim) + 3 * dim * dim + bias + linear(dim, dim) + linear(dim, hidden) + linear(hidden, dim);
        linear(self.patch_voxels(), dim) + codes + num_layers as u64 * block + norm(dim)
    }

    /// Numbers in a patch.
    fn patch_voxels(&self) -> u64 {
        elements(self.config.patch_size) * self.task.channels as u64
    }

    fn decoder_parameters(&self) -> u64 {
        let dim = self.config.hidden_size as u64;
        let projections = (1..4).map(|level| {
            let features = self.features(level);
            let block = if self.config.conv_block { self.conv_block(features, features) } else { 0 };
            transposed(dim, features, [2; 3]) + (3 - level as u64) * (transposed(features, features, [2; 3]) + block)
        });
        let levels = (0..4).map(|level| {
            let input = if level == 3 { dim } else { self.features(level + 1) };
            let factor = if level == 0 { self.config.last_factor() } else { [2; 3] };
            transposed(input, self.features(level), factor) + self.conv_block(2 * self.features(level), self.features(level))
        });
        self.conv_block(self.task.channels as u64, self.features(0)) + projections.sum::<u64>() + levels.sum::<u64>()
    }

    /// Kept by the encoder: the volume and its patches; of each block the inputs of both norms, of the four linear maps,
    /// of the attention (three sequences) and of the GELU; of the last norm input and result, and the feature map made of it.
    fn encoder_activations(&self) -> u64 {
        let hidden = elements(self.grid) * self.config.mlp_dim as u64;
        let blocks = self.config.num_layers as u64 * (8 * self.tokens() + 2 * hidden);
        2 * self.voxels() * self.task.channels as u64 + blocks + 4 * self.tokens()
    }

    /// Kept by a convolution block, in maps of its output: the hidden map, the output, and a shortcut of its own.
    fn block_maps(&self, changes: bool) -> u64 {
        if self.config.res_block && changes { 3 } else { 2 }
    }

    fn decoder_activations(&self) -> u64 {
        let stem = self.voxels() * self.task.channels as u64 + self.block_maps(true) * self.map(0);
        let projections = (1..4).map(|level| {
            // At each step's own resolution: the up-sampled map, and what its block keeps.
            let kept = 1 + if self.config.conv_block { self.block_maps(false) } else { 0 };
            (0..3 - level).map(|finer| kept * (self.map(level) >> (3 * finer))).sum::<u64>() + (self.map(level) >> (3 * (3 - level)))
        });
        // The up-sampled map, and what the block keeps; the skip is kept where it was made.
        let levels = (0..4).map(|level| (1 + self.block_maps(true)) * self.map(level));
        stem + projections.sum::<u64>() + levels.sum::<u64>()
    }

    /// Scores of an attention's heads.
    fn scores(&self) -> u64 {
        elements(self.grid).pow(2) * self.config.num_heads as u64
    }

    /// The volume, a block's widest layer, or its scores.
    fn largest_encoder_activation(&self) -> u64 {
        let widest = self.config.mlp_dim.max(3 * self.config.hidden_size) as u64;
        (self.voxels() * self.task.channels as u64).max(elements(self.grid) * widest).max(self.scores())
    }

    fn largest_weight(&self) -> u64 {
        let dim = self.config.hidden_size as u64;
        let features = self.features(3);
        [
            dim * self.patch_voxels(),
            3 * dim * dim,
            dim * self.config.mlp_dim as u64,
            transposed(dim, features, [2; 3]),
            conv(2 * features, features),
        ]
        .into_iter()
        .max()
        .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module as _;
    use burn::tensor::Device;

    use crate::config::{PatchProjection, PositionCode, UnetrConfig};
    use crate::model::plan::Estimated as _;
    use crate::model::{Task, Unetr, UnetrEncoder};

    #[test]
    fn parameters_are_those_of_the_module() {
        let device = Device::flex();
        let task = Task { channels: 3, classes: 5, crop_size: [20, 33, 48] };
        let other = UnetrConfig {
            patch_size: [8, 16, 24],
            hidden_size: 12,
            mlp_dim: 20,
            num_heads: 2,
            num_layers: 3,
            feature_size: 3,
            projection: PatchProjection::Perceptron,
            position: PositionCode::Sinusoid,
            qkv_bias: true,
            conv_block: false,
            res_block: false,
        };
        for config in [UnetrConfig { feature_size: 3, ..UnetrConfig::small() }, other] {
            let parameters = config.estimate(&task).parameters;
            let (network, encoder) = (Unetr::init(&config, &task, 0, &device), UnetrEncoder::init(&config, &task, 0, &device));
            assert_eq!(parameters.encoder, encoder.num_params() as u64);
            assert_eq!(parameters.heads, network.out.num_params() as u64);
            assert_eq!(parameters.total(), network.num_params() as u64);
        }
    }
}
