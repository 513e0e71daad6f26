//! Changes of shape that a user may ask for: other image channels, another token grid.

use crate::model::HostTensor;

/// A stem for `to` image channels instead of `from`. They run along the second axis, innermost where it runs over more.
///
/// Each new channel takes the sum of the old ones divided by `to`: a volume repeated in every channel is seen as before.
pub(super) fn stem(tensor: &HostTensor, from: usize, to: usize) -> HostTensor {
    let HostTensor { shape, values } = tensor;
    let inner: usize = shape[2..].iter().product();
    let summed = |group: &[f32]| -> Vec<f32> {
        let sum = |at: usize| group.iter().skip(at).step_by(inner).map(|&value| f64::from(value)).sum::<f64>();
        (0..inner).map(|at| (sum(at) / to as f64) as f32).collect()
    };
    let values = values.chunks_exact(from * inner).flat_map(|group| summed(group).repeat(to)).collect();
    let mut shape = shape.clone();
    shape[1] = shape[1] / from * to;
    HostTensor { shape, values }
}
