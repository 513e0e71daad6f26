//! The arithmetic of an optimiser's step for one parameter, and of what stands beside it: the clipping of gradients and the moving
//! average of a target. On a GPU nothing of it waits for the host.

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

    /// Value and the two moments, all flattened, after a step along `gradient`; see [`Sgd::step`].
    pub fn step(&self, state: [Tensor<1>; 3], gradient: Tensor<1>, clipping: Option<&Tensor<1>>) -> [Tensor<1>; 3] {
        match bodies(&gradient) {
            Bodies::Host => host::adam_w(self, state, clipped(gradient, clipping)),
            Bodies::Gpu => observed("adam_w", gpu::adam_w(self, state, gradient, clipping)),
            Bodies::Reference => {
                let ([value, first, second], gradient) = (state, clipped(gradient, clipping));
                let first = first * self.decay[0] + gradient.clone() * self.rest[0];
                let second = second * self.decay[1] + gradient.square() * self.rest[1];
                let step = first.clone() / (second.clone().sqrt() * self.root_scale + self.epsilon) * self.rate;
                [value * self.keep - step, first, second]
            }
        }
    }
}

impl Sgd {
    /// Value and momentum, both flattened, after a step along `gradient`. Tensors that nothing else holds are updated in place.
    /// The gradient is scaled by what [`clipping`] found, if given.
    pub fn step(self, state: [Tensor<1>; 2], gradient: Tensor<1>, clipping: Option<&Tensor<1>>) -> [Tensor<1>; 2] {
        match bodies(&gradient) {
            Bodies::Host => host::sgd(self, state, clipped(gradient, clipping)),
            Bodies::Gpu => observed("sgd", gpu::sgd(self, state, gradient, clipping)),
            Bodies::Reference => {
                let [value, first] = state;
                let gradient = clipped(gradient, clipping) + value.clone() * self.weight_decay;
                let first = first * self.momentum + gradient.clone();
                [value - (gradient + first.clone() * self.momentum) * self.lr, first]
            }
        }
    }
}

/// `results`, which no gradient passes.
fn observed<const N: usize>(function: &'static str, results: [Tensor<1>; N]) -> [Tensor<1>; N] {
    observe_results(function, &results);
    results
}

fn clipped(gradient: Tensor<1>, clipping: Option<&Tensor<1>>) -> Tensor<1> {
    match clipping {
        Some(clipping) => gradient * clipping.clone().narrow(0, 1, 1),
        None => gradient,
    }
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

/// `momentum * target + (1 - momentum) * online`, both flattened; `target` is updated in place where nothing else holds it.
pub fn moving_average(target: Tensor<1>, online: Tensor<1>, momentum: f64) -> Tensor<1> {
    match bodies(&target) {
        Bodies::Gpu => gpu::moving_average(target, online, momentum),
        Bodies::Host | Bodies::Reference => target * momentum + online * (1.0 - momentum),
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
                        let [a, b] = sgd.step([value.clone(), first.clone()], gradients[0].clone(), Some(&scale));
                        let [c, d, e] = adam_w.step([value.clone(), first.clone(), second], gradients[0].clone(), None);
                        [a, b, c, d, e, moving_average(value, first, 0.99)]
                    };
                    let (found, expected) = (of(state()), with_references(|| of(state())));
                    found.into_iter().zip(expected).for_each(|(found, expected)| near(found, expected, &format!("{name}: {count}")));
                }
            }
        }
    }

    #[test]
    fn a_value_that_something_else_holds_stays() {
        for (name, device) in for_tests() {
            let held = noise(1024, 0, &device);
            let before = held.to_data();
            let rule = Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.0 };
            let [after, _] = rule.step([held.clone(), held.zeros_like()], noise(1024, 1, &device), None);
            assert_eq!(held.into_data(), before, "{name}");
            assert_ne!(after.into_data(), before, "{name}");
        }
    }
}
