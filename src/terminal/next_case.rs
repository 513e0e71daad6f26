//! Which case to label next, as a table.

use crate::next_case::Ranking;
use crate::wording::{count, printable};

/// The first `most` cases, each with its reason, and what was not measured or not read.
pub fn ranking(ranking: &Ranking, most: usize) -> String {
    let Ranking { basis, unread, choices, .. } = ranking;
    let shown = &choices[..choices.len().min(most)];
    let width = shown.iter().map(|choice| choice.case.chars().count()).max().unwrap_or_default();
    let head = format!("{}: label next, of {} without labels ({} labelled)", basis.dataset, count(choices.len(), "case"), basis.labelled);
    let rows = shown.iter().zip(1..).map(|(choice, place)| format!("{place:>4}  {:width$}  {}", choice.case, choice.reason));
    let more = (choices.len() > shown.len()).then(|| format!("      and {} more", choices.len() - shown.len()));
    let left = basis.not_measured.iter().map(|(criterion, why)| format!("{criterion} was not measured: {why}"));
    let lost = unread.iter().map(|(case, cause)| format!("{case} could not be read and is not ranked: {cause}"));
    printable(&std::iter::once(head).chain(rows).chain(more).chain(left).chain(lost).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::next_case::{Basis, Criterion, Known, Measured};

    #[test]
    fn the_first_cases_are_listed_with_reasons_and_what_is_missing_is_named() {
        let basis = Basis {
            dataset: "scans".to_owned(),
            by: vec![Criterion::Distance],
            not_measured: [(Criterion::Entropy, "no network that segments was named".to_owned())].into(),
            ..Basis::default()
        };
        let all: Vec<Measured> = (0..4).map(|number| Measured { token: vec![number as f32], ..Measured::default() }).collect();
        let candidates: Vec<Known<'_>> = ["a", "bb", "c", "d"].into_iter().zip(&all).collect();
        let unread = BTreeMap::from([("torn".to_owned(), "torn.nii: it is cut short".to_owned())]);
        let told = ranking(&Ranking::new(basis, unread, &candidates, &[]), 2);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 6, "{told}");
        assert_eq!(lines[0], "scans: label next, of 4 cases without labels (0 labelled)");
        assert!(lines[1].starts_with("   1  bb  Its tokens lie") && lines[2].starts_with("   2  d   Its tokens lie"), "{told}");
        assert_eq!(lines[3], "      and 2 more");
        assert_eq!(lines[4], "entropy was not measured: no network that segments was named");
        assert!(lines[5].starts_with("torn could not be read and is not ranked: torn.nii"));
    }
}
