//! Where a checkpoint comes from, as a page.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::ExchangeError;
use super::file::WeightsFile;
use super::format;
use crate::config::{RunConfig, differing_settings};
use crate::protocol::StageKind;
use crate::train::{Checkpoint, CheckpointInfo};

/// What a checkpoint says of itself.
#[derive(Debug, Serialize)]
pub struct Page {
    /// Its folder.
    pub place: PathBuf,
    /// What it is of and where it came from.
    pub info: CheckpointInfo,
    /// The backbone, as its authors write it.
    pub backbone: &'static str,
    /// Numbers in the encoder.
    pub encoder_parameters: usize,
    /// Numbers in all.
    pub parameters: usize,
    /// SHA-256 of the weights file.
    pub weights_sha256: String,
    /// Its files with their bytes.
    pub files: Vec<(String, u64)>,
    /// Settings that are not the defaults, those of the network and of a run's arms left out: key and value.
    pub departures: Vec<(String, String)>,
}

/// Reads a checkpoint's page; `path` is its folder or a run's.
///
/// # Errors
/// No readable checkpoint.
pub fn show(path: &Path) -> Result<Page, ExchangeError> {
    let place = Checkpoint::locate(path)?;
    let info = Checkpoint::read_info(&place)?;
    let weights = WeightsFile::open(&Checkpoint::weights_file(&place))?;
    let prefix = format::prefix(&info.config.model);
    let count = |(_, tensor): (_, &super::file::Stored)| tensor.shape.iter().product::<usize>();
    let encoder_parameters = weights.tensors.iter().filter(|(name, _)| name.starts_with(prefix)).map(count).sum();
    let parameters = weights.tensors.iter().map(count).sum();
    let io = |cause| ExchangeError::Io { path: place.clone(), cause };
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()))
    };
    let mut files = std::fs::read_dir(&place).map_err(io)?.map(file).collect::<std::io::Result<Vec<_>>>().map_err(io)?;
    files.sort();
    let [default, own] = [&RunConfig::default(), &info.config].map(settings);
    let departures = differing_settings(&default, &own).into_iter().map(|(key, [_, own])| (key, own.to_string())).collect();
    let backbone = info.config.model.backbone().title();
    Ok(Page { backbone, encoder_parameters, parameters, weights_sha256: weights.sha256, files, departures, place, info })
}

/// The settings without the network, which is shown in full, and without what else its run compared.
fn settings(config: &RunConfig) -> Map<String, Value> {
    let Ok(Value::Object(mut settings)) = serde_json::to_value(config) else { unreachable!("a config is a map") };
    ["model", "arms"].iter().for_each(|key| drop(settings.remove(*key)));
    settings
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, info, backbone, encoder_parameters, parameters, weights_sha256, files, departures } = self;
        writeln!(f, "checkpoint   {}", place.display())?;
        let kind = if info.kind == StageKind::Finetune { "fine-tuned network" } else { "pre-trained encoder" };
        writeln!(f, "kind         {kind}, after {} step{}", info.step, if info.step == 1 { "" } else { "s" })?;
        if let Some(best) = info.best {
            let figure = if info.kind == StageKind::Finetune { "mean Dice on validation cases" } else { "lowest loss" };
            writeln!(f, "best         {best:.4}, the {figure}")?;
        }
        writeln!(f, "network      {backbone}: {}", info.config.model.hyper_parameters())?;
        writeln!(f, "parameters   {parameters}, of them {encoder_parameters} in the encoder")?;
        let cases = info.cases.map_or_else(String::new, |cases| format!(", trained on {cases} cases"));
        writeln!(f, "data         {}{cases}", info.dataset.name)?;
        writeln!(f, "channels     {}", info.dataset.channels.join(", "))?;
        let labels: Vec<_> = info.dataset.labels.iter().map(|(value, name)| format!("{value} {name}")).collect();
        writeln!(f, "labels       {}", if labels.is_empty() { "none".to_owned() } else { labels.join(", ") })?;
        writeln!(f, "program      simtrot {}, commit {}", info.version, info.commit)?;
        if let Some(origin) = &info.origin {
            let adapted = if origin.adapted.is_empty() { "nothing adapted".to_owned() } else { origin.adapted.join("; ") };
            writeln!(f, "imported     from a {}; {adapted}", origin.container)?;
        }
        let parents = if info.parents.is_empty() { vec!["none: from scratch".to_owned()] } else { info.parents.clone() };
        rows(f, "parents", &parents)?;
        let settings: Vec<_> = departures.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        rows(f, "settings", &if settings.is_empty() { vec!["the defaults".to_owned()] } else { settings })?;
        let files: Vec<_> = files.iter().map(|(name, bytes)| format!("{name} {:.1} KiB", *bytes as f64 / 1024.0)).collect();
        rows(f, "files", &files)?;
        write!(f, "sha256       {weights_sha256} (weights)")
    }
}

/// A name before the first of several lines.
fn rows(f: &mut fmt::Formatter<'_>, name: &str, lines: &[String]) -> fmt::Result {
    lines.iter().enumerate().try_for_each(|(index, line)| writeln!(f, "{:12} {line}", if index == 0 { name } else { "" }))
}
