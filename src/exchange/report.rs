//! What became of every tensor of an imported file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::protocol::StageKind;

/// From this many on, tensors that are left for one reason are counted rather than listed.
const MANY: usize = 12;

/// What became of every tensor of an imported file.
#[derive(Clone, Debug, Serialize)]
pub struct ImportReport {
    /// The file.
    pub file: PathBuf,
    /// How it is packed.
    pub container: &'static str,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// The backbone, as its authors write it.
    pub backbone: &'static str,
    /// What stands before the encoder's names in the file.
    pub prefix: String,
    /// Whether it became an encoder (pre-training) or a whole network (fine-tuning).
    pub kind: StageKind,
    /// How the network's size is known.
    pub size: String,
    /// Its hyper-parameters, as text.
    pub parameters: String,
    /// The crop that the checkpoint is for, D,H,W.
    pub crop_size: [usize; 3],
    /// Image channels.
    pub channels: usize,
    /// Classes, background included; 0 for an encoder alone.
    pub classes: usize,
    /// What was assumed or converted.
    pub notes: Vec<String>,
    /// Tensors taken over: name in simtrot, name in the file.
    pub matched: Vec<(String, String)>,
    /// Numbers in them.
    pub values: usize,
    /// What was changed on the way, where that was asked for.
    pub adapted: Vec<String>,
    /// Tensors that the network has and the file lacks.
    pub missing: Vec<String>,
    /// Tensors with the right name and another shape: name in simtrot, shape in the network, shape in the file.
    pub mismatched: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors that are no weights.
    pub no_weights: Vec<Left>,
    /// Tensors that were left behind.
    pub skipped: Vec<Left>,
    /// Where the checkpoint lies; none if it was refused.
    pub checkpoint: Option<PathBuf>,
}

/// A tensor of the file that the checkpoint does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its name in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Why it was left.
    pub why: String,
}

impl ImportReport {
    /// What to do about an incomplete encoder.
    pub(super) fn advice(&self) -> &'static str {
        // The image channels are read off the file, so that a stem never fails for their sake.
        if self.missing.is_empty() && self.mismatched.iter().all(|(name, ..)| name.contains("position")) {
            "its position tables are for another crop or window: name theirs, or add --adapt-position to resample them"
        } else {
            "name the size it has with --preset or --set, or leave both out so that it is read off the file"
        }
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, container, sha256, backbone, prefix, kind, .. } = self;
        let what = if *kind == StageKind::Finetune { "whole network" } else { "encoder" };
        writeln!(f, "file         {} ({container})", file.display())?;
        writeln!(f, "sha256       {sha256}")?;
        writeln!(f, "network      {backbone}, {what}; the encoder's names begin with {prefix:?}")?;
        writeln!(f, "size         {}", self.size)?;
        writeln!(f, "parameters   {}", self.parameters)?;
        let [depth, height, width] = self.crop_size;
        writeln!(f, "crop         {depth}x{height}x{width}")?;
        writeln!(f, "channels     {}", self.channels)?;
        if self.classes > 0 {
            writeln!(f, "classes      {}", self.classes)?;
        }
        for note in &self.notes {
            writeln!(f, "note         {note}")?;
        }
        writeln!(f, "matched      {} tensors, {} values", self.matched.len(), self.values)?;
        section(f, "adapted", self.adapted.len(), &self.adapted)?;
        section(f, "missing", self.missing.len(), &self.missing)?;
        let mismatched: Vec<_> =
            self.mismatched.iter().map(|(name, own, found)| format!("{name}: the network has {own:?}, the file {found:?}")).collect();
        section(f, "mismatched", mismatched.len(), &mismatched)?;
        let kind = |name: &str| name.rsplit('.').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(".");
        section(f, "no weights", self.no_weights.len(), &grouped(&self.no_weights, &|name| format!("*.{}", kind(name)), 1))?;
        let top = |name: &str| format!("{}.*", name.split('.').next().unwrap_or_default());
        section(f, "skipped", self.skipped.len(), &grouped(&self.skipped, &top, MANY))?;
        match &self.checkpoint {
            Some(checkpoint) => write!(f, "checkpoint   {}", checkpoint.display()),
            None => write!(f, "checkpoint   none"),
        }
    }
}

fn section(f: &mut fmt::Formatter<'_>, name: &str, count: usize, lines: &[String]) -> fmt::Result {
    writeln!(f, "{name:12} {count}")?;
    lines.iter().try_for_each(|line| writeln!(f, "    {line}"))
}

/// One line for each tensor; `many` or more that share reason and group become one line.
fn grouped(left: &[Left], group: &dyn Fn(&str) -> String, many: usize) -> Vec<String> {
    let mut groups: BTreeMap<(String, &str), Vec<&Left>> = BTreeMap::new();
    for tensor in left {
        groups.entry((group(&tensor.name), &tensor.why)).or_default().push(tensor);
    }
    let lines = groups.into_iter().map(|((group, why), tensors)| match tensors.len() {
        count if count >= many => vec![format!("{group} ({count}): {why}")],
        _ => tensors.iter().map(|tensor| format!("{} {:?}: {why}", tensor.name, tensor.shape)).collect(),
    });
    lines.flatten().collect()
}
