//! Where the windows lie in a volume, and how each voxel of a window counts: MONAI's `sliding_window_inference`.

use std::array::from_fn;

/// Places of the windows, in the image padded to at least one window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Windows {
    /// Voxels put before the image on each axis; it lies in the middle, an extra voxel at the end.
    pub before: [usize; 3],
    /// Shape of the padded image.
    pub padded: [usize; 3],
    /// First voxels, D slowest.
    pub starts: Vec<[usize; 3]>,
}

impl Windows {
    /// Windows of `roi` voxels over an image of `shape`.
    ///
    /// A window follows the last one by `floor(roi * (1 - overlap))` voxels, at least one; the last is moved back to
    /// end at the border.
    pub fn new(roi: [usize; 3], overlap: f64, shape: [usize; 3]) -> Self {
        let padded = from_fn(|axis| roi[axis].max(shape[axis]));
        let [depths, heights, widths]: [Vec<usize>; 3] = from_fn(|axis| {
            let last = padded[axis] - roi[axis];
            let interval = ((roi[axis] as f64 * (1.0 - overlap)) as usize).max(1);
            (0..=last.div_ceil(interval)).map(|window| (window * interval).min(last)).collect()
        });
        let rows = depths.iter().flat_map(|&d| heights.iter().map(move |&h| (d, h)));
        let starts = rows.flat_map(|(d, h)| widths.iter().map(move |&w| [d, h, w])).collect();
        Self { before: from_fn(|axis| (padded[axis] - shape[axis]) / 2), padded, starts }
    }
}

/// Gaussian weights `[D, H, W]` of a window of `roi`, sigma in window edges: 1 at the centre `(roi - 1) / 2` and never below 0.001
/// or their own least value, whichever is larger.
pub(super) fn gaussian(roi: [usize; 3], sigma_scale: f64) -> Vec<f32> {
    let [depth, height, width] = roi.map(|edge| {
        let (sigma, centre) = (edge as f64 * sigma_scale, (edge as f64 - 1.0) / 2.0);
        (0..edge).map(|at| (-(at as f64 - centre).powi(2) / (2.0 * sigma * sigma)).exp() as f32).collect::<Vec<_>>()
    });
    let rows = depth.iter().flat_map(|d| height.iter().map(move |h| d * h));
    let mut weights: Vec<f32> = rows.flat_map(|row| width.iter().map(move |w| row * w)).collect();
    let floor = weights.iter().copied().fold(f32::INFINITY, f32::min).max(1e-3);
    weights.iter_mut().for_each(|weight| *weight = weight.max(floor));
    weights
}

#[cfg(test)]
mod tests {
    use super::Windows;

    #[test]
    fn windows_cover_everything_at_any_overlap() {
        for (size, roi, overlap, expected) in [
            (13, 8, 0.5, vec![0, 4, 5]),
            (16, 8, 0.5, vec![0, 4, 8]),
            (8, 8, 0.5, vec![0]),
            (5, 8, 0.5, vec![0]),
            (17, 8, 0.0, vec![0, 8, 9]),
            (6, 4, 0.95, vec![0, 1, 2]),
        ] {
            let starts = Windows::new([roi, 1, 1], overlap, [size, 1, 1]).starts;
            assert_eq!(starts.iter().map(|start| start[0]).collect::<Vec<_>>(), expected, "{size} {roi} {overlap}");
        }
    }
}
