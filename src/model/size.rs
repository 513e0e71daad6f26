//! Volumes padded to whole strides, and logits cropped back.

use burn::tensor::Tensor;

/// `size` rounded up to whole strides.
pub fn padded_size(size: [usize; 3], stride: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| size[axis].next_multiple_of(stride[axis]))
}

/// Zeros at the high end up to the size `padded`.
pub(super) fn zero_pad(volume: Tensor<5>, padded: [usize; 3]) -> Tensor<5> {
    let [batch, channels, depth, height, width] = volume.dims();
    if padded == [depth, height, width] {
        return volume;
    }
    let [d, h, w] = padded;
    let zeros = Tensor::zeros([batch, channels, d, h, w], (&volume.device(), volume.dtype()));
    zeros.slice_assign([0..batch, 0..channels, 0..depth, 0..height, 0..width], volume)
}

/// The low end of `size` voxels.
pub(super) fn crop(logits: Tensor<5>, size: [usize; 3]) -> Tensor<5> {
    let [batch, classes, depth, height, width] = logits.dims();
    if [depth, height, width] == size {
        return logits;
    }
    let [d, h, w] = size;
    logits.slice([0..batch, 0..classes, 0..d, 0..h, 0..w])
}
