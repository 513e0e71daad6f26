//! Arms and runs are called by their pretext task: where the task changes, the names that state the old one follow.

use serde::Deserialize;

use super::parse::line_of;
use super::{Arm, ArmsConfig, PretextTask, PretrainConfig, RunConfig};

impl PretrainConfig {
    /// What arms and folders call this pretext task: `simtrot_w`, `b_trot`.
    pub fn arm_name(&self) -> String {
        let is_weighted = self.task == PretextTask::Simtrot && self.weight != 1.0;
        if is_weighted { format!("{}_w", self.task) } else { self.task.to_string() }
    }
}

impl Arm {
    fn named(name: &str, from: Option<&str>) -> Self {
        Self { name: name.to_owned(), from: from.map(str::to_owned), ..Self::default() }
    }
}

impl ArmsConfig {
    /// A pretext task beside training from scratch: the arms of settings that name none.
    pub(super) fn beside_scratch(name: &str) -> Self {
        let pretrain = vec![Arm::named(name, None)];
        Self { finetune: from_scratch_and(&pretrain), pretrain }
    }
}

/// A fine-tuning from scratch, and one from each pre-training.
fn from_scratch_and(pretrain: &[Arm]) -> Vec<Arm> {
    let from_each = pretrain.iter().map(|arm| Arm::named(&arm.name, Some(&arm.name)));
    std::iter::once(Arm::named("scratch", None)).chain(from_each).collect()
}

/// The arms as a config states them: either list may be left out.
#[derive(Default, Deserialize)]
#[serde(rename = "ArmsConfig", default, deny_unknown_fields)]
pub(super) struct StatedArms {
    pretrain: Option<Vec<Arm>>,
    finetune: Option<Vec<Arm>>,
}

impl From<StatedArms> for ArmsConfig {
    fn from(StatedArms { pretrain, finetune }: StatedArms) -> Self {
        match (pretrain, finetune) {
            (None, None) => Self::default(),
            (Some(pretrain), None) => Self { finetune: from_scratch_and(&pretrain), pretrain },
            (Some(pretrain), Some(finetune)) => Self { pretrain, finetune },
            // What one of them starts from must be listed: a pre-training made up here would have its name and not its settings.
            (None, Some(finetune)) => Self { pretrain: Vec::new(), finetune },
        }
    }
}

impl RunConfig {
    /// What was read from `text`: where that names no arms, the default ones are called by the pretext task that it sets.
    pub(super) fn with_arms_of(self, text: &str) -> Self {
        if line_of(text, "arms").is_some() {
            return self;
        }
        Self { arms: ArmsConfig::beside_scratch(&self.pretrain.arm_name()), ..self }
    }

    /// With names that state the pretext task of `before` stating this one's. Other names stay.
    pub(super) fn renamed_by_task(mut self, before: &Self) -> Self {
        let (old, new) = (before.pretrain.arm_name(), self.pretrain.arm_name());
        let arms = || self.arms.pretrain.iter().chain(&self.arms.finetune);
        let sets_itself = |arm: &Arm| arm.set.iter().any(|set| set.starts_with("pretrain.task") || set.starts_with("pretrain.weight"));
        if old == new || arms().any(|arm| arm.name == new || arm.name == old && sets_itself(arm)) {
            return self;
        }
        for arm in self.arms.pretrain.iter_mut().chain(&mut self.arms.finetune) {
            for name in [&mut arm.name].into_iter().chain(&mut arm.from) {
                if let Some(renamed) = renamed(name, &old, &new) {
                    *name = renamed;
                }
            }
        }
        if let Some(renamed) = renamed(&self.name, &old, &new) {
            self.name = renamed;
        }
        self
    }
}

/// The name with another task in it: `hippocampus_simtrot_w`, `simtrot_w_2`. None where the old one is no part of its own.
fn renamed(name: &str, old: &str, new: &str) -> Option<String> {
    let (at, _) = name.rmatch_indices(old).find(|(at, _)| {
        let (head, tail) = (&name[..*at], &name[at + old.len()..]);
        let numbered = tail.strip_prefix('_').is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()));
        (head.is_empty() || head.ends_with(['_', '-'])) && (tail.is_empty() || numbered)
    })?;
    Some(format!("{}{new}{}", &name[..at], &name[at + old.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arms: &[Arm]) -> Vec<(&str, Option<&str>)> {
        arms.iter().map(|arm| (arm.name.as_str(), arm.from.as_deref())).collect()
    }

    #[test]
    fn arms_and_run_are_called_by_the_pretext_task_that_is_set() {
        let config = RunConfig { name: "hippocampus_simtrot_w".to_owned(), ..RunConfig::default() };
        let other = config.with_overrides(&["pretrain.task=b_trot".to_owned()]).unwrap();
        assert_eq!(names(&other.arms.pretrain), [("b_trot", None)]);
        assert_eq!(names(&other.arms.finetune), [("scratch", None), ("b_trot", Some("b_trot"))]);
        assert_eq!(other.name, "hippocampus_b_trot");
        let plain = config.with_overrides(&["pretrain.weight=1".to_owned()]).unwrap();
        assert_eq!((names(&plain.arms.pretrain), plain.name.as_str()), (vec![("simtrot", None)], "hippocampus_simtrot"));
        let back = plain.with_overrides(&["pretrain.weight=5".to_owned()]).unwrap();
        assert_eq!(back, config);
    }

    #[test]
    fn arms_that_a_file_leaves_out_are_called_by_its_pretext_task_and_those_it_states_are_left() {
        let config = RunConfig::from_ron("(pretrain: (task: simclr))", "text").unwrap();
        assert_eq!(names(&config.arms.finetune), [("scratch", None), ("simclr", Some("simclr"))]);
        let stated = "(pretrain: (task: simclr), arms: (pretrain: [(name: \"mine\")], finetune: [(name: \"mine\", from: \"mine\")]))";
        let stated = RunConfig::from_ron(stated, "text").unwrap();
        assert_eq!(names(&stated.arms.pretrain), [("mine", None)]);
        let changed = stated.with_overrides(&["pretrain.task=byol".to_owned()]).unwrap();
        assert_eq!(names(&changed.arms.pretrain), [("mine", None)]);
    }

    #[test]
    fn fine_tunings_alone_pretrain_nothing_and_pretrainings_alone_are_fine_tuned_beside_scratch() {
        let arms = |text: &str| RunConfig::from_ron(&format!("(pretrain: (task: byol), arms: ({text}))"), "text").unwrap().arms;
        let alone = arms("finetune: [(name: \"scratch\")]");
        assert_eq!((names(&alone.pretrain), names(&alone.finetune)), (vec![], vec![("scratch", None)]), "nothing pre-trains unasked");
        let started = RunConfig::from_ron("(arms: (finetune: [(name: \"a\", from: \"byol\")]))", "text").unwrap_err().to_string();
        assert!(started.contains("byol") && started.contains("arms.pretrain"), "{started}");
        let pretrainings = arms("pretrain: [(name: \"p\"), (name: \"q\", set: [\"pretrain.rotate=off\"])]");
        assert_eq!(names(&pretrainings.finetune), [("scratch", None), ("p", Some("p")), ("q", Some("q"))]);
        let asked = arms("pretrain: [(name: \"p\")], finetune: []");
        assert_eq!((names(&asked.pretrain), asked.finetune.len()), (vec![("p", None)], 0), "for its collapse numbers");
        let set = RunConfig::default().with_overrides(&[r#"arms={"finetune":[{"name":"scratch"}]}"#.to_owned()]).unwrap();
        assert_eq!(set.arms, alone);
    }

    #[test]
    fn arms_that_set_the_task_themselves_keep_their_names() {
        let mut config = RunConfig::default();
        config.arms.pretrain.push(Arm { name: "b_trot".into(), set: vec!["pretrain.task=b_trot".into()], ..Arm::default() });
        let other = config.with_overrides(&["pretrain.task=b_trot".to_owned()]).unwrap();
        assert_eq!(other.arms, config.arms, "two arms of one name would be no comparison");
        let own = config.with_arm(&config.arms.pretrain[1]).unwrap();
        assert_eq!(own.arms, config.arms, "an arm's own settings rename nothing");
    }

    #[test]
    fn a_name_that_only_begins_like_the_task_is_left() {
        assert_eq!(renamed("simtrot_w_2", "simtrot_w", "byol").as_deref(), Some("byol_2"));
        assert_eq!(renamed("mysimtrot_w", "simtrot_w", "byol"), None);
        assert_eq!(renamed("simtrot_w", "simtrot", "byol"), None);
        assert_eq!(renamed("unmasked_simtrot_wide", "simtrot_w", "byol"), None);
    }
}
