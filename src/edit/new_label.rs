//! Rules of a new label.

use crate::volume::label_table::same_name;
use crate::volume::segment::Segments;

/// Whether a label of such a value and name can be added to those `known`.
///
/// # Errors
/// The background's value, one beyond what a label map holds, a value or a name that is taken, no name; in words.
pub fn check_new_label(value: u32, name: &str, known: &Segments) -> Result<(), String> {
    if value == 0 || value > u32::from(u16::MAX) {
        return Err(format!("a label's number is from 1 to {}; {value} is none", u16::MAX));
    }
    if let Some(taken) = known.get(&value) {
        return Err(format!("{value} is the number of {:?}; choose another", taken.name));
    }
    if name.trim().is_empty() {
        return Err("a label needs a name".to_owned());
    }
    match known.iter().find(|(_, segment)| same_name(&segment.name, name.trim())) {
        Some((taken, segment)) => Err(format!("label {taken} is called {:?} already; choose another name", segment.name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::segment::named;

    #[test]
    fn a_label_needs_a_number_and_a_name_of_its_own() {
        let known = named(&[(1, "left lung".to_owned()), (7, "aorta".to_owned())].into());
        assert_eq!(check_new_label(2, "right lung", &known), Ok(()));
        assert_eq!(check_new_label(65_535, "x", &known), Ok(()));
        for (value, name, cause) in
            [(0, "x", "from 1"), (65_536, "x", "65535"), (7, "x", "aorta"), (2, "  ", "needs a name"), (2, "Left_Lung ", "label 1")]
        {
            let refused = check_new_label(value, name, &known).expect_err("no new label");
            assert!(refused.contains(cause), "{value} {name:?}: {refused}");
        }
    }
}
