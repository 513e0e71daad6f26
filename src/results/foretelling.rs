//! Whether a number measured on tokens foretells the Dice: over pre-trainings that were fine-tuned alike, how alike is the order of the one to
//! that of the other?

use super::ExperimentResults;
use super::comparison::Role;
use super::group::Group;
use super::table::{Cell, Column, Columns, Table};
use crate::metrics::{Metric, distinct, mean};
use crate::wording::{NOTHING, fixed};

/// With fewer pre-trainings no order says anything: among four, one order in six reaches 0.8.
const LEAST: usize = 5;

impl ExperimentResults {
    /// Groups whose pre-trainings differ and which were fine-tuned alike, at least five, with the group from scratch that is the control of all.
    fn fine_tuned_alike(&self) -> Vec<(&Group, Vec<&Group>)> {
        let first = |index: usize| self.groups[index].same_as.unwrap_or(index);
        let alike = || self.comparisons.iter().filter(|own| own.role == Role::Control && self.groups[own.group].same_as.is_none());
        let of_control = |control: usize| {
            let groups = alike().filter(|own| first(own.reference) == control).map(|own| &self.groups[own.group]);
            (&self.groups[control], groups.filter(|group| group.dice.is_some() && group.collapse.is_some()).collect::<Vec<_>>())
        };
        let controls = distinct(alike().map(|own| first(own.reference)));
        controls.into_iter().map(of_control).filter(|(_, groups)| groups.len() >= LEAST).collect()
    }

    /// A row for each way to fine-tune that at least five pre-trainings share, named by their control from scratch: Spearman's rank correlation
    /// of each collapse number, as [`Self::encoders_table`] shows it, with the mean Dice, both means over repeats; before them that of two
    /// repeats' Dice. Dashes where some of the pre-trainings lack the number, or where it is the same for all.
    pub fn foretelling_table(&self) -> Table {
        let rows = self.fine_tuned_alike();
        let mut table = Columns::over(&rows);
        for (index, axis) in self.names.axes.iter().enumerate() {
            table.add(Column::field(&axis.name), |(control, _)| Cell::word(&control.level_names[index]));
        }
        table.add(Column::words("control").fields(["control"]), |(control, _)| Cell::word(&control.name));
        table.add(Column::numbers("pre-trainings").fields(["pretrainings"]), |(_, groups)| Cell::count(groups.len()));
        let chance = Column::numbers("by chance").meaning("Numbers that have nothing to do with the Dice lie beyond this once in twenty");
        table.add(chance.fields(["chance"]), |(_, groups)| {
            let bound = by_chance(groups.len());
            Cell::text(format!("± {}", fixed(bound, 2))).values([Some(bound)])
        });
        let among = Column::numbers("repeats among themselves")
            .meaning("The same correlation between the Dice of two seeds or folds, mean over pairs: an order that does not repeat itself cannot be foretold");
        table.add(among.fields(["repeats"]), |(_, groups)| cell(between_repeats(groups)));
        for metric in self.token_metrics() {
            table.add(metric.column(), |(_, groups)| {
                let pair = |group: &&Group| Some((metric.of(self.tokens, group.collapse.as_ref()?)?, group.mean(Metric::Dice)?.mean));
                let pairs: Option<Vec<(f64, f64)>> = groups.iter().map(pair).collect();
                cell(pairs.and_then(|pairs| rank_correlation(&pairs)))
            });
        }
        table.table
    }
}

fn cell(correlation: Option<f64>) -> Cell {
    Cell::text(correlation.map_or_else(|| NOTHING.to_owned(), |found| fixed(found, 2))).values([correlation])
}

/// Rank correlation of the Dice in one repeat with that in another, over the groups that have both: the mean over pairs of repeats. None
/// with one repeat, and where a pair shares fewer than [`LEAST`] groups.
fn between_repeats(groups: &[&Group]) -> Option<f64> {
    let dice = |group: &Group, key: &[usize]| group.repeats.iter().find(|own| own.done && own.key == key).and_then(|own| own.dice);
    let keys = distinct(groups.iter().flat_map(|group| &group.repeats).filter(|own| own.done).map(|own| &own.key));
    let of_pair = |one: &[usize], other: &[usize]| {
        let pairs: Vec<_> = groups.iter().filter_map(|group| Some((dice(group, one)?, dice(group, other)?))).collect();
        (pairs.len() >= LEAST).then(|| rank_correlation(&pairs)).flatten()
    };
    let pairs = keys.iter().enumerate().flat_map(|(index, one)| keys[..index].iter().map(move |other| (one, other)));
    mean(pairs.map(|(one, other)| of_pair(one, other)).collect::<Option<Vec<_>>>()?)
}

/// The absolute rank correlation that `count` unrelated pairs exceed once in twenty, by the normal approximation.
fn by_chance(count: usize) -> f64 {
    (1.96 / ((count - 1) as f64).sqrt()).min(1.0)
}

/// Spearman's rank correlation: Pearson's of the ranks, equal values sharing the mean of theirs. None where either has one value alone.
fn rank_correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let [ours, theirs] = [ranks(&ours), ranks(&theirs)];
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let size = (product(&ours, &ours) * product(&theirs, &theirs)).sqrt();
    (size > 0.0).then(|| product(&ours, &theirs) / size)
}

/// The place of each value among all, less the mean place.
fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: f64| values.iter().filter(|other| **other < value).count() as f64;
    let above = |value: f64| values.iter().filter(|other| **other > value).count() as f64;
    values.iter().map(|&value| (below(value) - above(value)) / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_agree_whatever_the_distances_and_ties_share_theirs() {
        let of = |ours: &[f64], theirs: &[f64]| rank_correlation(&ours.iter().copied().zip(theirs.iter().copied()).collect::<Vec<_>>());
        assert_eq!(of(&[1.0, 2.0, 3.0, 50.0], &[0.1, 0.2, 0.8, 0.9]), Some(1.0));
        assert_eq!(of(&[1.0, 2.0, 3.0, 50.0], &[0.9, 0.8, 0.2, 0.1]), Some(-1.0));
        // 1 - 6 * (1 + 1 + 1 + 1) / (5 * 24)
        assert!((of(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 1.0, 4.0, 3.0, 5.0]).unwrap() - 0.8).abs() < 1e-12);
        // Ranks 1, 2.5, 2.5, 4 against 1 to 4: 4.5 / sqrt(4.5 * 5).
        assert!((of(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap() - 0.9486832980505138).abs() < 1e-12);
        assert_eq!(of(&[2.0, 2.0, 2.0], &[1.0, 2.0, 3.0]), None);
    }
}
