//! By query: the shares' gradient summed over the keys, and the query's own gradient.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::kernel::{Attention, AttentionPlan, WindowExtents, pair_bias, product_of_rows, row_of, tile_of, token_at};
use crate::kernels::gpu::launch::{cube_position, position, sum_of_vector};

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
    a: &Attention<f32, N>,
    grad: &[Vector<f32, N>],
    known: &mut [f32],
    gradient: &mut [Vector<f32, N>],
    splits: u32,
) {
    let plan = comptime!(a.plan);
    let vectors = comptime!(plan.vectors);
    let units = comptime!(plan.units);
    let run = comptime!(plan.run);
    let each = comptime!(plan.each);
    let cube = cube_position();
    if cube >= splits * a.e.heads {
        terminate!();
    }
    let head = cube % a.e.heads;
    let mut block = a.block();
    let biases = a.biases(head);
    // Of each place of a unit by run of keys.
    let of_run = comptime!(run.div_ceil(4));
    let mut pairs = Shared::<[Vector<f32, Const<4>>]>::new_slice(comptime!((plan.pairs / run * of_run * each * units).max(1)));
    if comptime!(plan.pairs > 0) {
        for pair in 0..comptime!(plan.pairs / run * of_run * each) {
            pairs[pair * units + UNIT_POS as usize] = Vector::<f32, Const<4>>::new(0.0f32);
        }
    }
    let places = a.own_places();
    let code = a.code_at(places.first) + a.e.offset;

    let mut query = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut out_grad = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut log_sum = Array::<f32>::new(each);
    let mut projected = Array::<f32>::new(each);
    let mut group = Array::<u32>::new(each);
    let mut token = Array::<u32>::new(each);
    let mut window = cube / a.e.heads;
    while window < a.e.all {
        let h = a.head_of(window, head);
        #[unroll]
        for own in 0..each {
            let place = places.first + comptime!(own as u32);
            token[own] = a.token_at(&h, place);
            group[own] = a.group_at(&h, place);
            let from = a.known_at(&h, place);
            log_sum[own] = known[from];
            projected[own] = known[from + 1];
            #[unroll]
            for v in 0..vectors {
                let at = comptime!(own * vectors + v);
                query[at] = a.query_at(&h, token[own], v as u32);
                out_grad[at] = a.gradient_at(grad, &h, token[own], v as u32);
                sums[at] = Vector::<f32, N>::new(0.0f32);
            }
        }

        let mut start = 0u32;
        while start < a.e.tokens {
            let here = a.load_keys(&mut block, &h, start);
            let mut first = 0usize;
            while first < here as usize {
                let tile = tile_of(&biases, code - block.marks[first] - comptime!(run as u32 - 1), plan);
                let mut changes = Array::<f32>::new(comptime!(each * run));
                #[unroll]
                for key in 0..run {
                    let key_row = row_of::<N>(&block.first, first + key, vectors);
                    let value_row = row_of::<N>(&block.second, first + key, vectors);
                    let mut key_group = 0u32;
                    if comptime!(plan.masked) {
                        key_group = block.marks[comptime!(plan.block) + first + key];
                    }
                    #[unroll]
                    for own in 0..each {
                        let score = product_of_rows::<N>(&query, &key_row, comptime!(own * vectors), vectors)
                            + pair_bias(&tile, comptime!(own + run - 1 - key), group[own], key_group, plan);
                        let change = product_of_rows::<N>(&out_grad, &value_row, comptime!(own * vectors), vectors);
                        let of_score = (score - log_sum[own]).exp() * (change - projected[own]);
                        changes[comptime!(own * run + key)] = of_score;
                        let factor = of_score * a.e.scale;
                        #[unroll]
                        for v in 0..vectors {
                            let at = comptime!(own * vectors + v);
                            sums[at] = fma(Vector::<f32, N>::new(factor), key_row[v], sums[at]);
                        }
                    }
                }
                if comptime!(plan.pairs > 0) {
                    #[unroll]
                    for own in 0..each {
                        #[unroll]
                        for part in 0..of_run {
                            let mut more = Vector::<f32, Const<4>>::new(0.0f32);
                            #[unroll]
                            for key in comptime!(4 * part)..comptime!(run.min(4 * part + 4)) {
                                more.insert(comptime!(key % 4), changes[comptime!(own * run + key)]);
                            }
                            let at = ((start as usize + first) / run * each + own) * of_run + part;
                            pairs[at * units + UNIT_POS as usize] += more;
                        }
                    }
                }
                first += run;
            }
            start += comptime!(plan.block as u32);
        }
        #[unroll]
        for own in 0..each {
            if comptime!(own as u32) >= places.skipped {
                let row = h.sample * (a.e.count + a.e.padded) + token[own];
                #[unroll]
                for v in 0..vectors {
                    gradient[(row * 3 * h.dim + h.column + v as u32) as usize] = sums[comptime!(own * vectors + v)];
                }
            }
        }
        window += splits;
    }
    if comptime!(plan.pairs > 0) {
        let square = comptime!(plan.pairs * plan.pairs);
        #[unroll]
        for own in 0..each {
            if comptime!(own as u32) >= places.skipped {
                let place = (places.first + comptime!(own as u32)) as usize;
                for at in 0..comptime!(plan.pairs / run) {
                    let to = cube as usize * square + place * plan.pairs + at * run;
                    #[unroll]
                    for key in 0..run {
                        let of_keys = pairs[((at * each + own) * of_run + comptime!(key / 4)) * units + UNIT_POS as usize];
                        known[to + key] = of_keys.extract(comptime!(key % 4));
                    }
                }
            }
        }
    }
}
