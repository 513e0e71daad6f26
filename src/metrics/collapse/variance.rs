//! How much of the tokens' variance is position, how much is volume, and what a token holds on to when its volume is rotated.

use super::ProbeTokens;

/// Squared distance from the mean, of tokens of length 1, below which tokens count as equal: far above the rounding of float32
/// (1e-14), far below anything that an encoder distinguishes.
pub(super) const EQUAL: f64 = 1e-12;

/// Two-way analysis of variance of tokens by position and crop; the three sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shares {
    pub position: f64,
    pub volume: f64,
    pub remainder: f64,
}

/// The shares of a probe_set's variance; `None` where there is none. For tokens without any structure the expectation of `position`
/// is `(P - 1) / (nP - 1)`, about `1 / n` for n crops of P positions.
pub(super) fn shares(probe_set: &ProbeTokens) -> Option<Shares> {
    let (samples, grid) = (probe_set.samples(), probe_set.grid());
    let mean = grand_mean(&[probe_set]);
    let deviation = |token: &[f32]| token.iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2)).sum::<f64>();
    let total: f64 = probe_set.tokens.chunks_exact(probe_set.dim).map(deviation).sum();
    if probe_set.is_empty() || total <= EQUAL * probe_set.len() as f64 {
        return None;
    }
    let between = |sums: Vec<f64>, size: usize| -> f64 {
        let deviation = |sums: &[f64]| sums.iter().zip(&mean).map(|(sum, mean)| (sum / size as f64 - mean).powi(2)).sum::<f64>();
        sums.chunks_exact(probe_set.dim).map(deviation).sum::<f64>() * size as f64 / total
    };
    let position = between(probe_set.sums(grid, |token| token % grid), samples);
    let volume = between(probe_set.sums(samples, |token| token / grid), grid);
    Some(Shares { position, volume, remainder: 1.0 - position - volume })
}

/// Mean cosine of tokens of different volumes at the same position, minus that at other positions. Tokens have length 1.
///
/// A mean over pairs is the square of a sum less what should not be paired, so no pair is ever formed.
pub(super) fn gap(probe_set: &ProbeTokens) -> Option<f64> {
    let (volumes, crops, grid) = (probe_set.volumes, probe_set.crops, probe_set.grid());
    if volumes < 2 || grid < 2 || crops == 0 {
        return None;
    }
    let square = |sums: Vec<f64>| sums.iter().map(|sum| sum * sum).sum::<f64>();
    let same_position = square(probe_set.sums(grid, |token| probe_set.position(token)))
        - square(probe_set.sums(volumes * grid, |token| probe_set.volume(token) * grid + probe_set.position(token)));
    let any_position = square(probe_set.sums(1, |_| 0)) - square(probe_set.sums(volumes, |token| probe_set.volume(token)));
    let pairs = (volumes * (volumes - 1) * crops * crops) as f64;
    let same = same_position / (pairs * grid as f64);
    let other = (any_position - same_position) / (pairs * (grid * (grid - 1)) as f64);
    Some(same - other)
}

/// Mean cosine of the tokens of two probe_sets, token by token, after their common mean is taken off.
///
/// Tokens that are that mean have no direction and are left out; `None` if all are.
pub(super) fn lock(probe_set: &ProbeTokens, other: &ProbeTokens) -> Option<f64> {
    let mean = grand_mean(&[probe_set, other]);
    let pairs = probe_set.tokens.chunks_exact(probe_set.dim).zip(other.tokens.chunks_exact(probe_set.dim));
    let cosines = pairs.filter_map(|(a, b)| {
        let (mut dot, mut length_a, mut length_b) = (0.0, 0.0, 0.0);
        for ((&a, &b), mean) in a.iter().zip(b).zip(&mean) {
            let (a, b) = (f64::from(a) - mean, f64::from(b) - mean);
            (dot, length_a, length_b) = (dot + a * b, length_a + a * a, length_b + b * b);
        }
        (length_a > EQUAL && length_b > EQUAL).then(|| dot / (length_a * length_b).sqrt())
    });
    crate::metrics::mean(cosines)
}

/// Mean squared distance of the tokens of two probe_sets, token by token.
pub(super) fn alignment(probe_set: &ProbeTokens, other: &ProbeTokens) -> Option<f64> {
    let squared: f64 = probe_set.tokens.iter().zip(&other.tokens).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    (!probe_set.is_empty()).then(|| squared / probe_set.len() as f64)
}

fn grand_mean(probe_sets: &[&ProbeTokens]) -> Vec<f64> {
    let count: usize = probe_sets.iter().map(|probe_set| probe_set.len()).sum();
    let mut mean = vec![0.0; probe_sets[0].dim];
    for probe_set in probe_sets {
        mean.iter_mut().zip(probe_set.sums(1, |_| 0)).for_each(|(mean, sum)| *mean += sum / count as f64);
    }
    mean
}
