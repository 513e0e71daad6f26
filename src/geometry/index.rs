//! Row-major indices of `[D, H, W]` arrays.

/// Distance in memory of neighbours on D,H,W in a row-major array of `shape`.
pub fn strides([_, height, width]: [usize; 3]) -> [usize; 3] {
    [height * width, width, 1]
}

/// Index of the voxel at `at` (D,H,W) in a row-major array of `shape`; NumPy's `ravel_multi_index`.
pub fn ravel([d, h, w]: [usize; 3], [_, height, width]: [usize; 3]) -> usize {
    (d * height + h) * width + w
}

/// D,H,W of the voxel at `index` in a row-major array of `shape`; NumPy's `unravel_index`.
pub fn unravel(index: usize, [_, height, width]: [usize; 3]) -> [usize; 3] {
    [index / (height * width), index / width % height, index % width]
}
