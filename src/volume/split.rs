//! Which cases pre-train, fine-tune, validate and test, and the record of it: `split.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::note::first_of;
use super::{CaseFiles, DataErrors, Dataset, content};
use crate::digest::sha256;

/// Case names by use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// All training cases, labelled or not: pre-training uses no labels.
    pub pretrain: Vec<String>,
    /// The labelled training cases that fine-tuning may use: the first of a seeded order, so that a smaller
    /// `label_fraction` gives a subset of a larger one.
    pub finetune: Vec<String>,
    /// Chooses the best checkpoint. May be empty.
    pub validation: Vec<String>,
    /// Measured once, at the end.
    pub test: Vec<String>,
}

impl Split {
    /// Names of all cases, part by part; one that stands in two parts comes twice.
    pub fn cases(&self) -> impl Iterator<Item = &String> {
        [&self.pretrain, &self.finetune, &self.validation, &self.test].into_iter().flatten()
    }

    pub(super) fn lists(&self) -> [(&'static str, &[String]); 4] {
        [("pretrain", &self.pretrain), ("finetune", &self.finetune), ("validation", &self.validation), ("test", &self.test)]
    }

    /// Lists that must share no case, the held-out one second. A test case must be new to the network, even without its label; a
    /// validation case to fine-tuning.
    pub(super) fn apart(&self) -> impl Iterator<Item = [(&'static str, &[String]); 2]> {
        let [pretrain, finetune, validation, test] = self.lists();
        [[pretrain, test], [finetune, test], [validation, test], [finetune, validation]].into_iter()
    }
}

/// Cases named in a message; the others are counted.
const NAMED: usize = 8;

/// A split, and the content of the cases in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRecord {
    /// Case names by use.
    #[serde(flatten)]
    pub split: Split,
    /// Names of the image channels, in order.
    pub channels: Vec<String>,
    /// Label values and names, background included.
    pub labels: Vec<(u32, String)>,
    /// Key of what each case of the split holds ([`content::case_key`]), by name.
    pub content: BTreeMap<String, String>,
}

impl SplitRecord {
    /// Reads the content of every case of a split; `known` holds keys that were read before, and takes the new ones.
    ///
    /// # Errors
    /// Files that cannot be read, all at once.
    ///
    /// # Panics
    /// If the split names a case that the dataset does not hold.
    pub fn new(dataset: &Dataset, split: Split, known: &mut BTreeMap<String, String>) -> Result<Self, DataErrors> {
        let mut unknown: Vec<&CaseFiles> = split
            .cases()
            .filter(|name| !known.contains_key(*name))
            .map(|name| dataset.case(name).expect("a split names cases of its dataset"))
            .collect();
        unknown.sort_by(|a, b| a.name.cmp(&b.name));
        unknown.dedup_by(|a, b| a.name == b.name);
        let keys = content::case_keys(&unknown)?;
        known.extend(unknown.iter().map(|case| case.name.clone()).zip(keys));
        let content = split.cases().map(|name| (name.clone(), known[name].clone())).collect();
        let labels = dataset.labels.iter().map(|(&value, name)| (value, name.clone())).collect();
        Ok(Self { split, channels: dataset.channels.clone(), labels, content })
    }

    /// A digest of all of it: equal for the same cases in the same places of the split, wherever they lie.
    pub fn digest(&self) -> String {
        let text = serde_json::to_vec(self).expect("plain data becomes JSON");
        sha256(text)
    }

    /// In what the data depart from what they were at the time of `then`, in words; none where in nothing.
    pub fn change_since(&self, then: &Self) -> Option<String> {
        let (now, then_held) = (&self.content, &then.content);
        let differs = |(name, key): &(&String, &String)| then_held.get(*name).is_some_and(|then| then != *key);
        let parts: [(Vec<&String>, &str); 3] = [
            (then_held.keys().filter(|name| !now.contains_key(*name)).collect(), "no longer in the split"),
            (now.keys().filter(|name| !then_held.contains_key(*name)).collect(), "new in the split"),
            (now.iter().filter(differs).map(|(name, _)| name).collect(), "of another content under the same name"),
        ];
        let changed: Vec<String> =
            parts.iter().filter(|(names, _)| !names.is_empty()).map(|(names, what)| changed_text(names, what)).collect();
        if !changed.is_empty() {
            return Some(changed.join("; "));
        }
        if (&self.channels, &self.labels) != (&then.channels, &then.labels) {
            return Some("the dataset names other channels or labels".to_owned());
        }
        (self.split != then.split).then(|| "the same cases are split otherwise".to_owned())
    }
}

/// `3 cases are new in the split (a, b, c)`.
fn changed_text(names: &[&String], what: &str) -> String {
    let cases = if names.len() == 1 { "case is" } else { "cases are" };
    format!("{} {cases} {what} ({})", names.len(), first_of(names, NAMED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DataConfig, DataSource, SyntheticConfig};

    fn record(shape: [usize; 3], seed: u64) -> SplitRecord {
        let source = DataSource::Synthetic(SyntheticConfig { cases: 5, shape, ..SyntheticConfig::default() });
        let dataset = Dataset::open(&source).unwrap();
        let split = Split::draw(&dataset, &DataConfig::default(), seed).unwrap();
        SplitRecord::new(&dataset, split, &mut BTreeMap::new()).unwrap()
    }

    #[test]
    fn changed_cases_are_named_and_equal_ones_have_one_digest() {
        let then = record([8; 3], 0);
        let again: SplitRecord = serde_json::from_slice(&serde_json::to_vec_pretty(&then).unwrap()).unwrap();
        assert_eq!((again.change_since(&then), again.digest()), (None, then.digest()));
        let mut one = then.clone();
        let name = one.content.keys().next().unwrap().clone();
        one.content.insert(name.clone(), "other".to_owned());
        assert_eq!(one.change_since(&then), Some(format!("1 case is of another content under the same name ({name})")));
        assert_ne!(one.digest(), then.digest());
        one.content.remove(&name);
        assert!(one.change_since(&then).unwrap().contains(&format!("no longer in the split ({name})")));
        let other_seed = (1..9).map(|seed| record([8; 3], seed)).find(|other| other.split.test != then.split.test).unwrap();
        assert_eq!(other_seed.change_since(&then).as_deref(), Some("the same cases are split otherwise"));
        assert!(record([9; 3], 0).change_since(&then).unwrap().starts_with("5 cases are of another content"));
    }
}
