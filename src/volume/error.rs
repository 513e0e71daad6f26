//! What can be wrong with data: in which file, what was found, which rule it breaks, what to do.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One fault of one file.
#[derive(Clone, Debug, PartialEq, Error, Serialize, Deserialize)]
#[error("{}: {fault}. {}", file.display(), fault.remedy())]
pub struct DataError {
    /// The file, or the folder or list that should have named it.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Faults of several files, all shown at once. Never empty.
#[derive(Clone, Debug, PartialEq, Error, Serialize, Deserialize)]
pub struct DataErrors(pub Vec<DataError>);

impl fmt::Display for DataErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() > 1 {
            write!(f, "{} problems with the data:", self.0.len())?;
        }
        for (index, error) in self.0.iter().enumerate() {
            let newline = if index > 0 || self.0.len() > 1 { "\n" } else { "" };
            write!(f, "{newline}{error}")?;
        }
        Ok(())
    }
}

impl From<DataError> for DataErrors {
    fn from(error: DataError) -> Self {
        Self(vec![error])
    }
}

impl DataErrors {
    /// `value`, unless `errors` holds any.
    pub(crate) fn or<T>(errors: Vec<DataError>, value: T) -> Result<T, Self> {
        if errors.is_empty() { Ok(value) } else { Err(Self(errors)) }
    }

    /// The first of them, where one alone can be told.
    pub(super) fn into_first(mut self) -> DataError {
        self.0.remove(0)
    }

    /// Files of one fault as the first of them and a count, that of the folder or series `place`.
    pub(super) fn with_equal_ones_counted(self, place: &Path) -> Self {
        let mut kinds: Vec<(DataError, usize)> = Vec::new();
        for error in self.0 {
            match kinds.iter_mut().find(|(first, _)| first.fault == error.fault) {
                Some((_, count)) => *count += 1,
                None => kinds.push((error, 1)),
            }
        }
        let counted = |(first, count): (DataError, usize)| {
            let name = first.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let more = (count > 1).then(|| Fault::Alike(count - 1, name, first.fault.to_string()).at(place));
            std::iter::once(first).chain(more)
        };
        Self(kinds.into_iter().flat_map(counted).collect())
    }

    /// The values of all results in their order, or the errors of all of them.
    pub(crate) fn gather<T, E: Into<Self>>(results: impl IntoIterator<Item = Result<T, E>>) -> Result<Vec<T>, Self> {
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(value) => values.push(value),
                Err(error) => errors.extend(error.into().0),
            }
        }
        Self::or(errors, values)
    }
}

/// Kinds of fault. The text says what was found and which rule it breaks; [`Fault::remedy`] what to do.
#[derive(Clone, Debug, PartialEq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The operating system refused to read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The operating system refused to write.
    #[error("cannot be written: {0}")]
    Unwritable(String),
    /// Less space on the disk of a folder than prepared cases take at most: what is free, and what they take, in words.
    #[error("has {0} free, and the cases that are to be prepared take up to {1}")]
    DiskFull(String, String),
    /// A folder for prepared cases that cannot be written, and why.
    #[error("the cache folder cannot be written: {0}")]
    NoCache(String),
    /// A prepared case that was there and is not as it was.
    #[error("is a prepared case that can no longer be read: {0}")]
    PreparedLost(String),
    /// A file that is another after it was read than before.
    #[error("changed while it was read")]
    Changed,
    /// A file that is listed is not there.
    #[error("does not exist, though the dataset names it")]
    Missing,
    /// No NIfTI file at all; what stands where the header should.
    #[error("is not a NIfTI file: {0}")]
    NotNifti(String),
    /// A file that is not what its ending says: the format, and what stands where its header should.
    #[error("is not a {0} file: {1}")]
    NotOfFormat(String, String),
    /// A segmentation whose segments may overlap, in so many layers.
    #[error("holds segments in {0} layers, which may overlap; a label map gives each voxel one label")]
    Layers(usize),
    /// A segmentation whose segments overlap: two of them, and in how many voxels.
    #[error("holds segments that overlap: {0:?} and {1:?} in {2} voxels; a label map gives each voxel one label")]
    Overlap(String, String, usize),
    /// A DICOM segmentation that is no label map, in words.
    #[error("is a DICOM segmentation (SEG) that cannot become a label map: {0}")]
    Segmentation(String),
    /// A segmentation that cannot be written as DICOM, and why.
    #[error("cannot be written as a DICOM segmentation (SEG): {0}")]
    NoSegmentation(String),
    /// Intensities in a format that holds segments alone.
    #[error("cannot hold intensities: a file of this ending holds segments alone")]
    NoVolume,
    /// DICOM contours without the image that they are of.
    #[error("holds contours of structures (RTSTRUCT), which become labels on the slices of their image alone")]
    Contours,
    /// A DICOM structure set that is no label map of an image, in words.
    #[error("is a DICOM structure set (RTSTRUCT) that cannot become a label map of this image: {0}")]
    Structures(String),
    /// DICOM that cannot be read, in words.
    #[error("cannot become a volume: {0}")]
    Dicom(String),
    /// A file that should be DICOM and cannot be read as such, in the decoder's words.
    #[error("is damaged, cut short or no DICOM file: {0}")]
    Damaged(String),
    /// A folder of which one series was expected: the names of those that it holds.
    #[error("holds {} DICOM series: {}", .0.len(), .0.join(", "))]
    SeveralSeries(Vec<String>),
    /// So many more files with the fault of one: that file, and the fault in words.
    #[error("holds {0} more files like {1}, which {2}")]
    Alike(usize, String, String),
    /// A series of so few slices.
    #[error("has {0} slices; a volume has at least 3, each at a place of its own")]
    TooFewSlices(usize),
    /// A series of several orientations or sizes, in words.
    #[error("holds slices of several orientations or sizes: {0}")]
    MixedSlices(String),
    /// So many places of a series that hold more than one slice; two files of one place.
    #[error("holds several slices at {0} places, for example {1} and {2}: times, echoes or acquisitions in one series")]
    RepeatedSlices(usize, String, String),
    /// Slices that a series lacks, and where.
    #[error("lacks slices: {0}")]
    MissingSlices(String),
    /// Slices at uneven distances: a file, how far in mm it lies off, and the usual distance in mm.
    #[error("has slices at uneven distances: {0} lies {1:.2} mm off an even stack of {2:.2} mm")]
    UnevenSlices(String, f64, f64),
    /// Slices that are shifted against each other; degrees of the tilt.
    #[error("was scanned with a tilted gantry: the line through its slices leans {0:.1} degrees from their normal")]
    GantryTilt(f64),
    /// One label value under two names: the value, its name here, the other file, its name there.
    #[error("names the segment of value {} {:?}, but {} names it {:?}", .0, .1, .2.display(), .3)]
    SegmentNames(u32, String, PathBuf, String),
    /// One name for two label values: the name, its value here, the other file (or the same), its value there.
    #[error("gives {:?} the value {}, but {} gives it {}", .0, .1, .2.display(), .3)]
    SegmentValues(String, u32, PathBuf, u32),
    /// A form of NIfTI, NRRD or MetaImage that is not read.
    #[error("holds {0}, which is not supported")]
    Unsupported(String),
    /// A header field beyond reason.
    #[error("its header gives {field} as {found}; allowed is {rule}")]
    Header {
        /// In words, with its name in the format's standard behind.
        field: String,
        /// Its value.
        found: String,
        /// What is allowed.
        rule: String,
    },
    /// The header and the file's length disagree.
    #[error("the header promises {promised} bytes, the file holds {held}")]
    Length {
        /// Header and voxels by the header's dimensions.
        promised: u64,
        /// What is there (for compressed files: what there can be at most, or what came out).
        held: String,
    },
    /// A compressed stream that breaks off or is damaged.
    #[error("its compressed content is broken after {read} bytes of content: {cause}")]
    Gzip {
        /// Uncompressed bytes before the break.
        read: u64,
        /// The decoder's words.
        cause: String,
    },
    /// A dataset list that cannot be understood: key, value and rule.
    #[error("is not a dataset that can be read: {0}")]
    List(String),
    /// An image without its label, or the reverse.
    #[error("has no {missing} beside it: expected {expected}")]
    Unpaired {
        /// "label" or "image".
        missing: String,
        /// Where it was looked for.
        expected: String,
    },
    /// A label map of no DICOM series of a folder, and which of these have a label map, in words.
    #[error("is of no DICOM series in {}: {}", .0.display(), .1)]
    NoSeriesLabelled(PathBuf, String),
    /// A label map that may be of several DICOM series: their names.
    #[error("may be of any of several DICOM series, by what it is called and what it refers to: {0}")]
    SeveralSeriesLabelled(String),
    /// A second label map of one DICOM series: its name, and the other label map.
    #[error("is a label map of {}, and so is {}", .0, .1.display())]
    SecondLabelMap(String, PathBuf),
    /// A listed path that leaves the dataset's folder.
    #[error("lies outside the dataset's folder {}", .0.display())]
    Outside(PathBuf),
    /// So many entries of the same case.
    #[error("is listed {0} times")]
    ListedTwice(usize),
    /// Another file of which only the ending differs.
    #[error("lies beside {}, whose name differs in the ending only", .0.display())]
    SameName(PathBuf),
    /// Two inputs whose segmentations would be one file: the other one, and that file's name.
    #[error("would get the same segmentation as {}: {}", .0.display(), .1)]
    SameOutput(PathBuf, String),
    /// Files numbered as channels that are not exactly those of a network of so many; with the other files of the case, if any.
    #[error(
        "{} no whole case: a case's files hold one channel each and end in _0000 to _{:04}, for the network has {} channels",
        .0, .1 - 1, .1
    )]
    ChannelFiles(String, usize),
    /// Two files of a case with different shapes.
    #[error("is {found:?} voxels (D,H,W), but {} is {expected:?}", other.display())]
    Shape {
        /// This file's shape.
        found: [usize; 3],
        /// The other's.
        expected: [usize; 3],
        /// The case's (first) image.
        other: PathBuf,
    },
    /// Two files of a case at different places.
    #[error(
        "lies {distance_mm:.3} mm away from {} (farthest corner); at most {tolerance_mm:.3} mm, a tenth of a voxel, is taken for rounding",
        other.display()
    )]
    Place {
        /// Distance of the farthest pair of corners.
        distance_mm: f64,
        /// A tenth of the smallest voxel edge.
        tolerance_mm: f64,
        /// The case's (first) image.
        other: PathBuf,
    },
    /// Another number of channels than the dataset has.
    #[error("has {found} channels; {expected} are expected")]
    Channels {
        /// Of the file or case.
        found: usize,
        /// Of the dataset; 1 for label maps and one-file-per-channel images.
        expected: usize,
    },
    /// Label values that the dataset doesn't name.
    #[error("holds label values {found:?}; the dataset names {known:?}")]
    UnknownLabel {
        /// The first few.
        found: Vec<u32>,
        /// The dataset's label values.
        known: Vec<u32>,
    },
    /// Label values that are no whole numbers.
    #[error("holds {voxels} voxels with broken label values, for example {example} at voxel {at:?} (D,H,W)")]
    FractionalLabel {
        /// How many.
        voxels: usize,
        /// The first.
        example: f64,
        /// Its place.
        at: [usize; 3],
    },
    /// NaN or infinity.
    #[error("holds {voxels} voxels that are NaN or infinite, the first at voxel {at:?} (D,H,W)")]
    NotFinite {
        /// How many.
        voxels: usize,
        /// Place of the first.
        at: [usize; 3],
    },
    /// An image of one value.
    #[error("channel {channel} is {value} everywhere")]
    Constant {
        /// From 0.
        channel: usize,
        /// Its only value.
        value: f64,
    },
    /// A case name that the dataset doesn't have, where it stands, and the most similar ones.
    #[error("has no case {0}")]
    UnknownCase(String),
    /// A split that cannot be drawn, and which rule it breaks.
    #[error("cannot be split: {0}")]
    Split(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl Fault {
    /// A header field beyond reason; `field` names it in words, with its name in the format's standard behind.
    pub(super) fn header(field: &str, found: impl fmt::Display, rule: &str) -> Self {
        Self::Header { field: field.to_owned(), found: found.to_string(), rule: rule.to_owned() }
    }

    /// The fault of a file.
    pub fn at(self, file: &Path) -> DataError {
        DataError { file: file.to_owned(), fault: self }
    }

    /// What to do about it, as a sentence.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "Check the path and its permissions",
            Self::Unwritable(..) => "Check the free space and the permissions of its folder",
            Self::DiskFull(..) => "Make room there, or name a folder on a larger disk by the environment variable SIMTROT_CACHE",
            Self::NoCache(..) => "The environment variable SIMTROT_CACHE names another folder",
            Self::PreparedLost(..) => "Start the same command again (pretrain, finetune, demo: with --resume); the case is prepared anew",
            Self::Changed => "Wait until nothing writes it any more, and start the same command again",
            Self::Missing => "Bring the file back, or take the entry out of the list",
            Self::NotNifti(..) => "Convert it to .nii or .nii.gz, or take it out of the dataset",
            Self::NotOfFormat(..) => "Correct its ending, or save it again from its source as .nii.gz, .nrrd or .mha",
            Self::Dicom(..) => "Export the series again as uncompressed DICOM images (Explicit VR Little Endian), or convert it to .nii.gz",
            Self::Damaged(..) => "Copy or export the file again; if it is no DICOM, correct its ending",
            Self::Alike(..) => "See that file: its remedy is theirs",
            Self::SeveralSeries(..) => "Name the folder of one series, or sort the files into a folder for each",
            Self::TooFewSlices(..) => "Name the folder that holds all slices of the series, and check that it was exported in full",
            Self::MixedSlices(..) => "Export each orientation and size as a series of its own, localisers apart",
            Self::RepeatedSlices(..) => "Export one time, echo or acquisition as a series of its own",
            Self::MissingSlices(..) => "Export the series again in full; nothing is made up in between",
            Self::UnevenSlices(..) => "Export the series again, or resample it to even distances first",
            Self::GantryTilt(..) => "Correct the tilt first, for example with dcm2niix, which resamples such series",
            Self::Overlap(..) => "Leave one of the two out, or export it as a label map without overlaps",
            Self::Segmentation(..) => "Export it again as a binary segmentation, or as a label map in NIfTI or NRRD",
            Self::NoSegmentation(..) => "Choose another format, for example `--format nii.gz` or a name that ends in .nii.gz",
            Self::NoVolume => "Choose another ending, for example .nii.gz",
            Self::Contours => {
                "Give it as a label map of its series; `simtrot convert FILE OUT --like SERIES` makes one of any other format"
            }
            Self::Structures(..) => {
                "Export it with the series that it was drawn on, or as a label map, for example with 3D Slicer (extension SlicerRT)"
            }
            Self::Layers(..) => "Export it as a label map without overlaps (3D Slicer: Export to files, file format NRRD or NIfTI)",
            Self::SegmentNames(..) | Self::SegmentValues(..) => {
                "Give every segment one label value in all files: by a common colour table on export, or, for structure sets (RTSTRUCT), by \
                 exporting the same structures in the same order"
            }
            Self::Unsupported(..) => "Save it again as a single NIfTI-1 file with real-valued voxels",
            Self::Header { .. } => "Write the file again from its source; the header is damaged",
            Self::Length { .. } => "Copy or convert the file again; it is cut short or its header is wrong",
            Self::Gzip { .. } => "Copy or download the file again",
            Self::List(..) => "Correct the list; a Decathlon, nnU-Net v2 or MONAI list, or two folders, can be read",
            Self::Unpaired { .. } => "Add the missing file, or take this one out",
            Self::NoSeriesLabelled(..) => {
                "Call it as its case (`simtrot check` lists all), or as a folder that holds no other series, or take it out"
            }
            Self::SeveralSeriesLabelled(..) => "Call it as the one that it is of",
            Self::SecondLabelMap(..) => "Keep one of the two: which one is meant is not known",
            Self::Outside(..) => "Move the file into the dataset's folder, or the list to a folder above both",
            Self::ListedTwice(..) => "Keep one entry; a case in two lists would be trained and tested on",
            Self::SameName(..) => "Keep one of the two: which one is meant is not known",
            Self::SameOutput(..) => "Segment them in two calls, each with a folder of its own (--out)",
            Self::ChannelFiles(..) => "Give all channels of each case, or use a network of as many channels as the files hold",
            Self::Shape { .. } => "Resample one onto the other's grid; they must share it voxel for voxel",
            Self::Place { .. } => "If the voxels do correspond, copy the image's affine to this file; if not, resample it",
            Self::Channels { .. } => "Give every case the dataset's channels, in its order; label maps have one",
            Self::UnknownLabel { .. } => "Add the value to the labels of dataset.json, or correct the label map",
            Self::FractionalLabel { .. } => "Save the labels as whole numbers from 0 to 65535 (nearest-neighbour interpolation)",
            Self::NotFinite { .. } => {
                "Replace such voxels in the source, usually by the background's intensity; those of images also by `data.preprocess.non_finite`"
            }
            Self::Constant { .. } => "Leave the case out: an image without contrast teaches nothing, and nothing in it can be segmented",
            Self::UnknownCase(..) => "Correct the name; `simtrot check` lists all cases",
            Self::Split(..) => "Change `data.split` in the config",
        }
    }
}
