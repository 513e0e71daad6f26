//! The dataset's list with the new case in it: the last file to be written, the old one kept.

use std::path::Path;

use serde_json::Value;

use super::error::AddError;
use super::json_text::{append, entry as entry_text, remove, set_count, set_entry, set_member};
use super::layout::{Layout, List};
use super::steps::{Step, keep};
use crate::volume::{CaseFiles, Dataset};

/// What a change of the list is planned from.
pub(super) struct Lists<'a> {
    pub(super) layout: &'a Layout,
    pub(super) dataset: &'a Dataset,
}

/// The steps that change a list, and what to say of it.
pub(super) type Changed = (Vec<Step>, Vec<String>);

impl Lists<'_> {
    /// With a label map for a case whose image is there; `patient_fold`: the fold of its patient's other cases.
    pub(super) fn with_label(&self, case: &CaseFiles, label: &Path, patient_fold: Option<usize>) -> Result<Changed, AddError> {
        let Some(list) = self.layout.naming() else { return self.in_folders(case) };
        let image = case.images.first().map(|image| image.file().into_owned());
        let entry = list.entries.iter().find(|entry| entry.listed.images.first() == image.as_ref());
        let entry = entry.ok_or_else(|| AddError::refuse(&list.file, format!("no entry of the list names the image of {}", case.name)))?;
        let (key, index, value) = (entry.key, entry.index, &list.json[entry.key][entry.index]);
        let own = entry_text(&list.text, key, index).unwrap_or_default();
        let object = if value.is_string() { format!("{{\"image\": {own}}}") } else { own.to_owned() };
        let mut object = set_member(&object, "label", &Value::from(self.relative(label)).to_string());
        let fold = list.new_fold(patient_fold).filter(|_| entry.listed.fold.is_none());
        if let Some(fold) = fold {
            object = set_member(&object, "fold", &fold.to_string());
        }
        let mut notes: Vec<String> = fold.map(|fold| fold_note(fold, patient_fold)).into_iter().collect();
        if key == "training" {
            return self.rewritten(list, set_entry(&list.text, key, index, &object), notes);
        }
        notes.push(format!("it stood in the list `{key}` without a label map, and stands in `training` now"));
        self.rewritten(list, append(&remove(&list.text, key, index), "training", &object), notes)
    }

    /// With a new case, whose entry has its fold; `patient_fold`: the fold of its patient's other cases.
    pub(super) fn with_entry(&self, entry: &str, patient_fold: Option<usize>) -> Result<Changed, AddError> {
        let Some(list) = self.layout.naming() else { return Ok((Vec::new(), Vec::new())) };
        let note = list.new_fold(patient_fold).map(|fold| fold_note(fold, patient_fold));
        self.rewritten(list, append(&list.text, "training", entry), note.into_iter().collect())
    }

    /// With the right number of images in nnU-Net's folder once a case of this name is there.
    pub(super) fn with_count(&self, name: &str) -> Result<Changed, AddError> {
        let list = self.layout.list.as_ref().filter(|list| list.entries.is_empty());
        let Some(list) = list else { return Ok((Vec::new(), Vec::new())) };
        let here = |case: &CaseFiles| case.images.first().is_some_and(|image| image.file().parent() == Some(self.layout.images()));
        let others = self.dataset.cases.iter().filter(|case| case.name != name && here(case)).count();
        let own = self.dataset.case(name).is_none_or(here);
        self.replaced(list, set_count(&list.text, "numTraining", others + usize::from(own)), Vec::new())
    }

    /// Where folders alone say which label map is of which image.
    fn in_folders(&self, case: &CaseFiles) -> Result<Changed, AddError> {
        let image = case.images.first().map(|image| image.file().into_owned()).unwrap_or_default();
        let is_tested = image.parent().and_then(Path::file_name).is_some_and(|folder| folder == "imagesTs");
        let note = "its image lies in imagesTs, and so its label map in labelsTs: simtrot trains on it, other programs may take it for a test case";
        let (steps, mut notes) = self.with_count(&case.name)?;
        notes.extend(is_tested.then(|| note.to_owned()));
        Ok((steps, notes))
    }

    /// A path as the list writes it.
    fn relative(&self, file: &Path) -> String {
        let within = file.strip_prefix(&self.layout.root).unwrap_or(file);
        let parts: Vec<_> = within.iter().map(|part| part.to_string_lossy()).filter(|part| part != ".").collect();
        format!("./{}", parts.join("/"))
    }

    /// The list with its counts set right.
    fn rewritten(&self, list: &List, text: String, notes: Vec<String>) -> Result<Changed, AddError> {
        let json: Value =
            serde_json::from_str(&text).map_err(|error| AddError::refuse(&list.file, format!("would not be sound any more: {error}")))?;
        let counted = |value: &Value, keys: &[&str]| keys.iter().filter_map(|key| value[*key].as_array()).map(Vec::len).sum::<usize>();
        let mut text = text;
        for (key, keys) in [("numTraining", &["training"][..]), ("numValidation", &["validation"]), ("numTest", &["testing", "test"])] {
            if counted(&json, keys) != counted(&list.json, keys) {
                text = set_count(&text, key, counted(&json, keys));
            }
        }
        self.replaced(list, text, notes)
    }

    fn replaced(&self, list: &List, text: String, notes: Vec<String>) -> Result<Changed, AddError> {
        if text == list.text {
            return Ok((Vec::new(), notes));
        }
        let (step, _) = keep(&list.file, |number| {
            let name = list.file.file_name().unwrap_or_default().to_string_lossy();
            list.file.with_file_name(format!("{name}.{number}"))
        })?;
        Ok((step.into_iter().chain([Step::Text { to: list.file.clone(), text }]).collect(), notes))
    }
}

/// What is to be said of the fold of a new case.
fn fold_note(fold: usize, patient_fold: Option<usize>) -> String {
    let why = if patient_fold.is_some() { "that of its patient's other cases" } else { "which none tests: it always trains" };
    format!("the list parts its cases into folds; the new one has the fold {fold}, {why}")
}
