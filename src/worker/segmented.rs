//! Which segmentations in a folder were made of which images by which network, so that a call that was cut off goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::JobError;
use super::infer_job::InferJob;
use super::networks::Networks;
use crate::metrics::LabelRule;
use crate::protocol::FolderError;
use crate::train::Checkpoint;
use crate::volume::file::{ENTROPY_FOLDER, Format, PROBABILITIES_FOLDER};
use crate::volume::{CaseFiles, DataError, Fault, VolumeSource, content};
use crate::{atomic_file, digest};

/// The record beside the segmentations; hidden, so that no listing takes notice of it.
const FILE: &str = ".simtrot-segmentations.json";

/// What is written of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    Segmentation,
    Probabilities,
    Entropy,
}

impl Product {
    /// Its folder below that of the segmentations, so that these can be scored as they are.
    fn folder(self) -> &'static str {
        match self {
            Self::Segmentation => "",
            Self::Probabilities => PROBABILITIES_FOLDER,
            Self::Entropy => ENTROPY_FOLDER,
        }
    }
}

/// Where what is written of a case stands in a folder, in a format, or in that of its image. Numbers are written as NIfTI or NRRD where the
/// segmentation's format holds segments alone.
pub(super) fn place((folder, format): (&Path, Option<Format>), case: &CaseFiles, product: Product) -> PathBuf {
    let own = || case.images.first().map_or(Format::Nifti, VolumeSource::format);
    let format = match (product, format.unwrap_or_else(own)) {
        (Product::Probabilities | Product::Entropy, Format::Dicom) => Format::Nifti,
        (Product::Probabilities | Product::Entropy, Format::SegNrrd) => Format::Nrrd,
        (_, format) => format,
    };
    folder.join(product.folder()).join(format!("{}{}", case.name, format.ending()))
}

/// The segmentations in a folder that this program made.
pub(super) struct Segmented {
    folder: PathBuf,
    /// How they are stored; none: each as its image is.
    format: Option<Format>,
    /// What is wanted of each case.
    products: &'static [Product],
    /// Key of the networks and of every setting that decides a segmentation.
    network: String,
    /// Product and case -> key of the case's images and the networks.
    made: BTreeMap<String, String>,
}

impl Segmented {
    /// Reads what is known of a folder; nothing, where there is no record.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub(super) fn open(folder: &Path, networks: &Networks, kept: &[LabelRule], job: &InferJob) -> Result<Self, JobError> {
        let mut network = Sha256::new();
        for place in &networks.places {
            let weights = Checkpoint::weights_file(place);
            network.update(std::fs::read(&weights).map_err(FolderError::io(&weights))?);
        }
        let config = networks.config();
        network.update(format!("{:?}", (&config.infer, config.finetune.crop_size, &config.data.preprocess)));
        if config.infer.mirror && networks.mirror() != [true; 3] {
            network.update(format!("mirrored {:?}", networks.mirror()));
        }
        if !kept.is_empty() {
            network.update(format!("largest of {:?}", kept.iter().map(|rule| rule.label).collect::<Vec<_>>()));
        }
        // A record that cannot be read claims nothing: what lies there is then not replaced.
        let made = std::fs::read(folder.join(FILE)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let products: &[Product] =
            if job.probabilities { &[Product::Segmentation, Product::Probabilities, Product::Entropy] } else { &[Product::Segmentation] };
        Ok(Self { folder: folder.to_owned(), format: job.format, products, network: digest::finish(network), made })
    }

    /// Where what is written of a case stands.
    pub(super) fn file(&self, case: &CaseFiles, product: Product) -> PathBuf {
        place((&self.folder, self.format), case, product)
    }

    /// What a product of a case is called in the record.
    fn recorded(case: &CaseFiles, product: Product) -> String {
        Path::new(product.folder()).join(&case.name).to_string_lossy().into_owned()
    }

    /// How many of the cases are segmented already, and those that are not; with `overwrite`, none is and all are.
    ///
    /// # Errors
    /// Files that are there and aren't known to be these cases' segmentations by this network.
    pub(super) fn part(&self, cases: Vec<CaseFiles>, overwrite: bool) -> Result<(usize, Vec<CaseFiles>), JobError> {
        self.spare_images(&cases)?;
        if overwrite {
            return Ok((0, cases));
        }
        let (mut known, mut missing, mut others) = (0, Vec::new(), Vec::new());
        for case in cases {
            let there: Vec<Product> = self.products.iter().copied().filter(|&product| self.file(&case, product).exists()).collect();
            if there.is_empty() {
                missing.push(case);
                continue;
            }
            // What is wrong with the image is told when its turn comes.
            let Ok(key) = self.key(&case) else {
                missing.push(case);
                continue;
            };
            let foreign = there.iter().filter(|&&product| self.made.get(&Self::recorded(&case, product)) != Some(&key));
            let foreign: Vec<String> = foreign.map(|&product| self.file(&case, product).display().to_string()).collect();
            if !foreign.is_empty() {
                others.extend(foreign);
            } else if there.len() == self.products.len() {
                known += 1;
            } else {
                missing.push(case);
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

    /// Refuses to write over the images themselves, whatever their paths are called.
    fn spare_images(&self, cases: &[CaseFiles]) -> Result<(), JobError> {
        let whole = |path: &Path| path.canonicalize().ok();
        let images: BTreeSet<PathBuf> = cases.iter().flat_map(|case| &case.images).filter_map(|image| whole(&image.file())).collect();
        let written = cases.iter().flat_map(|case| self.products.iter().map(|&product| self.file(case, product)));
        let hit: Vec<String> =
            written.filter(|file| whole(file).is_some_and(|file| images.contains(&file))).map(|file| file.display().to_string()).collect();
        if hit.is_empty() {
            return Ok(());
        }
        Err(JobError::Input(format!("{}: the segmentation would replace the image itself; name another folder with --out", hit.join(", "))))
    }

    /// Records that what is wanted of a case is about to be written. Each file appears whole or not at all, so that from now on a file
    /// of that name is this one.
    ///
    /// # Errors
    /// Images that cannot be read, a folder that cannot be written.
    pub(super) fn note(&mut self, case: &CaseFiles) -> Result<(), DataError> {
        let key = self.key(case)?;
        self.made.extend(self.products.iter().map(|&product| (Self::recorded(case, product), key.clone())));
        let file = self.folder.join(FILE);
        let text = serde_json::to_vec_pretty(&self.made).expect("plain data becomes JSON");
        atomic_file::write(&file, &text).map_err(|error| Fault::Unwritable(error.to_string()).at(&file))
    }

    fn key(&self, case: &CaseFiles) -> Result<String, DataError> {
        Ok(digest::finish(Sha256::new().chain_update(&self.network).chain_update(content::case_key(case)?)))
    }
}
