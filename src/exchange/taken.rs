//! The part of a network that was taken from a file, and what became of every tensor.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;

use super::dialect::{self, Crops, Table};
use super::source::{Network, Source, hyper_parameters};
use super::{ExchangeError, ImportJob, ImportReport, Left, adapt};
use crate::model::{Encoder, HostTensor, LoadReport, NamedWeights, Segmenter, Task, load_named};
use crate::protocol::StageKind;
use crate::train::{CheckpointInfo, untrained};

/// The part of a network that was taken from a file.
pub(super) struct Taken {
    kind: StageKind,
    tensors: BTreeMap<String, HostTensor>,
    loaded: LoadReport,
    adapted: Vec<String>,
    /// Why the rest of the network was not taken, if the file has some of it.
    rest: Option<String>,
}

impl Taken {
    /// The largest part that is complete: the whole network, or an encoder with the heads it was trained with, or the encoder.
    ///
    /// An encoder that is not complete is handed out as it is.
    pub(super) fn from(job: &ImportJob, source: &Source<'_>, network: &Network) -> Result<Self, ExchangeError> {
        let device = Device::flex();
        let (config, channels) = (&network.config, network.dataset.channels.len());
        let from = |kind| Attempt { job, source, network, kind };
        let larger = if source.is_whole() {
            let task = Task { channels, classes: network.dataset.labels.len(), crop_size: config.finetune.crop_size };
            Some(from(StageKind::Finetune).load(Segmenter::init(&config.model, &task, config.seed, &device))?)
        } else if source.recipe.is_some_and(super::recipe::Recipe::has_own_names) {
            Some(from(StageKind::Pretrain).load(untrained(&network.info(StageKind::Pretrain), &device))?)
        } else {
            None
        };
        let rest = match larger {
            None => None,
            Some(larger) => match larger.fault_outside(dialect::prefix(&config.model)) {
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

    /// What became of every tensor, and the checkpoint's weights.
    pub(super) fn account(self, source: &Source<'_>, network: &Network) -> (ImportReport, BTreeMap<String, HostTensor>) {
        let Self { kind, tensors: mut weights, loaded, adapted, rest } = self;
        let Source { file, found, .. } = source;
        let left = |name: &str, why: &str| Left { name: name.to_owned(), shape: file.tensors[name].shape.clone(), why: why.to_owned() };
        let unused = found.tensors.iter().filter(|(own, _)| !weights.contains_key(*own));
        let prefix = dialect::prefix(&network.config.model);
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
            parameters: hyper_parameters(&network.config.model),
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
    fn load<M: NamedWeights>(self, module: M) -> Result<Taken, ExchangeError> {
        let Source { file, found, .. } = self.source;
        let (module, nothing) = load_named(module, &BTreeMap::new());
        let wanted: BTreeSet<String> = nothing.missing.into_iter().collect();
        let present = found.tensors.iter().filter(|(own, _)| wanted.contains(*own));
        let read = present.map(|(own, name)| Ok((own.clone(), file.read(name)?)));
        let mut tensors = read.collect::<Result<_, ExchangeError>>()?;
        let adapted = self.adapt(&mut tensors)?;
        let (_, loaded) = load_named(module, &tensors);
        Ok(Taken { kind: self.kind, tensors, loaded, adapted, rest: None })
    }

    /// Adapts tensors where that was asked for, and says what was done.
    fn adapt(self, tensors: &mut BTreeMap<String, HostTensor>) -> Result<Vec<String>, ExchangeError> {
        let Self { job, source, network, kind } = self;
        let mut done = Vec::new();
        let asked = job.adapt_stem.is_some() || job.adapt_position;
        let Some(dialect) = source.dialect() else {
            let refusal = format!("{}: nothing of this backbone can be adapted", source.file.path.display());
            return if asked { Err(ExchangeError::Refused(refusal)) } else { Ok(done) };
        };
        let channels = dialect.channels(&source.shapes, &network.config.model).unwrap_or(0);
        if let Some(wanted) = job.adapt_stem.filter(|&wanted| wanted != channels && channels > 0) {
            for name in dialect.stem() {
                let Some(tensor) = tensors.get_mut(*name) else { continue };
                *tensor = adapt::stem(tensor, channels, wanted);
                done.push(format!("{name}: {channels} -> {wanted} image channels, each the sum of the old ones divided by {wanted}"));
            }
        }
        if job.adapt_position {
            let to = if kind == StageKind::Finetune { network.config.finetune.crop_size } else { network.config.pretrain.crop_size };
            let tables = dialect.tables(&source.shapes, &network.config.model, Crops { from: job.position_crop, to });
            for Table { name, from, to } in tables.map_err(ExchangeError::Refused)? {
                let Some(tensor) = tensors.get_mut(&name) else { continue };
                *tensor = adapt::table(tensor, from, to);
                done.push(format!("{name}: resampled trilinearly from {from:?} to {to:?}"));
            }
        }
        Ok(done)
    }
}

impl Network {
    /// As a checkpoint says it.
    pub(super) fn info(&self, kind: StageKind) -> CheckpointInfo {
        CheckpointInfo::new(kind, self.step, &self.config, &self.dataset)
    }
}
