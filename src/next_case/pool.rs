//! Which cases of a dataset are labelled, and which could be labelled next.

use std::collections::BTreeSet;

use crate::volume::{CaseFiles, Dataset, Split};

/// The cases of a dataset by their use, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Labelled: what is like them need not be labelled as well.
    pub labelled: Vec<String>,
    /// To choose from.
    pub unlabelled: Vec<String>,
    /// Neither: cases that validate or test.
    pub held_out: Vec<String>,
}

impl Pool {
    /// By the label maps alone: a case without one can be labelled.
    pub fn of_label_maps(dataset: &Dataset) -> Self {
        Self::of_splits(dataset, &[])
    }

    /// By the splits of the trainings that the networks come from. Labelled are the cases that one of them fine-tuned on, held out are the
    /// others that validate or test. To choose from are all others without a label map, and those that pre-train only although they have
    /// one. A case with a label map that no split names counts as labelled.
    pub fn of_splits(dataset: &Dataset, splits: &[Split]) -> Self {
        let names = |part: fn(&Split) -> Vec<&String>| splits.iter().flat_map(part).collect::<BTreeSet<_>>();
        let finetune = names(|split| split.finetune.iter().collect());
        let held_out = names(|split| split.validation.iter().chain(&split.test).collect());
        let pretrain = names(|split| split.pretrain.iter().collect());
        let mut pool = Self::default();
        for CaseFiles { name, label, .. } in &dataset.cases {
            let part = if finetune.contains(name) {
                &mut pool.labelled
            } else if held_out.contains(name) {
                &mut pool.held_out
            } else if label.is_none() || pretrain.contains(name) {
                &mut pool.unlabelled
            } else {
                &mut pool.labelled
            };
            part.push(name.clone());
        }
        pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::demo;

    fn sorted(names: &[String]) -> Vec<String> {
        let mut names = names.to_vec();
        names.sort();
        names
    }

    #[test]
    fn label_maps_decide_alone_and_splits_decide_where_they_are_known() {
        let (dataset, split) = (demo::dataset(), demo::split());
        let by_maps = Pool::of_label_maps(&dataset);
        assert_eq!((by_maps.labelled.len(), by_maps.unlabelled.len(), by_maps.held_out.len()), (22, 18, 0));
        let by_split = Pool::of_splits(&dataset, std::slice::from_ref(&split));
        assert_eq!((by_split.labelled, by_split.held_out), (sorted(&split.finetune), sorted(&split.test)));
        assert_eq!(by_split.unlabelled, by_maps.unlabelled, "the rest of those that pre-train have no label map here");

        // A label map that the split does not use is no reason not to choose its case; one that no split knows of is.
        let fewer = Split { finetune: split.finetune[..4].to_vec(), test: split.test[1..].to_vec(), ..split.clone() };
        let pool = Pool::of_splits(&dataset, &[fewer]);
        assert_eq!((pool.labelled.len(), pool.unlabelled.len(), pool.held_out.len()), (4 + 1, 18 + 6, 11));
        assert!(pool.labelled.contains(&split.test[0]) && split.finetune[4..].iter().all(|name| pool.unlabelled.contains(name)));
    }

    #[test]
    fn what_one_network_learned_from_is_labelled_although_another_was_tested_on_it() {
        let (dataset, split) = (demo::dataset(), demo::split());
        let folds = [0, 1].map(|fold| {
            let (test, finetune) = split.finetune.iter().cloned().enumerate().partition::<Vec<_>, _>(|(at, _)| at % 2 == fold);
            let names = |cases: Vec<(usize, String)>| cases.into_iter().map(|(_, name)| name).collect();
            Split { test: names(test), finetune: names(finetune), ..Split::default() }
        });
        let pool = Pool::of_splits(&dataset, &folds);
        assert!(pool.held_out.is_empty() && split.finetune.iter().all(|name| pool.labelled.contains(name)));
    }
}
