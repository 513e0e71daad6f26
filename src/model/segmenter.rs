//! A network that segments: an encoder, and the decoder that takes its stages.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::backbone::{Backbone as _, Task};
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::names::{NamedWeights, renamed};
use crate::config::ModelConfig;
use crate::nn::{Initialiser, Pass};

/// A network that segments.
#[derive(Module, Debug)]
pub struct Segmenter {
    /// Volume to tokens.
    pub encoder: Encoder,
    /// Tokens to logits.
    pub decoder: Decoder,
}

impl Segmenter {
    /// The configured backbone with the initial weights of `seed`, on `device`; its encoder equals [`Encoder::init`]'s bit by bit.
    pub fn init(config: &ModelConfig, task: &Task, seed: u64, device: &Device) -> Self {
        Self::build(config, task, &Initialiser::new(seed, device))
    }

    /// The same with the initial weights of `init`, the root of a network.
    pub(crate) fn build(config: &ModelConfig, task: &Task, init: &Initialiser<'_>) -> Self {
        Self { encoder: config.encoder(task, init), decoder: config.decoder(task, init) }
    }

    /// `[batch, channel, depth, height, width]` of any size -> logits `[batch, class, ...]` of each head, full resolution first.
    ///
    /// A volume is zero-padded at the high end as the encoder asks, and the logits are cropped back: those of a coarser head to the
    /// size divided by its stride, rounded up.
    ///
    /// # Panics
    /// If the volume is larger than an encoder with a position code for each place was built for.
    pub fn forward(&self, volume: Tensor<5>, pass: Pass) -> Vec<Tensor<5>> {
        let [_, _, depth, height, width] = volume.dims();
        let volume = self.encoder.pad(volume);
        let stages = self.encoder.stages(volume.clone(), pass);
        self.decoder.forward(volume, stages, [depth, height, width], pass)
    }
}

impl NamedWeights for Segmenter {
    fn reference_name(&self, path: &[String]) -> String {
        renamed(path.iter().map(String::as_str), &self.encoder.renames())
    }
}
