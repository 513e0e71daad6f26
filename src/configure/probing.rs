//! How often the time allows collapse to be measured.

use crate::config::ProbeConfig;
use crate::wording::duration;

/// A window's segmentation beside a step on it: a step goes through the network forwards and backwards, which takes about three times as long.
pub(super) const FORWARD_SHARE: f64 = 1.0 / 3.0;

/// Share of the time that all measurements of collapse may take.
const PROBING_SHARE: f64 = 0.1;

/// Measurements of collapse in a pre-training, about, and with a time at most.
pub const MOST_PROBES: usize = 50;

/// At the beginning and at the end it is measured in any case.
const LEAST_PROBES: usize = 2;

/// How each held-out crop is shown: upright, turned, reflected.
const PASSES: usize = 3;

/// Inputs without anatomy that are measured before the first step: a constant, and noise. The untrained encoder's measurement is the first
/// of the probes.
const BASELINES: usize = 2;

/// Crops of one volume that a step of pre-training looks at.
const VIEWS: usize = 2;

/// What a measurement of collapse looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeSize {
    /// Volumes that are measured.
    pub held_out: usize,
    /// Volumes on which the label probe is fitted.
    pub fitted: usize,
    /// Crops of each.
    pub crops: usize,
    /// Crops that a step of pre-training sends through the network, both views counted.
    pub step_crops: usize,
}

/// How often collapse is measured in a pre-training, and how long that takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probing {
    /// How often, the untrained encoder included.
    pub times: usize,
    /// Seconds of each.
    pub secs: f64,
    /// Seconds of the baselines before the first step.
    pub baseline_secs: f64,
}

impl ProbeSize {
    /// Of a pre-training on batches of so many volumes, where `tested` cases are held out and `labelled` are fine-tuned on. None where fewer
    /// than two are held out: then collapse isn't measured.
    pub fn of(config: &ProbeConfig, [tested, labelled]: [usize; 2], batch: usize) -> Option<Self> {
        let fitted = config.label_volumes.iter().copied().filter(|&count| count <= labelled).max().unwrap_or(0);
        let held_out = tested.min(config.volumes);
        (held_out >= 2).then_some(Self { held_out, fitted, crops: config.crops, step_crops: VIEWS * batch })
    }

    /// Crops that one measurement sends through the encoder.
    pub fn sent(&self) -> usize {
        self.crops * (PASSES * self.held_out + self.fitted)
    }

    /// Crops that the baselines send through it.
    fn baselines(&self) -> usize {
        self.crops * PASSES * self.held_out * BASELINES
    }

    /// Seconds of the forward passes of one measurement, where a step of pre-training takes `step_secs`. What is then computed of the
    /// tokens comes on top.
    pub fn forward_secs(&self, step_secs: f64) -> f64 {
        self.sent() as f64 * FORWARD_SHARE * step_secs / self.step_crops.max(1) as f64
    }

    /// As often as a tenth of `secs` allows, over so many pre-trainings, where each measurement takes `probe_secs`.
    pub fn plan(&self, probe_secs: f64, secs: f64, pretrainings: usize) -> Probing {
        let baseline_secs = probe_secs * self.baselines() as f64 / self.sent().max(1) as f64;
        let each = PROBING_SHARE * secs / pretrainings.max(1) as f64;
        let times = ((each - baseline_secs) / probe_secs.max(f64::MIN_POSITIVE)) as usize;
        Probing { times: times.clamp(LEAST_PROBES, MOST_PROBES), secs: probe_secs, baseline_secs }
    }
}

impl Probing {
    /// Seconds in all of one pre-training.
    pub fn sum_secs(&self) -> f64 {
        self.times as f64 * self.secs + self.baseline_secs
    }

    /// Steps between two measurements in a training of `steps`, and why.
    pub fn every(&self, steps: usize, estimated: bool) -> (usize, String) {
        let every = steps.div_ceil(self.times - 1).max(1);
        let how = if estimated { " (an estimate, by its forward passes, each a third of a step)" } else { "" };
        let times = steps.div_ceil(every) + 1;
        let reason = format!(
            "collapse is measured {times} times, about {} each{how}, and before the first step on a constant and on noise, about {} together: \
             {} in all",
            duration(self.secs),
            duration(self.baseline_secs),
            duration(times as f64 * self.secs + self.baseline_secs)
        );
        (every, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 52 cases held out 32 are measured, two crops each in three passes, and ten volumes fit the label probe: 2 * (3 * 32 + 10). A step
    /// sends two views of two volumes.
    #[test]
    fn what_a_measurement_sends_through_the_encoder_is_counted() {
        let size = ProbeSize::of(&ProbeConfig::default(), [52, 208], 2).unwrap();
        assert_eq!(size, ProbeSize { held_out: 32, fitted: 10, crops: 2, step_crops: 4 });
        assert_eq!((size.sent(), size.baselines()), (212, 384));
        // A forward pass of a crop: a third of 12 s / 4.
        assert!((size.forward_secs(12.0) - 212.0).abs() < 1e-9);
        let few = ProbeSize::of(&ProbeConfig::default(), [3, 9], 2).unwrap();
        assert_eq!((few.held_out, few.fitted, few.sent(), few.baselines()), (3, 4, 26, 36));
        assert_eq!(ProbeSize::of(&ProbeConfig::default(), [2, 3], 2).unwrap().fitted, 0);
        assert_eq!(ProbeSize::of(&ProbeConfig::default(), [1, 200], 2), None);
    }

    /// One measurement of 10 s sends 2 * (3 * 2 + 4) = 20 crops, the baselines 24: 12 s. A tenth of 600 s leaves 48 s: four of them; of two
    /// pre-trainings 18 s each: one, of which two are made. Ten hours would allow 358.
    #[test]
    fn all_measurements_take_a_tenth_of_the_time_between_two_and_fifty() {
        let size = ProbeSize { held_out: 2, fitted: 4, crops: 2, step_crops: 4 };
        let probing = size.plan(10.0, 600.0, 1);
        assert_eq!(probing, Probing { times: 4, secs: 10.0, baseline_secs: 12.0 });
        assert!((probing.sum_secs() - 52.0).abs() < 1e-9);
        assert_eq!(size.plan(10.0, 600.0, 2).times, LEAST_PROBES);
        assert_eq!(size.plan(10.0, 10.0, 1).times, LEAST_PROBES);
        assert_eq!(size.plan(10.0, 36_000.0, 1).times, MOST_PROBES);
    }

    /// Four measurements lie at 0, 34, 68 and 100 of a hundred steps; fifty of ten steps at each of them.
    #[test]
    fn measurements_are_spread_over_the_steps_and_said() {
        let probing = Probing { times: 4, secs: 10.4, baseline_secs: 12.0 };
        let (every, reason) = probing.every(100, false);
        assert_eq!(every, 34);
        assert!(reason.starts_with("collapse is measured 4 times, about 10 s each, and before"), "{reason}");
        // 4 * 10.4 + 12.
        assert!(reason.ends_with("about 12 s together: 54 s in all"), "{reason}");
        let (every, reason) = Probing { times: 50, ..probing }.every(10, true);
        assert!(every == 1 && reason.starts_with("collapse is measured 11 times, about 10 s each (an estimate"), "{reason}");
        assert_eq!(Probing { times: 2, ..probing }.every(100, false).0, 100);
    }
}
