//! Bodies of the operations on the CPU: plain slices, all cores, vector instructions by run-time detection.
//!
//! Sums over many rows are taken in pieces of a fixed size and added in order, so that results do not depend on the
//! number of threads.

mod attention;
mod conv;
mod gather;
mod instance_norm;
mod merge;
mod product;
mod rows;
mod simd;
mod softmax;
mod sums;

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps as _;
use burn::backend::tensor::{Device, FloatTensor};
use burn::tensor::TensorData;

pub(super) use attention::{attention, attention_gradients};
pub(super) use conv::{conv, conv_input_gradient, conv_weight_gradient};
pub(super) use gather::gather_product;
pub(super) use instance_norm::{instance_norm, instance_norm_gradients};
pub(super) use merge::{side_by_side, side_by_side_gradient};
pub(super) use rows::{add_bias, column_sums, gelu, gelu_gradient, layer_norm, layer_norm_gradients};
pub(super) use softmax::{scaled_softmax, scaled_softmax_gradient};
pub(super) use sums::sum_rows;

type HostTensor = FloatTensor<Flex>;

/// The same tensor, row-major; a part of its buffer perhaps.
fn contiguous(tensor: HostTensor) -> HostTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The same tensor, row-major and alone in its buffer, to be changed in place.
fn alone(tensor: HostTensor) -> HostTensor {
    let whole = contiguous(tensor);
    let shape = whole.layout().shape().clone();
    if whole.storage::<f32>().len() == shape.num_elements() {
        return whole;
    }
    Flex::float_from_data(TensorData::new(elements(&whole).to_vec(), shape), &Device::<Flex>::default())
}

/// The elements of a contiguous tensor.
fn elements(tensor: &HostTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous float32 tensor")
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> HostTensor {
    Flex::float_from_data(TensorData::new(values, shape), &Device::<Flex>::default())
}
