//! The label values of an open case as class indices of one byte, shared by all its label maps, with how each is drawn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::palette;
use crate::volume::datalist::naming::default_label;
use crate::volume::label_table::{LabelEntry, LabelTable};

/// Classes that a byte can tell apart.
const MOST: usize = 256;

/// Label value and name of each class index; index 0 is the background.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Classes {
    values: Vec<u32>,
    names: Vec<String>,
    /// What tables of other viewers say, by label value.
    tables: BTreeMap<u32, LabelEntry>,
    /// The tables' files.
    learned: BTreeSet<PathBuf>,
}

/// The classes of one case: its label maps are read side by side and may each bring values of their own.
pub(super) type SharedClasses = Arc<Mutex<Classes>>;

/// What is known at this moment.
pub(super) fn snapshot(shared: &SharedClasses) -> Classes {
    shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl Classes {
    /// Of a dataset's or a checkpoint's labels.
    pub(super) fn new(labels: &BTreeMap<u32, String>) -> Self {
        let background = labels.get(&0).cloned().unwrap_or_else(|| default_label(0));
        let mut classes = Self { values: vec![0], names: vec![background], tables: BTreeMap::new(), learned: BTreeSet::new() };
        labels.iter().filter(|(value, _)| **value != 0).take(MOST - 1).for_each(|(&value, name)| classes.push(value, name.clone()));
        classes
    }

    fn push(&mut self, value: u32, name: String) {
        self.values.push(value);
        self.names.push(name);
    }

    /// Number of classes, background included.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The label value of a class.
    pub(super) fn value(&self, class: u8) -> u32 {
        self.values[usize::from(class)]
    }

    /// The classes in the order of their label values, without the background.
    pub(super) fn in_order(&self) -> Vec<u8> {
        let mut classes: Vec<u8> = (1..=u8::MAX).take(self.len().saturating_sub(1)).collect();
        classes.sort_by_key(|&class| self.value(class));
        classes
    }

    /// The colour that a label value has where the user gave it none, `0xRRGGBB`: a table's, else the palette's.
    pub(super) fn colour(&self, value: u32) -> u32 {
        let of = |entry: &LabelEntry| entry.colour.iter().fold(0, |rgb, &part| rgb << 8 | u32::from(part));
        self.tables.get(&value).map_or_else(|| palette::label(value), of)
    }

    /// Takes names and colours from a table, as far as none was before; what a reader should know of it, the first time.
    pub(super) fn learn_table(&mut self, table: &LabelTable) -> Option<String> {
        if !self.learned.insert(table.file.clone()) {
            return None;
        }
        let known = |value: u32| self.values.iter().position(|&known| known == value).map(|class| &self.names[class]);
        let differs = table.entries.iter().find_map(|(&value, entry)| {
            let (mine, theirs) = (known(value)?, entry.name.as_ref()?);
            let other = *mine != default_label(value) && !mine.replace('_', " ").eq_ignore_ascii_case(&theirs.replace('_', " "));
            other.then(|| format!(" It calls label {value} \"{theirs}\", which is \"{mine}\" here."))
        });
        for (&value, entry) in &table.entries {
            self.tables.entry(value).or_insert_with(|| entry.clone());
        }
        let named = self.tables.iter().filter_map(|(&value, entry)| Some((value, entry.name.clone()?))).collect();
        self.learn_names(&named);
        let differs = differs.unwrap_or_default();
        Some(format!("Label colours, and names where there were none, are those of {}.{differs}", table.file.display()))
    }

    /// The name of a class.
    pub(super) fn name(&self, class: u8) -> &str {
        self.names.get(usize::from(class)).map_or("", String::as_str)
    }

    /// Names label values that had only a number so far.
    pub(super) fn learn_names(&mut self, labels: &BTreeMap<u32, String>) {
        for (value, name) in self.values.iter().zip(&mut self.names) {
            if let Some(known) = labels.get(value)
                && *name == default_label(*value)
            {
                name.clone_from(known);
            }
        }
    }

    /// Adds a label with its name and colour; its class. Whether value and name are free is asked before.
    ///
    /// # Errors
    /// More labels than a byte can tell apart, in words.
    pub(super) fn add(&mut self, value: u16, name: &str, colour: [u8; 3]) -> Result<u8, String> {
        self.tables.insert(u32::from(value), LabelEntry { name: Some(name.to_owned()), colour });
        self.class_of(value)
    }

    /// The class of a label value; one met for the first time becomes a new class.
    ///
    /// # Errors
    /// More values than a byte can tell apart, in words.
    pub(super) fn class_of(&mut self, value: u16) -> Result<u8, String> {
        let value = u32::from(value);
        let known = self.values.iter().position(|&known| known == value);
        let class = u8::try_from(known.unwrap_or(self.values.len()))
            .map_err(|_| format!("more than {MOST} label values, {value} among them; split the labels into several files"))?;
        if known.is_none() {
            let named = self.tables.get(&value).and_then(|entry| entry.name.clone());
            self.push(value, named.unwrap_or_else(|| default_label(value)));
        }
        Ok(class)
    }

    /// The class of each label value; values met for the first time become new classes.
    ///
    /// # Errors
    /// More values than a byte can tell apart, in words.
    pub(super) fn index(&mut self, voxels: &[u16]) -> Result<Vec<u8>, String> {
        // One entry for each value that a label map can hold.
        let mut class_of: Vec<Option<u8>> = vec![None; usize::from(u16::MAX) + 1];
        let mut classes = Vec::with_capacity(voxels.len());
        for &value in voxels {
            let known = class_of[usize::from(value)];
            let class = match known {
                Some(class) => class,
                None => self.class_of(value)?,
            };
            class_of[usize::from(value)] = Some(class);
            classes.push(class);
        }
        Ok(classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_values_go_behind_the_named_ones_and_the_old_keep_their_place() {
        let labels = BTreeMap::from([(0, "background".to_owned()), (4, "tumour".to_owned())]);
        let mut classes = Classes::new(&labels);
        assert_eq!(classes.index(&[0, 4, 9, 300, 9]).unwrap(), [0, 1, 2, 3, 2]);
        assert_eq!((classes.value(3), classes.name(1), classes.name(2)), (300, "tumour", "label 9"));
        classes.learn_names(&BTreeMap::from([(9, "node".to_owned()), (4, "other".to_owned())]));
        assert_eq!((classes.name(2), classes.name(1)), ("node", "tumour"));
        let many: Vec<u16> = (1000..1300).collect();
        assert!(classes.index(&many).unwrap_err().contains("256"));
    }

    #[test]
    fn classes_stand_in_the_order_of_their_numbers_and_a_table_fills_in_what_is_not_known() {
        let mut classes = Classes::new(&BTreeMap::from([(10, "liver".to_owned())]));
        classes.index(&[300, 9, 2]).unwrap();
        let values = |classes: &Classes| classes.in_order().into_iter().map(|class| classes.value(class)).collect::<Vec<_>>();
        assert_eq!(values(&classes), [2, 9, 10, 300]);
        let entry = |name: &str, colour| LabelEntry { name: Some(name.to_owned()), colour };
        let entries = BTreeMap::from([(9, entry("spleen", [1, 2, 3])), (10, entry("lung", [4, 5, 6])), (77, entry("rib", [7, 8, 9]))]);
        let table = LabelTable { file: "x.ctbl".into(), entries };
        let said = classes.learn_table(&table).unwrap();
        assert_eq!(classes.learn_table(&table), None, "it is said once");
        assert!(said.contains("x.ctbl") && said.contains("\"lung\"") && said.contains("\"liver\""), "{said}");
        let named = |classes: &Classes, value| {
            classes.in_order().into_iter().find(|&class| classes.value(class) == value).map(|class| classes.name(class).to_owned())
        };
        assert_eq!((named(&classes, 9).as_deref(), named(&classes, 10).as_deref()), (Some("spleen"), Some("liver")));
        assert_eq!((classes.colour(9), classes.colour(10), classes.colour(2)), (0x01_02_03, 0x04_05_06, palette::label(2)));
        classes.index(&[77]).unwrap();
        assert_eq!(named(&classes, 77).as_deref(), Some("rib"));
    }
}
