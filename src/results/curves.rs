//! What is plotted over the steps of a training, and how a long noisy line is thinned and smoothed.

use std::collections::BTreeSet;

use crate::protocol::{StageState, StepNumbers};
use crate::wording::sentence;

/// A smoothed value is the mean over this share of the line.
const SMOOTH_SHARE: f64 = 1.0 / 30.0;

/// A quantity over the steps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// The loss.
    Loss,
    /// A part of the loss, or what was recorded with it.
    Part(String),
    /// Mean Dice of the validation cases.
    Validation,
    /// The learning rate.
    LearningRate,
    /// The gradient's L2 norm before clipping.
    GradientNorm,
    /// Volumes per second.
    Throughput,
    /// Resident memory of the process in MiB.
    Memory,
}

impl Quantity {
    /// Those that any of the stages has recorded, in the order in which they are shown.
    pub fn recorded<'a>(stages: impl IntoIterator<Item = &'a StageState>) -> Vec<Self> {
        let mut found = BTreeSet::new();
        for stage in stages {
            found.extend(stage.steps.iter().flat_map(|step| step.parts.keys().cloned().map(Self::Part)));
            found.extend((!stage.validations.is_empty()).then_some(Self::Validation));
            found.extend(stage.steps.iter().any(|step| step.resident_mib.is_some()).then_some(Self::Memory));
            if !stage.steps.is_empty() {
                found.extend([Self::Loss, Self::LearningRate, Self::GradientNorm, Self::Throughput]);
            }
        }
        found.into_iter().collect()
    }

    /// Its title.
    pub fn title(&self) -> String {
        match self {
            Self::Loss => "Loss".to_owned(),
            Self::Part(part) => sentence(&part.replace('_', " ")),
            Self::Validation => "Mean Dice of the validation cases".to_owned(),
            Self::LearningRate => "Learning rate".to_owned(),
            Self::GradientNorm => "Gradient norm before clipping".to_owned(),
            Self::Throughput => "Throughput, volumes per second".to_owned(),
            Self::Memory => "Memory of the process, MiB".to_owned(),
        }
    }

    /// What it is, in a sentence.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Loss => {
                "What each step makes smaller. Losses of different pretext tasks do not compare, and a collapse does not show in it."
            }
            Self::Part(_) => "A part of the loss, or a number recorded with it.",
            Self::Validation => "Mean over labels, then over the validation cases: what the best checkpoint is chosen by.",
            Self::LearningRate => "Factor of each step, as the schedule has it.",
            Self::GradientNorm => "L2 norm of all gradients together, before they are clipped.",
            Self::Throughput => "Crops taken through the network each second.",
            Self::Memory => "Resident memory of the whole process.",
        }
    }

    /// Whether the values scatter, so that their running mean is what is read.
    pub fn is_noisy(&self) -> bool {
        matches!(self, Self::Loss | Self::Part(_) | Self::GradientNorm | Self::Throughput)
    }

    /// Its value at a step.
    pub fn of(&self, step: &StepNumbers) -> Option<f64> {
        match self {
            Self::Loss => Some(step.loss),
            Self::Part(part) => step.parts.get(part).copied(),
            Self::LearningRate => Some(step.lr),
            Self::GradientNorm => Some(step.grad_norm),
            Self::Throughput => Some(step.volumes_per_sec),
            Self::Memory => step.resident_mib,
            Self::Validation => None,
        }
    }

    /// Steps and values of a stage; those that are not finite are left out.
    pub fn points(&self, stage: &StageState) -> Vec<(f64, f64)> {
        let points: Vec<(f64, f64)> = match self {
            Self::Validation => stage.validations.iter().map(|(step, dice)| (*step as f64, *dice)).collect(),
            _ => stage.steps.iter().filter_map(|step| Some((step.step as f64, self.of(step)?))).collect(),
        };
        points.into_iter().filter(|(_, value)| value.is_finite()).collect()
    }
}

/// The least and the greatest point of each stretch, about `most` in all, so that thinning a line hides no peak.
pub fn envelope(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let stretch = points.len().div_ceil(most / 2).max(1);
    let ends = |chunk: &[(f64, f64)]| {
        let by_y = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let mut ends: Vec<_> = chunk.iter().min_by(by_y).into_iter().chain(chunk.iter().max_by(by_y)).copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup();
        ends
    };
    points.chunks(stretch).flat_map(ends).collect()
}

/// The centred running mean over a thirtieth of the line, in at most about `most` points.
pub fn smoothed(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let reach = (points.len() as f64 * SMOOTH_SHARE / 2.0) as usize;
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(points.iter().scan(0.0, |sum, point| {
            *sum += point.1;
            Some(*sum)
        }))
        .collect();
    let stride = points.len().div_ceil(most).max(1);
    let mean = |index: usize| {
        let (from, to) = (index.saturating_sub(reach), (index + reach + 1).min(points.len()));
        (points[index].0, (sums[to] - sums[from]) / (to - from) as f64)
    };
    let last = points.len().checked_sub(1);
    (0..points.len()).filter(|&index| index % stride == 0 || Some(index) == last).map(mean).collect()
}

/// The mean over several lines of what each has at the same step; steps that not all of them have are left out.
pub fn averaged(lines: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let Some((first, others)) = lines.split_first() else { return Vec::new() };
    let at = |line: &Vec<(f64, f64)>, x: f64| {
        let index = line.binary_search_by(|point| point.0.total_cmp(&x)).ok()?;
        Some(line[index].1)
    };
    let mean = |&(x, y): &(f64, f64)| {
        let rest = others.iter().map(|other| at(other, x)).sum::<Option<f64>>()?;
        Some((x, (y + rest) / lines.len() as f64))
    };
    first.iter().filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 400;

    #[test]
    fn thinning_keeps_peaks_and_smoothing_keeps_a_straight_line() {
        let mut points: Vec<_> = (0..10_000).map(|x| (f64::from(x), f64::from(x))).collect();
        let within = |x: f64| (200.0..9800.0).contains(&x);
        assert!(smoothed(&points, MOST).iter().all(|&(x, y)| !within(x) || (x - y).abs() < 1e-6));
        assert_eq!(smoothed(&points, MOST).last().map(|point| point.0), Some(9999.0));
        points[4321].1 = 1e9;
        let thin = envelope(&points, MOST);
        assert!(thin.len() <= MOST && thin.contains(&(4321.0, 1e9)));
    }

    #[test]
    fn a_mean_of_lines_keeps_the_steps_that_all_have() {
        let lines = [vec![(1.0, 2.0), (2.0, 4.0), (3.0, 9.0)], vec![(1.0, 4.0), (3.0, 1.0)]];
        assert_eq!(averaged(&lines), [(1.0, 3.0), (3.0, 5.0)]);
        assert_eq!(averaged(&[]), []);
    }
}
