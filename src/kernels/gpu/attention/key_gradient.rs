//! By key: the keys' and the values' gradients.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::kernel::{
    AttentionPlan, WindowExtents, code_at, group_at, load_biases, pair_bias, product_of_rows, token_at, vector_at, vector_or_zero,
};

/// The gradients of keys and values, into the second and last third of each token's row of `gradient`, padded places behind the tokens.
#[cube(launch)]
pub(super) fn key_gradient_kernel<N: Size>(
    qkv: &[Vector<f32, N>],
    padding: &[Vector<f32, N>],
    table: &[f32],
    index: &[u32],
    grad: &[Vector<f32, N>],
    statistics: &[f32],
    gradient: &mut [Vector<f32, N>],
    e: WindowExtents,
    #[comptime] plan: AttentionPlan,
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

    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(block * vectors));
    let mut grads = Shared::<[Vector<f32, N>]>::new_slice(comptime!(block * vectors));
    let mut marks = Shared::<[u32]>::new_slice(comptime!(2 * block));
    let mut known = Shared::<[f32]>::new_slice(comptime!(2 * block));
    let mut biases = Shared::<[f32]>::new_slice(comptime!(plan.table.max(1)));
    load_biases::<f32>(&mut biases, table, e.heads, head, plan);

    let mut key = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut value = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut key_sums = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut value_sums = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut code = Array::<u32>::new(each);
    let mut group = Array::<u32>::new(each);
    let mut token = Array::<u32>::new(each);
    #[unroll]
    for own in 0..each {
        let place = min(CUBE_POS_Z * comptime!((units * each) as u32) + UNIT_POS + comptime!((own * units) as u32), e.tokens - 1);
        token[own] = token_at(index, first, place, plan);
        code[own] = code_at(index, &e, place, plan);
        group[own] = group_at(index, &e, first, place, plan);
        #[unroll]
        for v in 0..vectors {
            let at = comptime!(own * vectors + v);
            key[at] = vector_at::<f32, N>(qkv, padding, &e, sample, token[own], 3 * dim, dim + column + v as u32, plan);
            value[at] = vector_at::<f32, N>(qkv, padding, &e, sample, token[own], 3 * dim, 2 * dim + column + v as u32, plan);
            key_sums[at] = Vector::<f32, N>::new(0.0f32);
            value_sums[at] = Vector::<f32, N>::new(0.0f32);
        }
    }

    let mut start = 0u32;
    while start < e.tokens {
        sync_cube();
        let here = min(e.tokens - start, block as u32);
        let mut at = UNIT_POS as usize;
        while at < here as usize * vectors {
            let v = (at % vectors) as u32;
            let query = token_at(index, first, start + (at / vectors) as u32, plan);
            let row = vector_at::<f32, N>(qkv, padding, &e, sample, query, 3 * dim, column + v, plan);
            queries[at] = row * Vector::<f32, N>::new(e.scale);
            grads[at] = vector_or_zero::<N>(grad, &e, sample, query, dim, column + v);
            at += units;
        }
        let mut at = UNIT_POS as usize;
        while at < here as usize {
            marks[at] = code_at(index, &e, start + at as u32, plan) + e.offset;
            marks[block + at] = group_at(index, &e, first, start + at as u32, plan);
            let from = e.known as usize + (((window * e.heads + head) * e.tokens + start) as usize + at) * 2;
            known[2 * at] = statistics[from];
            known[2 * at + 1] = statistics[from + 1];
            at += units;
        }
        sync_cube();
        for query in 0..here as usize {
            let log_sum = known[2 * query];
            let projected = known[2 * query + 1];
            let mut query_row = Array::<Vector<f32, N>>::new(vectors);
            let mut grad_row = Array::<Vector<f32, N>>::new(vectors);
            #[unroll]
            for v in 0..vectors {
                query_row[v] = queries[query * vectors + v];
                grad_row[v] = grads[query * vectors + v];
            }
            #[unroll]
            for own in 0..each {
                let score = product_of_rows::<N>(&key, &query_row, comptime!(own * vectors), vectors)
                    + pair_bias(&biases, marks[query], code[own], marks[block + query], group[own], plan);
                let share = (score - log_sum).exp();
                let change = product_of_rows::<N>(&value, &grad_row, comptime!(own * vectors), vectors);
                let factor = share * (change - projected);
                #[unroll]
                for v in 0..vectors {
                    let at = comptime!(own * vectors + v);
                    value_sums[at] = fma(Vector::<f32, N>::new(share), grad_row[v], value_sums[at]);
                    key_sums[at] = fma(Vector::<f32, N>::new(factor), query_row[v], key_sums[at]);
                }
            }
        }
        start += block as u32;
    }
    #[unroll]
    for own in 0..each {
        let place = CUBE_POS_Z * comptime!((units * each) as u32) + UNIT_POS + comptime!((own * units) as u32);
        if place < e.tokens {
            let row = (sample * (e.count + e.padded) + token[own]) * 3 * dim + column;
            #[unroll]
            for v in 0..vectors {
                gradient[(row + dim + v as u32) as usize] = key_sums[comptime!(own * vectors + v)];
                gradient[(row + 2 * dim + v as u32) as usize] = value_sums[comptime!(own * vectors + v)];
            }
        }
    }
}
