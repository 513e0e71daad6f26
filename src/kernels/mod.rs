//! Operations that the tensor library lacks or does slowly, with hand-written backward passes.
//!
//! Each file holds one operation: its function on tensors, its reference in the tensor library's own operations
//! (forward and backward, what a GPU runs and what tests compare with), and how it enters the autodiff graph.
//! `dispatch` picks the body by device, `graph` holds the backward steps; the CPU's bodies are in `host`.

#![allow(clippy::needless_pass_by_value, reason = "bodies take tensors as the tensor library's own operations do: by value")]

mod attention;
mod block;
mod conv;
mod conv_block;
mod dispatch;
mod gelu;
mod global_attention;
mod graph;
mod host;
mod instance_norm;
mod layer_norm;
mod linear;
mod merge;
mod pieces;
mod sums;
#[cfg(test)]
mod tests;

pub use attention::{MASKED, PADDING, WindowTables, window_attention};
pub use block::{BlockShape, BlockTensors, transformer_block};
pub use conv::{ConvShape, GATHERED_ELEMENTS, conv3d, conv3d_pair};
pub use conv_block::{ConvBlockShape, ConvBlockTensors, conv_block};
pub use gelu::gelu;
pub use global_attention::global_attention;
pub use instance_norm::{instance_norm, instance_norm_add};
pub use layer_norm::layer_norm;
pub use linear::{add_bias, linear};
pub use merge::{MergeTables, MergeTensors, merge_tokens};
pub use sums::{mean, mean_axis, sum, sum_axis};

/// All index triples below `counts`, row-major.
pub fn cells(counts: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [depth, height, width] = counts;
    (0..depth * height * width).map(move |index| [index / (height * width), index / width % height, index % width])
}
