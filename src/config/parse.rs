//! RON in and out, `key=value` overrides, and errors that name the line.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ConfigProblem, RunConfig};

/// What no variant of a setting is called.
const NO_VARIANT: &str = "?";

/// Why a config was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the config {path}: {cause}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        cause: std::io::Error,
    },
    /// Not valid RON, an unknown field, or a value of the wrong type.
    #[error("{origin}:{line}:{column}: {message}")]
    Syntax {
        /// File name, or the place the text came from.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// Values out of range, all of them.
    #[error("{}", describe(origin, problems))]
    Range {
        /// File name, or the place the text came from.
        origin: String,
        /// Each refused value with its line where the key stands in the text.
        problems: Vec<(Option<usize>, ConfigProblem)>,
    },
    /// An override that does not fit.
    #[error("--set {text}: {message}")]
    Override {
        /// What was given.
        text: String,
        /// What is wrong with it.
        message: String,
    },
}

impl ConfigError {
    /// Refuses a config with problems, each named with the line of `text` on which its key stands.
    pub(super) fn unless_sound(problems: Vec<ConfigProblem>, origin: &str, text: &str) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        let problems = problems.into_iter().map(|problem| (line_of(text, &problem.key), problem)).collect();
        Err(Self::Range { origin: origin.to_owned(), problems })
    }
}

/// Parses a RON text, ranges unchecked; `origin` names it in errors.
pub(super) fn from_ron<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, ConfigError> {
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    options.from_str(text).map_err(|error| ConfigError::Syntax {
        origin: origin.to_owned(),
        line: error.span.start.line,
        column: error.span.start.col,
        message: error.code.to_string(),
    })
}

/// RON text with every value spelt out.
pub(super) fn to_ron<T: Serialize>(value: &T) -> String {
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let pretty = ron::ser::PrettyConfig::new().extensions(ron::extensions::Extensions::IMPLICIT_SOME).depth_limit(6).compact_arrays(true);
    options.to_string_pretty(value, pretty).expect("a config has no type that RON cannot hold") + "\n"
}

/// The text of one setting's value as it stands in a config, on one line.
pub fn value_to_ron<T: Serialize>(value: &T) -> String {
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let pretty = ron::ser::PrettyConfig::new().compact_arrays(true).compact_structs(true).compact_maps(true);
    options.to_string_pretty(value, pretty).expect("a setting has no type that RON cannot hold")
}

fn describe(origin: &str, problems: &[(Option<usize>, ConfigProblem)]) -> String {
    let line = |(line, ConfigProblem { key, message }): &(Option<usize>, ConfigProblem)| match line {
        Some(line) => format!("{origin}:{line}: {key} {message}"),
        None => format!("{origin}: {key} {message}"),
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl RunConfig {
    /// Reads and checks a config file.
    ///
    /// # Errors
    /// Unreadable file, invalid RON, unknown field, wrong type, or values out of range.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = crate::text_file::read(path).map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
        Self::from_ron(&text, &path.display().to_string())
    }

    /// Parses and checks the text of a config; `origin` names it in errors.
    ///
    /// # Errors
    /// As [`RunConfig::load`].
    pub fn from_ron(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let config = from_ron::<Self>(text, origin).map_err(|error| match (error, line_of(text, "base")) {
            (ConfigError::Syntax { origin, .. }, Some(line)) => {
                let message = "this is an experiment, not a run: give it to `simtrot run`".to_owned();
                ConfigError::Syntax { origin, line, column: 1, message }
            }
            (error, _) => error,
        })?;
        config.with_arms_of(text).checked(origin, text)
    }

    /// The config as RON text, every value spelt out.
    pub fn to_ron(&self) -> String {
        to_ron(self)
    }

    /// Lays `key=value` settings over the config and checks the result.
    ///
    /// A key is dotted (`pretrain.mask_ratio`); a value is JSON, or a bare word for names such as `full`.
    /// Arms and run that are called by the pretext task are called by that which is set.
    ///
    /// # Errors
    /// An unknown key, a wrong type, or a value out of range.
    pub fn with_overrides(&self, settings: &[String]) -> Result<Self, ConfigError> {
        self.laid_over(settings, Self::with_override)
    }

    /// The config with settings laid over it, each by `lay`, and checked.
    pub(super) fn laid_over(
        &self,
        settings: &[String],
        lay: impl Fn(&Self, &str) -> Result<Self, ConfigError>,
    ) -> Result<Self, ConfigError> {
        settings.iter().try_fold(self.clone(), |config, setting| lay(&config, setting))?.checked("--set", "")
    }

    /// Checks that the config can pre-train.
    ///
    /// # Errors
    /// All of [`RunConfig::pretraining_problems`].
    pub fn check_pretraining(&self) -> Result<(), ConfigError> {
        ConfigError::unless_sound(self.pretraining_problems(), &self.name, "")
    }

    /// Checks what the arms make of the config and of `pretraining`, as in [`RunConfig::arm_problems`].
    ///
    /// # Errors
    /// All that is found.
    pub fn check_arms(&self, pretraining: &Self) -> Result<(), ConfigError> {
        ConfigError::unless_sound(self.arm_problems(pretraining), &self.name, "")
    }

    /// Lays one `key=value` setting over the config without checking ranges: a form is allowed to be wrong while it is filled in.
    ///
    /// # Errors
    /// An unknown key or a wrong type.
    pub fn with_override(&self, setting: &str) -> Result<Self, ConfigError> {
        Ok(self.with_setting(setting)?.renamed_by_task(self))
    }

    /// The same, with every name as it is.
    pub(super) fn with_setting(&self, setting: &str) -> Result<Self, ConfigError> {
        let refuse = |message: String| ConfigError::Override { text: setting.to_owned(), message };
        let (key, text) =
            setting.split_once('=').ok_or_else(|| refuse("expected KEY=VALUE, for example pretrain.mask_ratio=0.5".to_owned()))?;
        let (key, text) = (key.trim(), text.trim());
        let word = Value::String(text.to_owned());
        let candidates = serde_json::from_str(text).ok().into_iter().chain([word]);
        let mut first_error = None;
        for value in candidates {
            match self.with_value(key, value).map_err(&refuse)? {
                Ok(config) => return Ok(config),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let (error, forms) = (first_error.unwrap_or_default(), self.forms(key));
        Err(refuse(if forms.is_empty() { error } else { format!("{error}. It is one of: {}", forms.join(", ")) }))
    }

    /// The config with a value in the place of a key, or why it cannot stand there; an error where there is no such place.
    fn with_value(&self, key: &str, value: Value) -> Result<Result<Self, String>, String> {
        let mut tree = serde_json::to_value(self).expect("a config has no type that JSON cannot hold");
        *find(&mut tree, key)? = value;
        Ok(serde_json::from_value(tree).map_err(|error| error.to_string()))
    }

    /// What a setting that is one of several words or forms may be, as it is written in a call; nothing for another setting.
    fn forms(&self, key: &str) -> Vec<String> {
        let with = |value: Value| self.with_value(key, value).unwrap_or_else(Err);
        // What is no variant is refused with those that there are.
        let known = with(NO_VARIANT.into()).err().unwrap_or_default();
        let known = known.strip_prefix("unknown variant").and_then(|rest| rest.split_once("expected")).map_or("", |(_, known)| known);
        let mut words: Vec<Self> = Vec::new();
        let form = |variant: &str| match with(variant.into()) {
            // Another spelling of one that is there already.
            Ok(config) if words.contains(&config) => None,
            Ok(config) => {
                // As a config writes it, whatever else it may be called.
                let mut tree = serde_json::to_value(&config).expect("a config has no type that JSON cannot hold");
                words.push(config);
                Some(find(&mut tree, key).ok()?.as_str()?.to_owned())
            }
            Err(_) => {
                let is_number = with(serde_json::json!({ variant: NO_VARIANT })).is_err_and(|error| error.ends_with("expected f64"));
                Some(format!("{{\"{variant}\": {}}}", if is_number { "NUMBER" } else { "..." }))
            }
        };
        known.split('`').skip(1).step_by(2).filter_map(form).collect()
    }

    fn checked(self, origin: &str, text: &str) -> Result<Self, ConfigError> {
        ConfigError::unless_sound(self.problems(), origin, text).map(|()| self)
    }
}

/// The place of a dotted key in a tree, or which keys there are instead.
fn find<'a>(tree: &'a mut Value, key: &str) -> Result<&'a mut Value, String> {
    let mut place = tree;
    for part in key.split('.') {
        let known = match &*place {
            Value::Object(map) => map.keys().cloned().collect::<Vec<_>>().join(", "),
            _ => String::new(),
        };
        place = place.get_mut(part).ok_or_else(|| match known.is_empty() {
            true => format!("no setting {key:?}: {part:?} lies below a single value"),
            false => format!("no setting {part:?}; known here: {known}"),
        })?;
    }
    Ok(place)
}

/// The line on which a dotted key stands in a RON text: each part is sought after the one before it.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let mut offset = 0;
    for part in key.split('.') {
        let rest = text.get(offset..)?;
        let found = rest.match_indices(part).find(|(at, _)| {
            let before = rest[..*at].chars().next_back();
            let after = rest[at + part.len()..].trim_start().starts_with(':');
            after && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })?;
        offset += found.0;
    }
    Some(text[..offset].matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Arm, DataSource, ModelConfig, Preset, Rotate};

    #[test]
    fn a_experiment_is_sent_to_its_command() {
        let error = RunConfig::from_ron("(\n  name: \"s\",\n  base: file(\"x.ron\"),\n)", "s.ron").unwrap_err().to_string();
        assert!(error.starts_with("s.ron:3:1: this is an experiment"), "{error}");
    }

    #[test]
    fn text_round_trips() {
        let config = RunConfig { model: ModelConfig::Preset(Preset::NnformerSynapse), ..RunConfig::default() };
        assert_eq!(RunConfig::from_ron(&config.to_ron(), "text").unwrap(), config);
        let resolved = config.resolved();
        assert_eq!(RunConfig::from_ron(&resolved.to_ron(), "text").unwrap(), resolved);
    }

    #[test]
    fn unknown_field_is_refused_with_its_line() {
        let error = RunConfig::from_ron("(\n  seed: 1,\n  sead: 2,\n)", "x.ron").unwrap_err().to_string();
        assert!(error.starts_with("x.ron:3:"), "{error}");
        assert!(error.contains("sead"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_all_named_with_line_and_range() {
        let text = "(\n  pretrain: (\n    batch: 2,\n    mask_ratio: 1.5,\n  ),\n  finetune: (\n    batch: 0,\n  ),\n)";
        let error = RunConfig::from_ron(text, "x.ron").unwrap_err().to_string();
        assert!(error.contains("x.ron:4: pretrain.mask_ratio is 1.5; allowed is 0 to 0.99"), "{error}");
        assert!(error.contains("x.ron:7: finetune.batch is 0"), "{error}");
    }

    #[test]
    fn overrides_reach_every_kind_of_value() {
        let set = |text: &str| RunConfig::default().with_overrides(&[text.to_owned()]);
        assert_eq!(set("pretrain.mask_ratio=0.5").unwrap().pretrain.mask_ratio, 0.5);
        assert_eq!(set("pretrain.rotate=off").unwrap().pretrain.rotate, Rotate::Off);
        assert_eq!(set("pretrain.rotate=Off").unwrap().pretrain.rotate, Rotate::Off);
        assert_eq!(set("pretrain.rotate=false").unwrap().pretrain.rotate, Rotate::Off);
        assert_eq!(set("data.label_fraction=0.5").unwrap().data.label_fraction, 0.5);
        assert_eq!(set("seed=7").unwrap().seed, 7);
        assert_eq!(set("model={\"preset\":\"nnformer_tumour\"}").unwrap().model, ModelConfig::Preset(Preset::NnformerTumour));
        assert_eq!(set("data.source={\"dataset\":\"d\"}").unwrap().data.source, DataSource::Dataset("d".into()));
        for (bad, word) in [
            ("pretrain.maskratio=0.5", "known here"),
            ("pretrain.batch=two", "invalid type"),
            ("pretrain.mask_ratio=7", "allowed is 0 to 0.99"),
            ("seed", "KEY=VALUE"),
        ] {
            let error = set(bad).unwrap_err().to_string();
            assert!(error.contains(word), "{bad}: {error}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_form_is_refused_with_the_forms_that_there_are() {
        let refused = |text: &str| RunConfig::default().with_overrides(&[text.to_owned()]).unwrap_err().to_string();
        for text in ["data.preprocess.non_finite=0", "data.preprocess.non_finite=replace", "data.preprocess.non_finite=zero"] {
            let error = refused(text);
            assert!(error.ends_with(r#"It is one of: refuse, {"replace": NUMBER}"#), "{error}");
        }
        let error = refused("finetune.optimiser=adamw");
        assert!(error.ends_with(r#"It is one of: {"sgd": ...}, {"adam_w": ...}"#), "{error}");
        let error = refused("pretrain.rotate=sideways");
        assert!(error.ends_with("It is one of: off, in_plane, full"), "each once, whatever else it may be called: {error}");
        assert!(!refused("pretrain.batch=two").contains("one of:"));
    }

    #[test]
    fn test_cases_are_held_back_only_where_validation_cases_can_be_scored() {
        let set =
            |split: &str| RunConfig::default().with_overrides(&[format!("data.split={split}"), "data.hold_back_test=true".to_owned()]);
        assert!(set(r#"{"hold_out":{"test":0.2,"validation":0.1}}"#).unwrap().data.hold_back_test);
        for split in
            [r#"{"hold_out":{"test":0.2,"validation":0}}"#, r#"{"folds":{"folds":5,"fold":0}}"#, r#"{"nnunet_folds":{"fold":0}}"#, "demo"]
        {
            let error = set(split).unwrap_err().to_string();
            assert!(error.contains("data.hold_back_test scores the validation cases in place of the test cases"), "{error}");
        }
    }

    #[test]
    fn a_contrast_of_several_stages_must_fit_the_task_the_turns_and_the_memory() {
        let unet = |strides: &str| format!(r#"model={{"unet":{{"features":[4,8,16],"strides":{strides},"blocks":[1,1,1]}}}}"#);
        let set = |settings: &[&str]| {
            let settings: Vec<String> = ["pretrain.crop_size=[16,16,16]"].iter().chain(settings).map(|text| (*text).to_owned()).collect();
            RunConfig::default().with_overrides(&settings).map_err(|error| error.to_string())
        };
        let (even, torn) = (unet("[[1,1,1],[2,2,2],[2,2,2]]"), unet("[[1,1,1],[1,2,2],[2,1,1]]"));
        assert_eq!(set(&[&even, "pretrain.token_stages=2"]).unwrap().pretrain.token_stages, 2);
        set(&[&torn, "pretrain.token_stages=1"]).unwrap();
        set(&[&torn, "pretrain.rotate=in_plane", "pretrain.token_stages=2"]).unwrap();
        for (settings, word) in [
            (vec![&*even, "pretrain.token_stages=0"], "is 0; allowed is 1 to 3"),
            (vec![&*even, "pretrain.token_stages=4"], "is 4; allowed is 1 to 3"),
            (vec![&*even, "pretrain.task=b_trot", "pretrain.token_stages=2"], "B-TROT has targets for the last stage alone"),
            (vec![&*even, "pretrain.task=simmim", "pretrain.token_stages=2"], "SimMIM contrasts no tokens"),
            (vec![&*torn, "pretrain.token_stages=2"], "stage 2, whose tokens are [1, 2, 2] voxels"),
            (vec![&*even, "pretrain.batch=8", "pretrain.token_stages=3"], "stage 1: 65536 tokens of two views"),
        ] {
            let error = set(&settings).unwrap_err();
            assert!(error.contains("pretrain.token_stages") && error.contains(word), "{settings:?}: {error}");
        }
    }

    #[test]
    fn an_arm_must_start_from_a_known_pretraining() {
        let mut config = RunConfig::default();
        config.arms.finetune.push(Arm { name: "x".into(), from: Some("nowhere".into()), ..Arm::default() });
        assert!(config.problems().iter().any(|problem| problem.message.contains("nowhere")));
    }
}
