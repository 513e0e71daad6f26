//! Tensors in host memory as slices, and back.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Device, Tensor, TensorData};

/// Added to every variance, as in every reference.
pub(in crate::kernels) const EPSILON: f32 = 1e-5;

/// Elements of one parallel task of a pass that reads its numbers once.
pub(super) const TASK_ELEMENTS: usize = 16 << 10;

/// Rows of `columns` elements of such a task.
pub(super) fn task_rows(columns: usize) -> usize {
    (TASK_ELEMENTS / columns.max(1)).max(1)
}

/// A tensor in host memory.
pub(super) type HostTensor = FloatTensor<Flex>;

/// The same tensor, row-major; a part of its buffer perhaps.
pub(super) fn contiguous<const D: usize>(tensor: Tensor<D>) -> HostTensor {
    let tensor = tensor.try_into_primitive::<Flex>().expect("a tensor in host memory");
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The same tensor, row-major and alone in its buffer, to be changed in place.
pub(super) fn alone<const D: usize>(tensor: Tensor<D>) -> HostTensor {
    let shape = tensor.dims();
    let whole = contiguous(tensor);
    if whole.storage::<f32>().len() == shape.iter().product::<usize>() {
        return whole;
    }
    contiguous(self::tensor(elements(&whole).to_vec(), shape))
}

/// The elements of a contiguous tensor.
pub(super) fn elements(tensor: &HostTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous float32 tensor")
}

/// A tensor of `values`.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// A tensor that was changed in place.
pub(super) fn changed<const D: usize>(tensor: HostTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(tensor)
}
