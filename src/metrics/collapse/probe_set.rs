//! Tokens of a fixed set of crops, which the collapse metrics look at.

use rayon::prelude::*;

/// Tokens of held-out, un-augmented crops.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeTokens {
    /// Number of volumes.
    pub volumes: usize,
    /// Crops of each volume.
    pub crops: usize,
    /// Token grid of a crop along D,H,W.
    pub positions: [usize; 3],
    /// Numbers of a token.
    pub dim: usize,
    /// `[volumes, crops, positions, dim]` row-major. They need not be normalised.
    pub tokens: Vec<f32>,
}

/// Tokens with the share of each label in the block of voxels that a token stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledTokens {
    /// The tokens.
    pub tokens: ProbeTokens,
    /// Number of labels, background left out.
    pub labels: usize,
    /// `[volumes, crops, positions, labels]` row-major, each from 0 to 1.
    pub shares: Vec<f32>,
}

impl ProbeTokens {
    /// Crops of all volumes.
    pub fn samples(&self) -> usize {
        self.volumes * self.crops
    }

    /// Tokens of one crop.
    pub fn grid(&self) -> usize {
        self.positions.iter().product()
    }

    /// Tokens of all crops.
    pub fn len(&self) -> usize {
        self.samples() * self.grid()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The volume of a token.
    pub(super) fn volume(&self, token: usize) -> usize {
        token / (self.crops * self.grid())
    }

    /// The grid position of a token.
    pub(super) fn position(&self, token: usize) -> usize {
        token % self.grid()
    }

    /// The probe set with tokens of length 1; a token of zeros stays so.
    pub(super) fn normalised(&self) -> Self {
        let mut probe_set = self.clone();
        probe_set.tokens.par_chunks_mut(self.dim).for_each(|token| {
            let norm = token.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            if norm > 0.0 {
                token.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
            }
        });
        probe_set
    }

    /// The probe set with each crop's tokens in reverse order: what undoes a point reflection of the volume.
    pub(super) fn reversed(&self) -> Self {
        let mut probe_set = self.clone();
        probe_set.tokens.par_chunks_mut(self.dim * self.grid()).zip(self.tokens.par_chunks(self.dim * self.grid())).for_each(
            |(to, from)| {
                to.chunks_mut(self.dim).zip(from.rchunks(self.dim)).for_each(|(to, from)| to.copy_from_slice(from));
            },
        );
        probe_set
    }

    /// Sums of the tokens by `group`, `[groups, dim]`.
    pub(super) fn sums(&self, groups: usize, group: impl Fn(usize) -> usize) -> Vec<f64> {
        let mut sums = vec![0.0; groups * self.dim];
        for (token, values) in self.tokens.chunks_exact(self.dim).enumerate() {
            let start = group(token) * self.dim;
            sums[start..start + self.dim].iter_mut().zip(values).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        sums
    }
}
