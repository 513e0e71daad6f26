//! Products of gathered rows: the matrix of gathered rows exists one tile at a time.

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps as _;
use rayon::prelude::*;

use super::{HostTensor, contiguous, elements, tensor};
use crate::kernels::PADDING;
use crate::kernels::conv::GatherIndex;

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
    fn tile(&self, first: usize, count: usize) -> HostTensor {
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

/// See [`crate::kernels::conv::gather_product`].
pub fn gather_product(source: HostTensor, index: &GatherIndex, weight: HostTensor) -> HostTensor {
    let (source, weight) = (contiguous(source), contiguous(weight));
    let [batch, tokens, channels] = source.layout().shape().dims();
    let [_, output] = weight.layout().shape().dims();
    let gathered = Gathered { source: elements(&source), index, tokens, channels };
    let rows = (PRODUCT_TILE / gathered.width()).max(TILE_ROWS);
    let mut out = vec![0.0; batch * index.rows() * output];
    out.par_chunks_mut(rows * output).enumerate().for_each(|(tile, out)| {
        let product = Flex::float_matmul(gathered.tile(tile * rows, out.len() / output), weight.clone());
        out.copy_from_slice(elements(&product));
    });
    tensor(out, [batch, index.rows(), output])
}
