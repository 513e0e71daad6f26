//! Swin UNETR, as MONAI writes it (`SwinUNETR`, and its encoder `SwinTransformer`), today and in 2022.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::dict::{COARSER_HEADS, Crops, Extra, Names, Shapes, StateDictFormat, Table, index_tables};
use crate::config::{MergingOrder, ModelConfig, Preset, SwinUnetrConfig};
use crate::infer::InputConvention;
use crate::model::HostTensor;
use crate::nn::{PositionIndex, relative_position_index, table_rows};

const STEM: &str = "swinViT.patch_embed.proj.weight";
const HEAD: &str = "out.conv.conv.weight";

pub(super) struct SwinUnetr;

fn config(model: &ModelConfig) -> SwinUnetrConfig {
    match model.resolve() {
        ModelConfig::SwinUnetr(config) => config,
        other => unreachable!("{} is not Swin UNETR", other.backbone().title()),
    }
}

fn first_block(stage: usize) -> String {
    format!("swinViT.layers{}.0.blocks.0", stage + 1)
}

impl StateDictFormat for SwinUnetr {
    fn names(&self) -> &'static Names {
        &Names {
            prefix: "swinViT.",
            landmark: "layers1.0.blocks.0.norm1.weight",
            computes: &["patch_embed.", "layers"],
            decoder_landmark: "decoder1.conv_block.conv1.conv.weight",
            stem: &[STEM, "encoder1.layer.conv1.conv.weight", "encoder1.layer.conv3.conv.weight"],
            head: (HEAD, 0),
        }
    }

    /// The self-supervised weights published in 2022 say `mlp.fc1`; those of disruptive autoencoders `layers1.0.0.blocks`.
    fn current<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let once = name.split_once(".0.0.").filter(|(layers, _)| layers.starts_with("layers") && !layers.contains('.'));
        let name = once.map_or(Cow::Borrowed(name), |(layers, rest)| Cow::Owned(format!("{layers}.0.{rest}")));
        match name.split_once(".mlp.fc") {
            Some((block, layer)) => Cow::Owned(format!("{block}.mlp.linear{layer}")),
            None => name,
        }
    }

    fn convention(&self) -> InputConvention {
        InputConvention::Monai
    }

    fn read(&self, shapes: &Shapes, like: &ModelConfig) -> Option<ModelConfig> {
        let mut config = config(like);
        let stages = 0..shapes.count("swinViT.layers", 1);
        let table = |stage: usize| format!("{}.attn.relative_position_bias_table", first_block(stage));
        config.feature_size = shapes.axis(STEM, 0)?;
        config.patch_size = shapes.kernel(STEM)?;
        config.depths = stages.clone().map(|stage| shapes.count(&format!("swinViT.layers{}.0.blocks.", stage + 1), 0)).collect();
        config.num_heads = stages.map(|stage| shapes.axis(&table(stage), 1)).collect::<Option<_>>()?;
        if shapes.axis(&table(0), 0)? != table_rows(config.window_size) {
            config.window_size = [shapes.window(&table(0))?; 3];
        }
        config.mlp_ratio = shapes.ratio(&format!("{}.mlp.linear1.weight", first_block(0)))?;
        config.qkv_bias = shapes.has(&format!("{}.attn.qkv.bias", first_block(0)));
        config.use_v2 = shapes.has("swinViT.layers1c.0.layer.conv1.conv.weight");
        Some(ModelConfig::SwinUnetr(config))
    }

    fn assume(&self, shapes: &Shapes, model: &mut ModelConfig) -> Vec<(&'static str, String)> {
        let mut config = config(model);
        let (merging, said) = if shapes.older_names {
            (MergingOrder::Paper, "`paper`: the names are those of weights that were trained with it")
        } else {
            (config.merging, "that of MONAI since 1.5; weights that were trained before want --set model.swin_unetr.merging=paper")
        };
        config.merging = merging;
        let normalize = config.normalize;
        *model = ModelConfig::SwinUnetr(config);
        vec![
            ("merging", format!("no shape shows the order of the patch merging; assumed is {said}")),
            ("normalize", format!("no shape shows whether feature maps are normalised; assumed is MONAI's default, normalize={normalize}")),
        ]
    }

    fn crop_size(&self, _shapes: &Shapes, preset: Option<Preset>) -> Option<[usize; 3]> {
        // Nothing in the network depends on it; most published weights were trained on 96 voxels.
        Some(preset.map_or([96; 3], |preset| preset.task().crop_size))
    }

    fn tables(&self, shapes: &Shapes, model: &ModelConfig, _crops: Crops) -> Result<Vec<Table>, String> {
        let offsets = |window: [usize; 3]| window.map(|edge| 2 * edge - 1);
        let to = config(model).window_size;
        let names = shapes.tensors.keys().filter(|name| name.ends_with("relative_position_bias_table"));
        let other = names.filter(|name| shapes.axis(name, 0) != Some(table_rows(to)));
        let table = |name: &String| {
            let edge = shapes.window(name).ok_or_else(|| format!("{name} is of no cubic window"))?;
            Ok(Table { name: name.clone(), from: offsets([edge; 3]), to: offsets(to) })
        };
        other.map(table).collect()
    }

    fn extras(&self, model: &ModelConfig, _crop_size: [usize; 3], weights: &BTreeMap<String, HostTensor>) -> BTreeMap<String, Extra> {
        index_tables(weights, |_| Some(relative_position_index(PositionIndex::OneToOne, config(model).window_size)))
    }

    fn beyond(&self, model: &ModelConfig, whole: bool) -> Option<String> {
        let config = config(model);
        let [depth, height, width] = config.patch_size;
        if config.stages() != 4 {
            return Some("MONAI's Swin UNETR has four stages: no class there takes this network".to_owned());
        }
        if config.merging == MergingOrder::Paper {
            return Some(
                "these weights merge patches in the order of MONAI before 1.5: since then its class computes otherwise".to_owned(),
            );
        }
        if whole && (depth != height || height != width) {
            let class = "MONAI's SwinUNETR class takes cubic patches; for this network build it from SwinTransformer and Unetr blocks";
            return Some(class.to_owned());
        }
        (whole && config.deep_supervision).then(|| COARSER_HEADS.to_owned())
    }
}
