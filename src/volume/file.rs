//! Volumes in files: the one place where a file's ending chooses its format.

use std::path::{Path, PathBuf};

use super::{DataError, LabelMap, Scan, SourceHeader, Volume, nifti};

/// How a volume is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// NIfTI-1, NIfTI-2 and Analyze 7.5.
    Nifti,
}

/// Endings of files that can be read, in lower case; any case counts. `.hdr` and `.img` are the two files of one image.
const ENDINGS: [(&str, Format); 6] = [
    (".nii.gz", Format::Nifti),
    (".hdr.gz", Format::Nifti),
    (".img.gz", Format::Nifti),
    (".nii", Format::Nifti),
    (".hdr", Format::Nifti),
    (".img", Format::Nifti),
];

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

/// The format that a file's ending names. A file of any other name is taken for NIfTI, whose first bytes then decide.
pub fn format(file: &Path) -> Format {
    known(&file.file_name().unwrap_or_default().to_string_lossy()).map_or(Format::Nifti, |(_, format)| format)
}

/// The files that hold the image that one of them names, the header's first.
///
/// # Errors
/// One file of a pair without the other.
pub fn files(file: &Path) -> Result<Vec<PathBuf>, DataError> {
    match format(file) {
        Format::Nifti => nifti::files(file),
    }
}

/// Reads a volume.
///
/// # Errors
/// See [`nifti::read`].
pub fn read(file: &Path) -> Result<Scan, DataError> {
    match format(file) {
        Format::Nifti => nifti::read(file),
    }
}

/// How many channels an image has, by its header alone.
///
/// # Errors
/// As of [`read`], as far as the header shows.
pub fn channels(file: &Path) -> Result<usize, DataError> {
    match format(file) {
        Format::Nifti => nifti::channels(file),
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
    match format(file) {
        Format::Nifti => nifti::write_labels(file, labels, source),
    }
}

/// Writes intensities as float32; else as [`write_labels`].
///
/// # Errors
/// A file that cannot be written.
pub fn write_volume(file: &Path, volume: &Volume, source: &SourceHeader) -> Result<(), DataError> {
    match format(file) {
        Format::Nifti => nifti::write_volume(file, volume, source),
    }
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
            ("niiä", None),
        ] {
            assert_eq!(ending(name), expected, "{name}");
        }
        assert_eq!(stem(Path::new("x/SCAN.NII.GZ")), "SCAN");
        assert_eq!([stem(Path::new("p.hdr")), stem(Path::new("p.img.gz")), stem(Path::new("notes.txt"))], ["p", "p", "notes.txt"]);
    }
}
