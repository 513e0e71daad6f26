//! UNETR, as MONAI writes it (`UNETR`, and its encoder `ViT`).

use std::collections::BTreeMap;

use super::dict::{COARSER_HEADS, Crops, Extra, Names, Shapes, StateDictFormat, Table};
use crate::config::{ModelConfig, PatchProjection, PositionCode, Preset, UnetrConfig};
use crate::infer::InputConvention;
use crate::model::HostTensor;
use crate::nn::sinusoids;

const POSITION: &str = "vit.patch_embedding.position_embeddings";
const CONVOLUTION: &str = "vit.patch_embedding.patch_embeddings.weight";
const PERCEPTRON: &str = "vit.patch_embedding.patch_embeddings.1.weight";
const SKIP: &str = "encoder1.layer.conv1.conv.weight";
const LAST_LEVEL: &str = "decoder2.transp_conv.conv.weight";
const HEAD: &str = "out.conv.conv.weight";

pub(super) struct Unetr;

fn config(model: &ModelConfig) -> UnetrConfig {
    match model.resolve() {
        ModelConfig::Unetr(config) => config,
        other => unreachable!("{} is not UNETR", other.backbone().title()),
    }
}

impl StateDictFormat for Unetr {
    fn names(&self) -> &'static Names {
        &Names {
            prefix: "vit.",
            landmark: "patch_embedding.position_embeddings",
            computes: &["patch_embedding.", "blocks.", "norm.", "cls_token"],
            decoder_landmark: LAST_LEVEL,
            stem: &[CONVOLUTION, PERCEPTRON, SKIP, "encoder1.layer.conv3.conv.weight"],
            head: (HEAD, 0),
        }
    }

    fn convention(&self) -> InputConvention {
        InputConvention::Monai
    }

    fn read(&self, shapes: &Shapes, like: &ModelConfig) -> Option<ModelConfig> {
        let mut config = config(like);
        config.hidden_size = shapes.axis(POSITION, 2)?;
        config.num_layers = shapes.count("vit.blocks.", 0);
        config.mlp_dim = shapes.axis("vit.blocks.0.mlp.linear1.weight", 0)?;
        config.qkv_bias = shapes.has("vit.blocks.0.attn.qkv.bias");
        config.position = PositionCode::Learned;
        config.projection = if shapes.has(PERCEPTRON) { PatchProjection::Perceptron } else { PatchProjection::Conv };
        if let Some(patch) = shapes.kernel(CONVOLUTION) {
            config.patch_size = patch;
        } else if let Some(factor) = shapes.kernel(LAST_LEVEL) {
            config.patch_size = factor.map(|factor| factor * UnetrConfig::PATCH_MULTIPLE);
        }
        if shapes.has(LAST_LEVEL) {
            config.feature_size = shapes.axis(SKIP, 0)?;
            config.conv_block = shapes.has("encoder2.blocks.0.0.conv.weight");
            config.res_block = shapes.has("decoder2.conv_block.conv3.conv.weight");
        }
        Some(ModelConfig::Unetr(config))
    }

    fn undetermined(&self, shapes: &Shapes) -> Vec<&'static str> {
        let patch = shapes.has(CONVOLUTION) || shapes.has(LAST_LEVEL);
        [(true, "num_heads"), (!patch, "patch_size")].into_iter().filter_map(|(undetermined, name)| undetermined.then_some(name)).collect()
    }

    fn crop_size(&self, shapes: &Shapes, preset: Option<Preset>) -> Option<[usize; 3]> {
        let preset = preset?;
        let crop_size = preset.task().crop_size;
        // The same network was trained on crops of other sizes as well, and has then a table for other grids.
        let tokens: usize = config(&ModelConfig::Preset(preset)).grid(crop_size).iter().product();
        (shapes.axis(POSITION, 1) == Some(tokens)).then_some(crop_size)
    }

    fn channels(&self, shapes: &Shapes, model: &ModelConfig) -> Option<usize> {
        let voxels: usize = config(model).patch_size.iter().product();
        shapes.axis(CONVOLUTION, 1).or_else(|| Some(shapes.axis(PERCEPTRON, 1)? / voxels))
    }

    fn tables(&self, shapes: &Shapes, model: &ModelConfig, crops: Crops) -> Result<Vec<Table>, String> {
        let config = config(model);
        let tokens = shapes.axis(POSITION, 1).unwrap_or(0);
        let to = config.grid(crops.to);
        if to.iter().product::<usize>() == tokens && crops.from.is_none() {
            return Ok(Vec::new());
        }
        let said = || format!("say the crop that the file's position table of {tokens} rows is of: --adapt-position=D,H,W");
        let from = config.grid(crops.from.ok_or_else(said)?);
        match from.iter().product::<usize>() == tokens {
            true => Ok(vec![Table { name: POSITION.to_owned(), from, to }]),
            false => Err(format!("a crop of {:?} has {from:?} patches; {}", crops.from.unwrap_or_default(), said())),
        }
    }

    fn extras(&self, model: &ModelConfig, crop_size: [usize; 3], weights: &BTreeMap<String, HostTensor>) -> BTreeMap<String, Extra> {
        let norms = weights.iter().filter_map(|(name, norm)| Some((name.strip_prefix("vit.blocks.")?.split_once(".norm1.")?, norm)));
        // As they are initialised: no computation reads them.
        let unused = norms.map(|((block, field), norm)| {
            let values = vec![if field == "weight" { 1.0 } else { 0.0 }; norm.values.len()];
            let norm = HostTensor { shape: norm.shape.clone(), values };
            (format!("vit.blocks.{block}.norm_cross_attn.{field}"), Extra::Numbers(norm))
        });
        let config = config(model);
        let fixed = (config.position == PositionCode::Sinusoid).then(|| {
            let tokens = config.grid(crop_size).iter().product();
            let table = HostTensor { shape: vec![1, tokens, config.hidden_size], values: sinusoids(tokens, config.hidden_size) };
            (POSITION.to_owned(), Extra::Numbers(table))
        });
        unused.chain(fixed).collect()
    }

    fn beyond(&self, model: &ModelConfig, whole: bool) -> Option<String> {
        let config = config(model);
        if whole && (config.patch_size != [16; 3] || config.num_layers != 12) {
            let class =
                "MONAI's UNETR class has patches of 16x16x16 and 12 blocks; for this network build it from MONAI's ViT and Unetr blocks";
            return Some(class.to_owned());
        }
        (whole && config.deep_supervision).then(|| COARSER_HEADS.to_owned())
    }
}
