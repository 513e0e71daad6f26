//! The gradient of the position table: first by pair of places over the windows, then by table row over its pairs.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::kernel::{Attention, pair_bias, product_of_rows, row_of};
use crate::kernels::gpu::launch::position;

/// By pair: the scores' gradients summed over the windows `split, split + splits, ..`, `[splits, heads, tokens, tokens]`. A cube has
/// `plan.queries` queries, whole runs of them, which all units read at once, for a block of windows at a time, and each unit its own keys;
/// the sums of its pairs stay in registers.
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
    let run = comptime!(plan.run);
    let each = comptime!(plan.each);
    let queries = comptime!(plan.queries);
    let differences = comptime!(plan.differences());
    let block = comptime!((plan.block / queries).max(1));
    let head = CUBE_POS_Y % a.e.heads;
    let split = CUBE_POS_Y / a.e.heads;
    let first_query = CUBE_POS_X * comptime!(queries as u32);
    let last = a.e.tokens - 1;

    let mut query_rows = Shared::<[Vector<f32, N>]>::new_slice(comptime!(block * queries * vectors));
    let mut grad_rows = Shared::<[Vector<f32, N>]>::new_slice(comptime!(block * queries * vectors));
    let mut known = Shared::<[Vector<f32, Const<4>>]>::new_slice(comptime!(block * queries));
    let mut sums = Array::<f32>::new(comptime!(each * queries));
    let mut tiles = Array::<f32>::new(comptime!(queries / run * differences));
    let mut key = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut value = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut group = Array::<u32>::new(each);
    let places = a.own_places();
    #[unroll]
    for tile in 0..comptime!(queries / run) {
        // Behind the last run lies none: its place is taken, and nothing is written of it.
        let from = min(first_query + comptime!((tile * run) as u32), a.e.tokens - comptime!(run as u32));
        let lowest = a.code_at(from) + a.e.offset - a.code_at(places.first) - comptime!(each as u32 - 1);
        #[unroll]
        for difference in 0..differences {
            let row = lowest + comptime!(difference as u32);
            tiles[comptime!(tile * differences + difference)] = a.table[(row * a.e.heads + head) as usize];
        }
    }
    #[unroll]
    for pair in 0..comptime!(each * queries) {
        sums[pair] = 0.0f32;
    }
    let mut window = split;
    while window < a.e.all {
        let here = min((a.e.all - window).div_ceil(splits), comptime!(block as u32)) as usize;
        sync_cube();
        let mut at = UNIT_POS as usize;
        while at < here * comptime!(queries * vectors) {
            let h = a.head_of(window + (at / comptime!(queries * vectors)) as u32 * splits, head);
            let query = a.token_at(&h, min(first_query + (at / vectors % queries) as u32, last));
            let v = (at % vectors) as u32;
            query_rows[at] = a.query_at(&h, query, v);
            grad_rows[at] = a.gradient_at(grad, &h, query, v);
            at += comptime!(plan.units);
        }
        let mut at = UNIT_POS as usize;
        while at < here * queries {
            let h = a.head_of(window + (at / queries) as u32 * splits, head);
            known[at] = a.known_of(statistics, &h, min(first_query + (at % queries) as u32, last));
            at += comptime!(plan.units);
        }
        sync_cube();
        for step in 0..here {
            let h = a.head_of(window + step as u32 * splits, head);
            #[unroll]
            for own in 0..each {
                let place = places.first + comptime!(own as u32);
                let token = a.token_at(&h, place);
                group[own] = a.group_at(&h, place);
                #[unroll]
                for v in 0..vectors {
                    key[comptime!(own * vectors + v)] = a.key_at(&h, token, v as u32);
                    value[comptime!(own * vectors + v)] = a.value_at(&h, token, v as u32);
                }
            }
            #[unroll]
            for query in 0..queries {
                let row = step * queries + query;
                let of_query = known[row];
                let log_sum = of_query.extract(0usize);
                let projected = of_query.extract(1usize);
                let query_group = u32::cast_from(of_query.extract(2usize));
                let query_row = row_of::<N>(&query_rows, row, vectors);
                let grad_row = row_of::<N>(&grad_rows, row, vectors);
                #[unroll]
                for own in 0..each {
                    let at = comptime!(own * queries + query);
                    let difference = comptime!(query / run * differences + query % run + each - 1 - own);
                    let score = product_of_rows::<N>(&key, &query_row, comptime!(own * vectors), vectors)
                        + pair_bias(&tiles, difference, group[own], query_group, plan);
                    let change = product_of_rows::<N>(&value, &grad_row, comptime!(own * vectors), vectors);
                    sums[at] += (score - log_sum).exp() * (change - projected);
                }
            }
        }
        window += splits * comptime!(block as u32);
    }
    #[unroll]
    for own in 0..each {
        if comptime!(own as u32) >= places.skipped {
            let place = places.first + comptime!(own as u32);
            #[unroll]
            for query in 0..queries {
                let from = first_query + comptime!(query as u32);
                if from < a.e.tokens {
                    pairs[(((split * a.e.heads + head) * a.e.tokens + from) * a.e.tokens + place) as usize] =
                        sums[comptime!(own * queries + query)];
                }
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
