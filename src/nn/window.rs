//! Which token sits where in which attention window: padding, cyclic shift, partition and mask as tables.
//!
//! [`window_tables`] computes them once for each (grid, window, shift).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::relative_position::{PositionIndex, relative_position_index};
use crate::kernels::{PADDING, WindowTables, cells};

/// A token grid cut into windows, after zero padding at the high end and a cyclic shift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowPlan {
    /// The token grid, D,H,W.
    pub grid: [usize; 3],
    /// Tokens along each edge of a window.
    pub window: [usize; 3],
    /// Towards the origin, before the partition.
    pub shift: [usize; 3],
    /// The grid padded to whole windows.
    pub padded: [usize; 3],
    /// For each place (window by window, row-major in D,H,W within it): the token of the grid, or [`PADDING`].
    pub rows: Vec<u32>,
    /// For each token of the grid its place in `rows`: what undoes the partition.
    pub places: Vec<u32>,
    /// For each place the region of the padded grid it came from; empty without a shift.
    /// Tokens of one window attend to each other only within a region.
    pub regions: Vec<u8>,
}

impl WindowPlan {
    /// Computes the plan.
    ///
    /// # Panics
    /// If the grid or the window is empty along an axis, or a shift is not below its window.
    pub fn new(grid: [usize; 3], window: [usize; 3], shift: [usize; 3]) -> Self {
        for axis in 0..3 {
            assert!(grid[axis] > 0 && shift[axis] < window[axis], "grid {grid:?}, window {window:?}, shift {shift:?}");
        }
        let padded: [usize; 3] = std::array::from_fn(|axis| grid[axis].next_multiple_of(window[axis]));
        let shifted = shift != [0; 3];
        let mut plan = Self { grid, window, shift, padded, rows: Vec::new(), places: Vec::new(), regions: Vec::new() };
        plan.places.resize(grid.iter().product(), 0);
        let counts = std::array::from_fn(|axis| padded[axis] / window[axis]);
        for cell in cells(counts) {
            for offset in cells(window) {
                // Where this place lies in the shifted, padded grid, and which token was rolled there.
                let at: [usize; 3] = std::array::from_fn(|axis| cell[axis] * window[axis] + offset[axis]);
                let from: [usize; 3] = std::array::from_fn(|axis| (at[axis] + shift[axis]) % padded[axis]);
                let inside = (0..3).all(|axis| from[axis] < grid[axis]);
                let token = (from[0] * grid[1] + from[1]) * grid[2] + from[2];
                if inside {
                    plan.places[token] = plan.rows.len() as u32;
                }
                plan.rows.push(if inside { token as u32 } else { PADDING });
                if shifted {
                    plan.regions.push(plan.region(at));
                }
            }
        }
        plan
    }

    /// Tokens of one window.
    pub fn tokens(&self) -> usize {
        self.window.iter().product()
    }

    /// Number of windows.
    pub fn count(&self) -> usize {
        self.rows.len() / self.tokens()
    }

    /// Along each axis: before the last window, the last window's first part, and the part the shift brought round.
    fn region(&self, at: [usize; 3]) -> u8 {
        (0..3).fold(0, |region, axis| {
            let (padded, window, shift) = (self.padded[axis], self.window[axis], self.shift[axis]);
            let part = if shift == 0 || at[axis] < padded - window { 0 } else { 1 + u8::from(at[axis] >= padded - shift) };
            region * 3 + part
        })
    }
}

/// The window and shift of MONAI's Swin Transformer: an axis of the grid that is no longer than the window is spanned by it,
/// and not shifted. The others are shifted by half a window if `shifted`.
pub fn clamped_window(grid: [usize; 3], window: [usize; 3], shifted: bool) -> ([usize; 3], [usize; 3]) {
    let clamped = std::array::from_fn(|axis| window[axis].min(grid[axis]));
    let shift = std::array::from_fn(|axis| if shifted && window[axis] < grid[axis] { window[axis] / 2 } else { 0 });
    (clamped, shift)
}

/// The tables of a [`clamped_window`].
///
/// # Panics
/// If the grid or the window is empty along an axis.
pub fn clamped_window_tables(grid: [usize; 3], window: [usize; 3], shifted: bool) -> Arc<WindowTables> {
    let (clamped, shift) = clamped_window(grid, window, shifted);
    window_tables(grid, clamped, shift, PositionIndex::FirstOf(window))
}

/// What an attention over these windows needs to know, computed once and shared by all blocks and steps.
///
/// # Panics
/// As [`WindowPlan::new`].
pub fn window_tables(grid: [usize; 3], window: [usize; 3], shift: [usize; 3], index: PositionIndex) -> Arc<WindowTables> {
    type Key = ([[usize; 3]; 3], PositionIndex);
    static TABLES: Mutex<Option<HashMap<Key, Arc<WindowTables>>>> = Mutex::new(None);
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = tables.get_or_insert_default().entry(([grid, window, shift], index));
    Arc::clone(entry.or_insert_with(|| {
        let WindowPlan { rows, places, regions, .. } = WindowPlan::new(grid, window, shift);
        Arc::new(WindowTables {
            window_tokens: window.iter().product(),
            rows,
            places,
            regions,
            bias_rows: relative_position_index(index, window),
        })
    }))
}
