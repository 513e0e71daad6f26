//! Which segmentations in a folder were made of which images by which network, so that a call that was cut off goes on where it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::JobError;
use crate::config::RunConfig;
use crate::protocol::FolderError;
use crate::volume::file::Format;
use crate::volume::{CaseFiles, DataError, Fault, VolumeSource, content};
use crate::{atomic_file, digest};

/// The record beside the segmentations; hidden, so that no listing takes notice of it.
const FILE: &str = ".simtrot-segmentations.json";

/// The segmentations in a folder that this program made.
pub(super) struct Segmented {
    folder: PathBuf,
    /// How they are stored; none: each as its image is.
    format: Option<Format>,
    /// Key of the network and of every setting that decides a segmentation.
    network: String,
    /// Case -> key of its images and the network.
    made: BTreeMap<String, String>,
}

impl Segmented {
    /// Reads what is known of a folder; nothing, where there is no record.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub(super) fn open(folder: &Path, weights: &Path, config: &RunConfig, format: Option<Format>) -> Result<Self, JobError> {
        let bytes = std::fs::read(weights).map_err(FolderError::io(weights))?;
        let settings = format!("{:?}", (&config.infer, config.finetune.crop_size, &config.data.preprocess));
        let network = digest::finish(Sha256::new().chain_update(bytes).chain_update(settings));
        // A record that cannot be read claims nothing: what lies there is then not replaced.
        let made = std::fs::read(folder.join(FILE)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Ok(Self { folder: folder.to_owned(), format, network, made })
    }

    /// Where the segmentation of a case stands.
    pub(super) fn file(&self, case: &CaseFiles) -> PathBuf {
        let own = || case.images.first().map_or(Format::Nifti, VolumeSource::format);
        self.folder.join(format!("{}{}", case.name, self.format.unwrap_or_else(own).ending()))
    }

    /// How many of the cases are segmented already, and those that are not; with `overwrite`, none is and all are.
    ///
    /// # Errors
    /// Files that are there and aren't known to be these cases' segmentations by this network.
    pub(super) fn part(&self, cases: Vec<CaseFiles>, overwrite: bool) -> Result<(usize, Vec<CaseFiles>), JobError> {
        let (there, mut missing): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| !overwrite && self.file(case).exists());
        let mut known = 0;
        let mut others = Vec::new();
        for case in there {
            match self.key(&case) {
                Ok(key) if self.made.get(&case.name) == Some(&key) => known += 1,
                Ok(_) => others.push(self.file(&case).display().to_string()),
                // What is wrong with the image is told when its turn comes.
                Err(_) => missing.push(case),
            }
        }
        if others.is_empty() {
            return Ok((known, missing));
        }
        let of = "not known to be these images' segmentations by this network";
        Err(JobError::Input(format!(
            "already there, and {of}: {}; replace with --overwrite, or name another folder with --out",
            others.join(", ")
        )))
    }

    /// Records that the segmentation of a case is about to be written. It appears whole or not at all, so that from now on a file
    /// of that name is this one.
    ///
    /// # Errors
    /// Images that cannot be read, a folder that cannot be written.
    pub(super) fn note(&mut self, case: &CaseFiles) -> Result<(), DataError> {
        self.made.insert(case.name.clone(), self.key(case)?);
        let file = self.folder.join(FILE);
        let text = serde_json::to_vec_pretty(&self.made).expect("plain data becomes JSON");
        atomic_file::write(&file, &text).map_err(|error| Fault::Unwritable(error.to_string()).at(&file))
    }

    fn key(&self, case: &CaseFiles) -> Result<String, DataError> {
        Ok(digest::finish(Sha256::new().chain_update(&self.network).chain_update(content::case_key(case)?)))
    }
}
