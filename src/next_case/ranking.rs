//! The order as front ends show it: `ranking.json` and `ranking.csv`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::ranking_files;
use super::reason::reason;
use super::{Basis, Candidate, Centre, Chosen, Criterion, Measured, order};
use crate::atomic_file;
use crate::protocol::FolderError;

/// Version of `ranking.json`. 1.
const SCHEMA: u32 = 1;

/// Cases in the order in which to label them, and what that rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Version of this format.
    pub schema: u32,
    /// What it rests on.
    pub basis: Basis,
    /// Cases that could not be read, with the cause.
    pub unread: BTreeMap<String, String>,
    /// All others, the one to label first before the others.
    pub choices: Vec<Choice>,
}

/// A case, and why it stands where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its name.
    pub case: String,
    /// Mean entropy in nats, if measured.
    pub entropy: Option<f64>,
    /// Mean of 1 - Dice over pairs of networks, if measured.
    pub disagreement: Option<f64>,
    /// Distance of its tokens from those of `nearest`, if measured.
    pub distance: Option<f64>,
    /// The labelled case, or the one chosen before, whose tokens are nearest; none for the first where nothing is labelled.
    pub nearest: Option<String>,
    /// Mean of its ranks among those that were left when it was chosen.
    pub mean_rank: f64,
    /// All that in a sentence.
    pub reason: String,
}

/// A case's name, and what was measured of it.
pub type Known<'a> = (&'a str, &'a Measured);

impl Ranking {
    /// Chooses all candidates, one after the other.
    pub fn new(basis: Basis, unread: BTreeMap<String, String>, candidates: &[Known<'_>], labelled: &[Known<'_>]) -> Self {
        let number = |value: Option<f32>| value.map_or(0.0, f64::from);
        let known = |&(_, measured): &Known<'_>| (number(measured.entropy), number(measured.disagreement));
        let all: Vec<Candidate<'_>> = candidates
            .iter()
            .map(|own| {
                let (entropy, disagreement) = known(own);
                Candidate { entropy, disagreement, token: &own.1.token }
            })
            .collect();
        let centres: Vec<&[f32]> = labelled.iter().map(|(_, measured)| measured.token.as_slice()).collect();
        let choice = |chosen: &Chosen| {
            let (case, measured) = candidates[chosen.candidate];
            let nearest = match chosen.nearest {
                Centre::Labelled(index) => Some(labelled[index].0),
                Centre::Chosen(index) => Some(candidates[index].0),
                Centre::Mean => None,
            };
            let is_far = !basis.not_measured.contains_key(&Criterion::Distance);
            Choice {
                case: case.to_owned(),
                entropy: measured.entropy.map(f64::from),
                disagreement: measured.disagreement.map(f64::from),
                distance: is_far.then_some(chosen.distance),
                nearest: nearest.filter(|_| is_far).map(str::to_owned),
                mean_rank: chosen.ranks.iter().sum::<f64>() / chosen.ranks.len().max(1) as f64,
                reason: reason(measured, (chosen, nearest), &basis),
            }
        };
        let choices = order::order(&all, &centres, &basis.by).iter().map(choice).collect();
        Self { schema: SCHEMA, basis, unread, choices }
    }

    /// The place of each case, from 1, and its reason.
    pub fn places(&self) -> BTreeMap<&str, (usize, &str)> {
        self.choices.iter().zip(1..).map(|(choice, place)| (choice.case.as_str(), (place, choice.reason.as_str()))).collect()
    }

    /// Reads the ranking of a folder; none where there is none.
    ///
    /// # Errors
    /// The file is there but cannot be read, or holds something else.
    pub fn read(folder: &Path) -> Result<Option<Self>, FolderError> {
        let [path, _] = ranking_files(folder);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(FolderError::Io { path, cause }),
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(found) if found.schema == SCHEMA => Ok(Some(found)),
            Ok(found) => Err(FolderError::Content { path, cause: format!("format {} instead of {SCHEMA}", found.schema) }),
            Err(error) => Err(FolderError::Content { path, cause: error.to_string() }),
        }
    }

    /// Writes it into a folder, as JSON and as CSV.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, folder: &Path) -> Result<(), FolderError> {
        let json = serde_json::to_vec_pretty(self).expect("plain data becomes JSON");
        for (path, bytes) in ranking_files(folder).into_iter().zip([json, self.csv()]) {
            atomic_file::write(&path, &bytes).map_err(FolderError::io(&path))?;
        }
        Ok(())
    }

    /// A row for each case, with empty cells where a number was not measured.
    fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut row = |cells: [String; 8]| writer.write_record(cells).expect("writing to memory does not fail");
        row(["place", "case", "entropy_nats", "disagreement", "distance", "nearest", "mean_rank", "reason"].map(str::to_owned));
        let number = |value: Option<f64>| value.map(|value| format!("{value:.6}")).unwrap_or_default();
        for (index, choice) in self.choices.iter().enumerate() {
            row([
                (index + 1).to_string(),
                choice.case.clone(),
                number(choice.entropy),
                number(choice.disagreement),
                number(choice.distance),
                choice.nearest.clone().unwrap_or_default(),
                choice.mean_rank.to_string(),
                choice.reason.clone(),
            ]);
        }
        writer.into_inner().expect("writing to memory does not fail")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(entropy: Option<f32>, token: f32) -> Measured {
        Measured { content: String::new(), entropy, disagreement: None, token: vec![token] }
    }

    #[test]
    fn a_ranking_is_read_back_and_says_nothing_of_what_was_not_measured() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Ranking::read(folder.path()).unwrap(), None);
        let basis = Basis {
            by: vec![Criterion::Distance],
            not_measured: [(Criterion::Entropy, "no network segments".to_owned())].into(),
            ..Basis::default()
        };
        let unread = BTreeMap::from([("torn".to_owned(), "it is cut short".to_owned())]);
        let all = [measured(None, 0.25), measured(None, 3.0), measured(None, 2.875)];
        let candidates: Vec<Known<'_>> = ["a", "b", "c"].into_iter().zip(&all).collect();
        let known = measured(None, 0.0);
        let ranking = Ranking::new(basis, unread, &candidates, &[("old", &known)]);
        assert_eq!(ranking.choices.iter().map(|choice| choice.case.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(ranking.choices[2].nearest.as_deref(), Some("b"));
        for choice in &ranking.choices {
            assert!(choice.entropy.is_none() && choice.distance.is_some());
            assert!(!choice.reason.to_lowercase().contains("entropy") && !choice.reason.contains("differ"), "{}", choice.reason);
        }
        assert_eq!(ranking.places()["a"].0, 2);
        ranking.write(folder.path()).unwrap();
        assert_eq!(Ranking::read(folder.path()).unwrap().as_ref(), Some(&ranking));
        let csv = std::fs::read_to_string(folder.path().join("ranking.csv")).unwrap();
        assert_eq!((csv.lines().count(), csv.lines().nth(1).unwrap().split(',').nth(1)), (4, Some("b")), "{csv}");
        std::fs::write(folder.path().join("ranking.json"), "{}").unwrap();
        assert!(Ranking::read(folder.path()).unwrap_err().to_string().contains("ranking.json"));
    }

    #[test]
    fn tokens_that_are_all_the_same_give_no_distance() {
        let basis = Basis {
            by: vec![Criterion::Entropy],
            not_measured: [(Criterion::Distance, "all tokens are the same".to_owned())].into(),
            ..Basis::default()
        };
        let all = [measured(Some(0.25), 1.0), measured(Some(0.5), 1.0)];
        let candidates: Vec<Known<'_>> = ["a", "b"].into_iter().zip(&all).collect();
        let ranking = Ranking::new(basis, BTreeMap::new(), &candidates, &[]);
        assert_eq!(ranking.choices[0].case, "b");
        assert!(ranking.choices.iter().all(|choice| choice.distance.is_none() && choice.nearest.is_none()));
        assert!(!ranking.choices[0].reason.contains("tokens"), "{}", ranking.choices[0].reason);
    }
}
