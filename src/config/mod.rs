//! The settings of a run: defaults, checks, RON in and out. No tensors.
//!
//! A config file states only what departs from the defaults. Every list of three is in D,H,W order:
//! slices first, as the arrays lie in memory.

mod check;
mod data;
mod differences;
mod experiment;
mod finetune;
mod groups;
mod model;
mod naming;
mod optimise;
mod parse;
mod pretext;
mod pretrain;
mod scoring;
mod unused;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use check::{Checker, ConfigProblem};
use check::{Settings as _, settings};
pub use data::{DataConfig, DataSource, Intensity, NNUNET_FOLDS, NonFinite, PreprocessConfig, SplitConfig, SyntheticConfig};
pub use differences::differing_settings;
pub use experiment::{Axis, Base, ExperimentConfig, Level, Training};
pub use finetune::{AugmentConfig, FinetuneConfig};
pub use groups::{Groups, patient};
pub(crate) use model::backbones;
pub use model::{
    BackboneConfig, EncoderDifference, MergingOrder, ModelConfig, NnFormerConfig, PatchProjection, PositionCode, Preset, PublishedTask,
    SwinUnetrConfig, UnetConfig, UnetrConfig,
};
pub use optimise::{OptimiserConfig, ScheduleConfig};
pub use parse::{ConfigError, value_to_ron};
pub(crate) use pretext::pretext_tasks;
pub use pretext::{Activation, IbotConfig, MaeConfig, PretextTask, ProjectorConfig, TaskViews, Weighting};
pub use pretrain::{PretrainConfig, Rotate, TextureConfig, hidden_cells};
pub use scoring::{Blending, DistanceUnit, EvaluateConfig, Hd95Convention, InferConfig, Precision, ProbeConfig};
pub use unused::require_used;

settings! {
    /// Everything that decides a run.
    pub struct RunConfig {
        /// Names the run's folder.
        name: String = "run".to_owned();
        /// Every random draw of the host is keyed by it.
        seed: u64 = 0;
        /// Volumes, split, preprocessing.
        data: DataConfig = DataConfig::default();
        /// The network.
        model: ModelConfig = ModelConfig::default();
        /// Training without labels.
        pretrain: PretrainConfig = PretrainConfig::default();
        /// Training with labels.
        finetune: FinetuneConfig = FinetuneConfig::default();
        /// Collapse metrics.
        probe: ProbeConfig = ProbeConfig::default();
        /// Sliding window.
        infer: InferConfig = InferConfig::default();
        /// Dice and HD95.
        evaluate: EvaluateConfig = EvaluateConfig::default();
        /// What `run` trains and compares.
        arms: ArmsConfig = ArmsConfig::default();
    }
}

/// What `run` trains and compares, each arm a departure from the config around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "naming::StatedArms")]
pub struct ArmsConfig {
    /// Pre-trainings, in order. Where fine-tunings alone are named: none.
    pub pretrain: Vec<Arm>,
    /// Fine-tunings, in order. Where pre-trainings alone are named: one from scratch, and one from each of these.
    pub finetune: Vec<Arm>,
}

/// One training of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Arm {
    /// Its name in tables and folders.
    pub name: String,
    /// Fine-tuning only: the pre-training arm whose encoder it starts from; none: from scratch.
    pub from: Option<String>,
    /// Fine-tuning only: a checkpoint from elsewhere whose encoder it starts from; with `finetune.whole_network` all of its weights.
    pub checkpoint: Option<PathBuf>,
    /// Settings that differ, written `key=value` as for `--set`.
    pub set: Vec<String>,
}

impl Default for ArmsConfig {
    /// SimTROT-W beside its from-scratch control.
    fn default() -> Self {
        Self::beside_scratch(&PretrainConfig::default().arm_name())
    }
}

impl RunConfig {
    /// All values that are out of range or contradict each other; those of the arms apart, which [`Self::arm_problems`] finds.
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let mut checker = Checker::default();
        self.data.check(&mut checker);
        let backbone = self.model.backbone();
        backbone.check(&mut checker);
        self.pretrain.check(&mut checker);
        self.finetune.check(&mut checker);
        self.probe.check_ranges("probe", &mut checker);
        self.infer.check_ranges("infer", &mut checker);
        self.evaluate.check_ranges("evaluate", &mut checker);
        self.arms.check(&mut checker);
        for (key, crop_size) in [("pretrain.crop_size", self.pretrain.crop_size), ("finetune.crop_size", self.finetune.crop_size)] {
            backbone.check_crop(key, crop_size, &mut checker);
        }
        let stride = backbone.total_stride();
        checker.require(
            "pretrain.crop_size",
            (0..3).all(|axis| self.pretrain.crop_size[axis].is_multiple_of(stride[axis])),
            format_args!(
                "is {:?}; each must be a multiple of {stride:?}, the voxels of one token of the last stage",
                self.pretrain.crop_size
            ),
        );
        self.pretrain.check_task(backbone.as_ref(), &mut checker);
        self.pretrain.check_stages(backbone.as_ref(), &mut checker);
        checker.folder_name(&self.name);
        checker.into_problems()
    }

    /// What keeps the config from pre-training, though it may fine-tune, and what it has trained may be used: a mask that hides nothing.
    pub fn pretraining_problems(&self) -> Vec<ConfigProblem> {
        let mut checker = Checker::default();
        self.pretrain.check_mask(self.model.backbone().as_ref(), &mut checker);
        checker.into_problems()
    }

    /// What is wrong with an arm's settings once they lie over the config, or keeps an arm from the encoder that it starts from.
    ///
    /// `pretraining` is what the arms are pre-trained with: this config, except where points of an experiment share a pre-training.
    pub fn arm_problems(&self, pretraining: &Self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, arm: &Arm, message: String| {
            problems.push(ConfigProblem { key: key.to_owned(), message: format!("arm {:?}: {message}", arm.name) });
        };
        let mut pretrained = Vec::new();
        for arm in &self.arms.pretrain {
            match pretraining.with_arm(arm) {
                Ok(config) => {
                    for ConfigProblem { key, message } in config.pretraining_problems() {
                        refuse("arms.pretrain", arm, format!("{key} {message}"));
                    }
                    pretrained.push((&arm.name, config));
                }
                Err(error) => refuse("arms.pretrain", arm, error.to_string()),
            }
        }
        for arm in &self.arms.finetune {
            let source = pretrained.iter().find(|(name, _)| arm.from.as_ref() == Some(name));
            match (self.with_arm(arm), source) {
                (Err(error), _) => refuse("arms.finetune", arm, error.to_string()),
                (Ok(config), _) if config.finetune.whole_network && arm.checkpoint.is_none() => {
                    let cause = "finetune.whole_network starts from all weights of a fine-tuned checkpoint, and this arm names none: give it one \
                                 (--from, or `checkpoint`), or leave the setting out";
                    refuse("arms.finetune", arm, cause.to_owned());
                }
                (Ok(config), Some((name, source))) => {
                    let places = [format!("in {name:?}, whose encoder it would start from,"), "here".to_owned()];
                    for difference in source.encoder_differences(&config) {
                        refuse("arms.finetune", arm, difference.describe([&places[0], &places[1]]));
                    }
                }
                (Ok(_), None) => {}
            }
        }
        problems
    }

    /// The settings in which the encoder that this config pre-trains computes otherwise than the one that `finetuning` fine-tunes.
    pub fn encoder_differences(&self, finetuning: &Self) -> Vec<EncoderDifference> {
        ModelConfig::encoder_differences([(&self.model, self.pretrain.crop_size), (&finetuning.model, finetuning.finetune.crop_size)])
    }

    /// This config with an arm's settings laid over it.
    ///
    /// # Errors
    /// An unknown key, a wrong type or a value out of range in [`Arm::set`].
    pub fn with_arm(&self, arm: &Arm) -> Result<Self, ConfigError> {
        self.laid_over(&arm.set, Self::with_setting)
    }

    /// The unit in which the distances of a fine-tuning arm are measured; the run's own for another name.
    pub fn distance_unit(&self, arm: &str) -> DistanceUnit {
        let own = self.arms.finetune.iter().find(|own| own.name == arm).and_then(|own| self.with_arm(own).ok());
        own.as_ref().unwrap_or(self).evaluate.distance_unit
    }

    /// The same with presets spelt out: what a run's folder keeps as `config.ron`.
    pub fn resolved(&self) -> Self {
        Self { model: self.model.resolve(), ..self.clone() }
    }
}

impl ArmsConfig {
    fn check(&self, checker: &mut Checker) {
        for (key, arms) in [("arms.pretrain", &self.pretrain), ("arms.finetune", &self.finetune)] {
            checker.distinct(key, arms.iter().map(|arm| &arm.name), |name| format!("arm name {name:?} stands twice"));
            for arm in arms {
                let plain = !arm.name.is_empty() && arm.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
                checker.require(key, plain, format_args!("arm name {:?} must be letters, digits, '_' or '-'", arm.name));
            }
        }
        for arm in &self.pretrain {
            let alone = arm.from.is_none() && arm.checkpoint.is_none();
            checker.require("arms.pretrain", alone, format_args!("arm {:?}: only a fine-tuning starts from an encoder", arm.name));
        }
        for arm in &self.finetune {
            let one = arm.from.is_none() || arm.checkpoint.is_none();
            checker.require("arms.finetune", one, format_args!("arm {:?} starts from two encoders: from and checkpoint", arm.name));
            if let Some(from) = &arm.from {
                let known = self.pretrain.iter().any(|other| &other.name == from);
                checker.require(
                    "arms.finetune",
                    known,
                    format_args!("arm {:?} starts from {from:?}, which is not among arms.pretrain", arm.name),
                );
            }
        }
    }
}
