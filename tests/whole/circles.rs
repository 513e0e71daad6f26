//! No circle of files: whatever a file of `src/` imports does not import it back, directly or through others.
//!
//! A name is followed through the `use` lines that hand it on to the file that defines it. A `mod.rs` that only declares and re-exports its
//! children depends on none of them. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::imports::{Token, from_root, module_of, rust_files, tokens, tree};

/// Rooms whose files still go round in circles: to be parted, and then struck from this list.
const TO_BE_PARTED: &[&str] = &[];

/// What one file says about others.
#[derive(Default)]
struct File {
    /// Names that `use` lines bring in, with where they come from.
    names: BTreeMap<String, Vec<String>>,
    /// Paths that the file itself needs: all but its `pub use` lines.
    needs: Vec<Vec<String>>,
}

#[test]
fn no_file_is_part_of_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    rust_files(&root, &mut paths);
    let sources = paths.iter().map(|path| {
        let name = path.strip_prefix(&root).expect("found under it").to_string_lossy().replace('\\', "/");
        (name, std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    });
    let circles = circles(&sources.collect::<Vec<_>>());
    let room = |files: &[String]| files[0].split(['/', '.']).next().expect("a name").to_owned();
    let rooms: BTreeSet<String> = circles.iter().map(|files| room(files)).collect();
    let lines: Vec<String> =
        circles.iter().filter(|files| !TO_BE_PARTED.contains(&room(files).as_str())).map(|files| files.join(" <-> ")).collect();
    assert!(lines.is_empty(), "{} circles of files:\n{}", lines.len(), lines.join("\n"));
    for room in TO_BE_PARTED {
        assert!(rooms.contains(*room), "{room} has no circle any more: strike it from the list");
    }
}

#[test]
fn the_checker_finds_circles_and_nothing_else() {
    let of = |files: &[(&str, &str)]| circles(&files.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect::<Vec<_>>());
    let two = [("a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;"), ("a/b.rs", "use super::C; pub struct B;")];
    assert!(of(&[two[0], two[1], ("a/c.rs", "pub struct C;")]).is_empty(), "a child may use a sibling");
    assert_eq!(of(&[two[0], two[1], ("a/c.rs", "use super::B; pub struct C;")]), [["a/b.rs", "a/c.rs"]]);
    assert_eq!(of(&[two[0], two[1], ("a/c.rs", "fn f() { crate::a::b::B }")]), [["a/b.rs", "a/c.rs"]]);
    assert_eq!(of(&[two[0], two[1], ("a/c.rs", "#[cfg(test)] mod tests { use crate::a::B; }")]).len(), 0, "tests may use anything");
    let parent = ("a/mod.rs", "mod b; use b::f; pub struct A; fn g() { f() }");
    assert_eq!(of(&[parent, ("a/b.rs", "use super::A; pub fn f() {}")]), [["a/b.rs", "a/mod.rs"]]);
    assert!(of(&[parent, ("a/b.rs", "pub fn f() {}")]).is_empty());
    assert!(of(&[parent, ("a/b.rs", "pub(in crate::a) fn f() {}")]).is_empty(), "who sees it is no import");
}

/// Files that depend on each other, each group in order.
fn circles(sources: &[(String, String)]) -> Vec<Vec<String>> {
    let is_test = |name: &str| name.ends_with("tests.rs") || name.contains("/tests/");
    let known: BTreeMap<Vec<String>, &str> =
        sources.iter().filter(|(name, _)| !is_test(name)).map(|(name, _)| (with_crate(&module_of(name)), name.as_str())).collect();
    let files: BTreeMap<&str, File> = sources
        .iter()
        .filter(|(name, _)| !is_test(name))
        .map(|(name, source)| (name.as_str(), read(&with_crate(&module_of(name)), source, &known)))
        .collect();
    let edges: BTreeMap<&str, BTreeSet<&str>> = files
        .iter()
        .map(|(&name, file)| {
            (name, file.needs.iter().filter_map(|path| definer(path, &known, &files, 0)).filter(|&to| to != name).collect())
        })
        .collect();
    let reach: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|&name| (name, reachable(name, &edges))).collect();
    let groups: BTreeSet<Vec<String>> = reach
        .iter()
        .filter(|(name, reached)| reached.contains(*name))
        .map(|(&name, reached)| reached.iter().filter(|&&other| reach[other].contains(name)).map(|&other| other.to_owned()).collect())
        .collect();
    groups.into_iter().collect()
}

fn with_crate(module: &[String]) -> Vec<String> {
    std::iter::once("crate".to_owned()).chain(module.iter().cloned()).collect()
}

fn reachable<'a>(from: &str, edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = edges[from].iter().copied().collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(&edges[next]);
        }
    }
    found
}

/// The file that defines what a path names.
fn definer<'a>(path: &[String], known: &BTreeMap<Vec<String>, &'a str>, files: &BTreeMap<&'a str, File>, depth: usize) -> Option<&'a str> {
    let length = (1..=path.len()).rev().find(|&length| known.contains_key(&path[..length]))?;
    let file = known[&path[..length]];
    let Some(name) = path.get(length) else { return Some(file) };
    match files[file].names.get(name) {
        Some(origin) if depth < 8 => {
            let further: Vec<String> = origin.iter().chain(&path[length + 1..]).cloned().collect();
            definer(&further, known, files, depth + 1).or(Some(file))
        }
        _ => Some(file),
    }
}

/// Reads the paths of one file; `module` is where it stands.
fn read(module: &[String], source: &str, known: &BTreeMap<Vec<String>, &str>) -> File {
    let tokens = without_tests(&tokens(source));
    let text = |at: usize| tokens.get(at).map_or("", |token: &Token| token.text.as_str());
    let modules: Vec<&str> = module[1..].iter().map(String::as_str).collect();
    let mut file = File::default();
    let (mut at, mut using, mut public) = (0, false, false);
    while at < tokens.len() {
        match text(at) {
            "use" => {
                using = true;
                public = at > 0 && ["pub", ")"].contains(&text(at - 1));
            }
            ";" => using = false,
            // Who may see a thing is no need of it.
            "in" if at > 1 && [text(at - 2), text(at - 1)] == ["pub", "("] => {
                while at < tokens.len() && text(at) != ")" {
                    at += 1;
                }
            }
            name if text(at + 1) == "::" && !["::", "."].contains(&text(at.wrapping_sub(1))) => {
                let child: Vec<String> = module.iter().cloned().chain([name.to_owned()]).collect();
                let rooted = ["crate", "simtrot", "super", "self"].contains(&name);
                if rooted || known.contains_key(&child) {
                    let mut trees = Vec::new();
                    let end = tree(&tokens, at, &[], &mut trees);
                    for path in trees {
                        let path = if rooted { from_root(&path, &modules) } else { module.iter().cloned().chain(path).collect() };
                        if using && let Some(name) = path.last() {
                            file.names.insert(name.clone(), path.clone());
                        }
                        if !(using && public) {
                            file.needs.push(path);
                        }
                    }
                    at = end.max(at + 1);
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    file
}

/// Leaves out what stands behind `#[cfg(test)]`, up to the end of its block or line.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let text = |place: usize| tokens.get(place).map_or("", |token| token.text.as_str());
        if ["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(offset, sign)| text(at + offset) == *sign) {
            let mut depth = 0;
            while at < tokens.len() {
                depth += i32::from(text(at) == "{") - i32::from(text(at) == "}");
                let ends = depth == 0 && ["}", ";"].contains(&text(at));
                at += 1;
                if ends {
                    break;
                }
            }
        } else {
            kept.push(Token { text: text(at).to_owned(), line: tokens[at].line });
            at += 1;
        }
    }
    kept
}
