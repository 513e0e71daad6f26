//! How parts of an experiment are called: the same words in tables, sentences, plots and the window.

use super::{Experiment, ExperimentResults, Group};
use crate::wording::count;

/// What stands where a group's trainings are the same on every level of an axis.
const ANY: &str = "any";

/// A pre-training over its repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pretraining {
    /// Levels and arm, as far as they tell it from the others.
    pub name: String,
    /// Stages of the experiment, one for each repeat.
    pub stages: Vec<usize>,
    /// Place among [`ExperimentResults::groups`] of the first group that starts from it.
    pub group: usize,
}

impl ExperimentResults {
    /// Groups with trainings of their own, with their places among [`ExperimentResults::groups`].
    pub fn rows(&self) -> impl Iterator<Item = (usize, &Group)> {
        self.groups.iter().enumerate().filter(|(_, group)| group.same_as.is_none())
    }

    /// Those of [`Self::rows`] that have something to show.
    pub fn known_rows(&self) -> impl Iterator<Item = (usize, &Group)> {
        self.rows().filter(|(_, group)| group.done() > 0 || (group.pretraining.is_some() && group.collapse.is_some()))
    }

    /// Names of the axes that vary.
    pub fn axis_names<'a>(&self, experiment: &'a Experiment) -> Vec<&'a str> {
        self.axes.iter().map(|&axis| experiment.config.axes[axis].name.as_str()).collect()
    }

    /// The level of a group on each axis that varies; `any` where other levels are the very same trainings.
    pub fn level_names(&self, experiment: &Experiment, index: usize) -> Vec<String> {
        let group = &self.groups[index];
        let name = |(place, &axis): (usize, &usize)| {
            let level = group.levels[place];
            let any = self.groups.iter().any(|other| other.same_as == Some(index) && other.levels[place] != level);
            if any { ANY.to_owned() } else { experiment.levels[axis][level].name.clone() }
        };
        self.axes.iter().enumerate().map(name).collect()
    }

    /// Axes and levels in words: `mask ratio 0.5, label fraction 1`; empty where nothing varies.
    pub fn place(&self, experiment: &Experiment, levels: &[usize]) -> String {
        let words = self.axes.iter().zip(levels).map(|(&axis, &level)| self.level(experiment, axis, level));
        words.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn level(&self, experiment: &Experiment, axis: usize, level: usize) -> String {
        format!("{} {}", experiment.config.axes[axis].name, experiment.levels[axis][level].name)
    }

    /// Distinct levels of the groups, in their order: the points of the grid without repeats.
    pub fn points(&self) -> Vec<Vec<usize>> {
        let mut points: Vec<Vec<usize>> = Vec::new();
        for group in &self.groups {
            if !points.contains(&group.levels) {
                points.push(group.levels.clone());
            }
        }
        points
    }

    /// `52 test cases, 3 seeds`: how much the numbers rest on; `up to` where groups differ.
    pub fn evidence(&self, experiment: &Experiment) -> String {
        let done: Vec<&Group> = self.rows().map(|(_, group)| group).filter(|group| group.done() > 0).collect();
        let most = |number: fn(&Group) -> usize| done.iter().map(|group| number(group)).max().unwrap_or(0);
        let (cases, repeats) = (most(|group| group.cases), most(Group::done));
        let even = done.iter().all(|group| group.cases == cases && group.done() == repeats);
        let words = format!("{}, {}", count(cases, experiment.subject()), count(repeats, self.repeat));
        if even { words } else { format!("up to {words}") }
    }

    /// Pre-trainings that are told apart by more than their repeat, in the order of the groups.
    pub fn pretrainings(&self, experiment: &Experiment) -> Vec<Pretraining> {
        let mut found: Vec<Pretraining> = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let stages: Vec<usize> = group.repeats.iter().filter_map(|repeat| experiment.cells[repeat.cell].pretrained).collect();
            if !stages.is_empty() && !found.iter().any(|known| known.stages[0] == stages[0]) {
                let name = self.pretraining_name(experiment, index, stages[0]);
                found.push(Pretraining { name, stages, group: index });
            }
        }
        found
    }

    /// Levels that all groups of a pre-training share, and its arm where there are several.
    fn pretraining_name(&self, experiment: &Experiment, index: usize, stage: usize) -> String {
        let served = |group: &&Group| group.repeats.iter().any(|repeat| experiment.cells[repeat.cell].pretrained == Some(stage));
        let served: Vec<&Group> = self.groups.iter().filter(served).collect();
        let own = &self.groups[index].levels;
        let tells = |place: &usize| {
            experiment.levels[self.axes[*place]].len() > 1 && served.iter().all(|group| group.levels[*place] == own[*place])
        };
        let arm = experiment.arm_of(stage).to_owned();
        let levels: Vec<String> =
            (0..self.axes.len()).filter(tells).map(|place| self.level(experiment, self.axes[place], own[place])).collect();
        let several = experiment.config.base().arms.pretrain.len() > 1;
        let words: Vec<String> = if several || levels.is_empty() { [arm].into_iter().chain(levels).collect() } else { levels };
        words.join(", ")
    }
}

impl Experiment {
    /// What is scored: `test case`, or `validation case` where the test cases are held back.
    pub fn subject(&self) -> &'static str {
        if self.config.base().data.hold_back_test { "validation case" } else { "test case" }
    }

    /// The arm that a stage is made for.
    pub fn arm_of(&self, stage: usize) -> &str {
        let name = &self.stages[stage].name;
        name.rsplit_once('-').map_or(name, |(arm, _)| arm)
    }
}
