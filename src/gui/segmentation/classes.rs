//! The label values of an open case as class indices of one byte, shared by all its label maps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::volume::datalist::naming::default_label;

/// Classes that a byte can tell apart.
const MOST: usize = 256;

/// Label value and name of each class index; index 0 is the background.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Classes {
    values: Vec<u32>,
    names: Vec<String>,
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
        let mut classes = Self { values: vec![0], names: vec![labels.get(&0).cloned().unwrap_or_else(|| default_label(0))] };
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

    /// The class of each label value; values met for the first time become new classes.
    ///
    /// # Errors
    /// More values than a byte can tell apart, in words.
    pub(super) fn index(&mut self, voxels: &[u16]) -> Result<Vec<u8>, String> {
        // One entry for each value that a label map can hold; the last class index stands for "not met yet" too.
        let mut class_of: Vec<Option<u8>> = vec![None; usize::from(u16::MAX) + 1];
        for (class, &value) in (0..=u8::MAX).zip(&self.values) {
            class_of[value as usize] = Some(class);
        }
        let mut classes = Vec::with_capacity(voxels.len());
        for &value in voxels {
            let known = class_of[usize::from(value)];
            let class = match known {
                Some(class) => class,
                None => {
                    let class = u8::try_from(self.values.len())
                        .map_err(|_| format!("more than {MOST} label values, {value} among them; split the labels into several files"))?;
                    self.push(u32::from(value), default_label(u32::from(value)));
                    class_of[usize::from(value)] = Some(class);
                    class
                }
            };
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
}
