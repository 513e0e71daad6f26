//! A pre-trained encoder into a fresh segmentation network.

use std::path::Path;

use super::{Checkpoint, CheckpointError};
use crate::config::ModelConfig;
use crate::model::{HostTensor, NamedWeights, Segmenter, TokenEncoder as _, export_named, load_named};
use crate::protocol::TransferReport;

/// Hyper-parameters that change what an encoder computes and no shape of its weights.
const UNSEEN: [&str; 3] = ["num_heads", "merging", "normalize"];

/// `network`, built by `model`, with the encoder of the checkpoint at `from`, what became of each tensor, and the checkpoint's ancestry.
///
/// # Errors
/// No readable checkpoint, one without a single encoder tensor, or one whose encoder has another shape or computes otherwise.
pub fn transfer_encoder(
    network: Segmenter,
    model: &ModelConfig,
    from: &Path,
) -> Result<(Segmenter, TransferReport, Vec<String>), CheckpointError> {
    let place = Checkpoint::locate(from)?;
    let checkpoint = Checkpoint::open(&place)?;
    let unlike = unlike(&checkpoint.info.config.model, model);
    if !unlike.is_empty() {
        return Err(CheckpointError::Fit { path: place, cause: unlike.join("; ") });
    }
    let prefix = network.prefix();
    let is_encoder = |name: &String| name.starts_with(prefix);
    let encoder =
        checkpoint.weights.iter().filter(|(name, _)| is_encoder(name)).map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    let (network, loaded) = load_named(network, &encoder);
    let misfits: Vec<_> =
        loaded.mismatched.iter().map(|m| format!("{}: {:?} in the checkpoint, {:?} in the network", m.name, m.found, m.expected)).collect();
    let absent: Vec<_> = loaded.missing.iter().filter(|name| is_encoder(name)).cloned().collect();
    if !misfits.is_empty() || !absent.is_empty() || encoder.is_empty() {
        let absent = absent.into_iter().map(|name| format!("{name}: not in the checkpoint"));
        let mut causes: Vec<_> = misfits.into_iter().chain(absent).collect();
        if encoder.is_empty() {
            causes = vec!["it holds no encoder".to_owned()];
        }
        return Err(CheckpointError::Fit { path: place, cause: causes.join("; ") });
    }
    let shape_of = |tensor: &HostTensor| tensor.shape.clone();
    let own = export_named(&network);
    let with_shape = |names: &[String]| names.iter().map(|name| (name.clone(), own.get(name).map(shape_of).unwrap_or_default())).collect();
    let left = checkpoint.weights.iter().filter(|(name, _)| !is_encoder(name) || loaded.skipped.contains(name));
    let report = TransferReport {
        matched: with_shape(&loaded.matched),
        missing: with_shape(&loaded.missing),
        skipped: left.map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect(),
    };
    let mut parents = vec![place.display().to_string()];
    parents.extend(checkpoint.info.parents);
    Ok((network, report, parents))
}

/// In which of the [`UNSEEN`] hyper-parameters two models of one backbone differ.
fn unlike(then: &ModelConfig, now: &ModelConfig) -> Vec<String> {
    let [then, now] = [then, now].map(|model| serde_json::to_value(model.resolve()).expect("plain data becomes JSON"));
    let (Some(then), Some(now)) = (then.as_object(), now.as_object()) else { return Vec::new() };
    let shared = now.iter().filter_map(|(backbone, now)| Some((backbone, then.get(backbone)?, now)));
    let differing = shared.flat_map(|(backbone, then, now)| {
        UNSEEN
            .iter()
            .filter(|name| then[**name] != now[**name])
            .map(move |name| format!("model.{backbone}.{name} is {} in the checkpoint and {} in the config", then[*name], now[*name]))
    });
    differing.collect()
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
