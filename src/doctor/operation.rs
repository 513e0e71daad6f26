//! The operations that the networks lean on, each small enough for a software adapter.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt as _;

use crate::kernels::cases::{Function, cases};
use crate::kernels::{ConvShape, WindowTables, conv3d, gelu, layer_norm, linear, window_attention};
use crate::random::stream;

/// An operation on flat inputs.
pub(super) struct Operation {
    /// Its name in the report.
    pub name: &'static str,
    inputs: Vec<usize>,
    run: Function,
}

/// All of them, one shape each; the last is an encoder block out of the others, whose pass is timed.
pub(super) fn operations() -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    for case in cases() {
        if operations.iter().all(|known| known.name != case.name) {
            operations.push(Operation { name: case.name, inputs: case.inputs, run: case.run });
        }
    }
    operations.push(encoder_block());
    operations
}

impl Operation {
    /// Inputs from the standard normal distribution's middle (uniform of variance 1), the same on every device.
    pub fn draw(&self) -> Vec<Vec<f32>> {
        (1..).zip(&self.inputs).map(|(number, &values)| self.values(number, values)).collect()
    }

    fn values(&self, number: u64, count: usize) -> Vec<f32> {
        let bound = 3.0_f32.sqrt();
        let mut random = stream(0, self.name, number, 0);
        (0..count).map(|_| random.random_range(-bound..bound)).collect()
    }

    /// Forward only: the loss.
    pub fn loss(&self, inputs: &[Vec<f32>], device: &Device) -> Result<f32, String> {
        let (_, loss) = self.weigh(&leaves(inputs, device));
        loss.try_into_scalar().map_err(|error| error.to_string())
    }

    /// Forward and backward, read back to the host: the output, then the loss' gradient for each input.
    pub fn compute(&self, inputs: &[Vec<f32>], device: &Device) -> Result<Vec<Vec<f32>>, String> {
        let leaves: Vec<_> = leaves(inputs, &device.clone().autodiff()).into_iter().map(Tensor::require_grad).collect();
        let (output, loss) = self.weigh(&leaves);
        let gradients = loss.backward();
        let gradients = leaves.iter().map(|leaf| leaf.grad(&gradients).ok_or("an input got no gradient".to_owned()));
        std::iter::once(Ok(output.inner())).chain(gradients).map(|tensor| read(tensor?)).collect()
    }

    /// The output and its sum weighted at random, the loss.
    fn weigh(&self, leaves: &[Tensor<1>]) -> (Tensor<1>, Tensor<1>) {
        let output = (self.run)(leaves);
        let [count] = output.dims();
        let weights = Tensor::from_data(TensorData::new(self.values(0, count), [count]), &output.device());
        (output.clone(), (output * weights).sum())
    }
}

fn leaves(inputs: &[Vec<f32>], device: &Device) -> Vec<Tensor<1>> {
    inputs.iter().map(|values| Tensor::from_data(TensorData::new(values.clone(), [values.len()]), device)).collect()
}

fn read(tensor: Tensor<1>) -> Result<Vec<f32>, String> {
    tensor.try_into_vec_as().map_err(|error| error.to_string())
}

/// A convolution of 16³ voxels to 8³ tokens, attention in shifted windows of 4³, and half a perceptron.
fn encoder_block() -> Operation {
    const GRID: usize = 16;
    const DIM: usize = 16;
    const HEADS: usize = 2;
    let (shape, tokens) = (ConvShape { grid: [GRID; 3], stride: [2; 3] }, (GRID / 2).pow(3));
    // Pairs share the rows of the bias table as they come.
    let windows = Arc::new(WindowTables::new([[GRID / 2; 3], [4; 3], [2; 3]], (0..64 * 64).map(|pair| pair % 343).collect(), 343));
    let run = move |x: &[Tensor<1>]| {
        let mut x = x.iter().cloned();
        let mut next = || x.next().expect("as many inputs as are drawn");
        let volume = next().reshape([1, GRID.pow(3), 2]);
        let tokens_in = conv3d([volume], next().reshape([3, 3, 3, 2, DIM]), None, shape);
        let (scale, offset, root) = (next(), next(), (DIM as f64).sqrt());
        let qkv = linear(layer_norm(tokens_in.clone(), scale.clone(), offset.clone()), next().reshape([DIM, 3 * DIM]) / root, None);
        let attended = window_attention(qkv, next(), next().reshape([343, HEADS]), &windows);
        let middle = tokens_in + attended;
        let hidden = linear(layer_norm(middle.clone(), scale, offset), next().reshape([DIM, DIM]) / root, Some(next()));
        (middle + gelu(hidden)).reshape([tokens * DIM])
    };
    let inputs = vec![2 * GRID.pow(3), 54 * DIM, DIM, DIM, 3 * DIM * DIM, 3 * DIM, 343 * HEADS, DIM * DIM, DIM];
    Operation { name: "encoder block", inputs, run: Box::new(run) }
}
