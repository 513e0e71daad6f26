//! What the kernels of attention share, and the forward one.
//!
//! A cube has one head of one window and some of its queries; keys and values pass through shared memory block by block, and a
//! query's softmax is corrected whenever a larger score turns up (Milakov and Gimelshein 2018), so that no score is ever stored.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use crate::kernels::gpu::launch::sum_of_vector;
use crate::kernels::window_tables::MASKED;

/// What the compiler knows of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AttentionPlan {
    /// Vectors of a head.
    pub vectors: usize,
    /// Keys (or queries) in shared memory at a time.
    pub block: usize,
    /// Units of a cube.
    pub units: usize,
    /// Queries (or keys) of a unit.
    pub each: usize,
    /// Rows of the position table; 0 without one.
    pub table: usize,
    /// Whether a table says which token lies at which place of which window; otherwise each sample is one window.
    pub windowed: bool,
    /// Whether tokens attend to their mask group alone.
    pub masked: bool,
    /// Tokens of a window, if the pass by query adds up the gradients of its pairs for the table; otherwise 0.
    pub pairs: usize,
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

/// The token at place `place` of a window whose first place is `first`; the number of tokens and more for a padded place.
///
/// `index` holds `[places]` tokens, `[tokens of a window]` codes, and `[places]` mask groups, if there are any.
#[cube]
pub(super) fn token_at(index: &[u32], first: u32, place: u32, #[comptime] plan: AttentionPlan) -> u32 {
    let mut token = place;
    if comptime!(plan.windowed) {
        token = index[(first + place) as usize];
    }
    token
}

/// What a place of a window contributes to the table row of its pairs.
#[cube]
pub(super) fn code_at(index: &[u32], e: &WindowExtents, place: u32, #[comptime] plan: AttentionPlan) -> u32 {
    let mut code = 0u32;
    if comptime!(plan.table > 0) {
        code = index[(e.windows * e.tokens + place) as usize];
    }
    code
}

/// The mask group of a place.
#[cube]
pub(super) fn group_at(index: &[u32], e: &WindowExtents, first: u32, place: u32, #[comptime] plan: AttentionPlan) -> u32 {
    let mut group = 0u32;
    if comptime!(plan.masked) {
        group = index[(e.windows * e.tokens + e.tokens + first + place) as usize];
    }
    group
}

/// A vector of the row of a token, or of the row `padding` behind the last one.
#[cube]
pub(super) fn vector_at<F: Float, N: Size>(
    rows: &[Vector<F, N>],
    padding: &[Vector<F, N>],
    e: &WindowExtents,
    sample: u32,
    token: u32,
    width: u32,
    column: u32,
    #[comptime] plan: AttentionPlan,
) -> Vector<f32, N> {
    let mut value = Vector::<f32, N>::new(0.0f32);
    if token < e.count {
        value = Vector::<f32, N>::cast_from(rows[((sample * e.count + token) * width + column) as usize]);
    } else if comptime!(plan.windowed) {
        value = Vector::<f32, N>::cast_from(padding[column as usize]);
    }
    value
}

/// The same of a tensor that is zero at padded places.
#[cube]
pub(super) fn vector_or_zero<N: Size>(
    rows: &[Vector<f32, N>],
    e: &WindowExtents,
    sample: u32,
    token: u32,
    width: u32,
    column: u32,
) -> Vector<f32, N> {
    let mut value = Vector::<f32, N>::new(0.0f32);
    if token < e.count {
        value = rows[((sample * e.count + token) * width + column) as usize];
    }
    value
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

/// The head's column of the position table, for all units of a cube.
#[cube]
pub(super) fn load_biases<F: Float>(biases: &mut Shared<[f32]>, table: &[F], heads: u32, head: u32, #[comptime] plan: AttentionPlan) {
    let mut at = UNIT_POS as usize;
    while at < plan.table {
        biases[at] = f32::cast_from(table[at * heads as usize + head as usize]);
        at += plan.units;
    }
}

/// What position and mask add to the score of a pair.
#[cube]
pub(super) fn pair_bias(
    biases: &Shared<[f32]>,
    query_code: u32,
    key_code: u32,
    query_group: u32,
    key_group: u32,
    #[comptime] plan: AttentionPlan,
) -> f32 {
    let mut bias = 0.0f32;
    if comptime!(plan.table > 0) {
        bias = biases[(query_code - key_code) as usize];
    }
    if comptime!(plan.masked) {
        if query_group != key_group {
            bias += MASKED;
        }
    }
    bias
}

/// The attention's result by token, and by window, head and query the logarithm of the softmax's sum.
#[cube(launch)]
pub(super) fn attention_kernel<F: Float, N: Size>(
    qkv: &[Vector<F, N>],
    padding: &[Vector<F, N>],
    table: &[F],
    index: &[u32],
    output: &mut [Vector<F, N>],
    statistics: &mut [f32],
    e: WindowExtents,
    #[comptime] plan: AttentionPlan,
    #[define(F)] _element: ElemType,
) {
    let vectors = comptime!(plan.vectors);
    let block = comptime!(plan.block);
    let units = comptime!(plan.units);
    let each = comptime!(plan.each);
    let cube = CUBE_POS_X + CUBE_POS_Y * CUBE_COUNT_X;
    if cube >= e.all * e.heads {
        terminate!();
    }
    let head = cube % e.heads;
    let window = cube / e.heads;
    let sample = window / e.windows;
    let first = window % e.windows * e.tokens;
    let dim = e.heads * vectors as u32;
    let column = head * vectors as u32;

    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(comptime!(block * vectors));
    let mut values = Shared::<[Vector<f32, N>]>::new_slice(comptime!(block * vectors));
    let mut marks = Shared::<[u32]>::new_slice(comptime!(2 * block));
    let mut biases = Shared::<[f32]>::new_slice(comptime!(plan.table.max(1)));
    load_biases::<F>(&mut biases, table, e.heads, head, plan);

    let mut query = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut most = Array::<f32>::new(each);
    let mut total = Array::<f32>::new(each);
    let mut code = Array::<u32>::new(each);
    let mut group = Array::<u32>::new(each);
    let mut token = Array::<u32>::new(each);
    #[unroll]
    for own in 0..each {
        let place = min(CUBE_POS_Z * comptime!((units * each) as u32) + UNIT_POS + comptime!((own * units) as u32), e.tokens - 1);
        token[own] = token_at(index, first, place, plan);
        code[own] = code_at(index, &e, place, plan) + e.offset;
        group[own] = group_at(index, &e, first, place, plan);
        most[own] = f32::new(-1e30);
        total[own] = 0.0f32;
        #[unroll]
        for v in 0..vectors {
            let value = vector_at::<F, N>(qkv, padding, &e, sample, token[own], 3 * dim, column + v as u32, plan);
            query[comptime!(own * vectors + v)] = value * Vector::<f32, N>::new(e.scale);
            sums[comptime!(own * vectors + v)] = Vector::<f32, N>::new(0.0f32);
        }
    }

    let mut start = 0u32;
    while start < e.tokens {
        sync_cube();
        let here = min(e.tokens - start, block as u32);
        let mut at = UNIT_POS as usize;
        while at < here as usize * vectors {
            let v = (at % vectors) as u32;
            let key = token_at(index, first, start + (at / vectors) as u32, plan);
            keys[at] = vector_at::<F, N>(qkv, padding, &e, sample, key, 3 * dim, dim + column + v, plan);
            values[at] = vector_at::<F, N>(qkv, padding, &e, sample, key, 3 * dim, 2 * dim + column + v, plan);
            at += units;
        }
        let mut at = UNIT_POS as usize;
        while at < here as usize {
            marks[at] = code_at(index, &e, start + at as u32, plan);
            marks[block + at] = group_at(index, &e, first, start + at as u32, plan);
            at += units;
        }
        sync_cube();
        for key in 0..here as usize {
            let mut key_row = Array::<Vector<f32, N>>::new(vectors);
            let mut value_row = Array::<Vector<f32, N>>::new(vectors);
            #[unroll]
            for v in 0..vectors {
                key_row[v] = keys[key * vectors + v];
                value_row[v] = values[key * vectors + v];
            }
            #[unroll]
            for own in 0..each {
                let score = product_of_rows::<N>(&query, &key_row, comptime!(own * vectors), vectors)
                    + pair_bias(&biases, code[own], marks[key], group[own], marks[block + key], plan);
                if score > most[own] {
                    let shrink = (most[own] - score).exp();
                    most[own] = score;
                    total[own] *= shrink;
                    #[unroll]
                    for v in 0..vectors {
                        let at = comptime!(own * vectors + v);
                        sums[at] *= Vector::<f32, N>::new(shrink);
                    }
                }
                let share = (score - most[own]).exp();
                total[own] += share;
                #[unroll]
                for v in 0..vectors {
                    let at = comptime!(own * vectors + v);
                    sums[at] = fma(Vector::<f32, N>::new(share), value_row[v], sums[at]);
                }
            }
        }
        start += block as u32;
    }
    #[unroll]
    for own in 0..each {
        let place = CUBE_POS_Z * comptime!((units * each) as u32) + UNIT_POS + comptime!((own * units) as u32);
        if place < e.tokens {
            statistics[((window * e.heads + head) * e.tokens + place) as usize] = most[own] + total[own].ln();
            if token[own] < e.count {
                let factor = Vector::<f32, N>::new(1.0f32 / total[own]);
                #[unroll]
                for v in 0..vectors {
                    let at = (sample * e.count + token[own]) * dim + column + v as u32;
                    output[at as usize] = Vector::<F, N>::cast_from(sums[comptime!(own * vectors + v)] * factor);
                }
            }
        }
    }
}
