//! SimTROT and SimTROT-W: token-level contrast with rotate-and-restore (eq. 1 and 3), on the last stage of the encoder or on
//! several.
//!
//! Two settings that are off by default go beyond the paper: the projectors may be told how each volume was rotated ([`RotationCode`]), and
//! the masked view's hidden voxels may be predicted from the same tokens, as by [`SimMim`].

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::size::LossSize;
use super::token_contrast::TokenContrast;
use super::views::{gathered, halves, restored, stage_features};
use super::{Loss, Objective, RotationCode, Setup, SimMim};
use crate::config::PretrainConfig;
use crate::device::Peers;
use crate::geometry::SignedPermutation;
use crate::model::{Encoder, NamedWeights, Pass, Projector, StageSize};
use crate::sampling::ViewBatch;

/// Names of the stages' losses among the parts, stage 1 the finest.
const STAGE_LOSSES: [&str; 8] =
    ["loss_stage_1", "loss_stage_2", "loss_stage_3", "loss_stage_4", "loss_stage_5", "loss_stage_6", "loss_stage_7", "loss_stage_8"];

/// A projector for each stage that takes part, and the contrast of what it makes of the stage's tokens.
#[derive(Module, Debug)]
pub struct SimTrot {
    /// Tokens of the last stage to where the loss compares them.
    pub projector: Projector,
    /// The same for the stages before, from the last but one on.
    pub finer: Vec<Projector>,
    /// What tells the projectors of rotations, the last stage's first; empty where they are not told.
    pub rotation_codes: Vec<RotationCode>,
    /// Predicts the masked view's hidden voxels; none where the contrast is all.
    pub reconstruction: Option<SimMim>,
    /// What their error counts beside the contrast.
    #[module(skip)]
    reconstruction_weight: f64,
    /// One a stage, the last stage's first: each remembers the shape of its own tokens.
    #[module(skip)]
    contrasts: Arc<[TokenContrast]>,
}

impl Objective for SimTrot {
    fn init(setup: &Setup<'_>) -> Self {
        let settings = &setup.config.pretrain;
        let init = setup.init();
        let mut dims = setup.encoder.dims().into_iter().rev().take(settings.token_stages);
        let (projector, finer, codes) = (init.at("projector"), init.at("finer"), init.at("rotation_codes"));
        let code = |(index, dim)| RotationCode::init(settings.projector.widths(dim)[0], &codes.at(index));
        let rotation_codes = if settings.rotation_code { dims.clone().enumerate().map(code).collect() } else { Vec::new() };
        let dim = dims.next().expect("a network has a stage");
        let contrast = |_| TokenContrast::new(settings.temperature, settings.weight, settings.weighting);
        Self {
            projector: Projector::init(&settings.projector, dim, &projector),
            finer: dims.enumerate().map(|(index, dim)| Projector::init(&settings.projector, dim, &finer.at(index))).collect(),
            rotation_codes,
            reconstruction: settings.reconstructs().then(|| SimMim::init(setup)),
            reconstruction_weight: settings.reconstruction_weight,
            contrasts: (0..settings.token_stages).map(contrast).collect(),
        }
    }

    fn loss_of_share(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass, peers: &Peers) -> Loss {
        let mut stages = stage_features(encoder, batch, pass);
        let count = stages.len();
        let used = stages.split_off(count - self.contrasts.len());
        drop(stages);
        let error = self
            .reconstruction
            .as_ref()
            .zip(used.last())
            .map(|(reconstruction, features)| reconstruction.error(features.clone().narrow(0, 0, batch.shape[0]), batch));
        let rotations: Vec<SignedPermutation> = batch.views.iter().flat_map(|view| view.elements.iter().copied()).collect();
        let projectors = std::iter::once(&self.projector).chain(&self.finer).enumerate();
        let each = used.into_iter().rev().zip(projectors).zip(self.contrasts.iter());
        let losses = each.map(|((features, (index, projector)), contrast)| {
            let code = self.rotation_codes.get(index).map(|code| code.forward(&rotations));
            let projected = projector.forward_shifted(restored(features, batch), code);
            let [first, second] = halves(gathered(projected, peers));
            contrast.forward(first, second)
        });
        let contrast = mean_over_stages(losses.collect(), count);
        match error {
            None => contrast,
            Some(error) => with_reconstruction(contrast, error, self.reconstruction_weight),
        }
    }

    fn project(&self, tokens: Tensor<3>) -> Option<Tensor<3>> {
        Some(self.projector.forward(tokens))
    }

    fn project_rotated(&self, tokens: Tensor<3>, rotations: &[SignedPermutation]) -> Option<Tensor<3>> {
        let code = self.rotation_codes.first().map(|code| code.forward(rotations));
        Some(self.projector.forward_shifted(tokens, code))
    }
}

/// The mean of the losses of the last stages of `count`, the last stage's first: its parts, and where there are several, each loss.
fn mean_over_stages(losses: Vec<Loss>, count: usize) -> Loss {
    let (stages, mut losses) = (losses.len(), losses.into_iter());
    let last = losses.next().expect("the contrast is taken on a stage");
    if stages == 1 {
        return last;
    }
    let value = |loss: &Loss| loss.numbers.clone().narrow(0, 0, 1);
    let mut sum = last.loss.clone();
    let mut values = vec![value(&last)];
    for loss in losses {
        values.push(value(&loss));
        sum = sum + loss.loss;
    }
    let loss = sum / stages as f64;
    let parts = last.numbers.clone().narrow(0, 1, last.parts.len());
    let numbers = [vec![loss.clone().inner(), parts], values].concat();
    let names = STAGE_LOSSES.iter().take(count).rev().take(stages).copied();
    Loss { loss, numbers: Tensor::cat(numbers, 0), parts: last.parts.into_iter().chain(names).collect() }
}

/// The contrast plus `weight` times the `error` of the hidden voxels: both are parts, with the contrast's own between them.
fn with_reconstruction(contrast: Loss, error: Tensor<1>, weight: f64) -> Loss {
    let loss = contrast.loss + error.clone() * weight;
    let numbers = Tensor::cat(vec![loss.clone().inner(), contrast.numbers, error.inner()], 0);
    let parts = ["contrast"].into_iter().chain(contrast.parts).chain(["reconstruction"]).collect();
    Loss { loss, numbers, parts }
}

impl NamedWeights for SimTrot {}

impl LossSize {
    /// The contrast's, for a batch of `batch` crops whose encoder has the stages `stages`: tokens and projections kept for the backward pass, and
    /// the largest stage's similarities. Logits and gradient are written into the one matrix.
    pub fn of_contrast(settings: &PretrainConfig, stages: &[StageSize], batch: usize) -> Self {
        const FLOAT: u64 = 4;
        let (mut kept, mut largest) = (0, 0);
        for stage in stages.iter().rev().take(settings.token_stages) {
            let tokens = 2 * batch as u64 * stage.grid.iter().product::<usize>() as u64;
            let [hidden, output] = settings.projector.widths(stage.dim);
            // The restored tokens, the hidden layer before and after its activation, the output and its gradient.
            kept += tokens * (stage.dim + 2 * hidden + 2 * output) as u64;
            largest = largest.max(tokens * tokens);
        }
        Self { weight_bytes: 0, bytes: FLOAT * (kept + largest), largest_buffer_bytes: FLOAT * largest }
    }
}

#[cfg(test)]
#[path = "simtrot_tests.rs"]
mod tests;
