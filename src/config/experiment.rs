//! An experiment: one run's settings, its arms, and the axes along which they are varied. No tensors.
//!
//! Each point of the grid trains each arm. A run's config is an experiment of one point.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::parse::{from_ron, line_of, to_ron};
use super::{Arm, ArmsConfig, Checker, ConfigError, OptimiserConfig, RunConfig, ScheduleConfig};

/// A grid of runs: what is varied around which base.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Names the experiment's folder.
    pub name: String,
    /// The question, as the report's headline puts it.
    pub title: String,
    /// The run that is varied.
    pub base: Base,
    /// Settings laid over the base, written `key=value` as for `--set`.
    pub set: Vec<String>,
    /// What each point trains and compares; none: the base's own arms. Where an arm starts from a pre-training, one from scratch with
    /// AdamW is added unless there is one: a gain over a weaker step rule alone may be the step rule's.
    pub arms: Option<ArmsConfig>,
    /// What is varied. The grid is every combination of levels.
    pub axes: Vec<Axis>,
    /// Points that are run, each a choice of levels by axis name; an axis that it leaves out runs all of its levels. None: the full grid.
    pub points: Vec<BTreeMap<String, String>>,
}

/// The run that an experiment varies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// A run's config, relative to the experiment's file.
    File(PathBuf),
    /// Spelt out.
    Run(Box<RunConfig>),
}

/// Which one training an experiment consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Training {
    /// Pre-training.
    Pretrain,
    /// Fine-tuning and its test.
    Finetune {
        /// Checkpoint whose encoder it starts from; none: from scratch.
        from: Option<PathBuf>,
    },
}

/// One thing that is varied: a setting with its values, or levels of several settings each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Axis {
    /// Its name in tables and plots.
    pub name: String,
    /// The setting that takes the `values`.
    pub key: String,
    /// Values of `key`, each a level of its own.
    pub values: Vec<String>,
    /// Levels spelt out, where one setting is not enough.
    pub levels: Vec<Level>,
    /// The axis leaves pre-training alone: its levels share one, made with the base's own settings.
    pub shares_pretraining: bool,
}

/// One level of an axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Level {
    /// Its name in tables and plots.
    pub name: String,
    /// Settings, written `key=value` as for `--set`.
    pub set: Vec<String>,
}

impl Default for Base {
    fn default() -> Self {
        Self::Run(Box::default())
    }
}

impl Axis {
    /// All levels, in order.
    pub fn all_levels(&self) -> Vec<Level> {
        let valued = self.values.iter().map(|value| Level { name: value.clone(), set: vec![format!("{}={value}", self.key)] });
        valued.chain(self.levels.iter().cloned()).collect()
    }

    /// The level's place on a number line; none where a level's name is no number.
    pub fn quantities(&self) -> Option<Vec<f64>> {
        self.all_levels().iter().map(|level| level.name.trim().parse().ok().filter(|value: &f64| value.is_finite())).collect()
    }

    /// Whether its levels repeat the same experiment: with other seeds, or other folds. Results are means over them.
    pub fn repeats(&self) -> bool {
        let repeat = |setting: &String| {
            let key = setting.split('=').next().unwrap_or_default().trim();
            key == "seed" || key.ends_with(".fold")
        };
        let levels = self.all_levels();
        !levels.is_empty() && levels.iter().all(|level| !level.set.is_empty() && level.set.iter().all(repeat))
    }
}

impl ExperimentConfig {
    /// Reads an experiment, its base included, and checks it. A run's config is read as an experiment of one point.
    ///
    /// # Errors
    /// Unreadable file, invalid RON, unknown field or axis, a setting that does not exist, values out of range.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = crate::text_file::read(path).map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
        Self::from_ron(&text, &path.display().to_string(), path.parent().unwrap_or(Path::new("")))
    }

    /// Whether a config file, or the one that it takes its base from, names its data. Where none does, they are the demo's.
    pub fn names_data(path: &Path) -> bool {
        // Whoever reads the config reports what cannot be read.
        let Ok(text) = crate::text_file::read(path) else { return true };
        let base = from_ron::<Self>(&text, "").ok().filter(|_| Self::is_in(&text)).map(|experiment| experiment.base);
        let in_base = matches!(&base, Some(Base::File(file)) if Self::names_data(&path.parent().unwrap_or(Path::new("")).join(file)));
        in_base || line_of(&text, "source").is_some() || text.contains("data.source")
    }

    /// Whether a text is an experiment's rather than a run's: only an experiment has a base.
    pub fn is_in(text: &str) -> bool {
        line_of(text, "base").is_some()
    }

    /// Parses and checks the text of an experiment; `origin` names it in errors, `folder` is where its base's path begins.
    ///
    /// # Errors
    /// As [`ExperimentConfig::load`].
    pub fn from_ron(text: &str, origin: &str, folder: &Path) -> Result<Self, ConfigError> {
        if !Self::is_in(text) {
            return Self::of_run(RunConfig::from_ron(text, origin)?).checked(origin, text);
        }
        let experiment: Self = from_ron(text, origin)?;
        let base = match &experiment.base {
            Base::File(file) => RunConfig::load(&folder.join(file))?,
            Base::Run(run) => (**run).clone().with_arms_of(text),
        };
        let mut base = base.with_overrides(&experiment.set)?;
        if let Some(arms) = &experiment.arms {
            base.arms = arms.clone();
        }
        Self { base: Base::Run(Box::new(with_adamw_control(base))), set: Vec::new(), arms: None, ..experiment }.checked(origin, text)
    }

    /// The experiment of one point that a run with arms is.
    pub fn of_run(run: RunConfig) -> Self {
        Self { name: run.name.clone(), base: Base::Run(Box::new(with_adamw_control(run))), ..Self::default() }
    }

    /// The experiment of exactly one training: the pre-training of a run, or its fine-tuning, from scratch or from a checkpoint.
    pub fn of_one_training(kind: Training, run: RunConfig) -> Self {
        let arm = |name: String, checkpoint| vec![Arm { name, checkpoint, ..Arm::default() }];
        let (pretrain, finetune) = match kind {
            Training::Pretrain => (arm(run.pretrain.arm_name(), None), Vec::new()),
            Training::Finetune { from: None } => (Vec::new(), arm("scratch".to_owned(), None)),
            Training::Finetune { from } => (Vec::new(), arm("pretrained".to_owned(), from)),
        };
        Self::of_run(RunConfig { arms: ArmsConfig { pretrain, finetune }, ..run })
    }

    /// The same with `--set` settings laid over its base.
    ///
    /// # Errors
    /// A setting that does not exist, or a value out of range.
    pub fn with_overrides(self, settings: &[String]) -> Result<Self, ConfigError> {
        let base = self.base().with_overrides(settings)?;
        // Of a run's own config the name is the run's, which may name the pretext task.
        let name = if self.name == self.base().name { base.name.clone() } else { self.name };
        Self { name, base: Base::Run(Box::new(with_adamw_control(base))), ..self }.checked("--set", "")
    }

    /// The run that is varied.
    ///
    /// # Panics
    /// If the experiment was put together with a base that is still a file: [`ExperimentConfig::load`] reads it in.
    pub fn base(&self) -> &RunConfig {
        match &self.base {
            Base::Run(run) => run,
            Base::File(file) => panic!("the base {} was not read", file.display()),
        }
    }

    /// The experiment as RON text, its base spelt out.
    pub fn to_ron(&self) -> String {
        to_ron(self)
    }

    fn checked(self, origin: &str, text: &str) -> Result<Self, ConfigError> {
        let mut checker = Checker::default();
        self.check(&mut checker);
        ConfigError::unless_sound(checker.into_problems(), origin, text).map(|()| self)
    }

    fn check(&self, checker: &mut Checker) {
        checker.folder_name(&self.name);
        checker.distinct("axes", self.axes.iter().map(|axis| &axis.name), |name| format!("axis {name:?} stands twice"));
        for axis in &self.axes {
            let Axis { name, key, values, .. } = axis;
            let levels = axis.all_levels();
            checker.require("axes", !name.is_empty() && name != "arm", format_args!("axis {name:?} needs a name other than \"arm\""));
            checker.require("axes", !levels.is_empty(), format_args!("axis {name:?} has no level: give key and values, or levels"));
            checker.require("axes", values.is_empty() == key.is_empty(), format_args!("axis {name:?}: key and values go together"));
            let names = || levels.iter().map(|level| &level.name);
            checker.require("axes", !names().any(String::is_empty), format_args!("axis {name:?} has a level without a name"));
            checker.distinct("axes", names(), |level| format!("axis {name:?} has the level {level:?} twice"));
        }
        for (axis, level) in self.points.iter().flatten() {
            let known = self
                .axes
                .iter()
                .find(|known| known.name == *axis)
                .is_some_and(|known| known.all_levels().iter().any(|known| known.name == *level));
            checker.require("points", known, format_args!("{axis:?}: {level:?} is no level of an axis of this experiment"));
        }
        let ArmsConfig { pretrain, finetune } = &self.base().arms;
        checker.require(
            "arms",
            !(pretrain.is_empty() && finetune.is_empty()),
            format_args!("name no training, so that nothing is trained: give arms.pretrain or arms.finetune one"),
        );
    }
}

/// The run with an arm from scratch under AdamW, unless it has one or no arm is pre-trained.
fn with_adamw_control(mut run: RunConfig) -> RunConfig {
    let is_control = |arm: &Arm| {
        arm.from.is_none()
            && arm.checkpoint.is_none()
            && run.with_arm(arm).is_ok_and(|own| matches!(own.finetune.optimiser, OptimiserConfig::AdamW { .. }))
    };
    let is_taken = |name: &str| run.arms.finetune.iter().any(|arm| arm.name == name);
    let name = ["scratch_adamw", "adamw_from_scratch"].into_iter().find(|name| !is_taken(name));
    let is_pretrained = run.arms.finetune.iter().any(|arm| arm.from.is_some());
    if let Some(name) = name.filter(|_| is_pretrained && !run.arms.finetune.iter().any(is_control)) {
        let schedule = serde_json::to_string(&ScheduleConfig::warmup_cosine(run.finetune.steps)).expect("plain data becomes JSON");
        let set = [r#"finetune.optimiser={"adam_w":{"lr":1e-3,"weight_decay":3e-5}}"#.to_owned(), format!("finetune.schedule={schedule}")];
        run.arms.finetune.push(Arm { name: name.to_owned(), set: set.to_vec(), ..Arm::default() });
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"(
    name: "s",
    base: run((seed: 3)),
    set: ["pretrain.steps=7"],
    axes: [
        (name: "mask ratio", key: "pretrain.mask_ratio", values: ["0.25", "0.5"]),
        (name: "seed", key: "seed", values: ["0", "1"]),
        (name: "rotate", levels: [(name: "on"), (name: "off", set: ["pretrain.rotate=off"])]),
    ],
    points: [{"rotate": "off"}],
)"#;

    #[test]
    fn an_experiment_reads_its_base_and_knows_its_axes() {
        let experiment = ExperimentConfig::from_ron(TEXT, "s.ron", Path::new("")).unwrap();
        assert_eq!((experiment.base().seed, experiment.base().pretrain.steps), (3, 7));
        assert_eq!(experiment.axes[0].quantities(), Some(vec![0.25, 0.5]));
        assert_eq!(experiment.axes.iter().map(Axis::repeats).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(experiment.axes[2].quantities(), None);
        assert_eq!(ExperimentConfig::from_ron(&experiment.to_ron(), "again", Path::new("")).unwrap(), experiment);
    }

    #[test]
    fn a_run_is_an_experiment_of_one_point() {
        let run = RunConfig::default();
        let experiment = ExperimentConfig::from_ron(&run.to_ron(), "r.ron", Path::new("")).unwrap();
        let without_control = |arms: &ArmsConfig| arms.finetune[..2].to_vec();
        assert_eq!((without_control(&experiment.base().arms), experiment.axes.len()), (run.arms.finetune.clone(), 0));
        assert_eq!(RunConfig { arms: run.arms.clone(), ..experiment.base().clone() }, run);
    }

    #[test]
    fn what_is_pretrained_is_held_against_a_control_from_scratch_under_adamw() {
        let names = |text: &str| {
            let experiment = ExperimentConfig::from_ron(text, "s.ron", Path::new("")).unwrap();
            experiment.base().arms.finetune.iter().map(|arm| arm.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(TEXT), ["scratch", "simtrot_w", "scratch_adamw"]);
        let tuned = TEXT.replace("\"pretrain.steps=7\"", r#""finetune.optimiser={\"adam_w\":{\"lr\":1e-3,\"weight_decay\":0}}""#);
        assert_eq!(names(&tuned), ["scratch", "simtrot_w"], "its control is one already");
        let experiment = ExperimentConfig::from_ron(TEXT, "s.ron", Path::new("")).unwrap();
        let control = experiment.base().with_arm(&experiment.base().arms.finetune[2]).unwrap();
        assert!(matches!(control.finetune.optimiser, OptimiserConfig::AdamW { .. }));
    }

    #[test]
    fn a_config_without_any_training_is_refused() {
        let read = |text: &str| ExperimentConfig::from_ron(text, "r.ron", Path::new(""));
        let no_finetuning = ["arms.finetune=[]".to_owned()];
        let pretrained = read("()").unwrap().with_overrides(&no_finetuning).unwrap();
        assert_eq!((pretrained.base().arms.pretrain.len(), pretrained.base().arms.finetune.len()), (1, 0));
        let scratch = read(r#"(arms: (pretrain: [], finetune: [(name: "scratch")]))"#).unwrap();
        let error = scratch.with_overrides(&no_finetuning).unwrap_err().to_string();
        assert!(error.starts_with("--set: arms") && error.contains("nothing is trained"), "{error}");
        assert!(read("(\n arms: (pretrain: [], finetune: []),\n)").unwrap_err().to_string().starts_with("r.ron:2: arms"));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused =
            |from: &str, to: &str| ExperimentConfig::from_ron(&TEXT.replace(from, to), "s.ron", Path::new("")).unwrap_err().to_string();
        assert!(refused("{\"rotate\": \"off\"}", "{\"rotate\": \"of\"}").contains("is no level"));
        assert!(refused("\"seed\", key", "\"mask ratio\", key").contains("stands twice"));
        assert!(refused("steps=7", "stebs=7").contains("stebs"));
        assert!(refused("values: [\"0\", \"1\"]", "values: [\"0\", \"0\"]").contains("twice"));
        assert!(refused("base: run((seed: 3))", "base: file(\"nowhere.ron\")").contains("nowhere.ron"));
    }
}
