//! Every backbone: the encoder alone and inside its network, sizes that are no multiple of the stride, recomputation, drop path, names.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use super::{Encoder, HostTensor, Pass, Segmenter, Task, export_gradients, export_named, load_named};
use crate::config::{MergingOrder, ModelConfig, NnFormerConfig, PatchProjection, SwinUnetrConfig, UnetConfig, UnetrConfig};
use crate::random::stream;

/// A network that is odd in every respect, on volumes of two channels.
struct Case {
    model: ModelConfig,
    crop_size: [usize; 3],
    /// No multiple of any stride.
    odd: [usize; 3],
    padded: [usize; 3],
    /// Feature maps of the odd volume.
    stages: &'static [[usize; 4]],
    /// Logits of its coarser heads.
    coarser: &'static [[usize; 3]],
}

fn cases() -> [Case; 5] {
    let unetr = |projection| Case {
        model: ModelConfig::Unetr(UnetrConfig { projection, ..unetr() }),
        crop_size: [16, 30, 48],
        odd: [7, 30, 33],
        padded: [16, 32, 48],
        stages: &[[12, 2, 2, 3]; 4],
        coarser: &[[7, 15, 17], [4, 8, 9], [2, 4, 5]],
    };
    [
        Case {
            model: ModelConfig::Nnformer(nnformer()),
            crop_size: [16, 32, 32],
            odd: [13, 20, 30],
            padded: [16, 24, 32],
            stages: &[[12, 4, 6, 8], [24, 2, 3, 4]],
            coarser: &[],
        },
        Case {
            model: ModelConfig::SwinUnetr(swin()),
            crop_size: [16, 32, 32],
            odd: [5, 20, 30],
            padded: [8, 24, 32],
            stages: &[[6, 8, 12, 16], [12, 4, 6, 8], [24, 2, 3, 4]],
            coarser: &[[5, 10, 15], [3, 5, 8]],
        },
        Case {
            model: ModelConfig::Unet(unet()),
            crop_size: [8, 12, 16],
            odd: [7, 10, 13],
            padded: [8, 12, 16],
            stages: &[[3, 8, 12, 16], [5, 8, 6, 8], [6, 4, 3, 4]],
            coarser: &[[7, 5, 7]],
        },
        unetr(PatchProjection::Conv),
        unetr(PatchProjection::Perceptron),
    ]
}

fn nnformer() -> NnFormerConfig {
    NnFormerConfig { embed_dim: 12, num_heads: vec![2, 3], window_size: vec![3, 4], drop_path_rate: 0.5, ..NnFormerConfig::default() }
}

fn swin() -> SwinUnetrConfig {
    SwinUnetrConfig {
        patch_size: [1, 2, 2],
        feature_size: 6,
        num_heads: vec![1, 3],
        window_size: [4, 5, 16],
        drop_path_rate: 0.5,
        merging: MergingOrder::Paper,
        use_v2: true,
        deep_supervision: true,
        ..SwinUnetrConfig::default()
    }
}

fn unet() -> UnetConfig {
    UnetConfig { features: vec![3, 5, 6], strides: vec![[1; 3], [1, 2, 2], [2; 3]], blocks: vec![1, 2, 1], ..UnetConfig::default() }
}

fn unetr() -> UnetrConfig {
    UnetrConfig {
        patch_size: [8, 16, 16],
        hidden_size: 12,
        mlp_dim: 20,
        num_heads: 3,
        num_layers: 4,
        feature_size: 3,
        deep_supervision: true,
        ..UnetrConfig::default()
    }
}

impl Case {
    fn task(&self) -> Task {
        Task { channels: 2, classes: 3, crop_size: self.crop_size }
    }

    fn encoder(&self, device: &Device) -> Encoder {
        Encoder::init(&self.model, &self.task(), 9, device)
    }

    fn network(&self, device: &Device) -> Segmenter {
        Segmenter::init(&self.model, &self.task(), 9, device)
    }

    fn name(&self) -> String {
        self.model.key()
    }
}

fn volume(purpose: &str, size: [usize; 3], device: &Device) -> Tensor<5> {
    let [d, h, w] = size;
    let mut rng = stream(5, purpose, 0, 0);
    let values: Vec<f32> = (0..2 * 2 * d * h * w).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, [2, 2, d, h, w]), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

#[test]
fn an_encoder_alone_is_the_one_inside_the_network_bit_by_bit() {
    let device = Device::flex();
    for case in cases() {
        device.seed(1);
        let encoder = case.encoder(&device);
        device.seed(2);
        let whole = export_named(&case.network(&device.clone().autodiff()));
        let inside: BTreeMap<String, HostTensor> = whole.into_iter().filter(|(name, _)| name.starts_with(encoder.prefix())).collect();
        assert_eq!(export_named(&encoder), inside, "{}", case.name());
        assert_ne!(inside, export_named(&Encoder::init(&case.model, &case.task(), 10, &device)));
    }
}

#[test]
fn any_size_is_padded_and_cropped_back() {
    let device = Device::flex();
    for case in cases() {
        let name = case.name();
        let network = case.network(&device);
        let odd = volume("odd", case.odd, &device);
        let ([d, h, w], [pd, ph, pw]) = (case.odd, case.padded);
        let zeros = Tensor::zeros([2, 2, pd, ph, pw], &device);
        let padded = zeros.slice_assign([0..2, 0..2, 0..d, 0..h, 0..w], odd.clone());
        let [got, wanted] = [odd.clone(), padded].map(|volume| network.forward(volume, Pass::EVALUATION));
        let heads: Vec<_> = got.iter().map(Tensor::dims).collect();
        let expected = [case.odd].iter().chain(case.coarser).map(|&[d, h, w]| [2, 3, d, h, w]).collect::<Vec<_>>();
        assert_eq!(heads, expected, "{name}");
        assert_eq!(values(got[0].clone()), values(wanted[0].clone().slice([0..2, 0..3, 0..d, 0..h, 0..w])), "{name}");
        let encoder = case.encoder(&device);
        let stages: Vec<[usize; 5]> = encoder.encode(odd, Pass::EVALUATION).iter().map(Tensor::dims).collect();
        assert_eq!(stages, case.stages.iter().map(|&[dim, d, h, w]| [2, dim, d, h, w]).collect::<Vec<_>>(), "{name}");
        assert_eq!(encoder.dims(), case.stages.iter().map(|[dim, ..]| *dim).collect::<Vec<_>>(), "{name}");
    }
    // Unpadded, odd grids of Swin UNETR lose their last half cell to zeros, as in the reference.
    let [_, swin, ..] = cases();
    let Encoder::SwinUnetr(encoder) = swin.encoder(&device) else { panic!("a Swin UNETR") };
    let states = encoder.hidden_states(volume("odd", [5, 19, 30], &device), true, Pass::EVALUATION);
    assert_eq!(states.iter().map(|state| state.grid).collect::<Vec<_>>(), [[5, 10, 15], [3, 5, 8], [2, 3, 4]]);
}

#[test]
fn recomputation_changes_neither_values_nor_gradients() {
    let device = Device::flex().autodiff();
    let recomputed = [
        ModelConfig::Nnformer(NnFormerConfig { recompute: true, ..nnformer() }),
        ModelConfig::SwinUnetr(SwinUnetrConfig { recompute: true, ..swin() }),
        ModelConfig::Unet(UnetConfig { recompute: true, ..unet() }),
        ModelConfig::Unetr(UnetrConfig { recompute: true, ..unetr() }),
    ];
    for (case, recomputed) in cases().into_iter().zip(recomputed) {
        let run = |model: &ModelConfig| {
            let network = Segmenter::init(model, &case.task(), 9, &device);
            let logits = network.forward(volume("odd", case.odd, &device), Pass::training(1, 4, 0)).remove(0);
            let mut gradients = logits.clone().powi_scalar(2).mean().backward();
            (values(logits), export_gradients(&network, &GradientsParams::from_module(&mut gradients, &network)))
        };
        let (kept, recomputed) = (run(&case.model), run(&recomputed));
        assert!(kept.0 == recomputed.0, "{}: logits differ", case.name());
        assert_eq!(kept.1.keys().collect::<Vec<_>>(), recomputed.1.keys().collect::<Vec<_>>());
        for (name, gradient) in &kept.1 {
            let scale = gradient.values.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
            for (kept, recomputed) in gradient.values.iter().zip(&recomputed.1[name].values) {
                // Equal but for the order in which contributions to the same gradient are added.
                assert!((kept - recomputed).abs() <= 1e-5 * scale, "{name}: {kept} kept, {recomputed} recomputed");
            }
        }
    }
}

#[test]
fn drop_path_follows_its_key() {
    let device = Device::flex();
    for case in cases().into_iter().take(2) {
        let network = case.network(&device);
        let run = |pass: Pass| values(network.forward(volume("whole", case.crop_size, &device), pass).remove(0));
        assert_eq!(run(Pass::training(1, 4, 0)), run(Pass::training(1, 4, 0)), "{}", case.name());
        assert_ne!(run(Pass::training(1, 4, 0)), run(Pass::training(1, 5, 0)), "{}", case.name());
        assert_ne!(run(Pass::training(1, 4, 0)), run(Pass::EVALUATION), "{}", case.name());
    }
}

#[test]
fn an_encoder_moves_into_a_network_and_the_report_tells_the_rest() {
    let device = Device::flex();
    let [case, ..] = cases();
    let network = |seed| Segmenter::init(&case.model, &case.task(), seed, &device);
    let mut trained = export_named(&Encoder::init(&case.model, &case.task(), 1, &device));
    trained.insert("projector.fc1.weight".to_owned(), HostTensor { shape: vec![1], values: vec![0.0] });
    let bias = "model_down.norm0.bias";
    trained.insert(bias.to_owned(), HostTensor { shape: vec![7], values: vec![0.0; 7] });
    let before = export_named(&network(2));
    let (network, report) = load_named(network(2), &trained);
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

/// Central differences of a float32 loss of order 1: rounding and curvature leave a few per cent.
const SLOPE_TOLERANCE: f64 = 0.03;

/// The U-Net has no reference whose gradients it could be held to.
#[test]
fn the_u_net_s_gradients_match_finite_differences() {
    let device = Device::flex().autodiff();
    let [_, _, case, ..] = cases();
    let loss = |network: &Segmenter| {
        let heads = network.forward(volume("volume", [8; 3], &device), Pass::EVALUATION);
        heads.into_iter().map(|logits| (logits.clone() * logits).mean()).reduce(|sum, term| sum + term).unwrap()
    };
    let network = case.network(&device);
    let gradients = export_gradients(&network, &GradientsParams::from_grads(loss(&network).backward(), &network));
    let weights = export_named(&network);
    assert_eq!(gradients.len(), weights.len());
    for (name, gradient) in &gradients {
        let (place, &slope) = gradient.values.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap();
        let step = 2e-3_f32;
        let moved = |by: f32| {
            let mut weights = weights.clone();
            weights.get_mut(name).unwrap().values[place] += by;
            loss(&load_named(case.network(&device), &weights).0).into_scalar::<f64>()
        };
        let measured = (moved(step) - moved(-step)) / f64::from(2.0 * step);
        let allowed = SLOPE_TOLERANCE * f64::from(slope.abs()) + 1e-3;
        assert!((measured - f64::from(slope)).abs() < allowed, "{name}: slope {measured}, gradient {slope}");
    }
}

#[test]
#[should_panic(expected = "larger than the crop of [16, 32, 48]")]
fn a_volume_above_the_training_crop_has_no_position_code() {
    let [.., case] = cases();
    case.encoder(&Device::flex()).encode(volume("large", [17, 32, 48], &Device::flex()), Pass::EVALUATION);
}

/// The same sums of some hundred float32 terms, taken in another order.
const ORDER_TOLERANCE: f32 = 1e-5;

#[track_caller]
fn assert_close(what: &str, got: &[f32], wanted: &[f32]) {
    let scale = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    for (index, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!((got - wanted).abs() <= ORDER_TOLERANCE * scale, "{what}[{index}]: {got}, expected {wanted} (largest {scale})");
    }
}

/// For each sample other tokens of UNETR's 2x2x3 in another order.
fn shuffled(kept: usize, device: &Device) -> (Vec<Vec<usize>>, Tensor<2, Int>) {
    let orders = [0, 1].map(|sample| {
        let mut order: Vec<usize> = (0..12).collect();
        order.shuffle(&mut stream(5, "order", sample, 0));
        order.truncate(kept);
        order
    });
    let flat: Vec<i32> = orders.iter().flatten().map(|&token| token as i32).collect();
    (orders.to_vec(), Tensor::from_data(TensorData::new(flat, [2, kept]), device))
}

#[test]
fn all_tokens_made_visible_are_the_last_map_in_their_order() {
    let device = Device::flex().autodiff();
    for case in &cases()[3..] {
        let encoder = case.encoder(&device);
        let volume = volume("whole", case.crop_size, &device);
        let (orders, visible) = shuffled(12, &device);
        let got = encoder.encode_visible(volume.clone(), visible).expect("a plain transformer can leave patches out");
        let last: Tensor<3> = encoder.encode(volume, Pass::EVALUATION).remove(3).reshape([2, 12, 12]).swap_dims(1, 2);
        // The order of the tokens does not enter this sum, so that every parameter has the same gradient.
        let [gradients, wanted] = [&got, &last].map(|tokens| {
            let mut gradients = tokens.clone().powi_scalar(4).sum().backward();
            export_gradients(&encoder, &GradientsParams::from_module(&mut gradients, &encoder))
        });
        for (name, wanted) in &wanted {
            assert_close(name, &gradients[name].values, &wanted.values);
        }
        let last = values(last);
        let tokens = orders.iter().enumerate().flat_map(|(sample, order)| order.iter().map(move |token| sample * 12 + token));
        let wanted: Vec<f32> = tokens.flat_map(|token| last[token * 12..][..12].to_vec()).collect();
        assert_close("tokens", &values(got), &wanted);
    }
}

#[test]
fn hidden_patches_cannot_reach_visible_tokens() {
    let device = Device::flex();
    let [.., case, _] = cases();
    let encoder = case.encoder(&device);
    let (orders, visible) = shuffled(5, &device);
    let clean = volume("whole", [16, 32, 48], &device);
    let mut poisoned = values(clean.clone());
    for (index, value) in poisoned.iter_mut().enumerate() {
        let (w, h, d) = (index % 48, index / 48 % 32, index / (48 * 32) % 16);
        let token = ((d / 8) * 2 + h / 16) * 3 + w / 16;
        if !orders[index / (2 * 16 * 32 * 48)].contains(&token) {
            *value = f32::NAN;
        }
    }
    let poisoned = Tensor::from_data(TensorData::new(poisoned, clean.dims()), &device);
    let [clean, poisoned] = [clean, poisoned].map(|volume| values(encoder.encode_visible(volume, visible.clone()).expect("tokens")));
    assert!(clean.iter().all(|value| value.is_finite()));
    assert_eq!(clean, poisoned);
}

#[test]
fn a_last_feature_map_of_one_token_is_refused_with_a_crop_that_would_do() {
    use crate::config::RunConfig;
    let text =
        |crop: &str| format!("(model: preset(swin_unetr_tumour), finetune: (crop_size: {crop}), pretrain: (crop_size: (64, 32, 32)))");
    let problems = RunConfig::from_ron(&text("(32, 32, 32)"), "test").unwrap_err().to_string();
    assert!(problems.contains("finetune.crop_size") && problems.contains("[32, 32, 64] would do"), "{problems}");
    assert!(!problems.contains("pretrain.crop_size"), "{problems}");
    RunConfig::from_ron(&text("(32, 32, 64)"), "test").unwrap();
}
