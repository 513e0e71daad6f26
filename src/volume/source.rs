//! Where a volume's bytes come from.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::file::Format;
use super::synthetic::{self, Part};
use super::{DataErrors, Scan, SourceHeader, dicom, file, nifti};
use crate::config::SyntheticConfig;

/// Where a volume's bytes come from.
#[derive(Clone, Debug, PartialEq)]
pub enum VolumeSource {
    /// A file on disk.
    File(PathBuf),
    /// The files of a DICOM series.
    Series {
        /// What messages call it: the folder that it was found in, and its name.
        place: PathBuf,
        /// A digest of the patient, for all whose series stay together in every split.
        patient: String,
        /// Its files.
        files: Vec<PathBuf>,
    },
    /// A file inside the program.
    Embedded {
        /// Its name, for messages.
        name: &'static str,
        /// Its content.
        bytes: &'static [u8],
    },
    /// Generated when asked for.
    Synthetic {
        /// Shape and counts.
        config: SyntheticConfig,
        /// Which case, from 0.
        case: usize,
        /// Image or label.
        part: Part,
    },
}

impl VolumeSource {
    /// The file's path, or a name that says where else the volume comes from.
    pub fn file(&self) -> Cow<'_, Path> {
        match self {
            Self::File(file) | Self::Series { place: file, .. } => Cow::Borrowed(file),
            Self::Embedded { name, .. } => Cow::Borrowed(Path::new(name)),
            Self::Synthetic { case, part, .. } => Cow::Owned(format!("synthetic {part:?} {case}").to_lowercase().into()),
        }
    }

    /// How it is stored; what is in no file counts as NIfTI.
    pub fn format(&self) -> Format {
        match self {
            Self::File(path) => file::format(path),
            Self::Series { .. } => Format::Dicom,
            Self::Embedded { .. } | Self::Synthetic { .. } => Format::Nifti,
        }
    }

    /// Reads or generates the volume.
    ///
    /// # Errors
    /// See [`file::read`]; of a DICOM series everything that is wrong with it.
    pub fn read(&self) -> Result<Scan, DataErrors> {
        match self {
            Self::File(path) => file::read(path).map_err(DataErrors::from),
            Self::Series { place, files, .. } => dicom::read(place, files),
            Self::Embedded { name, bytes } => Ok(nifti::read_from(Path::new(name), *bytes, bytes.len() as u64)?),
            Self::Synthetic { config, case, part } => {
                let volume = synthetic::volume(config, *case, *part);
                Ok(Scan { file: self.file().into_owned(), header: SourceHeader::for_grid(&volume.grid), volume, notes: Vec::new() })
            }
        }
    }
}
