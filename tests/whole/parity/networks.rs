//! What the checks of all networks share: weights in, logits and gradients out, on every device.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use simtrot::model::{HostTensor, NamedWeights, Pass, Segmenter, export_gradients, export_named, load_named};

use super::Outcomes;
use crate::fixtures::{Array, Entry};

/// A GPU adds in another order and fuses multiplications with additions: its own rounding differs from the
/// reference's by several times what the reference's float32 run differs from its float64 run.
const GPU_SLACK: f64 = 4.0;

pub type Weights = BTreeMap<String, HostTensor>;
pub type Computed = BTreeMap<String, Vec<f32>>;

/// Compares every `expected.` and `grad.` of the entry with what `compute` makes on each device.
pub fn on_devices(entry: &Entry, compute: fn(&Entry, &Device) -> Computed) -> Outcomes {
    let outcomes = |(name, device): &(&str, Device)| {
        let slack = if *name == "cpu" { 1.0 } else { GPU_SLACK };
        let got = compute(entry, &device.clone().autodiff());
        let compare = |name: &String| match got.get(name) {
            Some(values) => entry.compare(name, values, slack),
            None => Err(format!("{}: {name} is not computed", entry.name)),
        };
        wanted(entry).map(compare).collect::<Outcomes>()
    };
    simtrot::device::for_tests().iter().flat_map(outcomes).collect()
}

/// Names of what the reference computed.
pub fn wanted(entry: &Entry) -> impl Iterator<Item = &String> {
    entry.tensors.keys().filter(|name| name.starts_with("expected.") || name.starts_with("grad."))
}

/// `network` with `weights`, which must be all it has, and must come out as they went in.
pub fn loaded<N: NamedWeights>(entry: &Entry, network: N, weights: &Weights) -> N {
    let (network, report) = load_named(network, weights);
    let complete = report.missing.is_empty() && report.skipped.is_empty() && report.mismatched.is_empty();
    assert!(complete, "{}: the network's parameters are not the reference's:\n{report}", entry.name);
    assert_eq!(&export_named(&network), weights, "{}: weights change on their way through the network", entry.name);
    network
}

pub fn host(weights: BTreeMap<String, Array>) -> Weights {
    weights.into_iter().map(|(name, Array { shape, values })| (name, HostTensor { shape, values })).collect()
}

pub fn input(entry: &Entry, device: &Device) -> Tensor<5> {
    let Array { shape, values } = entry.shared("input_from", "input.x");
    Tensor::<5>::from_data(TensorData::new(values, shape), device).require_grad()
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
}

/// Logits of all heads, the loss that weights the finest, and its gradients.
pub fn logits(network: &Segmenter, volume: &Tensor<5>, got: &mut Computed) {
    let logits = network.forward(volume.clone(), Pass::EVALUATION);
    for (level, logits) in logits.iter().enumerate() {
        got.insert(format!("expected.logits_{level}"), values(logits.clone()));
    }
    let finest = logits[0].clone();
    got.insert("expected.logits".to_owned(), values(finest.clone()));
    let weighting: Vec<f32> = (0..finest.shape().num_elements()).map(|i| (((i as u64 * 7919) % 1009) as f32) / 504.0 - 1.0).collect();
    let weighting = Tensor::<5>::from_data(TensorData::new(weighting, finest.dims()), &finest.device());
    let loss = (finest * weighting).mean();
    got.insert("expected.grad_loss".to_owned(), values(loss.clone()));
    let mut gradients = loss.backward();
    got.insert("grad.input.x".to_owned(), values(volume.grad(&gradients).expect("the input's gradient")));
    let gradients = export_gradients(network, &GradientsParams::from_module(&mut gradients, network));
    got.extend(gradients.into_iter().map(|(name, tensor)| (format!("grad.{name}"), tensor.values)));
}
