//! By query: the shares' gradient summed over the keys, and the query's own gradient.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::kernel::{
    AttentionPlan, WindowExtents, code_at, group_at, load_biases, pair_bias, product_of_rows, token_at, vector_at, vector_or_zero,
};
use crate::kernels::gpu::launch::{position, sum_of_vector};

/// By window, head and query what the backward passes know: the logarithm of the softmax's sum, and the sum over the keys of share times
/// gradient of the share, which is the product of the result and its gradient.
#[cube(launch)]
pub(super) fn projected_kernel<N: Size>(
    output: &[Vector<f32, N>],
    grad: &[Vector<f32, N>],
    index: &[u32],
    statistics: &[f32],
    known: &mut [f32],
    e: WindowExtents,
    #[comptime] plan: AttentionPlan,
) {
    let at = position();
    if at < e.all * e.heads * e.tokens {
        let place = at % e.tokens;
        let head = at / e.tokens % e.heads;
        let window = at / e.tokens / e.heads;
        let token = token_at(index, window % e.windows * e.tokens, place, plan);
        let mut products = Vector::<f32, N>::new(0.0f32);
        if token < e.count {
            let from = ((window / e.windows * e.count + token) * e.heads + head) * comptime!(plan.vectors as u32);
            #[unroll]
            for v in 0..comptime!(plan.vectors) {
                products = fma(output[from as usize + v], grad[from as usize + v], products);
            }
        }
        known[(e.known + at * 2) as usize] = statistics[at as usize];
        known[(e.known + at * 2 + 1) as usize] = sum_of_vector::<N>(products);
    }
}

/// The queries' gradients, into the first third of each token's row of `gradient`, padded places behind the tokens. A cube takes the windows
/// `split, split + splits, ..`. Where `plan.pairs` asks for it, their scores' gradients summed by pair go to the front of `known`, `[splits,
/// heads, tokens, tokens]`.
#[cube(launch)]
pub(super) fn query_gradient_kernel<N: Size>(
    qkv: &[Vector<f32, N>],
    padding: &[Vector<f32, N>],
    table: &[f32],
    index: &[u32],
    grad: &[Vector<f32, N>],
    known: &mut [f32],
    gradient: &mut [Vector<f32, N>],
    e: WindowExtents,
    splits: u32,
    #[comptime] plan: AttentionPlan,
) {
    let vectors = comptime!(plan.vectors);
    let block = comptime!(plan.block);
    let units = comptime!(plan.units);
    let each = comptime!(plan.each);
    let cube = CUBE_POS_X + CUBE_POS_Y * CUBE_COUNT_X;
    if cube >= splits * e.heads {
        terminate!();
    }
    let head = cube % e.heads;
    let split = cube / e.heads;
    let dim = e.heads * vectors as u32;
    let column = head * vectors as u32;

    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(comptime!(block * vectors));
    let mut values = Shared::<[Vector<f32, N>]>::new_slice(comptime!(block * vectors));
    let mut marks = Shared::<[u32]>::new_slice(comptime!(2 * block));
    let mut biases = Shared::<[f32]>::new_slice(comptime!(plan.table.max(1)));
    load_biases::<f32>(&mut biases, table, e.heads, head, plan);
    let mut pairs = Shared::<[f32]>::new_slice(comptime!((plan.pairs * units).max(1)));
    if comptime!(plan.pairs > 0) {
        for key in 0..plan.pairs {
            pairs[key * units + UNIT_POS as usize] = 0.0f32;
        }
    }

    let mut query = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut out_grad = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut log_sum = Array::<f32>::new(each);
    let mut projected = Array::<f32>::new(each);
    let mut code = Array::<u32>::new(each);
    let mut group = Array::<u32>::new(each);
    let mut token = Array::<u32>::new(each);
    let mut window = split;
    while window < e.all {
        let sample = window / e.windows;
        let first = window % e.windows * e.tokens;
        #[unroll]
        for own in 0..each {
            let place = min(CUBE_POS_Z * comptime!((units * each) as u32) + UNIT_POS + comptime!((own * units) as u32), e.tokens - 1);
            token[own] = token_at(index, first, place, plan);
            code[own] = code_at(index, &e, place, plan) + e.offset;
            group[own] = group_at(index, &e, first, place, plan);
            let from = (e.known + ((window * e.heads + head) * e.tokens + place) * 2) as usize;
            log_sum[own] = known[from];
            projected[own] = known[from + 1];
            #[unroll]
            for v in 0..vectors {
                let at = comptime!(own * vectors + v);
                let value = vector_at::<f32, N>(qkv, padding, &e, sample, token[own], 3 * dim, column + v as u32, plan);
                query[at] = value * Vector::<f32, N>::new(e.scale);
                out_grad[at] = vector_or_zero::<N>(grad, &e, sample, token[own], dim, column + v as u32);
                sums[at] = Vector::<f32, N>::new(0.0f32);
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
                keys[at] = vector_at::<f32, N>(qkv, padding, &e, sample, key, 3 * dim, dim + column + v, plan);
                values[at] = vector_at::<f32, N>(qkv, padding, &e, sample, key, 3 * dim, 2 * dim + column + v, plan);
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
                    let change = product_of_rows::<N>(&out_grad, &value_row, comptime!(own * vectors), vectors);
                    let of_score = (score - log_sum[own]).exp() * (change - projected[own]);
                    if comptime!(plan.pairs > 0) {
                        pairs[(start as usize + key) * units + UNIT_POS as usize] += of_score;
                    }
                    let factor = of_score * e.scale;
                    #[unroll]
                    for v in 0..vectors {
                        let at = comptime!(own * vectors + v);
                        sums[at] = fma(Vector::<f32, N>::new(factor), key_row[v], sums[at]);
                    }
                }
            }
            start += block as u32;
        }
        #[unroll]
        for own in 0..each {
            let place = CUBE_POS_Z * comptime!((units * each) as u32) + UNIT_POS + comptime!((own * units) as u32);
            if place < e.tokens {
                let row = sample * (e.count + e.padded) + token[own];
                #[unroll]
                for v in 0..vectors {
                    gradient[(row * 3 * dim + column + v as u32) as usize] = sums[comptime!(own * vectors + v)];
                }
            }
        }
        window += splits;
    }
    if comptime!(plan.pairs > 0) {
        sync_cube();
        let square = comptime!(plan.pairs * plan.pairs);
        let mut at = UNIT_POS as usize;
        while at < square {
            known[cube as usize * square + at] = pairs[at % plan.pairs * units + at / plan.pairs];
            at += units;
        }
    }
}
