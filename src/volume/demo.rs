//! The embedded demo: forty real cases of the Decathlon's hippocampus task, with their licence beside them.
//!
//! Chosen by a rule and not by results: of all 260 names, the first forty in the order of SHA-256 of
//! `simtrot-demo/NAME`. The first 28 pre-train, the first 10 of these also fine-tune, the next 12 test; only the
//! label maps of those 10 + 12 are here. Files are byte for byte the published ones (`assets/demo/README.md`).

use std::path::Path;

use include_dir::{Dir, include_dir};

use super::datalist::described;
use super::split::Split;
use super::{CaseFiles, Dataset, VolumeSource};
use crate::digest::sha256;

/// `assets/demo`: a Decathlon folder.
static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/demo");

/// Cases that pre-train, from the first.
const PRETRAIN: usize = 28;

/// Of these the ones that also fine-tune, from the first.
const FINETUNE: usize = 10;

/// The licence of the embedded cases and their attribution, to be shown with them.
pub fn licence() -> &'static str {
    text("LICENSE")
}

/// The embedded cases as a dataset.
pub fn dataset() -> Dataset {
    let json = serde_json::from_str(text("dataset.json")).expect("the embedded dataset.json is JSON");
    let described = described(&json, Path::new("demo/dataset.json"), "demo").expect("the embedded dataset.json can be read");
    let mut names = ranked();
    names.sort_unstable();
    let case = |name: &str| CaseFiles {
        name: name.to_owned(),
        images: source("imagesTr", name).into_iter().collect(),
        label: source("labelsTr", name),
        fold: None,
    };
    Dataset { cases: names.into_iter().map(case).collect(), ..described }
}

/// The demo's own split; see the module for its rule.
pub fn split() -> Split {
    let names: Vec<String> = ranked().into_iter().map(str::to_owned).collect();
    let (pretrain, test) = names.split_at(PRETRAIN);
    Split { pretrain: pretrain.to_vec(), finetune: pretrain[..FINETUNE].to_vec(), validation: Vec::new(), test: test.to_vec() }
}

/// Names of the embedded cases in the order of the rule.
fn ranked() -> Vec<&'static str> {
    let images = FILES.get_dir("imagesTr").map(Dir::files).into_iter().flatten();
    let mut names: Vec<_> = images.filter_map(|file| file.path().file_name()?.to_str()?.strip_suffix(".nii.gz")).collect();
    rank(&mut names);
    names
}

/// Sorts names by the rule.
fn rank(names: &mut [&str]) {
    names.sort_by_cached_key(|name| sha256(format!("simtrot-demo/{name}")));
}

fn source(folder: &str, name: &str) -> Option<VolumeSource> {
    let file = FILES.get_file(format!("{folder}/{name}.nii.gz"))?;
    Some(VolumeSource::Embedded { name: file.path().to_str()?, bytes: file.contents() })
}

fn text(name: &str) -> &'static str {
    FILES.get_file(name).and_then(|file| file.contents_utf8()).unwrap_or_else(|| panic!("assets/demo holds {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NonFinite;

    /// All names of the published task, so that the choice can be recomputed.
    const ALL_NAMES: &str = include_str!("../../assets/demo/all_names.txt");

    #[test]
    fn the_cases_are_the_first_of_the_rule_s_order_and_exactly_those_that_need_labels_have_them() {
        let mut all: Vec<&str> = ALL_NAMES.lines().collect();
        assert_eq!(all.len(), 260);
        rank(&mut all);
        assert_eq!(ranked(), all[..40]);
        let (dataset, split) = (dataset(), split());
        let labelled: Vec<&str> = dataset.cases.iter().filter(|case| case.label.is_some()).map(|case| case.name.as_str()).collect();
        let mut needed: Vec<&str> = split.finetune.iter().chain(&split.test).map(String::as_str).collect();
        needed.sort_unstable();
        assert_eq!((labelled, split.pretrain.len(), split.finetune.len(), split.test.len()), (needed, 28, 10, 12));
        for case in &dataset.cases {
            let loaded = dataset.load(case, NonFinite::Refuse).expect("an embedded case can be read");
            assert_eq!(loaded.label.is_some(), case.label.is_some());
        }
    }

    #[test]
    fn the_list_for_other_programs_names_the_same_cases() {
        let json: serde_json::Value = serde_json::from_str(text("dataset.json")).expect("JSON");
        let case = |path: &serde_json::Value| Some(path.as_str()?.rsplit_once('/')?.1.strip_suffix(".nii.gz")?.to_owned());
        let mut listed: Vec<_> = json["training"].as_array().expect("a list").iter().filter_map(|entry| case(&entry["image"])).collect();
        listed.extend(json["test"].as_array().expect("a list").iter().filter_map(case));
        listed.sort_unstable();
        let names: Vec<String> = dataset().cases.into_iter().map(|case| case.name).collect();
        assert_eq!(listed, names);
    }

    #[test]
    fn the_demo_stays_small() {
        fn size(folder: &Dir<'_>) -> usize {
            folder.files().map(|file| file.contents().len()).sum::<usize>() + folder.dirs().map(size).sum::<usize>()
        }
        assert!(size(&FILES) <= 4 << 20, "{} bytes", size(&FILES));
    }
}
