//! A file of another program becomes a checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::file::WeightsFile;
use super::recipe::Recipe;
use super::source::{Network, Source};
use super::{ExchangeError, ImportReport, Left};
use crate::model::{Encoder, HostTensor, LoadReport, NamedWeights, Segmenter, Task, load_named};
use crate::protocol::StageKind;
use crate::train::{Checkpoint, CheckpointInfo, Optimiser, Origin, untrained};

/// What to import, and what the file does not tell.
#[derive(Clone, Debug, Default)]
pub struct ImportJob {
    /// The file.
    pub file: PathBuf,
    /// Its backbone, as configs name it; none: whichever is found.
    pub backbone: Option<String>,
    /// A published size; none: as the shapes tell.
    pub preset: Option<String>,
    /// The checkpoint's folder.
    pub out: PathBuf,
    /// Replace a checkpoint that is there.
    pub overwrite: bool,
    /// Voxels of the crop, D,H,W.
    pub crop_size: Option<[usize; 3]>,
    /// Change the stem to so many image channels.
    pub adapt_stem: Option<usize>,
    /// `key=value` settings of the checkpoint.
    pub settings: Vec<String>,
}

/// Imports a file: writes a checkpoint that `finetune --from`, `infer` and `probe` take, and tells what became of every tensor.
///
/// # Errors
/// A file without weights or damaged, a network that cannot be told, an encoder that is not complete, a place that is taken.
pub fn import(job: &ImportJob) -> Result<ImportReport, ExchangeError> {
    refuse_taken(&job.out, job.overwrite)?;
    let file = WeightsFile::open(&job.file)?;
    let recipe = Recipe::read(&file)?;
    let source = Source::find(job, &file, recipe.as_ref())?;
    let network = source.describe(job)?;
    let taken = Taken::from(job, &source, &network)?;
    let (report, weights) = taken.account(&source, &network);
    if !report.missing.is_empty() || !report.mismatched.is_empty() {
        return Err(ExchangeError::Incomplete { report: Box::new(report) });
    }
    write(job, network, report, weights)
}

/// A checkpoint, or nothing, may stand where the new one goes.
fn refuse_taken(out: &Path, overwrite: bool) -> Result<(), ExchangeError> {
    let is_empty = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    match overwrite {
        _ if !out.exists() || is_empty => Ok(()),
        true if Checkpoint::is_at(out) => Ok(()),
        true => {
            let out = out.display();
            Err(ExchangeError::Refused(format!("{out} is no checkpoint and is not replaced; name another place with --out")))
        }
        false => Err(ExchangeError::Exists(out.to_owned())),
    }
}

fn write(
    job: &ImportJob,
    network: Network,
    mut report: ImportReport,
    weights: BTreeMap<String, HostTensor>,
) -> Result<ImportReport, ExchangeError> {
    let mut info = network.info(report.kind);
    let ImportReport { file, container, sha256, adapted, .. } = &report;
    info.parents = vec![format!("{} (sha256 {sha256})", file.display())];
    info.origin = Some(Origin { container: (*container).to_owned(), adapted: adapted.clone() });
    let settings = if report.kind == StageKind::Pretrain { info.config.pretrain.optimiser } else { info.config.finetune.optimiser };
    let checkpoint = Checkpoint { info, weights, optimiser: Optimiser::new(settings).to_bytes() };
    let folder = job.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = job.out.file_name().ok_or_else(|| ExchangeError::Refused(format!("{} names no folder to make", job.out.display())))?;
    report.checkpoint = Some(checkpoint.save(folder, &name.to_string_lossy())?);
    Ok(report)
}

/// The part of a network that was taken from a file.
struct Taken {
    kind: StageKind,
    tensors: BTreeMap<String, HostTensor>,
    loaded: LoadReport,
    adapted: Vec<String>,
    /// Why the rest of the network was not taken, if it is there.
    rest: Option<String>,
}

impl Taken {
    /// The largest part that is complete: the whole network, or an encoder with what it was trained with, or the encoder.
    fn from(job: &ImportJob, source: &Source<'_>, network: &Network) -> Result<Self, ExchangeError> {
        let device = Device::flex();
        let (config, channels) = (&network.config, network.dataset.channels.len());
        let task = |classes, crop_size| Task { channels, classes, crop_size };
        let encoder = || Encoder::init(&config.model, &task(0, config.pretrain.crop_size), config.seed, &device);
        let larger = match source.kind() {
            StageKind::Finetune => {
                let task = task(network.dataset.labels.len(), config.finetune.crop_size);
                Some(Self::attempt(job, source, StageKind::Finetune, Segmenter::init(&config.model, &task, config.seed, &device))?)
            }
            _ if source.is_own() => {
                Some(Self::attempt(job, source, StageKind::Pretrain, untrained(&network.info(StageKind::Pretrain), &device))?)
            }
            _ => None,
        };
        let prefix = source.dialect.prefix();
        let Some(larger) = larger else { return Self::attempt(job, source, StageKind::Pretrain, encoder()) };
        let faults: Vec<&String> = larger.loaded.missing.iter().chain(larger.loaded.mismatched.iter().map(|m| &m.name)).collect();
        if faults.is_empty() || faults.iter().any(|name| name.starts_with(prefix)) {
            return Ok(larger);
        }
        let rest =
            format!("the rest of the network is not complete ({} tensors missing or of another shape, {} first)", faults.len(), faults[0]);
        Ok(Self { rest: Some(rest), ..Self::attempt(job, source, StageKind::Pretrain, encoder())? })
    }

    /// Reads and adapts what `module` has room for, and tries it on.
    fn attempt<M: NamedWeights>(job: &ImportJob, source: &Source<'_>, kind: StageKind, module: M) -> Result<Self, ExchangeError> {
        let (module, nothing) = load_named(module, &BTreeMap::new());
        let wanted: BTreeSet<String> = nothing.missing.into_iter().collect();
        let present = source.found.tensors.iter().filter(|(own, _)| wanted.contains(*own));
        let read = present.map(|(own, name)| Ok((own.clone(), source.file.read(name)?)));
        let mut tensors = read.collect::<Result<BTreeMap<_, _>, ExchangeError>>()?;
        let adapted = source.adapt(job, &mut tensors)?;
        let (_, loaded) = load_named(module, &tensors);
        Ok(Self { kind, tensors, loaded, adapted, rest: None })
    }

    /// What became of every tensor, and the checkpoint's weights.
    fn account(self, source: &Source<'_>, network: &Network) -> (ImportReport, BTreeMap<String, HostTensor>) {
        let Self { kind, tensors: mut weights, loaded, adapted, rest } = self;
        let Source { file, found, .. } = source;
        let left = |name: &str, why: &str| Left { name: name.to_owned(), shape: file.tensors[name].shape.clone(), why: why.to_owned() };
        let unmatched: BTreeSet<&String> = loaded.mismatched.iter().map(|mismatch| &mismatch.name).collect();
        let unused = found.tensors.iter().filter(|(own, _)| !weights.contains_key(*own) && !unmatched.contains(own));
        let why = |own: &str| match &rest {
            Some(rest) if !own.starts_with(source.dialect.prefix()) => rest.clone(),
            _ => "the network has no such tensor".to_owned(),
        };
        let mut skipped: Vec<_> = unused.map(|(own, name)| left(name, &why(own))).collect();
        skipped.extend(found.outside.iter().map(|(name, why)| left(name, why)));
        weights.retain(|name, _| !unmatched.contains(name));
        let report = ImportReport {
            file: file.path.clone(),
            container: file.container,
            sha256: file.sha256.clone(),
            backbone: network.config.model.backbone().title(),
            prefix: found.prefix.clone(),
            kind,
            network: network.facts(),
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

impl Network {
    /// As a checkpoint says it.
    fn info(&self, kind: StageKind) -> CheckpointInfo {
        CheckpointInfo::new(kind, self.step, &self.config, &self.dataset)
    }
}
