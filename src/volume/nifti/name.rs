//! File names: which endings can be read.

use std::path::Path;

/// Endings of files that can be read, in lower case; any case counts. `.hdr` and `.img` are the two files of one image.
pub const ENDINGS: [&str; 6] = [".nii.gz", ".hdr.gz", ".img.gz", ".nii", ".hdr", ".img"];

/// The ending of a file name that can be read, as it is written there: `.nii.gz` of `a.nii.gz`, `.NII` of `B.NII`.
///
/// None: no such ending, or nothing before it.
pub fn ending(file_name: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| {
        let at = file_name.len().checked_sub(ending.len()).filter(|&at| at > 0)?;
        file_name.get(at..).filter(|end| end.eq_ignore_ascii_case(ending))
    })
}

/// A file's name without its folder and such an ending. Both files of a pair have the same.
pub fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name[..name.len() - ending(&name).map_or(0, str::len)].to_owned()
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
