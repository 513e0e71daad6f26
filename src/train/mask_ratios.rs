//! What a mask ratio does to a trained encoder's views: the pretext task's loss without a step, and how the masked view's
//! tokens lie.

use super::TrainError;
use crate::config::RunConfig;
use crate::metrics::collapse::{ProbeTokens, gap, rankme};
use crate::model::{Encoder, Pass};
use crate::objective::{Objective as _, Pretext, restored_view};
use crate::protocol::MaskPoint;
use crate::sampling::{CaseSet, ViewBatch, ViewPlan, chosen};

/// A pre-trained network, and the volumes on which mask ratios are tried.
pub struct MaskTrial<'a> {
    /// The settings that it was trained with; the mask ratio among them is left aside.
    pub config: &'a RunConfig,
    /// Prepared volumes.
    pub cases: &'a CaseSet,
    /// For each draw, which of the volumes make its batch.
    pub draws: &'a [Vec<usize>],
    /// Volume to tokens.
    pub encoder: &'a Encoder,
    /// What was asked of them.
    pub pretext: &'a Pretext,
}

impl MaskTrial<'_> {
    /// Draw number `draw` at one mask ratio. Crops, texture and turns of a draw are the same at every ratio, so that the ratio
    /// alone makes the difference.
    ///
    /// None where the ratio hides nothing, unless it is 0 and the task needs nothing hidden.
    ///
    /// # Errors
    /// Views that do not fit the crop, or cases whose channels differ.
    ///
    /// # Panics
    /// If there is no such draw.
    pub fn point(&self, mask_ratio: f64, draw: usize) -> Result<Option<MaskPoint>, TrainError> {
        let Self { config, cases, draws, encoder, pretext } = *self;
        let mut settings = config.pretrain.clone();
        settings.mask_ratio = mask_ratio;
        let plan = ViewPlan::new(&settings, config.model.backbone().patch_size(), encoder.total_stride(), config.seed)?;
        let batch = plan.batch(&chosen(cases, &draws[draw]), draw as u64)?;
        let is_asked_to_hide = mask_ratio > 0.0 || settings.predicts_hidden();
        if is_asked_to_hide && !batch.views[0].mask.contains(&true) {
            return Ok(None);
        }
        let probe_set = masked_tokens(encoder, pretext, &batch);
        let loss = pretext.loss(encoder, &batch, Pass::EVALUATION).numbers();
        let compared = loss.part("positive_similarity").filter(|_| probe_set.projected);
        Ok(Some(MaskPoint {
            mask_ratio,
            draw,
            loss: loss.value,
            positive_similarity: compared,
            gap: gap(&probe_set.tokens),
            rankme: rankme(&probe_set.tokens),
        }))
    }
}

/// Tokens, and whether they are those that the loss compares.
struct Seen {
    tokens: ProbeTokens,
    projected: bool,
}

/// The tokens of the first view, which has hidden cells in every task, restored, where the loss sees them.
fn masked_tokens(encoder: &Encoder, pretext: &Pretext, batch: &ViewBatch) -> Seen {
    let (tokens, positions) = restored_view(encoder, batch, 0, Pass::EVALUATION);
    let projected = pretext.project(tokens.clone());
    let (is_projected, tokens) = (projected.is_some(), projected.unwrap_or(tokens));
    let [volumes, _, dim] = tokens.dims();
    let tokens = tokens.into_data().try_into_vec().expect("tokens are float32");
    Seen { tokens: ProbeTokens { volumes, crops: 1, positions, dim, tokens }, projected: is_projected }
}
