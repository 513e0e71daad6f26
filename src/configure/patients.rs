//! Whose scans the cases are, and the folds that keep them together.

use std::collections::BTreeSet;

use super::error::ConfigureError;
use super::fingerprint::{CaseShape, Fingerprint};
use super::text::Choice;
use crate::config::{Groups, RunConfig, SplitConfig, patient};
use crate::wording::count;

/// Folds, as nnU-Net's.
const FOLDS: usize = 5;

/// The pattern that is suggested where names look made up so.
const USUAL_PATTERN: &str = "{patient}_{scan}";

/// How many patients there are, as far as anybody said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patients {
    /// Of all cases; each case is a patient's only one where nobody said otherwise.
    pub all: usize,
    /// Of the labelled ones.
    labelled: usize,
    /// Patients there would be by the usual pattern, where that says something and nobody said otherwise.
    suspected: Option<usize>,
}

impl Patients {
    /// Counts the patients by a `pattern` of case names.
    ///
    /// # Errors
    /// No pattern, or one that does not fit a name.
    pub fn of(fingerprint: &Fingerprint, pattern: Option<&str>) -> Result<Self, ConfigureError> {
        let cases = &fingerprint.cases;
        let Some(pattern) = pattern else {
            let usual: Option<BTreeSet<&str>> = cases.iter().map(|case| patient(USUAL_PATTERN, &case.name)).collect();
            let suspected = usual.map(|patients| patients.len()).filter(|&patients| patients > 1 && patients < cases.len());
            return Ok(Self { all: cases.len(), labelled: fingerprint.labelled(), suspected });
        };
        let refuse = |cause: String| ConfigureError::Groups { pattern: pattern.to_owned(), cause };
        let mut config = RunConfig::default();
        config.data.groups = Some(Groups::Pattern(pattern.to_owned()));
        if let Some(problem) = config.problems().into_iter().find(|problem| problem.key == "data.groups") {
            return Err(refuse(problem.message));
        }
        if let Some(case) = cases.iter().find(|case| patient(pattern, &case.name).is_none()) {
            return Err(refuse(format!("does not fit the name {:?}", case.name)));
        }
        let patients = |counts: fn(&CaseShape) -> bool| {
            let names: BTreeSet<&str> = cases.iter().filter(|case| counts(case)).filter_map(|case| patient(pattern, &case.name)).collect();
            names.len()
        };
        Ok(Self { all: patients(|_| true), labelled: patients(|case| case.labelled), suspected: None })
    }

    /// That cases may be several scans of one patient.
    pub fn hint(&self) -> Option<String> {
        let patients = count(self.suspected?, "patient");
        Some(format!(
            "each of the {} cases is taken for a patient of its own. By their names they may be of {patients}: if so, say \
             --groups '{USUAL_PATTERN}', or one patient's scans lie on both sides of the split",
            self.all
        ))
    }
}

/// How the cases are split, and how many of them test, about.
pub fn fold_choice(fingerprint: &Fingerprint, patients: &Patients) -> (Choice, usize) {
    let choice = |split: &SplitConfig, reason: String| Choice::new("data.split", split, reason);
    let labelled: Vec<&CaseShape> = fingerprint.cases.iter().filter(|case| case.labelled).collect();
    let listed: Option<BTreeSet<usize>> = labelled.iter().map(|case| case.fold).collect();
    if let Some(listed) = listed.filter(|listed| listed.len() > 1)
        && let (Some(&fold), Some(&last)) = (listed.first(), listed.last())
    {
        let tested = labelled.iter().filter(|case| case.fold == Some(fold)).count();
        let reason = format!("the folds of the dataset's own list; {} of fold {fold} test", count(tested, "case"));
        return (choice(&SplitConfig::Folds { folds: last + 1, fold }, reason), tested);
    }
    if patients.labelled < 2 {
        let who = if labelled.len() > patients.labelled { "one patient's cases have" } else { "one case has" };
        let who = if labelled.is_empty() { "no case has" } else { who };
        let split = SplitConfig::HoldOut { test: 0.0, validation: 0.0 };
        return (choice(&split, format!("{who} a label map: none can be held out to test")), 0);
    }
    let folds = patients.labelled.min(FOLDS);
    let tested = labelled.len().div_ceil(folds);
    let parted = patients.labelled < labelled.len();
    let whose = if parted { format!(" of {}, never parted,", count(patients.labelled, "patient")) } else { String::new() };
    let reason = format!(
        "the first of {folds} folds{}: about {tested} of {} labelled cases{whose} test. For all folds make data.split.folds.fold an axis of \
         an experiment",
        if folds == FOLDS { ", as nnU-Net's" } else { "" },
        labelled.len()
    );
    (choice(&SplitConfig::Folds { folds, fold: 0 }, reason), tested)
}
