use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, TensorData};
use rand::RngExt as _;

use super::*;
use crate::config::{ModelConfig, Preset, ProjectorConfig, RunConfig};
use crate::geometry::SignedPermutation;
use crate::model::{Task, export_gradients, export_named};
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
