//! Groups along an axis whose levels are numbers: what page and window draw.

use super::ExperimentResults;
use super::group::{Group, Spread};
use crate::metrics::{Metric, distinct};

/// Arms stand this far apart at one level, so that their spreads do not hide one another.
const APART: f64 = 0.06;

/// The groups along one axis, the levels of all others held.
#[derive(Clone, Debug, PartialEq)]
pub struct PerAxis {
    /// The axis, by its index among [`super::Names::axes`].
    pub axis: usize,
    /// The other axes' levels in words; empty where there is no other axis.
    pub fixed: String,
    /// A line for each arm.
    pub lines: Vec<ArmLine>,
}

/// An arm along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmLine {
    /// Index among the experiment's arms.
    pub arm: usize,
    /// The level (0, 1, 2 ..., a little apart for each arm), and the means of Dice and HD95 there.
    points: Vec<(f64, [Option<Spread>; 2])>,
}

impl ArmLine {
    /// Levels with the means of a metric, in their order.
    pub fn of(&self, metric: Metric) -> Vec<(f64, Spread)> {
        let index = usize::from(metric != Metric::Dice);
        self.points.iter().filter_map(|(x, means)| Some((*x, means[index]?))).collect()
    }
}

impl ExperimentResults {
    /// Axes (indices among [`super::Names::axes`]) with at least two levels, all of which are numbers.
    pub fn counting_axes(&self) -> Vec<usize> {
        (0..self.names.axes.len()).filter(|&axis| self.names.axes[axis].counts).collect()
    }

    /// The groups along an axis, once for each combination of the other axes' levels.
    pub fn per_axis(&self, axis: usize) -> Vec<PerAxis> {
        let others_of = |mut levels: Vec<usize>| {
            levels[axis] = 0;
            levels
        };
        let found = distinct(self.points().into_iter().map(others_of));
        let fixed = |levels: &Vec<usize>| {
            let others = self.names.axes.iter().zip(levels).enumerate().filter(|&(other, _)| other != axis);
            others.map(|(_, (own, &level))| format!("{} {}", own.name, own.levels[level])).collect::<Vec<_>>().join(", ")
        };
        let lines = |levels: &Vec<usize>| (0..self.names.arms.len()).map(|arm| self.line(axis, levels, arm)).collect();
        found.iter().map(|levels| PerAxis { axis, fixed: fixed(levels), lines: lines(levels) }).collect()
    }

    fn line(&self, axis: usize, levels: &[usize], arm: usize) -> ArmLine {
        let apart = APART * (arm as f64 - (self.names.arms.len() as f64 - 1.0) / 2.0);
        let here =
            |group: &&Group| group.arm == arm && (0..levels.len()).all(|other| other == axis || group.levels[other] == levels[other]);
        let groups = self.groups.iter().filter(here);
        let mut points: Vec<_> = groups.map(|group| (group.levels[axis] as f64 + apart, [group.dice, group.hd95])).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        ArmLine { arm, points }
    }
}
