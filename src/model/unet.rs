//! A U-Net with residual encoder (after arXiv:2404.09556): the convolutional baseline beside the transformers.
//!
//! It has no reference whose weights it should take, so that its parameters go by their own names.

use burn::module::Module;
use burn::tensor::Tensor;

use super::backbone::{Attention, Backbone, Task, TokenEncoder};
use super::decoder::{Decoder, DecoderLevel, Head};
use super::names::Renames;
use crate::config::{BackboneConfig as _, UnetConfig};
use crate::nn::{ConvBlock, Extent, Initialiser, Memory, Pass, PointConv, Scheme, TokenGrid, UpBlock};

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

impl Backbone for UnetConfig {
    type Encoder = UnetEncoder;

    /// Initial weights as nnU-Net's.
    fn encoder(&self, task: &Task, init: &Initialiser<'_>) -> UnetEncoder {
        let init = init.clone().with(Scheme::He).at("encoder").at("stages");
        let Self { features, strides, blocks, recompute, .. } = self;
        let stages = (0..features.len()).map(|stage| {
            let input = if stage == 0 { task.channels } else { features[stage - 1] };
            let block = |index: usize| {
                let (input, stride) = if index == 0 { (input, strides[stage]) } else { (features[stage], [1; 3]) };
                ConvBlock::residual(input, features[stage], stride, &init.at(stage).at(index)).recomputed(*recompute)
            };
            (0..blocks[stage]).map(block).collect()
        });
        UnetEncoder { stages: stages.collect(), features: features.clone(), total_stride: self.total_stride() }
    }

    fn decoder(&self, task: &Task, init: &Initialiser<'_>) -> Decoder {
        let init = init.clone().with(Scheme::He);
        let Self { features, strides, .. } = self;
        let count = features.len() - 1;
        let levels = (0..count).map(|level| {
            let init = init.at("decoders").at(level);
            let block = UpBlock::init(features[level + 1], features[level], strides[level + 1], false, &init);
            DecoderLevel::Convolved(block.recomputed(self.recompute))
        });
        let heads = (0..if self.deep_supervision { count } else { 1 })
            .map(|level| Head::Tokens(PointConv::init(features[level], task.classes, [1; 3], &init.at("heads").at(level))));
        Decoder { skips: Vec::new(), bottleneck: None, levels: levels.collect(), heads: heads.collect() }
    }

    fn attention(&self, _stage: usize, _grid: [usize; 3]) -> Option<Attention> {
        None
    }
}

impl TokenEncoder for UnetEncoder {
    fn stages(&self, volume: Tensor<5>, _pass: Pass) -> Vec<TokenGrid> {
        let mut x = TokenGrid::from_volume(volume);
        let mut skips = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            x = stage.iter().fold(x, |x, block| block.forward(x));
            skips.push(x.clone());
        }
        skips
    }

    fn kept(&self, volume: Extent, _decoded: bool, memory: &mut Memory) -> Vec<Extent> {
        let through = |x: &mut Extent, stage: &Vec<ConvBlock>| {
            *x = stage.iter().fold(*x, |x, block| block.kept(x, memory));
            Some(*x)
        };
        self.stages.iter().scan(volume, through).collect()
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

    fn renames(&self) -> Renames {
        vec![("decoder.levels.#", "decoders.#"), ("decoder.heads.#", "heads.#")]
    }
}
