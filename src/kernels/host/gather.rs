//! Products of gathered rows: the matrix of gathered rows exists one tile at a time.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::tensor::{contiguous, elements, tensor};
use crate::kernels::conv_tables::GatherIndex;
use crate::kernels::index::PADDING;

/// Elements of the gathered tile of a product: it stays in a core's cache.
const PRODUCT_TILE: usize = 128 << 10;

/// Fewest rows of a tile, so that the other factor is not read too often.
const TILE_ROWS: usize = 64;

/// The gathered matrix of all samples, `[batch * rows, taps * channels]`, never whole in memory.
struct Gathered<'a> {
    /// `[batch, tokens, channels]`.
    source: &'a [f32],
    index: &'a GatherIndex,
    tokens: usize,
    channels: usize,
}

impl Gathered<'_> {
    fn width(&self) -> usize {
        self.index.taps * self.channels
    }

    /// `count` rows from `first` on.
    fn tile(&self, first: usize, count: usize) -> Tensor<2> {
        let (rows, taps, channels) = (self.index.rows(), self.index.taps, self.channels);
        let mut tile = Vec::with_capacity(count * self.width());
        for row in first..first + count {
            let sample = &self.source[row / rows * self.tokens * channels..][..self.tokens * channels];
            let tokens = &self.index.sources[row % rows * taps..][..taps];
            // Neighbours along W lie side by side: one copy for a run of them.
            for run in tokens.chunk_by(|&token, &next| token != PADDING && next == token + 1) {
                let length = run.len() * channels;
                match run[0] {
                    PADDING => tile.extend(std::iter::repeat_n(0.0, length)),
                    token => tile.extend_from_slice(&sample[token as usize * channels..][..length]),
                }
            }
        }
        tensor(tile, [count, self.width()])
    }
}

/// `source` `[batch, tokens, channels]` by the rows of `index`, times `weight` `[taps * channels, out]` -> `[batch, rows, out]`.
pub fn gather_product(source: Tensor<3>, index: &GatherIndex, weight: &Tensor<2>) -> Tensor<3> {
    let ([batch, tokens, channels], [_, output]) = (source.dims(), weight.dims());
    let source = contiguous(source);
    let gathered = Gathered { source: elements(&source), index, tokens, channels };
    let rows = (PRODUCT_TILE / gathered.width()).max(TILE_ROWS);
    let mut out = vec![0.0; batch * index.rows() * output];
    out.par_chunks_mut(rows * output).enumerate().for_each(|(tile, out)| {
        let product = gathered.tile(tile * rows, out.len() / output).matmul(weight.clone());
        out.copy_from_slice(elements(&contiguous(product)));
    });
    tensor(out, [batch, index.rows(), output])
}
