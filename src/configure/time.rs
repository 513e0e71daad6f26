//! How many steps a time allows, from steps that were measured.

use crate::wording::{count, duration};

/// Units of time, in seconds, longest names first.
const UNITS: [(&str, f64); 4] = [("min", 60.0), ("d", 86_400.0), ("h", 3600.0), ("s", 1.0)];

/// Share of the time for steps and tests: reading, saving, probing and validating take the rest.
const USABLE_SHARE: f64 = 0.85;

/// Share of that which pre-training takes where something is fine-tuned too.
const PRETRAIN_SHARE: f64 = 1.0 / 3.0;

/// A window's segmentation beside a step on it: a step goes through the network forwards and backwards, which takes about three times as long.
const FORWARD_SHARE: f64 = 1.0 / 3.0;

/// Share of a window that the next one covers again.
const OVERLAP: f64 = 0.5;

/// Steps of which fewer are only a first look.
pub const SENSIBLE_STEPS: usize = 1000;

/// Fewer make no training.
pub const LEAST_STEPS: usize = 100;

/// An amount of time as a person writes it, `2h` or `90 min`, in seconds.
///
/// # Errors
/// No number above zero with a unit behind it.
pub fn parse(text: &str) -> Result<f64, String> {
    let lower = text.trim().to_lowercase();
    let read = |(unit, secs): (&str, f64)| {
        let number: f64 = lower.strip_suffix(unit)?.trim().parse().ok()?;
        Some(number * secs).filter(|secs| secs.is_finite() && *secs >= 1.0)
    };
    UNITS.into_iter().find_map(read).ok_or_else(|| format!("{text:?} is no amount of time: give a number with its unit, for example 2h"))
}

/// Steps that were measured on a device, and the trainings that they are for.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Seconds of a step of pre-training; none where nothing pre-trains.
    pub pretrain_secs: Option<f64>,
    /// Seconds of a step of fine-tuning; none where nothing is fine-tuned.
    pub finetune_secs: Option<f64>,
    /// Pre-trainings of the experiment.
    pub pretrainings: usize,
    /// Fine-tunings of the experiment, controls included.
    pub finetunings: usize,
    /// Where and when, for example `on CPU on 2026-11-29`.
    pub place: String,
}

/// The test of one fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// Cases that are segmented.
    pub cases: usize,
    /// Median of their voxels along D,H,W, after resampling.
    pub median: [f64; 3],
    /// Voxels of a window.
    pub crop_size: [usize; 3],
    /// Crops of a step.
    pub batch: usize,
}

/// Steps of each training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowed {
    /// Of a pre-training; 0 where nothing pre-trains.
    pub pretrain: usize,
    /// Of a fine-tuning; 0 where nothing is fine-tuned.
    pub finetune: usize,
    /// Seconds of the test of one fine-tuning.
    pub test_secs: f64,
}

impl Measured {
    /// Seconds of one step of each kind.
    pub fn sum_secs(&self) -> f64 {
        self.pretrain_secs.into_iter().chain(self.finetune_secs).sum()
    }

    /// What steps on `wanted` voxels of pre-training and fine-tuning take, where steps on `made` were measured: an estimate, in proportion.
    pub fn on_voxels(self, made: [usize; 2], wanted: [usize; 2]) -> Self {
        let scaled = |secs: Option<f64>, kind: usize| secs.map(|secs| secs * wanted[kind] as f64 / made[kind].max(1) as f64);
        let (pretrain_secs, finetune_secs) = (scaled(self.pretrain_secs, 0), scaled(self.finetune_secs, 1));
        let place = if made == wanted { self.place } else { format!("an estimate from crops of another size, {}", self.place) };
        Self { pretrain_secs, finetune_secs, place, ..self }
    }

    /// The steps that `secs` allow: a third of the time pre-trains, up to `most` steps of each kind, and the rest is fine-tuned and tested.
    pub fn divide(&self, secs: f64, test: &Test, [most_pretrain, most_finetune]: [usize; 2]) -> Allowed {
        let usable = USABLE_SHARE * secs;
        let steps = |secs: f64, step_secs: f64, trainings: usize, most: usize| {
            let steps = secs.max(0.0) / (step_secs.max(f64::MIN_POSITIVE) * trainings.max(1) as f64);
            (steps as usize).min(most)
        };
        let share = if self.finetune_secs.is_some() { PRETRAIN_SHARE } else { 1.0 };
        let pretrain = self.pretrain_secs.map_or(0, |step| steps(share * usable, step, self.pretrainings, most_pretrain));
        let spent = self.pretrain_secs.unwrap_or_default() * (pretrain * self.pretrainings) as f64;
        let test_secs = self.finetune_secs.map_or(0.0, |step| test.secs(step));
        let left = usable - spent - test_secs * self.finetunings as f64;
        let finetune = self.finetune_secs.map_or(0, |step| steps(left, step, self.finetunings, most_finetune));
        Allowed { pretrain, finetune, test_secs }
    }

    /// Why so many steps of pre-training.
    pub fn pretrain_reason(&self, secs: f64) -> String {
        let share = if self.finetune_secs.is_some() { "a third of it pre-trains" } else { "all of it pre-trains" };
        format!("{} a step, {}: {} allow so many, where {share}", step(self.pretrain_secs), self.place, duration(secs))
    }

    /// Why so many steps of fine-tuning.
    pub fn finetune_reason(&self, secs: f64, allowed: &Allowed) -> String {
        format!(
            "{} a step, {}: {} allow so many in each of {}, with {} for each test (an estimate, as three windows in the time of one crop's \
             step) and 15 % for reading, saving and probing",
            step(self.finetune_secs),
            self.place,
            duration(secs),
            count(self.finetunings, "fine-tuning"),
            duration(allowed.test_secs)
        )
    }
}

impl Test {
    /// Seconds of the test, where a step takes `step_secs`.
    fn secs(&self, step_secs: f64) -> f64 {
        let along = |axis: usize| {
            let (roi, size) = (self.crop_size[axis], (self.median[axis].round() as usize).max(self.crop_size[axis]));
            let interval = ((roi as f64 * (1.0 - OVERLAP)) as usize).max(1);
            (size - roi).div_ceil(interval) + 1
        };
        let windows = self.cases * along(0) * along(1) * along(2);
        windows as f64 * FORWARD_SHARE * step_secs / self.batch.max(1) as f64
    }
}

/// Voxels of a step of which [`SENSIBLE_STEPS`] would fit a time that allows `steps` on `voxels`: a step's time grows with its voxels.
pub fn sensible_voxels(steps: usize, voxels: usize) -> usize {
    voxels * steps / SENSIBLE_STEPS
}

fn step(secs: Option<f64>) -> String {
    format!("{:.3} s", secs.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Test = Test { cases: 4, median: [36.0, 50.0, 35.0], crop_size: [40, 56, 40], batch: 2 };

    fn measured(pretrain_secs: Option<f64>, finetune_secs: Option<f64>) -> Measured {
        Measured { pretrain_secs, finetune_secs, pretrainings: 1, finetunings: 3, place: "on CPU on 2026-11-29".to_owned() }
    }

    #[test]
    fn times_have_units() {
        for (text, secs) in [("2h", 7200.0), ("90 min", 5400.0), ("1.5D", 129_600.0), ("30s", 30.0)] {
            assert_eq!(parse(text), Ok(secs), "{text}");
        }
        for text in ["2", "h", "-1h", "0h", "NaNh", "2 weeks", ""] {
            assert!(parse(text).unwrap_err().contains("2h"), "{text}");
        }
    }

    /// By hand: 85 % of 1000 s are 850 s, a third of them 283 s: 141 steps of 2 s, 282 s. Four cases of one window each take a third of a
    /// step of two crops, half of it each: 4 * 1 s / 6. Three tests leave 850 - 282 - 2 = 566 s for three trainings: 188 steps of 1 s.
    #[test]
    fn a_third_pretrains_and_the_rest_is_fine_tuned_and_tested() {
        let both = measured(Some(2.0), Some(1.0)).divide(1000.0, &TEST, [10_000, 10_000]);
        assert_eq!((both.pretrain, both.finetune), (141, 188));
        assert!((both.test_secs - 4.0 / 6.0).abs() < 1e-9);
        let kept = measured(Some(2.0), Some(1.0)).divide(1000.0, &TEST, [41, 100]);
        assert_eq!((kept.pretrain, kept.finetune), (41, 100), "no more than there is use for");
        assert_eq!(measured(Some(2.0), Some(1.0)).divide(1000.0, &TEST, [41, 10_000]).finetune, 255, "what is left over is fine-tuned");
        let alone = measured(Some(2.0), None).divide(1000.0, &TEST, [10_000, 10_000]);
        assert_eq!((alone.pretrain, alone.finetune, alone.test_secs), (425, 0, 0.0));
        assert_eq!(measured(None, Some(1.0)).divide(1000.0, &TEST, [10_000, 10_000]).pretrain, 0);
    }

    #[test]
    fn a_step_grows_with_its_voxels() {
        let small = measured(Some(2.0), Some(1.0));
        assert_eq!(small.clone().on_voxels([10, 20], [10, 20]), small);
        let large = small.on_voxels([10, 20], [20, 100]);
        assert_eq!((large.pretrain_secs, large.finetune_secs, large.sum_secs()), (Some(4.0), Some(5.0), 9.0));
        assert!(large.place.starts_with("an estimate from crops of another size, "), "{}", large.place);
    }

    #[test]
    fn a_test_takes_a_window_for_each_half_crop_beyond_the_first() {
        // 80 > 40 + 20 + 20: three windows; 56 and 40: one each.
        let wide = Test { median: [80.0, 56.0, 12.0], ..TEST };
        assert!((wide.secs(6.0) - 4.0 * 3.0).abs() < 1e-9);
        assert_eq!(sensible_voxels(250, 4000), 1000);
    }
}
