//! Imports go down only: every path in `src/` is held against one table.
//!
//! Read are `use` trees and inline paths that start with `crate`, `simtrot`, `super` or `self`, and those into
//! Burn and CubeCL. Comments and strings do not count; tests inside the modules do.

use std::path::{Path, PathBuf};

/// What one module of the crate may know.
struct Layer {
    module: &'static str,
    /// Paths into other modules that it may use, by their beginning.
    imports: &'static [&'static str],
    /// Whether it may know Burn's tensors.
    tensors: bool,
}

/// Plain data: settings, messages, volumes, numbers.
const PLAIN: &[&str] = &[
    "atomic_file",
    "config",
    "corrections",
    "digest",
    "edit",
    "folder_lock",
    "folders",
    "geometry",
    "metrics",
    "next_case",
    "palette",
    "panic_text",
    "protocol",
    "random",
    "results",
    "stop_signal",
    "experiment",
    "text_file",
    "volume",
    "wording",
];
/// What the device does, below the worker.
const COMPUTING: &[&str] = &["device", "infer", "kernels", "model", "nn", "objective", "preprocess", "sampling", "train"];
/// What a front end sees of the side that computes: the worker's handle, reports, and the name of a device.
const REPORTED: &[&str] =
    &["worker", "plan", "configure", "doctor", "bench", "exchange", "device::DeviceChoice", "device::ChoiceError", "device::memory"];

/// Who may use what, lowest first. [`PLAIN`], [`COMPUTING`] and [`REPORTED`] stand for their lists.
#[rustfmt::skip]
const LAYERS: &[Layer] = &[
    Layer { module: "atomic_file",       tensors: false, imports: &[] },
    Layer { module: "random",            tensors: false, imports: &[] },
    Layer { module: "digest",            tensors: false, imports: &[] },
    Layer { module: "panic_text",        tensors: false, imports: &[] },
    Layer { module: "folder_lock",       tensors: false, imports: &["atomic_file"] },
    Layer { module: "folders",           tensors: false, imports: &[] },
    Layer { module: "geometry",          tensors: false, imports: &["random"] },
    Layer { module: "palette",           tensors: false, imports: &[] },
    Layer { module: "stop_signal",       tensors: false, imports: &[] },
    Layer { module: "text_file",         tensors: false, imports: &[] },
    Layer { module: "config",            tensors: false, imports: &["text_file"] },
    Layer { module: "volume",            tensors: false, imports: &["atomic_file", "config", "digest", "folders", "geometry", "palette", "random", "text_file"] },
    Layer { module: "metrics",           tensors: false, imports: &["config", "geometry", "random", "volume"] },
    Layer { module: "edit",              tensors: false, imports: &["digest", "folder_lock", "folders", "geometry", "metrics", "random", "volume"] },
    Layer { module: "protocol",          tensors: false, imports: &["atomic_file", "config", "digest", "folder_lock", "metrics", "volume"] },
    Layer { module: "wording",           tensors: false, imports: &["metrics", "protocol"] },
    Layer { module: "next_case",         tensors: false, imports: &["atomic_file", "protocol", "volume", "wording"] },
    Layer { module: "experiment",        tensors: false, imports: &["PLAIN"] },
    Layer { module: "corrections",       tensors: false, imports: &["PLAIN"] },
    Layer { module: "results",           tensors: false, imports: &["PLAIN"] },
    Layer { module: "preprocess",        tensors: false, imports: &["PLAIN"] },
    Layer { module: "device",            tensors: true,  imports: &["panic_text"] },
    Layer { module: "sampling",          tensors: true,  imports: &["PLAIN", "device", "preprocess"] },
    Layer { module: "kernels",           tensors: true,  imports: &["device", "random"] },
    Layer { module: "nn",                tensors: true,  imports: &["config", "device", "random", "kernels"] },
    Layer { module: "model",             tensors: true,  imports: &["atomic_file", "config", "device", "random", "kernels", "nn"] },
    Layer { module: "objective",         tensors: true,  imports: &["config", "geometry", "device", "random", "kernels", "nn", "model", "sampling"] },
    Layer { module: "infer",             tensors: true,  imports: &["PLAIN", "device", "kernels", "nn", "model", "sampling", "preprocess"] },
    Layer { module: "train",             tensors: true,  imports: &["PLAIN", "COMPUTING"] },
    Layer { module: "exchange",          tensors: true,  imports: &["PLAIN", "COMPUTING"] },
    Layer { module: "plan",              tensors: true,  imports: &["PLAIN", "COMPUTING"] },
    Layer { module: "doctor",            tensors: true,  imports: &["PLAIN", "COMPUTING", "plan"] },
    Layer { module: "bench",             tensors: true,  imports: &["PLAIN", "COMPUTING"] },
    Layer { module: "configure",         tensors: false, imports: &["PLAIN", "COMPUTING", "plan", "bench"] },
    Layer { module: "worker",            tensors: true,  imports: &["PLAIN", "COMPUTING", "plan", "doctor", "bench"] },
    Layer { module: "report",            tensors: false, imports: &["PLAIN"] },
    Layer { module: "terminal",          tensors: false, imports: &["PLAIN", "REPORTED", "report"] },
    Layer { module: "gui",               tensors: false, imports: &["PLAIN", "REPORTED", "report"] },
    Layer { module: "cli",               tensors: false, imports: &["PLAIN", "REPORTED"] },
    Layer { module: "commands",          tensors: false, imports: &["PLAIN", "REPORTED", "report", "terminal", "gui", "cli"] },
    Layer { module: "main",              tensors: false, imports: &["PLAIN", "REPORTED", "report", "terminal", "gui", "cli", "commands"] },
];

#[test]
fn no_source_file_imports_upwards() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 20, "{} files: is {} the source folder?", files.len(), root.display());
    let mut violations = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).expect("found under it").to_string_lossy().replace('\\', "/");
        let source = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        violations.extend(check(&name, &source));
    }
    assert!(violations.is_empty(), "{} upward imports:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn the_checker_finds_what_it_should() {
    let refused = |file: &str, source: &str| check(file, source).len();
    // Upward, in each way to write it.
    assert_eq!(refused("volume/mod.rs", "use crate::train::Trainer;"), 1);
    assert_eq!(refused("volume/mod.rs", "use crate::{config::RunConfig, model::{unetr::Unetr, swin}};"), 2);
    assert_eq!(refused("nn/blocks.rs", "fn f() -> crate::objective::Loss { todo() }"), 1);
    assert_eq!(refused("nn/blocks.rs", "use super::super::objective::Loss;"), 1);
    assert_eq!(refused("random.rs", "use super::train;"), 1);
    assert_eq!(refused("nn/mod.rs", "mod tests { use super::super::objective::Loss; }"), 1);
    assert_eq!(refused("gui/view.rs", "pub use crate::device::{DeviceChoice, open};"), 1);
    assert_eq!(refused("main.rs", "use simtrot::train::pretrain;"), 1);
    // A module without a row.
    assert_eq!(refused("helpers.rs", "fn f() {}"), 1);
    assert_eq!(refused("train/mod.rs", "use crate::helpers::f;"), 1);
    // Tensors where none may be known.
    assert_eq!(refused("report/mod.rs", "use burn::tensor::Tensor;"), 1);
    assert_eq!(refused("config/model.rs", "fn f(t: &burn::tensor::Tensor<1>) {}"), 1);
    assert_eq!(refused("gui/mod.rs", "use cubecl::prelude::*;"), 1);

    // Downward, within a module, and what only looks like an import.
    assert_eq!(refused("train/mod.rs", "use crate::{model, objective::Loss as L, VERSION}; use burn::tensor::Tensor;"), 0);
    assert_eq!(refused("nn/blocks.rs", "use super::attention::Attention; mod tests { use super::*; use super::super::mask; }"), 0);
    assert_eq!(refused("cli.rs", "use crate::device::DeviceChoice; use crate::worker::{self, RunHandle};"), 0);
    assert_eq!(refused("volume/mod.rs", "//! See [`crate::train`].\n/* crate::model */ const A: &str = \"crate::nn \\\" burn::x\";"), 0);
    assert_eq!(refused("volume/mod.rs", "pub(crate) fn f<'a>(c: &'a char) -> bool { *c == '\"' } // crate::train::x"), 0);
}

/// The violations of one file, each as `file:line: what`.
fn check(file: &str, source: &str) -> Vec<String> {
    let modules = module_of(file);
    let Some(own) = modules.first() else { return Vec::new() };
    let Some(layer) = LAYERS.iter().find(|layer| layer.module == own) else {
        return vec![format!("{file}: module `{own}` has no row in the table of layers")];
    };
    let mut violations = Vec::new();
    for (line, path) in paths(source, &modules) {
        let name = path.join("::");
        let problem = match path[0].as_str() {
            "crate" => layer.refusal(&path[1..]),
            external => (is_tensor_crate(external) && !layer.tensors).then(|| format!("`{own}` knows no tensors")),
        };
        violations.extend(problem.map(|problem| format!("{file}:{line}: {name}: {problem}")));
    }
    violations
}

impl Layer {
    /// Why a path from the crate's root may not be used here, if so.
    fn refusal(&self, path: &[String]) -> Option<String> {
        // Constants of the root itself are anybody's.
        let target = path.first().filter(|name| name.starts_with(|c: char| c.is_lowercase()))?;
        if target == self.module {
            return None;
        }
        if !LAYERS.iter().any(|layer| layer.module == target) {
            return Some(format!("module `{target}` has no row in the table of layers"));
        }
        let allowed = self.imports.iter().flat_map(|entry| match *entry {
            "PLAIN" => PLAIN,
            "COMPUTING" => COMPUTING,
            "REPORTED" => REPORTED,
            _ => std::slice::from_ref(entry),
        });
        let fits = |entry: &str| entry.split("::").enumerate().all(|(place, name)| path.get(place).is_some_and(|given| given == name));
        (!allowed.into_iter().any(|entry| fits(entry))).then(|| format!("`{}` may not use it", self.module))
    }
}

fn is_tensor_crate(name: &str) -> bool {
    ["burn", "cubecl", "cubek"].iter().any(|family| name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}

/// `nn/blocks.rs` is `nn::blocks`, `nn/mod.rs` is `nn`, the library's root is nothing.
pub(crate) fn module_of(file: &str) -> Vec<String> {
    let stem = file.trim_end_matches(".rs");
    let parts = stem.split('/').filter(|part| !["mod", "lib"].contains(part));
    parts.map(str::to_owned).collect()
}

/// Every path of a file that starts at a module or at a tensor crate, with its line; modules of the crate start with `crate`.
fn paths(source: &str, file_modules: &[String]) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    // The inline modules around the token, each with the depth of braces it was opened at.
    let (mut inline, mut depth) = (Vec::<(usize, &str)>::new(), 0);
    let mut at = 0;
    while at < tokens.len() {
        let text = |place: usize| tokens.get(place).map_or("", |token: &Token| token.text.as_str());
        match text(at) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inline.retain(|&(opened, _)| opened <= depth);
            }
            "mod" if text(at + 2) == "{" => inline.push((depth + 1, text(at + 1))),
            _ if is_root(text(at)) && text(at + 1) == "::" && text(at.wrapping_sub(1)) != "::" => {
                let mut trees = Vec::new();
                let end = tree(&tokens, at, &[], &mut trees);
                let modules: Vec<_> = file_modules.iter().map(String::as_str).chain(inline.iter().map(|&(_, name)| name)).collect();
                found.extend(trees.into_iter().map(|path| (tokens[at].line, from_root(&path, &modules))));
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn is_root(name: &str) -> bool {
    ["crate", "simtrot", "super", "self"].contains(&name) || is_tensor_crate(name)
}

/// Reads a path, or a tree of them in braces, and returns the place behind it.
pub(crate) fn tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let text = |place: usize| tokens.get(place).map_or("", |token| token.text.as_str());
    loop {
        if text(at) == "{" {
            at += 1;
            while !["}", ""].contains(&text(at)) {
                at = tree(tokens, at, &path, found);
                // `as NAME` and the comma.
                while ![",", "}", ""].contains(&text(at)) {
                    at += 1;
                }
                at += usize::from(text(at) == ",");
            }
            return at + 1;
        }
        if text(at).starts_with(|c: char| c.is_alphabetic() || c == '_') {
            path.push(text(at).to_owned());
            at += 1;
        }
        // `*`, a turbofish or the end.
        if text(at) != "::" || text(at + 1) == "<" {
            found.push(path);
            return at;
        }
        at += 1;
        if text(at) == "*" {
            found.push(path);
            return at + 1;
        }
    }
}

/// A path with `super`, `self` and the crate's own name resolved; `modules` is where it stands.
pub(crate) fn from_root(path: &[String], modules: &[&str]) -> Vec<String> {
    let mut base: Vec<String> = match path[0].as_str() {
        "crate" | "simtrot" => Vec::new(),
        "super" | "self" => modules.iter().map(|&name| name.to_owned()).collect(),
        _ => return path.to_vec(),
    };
    for name in path {
        match name.as_str() {
            "super" => drop(base.pop()),
            "crate" | "simtrot" | "self" => {}
            _ => base.push(name.clone()),
        }
    }
    base.insert(0, "crate".to_owned());
    base
}

pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Names, `::` and single signs; comments, strings, characters and lifetimes left out.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if rest.starts_with("r#\"") => rest[3..].find("\"#").map_or(rest.len(), |end| end + 5),
            '"' => quoted(rest, '"'),
            '\'' if rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\'') => quoted(rest, '\''),
            _ if rest.starts_with("::") => 2,
            _ if first.is_alphanumeric() || first == '_' => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let text = &rest[..length];
        let silent = text.starts_with("//") || text.starts_with("/*") || text.contains('"') || first == '\'' || first.is_whitespace();
        if !silent {
            tokens.push(Token { text: text.to_owned(), line });
        }
        line += text.matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// Length of a literal in `quote`s, with its escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return place + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

pub(crate) fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
