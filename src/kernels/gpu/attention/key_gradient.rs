//! By key: the keys' and the values' gradients.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::kernel::{Attention, pair_bias, product_of_rows, row_of, tile_of};
use crate::kernels::gpu::launch::cube_position;

/// The gradients of keys and values, into the second and last third of each token's row of `gradient`, padded places behind the tokens.
#[cube(launch)]
pub(super) fn key_gradient_kernel<N: Size>(
    a: &Attention<f32, N>,
    grad: &[Vector<f32, N>],
    statistics: &[f32],
    gradient: &mut [Vector<f32, N>],
) {
    let plan = comptime!(a.plan);
    let vectors = comptime!(plan.vectors);
    let run = comptime!(plan.run);
    let each = comptime!(plan.each);
    let cube = cube_position();
    if cube >= a.e.all * a.e.heads {
        terminate!();
    }
    let h = a.head_of(cube / a.e.heads, cube % a.e.heads);
    let mut block = a.block();
    // Of a query the two numbers known, and its mask group, which a single read fetches with them.
    let mut known = Shared::<[Vector<f32, Const<4>>]>::new_slice(comptime!(plan.block));
    let biases = a.biases(h.head);

    let mut key = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut value = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut key_sums = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut value_sums = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut group = Array::<u32>::new(each);
    let mut token = Array::<u32>::new(each);
    let places = a.own_places();
    let code = a.code_at(places.first);
    #[unroll]
    for own in 0..each {
        let place = places.first + comptime!(own as u32);
        token[own] = a.token_at(&h, place);
        group[own] = a.group_at(&h, place);
        #[unroll]
        for v in 0..vectors {
            let at = comptime!(own * vectors + v);
            key[at] = a.key_at(&h, token[own], v as u32);
            value[at] = a.value_at(&h, token[own], v as u32);
            key_sums[at] = Vector::<f32, N>::new(0.0f32);
            value_sums[at] = Vector::<f32, N>::new(0.0f32);
        }
    }

    let mut start = 0u32;
    while start < a.e.tokens {
        sync_cube();
        let here = min(a.e.tokens - start, comptime!(plan.block as u32));
        let mut at = UNIT_POS as usize;
        while at < here as usize * vectors {
            let v = (at % vectors) as u32;
            let query = a.token_at(&h, start + (at / vectors) as u32);
            block.first[at] = a.query_at(&h, query, v);
            block.second[at] = a.gradient_at(grad, &h, query, v);
            at += comptime!(plan.units);
        }
        let mut at = UNIT_POS as usize;
        while at < here as usize {
            let place = start + at as u32;
            block.marks[at] = a.code_at(place) + a.e.offset;
            known[at] = a.known_of(statistics, &h, place);
            at += comptime!(plan.units);
        }
        sync_cube();
        let mut first = 0usize;
        while first < here as usize {
            let tile = tile_of(&biases, block.marks[first] - code - comptime!(each as u32 - 1), plan);
            #[unroll]
            for query in 0..run {
                let of_query = known[first + query];
                let log_sum = of_query.extract(0usize);
                let projected = of_query.extract(1usize);
                let query_group = u32::cast_from(of_query.extract(2usize));
                let query_row = row_of::<N>(&block.first, first + query, vectors);
                let grad_row = row_of::<N>(&block.second, first + query, vectors);
                #[unroll]
                for own in 0..each {
                    let score = product_of_rows::<N>(&key, &query_row, comptime!(own * vectors), vectors)
                        + pair_bias(&tile, comptime!(query + each - 1 - own), group[own], query_group, plan);
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
            first += run;
        }
        start += comptime!(plan.block as u32);
    }
    #[unroll]
    for own in 0..each {
        if comptime!(own as u32) >= places.skipped {
            let row = (h.sample * (a.e.count + a.e.padded) + token[own]) * 3 * h.dim + h.column;
            #[unroll]
            for v in 0..vectors {
                gradient[(row + h.dim + v as u32) as usize] = key_sums[comptime!(own * vectors + v)];
                gradient[(row + 2 * h.dim + v as u32) as usize] = value_sums[comptime!(own * vectors + v)];
            }
        }
    }
}
