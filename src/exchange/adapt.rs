//! Changes of shape that a user may ask for: other image channels, another token grid.

use crate::kernels::cells;
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

/// A table with a row for each place of the grid `from`, resampled to the grid `to`: trilinear, cells matched by their
/// centres, the border repeated (PyTorch's `interpolate` with `align_corners=False`). The last axis holds a row's numbers.
pub(super) fn table(tensor: &HostTensor, from: [usize; 3], to: [usize; 3]) -> HostTensor {
    let HostTensor { shape, values } = tensor;
    let rank = shape.len();
    let width = shape[rank - 1];
    let axes: [Vec<Between>; 3] = std::array::from_fn(|axis| (0..to[axis]).map(|at| between(at, from[axis], to[axis])).collect());
    let mut resampled = Vec::with_capacity(to.iter().product::<usize>() * width);
    for cell in cells(to) {
        let corners: [Between; 3] = std::array::from_fn(|axis| axes[axis][cell[axis]]);
        for column in 0..width {
            let value = cells([2; 3]).map(|corner| {
                let share: f64 = (0..3).map(|axis| corners[axis][corner[axis]].1).product();
                let [d, h, w] = std::array::from_fn(|axis| corners[axis][corner[axis]].0);
                share * f64::from(values[((d * from[1] + h) * from[2] + w) * width + column])
            });
            resampled.push(value.sum::<f64>() as f32);
        }
    }
    let mut shape = shape.clone();
    shape[rank - 2] = to.iter().product();
    HostTensor { shape, values: resampled }
}

/// The two old places between which a new one lies, each with its share.
type Between = [(usize, f64); 2];

fn between(at: usize, from: usize, to: usize) -> Between {
    let centre = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
    let (low, share) = ((centre as usize).min(from - 1), centre.fract());
    [(low, 1.0 - share), ((low + 1).min(from - 1), share)]
}

#[cfg(test)]
mod tests {
    use super::{stem, table};
    use crate::model::HostTensor;

    fn tensor(shape: &[usize]) -> HostTensor {
        HostTensor { shape: shape.to_vec(), values: (0..shape.iter().product()).map(|i: usize| ((i * 7) % 11) as f32).collect() }
    }

    #[test]
    fn a_volume_repeated_in_every_channel_is_seen_as_before() {
        // The response of the first output to ones, and to voxels of two places inside the second axis.
        let response = |tensor: &HostTensor, channels: usize, place: usize| -> f32 {
            let inner: usize = tensor.shape[2..].iter().product();
            tensor.values[place * channels * inner..][..channels * inner].iter().sum()
        };
        for shape in [&[2, 3, 2, 1, 2][..], &[2, 6]] {
            let old = tensor(shape);
            for to in [1, 4] {
                let new = stem(&old, 3, to);
                assert_eq!(new.shape[1], shape[1] / 3 * to);
                for place in 0..2 {
                    assert!((response(&new, to, place) - response(&old, 3, place)).abs() < 1e-5, "{shape:?} -> {to}");
                }
            }
        }
        assert_eq!(stem(&tensor(&[1, 1, 1, 1, 3]), 1, 2).values, [0.0, 3.5, 1.5, 0.0, 3.5, 1.5]);
    }

    #[test]
    fn tables_are_resampled_as_pytorch_does() {
        let old = tensor(&[1, 12, 2]);
        assert_eq!(table(&old, [2, 3, 2], [2, 3, 2]), old);
        let new = table(&old, [2, 3, 2], [3, 2, 4]);
        assert_eq!(new.shape, [1, 24, 2]);
        // torch.nn.functional.interpolate(..., mode="trilinear", align_corners=False), rows 0, 5, 14 and 23.
        let expected = [(0, [1.5, 5.75]), (5, [3.0, 5.1875]), (14, [3.53125, 4.0]), (23, [1.25, 5.5])];
        for (row, expected) in expected {
            for (column, expected) in expected.into_iter().enumerate() {
                assert!((new.values[row * 2 + column] - expected).abs() < 1e-5, "row {row}: {:?}", &new.values[row * 2..][..2]);
            }
        }
    }
}
