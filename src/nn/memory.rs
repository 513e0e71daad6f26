//! What a training step holds in memory, worked out from sizes alone.
//!
//! Each block says (`kept`), in the order of its forward pass, what it keeps for the backward pass besides its input, which whoever made it
//! counts, and between these what its backward pass holds at that place: the gradients that lie on the way, and what they are made of.
//! The backward pass goes the same way back and frees what it has passed, so that at any place it holds what was kept up to there, and
//! the gradients of the weights behind it.
//!
//! Host and GPU hold the same but for what `on_host` is asked about: the host stores the scores of a global attention, a GPU the sums of
//! every softmax; and a GPU makes the gradients of weights in parts. What takes a few MiB whatever the crop is not counted.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::Arithmetic;
use crate::kernels::{ConvShape, gpu_parts_of_pairs, gpu_parts_of_weight_gradient, samples_at_once};

/// Sizes of a token sequence of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Tokens along D,H,W.
    pub grid: [usize; 3],
    /// Channels of a token.
    pub dim: usize,
}

impl Extent {
    /// Tokens.
    pub fn count(&self) -> u64 {
        self.grid.iter().product::<usize>() as u64
    }

    /// Numbers.
    pub fn elements(&self) -> u64 {
        self.count() * self.dim as u64
    }

    /// On a grid divided by `stride`, rounded up, with `dim` channels.
    #[must_use]
    pub(super) fn strided(self, stride: [usize; 3], dim: usize) -> Self {
        Self { grid: std::array::from_fn(|axis| self.grid[axis].div_ceil(stride[axis])), dim }
    }
}

/// Float32 elements that a step over some samples holds, and what it computes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    samples: u64,
    on_host: bool,
    kept: u64,
    peak: u64,
    largest: u64,
    /// Of one sample.
    forward: Arithmetic,
    /// What of it the backward pass computes again.
    again: Arithmetic,
}

impl Memory {
    /// Of a step over `samples` volumes, in host memory or on another device.
    pub fn new(samples: usize, on_host: bool) -> Self {
        let nothing = Arithmetic::default();
        Self { samples: samples as u64, on_host, kept: 0, peak: 0, largest: 0, forward: nothing, again: nothing }
    }

    /// Whether the step runs in host memory.
    pub fn on_host(&self) -> bool {
        self.on_host
    }

    /// What the forward pass computes.
    pub fn forward(&self) -> Arithmetic {
        self.forward * self.samples
    }

    /// What forward and backward pass compute: each product has two gradients, each a product as large.
    pub fn step(&self) -> Arithmetic {
        let mut all = self.forward * 3;
        all += self.again;
        all * self.samples
    }

    /// What is kept so far.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// The most that is held at once.
    pub fn peak(&self) -> u64 {
        self.peak.max(self.kept)
    }

    /// The largest single tensor.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Keeps a tensor of `elements` a sample until the backward pass reaches it.
    pub fn keep(&mut self, elements: u64) {
        self.kept += self.samples * elements;
        self.largest = self.largest.max(self.samples * elements);
    }

    /// The backward pass holds `elements` a sample here besides what was kept so far.
    pub fn work(&mut self, elements: u64) {
        self.peak = self.peak.max(self.kept + self.samples * elements);
    }

    /// A tensor of `elements` a sample that exists for a moment, and is counted where it does.
    pub(super) fn bind(&mut self, elements: u64) {
        self.largest = self.largest.max(self.samples * elements);
    }

    /// The forward pass computes `arithmetic` of each sample.
    pub fn compute(&mut self, arithmetic: Arithmetic) {
        self.forward += arithmetic;
    }

    /// The weights of `module`, which was passed last, have gradients when the backward pass gets to this place, and keep them.
    pub fn train(&mut self, module: &impl Module) {
        self.peak += Weights::of(module).total;
    }

    /// A GPU sums the gradient of some weights from `parts` elements in all, and holds `work` a sample beside them.
    pub(super) fn sum_parts(&mut self, parts: u64, work: u64) {
        if !self.on_host {
            self.peak = self.peak.max(self.kept + parts + self.samples * work);
            self.largest = self.largest.max(parts);
        }
    }

    /// A GPU sums the gradient of a position table from those of the pairs of so many windows a sample, and holds `work` a sample beside them.
    pub(super) fn sum_pairs(&mut self, [windows, tokens, heads]: [usize; 3], work: u64) {
        let parts = gpu_parts_of_pairs(self.samples as usize * windows, tokens, heads);
        self.sum_parts(parts as u64, work);
    }

    /// A 3x3x3 convolution from `x` to `out`, of whose result the backward pass has the gradient.
    pub(super) fn convolve(&mut self, x: Extent, out: Extent, stride: [usize; 3]) {
        self.compute(Arithmetic::convolution(27 * x.dim as u64 * out.elements()));
        if !self.on_host {
            let shape = ConvShape { grid: x.grid, stride };
            let parts = gpu_parts_of_weight_gradient(self.samples as usize, [x.dim, out.dim], shape);
            self.sum_parts(parts as u64, out.elements());
        }
    }

    /// A block that keeps nothing but its result, of `output`, and is computed again from its inputs, of `inputs`, some samples at a
    /// time: as many as `widest` elements of its largest tensor allow. `block` says what it would hold.
    pub(super) fn recompute(&mut self, [inputs, widest, output]: [u64; 3], block: impl FnOnce(&mut Self)) {
        let chunk = samples_at_once(widest as usize, self.samples as usize);
        let mut own = Self::new(chunk, self.on_host);
        block(&mut own);
        // The gradient of the result outlives the block's own backward pass; those of the inputs are gathered up if there are several parts.
        let gathered = if chunk < self.samples as usize { self.samples * inputs } else { 0 };
        self.peak = self.peak.max(self.kept + self.samples * output + gathered + own.peak());
        self.keep(output);
        self.largest = self.largest.max(own.largest);
        self.forward += own.forward;
        self.again += own.forward;
    }
}

/// Numbers of the parameters of a module that need have no values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weights {
    /// All of them.
    pub total: u64,
    /// Those of the largest parameter.
    pub largest: u64,
}

impl Weights {
    /// Those of `module`.
    pub fn of(module: &impl Module) -> Self {
        let mut weights = Self::default();
        module.visit(&mut weights);
        weights
    }
}

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let numbers = param.lazy_shape().num_elements() as u64;
        self.total += numbers;
        self.largest = self.largest.max(numbers);
    }
}
