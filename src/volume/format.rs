//! Formats of volumes, and the endings of their files.

use std::path::Path;
use std::str::FromStr;

/// How a volume is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// NIfTI-1, NIfTI-2 and Analyze 7.5.
    Nifti,
    /// NRRD.
    Nrrd,
    /// NRRD with named segments, of 3D Slicer.
    SegNrrd,
    /// MetaImage.
    MetaImage,
    /// A DICOM file, or a folder with one series. What is written of it is a segmentation (SEG).
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
    (".seg.nrrd", Format::SegNrrd),
    (".nrrd", Format::Nrrd),
    (".nhdr", Format::Nrrd),
    (".mha", Format::MetaImage),
    (".mhd", Format::MetaImage),
];

/// The usual ending of DICOM files. Many have no ending at all, and their first bytes decide.
const DICOM: &str = ".dcm";

impl Format {
    /// The ending of what is written of a volume of this format.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Nifti => ".nii.gz",
            Self::Nrrd => ".nrrd",
            Self::SegNrrd => ".seg.nrrd",
            Self::MetaImage => ".mha",
            Self::Dicom => DICOM,
        }
    }

    /// Endings, without their dot, that labels of a volume of this format may be saved with; the usual one first.
    pub fn label_endings(self) -> &'static [&'static str] {
        match self {
            // A series is a whole folder of its own.
            Self::Dicom => &["dcm", "nii.gz", "nii", "nrrd", "seg.nrrd", "mha"],
            Self::Nrrd => &["nrrd", "seg.nrrd", "nii.gz", "nii", "mha"],
            Self::SegNrrd => &["seg.nrrd", "nrrd", "nii.gz", "nii", "mha"],
            Self::MetaImage => &["mha", "nii.gz", "nii", "nrrd", "seg.nrrd"],
            Self::Nifti => &["nii.gz", "nii", "nrrd", "seg.nrrd", "mha"],
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Nifti, Self::Nrrd, Self::SegNrrd, Self::MetaImage, Self::Dicom];
        let named = all.into_iter().find(|format| format.ending().trim_start_matches('.') == text.trim_start_matches('.').to_lowercase());
        named.ok_or_else(|| format!("{text:?} is none of nii.gz, nrrd, seg.nrrd, mha and dcm"))
    }
}

/// The format and the ending of a file name, as [`ending`].
pub(super) fn known(file_name: &str) -> Option<(&str, Format)> {
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

/// The format that the name of a file to be written asks for; none for another ending.
pub fn asked(file: &Path) -> Option<Format> {
    let name = file.file_name()?.to_string_lossy();
    known(&name).map(|(_, format)| format).or_else(|| dicom_ending(&name).map(|_| Format::Dicom))
}

fn dicom_ending(file_name: &str) -> Option<&str> {
    let at = file_name.len().checked_sub(DICOM.len()).filter(|&at| at > 0)?;
    file_name.get(at..).filter(|end| end.eq_ignore_ascii_case(DICOM))
}

/// A file's name without its folder and such an ending, or that of DICOM. Both files of a pair have the same.
pub fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name[..name.len() - ending(&name).or_else(|| dicom_ending(&name)).map_or(0, str::len)].to_owned()
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
        assert_eq!([stem(Path::new("IM.7.DCM")), stem(Path::new(".dcm"))], ["IM.7", ".dcm"]);
        assert_eq!([stem(Path::new("p.hdr")), stem(Path::new("p.img.gz")), stem(Path::new("notes.txt"))], ["p", "p", "notes.txt"]);
    }
}
