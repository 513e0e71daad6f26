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
    let (here, mut under_way) = match bytes.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(bytes) => (Some(bytes), UnderWay(None)),
        Poll::Pending => (None, UnderWay(Some(bytes))),
    };
    move || {
        let bytes = here.or_else(|| under_way.0.take().map(pollster::block_on)).expect("the bytes or what waits for them");
        match bytes {
            Ok(mut bytes) => Ok(TensorData::from_bytes(bytes.remove(0), shape, dtype)),
            Err(error) if error.is_device_poisoned() => Err(DeviceError::Lost { reason: error.to_string() }),
            Err(error) => Err(DeviceError::Failed { reason: error.to_string() }),
        }
    }
}

/// A reading under way. One that is given up is waited for all the same: its buffer, still mapped, would be taken for the next reading, and the
/// device would refuse all work from then on.
struct UnderWay<F: Future + Unpin>(Option<F>);

impl<F: Future + Unpin> Drop for UnderWay<F> {
    fn drop(&mut self) {
        self.0.take().map(pollster::block_on);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::for_tests;

    #[test]
    fn a_reading_that_is_given_up_hinders_no_other() {
        for (name, device) in for_tests().into_iter().skip(1) {
            for round in 0..8 {
                let tensor = Tensor::<1>::full([1 << 16], round as f32, &device);
                drop(start_reading(tensor.clone() + 1.0));
                let read = start_reading(tensor)().expect("a working device").try_into_vec::<f32>().expect("float32");
                assert!(read.iter().all(|&number| number == round as f32), "{name}");
            }
        }
    }

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
