//! A checkpoint becomes a file that other programs read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::{Dtype, View};

use super::format::{self, Extra};
use super::metadata::{ExportMetadata, Format};
use super::{ExchangeError, example};
use crate::atomic_file;
use crate::model::HostTensor;
use crate::protocol::StageKind;
use crate::train::Checkpoint;

/// What to export.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportJob {
    /// Checkpoint folder (or folder of a training).
    pub checkpoint: PathBuf,
    /// Whose names the tensors get: simtrot's, or those that the reference's load_state_dict takes.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Format,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The encoder alone.
    #[arg(long)]
    pub encoder_only: bool,
    /// Also write an input and what the network makes of it, to check the weights wherever they are loaded.
    #[arg(long, value_name = "FILE")]
    pub example: Option<PathBuf>,
    /// Replace files that are already there.
    #[arg(long)]
    pub overwrite: bool,
}

/// What was exported.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Tensors written.
    pub tensors: usize,
    /// Tensors that the format's reader has no place for.
    pub left_out: Vec<String>,
    /// Tensors added because the reader wants them.
    pub added: usize,
    /// What the reader should know.
    pub note: Option<String>,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors", self.tensors)?;
        if self.added > 0 {
            write!(f, ", of them {} that the reader wants and no computation needs", self.added)?;
        }
        let mut parts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &self.left_out {
            *parts.entry(name.split('.').next().unwrap_or_default()).or_default() += 1;
        }
        if !parts.is_empty() {
            let parts: Vec<_> = parts.iter().map(|(part, count)| format!("{part}.* ({count})")).collect();
            write!(f, "\n    left out: {}", parts.join(", "))?;
        }
        self.note.iter().try_for_each(|note| write!(f, "\n    note: {note}"))
    }
}

/// Writes a checkpoint's weights as one safetensors file.
///
/// # Errors
/// No readable checkpoint, a place that is taken, a disk that is full.
pub fn export(job: &ExportJob) -> Result<Exported, ExchangeError> {
    for place in std::iter::once(&job.out).chain(&job.example) {
        if place.exists() && !job.overwrite {
            return Err(ExchangeError::Exists(place.clone()));
        }
    }
    let place = Checkpoint::locate(&job.checkpoint)?;
    let checkpoint = Checkpoint::open(&place)?;
    let info = &checkpoint.info;
    let model = &info.config.model;
    let prefix = format::prefix(model);
    let kind = if job.encoder_only { StageKind::Pretrain } else { info.kind };
    // A reference's encoder has no place for the heads of pre-training.
    let encoder_only = job.encoder_only || (kind == StageKind::Pretrain && job.format == Format::Monai);
    let (kept, rest): (Vec<_>, Vec<_>) = checkpoint.weights.iter().partition(|(name, _)| !encoder_only || name.starts_with(prefix));
    let mut weights: BTreeMap<String, Entry> = kept.into_iter().map(|(name, tensor)| (name.clone(), Entry::of(tensor))).collect();
    let own = weights.len();
    let mut note = None;
    if job.format == Format::Monai {
        let refusal = || format!("{} has no counterpart in MONAI or elsewhere; use --format safetensors", model.backbone().title());
        let format = format::of(model).ok_or_else(|| ExchangeError::Refused(refusal()))?;
        note = format.beyond(model, !encoder_only);
        let crop_size = if encoder_only { info.config.pretrain.crop_size } else { info.config.finetune.crop_size };
        let extras = format.extras(model, crop_size, &checkpoint.weights).into_iter();
        weights
            .extend(extras.filter(|(name, _)| !encoder_only || name.starts_with(prefix)).map(|(name, extra)| (name, Entry::from(extra))));
        if encoder_only {
            weights = weights.into_iter().map(|(name, entry)| (name[prefix.len()..].to_owned(), entry)).collect();
        }
    }
    let metadata = ExportMetadata::of(info, kind, job.format);
    write(&job.out, &weights, &metadata)?;
    if let Some(path) = &job.example {
        let tensors = example::compute(&checkpoint, &place, kind, &Device::flex())?;
        write(path, &tensors.iter().map(|(name, tensor)| (name.clone(), Entry::of(tensor))).collect(), &metadata)?;
    }
    let left_out = rest.into_iter().map(|(name, _)| name.clone()).collect();
    Ok(Exported { tensors: weights.len(), left_out, added: weights.len() - own, note })
}

fn write(path: &Path, tensors: &BTreeMap<String, Entry>, metadata: &ExportMetadata) -> Result<(), ExchangeError> {
    let bytes = safetensors::serialize(tensors, Some(metadata.header())).expect("whole tensors and a short header");
    atomic_file::write(path, &bytes).map_err(|cause| ExchangeError::Io { path: path.to_owned(), cause })
}

/// A tensor as safetensors writes it.
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Entry {
    fn of(tensor: &HostTensor) -> Self {
        let bytes = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: tensor.shape.clone(), bytes }
    }
}

impl From<Extra> for Entry {
    fn from(extra: Extra) -> Self {
        match extra {
            Extra::Numbers(tensor) => Self::of(&tensor),
            Extra::Index { shape, values } => {
                Self { dtype: Dtype::I64, shape, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
            }
        }
    }
}

impl View for &Entry {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}
