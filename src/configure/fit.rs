//! From steps that are measured to crops that fit a time.

use super::error::ConfigureError;
use super::request::Limits;
use super::rules::Configuration;
use super::time::Measured;

/// Share of the time that measuring may take ...
const MEASURING_SHARE: f64 = 0.1;
/// ... and seconds, at most.
const MEASURING_SECS: f64 = 60.0;

/// How often steps are measured, at most.
const ROUNDS: usize = 6;

/// By how much a step that is measured may look at more voxels than the one before, at most: a small one tells little about a large one.
const CLIMB: usize = 8;

/// Crops that the time allows to be no larger than so many times those that were measured stay as they are.
const CLOSE: f64 = 1.25;

/// Steps without which nothing is known of a training: one that warms up, and one that is timed.
const LEAST_MEASURED: f64 = 2.0;

/// Seconds that measuring for a time of `secs` may take: a step under way is not cut short, and the first ones are made in any case.
pub fn measuring_secs(secs: f64) -> f64 {
    (MEASURING_SHARE * secs).min(MEASURING_SECS)
}

/// A config, and the voxels that its batches were kept to.
#[derive(Clone)]
struct Trial {
    made: Configuration,
    voxels: Option<usize>,
}

/// Measures steps of a config within so many seconds: what was found, and the seconds that it took.
pub type Measure<'a> = dyn FnMut(&Configuration, f64) -> Result<(Measured, f64), ConfigureError> + 'a;

/// The largest config whose steps fit the time of which measuring may take `left` seconds; `choose` makes configs for that time.
///
/// Measured are steps of one config after the other: on a GPU first those of the largest that fit the memory; where a step may take
/// minutes (`is_slow`) first the smallest, then larger ones, never many times larger. From seconds a voxel follows what fits, which is measured
/// itself. Where the seconds do not suffice for that, its steps are an estimate from the last ones measured, and are said to be.
///
/// # Errors
/// What `choose` and `measure` refuse.
pub fn fit(
    mut left: f64,
    is_slow: bool,
    choose: &dyn Fn(&Limits) -> Result<Configuration, ConfigureError>,
    measure: &mut Measure<'_>,
) -> Result<Configuration, ConfigureError> {
    let within = |voxels| choose(&Limits { measured: None, voxels }).map(|made| Trial { made, voxels });
    let largest = within(None)?;
    let mut trial = within(is_slow.then_some(0))?;
    let mut too_large = None;
    for round in 1.. {
        let (measured, spent) = measure(&trial.made, left)?;
        left -= spent;
        let expected = |other: &Trial| measured.clone().on_voxels(trial.made.step_voxels(), other.made.step_voxels());
        let finish = |chosen: &Trial| choose(&Limits { measured: Some(expected(chosen)), voxels: chosen.voxels });
        let steps = |other: &Trial| match finish(other) {
            Ok(made) => Ok(made.steps()),
            Err(ConfigureError::Time { steps, .. }) => Ok(steps),
            Err(error) => Err(error),
        };
        let own = trial.made.voxels();
        let goal = if let Some(fewer) = trial.made.voxels_for_more(steps(&trial)?) {
            too_large = Some(own);
            let smaller = within(Some(fewer))?;
            if smaller.made.voxels() >= own {
                return finish(&Trial { made: trial.made.clone(), voxels: Some(0) });
            }
            smaller
        } else {
            let fewer = largest.made.voxels_for_more(steps(&largest)?).into_iter();
            // What was measured as too large stays so, whatever smaller steps promise.
            let larger = within(fewer.chain(too_large.map(|voxels| voxels - 1)).min())?;
            if larger.made.voxels() as f64 <= CLOSE * own as f64 {
                return finish(&trial);
            }
            larger
        };
        let next = if goal.made.voxels() > CLIMB * own { within(Some(CLIMB * own))? } else { goal.clone() };
        if round == ROUNDS || LEAST_MEASURED * expected(&next).sum_secs() > left {
            return finish(&goal);
        }
        trial = next;
    }
    unreachable!("the last round ends")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DataSource, SyntheticConfig};
    use crate::configure::{Planner, Request};
    use crate::device::DeviceChoice;
    use crate::volume::Dataset;

    /// What is made for `secs` where a step takes `step_secs` of its voxels; the voxels of each step measured; the seconds that took. Ten volumes of
    /// 80x72x64 voxels: the largest step looks at two of them, the smallest at two crops of 16³, 8192 voxels. Nothing pre-trains.
    fn fitted(secs: f64, is_slow: bool, step_secs: fn(f64) -> f64) -> (Result<Configuration, ConfigureError>, Vec<usize>, f64) {
        let source = DataSource::Synthetic(SyntheticConfig { cases: 10, shape: [80, 72, 64], channels: 1, labels: 2 });
        let request = Request { memory: Some(8 << 30), time_secs: Some(secs), ..Request::default() };
        let dataset = Dataset::open(&source).unwrap();
        let planner = Planner::read((&dataset, &source), &request, &DeviceChoice::Cpu, &|_, _| ()).unwrap();
        let (mut tried, mut all) = (Vec::new(), 0.0);
        let made = fit(measuring_secs(secs), is_slow, &|limits| planner.choose(limits), &mut |made, left| {
            let step = step_secs(made.voxels() as f64);
            tried.push(made.voxels());
            // One that warms up, and of three as many as fit.
            let steps = 1.0 + (left / step - 1.0).floor().clamp(0.0, 3.0);
            all += steps * step;
            let place = "measured on a made-up device".to_owned();
            let measured =
                Measured { pretrain_secs: None, finetune_secs: Some(step), probe_secs: None, pretrainings: 0, finetunings: 1, place };
            Ok((measured, steps * step))
        });
        (made, tried, all)
    }

    fn is_estimate(made: &Configuration) -> bool {
        let reason = &made.choices.iter().find(|choice| choice.key == "finetune.steps").unwrap().reason;
        assert!(reason.contains("measured on a made-up device"), "{reason}");
        reason.contains("an estimate from crops of another size")
    }

    #[test]
    fn measuring_takes_a_tenth_of_the_time_and_a_minute_at_most() {
        assert_eq!([100.0, 600.0, 7200.0].map(measuring_secs), [10.0, 60.0, 60.0]);
    }

    /// 85 % of two hours are 6120 s: more than a thousand steps of 5 s, those of two whole volumes at 6.6 µs a voxel.
    #[test]
    fn where_the_largest_crops_fit_the_time_they_are_reached_in_strides_and_measured() {
        let (made, tried, secs) = fitted(7200.0, true, |voxels| 6.6e-6 * voxels);
        let made = made.unwrap();
        assert_eq!(tried[0], 8192);
        assert!(tried.windows(2).all(|pair| pair[1] <= CLIMB * pair[0]) && tried.len() == 4 && secs <= 60.0, "{tried:?} in {secs} s");
        assert!(tried[3] >= 2 * 80 * 72 * 64 && tried[3] == made.voxels() && !is_estimate(&made), "{tried:?}, {}", made.voxels());
        assert!((1000..1300).contains(&made.steps()) && made.hints.is_empty(), "{} {:?}", made.steps(), made.hints);
    }

    /// 510 s are a thousand steps of 0.51 s, of 77 000 voxels.
    #[test]
    fn where_they_do_not_smaller_crops_are_measured_that_do() {
        let (made, tried, secs) = fitted(600.0, true, |voxels| 6.6e-6 * voxels);
        let made = made.unwrap();
        assert!(tried.len() <= 4 && secs <= 60.0, "{tried:?} in {secs} s");
        assert!((40_000..=77_000).contains(&made.voxels()) && tried.last() == Some(&made.voxels()), "{tried:?}, {}", made.voxels());
        assert!((1000..2000).contains(&made.steps()) && !is_estimate(&made) && made.hints.is_empty(), "{}", made.steps());
    }

    /// A GPU takes 0.06 s for two whole volumes, of which 6120 s are some 100 000 steps.
    #[test]
    fn on_a_gpu_the_largest_crops_are_measured_first_and_suffice() {
        let (made, tried, _) = fitted(7200.0, false, |voxels| 0.02 + 5e-8 * voxels);
        let made = made.unwrap();
        assert!(tried == [made.voxels()] && made.voxels() >= 2 * 80 * 72 * 64, "{tried:?}");
        assert!((90_000..120_000).contains(&made.steps()) && !is_estimate(&made), "{}", made.steps());
    }

    /// A day is a thousand steps of 73 s, of 612 000 voxels at 120 µs; one of 65 000 takes 7.9 s, and two of eight times as many more than is left.
    #[test]
    fn where_even_two_steps_would_take_too_long_their_seconds_are_an_estimate_and_said_to_be() {
        let (made, tried, secs) = fitted(86_400.0, true, |voxels| 1.2e-4 * voxels);
        let made = made.unwrap();
        assert!(tried.len() == 2 && secs <= 60.0, "{tried:?} in {secs} s");
        assert!(
            (300_000..=612_000).contains(&made.voxels()) && made.steps() >= 1000 && is_estimate(&made),
            "{} {}",
            made.voxels(),
            made.steps()
        );
    }

    /// 8192 voxels take 0.82 s at 100 µs. The test of two cases is of 9 * 8 * 7 windows each, which take a third of half a step, 138 s in all: the
    /// other 372 of 510 s are 454 steps. At 1 ms the test alone takes longer, 1376 s.
    #[test]
    fn where_even_the_smallest_crops_give_few_steps_that_is_said_with_their_number() {
        let (made, tried, _) = fitted(600.0, true, |voxels| 1e-4 * voxels);
        let made = made.unwrap();
        assert_eq!((made.voxels(), tried.len()), (8192, 1));
        assert!((400..500).contains(&made.steps()), "{}", made.steps());
        let hint = made.hints.iter().find(|hint| hint.contains("a first look")).expect("it is said");
        assert!(hint.contains(&format!("{} steps of fine-tuning only, even with 2 crops of 16x16x16 a step", made.steps())), "{hint}");
        let error = fitted(600.0, true, |voxels| 1e-3 * voxels).0.unwrap_err().to_string();
        assert!(error.contains("so that 0 steps fit") && error.contains("2 crops of 16x16x16 a step"), "{error}");
        assert!(error.contains("each test about 22 min") && error.contains("Give at least about --time "), "{error}");
    }
}
