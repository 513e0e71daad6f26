//! nnFormer, as its own repository writes it (`model_best.model` of nnU-Net's trainer).

use std::collections::BTreeMap;

use super::{Dialect, Shapes, Unused, index_tables};
use crate::config::{ModelConfig, Preset};
use crate::model::HostTensor;
use crate::nn::{PositionIndex, relative_position_index};

pub(super) struct NnFormer;

impl Dialect for NnFormer {
    fn prefix(&self) -> &'static str {
        "model_down."
    }

    fn landmark(&self) -> &'static str {
        "patch_embed.proj1.conv1.weight"
    }

    fn decoder_landmark(&self) -> &'static str {
        "final.0.up.weight"
    }

    fn read(&self, shapes: &Shapes, like: &ModelConfig) -> Option<ModelConfig> {
        let ModelConfig::Nnformer(mut config) = like.resolve() else { return None };
        let stages = 0..shapes.count("model_down.layers.");
        let first = |stage: usize| format!("model_down.layers.{stage}.blocks.0");
        let table = |block: String| format!("{block}.attn.relative_position_bias_table");
        config.embed_dim = shapes.axis("model_down.patch_embed.norm.weight", 0)?;
        config.depths = stages.clone().map(|stage| shapes.count(&format!("model_down.layers.{stage}.blocks."))).collect();
        config.num_heads = stages.clone().map(|stage| shapes.axis(&table(first(stage)), 1)).collect::<Option<_>>()?;
        config.window_size = stages.clone().map(|stage| shapes.window(&table(first(stage)))).collect::<Option<_>>()?;
        let [hidden, width] = [0, 1].map(|axis| shapes.axis(&format!("{}.mlp.fc1.weight", first(0)), axis));
        config.mlp_ratio = hidden? as f64 / width? as f64;
        config.qkv_bias = shapes.axis(&format!("{}.attn.qkv.bias", first(0)), 0).is_some();

        let levels = shapes.count("decoder.layers.");
        let heads: Option<Vec<usize>> =
            (0..levels).map(|level| shapes.axis(&table(format!("decoder.layers.{level}.blocks.0")), 1)).collect();
        if levels > 0 {
            let heads = heads?;
            config.decoder_heads = if config.num_heads.starts_with(&heads) { Vec::new() } else { heads };
            let patch = [2, 3, 4].map(|axis| shapes.axis("final.0.up.weight", axis));
            config.patch_size = [patch[0]?, patch[1]?, patch[2]?];
        }
        // One head says nothing where there is one level to supervise.
        if levels > 1 {
            config.deep_supervision = shapes.count("final.") > 1;
        }
        Some(ModelConfig::Nnformer(config))
    }

    fn untold(&self, shapes: &Shapes) -> Vec<&'static str> {
        let whole = shapes.axis("final.0.up.weight", 2).is_some();
        if whole { Vec::new() } else { vec!["patch_size"] }
    }

    fn channels(&self, shapes: &Shapes) -> Option<usize> {
        shapes.axis("model_down.patch_embed.proj1.conv1.weight", 1)
    }

    fn classes(&self, shapes: &Shapes) -> Option<usize> {
        shapes.axis("final.0.up.weight", 1)
    }

    fn stem(&self) -> &'static [&'static str] {
        &["model_down.patch_embed.proj1.conv1.weight"]
    }

    fn crop_size(&self, preset: Option<Preset>) -> Option<[usize; 3]> {
        // Windows shrink with the token grids of the training crop, and shrunken windows are not shifted.
        match preset? {
            Preset::NnformerSynapse => Some([64, 128, 128]),
            Preset::NnformerTumour => Some([128; 3]),
            Preset::NnformerSmall => Some([32; 3]),
        }
    }

    fn unused(&self, _model: &ModelConfig, weights: &BTreeMap<String, HostTensor>) -> BTreeMap<String, Unused> {
        index_tables(weights, |edge| relative_position_index(PositionIndex::NnFormer, [edge; 3]))
    }
}
