//! From axes and arms to the trainings that an experiment needs, each made once however many cells want it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::contents::{Content, Contents};
use super::key::key;
use crate::config::{Arm, ArmsConfig, ConfigError, ExperimentConfig, Level, RunConfig};
use crate::protocol::{Stage, StageKind};

/// Hexadecimal digits of a training's key in folder names.
const KEY_DIGITS: usize = 10;

/// An experiment laid out: its cells, and the trainings behind them.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// What it was laid out from.
    pub config: ExperimentConfig,
    /// Levels of each axis of the config.
    pub levels: Vec<Vec<Level>>,
    /// One for each point and fine-tuning arm; points of the first repeat (seed, fold) come first, so that an experiment cut short is
    /// balanced. None where nothing is fine-tuned.
    pub cells: Vec<Cell>,
    /// Trainings in an order in which each comes after the one that it starts from.
    pub trainings: Vec<TrainingPlan>,
    /// What the trainings are made from.
    pub contents: Contents,
}

/// One result of the experiment: an arm at a point of the grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The level on each axis.
    pub point: Vec<usize>,
    /// Index among the base's fine-tuning arms.
    pub arm: usize,
    /// The training that pre-trains for it; none: from scratch, or from a checkpoint from elsewhere.
    pub pretrained: Option<usize>,
    /// The training that fine-tunes and tests.
    pub finetuned: usize,
}

/// A training of the experiment: one pre-training, or one fine-tuning with its test, in a folder of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingPlan {
    /// `Pretrain` or `Finetune`.
    pub kind: StageKind,
    /// The arm that it was first laid out for.
    pub arm: String,
    /// `KIND-ARM-KEY`, its folder: the key is a digest of all that decides the result: settings, content of the data, version of the
    /// training code.
    pub name: String,
    /// Digest of the data that it sees; none where they cannot be read.
    pub data: Option<String>,
    /// Its settings.
    pub config: RunConfig,
    /// The training that it starts from.
    pub after: Option<usize>,
    /// The checkpoint from elsewhere that it starts from.
    pub checkpoint: Option<PathBuf>,
    /// Why its data, or the checkpoint, cannot be read now.
    pub trouble: Option<String>,
}

impl Experiment {
    /// Lays an experiment out. Files of data are read where their content is not remembered; `recorded` holds what those held that are away.
    ///
    /// # Errors
    /// A level or arm with a setting that does not exist or is out of range.
    pub fn new(config: ExperimentConfig, recorded: Contents) -> Result<Self, ConfigError> {
        Self::lay_out(config, Some(recorded))
    }

    /// Lays an experiment out without a look at its data: to count its cells and trainings.
    ///
    /// # Errors
    /// As [`Experiment::new`].
    pub fn outline(config: ExperimentConfig) -> Result<Self, ConfigError> {
        Self::lay_out(config, None)
    }

    fn lay_out(config: ExperimentConfig, mut contents: Option<Contents>) -> Result<Self, ConfigError> {
        let levels: Vec<_> = config.axes.iter().map(crate::config::Axis::all_levels).collect();
        let mut experiment = Self { levels, cells: Vec::new(), trainings: Vec::new(), contents: Contents::default(), config };
        let mut known = BTreeMap::new();
        for point in experiment.points() {
            let own = experiment.at(&point, |_| true)?;
            let shared = experiment.at(&point, |axis| !experiment.config.axes[axis].shares_pretraining)?;
            own.check_arms(&shared)?;
            let mut pretrained = BTreeMap::new();
            for arm in &shared.arms.pretrain {
                let plan = TrainingPlan::new(StageKind::Pretrain, &shared, arm, contents.as_mut())?;
                pretrained.insert(arm.name.clone(), experiment.add(&mut known, plan, None));
            }
            for (index, arm) in own.arms.finetune.iter().enumerate() {
                let source = arm.from.as_ref().and_then(|from| pretrained.get(from).copied());
                let plan = TrainingPlan::new(StageKind::Finetune, &own, arm, contents.as_mut())?;
                let finetuned = experiment.add(&mut known, plan, source);
                experiment.cells.push(Cell { point: point.clone(), arm: index, pretrained: source, finetuned });
            }
        }
        experiment.contents = contents.unwrap_or_default();
        Ok(experiment)
    }

    /// The base with the settings of the levels at a point laid over it, on the axes that `counts`.
    fn at(&self, point: &[usize], counts: impl Fn(usize) -> bool) -> Result<RunConfig, ConfigError> {
        let chosen = point.iter().enumerate().filter(|&(axis, _)| counts(axis));
        let settings: Vec<String> = chosen.flat_map(|(axis, &level)| self.levels[axis][level].set.clone()).collect();
        self.config.base().with_overrides(&settings)
    }

    /// Every wanted point of the grid: repeats vary slowest, then the first axis.
    fn points(&self) -> Vec<Vec<usize>> {
        let axes = &self.config.axes;
        let mut order: Vec<usize> = (0..axes.len()).collect();
        order.sort_by_key(|&axis| !axes[axis].repeats());
        let mut points = vec![vec![0; axes.len()]];
        for axis in order {
            let spread = |point: Vec<usize>| {
                (0..self.levels[axis].len()).map(move |level| {
                    let mut point = point.clone();
                    point[axis] = level;
                    point
                })
            };
            points = points.into_iter().flat_map(spread).collect();
        }
        let name = |point: &[usize], axis: &str| {
            let axis = axes.iter().position(|known| known.name == axis)?;
            Some(self.levels[axis][point[axis]].name.clone())
        };
        let listed = |point: &Vec<usize>| {
            let wanted = &self.config.points;
            wanted.is_empty() || wanted.iter().any(|wanted| wanted.iter().all(|(axis, level)| name(point, axis).as_ref() == Some(level)))
        };
        points.retain(listed);
        points
    }

    /// The index of a training, which is added unless another cell has asked for it before.
    fn add(&mut self, known: &mut BTreeMap<String, usize>, plan: (TrainingPlan, Content), after: Option<usize>) -> usize {
        let (plan, source) = plan;
        let source = after.map(|after| self.trainings[after].key()).or(source.digest.as_deref());
        let key = key(plan.kind, &plan.config, plan.data.as_deref(), source);
        *known.entry(key.clone()).or_insert_with(|| {
            let name = format!("{}-{}-{}", plan.kind, plan.arm, &key[..KEY_DIGITS]);
            self.trainings.push(TrainingPlan { config: RunConfig { name: name.clone(), ..plan.config }, name, after, ..plan });
            self.trainings.len() - 1
        })
    }

    /// The experiment's arms, in order.
    pub fn arms(&self) -> &[Arm] {
        &self.config.base().arms.finetune
    }

    /// The name of a cell's level on an axis.
    pub fn level(&self, cell: &Cell, axis: usize) -> &str {
        &self.levels[axis][cell.point[axis]].name
    }

    /// A cell in words: `mask ratio 0.5, seed 1, simtrot_w`.
    pub fn title(&self, cell: &Cell) -> String {
        let levels = self.config.axes.iter().enumerate().map(|(index, axis)| format!("{} {}", axis.name, self.level(cell, index)));
        levels.chain([self.arms()[cell.arm].name.clone()]).collect::<Vec<_>>().join(", ")
    }

    /// Whether it has one point: no axis, or one level on each.
    pub fn is_one_point(&self) -> bool {
        self.levels.iter().all(|levels| levels.len() == 1)
    }

    /// The trainings behind some cells, in order.
    pub fn trainings_behind(&self, cells: &[usize]) -> Vec<usize> {
        let mut trainings: Vec<usize> =
            cells.iter().flat_map(|&cell| self.cells[cell].pretrained.into_iter().chain([self.cells[cell].finetuned])).collect();
        trainings.sort_unstable();
        trainings.dedup();
        trainings
    }

    /// Cells that a training serves.
    pub fn cells_of(&self, training: usize) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.pretrained == Some(training) || cell.finetuned == training)
    }
}

impl TrainingPlan {
    /// What an arm's training is made of, with the content of the checkpoint from elsewhere that it starts from. Its name is made with its
    /// key.
    fn new(kind: StageKind, around: &RunConfig, arm: &Arm, contents: Option<&mut Contents>) -> Result<(Self, Content), ConfigError> {
        let mut config = around.with_arm(arm)?.resolved();
        config.arms = ArmsConfig { pretrain: Vec::new(), finetune: Vec::new() };
        if kind == StageKind::Pretrain {
            // Which labels fine-tuning may use is nothing to a training without labels; its label probe is fitted on all of them.
            config.data.label_fraction = 1.0;
        }
        let (data, source) = contents.map_or_else(Default::default, |contents| {
            let source = arm.checkpoint.as_ref().map(|checkpoint| contents.checkpoint(checkpoint));
            (contents.data(&config), source.unwrap_or_default())
        });
        let trouble = data.trouble.map(|trouble| explained(arm, trouble)).or_else(|| source.trouble.clone());
        let (arm, checkpoint) = (arm.name.clone(), arm.checkpoint.clone());
        Ok((Self { kind, arm, name: String::new(), data: data.digest, config, after: None, checkpoint, trouble }, source))
    }

    /// The digest of its settings: trainings of equal key are the same, whatever their arms are called.
    pub fn key(&self) -> &str {
        self.name.rsplit_once('-').map_or(&self.name, |(_, key)| key)
    }

    /// The stage that trains.
    pub fn stage(&self) -> Stage {
        Stage { kind: self.kind, arm: self.arm.clone() }
    }

    /// Optimiser steps in all.
    pub fn steps(&self) -> usize {
        self.kind.steps(&self.config)
    }
}

/// What is wrong with data, with the settings of the arm that they come from.
fn explained(arm: &Arm, trouble: String) -> String {
    let of_data = |setting: &&String| setting.starts_with("data.") || setting.split('=').next().is_some_and(|key| key.trim() == "seed");
    let settings: Vec<&str> = arm.set.iter().filter(of_data).map(String::as_str).collect();
    if settings.is_empty() { trouble } else { format!("arm {} ({}): {trouble}", arm.name, settings.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::experiment::Only;

    fn experiment(text: &str) -> Experiment {
        Experiment::new(ExperimentConfig::from_ron(text, "s.ron", Path::new("")).unwrap(), Contents::default()).unwrap()
    }

    const GRID: &str = r#"(
    name: "s",
    base: run(()),
    axes: [
        (name: "labels", key: "data.label_fraction", values: ["0.5", "1"]),
        (name: "mask", key: "pretrain.mask_ratio", values: ["0.25", "0.5", "0.75"]),
        (name: "seed", key: "seed", values: ["0", "1"]),
    ],
)"#;

    fn count(experiment: &Experiment, kind: StageKind) -> usize {
        experiment.trainings.iter().filter(|training| training.kind == kind).count()
    }

    #[test]
    fn cells_share_what_their_settings_do_not_tell_apart() {
        let experiment = experiment(GRID);
        assert_eq!(experiment.cells.len(), 2 * 3 * 2 * 3);
        // Labels do not matter to pre-training, nor masks to a training from scratch.
        assert_eq!(count(&experiment, StageKind::Pretrain), 3 * 2);
        assert_eq!(count(&experiment, StageKind::Finetune), 2 * 3 * 2 + 2 * (2 * 2));
        for (index, training) in experiment.trainings.iter().enumerate() {
            assert!(training.after.is_none_or(|after| after < index && experiment.trainings[after].kind == StageKind::Pretrain));
        }
        let first: Vec<_> = experiment.cells[..18].iter().map(|cell| experiment.level(cell, 2)).collect();
        assert!(first.iter().all(|seed| *seed == "0"), "an experiment cut short has whole seeds: {first:?}");
        let names: std::collections::BTreeSet<_> = experiment.trainings.iter().map(|training| &training.name).collect();
        assert_eq!(names.len(), experiment.trainings.len());
    }

    #[test]
    fn an_axis_may_leave_pretraining_alone() {
        let shared = GRID.replace("values: [\"0\", \"1\"])", "values: [\"0\", \"1\"], shares_pretraining: true)");
        let experiment = experiment(&shared);
        assert_eq!(count(&experiment, StageKind::Pretrain), 3);
        assert_eq!(count(&experiment, StageKind::Finetune), 2 * 3 * 2 + 2 * (2 * 2));
    }

    #[test]
    fn listed_points_and_only_choose_cells() {
        let listed = experiment(&GRID.replace("axes:", "points: [{\"mask\": \"0.25\", \"labels\": \"1\"}, {\"mask\": \"0.75\"}],\n axes:"));
        assert_eq!(listed.cells.len(), (1 + 2) * 2 * 3);
        let experiment = experiment(GRID);
        let only = |texts: &[&str]| experiment.wanted(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Only>>());
        assert_eq!(only(&[]).unwrap().len(), 36);
        assert_eq!(only(&["seed=1", "arm=scratch"]).unwrap().len(), 6);
        assert_eq!(only(&["mask=0.25", "mask=0.5"]).unwrap().len(), 24);
        assert!(only(&["mask=0.3"]).unwrap_err().to_string().contains("0.25, 0.5, 0.75"));
        assert!(only(&["msk=0.5"]).unwrap_err().to_string().contains("labels, mask, seed, arm"));
        let cells = only(&["seed=1", "arm=scratch", "mask=0.5"]).unwrap();
        assert_eq!(experiment.trainings_behind(&cells).len(), 2, "two label fractions, nothing pre-trained");
    }

    #[test]
    fn an_arm_by_another_name_is_the_same_training() {
        let named = |name: &str| {
            experiment(&format!(
                r#"(name: "s", base: run(()), arms: (pretrain: [(name: "{name}")], finetune: [(name: "{name}", from: "{name}")]))"#
            ))
        };
        let [one, other] = ["one", "other-one"].map(named);
        let keys = |experiment: &Experiment| experiment.trainings.iter().map(|training| training.key().to_owned()).collect::<Vec<_>>();
        assert_eq!(keys(&one), keys(&other));
        assert_ne!(one.trainings[0].name, other.trainings[0].name);
    }
}
