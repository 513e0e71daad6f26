//! Which tokens the rows of a 3x3x3 convolution gather.
//!
//! Forward, each output token gathers its 27 neighbours. Backward, each input token gathers the output tokens it went into:
//! which places of the kernel those are depends only on the token's position modulo the stride, so that the input gradient is
//! one product for each such class, without a scatter.

use std::sync::Arc;

use super::index::{Cache, Index, cells, token};

/// Places of the kernel.
pub(super) const TAPS: usize = 27;

/// Geometry of a 3x3x3 convolution with zero padding 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Input tokens along D,H,W.
    pub grid: [usize; 3],
    /// Step of the kernel along D,H,W.
    pub stride: [usize; 3],
}

/// For each row of a product the source tokens it gathers.
#[derive(Debug)]
pub(super) struct GatherIndex {
    /// Source tokens of a row.
    pub taps: usize,
    /// `[rows, taps]`.
    pub sources: Index,
}

/// Input tokens that share a position modulo the stride.
pub(super) struct InputClass {
    /// The places of the kernel that reach them.
    pub kernel_taps: Index,
    /// The output tokens at those places.
    pub index: GatherIndex,
}

/// The tables of a geometry.
pub(super) struct ConvTables {
    pub forward: GatherIndex,
    pub classes: Vec<InputClass>,
    /// For each input token its row in the classes' concatenated results, where that is not its own number.
    pub places: Option<Index>,
}

impl GatherIndex {
    /// Number of gathered rows.
    pub(super) fn rows(&self) -> usize {
        self.sources.len() / self.taps
    }
}

impl ConvShape {
    /// Output tokens along D,H,W.
    pub fn output(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.grid[axis].div_ceil(self.stride[axis]))
    }

    pub(super) fn tables(self) -> Arc<ConvTables> {
        static TABLES: Cache<ConvShape, ConvTables> = Cache::new();
        TABLES.get(self, || ConvTables::new(self))
    }
}

impl ConvTables {
    fn new(shape: ConvShape) -> Self {
        let ConvShape { grid, stride } = shape;
        let output = shape.output();
        let [inputs, outputs] = [grid, output].map(|grid| grid.iter().product());
        let input_of = |at: [usize; 3], tap: [usize; 3]| std::array::from_fn(|axis| (at[axis] * stride[axis] + tap[axis]).checked_sub(1));
        let sources = cells(output).flat_map(|at| cells([3; 3]).map(move |tap| token(input_of(at, tap), grid)));
        let forward = GatherIndex { taps: TAPS, sources: Index::new(sources.collect(), inputs) };

        let mut places = vec![0; inputs];
        let mut next = 0..;
        let class = |class: [usize; 3]| {
            let taps = reaching(class, stride);
            let mut sources = Vec::new();
            for at in cells(grid).filter(|at| (0..3).all(|axis| at[axis] % stride[axis] == class[axis])) {
                places[token(at.map(Some), grid) as usize] = next.next().expect("numbers go on");
                sources.extend(taps.iter().map(|tap| token(output_of(at, *tap, stride), output)));
            }
            let kernel_taps = taps.iter().map(|tap| (tap[0] * 9 + tap[1] * 3 + tap[2]) as u32).collect();
            let index = GatherIndex { taps: taps.len(), sources: Index::new(sources, outputs) };
            InputClass { kernel_taps: Index::new(kernel_taps, TAPS), index }
        };
        let classes: Vec<InputClass> = cells(stride).map(class).collect();
        let places = (classes.len() > 1).then(|| Index::new(places, inputs));
        Self { forward, classes, places }
    }
}

/// The output position that the kernel's place `tap` carries input position `at` to: `(at + 1 - tap) / stride` where that is whole.
fn output_of(at: [usize; 3], tap: [usize; 3], stride: [usize; 3]) -> [Option<usize>; 3] {
    std::array::from_fn(|axis| {
        let steps = (at[axis] + 1).checked_sub(tap[axis])?;
        steps.is_multiple_of(stride[axis]).then_some(steps / stride[axis])
    })
}

/// The places of the kernel that carry the inputs of `class` anywhere.
///
/// From the last place to the first, so that a row's output tokens ascend and neighbours are copied together.
fn reaching(class: [usize; 3], stride: [usize; 3]) -> Vec<[usize; 3]> {
    let reaches = |tap: &[usize; 3]| (0..3).all(|axis| (class[axis] + 1 + 3 * stride[axis] - tap[axis]).is_multiple_of(stride[axis]));
    let mut taps: Vec<[usize; 3]> = cells([3; 3]).filter(reaches).collect();
    taps.reverse();
    if taps.is_empty() {
        // A stride beyond the kernel leaves some inputs unread: they gather nothing.
        taps.push([0; 3]);
    }
    taps
}
