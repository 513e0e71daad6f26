//! The networks of a segmentation: one, or several that were trained for the same thing, such as the folds of a cross-validation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::JobError;
use super::measure::require_precision;
use super::recorder::Recorder;
use crate::config::{RunConfig, differing_settings, require_used};
use crate::geometry::keep_largest;
use crate::infer::{InputConvention, mirror_axes, mirror_note};
use crate::metrics::{LabelRule, Postprocessing};
use crate::model::Segmenter;
use crate::protocol::Severity;
use crate::protocol::checkpoints::read_postprocessing;
use crate::train::{Checkpoint, CheckpointError, DatasetInfo, load_segmenter};
use crate::volume::LabelMap;
use crate::wording::count;

/// Networks that segment together.
pub(super) struct Networks {
    pub(super) segmenters: Vec<Segmenter>,
    /// Where their checkpoints lie.
    pub(super) places: Vec<PathBuf>,
    /// What each was trained with, changed settings laid over it.
    pub(super) configs: Vec<RunConfig>,
    /// What they were trained for.
    pub(super) dataset: DatasetInfo,
    /// How volumes are handed to them.
    pub(super) convention: InputConvention,
    /// What was measured of their segmentations on held-out cases.
    measured: Vec<Postprocessing>,
}

/// How settings begin that a segmentation uses.
const USED: [&str; 3] = ["infer.", "data.preprocess.", "finetune.crop_size"];

impl Networks {
    /// Reads the networks of `checkpoints`, with `settings` (`key=value`) laid over theirs.
    ///
    /// # Errors
    /// A checkpoint that cannot be read, that is no fine-tuned network, that is named twice, or that does not go with the first one.
    pub(super) fn open(checkpoints: &[PathBuf], settings: &[String], device: &burn::tensor::Device) -> Result<Self, JobError> {
        require_used(settings, "a segmentation", &USED)?;
        let places = checkpoints.iter().map(|path| Checkpoint::locate(path)).collect::<Result<Vec<_>, CheckpointError>>()?;
        let mut networks = Self {
            segmenters: Vec::new(),
            places,
            configs: Vec::new(),
            dataset: DatasetInfo::default(),
            convention: InputConvention::default(),
            measured: Vec::new(),
        };
        let mut weights = BTreeSet::new();
        for (number, place) in networks.places.iter().enumerate() {
            let checkpoint = Checkpoint::open(place)?;
            let config = checkpoint.info.config.with_overrides(settings)?;
            if number == 0 {
                networks.dataset = checkpoint.info.dataset.clone();
                networks.convention = checkpoint.info.convention;
            } else {
                let first = (networks.places[0].as_path(), &networks.dataset, &networks.configs[0]);
                require_alike(first, (place, &checkpoint.info.dataset, &config)).map_err(JobError::Input)?;
            }
            if checkpoint.info.convention != networks.convention {
                let text = "one of them was imported from MONAI, which hands volumes over with other axes: they cannot segment together";
                return Err(JobError::Input(format!("{} and {}: {text}", networks.places[0].display(), place.display())));
            }
            require_precision(&config, device)?;
            networks.segmenters.push(load_segmenter(&checkpoint, place, device)?);
            if !weights.insert(Checkpoint::weights_sha256(place)?) {
                let text =
                    format!("{}: its weights are those of another checkpoint that was named; name each network once", place.display());
                return Err(JobError::Input(text));
            }
            networks.measured.extend(read_postprocessing(place)?);
            networks.configs.push(config);
        }
        Ok(networks)
    }

    /// Settings by which all of them segment.
    pub(super) fn config(&self) -> &RunConfig {
        &self.configs[0]
    }

    /// Axes D,H,W along which windows are mirrored.
    pub(super) fn mirror(&self) -> [bool; 3] {
        mirror_axes(&self.configs)
    }

    /// Rules of the labels of which the largest component alone is kept.
    pub(super) fn kept_largest(&self) -> Vec<LabelRule> {
        Postprocessing::pooled(&self.measured).into_iter().filter(|rule| rule.keep_largest).collect()
    }

    /// Says how several networks segment, what is not mirrored, and what becomes of the segmentations.
    pub(super) fn announce(&self, kept: &[LabelRule], recorder: &Recorder) {
        if self.places.len() > 1 {
            let text = format!("the probabilities of {} networks are averaged: {}", self.places.len(), shown(&self.places));
            recorder.notice(Severity::Info, text);
        }
        if !self.convention.is_own() {
            let text = "the network was imported from MONAI: volumes go to it with axes R,A,S, and 0 around one smaller than its window";
            recorder.notice(Severity::Info, text);
        }
        if let Some(note) = mirror_note(&self.configs) {
            recorder.notice(Severity::Warning, note);
        }
        if kept.is_empty() {
            return;
        }
        let label = |rule: &LabelRule| {
            let name = self.dataset.labels.get(&u32::from(rule.label)).cloned().unwrap_or_else(|| rule.label.to_string());
            format!("{name} (mean Dice {:.4} instead of {:.4}, {})", rule.dice_largest, rule.dice, count(rule.cases, "case"))
        };
        let labels = kept.iter().map(label).collect::<Vec<_>>().join(", ");
        let cases = Postprocessing::pooled_on(&self.measured);
        let of = match (self.measured.len(), self.places.len()) {
            (measured, all) if measured < all => format!(" of {measured} of the {all} networks"),
            _ => String::new(),
        };
        recorder.notice(
            Severity::Info,
            format!(
                "only the largest component is kept of {labels}: it was nearer the truth in cases held out{of} ({cases}). Leave it off with \
                 --no-postprocessing"
            ),
        );
    }
}

/// Clears what `kept` rules say of a segmentation.
pub(super) fn postprocess(labels: &mut LabelMap, kept: &[LabelRule]) {
    let values = kept.iter().map(|rule| rule.label).collect();
    keep_largest(&mut labels.voxels, labels.grid.shape, &values);
}

/// A network's checkpoint, what it was trained for, and how.
type Trained<'a> = (&'a Path, &'a DatasetInfo, &'a RunConfig);

/// Checks that a network finds the same labels in the same images as the first, by the same windows; else says in what they differ.
fn require_alike((first, dataset, config): Trained<'_>, (other, own_dataset, own): Trained<'_>) -> Result<(), String> {
    let mut differences = Vec::new();
    let named = |names: &[String]| names.join(", ");
    if own_dataset.channels != dataset.channels {
        differences.push(format!("channels {} instead of {}", named(&own_dataset.channels), named(&dataset.channels)));
    }
    if own_dataset.labels != dataset.labels {
        let table = |dataset: &DatasetInfo| {
            let labels = dataset.labels.iter().map(|(value, name)| format!("{value} {name}"));
            labels.collect::<Vec<_>>().join(", ")
        };
        differences.push(format!("labels {} instead of {}", table(own_dataset), table(dataset)));
    }
    let settings = [config, own].map(shared_settings);
    differences.extend(
        differing_settings(&settings[1], &settings[0]).into_iter().map(|(key, [own, first])| format!("{key} {own} instead of {first}")),
    );
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} does not go with {}: {}. Networks segment together only where these are equal: name checkpoints of one arm's folds or seeds; \
         `infer` settings are made equal by --set",
        other.display(),
        first.display(),
        differences.join("; ")
    ))
}

/// Settings that must be equal for networks to see the same windows.
fn shared_settings(config: &RunConfig) -> Map<String, Value> {
    let value = |value: serde_json::Result<Value>| value.expect("plain data becomes JSON");
    [
        ("data.preprocess".to_owned(), value(serde_json::to_value(&config.data.preprocess))),
        ("finetune.crop_size".to_owned(), value(serde_json::to_value(config.finetune.crop_size))),
        ("infer".to_owned(), value(serde_json::to_value(&config.infer))),
    ]
    .into_iter()
    .collect()
}

fn shown(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_do_not_go_together_are_refused_with_every_difference() {
        let dataset = |channels: &[&str], labels: &[(u32, &str)]| DatasetInfo {
            name: "d".to_owned(),
            channels: channels.iter().map(|&name| name.to_owned()).collect(),
            labels: labels.iter().map(|&(value, name)| (value, name.to_owned())).collect(),
        };
        let config = |settings: &[&str]| {
            RunConfig::default().with_overrides(&settings.iter().map(|own| (*own).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        let [first, other] = ["a/best", "b/best"].map(Path::new);
        let (known, usual) = (dataset(&["T1"], &[(0, "background"), (1, "liver")]), config(&[]));
        let check = |own: &DatasetInfo, settings: &[&str]| require_alike((first, &known, &usual), (other, own, &config(settings)));
        assert_eq!(check(&known, &["seed=3", "finetune.steps=7", "data.split={\"folds\":{\"folds\":5,\"fold\":1}}"]), Ok(()));
        for (own, settings, words) in [
            (dataset(&["T2"], &[(0, "background"), (1, "liver")]), &[][..], "channels T2 instead of T1"),
            (dataset(&["T1"], &[(0, "background"), (2, "liver")]), &[], "labels 0 background, 2 liver instead of 0 background, 1 liver"),
            (known.clone(), &["data.preprocess.spacing_mm=[1,1,1]"], "data.preprocess.spacing_mm [1.0,1.0,1.0] instead of null"),
            (known.clone(), &["finetune.crop_size=[32,32,64]"], "finetune.crop_size [32,32,64] instead of [32,32,32]"),
            (known.clone(), &["infer.overlap=0.25"], "infer.overlap 0.25 instead of 0.5"),
        ] {
            let error = check(&own, settings).unwrap_err();
            assert!(error.starts_with("b/best does not go with a/best") && error.contains(words), "{error}");
        }
        let both = check(&dataset(&["T2"], &[(0, "background")]), &["infer.mirror=true"]).unwrap_err();
        assert!(["channels", "labels", "infer.mirror"].iter().all(|word| both.contains(word)), "{both}");
    }
}
