//! A training on a GPU is the CPU's, and gives the same bytes each time.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::pretrain::tests::{batch, config, configs};
use super::*;
use crate::config::{OptimiserConfig, PretextTask, RunConfig};
use crate::device::for_tests;
use crate::model::{HostTensor, NamedWeights, Pass, export_named};
use crate::objective::{DiceCeConfig, Loss, Objective as _, classes_from_host};

const STEPS: usize = 20;

/// How far the losses of the two may be apart after any step, relative to the first. Sums in another order differ by 1e-7, which twenty
/// steps multiply.
const LOSS_TOLERANCE: f64 = 1e-3;

/// How far the weights may have moved apart, relative to how far they have moved.
const WAY_TOLERANCE: f64 = 2e-2;

/// Losses of each step, and the weights before and after.
struct Course {
    losses: Vec<f64>,
    weights: [BTreeMap<String, HostTensor>; 2],
}

/// Steps of SGD with momentum, decay and clipping.
fn train<M: NamedWeights>(mut model: M, loss: impl Fn(&M) -> Loss, after: impl Fn(M) -> M) -> Course {
    let mut optimiser = Optimiser::new(OptimiserConfig::Sgd { lr: 2e-3, momentum: 0.9, weight_decay: 3e-5 });
    let before = export_named(&model);
    let mut losses = Vec::new();
    for _ in 0..STEPS {
        let found = loss(&model);
        let mut gradients = GradientsParams::from_grads(found.loss.clone().backward(), &model);
        let norm = clip_grad_norm(&model, &mut gradients, Some(1.0));
        model = after(optimiser.step_at(model, gradients, Some(&norm), &|_| 2e-3));
        losses.push(found.numbers().value);
    }
    Course { losses, weights: [before, export_named(&model)] }
}

fn pretraining(config: &RunConfig, device: &Device) -> Course {
    let (model, batch) = (Pretraining::init(config, 1, &device.clone().autodiff()), batch(config.pretrain.task));
    train(model, |model| model.pretext.loss(&model.encoder, &batch, Pass::EVALUATION), Pretraining::after_step)
}

fn finetuning(preset: &str, device: &Device) -> Course {
    /// Small, since a software GPU takes long: some networks halve each axis four times.
    const CROP: [usize; 3] = [16, 16, 32];
    let device = device.clone().autodiff();
    let config = RunConfig::default();
    let config = config.with_overrides(&[format!("model.preset={preset}"), "finetune.crop_size=[16,16,32]".to_owned()]).unwrap();
    let labels = (0..3).map(|label| (label, label.to_string())).collect();
    let info = DatasetInfo { name: "made up".to_owned(), channels: vec!["image".to_owned()], labels };
    let voxels: usize = CROP.iter().product();
    let classes: Vec<u8> = (0..voxels).map(|voxel| (voxel / 5 % 32 / 12) as u8).collect();
    let values: Vec<f32> = classes.iter().enumerate().map(|(voxel, &class)| f32::from(class) + (voxel * 7 % 13) as f32 / 13.0).collect();
    let image = Tensor::<5>::from_data(TensorData::new(values, [1, 1, CROP[0], CROP[1], CROP[2]]), &device);
    let classes = classes_from_host(&classes, [1, CROP[0], CROP[1], CROP[2]], &device);
    let loss = |network: &crate::model::Segmenter| {
        DiceCeConfig::nnunet().deep_supervision(network.forward(image.clone(), Pass::EVALUATION), &classes)
    };
    train(init_segmenter(&config, &info, &device), loss, |network| network)
}

/// By weights: how far they have moved.
fn ways([before, after]: &[BTreeMap<String, HostTensor>; 2]) -> Vec<f64> {
    let pairs = before.iter().flat_map(|(name, before)| before.values.iter().zip(&after[name].values));
    pairs.map(|(before, after)| f64::from(after - before)).collect()
}

fn agree(what: &str, courses: &[(&str, Course)]) {
    let [(_, cpu), others @ ..] = courses else { panic!("no CPU") };
    let length = |way: &[f64]| way.iter().map(|step| step * step).sum::<f64>().sqrt();
    let own = ways(&cpu.weights);
    assert!(length(&own) > 0.0, "{what}: it has not moved");
    for (name, other) in others {
        let scale = cpu.losses[0].abs();
        let apart = cpu.losses.iter().zip(&other.losses).map(|(cpu, other)| (cpu - other).abs() / scale).fold(0.0, f64::max);
        let between: Vec<f64> = own.iter().zip(ways(&other.weights)).map(|(cpu, other)| cpu - other).collect();
        let drift = length(&between) / length(&own);
        println!("{what} on {name}: losses {apart:.1e} apart, weights {drift:.1e}");
        assert!(apart < LOSS_TOLERANCE && drift < WAY_TOLERANCE, "{what} on {name}: losses {apart:e}, weights {drift:e} apart");
    }
}

fn on_each_device(train: impl Fn(&Device) -> Course) -> Vec<(&'static str, Course)> {
    for_tests().into_iter().map(|(name, device)| (name, train(&device))).collect()
}

#[test]
fn twenty_steps_of_every_pretext_task_agree_on_all_devices() {
    for (what, config) in configs() {
        agree(&what, &on_each_device(|device| pretraining(&config, device)));
    }
}

#[test]
fn twenty_steps_of_every_network_agree_on_all_devices() {
    for preset in ["nnformer_small", "swin_unetr_small", "unetr_small", "unet_small"] {
        agree(preset, &on_each_device(|device| finetuning(preset, device)));
    }
}

#[test]
fn a_training_gives_the_same_bytes_each_time() {
    for (name, device) in for_tests() {
        let [first, second] = [(); 2].map(|()| pretraining(&config(PretextTask::Simtrot), &device));
        assert_eq!(first.losses, second.losses, "{name}");
        assert!(first.weights[1] == second.weights[1], "{name}: the weights differ");
    }
}
