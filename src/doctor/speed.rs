//! How fast a device is: a pass of the encoder block, and the work of training at sizes of published networks, forward and backward.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, Tensor};
use serde::{Deserialize, Serialize};

use super::operation::operations;
use crate::kernels::cases::Function;
use crate::kernels::{ConvShape, conv3d, linear, sum, window_attention};
use crate::nn::{PositionIndex, table_rows, window_tables};

/// How long each measurement goes on, unless a single repetition takes longer.
const BUDGET: Duration = Duration::from_millis(500);

/// Next to work that takes so long, starting its kernels takes no time.
const ENOUGH: Duration = Duration::from_millis(50);

/// Speed of a device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Best time of one small encoder block forward and backward, in ms: mostly the cost of starting kernels.
    pub pass_millis: f64,
    /// Best speed of 3x3x3 convolutions, in 10⁹ operations a second; a multiplication and an addition are two operations.
    pub convolution_gflops: f64,
    /// The same of linear maps.
    pub linear_gflops: f64,
    /// The same of attention in windows of 7³ tokens.
    pub attention_gflops: f64,
}

impl Speed {
    /// Of convolutions, linear maps and attention, in 10⁹ operations a second.
    pub fn gflops(&self) -> [f64; 3] {
        [self.convolution_gflops, self.linear_gflops, self.attention_gflops]
    }
}

/// A piece of work: a function of flat tensors that all get gradients.
struct Piece {
    /// Numbers of each tensor.
    lengths: Vec<usize>,
    run: Function,
    /// Multiplications of the forward pass.
    multiplications: usize,
}

/// Measures a device that computes rightly.
pub(super) fn measure(device: &Device) -> Result<Speed, String> {
    let block = operations().pop().expect("there are operations");
    let inputs = block.draw();
    let pass = best_of(|| block.compute(&inputs, device).map(drop))?;
    // The smallest are for software adapters. No tensor exceeds 128 MiB, which every adapter binds.
    Ok(Speed {
        pass_millis: pass.as_secs_f64() * 1e3,
        convolution_gflops: gflops([(16, 48), (32, 48), (64, 48)].map(|(edge, channels)| convolution(edge, channels)), device)?,
        linear_gflops: gflops([(4096, 96), (32_768, 96), (16_384, 384)].map(|(tokens, dim)| fourfold(tokens, dim)), device)?,
        attention_gflops: gflops([14, 28, 56].map(attention), device)?,
    })
}

/// From `channels` to `channels` on a grid of `edge`³ tokens.
fn convolution(edge: usize, channels: usize) -> Piece {
    let (shape, tokens) = (ConvShape { grid: [edge; 3], stride: [1; 3] }, edge.pow(3));
    let run = move |x: &[Tensor<1>]| {
        let (tokens_in, weight) = (x[0].clone().reshape([1, tokens, channels]), x[1].clone().reshape([3, 3, 3, channels, channels]));
        conv3d([tokens_in], weight, None, shape).reshape([tokens * channels])
    };
    let weights = 27 * channels * channels;
    Piece { lengths: vec![tokens * channels, weights], run: Box::new(run), multiplications: tokens * weights }
}

/// The first map of a perceptron, from `dim` to four times as many channels.
fn fourfold(tokens: usize, dim: usize) -> Piece {
    let run = move |x: &[Tensor<1>]| {
        let (tokens_in, weight) = (x[0].clone().reshape([1, tokens, dim]), x[1].clone().reshape([dim, 4 * dim]));
        linear::<3>(tokens_in, weight, None).reshape([tokens * 4 * dim])
    };
    let weights = 4 * dim * dim;
    Piece { lengths: vec![tokens * dim, weights], run: Box::new(run), multiplications: tokens * weights }
}

/// In shifted windows of a grid of `edge`³ tokens, 3 heads of 16 channels: Swin UNETR's first stage.
fn attention(edge: usize) -> Piece {
    const WINDOW: [usize; 3] = [7; 3];
    const HEADS: usize = 3;
    const DIM: usize = 16 * HEADS;
    let (tokens, rows) = (edge.pow(3), table_rows(WINDOW));
    let windows = window_tables([edge; 3], WINDOW, [3; 3], PositionIndex::OneToOne);
    let run = move |x: &[Tensor<1>]| {
        let (qkv, padding, table) = (x[0].clone().reshape([1, tokens, 3 * DIM]), x[1].clone(), x[2].clone().reshape([rows, HEADS]));
        window_attention(qkv, padding, table, &windows).reshape([tokens * DIM])
    };
    let multiplications = 2 * tokens * WINDOW.iter().product::<usize>() * DIM;
    Piece { lengths: vec![tokens * 3 * DIM, 3 * DIM, rows * HEADS], run: Box::new(run), multiplications }
}

/// The speed of the first piece that takes long enough, else of the last, in 10⁹ operations a second. Backward takes two products for each
/// of the forward pass.
fn gflops(pieces: impl IntoIterator<Item = Piece>, device: &Device) -> Result<f64, String> {
    let mut found = 0.0;
    for Piece { lengths, run, multiplications } in pieces {
        let device = device.clone().autodiff();
        let leaf = |&length: &usize| Tensor::<1>::random([length], Distribution::Default, &device).require_grad();
        let leaves: Vec<_> = lengths.iter().map(leaf).collect();
        let took = best_of(|| {
            let gradients = sum(run(&leaves)).backward();
            // One value read back waits for all that was asked of the device before, without the cost of moving it.
            let last = leaves.last().and_then(|leaf| leaf.grad(&gradients)).ok_or("an input got no gradient")?;
            last.narrow(0, 0, 1).try_into_scalar::<f32>().map(drop).map_err(|error| error.to_string())
        })?;
        found = 3.0 * 2.0 * multiplications as f64 / took.as_secs_f64() / 1e9;
        if took >= ENOUGH {
            break;
        }
    }
    Ok(found)
}

/// The shortest of as many runs as fit into [`BUDGET`], after one that compiles and warms up.
pub(super) fn best_of(mut run: impl FnMut() -> Result<(), String>) -> Result<Duration, String> {
    run()?;
    let began = Instant::now();
    let mut best = Duration::MAX;
    while best == Duration::MAX || began.elapsed() < BUDGET {
        let before = Instant::now();
        run()?;
        best = best.min(before.elapsed());
    }
    Ok(best)
}
