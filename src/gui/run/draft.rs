//! The run that is being set up: a config under edit, what is wrong with it, and the job that it becomes.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::template::{Size, Template};
use crate::config::{
    ConfigError, ConfigProblem, DataSource, FinetuneConfig, Intensity, ModelConfig, OptimiserConfig, Preset, PretrainConfig, RunConfig,
    ScheduleConfig, SplitConfig,
};
use crate::protocol::RunFolder;
use crate::volume::check::CheckReport;
use crate::worker::{Job, Start, Training};

/// What is done of a config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Work {
    /// Every arm: pre-train, fine-tune, test.
    #[default]
    Compare,
    /// Pre-training alone.
    Pretrain,
    /// Fine-tuning alone, then the test cases.
    Finetune,
}

/// One of the two trainings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Without labels.
    Pretrain,
    /// With labels.
    Finetune,
}

impl Part {
    /// The key of its settings.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Finetune => "finetune",
        }
    }
}

/// A run that is being set up.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    config: RunConfig,
    template: Template,
    problems: Vec<ConfigProblem>,
    /// Settings that were not taken, with the reason: their key, and why.
    refused: Option<ConfigProblem>,
    /// Raised by each change: what was worked out for an older one is stale.
    revision: u64,
    /// Whether the user gave the run its name.
    named: bool,
    /// Which jobs.
    pub(super) work: Work,
    /// Fine-tuning alone: the checkpoint whose encoder to start from; none: from scratch.
    pub(super) from: Option<PathBuf>,
    /// The folder in which the run's own is made.
    pub(super) parent: PathBuf,
}

impl Draft {
    /// Settings to begin with, on a dataset.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub(super) fn new(template: Template, source: Option<DataSource>) -> Result<Self, ConfigError> {
        let config = template.load()?;
        let parent = std::path::absolute("runs").unwrap_or_else(|_| PathBuf::from("runs"));
        let (problems, refused) = (Vec::new(), None);
        let mut draft = Self { config, template, problems, refused, revision: 0, named: false, work: Work::Compare, from: None, parent };
        if let Some(source) = source {
            draft.take_source(source);
        }
        draft.changed();
        Ok(draft)
    }

    /// The settings of another run, under a name of its own.
    pub(super) fn like(config: &RunConfig, parent: &Path) -> Self {
        let mut draft = Self {
            config: RunConfig { name: format!("{}_2", config.name), ..config.clone() },
            template: Template::Run(config.name.clone()),
            problems: Vec::new(),
            refused: None,
            revision: 0,
            named: false,
            work: Work::Compare,
            from: None,
            parent: parent.to_owned(),
        };
        draft.changed();
        draft
    }

    /// Begins anew with other settings, in the same folder: on the same dataset, unless a file of the user's names another and
    /// `keep_data` does not forbid it.
    ///
    /// # Errors
    /// A file that cannot be read or understood; nothing is changed then.
    pub(super) fn restart(&mut self, template: Template, keep_data: bool) -> Result<(), ConfigError> {
        let source = (keep_data || !matches!(template, Template::File(_))).then(|| self.config.data.source.clone());
        let fresh = Self::new(template, source)?;
        let (parent, revision, work, from) = (self.parent.clone(), self.revision, self.work, self.from.clone());
        *self = Self { parent, revision, work, from, ..fresh };
        self.changed();
        Ok(())
    }

    /// The settings as they stand; they may have [`Self::problems`].
    pub(super) fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Where the settings began.
    pub(super) fn template(&self) -> &Template {
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
    pub(super) fn set(&mut self, key: &str, value: impl Serialize) {
        let value = serde_json::to_string(&value).expect("plain data becomes JSON");
        self.set_text(&format!("{key}={value}"));
    }

    /// Changes one setting, written `key=value`. What cannot be taken is kept as a problem of that key.
    pub(super) fn set_text(&mut self, setting: &str) {
        match self.config.with_override(setting) {
            Ok(config) => {
                let names_the_run = setting.split_once('=').is_some_and(|(key, _)| key.trim() == "name");
                // A name that the user gave does not follow the pretext task.
                let name = if self.named && !names_the_run { self.config.name.clone() } else { config.name.clone() };
                self.named |= names_the_run;
                self.config = RunConfig { name, ..config };
                self.changed();
            }
            Err(error) => {
                let key = setting.split_once('=').map_or(setting, |(key, _)| key.trim()).to_owned();
                let message = match error {
                    ConfigError::Override { message, .. } => message,
                    other => other.to_string(),
                };
                self.refused = Some(ConfigProblem { key, message });
            }
        }
    }

    /// Why the last change was not taken.
    pub(super) fn refusal(&self) -> Option<&ConfigProblem> {
        self.refused.as_ref()
    }

    /// Trains on another dataset. A split that names the cases of the old one gives way to a random one.
    pub(super) fn take_source(&mut self, source: DataSource) {
        if self.config.data.source == source {
            return;
        }
        let split = &self.config.data.split;
        let named = matches!(split, SplitConfig::Demo) || matches!(split, SplitConfig::Lists { .. }) && self.template != Template::Synapse;
        if named {
            self.config.data.split = SplitConfig::default();
        }
        if source == DataSource::Demo {
            self.config.data.split = SplitConfig::Demo;
        }
        self.config.data.source = source;
        self.changed();
    }

    /// Learns what the dataset holds: settings that nobody chose follow it.
    pub(super) fn learn(&mut self, report: &CheckReport) {
        if self.template == Template::Defaults {
            if !self.named {
                self.config.name = plain(&report.name);
            }
            let is_ct = report.channels.iter().any(|channel| channel.eq_ignore_ascii_case("ct"));
            if is_ct && self.config.data.preprocess.intensity == Intensity::default() {
                self.config.data.preprocess.intensity = Intensity::CT;
            }
            self.changed();
        }
        if let SplitConfig::Lists { pretrain, finetune, .. } = &self.config.data.split {
            let unknown = pretrain.iter().chain(finetune).any(|name| report.rows.iter().all(|row| row.name != *name));
            // The public split of a dataset that this is not.
            if unknown && self.template == Template::Synapse {
                self.config.data.split = SplitConfig::default();
                self.changed();
            }
        }
        if report.rows.iter().all(|row| row.labels.is_none()) {
            self.work = Work::Pretrain;
        }
    }

    /// Chooses a named network. One of another size brings the crop that it was published with.
    pub(super) fn choose_network(&mut self, preset: Preset) {
        let resized = self.preset().is_none_or(|current| Size::of(current) != Size::of(preset));
        self.config.model = ModelConfig::Preset(preset);
        if resized {
            let crop_size = Size::of(preset).crop();
            (self.config.pretrain.crop_size, self.config.finetune.crop_size) = (crop_size, crop_size);
        }
        self.changed();
    }

    /// Chooses a training's optimiser, with the learning rate and the schedule that go with it.
    pub(super) fn choose_optimiser(&mut self, part: Part, adam_w: bool) {
        let (weight_decay, steps, sgd) = match part {
            Part::Pretrain => {
                let usual = PretrainConfig::default();
                (1e-5, self.config.pretrain.steps, (usual.optimiser, usual.schedule))
            }
            Part::Finetune => {
                let usual = FinetuneConfig::default();
                (3e-5, self.config.finetune.steps, (usual.optimiser, usual.schedule))
            }
        };
        let (optimiser, schedule) =
            if adam_w { (OptimiserConfig::adam_w(weight_decay), ScheduleConfig::warmup_cosine(steps)) } else { sgd };
        self.set(&format!("{}.optimiser", part.key()), optimiser);
        self.set(&format!("{}.schedule", part.key()), schedule);
    }

    /// Chooses a training's length. A warm-up of the usual length follows it.
    pub(super) fn choose_steps(&mut self, part: Part, steps: usize) {
        let (before, schedule) = match part {
            Part::Pretrain => (self.config.pretrain.steps, &self.config.pretrain.schedule),
            Part::Finetune => (self.config.finetune.steps, &self.config.finetune.schedule),
        };
        let usual = *schedule == ScheduleConfig::warmup_cosine(before);
        self.set(&format!("{}.steps", part.key()), steps);
        if usual {
            self.set(&format!("{}.schedule", part.key()), ScheduleConfig::warmup_cosine(steps));
        }
    }

    /// The named network that the settings amount to.
    pub(super) fn preset(&self) -> Option<Preset> {
        match &self.config.model {
            ModelConfig::Preset(preset) => Some(*preset),
            spelt_out => Preset::ALL.iter().copied().find(|preset| ModelConfig::Preset(*preset).resolve() == *spelt_out),
        }
    }

    /// Where the run will be kept.
    pub(super) fn folder(&self) -> RunFolder {
        RunFolder::new(self.parent.join(&self.config.name))
    }

    /// The job, checked once more as a config from disk would be.
    ///
    /// # Errors
    /// Everything wrong with the settings.
    pub(super) fn job(&self, start: Start) -> Result<(Job, RunFolder, RunConfig), ConfigError> {
        let config = self.config.with_overrides(&[])?;
        let folder = self.folder();
        let training = Training { config: config.clone(), folder: folder.clone(), start, max_steps: None };
        let job = match self.work {
            Work::Compare => Job::Compare(training),
            Work::Pretrain => Job::Pretrain(training),
            Work::Finetune => Job::Finetune { training, from: self.from.clone() },
        };
        Ok((job, folder, config))
    }

    /// Finds anew what is wrong, after a change of the settings or of the work.
    pub(super) fn changed(&mut self) {
        self.revision += 1;
        self.refused = None;
        self.problems = self.config.problems();
        if self.problems.is_empty() {
            self.problems = match self.work {
                Work::Pretrain => self.config.pretraining_problems(),
                Work::Compare | Work::Finetune => self.config.arm_problems(&self.config),
            };
        }
    }
}

/// A name for a run, of letters that its folder can have.
fn plain(name: &str) -> String {
    let plain: String = name.to_lowercase().chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let plain = plain.trim_matches('_');
    if plain.is_empty() { "run".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PretextTask;

    fn draft() -> Draft {
        Draft::new(Template::Demo, None).unwrap()
    }

    #[test]
    fn a_change_is_taken_even_while_another_setting_is_wrong() {
        let mut draft = draft();
        draft.set("pretrain.crop_size", [30, 32, 32]);
        assert!(draft.problem_of("pretrain.crop_size").unwrap().contains("multiple"));
        assert!(draft.job(Start::Fresh).is_err());
        draft.set("pretrain.mask_ratio", 0.5);
        assert_eq!((draft.config().pretrain.mask_ratio, draft.problems().len()), (0.5, 1));
        draft.set("pretrain.crop_size", [32; 3]);
        let (_, folder, config) = draft.job(Start::Fresh).unwrap();
        assert_eq!(config.pretrain.mask_ratio, 0.5);
        assert!(folder.root().ends_with("runs/demo"));
    }

    #[test]
    fn what_is_not_a_setting_is_told_and_changes_nothing() {
        let mut draft = draft();
        let (before, revision) = (draft.config().clone(), draft.revision());
        draft.set_text("pretrain.maskratio=0.5");
        assert!(draft.refusal().unwrap().message.contains("known here"));
        assert_eq!((draft.config(), draft.revision()), (&before, revision));
        draft.set_text("pretrain.rotate=off");
        assert!(draft.refusal().is_none());
    }

    #[test]
    fn another_dataset_takes_no_split_of_the_demo_with_it() {
        let mut draft = draft();
        draft.take_source(DataSource::Dataset("elsewhere".into()));
        assert_eq!(draft.config().data.split, SplitConfig::default());
        assert!(draft.problems().is_empty());
        draft.restart(Template::Synapse, false).unwrap();
        assert_eq!(draft.config().data.source, DataSource::Dataset("elsewhere".into()));
        draft.take_source(DataSource::Demo);
        assert_eq!(draft.config().data.split, SplitConfig::Demo);
    }

    #[test]
    fn a_network_of_another_size_brings_its_crop() {
        let mut draft = draft();
        draft.set("pretrain.crop_size", [64, 64, 64]);
        draft.choose_network(Preset::UnetSmall);
        assert_eq!(draft.config().pretrain.crop_size, [64; 3]);
        draft.choose_network(Preset::UnetrSynapse);
        assert_eq!(draft.config().finetune.crop_size, [64, 128, 128]);
        assert_eq!((draft.preset(), draft.problems().len()), (Some(Preset::UnetrSynapse), 0));
    }

    #[test]
    fn run_and_arms_are_called_by_their_pretext_task_unless_the_user_named_them() {
        let mut draft = Draft::new(Template::Hippocampus, None).unwrap();
        draft.set("pretrain.task", PretextTask::BTrot);
        let config = draft.config();
        assert_eq!((config.name.as_str(), config.arms.pretrain[0].name.as_str()), ("hippocampus_b_trot", "b_trot"));
        assert!(draft.folder().root().ends_with("runs/hippocampus_b_trot"));
        let mut again = Draft::like(draft.config(), Path::new("runs"));
        again.set("pretrain.task", PretextTask::Byol);
        assert_eq!(again.config().name, "hippocampus_byol_2");
        draft.set("name", "my_b_trot");
        draft.set("pretrain.task", PretextTask::Simclr);
        assert_eq!((draft.config().name.as_str(), draft.config().arms.pretrain[0].name.as_str()), ("my_b_trot", "simclr"));
    }

    #[test]
    fn an_optimiser_brings_its_rate_and_schedule_and_the_warm_up_follows_the_steps() {
        let mut draft = draft();
        draft.choose_optimiser(Part::Finetune, true);
        draft.choose_optimiser(Part::Pretrain, true);
        let RunConfig { pretrain, finetune, .. } = draft.config();
        assert_eq!((pretrain.optimiser, finetune.optimiser), (OptimiserConfig::adam_w(1e-5), OptimiserConfig::adam_w(3e-5)));
        assert_eq!(finetune.schedule, ScheduleConfig::WarmupCosine { warmup: 30 });
        draft.choose_steps(Part::Finetune, 330);
        assert_eq!(draft.config().finetune.schedule, ScheduleConfig::WarmupCosine { warmup: 10 });
        draft.choose_optimiser(Part::Finetune, false);
        let usual = FinetuneConfig::default();
        let finetune = &draft.config().finetune;
        assert_eq!((finetune.optimiser, &finetune.schedule, finetune.steps), (usual.optimiser, &usual.schedule, 330));
    }
}
