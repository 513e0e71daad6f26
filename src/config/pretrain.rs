//! Pre-training: the views, the pretext task, and the loop.

use serde::{Deserialize, Serialize};

use super::check::{Checker, Settings as _, settings};
use super::model::BackboneConfig;
use super::pretext::{IbotConfig, MaeConfig, PretextTask, ProjectorConfig, Weighting};
use super::{OptimiserConfig, ScheduleConfig};

/// Tokens of both views that may be compared with each other at a stage before the last: 4 GiB of similarities.
const MOST_ANCHORS: usize = 1 << 15;

/// How many of so many mask cells are hidden in each volume: `floor(ratio * cells)` (METHOD: step 3).
pub fn hidden_cells(ratio: f64, cells: usize) -> usize {
    (ratio * cells as f64).floor() as usize
}

settings! {
    /// Pre-training without labels, by default by token-level contrast with rotate-and-restore (METHOD: "one pre-training step").
    ///
    /// The paper's ablation switches are values: `mask_ratio: 0`, `rotate: off`, `weight: 1`.
    pub struct PretrainConfig {
        /// What the network is asked.
        task: PretextTask = PretextTask::Simtrot;
        /// Optimiser steps.
        steps: usize = 1000, in 1..=100_000_000;
        /// Volumes of one batch, all from different cases.
        batch: usize = 2, in 1..=1024;
        /// Batches whose gradients are added before one optimiser step.
        accumulate: usize = 1, in 1..=1024;
        /// Voxels of a crop along D,H,W.
        crop_size: [usize; 3] = [32, 32, 32], in 4..=1024;
        /// Intensity changes, drawn for each view.
        texture: TextureConfig = TextureConfig::default();
        /// Share of mask cells hidden in the masked view; 0 switches masking off. RCR cuts out cells of both views.
        mask_ratio: f64 = 0.75, in 0.0..=0.99;
        /// Voxels of a mask cell along D,H,W. None: one token of the last stage.
        mask_patch: Option<[usize; 3]> = None;
        /// How the other view is rotated; off switches rotation off.
        rotate: Rotate = Rotate::Full;
        /// w of eq. 3: how often a token of the same position in another volume counts; 1 is eq. 1.
        weight: f64 = 5.0, in 1e-3..=1e4;
        /// How `weight` enters the contrast.
        weighting: Weighting = Weighting::Term;
        /// Temperature tau of the similarities (SimTROT, SimCLR, RCR).
        temperature: f64 = 0.5, in 1e-3..=100.0;
        /// The contrast is taken on the tokens of the last so many encoder stages, by a projector for each, and averaged (SimTROT).
        /// 1 is the paper's.
        token_stages: usize = 1;
        /// Tells the projector how a view was rotated, by a learned vector for each rotation, so that tokens may keep which way up their
        /// blocks lay (SimTROT). Off is the paper's.
        rotation_code: bool = false;
        /// The masked view's hidden voxels are predicted from its tokens as well, as by SimMIM, and their mean absolute error times this
        /// is added to the contrast (SimTROT). 0 is the paper's: the contrast alone.
        reconstruction_weight: f64 = 0.0, in 0.0..=1e4;
        /// What the slowly moving copy keeps of itself at each step (B-TROT, BYOL, iBOT).
        target_momentum: f64 = 0.99, in 0.0..=1.0;
        /// iBOT's prototypes, temperatures and centre.
        ibot: IbotConfig = IbotConfig::default();
        /// MAE's decoder.
        mae: MaeConfig = MaeConfig::default();
        /// The MLP between tokens, or whole volumes, and loss.
        projector: ProjectorConfig = ProjectorConfig::default();
        /// Step rule.
        optimiser: OptimiserConfig = OptimiserConfig::Sgd { lr: 1e-4, momentum: 0.99, weight_decay: 0.0 };
        /// Learning rate over the steps.
        schedule: ScheduleConfig = ScheduleConfig::Constant;
        /// Gradients are scaled down to this global L2 norm.
        clip_norm: Option<f64> = Some(12.0), in 1e-6..=1e6;
        /// Steps between collapse measurements.
        probe_every: usize = 200, in 1..=100_000_000;
        /// Steps between saves of `checkpoints/last`; 0: by minutes only.
        checkpoint_every: usize = 200;
        /// Minutes between saves of `checkpoints/last`; 0: by steps only.
        checkpoint_minutes: f64 = 10.0, in 0.0..=100_000.0;
    }
}

settings! {
    /// Ranges of the intensity changes of a view (METHOD, step 2).
    pub struct TextureConfig {
        /// Probability of Gaussian noise.
        noise_p: f64 = 0.5, in 0.0..=1.0;
        /// Its standard deviation is drawn from 0 to this.
        noise_std: f64 = 0.1, in 0.0..=10.0;
        /// Probability of Gibbs (ringing) noise.
        gibbs_p: f64 = 0.5, in 0.0..=1.0;
        /// Its alpha is drawn from 0 to this, at most 1.
        gibbs_alpha: f64 = 1.0, in 0.0..=1.0;
        /// Probability of scaling `v * (1 + f)`.
        scale_p: f64 = 0.1, in 0.0..=1.0;
        /// f is drawn from -this to this.
        scale: f64 = 0.1, in 0.0..=10.0;
        /// Probability of shifting `v + o`.
        shift_p: f64 = 0.1, in 0.0..=1.0;
        /// o is drawn from -this to this.
        shift: f64 = 0.1, in 0.0..=10.0;
    }
}

/// The group from which a view's rotation is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotate {
    /// No rotation: the ablation.
    #[serde(alias = "Off", alias = "false", alias = "none")]
    Off,
    /// The paper's: four rotations in the H,W plane times flips.
    #[serde(alias = "InPlane")]
    InPlane,
    /// All signed axis permutations that keep crop and token grid: up to 48.
    #[serde(alias = "Full", alias = "true")]
    Full,
}

impl PretrainConfig {
    /// Whether hidden voxels are predicted beside SimTROT's contrast.
    pub fn reconstructs(&self) -> bool {
        self.task == PretextTask::Simtrot && self.reconstruction_weight > 0.0
    }

    /// Whether something predicts what masking hides, and so asks for something hidden: the task, or what is beside its contrast.
    pub fn predicts_hidden(&self) -> bool {
        self.task.predicts_hidden() || self.reconstructs()
    }

    /// Refuses a task that this backbone or these views cannot serve.
    pub(super) fn check_task(&self, backbone: &dyn BackboneConfig, checker: &mut Checker) {
        let title = self.task.title(self.weight);
        if self.task == PretextTask::Mae {
            checker.require(
                "pretrain.task",
                backbone.takes_visible_patches(),
                format_args!(
                    "MAE shows the encoder the visible patches alone, and {} is hierarchical: without the hidden patches its windows and \
                     coarser stages cannot be formed. Take simmim, which keeps them, or UNETR",
                    backbone.title()
                ),
            );
            checker.require(
                "pretrain.mask_patch",
                self.mask_patch.is_none_or(|patch| patch == backbone.total_stride()),
                format_args!("MAE hides whole patches of {:?} voxels; leave mask_patch out", backbone.total_stride()),
            );
        }
        if self.task == PretextTask::Ibot {
            let token = backbone.total_stride();
            let is_whole = |patch: [usize; 3]| (0..3).all(|axis| patch[axis].is_multiple_of(token[axis]));
            checker.require(
                "pretrain.mask_patch",
                self.mask_patch.is_none_or(is_whole),
                format_args!("iBOT hides whole tokens of {token:?} voxels: take a multiple of that, or leave mask_patch out"),
            );
        }
        let predicts = if self.reconstructs() { "pretrain.reconstruction_weight" } else { title };
        checker.require(
            "pretrain.mask_ratio",
            self.mask_ratio > 0.0 || !self.predicts_hidden(),
            format_args!("is 0, and {predicts} asks for what is hidden: allowed is above 0 to 0.99"),
        );
        let [_, height, width] = self.crop_size;
        checker.require(
            "pretrain.crop_size",
            self.task != PretextTask::Rcr || height == width,
            format_args!("is {:?}; RCR rotates crops by quarters in the H,W plane: make the last two numbers equal", self.crop_size),
        );
    }

    /// Mask cells of a crop for tokens of `token` voxels; none where cells do not fill the crop.
    pub fn mask_cells(&self, token: [usize; 3]) -> Option<usize> {
        let cell = self.mask_patch.unwrap_or(token);
        let fits = |axis: usize| cell[axis] > 0 && self.crop_size[axis].is_multiple_of(cell[axis]);
        (0..3).all(fits).then(|| (0..3).map(|axis| self.crop_size[axis] / cell[axis]).product())
    }

    /// Refuses a mask that is on and hides nothing: a task that predicts what is hidden would train on a loss of 0, and the others
    /// without the mask that their settings name.
    pub(super) fn check_mask(&self, backbone: &dyn BackboneConfig, checker: &mut Checker) {
        let ratio = self.mask_ratio;
        let Some(cells) = self.mask_cells(backbone.total_stride()).filter(|_| ratio > 0.0) else { return };
        let cell = self.mask_patch.unwrap_or_else(|| backbone.total_stride());
        let off = if self.predicts_hidden() { "" } else { ", or 0, which switches masking off" };
        // Rounded up, so that the number that is named hides a cell.
        let least = (1e4 / cells as f64).ceil() / 1e4;
        let remedy = match cells {
            1 => format!("take a larger crop or smaller cells{off}"),
            _ => format!("allowed is {least} to 0.99{off}"),
        };
        checker.require(
            "pretrain.mask_ratio",
            hidden_cells(ratio, cells) > 0,
            format_args!(
                "is {ratio}, and {ratio} of {cells} {} of {cell:?} voxels hides none: {remedy}",
                if cells == 1 { "cell" } else { "cells" }
            ),
        );
    }

    /// Refuses a contrast of several stages that the task does not have, that rotations would scramble, or that is too large.
    pub(super) fn check_stages(&self, backbone: &dyn BackboneConfig, checker: &mut Checker) {
        let key = "pretrain.token_stages";
        let strides = backbone.stage_strides();
        checker.within(key, &self.token_stages, 1..=strides.len().max(1));
        if self.token_stages == 1 || !(1..=strides.len()).contains(&self.token_stages) {
            return;
        }
        checker.require(
            key,
            self.task == PretextTask::Simtrot,
            format_args!(
                "is {}, and {} {}: allowed is 1",
                self.token_stages,
                self.task.title(self.weight),
                if matches!(self.task, PretextTask::BTrot | PretextTask::Ibot) {
                    "has targets for the last stage alone"
                } else {
                    "contrasts no tokens"
                }
            ),
        );
        let axes: &[[usize; 2]] = match self.rotate {
            Rotate::Off => &[],
            Rotate::InPlane => &[[1, 2]],
            Rotate::Full => &[[0, 1], [0, 2], [1, 2]],
        };
        let Some((last, finer)) = strides.split_last() else { return };
        let before = finer.len() + 1 - self.token_stages;
        for (stage, stride) in finer.iter().enumerate().skip(before) {
            let alike = |sizes: &[usize; 3], [a, b]: [usize; 2]| sizes[a] == sizes[b];
            // Rotations exchange axes on which crop, first patch and last tokens agree; flips keep every axis.
            let exchanged = |&&axes: &&[usize; 2]| [&self.crop_size, &strides[0], last].into_iter().all(|sizes| alike(sizes, axes));
            let fits = axes.iter().filter(exchanged).all(|&axes| alike(stride, axes));
            checker.require(
                key,
                fits,
                format_args!(
                    "takes in stage {}, whose tokens are {stride:?} voxels: rotations that exchange axes of the last stage would \
                     scramble them. Take fewer stages, or set pretrain.rotate to off, or to in_plane, which leaves D alone",
                    stage + 1
                ),
            );
            let tokens: usize = std::array::from_fn::<_, 3, _>(|axis| self.crop_size[axis].div_ceil(stride[axis].max(1))).iter().product();
            let anchors = 2 * self.batch * tokens;
            checker.require(
                key,
                anchors <= MOST_ANCHORS,
                format_args!(
                    "takes in stage {}: {anchors} tokens of two views would be compared with each other; allowed is {MOST_ANCHORS}. Take \
                     fewer stages, a smaller batch or crop",
                    stage + 1
                ),
            );
        }
    }

    pub(super) fn check(&self, checker: &mut Checker) {
        self.check_ranges("pretrain", checker);
        self.texture.check_ranges("pretrain.texture", checker);
        self.ibot.check_ranges("pretrain.ibot", checker);
        self.mae.check_ranges("pretrain.mae", checker);
        checker.heads("pretrain.mae.heads", "", self.mae.heads, self.mae.dim);
        self.optimiser.check("pretrain.optimiser", checker);
        if let Some(patch) = self.mask_patch {
            let fits = (0..3).all(|axis| patch[axis] > 0 && self.crop_size[axis].is_multiple_of(patch[axis]));
            checker.require("pretrain.mask_patch", fits, format_args!("{patch:?} does not divide crop_size {:?}", self.crop_size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hidden_cells;
    use crate::config::{Arm, PretextTask, RunConfig};

    fn problems(settings: &[&str]) -> String {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let checked = RunConfig::default().with_overrides(&settings).and_then(|config| config.check_pretraining());
        checked.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_mask_that_hides_nothing_is_refused_in_every_task_with_the_numbers() {
        for task in PretextTask::ALL {
            let preset = if task == PretextTask::Mae { "unetr_small" } else { "nnformer_small" };
            let network = [format!("model.preset={preset}"), format!("pretrain.task={task}")];
            let with = |ratio: f64| problems(&[&network[0], &network[1], &format!("pretrain.mask_ratio={ratio}")]);
            for ratio in [0.001, 0.01, 0.0156] {
                let error = with(ratio);
                assert!(error.contains(&format!("is {ratio}, and {ratio} of 64 cells of [8, 8, 8] voxels hides none")), "{task}: {error}");
                assert!(error.contains("allowed is 0.0157 to 0.99"), "{task}: {error}");
                assert_eq!(error.contains("or 0, which switches masking off"), !task.predicts_hidden(), "{task}: {error}");
            }
            for ratio in [0.0157, 0.02, 0.99] {
                assert_eq!(with(ratio), "", "{task}: {ratio}");
            }
            assert_eq!(with(0.0).is_empty(), !task.predicts_hidden(), "0 switches masking off where nothing hidden is predicted: {task}");
        }
    }

    #[test]
    fn hidden_voxels_beside_the_contrast_ask_for_a_mask() {
        let [weight, unmasked, thin] = ["pretrain.reconstruction_weight=0.5", "pretrain.mask_ratio=0", "pretrain.mask_ratio=0.01"];
        assert_eq!(problems(&[weight]), "");
        assert_eq!(problems(&[weight, unmasked, "pretrain.task=b_trot"]), "", "which does not read it");
        let error = problems(&[weight, unmasked]);
        assert!(error.contains("is 0, and pretrain.reconstruction_weight asks for what is hidden"), "{error}");
        let error = problems(&[weight, thin]);
        assert!(error.contains("hides none") && !error.contains("switches masking off"), "{error}");
        let error = problems(&["pretrain.reconstruction_weight=-1"]);
        assert!(error.contains("pretrain.reconstruction_weight") && error.contains("is -1; allowed is 0 to 10000"), "{error}");
    }

    #[test]
    fn cells_are_counted_as_they_are_cut_and_the_least_ratio_named_hides_one() {
        let cells = "pretrain.mask_patch=[16,16,16]";
        assert!(problems(&[cells, "pretrain.mask_ratio=0.1"]).contains("0.1 of 8 cells of [16, 16, 16] voxels hides none"));
        assert_eq!(problems(&[cells, "pretrain.mask_ratio=0.125"]), "");
        let one = problems(&["pretrain.mask_patch=[32,32,32]", "pretrain.mask_ratio=0.99"]);
        assert!(one.contains("0.99 of 1 cell of") && one.contains("take a larger crop or smaller cells"), "{one}");
        for count in 2..5000 {
            let least = (1e4 / count as f64).ceil() / 1e4;
            assert!(hidden_cells(least, count) >= 1, "{least} of {count}");
        }
    }

    #[test]
    fn an_arm_whose_mask_hides_nothing_is_refused_by_name() {
        let mut run = RunConfig::default();
        let set = vec!["pretrain.mask_ratio=0.01".to_owned()];
        run.arms.pretrain.push(Arm { name: "thin".to_owned(), set, ..Arm::default() });
        let error = run.check_arms(&run).unwrap_err().to_string();
        assert!(error.contains("\"thin\"") && error.contains("0.01 of 64 cells"), "{error}");
    }
}
