//! The arithmetic of an optimiser's step, and of what stands beside it: the clipping of gradients and the moving average of a target.
//! On a GPU nothing of it waits for the host, and a launch takes several parameters.

use burn::tensor::Tensor;

use super::bodies::{Bodies, bodies};
use super::failure::observe_results;
use super::sums::sum;
use super::{gpu, host};

/// Decay of Adam's running mean of gradients.
const BETA_1: f64 = 0.9;
/// Decay of Adam's running mean of squared gradients.
const BETA_2: f64 = 0.999;
/// Added to Adam's denominator, outside the root.
const EPSILON: f64 = 1e-8;
/// What `torch.nn.utils.clip_grad_norm_` adds to the norm before it divides by it.
pub const NORM_EPSILON: f64 = 1e-6;

/// `torch.optim.SGD` with Nesterov momentum and no dampening. The first step's momentum is the gradient itself, which is what
/// the rule makes of zeros.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// What is left of the momentum after a step.
    pub momentum: f64,
    /// Decay, added to the gradient.
    pub weight_decay: f64,
}

/// `torch.optim.AdamW`: decay decoupled from the gradient, moments corrected for their start at zero.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// What decay leaves of a value.
    pub(super) keep: f32,
    /// Learning rate, corrected for the first moment.
    pub(super) rate: f32,
    /// Corrects the root of the second moment.
    pub(super) root_scale: f32,
    /// Decay of each moment, and what a gradient adds to it.
    pub(super) decay: [f32; 2],
    pub(super) rest: [f32; 2],
    pub(super) epsilon: f32,
}

/// A parameter about to take a step.
#[derive(Clone, Debug)]
pub struct ParameterStep<R, const N: usize> {
    /// How far it goes.
    pub rule: R,
    /// Its value and moments, flattened. What nothing else holds is updated in place.
    pub state: [Tensor<1>; N],
    /// Its gradient, flattened.
    pub gradient: Tensor<1>,
}

impl AdamW {
    /// The step number `steps`, from 1, at learning rate `lr`. Numbers near 1 are taken apart in double precision.
    pub fn new(lr: f64, weight_decay: f64, steps: u64) -> Self {
        let correction = |beta: f64| 1.0 - beta.powf(steps as f64);
        Self {
            keep: (1.0 - lr * weight_decay) as f32,
            rate: (lr / correction(BETA_1)) as f32,
            root_scale: correction(BETA_2).sqrt().recip() as f32,
            decay: [BETA_1, BETA_2].map(|beta| beta as f32),
            rest: [BETA_1, BETA_2].map(|beta| (1.0 - beta) as f32),
            epsilon: EPSILON as f32,
        }
    }

    /// Value and the two moments of each parameter after its step; see [`Sgd::step`].
    pub fn step(steps: Vec<ParameterStep<Self, 3>>, clipping: Option<&Tensor<1>>) -> Vec<[Tensor<1>; 3]> {
        match steps.first().map(|step| bodies(&step.gradient)) {
            None => Vec::new(),
            Some(Bodies::Host) => one_by_one(steps, clipping, |rule, state, gradient| host::adam_w(&rule, state, gradient)),
            Some(Bodies::Gpu) => observed("adam_w", gpu::adam_w(steps, clipping)),
            Some(Bodies::Reference) => one_by_one(steps, clipping, |rule, [value, first, second], gradient| {
                let first = first * rule.decay[0] + gradient.clone() * rule.rest[0];
                let second = second * rule.decay[1] + gradient.square() * rule.rest[1];
                let step = first.clone() / (second.clone().sqrt() * rule.root_scale + rule.epsilon) * rule.rate;
                [value * rule.keep - step, first, second]
            }),
        }
    }
}

impl Sgd {
    /// Value and momentum of each parameter after its step, in their order; all lie on one device. The gradients are scaled by what
    /// [`clipping`] found, if given.
    pub fn step(steps: Vec<ParameterStep<Self, 2>>, clipping: Option<&Tensor<1>>) -> Vec<[Tensor<1>; 2]> {
        match steps.first().map(|step| bodies(&step.gradient)) {
            None => Vec::new(),
            Some(Bodies::Host) => one_by_one(steps, clipping, host::sgd),
            Some(Bodies::Gpu) => observed("sgd", gpu::sgd(steps, clipping)),
            Some(Bodies::Reference) => one_by_one(steps, clipping, |rule, [value, first], gradient| {
                let gradient = gradient + value.clone() * rule.weight_decay;
                let first = first * rule.momentum + gradient.clone();
                [value - (gradient + first.clone() * rule.momentum) * rule.lr, first]
            }),
        }
    }
}

/// What `body` makes of each step, whose gradient it is given clipped.
fn one_by_one<R, const N: usize>(
    steps: Vec<ParameterStep<R, N>>,
    clipping: Option<&Tensor<1>>,
    body: impl Fn(R, [Tensor<1>; N], Tensor<1>) -> [Tensor<1>; N],
) -> Vec<[Tensor<1>; N]> {
    let clipped = |gradient: Tensor<1>| match clipping {
        Some(clipping) => gradient * clipping.clone().narrow(0, 1, 1),
        None => gradient,
    };
    steps.into_iter().map(|ParameterStep { rule, state, gradient }| body(rule, state, clipped(gradient))).collect()
}

/// `results`, which no gradient passes.
fn observed<const N: usize>(function: &'static str, results: Vec<[Tensor<1>; N]>) -> Vec<[Tensor<1>; N]> {
    observe_results(function, results.as_flattened());
    results
}

/// The L2 norm of all `gradients` (at least one, flattened) together, and the factor that brings it down to `max_norm` if it is larger,
/// as `torch.nn.utils.clip_grad_norm_` does: `[2]`, on the gradients' device.
pub fn clipping(gradients: &[Tensor<1>], max_norm: Option<f64>) -> Tensor<1> {
    if bodies(&gradients[0]) == Bodies::Gpu {
        return gpu::clipping(gradients, max_norm);
    }
    let squares = gradients.iter().map(|gradient| sum(gradient.clone().square())).collect();
    let norm = sum(Tensor::<1>::cat(squares, 0)).sqrt();
    let factor = match max_norm {
        Some(max_norm) => ((norm.clone() + NORM_EPSILON).recip() * max_norm).clamp_max(1.0),
        None => norm.ones_like(),
    };
    Tensor::cat(vec![norm, factor], 0)
}

/// `momentum * target + (1 - momentum) * online` for each pair of a target and what it follows, flattened; all lie on one device. A
/// target that nothing else holds is updated in place.
pub fn moving_average(pairs: Vec<[Tensor<1>; 2]>, momentum: f64) -> Vec<Tensor<1>> {
    match pairs.first().map(|[target, _]| bodies(target)) {
        None => Vec::new(),
        Some(Bodies::Gpu) => gpu::moving_average(pairs, momentum),
        Some(Bodies::Host | Bodies::Reference) => {
            pairs.into_iter().map(|[target, online]| target * momentum + online * (1.0 - momentum)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use rand::RngExt as _;

    use super::*;
    use crate::device::for_tests;
    use crate::kernels::with_references;
    use crate::random::stream;

    fn noise(count: usize, number: u64, device: &Device) -> Tensor<1> {
        let mut draws = stream(1, "optimiser", number, 0);
        let values: Vec<f32> = (0..count).map(|_| draws.random_range(-1.0..1.0)).collect();
        Tensor::from_data(TensorData::new(values, [count]), device)
    }

    fn near(found: Tensor<1>, expected: Tensor<1>, what: &str) {
        let (found, expected) = (found.into_data(), expected.into_data());
        let pairs = found.iter::<f64>().zip(expected.iter::<f64>());
        pairs.for_each(|(found, expected)| assert!((found - expected).abs() <= 1e-6, "{what}: {found} is not {expected}"));
    }

    #[test]
    fn every_body_takes_the_steps_of_the_reference() {
        for (name, device) in for_tests() {
            // Both a whole number of vectors and not; the moments of squares are not negative.
            for count in [8, 1027] {
                let state = || [noise(count, 0, &device), noise(count, 1, &device), noise(count, 2, &device).abs()];
                let gradients = [noise(count, 3, &device), noise(7, 4, &device)];
                for max_norm in [None, Some(0.5)] {
                    let scale = with_references(|| clipping(&gradients, max_norm));
                    near(clipping(&gradients, max_norm), scale.clone(), &format!("{name}: clipping"));
                    let sgd = Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.01 };
                    let adam_w = AdamW::new(0.1, 0.01, 3);
                    let of = |[value, first, second]: [Tensor<1>; 3]| {
                        let gradient = || gradients[0].clone();
                        let sgd = ParameterStep { rule: sgd, state: [value.clone(), first.clone()], gradient: gradient() };
                        let state = [value.clone(), first.clone(), second];
                        let adam_w = ParameterStep { rule: adam_w, state, gradient: gradient() };
                        let after = Sgd::step(vec![sgd], Some(&scale)).into_iter().flatten();
                        let after = after.chain(AdamW::step(vec![adam_w], None).into_iter().flatten());
                        after.chain(moving_average(vec![[value, first]], 0.99)).collect::<Vec<_>>()
                    };
                    let (found, expected) = (of(state()), with_references(|| of(state())));
                    assert_eq!(found.len(), 6, "{name}: {count}");
                    found.into_iter().zip(expected).for_each(|(found, expected)| near(found, expected, &format!("{name}: {count}")));
                }
            }
        }
    }

    /// More of either kind than a launch takes, of one cube and of several, a multiple of four and not.
    const COUNTS: [usize; 24] = [1, 4, 7, 40_000, 8, 3, 1027, 5, 4096, 12, 2, 6000, 9, 16, 5003, 11, 4100, 64, 13, 20, 1024, 15, 48, 17];

    #[test]
    fn parameters_step_together_as_each_alone() {
        for (name, device) in for_tests() {
            let draw = |index: usize, number: u64| noise(COUNTS[index], 8 * index as u64 + number, &device);
            let sgd = |index: usize| {
                let rule = Sgd { lr: 0.01 * (index + 1) as f64, momentum: 0.9, weight_decay: 0.01 };
                ParameterStep { rule, state: [draw(index, 0), draw(index, 1)], gradient: draw(index, 3) }
            };
            let adam_w = |index: usize| {
                let rule = AdamW::new(0.01 * (index + 1) as f64, 0.01, 1 + index as u64);
                ParameterStep { rule, state: [draw(index, 0), draw(index, 1), draw(index, 2).abs()], gradient: draw(index, 3) }
            };
            let pair = |index: usize| [draw(index, 0), draw(index, 1)];
            let scale = Tensor::<1>::from_floats([4.0, 0.25], &device);
            let all = 0..COUNTS.len();
            for clipping in [None, Some(&scale)] {
                let together = Sgd::step(all.clone().map(sgd).collect(), clipping);
                let alone = all.clone().map(|index| Sgd::step(vec![sgd(index)], clipping).remove(0));
                assert_alike(together.into_iter().zip(alone), &format!("{name}: SGD"));
                let together = AdamW::step(all.clone().map(adam_w).collect(), clipping);
                let alone = all.clone().map(|index| AdamW::step(vec![adam_w(index)], clipping).remove(0));
                assert_alike(together.into_iter().zip(alone), &format!("{name}: AdamW"));
            }
            let together = moving_average(all.clone().map(pair).collect(), 0.9).into_iter().map(|target| [target]);
            let alone = all.clone().map(|index| [moving_average(vec![pair(index)], 0.9).remove(0)]);
            assert_alike(together.zip(alone), &format!("{name}: moving average"));
        }
    }

    fn assert_alike<const N: usize>(pairs: impl Iterator<Item = ([Tensor<1>; N], [Tensor<1>; N])>, what: &str) {
        let mut compared = 0;
        for (together, alone) in pairs {
            for (together, alone) in together.into_iter().zip(alone) {
                assert_eq!(together.dims(), [COUNTS[compared / N]], "{what}");
                assert_eq!(together.into_data(), alone.into_data(), "{what}: parameter {}", compared / N);
                compared += 1;
            }
        }
        assert_eq!(compared, N * COUNTS.len(), "{what}");
    }

    #[test]
    fn the_norm_is_that_of_many_gradients_together() {
        for (name, device) in for_tests() {
            let gradients: Vec<Tensor<1>> = COUNTS.iter().zip(0..).map(|(&count, number)| noise(count, number, &device)).collect();
            let squares =
                gradients.iter().flat_map(|gradient| gradient.to_data().iter::<f64>().map(|value| value * value).collect::<Vec<_>>());
            let expected = squares.sum::<f64>().sqrt();
            let found: Vec<f64> = clipping(&gradients, Some(0.5)).into_data().iter().collect();
            assert!((found[0] / expected - 1.0).abs() < 1e-6, "{name}: {} instead of {expected}", found[0]);
            assert!((found[1] * (expected + 1e-6) / 0.5 - 1.0).abs() < 1e-6, "{name}: {}", found[1]);
        }
    }

    #[test]
    fn nothing_takes_no_step() {
        assert!(Sgd::step(Vec::new(), None).is_empty() && AdamW::step(Vec::new(), None).is_empty());
        assert!(moving_average(Vec::new(), 0.9).is_empty());
    }

    #[test]
    fn a_value_that_something_else_holds_stays() {
        for (name, device) in for_tests() {
            let held = noise(1024, 0, &device);
            let before = held.to_data();
            let rule = Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.0 };
            let step =
                |value: Tensor<1>| ParameterStep { rule, state: [value.clone(), value.zeros_like()], gradient: noise(1024, 1, &device) };
            let after = Sgd::step(vec![step(noise(1024, 2, &device)), step(held.clone()), step(noise(1024, 3, &device))], None);
            let averages =
                moving_average(vec![[noise(1024, 4, &device), noise(1024, 5, &device)], [held.clone(), noise(1024, 6, &device)]], 0.5);
            assert_eq!(held.into_data(), before, "{name}");
            assert_ne!(after[1][0].to_data(), before, "{name}");
            assert_ne!(averages[1].to_data(), before, "{name}");
        }
    }
}
