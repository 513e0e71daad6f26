//! Steps of a config's trainings, measured on made-up batches: nothing is prepared, read or kept.

use std::fmt;

use super::error::ConfigureError;
use super::rules::Configuration;
use super::time::Measured;
use crate::bench::{Noise, probe_secs, step_secs};
use crate::config::ExperimentConfig;
use crate::device::Opened;
use crate::experiment::Experiment;
use crate::protocol::StageKind;
use crate::wording::duration;

/// A kind of step that is measured, or was; or a measurement of collapse.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// `Pretrain` or `Finetune`; or `Probe`.
    pub kind: StageKind,
    /// Voxels of a crop along D,H,W.
    pub crop_size: [usize; 3],
    /// Crops of a step, or of a measurement of collapse.
    pub crops: usize,
    /// On which device, as a person says it.
    pub device: String,
    /// Seconds of a step; none while it is measured.
    pub secs: Option<f64>,
}

/// Shown what is measured, before and after; asked after each step whether to go on.
pub type Watch<'a> = dyn FnMut(&Measurement) -> bool + 'a;

impl Measurement {
    fn of(kind: StageKind, made: &Configuration, device: &Opened) -> Self {
        let (crop_size, crops) = match (kind, &made.config.pretrain, &made.config.finetune) {
            (StageKind::Probe, own, _) => (own.crop_size, made.probe.map_or(0, |probe| probe.sent())),
            (StageKind::Pretrain, own, _) => (own.crop_size, own.batch * own.accumulate),
            (_, _, own) => (own.crop_size, own.batch * own.accumulate),
        };
        let device = if device.description.adapter.is_none() { "the CPU".to_owned() } else { device.description.name.clone() };
        Self { kind, crop_size, crops, device, secs: None }
    }
}

impl fmt::Display for Measurement {
    /// `a fine-tuning step on crops of 40x56x40, 9 a step: 5.3 s on the CPU`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, crop_size, crops, device, secs } = self;
        let crop = crop_size.map(|edge| edge.to_string()).join("x");
        match kind {
            StageKind::Probe => write!(f, "a measurement of collapse on crops of {crop}, {crops} in all")?,
            StageKind::Pretrain => write!(f, "a pre-training step on crops of {crop}, {crops} a step")?,
            _ => write!(f, "a fine-tuning step on crops of {crop}, {crops} a step")?,
        }
        match secs {
            Some(secs) if *secs < 0.95 => write!(f, ": {secs:.3} s on {device}"),
            Some(secs) => write!(f, ": {} on {device}", duration(*secs)),
            None => Ok(()),
        }
    }
}

/// Measures a step of each kind of a config's trainings on `device`, each within its share of `secs`. Trainings of a kind differ in weights
/// alone, which cost nothing.
///
/// # Errors
/// A device that fails, or a `watch` that says no.
pub fn measure(made: &Configuration, device: &Opened, secs: f64, watch: &mut Watch<'_>) -> Result<Measured, ConfigureError> {
    let experiment = Experiment::new(ExperimentConfig::of_run(made.config.clone()), Default::default())?;
    let number = |kind| experiment.trainings.iter().filter(|plan| plan.kind == kind).count();
    let [pretrainings, finetunings] = [StageKind::Pretrain, StageKind::Finetune].map(number);
    let kinds = usize::from(pretrainings > 0) + usize::from(finetunings > 0);
    let noise = noise(made);
    let mut step = |kind, trainings: usize| {
        if trainings == 0 {
            return Ok(None);
        }
        let mut measurement = Measurement::of(kind, made, device);
        if !watch(&measurement) {
            return Err(ConfigureError::Stopped);
        }
        let found = step_secs((kind, &made.config), noise, &device.device, secs / kinds as f64, &mut || watch(&measurement));
        let found = found.map_err(|cause| ConfigureError::Measuring { what: measurement.to_string(), cause })?;
        measurement.secs = Some(found.ok_or(ConfigureError::Stopped)?);
        watch(&measurement);
        Ok(measurement.secs)
    };
    Ok(Measured {
        pretrain_secs: step(StageKind::Pretrain, pretrainings)?,
        finetune_secs: step(StageKind::Finetune, finetunings)?,
        probe_secs: None,
        pretrainings,
        finetunings,
        place: format!("measured on {} on {}", device.description.name, jiff::Timestamp::now().strftime("%Y-%m-%d")),
    })
}

/// Seconds of a measurement of collapse by a config's pre-training on `device`. None where there is none, and where its forward passes alone
/// would take longer than `secs`: then they are nearly all of it, and are counted.
///
/// # Errors
/// A device that fails, or a `watch` that says no.
pub fn measure_probe(made: &Configuration, device: &Opened, secs: f64, watch: &mut Watch<'_>) -> Result<Option<f64>, ConfigureError> {
    let step_secs = made.limits.measured.as_ref().and_then(|measured| measured.pretrain_secs);
    let Some((probe, _)) = made.probe.zip(step_secs).filter(|(probe, step_secs)| probe.forward_secs(*step_secs) <= secs) else {
        return Ok(None);
    };
    let mut measurement = Measurement::of(StageKind::Probe, made, device);
    let volumes = [probe.held_out, probe.fitted];
    let found = probe_secs(&made.config, noise(made), volumes, &device.device, &mut || watch(&measurement));
    let found = found.map_err(|cause| ConfigureError::Measuring { what: measurement.to_string(), cause })?;
    measurement.secs = Some(found.ok_or(ConfigureError::Stopped)?);
    watch(&measurement);
    Ok(measurement.secs)
}

/// What made-up batches for a config are like.
fn noise(made: &Configuration) -> Noise {
    Noise { channels: made.fingerprint.channels.len(), classes: made.fingerprint.classes.len() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_a_sentence() {
        let of = |kind, secs| Measurement { kind, crop_size: [40, 56, 40], crops: 9, device: "the CPU".to_owned(), secs }.to_string();
        assert_eq!(of(StageKind::Finetune, Some(5.31)), "a fine-tuning step on crops of 40x56x40, 9 a step: 5.3 s on the CPU");
        assert_eq!(of(StageKind::Pretrain, Some(0.0543)), "a pre-training step on crops of 40x56x40, 9 a step: 0.054 s on the CPU");
        let collapse = "a measurement of collapse on crops of 40x56x40, 9 in all: 14 s on the CPU";
        assert_eq!(of(StageKind::Probe, Some(14.2)), collapse);
        assert_eq!(of(StageKind::Finetune, None), "a fine-tuning step on crops of 40x56x40, 9 a step");
    }
}
