//! Tables of rows to gather, made once for each geometry and kept on the devices that use them.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Int, Tensor, TensorData};

/// A row that holds padding instead of a token.
pub const PADDING: u32 = u32::MAX;

/// All index triples below `counts`, row-major.
pub fn cells(counts: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [depth, height, width] = counts;
    (0..depth * height * width).map(move |index| [index / (height * width), index / width % height, index % width])
}

/// The token of `grid` at a position on it, or [`PADDING`] outside it.
pub(super) fn token(position: [Option<usize>; 3], grid: [usize; 3]) -> u32 {
    match position {
        [Some(d), Some(h), Some(w)] if d < grid[0] && h < grid[1] && w < grid[2] => ((d * grid[1] + h) * grid[2] + w) as u32,
        _ => PADDING,
    }
}

/// Values made once for each key and then shared.
pub struct Cache<K, V>(Mutex<Option<HashMap<K, Arc<V>>>>);

impl<K: Eq + Hash, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// An empty one.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The value of `key`, made if it is not there yet.
    pub fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(values.get_or_insert_default().entry(key).or_insert_with(|| Arc::new(make())))
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

/// A constant tensor's copies, one for each device that asked for it.
#[derive(Debug)]
pub(super) struct OnDevices<T>(Mutex<Vec<(Device, T)>>);

impl<T: Clone> OnDevices<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The copy on `device`, which `make` makes the first time. It carries no graph, even if `device` does.
    pub(super) fn get(&self, device: &Device, make: impl FnOnce(&Device) -> T) -> T {
        let device = device.clone().inner();
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, copy)) = copies.iter().find(|(own, _)| *own == device) {
            return copy.clone();
        }
        let copy = make(&device);
        copies.push((device, copy.clone()));
        copy
    }
}

/// Which rows of a token sequence are gathered, in order; it reads as a slice, in which [`PADDING`] stands for none.
#[derive(Debug)]
pub struct Index {
    rows: Vec<u32>,
    /// Tokens of the sequence.
    count: usize,
    copies: OnDevices<Tensor<1, Int>>,
}

impl Index {
    /// Rows of a sequence of `count` tokens.
    pub fn new(rows: Vec<u32>, count: usize) -> Self {
        Self { rows, count, copies: OnDevices::new() }
    }

    /// On `device`, where the row behind the last token stands for [`PADDING`].
    pub(super) fn on(&self, device: &Device) -> Tensor<1, Int> {
        self.copies.get(device, |device| {
            let rows: Vec<i32> = self.iter().map(|&row| if row == PADDING { self.count as i32 } else { row as i32 }).collect();
            Tensor::from_data(TensorData::new(rows, [self.len()]), device)
        })
    }

    /// Rows of `tokens` `[batch, tokens, columns]` -> `[batch, rows, columns]`; zeros for [`PADDING`].
    pub(super) fn gather(&self, tokens: Tensor<3>) -> Tensor<3> {
        let index = self.on(&tokens.device());
        self.padded(tokens).select(1, index)
    }

    /// `tokens` with the row that [`PADDING`] stands for, if there is any.
    pub(super) fn padded(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, _, columns] = tokens.dims();
        if self.contains(&PADDING) { with_last_row(&tokens, Tensor::zeros([batch, 1, columns], &tokens.device())) } else { tokens }
    }

    /// As [`Index::gather`], with the row `padding` `[columns]` for [`PADDING`].
    pub(super) fn gather_with(&self, tokens: &Tensor<3>, padding: Tensor<1>) -> Tensor<3> {
        let [batch, _, columns] = tokens.dims();
        with_last_row(tokens, padding.reshape([1, 1, columns]).expand([batch, 1, columns])).select(1, self.on(&tokens.device()))
    }
}

fn with_last_row(tokens: &Tensor<3>, row: Tensor<3>) -> Tensor<3> {
    Tensor::cat(vec![tokens.clone(), row], 1)
}

impl Deref for Index {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.rows
    }
}
