//! Which token sits where in which attention window: padding, cyclic shift, partition and mask as tables.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::index::{Index, OnDevices, PADDING, cells, token};

/// Added to the attention score of two tokens that only the cyclic shift brought together.
pub const MASKED: f32 = -100.0;

/// Places of a run at most: a unit of a GPU has the pairs of two runs in registers.
const LONGEST_RUN: usize = 8;

/// A token grid cut into windows, after zero padding at the high end and a cyclic shift.
#[derive(Debug)]
pub struct WindowTables {
    /// Tokens of one window.
    pub window_tokens: usize,
    /// For each place (window by window, row-major in D,H,W within it): the token of the grid, or [`PADDING`].
    pub window_to_token: Index,
    /// For each token of the grid its place: what undoes the partition.
    pub token_to_window: Index,
    /// For each place the part of the padded grid it came from; empty without a shift. Tokens of one window attend to each
    /// other only within a group.
    pub mask_groups: Vec<u8>,
    /// Bias table row of each pair of a window's tokens, query by key.
    pub bias_rows: Index,
    /// The places that hold padding.
    pub(super) padded: Index,
    mask: OnDevices<Tensor<5>>,
    gpu: OnDevices<Option<Arc<GpuIndex>>>,
    pairs_of_row: OnceLock<Index>,
}

impl WindowTables {
    /// Cuts `grid` into windows of `window` tokens after a shift towards the origin by `shift`, all D,H,W. `bias_rows`: as the
    /// field, of a bias table of `table_rows` rows.
    ///
    /// # Panics
    /// If the grid or the window is empty along an axis, or a shift is not below its window.
    pub fn new([grid, window, shift]: [[usize; 3]; 3], bias_rows: Vec<u32>, table_rows: usize) -> Self {
        for axis in 0..3 {
            assert!(grid[axis] > 0 && shift[axis] < window[axis], "grid {grid:?}, window {window:?}, shift {shift:?}");
        }
        let padded: [usize; 3] = std::array::from_fn(|axis| grid[axis].next_multiple_of(window[axis]));
        // Where each place lies in the shifted, padded grid.
        let windows = cells(std::array::from_fn(|axis| padded[axis] / window[axis]));
        let places: Vec<[usize; 3]> = windows
            .flat_map(|cell| cells(window).map(move |offset| std::array::from_fn(|axis| cell[axis] * window[axis] + offset[axis])))
            .collect();
        let rolled = |at: &[usize; 3]| token(std::array::from_fn(|axis| Some((at[axis] + shift[axis]) % padded[axis])), grid);
        let window_to_token: Vec<u32> = places.iter().map(rolled).collect();
        let group = |at: &[usize; 3]| mask_group(*at, padded, window, shift);
        let mask_groups = if shift == [0; 3] { Vec::new() } else { places.iter().map(group).collect() };
        Self::from_order(window_to_token, window.iter().product(), mask_groups, Index::new(bias_rows, table_rows))
    }

    /// From the token of each place, see the fields.
    pub(super) fn from_order(window_to_token: Vec<u32>, window_tokens: usize, mask_groups: Vec<u8>, bias_rows: Index) -> Self {
        let (places, count) = (window_to_token.len(), window_to_token.iter().filter(|&&token| token != PADDING).count());
        let mut token_to_window = vec![0; count];
        let mut padded = Vec::new();
        for (place, &token) in (0..).zip(&window_to_token) {
            match token_to_window.get_mut(token as usize) {
                Some(own) => *own = place,
                None => padded.push(place),
            }
        }
        Self {
            window_tokens,
            window_to_token: Index::new(window_to_token, count),
            token_to_window: Index::new(token_to_window, places),
            mask_groups,
            bias_rows,
            padded: Index::new(padded, places),
            mask: OnDevices::new(),
            gpu: OnDevices::new(),
            pairs_of_row: OnceLock::new(),
        }
    }

    /// Number of windows.
    pub fn windows(&self) -> usize {
        self.window_to_token.len() / self.window_tokens
    }

    /// `[windows, tokens, tokens]` of 0 and [`MASKED`]; empty without groups.
    pub fn mask(&self) -> Vec<f32> {
        let windows = self.mask_groups.chunks_exact(self.window_tokens);
        let row = |window: &[u8], query: u8| window.iter().map(|&key| if query == key { 0.0 } else { MASKED }).collect::<Vec<_>>();
        windows.flat_map(|window| window.iter().flat_map(move |&query| row(window, query))).collect()
    }

    /// The same as `[1, windows, 1, tokens, tokens]`.
    pub(super) fn mask_on(&self, device: &Device) -> Option<Tensor<5>> {
        let shape = [1, self.windows(), 1, self.window_tokens, self.window_tokens];
        let mask = |device: &Device| Tensor::from_data(TensorData::new(self.mask(), shape), device);
        (!self.mask_groups.is_empty()).then(|| self.mask.get(device, mask))
    }

    /// The tables for the bodies on a GPU, if those can do these windows.
    pub(super) fn on_gpu(&self, device: &Device) -> Option<Arc<GpuIndex>> {
        self.gpu.get(device, |device| GpuIndex::new(self, device))
    }

    /// For each of `rows` rows of the bias table the pairs that use it, [`PADDING`] up to the longest list.
    pub(super) fn pairs_of_row(&self, rows: usize) -> &Index {
        self.pairs_of_row.get_or_init(|| {
            let mut of_row = vec![Vec::new(); rows];
            for (pair, &row) in (0..).zip(&*self.bias_rows) {
                of_row[row as usize].push(pair);
            }
            let most = of_row.iter().map(Vec::len).max().unwrap_or_default();
            of_row.iter_mut().for_each(|pairs| pairs.resize(most, PADDING));
            Index::new(of_row.concat(), self.bias_rows.len())
        })
    }
}

/// The tables as the bodies on a GPU read them.
#[derive(Debug)]
pub(super) struct GpuIndex {
    /// `[places]` tokens, the padded ones numbered behind the last, `[tokens of a window]` codes, and `[places]` mask groups, if any.
    pub(super) index: Tensor<1, Int>,
    /// Table row of a pair: the query's code and this minus the key's.
    pub(super) offset: u32,
    /// Places of a run: within each one the codes follow each other.
    pub(super) run: usize,
}

impl GpuIndex {
    /// `None` where the table row of a pair is no difference of what its two places give.
    fn new(tables: &WindowTables, device: &Device) -> Option<Arc<Self>> {
        let tokens = tables.window_tokens;
        let offset = tables.bias_rows[0];
        let codes: Vec<u32> = (0..tokens).map(|query| tables.bias_rows[query * tokens].wrapping_sub(offset)).collect();
        let row = |query: usize, key: usize| codes[query].wrapping_add(offset).wrapping_sub(codes[key]);
        if !tables.bias_rows.iter().enumerate().all(|(pair, &own)| own == row(pair / tokens, pair % tokens)) {
            return None;
        }
        let follow = |places: &[u32]| places.windows(2).all(|two| two[1] == two[0].wrapping_add(1));
        let fits = |run: &usize| tokens.is_multiple_of(*run) && codes.chunks_exact(*run).all(follow);
        let run = (1..=LONGEST_RUN).rev().find(fits).expect("one place follows itself");
        let mut padded = tables.token_to_window.len() as u32..;
        let token = |&token: &u32| if token == PADDING { padded.next().expect("no end") } else { token };
        let mut index: Vec<u32> = tables.window_to_token.iter().map(token).collect();
        index.extend(codes);
        index.extend(tables.mask_groups.iter().map(|&group| u32::from(group)));
        let index: Vec<i32> = index.into_iter().map(u32::cast_signed).collect();
        let length = index.len();
        Some(Arc::new(Self { index: Tensor::from_data(TensorData::new(index, [length]), device), offset, run }))
    }
}

/// Along each axis: before the last window, the last window's first part, and the part the shift brought round.
fn mask_group(at: [usize; 3], padded: [usize; 3], window: [usize; 3], shift: [usize; 3]) -> u8 {
    (0..3).fold(0, |group, axis| {
        let first = shift[axis] == 0 || at[axis] < padded[axis] - window[axis];
        group * 3 + if first { 0 } else { 1 + u8::from(at[axis] >= padded[axis] - shift[axis]) }
    })
}
