//! The experiment that is being set up: a config under edit, and what is wrong with it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::template::{Size, Template};
use crate::config::{
    Base, ConfigError, ConfigProblem, DataSource, ExperimentConfig, FinetuneConfig, Intensity, ModelConfig, OptimiserConfig, Preset,
    PretrainConfig, RunConfig, ScheduleConfig, SplitConfig,
};
use crate::protocol::StageKind;
use crate::volume::check::CheckReport;

/// What is done of a config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gui) enum Work {
    /// Every arm at every point: pre-train, fine-tune, test.
    #[default]
    Compare,
    /// Pre-training alone.
    Pretrain,
    /// Fine-tuning alone, then the test cases.
    Finetune,
}

impl Work {
    /// Whether a training of this kind is part of it.
    pub(super) fn includes(self, kind: StageKind) -> bool {
        match self {
            Self::Compare => true,
            Self::Pretrain => kind == StageKind::Pretrain,
            Self::Finetune => kind == StageKind::Finetune,
        }
    }
}

/// An experiment that is being set up.
#[derive(Clone, Debug)]
pub(in crate::gui) struct Form {
    /// The settings that are varied.
    config: RunConfig,
    /// The same as a tree, for controls that name their setting.
    tree: Value,
    /// Axes, points and question of the experiment; its base is `config`.
    grid: ExperimentConfig,
    template: Template,
    problems: Vec<ConfigProblem>,
    /// A setting that was not accepted: its key, and why.
    refused: Option<ConfigProblem>,
    /// Raised by each change: what was worked out for an older one is stale.
    revision: u64,
    /// Whether the user gave the experiment its name.
    named: bool,
    pub(in crate::gui) work: Work,
    /// Fine-tuning alone: the checkpoint whose encoder to start from; none: from scratch.
    pub(in crate::gui) from: Option<PathBuf>,
    /// The folder in which the experiment's own is made.
    pub(in crate::gui) parent: PathBuf,
}

impl Form {
    /// Settings to begin with, on a dataset.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub(in crate::gui) fn new(template: Template, source: Option<DataSource>) -> Result<Self, ConfigError> {
        let grid = template.load()?;
        let parent = std::path::absolute("runs").unwrap_or_else(|_| PathBuf::from("runs"));
        let mut form = Self::of(grid, template, parent);
        if let Some(source) = source {
            form.take_source(source);
        }
        Ok(form)
    }

    /// The settings of another experiment, under a name of its own.
    pub(in crate::gui) fn like(config: &ExperimentConfig, parent: &Path) -> Self {
        let name = format!("{}_2", config.name);
        let base = Base::Run(Box::new(RunConfig { name: name.clone(), ..config.base().clone() }));
        Self::of(ExperimentConfig { name, base, ..config.clone() }, Template::Other(config.name.clone()), parent.to_owned())
    }

    fn of(grid: ExperimentConfig, template: Template, parent: PathBuf) -> Self {
        let config = RunConfig { name: grid.name.clone(), ..grid.base().clone() };
        let (problems, refused, from) = (Vec::new(), None, None);
        let (revision, named, work) = (0, false, Work::Compare);
        let mut form = Self { config, tree: Value::Null, grid, template, problems, refused, revision, named, work, from, parent };
        form.changed();
        form
    }

    /// Begins anew with other settings, in the same folder: on the same dataset, unless a file of the user's names another and
    /// `keep_data` does not forbid it.
    ///
    /// # Errors
    /// A file that cannot be read or understood; nothing is changed then.
    pub(in crate::gui) fn restart(&mut self, template: Template, keep_data: bool) -> Result<(), ConfigError> {
        let source = (keep_data || !matches!(template, Template::File(_))).then(|| self.config.data.source.clone());
        let fresh = Self::new(template, source)?;
        let (parent, revision, work, from) = (self.parent.clone(), self.revision, self.work, self.from.clone());
        *self = Self { parent, revision, work, from, ..fresh };
        self.changed();
        Ok(())
    }

    /// Takes over what was planned from the cases of the dataset called `dataset`, in the same folder.
    pub(in crate::gui) fn take_plan(&mut self, config: &RunConfig, dataset: &str) {
        let grid = ExperimentConfig::of_run(config.clone());
        let (parent, revision, from) = (self.parent.clone(), self.revision, self.from.clone());
        let work = if config.arms.finetune.is_empty() { Work::Pretrain } else { Work::Compare };
        *self = Self { revision, work, from, ..Self::of(grid, Template::Planned(dataset.to_owned()), parent) };
        self.changed();
    }

    /// The settings as they stand; they may have [`Self::problems`].
    pub(in crate::gui) fn config(&self) -> &RunConfig {
        &self.config
    }

    /// The experiment as it stands: the settings with its axes.
    pub(in crate::gui) fn experiment(&self) -> ExperimentConfig {
        ExperimentConfig { name: self.config.name.clone(), base: Base::Run(Box::new(self.config.clone())), ..self.grid.clone() }
    }

    /// What the experiment varies: each axis with its number of levels; empty at one point.
    pub(super) fn axes(&self) -> Vec<(String, usize)> {
        self.grid.axes.iter().map(|axis| (axis.name.clone(), axis.all_levels().len())).collect()
    }

    /// The value of a setting; null where the config has none of that key.
    pub(super) fn value(&self, key: &str) -> &Value {
        key.split('.').fold(&self.tree, |tree, part| &tree[part])
    }

    /// Where the settings began.
    pub(in crate::gui) fn template(&self) -> &Template {
        &self.template
    }

    /// Raised by each change.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Everything wrong with the settings.
    pub(super) fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }

    /// What is wrong with a setting, or with one below it.
    pub(super) fn problem_of(&self, key: &str) -> Option<&str> {
        let below = |problem: &&ConfigProblem| problem.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.refused.iter().chain(&self.problems).find(below).map(|problem| problem.message.as_str())
    }

    /// Changes one setting, as `--set KEY=VALUE` would.
    pub(in crate::gui) fn set(&mut self, key: &str, value: impl Serialize) {
        let value = serde_json::to_string(&value).expect("plain data becomes JSON");
        self.set_text(&format!("{key}={value}"));
    }

    /// Changes one setting, written `key=value`. What is not accepted is kept as a problem of that key.
    pub(super) fn set_text(&mut self, setting: &str) {
        let key = setting.split_once('=').map_or(setting, |(key, _)| key.trim());
        match self.config.with_override(setting) {
            Ok(config) => {
                // A name that the user gave does not follow the pretext task.
                let name = if self.named && key != "name" { self.config.name.clone() } else { config.name.clone() };
                self.named |= key == "name";
                self.config = RunConfig { name, ..config };
                self.changed();
            }
            Err(error) => {
                let message = match error {
                    ConfigError::Override { message, .. } => message,
                    other => other.to_string(),
                };
                self.refused = Some(ConfigProblem { key: key.to_owned(), message });
            }
        }
    }

    /// Why the last change was not accepted.
    pub(super) fn refusal(&self) -> Option<&ConfigProblem> {
        self.refused.as_ref()
    }

    /// Trains on another dataset. A split that names the cases of the old one gives way to a random one.
    pub(in crate::gui) fn take_source(&mut self, source: DataSource) {
        let data = &mut self.config.data;
        if data.source == source {
            return;
        }
        let named =
            data.split == SplitConfig::Demo || matches!(data.split, SplitConfig::Lists { .. }) && self.template != Template::Synapse;
        if source == DataSource::Demo {
            data.split = SplitConfig::Demo;
        } else if named {
            data.split = SplitConfig::default();
        }
        data.source = source;
        self.changed();
    }

    /// Learns what the dataset holds: settings that nobody chose follow it.
    pub(in crate::gui) fn learn(&mut self, report: &CheckReport) {
        let data = &mut self.config.data;
        if self.template == Template::Defaults {
            if !self.named {
                self.config.name = plain(&report.name);
            }
            let is_ct = report.channels.iter().any(|channel| channel.eq_ignore_ascii_case("ct"));
            if is_ct && data.preprocess.intensity == Intensity::default() {
                data.preprocess.intensity = Intensity::CT;
            }
        }
        if let SplitConfig::Lists { pretrain, finetune, .. } = &data.split {
            let unknown = pretrain.iter().chain(finetune).any(|name| report.rows.iter().all(|row| row.name != *name));
            // The public split of a dataset that this is not.
            if unknown && self.template == Template::Synapse {
                data.split = SplitConfig::default();
            }
        }
        if report.rows.iter().all(|row| row.labels.is_none()) {
            self.work = Work::Pretrain;
        }
        self.changed();
    }

    /// Chooses a named network. One of another size brings the crop that it was published with.
    pub(in crate::gui) fn choose_network(&mut self, preset: Preset) {
        let resized = self.preset().is_none_or(|current| Size::of(current) != Size::of(preset));
        self.config.model = ModelConfig::Preset(preset);
        if resized {
            let crop_size = Size::of(preset).crop();
            (self.config.pretrain.crop_size, self.config.finetune.crop_size) = (crop_size, crop_size);
        }
        self.changed();
    }

    /// The named network that the settings amount to.
    pub(super) fn preset(&self) -> Option<Preset> {
        match &self.config.model {
            ModelConfig::Preset(preset) => Some(*preset),
            spelt_out => Preset::ALL.iter().copied().find(|preset| ModelConfig::Preset(*preset).resolve() == *spelt_out),
        }
    }

    /// Optimiser, schedule and steps of a training.
    pub(super) fn rule(&self, part: StageKind) -> (OptimiserConfig, ScheduleConfig, usize) {
        let RunConfig { pretrain, finetune, .. } = &self.config;
        match part {
            StageKind::Pretrain => (pretrain.optimiser, pretrain.schedule, pretrain.steps),
            _ => (finetune.optimiser, finetune.schedule, finetune.steps),
        }
    }

    fn set_part(&mut self, part: StageKind, setting: &str, value: impl Serialize) {
        let part = if part == StageKind::Pretrain { "pretrain" } else { "finetune" };
        self.set(&format!("{part}.{setting}"), value);
    }

    /// Chooses a training's optimiser, with the learning rate and the schedule that go with it.
    pub(super) fn choose_optimiser(&mut self, part: StageKind, adam_w: bool) {
        let (weight_decay, sgd) = match part {
            StageKind::Pretrain => (1e-5, (PretrainConfig::default().optimiser, PretrainConfig::default().schedule)),
            _ => (3e-5, (FinetuneConfig::default().optimiser, FinetuneConfig::default().schedule)),
        };
        let steps = self.rule(part).2;
        let (optimiser, schedule) = match adam_w {
            true => (OptimiserConfig::adam_w(weight_decay), ScheduleConfig::warmup_cosine(steps)),
            false => sgd,
        };
        self.set_part(part, "optimiser", optimiser);
        self.set_part(part, "schedule", schedule);
    }

    /// Chooses a training's length. A warm-up of the usual length follows it.
    pub(super) fn choose_steps(&mut self, part: StageKind, steps: usize) {
        let (_, schedule, before) = self.rule(part);
        self.set_part(part, "steps", steps);
        if schedule == ScheduleConfig::warmup_cosine(before) {
            self.set_part(part, "schedule", ScheduleConfig::warmup_cosine(steps));
        }
    }

    /// Where the experiment will be kept.
    pub(in crate::gui) fn folder(&self) -> PathBuf {
        self.parent.join(&self.config.name)
    }

    /// Finds anew what is wrong, after a change of the settings or of the work.
    pub(super) fn changed(&mut self) {
        self.revision += 1;
        self.refused = None;
        self.tree = serde_json::to_value(&self.config).expect("a config has no type that JSON cannot hold");
        self.problems = self.config.problems();
        if self.problems.is_empty() {
            self.problems = match self.work {
                Work::Pretrain => self.config.pretraining_problems(),
                Work::Compare | Work::Finetune => self.config.arm_problems(&self.config),
            };
        }
    }
}

/// A name for an experiment, of letters that its folder can have.
fn plain(name: &str) -> String {
    let plain: String = name.to_lowercase().chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let plain = plain.trim_matches('_');
    if plain.is_empty() { "run".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PretextTask;

    fn form() -> Form {
        Form::new(Template::Demo, None).unwrap()
    }

    #[test]
    fn a_change_is_accepted_even_while_another_setting_is_wrong() {
        let mut form = form();
        form.set("pretrain.crop_size", [30, 32, 32]);
        assert!(form.problem_of("pretrain.crop_size").unwrap().contains("multiple"));
        form.set("pretrain.mask_ratio", 0.5);
        assert_eq!(
            (form.config().pretrain.mask_ratio, form.value("pretrain.mask_ratio").as_f64(), form.problems().len()),
            (0.5, Some(0.5), 1)
        );
        form.set("pretrain.crop_size", [32; 3]);
        assert!(form.problems().is_empty() && form.folder().ends_with("runs/demo"));
        let (before, revision) = (form.config().clone(), form.revision());
        form.set_text("pretrain.maskratio=0.5");
        assert!(form.refusal().unwrap().message.contains("known here"));
        assert_eq!((form.config(), form.revision()), (&before, revision));
        form.set_text("pretrain.rotate=off");
        assert!(form.refusal().is_none());
    }

    #[test]
    fn another_dataset_has_no_split_of_the_demo() {
        let mut form = form();
        form.take_source(DataSource::Dataset("elsewhere".into()));
        assert_eq!(form.config().data.split, SplitConfig::default());
        assert!(form.problems().is_empty());
        form.restart(Template::Synapse, false).unwrap();
        assert_eq!(form.config().data.source, DataSource::Dataset("elsewhere".into()));
        form.take_source(DataSource::Demo);
        assert_eq!(form.config().data.split, SplitConfig::Demo);
    }

    #[test]
    fn a_network_of_another_size_brings_its_crop() {
        let mut form = form();
        form.set("pretrain.crop_size", [64, 64, 64]);
        form.choose_network(Preset::UnetSmall);
        assert_eq!(form.config().pretrain.crop_size, [64; 3]);
        form.choose_network(Preset::UnetrSynapse);
        assert_eq!(form.config().finetune.crop_size, [64, 128, 128]);
        assert_eq!((form.preset(), form.problems().len()), (Some(Preset::UnetrSynapse), 0));
    }

    #[test]
    fn names_follow_the_pretext_task_unless_the_user_gave_one() {
        let mut form = Form::new(Template::Hippocampus, None).unwrap();
        form.set("pretrain.task", PretextTask::BTrot);
        let config = form.config();
        assert_eq!((config.name.as_str(), config.arms.pretrain[0].name.as_str()), ("hippocampus_b_trot", "b_trot"));
        let mut again = Form::like(&form.experiment(), Path::new("runs"));
        again.set("pretrain.task", PretextTask::Byol);
        assert_eq!(again.config().name, "hippocampus_byol_2");
        form.set("name", "my_b_trot");
        form.set("pretrain.task", PretextTask::Simclr);
        assert_eq!((form.config().name.as_str(), form.config().arms.pretrain[0].name.as_str()), ("my_b_trot", "simclr"));
    }

    #[test]
    fn an_optimiser_brings_its_rate_and_schedule_and_the_warm_up_follows_the_steps() {
        let mut form = form();
        form.choose_optimiser(StageKind::Finetune, true);
        form.choose_optimiser(StageKind::Pretrain, true);
        let RunConfig { pretrain, finetune, .. } = form.config();
        assert_eq!((pretrain.optimiser, finetune.optimiser), (OptimiserConfig::adam_w(1e-5), OptimiserConfig::adam_w(3e-5)));
        assert_eq!(finetune.schedule, ScheduleConfig::WarmupCosine { warmup: 30 });
        form.choose_steps(StageKind::Finetune, 330);
        assert_eq!(form.config().finetune.schedule, ScheduleConfig::WarmupCosine { warmup: 10 });
        form.choose_optimiser(StageKind::Finetune, false);
        let usual = FinetuneConfig::default();
        let finetune = &form.config().finetune;
        assert_eq!((finetune.optimiser, &finetune.schedule, finetune.steps), (usual.optimiser, &usual.schedule, 330));
    }
}
