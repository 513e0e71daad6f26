//! Bodies of the operations on a GPU, in CubeCL: the same source becomes WGSL, SPIR-V or MSL.
//!
//! They keep to what every adapter offers: cubes (workgroups) of 256 units, 32 KiB of shared memory, eight buffers a kernel (an
//! optimiser's takes more parameters at once where the adapter binds more), no loop of 65,535 rounds in a unit, no atomics, and no
//! dispatch so long that Windows ends it (`launch::DISPATCH_WORK`). Long sums are made in parts of a fixed number, added in a fixed
//! order, so that a training gives the same bits each time.
//! Forward kernels of networks read and write float32 or float16, and compute in float32; all others are of float32 alone.
//!
//! To add one: write `gpu/OPERATION.rs` with the function of the same name and signature as in `host`, and call it in the operation's
//! file beside `host`'s. No other file changes: the backward pass is entered into the graph by the operation, and `tests` compares
//! values and gradients with the reference.

#![allow(clippy::collapsible_if, reason = "what a kernel's compiler decides stays apart from what its units decide")]

mod attention;
mod blend;
mod class_sums;
mod concat_neighbours;
mod contrast;
mod conv;
mod conv_kernel;
mod gelu;
mod instance_norm;
mod instance_norm_kernel;
mod launch;
mod layer_norm;
mod linear;
mod many_tensors;
mod optimiser;
mod softplus;
mod sums;
#[cfg(test)]
mod tests;
mod transpose;
mod weight_gradient;

pub(super) use attention::{global_attention, global_attention_gradient, window_attention, window_attention_gradients};
pub use attention::{gpu_attends, gpu_parts_of_pairs};
pub(super) use blend::{binding_bytes, blend, take_rows};
pub(crate) use class_sums::{class_gradient, class_sums};
pub(super) use concat_neighbours::{concat_neighbours, concat_neighbours_gradient};
pub(crate) use contrast::{Pairs, contrast_gradient, contrast_rows};
pub(super) use conv::{conv, conv_input_gradient};
pub(super) use gelu::{gelu, gelu_gradient};
pub(super) use instance_norm::{instance_norm, instance_norm_gradients};
pub(super) use layer_norm::{layer_norm, layer_norm_gradients};
pub(super) use linear::{linear, linear_gradients, linear_input_gradient};
pub(super) use optimiser::{adam_w, clipping, moving_average, sgd};
pub(super) use sums::{column_sums, sum_rows};
pub(super) use weight_gradient::conv_weight_gradient;
pub use weight_gradient::gpu_parts_of_weight_gradient;
#[cfg(test)]
pub(crate) use {
    attention::work_of_attention,
    launch::{DISPATCH_WORK, Work},
    tests::work_of_convolution,
};
