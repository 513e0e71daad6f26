//! What a list says about names: dataset, channels, labels, cases.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::volume::file::{ending, stem};
use crate::volume::{DataError, Dataset, Fault, Note, Regions};

/// Keys of a list that are read, or describe the dataset to people and other programs.
const KEYS: &str = "name description reference licence license release relase version author authors creator citation doi url contact \
                    remarks data_source converted_by overwrite_image_reader_writer tensorImageSize modality channel_names labels \
                    regions_class_order file_ending numTraining numValidation numTest training validation testing test unlabeled";

/// A dataset without cases, as far as its list describes it: `name`, `modality` or `channel_names`, and `labels` (each empty where it isn't
/// said), regions, and what is worth knowing about the list. `fallback` names a dataset without a name.
pub fn described(json: &Value, list: &Path, fallback: &str) -> Result<Dataset, DataError> {
    let refuse = |cause| Fault::List(cause).at(list);
    let name = json["name"].as_str().unwrap_or(fallback).to_owned();
    let mut dataset = Dataset { name, channels: channels(json).map_err(refuse)?, ..Dataset::default() };
    match &json["labels"] {
        Value::Null => {}
        Value::Object(labels) => (dataset.labels, dataset.regions) = labels_and_regions(labels).map_err(refuse)?,
        other => return Err(refuse(format!("`labels` is {other}; expected {{\"0\": \"background\", ..}}"))),
    }
    dataset.notes = unused_keys(json, list)?;
    dataset.notes.extend(region_note(&dataset.regions, json).map(|text| Note::new(list, text)));
    Ok(dataset)
}

/// The same of a folder without a list: its own name, also where the path to it is `.` or ends in `..`.
pub fn of_folder(folder: &Path) -> Dataset {
    let whole = || folder.canonicalize().unwrap_or_default();
    let name = folder.file_name().map_or_else(|| whole().file_name().unwrap_or_default().to_owned(), ToOwned::to_owned);
    Dataset { name: name.to_string_lossy().into_owned(), ..Dataset::default() }
}

/// What becomes of region labels, which other programs train on.
fn region_note(regions: &Regions, json: &Value) -> Option<String> {
    let order = !json["regions_class_order"].is_null();
    if regions.is_empty() {
        return order.then(|| "`regions_class_order` is not used: no label is a list of values".to_owned());
    }
    let order = if order { ", so that `regions_class_order` is not used" } else { "" };
    let regions = shown_regions(regions);
    Some(format!("the regions {regions} are scored unless data.regions names others; networks learn the single labels{order}"))
}

/// Both forms: number -> name (Decathlon) and name -> number or list of numbers (nnU-Net v2). Where one label is a list,
/// all labels but the background are regions.
fn labels_and_regions(labels: &Map<String, Value>) -> Result<(BTreeMap<u32, String>, Regions), String> {
    let (mut named, mut regions) = (BTreeMap::new(), Regions::new());
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
                regions.insert(key.clone(), numbers);
            }
            _ => {
                let number = label_number(value).ok_or_else(|| format!("`labels.{key}` is {value}; expected a whole number"))?;
                if let Some(other) = named.insert(number, key.clone()) {
                    return Err(format!("`labels` gives the value {number} to both {other:?} and {key:?}"));
                }
            }
        }
    }
    if !regions.is_empty() {
        regions.extend(named.iter().filter(|&(&number, _)| number != 0).map(|(&number, name)| (name.clone(), vec![number])));
    }
    for &number in regions.values().flatten().chain(&[0]) {
        named.entry(number).or_insert_with(|| default_label(number));
    }
    Ok((named, regions))
}

/// Regions as a sentence names them: `core (2, 3), whole (1, 2, 3)`.
pub fn shown_regions(regions: &Regions) -> String {
    let region = |(name, labels): (&String, &Vec<u32>)| {
        let labels: Vec<String> = labels.iter().map(u32::to_string).collect();
        format!("{name} ({})", labels.join(", "))
    };
    regions.iter().map(region).collect::<Vec<_>>().join(", ")
}

/// Notes on the keys of a list that nothing reads.
///
/// # Errors
/// Such a key lists cases: they would be left out.
fn unused_keys(json: &Value, list: &Path) -> Result<Vec<Note>, DataError> {
    let unused = json.as_object().into_iter().flatten().filter(|(key, _)| !KEYS.split_whitespace().any(|known| known == *key));
    let note = |(key, value): (&String, &Value)| {
        if lists_cases(value) {
            let cause =
                format!("`{key}` lists cases, and that key is not read; lists are called training, validation, testing, test or unlabeled");
            return Err(Fault::List(cause).at(list));
        }
        Ok(Note::new(list, format!("the key `{key}` is not used")))
    };
    unused.map(note).collect()
}

/// Whether a value is a list of cases: of paths to volumes, or of objects with an image.
fn lists_cases(value: &Value) -> bool {
    let is_case = |entry: &Value| match entry {
        Value::String(path) => ending(path).is_some(),
        Value::Object(case) => case.keys().any(|key| key.starts_with("image") || key.starts_with("label")),
        _ => false,
    };
    match value {
        Value::Array(entries) => entries.iter().any(is_case),
        Value::Object(entries) => entries.values().any(is_case),
        _ => false,
    }
}

/// A note where a list counts cases otherwise than there are.
pub fn count_note(list: &Path, json: &Value, key: &str, found: usize) -> Option<Note> {
    let said = &json[key];
    let differs = !said.is_null() && said.as_u64() != u64::try_from(found).ok();
    differs.then(|| Note::new(list, format!("`{key}` is {said}, but there are {found} such cases")))
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
    fn a_folder_has_its_name_whatever_the_path_to_it() {
        let own = std::env::current_dir().and_then(std::fs::canonicalize).expect("a folder to work in");
        let own = own.file_name().expect("not the root").to_string_lossy();
        assert_eq!([".", "./", "src/.."].map(|path| of_folder(Path::new(path)).name), [own.as_ref(); 3]);
        assert_eq!(["src", "src/", "src/.", "gone/data"].map(|path| of_folder(Path::new(path)).name), ["src", "src", "src", "data"]);
    }

    #[test]
    fn both_forms_of_labels_mean_the_same() {
        let list = Path::new("dataset.json");
        let by_number = json!({ "modality": {"0": "CT"}, "labels": {"0": "background", "52": "aorta"} });
        let by_name = json!({ "channel_names": {"0": "CT"}, "labels": {"background": 0, "aorta": 52} });
        let [a, b] = [by_number, by_name].map(|json| described(&json, list, "x").expect("a plain list"));
        assert_eq!(a.labels, b.labels);
        assert_eq!(a.channels, b.channels);
        assert_eq!(a.label_values(), [0, 52]);
        let regions = json!({ "labels": {"background": 0, "whole": [1, 2], "core": 2} });
        let regions = described(&regions, list, "x").expect("regions");
        assert_eq!(regions.regions["whole"], [1, 2]);
        assert_eq!(regions.labels[&1], "label 1");
        assert!(described(&json!({ "labels": {"a": 1, "b": 1} }), list, "x").is_err());
        assert!(described(&json!({ "labels": {"ignore": 3} }), list, "x").is_err());
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
