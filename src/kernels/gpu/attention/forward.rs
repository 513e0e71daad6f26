//! Forward: keys and values pass by run, and a query's softmax is corrected after each (Milakov and Gimelshein 2018), so that no score is
//! ever stored.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::kernel::{Attention, pair_bias, product_of_rows, row_of, tile_of};
use crate::kernels::gpu::launch::cube_position;

/// The attention's result by token, and by window, head and query the logarithm of the softmax's sum.
#[cube(launch)]
pub(super) fn attention_kernel<F: Float, N: Size>(
    a: &Attention<F, N>,
    output: &mut [Vector<F, N>],
    statistics: &mut [f32],
    #[define(F)] _element: ElemType,
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
    let biases = a.biases(h.head);

    let mut query = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(each * vectors));
    let mut most = Array::<f32>::new(each);
    let mut total = Array::<f32>::new(each);
    let mut group = Array::<u32>::new(each);
    let mut token = Array::<u32>::new(each);
    let places = a.own_places();
    let code = a.code_at(places.first) + a.e.offset;
    #[unroll]
    for own in 0..each {
        let place = places.first + comptime!(own as u32);
        token[own] = a.token_at(&h, place);
        group[own] = a.group_at(&h, place);
        most[own] = f32::new(-1e30);
        total[own] = 0.0f32;
        #[unroll]
        for v in 0..vectors {
            query[comptime!(own * vectors + v)] = a.query_at(&h, token[own], v as u32);
            sums[comptime!(own * vectors + v)] = Vector::<f32, N>::new(0.0f32);
        }
    }

    let mut start = 0u32;
    while start < a.e.tokens {
        let here = a.load_keys(&mut block, &h, start);
        let mut first = 0usize;
        while first < here as usize {
            let tile = tile_of(&biases, code - block.marks[first] - comptime!(run as u32 - 1), plan);
            let mut shares = Array::<f32>::new(comptime!(each * run));
            #[unroll]
            for key in 0..run {
                let key_row = row_of::<N>(&block.first, first + key, vectors);
                let mut key_group = 0u32;
                if comptime!(plan.masked) {
                    key_group = block.marks[comptime!(plan.block) + first + key];
                }
                #[unroll]
                for own in 0..each {
                    shares[comptime!(own * run + key)] = product_of_rows::<N>(&query, &key_row, comptime!(own * vectors), vectors)
                        + pair_bias(&tile, comptime!(own + run - 1 - key), group[own], key_group, plan);
                }
            }
            #[unroll]
            for own in 0..each {
                let mut top = most[own];
                #[unroll]
                for key in 0..run {
                    top = max(top, shares[comptime!(own * run + key)]);
                }
                let shrink = (most[own] - top).exp();
                most[own] = top;
                total[own] *= shrink;
                #[unroll]
                for v in 0..vectors {
                    let at = comptime!(own * vectors + v);
                    sums[at] *= Vector::<f32, N>::new(shrink);
                }
                #[unroll]
                for key in 0..run {
                    let at = comptime!(own * run + key);
                    shares[at] = (shares[at] - top).exp();
                    total[own] += shares[at];
                }
            }
            #[unroll]
            for key in 0..run {
                let value_row = row_of::<N>(&block.second, first + key, vectors);
                #[unroll]
                for own in 0..each {
                    #[unroll]
                    for v in 0..vectors {
                        let at = comptime!(own * vectors + v);
                        sums[at] = fma(Vector::<f32, N>::new(shares[comptime!(own * run + key)]), value_row[v], sums[at]);
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
            let place = places.first + comptime!(own as u32);
            statistics[((h.window * a.e.heads + h.head) * a.e.tokens + place) as usize] = most[own] + total[own].ln();
            if token[own] < a.e.count {
                let factor = Vector::<f32, N>::new(1.0f32 / total[own]);
                #[unroll]
                for v in 0..vectors {
                    let at = (h.sample * a.e.count + token[own]) * h.dim + h.column + v as u32;
                    output[at as usize] = Vector::<F, N>::cast_from(sums[comptime!(own * vectors + v)] * factor);
                }
            }
        }
    }
}
