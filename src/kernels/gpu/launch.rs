//! What every launch needs: tensors as buffers and back, new buffers, how many cubes of units to start, and in how many dispatches.

use std::ops::Range;

use burn::backend::ops::FloatTensorOps as _;
use burn::tensor::{DType, Int, Shape, Tensor};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::FloatKind;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;
use burn_wgpu::CubeBackend;

/// Units that a cube may have on every device.
pub(super) const UNITS: u32 = 256;

/// Memory that the units of a cube may share on every device, bytes (Metal, DirectX 12 and llvmpipe stop at 32 KiB).
pub(super) const SHARED_BYTES: usize = 32 << 10;

/// Cubes that keep a GPU busy.
pub(super) const BUSY: usize = 512;

/// Floating-point operations of a dispatch at most: Windows ends one that takes 2 s, and these take 0.2 s at 60 % of 5 TFLOP/s.
pub(crate) const DISPATCH_WORK: u64 = 600_000_000_000;

/// The same tensor in GPU memory, row-major without gaps.
///
/// # Panics
/// If its numbers are no float32: the kernel would take them for such.
pub(super) fn buffer<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    assert_eq!(tensor.dtype(), DType::F32, "an operation on float32 alone");
    numbers(tensor)
}

/// The same for a kernel that takes float16 as well.
pub(super) fn numbers<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    burn_cubecl::kernel::into_contiguous(tensor.try_into_primitive::<CubeBackend>().expect("a tensor in GPU memory"))
}

/// What a kernel reads and writes; it computes in float32.
pub(super) fn element(buffer: &CubeTensor) -> ElemType {
    ElemType::Float(match buffer.dtype {
        DType::F32 => FloatKind::F32,
        DType::F16 => FloatKind::F16,
        other => panic!("{other:?} where float32 or float16 is computed"),
    })
}

/// A table of indices in GPU memory.
pub(super) fn table(indices: Tensor<1, Int>) -> CubeTensor {
    burn_cubecl::kernel::into_contiguous(indices.try_into_primitive::<CubeBackend>().expect("a tensor in GPU memory"))
}

/// The inverse of [`buffer`].
pub(super) fn tensor<const D: usize>(buffer: CubeTensor) -> Tensor<D> {
    Tensor::from_primitive::<CubeBackend>(buffer)
}

/// A buffer of the same elements in another shape.
pub(super) fn reshaped(buffer: CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    CubeTensor::new_contiguous(buffer.client, buffer.device, shape.into(), buffer.handle, buffer.dtype)
}

/// Numbers as those of `like`, and on its device, not yet written.
pub(super) fn empty(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    empty_of(like, shape, like.dtype)
}

/// Float32 on the device of `like`, not yet written: sums, and what is made of them.
pub(super) fn empty_sums(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    empty_of(like, shape, DType::F32)
}

fn empty_of(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let (shape, client) = (shape.into(), like.client.clone());
    let handle = client.empty(shape.num_elements() * dtype.size());
    CubeTensor::new_contiguous(client, like.device.clone(), shape, handle, dtype)
}

/// Zeros on the device of `like`.
pub(super) fn zeros(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    CubeBackend::float_zeros(shape.into(), &like.device, like.dtype.into())
}

/// The last axis of a buffer, and the number of its rows.
pub(super) fn rows_and_columns(buffer: &CubeTensor) -> [usize; 2] {
    let shape = buffer.meta.shape();
    let columns = shape[shape.num_dims() - 1];
    [shape.num_elements() / columns.max(1), columns]
}

/// Elements of a vector, such that whole vectors make up each of these lengths.
pub(super) fn vector_size(lengths: &[usize]) -> usize {
    if lengths.iter().all(|length| length.is_multiple_of(4)) { 4 } else { 1 }
}

/// `count` cubes along two axes, each below the limit of 65,535; up to a row of them too many.
pub(super) fn spread(count: usize) -> [u32; 2] {
    let rows = count.div_ceil(32768).max(1);
    [count.div_ceil(rows) as u32, rows as u32]
}

/// The same as a launch takes them; the kernel asks for its [`cube_position`].
pub(super) fn cubes(count: usize) -> CubeCount {
    let [x, y] = spread(count);
    CubeCount::Static(x, y, 1)
}

/// The number of a cube among all that [`spread`] gives.
#[cube]
pub(super) fn cube_position() -> u32 {
    CUBE_POS_X + CUBE_POS_Y * CUBE_COUNT_X
}

/// What the cubes of a long launch compute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// How many there are.
    pub cubes: usize,
    /// Floating-point operations of one of them.
    pub of_cube: u64,
}

/// The cubes of one dispatch of a launch: `first` to before `end`.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct CubeRange {
    pub first: u32,
    pub end: u32,
}

impl Work {
    /// The dispatches of `most` operations each, or of a single cube: as few as can be, and none much smaller than the others.
    pub(crate) fn ranges(self, most: u64) -> impl Iterator<Item = Range<usize>> {
        let pieces = self.cubes.div_ceil((most / self.of_cube).max(1) as usize);
        let size = self.cubes.div_ceil(pieces);
        (0..self.cubes).step_by(size).map(move |first| first..self.cubes.min(first + size))
    }

    /// The same as a launch takes them; the kernel asks for its [`cube_number`].
    pub(super) fn dispatches(self, most: u64) -> impl Iterator<Item = (CubeCount, CubeRangeLaunch)> {
        self.ranges(most).map(|range| (cubes(range.len()), CubeRangeLaunch::new(range.start as u32, range.end as u32)))
    }
}

/// The number of a cube among all of its launch; `range.end` and more for those that [`spread`] adds.
#[cube]
pub(super) fn cube_number(range: &CubeRange) -> u32 {
    range.first + cube_position()
}

/// Cubes of [`UNITS`] units, one unit for each of `total` [`position`]s and a few more.
pub(super) fn cubes_for(total: usize) -> CubeCount {
    cubes(total.div_ceil(UNITS as usize))
}

/// The number of a unit among all that [`cubes_for`] starts.
#[cube]
pub(super) fn position() -> u32 {
    cube_position() * UNITS + UNIT_POS
}

/// Sum of `own` over the [`UNITS`] units of a cube, in a fixed order, for all of them; `memory` has a place for each.
#[cube]
pub(super) fn cube_sum(memory: &mut Shared<[f32]>, own: f32) -> f32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    memory[unit] = own;
    #[unroll]
    for level in 0..8 {
        let half = comptime!(128usize >> level);
        sync_cube();
        if unit < half {
            let other = memory[unit + half];
            memory[unit] += other;
        }
    }
    sync_cube();
    memory[0]
}

/// Sum over the elements of a vector.
#[cube]
pub(super) fn sum_of_vector<N: Size>(vector: Vector<f32, N>) -> f32 {
    let mut sum = vector.extract(0usize);
    #[unroll]
    for element in 1..N::value() {
        sum += vector.extract(element);
    }
    sum
}
