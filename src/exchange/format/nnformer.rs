//! nnFormer, as its own repository writes it (`model_best.model` of nnU-Net's trainer).

use std::collections::BTreeMap;

use super::dict::{Crops, Extra, Names, Shapes, StateDictFormat, Table, edge_of, index_tables};
use crate::config::{ModelConfig, Preset};
use crate::infer::InputConvention;
use crate::model::HostTensor;
use crate::nn::{PositionIndex, relative_position_index};

const STEM: &str = "model_down.patch_embed.proj1.conv1.weight";
const HEAD: &str = "final.0.up.weight";

pub(super) struct NnFormer;

impl StateDictFormat for NnFormer {
    fn names(&self) -> &'static Names {
        &Names {
            prefix: "model_down.",
            landmark: "patch_embed.proj1.conv1.weight",
            computes: &["patch_embed.", "layers.", "norm"],
            decoder_landmark: HEAD,
            stem: &[STEM],
            head: (HEAD, 1),
        }
    }

    fn convention(&self) -> InputConvention {
        // nnU-Net's loader, which nnFormer uses, hands slices first too, but mirrored as the file is.
        InputConvention::Simtrot
    }

    fn read(&self, shapes: &Shapes, like: &ModelConfig) -> Option<ModelConfig> {
        let ModelConfig::Nnformer(mut config) = like.resolve() else { return None };
        let stages = 0..shapes.count("model_down.layers.", 0);
        let first = |stage: usize| format!("model_down.layers.{stage}.blocks.0");
        let table = |block: String| format!("{block}.attn.relative_position_bias_table");
        config.embed_dim = shapes.axis("model_down.patch_embed.norm.weight", 0)?;
        config.depths = stages.clone().map(|stage| shapes.count(&format!("model_down.layers.{stage}.blocks."), 0)).collect();
        config.num_heads = stages.clone().map(|stage| shapes.axis(&table(first(stage)), 1)).collect::<Option<_>>()?;
        config.window_size = stages.map(|stage| shapes.window(&table(first(stage)))).collect::<Option<_>>()?;
        config.mlp_ratio = shapes.ratio(&format!("{}.mlp.fc1.weight", first(0)))?;
        config.qkv_bias = shapes.has(&format!("{}.attn.qkv.bias", first(0)));
        if shapes.has(HEAD) {
            let levels = shapes.count("decoder.layers.", 0);
            let heads = (0..levels).map(|level| shapes.axis(&table(format!("decoder.layers.{level}.blocks.0")), 1));
            let heads = heads.collect::<Option<Vec<usize>>>()?;
            config.decoder_heads = if config.num_heads.starts_with(&heads) { Vec::new() } else { heads };
            config.patch_size = shapes.kernel(HEAD)?;
            // Where one level is all there is, it has its head either way.
            if levels > 1 {
                config.deep_supervision = shapes.count("final.", 0) > 1;
            }
        }
        Some(ModelConfig::Nnformer(config))
    }

    fn undetermined(&self, shapes: &Shapes) -> Vec<&'static str> {
        if shapes.has(HEAD) { Vec::new() } else { vec!["patch_size"] }
    }

    fn crop_size(&self, _shapes: &Shapes, preset: Option<Preset>) -> Option<[usize; 3]> {
        // Windows shrink with the token grids of the training crop, and shrunken windows are not shifted.
        Some(preset?.task().crop_size)
    }

    fn tables(&self, _shapes: &Shapes, _model: &ModelConfig, _crops: Crops) -> Result<Vec<Table>, String> {
        Err("nnFormer's relative position tables cannot be resampled: different offsets share a row".to_owned())
    }

    fn extras(&self, _model: &ModelConfig, _crop_size: [usize; 3], weights: &BTreeMap<String, HostTensor>) -> BTreeMap<String, Extra> {
        index_tables(weights, |rows| Some(relative_position_index(PositionIndex::NnFormer, [edge_of(rows)?; 3])))
    }
}
