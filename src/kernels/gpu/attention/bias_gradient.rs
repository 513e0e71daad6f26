//! The gradient of the position table: first by pair of places over the windows, then by table row over its pairs.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::kernel::{Attention, product_of_rows, row_of};
use crate::kernels::gpu::launch::position;
use crate::kernels::window_tables::MASKED;

/// Queries of a cube: their sums with each key of a unit stay in registers.
pub(super) const QUERIES: usize = 16;

/// By pair: the scores' gradients summed over the windows `split, split + splits, ..`, `[splits, heads, tokens, tokens]`. A cube has
/// [`QUERIES`] queries, which all units read at once, and a block of keys, each unit its own.
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
    let each = comptime!(plan.each);
    let first_query = CUBE_POS_X * comptime!(QUERIES as u32);
    let head = CUBE_POS_Y % a.e.heads;
    let split = CUBE_POS_Y / a.e.heads;
    let last = a.e.tokens - 1;

    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(QUERIES * vectors));
    let mut grads = Shared::<[Vector<f32, N>]>::new_slice(comptime!(QUERIES * vectors));
    let mut marks = Shared::<[u32]>::new_slice(QUERIES);
    let mut known = Shared::<[f32]>::new_slice(comptime!(2 * QUERIES));
    let mut sums = Array::<f32>::new(comptime!(each * QUERIES));
    let mut bias = Array::<f32>::new(comptime!(each * QUERIES));
    let mut key = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut value = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut group = Array::<u32>::new(each);
    #[unroll]
    for own in 0..each {
        let code = a.code_at(min(a.own_place(own), last));
        #[unroll]
        for query in 0..QUERIES {
            let row = a.code_at(min(first_query + comptime!(query as u32), last)) + a.e.offset - code;
            bias[comptime!(own * QUERIES + query)] = a.table[(row * a.e.heads + head) as usize];
            sums[comptime!(own * QUERIES + query)] = 0.0f32;
        }
    }
    let mut window = split;
    while window < a.e.all {
        let h = a.head_of(window, head);
        sync_cube();
        let mut at = UNIT_POS as usize;
        while at < comptime!(QUERIES * vectors) {
            let v = (at % vectors) as u32;
            let query = a.token_at(&h, min(first_query + (at / vectors) as u32, last));
            queries[at] = a.query_at(&h, query, v);
            grads[at] = a.gradient_at(grad, &h, query, v);
            at += comptime!(plan.units);
        }
        if UNIT_POS < comptime!(QUERIES as u32) {
            let query = min(first_query + UNIT_POS, last);
            let from = a.known_at(&h, query);
            let at = UNIT_POS as usize;
            marks[at] = a.group_at(&h, query);
            known[2 * at] = statistics[from];
            known[2 * at + 1] = statistics[from + 1];
        }
        #[unroll]
        for own in 0..each {
            let place = min(a.own_place(own), last);
            let token = a.token_at(&h, place);
            group[own] = a.group_at(&h, place);
            #[unroll]
            for v in 0..vectors {
                key[comptime!(own * vectors + v)] = a.key_at(&h, token, v as u32);
                value[comptime!(own * vectors + v)] = a.value_at(&h, token, v as u32);
            }
        }
        sync_cube();
        #[unroll]
        for query in 0..QUERIES {
            let query_row = row_of::<N>(&queries, query, vectors);
            let grad_row = row_of::<N>(&grads, query, vectors);
            #[unroll]
            for own in 0..each {
                let at = comptime!(own * QUERIES + query);
                let mut score = product_of_rows::<N>(&key, &query_row, comptime!(own * vectors), vectors) + bias[at];
                if comptime!(plan.masked) {
                    if marks[query] != group[own] {
                        score += MASKED;
                    }
                }
                let change = product_of_rows::<N>(&value, &grad_row, comptime!(own * vectors), vectors);
                sums[at] += (score - known[comptime!(2 * query)]).exp() * (change - known[comptime!(2 * query + 1)]);
            }
        }
        window += splits;
    }
    #[unroll]
    for own in 0..each {
        let place = a.own_place(own);
        #[unroll]
        for query in 0..QUERIES {
            let from = first_query + comptime!(query as u32);
            if from < a.e.tokens && place < a.e.tokens {
                pairs[(((split * a.e.heads + head) * a.e.tokens + from) * a.e.tokens + place) as usize] =
                    sums[comptime!(own * QUERIES + query)];
            }
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
