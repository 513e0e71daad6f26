//! Every pretext task on a small network: gradients, what the loss reads, and that it falls.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;

use super::*;
use crate::config::{MaeConfig, ModelConfig, OptimiserConfig, Preset, PretextTask, PretrainConfig, ProjectorConfig};
use crate::geometry::SignedPermutation;
use crate::model::{HostTensor, export_gradients, export_named};
use crate::random::stream;
use crate::sampling::View;
use crate::sampling::mask::MaskGrid;
use crate::train::Optimiser;

const EDGE: usize = 16;

/// Two volumes of channels so many.
const SHAPE: [usize; 5] = [2, 1, EDGE, EDGE, EDGE];

pub(in crate::train) fn config(task: PretextTask) -> RunConfig {
    let preset = if task == PretextTask::Mae { "unetr_small" } else { "nnformer_small" };
    let base = RunConfig {
        pretrain: PretrainConfig {
            task,
            crop_size: [EDGE; 3],
            mask_ratio: 0.5,
            projector: ProjectorConfig { hidden: Some(24), output: Some(16), ..ProjectorConfig::default() },
            mae: MaeConfig { dim: 24, depth: 1, heads: 2 },
            ..PretrainConfig::default()
        },
        ..RunConfig::default()
    };
    base.with_overrides(&[format!("model.preset={preset}"), format!("finetune.crop_size=[{EDGE},{EDGE},{EDGE}]")]).unwrap()
}

/// The settings of every task, and SimTROT's once more with what goes beyond the paper.
pub(in crate::train) fn configs() -> Vec<(String, RunConfig)> {
    let mut further = config(PretextTask::Simtrot);
    further.pretrain.rotation_code = true;
    further.pretrain.reconstruction_weight = 0.5;
    let tasks = PretextTask::ALL.into_iter().map(|task| (task.to_string(), config(task)));
    tasks.chain([("simtrot with code and reconstruction".to_owned(), further)]).collect()
}

/// The views that a task gets of two volumes of noise.
pub(in crate::train) fn batch(task: PretextTask) -> ViewBatch {
    let mut rng = stream(3, "test", 0, 0);
    let mut noise = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let count = SHAPE.iter().product();
    let mask_grid = MaskGrid::new([EDGE; 3], [8; 3]).unwrap();
    let mask: Vec<bool> = (0..2 * mask_grid.count()).map(|cell| (cell + cell / 8) % 2 == 0).collect();
    let quarter = SignedPermutation::rot90(1, [1, 2]);
    let mut view = |mask: &[bool], turns: [SignedPermutation; 2]| View {
        voxels: noise(count),
        mask: mask.to_vec(),
        elements: turns.to_vec(),
        clean: noise(count),
    };
    let views = match task {
        PretextTask::Simmim | PretextTask::Mae => vec![view(&mask, [SignedPermutation::IDENTITY; 2])],
        PretextTask::Rcr => vec![view(&mask, [quarter, SignedPermutation::IDENTITY]), view(&mask, [SignedPermutation::IDENTITY, quarter])],
        _ => vec![view(&mask, [SignedPermutation::IDENTITY; 2]), view(&[], [SignedPermutation::POINT_REFLECTION, quarter])],
    };
    ViewBatch { step: 0, shape: SHAPE, views, mask_grid, cases: vec!["a".to_owned(), "b".to_owned()] }
}

fn fresh(task: PretextTask) -> Pretraining {
    network(&config(task))
}

fn network(config: &RunConfig) -> Pretraining {
    Pretraining::init(config, 1, &Device::flex().autodiff())
}

fn loss(model: &Pretraining, batch: &ViewBatch) -> f64 {
    model.pretext.loss(&model.encoder, batch, Pass::EVALUATION).numbers().value
}

/// The loss is float32, exact to some 1e-7: the first step leaves 1e-5 in the slope, and as much by curvature. The tokens of an
/// untrained network are nearly alike, so that many of them may meet a ReLU's kink within one step: then a smaller one decides, or
/// the side that has none.
const STEPS: [f32; 3] = [1e-2, 2e-3, 5e-4];
/// Allowed difference of a slope, relative to the largest of the tensor.
const TOLERANCE: f64 = 0.03;

#[test]
fn gradients_of_every_task_match_finite_differences() {
    for (what, config) in configs() {
        let task = config.pretrain.task;
        let (model, batch) = (network(&config), batch(task));
        let outcome = model.pretext.loss(&model.encoder, &batch, Pass::EVALUATION);
        let gradients = export_gradients(&model, &GradientsParams::from_grads(outcome.loss.backward(), &model));
        let weights = export_named(&model);
        let target: Vec<&String> = weights.keys().filter(|name| name.starts_with("target.")).collect();
        assert_eq!(task.has_target(), !target.is_empty(), "{what}");
        assert!(target.iter().all(|name| !gradients.contains_key(*name)), "{what}");
        let heads = gradients.iter().filter(|(name, _)| !name.starts_with(model.encoder.prefix()));
        for (name, gradient) in heads {
            let (place, slope) = gradient.values.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap();
            let moved = |by: f32| {
                let mut weights = weights.clone();
                weights.get_mut(name).unwrap().values[place] += by;
                loss(&load_named(network(&config), &weights).0, &batch)
            };
            let allowed = TOLERANCE * f64::from(slope.abs()) + 1e-4;
            let measured = STEPS.map(|step| {
                let [left, here, right] = [-step, 0.0, step].map(moved);
                [right - left, 2.0 * (right - here), 2.0 * (here - left)].map(|rise| rise / f64::from(2.0 * step))
            });
            let agrees = measured.iter().flatten().any(|measured| (measured - f64::from(*slope)).abs() < allowed);
            assert!(agrees, "{what}, {name}: slopes {measured:?}, gradient {slope}");
        }
        assert!(
            gradients
                .iter()
                .any(|(name, gradient)| { name.starts_with(model.encoder.prefix()) && gradient.values.iter().any(|value| *value != 0.0) }),
            "{what}: nothing reaches the encoder"
        );
    }
}

#[test]
fn what_lies_in_sight_is_not_asked_for() {
    for task in [PretextTask::Simmim, PretextTask::Rcr] {
        let (model, clean) = (fresh(task), batch(task));
        let mut poisoned = clean.clone();
        let mut lost = clean.clone();
        for view in 0..clean.views.len() {
            let hidden = clean.masked_voxels(view);
            for (place, hidden) in hidden.iter().enumerate() {
                if *hidden == 0.0 {
                    poisoned.views[view].clean[place] = f32::NAN;
                } else {
                    lost.views[view].clean[place] += 1.0;
                };
            }
        }
        assert_eq!(loss(&model, &clean), loss(&model, &poisoned), "{task} reads voxels in sight");
        assert_ne!(loss(&model, &clean), loss(&model, &lost), "{task} does not read hidden voxels");
    }
}

/// MAE's encoder takes the clean crop itself: a change of what is hidden moves the truth and not the prediction.
#[test]
fn hidden_patches_reach_mae_s_loss_as_truth_alone() {
    let (model, clean) = (fresh(PretextTask::Mae), batch(PretextTask::Mae));
    let hidden = clean.masked_voxels(0);
    let at = |shift: f32| {
        let mut batch = clean.clone();
        batch.views[0].clean.iter_mut().zip(&hidden).for_each(|(value, hidden)| *value += hidden * shift);
        loss(&model, &batch)
    };
    // A fixed prediction p makes the mean of (p - t - s)^2 a parabola in the shift s: m - 2 b s + s^2.
    let (middle, up, down, far) = (at(0.0), at(1.0), at(-1.0), at(3.0));
    assert!(((up + down) / 2.0 - middle - 1.0).abs() < 1e-4, "{up}, {middle}, {down}");
    assert!((far - (middle + 3.0 * (up - down) / 2.0 + 9.0)).abs() < 1e-3);
}

#[test]
fn the_loss_of_every_task_falls_on_a_fixed_batch() {
    for task in PretextTask::ALL {
        let (mut model, batch) = (fresh(task), batch(task));
        // The centre of iBOT's targets sets out from 0, and its loss rises until that has come to rest.
        for _ in 0..if task == PretextTask::Ibot { 40 } else { 0 } {
            loss(&model, &batch);
            model = model.after_step();
        }
        let mut optimiser = Optimiser::new(OptimiserConfig::AdamW { lr: 3e-3, weight_decay: 0.0 });
        let first = loss(&model, &batch);
        for _ in 0..12 {
            let outcome = model.pretext.loss(&model.encoder, &batch, Pass::EVALUATION);
            let gradients = GradientsParams::from_grads(outcome.loss.backward(), &model);
            model = optimiser.step(model, gradients, 3e-3).after_step();
        }
        let last = loss(&model, &batch);
        assert!(last < 0.9 * first, "{task}: {first} at first, {last} after 12 steps");
    }
}

#[test]
fn every_backbone_takes_a_step_on_the_tokens_of_several_stages() {
    for preset in [Preset::NnformerSmall, Preset::SwinUnetrSmall, Preset::UnetrSmall, Preset::UnetSmall] {
        let mut config = config(PretextTask::Simtrot);
        config.model = ModelConfig::Preset(preset);
        let strides = config.model.backbone().stage_strides();
        let stages = strides.len().min(3);
        config.pretrain.token_stages = stages;
        assert_eq!(config.problems(), [], "{preset}");
        let (model, batch) = (Pretraining::init(&config, 1, &Device::flex().autodiff()), batch(PretextTask::Simtrot));
        let clean = Tensor::<5>::from_data(TensorData::new(batch.views[0].clean.clone(), SHAPE), &Device::flex());
        let grids = model.encoder.valid().encode(clean, Pass::EVALUATION).into_iter().map(|features| {
            let [_, _, depth, height, width] = features.dims();
            [depth, height, width]
        });
        let expected = strides.iter().map(|stride| stride.map(|edge| EDGE / edge));
        assert_eq!(grids.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{preset}");

        let before = model.pretext.loss(&model.encoder, &batch, Pass::EVALUATION);
        let of_stages = |(name, value): &(&str, f64)| name.starts_with("loss_stage_").then_some(*value);
        let found = before.numbers();
        let each: Vec<f64> = found.parts.iter().filter_map(of_stages).collect();
        assert_eq!(each.len(), stages, "{preset}: {found:?}");
        assert!((found.value / (each.iter().sum::<f64>() / stages as f64) - 1.0).abs() < 1e-6, "{preset}: {found:?}");
        let gradients = GradientsParams::from_grads(before.loss.backward(), &model);
        let heads: Vec<HostTensor> = export_gradients(&model.pretext, &gradients).into_values().collect();
        assert_eq!(heads.len(), 4 * stages, "{preset}: weights and biases of two layers a stage");
        assert!(heads.iter().all(|gradient| gradient.values.iter().any(|value| *value != 0.0)), "{preset}");
        let mut optimiser = Optimiser::new(OptimiserConfig::AdamW { lr: 1e-3, weight_decay: 0.0 });
        let model = optimiser.step(model, gradients, 1e-3).after_step();
        assert!(loss(&model, &batch) < found.value, "{preset}");
    }
}

#[test]
fn a_target_follows_slowly_and_is_saved() {
    for task in [PretextTask::BTrot, PretextTask::Byol, PretextTask::Ibot] {
        let model = fresh(task);
        let before = export_named(&model);
        let name = |name: &str| format!("target.{name}");
        let online: Vec<&String> = before.keys().filter(|own| before.contains_key(&name(own))).collect();
        assert!(online.len() > 20 && online.iter().all(|own| before[*own] == before[&name(own)]), "{task}: a copy at first");

        let batch = batch(task);
        let outcome = model.pretext.loss(&model.encoder, &batch, Pass::EVALUATION);
        let gradients = GradientsParams::from_grads(outcome.loss.backward(), &model);
        let model =
            Optimiser::new(OptimiserConfig::Sgd { lr: 0.1, momentum: 0.0, weight_decay: 0.0 }).step(model, gradients, 0.1).after_step();
        let after = export_named(&model);
        let moved = |a: &HostTensor, b: &HostTensor| a.values.iter().zip(&b.values).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>();
        let (of_online, of_target) = online.iter().fold((0.0, 0.0), |(online, target), own| {
            (online + moved(&before[*own], &after[*own]), target + moved(&before[&name(own)], &after[&name(own)]))
        });
        assert!((of_target / of_online / 0.01 - 1.0).abs() < 0.05, "{task}: {of_online} online, {of_target} in the target");
    }
}

/// After steps that move nothing the batch's mean logits `m` are the same each time: the centre is 0.1 m, then 0.9 * 0.1 m + 0.1 m.
#[test]
fn the_centre_follows_the_mean_logits_of_every_step_and_of_no_measurement() {
    let batch = batch(PretextTask::Ibot);
    let centre = |model: &Pretraining| export_named(model)["target.centre"].values.clone();
    let model = fresh(PretextTask::Ibot);
    assert!(centre(&model).iter().all(|value| *value == 0.0));
    let near = |found: &[f32], expected: &[f32], factor: f32| {
        assert_eq!(found.len(), 256);
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - factor * expected).abs() < 1e-5), "{found:?}, {expected:?}");
    };
    loss(&model, &batch);
    let model = model.after_step();
    let once = centre(&model);
    assert!(once.iter().any(|value| value.abs() > 0.01) && once.iter().all(|value| value.abs() <= 0.1), "cosines: {once:?}");
    // Batches whose gradients are added up count as one; a network that is only looked at is no step.
    loss(&model, &batch);
    loss(&model, &batch);
    loss(&model.valid(), &batch);
    let model = model.after_step();
    near(&centre(&model), &once, 1.9);
    let model = model.after_step();
    near(&centre(&model), &once, 1.9);
}

/// What lies in sight of the student is asked for nowhere: the mask alone decides which tokens are compared.
#[test]
fn ibot_compares_hidden_tokens_alone() {
    let (model, whole) = (fresh(PretextTask::Ibot), batch(PretextTask::Ibot));
    let of = |hidden: &[usize]| {
        let mut batch = whole.clone();
        // The voxels stay as they are.
        batch.views[0].mask = (0..16).map(|cell| hidden.contains(&cell)).collect();
        loss(&model, &batch)
    };
    let each: Vec<f64> = (0..16).map(|cell| of(&[cell])).collect();
    assert!(each.windows(2).any(|pair| (pair[0] - pair[1]).abs() > 1e-4), "tokens differ: {each:?}");
    let some = [1, 4, 11];
    let mean = some.iter().map(|&cell| each[cell]).sum::<f64>() / 3.0;
    assert!((of(&some) / mean - 1.0).abs() < 1e-5, "{} instead of {mean}", of(&some));
}

#[test]
fn simclr_s_and_byol_s_losses_do_not_see_where_tokens_lie() {
    // A pooled vector is the same however the tokens are ordered, whereas SimTROT's loss depends on restoring them.
    let features = |flip: bool| {
        let values: Vec<f32> = (0..24).map(|v| (v * 7 % 11) as f32).collect();
        let volume = Tensor::<5>::from_data(TensorData::new(values, [1, 3, 2, 2, 2]), &Device::flex());
        if flip { volume.flip([2, 4]) } else { volume }
    };
    let [upright, turned] =
        [false, true].map(|flip| crate::objective::pooled(features(flip)).into_data().iter::<f32>().collect::<Vec<_>>());
    assert_eq!(upright, turned);
}
