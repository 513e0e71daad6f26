//! What the worker tells, in the order in which it happens. Numbers and small vectors only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Environment;
use crate::config::RunConfig;
use crate::metrics::collapse::Collapse;
use crate::metrics::score::CaseScore;

/// An event with the moment it happened: one line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Seconds at work since the job began, earlier sessions included; pauses do not count.
    #[serde(rename = "at_secs")]
    pub secs: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What a stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Reading and preparing volumes.
    Prepare,
    /// Training without labels.
    Pretrain,
    /// Training with labels.
    Finetune,
    /// Segmenting and scoring the test cases.
    Test,
    /// Segmenting volumes on request.
    Infer,
    /// Measuring a checkpoint's tokens.
    Probe,
    /// Measuring a checkpoint under mask ratios.
    MaskRatios,
    /// Measuring cases to rank them for labelling.
    NextCase,
}

impl std::fmt::Display for StageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prepare => "prepare",
            Self::Pretrain => "pretrain",
            Self::Finetune => "finetune",
            Self::Test => "test",
            Self::Infer => "infer",
            Self::Probe => "probe",
            Self::MaskRatios => "mask ratios",
            Self::NextCase => "next case",
        })
    }
}

impl StageKind {
    /// Optimiser steps of a training of this kind: a pre-training, or else a fine-tuning.
    pub fn steps(self, config: &RunConfig) -> usize {
        if self == Self::Pretrain { config.pretrain.steps } else { config.finetune.steps }
    }

    /// The setting that says how many volumes a batch of such a training has, and its value.
    pub fn batch(self, config: &RunConfig) -> (&'static str, usize) {
        if self == Self::Pretrain { ("pretrain.batch", config.pretrain.batch) } else { ("finetune.batch", config.finetune.batch) }
    }
}

/// A part of a job: what is done, and for which arm of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stage {
    /// What it does.
    pub kind: StageKind,
    /// The arm; empty where there is only one.
    pub arm: String,
}

impl From<StageKind> for Stage {
    /// The stage of a job that has no arms.
    fn from(kind: StageKind) -> Self {
        Self { kind, arm: String::new() }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, arm } = self;
        if arm.is_empty() { write!(f, "{kind}") } else { write!(f, "{kind} {arm}") }
    }
}

/// Collapse numbers of the two places where tokens are looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollapsePair {
    /// After the projector, where the loss sees them; none where the pretext task compares no tokens.
    pub projected: Option<Collapse>,
    /// Before it, as handed to fine-tuning.
    pub encoder: Collapse,
}

impl CollapsePair {
    /// Where the loss sees the tokens, or else as they leave the encoder.
    pub fn seen(&self) -> &Collapse {
        self.projected.as_ref().unwrap_or(&self.encoder)
    }
}

/// The numbers of one optimiser step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepNumbers {
    /// Steps done, this one included.
    pub step: usize,
    /// Training loss.
    pub loss: f64,
    /// Its parts and by-products, for example `dice`, `cross_entropy`, `positive_similarity`.
    pub parts: BTreeMap<String, f64>,
    /// Learning rate of the step.
    pub lr: f64,
    /// Global L2 norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Seconds of the step, waiting for data included.
    pub step_secs: f64,
    /// Volumes processed each second.
    pub volumes_per_sec: f64,
    /// Resident memory of the process, if the system tells.
    pub resident_mib: Option<f64>,
}

/// What became of a checkpoint's tensors when its encoder was taken over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TransferReport {
    /// Loaded: name and shape.
    pub matched: Vec<(String, Vec<usize>)>,
    /// In the new network but not in the checkpoint: freshly initialised.
    pub missing: Vec<(String, Vec<usize>)>,
    /// In the checkpoint but not in the new network: left behind.
    pub skipped: Vec<(String, Vec<usize>)>,
}

impl TransferReport {
    /// What was taken over: where nothing of the new network is fresh, all of it.
    pub fn what(&self) -> &'static str {
        if self.missing.is_empty() { "network" } else { "encoder" }
    }
}

/// What one draw of masks does to a checkpoint's views at one mask ratio: a point of the what-if curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskPoint {
    /// Share of hidden mask cells.
    pub mask_ratio: f64,
    /// Which draw, from 0.
    pub draw: usize,
    /// The pretext task's loss, without an optimiser step.
    pub loss: f64,
    /// Mean cosine of a token and its counterpart in the other view; none where the task compares no tokens.
    pub positive_similarity: Option<f64>,
    /// `gap` of the masked views' tokens.
    pub gap: Option<f64>,
    /// Effective rank of the masked views' tokens.
    pub rankme: Option<f64>,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something to look at.
    Warning,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All done.
    Completed,
    /// Stopped on request, with a checkpoint saved where there was something to save.
    Stopped,
    /// Ended by an error.
    Failed {
        /// Cause and next step, for a person.
        message: String,
        /// Whether the input or the config was at fault rather than the program or the device.
        bad_input: bool,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The job began.
    Started {
        /// Version of this format.
        schema: u32,
        /// Name of the run.
        name: String,
        /// Program, device, machine.
        environment: Environment,
        /// Class names in the order of the class indices, background first.
        classes: Vec<String>,
    },
    /// Something a person should know.
    Notice {
        /// How much it matters.
        severity: Severity,
        /// One or two sentences.
        text: String,
    },
    /// A stage began.
    StageStarted {
        /// Which.
        stage: Stage,
        /// Units of work: optimiser steps, cases.
        total: usize,
        /// Units done in an earlier session of a resumed run.
        done: usize,
    },
    /// Units done in a stage without optimiser steps.
    Progress {
        /// Which.
        stage: Stage,
        /// Units done so far.
        done: usize,
        /// Units in all.
        total: usize,
    },
    /// An optimiser step.
    Step {
        /// Which.
        stage: Stage,
        /// Its numbers.
        #[serde(flatten)]
        numbers: StepNumbers,
    },
    /// Collapse numbers on the probe set.
    Probe {
        /// Which.
        stage: Stage,
        /// Steps done when it was taken; 0 is the untrained encoder.
        step: usize,
        /// The numbers.
        collapse: Box<CollapsePair>,
    },
    /// Collapse numbers of a reference: `untrained`, `constant`, `noise`.
    Baseline {
        /// Its name.
        name: String,
        /// The numbers.
        collapse: Box<CollapsePair>,
    },
    /// A point of the what-if curve over mask ratios.
    MaskPoint {
        /// Which.
        stage: Stage,
        /// Its numbers.
        #[serde(flatten)]
        point: MaskPoint,
    },
    /// Dice on the validation cases.
    Validation {
        /// Which.
        stage: Stage,
        /// Steps done.
        step: usize,
        /// Mean over cases and labels.
        dice_mean: f64,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Which.
        stage: Stage,
        /// Steps done.
        step: usize,
        /// Folder, relative to the run's.
        path: String,
        /// Whether it is the best so far instead of the last.
        best: bool,
    },
    /// An encoder was taken over.
    Transfer {
        /// Into which stage.
        stage: Stage,
        /// Which checkpoint it came from.
        from: String,
        /// Its tensors.
        report: TransferReport,
    },
    /// A test case was segmented and scored.
    Scored {
        /// Which.
        stage: Stage,
        /// The case.
        case: String,
        /// One entry for each label and region.
        scores: Vec<CaseScore>,
    },
    /// What a stage had done no longer holds and is forgotten: it rested on a training that has gone on since, or on other settings.
    Voided {
        /// Which.
        stage: Stage,
    },
    /// A stage ended.
    StageFinished {
        /// Which.
        stage: Stage,
        /// Seconds at work that it took in this session.
        secs: f64,
    },
    /// The job ended.
    Finished {
        /// How.
        outcome: Outcome,
    },
}

impl Event {
    /// Whether the event may be dropped when a front end lags; the worker's own record keeps every one.
    pub fn may_be_dropped(&self) -> bool {
        matches!(self, Self::Step { .. } | Self::Probe { .. } | Self::Progress { .. })
    }
}
