//! SGD, clipping, the poly schedule and the moving average of target networks against PyTorch.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use simtrot::config::{OptimiserConfig, PretrainConfig, ScheduleConfig};
use simtrot::device::for_tests;
use simtrot::objective::ema_update;
use simtrot::train::gradients::clip_grad_norm;
use simtrot::train::optimiser::Optimiser;
use simtrot::train::schedule;

use super::Outcomes;
use crate::fixtures::{Entry, list};

/// nnU-Net's exponent of the poly schedule, which the entry's notes state.
const POLY_POWER: f64 = 0.9;
/// How much wider the tolerance is on the GPU, where products and sums may be fused and so rounded once instead of twice.
const GPU_SLACK: f64 = 4.0;

pub fn applies(entry: &Entry) -> bool {
    entry.kind == "optimiser" && entry.tensors.contains_key("input.A") && entry.hyper().get("nesterov").is_some()
}

/// `0.5 x'Ax - b'x`; its gradient `Ax - b` for a symmetric A, `(A + A')x / 2 - b` in general.
#[derive(Module, Debug)]
struct Quadratic {
    x: Param<Tensor<2>>,
}

pub fn run(entry: &Entry) -> Outcomes {
    let hyper = entry.hyper();
    let number = |name: &str| hyper[name].as_f64().unwrap_or_else(|| panic!("{}: no number {name:?}", entry.name));
    assert_eq!(hyper["nesterov"], true, "{}: only Nesterov momentum is offered", entry.name);
    let poly = ScheduleConfig::Poly { power: POLY_POWER };
    let (epochs, last) = (list(&hyper["epochs"]), number("E") as usize);
    // The entry states the rates only: that of the first epoch gives the base, the others are compared.
    let base = hyper["lr"][0].as_f64().expect("a first rate") / schedule::lr(&poly, 1.0, epochs[0], last);
    let rates: Vec<f64> = epochs.into_iter().map(|epoch| schedule::lr(&poly, base, epoch, last)).collect();
    let single: Vec<f32> = rates.iter().map(|&rate| rate as f32).collect();
    let mut outcomes = vec![entry.compare("expected.lr", &single, 1.0)];

    let config = OptimiserConfig::Sgd { lr: base, momentum: number("mom"), weight_decay: number("wd") };
    for (device_name, device) in for_tests() {
        let device = device.autodiff();
        let slack = if device_name == "gpu" { GPU_SLACK } else { 1.0 };
        let matrix = |name: &str, shape: [usize; 2]| {
            Tensor::<1>::from_floats(entry.tensor(name).values.as_slice(), &device.clone().inner()).reshape(shape)
        };
        let n = entry.tensor("input.b").values.len();
        let (a, b) = (matrix("input.A", [n, n]), matrix("input.b", [n, 1]));
        for (variant, clip) in [("plain", None), ("clipped", Some(number("clip_norm_in_clipped")))] {
            let mut model = Quadratic { x: Param::from_tensor(matrix("input.x0", [n, 1]).autodiff().require_grad()) };
            let mut optimiser = Optimiser::new(config);
            let (mut values, mut momentum) = (Vec::new(), Vec::new());
            for &rate in &rates {
                let x = model.x.val();
                let loss = (x.clone() * a.clone().matmul(x.clone())).sum() * 0.5 - (x * b.clone()).sum();
                let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
                let norm = clip_grad_norm(&model, &mut gradients, clip);
                model = optimiser.step_at(model, gradients, Some(&norm), &|_| rate);
                values.extend(model.x.val().into_data().iter::<f32>());
                momentum.extend(optimiser.momentum()["x"].iter::<f32>());
            }
            outcomes.push(entry.compare(&format!("expected.{variant}.x"), &values, slack));
            outcomes.push(entry.compare(&format!("expected.{variant}.momentum"), &momentum, slack));
        }
    }
    for (device_name, device) in for_tests() {
        let slack = if device_name == "gpu" { GPU_SLACK } else { 1.0 };
        let [target, online] = ["input.ema_target", "input.ema_online"].map(|name| {
            let values = Tensor::<1>::from_floats(entry.tensor(name).values.as_slice(), &device);
            Quadratic { x: Param::from_tensor(values.unsqueeze_dim(1)) }
        });
        let moved = ema_update(target, &online, PretrainConfig::default().target_momentum);
        outcomes.push(entry.compare("expected.ema_target", &moved.x.val().into_data().iter::<f32>().collect::<Vec<_>>(), slack));
    }
    outcomes
}
