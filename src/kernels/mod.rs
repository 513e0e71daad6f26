//! Operations that the tensor library lacks or does slowly, with hand-written backward passes.
//!
//! Each file holds one operation: its function on tensors, its reference body in the tensor library's own operations
//! (forward and backward: the specification), and the choice between that, the CPU's body in `host` and the GPU's in `gpu`.
//! [`custom_gradient`] enters an operation into the autodiff graph, once for all of them; [`recompute`] makes one operation
//! of any module, which keeps nothing but its inputs. Tables of rows are made once for each geometry and kept on the device
//! (`index`). [`cases`] lists every operation with a stock equivalent: the tests and the doctor run them on each device.

mod attention;
mod blend;
mod bodies;
pub mod cases;
mod concat_neighbours;
mod conv;
mod conv_tables;
mod custom_gradient;
mod failure;
mod gather;
mod gelu;
mod global_attention;
mod gpu;
mod host;
mod index;
mod instance_norm;
mod layer_norm;
mod linear;
mod merge_tables;
mod optimiser;
mod recompute;
mod sums;
#[cfg(test)]
mod tests;
mod window_tables;

pub use attention::window_attention;
pub use blend::{BlendSums, WindowPlaces, gpu_blends};
pub use bodies::with_references;
pub(crate) use bodies::{Bodies, bodies};
pub use concat_neighbours::concat_neighbours;
pub use conv::conv3d;
pub use conv_tables::ConvShape;
pub use custom_gradient::{InputGradients, Inputs, custom_gradient, with_gradient};
pub use failure::first_failure;
pub use gather::{gather, mean_over_devices};
pub use gelu::gelu;
pub use global_attention::global_attention;
#[cfg(test)]
pub(crate) use gpu::{DISPATCH_WORK, Work, work_of_attention, work_of_convolution};
/// For losses, whose other bodies stand with them.
pub(crate) use gpu::{Pairs, class_gradient, class_sums, contrast_gradient, contrast_rows};
pub use gpu::{gpu_attends, gpu_parts_of_pairs, gpu_parts_of_weight_gradient};
pub use index::{Cache, Index, PADDING, cells};
pub use instance_norm::{instance_norm, instance_norm_add};
pub use layer_norm::layer_norm;
pub use linear::{add_bias, linear};
pub use merge_tables::MergeTables;
pub use optimiser::{AdamW, NORM_EPSILON, ParameterStep, Sgd, clipping, moving_average};
pub use recompute::{recompute, samples_at_once};
pub use sums::{mean, mean_axis, sum, sum_axis};
pub use window_tables::{MASKED, WindowTables};
