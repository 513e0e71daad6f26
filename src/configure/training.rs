//! How long is trained, and by which step rule.

use super::error::ConfigureError;
use super::probing::{ProbeSize, Probing};
use super::request::{Limits, Request};
use super::sizes::Sizes;
use super::text::Choice;
use super::time::{Allowed, LEAST_STEPS, Measured, SENSIBLE_STEPS, Test};
use crate::config::{OptimiserConfig, RunConfig, ScheduleConfig};
use crate::wording::duration;

/// Fine-tuning steps on a GPU: nnU-Net's 1000 epochs of 250 batches.
const STEPS_ON_GPU: usize = 250_000;
/// Fine-tuning steps on the CPU.
const STEPS_ON_CPU: usize = 5_000;
/// Epochs of pre-training on a GPU: the paper's.
const PRETRAINING_EPOCHS: usize = 1_000;
/// Least steps of pre-training on a GPU, and all on the CPU.
const PRETRAINING_STEPS: usize = 2_000;

/// The step rule that memory is planned for.
pub fn planned_rule(on_gpu: bool, request: &Request) -> RunConfig {
    let mut config = RunConfig::default();
    // The time decides the rule later: AdamW keeps more.
    if !on_gpu || request.time_secs.is_some() {
        config.finetune.optimiser = OptimiserConfig::adam_w(3e-5);
    }
    config
}

/// Steps of both kinds of training with their reasons, and the step rule of fine-tuning.
pub struct Training {
    /// Steps of a pre-training, and why.
    pub pretrain: (usize, String),
    /// Steps of a fine-tuning, and why.
    pub finetune: (usize, String),
    optimiser: OptimiserConfig,
    schedule: ScheduleConfig,
    rule: &'static str,
    /// Measurements of collapse, where a time decides on them.
    pub probing: Option<Probing>,
    /// What the time does not allow.
    pub hint: Option<String>,
}

impl Training {
    /// On a GPU or a CPU, for `volumes` that pre-train, within the time that the request and the measured steps allow.
    ///
    /// # Errors
    /// A time that allows no training.
    pub fn plan(
        (on_gpu, volumes): (bool, usize),
        sizes: &Sizes,
        work: (&Test, Option<ProbeSize>),
        (request, limits): (&Request, &Limits),
    ) -> Result<Self, ConfigureError> {
        let batch = sizes.pretrain.map_or(1, |pretrain| pretrain.batch);
        let epochs = (PRETRAINING_EPOCHS * volumes / batch).clamp(PRETRAINING_STEPS, STEPS_ON_GPU);
        let (mut pretrain, mut finetune) = if on_gpu {
            let paper = format!(
                "the paper's {PRETRAINING_EPOCHS} epochs of {volumes} volumes, kept to {PRETRAINING_STEPS} to {STEPS_ON_GPU} steps"
            );
            ((epochs, paper), (STEPS_ON_GPU, "nnU-Net's 1000 epochs of 250 batches".to_owned()))
        } else {
            let start =
                "a starting point for a CPU; `simtrot plan` measures how long it takes, and `configure --time` fits a time".to_owned();
            let long = format!("{start}. nnU-Net's {STEPS_ON_GPU} take too long there");
            ((PRETRAINING_STEPS, start), (STEPS_ON_CPU, long))
        };
        let (mut hint, mut probing) = (None, None);
        if let (Some(secs), Some(measured)) = (request.time_secs, &limits.measured) {
            let allowed = measured.divide(secs, work, [epochs, STEPS_ON_GPU]);
            hint = check((measured, work), secs, &allowed, sizes)?;
            probing = allowed.probing;
            pretrain = (allowed.pretrain, measured.pretrain_reason(secs));
            finetune = (allowed.finetune, measured.finetune_reason(secs, &allowed));
        }
        let steps = finetune.0;
        let usual = RunConfig::default().finetune;
        let (optimiser, schedule, rule) = if on_gpu && request.time_secs.is_none() {
            (usual.optimiser, usual.schedule, "nnU-Net's step rule")
        } else {
            let rule = "AdamW: in a training shorter than nnU-Net's its SGD lies behind it (the demo compares them)";
            (OptimiserConfig::adam_w(3e-5), ScheduleConfig::warmup_cosine(steps), rule)
        };
        Ok(Self { pretrain, finetune, optimiser, schedule, rule, probing, hint })
    }

    /// Whether fine-tuning steps by AdamW.
    pub fn is_adamw(&self) -> bool {
        matches!(self.optimiser, OptimiserConfig::AdamW { .. })
    }

    /// The step rule of fine-tuning with its reason.
    pub fn rule_choices(&self) -> [Choice; 2] {
        [
            Choice::new("finetune.optimiser", &self.optimiser, self.rule),
            Choice::new("finetune.schedule", &self.schedule, "the schedule that goes with it"),
        ]
    }
}

/// Refuses a time that allows no training, and says where it allows a short one only.
fn check(
    (measured, work): (&Measured, (&Test, Option<ProbeSize>)),
    secs: f64,
    allowed: &Allowed,
    sizes: &Sizes,
) -> Result<Option<String>, ConfigureError> {
    let given = duration(secs);
    let crops = |crops, size: [usize; 3]| format!("{crops} crops of {} a step", size.map(|edge| edge.to_string()).join("x"));
    let of_pretrain = || sizes.pretrain.map_or_else(String::new, |own| crops(own.batch, own.crop_size));
    let pretrain = measured.pretrain_secs.map(|step_secs| ("pre-training", step_secs, allowed.pretrain, of_pretrain()));
    let of_finetune = || crops(sizes.crops_of_step(), sizes.network.crop_size);
    let finetune = measured.finetune_secs.map(|step_secs| ("fine-tuning", step_secs, allowed.finetune, of_finetune()));
    // What fine-tuning needs decides on the crops, where there is any.
    let deciding = finetune.clone().or_else(|| pretrain.clone());
    if let Some((kind, step_secs, steps, crops)) = pretrain.into_iter().chain(finetune).find(|&(_, _, steps, _)| steps < LEAST_STEPS) {
        let test = if allowed.test_secs > 0.0 { format!(", and each test about {}", duration(allowed.test_secs)) } else { String::new() };
        let probing = allowed.probing.map_or_else(String::new, |probing| {
            format!(", and measuring collapse about {} in each pre-training", duration(probing.sum_secs()))
        });
        let step = format!("a step of {kind}, {crops}, takes {step_secs:.3} s, {}{test}{probing}", measured.place);
        let enough = measured.enough(secs, work);
        return Err(ConfigureError::Time { given, step, steps, least: LEAST_STEPS, enough });
    }
    let even = if sizes.least { "even " } else { "" };
    let smallest = if sizes.least { ", the smallest that are planned" } else { "" };
    Ok(deciding.filter(|&(_, _, steps, _)| steps < SENSIBLE_STEPS).map(|(kind, _, steps, crops)| {
        format!(
            "{given} allow {steps} steps of {kind} only, {even}with {crops}{smallest}: a first look, no result. Give more time, or another device"
        )
    }))
}
