//! Which cases pre-train, fine-tune, validate and test.

use std::collections::BTreeSet;
use std::path::Path;

use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};

use super::{DataError, DataErrors, Dataset, Fault, demo};
use crate::config::{DataConfig, LabelFraction, SplitConfig};
use crate::random::stream;

/// Names suggested for one that doesn't exist.
const SUGGESTED: usize = 3;

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
    /// Draws the split that a config asks for. The order of the dataset's cases decides nothing: `data.split_seed` (`seed` where
    /// there is none) draws the held-out cases, `seed` the order of which a label fraction takes the first.
    ///
    /// Shares of a hold-out are rounded, at least one case if above zero, and always leave one labelled case to train.
    /// Folds are the dataset's own if its list gives every labelled case one, else seeded. With `data.hold_back_test` the validation
    /// cases stand as test cases, and nothing holds the test cases.
    ///
    /// # Errors
    /// Unknown names (with near ones), cases without label where one is needed, overlaps, too few cases; all at once. No validation
    /// cases to stand for test cases held back.
    pub fn draw(dataset: &Dataset, config: &DataConfig, seed: u64) -> Result<Self, DataErrors> {
        let labelled = sorted_names(dataset, true);
        let split_seed = config.split_seed.unwrap_or(seed);
        let mut split = match &config.split {
            SplitConfig::Demo => demo::split(),
            SplitConfig::Lists { pretrain, finetune, validation, test } => {
                let [pretrain, finetune, validation, test] = [pretrain, finetune, validation, test].map(Clone::clone);
                let split = Self { pretrain, finetune, validation, test };
                split.check_lists(dataset)?;
                split
            }
            SplitConfig::HoldOut { test, validation } => {
                let order = shuffled(labelled, split_seed, "hold-out");
                let most = order.len().saturating_sub(1);
                let count = |share: f64| if share > 0.0 { ((share * order.len() as f64).round() as usize).max(1) } else { 0 };
                let tested = count(*test).min(most);
                let validated = count(*validation).min(most - tested);
                let (test, rest) = order.split_at(tested);
                let (validation, train) = rest.split_at(validated);
                Self::with_training(dataset, train, validation, test)
            }
            SplitConfig::Folds { folds, fold } => {
                let (test, train) = fold_of(dataset, labelled, (*folds, *fold), split_seed)?;
                Self::with_training(dataset, &train, &[], &test)
            }
        };
        if config.hold_back_test {
            split = split.without_test(dataset)?;
        }
        let LabelFraction(fraction) = config.label_fraction;
        split.finetune.sort();
        split.finetune = shuffled(split.finetune, seed, "label fraction");
        let keep = ((fraction * split.finetune.len() as f64).round() as usize).max(1);
        split.finetune.truncate(keep);
        Ok(split)
    }

    /// Names of all cases, part by part; one that stands in two parts comes twice.
    pub fn cases(&self) -> impl Iterator<Item = &String> {
        [&self.pretrain, &self.finetune, &self.validation, &self.test].into_iter().flatten()
    }

    /// All labelled cases but those held out fine-tune; they and all unlabelled cases pre-train.
    fn with_training(dataset: &Dataset, train: &[String], validation: &[String], test: &[String]) -> Self {
        let mut pretrain = [train, &sorted_names(dataset, false)].concat();
        pretrain.sort();
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        Self { pretrain, finetune: train.to_vec(), validation: sorted(validation), test: sorted(test) }
    }

    /// The validation cases as the test cases, which are left out. What is tested must be new to pre-training too, where
    /// validation cases may have had a part by a list.
    fn without_test(self, dataset: &Dataset) -> Result<Self, DataErrors> {
        let Self { mut pretrain, finetune, validation: test, .. } = self;
        if test.is_empty() {
            let cause = "the test cases are held back (data.hold_back_test) and there are no validation cases to score instead";
            return Err(Fault::Split { cause: cause.to_owned() }.at(Path::new(&dataset.name)).into());
        }
        pretrain.retain(|name| !test.contains(name));
        Ok(Self { pretrain, finetune, validation: Vec::new(), test })
    }

    fn check_lists(&self, dataset: &Dataset) -> Result<(), DataErrors> {
        let place = Path::new(&dataset.name);
        let lists = [("pretrain", &self.pretrain), ("finetune", &self.finetune), ("validation", &self.validation), ("test", &self.test)];
        let mut faults = Vec::new();
        for (list, names) in lists {
            let mut seen = BTreeSet::new();
            for name in names {
                let list = format!("data.split.lists.{list}");
                match dataset.case(name) {
                    None => faults.push(Fault::UnknownCase { name: name.clone(), list, near: near(name, dataset) }),
                    Some(case) if case.label.is_none() && !list.ends_with("pretrain") => {
                        faults.push(Fault::Split { cause: format!("{list} names {name:?}, which has no label") });
                    }
                    Some(_) if !seen.insert(name) => faults.push(Fault::Split { cause: format!("{list} names {name:?} twice") }),
                    Some(_) => {}
                }
            }
        }
        // A test case must be new to the network, even without its label; a validation case to fine-tuning.
        for (held, others) in [("test", &["pretrain", "finetune", "validation"][..]), ("validation", &["finetune"])] {
            let names = |wanted: &str| lists.iter().find(|(list, _)| *list == wanted).map_or(&[][..], |(_, names)| names);
            for other in others {
                let shared = names(other).iter().filter(|name| names(held).contains(name));
                faults.extend(shared.map(|name| Fault::Split { cause: format!("{name:?} stands in both {other} and {held}") }));
            }
        }
        let errors: Vec<DataError> = faults.into_iter().map(|fault| fault.at(place)).collect();
        DataErrors::or(errors, ())
    }
}

/// The cases of one fold, and all others.
fn fold_of(
    dataset: &Dataset,
    labelled: Vec<String>,
    (folds, fold): (usize, usize),
    seed: u64,
) -> Result<(Vec<String>, Vec<String>), DataErrors> {
    if labelled.len() < folds {
        let cause = format!("{folds} folds need as many labelled cases; there are {}", labelled.len());
        return Err(Fault::Split { cause }.at(Path::new(&dataset.name)).into());
    }
    let listed: Option<Vec<usize>> = labelled.iter().map(|name| dataset.case(name).and_then(|case| case.fold)).collect();
    let numbered: Vec<(String, usize)> = match listed {
        Some(listed) => labelled.into_iter().zip(listed).collect(),
        None => shuffled(labelled, seed, "folds").into_iter().zip((0..folds).cycle()).collect(),
    };
    let (test, train): (Vec<_>, Vec<_>) = numbered.into_iter().partition(|&(_, number)| number == fold);
    let names = |cases: Vec<(String, usize)>| cases.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    Ok((names(test), names(train)))
}

fn sorted_names(dataset: &Dataset, labelled: bool) -> Vec<String> {
    let cases = dataset.cases.iter().filter(|case| case.label.is_some() == labelled);
    let mut names: Vec<String> = cases.map(|case| case.name.clone()).collect();
    names.sort();
    names
}

fn shuffled(mut names: Vec<String>, seed: u64, purpose: &str) -> Vec<String> {
    names.shuffle(&mut stream(seed, purpose, 0, 0));
    names
}

/// Case names most like `name`, by edit distance, unless more than half of it differs.
fn near(name: &str, dataset: &Dataset) -> Vec<String> {
    let mut ranked: Vec<(usize, &str)> = dataset.cases.iter().map(|case| (edit_distance(name, &case.name), case.name.as_str())).collect();
    ranked.sort_unstable();
    let close = ranked.into_iter().filter(|&(distance, _)| 2 * distance <= name.chars().count());
    close.take(SUGGESTED).map(|(_, name)| name.to_owned()).collect()
}

/// Insertions, deletions and replacements that turn `a` into `b` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DataSource, SyntheticConfig};

    fn dataset(cases: usize, unlabelled: usize) -> Dataset {
        let source = DataSource::Synthetic(SyntheticConfig { cases, ..SyntheticConfig::default() });
        let mut dataset = Dataset::open(&source).expect("synthetic");
        dataset.cases.iter_mut().take(unlabelled).for_each(|case| case.label = None);
        dataset
    }

    fn draw(dataset: &Dataset, split: SplitConfig, fraction: f64, seed: u64) -> Result<Split, DataErrors> {
        let config = DataConfig { split, label_fraction: LabelFraction(fraction), ..DataConfig::default() };
        Split::draw(dataset, &config, seed)
    }

    #[test]
    fn a_hold_out_parts_the_cases_and_a_smaller_fraction_is_a_subset() {
        let dataset = dataset(25, 5);
        let hold_out = || SplitConfig::HoldOut { test: 0.2, validation: 0.1 };
        let whole = draw(&dataset, hold_out(), 1.0, 7).expect("a split");
        assert_eq!([whole.pretrain.len(), whole.finetune.len(), whole.validation.len(), whole.test.len()], [14 + 5, 14, 2, 4]);
        let held: BTreeSet<_> = whole.validation.iter().chain(&whole.test).collect();
        assert!(whole.pretrain.iter().all(|name| !held.contains(name)));
        for fraction in [0.01, 0.1, 0.5] {
            let part = draw(&dataset, hold_out(), fraction, 7).expect("a split");
            assert_eq!(part.finetune.len(), ((fraction * 14.0).round() as usize).max(1));
            assert_eq!(part.finetune, whole.finetune[..part.finetune.len()]);
            assert_eq!(part.pretrain, whole.pretrain);
        }
        assert_ne!(draw(&dataset, hold_out(), 1.0, 8).expect("a split").test, whole.test);
    }

    #[test]
    fn a_split_seed_keeps_the_held_out_cases_and_leaves_the_label_fraction_to_the_seed() {
        let dataset = dataset(25, 0);
        let draw = |split: SplitConfig, split_seed, seed| {
            let config = DataConfig { split, split_seed, label_fraction: LabelFraction(0.3), ..DataConfig::default() };
            Split::draw(&dataset, &config, seed).expect("a split")
        };
        for split in [SplitConfig::HoldOut { test: 0.2, validation: 0.2 }, SplitConfig::Folds { folds: 4, fold: 1 }] {
            let [first, other] = [1, 2].map(|seed| draw(split.clone(), Some(7), seed));
            assert_eq!((&first.pretrain, &first.validation, &first.test), (&other.pretrain, &other.validation, &other.test));
            assert_ne!(first.finetune, other.finetune, "the seed decides which labels are used");
            assert_ne!(first.test, draw(split.clone(), Some(8), 1).test);
            assert_eq!(draw(split.clone(), Some(7), 7), draw(split, None, 7), "without a split seed the seed stands for it");
        }
    }

    #[test]
    fn held_back_test_cases_stand_nowhere_and_the_validation_cases_are_tested() {
        let dataset = dataset(25, 5);
        let held_back = |split| Split::draw(&dataset, &DataConfig { split, hold_back_test: true, ..DataConfig::default() }, 3);
        let hold_out = SplitConfig::HoldOut { test: 0.2, validation: 0.1 };
        let whole = draw(&dataset, hold_out.clone(), 1.0, 3).expect("a split");
        let Split { pretrain, finetune, validation, test } = held_back(hold_out).expect("a split");
        assert_eq!((&pretrain, &finetune, &test), (&whole.pretrain, &whole.finetune, &whole.validation));
        assert!(validation.is_empty() && !whole.test.is_empty());
        assert!(pretrain.iter().chain(&finetune).chain(&test).all(|name| !whole.test.contains(name)));

        let names = |numbers: &[usize]| numbers.iter().map(|n| format!("synthetic_{n:03}")).collect::<Vec<_>>();
        let lists = |validation: &[usize]| SplitConfig::Lists {
            pretrain: names(&[0, 6, 7, 8]),
            finetune: names(&[6, 7]),
            validation: names(validation),
            test: names(&[9]),
        };
        let listed = held_back(lists(&[8])).expect("a split");
        assert_eq!((listed.pretrain, listed.test), (names(&[0, 6, 7]), names(&[8])), "a scored case does not pre-train");
        let error = held_back(lists(&[])).expect_err("nothing to score").to_string();
        assert!(error.contains("no validation cases to score"), "{error}");
    }

    #[test]
    fn folds_test_every_labelled_case_once() {
        let mut dataset = dataset(11, 1);
        let all = |dataset: &Dataset| -> Vec<String> {
            let fold = |fold| draw(dataset, SplitConfig::Folds { folds: 3, fold }, 1.0, 1).expect("a split").test;
            let mut tested: Vec<String> = (0..3).flat_map(fold).collect();
            tested.sort();
            tested
        };
        assert_eq!(all(&dataset), sorted_names(&dataset, true));
        for (index, case) in dataset.cases.iter_mut().enumerate() {
            case.fold = Some(index % 3);
        }
        let listed = draw(&dataset, SplitConfig::Folds { folds: 3, fold: 1 }, 1.0, 1).expect("a split").test;
        assert_eq!(listed, ["synthetic_001", "synthetic_004", "synthetic_007", "synthetic_010"]);
    }

    #[test]
    fn lists_are_checked_as_a_whole() {
        let dataset = dataset(4, 1);
        let names = |numbers: &[usize]| numbers.iter().map(|n| format!("synthetic_{n:03}")).collect::<Vec<_>>();
        let lists = |pretrain: &[usize], finetune: &[usize], test: &[usize]| {
            let split = SplitConfig::Lists { pretrain: names(pretrain), finetune: names(finetune), validation: vec![], test: names(test) };
            draw(&dataset, split, 1.0, 0)
        };
        assert!(lists(&[0, 1], &[1, 2], &[3]).is_ok());
        let DataErrors(errors) = lists(&[0, 3], &[0, 1, 1, 9], &[3]).expect_err("several mistakes");
        let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(errors.len(), 4, "{text}");
        for part in ["\"synthetic_000\", which has no label", "twice", "near it: synthetic_000", "both pretrain and test"] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
