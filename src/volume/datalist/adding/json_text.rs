//! Changes in the text of a JSON list that leave every other byte of it as it is: keys that nobody here knows, their order, how numbers are
//! written. The text must be sound JSON: whoever calls has parsed it.

use std::ops::Range;

/// The text with an entry at the end of the list `key`, laid out as the entry before it; a list that is not there is begun.
pub(super) fn append(text: &str, key: &str, entry: &str) -> String {
    let whole = whole(text);
    let Some(list) = member(text, whole.clone(), key) else {
        let separator = if parts(text, whole.clone()).is_empty() { "" } else { "," };
        return replaced(text, whole.start + 1..whole.start + 1, &format!("\"{key}\": [{entry}]{separator}"));
    };
    match parts(text, list.clone()).last() {
        Some(last) => {
            let before = text[..last.start].trim_end().len();
            let layout = text[before..last.start].to_owned();
            replaced(text, last.end..last.end, &format!(",{layout}{entry}"))
        }
        None => replaced(text, list, &format!("[{entry}]")),
    }
}

/// The text without an entry of the list `key`.
pub(super) fn remove(text: &str, key: &str, index: usize) -> String {
    let Some(list) = member(text, whole(text), key) else { return text.to_owned() };
    let entries = parts(text, list);
    match (entries.get(index), index.checked_sub(1).and_then(|before| entries.get(before)), entries.get(index + 1)) {
        (Some(entry), Some(before), _) => replaced(text, before.end..entry.end, ""),
        (Some(entry), None, Some(after)) => replaced(text, entry.start..after.start, ""),
        (Some(entry), None, None) => replaced(text, entry.clone(), ""),
        (None, ..) => text.to_owned(),
    }
}

/// The text of an entry of the list `key`.
pub(super) fn entry<'t>(text: &'t str, key: &str, index: usize) -> Option<&'t str> {
    let list = member(text, whole(text), key)?;
    parts(text, list).into_iter().nth(index).map(|place| &text[place])
}

/// The text of an object in which the member `key` has this value, itself a JSON text.
pub(super) fn set_member(object: &str, key: &str, value: &str) -> String {
    let whole = whole(object);
    match (member(object, whole.clone(), key), parts(object, whole.clone()).last()) {
        (Some(place), _) => replaced(object, place, value),
        (None, Some(last)) => replaced(object, last.end..last.end, &format!(", \"{key}\": {value}")),
        (None, None) => format!("{{\"{key}\": {value}}}"),
    }
}

/// The text with another entry in the place of one of the list `key`.
pub(super) fn set_entry(text: &str, key: &str, index: usize, entry: &str) -> String {
    let place = member(text, whole(text), key).and_then(|list| parts(text, list).into_iter().nth(index));
    place.map_or_else(|| text.to_owned(), |place| replaced(text, place, entry))
}

/// The text in which `key` is a number, where it says anything.
pub(super) fn set_count(text: &str, key: &str, count: usize) -> String {
    let value = member(text, whole(text), key).filter(|value| text[value.clone()] != *"null");
    value.map_or_else(|| text.to_owned(), |value| replaced(text, value, &count.to_string()))
}

/// Where the outermost value stands.
fn whole(text: &str) -> Range<usize> {
    let start = text.len() - text.trim_start().len();
    start..text.trim_end().len()
}

/// Where the value of a key stands; of a key that stands twice the last one, as JSON is read here.
fn member(text: &str, object: Range<usize>, key: &str) -> Option<Range<usize>> {
    let found = parts(text, object).into_iter().rev().find_map(|part| {
        let mut keys = serde_json::Deserializer::from_str(&text[part.clone()]).into_iter::<String>();
        let is_it = keys.next()?.ok()? == key;
        let behind = part.start + keys.byte_offset();
        is_it.then_some(behind..part.end)
    })?;
    let value = text[found.clone()].trim_start().strip_prefix(':')?.trim_start();
    Some(found.end - value.len()..found.end)
}

/// Where the parts of an object or of a list stand: what lies between its brackets, parted by commas.
fn parts(text: &str, whole: Range<usize>) -> Vec<Range<usize>> {
    if !text[whole.clone()].starts_with(['{', '[']) {
        return Vec::new();
    }
    let inside = whole.start + 1..whole.end - 1;
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut ends = Vec::new();
    for (at, byte) in inside.clone().zip(text[inside.clone()].bytes()) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => ends.push(at),
            _ => {}
        }
    }
    let starts = [inside.start].into_iter().chain(ends.iter().map(|end| end + 1)).collect::<Vec<_>>();
    let trimmed = |(start, end): (usize, usize)| {
        let part = &text[start..end];
        let begin = start + part.len() - part.trim_start().len();
        (!part.trim().is_empty()).then(|| begin..begin + part.trim().len())
    };
    starts.into_iter().zip(ends.iter().copied().chain([inside.end])).filter_map(trimmed).collect()
}

fn replaced(text: &str, place: Range<usize>, by: &str) -> String {
    [&text[..place.start], by, &text[place.end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
  "name": "a, \"b\" [c]", "scale": 1.50, "numTraining": 2,
  "training": [
    {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"},
    {"image": "./imagesTr/b.nii.gz"}
  ],
  "test": ["./imagesTs/x.nii.gz", "./imagesTs/y.nii.gz"],
  "empty": []
}
"#;

    #[test]
    fn what_is_not_asked_for_stays_to_the_byte() {
        let text = append(TEXT, "training", r#"{"image": "c"}"#);
        let expected = "{\"image\": \"./imagesTr/b.nii.gz\"},\n    {\"image\": \"c\"}\n  ],";
        assert_eq!(text, TEXT.replace("{\"image\": \"./imagesTr/b.nii.gz\"}\n  ],", expected));
        assert_eq!(set_count(TEXT, "numTraining", 31), TEXT.replace("\"numTraining\": 2", "\"numTraining\": 31"));
        assert_eq!(set_count(TEXT, "numTest", 3), TEXT);
        let labelled = |index| set_member(entry(TEXT, "training", index).expect("it is there"), "label", "\"l\"");
        assert_eq!(set_entry(TEXT, "training", 1, &labelled(1)), TEXT.replace("b.nii.gz\"}", "b.nii.gz\", \"label\": \"l\"}"));
        assert_eq!(set_entry(TEXT, "training", 0, &labelled(0)), TEXT.replace("\"./labelsTr/a.nii.gz\"", "\"l\""));
        assert_eq!(append(TEXT, "empty", "1"), TEXT.replace("\"empty\": []", "\"empty\": [1]"));
        assert_eq!(append("{}", "training", "1"), "{\"training\": [1]}");
        assert_eq!(append("{\"a\": 1}", "training", "1"), "{\"training\": [1],\"a\": 1}");
    }

    #[test]
    fn an_entry_goes_with_its_comma() {
        assert_eq!(remove(TEXT, "test", 0), TEXT.replace("\"./imagesTs/x.nii.gz\", ", ""));
        assert_eq!(remove(TEXT, "test", 1), TEXT.replace(", \"./imagesTs/y.nii.gz\"", ""));
        assert_eq!(remove(&remove(TEXT, "test", 1), "test", 0), TEXT.replace("[\"./imagesTs/x.nii.gz\", \"./imagesTs/y.nii.gz\"]", "[]"));
        for index in 0..3 {
            assert!(serde_json::from_str::<serde_json::Value>(&remove(TEXT, "training", index)).is_ok());
        }
    }
}
