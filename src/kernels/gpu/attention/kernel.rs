//! What the kernels of attention share.
//!
//! A cube has one head of one window and some of its queries (or keys); the others pass through shared memory block by block. The places
//! of a window come in runs, within which the table's rows follow each other. A unit has a run's places, or some of them, and meets the
//! others run by run: all pairs of such a tile share a few numbers of the table, and what passes is read once for all places of the unit.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use crate::kernels::gpu::launch::sum_of_vector;
use crate::kernels::window_tables::MASKED;

/// What the compiler knows of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AttentionPlan {
    /// Vectors of a head.
    pub vectors: usize,
    /// Keys (or queries) in shared memory at a time: whole runs.
    pub block: usize,
    /// Units of a cube.
    pub units: usize,
    /// Places of a run.
    pub run: usize,
    /// Queries (or keys) of a unit, all of one run.
    pub each: usize,
    /// Queries of a cube of the pass by pair: whole runs.
    pub queries: usize,
    /// Rows of the position table; 0 without one.
    pub table: usize,
    /// Whether a table says which token lies at which place of which window; otherwise each sample is one window.
    pub windowed: bool,
    /// Whether tokens attend to their mask group alone.
    pub masked: bool,
    /// Tokens of a window, if the pass by query adds up the gradients of its pairs for the table; otherwise 0.
    pub pairs: usize,
}

impl AttentionPlan {
    /// Table rows of the pairs of a unit's places and a run.
    pub(super) fn differences(&self) -> usize {
        self.run + self.each - 1
    }

    /// Units that `tokens` places keep busy.
    pub(super) fn busy_units(&self, tokens: usize) -> usize {
        tokens / self.run * self.run.div_ceil(self.each)
    }
}

/// The extents of an attention.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct WindowExtents {
    /// Windows of a sample.
    pub windows: u32,
    /// Windows of all samples.
    pub all: u32,
    /// Tokens of a window.
    pub tokens: u32,
    /// Tokens of a sample.
    pub count: u32,
    pub heads: u32,
    /// Table row of a pair: the query's code and this minus the key's.
    pub offset: u32,
    /// Padded places of a sample.
    pub padded: u32,
    /// Of the scores.
    pub scale: f32,
    /// Where the statistics begin that the backward passes read.
    pub known: u32,
}

/// An attention's inputs, as the kernels take them.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Attention<F: Float, N: Size> {
    /// Queries, keys and values of each token, `[batch, tokens, 3, heads, vectors]`.
    pub qkv: Box<[Vector<F, N>]>,
    /// Those of padded places.
    pub padding: Box<[Vector<F, N>]>,
    /// The position table, `[rows, heads]`.
    pub table: Box<[F]>,
    /// `[places]` tokens, `[tokens of a window]` codes, and `[places]` mask groups, if there are any.
    pub index: Box<[u32]>,
    pub e: WindowExtents,
    #[cube(comptime)]
    pub plan: AttentionPlan,
}

/// A head of a window.
#[derive(CubeType, Clone, Copy)]
pub(super) struct WindowHead {
    pub head: u32,
    pub window: u32,
    pub sample: u32,
    /// The window's first place in its sample.
    pub first: u32,
    /// Vectors of all heads of a token.
    pub dim: u32,
    /// The first of this head.
    pub column: u32,
}

/// The places of a window that a unit has.
#[derive(CubeType, Clone, Copy)]
pub(super) struct OwnPlaces {
    pub first: u32,
    /// So many at the front are another unit's as well, which writes what comes of them.
    pub skipped: u32,
}

/// Rows of a window in shared memory: keys and values, or queries and gradients.
#[derive(CubeType)]
pub(super) struct Block<N: Size> {
    pub first: Shared<[Vector<f32, N>]>,
    pub second: Shared<[Vector<f32, N>]>,
    /// Their codes, and their mask groups behind them.
    pub marks: Shared<[u32]>,
}

/// The token at place `place` of a window whose first place is `first`; the number of tokens and more for a padded place.
#[cube]
pub(super) fn token_at(index: &[u32], first: u32, place: u32, #[comptime] plan: AttentionPlan) -> u32 {
    let mut token = place;
    if comptime!(plan.windowed) {
        token = index[(first + place) as usize];
    }
    token
}

#[cube]
impl<F: Float, N: Size> Attention<F, N> {
    pub(super) fn head_of(&self, window: u32, head: u32) -> WindowHead {
        let vectors = comptime!(self.plan.vectors as u32);
        WindowHead {
            head,
            window,
            sample: window / self.e.windows,
            first: window % self.e.windows * self.e.tokens,
            dim: self.e.heads * vectors,
            column: head * vectors,
        }
    }

    /// The places that a unit has: a part of a run, the last one beginning early where the run has no such parts.
    pub(super) fn own_places(&self) -> OwnPlaces {
        let run = comptime!(self.plan.run as u32);
        let each = comptime!(self.plan.each as u32);
        let parts = comptime!(run.div_ceil(each));
        let slot = CUBE_POS_Z * comptime!(self.plan.units as u32) + UNIT_POS;
        let kept = min(slot, self.e.tokens / run * parts - 1);
        let begin = kept % parts * each;
        let early = min(begin, comptime!(run - each));
        let mut skipped = begin - early;
        if kept < slot {
            skipped = each;
        }
        OwnPlaces { first: kept / parts * run + early, skipped }
    }

    /// See [`token_at`].
    pub(super) fn token_at(&self, h: &WindowHead, place: u32) -> u32 {
        token_at(&self.index, h.first, place, comptime!(self.plan))
    }

    /// What a place of a window contributes to the table row of its pairs.
    pub(super) fn code_at(&self, place: u32) -> u32 {
        let mut code = 0u32;
        if comptime!(self.plan.table > 0) {
            code = self.index[(self.e.windows * self.e.tokens + place) as usize];
        }
        code
    }

    /// The mask group of a place.
    pub(super) fn group_at(&self, h: &WindowHead, place: u32) -> u32 {
        let mut group = 0u32;
        if comptime!(self.plan.masked) {
            group = self.index[(self.e.windows * self.e.tokens + self.e.tokens + h.first + place) as usize];
        }
        group
    }

    /// Where in `known` the two numbers of a query lie.
    pub(super) fn known_at(&self, h: &WindowHead, place: u32) -> usize {
        (self.e.known + ((h.window * self.e.heads + h.head) * self.e.tokens + place) * 2) as usize
    }

    /// The two numbers known of a query, and its mask group behind them.
    pub(super) fn known_of(&self, statistics: &[f32], h: &WindowHead, place: u32) -> Vector<f32, Const<4>> {
        let from = self.known_at(h, place);
        let mut known = Vector::<f32, Const<4>>::new(0.0f32);
        known.insert(0usize, statistics[from]);
        known.insert(1usize, statistics[from + 1]);
        if comptime!(self.plan.masked) {
            known.insert(2usize, f32::cast_from(self.group_at(h, place)));
        }
        known
    }

    /// Vector `v` of a token's query, scaled.
    pub(super) fn query_at(&self, h: &WindowHead, token: u32, v: u32) -> Vector<f32, N> {
        self.vector_at(h, token, h.column + v) * Vector::<f32, N>::new(self.e.scale)
    }

    /// Vector `v` of a token's key.
    pub(super) fn key_at(&self, h: &WindowHead, token: u32, v: u32) -> Vector<f32, N> {
        self.vector_at(h, token, h.dim + h.column + v)
    }

    /// Vector `v` of a token's value.
    pub(super) fn value_at(&self, h: &WindowHead, token: u32, v: u32) -> Vector<f32, N> {
        self.vector_at(h, token, 2 * h.dim + h.column + v)
    }

    /// A vector of a token's row, or of that of padded places.
    fn vector_at(&self, h: &WindowHead, token: u32, column: u32) -> Vector<f32, N> {
        let mut value = Vector::<f32, N>::new(0.0f32);
        if token < self.e.count {
            value = Vector::<f32, N>::cast_from(self.qkv[((h.sample * self.e.count + token) * (3 * h.dim) + column) as usize]);
        } else if comptime!(self.plan.windowed) {
            value = Vector::<f32, N>::cast_from(self.padding[column as usize]);
        }
        value
    }

    /// Vector `v` of a token's gradient, zero for padded places.
    pub(super) fn gradient_at(&self, grad: &[Vector<f32, N>], h: &WindowHead, token: u32, v: u32) -> Vector<f32, N> {
        let mut value = Vector::<f32, N>::new(0.0f32);
        if token < self.e.count {
            value = grad[((h.sample * self.e.count + token) * h.dim + h.column + v) as usize];
        }
        value
    }

    /// Shared memory for as many rows as the plan has at a time.
    pub(super) fn block(&self) -> Block<N> {
        let length = comptime!(self.plan.block * self.plan.vectors);
        Block::<N> {
            first: Shared::<[Vector<f32, N>]>::new_slice(length),
            second: Shared::<[Vector<f32, N>]>::new_slice(length),
            marks: Shared::<[u32]>::new_slice(comptime!(2 * self.plan.block)),
        }
    }

    /// The keys and values from place `start` on, for all units of a cube: how many they are.
    pub(super) fn load_keys(&self, block: &mut Block<N>, h: &WindowHead, start: u32) -> u32 {
        let vectors = comptime!(self.plan.vectors);
        sync_cube();
        let here = min(self.e.tokens - start, comptime!(self.plan.block as u32));
        let mut at = UNIT_POS as usize;
        while at < here as usize * vectors {
            let v = (at % vectors) as u32;
            let key = self.token_at(h, start + (at / vectors) as u32);
            block.first[at] = self.key_at(h, key, v);
            block.second[at] = self.value_at(h, key, v);
            at += comptime!(self.plan.units);
        }
        let mut at = UNIT_POS as usize;
        while at < here as usize {
            block.marks[at] = self.code_at(start + at as u32);
            block.marks[comptime!(self.plan.block) + at] = self.group_at(h, start + at as u32);
            at += comptime!(self.plan.units);
        }
        sync_cube();
        here
    }

    /// The head's column of the position table, for all units of a cube.
    pub(super) fn biases(&self, head: u32) -> Shared<[f32]> {
        let mut biases = Shared::<[f32]>::new_slice(comptime!(self.plan.table.max(1)));
        let mut at = UNIT_POS as usize;
        while at < comptime!(self.plan.table) {
            biases[at] = f32::cast_from(self.table[at * self.e.heads as usize + head as usize]);
            at += comptime!(self.plan.units);
        }
        biases
    }
}

/// A row of a [`Block`], for a unit.
#[cube]
pub(super) fn row_of<N: Size>(rows: &Shared<[Vector<f32, N>]>, row: usize, #[comptime] vectors: usize) -> Array<Vector<f32, N>> {
    let mut own = Array::<Vector<f32, N>>::new(vectors);
    #[unroll]
    for v in 0..vectors {
        own[v] = rows[row * vectors + v];
    }
    own
}

/// Product of a row, from `first` on, and another.
#[cube]
pub(super) fn product_of_rows<N: Size>(
    a: &Array<Vector<f32, N>>,
    b: &Array<Vector<f32, N>>,
    #[comptime] first: usize,
    #[comptime] vectors: usize,
) -> f32 {
    let mut products = a[first] * b[0];
    #[unroll]
    for v in 1..vectors {
        products = fma(a[first + v], b[v], products);
    }
    sum_of_vector::<N>(products)
}

/// What the table has for the pairs of a tile, by the difference of their places from the lowest row on.
#[cube]
pub(super) fn tile_of(biases: &Shared<[f32]>, lowest: u32, #[comptime] plan: AttentionPlan) -> Array<f32> {
    let differences = comptime!(plan.differences());
    let mut tile = Array::<f32>::new(differences);
    if comptime!(plan.table > 0) {
        #[unroll]
        for difference in 0..differences {
            tile[difference] = biases[(lowest + comptime!(difference as u32)) as usize];
        }
    }
    tile
}

/// What position and mask add to the score of a pair of a tile.
#[cube]
pub(super) fn pair_bias(
    tile: &Array<f32>,
    #[comptime] difference: usize,
    own_group: u32,
    group: u32,
    #[comptime] plan: AttentionPlan,
) -> f32 {
    let mut bias = 0.0f32;
    if comptime!(plan.table > 0) {
        bias = tile[difference];
    }
    if comptime!(plan.masked) {
        bias += select(own_group == group, 0.0f32, MASKED);
    }
    bias
}
