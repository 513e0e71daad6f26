//! The part of a network that was taken from a file, and what became of every tensor.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;

use super::adapt;
use super::error::ExchangeError;
use super::format::{self, Crops, Extra, Table};
use super::metadata::{ExportMetadata, crop_size};
use super::report::{ImportReport, Left};
use super::source::{ImportJob, Network, Source};
use crate::config::ModelConfig;
use crate::model::{Encoder, HostTensor, LoadReport, NamedWeights, Segmenter, Task, load_named};
use crate::protocol::StageKind;
use crate::train::{CheckpointInfo, untrained};

/// The part of a network that was taken from a file.
pub(super) struct Imported {
    kind: StageKind,
    tensors: BTreeMap<String, HostTensor>,
    loaded: LoadReport,
    adapted: Vec<String>,
    /// Whether position tables were resampled to another crop or window, as asked for.
    resampled: bool,
    /// Why the rest of the network was not taken, if the file has some of it.
    rest: Option<String>,
}

/// Settings of the position tables' grids, which may change where the tables are resampled to them.
const RESAMPLED: [&str; 2] = ["window_size", "crop_size in patches"];

/// How far a table that simtrot computes may lie from the file's.
const COMPUTED_TOLERANCE: f32 = 1e-5;

impl Imported {
    /// The largest part that is complete: the whole network, or an encoder with the heads it was trained with, or the encoder.
    ///
    /// An encoder that is not complete is handed out as it is.
    pub(super) fn load(job: &ImportJob, source: &Source<'_>, network: &Network) -> Result<Self, ExchangeError> {
        let device = Device::flex();
        let (config, channels) = (&network.config, network.dataset.channels.len());
        let from = |kind| Attempt { job, source, network, kind };
        let larger = if source.is_whole() {
            let task = Task { channels, classes: network.dataset.labels.len(), crop_size: config.finetune.crop_size };
            Some(from(StageKind::Finetune).load(Segmenter::init(&config.model, &task, config.seed, &device))?)
        } else if source.metadata.is_some_and(ExportMetadata::has_own_names) {
            Some(from(StageKind::Pretrain).load(untrained(&network.info(StageKind::Pretrain), &device))?)
        } else {
            None
        };
        let rest = match larger {
            None => None,
            Some(larger) => match larger.fault_outside(format::prefix(&config.model)) {
                None => return Ok(larger),
                some => some,
            },
        };
        let task = Task { channels, classes: 0, crop_size: config.pretrain.crop_size };
        let encoder = from(StageKind::Pretrain).load(Encoder::init(&config.model, &task, config.seed, &device))?;
        Ok(Self { rest, ..encoder })
    }

    /// What is wrong, if something is and nothing with the encoder.
    fn fault_outside(&self, prefix: &str) -> Option<String> {
        let LoadReport { missing, mismatched, .. } = &self.loaded;
        let faults: Vec<&String> = missing.iter().chain(mismatched.iter().map(|mismatch| &mismatch.name)).collect();
        let first = faults.first().filter(|_| !faults.iter().any(|name| name.starts_with(prefix)))?;
        Some(format!("the rest of the network is not complete: {} tensors are missing or of another shape, as {first}", faults.len()))
    }

    /// What of the file's encoder is left behind or computes otherwise, adaptations apart: settings with both values, and tensors.
    pub(super) fn differences(&self, source: &Source<'_>, network: &Network) -> Result<Vec<String>, ExchangeError> {
        let config = &network.config;
        let crop_size = crop_size(config, self.kind);
        let settings = source.differences(&config.model, crop_size).into_iter();
        let settings = settings.filter(|difference| !(self.resampled && RESAMPLED.iter().any(|name| difference.key.ends_with(name))));
        let settings: Vec<String> = settings.map(|difference| difference.describe(["in the file", "as the flags say"])).collect();
        let left = self.left_of_encoder(source, &config.model, crop_size)?;
        // Shapes that fit show no difference by themselves: a ratio of widths may be rounded.
        let shown = source.metadata.is_some() || !left.is_empty();
        Ok(settings.into_iter().filter(|_| shown).chain(left).collect())
    }

    /// The encoder's tensors that the network has no place for, unless they are what it computes.
    fn left_of_encoder(&self, source: &Source<'_>, model: &ModelConfig, crop_size: [usize; 3]) -> Result<Vec<String>, ExchangeError> {
        let (prefix, format) = (format::prefix(model), source.format());
        let computed = format.map(|format| format.extras(model, crop_size, &self.tensors)).unwrap_or_default();
        let mut left = Vec::new();
        for (own, name) in source.found.tensors.iter().filter(|(own, _)| !self.tensors.contains_key(*own)) {
            let Some(inside) = own.strip_prefix(prefix) else { continue };
            if format.is_some_and(|format| !format.names().computes.iter().any(|start| inside.starts_with(start))) {
                continue;
            }
            match computed.get(own) {
                Some(Extra::Numbers(computed)) if alike(computed, &source.file.read(name)?) => {}
                Some(_) => left.push(format!("{name} is not what simtrot computes in its place")),
                None => left.push(format!("{name} has no place in the network")),
            }
        }
        Ok(left)
    }

    /// What became of every tensor, and the checkpoint's weights.
    pub(super) fn account(self, source: &Source<'_>, network: &Network) -> (ImportReport, BTreeMap<String, HostTensor>) {
        let Self { kind, tensors: mut weights, loaded, adapted, resampled: _, rest } = self;
        let Source { file, found, .. } = source;
        let left = |name: &str, why: &str| Left { name: name.to_owned(), shape: file.tensors[name].shape.clone(), why: why.to_owned() };
        let unused = found.tensors.iter().filter(|(own, _)| !weights.contains_key(*own));
        let prefix = format::prefix(&network.config.model);
        let why = |own: &str| rest.as_deref().filter(|_| !own.starts_with(prefix)).unwrap_or("the network has no such tensor");
        let mut skipped: Vec<_> = unused.map(|(own, name)| left(name, why(own))).collect();
        skipped.extend(found.outside.iter().map(|(name, why)| left(name, why)));
        for mismatch in &loaded.mismatched {
            weights.remove(&mismatch.name);
        }
        let converted = loaded.matched.iter().map(|own| &file.tensors[&found.tensors[own]].element);
        let converted: BTreeSet<String> =
            converted.filter(|element| **element != safetensors::Dtype::F32).map(|element| format!("{element:?}")).collect();
        let mut notes = network.notes.clone();
        if !converted.is_empty() {
            notes.push(format!("converted to float32 from {}", converted.into_iter().collect::<Vec<_>>().join(", ")));
        }
        let report = ImportReport {
            file: file.path.clone(),
            container: file.container,
            sha256: file.sha256.clone(),
            backbone: network.config.model.backbone().title(),
            prefix: found.prefix.clone(),
            kind,
            size: network.size.clone(),
            parameters: network.config.model.hyper_parameters(),
            crop_size: network.config.finetune.crop_size,
            channels: network.dataset.channels.len(),
            classes: network.dataset.labels.len(),
            notes,
            matched: loaded.matched.iter().map(|own| (own.clone(), found.tensors[own].clone())).collect(),
            values: weights.values().map(|tensor| tensor.values.len()).sum(),
            adapted,
            missing: loaded.missing,
            mismatched: loaded.mismatched.into_iter().map(|m| (m.name, m.expected, m.found)).collect(),
            no_weights: found.no_weights.iter().map(|(name, why)| left(name, why)).collect(),
            skipped,
            checkpoint: None,
        };
        (report, weights)
    }
}

fn alike(computed: &HostTensor, found: &HostTensor) -> bool {
    let close = |(one, other): (&f32, &f32)| (one - other).abs() <= COMPUTED_TOLERANCE;
    computed.shape == found.shape && computed.values.iter().zip(&found.values).all(close)
}

/// One way to take a file.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    job: &'a ImportJob,
    source: &'a Source<'a>,
    network: &'a Network,
    kind: StageKind,
}

impl Attempt<'_> {
    /// Reads what `module` has room for, adapts it, and tries it on.
    fn load<M: NamedWeights>(self, module: M) -> Result<Imported, ExchangeError> {
        let Source { file, found, .. } = self.source;
        let (module, nothing) = load_named(module, &BTreeMap::new());
        let wanted: BTreeSet<String> = nothing.missing.into_iter().collect();
        let present = found.tensors.iter().filter(|(own, _)| wanted.contains(*own));
        let read = present.map(|(own, name)| Ok((own.clone(), file.read(name)?)));
        let mut tensors = read.collect::<Result<_, ExchangeError>>()?;
        let (adapted, resampled) = self.adapt(&mut tensors)?;
        let (_, loaded) = load_named(module, &tensors);
        Ok(Imported { kind: self.kind, tensors, loaded, adapted, resampled, rest: None })
    }

    /// Adapts tensors where that was asked for, and says what was done, and whether position tables were among them.
    fn adapt(self, tensors: &mut BTreeMap<String, HostTensor>) -> Result<(Vec<String>, bool), ExchangeError> {
        let Self { job, source, network, kind } = self;
        let (mut done, mut resampled) = (Vec::new(), false);
        let asked = job.adapt_stem.is_some() || job.adapt_position.is_some();
        let Some(format) = source.format() else {
            let refusal = format!("{}: nothing of this backbone can be adapted", source.file.path.display());
            return if asked { Err(ExchangeError::Refused(refusal)) } else { Ok((done, resampled)) };
        };
        let channels = format.channels(&source.shapes, &network.config.model).unwrap_or(0);
        if let Some(wanted) = job.adapt_stem.filter(|&wanted| wanted != channels && channels > 0) {
            for name in format.names().stem {
                let Some(tensor) = tensors.get_mut(*name) else { continue };
                *tensor = adapt::stem(tensor, channels, wanted);
                done.push(format!("{name}: {channels} -> {wanted} image channels, each the sum of the old ones divided by {wanted}"));
            }
        }
        if let Some(position_crop) = job.adapt_position {
            let to = crop_size(&network.config, kind);
            // A header gives the file's crop, which the number of rows alone may not.
            let known = source.metadata.map(ExportMetadata::crop_size).filter(|&from| from != to);
            let tables = format.tables(&source.shapes, &network.config.model, Crops { from: position_crop.or(known), to });
            for Table { name, from, to } in tables.map_err(ExchangeError::Refused)? {
                let Some(tensor) = tensors.get_mut(&name) else { continue };
                *tensor = adapt::table(tensor, from, to);
                resampled = true;
                done.push(format!("{name}: resampled trilinearly from {from:?} to {to:?}"));
            }
        }
        Ok((done, resampled))
    }
}

impl Network {
    /// As a checkpoint says it.
    pub(super) fn info(&self, kind: StageKind) -> CheckpointInfo {
        CheckpointInfo { convention: self.convention, ..CheckpointInfo::new(kind, self.step, &self.config, &self.dataset) }
    }
}
