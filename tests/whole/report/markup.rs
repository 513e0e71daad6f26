//! A small reader of HTML, as strict as a page that is written by a program can be.

/// Elements without an end tag.
const VOID: [&str; 2] = ["meta", "br"];
/// A start tag with its attributes, unescaped quotes taken off.
#[derive(Debug)]
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

/// All start tags of a page.
///
/// # Panics
/// Where a tag is not closed, closed out of order, or an attribute is not quoted.
pub fn tags(page: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("the page begins with its doctype");
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>') || open.last().is_some_and(|name| name == "style"), "a stray > in {:?}", &rest[..start]);
        rest = &rest[start + 1..];
        if let Some(end) = rest.strip_prefix('/') {
            let (name, after) = end.split_once('>').expect("an end tag ends");
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
            rest = after;
            continue;
        }
        let (tag, closed, after) = start_tag(rest);
        rest = after;
        if tag.name == "style" {
            let end = rest.find("</style>").expect("the style sheet ends");
            rest = &rest[end..];
        }
        if !closed && !VOID.contains(&tag.name.as_str()) {
            open.push(tag.name.clone());
        }
        tags.push(tag);
    }
    assert!(open.is_empty(), "left open: {open:?}");
    tags
}

fn start_tag(text: &str) -> (Tag, bool, &str) {
    let name_end = text.find(|c: char| !c.is_ascii_alphanumeric()).expect("a tag ends");
    let mut tag = Tag { name: text[..name_end].to_owned(), attributes: Vec::new() };
    assert!(!tag.name.is_empty(), "a stray < before {:?}", &text[..text.len().min(40)]);
    let mut rest = text[name_end..].trim_start();
    loop {
        if let Some(after) = rest.strip_prefix("/>") {
            return (tag, true, after);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, false, after);
        }
        let name_end = rest.find(['=', '>', ' ']).expect("an attribute ends");
        let name = rest[..name_end].to_owned();
        rest = &rest[name_end..];
        let value = match rest.strip_prefix("=\"") {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"').expect("a quoted value ends");
                rest = after;
                value.to_owned()
            }
            None => panic!("attribute {name:?} of <{}> has no quoted value", tag.name),
        };
        tag.attributes.push((name, value));
        rest = rest.trim_start();
    }
}
