//! Which cases are of one patient, as a person writes it.

use serde::{Deserialize, Serialize};

use super::check::Checker;

/// The field of a pattern that names the patient.
const PATIENT: &str = "patient";

/// Which cases are of one patient. Cases that no list names are each of a patient of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Groups {
    /// How case names are made up, for example `"{patient}_{scan}"`: `{patient}` stands for the patient, any other word in
    /// braces for what differs between scans. Each field takes as few letters as it can, the last one all that are left.
    Pattern(String),
    /// Case names, a list for each patient.
    Lists(Vec<Vec<String>>),
}

/// A part of a pattern.
#[derive(Clone, Copy, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    Field(&'a str),
}

/// The patient of a case's name by a pattern; none where the name isn't made up so.
pub fn patient<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    find(&parts(pattern).ok()?, name)?
}

/// Whether a name is made up of the parts, and then what the patient's field holds.
fn find<'n>(parts: &[Part<'_>], name: &'n str) -> Option<Option<&'n str>> {
    match parts {
        [] => name.is_empty().then_some(None),
        [Part::Text(text), rest @ ..] => find(rest, name.strip_prefix(text)?),
        [Part::Field(field), rest @ ..] => {
            let mut ends = name.char_indices().skip(1).map(|(at, _)| at).chain([name.len()]).filter(|&end| end > 0);
            ends.find_map(|end| {
                let of_rest = find(rest, &name[end..])?;
                Some(if *field == PATIENT { Some(&name[..end]) } else { of_rest })
            })
        }
    }
}

/// Text and fields in turn.
///
/// # Errors
/// What is wrong with the pattern.
fn parts(pattern: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else { return Err("has a { without its }".to_owned()) };
        if start > 0 {
            parts.push(Part::Text(&rest[..start]));
        }
        parts.push(Part::Field(&rest[start + 1..start + length]));
        rest = &rest[start + length + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    let patients = parts.iter().filter(|&&part| part == Part::Field(PATIENT)).count();
    let touching = parts.windows(2).any(|pair| matches!(pair, [Part::Field(_), Part::Field(_)]));
    match (patients, touching) {
        (1, false) => Ok(parts),
        (1, true) => Err("has two fields without text between them".to_owned()),
        _ => Err(format!("has {patients} fields {{{PATIENT}}}; expected one, as in \"{{{PATIENT}}}_{{scan}}\"")),
    }
}

impl Groups {
    pub(super) fn check(&self, checker: &mut Checker) {
        match self {
            Self::Pattern(pattern) => {
                let wrong = parts(pattern).err().unwrap_or_default();
                checker.require("data.groups", wrong.is_empty(), format_args!("is the pattern {pattern:?}, which {wrong}"));
            }
            Self::Lists(lists) => checker.distinct("data.groups", lists.iter().flatten(), |name| format!("names {name:?} twice")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn a_pattern_finds_the_patient_of_a_name() {
        for (pattern, name, expected) in [
            ("{patient}_{scan}", "sub7_2_t1", Some("sub7")),
            ("{patient}_{scan}", "sub7", None),
            ("sub-{patient}_ses-{visit}", "sub-ä3_ses-1", Some("ä3")),
            ("sub-{patient}_ses-{visit}", "pat-3_ses-1", None),
            ("{site}-{patient}", "a-b-c", Some("b-c")),
            ("{patient}", "whole", Some("whole")),
            ("{patient}_scan", "a_b_scan", Some("a_b")),
            ("{patient}_", "_", None),
        ] {
            assert_eq!(patient(pattern, name), expected, "{pattern} of {name}");
        }
    }

    #[test]
    fn groups_are_written_as_a_pattern_or_as_lists() {
        let groups = |text: &str| RunConfig::from_ron(&format!("(data: (groups: {text}))"), "test").map(|config| config.data.groups);
        let pattern = Groups::Pattern("{patient}_{scan}".to_owned());
        let lists = Groups::Lists(vec![vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]]);
        for (text, value) in [("\"{patient}_{scan}\"", pattern), ("[[\"a\", \"b\"], [\"c\"]]", lists)] {
            let config = RunConfig::from_ron(&format!("(data: (groups: {text}))"), "test").expect("a good config");
            assert_eq!(config.data.groups, Some(value.clone()));
            assert_eq!(RunConfig::from_ron(&config.to_ron(), "again").expect("its own text"), config);
            let set = RunConfig::default().with_overrides(&[format!("data.groups={}", text.trim_matches('"'))]).expect("a good setting");
            assert_eq!(set.data.groups, Some(value));
        }
        assert_eq!(RunConfig::from_ron(&RunConfig::default().to_ron(), "default").expect("its own text").data.groups, None);
        for (text, word) in [
            ("\"{scan}\"", "expected one"),
            ("\"{patient}{scan}\"", "between them"),
            ("\"{patient\"", "without its"),
            ("[[\"a\"], [\"a\"]]", "twice"),
        ] {
            let error = groups(text).expect_err("wrong").to_string();
            assert!(error.contains("data.groups") && error.contains(word), "{error}");
        }
    }
}
