//! What a person should know about a file though nothing is wrong with it: something assumed, left out or replaced.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Files that a line names before it only counts them.
const NAMED: usize = 3;

/// One sentence about one file (or folder, or list).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The file.
    pub file: PathBuf,
    /// What was found and what is done about it, without a full stop.
    pub text: String,
}

impl Note {
    /// A note about a file.
    pub fn new(file: &Path, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), text: text.into() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.text)
    }
}

/// The notes as lines: files with the same note share one, which names the first few of them and counts the rest.
pub fn lines<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Vec<String> {
    let mut files_of: Vec<(&str, Vec<String>)> = Vec::new();
    for Note { file, text } in notes {
        let file = file.display().to_string();
        match files_of.iter_mut().find(|(other, _)| other == text) {
            Some((_, files)) if files.contains(&file) => {}
            Some((_, files)) => files.push(file),
            None => files_of.push((text, vec![file])),
        }
    }
    files_of.iter().map(|(text, files)| format!("{}: {text}", first_of(files, NAMED))).collect()
}

/// The first few of many names, and how many more there are: `a, b, c and 2 more`.
pub(crate) fn first_of(names: &[impl AsRef<str>], most: usize) -> String {
    let named = names.iter().take(most).map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
    if names.len() > most { format!("{named} and {} more", names.len() - most) } else { named }
}

#[cfg(test)]
mod tests {
    use super::{Note, lines};
    use std::path::Path;

    #[test]
    fn files_with_the_same_note_share_a_line() {
        let mut notes: Vec<Note> = (1..=5).map(|number| Note::new(Path::new(&format!("{number}.nii")), "is odd")).collect();
        notes.insert(1, Note::new(Path::new("6.nii"), "is even"));
        notes.push(notes[0].clone());
        assert_eq!(lines(&notes), ["1.nii, 2.nii, 3.nii and 2 more: is odd", "6.nii: is even"]);
    }
}
