//! Which tensors of a file are a network's, whatever stands in front of their names.
//!
//! Trainers wrap a network in dictionaries and modules (`state_dict`, `model`, `network_weights`, `module.`, `backbone.`,
//! `online_encoder.net.`, ...) without end. A landmark, a tensor that every encoder of a backbone has, shows where
//! its names begin; nothing needs to be known about what stands before.

use std::collections::BTreeMap;

use super::file::{Stored, WeightsFile};
use super::format::StateDictFormat;

/// Words in names of second copies of a network: not what was trained, but its average or its teacher.
const SECOND: &[&str] = &["target", "teacher", "momentum", "ema", "key_encoder", "encoder_k", "optim"];

/// Parts of the names of tensors that a reference's state dict holds but no computation reads as weights.
const NO_WEIGHTS: &[(&str, &str)] = &[
    ("relative_position_index", "an index table, which simtrot computes"),
    ("num_batches_tracked", "a counter"),
    ("attn_mask", "a mask, which simtrot computes"),
    // MONAI makes the norm in every ViT, older versions these others as well, and none reads them.
    ("cross_attn.", "unused by the network"),
    ("patch_embedding.cls_token", "unused by the network"),
];

/// A network found in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What stands in front of the encoder's names.
    pub(super) prefix: String,
    /// What stands in front of the whole network's names; none where the file holds an encoder alone.
    pub(super) root: Option<String>,
    /// Tensors by their names in simtrot: for each its name in the file.
    pub(super) tensors: BTreeMap<String, String>,
    /// Whether the file calls tensors by names that are no longer in use.
    pub(super) older_names: bool,
    /// Tensors that are no weights, and why.
    pub(super) no_weights: Vec<(String, &'static str)>,
    /// Tensors outside the network, and why they are.
    pub(super) outside: Vec<(String, &'static str)>,
}

impl Found {
    /// Looks for a network of the format's backbone; none if its landmark is nowhere in the file.
    pub(super) fn look(file: &WeightsFile, format: &dyn StateDictFormat) -> Option<Self> {
        let names = file.tensors.keys();
        let prefixes: Vec<&str> = names.filter_map(|name| before(name, &|rest| format.current(rest) == format.names().landmark)).collect();
        let second = |prefix: &str| prefix.split('.').any(|part| SECOND.iter().any(|word| part.to_lowercase().contains(word)));
        let prefix = prefixes.iter().min_by_key(|prefix| (second(prefix), prefix.len(), **prefix))?;
        let mut found = Self { prefix: (*prefix).to_owned(), root: root(&file.tensors, prefix, format), ..Self::default() };
        for name in file.tensors.keys() {
            found.sort(name, &prefixes, format);
        }
        Some(found)
    }

    /// The tensors of one of simtrot's own exports, which have simtrot's names.
    pub(super) fn own(file: &WeightsFile, prefix: &str) -> Self {
        let tensors = file.tensors.keys().map(|name| (name.clone(), name.clone())).collect();
        Self { prefix: prefix.to_owned(), root: Some(String::new()), tensors, ..Self::default() }
    }

    /// Sorts one tensor in.
    fn sort(&mut self, name: &str, prefixes: &[&str], format: &dyn StateDictFormat) {
        // A bare encoder's prefix is empty, so that every name begins with it: the longest is a tensor's own.
        let owner = prefixes.iter().filter(|prefix| name.starts_with(**prefix)).max_by_key(|prefix| prefix.len());
        let own = match (owner, &self.root) {
            (Some(prefix), _) if **prefix == self.prefix => {
                let current = format.current(&name[prefix.len()..]);
                self.older_names |= current != name[prefix.len()..];
                format!("{}{current}", format.names().prefix)
            }
            (None, Some(root)) if name.starts_with(root.as_str()) => name[root.len()..].to_owned(),
            _ => {
                let reason = match owner {
                    Some(_) => "of another copy of the network",
                    None if name.to_lowercase().contains("optim") => "of an optimiser",
                    None => "not of the network",
                };
                self.outside.push((name.to_owned(), reason));
                return;
            }
        };
        if let Some((_, reason)) = NO_WEIGHTS.iter().find(|(part, _)| own.contains(part)) {
            self.no_weights.push((name.to_owned(), reason));
        } else if let Some(other) = self.tensors.insert(own, name.to_owned()) {
            self.outside.push((other, "there under another name as well"));
        }
    }
}

/// What stands before the part of a dotted name that `is` recognises.
fn before<'a>(name: &'a str, is: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    let starts = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1));
    starts.map(|start| name.split_at(start)).find(|(_, rest)| is(rest)).map(|(prefix, _)| prefix)
}

/// Where the whole network's names begin, if its other parts stand beside the encoder.
fn root(tensors: &BTreeMap<String, Stored>, prefix: &str, format: &dyn StateDictFormat) -> Option<String> {
    let parent = prefix.strip_suffix('.').map(|path| path.rfind('.').map_or("", |dot| &path[..=dot]))?;
    tensors.contains_key(&format!("{parent}{}", format.names().decoder_landmark)).then(|| parent.to_owned())
}
