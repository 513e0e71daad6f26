use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, TensorData};
use rand::RngExt as _;

use super::*;
use crate::config::{ModelConfig, Preset, ProjectorConfig, RunConfig};
use crate::geometry::SignedPermutation;
use crate::model::{HostTensor, Task, export_gradients, export_named};
use crate::objective::views::volume;
use crate::random::stream;
use crate::sampling::View;
use crate::sampling::mask::MaskGrid;

const EDGE: usize = 16;
const VOLUMES: usize = 2;

fn config(preset: Preset, token_stages: usize) -> RunConfig {
    let projector = ProjectorConfig { hidden: Some(24), output: Some(16), ..ProjectorConfig::default() };
    let pretrain = PretrainConfig { crop_size: [EDGE; 3], token_stages, projector, ..PretrainConfig::default() };
    let mut config = RunConfig { model: ModelConfig::Preset(preset), pretrain, ..RunConfig::default() };
    config.finetune.crop_size = [EDGE; 3];
    assert_eq!(config.problems(), []);
    config
}

fn network(config: &RunConfig) -> (Encoder, SimTrot) {
    let device = Device::flex().autodiff();
    let task = Task { channels: 1, classes: 0, crop_size: config.pretrain.crop_size };
    let encoder = Encoder::init(&config.model, &task, config.seed, &device);
    let objective = SimTrot::init(&Setup { config, channels: 1, encoder: &encoder, device: &device });
    (encoder, objective)
}

/// One rotation of each volume in the second view.
fn rotations() -> [SignedPermutation; VOLUMES] {
    [SignedPermutation::rot90(1, [0, 2]).then(SignedPermutation::flip([false, true, false])), SignedPermutation::rot90(3, [1, 2])]
}

/// Two volumes of noise as they are, and other noise, rotated; or the same noise, rotated.
fn batch(same: bool) -> ViewBatch {
    let mut rng = stream(5, "test", 0, 0);
    let mut noise = || -> Vec<f32> { (0..VOLUMES * EDGE.pow(3)).map(|_| f32::from(rng.random_range(-50_i8..50))).collect() };
    let first = noise();
    let second = if same { first.clone() } else { noise() };
    let rotated =
        second.chunks_exact(EDGE.pow(3)).zip(rotations()).flat_map(|(volume, rotation)| rotation.apply(volume, 1, [EDGE; 3])).collect();
    let view = |voxels: Vec<f32>, elements: [SignedPermutation; VOLUMES]| View {
        clean: voxels.clone(),
        voxels,
        mask: Vec::new(),
        elements: elements.to_vec(),
    };
    ViewBatch {
        step: 0,
        shape: [VOLUMES, 1, EDGE, EDGE, EDGE],
        views: vec![view(first, [SignedPermutation::IDENTITY; VOLUMES]), view(rotated, rotations())],
        mask_grid: MaskGrid::new([EDGE; 3], [8; 3]).unwrap(),
        cases: vec!["a".to_owned(), "b".to_owned()],
    }
}

fn loss(encoder: &Encoder, objective: &SimTrot) -> Loss {
    objective.loss(encoder, &batch(false), Pass::EVALUATION)
}

fn parts(loss: &Loss) -> BTreeMap<&'static str, f64> {
    loss.numbers().parts.into_iter().collect()
}

/// A mean over blocks of `stride` voxels knows no positions, and sums whole numbers without rounding.
#[test]
fn each_stage_is_restored_on_its_own_grid() {
    let batch = batch(true);
    let views = batch.views.iter().map(|view| volume(&view.voxels, &batch, &Device::flex()));
    let volumes = Tensor::cat(views.collect(), 0);
    for stride in [2, 4, 8] {
        let (count, grid) = (2 * VOLUMES, EDGE / stride);
        let blocks = volumes.clone().reshape([count, 1, grid, stride, grid, stride, grid * stride]);
        let blocks = blocks.sum_dim(3).sum_dim(5).reshape([count * grid * grid, grid, stride]).sum_dim(2);
        let [first, second] = halves(restored(blocks.reshape([count, 1, grid, grid, grid]), &batch));
        let [first, second] = [first, second].map(|tokens| tokens.into_data().try_into_vec::<f32>().unwrap());
        assert_eq!(first, second, "tokens of {stride} voxels");
        assert_eq!(first.len(), VOLUMES * grid.pow(3));
    }
}

/// Eq. 3 term by term in double precision; tokens by view, volume and position.
fn by_hand(tokens: &[Vec<Vec<f64>>], settings: &PretrainConfig) -> f64 {
    let positions = tokens[0].len();
    let unit = |token: &Vec<f64>| {
        let length = token.iter().map(|value| value * value).sum::<f64>().sqrt();
        token.iter().map(|value| value / length).collect::<Vec<f64>>()
    };
    let all: Vec<Vec<f64>> = tokens.iter().flatten().map(unit).collect();
    let place = |row: usize| (row / positions % VOLUMES, row % positions);
    let scaled = |a: usize, b: usize| all[a].iter().zip(&all[b]).map(|(a, b)| a * b).sum::<f64>() / settings.temperature;
    let anchor = |row: usize| {
        let others = (0..all.len()).filter(|&other| other != row);
        let times = |other: usize| match (place(row), place(other)) {
            ((own, at), (volume, position)) if at == position && own != volume => settings.weight,
            _ => 1.0,
        };
        let sum: f64 = others.map(|other| times(other) * scaled(row, other).exp()).sum();
        let positive = (row + VOLUMES * positions) % all.len();
        sum.ln() - scaled(row, positive)
    };
    (0..all.len()).map(anchor).sum::<f64>() / all.len() as f64
}

#[test]
fn the_loss_is_the_mean_of_each_stage_s_own() {
    let [one, two] = [1, 2].map(|stages| config(Preset::NnformerSmall, stages));
    let (encoder, objective) = network(&two);
    let (_, single) = network(&one);
    let own = export_named(&objective);
    assert!(export_named(&single).iter().all(|(name, tensor)| own[name] == *tensor), "the last stage's projector stays as it was");
    assert!(own.keys().any(|name| name == "finer.0.fc1.weight"), "{:?}", own.keys());

    let both = loss(&encoder, &objective);
    let single = loss(&encoder, &single);
    assert_eq!(parts(&single).len(), 3, "one stage has no list of stages");
    assert_eq!(parts(&both)["loss_stage_2"], single.numbers().value);
    assert_eq!(parts(&both)["positive_similarity"], parts(&single)["positive_similarity"]);

    // The first stage by hand: each volume's tokens rotated back as a volume would be.
    let batch = batch(false);
    let features = stage_features(&encoder, &batch, Pass::EVALUATION).swap_remove(0);
    let [count, dim, depth, height, width] = features.dims();
    let grid = [depth, height, width];
    assert_eq!((count, dim, grid), (2 * VOLUMES, 48, [4; 3]));
    let values: Vec<f32> = features.into_data().try_into_vec().unwrap();
    let restored = values.chunks_exact(dim * 64).enumerate().flat_map(|(index, map)| {
        let rotation = if index < VOLUMES { SignedPermutation::IDENTITY } else { rotations()[index - VOLUMES] };
        rotation.inverse().apply(map, dim, rotation.shape(grid))
    });
    let restored = Tensor::<3>::from_data(TensorData::new(restored.collect::<Vec<f32>>(), [count, dim, 64]), &Device::flex().autodiff());
    let projected: Vec<f32> = objective.finer[0].forward(restored.swap_dims(1, 2)).into_data().try_into_vec().unwrap();
    let token = |token: &[f32]| token.iter().map(|&value| f64::from(value)).collect();
    let tokens: Vec<Vec<Vec<f64>>> = projected.chunks_exact(64 * 16).map(|volume| volume.chunks_exact(16).map(token).collect()).collect();
    let expected = by_hand(&tokens, &two.pretrain);
    let found = parts(&both)["loss_stage_1"];
    assert!((found - expected).abs() < 1e-5 * expected, "{found} is not {expected}");
    let value = both.numbers().value;
    assert!((value / ((found + single.numbers().value) / 2.0) - 1.0).abs() < 1e-6);
    assert_eq!(both.loss.into_scalar::<f64>(), value);
}

#[test]
fn the_gradient_reaches_what_the_first_stage_alone_uses() {
    let names = |stages: usize| {
        let (encoder, objective) = network(&config(Preset::NnformerSmall, stages));
        let gradients = GradientsParams::from_grads(loss(&encoder, &objective).loss.backward(), &encoder);
        export_gradients(&encoder, &gradients)
    };
    let (one, two) = (names(1), names(2));
    let fresh: Vec<_> = two.iter().filter(|(name, _)| !one.contains_key(*name)).collect();
    // The first stage's own norm, on its way out of the encoder.
    assert!(fresh.len() == 2 && one.len() + 2 == two.len(), "{fresh:?}");
    assert!(fresh.iter().all(|(_, gradient)| gradient.values.iter().any(|value| *value != 0.0)), "{fresh:?}");
    let shared = one.iter().filter(|(name, gradient)| two[*name] != **gradient).count();
    assert!(shared > one.len() / 2, "and changes what both stages use: {shared} of {}", one.len());
}

/// The gradients of encoder and heads on a batch, by name; SimTROT's own heads' under `heads.`.
fn gradients(encoder: &Encoder, objective: &SimTrot, batch: &ViewBatch) -> BTreeMap<String, HostTensor> {
    let mut gradients = objective.loss(encoder, batch, Pass::EVALUATION).loss.backward();
    let of_encoder = export_gradients(encoder, &GradientsParams::from_module(&mut gradients, encoder));
    let of_heads = export_gradients(objective, &GradientsParams::from_module(&mut gradients, objective));
    of_encoder.into_iter().chain(of_heads.into_iter().map(|(name, gradient)| (format!("heads.{name}"), gradient))).collect()
}

#[test]
fn a_projector_that_is_told_of_rotations_starts_as_one_that_is_not() {
    let plain = config(Preset::NnformerSmall, 2);
    let mut told = plain.clone();
    told.pretrain.rotation_code = true;
    let [(encoder, plain), (_, told)] = [plain, told].map(|config| network(&config));
    let (before, batch) = (export_named(&plain), batch(false));
    let mut own = export_named(&told);
    let codes: Vec<HostTensor> = (0..2).map(|stage| own.remove(&format!("rotation_codes.{stage}.codes.weight")).unwrap()).collect();
    assert!(codes.iter().all(|codes| codes.shape == [24, 47] && codes.values.iter().all(|value| *value == 0.0)));
    assert_eq!(own, before, "all other heads are those of the plain projector");

    assert_eq!(loss(&encoder, &told).numbers(), loss(&encoder, &plain).numbers());
    let mut found = gradients(&encoder, &told, &batch);
    found.retain(|name, _| !name.starts_with("heads.rotation_codes"));
    assert_eq!(found, gradients(&encoder, &plain, &batch));
}

#[test]
fn a_rotation_s_code_gets_its_gradient_through_views_that_were_rotated_by_it() {
    let mut config = config(Preset::NnformerSmall, 1);
    config.pretrain.rotation_code = true;
    let (encoder, objective) = network(&config);
    // The exported layout is PyTorch's, `[hidden, 47]`; the identity is left out.
    let reached = |batch: &ViewBatch| -> Vec<SignedPermutation> {
        let codes = gradients(&encoder, &objective, batch).remove("heads.rotation_codes.0.codes.weight").unwrap();
        let is_reached = |column: usize| codes.values.iter().skip(column).step_by(47).any(|value| *value != 0.0);
        let all = SignedPermutation::all().into_iter().skip(1).enumerate();
        all.filter(|(column, _)| is_reached(*column)).map(|(_, rotation)| rotation).collect()
    };
    let rotated = batch(false);
    let mut upright = rotated.clone();
    upright.views[1].elements = vec![SignedPermutation::IDENTITY; VOLUMES];
    let mut drawn = rotations();
    drawn.sort_unstable();
    assert_eq!(reached(&rotated), drawn);
    assert_eq!(reached(&upright), []);
}

#[test]
fn the_loss_is_the_contrast_and_so_much_of_the_error_of_hidden_voxels() {
    const WEIGHT: f64 = 0.7;
    let plain = config(Preset::NnformerSmall, 1);
    let mut both = plain.clone();
    both.pretrain.reconstruction_weight = WEIGHT;
    let ((encoder, objective), (_, plain)) = (network(&both), network(&plain));
    let mut batch = batch(false);
    // Some of the eight cells of each volume are hidden; what lies in sight, and in the other view, may be anything.
    batch.views[0].mask = (0..VOLUMES * 8).map(|cell| cell % 3 == 0).collect();
    let hidden = batch.masked_voxels(0);
    let mut rng = stream(6, "test", 0, 0);
    batch.views[0].clean = hidden.iter().map(|&hidden| if hidden == 0.0 { 1e6 } else { rng.random_range(-2.0..2.0) }).collect();
    batch.views[1].clean = vec![f32::NAN; hidden.len()];

    // Voxel by voxel: the row of the head's weights for its place in the block of 8 voxels an edge, times the block's token.
    let features = stage_features(&encoder, &batch, Pass::EVALUATION).pop().unwrap();
    let [_, dim, grid, ..] = features.dims();
    assert_eq!((dim, grid), (96, 2));
    let features: Vec<f32> = features.into_data().try_into_vec().unwrap();
    let head = &objective.reconstruction.as_ref().unwrap().head.linear;
    let weights: Vec<f32> = head.weight.val().into_data().try_into_vec().unwrap();
    let biases: Vec<f32> = head.bias.as_ref().unwrap().val().into_data().try_into_vec().unwrap();
    let error = |voxel: usize| {
        let (volume, inside) = (voxel / EDGE.pow(3), voxel % EDGE.pow(3));
        let place = [inside / (EDGE * EDGE), inside / EDGE % EDGE, inside % EDGE];
        let [token, own] = [place.map(|at| at / 8), place.map(|at| at % 8)];
        let (token, own) = ((token[0] * 2 + token[1]) * 2 + token[2], (own[0] * 8 + own[1]) * 8 + own[2]);
        let product = |channel: usize| f64::from(features[(volume * dim + channel) * 8 + token]) * f64::from(weights[channel * 512 + own]);
        let predicted = (0..dim).map(product).sum::<f64>() + f64::from(biases[own]);
        (predicted - f64::from(batch.views[0].clean[voxel])).abs()
    };
    let errors: Vec<f64> = (0..hidden.len()).filter(|&voxel| hidden[voxel] == 1.0).map(error).collect();
    assert_eq!(errors.len(), 6 * 512);
    let expected = errors.iter().sum::<f64>() / errors.len() as f64;

    let contrast = plain.loss(&encoder, &batch, Pass::EVALUATION).numbers();
    let total = objective.loss(&encoder, &batch, Pass::EVALUATION);
    let found = total.numbers();
    let error = found.part("reconstruction").unwrap();
    assert!((error / expected - 1.0).abs() < 1e-5, "{error} is not {expected}");
    assert_eq!(found.part("contrast"), Some(contrast.value));
    assert!((found.value / (contrast.value + WEIGHT * expected) - 1.0).abs() < 1e-5, "{found:?}");
    assert_eq!(found.parts[1..=contrast.parts.len()], contrast.parts, "the contrast's own parts stay");
    assert_eq!(total.loss.into_scalar::<f64>(), found.value);

    let [of_both, of_plain] = [&objective, &plain].map(|objective| gradients(&encoder, objective, &batch));
    assert!(of_both.keys().filter(|name| !of_plain.contains_key(*name)).all(|name| name.starts_with("heads.reconstruction.head")));
    let changed = of_plain.iter().filter(|(name, gradient)| of_both[*name] != **gradient).count();
    assert!(changed > of_plain.len() / 2, "it changes what the encoder learns: {changed} of {}", of_plain.len());
}
