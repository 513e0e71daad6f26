//! Files and folders given to a network by hand: which of them make a case, and what it is called.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::naming::channel_suffix;
use super::{listing, series};
use crate::volume::dicom;
use crate::volume::file::{self, stem};
use crate::volume::{CaseFiles, DataError, DataErrors, Fault, Note, VolumeSource};

/// What was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// The cases whose files have a header that fits, by name.
    pub cases: Vec<CaseFiles>,
    /// What is wrong with the others.
    pub errors: Vec<DataError>,
    /// What folders hold and isn't read.
    pub notes: Vec<Note>,
}

/// Makes cases of files and folders for a network of so many channels. Only headers are read. A folder without volumes of another format is
/// searched for DICOM series at any depth.
///
/// For one channel each file is a case of its own name; where all files of a folder (or all those given one by one) end in
/// `_0000`, that is nnU-Net's mark of the only channel and no part of the name. For several channels a file that holds all
/// of them is a case, and others end in `_0000`, `_0001` and so on, complete for each case.
///
/// # Errors
/// What must be settled before anything is segmented: a folder without volumes, two inputs whose segmentations would have one name.
pub fn gather(inputs: &[PathBuf], channels: usize) -> Result<Inputs, DataErrors> {
    let mut found = Inputs::default();
    let mut errors = Vec::new();
    let (folders, files): (Vec<&PathBuf>, Vec<&PathBuf>) = inputs.iter().partition(|input| input.is_dir());
    let mut groups = vec![files.into_iter().cloned().collect::<Vec<_>>()];
    for folder in folders {
        match listing::volumes(folder) {
            Err(error) => errors.push(error),
            Ok(listing) if listing.files.is_empty() => match series::cases(folder) {
                Err(error) => errors.push(error),
                Ok((cases, _)) if cases.is_empty() => errors.push(Fault::List(listing.nothing()).at(folder)),
                Ok((cases, notes)) => {
                    found.notes.extend(notes);
                    cases.into_iter().for_each(|(case, _)| found.add_series(case, channels));
                }
            },
            Ok(listing) => {
                errors.extend(listing.doubled);
                found.notes.extend(listing.left_out);
                groups.push(listing.files);
            }
        }
    }
    for group in groups {
        found.add(&group, channels);
    }
    found.cases.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in found.cases.windows(2).filter(|pair| pair[0].name == pair[1].name) {
        let [other, second] = [&pair[0], &pair[1]].map(|case| case.images[0].file().into_owned());
        let written = format!("{}{}", pair[0].name, pair[1].images[0].format().ending());
        errors.push(Fault::SameOutput(other, written).at(&second));
    }
    DataErrors::or(errors, found)
}

impl Inputs {
    /// Adds the cases of files that belong together by where they are or how they were given.
    fn add(&mut self, files: &[PathBuf], channels: usize) {
        let stems: Vec<String> = files.iter().map(|file| stem(file)).collect();
        if channels == 1 {
            let marked: Option<Vec<&str>> =
                stems.iter().map(|stem| channel_suffix(stem).filter(|&(_, number)| number == 0).map(|(case, _)| case)).collect();
            let names = marked.unwrap_or_else(|| stems.iter().map(String::as_str).collect());
            names.into_iter().zip(files).for_each(|(name, file)| self.add_case(name, vec![file.clone()], channels));
            return;
        }
        let mut parts: BTreeMap<_, Vec<(usize, PathBuf)>> = BTreeMap::new();
        for (stem, file) in stems.iter().zip(files) {
            match channel_suffix(stem) {
                // Digits at the end of a name that holds all channels number something else.
                Some((case, number)) if file::channels(file).ok() != Some(channels) => {
                    parts.entry((file.parent(), case)).or_default().push((number, file.clone()));
                }
                _ => self.add_case(stem, vec![file.clone()], channels),
            }
        }
        for ((_, case), mut files) in parts {
            files.sort();
            let complete = files.iter().map(|&(number, _)| number).eq(0..channels);
            let files: Vec<PathBuf> = files.into_iter().map(|(_, file)| file).collect();
            if complete {
                self.add_case(case, files, channels);
            } else {
                let others: Vec<_> = files[1..].iter().map(|file| file.file_name().unwrap_or_default().to_string_lossy()).collect();
                let files_are = if others.is_empty() { "is".to_owned() } else { format!("with {} is", others.join(", ")) };
                self.errors.push(Fault::ChannelFiles(files_are, channels).at(&files[0]));
            }
        }
    }

    /// Adds a DICOM series, which has one channel, if its headers make a volume.
    fn add_series(&mut self, case: CaseFiles, channels: usize) {
        let VolumeSource::Series { place, files, .. } = &case.images[0] else { return };
        let fits = if channels == 1 {
            dicom::grid(place, files).map(drop)
        } else {
            Err(Fault::Channels { found: 1, expected: channels }.at(place).into())
        };
        match fits {
            Ok(()) => self.cases.push(case),
            Err(DataErrors(errors)) => self.errors.extend(errors),
        }
    }

    /// Adds a case if the headers of its files fit.
    fn add_case(&mut self, name: &str, files: Vec<PathBuf>, channels: usize) {
        let expected = channels / files.len();
        let wrong = |file: &PathBuf| match file::channels(file) {
            Ok(found) if found == expected => None,
            Ok(found) => Some(Fault::Channels { found, expected }.at(file)),
            Err(error) => Some(error),
        };
        let errors: Vec<DataError> = files.iter().filter_map(wrong).collect();
        if errors.is_empty() {
            let images = files.into_iter().map(VolumeSource::File).collect();
            self.cases.push(CaseFiles { name: name.to_owned(), images, label: None, fold: None });
        }
        self.errors.extend(errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::file::write_volume;
    use crate::volume::{Grid, SourceHeader, Volume};

    /// A folder with a small volume of so many channels under each name.
    fn folder(files: &[(&str, usize)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let grid = Grid::axis_aligned([2, 3, 4], [1.0; 3]);
        for &(name, channels) in files {
            let volume = Volume { channels, grid: grid.clone(), voxels: vec![1.0; channels * grid.len()] };
            write_volume(&folder.path().join(name), &volume, &SourceHeader::for_grid(&grid)).expect("a writable folder");
        }
        folder
    }

    /// Names of the cases with their number of files, and the errors, given as a folder and file by file: always the same.
    fn gathered(files: &[(&str, usize)], channels: usize) -> (Vec<(String, usize)>, String) {
        let folder = folder(files);
        let one_by_one: Vec<PathBuf> = files.iter().map(|(name, _)| folder.path().join(name)).collect();
        let [a, b] = [vec![folder.path().to_owned()], one_by_one].map(|inputs| {
            let Inputs { cases, errors, .. } = gather(&inputs, channels).expect("nothing to settle first");
            let cases = cases.into_iter().map(|case| (case.name, case.images.len())).collect::<Vec<_>>();
            (cases, errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        assert_eq!(a, b);
        a
    }

    fn names(cases: &[(String, usize)]) -> Vec<&str> {
        cases.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn digits_at_the_end_of_a_name_never_join_patients_for_a_network_of_one_channel() {
        let (cases, errors) = gathered(&[("word_0001.nii.gz", 1), ("word_0007.nii.gz", 1), ("word_0000.NII", 1)], 1);
        assert_eq!(names(&cases), ["word_0000", "word_0001", "word_0007"]);
        assert_eq!(errors, "");
        let (cases, _) = gathered(&[("a_0000.nii.gz", 1), ("b_0000.nii.gz", 1)], 1);
        assert_eq!(names(&cases), ["a", "b"], "every name has the mark of the only channel");
        let (cases, errors) = gathered(&[("a.nii.gz", 1), ("b.nii.gz", 2)], 1);
        assert_eq!(names(&cases), ["a"]);
        assert!(errors.contains("b.nii.gz") && errors.contains("2 channels"), "{errors}");
    }

    #[test]
    fn the_files_of_a_case_must_be_all_of_the_network_s_channels() {
        let (cases, errors) =
            gathered(&[("word_0001.nii.gz", 1), ("word_0003.nii.gz", 1), ("word_0007.nii.gz", 1), ("word_0012.nii.gz", 1)], 4);
        assert_eq!(cases, []);
        for part in ["word_0001.nii.gz", "word_0003.nii.gz", "word_0007.nii.gz", "word_0012.nii.gz", "_0000 to _0003"] {
            assert!(errors.contains(part), "no {part} in {errors}");
        }
        let whole = [("a_0000.nii", 1), ("a_0001.nii", 1), ("b_0001.nii", 1), ("b_0000.nii", 1), ("c_0000.nii", 1), ("all_0012.nii", 2)];
        let (cases, errors) = gathered(&whole, 2);
        assert_eq!(cases, [("a".to_owned(), 2), ("all_0012".to_owned(), 1), ("b".to_owned(), 2)]);
        assert!(errors.contains("c_0000.nii") && !errors.contains("all_0012"), "{errors}");
        let (_, errors) = gathered(&[("plain.nii", 1)], 2);
        assert!(errors.contains("has 1 channels; 2 are expected"), "{errors}");
    }

    #[test]
    fn two_inputs_of_one_output_are_settled_first() {
        let [first, second] = [folder(&[("scan.nii", 1)]), folder(&[("scan.nii.gz", 1), ("other.nii", 1)])];
        let refused = |inputs: &[PathBuf]| gather(inputs, 1).expect_err("one name").to_string();
        let text = refused(&[first.path().join("scan.nii"), second.path().to_owned()]);
        assert!(text.contains("scan.nii.gz") && text.contains(&first.path().display().to_string()), "{text}");
        std::fs::copy(first.path().join("scan.nii"), second.path().join("scan.nii")).expect("a writable folder");
        assert!(refused(&[second.path().to_owned()]).contains("Keep one"));
    }
}
