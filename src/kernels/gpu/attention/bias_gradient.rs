//! The gradient of the position table: first by pair of places over the windows, then by table row over its pairs.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::kernel::Attention;
use crate::kernels::gpu::launch::{UNITS, position, sum_of_vector};
use crate::kernels::window_tables::MASKED;

/// Pairs along an edge of a cube's tile of pairs.
pub(super) const TILE: usize = 32;

/// By pair: the scores' gradients summed over the windows `split, split + splits, ..`, `[splits, heads, tokens, tokens]`. A cube of 256 units has a tile of pairs, each unit four.
#[cube(launch)]
pub(super) fn bias_gradient_kernel<N: Size>(
    a: &Attention<f32, N>,
    grad: &[Vector<f32, N>],
    statistics: &[f32],
    pairs: &mut [f32],
    splits: u32,
) {
    let plan = comptime!(a.plan);
    let vectors = comptime!(plan.vectors);
    let tiles = (a.e.tokens + comptime!(TILE as u32 - 1)) / comptime!(TILE as u32);
    let first_query = CUBE_POS_X % tiles * comptime!(TILE as u32);
    let first_key = CUBE_POS_X / tiles * comptime!(TILE as u32);
    let head = CUBE_POS_Y;
    let split = CUBE_POS_Z;
    let last = a.e.tokens - 1;

    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(TILE * vectors));
    let mut grads = Shared::<[Vector<f32, N>]>::new_slice(comptime!(TILE * vectors));
    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(comptime!(TILE * vectors));
    let mut values = Shared::<[Vector<f32, N>]>::new_slice(comptime!(TILE * vectors));
    let mut marks = Shared::<[u32]>::new_slice(comptime!(2 * TILE));
    let mut known = Shared::<[f32]>::new_slice(comptime!(2 * TILE));
    let unit = UNIT_POS as usize;
    let own_query = unit / 16;
    let own_key = unit % 16;

    let mut sums = Array::<f32>::new(4usize);
    let mut bias = Array::<f32>::new(4usize);
    #[unroll]
    for pair in 0..4 {
        sums[pair] = 0.0f32;
        let query = min(first_query + own_query as u32 + comptime!((pair / 2 * 16) as u32), last);
        let key = min(first_key + own_key as u32 + comptime!((pair % 2 * 16) as u32), last);
        bias[pair] = a.table[((a.code_at(query) + a.e.offset - a.code_at(key)) * a.e.heads + head) as usize];
    }
    let mut window = split;
    while window < a.e.all {
        let h = a.head_of(window, head);
        sync_cube();
        let mut at = unit;
        while at < comptime!(TILE * vectors) {
            let v = (at % vectors) as u32;
            let row = (at / vectors) as u32;
            let query = a.token_at(&h, min(first_query + row, last));
            queries[at] = a.query_at(&h, query, v);
            grads[at] = a.gradient_at(grad, &h, query, v);
            let key = a.token_at(&h, min(first_key + row, last));
            keys[at] = a.key_at(&h, key, v);
            values[at] = a.value_at(&h, key, v);
            at += UNITS as usize;
        }
        if unit < comptime!(TILE) {
            let query = min(first_query + unit as u32, last);
            marks[unit] = a.group_at(&h, query);
            marks[comptime!(TILE) + unit] = a.group_at(&h, min(first_key + unit as u32, last));
            let from = a.known_at(&h, query);
            known[2 * unit] = statistics[from];
            known[2 * unit + 1] = statistics[from + 1];
        }
        sync_cube();
        let mut products = Array::<Vector<f32, N>>::new(4usize);
        let mut changes = Array::<Vector<f32, N>>::new(4usize);
        #[unroll]
        for pair in 0..4 {
            products[pair] = Vector::<f32, N>::new(0.0f32);
            changes[pair] = Vector::<f32, N>::new(0.0f32);
        }
        #[unroll]
        for v in 0..vectors {
            #[unroll]
            for q in 0..2 {
                let query = queries[(own_query + comptime!(q * 16)) * vectors + v];
                let out_grad = grads[(own_query + comptime!(q * 16)) * vectors + v];
                #[unroll]
                for k in 0..2 {
                    let pair = comptime!(q * 2 + k);
                    products[pair] = fma(query, keys[(own_key + comptime!(k * 16)) * vectors + v], products[pair]);
                    changes[pair] = fma(out_grad, values[(own_key + comptime!(k * 16)) * vectors + v], changes[pair]);
                }
            }
        }
        #[unroll]
        for pair in 0..4 {
            let query = own_query + comptime!(pair / 2 * 16);
            let mut score = sum_of_vector::<N>(products[pair]) + bias[pair];
            if comptime!(plan.masked) {
                if marks[query] != marks[own_key + comptime!(TILE + pair % 2 * 16)] {
                    score += MASKED;
                }
            }
            let share = (score - known[2 * query]).exp();
            sums[pair] += share * (sum_of_vector::<N>(changes[pair]) - known[2 * query + 1]);
        }
        window += splits;
    }
    #[unroll]
    for pair in 0..4 {
        let query = first_query + own_query as u32 + comptime!((pair / 2 * 16) as u32);
        let key = first_key + own_key as u32 + comptime!((pair % 2 * 16) as u32);
        if query < a.e.tokens && key < a.e.tokens {
            pairs[((((split * a.e.heads + head) * a.e.tokens) + query) * a.e.tokens + key) as usize] = sums[pair];
        }
    }
}

/// Sums of pairs `[heads, tokens, tokens]` by table row; `pairs_of_row` lists `longest` pairs of each row, `square` in place of none.
#[cube(launch)]
pub(super) fn table_gradient_kernel(
    pairs: &[f32],
    pairs_of_row: &[u32],
    table: &mut [f32],
    total: u32,
    heads: u32,
    longest: u32,
    square: u32,
) {
    let at = position();
    if at < total {
        let row = at / heads;
        let from = at % heads * square;
        let mut sum = 0.0f32;
        for member in 0..longest {
            let pair = pairs_of_row[(row * longest + member) as usize];
            if pair < square {
                sum += pairs[(from + pair) as usize];
            }
        }
        table[at as usize] = sum;
    }
}
