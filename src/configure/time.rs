//! How many steps a time allows, from steps that were measured.

use super::probing::{FORWARD_SHARE, ProbeSize, Probing};
use crate::wording::{count, duration};

/// Units of time, in seconds, longest first.
const UNITS: [(&str, f64); 4] = [("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)];

/// An amount of time above this is a slip: ten years, in seconds.
const MOST_SECS: f64 = 3650.0 * 86_400.0;

/// Share of the time for steps, measurements of collapse and tests: reading, saving and validating take the rest.
const USABLE_SHARE: f64 = 0.85;

/// Share of that which pre-training takes where something is fine-tuned too.
const PRETRAIN_SHARE: f64 = 1.0 / 3.0;

/// Share of a window that the next one covers again.
const OVERLAP: f64 = 0.5;

/// Steps of which fewer are only a first look.
pub const SENSIBLE_STEPS: usize = 1000;

/// Fewer make no training.
pub const LEAST_STEPS: usize = 100;

/// An amount of time as a person writes it, `2h`, `90 min` or `1h30min`, in seconds.
///
/// # Errors
/// Anything but numbers with a unit behind each, the longest unit first; less than a second, or more than ten years.
pub fn parse(text: &str) -> Result<f64, String> {
    let lower = text.trim().to_lowercase();
    let (mut rest, mut secs, mut last) = (lower.as_str(), 0.0, f64::INFINITY);
    let wrong = || {
        format!(
            "{text:?} is no amount of time: give a number with its unit, for example 2h, or several, for example 1h30min. Units are s, min, \
             h and d"
        )
    };
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(char::is_alphabetic).ok_or_else(wrong)?);
        let (unit, behind) = behind.split_at(behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len()));
        let number = number.trim().parse::<f64>().ok().filter(|number| *number >= 0.0).ok_or_else(wrong)?;
        let each = UNITS.into_iter().find(|&(name, each)| name == unit && each < last).ok_or_else(wrong)?.1;
        (rest, secs, last) = (behind, secs + number * each, each);
    }
    match secs {
        ..1.0 => Err(wrong()),
        secs if secs > MOST_SECS => Err(format!("{text:?} is more than ten years: give less, for example 2h")),
        _ => Ok(secs),
    }
}

/// Steps that were measured on a device, and the trainings that they are for.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Seconds of a step of pre-training; none where nothing pre-trains.
    pub pretrain_secs: Option<f64>,
    /// Seconds of a step of fine-tuning; none where nothing is fine-tuned.
    pub finetune_secs: Option<f64>,
    /// Seconds of a measurement of collapse; none where it was not measured.
    pub probe_secs: Option<f64>,
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
    /// Measurements of collapse in a pre-training; none where there are none.
    pub probing: Option<Probing>,
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

    /// The steps that `secs` allow: of what measuring collapse leaves a third pre-trains, up to `most` steps of each kind, and the rest is
    /// fine-tuned and tested. Where no measurement of collapse was timed, its forward passes are counted.
    pub fn divide(&self, secs: f64, (test, probe): (&Test, Option<ProbeSize>), [most_pretrain, most_finetune]: [usize; 2]) -> Allowed {
        let probing = probe.zip(self.pretrain_secs).map(|(probe, step_secs)| {
            let probe_secs = self.probe_secs.unwrap_or_else(|| probe.forward_secs(step_secs));
            probe.plan(probe_secs, secs, self.pretrainings)
        });
        let usable = USABLE_SHARE * secs - probing.map_or(0.0, |probing| probing.sum_secs() * self.pretrainings as f64);
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
        Allowed { pretrain, finetune, test_secs, probing }
    }

    /// About how much time allows the least steps of each training, as a person writes it: no less than `secs`, to about a twentieth. None
    /// where ten years would not.
    pub fn enough(&self, secs: f64, work: (&Test, Option<ProbeSize>)) -> Option<String> {
        let suffices = |secs: &f64| {
            let allowed = self.divide(*secs, work, [usize::MAX; 2]);
            (self.pretrain_secs.is_none() || allowed.pretrain >= LEAST_STEPS)
                && (self.finetune_secs.is_none() || allowed.finetune >= LEAST_STEPS)
        };
        let longer = std::iter::successors(Some(secs), |secs| Some(1.05 * secs)).take_while(|&secs| secs <= MOST_SECS);
        longer.into_iter().find(suffices).map(rounded_up)
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
             step) and 15 % for reading and saving{}",
            step(self.finetune_secs),
            self.place,
            duration(secs),
            count(self.finetunings, "fine-tuning"),
            duration(allowed.test_secs),
            if allowed.probing.is_some() { ", beside measuring collapse" } else { "" }
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

/// So many seconds in the longest unit of which there are at least three, rounded up: `4min`.
fn rounded_up(secs: f64) -> String {
    let (name, unit) = UNITS.into_iter().find(|(_, unit)| secs >= 3.0 * unit).unwrap_or(("s", 1.0));
    format!("{}{name}", (secs / unit).ceil())
}

fn step(secs: Option<f64>) -> String {
    format!("{:.3} s", secs.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Test = Test { cases: 4, median: [36.0, 50.0, 35.0], crop_size: [40, 56, 40], batch: 2 };

    fn measured(pretrain_secs: Option<f64>, finetune_secs: Option<f64>) -> Measured {
        Measured {
            pretrain_secs,
            finetune_secs,
            probe_secs: None,
            pretrainings: 1,
            finetunings: 3,
            place: "on CPU on 2026-11-29".to_owned(),
        }
    }

    #[test]
    fn times_have_units() {
        for (text, secs) in [
            ("2h", 7200.0),
            ("90 min", 5400.0),
            ("1.5D", 129_600.0),
            ("30s", 30.0),
            ("1h30min", 5400.0),
            ("1 H 30 min", 5400.0),
            ("1d 2h 3s", 93_603.0),
        ] {
            assert_eq!(parse(text), Ok(secs), "{text}");
        }
        for text in ["2", "h", "-1h", "0h", "NaNh", "2 weeks", "", "10m", "1h30", "30min1h", "1h1h", "1h-5min", "0.5s"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("no amount of time") && error.contains("1h30min. Units are s, min, h and d"), "{text}: {error}");
        }
        assert_eq!(parse("3650d"), Ok(MOST_SECS));
        for text in ["3651d", "1000000h", &format!("{}h", "9".repeat(400))] {
            assert!(parse(text).unwrap_err().contains("more than ten years"), "{text}");
        }
    }

    /// By hand: 85 % of 1000 s are 850 s, a third of them 283 s: 141 steps of 2 s, 282 s. Four cases of one window each take a third of a
    /// step of two crops, half of it each: 4 * 1 s / 6. Three tests leave 850 - 282 - 2 = 566 s for three trainings: 188 steps of 1 s.
    #[test]
    fn a_third_pretrains_and_the_rest_is_fine_tuned_and_tested() {
        let both = measured(Some(2.0), Some(1.0)).divide(1000.0, (&TEST, None), [10_000, 10_000]);
        assert_eq!((both.pretrain, both.finetune), (141, 188));
        assert!((both.test_secs - 4.0 / 6.0).abs() < 1e-9);
        let kept = measured(Some(2.0), Some(1.0)).divide(1000.0, (&TEST, None), [41, 100]);
        assert_eq!((kept.pretrain, kept.finetune), (41, 100), "no more than there is use for");
        assert_eq!(
            measured(Some(2.0), Some(1.0)).divide(1000.0, (&TEST, None), [41, 10_000]).finetune,
            255,
            "what is left over is fine-tuned"
        );
        let alone = measured(Some(2.0), None).divide(1000.0, (&TEST, None), [10_000, 10_000]);
        assert_eq!((alone.pretrain, alone.finetune, alone.test_secs), (425, 0, 0.0));
        assert_eq!(measured(None, Some(1.0)).divide(1000.0, (&TEST, None), [10_000, 10_000]).pretrain, 0);
    }

    /// A probe sends 2 * (3 * 2 + 4) = 20 crops, of which a step of 2 s has four, a third of it each: 3.33 s; the baselines 24, 4 s. A tenth of
    /// 1000 s leaves 96 s, 28 of them: with the baselines 97.3 s. A third of the other 752.7 s is 250.9 s: 125 steps. Measured at 10 s, eight
    /// probes and baselines of 12 s are 92 s: a third of 758 s are 126 steps.
    #[test]
    fn measuring_collapse_is_taken_off_the_time_of_steps() {
        let probe = ProbeSize { held_out: 2, fitted: 4, crops: 2, step_crops: 4 };
        let counted = measured(Some(2.0), Some(1.0));
        let allowed = counted.divide(1000.0, (&TEST, Some(probe)), [10_000; 2]);
        assert_eq!((allowed.pretrain, allowed.probing.unwrap().times), (125, 28));
        let timed = Measured { probe_secs: Some(10.0), ..counted };
        let allowed = timed.divide(1000.0, (&TEST, Some(probe)), [10_000; 2]);
        assert_eq!((allowed.pretrain, allowed.probing.unwrap().times), (126, 8));
        assert!(timed.finetune_reason(1000.0, &allowed).ends_with("reading and saving, beside measuring collapse"));
        let alone = measured(None, Some(1.0)).divide(1000.0, (&TEST, Some(probe)), [10_000; 2]);
        assert_eq!((alone.pretrain, alone.probing), (0, None));
    }

    /// A hundred steps of 2 s are a third of 85 % of 706 s; three times a hundred of 1 s with tests of 2 s are less than the other two thirds. From
    /// 100 s on in steps of 5 %: 740 s, which is 13 minutes.
    #[test]
    fn how_much_time_would_do_is_said() {
        let both = measured(Some(2.0), Some(1.0));
        assert_eq!(both.enough(100.0, (&TEST, None)), Some("13min".to_owned()));
        assert_eq!(measured(Some(1e9), None).enough(100.0, (&TEST, None)), None);
        for (secs, text) in [(59.2, "60s"), (179.5, "180s"), (180.0, "3min"), (10_801.0, "4h"), (259_200.0, "3d")] {
            assert_eq!(rounded_up(secs), text);
        }
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
