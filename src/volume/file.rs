//! Volumes in files: the one place where a file's ending chooses its format.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::voxels::Scalar;
use super::{DataError, LabelMap, Scan, SourceHeader, Volume, dicom, meta_image, nifti, nrrd};

/// How a volume is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// NIfTI-1, NIfTI-2 and Analyze 7.5.
    Nifti,
    /// NRRD, also with segments.
    Nrrd,
    /// MetaImage.
    MetaImage,
    /// A DICOM file, or a folder with one series.
    Dicom,
}

/// Endings of files that can be read, in lower case; any case counts. `.hdr` and `.img` are the two files of one image; `.nhdr`
/// and `.mhd` name a second file that holds the voxels.
const ENDINGS: [(&str, Format); 11] = [
    (".nii.gz", Format::Nifti),
    (".hdr.gz", Format::Nifti),
    (".img.gz", Format::Nifti),
    (".nii", Format::Nifti),
    (".hdr", Format::Nifti),
    (".img", Format::Nifti),
    (".seg.nrrd", Format::Nrrd),
    (".nrrd", Format::Nrrd),
    (".nhdr", Format::Nrrd),
    (".mha", Format::MetaImage),
    (".mhd", Format::MetaImage),
];

impl Format {
    /// The ending of what is written of a volume of this format.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Nifti | Self::Dicom => ".nii.gz",
            Self::Nrrd => ".nrrd",
            Self::MetaImage => ".mha",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Nifti, Self::Nrrd, Self::MetaImage];
        let named = all.into_iter().find(|format| format.ending().trim_start_matches('.') == text.trim_start_matches('.').to_lowercase());
        named.ok_or_else(|| format!("{text:?} is none of nii.gz, nrrd and mha"))
    }
}

/// The format and the ending of a file name, as [`ending`].
fn known(file_name: &str) -> Option<(&str, Format)> {
    ENDINGS.iter().find_map(|&(ending, format)| {
        let at = file_name.len().checked_sub(ending.len()).filter(|&at| at > 0)?;
        file_name.get(at..).filter(|end| end.eq_ignore_ascii_case(ending)).map(|end| (end, format))
    })
}

/// The ending of a file name that can be read, as it is written there: `.nii.gz` of `a.nii.gz`, `.NII` of `B.NII`.
///
/// None: no such ending, or nothing before it.
pub fn ending(file_name: &str) -> Option<&str> {
    known(file_name).map(|(ending, _)| ending)
}

/// A file's name without its folder and such an ending. Both files of a pair have the same.
pub fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name[..name.len() - ending(&name).map_or(0, str::len)].to_owned()
}

/// The format that a file's ending names. A folder, and a file of any other name that begins as such, is DICOM; the rest is taken for
/// NIfTI, whose first bytes then decide.
pub fn format(file: &Path) -> Format {
    match known(&file.file_name().unwrap_or_default().to_string_lossy()) {
        Some((_, format)) if !file.is_dir() => format,
        None if file.is_dir() || dicom::is_dicom(file) => Format::Dicom,
        Some(_) => Format::Dicom,
        None => Format::Nifti,
    }
}

/// The files that hold the image that one of them names, the header's first.
///
/// # Errors
/// One file of a pair without the other, a header that cannot be read.
pub fn files(file: &Path) -> Result<Vec<PathBuf>, DataError> {
    match format(file) {
        Format::Nifti => nifti::files(file),
        Format::Nrrd => nrrd::files(file),
        Format::MetaImage => meta_image::files(file),
        Format::Dicom => dicom::files(file),
    }
}

/// The files that writing a volume to `file` makes: one, or a header and its voxels. None for a name of which nothing can be written.
pub fn written(file: &Path) -> Option<Vec<PathBuf>> {
    let data = match known(&file.file_name()?.to_string_lossy()).map(|(ending, format)| (ending.to_lowercase(), format))? {
        (ending, Format::Nifti) if !ending.starts_with(".nii") => return None,
        (ending, Format::Nrrd) if ending.starts_with(".seg") => return None,
        (_, Format::Nifti | Format::Dicom) => None,
        (_, Format::Nrrd) => nrrd::data_file(file),
        (_, Format::MetaImage) => meta_image::data_file(file),
    };
    Some([file.to_owned()].into_iter().chain(data).collect())
}

/// Reads a volume.
///
/// # Errors
/// A file that cannot be read, whose header is beyond reason or of a form that is not supported, or that holds fewer voxels than promised.
pub fn read(file: &Path) -> Result<Scan, DataError> {
    match format(file) {
        Format::Nifti => nifti::read(file),
        Format::Nrrd => nrrd::read(file),
        Format::MetaImage => meta_image::read(file),
        Format::Dicom => dicom::read(file, &dicom::files(file)?),
    }
}

/// How many channels an image has, by its header alone.
///
/// # Errors
/// As of [`read`], as far as the header shows.
pub fn channels(file: &Path) -> Result<usize, DataError> {
    match format(file) {
        Format::Nifti => nifti::channels(file),
        Format::Nrrd => nrrd::channels(file),
        Format::MetaImage => meta_image::channels(file),
        Format::Dicom => dicom::check(file, &dicom::files(file)?).map(|()| 1),
    }
}

/// Writes a segmentation in the format of the file's ending, as the smallest integer type that holds its largest value. The file appears
/// whole or not at all.
///
/// `source` is the header of the scan that it belongs to: NIfTI keeps it to the bit, other formats take the grid of `labels`.
///
/// # Errors
/// A file that cannot be written.
pub fn write_labels(file: &Path, labels: &LabelMap, source: &SourceHeader) -> Result<(), DataError> {
    let volume = || Volume { channels: 1, grid: labels.grid.clone(), voxels: labels.voxels.iter().map(|&label| label.into()).collect() };
    match format(file) {
        Format::Nifti | Format::Dicom => nifti::write_labels(file, labels, source),
        Format::Nrrd | Format::MetaImage => write_volume(file, &volume(), source).map(drop),
    }
}

/// Writes intensities as the smallest type that holds each of them to the bit, float32 where they are no whole numbers, and returns its name; else as
/// [`write_labels`].
///
/// # Errors
/// A file that cannot be written.
pub fn write_volume(file: &Path, volume: &Volume, source: &SourceHeader) -> Result<&'static str, DataError> {
    let Volume { channels, grid, voxels } = volume;
    let scalar = Scalar::smallest(voxels);
    match format(file) {
        Format::Nifti | Format::Dicom => nifti::write_numbers(file, volume, source, scalar),
        Format::Nrrd => nrrd::write(file, grid, *channels, scalar, voxels),
        Format::MetaImage => meta_image::write(file, grid, *channels, scalar, voxels),
    }?;
    Ok(scalar.name())
}

#[cfg(test)]
mod tests {
    use super::{ending, stem};
    use std::path::Path;

    #[test]
    fn endings_count_in_any_case_and_are_kept_as_written() {
        for (name, expected) in [
            ("a.nii", Some(".nii")),
            ("a.b.NII.gz", Some(".NII.gz")),
            ("A.Hdr", Some(".Hdr")),
            ("a.img.GZ", Some(".img.GZ")),
            ("a.gz", None),
            (".nii", None),
            (".nii.gz", None),
            ("ä.nii.gz", Some(".nii.gz")),
            ("a.Seg.NRRD", Some(".Seg.NRRD")),
            ("a.nhdr", Some(".nhdr")),
            ("a.mha", Some(".mha")),
            ("a.raw", None),
            ("niiä", None),
        ] {
            assert_eq!(ending(name), expected, "{name}");
        }
        assert_eq!(stem(Path::new("x/SCAN.NII.GZ")), "SCAN");
        assert_eq!([stem(Path::new("p.hdr")), stem(Path::new("p.img.gz")), stem(Path::new("notes.txt"))], ["p", "p", "notes.txt"]);
    }
}
