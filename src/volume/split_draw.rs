//! Draws which cases pre-train, fine-tune, validate and test.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom as _;

use super::together::Together;
use super::{DataError, DataErrors, Dataset, Fault, Split, demo, nnunet_folds};
use crate::config::{DataConfig, NNUNET_FOLDS, SplitConfig};
use crate::random::stream;

impl Split {
    /// Draws the split that a config asks for. The order of the dataset's cases decides nothing: `data.split_seed` (`seed` where
    /// there is none) draws the held-out cases, `seed` the order of which a label fraction takes the first.
    ///
    /// Shares of a hold-out are rounded, at least one case if above zero, and always leave one labelled case to train.
    /// Folds are the dataset's own if its list gives every labelled case one, else seeded; nnU-Net's are of the sorted names alone. Cases that stay [`Together`] are never
    /// parted, so that a part may hold a few cases more than its share; what stays with a held-out case does not pre-train.
    /// With `data.hold_back_test` the validation cases stand as test cases, and nothing holds the test cases.
    ///
    /// # Errors
    /// Unknown names (with near ones), cases without label where one is needed, overlaps, lists and folds that part what stays
    /// together, too few cases; all at once. No validation cases to stand for test cases held back.
    pub fn draw(dataset: &Dataset, config: &DataConfig, seed: u64) -> Result<Self, DataErrors> {
        let together = Together::of(dataset, config)?;
        let labelled = sorted_names(dataset, true);
        let split_seed = config.split_seed.unwrap_or(seed);
        let mut split = match &config.split {
            SplitConfig::Demo => {
                let split = demo::split();
                DataErrors::or(split.parted(dataset, &together), split)?
            }
            SplitConfig::Lists { pretrain, finetune, validation, test } => {
                let [pretrain, finetune, validation, test] = [pretrain, finetune, validation, test].map(Vec::clone);
                let split = Self { pretrain, finetune, validation, test };
                split.check_lists(dataset, &together)?;
                split
            }
            SplitConfig::HoldOut { test, validation } => {
                let count = |share: f64| if share > 0.0 { ((share * labelled.len() as f64).round() as usize).max(1) } else { 0 };
                let order = shuffled(together.sets(&labelled), split_seed, "hold-out");
                if order.len() == 1 && labelled.len() > 1 && test + validation > 0.0 {
                    let cause = "all labelled cases are one image or scans of one patient, so that none can be held out from the others";
                    return Err(dataset.fault(Fault::Split(cause.to_owned())).into());
                }
                let mut rest = order.as_slice();
                let [test, validation] = [*test, *validation].map(|share| held_out(&mut rest, count(share)));
                Self::with_training(dataset, &together, rest.concat(), [validation, test])
            }
            SplitConfig::Folds { folds, fold } => {
                let listed: Option<BTreeMap<&str, usize>> =
                    labelled.iter().map(|name| Some((name.as_str(), dataset.case(name)?.fold?))).collect();
                let listed = listed.map(|folds| ("of the dataset's list", folds));
                let (test, train) = fold_of(dataset, together.sets(&labelled), (*folds, *fold), listed, split_seed)?;
                Self::with_training(dataset, &together, train, [Vec::new(), test])
            }
            SplitConfig::NnunetFolds { fold } => {
                let theirs = labelled.iter().map(String::as_str).zip(nnunet_folds::folds(labelled.len())).collect();
                let theirs = Some(("of nnU-Net, which parts scans of one patient (take split: folds)", theirs));
                let (test, train) = fold_of(dataset, together.sets(&labelled), (NNUNET_FOLDS, *fold), theirs, split_seed)?;
                Self::with_training(dataset, &together, train, [Vec::new(), test])
            }
        };
        if config.hold_back_test {
            split = split.without_test(dataset, &together)?;
        }
        split.finetune.sort();
        split.finetune = shuffled(split.finetune, seed, "label fraction");
        let keep = ((config.label_fraction * split.finetune.len() as f64).round() as usize).max(1);
        split.finetune.truncate(keep);
        Ok(split)
    }

    /// All labelled cases but those held out fine-tune; they and all unlabelled cases that stay with none of these pre-train.
    fn with_training(dataset: &Dataset, together: &Together, train: Vec<String>, [mut validation, mut test]: [Vec<String>; 2]) -> Self {
        let held = |name: &String| together.with(name).iter().any(|other| validation.contains(other) || test.contains(other));
        let mut pretrain = [train.clone(), sorted_names(dataset, false)].concat();
        pretrain.retain(|name| !held(name));
        pretrain.sort();
        validation.sort();
        test.sort();
        Self { pretrain, finetune: train, validation, test }
    }

    /// The validation cases as the test cases, which are left out. What is tested must be new to pre-training too, where
    /// validation cases may have had a part by a list.
    fn without_test(self, dataset: &Dataset, together: &Together) -> Result<Self, DataErrors> {
        let Self { mut pretrain, finetune, validation: test, .. } = self;
        if test.is_empty() {
            let cause = "the test cases are held back (data.hold_back_test) and there are no validation cases to score instead";
            return Err(dataset.fault(Fault::Split(cause.to_owned())).into());
        }
        pretrain.retain(|name| !together.with(name).iter().any(|other| test.contains(other)));
        Ok(Self { pretrain, finetune, validation: Vec::new(), test })
    }

    /// What stays together and this split parts.
    fn parted(&self, dataset: &Dataset, together: &Together) -> Vec<DataError> {
        let mut errors = Vec::new();
        for [(other, others), (held, names)] in self.apart() {
            for name in names {
                let parted = together.with(name).iter().filter(|mate| *mate != name && others.contains(mate));
                errors.extend(parted.map(|mate| {
                    let cause = format!("{name:?} stands in {held} and {mate:?} in {other}; they are one image or scans of one patient");
                    dataset.fault(Fault::Split(cause))
                }));
            }
        }
        errors
    }

    fn check_lists(&self, dataset: &Dataset, together: &Together) -> Result<(), DataErrors> {
        let mut faults = Vec::new();
        for (list, names) in self.lists() {
            let mut seen = BTreeSet::new();
            for name in names {
                let list = format!("data.split.lists.{list}");
                match dataset.case(name) {
                    None => faults.push(dataset.unknown(name, &list)),
                    Some(case) if case.label.is_none() && !list.ends_with("pretrain") => {
                        faults.push(Fault::Split(format!("{list} names {name:?}, which has no label")));
                    }
                    Some(_) if !seen.insert(name) => faults.push(Fault::Split(format!("{list} names {name:?} twice"))),
                    Some(_) => {}
                }
            }
        }
        for [(other, others), (held, names)] in self.apart() {
            let shared = others.iter().filter(|name| names.contains(name));
            faults.extend(shared.map(|name| Fault::Split(format!("{name:?} stands in both {other} and {held}"))));
        }
        let errors = faults.into_iter().map(|fault| dataset.fault(fault)).chain(self.parted(dataset, together)).collect();
        DataErrors::or(errors, ())
    }
}

/// Takes whole sets from the front until they hold `wanted` cases; one set is always left to train.
fn held_out(sets: &mut &[Vec<String>], wanted: usize) -> Vec<String> {
    let mut held = Vec::new();
    while let [first, rest @ ..] = *sets
        && held.len() < wanted
        && !rest.is_empty()
    {
        held.extend_from_slice(first);
        *sets = rest;
    }
    held
}

/// The cases of one fold, and all others. `given`: the fold of each case, and whose these are; none: they are drawn by the seed.
fn fold_of(
    dataset: &Dataset,
    sets: Vec<Vec<String>>,
    (folds, fold): (usize, usize),
    given: Option<(&str, BTreeMap<&str, usize>)>,
    seed: u64,
) -> Result<(Vec<String>, Vec<String>), DataErrors> {
    let refuse = |cause: String| DataErrors::from(dataset.fault(Fault::Split(cause)));
    if sets.len() < folds {
        return Err(refuse(format!("{folds} folds need as many labelled cases that may be parted; there are {}", sets.len())));
    }
    let numbered: Vec<(Vec<String>, usize)> = match given {
        Some((whose, given)) => {
            let mut numbered = Vec::new();
            for set in sets {
                let numbers: Vec<usize> = set.iter().map(|name| given[name.as_str()]).collect();
                // A case that was added under a fold that none tests goes where its patient is.
                let tested: BTreeSet<usize> = numbers.iter().copied().filter(|&number| number < folds).collect();
                if tested.len() > 1 {
                    let cause = format!("stand in different folds {whose}; they are one image or scans of one patient");
                    return Err(refuse(format!("{} {cause}", set.join(", "))));
                }
                numbered.push((set, tested.first().copied().unwrap_or(numbers[0])));
            }
            numbered
        }
        None => shuffled(sets, seed, "folds").into_iter().zip((0..folds).cycle()).collect(),
    };
    let (test, train): (Vec<_>, Vec<_>) = numbered.into_iter().partition(|&(_, number)| number == fold);
    let names = |sets: Vec<(Vec<String>, usize)>| sets.into_iter().flat_map(|(names, _)| names).collect::<Vec<_>>();
    Ok((names(test), names(train)))
}

fn sorted_names(dataset: &Dataset, labelled: bool) -> Vec<String> {
    let cases = dataset.cases.iter().filter(|case| case.label.is_some() == labelled);
    let mut names: Vec<String> = cases.map(|case| case.name.clone()).collect();
    names.sort();
    names
}

fn shuffled<T>(mut names: Vec<T>, seed: u64, purpose: &str) -> Vec<T> {
    names.shuffle(&mut stream(seed, purpose, 0, 0));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DataSource, Groups, SyntheticConfig};

    fn dataset(cases: usize, unlabelled: usize) -> Dataset {
        let source = DataSource::Synthetic(SyntheticConfig { cases, ..SyntheticConfig::default() });
        let mut dataset = Dataset::open(&source).expect("synthetic");
        dataset.cases.iter_mut().take(unlabelled).for_each(|case| case.label = None);
        dataset
    }

    fn draw(dataset: &Dataset, split: SplitConfig, fraction: f64, seed: u64) -> Result<Split, DataErrors> {
        let config = DataConfig { split, label_fraction: fraction, ..DataConfig::default() };
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
            let config = DataConfig { split, split_seed, label_fraction: 0.3, ..DataConfig::default() };
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
    fn what_was_added_beside_the_folds_of_a_list_goes_where_its_patient_is() {
        let mut dataset = dataset(6, 0);
        let names = |numbers: &[usize]| numbers.iter().map(|n| format!("synthetic_{n:03}")).collect::<Vec<_>>();
        let drawn = |dataset: &Dataset, fold| {
            let groups = Some(Groups::Lists(vec![names(&[0, 5])]));
            let config = DataConfig { split: SplitConfig::Folds { folds: 2, fold }, groups, ..DataConfig::default() };
            Split::draw(dataset, &config, 1)
        };
        dataset.cases.iter_mut().enumerate().for_each(|(index, case)| case.fold = Some(index % 2));
        let error = drawn(&dataset, 0).expect_err("one patient in two folds").to_string();
        assert!(error.contains("synthetic_000, synthetic_005 stand in different folds"), "{error}");
        dataset.cases[5].fold = Some(2);
        assert_eq!(drawn(&dataset, 0).expect("a split").test, names(&[0, 2, 4, 5]));
        assert_eq!(drawn(&dataset, 1).expect("a split").test, names(&[1, 3]));
    }

    #[test]
    fn nnu_net_s_folds_hang_on_the_sorted_names_alone() {
        let mut dataset = dataset(14, 1);
        dataset.cases.reverse();
        // By scikit-learn's KFold(5, shuffle=True, random_state=12345) over 13 names; the first case has no label.
        let expected: Vec<usize> = "0341341020122".bytes().map(|digit| usize::from(digit - b'0')).collect();
        let names: Vec<String> = (1..14).map(|number| format!("synthetic_{number:03}")).collect();
        for (fold, seed) in (0..5).flat_map(|fold| [(fold, 0), (fold, 7)]) {
            let Split { pretrain, finetune, validation, test } =
                draw(&dataset, SplitConfig::NnunetFolds { fold }, 1.0, seed).expect("a split");
            let of_fold = names.iter().zip(&expected).filter(|&(_, own)| *own == fold).map(|(name, _)| name.clone());
            assert_eq!(test, of_fold.collect::<Vec<_>>(), "fold {fold}");
            assert_eq!([pretrain.len(), finetune.len(), validation.len()], [14 - test.len(), 13 - test.len(), 0]);
            assert!(pretrain.iter().chain(&finetune).all(|name| !test.contains(name)));
        }
        // What the dataset's list says of folds is not asked.
        dataset.cases.iter_mut().for_each(|case| case.fold = Some(3));
        assert_eq!(draw(&dataset, SplitConfig::NnunetFolds { fold: 2 }, 1.0, 0).expect("a split").test.len(), 3);

        let groups = Some(Groups::Lists(vec![vec![names[0].clone(), names[1].clone()]]));
        let config = DataConfig { split: SplitConfig::NnunetFolds { fold: 0 }, groups, ..DataConfig::default() };
        let error = Split::draw(&dataset, &config, 0).expect_err("two scans of one patient in two folds").to_string();
        assert!(error.contains("synthetic_001, synthetic_002 stand in different folds of nnU-Net"), "{error}");
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
