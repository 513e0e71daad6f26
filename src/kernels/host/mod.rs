//! Bodies of the operations on the CPU: plain slices, all cores, vector instructions by run-time detection.
//!
//! Sums over many rows are taken in pieces of a fixed size and added in order, so that results do not depend on the
//! number of threads.

mod attention;
mod concat_neighbours;
mod conv;
mod gather;
mod instance_norm;
mod optimiser;
mod product;
mod rows;
mod simd;
mod slab;
mod softmax;
mod sums;
mod tensor;
mod weight_gradient;

pub(super) use attention::{attention, attention_gradients};
pub(super) use concat_neighbours::{concat_neighbours, concat_neighbours_gradient};
pub(super) use conv::{conv, conv_input_gradient};
pub(super) use gather::gather_product;
pub(super) use instance_norm::{instance_norm, instance_norm_gradients};
pub(super) use optimiser::{adam_w, sgd};
pub(super) use rows::{add_bias, column_sums, gelu, gelu_gradient, layer_norm, layer_norm_gradients};
pub(super) use softmax::{scaled_softmax, scaled_softmax_gradient};
pub(super) use sums::sum_rows;
pub(super) use tensor::EPSILON;
pub(super) use weight_gradient::conv_weight_gradient;
