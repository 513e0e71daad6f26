//! What a list says about names: dataset, channels, labels, cases.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::volume::{DataError, Fault};

/// Names of a dataset, as far as its list gives them.
#[derive(Default)]
pub struct Naming {
    /// Of the dataset.
    pub name: String,
    /// In order; empty: not said.
    pub channels: Vec<String>,
    /// None: not said.
    pub labels: Option<BTreeMap<u32, String>>,
    /// Unions of label values, by name.
    pub regions: BTreeMap<String, Vec<u32>>,
}

impl Naming {
    /// Reads `name`, `modality` or `channel_names`, and `labels` of a list; `fallback` names a dataset without a name.
    pub fn of(json: &Value, list: &Path, fallback: &str) -> Result<Self, DataError> {
        let name = json["name"].as_str().unwrap_or(fallback).to_owned();
        let channels = channels(json).map_err(|cause| Fault::List { cause }.at(list))?;
        let mut naming = Self { name, channels, ..Self::default() };
        match &json["labels"] {
            Value::Null => {}
            Value::Object(labels) => naming.take_labels(labels).map_err(|cause| Fault::List { cause }.at(list))?,
            other => return Err(Fault::List { cause: format!("`labels` is {other}; expected {{\"0\": \"background\", ..}}") }.at(list)),
        }
        Ok(naming)
    }

    /// Both forms: number -> name (Decathlon) and name -> number or list of numbers (nnU-Net v2).
    fn take_labels(&mut self, labels: &Map<String, Value>) -> Result<(), String> {
        let mut named = BTreeMap::new();
        for (key, value) in labels {
            match (key.parse::<u32>(), value) {
                (Ok(number), Value::String(name)) => {
                    named.insert(number, name.clone());
                }
                _ if key == "ignore" => {
                    return Err("the label `ignore` is not supported: partly annotated cases would be trained on as background".to_owned());
                }
                (_, Value::Array(numbers)) => {
                    let numbers: Option<Vec<u32>> = numbers.iter().map(label_number).collect();
                    let numbers = numbers.ok_or_else(|| format!("`labels.{key}` is {value}; expected whole numbers"))?;
                    self.regions.insert(key.clone(), numbers);
                }
                _ => {
                    let number = label_number(value).ok_or_else(|| format!("`labels.{key}` is {value}; expected a whole number"))?;
                    if let Some(other) = named.insert(number, key.clone()) {
                        return Err(format!("`labels` gives the value {number} to both {other:?} and {key:?}"));
                    }
                }
            }
        }
        for &number in self.regions.values().flatten() {
            named.entry(number).or_insert_with(|| default_label(number));
        }
        self.labels = Some(named);
        Ok(())
    }
}

fn label_number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

fn channels(json: &Value) -> Result<Vec<String>, String> {
    let key = if json["channel_names"].is_null() { "modality" } else { "channel_names" };
    match &json[key] {
        Value::Null => Ok(Vec::new()),
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Object(numbered) => {
            let mut channels = BTreeMap::new();
            for (number, name) in numbered {
                let parsed = number.parse::<usize>().ok().zip(name.as_str());
                let (number, name) = parsed.ok_or_else(|| format!("`{key}.{number}` is {name}; expected \"0\": \"name\""))?;
                channels.insert(number, name.to_owned());
            }
            let gapless = channels.keys().copied().eq(0..channels.len());
            let numbers = || channels.keys().collect::<Vec<_>>();
            if gapless {
                Ok(channels.into_values().collect())
            } else {
                Err(format!("`{key}` is numbered {:?}; expected 0, 1, ..", numbers()))
            }
        }
        other => Err(format!("`{key}` is {other}; expected {{\"0\": \"name\", ..}}")),
    }
}

/// A label's name where the dataset gives none.
pub fn default_label(value: u32) -> String {
    if value == 0 { "background".to_owned() } else { format!("label {value}") }
}

/// The ending of a NIfTI file name, `.nii` or `.nii.gz`.
pub fn ending(file_name: &str) -> Option<&'static str> {
    [".nii.gz", ".nii"].into_iter().find(|ending| file_name.len() > ending.len() && file_name.ends_with(ending))
}

/// A file's name without folder and ending.
pub fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(ending(&name).unwrap_or_default()).unwrap_or(&name).to_owned()
}

/// Splits nnU-Net's four-digit channel number off a stem: `case_0001` -> (`case`, 1).
pub fn channel_suffix(stem: &str) -> Option<(&str, usize)> {
    let (case, digits) = stem.rsplit_once('_')?;
    let plain = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()) && !case.is_empty();
    plain.then(|| (case, digits.parse().unwrap_or(0)))
}

/// A case's name from its image files: the stem of one, what the stems of several begin with in common.
pub fn case_name(images: &[&Path]) -> String {
    let stems: Vec<String> = images.iter().map(|image| stem(image)).collect();
    let Some((first, others)) = stems.split_first() else { return String::new() };
    if others.is_empty() {
        return channel_suffix(first).filter(|&(_, channel)| channel == 0).map_or(first.as_str(), |(case, _)| case).to_owned();
    }
    let common = |a: usize, other: &String| first.bytes().zip(other.bytes()).take(a).take_while(|(x, y)| x == y).count();
    let shared = others.iter().fold(first.len(), common);
    let shared = first.get(..shared).unwrap_or_default();
    let whole_words = shared.rfind(['_', '-', '.', ' ']).map_or("", |end| &shared[..end]);
    let parent = || images[0].parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    if whole_words.is_empty() { parent() } else { whole_words.to_owned() }
}

/// A name with its file's folder before it, for names that occur in several folders.
pub fn qualified(name: &str, image: Option<&Path>) -> String {
    let folder = image.and_then(Path::parent).and_then(Path::file_name);
    folder.map_or_else(|| name.to_owned(), |folder| format!("{}_{name}", folder.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_of_labels_mean_the_same() {
        let list = Path::new("dataset.json");
        let by_number = json!({ "modality": {"0": "CT"}, "labels": {"0": "background", "52": "aorta"} });
        let by_name = json!({ "channel_names": {"0": "CT"}, "labels": {"background": 0, "aorta": 52} });
        let [a, b] = [by_number, by_name].map(|json| Naming::of(&json, list, "x").expect("a plain list"));
        assert_eq!(a.labels, b.labels);
        assert_eq!(a.channels, b.channels);
        assert_eq!(a.labels.map(|labels| labels.into_keys().collect::<Vec<_>>()), Some(vec![0, 52]));
        let regions = json!({ "labels": {"background": 0, "whole": [1, 2], "core": 2} });
        let regions = Naming::of(&regions, list, "x").expect("regions");
        assert_eq!(regions.regions["whole"], [1, 2]);
        assert_eq!(regions.labels.map(|labels| labels[&1].clone()), Some("label 1".to_owned()));
        assert!(Naming::of(&json!({ "labels": {"a": 1, "b": 1} }), list, "x").is_err());
        assert!(Naming::of(&json!({ "labels": {"ignore": 3} }), list, "x").is_err());
    }

    #[test]
    fn names_come_from_files() {
        let name = |files: &[&str]| case_name(&files.iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(name(&["a/hippocampus_001.nii.gz"]), "hippocampus_001");
        assert_eq!(name(&["a/liver_0000.nii"]), "liver");
        assert_eq!(name(&["B_7/B_7_flair.nii.gz", "B_7/B_7_t1.nii.gz"]), "B_7");
        assert_eq!(name(&["case9/t1.nii.gz", "case9/t2.nii.gz"]), "case9");
        assert_eq!(channel_suffix("case_0012"), Some(("case", 12)));
        assert_eq!(channel_suffix("case_012"), None);
    }
}
