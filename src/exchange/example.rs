//! A worked example beside an export: an input, and what the network makes of it, for whoever loads the weights elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution as _, StandardNormal};

use super::ExchangeError;
use super::metadata::crop_size;
use crate::model::{HostTensor, Pass};
use crate::protocol::StageKind;
use crate::random::stream;
use crate::train::{Checkpoint, load_encoder, load_segmenter};

/// `input` `[1, channel, D, H, W]` of normal noise at the crop's size; of a whole network `logits_0`, `logits_1`, ...
/// (full resolution first), of an encoder `stage_0`, `stage_1`, ... (finest first).
pub(super) fn compute(
    checkpoint: &Checkpoint,
    place: &Path,
    kind: StageKind,
    device: &Device,
) -> Result<BTreeMap<String, HostTensor>, ExchangeError> {
    let info = &checkpoint.info;
    let [depth, height, width] = crop_size(&info.config, kind);
    let shape = [1, info.dataset.channels.len(), depth, height, width];
    let mut random = stream(info.config.seed, "example", 0, 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| StandardNormal.sample(&mut random)).collect();
    let volume = Tensor::<5>::from_data(TensorData::new(values.clone(), shape), device);
    let (name, outputs) = match kind {
        StageKind::Finetune => ("logits", load_segmenter(checkpoint, place, device)?.forward(volume, Pass::EVALUATION)),
        _ => ("stage", load_encoder(checkpoint, place, device)?.0.encode(volume, Pass::EVALUATION)),
    };
    let outputs = outputs.into_iter().enumerate().map(|(level, output)| {
        let shape = output.dims().to_vec();
        let values = output.into_data().try_into_vec().expect("float32");
        (format!("{name}_{level}"), HostTensor { shape, values })
    });
    Ok(outputs.chain([("input".to_owned(), HostTensor { shape: shape.to_vec(), values })]).collect())
}
