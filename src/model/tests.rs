//! Networks as a whole: initial weights, sizes that are no multiple of the stride, transfer of the encoder.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;

use super::{Encoder, HostTensor, Pass, Segmenter, Task, TokenEncoder as _, export_gradients, export_named, load_named};
use crate::config::{ModelConfig, NnFormerConfig};
use crate::random::stream;

const TASK: Task = Task { channels: 2, classes: 3, crop_size: [16, 32, 32] };

fn hyper_parameters() -> NnFormerConfig {
    NnFormerConfig { embed_dim: 12, num_heads: vec![2, 3], window_size: vec![3, 4], drop_path_rate: 0.5, ..NnFormerConfig::small() }
}

fn config() -> ModelConfig {
    ModelConfig::Nnformer(hyper_parameters())
}

fn volume(size: [usize; 3], device: &Device) -> Tensor<5> {
    let [d, h, w] = size;
    let mut rng = stream(5, "volume", 0, 0);
    let values: Vec<f32> = (0..2 * 2 * d * h * w).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, [2, 2, d, h, w]), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

#[test]
fn an_encoder_alone_is_the_one_inside_the_network_bit_by_bit() {
    let device = Device::flex();
    device.seed(1);
    let alone = export_named(&Encoder::init(&config(), &TASK, 9, &device));
    device.seed(2);
    let whole = export_named(&Segmenter::init(&config(), &TASK, 9, &device.clone().autodiff()));
    let inside: BTreeMap<String, HostTensor> = whole.into_iter().filter(|(name, _)| name.starts_with("model_down.")).collect();
    assert_eq!(alone, inside);
    assert_ne!(alone, export_named(&Encoder::init(&config(), &TASK, 10, &device)));
}

#[test]
fn any_size_is_padded_and_cropped_back() {
    let device = Device::flex();
    let network = Segmenter::init(&config(), &TASK, 9, &device);
    let odd = volume([13, 20, 30], &device);
    let [batch, channels, d, h, w] = odd.dims();
    let zeros = Tensor::zeros([batch, channels, 16, 24, 32], &device);
    let padded = zeros.slice_assign([0..batch, 0..channels, 0..d, 0..h, 0..w], odd.clone());
    let [got, wanted] = [odd, padded].map(|volume| network.forward(volume, Pass::EVALUATION).remove(0));
    assert_eq!(got.dims(), [batch, TASK.classes, d, h, w]);
    assert_eq!(values(got), values(wanted.slice([0..batch, 0..TASK.classes, 0..d, 0..h, 0..w])));

    let encoder = Encoder::init(&config(), &TASK, 9, &device);
    let stages: Vec<[usize; 5]> = encoder.encode(volume([13, 20, 30], &device), Pass::EVALUATION).iter().map(Tensor::dims).collect();
    assert_eq!(encoder.total_stride(), [8; 3]);
    assert_eq!(encoder.dims(), [12, 24]);
    assert_eq!(stages, [[2, 12, 4, 6, 8], [2, 24, 2, 3, 4]]);
}

#[test]
fn an_encoder_moves_into_a_network_and_the_report_tells_the_rest() {
    let device = Device::flex();
    let mut trained = export_named(&Encoder::init(&config(), &TASK, 1, &device));
    trained.insert("projector.fc1.weight".to_owned(), HostTensor { shape: vec![1], values: vec![0.0] });
    let bias = "model_down.norm0.bias";
    trained.insert(bias.to_owned(), HostTensor { shape: vec![7], values: vec![0.0; 7] });
    let before = export_named(&Segmenter::init(&config(), &TASK, 2, &device));
    let (network, report) = load_named(Segmenter::init(&config(), &TASK, 2, &device), &trained);
    let after = export_named(&network);
    for (name, tensor) in &after {
        let source = if name.starts_with("model_down.") && name != bias { &trained } else { &before };
        assert_eq!(tensor, &source[name], "{name}");
    }
    assert_eq!(report.matched.len() + report.missing.len() + 1, after.len());
    assert!(report.missing.iter().all(|name| name.starts_with("decoder.") || name.starts_with("final.")));
    assert_eq!(report.skipped, ["projector.fc1.weight"]);
    assert_eq!((report.mismatched[0].name.as_str(), report.mismatched[0].found.as_slice()), (bias, [7].as_slice()));
    assert!(report.to_string().contains("model_down.norm0.bias: the network has [12], the file [7]"), "{report}");
}

#[test]
fn drop_path_follows_its_key() {
    let device = Device::flex();
    let network = Segmenter::init(&config(), &TASK, 9, &device);
    let run = |pass: Pass| values(network.forward(volume(TASK.crop_size, &device), pass).remove(0));
    assert_eq!(run(Pass::training(1, 4, 0)), run(Pass::training(1, 4, 0)));
    assert_ne!(run(Pass::training(1, 4, 0)), run(Pass::training(1, 5, 0)));
    assert_ne!(run(Pass::training(1, 4, 0)), run(Pass::EVALUATION));
}

#[test]
fn recomputation_changes_neither_values_nor_gradients() {
    let device = Device::flex().autodiff();
    let run = |recompute: bool| {
        let config = ModelConfig::Nnformer(NnFormerConfig { recompute, ..hyper_parameters() });
        let network = Segmenter::init(&config, &TASK, 9, &device);
        let logits = network.forward(volume([13, 32, 20], &device), Pass::training(1, 4, 0)).remove(0);
        let mut gradients = logits.clone().powi_scalar(2).mean().backward();
        (values(logits), export_gradients(&network, &GradientsParams::from_module(&mut gradients, &network)))
    };
    let (kept, recomputed) = (run(false), run(true));
    assert_eq!(kept.0, recomputed.0);
    assert_eq!(kept.1.len(), recomputed.1.len());
    for (name, gradient) in &kept.1 {
        let scale = gradient.values.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        for (kept, recomputed) in gradient.values.iter().zip(&recomputed.1[name].values) {
            // Equal but for the order in which two contributions to the same bias are added.
            assert!((kept - recomputed).abs() <= 1e-5 * scale, "{name}: {kept} kept, {recomputed} recomputed");
        }
    }
}
