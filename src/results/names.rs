//! How parts of an experiment are called: the same words in tables, sentences, plots and the window.

use super::settings::departures;
use crate::config::{Arm, RunConfig};
use crate::experiment::{Cell, Experiment};

/// What an arm starts from that begins with a checkpoint.
const CHECKPOINT: &str = "a checkpoint from elsewhere";

/// What is called how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// The experiment's name.
    pub name: String,
    /// The question that it asks, or `Experiment NAME`.
    pub title: String,
    /// Axes that vary the experiment, in order; the others repeat it.
    pub axes: Vec<AxisNames>,
    /// The arms, in order.
    pub arms: Vec<ArmNames>,
    /// What a repeat is called: `seed`, `fold`, or `repeat` where both vary.
    pub repeat: &'static str,
    /// What is scored: `test case`, or `validation case` where the test cases are held back.
    pub subject: &'static str,
}

/// An axis that varies the experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisNames {
    /// Index among the config's axes.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Names of its levels.
    pub levels: Vec<String>,
    /// Whether it has two levels or more, and all are numbers.
    pub counts: bool,
}

/// An arm.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmNames {
    /// Its name.
    pub name: String,
    /// The pre-training arm that it starts from; none: from scratch.
    pub from: Option<String>,
    /// What that pre-training is called by its authors; or that it starts from a checkpoint.
    pub task: Option<&'static str>,
    /// What it sets otherwise than the experiment, and its pre-training before it, in plain words.
    pub settings: Vec<String>,
}

impl Names {
    /// Of an experiment.
    pub fn new(experiment: &Experiment) -> Self {
        let config = &experiment.config;
        let base = config.base();
        let axes = config.axes.iter().enumerate().filter(|(_, axis)| !axis.repeats());
        Self {
            name: config.name.clone(),
            title: if config.title.is_empty() { format!("Experiment {}", config.name) } else { config.title.clone() },
            axes: axes
                .map(|(index, axis)| AxisNames {
                    index,
                    name: axis.name.clone(),
                    levels: experiment.levels[index].iter().map(|level| level.name.clone()).collect(),
                    counts: axis.quantities().is_some_and(|numbers| numbers.len() > 1),
                })
                .collect(),
            arms: experiment.arms().iter().map(|arm| arm_names(base, arm)).collect(),
            repeat: repeat_word(experiment),
            subject: if base.data.hold_back_test { "validation case" } else { "test case" },
        }
    }

    /// The levels of a cell on [`Self::axes`].
    pub fn levels_of(&self, cell: &Cell) -> Vec<usize> {
        self.axes.iter().map(|axis| cell.point[axis.index]).collect()
    }

    /// Levels in words: `mask ratio 0.5, label fraction 1`; empty where nothing varies.
    pub fn point(&self, levels: &[usize]) -> String {
        let words = self.axes.iter().zip(levels).map(|(axis, &level)| format!("{} {}", axis.name, axis.levels[level]));
        words.collect::<Vec<_>>().join(", ")
    }

    /// Levels and arm in words: `mask ratio 0.5, simtrot_w`.
    pub fn group(&self, levels: &[usize], arm: usize) -> String {
        joined([self.point(levels), self.arms[arm].name.clone()])
    }

    /// The axes that repeat in a cell, in words: `seed 0, fold 2`; empty where nothing is repeated.
    pub fn repeat_of(&self, experiment: &Experiment, cell: &Cell) -> String {
        let axes = experiment.config.axes.iter().enumerate().filter(|(_, axis)| axis.repeats());
        axes.map(|(index, axis)| format!("{} {}", axis.name, experiment.level(cell, index))).collect::<Vec<_>>().join(", ")
    }

    /// A training in words: the levels that all of its cells share, and its arm. `axes` says which axes distinguish trainings here.
    pub fn training(experiment: &Experiment, training: usize, axes: impl Fn(usize) -> bool) -> String {
        joined([Self::shared_levels(experiment, training, axes), experiment.trainings[training].arm.clone()])
    }

    /// The levels that all cells of a training share, in words.
    pub(super) fn shared_levels(experiment: &Experiment, training: usize, axes: impl Fn(usize) -> bool) -> String {
        let cells: Vec<&Cell> = experiment.cells_of(training).collect();
        let Some((first, others)) = cells.split_first() else { return String::new() };
        let distinguishes = |axis: &usize| {
            axes(*axis) && experiment.levels[*axis].len() > 1 && others.iter().all(|cell| cell.point[*axis] == first.point[*axis])
        };
        let level = |axis: usize| format!("{} {}", experiment.config.axes[axis].name, experiment.level(first, axis));
        (0..experiment.levels.len()).filter(distinguishes).map(level).collect::<Vec<_>>().join(", ")
    }
}

fn arm_names(base: &RunConfig, arm: &Arm) -> ArmNames {
    let source = arm.from.as_ref().and_then(|from| base.arms.pretrain.iter().find(|source| source.name == *from));
    let pretrained = source.and_then(|source| base.with_arm(source).ok());
    // Settings of pre-training say nothing of an arm of fine-tuning, nor the other way round.
    let own = base.with_arm(arm).map(|own| RunConfig { pretrain: base.pretrain.clone(), ..own });
    let mut settings: Vec<String> = [pretrained.clone(), own.ok()].into_iter().flatten().flat_map(|own| departures(base, &own)).collect();
    settings.dedup();
    ArmNames {
        name: arm.name.clone(),
        from: arm.from.clone(),
        task: pretrained.map(|own| own.pretrain.task.title(own.pretrain.weight)).or(arm.checkpoint.as_ref().map(|_| CHECKPOINT)),
        settings,
    }
}

fn joined(words: [String; 2]) -> String {
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}

/// What the axes that repeat are about.
fn repeat_word(experiment: &Experiment) -> &'static str {
    let levels = experiment.config.axes.iter().filter(|axis| axis.repeats()).flat_map(crate::config::Axis::all_levels);
    let settings: Vec<String> = levels.flat_map(|level| level.set).collect();
    let seeds = settings.iter().filter(|setting| setting.trim_start().starts_with("seed")).count();
    match seeds {
        _ if seeds == settings.len() => "seed",
        0 => "fold",
        _ => "repeat",
    }
}
