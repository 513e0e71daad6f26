//! Where a volume's bytes come from.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::file::Format;
use super::synthetic::{self, Part};
use super::{DataErrors, Grid, Scan, SourceHeader, dicom, file, nifti};
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
    /// A DICOM structure set, whose contours become labels on the grid of an image.
    Contours {
        /// The structure set.
        file: PathBuf,
        /// The image.
        image: Box<VolumeSource>,
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
    /// A file as the label map of an image: on its own grid, or, of contours, on that of the image's first file.
    pub fn label_map(file: PathBuf, images: &[Self]) -> Self {
        match images.first() {
            Some(image) if file::format(&file) == Format::Dicom && dicom::structures::is_structure_set(&file) => {
                Self::Contours { file, image: Box::new(image.clone()) }
            }
            _ => Self::File(file),
        }
    }

    /// The file of a label map or image that stands in one alone.
    pub fn single_file(&self) -> Option<&Path> {
        match self {
            Self::File(file) | Self::Contours { file, .. } => Some(file),
            Self::Series { .. } | Self::Embedded { .. } | Self::Synthetic { .. } => None,
        }
    }

    /// The file's path, or a name that says where else the volume comes from.
    pub fn file(&self) -> Cow<'_, Path> {
        match self {
            Self::File(file) | Self::Series { place: file, .. } | Self::Contours { file, .. } => Cow::Borrowed(file),
            Self::Embedded { name, .. } => Cow::Borrowed(Path::new(name)),
            Self::Synthetic { case, part, .. } => Cow::Owned(format!("synthetic {part:?} {case}").to_lowercase().into()),
        }
    }

    /// How it is stored; what is in no file counts as NIfTI.
    pub fn format(&self) -> Format {
        match self {
            Self::File(path) => file::format(path),
            Self::Series { .. } | Self::Contours { .. } => Format::Dicom,
            Self::Embedded { .. } | Self::Synthetic { .. } => Format::Nifti,
        }
    }

    /// Reads or generates the volume.
    ///
    /// # Errors
    /// See [`file::read`]; of a DICOM series everything that is wrong with it; of contours also what is wrong with the image that they are of.
    pub fn read(&self) -> Result<Scan, DataErrors> {
        match self {
            Self::File(path) => file::read(path).map_err(DataErrors::from),
            Self::Series { place, files, .. } => dicom::read(place, files),
            Self::Contours { file, image } => {
                let (grid, slice) = image.grid()?;
                Ok(dicom::structures::read(file, &grid, slice.as_deref())?)
            }
            Self::Embedded { name, bytes } => Ok(nifti::read_from(Path::new(name), *bytes, bytes.len() as u64)?),
            Self::Synthetic { config, case, part } => {
                let volume = synthetic::volume(config, *case, *part);
                Ok(Scan { file: self.file().into_owned(), header: SourceHeader::for_grid(&volume.grid), volume, notes: Vec::new() })
            }
        }
    }

    /// Where the voxels of an image lie, and, of a DICOM series, one of its files.
    fn grid(&self) -> Result<(Grid, Option<PathBuf>), DataErrors> {
        let series = match self {
            Self::Series { place, files, .. } => Some((place, files.clone())),
            Self::File(file) if file::format(file) == Format::Dicom && !dicom::is_label_map(file) => Some((file, dicom::files(file)?)),
            _ => None,
        };
        match series {
            Some((place, files)) => Ok((dicom::grid(place, &files)?, files.into_iter().next())),
            None => Ok((self.read()?.volume.grid, None)),
        }
    }
}
