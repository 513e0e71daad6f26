//! What was measured of cases: `measured.json`, so that a call that was cut off goes on where it was.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{measured_file, ranking_files};
use crate::atomic_file;
use crate::protocol::FolderError;

/// Version of the file. 1.
const SCHEMA: u32 = 1;

/// What was measured of a case. 32-bit numbers are read back as they were written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Key of what its image holds.
    pub content: String,
    /// Mean entropy in nats; none where no network segments, or where the case is labelled.
    pub entropy: Option<f32>,
    /// Mean of 1 - Dice over pairs of networks; none where there are fewer than two.
    pub disagreement: Option<f32>,
    /// The mean of its tokens.
    pub token: Vec<f32>,
}

/// What was measured by some networks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    schema: u32,
    /// Key of the networks and of every setting that decides a number.
    networks: String,
    /// By name.
    cases: BTreeMap<String, Measured>,
}

impl Measurements {
    /// What a folder holds that these networks measured; nothing where there is none. With `overwrite`, what other networks measured makes way.
    ///
    /// # Errors
    /// Without it: a file of other networks or settings, or one that cannot be understood; or files of the same names that are no ranking's.
    pub fn open(folder: &Path, networks: String, overwrite: bool) -> Result<Self, FolderError> {
        let path = measured_file(folder);
        let why = match std::fs::read(&path).map(|text| serde_json::from_slice::<Self>(&text)) {
            Ok(Ok(found)) if found.schema == SCHEMA && found.networks == networks => return Ok(found),
            Ok(Ok(_)) => Some((path, "was measured by other networks, with other settings or by another version".to_owned())),
            Ok(Err(error)) => Some((path, format!("cannot be understood ({error})"))),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                ranking_files(folder).into_iter().find(|file| file.exists()).map(|file| (file, "is already there".to_owned()))
            }
            Err(cause) => return Err(FolderError::Io { path, cause }),
        };
        match why.filter(|_| !overwrite) {
            None => Ok(Self { schema: SCHEMA, networks, cases: BTreeMap::new() }),
            Some((file, why)) => {
                let place = file.display();
                Err(FolderError::Trouble(format!("{place} {why}; name another folder with --out, or replace it with --overwrite")))
            }
        }
    }

    /// What is known of a case with this content.
    pub fn known(&self, case: &str, content: &str) -> Option<&Measured> {
        self.cases.get(case).filter(|measured| measured.content == content)
    }

    /// Keeps what was measured of a case, in place of what was known.
    pub fn keep(&mut self, case: &str, measured: Measured) {
        self.cases.insert(case.to_owned(), measured);
    }

    /// Writes all of it into a folder.
    ///
    /// # Errors
    /// The file system's; what stood there before is then still there.
    pub fn save(&self, folder: &Path) -> Result<(), FolderError> {
        let path = measured_file(folder);
        let text = serde_json::to_vec(self).expect("plain data becomes JSON");
        atomic_file::write(&path, &text).map_err(FolderError::io(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(content: &str) -> Measured {
        let token = (0..9).map(|n| (n as f32 * 0.7).sin() / 3.0).collect();
        Measured { content: content.to_owned(), entropy: Some(0.1), disagreement: None, token }
    }

    #[test]
    fn what_was_measured_is_read_back_to_the_bit_and_only_for_the_same_content() {
        let folder = tempfile::tempdir().unwrap();
        let open = |networks: &str, overwrite| Measurements::open(folder.path(), networks.to_owned(), overwrite);
        let mut first = open("a", false).unwrap();
        first.keep("case", measured("one"));
        first.save(folder.path()).unwrap();
        let again = open("a", false).unwrap();
        assert_eq!(again.known("case", "one"), Some(&measured("one")));
        assert_eq!((again.known("case", "two"), again.known("other", "one")), (None, None));

        let refused = open("b", false).unwrap_err().to_string();
        assert!(refused.contains("measured.json") && refused.contains("other networks") && refused.contains("--overwrite"), "{refused}");
        assert_eq!(open("b", true).unwrap().known("case", "one"), None);
        assert!(open("a", true).unwrap().known("case", "one").is_some(), "of the same networks nothing need be measured again");
        std::fs::write(measured_file(folder.path()), "no ranking").unwrap();
        assert!(open("a", false).unwrap_err().to_string().contains("cannot be understood"));
    }

    #[test]
    fn files_of_somebody_else_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ranking.csv"), "mine").unwrap();
        let open = |overwrite| Measurements::open(folder.path(), "a".to_owned(), overwrite);
        assert!(open(false).unwrap_err().to_string().contains("ranking.csv is already there"));
        assert!(open(true).is_ok());
    }
}
