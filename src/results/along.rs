//! Groups along an axis whose levels are numbers: what page and window draw.

use super::{Experiment, ExperimentResults, Group, Spread};
use crate::metrics::Measure;

/// Arms stand this far apart at one level, so that their reaches do not hide one another.
const BESIDE: f64 = 0.06;

/// The groups along one axis, the levels of all others held.
#[derive(Clone, Debug, PartialEq)]
pub struct AlongAxis {
    /// The axis's place among [`ExperimentResults::axes`].
    pub place: usize,
    /// The other axes' levels in words; empty where there is no other axis.
    pub fixed: String,
    /// A course for each arm.
    pub courses: Vec<Course>,
}

/// An arm along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Index among the experiment's arms.
    pub arm: usize,
    /// Place of the level (0, 1, 2 ..., a little aside for each arm), and the means of Dice and HD95 there.
    points: Vec<(f64, [Option<Spread>; 2])>,
}

impl Course {
    /// Places with the means of a measure, in the order of the levels.
    pub fn of(&self, measure: Measure) -> Vec<(f64, Spread)> {
        let index = if measure == Measure::Dice { 0 } else { 1 };
        self.points.iter().filter_map(|(x, means)| Some((*x, means[index]?))).collect()
    }
}

impl ExperimentResults {
    /// Axes (places among [`ExperimentResults::axes`]) with at least two levels, all of which are numbers.
    pub fn counting_axes(&self, experiment: &Experiment) -> Vec<usize> {
        let counts = |place: &usize| experiment.config.axes[self.axes[*place]].quantities().is_some_and(|numbers| numbers.len() > 1);
        (0..self.axes.len()).filter(counts).collect()
    }

    /// The groups along an axis, once for each combination of the other axes' levels.
    pub fn along(&self, experiment: &Experiment, place: usize) -> Vec<AlongAxis> {
        let mut found: Vec<Vec<usize>> = Vec::new();
        for mut levels in self.points() {
            levels[place] = 0;
            if !found.contains(&levels) {
                found.push(levels);
            }
        }
        let fixed = |levels: &Vec<usize>| {
            let others = (0..self.axes.len()).filter(|&other| other != place);
            others.map(|other| self.level(experiment, self.axes[other], levels[other])).collect::<Vec<_>>().join(", ")
        };
        let courses = |levels: &Vec<usize>| (0..experiment.arms().len()).map(|arm| self.course(experiment, (place, levels), arm)).collect();
        found.iter().map(|levels| AlongAxis { place, fixed: fixed(levels), courses: courses(levels) }).collect()
    }

    fn course(&self, experiment: &Experiment, (place, levels): (usize, &[usize]), arm: usize) -> Course {
        let aside = BESIDE * (arm as f64 - (experiment.arms().len() as f64 - 1.0) / 2.0);
        let here =
            |group: &&Group| group.arm == arm && (0..levels.len()).all(|other| other == place || group.levels[other] == levels[other]);
        let mut points: Vec<(f64, [Option<Spread>; 2])> =
            self.groups.iter().filter(here).map(|group| (group.levels[place] as f64 + aside, [group.dice, group.hd95])).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Course { arm, points }
    }
}
