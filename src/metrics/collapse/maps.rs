//! What is seen of tokens: how alike positions are across volumes, and the plane in which tokens spread most. Plain numbers.

use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Positions of the heat map: more than pixels, and a product that takes long.
const MOST_POSITIONS: usize = 512;
/// Rounds of power iteration; what has not settled by then differs in nothing that is seen.
const ROUNDS: usize = 200;

/// Maps of the tokens of a few volumes.
#[derive(Clone, Debug)]
pub struct TokenMaps {
    /// Token positions that the heat map shows, by their number in the grid.
    pub positions: Vec<usize>,
    /// Mean cosine of a token at the row's position and one at the column's position in another volume, `[positions, positions]`.
    pub similarity: Vec<f32>,
    /// Where each token lies in the plane in which tokens spread most, `[volume, token]`.
    pub plane: Vec<[f64; 2]>,
    /// Share of the tokens' variance along each direction of the plane.
    pub explained: [f64; 2],
    /// Tokens of length 1, `[volume * token, dim]`.
    unit: Array2<f32>,
    /// Tokens of one volume.
    pub tokens: usize,
}

impl TokenMaps {
    /// Maps of tokens `values` `[volume * token, dim]`, with so many `tokens` to a volume.
    ///
    /// # Errors
    /// Why there are none: tokens that are missing, or no finite numbers.
    pub fn of(values: &[f32], tokens: usize, dim: usize) -> Result<Self, &'static str> {
        if values.is_empty() || tokens == 0 || dim == 0 || !values.len().is_multiple_of(tokens * dim) {
            return Err("the tokens are incomplete");
        }
        let rows = ArrayView2::from_shape((values.len() / dim, dim), values).map_err(|_| "the tokens are incomplete")?;
        if rows.iter().any(|value| !value.is_finite()) {
            return Err("some tokens are not finite numbers");
        }
        let mut unit = rows.to_owned();
        for mut row in unit.outer_iter_mut() {
            let length = row.dot(&row).sqrt();
            if length > 0.0 {
                row /= length;
            }
        }
        let (positions, similarity) = similarity(&unit, tokens);
        let (plane, explained) = plane(&unit);
        Ok(Self { positions, similarity, plane, explained, unit, tokens })
    }

    /// Cosine of one token and all of a volume.
    pub fn likeness(&self, (volume, token): (usize, usize), to: usize) -> Vec<f32> {
        let anchor = self.unit.row(volume * self.tokens + token);
        let all = self.unit.slice_axis(Axis(0), (to * self.tokens..(to + 1) * self.tokens).into());
        all.dot(&anchor).to_vec()
    }

    /// Lowest and highest mean cosine of the heat map.
    pub fn range(&self) -> [f32; 2] {
        let extreme = |pick: fn(f32, f32) -> f32, start| self.similarity.iter().copied().fold(start, pick);
        [extreme(f32::min, f32::INFINITY), extreme(f32::max, f32::NEG_INFINITY)]
    }
}

/// Mean cosine by pairs of positions, over all pairs of different volumes. The mean over pairs is a product of sums less the products
/// within volumes, so that no pair is ever formed.
fn similarity(unit: &Array2<f32>, tokens: usize) -> (Vec<usize>, Vec<f32>) {
    let volumes = unit.nrows() / tokens;
    let shown = tokens.min(MOST_POSITIONS);
    let positions: Vec<usize> = (0..shown).map(|row| row * tokens / shown).collect();
    let of_volume = |volume: usize| {
        let rows: Vec<usize> = positions.iter().map(|position| volume * tokens + position).collect();
        unit.select(Axis(0), &rows)
    };
    let mut sums = Array2::<f32>::zeros((shown, unit.ncols()));
    let mut within = Array2::<f32>::zeros((shown, shown));
    for volume in 0..volumes {
        let own = of_volume(volume);
        sums += &own;
        within += &own.dot(&own.t());
    }
    let pairs = (volumes * (volumes - 1)).max(1) as f32;
    let mean = (sums.dot(&sums.t()) - within) / pairs;
    (positions, mean.into_iter().collect())
}

/// Every token in the plane of the two first principal components, and the share of variance along each.
fn plane(unit: &Array2<f32>) -> (Vec<[f64; 2]>, [f64; 2]) {
    let mean = unit.mean_axis(Axis(0)).expect("there are tokens");
    let centred = unit - &mean;
    let total = f64::from(centred.iter().map(|x| x * x).sum::<f32>());
    let mut found: Vec<Array1<f32>> = Vec::new();
    let mut explained = [0.0; 2];
    for share in &mut explained {
        let direction = direction(&centred, &found);
        let along = centred.dot(&direction);
        *share = if total > 0.0 { f64::from(along.dot(&along)) / total } else { 0.0 };
        found.push(direction);
    }
    let along: Vec<Array1<f32>> = found.iter().map(|direction| centred.dot(direction)).collect();
    let points = (0..unit.nrows()).map(|token| [0, 1].map(|axis: usize| f64::from(along[axis][token])));
    (points.collect(), explained)
}

/// The direction of the most variance at right angles to those `found`, by power iteration; its largest entry is positive, so that
/// a map does not flip from one measurement to the next.
fn direction(centred: &Array2<f32>, found: &[Array1<f32>]) -> Array1<f32> {
    let dim = centred.ncols();
    // Any start that no direction is at right angles to.
    let mut direction = Array1::from_shape_fn(dim, |index| 1.0 + 0.37 * (index as f32 * 1.618).sin());
    for _ in 0..ROUNDS {
        let mut next = centred.t().dot(&centred.dot(&direction));
        for other in found {
            let along = next.dot(other);
            next.scaled_add(-along, other);
        }
        let length = next.dot(&next).sqrt();
        if length <= f32::MIN_POSITIVE {
            break;
        }
        next /= length;
        let moved = 1.0 - next.dot(&direction).abs();
        direction = next;
        if moved.abs() < 1e-7 {
            break;
        }
    }
    let length = direction.dot(&direction).sqrt();
    let largest = direction.iter().copied().fold(0.0_f32, |best, x| if x.abs() > best.abs() { x } else { best });
    direction / (length * largest.signum())
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;
    use crate::random::stream;

    const VOLUMES: usize = 4;
    const TOKENS: usize = 64;
    const DIM: usize = 16;

    /// Tokens that are a function of their position to the share `position`, of their volume and chance otherwise.
    fn synthetic(position: f32) -> Vec<f32> {
        let draw = |purpose: &str, key: usize| {
            let mut draws = stream(5, purpose, key as u64, 0);
            // Unequal directions, so that there is a first and a second.
            (0..DIM).map(|dim| draws.random_range(-1.0..1.0) * 0.7_f32.powi(dim as i32)).collect::<Vec<f32>>()
        };
        let token = |volume: usize, token: usize| {
            let (common, own) = (draw("place", token), draw("own", volume * TOKENS + token));
            common.into_iter().zip(own).map(move |(common, own)| position * common + (1.0 - position) * own).collect::<Vec<_>>()
        };
        (0..VOLUMES).flat_map(|volume| (0..TOKENS).flat_map(move |position| token(volume, position))).collect()
    }

    fn maps(position: f32) -> TokenMaps {
        TokenMaps::of(&synthetic(position), TOKENS, DIM).unwrap()
    }

    #[test]
    fn a_collapsed_encoder_has_a_bright_diagonal_and_a_healthy_one_does_not() {
        let diagonal = |position| {
            let maps = maps(position);
            let count = maps.positions.len();
            let mean = |on_diagonal: bool| {
                let cells = maps.similarity.iter().enumerate().filter(|(cell, _)| (cell / count == cell % count) == on_diagonal);
                let values: Vec<f32> = cells.map(|(_, value)| *value).collect();
                values.iter().sum::<f32>() / values.len() as f32
            };
            mean(true) - mean(false)
        };
        assert!(diagonal(0.95) > 0.9, "{}", diagonal(0.95));
        assert!(diagonal(0.1) < 0.1, "{}", diagonal(0.1));
    }

    #[test]
    fn similarity_is_the_mean_over_pairs_of_different_volumes() {
        let maps = maps(0.5);
        for (row, column) in [(0, 0), (3, 3), (5, 60), (60, 5)] {
            let pairs = (0..VOLUMES).flat_map(|a| (0..VOLUMES).map(move |b| (a, b))).filter(|(a, b)| a != b);
            let cosines: Vec<f32> = pairs.map(|(a, b)| maps.likeness((a, maps.positions[row]), b)[maps.positions[column]]).collect();
            let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
            assert!((maps.similarity[row * maps.positions.len() + column] - mean).abs() < 1e-5);
        }
    }

    #[test]
    fn the_plane_is_that_of_the_singular_vectors() {
        let maps = maps(0.7);
        let mean = maps.unit.mean_axis(Axis(0)).unwrap();
        let centred = (&maps.unit - &mean).mapv(f64::from);
        let matrix = nalgebra::DMatrix::from_iterator(centred.ncols(), centred.nrows(), centred.iter().copied());
        let values = matrix.singular_values();
        let total: f64 = values.iter().map(|value| value * value).sum();
        for axis in 0..2 {
            assert!((maps.explained[axis] - values[axis].powi(2) / total).abs() < 1e-3, "{:?} {values}", maps.explained);
        }
        let sum = |term: fn(&[f64; 2]) -> f64| maps.plane.iter().map(term).sum::<f64>();
        let cosine = sum(|[x, y]| x * y) / (sum(|[x, _]| x * x) * sum(|[_, y]| y * y)).sqrt();
        assert!(cosine.abs() < 2e-3, "the two directions are at right angles: {cosine}");
    }

    #[test]
    fn tokens_that_cannot_be_mapped_are_refused_with_the_reason() {
        let mut values = synthetic(0.5);
        assert!(TokenMaps::of(&values[1..], TOKENS, DIM).unwrap_err().contains("incomplete"));
        values[7] = f32::NAN;
        assert!(TokenMaps::of(&values, TOKENS, DIM).unwrap_err().contains("finite"));
    }
}
