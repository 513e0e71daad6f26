use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, TensorData};

use super::*;
use crate::config::{ModelConfig, OptimiserConfig, Preset, RunConfig};
use crate::model::{HostTensor, Pass, Task, export_gradients, export_named, parameter_paths};
use crate::protocol::{Stage, StageKind};
use crate::train::testing::{by_hand, prepared, tiny};
use crate::train::{Checkpoint, Control, Ending, Finetune, Optimiser, Session, clip_grad_norm, finetune, init_segmenter};

/// A network of two numbers.
#[derive(Module, Debug)]
struct Two {
    encoder: Param<Tensor<1>>,
    head: Param<Tensor<1>>,
}

impl Two {
    fn new(value: f32) -> Self {
        let parameter = || Param::from_tensor(Tensor::<1>::from_floats([value], &Device::flex().autodiff()).require_grad());
        Self { encoder: parameter(), head: parameter() }
    }

    fn values(&self) -> [f64; 2] {
        [&self.encoder, &self.head].map(|parameter| parameter.val().into_data().iter::<f64>().next().unwrap())
    }
}

fn param_groups(two: &Two, factor: f64, frozen_steps: usize) -> ParamGroups {
    ParamGroups { encoder: HashMap::from([(two.encoder.id, factor)]), frozen_steps }
}

/// Both numbers begin at 2 with the gradients 0.5, then 1.5, at lr 0.1, and the encoder has a quarter of it.
#[test]
fn each_rule_moves_the_encoder_at_its_own_rate() {
    let rules =
        [OptimiserConfig::Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.01 }, OptimiserConfig::AdamW { lr: 0.1, weight_decay: 0.2 }];
    for config in rules {
        let mut two = Two::new(2.0);
        let param_groups = param_groups(&two, 0.25, 0);
        let mut optimiser = Optimiser::new(config);
        for gradient in [0.5, 1.5] {
            let mut gradients = GradientsParams::new();
            for parameter in [&two.encoder, &two.head] {
                gradients.register(parameter.id, Tensor::<1>::from_floats([gradient], &Device::flex()));
            }
            two = optimiser.step_at(two, gradients, None, &|parameter| param_groups.rate(parameter, 0.1));
        }
        let expected = [0.025, 0.1].map(|lr| by_hand(config, lr, 2.0, [0.5, 1.5])[1]);
        for (found, expected) in two.values().into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{config:?}: {found} is not {expected}");
        }
    }
}

/// Loss `(encoder * head - 1)^2` from 2 and 2: the head's gradient is 2 * 3 * 2 = 12, which is then the norm.
#[test]
fn a_frozen_encoder_takes_no_part_in_norm_and_step_and_has_no_moments() {
    let two = Two::new(2.0);
    let param_groups = param_groups(&two, 1.0, 3);
    assert!(param_groups.held(&two, 3).is_none(), "the fourth step moves all");
    let held = param_groups.held(&two, 2).expect("the third step does not");
    let loss = (held.encoder.val() * held.head.val() - 1.0).square();
    let mut gradients = GradientsParams::from_grads(loss.backward(), &held);
    assert_eq!(clip_grad_norm(&held, &mut gradients, Some(6.0)).value(), 12.0);
    drop(held);
    let mut optimiser = Optimiser::new(OptimiserConfig::Sgd { lr: 0.1, momentum: 0.0, weight_decay: 0.5 });
    let two = optimiser.step(two, gradients, 0.1);
    let [encoder, head] = two.values();
    assert_eq!(encoder, 2.0, "weight decay does not move it either");
    // Clipped to 6, plus decay 0.5 * 2.
    assert!((head - (2.0 - 0.1 * 7.0)).abs() < 1e-5, "{head}");
    assert_eq!(optimiser.momentum().into_keys().collect::<Vec<_>>(), ["head"]);
    assert!(two.encoder.val().is_require_grad(), "the network itself stays trainable");
}

/// Fields of the encoder of each small network, with how many stages lie behind them.
const STAGES: [(Preset, &[(&str, i32)]); 4] = [
    (Preset::NnformerSmall, &[("patch_embed", 1), ("layers.0", 1), ("norms.0", 1), ("layers.1", 0), ("norms.1", 0)]),
    (Preset::SwinUnetrSmall, &[("patch_embed", 1), ("stages.0", 1), ("stages.1", 0)]),
    // Skips leave its eight blocks behind the third, the fifth and the seventh.
    (
        Preset::UnetrSmall,
        &[
            ("patch_embedding", 3),
            ("blocks.0", 3),
            ("blocks.1", 3),
            ("blocks.2", 3),
            ("blocks.3", 2),
            ("blocks.4", 2),
            ("blocks.5", 1),
            ("blocks.6", 1),
            ("blocks.7", 0),
            ("norm", 0),
        ],
    ),
    (Preset::UnetSmall, &[("stages.0", 3), ("stages.1", 2), ("stages.2", 1), ("stages.3", 0)]),
];

#[test]
fn every_stage_of_every_encoder_learns_slower_than_the_next_and_the_rest_as_ever() {
    let task = Task { channels: 1, classes: 3, crop_size: [16; 3] };
    let settings = FinetuneConfig { encoder_lr: 0.5, encoder_lr_decay: 0.25, ..FinetuneConfig::default() };
    for (preset, stages) in STAGES {
        let network = Segmenter::init(&ModelConfig::Preset(preset), &task, 3, &Device::flex());
        let [decayed, plain] = [&settings, &FinetuneConfig::default()].map(|settings| ParamGroups::of(&network, settings));
        let mut seen = vec![0; stages.len()];
        let mut others = 0;
        for (id, path) in parameter_paths(&network) {
            let rate = decayed.rate(id, 0.1);
            assert_eq!(plain.rate(id, 0.1), 0.1, "{preset}: {path:?}");
            if path[0] != "encoder" {
                others += 1;
                assert_eq!(rate, 0.1, "{preset}: {path:?}");
                continue;
            }
            let own = path[1..].join(".");
            let stage = stages.iter().position(|(fields, _)| own.starts_with(&format!("{fields}.")));
            let stage = stage.unwrap_or_else(|| panic!("{preset}: {own} is of no stage"));
            seen[stage] += 1;
            assert_eq!(rate, 0.1 * (0.5 * 0.25_f64.powi(stages[stage].1)), "{preset}: {own}");
        }
        assert!(others > 0 && seen.iter().all(|&count| count > 0), "{preset}: {seen:?}");
    }
}

#[test]
fn leaving_the_encoder_out_of_the_graph_changes_no_other_gradient() {
    let device = Device::flex().autodiff();
    let task = Task { channels: 1, classes: 3, crop_size: [16; 3] };
    let image: Vec<f32> = (0..16 * 16 * 16).map(|voxel| (voxel as f32 * 0.37).sin()).collect();
    for preset in [Preset::NnformerSmall, Preset::SwinUnetrSmall, Preset::UnetrSmall, Preset::UnetSmall] {
        let network = Segmenter::init(&ModelConfig::Preset(preset), &task, 3, &device);
        let param_groups = ParamGroups::of(&network, &FinetuneConfig { freeze_encoder: 1, ..FinetuneConfig::default() });
        let gradients = |network: &Segmenter| {
            let image = Tensor::<5>::from_data(TensorData::new(image.clone(), [1, 1, 16, 16, 16]), &device);
            let heads = network.forward(image, Pass::training(1, 0, 0));
            let loss = heads.into_iter().map(|head| head.square().mean()).reduce(|sum, head| sum + head).unwrap();
            export_gradients(network, &GradientsParams::from_grads(loss.backward(), network))
        };
        let mut whole = gradients(&network);
        let held = gradients(&param_groups.held(&network, 0).expect("frozen"));
        let all = whole.len();
        whole.retain(|name, _| !name.starts_with(network.encoder.prefix()));
        assert!(!whole.is_empty() && whole.len() < all, "{preset}");
        assert_eq!(held, whole, "{preset}");
    }
}

const STEPS: usize = 5;
const FROZEN: usize = 3;

fn config() -> RunConfig {
    let mut config = tiny(3, 12);
    let settings = &mut config.finetune;
    (settings.steps, settings.checkpoint_every) = (STEPS, 1);
    settings.optimiser = OptimiserConfig::AdamW { lr: 0.01, weight_decay: 0.1 };
    (settings.encoder_lr, settings.freeze_encoder) = (0.5, FROZEN);
    assert_eq!(config.problems(), []);
    config
}

/// Trains in `folder`, so many steps a session.
fn train(config: &RunConfig, folder: &Path, sessions: &[usize]) -> Checkpoint {
    let (cases, info) = prepared(config, None);
    for (index, &steps) in sessions.iter().enumerate() {
        let session = Session {
            stage: Stage { kind: StageKind::Finetune, arm: String::new() },
            device: Device::flex(),
            beside: Vec::new(),
            checkpoints: folder.to_owned(),
            resume: index > 0,
            max_steps: Some(steps),
            memory: None,
            emit: &|_| {},
            show: &|_| {},
            control: &|| Control::Continue,
        };
        let work = Finetune { config, dataset: &info, cases: cases.clone(), from: None, validate: None };
        let ending = finetune(&session, &work).unwrap();
        assert_eq!(ending == Ending::Completed, sessions[..=index].iter().sum::<usize>() == STEPS);
    }
    Checkpoint::last(folder).unwrap().expect("a checkpoint")
}

#[test]
fn a_frozen_encoder_stays_to_the_bit_then_trains_and_resumes_exactly() {
    let config = config();
    let network = init_segmenter(&config, &prepared(&config, None).1, &Device::flex());
    let untrained = export_named(&network);
    let moved = |weights: &BTreeMap<String, HostTensor>| -> [usize; 2] {
        let differs =
            |(name, tensor): (&String, &HostTensor)| (untrained[name] != *tensor).then(|| name.starts_with(network.encoder.prefix()));
        let moved: Vec<bool> = weights.iter().filter_map(differs).collect();
        [true, false].map(|encoder| moved.iter().filter(|&&of_encoder| of_encoder == encoder).count())
    };
    let at = || tempfile::tempdir().unwrap();
    let [encoder, rest] = moved(&train(&config, at().path(), &[FROZEN]).weights);
    assert!(encoder == 0 && rest > 0, "{encoder} tensors of the encoder moved, and {rest} others");
    let whole = train(&config, at().path(), &[STEPS]);
    let [encoder, rest] = moved(&whole.weights);
    assert!(encoder > 0 && rest > 0, "{encoder} tensors of the encoder moved, and {rest} others");
    // Broken off while it is frozen, at the change, and after it.
    for sessions in [&[2, 3][..], &[3, 2], &[1, 3, 1]] {
        let broken = train(&config, at().path(), sessions);
        assert!(broken.weights == whole.weights && broken.optimiser == whole.optimiser, "{sessions:?}");
    }
    let mut slower = config.clone();
    slower.finetune.encoder_lr = 0.25;
    let slower = train(&slower, at().path(), &[STEPS]);
    let mut decayed = config.clone();
    decayed.finetune.encoder_lr_decay = 0.5;
    assert!(train(&decayed, at().path(), &[STEPS]).weights != whole.weights, "the first of the two stages learns slower");
    assert!(slower.weights != whole.weights, "the encoder's rate decides its step");
}
