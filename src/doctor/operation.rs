//! The operations that the networks lean on, each small enough for a software adapter.

use burn::tensor::activation::softmax;
use burn::tensor::module::conv3d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt as _;

use crate::random::stream;

/// An operation: its inputs by their number of values, each flat, and what it makes of them, flat again.
pub(super) struct Operation {
    /// Its name in the report.
    pub name: &'static str,
    inputs: &'static [usize],
    run: fn(&[Tensor<1>]) -> Tensor<1>,
}

/// Values drawn for an operation, the same on every device.
pub(super) struct Inputs {
    /// One vector for each input.
    pub values: Vec<Vec<f32>>,
    /// The weight of each output value in the loss, repeated as needed.
    pub weights: Vec<f32>,
}

/// Side of the cubic input of the convolution.
const SIDE: usize = 16;
/// Channels in and out of the convolution; the latter is also the token dimension.
const CHANNELS: [usize; 2] = [2, 16];
/// Tokens: the convolution's output grid.
const TOKENS: usize = (SIDE / 2) * (SIDE / 2) * (SIDE / 2);
/// Tokens that attend to each other, as in a window of 4³.
const WINDOW: usize = 64;
/// Attention heads.
const HEADS: usize = 2;
/// Values of a token sequence.
const SEQUENCE: usize = TOKENS * CHANNELS[1];
/// Values of the convolution's input and kernel.
const VOLUME: usize = CHANNELS[0] * SIDE * SIDE * SIDE;
const KERNEL: usize = CHANNELS[1] * CHANNELS[0] * 27;
/// Values of a square weight between tokens.
const SQUARE: usize = CHANNELS[1] * CHANNELS[1];

/// All of them; the last is an encoder block out of the others, whose pass is timed.
pub(super) const OPERATIONS: [Operation; 6] = [
    Operation { name: "conv3d k3 s2", inputs: &[VOLUME, KERNEL], run: |x| flat(convolve(&x[0], &x[1])) },
    Operation { name: "layer norm", inputs: &[SEQUENCE], run: |x| flat(normalise(tokens(&x[0]))) },
    Operation { name: "attention", inputs: &[SEQUENCE; 3], run: |x| flat(attend([0, 1, 2].map(|i| tokens(&x[i])))) },
    Operation { name: "gather, select", inputs: &[SEQUENCE], run: |x| flat(reorder(tokens(&x[0]))) },
    Operation { name: "gelu", inputs: &[SEQUENCE], run: |x| gelu(&x[0]) },
    Operation { name: "encoder block", inputs: &[VOLUME, KERNEL, SQUARE, SQUARE], run: |x| flat(block(x)) },
];

impl Operation {
    /// Inputs from the standard normal distribution's middle (uniform of variance 1), weights likewise.
    pub fn draw(&self) -> Inputs {
        let bound = 3.0_f32.sqrt();
        let draw = |number: u64, values: usize| {
            let mut random = stream(0, self.name, number, 0);
            (0..values).map(|_| random.random_range(-bound..bound)).collect()
        };
        let values = (1..).zip(self.inputs).map(|(number, &values)| draw(number, values)).collect();
        Inputs { values, weights: draw(0, SEQUENCE) }
    }

    /// Forward only: the loss.
    pub fn loss(&self, inputs: &Inputs, device: &Device) -> Result<f32, String> {
        let leaves = leaves(inputs, device);
        let loss = self.weigh(&leaves, inputs).1;
        loss.try_into_scalar().map_err(|error| error.to_string())
    }

    /// Forward and backward, read back to the host: the output, then the loss' gradient for each input.
    pub fn compute(&self, inputs: &Inputs, device: &Device) -> Result<Vec<Vec<f32>>, String> {
        let leaves: Vec<_> = leaves(inputs, &device.clone().autodiff()).into_iter().map(Tensor::require_grad).collect();
        let (output, loss) = self.weigh(&leaves, inputs);
        let gradients = loss.backward();
        let gradients = leaves.iter().map(|leaf| leaf.grad(&gradients).ok_or("an input got no gradient".to_owned()));
        std::iter::once(Ok(output.inner())).chain(gradients).map(|tensor| read(tensor?)).collect()
    }

    /// The output and its weighted sum, the loss.
    fn weigh(&self, leaves: &[Tensor<1>], inputs: &Inputs) -> (Tensor<1>, Tensor<1>) {
        let output = (self.run)(leaves);
        let [values] = output.dims();
        let weights = Tensor::from_data(TensorData::new(inputs.weights[..values].to_vec(), [values]), &output.device());
        (output.clone(), (output * weights).sum())
    }
}

fn leaves(inputs: &Inputs, device: &Device) -> Vec<Tensor<1>> {
    inputs.values.iter().map(|values| Tensor::from_data(TensorData::new(values.clone(), [values.len()]), device)).collect()
}

fn read(tensor: Tensor<1>) -> Result<Vec<f32>, String> {
    tensor.try_into_vec_as().map_err(|error| error.to_string())
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let values = tensor.shape().num_elements();
    tensor.reshape([values])
}

/// `[values]` to `[tokens, dim]`.
fn tokens(flat: &Tensor<1>) -> Tensor<2> {
    flat.clone().reshape([TOKENS, CHANNELS[1]])
}

/// A patch embedding that halves the grid.
fn convolve(volume: &Tensor<1>, kernel: &Tensor<1>) -> Tensor<5> {
    let [inner, outer] = CHANNELS;
    let volume = volume.clone().reshape([1, inner, SIDE, SIDE, SIDE]);
    let kernel = kernel.clone().reshape([outer, inner, 3, 3, 3]);
    conv3d(volume, kernel, None, ConvOptions::new([2; 3], [1; 3], [1; 3], 1))
}

fn normalise(tokens: Tensor<2>) -> Tensor<2> {
    let (variance, mean) = tokens.clone().var_mean_bias(1);
    (tokens - mean) / (variance + 1e-5).sqrt()
}

/// Window attention of queries, keys and values.
fn attend(tokens: [Tensor<2>; 3]) -> Tensor<4> {
    let dim = CHANNELS[1] / HEADS;
    let [query, key, value] = tokens.map(|t| t.reshape([TOKENS / WINDOW, WINDOW, HEADS, dim]).swap_dims(1, 2));
    let scores = query.matmul(key.swap_dims(2, 3)) / (dim as f64).sqrt();
    softmax(scores, 3).matmul(value)
}

/// Rows in another order, some twice, then each row's values in another order: tables of positions, restored tokens.
fn reorder(tokens: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = tokens.dims();
    let device = tokens.device();
    let order = Tensor::<1, Int>::arange(0..rows as i64, &device).mul_scalar(7).remainder_scalar(rows as i64 / 2);
    let column = Tensor::<1, Int>::arange(0..columns as i64, &device).mul_scalar(3).remainder_scalar(columns as i64);
    tokens.select(0, order).gather(1, column.reshape([1, columns]).repeat_dim(0, rows))
}

/// The exact one. Burn's ready-made `gelu` goes back by the derivative of the tanh approximation on wgpu, 6e-4 off.
fn gelu<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    tensor.clone() * (tensor.clone().div_scalar(2.0_f64.sqrt()).erf() + 1.0) * 0.5
}

fn block(inputs: &[Tensor<1>]) -> Tensor<2> {
    let dim = CHANNELS[1];
    let tokens = convolve(&inputs[0], &inputs[1]).reshape([dim, TOKENS]).swap_dims(0, 1);
    let [mix, project] = [2, 3].map(|i| inputs[i].clone().reshape([dim, dim]) / (dim as f64).sqrt());
    let normal = normalise(tokens.clone());
    let mixed = normal.clone().matmul(mix);
    let attended = attend([mixed.clone(), normal, mixed]).swap_dims(1, 2).reshape([TOKENS, dim]);
    let tokens = tokens + reorder(attended);
    tokens.clone() + gelu(&normalise(tokens).matmul(project))
}
