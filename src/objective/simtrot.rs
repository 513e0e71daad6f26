//! SimTROT and SimTROT-W: token-level contrast with rotate-and-restore (eq. 1 and 3), on the last stage of the encoder or on
//! several.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::token_contrast::TokenContrast;
use super::views::{halves, restored, stage_features};
use super::{Loss, Objective, Setup};
use crate::config::PretrainConfig;
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
    /// One a stage, the last stage's first: each remembers the shape of its own tokens.
    #[module(skip)]
    contrasts: Arc<[TokenContrast]>,
}

impl Objective for SimTrot {
    fn init(setup: &Setup<'_>) -> Self {
        let settings = &setup.config.pretrain;
        let init = setup.init();
        let mut dims = setup.encoder.dims().into_iter().rev().take(settings.token_stages);
        let dim = dims.next().expect("a network has a stage");
        let (projector, finer) = (init.at("projector"), init.at("finer"));
        let contrast = |_| TokenContrast::new(settings.temperature, settings.weight, settings.weighting);
        Self {
            projector: Projector::init(&settings.projector, dim, &projector),
            finer: dims.enumerate().map(|(index, dim)| Projector::init(&settings.projector, dim, &finer.at(index))).collect(),
            contrasts: (0..settings.token_stages).map(contrast).collect(),
        }
    }

    fn loss(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass) -> Loss {
        let mut stages = stage_features(encoder, batch, pass);
        let count = stages.len();
        let used = stages.split_off(count - self.contrasts.len());
        drop(stages);
        let projectors = std::iter::once(&self.projector).chain(&self.finer);
        let each = used.into_iter().rev().zip(projectors).zip(self.contrasts.iter());
        let losses = each.map(|((features, projector), contrast)| {
            let [first, second] = halves(projector.forward(restored(features, batch)));
            contrast.forward(first, second)
        });
        mean_over_stages(losses.collect(), count)
    }

    fn project(&self, tokens: Tensor<3>) -> Option<Tensor<3>> {
        Some(self.projector.forward(tokens))
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

impl NamedWeights for SimTrot {}

/// What the contrast adds to the memory of a pre-training step at the end of the forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContrastSize {
    /// Tokens and projections kept for the backward pass, and the largest stage's similarities.
    pub bytes: u64,
    /// Its largest tensor.
    pub largest_buffer_bytes: u64,
}

impl ContrastSize {
    /// For a batch of `batch` crops whose encoder has the stages `stages`. Logits and gradient are written into the one matrix.
    pub fn of(settings: &PretrainConfig, stages: &[StageSize], batch: usize) -> Self {
        const FLOAT: u64 = 4;
        let (mut kept, mut largest) = (0, 0);
        for stage in stages.iter().rev().take(settings.token_stages) {
            let tokens = 2 * batch as u64 * stage.grid.iter().product::<usize>() as u64;
            let [hidden, output] = settings.projector.widths(stage.dim);
            // The restored tokens, the hidden layer before and after its activation, the output and its gradient.
            kept += tokens * (stage.dim + 2 * hidden + 2 * output) as u64;
            largest = largest.max(tokens * tokens);
        }
        Self { bytes: FLOAT * (kept + largest), largest_buffer_bytes: FLOAT * largest }
    }
}

#[cfg(test)]
#[path = "simtrot_tests.rs"]
mod tests;
