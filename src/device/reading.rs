//! A tensor on its way to the host, while its device goes on.

use std::future::Future as _;
use std::task::{Context, Poll, Waker};

use burn::tensor::{Tensor, TensorData};
use burn_wgpu::CubeBackend;

use super::DeviceError;

/// Starts to bring a GPU's tensor to the host, and returns what waits for it: not for what the GPU is asked to do in between.
///
/// # Panics
/// If the tensor lies in host memory.
pub fn start_reading<const D: usize>(tensor: Tensor<D>) -> impl FnOnce() -> Result<TensorData, DeviceError> + use<D> {
    let tensor = tensor.try_into_primitive::<CubeBackend>().expect("a tensor in GPU memory");
    let tensor = burn_cubecl::kernel::into_contiguous(tensor);
    let (shape, dtype) = (tensor.meta.shape().clone(), tensor.dtype);
    let (client, handle) = (tensor.client, tensor.handle);
    let mut bytes = Box::pin(async move { client.read_async(vec![handle]).await });
    // A first look puts the copy into the GPU's queue.
    let looked = bytes.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    move || {
        let bytes = match looked {
            Poll::Ready(bytes) => bytes,
            Poll::Pending => pollster::block_on(bytes),
        };
        match bytes {
            Ok(mut bytes) => Ok(TensorData::from_bytes(bytes.remove(0), shape, dtype)),
            Err(error) if error.is_device_poisoned() => Err(DeviceError::Lost { reason: error.to_string() }),
            Err(error) => Err(DeviceError::Failed { reason: error.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::for_tests;

    #[test]
    fn a_tensor_is_read_as_it_was_when_the_reading_began() {
        for (name, device) in for_tests().into_iter().skip(1) {
            let tensor = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &device).reshape([2, 3]).transpose();
            let reading = start_reading(tensor.clone());
            // The same memory, if nothing else held it.
            let changed = tensor * 2.0 + 1.0;
            let read = reading().expect("a working device");
            assert_eq!(read.shape().as_slice(), [3, 2], "{name}");
            assert_eq!(read.try_into_vec::<f32>().expect("float32"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0], "{name}");
            assert_eq!(changed.into_data().try_into_vec::<f32>().expect("float32"), [3.0, 9.0, 5.0, 11.0, 7.0, 13.0], "{name}");
        }
    }
}
