//! Rows of the case list: what a run scored of each case, sorted and filtered.

use std::cmp::Ordering;

use crate::metrics::CaseScore;
use crate::protocol::{RunState, StageKind};
use crate::volume::Dataset;

/// By what the list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Case name.
    #[default]
    Name,
    /// Mean Dice over labels.
    Dice,
    /// Mean HD95 over labels.
    Hd95,
}

impl Sort {
    /// Whether the worst case of a column comes first when values ascend.
    pub(super) fn worst_ascends(self) -> bool {
        self != Self::Hd95
    }
}

/// One case of the list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Place in the dataset.
    pub(super) index: usize,
    /// Its name.
    pub(super) name: String,
    /// Whether it has a label map.
    pub(super) truth: bool,
    /// Mean over labels, where the run scored it.
    pub(super) dice: Option<f64>,
    /// The same of HD95, in the unit of the run's config.
    pub(super) hd95: Option<f64>,
}

/// The arms whose predictions a run has scored or is scoring, in their order.
pub(super) fn arms(state: &RunState) -> Vec<String> {
    state.stages_of(StageKind::Test).map(|stage| stage.stage.arm.clone()).collect()
}

/// Cases whose name holds `filter`, with the scores of `arm`, sorted. Cases without a score come last either way.
pub(super) fn rows(dataset: &Dataset, state: Option<(&RunState, &str)>, filter: &str, (sort, ascending): (Sort, bool)) -> Vec<Row> {
    let filter = filter.trim().to_lowercase();
    let scored = state.and_then(|(state, arm)| state.stage(StageKind::Test, arm)).map(|stage| &stage.scores);
    let row = |(index, case): (usize, &crate::volume::CaseFiles)| {
        let scores = scored.and_then(|scores| scores.get(&case.name));
        let of = |value: fn(&CaseScore) -> Option<f64>| scores.and_then(|scores| mean(scores.iter().filter_map(value)));
        Row { index, name: case.name.clone(), truth: case.label.is_some(), dice: of(|score| score.dice), hd95: of(|score| score.hd95) }
    };
    let listed = dataset.cases.iter().enumerate().filter(|(_, case)| case.name.to_lowercase().contains(&filter));
    let mut rows: Vec<Row> = listed.map(row).collect();
    let value = |row: &Row| match sort {
        Sort::Name => None,
        Sort::Dice => row.dice,
        Sort::Hd95 => row.hd95,
    };
    rows.sort_by(|a, b| match (value(a), value(b)) {
        (Some(x), Some(y)) => directed(x.total_cmp(&y), ascending).then_with(|| a.index.cmp(&b.index)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) if sort == Sort::Name => directed(a.name.cmp(&b.name), ascending),
        (None, None) => a.index.cmp(&b.index),
    });
    rows
}

fn directed(order: Ordering, ascending: bool) -> Ordering {
    if ascending { order } else { order.reverse() }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Event, Record, Stage};
    use crate::volume::demo;

    fn score(case: &str, dice: Option<f64>, hd95: Option<f64>) -> CaseScore {
        let region = "any".to_owned();
        CaseScore { case: case.to_owned(), region, dice, hd95, truth_voxels: 1, predicted_voxels: 1, missing_in_one: false }
    }

    #[test]
    fn the_worst_comes_first_and_unscored_cases_last_either_way() {
        let dataset = demo::dataset();
        let names: Vec<&str> = dataset.cases.iter().map(|case| case.name.as_str()).collect();
        let stage = Stage { kind: StageKind::Test, arm: "a".to_owned() };
        let mut state = RunState::default();
        for (case, dice, hd95) in [(names[3], 0.9, 1.0), (names[1], 0.2, 9.0), (names[7], 0.5, 12.0)] {
            let scores = vec![score(case, Some(dice), Some(hd95)), score(case, Some(dice + 0.1), None), score(case, None, None)];
            state.apply(&Record { secs: 0.0, event: Event::Scored { stage: stage.clone(), case: case.to_owned(), scores } });
        }
        let order = |sort, ascending| {
            let rows = rows(&dataset, Some((&state, "a")), "", (sort, ascending));
            assert_eq!(rows.len(), names.len());
            rows.into_iter().take(4).map(|row| row.index).collect::<Vec<_>>()
        };
        assert_eq!(order(Sort::Dice, Sort::Dice.worst_ascends()), [1, 7, 3, 0]);
        assert_eq!(order(Sort::Dice, false), [3, 7, 1, 0]);
        assert_eq!(order(Sort::Hd95, Sort::Hd95.worst_ascends()), [7, 1, 3, 0]);
        assert_eq!(order(Sort::Name, false)[0], names.len() - 1);
        let found = rows(&dataset, Some((&state, "a")), &names[1].to_uppercase(), (Sort::Dice, true));
        assert_eq!((found.len(), found[0].dice), (1, Some(0.25)));
        assert!(rows(&dataset, Some((&state, "other")), "", (Sort::Dice, true)).iter().all(|row| row.dice.is_none()));
    }
}
