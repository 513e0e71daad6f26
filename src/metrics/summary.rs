//! Means over cases and regions, with intervals from resampling the cases (percentile bootstrap).

use rand::RngExt as _;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::score::{CaseScore, Metric, mean};
use crate::geometry::quantile;
use crate::random::stream;

/// Share of the resampled means that an interval leaves out on either side: intervals are of 95 %.
const TAIL: f64 = 0.025;

/// A mean over cases and where it would lie with other cases of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Ends of the 95 % interval; none of fewer than two cases, which do not show how cases differ.
    pub ends: Option<[f64; 2]>,
    /// Cases that have the number.
    pub cases: usize,
}

/// What a number is rounded to at the finest.
const FINEST: f64 = 1e-6;

impl Interval {
    /// Whether there is an interval and zero lies outside, by what a millionth shows at least.
    pub fn excludes_zero(&self) -> bool {
        self.ends.is_some_and(|[low, high]| low >= FINEST || high <= -FINEST)
    }

    /// Decimals, `least` of them or more, with which an interval that excludes zero is seen to do so.
    pub fn decimals(&self, least: usize) -> usize {
        let Some([low, high]) = self.ends.filter(|_| self.excludes_zero()) else { return least };
        let nearest = low.abs().min(high.abs());
        least.max((-nearest.log10()).ceil().max(0.0) as usize)
    }
}

/// The scores of one region over all cases.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionSummary {
    /// The label, or union of labels.
    pub region: String,
    /// Mean Dice.
    pub dice: Option<Interval>,
    /// Mean HD95.
    pub hd95: Option<Interval>,
    /// Cases with the region in one of truth and prediction only (Dice 0, HD95 the volume's diagonal).
    pub missing_in_one: usize,
}

/// The scores of all cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// In the order of the scores.
    pub regions: Vec<RegionSummary>,
    /// Mean over cases of each case's mean Dice over regions.
    pub dice: Option<Interval>,
    /// Mean over cases of each case's mean HD95 over regions.
    pub hd95: Option<Interval>,
}

/// Seed and number of resamples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Of the draws.
    pub seed: u64,
    /// Number of times the cases are drawn anew.
    pub resamples: usize,
}

/// Means and intervals of `scores`, of any number of cases with the same regions each.
pub fn summarise(scores: &[CaseScore], bootstrap: Bootstrap) -> Summary {
    let names = distinct(scores.iter().map(|score| &score.region));
    let cases = distinct(scores.iter().map(|score| &score.case));
    let [mut dice, mut hd95] = Metric::ALL.map(|metric| {
        let mut rows = vec![vec![None; names.len()]; cases.len()];
        for score in scores {
            let row = cases.iter().position(|case| **case == score.case);
            let column = names.iter().position(|region| **region == score.region);
            if let (Some(row), Some(column)) = (row, column) {
                rows[row][column] = metric.of(score);
            }
        }
        bootstrap.intervals(&rows, names.len())
    });
    let overall = [dice.pop(), hd95.pop()].map(Option::flatten);
    let regions = names.into_iter().zip(dice.into_iter().zip(hd95)).map(|(region, (dice, hd95))| {
        let missing_in_one = scores.iter().filter(|score| score.region == *region && score.missing_in_one).count();
        RegionSummary { region: region.clone(), dice, hd95, missing_in_one }
    });
    Summary { regions: regions.collect(), dice: overall[0], hd95: overall[1] }
}

/// Each value once, in the order in which it came first.
pub fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut known = Vec::new();
    for value in values {
        if !known.contains(&value) {
            known.push(value);
        }
    }
    known
}

impl Bootstrap {
    /// The mean of `values`, one for each case, and its interval, which takes two cases; none without a case.
    ///
    /// Given the differences of two arms case by case, the interval is that of the difference and not of two unrelated means.
    pub fn interval(self, values: impl IntoIterator<Item = f64>) -> Option<Interval> {
        let rows: Vec<_> = values.into_iter().map(|value| vec![Some(value)]).collect();
        self.intervals(&rows, 1).pop().flatten()
    }

    /// The interval of each of so many `regions` over cases (rows), and, last, that of the cases' means over their regions.
    fn intervals(self, rows: &[Vec<Option<f64>>], regions: usize) -> Vec<Option<Interval>> {
        let cases = rows.len();
        let resampled: Vec<_> = (0..self.resamples as u64)
            .into_par_iter()
            .map(|resample| {
                let mut draws = stream(self.seed, "bootstrap", resample, 0);
                means(rows, regions, (0..cases).map(|_| draws.random_range(0..cases)))
            })
            .collect();
        let has = |row: &&Vec<Option<f64>>, region: usize| row.get(region).map_or(row.iter().any(Option::is_some), Option::is_some);
        let interval = |(region, mean): (usize, Option<f64>)| {
            let mut values: Vec<f64> = resampled.iter().filter_map(|means| means[region]).collect();
            let cases = rows.iter().filter(|row| has(row, region)).count();
            let ends = quantile(&mut values, TAIL).zip(quantile(&mut values, 1.0 - TAIL)).filter(|_| cases > 1);
            mean.map(|mean| Interval { mean, ends: ends.map(|(low, high)| [low, high]), cases })
        };
        means(rows, regions, 0..cases).into_iter().enumerate().map(interval).collect()
    }
}

/// Means over the drawn cases: of each region, then of the cases' own means over the regions that they have.
fn means(rows: &[Vec<Option<f64>>], regions: usize, drawn: impl Iterator<Item = usize>) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_usize); regions + 1];
    for row in drawn.map(|case| &rows[case]) {
        let of_case = mean(row.iter().flatten().copied());
        for ((sum, count), value) in sums.iter_mut().zip(row.iter().chain([&of_case])) {
            *sum += value.unwrap_or(0.0);
            *count += usize::from(value.is_some());
        }
    }
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / count as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_excludes_zero_is_given_the_digits_that_show_it() {
        let interval = |low: f64, high: f64| Interval { mean: (low + high) / 2.0, ends: Some([low, high]), cases: 12 };
        assert_eq!((interval(0.0123, 0.02).decimals(3), interval(0.00021, 0.0004).decimals(3)), (3, 4));
        assert_eq!((interval(-0.02, -0.000_03).decimals(3), interval(-0.0001, 0.0002).decimals(3)), (5, 3));
        assert!(interval(0.000_03, 0.1).excludes_zero() && !interval(0.000_000_3, 0.1).excludes_zero());
        for low in [0.4, 0.012, 0.000_95, 0.000_051, 0.000_001_1] {
            let decimals = interval(low, 0.5).decimals(3);
            assert_ne!(format!("{low:.decimals$}").parse::<f64>().unwrap(), 0.0, "{low} with {decimals} decimals");
        }
    }

    fn score(case: usize, region: &str, dice: Option<f64>) -> CaseScore {
        let missing_in_one = dice == Some(0.0);
        CaseScore { case: case.to_string(), region: region.into(), dice, hd95: dice, truth_voxels: 1, predicted_voxels: 1, missing_in_one }
    }

    const BOOTSTRAP: Bootstrap = Bootstrap { seed: 1, resamples: 2000 };

    #[test]
    fn means_are_over_cases_first_and_leave_out_what_is_absent() {
        let scores = [(0, Some(0.5)), (1, Some(0.7)), (2, None)].map(|(case, dice)| score(case, "a", dice));
        let others = [(0, Some(0.0)), (1, None), (2, None)].map(|(case, dice)| score(case, "b", dice));
        let summary = summarise(&[&scores[..], &others].concat(), BOOTSTRAP);
        let [a, b] = &summary.regions[..] else { panic!("two regions") };
        assert!((a.dice.unwrap().mean - 0.6).abs() < 1e-12);
        assert_eq!((a.dice.unwrap().cases, a.missing_in_one), (2, 0));
        assert_eq!((b.dice.unwrap().cases, b.missing_in_one), (1, 1));
        assert!((summary.dice.unwrap().mean - 0.475).abs() < 1e-12, "each case weighs the same");
        assert_eq!(summary.dice.unwrap().cases, 2);
    }

    #[test]
    fn the_interval_is_that_of_the_mean() {
        // Of 100 evenly spread numbers the mean has the standard error 0.0289.
        let scores: Vec<_> = (0..100).map(|case| score(case, "a", Some(f64::from(case as u32) / 99.0))).collect();
        let interval = summarise(&scores, BOOTSTRAP).regions[0].dice.unwrap();
        let half = 1.96 * 0.0289;
        let [low, high] = interval.ends.unwrap();
        assert!((low - (0.5 - half)).abs() < 0.006 && (high - (0.5 + half)).abs() < 0.006, "{interval:?}");
        assert_eq!(interval, summarise(&scores, BOOTSTRAP).regions[0].dice.unwrap());
    }

    #[test]
    fn one_case_has_a_mean_and_no_interval() {
        let one = BOOTSTRAP.interval([0.018]).unwrap();
        assert_eq!(one, Interval { mean: 0.018, ends: None, cases: 1 });
        assert!(!one.excludes_zero() && one.decimals(3) == 3);
        assert!(BOOTSTRAP.interval([0.018, 0.02]).unwrap().ends.is_some() && BOOTSTRAP.interval([]).is_none());
        // Two cases, of which one has the region "b".
        let scores = [score(0, "a", Some(0.5)), score(1, "a", Some(0.7)), score(0, "b", Some(0.3)), score(1, "b", None)];
        let summary = summarise(&scores, BOOTSTRAP);
        let has = |of: Option<Interval>| of.unwrap().ends.is_some();
        assert_eq!(summary.regions.iter().map(|region| has(region.dice)).collect::<Vec<_>>(), [true, false]);
        assert!(has(summary.dice) && has(summary.hd95));
    }

    #[test]
    fn pairing_removes_what_cases_have_in_common() {
        let theirs: Vec<f64> = (0..20).map(|case| f64::from(case) / 40.0).collect();
        let Interval { mean, ends, cases } = BOOTSTRAP.interval(theirs.iter().map(|theirs| (theirs + 0.1) - theirs)).unwrap();
        let [low, high] = ends.unwrap();
        assert!([mean, low, high].iter().all(|value| (value - 0.1).abs() < 1e-9));
        assert_eq!(cases, 20);
    }
}
