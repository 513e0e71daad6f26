//! JSON lists: Decathlon `dataset.json`, MONAI datalists, nnU-Net v2 `dataset.json`.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::assemble::{Listed, assemble};
use super::folders;
use super::naming::{case_name, count_note, described};
use crate::text_file;
use crate::volume::file::{ending, stem};
use crate::volume::{DataError, Dataset, Fault, Note};

/// Keys under which lists of cases stand.
const LISTS: [&str; 5] = ["training", "validation", "testing", "test", "unlabeled"];

/// Opens a JSON list. Paths in it are relative to its folder.
pub fn open(list: &Path) -> Result<Dataset, DataError> {
    let json = read(list)?;
    if !json.is_object() {
        return Err(Fault::List("it is not a JSON object with lists of cases".to_owned()).at(list));
    }
    let root = list.parent().filter(|root| !root.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let whole_root = std::fs::canonicalize(root).map_err(|error| Fault::from(error).at(root))?;
    let fallback = whole_root.file_name().unwrap_or_default().to_string_lossy();
    let described = described(&json, list, &fallback)?;
    if !holds_lists(&json) {
        return folders::nnunet(list, root, &json, described);
    }
    let listed = entries(list, &json)?.into_iter().map(|entry| entry.listed).collect();
    let counted = |keys: &[&str]| keys.iter().filter_map(|key| json[key].as_array()).map(Vec::len).sum();
    let counts =
        [("numTraining", counted(&["training"])), ("numValidation", counted(&["validation"])), ("numTest", counted(&["testing", "test"]))];
    let notes: Vec<Note> = counts.into_iter().filter_map(|(key, found)| count_note(list, &json, key, found)).collect();
    let mut dataset = assemble(list, described, listed)?;
    dataset.notes.extend(notes);
    Ok(dataset)
}

/// The JSON of a list.
///
/// # Errors
/// A file that cannot be read, is in another encoding than UTF-8, or holds no JSON.
pub fn read(list: &Path) -> Result<Value, DataError> {
    let text = text_file::read(list).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => Fault::List(error.to_string()).at(list),
        _ => Fault::from(error).at(list),
    })?;
    serde_json::from_str(&text).map_err(|error| Fault::List(error.to_string()).at(list))
}

/// Whether the cases stand in the list itself; else they are those of its folders.
pub(super) fn holds_lists(json: &Value) -> bool {
    LISTS.iter().any(|key| !json[key].is_null())
}

/// An entry of a list, and where it stands there.
pub(super) struct Entry {
    /// The list's key.
    pub key: &'static str,
    /// Its place in that list.
    pub index: usize,
    /// What it names.
    pub listed: Listed,
}

/// All entries of a list, one list after the other. Paths in it are relative to its folder.
///
/// # Errors
/// A folder that cannot be found, entries of another form.
pub(super) fn entries(list: &Path, json: &Value) -> Result<Vec<Entry>, DataError> {
    let root = list.parent().filter(|root| !root.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let whole_root = std::fs::canonicalize(root).map_err(|error| Fault::from(error).at(root))?;
    let reader = ListReader { list, root, whole_root: &whole_root };
    let mut entries = Vec::new();
    for key in LISTS {
        match &json[key] {
            Value::Null => {}
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    entries.push(Entry { key, index, listed: reader.entry(value, &format!("{key}[{index}]"))? });
                }
            }
            other => return Err(Fault::List(format!("`{key}` is {other}; expected a list")).at(list)),
        }
    }
    Ok(entries)
}

/// What entries of a list are read against.
struct ListReader<'a> {
    list: &'a Path,
    root: &'a Path,
    whole_root: &'a Path,
}

impl ListReader<'_> {
    /// A case: a path alone, or `image` (a path or one for each channel), `label` and `fold`.
    fn entry(&self, entry: &Value, at: &str) -> Result<Listed, DataError> {
        let (image, label) = if entry.is_string() { (entry, &Value::Null) } else { (&entry["image"], &entry["label"]) };
        let images = self.paths(image, &format!("{at}.image"))?;
        let label = if label.is_null() { Vec::new() } else { self.paths(label, &format!("{at}.label"))? };
        if images.is_empty() || label.len() > 1 {
            let cause = format!("`{at}` has {} images and {} labels; expected at least one and at most one", images.len(), label.len());
            return Err(Fault::List(cause).at(self.list));
        }
        let mut findings = Vec::new();
        let mut inside = |paths: Vec<&str>| -> Vec<PathBuf> {
            let resolved = paths.into_iter().map(|path| self.resolve(path));
            let resolved: Result<Vec<PathBuf>, DataError> = resolved.collect();
            resolved.unwrap_or_else(|error| {
                findings.push(error);
                Vec::new()
            })
        };
        let name = case_name(&images.iter().map(Path::new).collect::<Vec<_>>());
        let images = with_channels(inside(images));
        let label = inside(label).pop();
        let fold = entry["fold"].as_u64().and_then(|fold| usize::try_from(fold).ok());
        Ok(Listed { name, images, label, fold, findings })
    }

    fn paths<'v>(&self, value: &'v Value, at: &str) -> Result<Vec<&'v str>, DataError> {
        let wrong = || Fault::List(format!("`{at}` is {value}; expected a path or a list of paths")).at(self.list);
        match value {
            Value::String(path) => Ok(vec![path]),
            Value::Array(paths) => paths.iter().map(|path| path.as_str().ok_or_else(wrong)).collect(),
            _ => Err(wrong()),
        }
    }

    /// The path of a listed file, unless it leads out of the dataset's folder.
    ///
    /// Decided by the path's text alone, so that a dataset whose folders are symbolic links stays whole.
    fn resolve(&self, listed: &str) -> Result<PathBuf, DataError> {
        let listed = Path::new(listed);
        let outside = || Fault::Outside(self.root.to_owned()).at(listed);
        let relative = if listed.is_absolute() {
            let within = listed.strip_prefix(self.root).or_else(|_| listed.strip_prefix(self.whole_root));
            within.map_err(|_| outside())?
        } else {
            listed
        };
        let mut plain = PathBuf::new();
        for component in relative.components() {
            match component {
                Component::Normal(name) => plain.push(name),
                Component::CurDir => {}
                Component::ParentDir if plain.pop() => {}
                _ => return Err(outside()),
            }
        }
        Ok(self.root.join(plain))
    }
}

/// nnU-Net v1 lists `case.nii.gz` and stores `case_0000.nii.gz` and so on: finds the channels of such an entry.
fn with_channels(images: Vec<PathBuf>) -> Vec<PathBuf> {
    let [image] = images.as_slice() else { return images };
    let channel = |number: usize| {
        let name = format!("{}_{number:04}{}", stem(image), image.to_str().and_then(ending).unwrap_or(".nii.gz"));
        image.with_file_name(name)
    };
    if image.exists() || !channel(0).exists() {
        return images;
    }
    (0..).map(channel).take_while(|file| file.exists()).collect()
}
