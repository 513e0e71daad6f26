//! Initial weights, drawn on the host and keyed by the parameter's path.
//!
//! A parameter's values depend on (seed, path) alone: not on the device, not on the order of construction,
//! not on Burn's global seed. An encoder built alone is bit-equal to the one inside a whole network.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

use crate::random;

/// Makes the parameters of one module; [`Initialiser::at`] steps into a child.
#[derive(Clone, Debug)]
pub struct Initialiser<'a> {
    seed: u64,
    path: String,
    device: &'a Device,
}

impl<'a> Initialiser<'a> {
    /// The root of a network on `device`.
    pub fn new(seed: u64, device: &'a Device) -> Self {
        Self { seed, path: String::new(), device }
    }

    /// The initialiser of the child `name`.
    #[must_use]
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Self { path, ..self.clone() }
    }

    /// Path from the root, dotted.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All elements `value`.
    pub fn constant<const D: usize>(&self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.param(shape, vec![value; shape.iter().product()])
    }

    /// Uniform in `±1/√fan_in`: what PyTorch's `Linear` and `Conv` modules start from, weights and biases alike.
    pub fn fan_in_uniform<const D: usize>(&self, name: &str, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        let bound = 1.0 / (fan_in as f32).sqrt();
        self.drawn(name, shape, |rng| rng.random_range(-bound..bound))
    }

    /// Normal with standard deviation `std`, redrawn outside ±2: `trunc_normal_` of the references.
    pub fn truncated_normal<const D: usize>(&self, name: &str, shape: [usize; D], std: f32) -> Param<Tensor<D>> {
        let normal = Normal::new(0.0, std).expect("a finite standard deviation");
        self.drawn(name, shape, |rng| {
            loop {
                let value: f32 = normal.sample(rng);
                if value.abs() <= 2.0 {
                    return value;
                }
            }
        })
    }

    fn drawn<const D: usize>(&self, name: &str, shape: [usize; D], mut draw: impl FnMut(&mut ChaCha8Rng) -> f32) -> Param<Tensor<D>> {
        let mut rng = random::stream(self.seed, &format!("init {}.{name}", self.path), 0, 0);
        self.param(shape, (0..shape.iter().product()).map(|_| draw(&mut rng)).collect())
    }

    fn param<const D: usize>(&self, shape: [usize; D], values: Vec<f32>) -> Param<Tensor<D>> {
        Param::from_data(TensorData::new(values, shape), self.device)
    }
}
