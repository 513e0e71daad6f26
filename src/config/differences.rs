//! In which settings two configs differ.

use serde_json::{Map, Value};

/// Dotted keys of the settings in which two maps differ, with both values. Maps of other keys (another variant of an enum) differ as a
/// whole.
pub fn differing_settings<'a>(one: &'a Map<String, Value>, other: &'a Map<String, Value>) -> Vec<(String, [&'a Value; 2])> {
    let below = |(key, own): (&'a String, &'a Value)| match (own, other.get(key).unwrap_or(&Value::Null)) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            let inner = differing_settings(one, other).into_iter();
            inner.map(|(inner, values)| (format!("{key}.{inner}"), values)).collect()
        }
        (one, other) if one != other => vec![(key.clone(), [one, other])],
        _ => Vec::new(),
    };
    one.iter().flat_map(below).collect::<Vec<_>>()
}
