//! Several devices that share batches come to what one comes to that has them to itself.

use std::collections::BTreeMap;
use std::path::Path;

use burn::optim::GradientsAccumulator;
use rand::RngExt as _;

use super::*;
use crate::config::FinetuneConfig;
use crate::device::for_tests;
use crate::model::{HostTensor, export_gradients, export_named};
use crate::objective::LossNumbers;
use crate::protocol::{Stage, StageKind};
use crate::random::stream;
use crate::sampling::LabelledBatch;
use crate::train::pretrain::tests::{batch, configs};
use crate::train::testing::{prepared, tiny};
use crate::train::{Checkpoint, Control, DatasetInfo, Ending, Finetune, Pretrain, Pretraining, Session, finetune, init_segmenter};

/// How far a number of the loss may be apart, relative to itself where it is more than 1. Sums in another order differ by 1e-7.
const LOSS_TOLERANCE: f64 = 1e-4;

/// How far the gradients may be apart, by their norm. Norms of nearly equal tokens and a low temperature multiply the differences of sums.
const GRADIENT_TOLERANCE: f64 = 1e-3;

/// How far weights may have moved apart, relative to how far they have moved.
const WAY_TOLERANCE: f64 = 1e-3;

/// What came of a batch.
struct Outcome {
    numbers: BTreeMap<&'static str, f64>,
    gradients: BTreeMap<String, HostTensor>,
    cases: Vec<String>,
}

/// Two of the CPU, and the CPU with a GPU where there is one.
fn teams() -> Vec<(String, Devices)> {
    let cpu = Device::flex();
    for_tests().into_iter().map(|(name, beside)| (format!("cpu,{name}"), Devices::new(&cpu, &[beside]))).collect()
}

fn alone() -> Devices {
    Devices::new(&Device::flex(), &[])
}

/// A training pass: some samples' branches are dropped.
fn outcome<T: BatchLoss>(devices: &Devices, model: &T::Model, batch: T::Batch, config: &RunConfig) -> Outcome {
    let step = MicroStep { config, pass: Pass::training(config.seed, 3, 0), weight: 1.0 };
    let results = devices.compute::<T>(model, batch, step).unwrap();
    assert_eq!(results.len(), devices.count());
    let share = 1.0 / results.len() as f64;
    let (mut sum, mut numbers, mut cases) = (GradientsAccumulator::new(), BTreeMap::new(), Vec::new());
    for ShareResult { numbers: (values, names), gradients, cases: own } in results {
        let values = values.into_data();
        let LossNumbers { value, parts } = LossNumbers::new(values.iter::<f64>(), &names);
        for (name, value) in std::iter::once(("loss", value)).chain(parts) {
            *numbers.entry(name).or_default() += value * share;
        }
        sum.accumulate(model, gradients);
        cases.extend(own);
    }
    Outcome { numbers, gradients: export_gradients(model, &sum.grads()), cases }
}

/// How far `found` is from `expected`, relative to `scale`, by the norm over all tensors.
fn apart(found: &BTreeMap<String, HostTensor>, expected: &BTreeMap<String, HostTensor>, scale: &BTreeMap<String, HostTensor>) -> f64 {
    assert!(found.keys().eq(expected.keys()), "tensors of other names");
    let difference = found.iter().flat_map(|(name, found)| found.values.iter().zip(&expected[name].values).map(|(a, b)| f64::from(a - b)));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let scale = norm(&mut scale.values().flat_map(|tensor| tensor.values.iter().map(|value| f64::from(*value))));
    assert!(scale > 0.0);
    norm(&mut { difference }) / scale
}

fn assert_agree(what: &str, alone: &Outcome, shared: &Outcome) {
    assert_eq!(alone.cases, shared.cases, "{what}");
    assert!(alone.numbers.keys().eq(shared.numbers.keys()), "{what}: {:?} and {:?}", alone.numbers, shared.numbers);
    for (name, expected) in &alone.numbers {
        let difference = (shared.numbers[name] - expected).abs() / expected.abs().max(1.0);
        assert!(difference < LOSS_TOLERANCE, "{what}: {name} is {} instead of {expected}", shared.numbers[name]);
    }
    let apart = apart(&shared.gradients, &alone.gradients, &alone.gradients);
    println!("{what}: gradients {apart:.1e} apart");
    assert!(apart < GRADIENT_TOLERANCE, "{what}: gradients {apart:e} apart");
}

/// Each of two devices has one volume: negatives, batch norms and the centre lie across both.
#[test]
fn every_pretext_task_has_the_loss_and_gradients_of_the_whole_batch() {
    for (what, config) in configs() {
        let fresh = || Pretraining::init(&config, 1, &Device::flex().autodiff());
        let of = |devices: &Devices| {
            let model = fresh();
            let outcome = outcome::<Pretrain<'_>>(devices, &model, batch(config.pretrain.task), &config);
            // What a target and a centre make of the step, before the optimiser moves anything.
            (outcome, export_named(&model.after_step()))
        };
        let (expected, weights) = of(&alone());
        for (name, devices) in teams() {
            let (found, moved) = of(&devices);
            assert_agree(&format!("{what} on {name}"), &expected, &found);
            let apart = apart(&moved, &weights, &weights);
            assert!(apart < LOSS_TOLERANCE, "{what} on {name}: weights {apart:e} apart after the step");
        }
    }
}

/// The Dice of the loss is that of both crops, or of each.
#[test]
fn every_network_has_the_loss_and_gradients_of_the_whole_batch() {
    const CROP: [usize; 3] = [16, 16, 32];
    let voxels = CROP.iter().product::<usize>();
    let mut rng = stream(5, "test", 0, 0);
    let image: Vec<f32> = (0..2 * voxels).map(|_| rng.random_range(-1.0..1.0)).collect();
    // The second crop has less of the class, so that one Dice for both is not the mean of two.
    let label: Vec<u8> = (0..2 * voxels).map(|voxel| u8::from(voxel % 32 < if voxel < voxels { 20 } else { 3 })).collect();
    let batch =
        LabelledBatch { step: 0, shape: [2, 1, CROP[0], CROP[1], CROP[2]], image, label, cases: vec!["a".to_owned(), "b".to_owned()] };
    let labels = BTreeMap::from([(0, "background".to_owned()), (1, "one".to_owned())]);
    let info = DatasetInfo { name: "made up".to_owned(), channels: vec!["image".to_owned()], labels };
    for preset in ["nnformer_small", "swin_unetr_small", "unetr_small", "unet_small"] {
        for batch_dice in [true, false] {
            let settings = [format!("model.preset={preset}"), "finetune.crop_size=[16,16,32]".to_owned()];
            let config = RunConfig::default().with_overrides(&settings).unwrap();
            let config = RunConfig { finetune: FinetuneConfig { batch_dice, ..config.finetune.clone() }, ..config };
            let model = init_segmenter(&config, &info, &Device::flex().autodiff());
            let expected = outcome::<Finetune<'_>>(&alone(), &model, batch.clone(), &config);
            for (name, devices) in teams() {
                let found = outcome::<Finetune<'_>>(&devices, &model, batch.clone(), &config);
                assert_agree(&format!("{preset} on {name}, batch Dice {batch_dice}"), &expected, &found);
            }
        }
    }
}

/// One session of a fine-tuning of five steps.
fn session(config: &RunConfig, folder: &Path, beside: usize, max_steps: Option<usize>) -> Ending {
    let (cases, dataset) = &prepared(config, None);
    let session = Session {
        stage: Stage { kind: StageKind::Finetune, arm: String::new() },
        device: Device::flex(),
        beside: vec![Device::flex(); beside],
        checkpoints: folder.to_owned(),
        resume: true,
        max_steps,
        memory: None,
        emit: &|_| {},
        show: &|_| {},
        control: &|| Control::Continue,
    };
    finetune(&session, &Finetune { config, dataset, cases: cases.clone(), from: None, validate: None }).unwrap()
}

/// The last checkpoint after sessions on `1 + beside` devices of at most so many steps.
fn trained(config: &RunConfig, sessions: &[(usize, Option<usize>)]) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let endings: Vec<Ending> = sessions.iter().map(|&(beside, most)| session(config, folder.path(), beside, most)).collect();
    assert_eq!(endings.last(), Some(&Ending::Completed));
    Checkpoint::open(&folder.path().join("last")).unwrap()
}

#[test]
fn a_training_on_two_devices_is_that_of_one_gives_the_same_bytes_each_time_and_goes_on_on_any_number() {
    let settings = ["finetune.steps=5", "finetune.batch=4", "finetune.accumulate=2"].map(str::to_owned);
    let config = tiny(4, 16).with_overrides(&settings).unwrap();
    let start = export_named(&init_segmenter(&config, &prepared(&config, None).1, &Device::flex()));
    let alone = trained(&config, &[(0, None)]);
    let way: BTreeMap<String, HostTensor> = start
        .into_iter()
        .map(|(name, start)| {
            let values = alone.weights[&name].values.iter().zip(&start.values).map(|(after, before)| after - before).collect();
            (name, HostTensor { values, ..start })
        })
        .collect();
    let shared = trained(&config, &[(1, None)]);
    assert_eq!(shared, trained(&config, &[(1, None)]));
    assert_eq!(shared, trained(&config, &[(1, Some(2)), (1, None)]));
    let others = [vec![(1, None)], vec![(3, None)], vec![(1, Some(2)), (0, None)], vec![(0, Some(2)), (1, None)]];
    for sessions in others {
        let apart = apart(&trained(&config, &sessions).weights, &alone.weights, &way);
        assert!(apart < WAY_TOLERANCE, "{sessions:?}: {apart:e} apart");
    }
}
