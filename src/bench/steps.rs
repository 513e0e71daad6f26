//! Training steps on made-up batches: the work of a step does not depend on what its voxels are.

use std::time::Instant;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;
use rand_distr::StandardNormal;

use crate::config::{OptimiserConfig, RunConfig};
use crate::device::{on_host, wait};
use crate::geometry::{SignedPermutation, quantile};
use crate::kernels::first_failure;
use crate::model::{NamedWeights, Pass, Segmenter, Task};
use crate::objective::{DiceCeConfig, Loss, Objective as _, classes_from_host};
use crate::protocol::StageKind;
use crate::random::stream;
use crate::sampling::mask::MaskGrid;
use crate::sampling::{View, ViewBatch};
use crate::train::{Optimiser, Pretraining, clip_grad_norm};

/// Steps that are timed, at most, after one that warms up.
const TIMED: usize = 3;

/// A step that is made again and again on the same batch. An error where the device fails, after which it is not made again.
pub type Step = Box<dyn FnMut() -> Result<(), String>>;

/// What a step looks at beside its crops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    /// Channels of an image.
    pub channels: usize,
    /// Classes, background included; pre-training knows none.
    pub classes: usize,
}

impl Noise {
    /// What the pieces of work and the measurements of memory take: one channel, three classes.
    pub const USUAL: Self = Self { channels: 1, classes: 3 };
}

/// Seconds of a training step of this kind by the config's network, batch, crop and step rule: the median of three after one that warms up,
/// or of fewer where no more fit into `secs`; where not even a second one does, those of the first. On a GPU a second one is made in any case:
/// the first waits for kernels to be translated. None where `goes_on`, asked between two steps, says no.
///
/// # Errors
/// What the device cannot do, with the operation where it is known.
pub fn step_secs(
    (kind, config): (StageKind, &RunConfig),
    noise: Noise,
    device: &Device,
    secs: f64,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Option<f64>, String> {
    let began = Instant::now();
    let mut step = if kind == StageKind::Pretrain { pretrain_step(config, noise, device) } else { finetune_step(config, noise, device) };
    let mut timed = || {
        let before = Instant::now();
        step().map(|()| before.elapsed().as_secs_f64())
    };
    let (stepped, failure) = first_failure(&mut timed);
    let first = failure.map_or(stepped, Err)?;
    let (mut times, mut last) = (Vec::new(), first);
    let least = usize::from(!on_host(device));
    while times.len() < TIMED && (times.len() < least || began.elapsed().as_secs_f64() + last <= secs) {
        if !goes_on() {
            return Ok(None);
        }
        last = timed()?;
        times.push(last);
    }
    drop(step);
    if !on_host(device) {
        // What comes next needs the memory for tensors of other sizes.
        device.memory_cleanup();
    }
    Ok(goes_on().then(|| quantile(&mut times, 0.5).unwrap_or(first)))
}

/// A step of fine-tuning on crops of noise, through network, loss and back.
pub fn finetune_step(config: &RunConfig, Noise { channels, classes }: Noise, device: &Device) -> Step {
    let device = device.clone().autodiff();
    let settings = &config.finetune;
    let (batch, [depth, height, width]) = (settings.batch, settings.crop_size);
    let network = Segmenter::init(&config.model, &Task { channels, classes, crop_size: settings.crop_size }, config.seed, &device);
    let loss = DiceCeConfig { batch_dice: settings.batch_dice, ..DiceCeConfig::nnunet() };
    let image = tensor("bench.image", [batch, channels, depth, height, width], &device);
    let mut rng = stream(0, "bench.label", 0, 0);
    let label: Vec<u8> = (0..batch * depth * height * width).map(|_| rng.random_range(0..classes as u8)).collect();
    let look = move |network: &Segmenter| {
        let classes = classes_from_host(&label, [batch, depth, height, width], &device);
        loss.deep_supervision(network.forward(image.clone(), Pass::EVALUATION), &classes)
    };
    repeated(network, (settings.accumulate, settings.optimiser, settings.clip_norm), look, |network| network)
}

/// A step of pre-training on two views of volumes of noise, the second one rotated by a quarter, through network, loss and back.
pub fn pretrain_step(config: &RunConfig, Noise { channels, .. }: Noise, device: &Device) -> Step {
    let device = device.clone().autodiff();
    let settings = &config.pretrain;
    let (batch, crop) = (settings.batch, settings.crop_size);
    let voxels = batch * channels * crop.iter().product::<usize>();
    let view = |name, element| View { voxels: normal(name, voxels), elements: vec![element; batch], ..View::default() };
    let views = vec![view("bench.masked", SignedPermutation::IDENTITY), view("bench.rotated", SignedPermutation::rot90(1, [1, 2]))];
    let mask_grid = MaskGrid::new(crop, crop).expect("one cell");
    let views = ViewBatch { step: 0, shape: [batch, channels, crop[0], crop[1], crop[2]], views, mask_grid, cases: Vec::new() };
    let look = move |model: &Pretraining| model.pretext.loss(&model.encoder, &views, Pass::EVALUATION);
    let model = Pretraining::init(config, channels, &device);
    repeated(model, (settings.accumulate, settings.optimiser, settings.clip_norm), look, Pretraining::after_step)
}

/// The step of a training: gradients of so many batches, added up and clipped, and the optimiser's step along them.
fn repeated<M: NamedWeights + 'static>(
    model: M,
    (accumulate, optimiser, clip_norm): (usize, OptimiserConfig, Option<f64>),
    look: impl Fn(&M) -> Loss + 'static,
    after_step: fn(M) -> M,
) -> Step {
    let (mut rule, rate, share) = (Optimiser::new(optimiser), optimiser.base_lr(), 1.0 / accumulate as f64);
    let mut model = Some(model);
    Box::new(move || {
        let current = model.take().ok_or("the step before failed")?;
        let mut gradients = GradientsAccumulator::new();
        let mut losses = Vec::new();
        for _ in 0..accumulate {
            let outcome = look(&current);
            losses.push(outcome.unread().0);
            gradients.accumulate(&current, GradientsParams::from_grads((outcome.loss * share).backward(), &current));
        }
        let mut gradients = gradients.grads();
        let norm = clip_grad_norm(&current, &mut gradients, clip_norm);
        let current = after_step(rule.step_at(current, gradients, Some(&norm), &|_| rate));
        // Read last, as a training does; a step that is not waited for would not be timed.
        let losses = Tensor::cat(losses, 0).try_into_data().map_err(|error| error.to_string())?;
        current.devices().iter().try_for_each(wait).map_err(|error| error.to_string())?;
        model = Some(current);
        let wrong = losses.iter::<f64>().find(|value| !value.is_finite());
        wrong.map_or(Ok(()), |value| Err(format!("the loss of made-up voxels became {value}")))
    })
}

/// So many normally distributed numbers, the same each time.
pub(super) fn normal(purpose: &str, count: usize) -> Vec<f32> {
    let mut rng = stream(0, purpose, 0, 0);
    (0..count).map(|_| rng.sample::<f32, _>(StandardNormal)).collect()
}

/// The same as a tensor.
pub(super) fn tensor<const D: usize>(purpose: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(normal(purpose, shape.iter().product()), shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModelConfig, UnetConfig};

    #[test]
    fn a_step_of_either_kind_is_timed_within_the_time_given_and_ends_where_it_is_told_to() {
        let model = UnetConfig { features: vec![4, 8], strides: vec![[1; 3], [2; 3]], blocks: vec![1; 2], ..UnetConfig::default() };
        let mut config = RunConfig { model: ModelConfig::Unet(model), ..RunConfig::default() };
        (config.pretrain.crop_size, config.finetune.crop_size) = ([8; 3], [8; 3]);
        (config.finetune.batch, config.finetune.accumulate) = (1, 2);
        let noise = Noise { channels: 2, classes: 4 };
        for (_, device) in crate::device::for_tests() {
            for kind in [StageKind::Pretrain, StageKind::Finetune] {
                // Asked before each of the three and after the last; with no time, after the first alone, on a GPU before and after a second.
                for (secs, wanted) in [(600.0, TIMED + 1), (0.0, if on_host(&device) { 1 } else { 2 })] {
                    let mut asked = 0;
                    let found = step_secs((kind, &config), noise, &device, secs, &mut || {
                        asked += 1;
                        true
                    });
                    assert!(found.unwrap().is_some_and(|secs| secs > 0.0), "{kind:?}");
                    assert_eq!(asked, wanted, "{kind:?} in {secs} s");
                }
                assert_eq!(step_secs((kind, &config), noise, &device, 600.0, &mut || false), Ok(None));
            }
        }
    }
}
