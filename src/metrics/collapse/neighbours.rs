//! What lies near a token: how spread the tokens are, and where the nearest one comes from.

use std::ops::Range;

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::ProbeTokens;

/// Tokens compared with all others at a time: their cosines should stay in the second-level cache.
const BLOCK: usize = 64;

/// Uniformity and retrieval of a probe_set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Neighbours {
    /// Log of the mean `exp(-2 |a - b|²)` over pairs (Wang and Isola, ICML 2020).
    pub uniformity: f64,
    /// Share of tokens whose nearest token has their position in another volume. Other crops of the token's own volume, which
    /// may show the same anatomy, are passed over.
    pub wrong_volume: f64,
}

/// Of tokens of length 1; `None` with fewer than two.
pub(super) fn neighbours(probe_set: &ProbeTokens) -> Option<Neighbours> {
    let count = probe_set.len();
    if count < 2 {
        return None;
    }
    let (crop_len, volume_len) = (probe_set.grid(), probe_set.grid() * probe_set.crops);
    let all = view(&probe_set.tokens, probe_set.dim);
    let blocks: Vec<(f64, usize)> = probe_set
        .tokens
        .par_chunks(BLOCK * probe_set.dim)
        .enumerate()
        .map(|(block, anchors)| {
            let cosines = view(anchors, probe_set.dim).dot(&all.t());
            let anchors = cosines.outer_iter().enumerate().map(|(row, cosines)| {
                let anchor = block * BLOCK + row;
                let cosines = cosines.as_slice().expect("a product is contiguous");
                // exp(-2 |a - b|²) = exp(4 cos - 4)
                let potential = |cosines: &[f32]| cosines.iter().map(|cosine| f64::from((4.0 * cosine - 4.0).exp())).sum::<f64>();
                let (volume, crop) = (probe_set.volume(anchor) * volume_len, anchor / crop_len * crop_len);
                let candidates = [0..volume, crop..anchor, anchor + 1..crop + crop_len, volume + volume_len..count];
                let nearest = candidates.into_iter().fold((f32::NEG_INFINITY, anchor), |best, range| nearest(cosines, range, best)).1;
                let wrong =
                    probe_set.position(nearest) == probe_set.position(anchor) && probe_set.volume(nearest) != probe_set.volume(anchor);
                let (before, after) = (&cosines[..anchor], &cosines[anchor + 1..]);
                (potential(before) + potential(after), usize::from(wrong))
            });
            anchors.fold((0.0, 0), |(sum, wrong), (potential, is_wrong)| (sum + potential, wrong + is_wrong))
        })
        .collect();
    let potential: f64 = blocks.iter().map(|(potential, _)| potential).sum();
    let wrong: usize = blocks.iter().map(|(_, wrong)| wrong).sum();
    let pairs = (count * (count - 1)) as f64;
    Some(Neighbours { uniformity: (potential / pairs).ln(), wrong_volume: wrong as f64 / count as f64 })
}

/// The largest of `cosines[range]` and its index, if it is larger than `best`.
fn nearest(cosines: &[f32], range: Range<usize>, best: (f32, usize)) -> (f32, usize) {
    let start = range.start;
    let top = cosines[range.clone()].iter().fold(best.0, |top, &cosine| if cosine > top { cosine } else { top });
    if top > best.0 { (top, start + cosines[range].iter().position(|&cosine| cosine == top).unwrap_or(0)) } else { best }
}

fn view(tokens: &[f32], dim: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((tokens.len() / dim, dim), tokens).expect("a probe_set holds whole tokens")
}
