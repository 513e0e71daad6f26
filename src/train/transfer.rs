//! A pre-trained encoder into a fresh segmentation network, or all weights of a fine-tuned one.

use std::path::Path;

use super::{Checkpoint, CheckpointError, DatasetInfo};
use crate::config::{ModelConfig, RunConfig};
use crate::model::{HostTensor, LoadReport, NamedWeights, Segmenter, export_named, load_named};
use crate::protocol::{StageKind, TransferReport};

/// `network`, built for fine-tuning with `config`, with the encoder of the checkpoint at `from`, what became of each tensor, and the checkpoint's ancestry.
///
/// # Errors
/// No readable checkpoint, or one whose encoder is not this network's in every setting and tensor.
pub fn transfer_encoder(
    network: Segmenter,
    config: &RunConfig,
    from: &Path,
) -> Result<(Segmenter, TransferReport, Vec<String>), CheckpointError> {
    let place = Checkpoint::locate(from)?;
    let checkpoint = Checkpoint::open(&place)?;
    let refuse = |causes: Vec<String>| CheckpointError::Fit { path: place.clone(), cause: causes.join("; ") };
    let [then, now] = [(&checkpoint.info.config.model, checkpoint.info.crop_size()), (&config.model, config.finetune.crop_size)];
    let unlike = ModelConfig::encoder_differences([then, now]);
    if !unlike.is_empty() {
        return Err(refuse(unlike.iter().map(|difference| difference.describe(["in the checkpoint", "in the config"])).collect()));
    }
    let prefix = network.encoder.prefix();
    let is_encoder = |name: &String| name.starts_with(prefix);
    let encoder =
        checkpoint.weights.iter().filter(|(name, _)| is_encoder(name)).map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    let (network, loaded) = load_named(network, &encoder);
    let misfits: Vec<String> = misfits(&loaded, prefix).collect();
    if !misfits.is_empty() {
        return Err(refuse(misfits));
    }
    let shape_of = |tensor: &HostTensor| tensor.shape.clone();
    let own = export_named(&network);
    let with_shape = |names: &[String]| names.iter().map(|name| (name.clone(), own.get(name).map(shape_of).unwrap_or_default())).collect();
    let left = checkpoint.weights.iter().filter(|(name, _)| !is_encoder(name));
    let report = TransferReport {
        matched: with_shape(&loaded.matched),
        missing: with_shape(&loaded.missing),
        skipped: left.map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect(),
    };
    let mut parents = vec![place.display().to_string()];
    parents.extend(checkpoint.info.parents);
    Ok((network, report, parents))
}

/// `network`, built for fine-tuning with `config` on `dataset`, with all weights of the fine-tuned checkpoint at `from`, what became of each
/// tensor, and the checkpoint's ancestry.
///
/// # Errors
/// No readable checkpoint, a pre-training, or a network of other settings, crops, channels or labels.
pub fn transfer_network(
    network: Segmenter,
    (config, dataset): (&RunConfig, &DatasetInfo),
    from: &Path,
) -> Result<(Segmenter, TransferReport, Vec<String>), CheckpointError> {
    let place = Checkpoint::locate(from)?;
    let checkpoint = Checkpoint::open(&place)?;
    let info = checkpoint.info.clone();
    if info.kind != StageKind::Finetune {
        let wanted = "finetune.whole_network needs a network that segments: leave the setting out to start from the encoder";
        return Err(CheckpointError::Kind { path: place, found: "a pre-trained encoder", wanted });
    }
    let refuse = |cause: String| CheckpointError::Fit { path: place.clone(), cause };
    let [then, now] = [(&info.config.model, info.crop_size()), (&config.model, config.finetune.crop_size)];
    let unlike = ModelConfig::encoder_differences([then, now]);
    if !unlike.is_empty() {
        let causes = unlike.iter().map(|difference| difference.describe(["in the checkpoint", "in the config"]));
        return Err(refuse(causes.collect::<Vec<_>>().join("; ")));
    }
    if then.0.resolve() != now.0.resolve() {
        return Err(refuse("it is of another network: the settings of `model` differ".to_owned()));
    }
    if (&info.dataset.labels, &info.dataset.channels) != (&dataset.labels, &dataset.channels) {
        return Err(refuse(format!(
            "it was trained for the labels {:?} and channels {:?}; the dataset has {:?} and {:?}",
            info.dataset.labels, info.dataset.channels, dataset.labels, dataset.channels
        )));
    }
    let network = load_all(network, &checkpoint, &place)?;
    let matched = checkpoint.weights.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect();
    let report = TransferReport { matched, missing: Vec::new(), skipped: Vec::new() };
    let mut parents = vec![place.display().to_string()];
    parents.extend(info.parents);
    Ok((network, report, parents))
}

/// What keeps a checkpoint's encoder from being the network's, tensor by tensor.
fn misfits(loaded: &LoadReport, prefix: &str) -> impl Iterator<Item = String> {
    let LoadReport { matched: _, missing, skipped, mismatched } = loaded;
    let other = mismatched.iter().map(|m| format!("{}: {:?} in the checkpoint, {:?} in the network", m.name, m.found, m.expected));
    let absent = missing.iter().filter(move |name| name.starts_with(prefix)).map(|name| format!("{name}: not in the checkpoint"));
    other.chain(absent).chain(skipped.iter().map(|name| format!("{name}: not in the network")))
}

/// Loads every tensor of a checkpoint into a module built for it.
///
/// # Errors
/// A tensor is missing, left over, or of another shape.
pub(super) fn load_all<M: NamedWeights>(module: M, checkpoint: &Checkpoint, place: &Path) -> Result<M, CheckpointError> {
    let (module, report) = load_named(module, &checkpoint.weights);
    if report.missing.is_empty() && report.skipped.is_empty() && report.mismatched.is_empty() {
        Ok(module)
    } else {
        Err(CheckpointError::Fit { path: place.to_owned(), cause: report.to_string() })
    }
}
