//! Linear probes: can a token's position, its volume, or the labels in its block be read off it?

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis};

use super::ridge::{Standardise, Sums, column_means, r2};
use super::spectrum::rows;
use super::{LabelledTokens, ProbeTokens};

/// Penalty of the position and content probes, whose tokens are many: enough to keep rank-deficient tokens solvable.
const PENALTY: f64 = 1e-3;
/// Penalties that the label probe chooses from, on halves of the labelled volumes.
const PENALTIES: [f64; 7] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0];

/// R² of the grid coordinates of tokens of the odd volumes, read by a probe fitted on the even ones.
pub(super) fn position_r2(probe_set: &ProbeTokens) -> Option<f64> {
    let [_, height, width] = probe_set.positions;
    let coordinates = Array2::from_shape_fn((probe_set.len(), 3), |(token, axis)| {
        let position = probe_set.position(token);
        [position / (height * width), position / width % height, position % width][axis] as f64
    });
    let [fitted, tested] = split(probe_set.len(), |token| probe_set.volume(token).is_multiple_of(2))?;
    let predicted = predict(&rows(probe_set), &coordinates, &fitted, &tested);
    r2(&coordinates.select(Axis(0), &tested), &predicted)
}

/// How often the volume of a token is read off by a probe fitted on other crops of the same volumes; with one crop each, on the
/// other half of the positions, as on a checkerboard. Chance is 1 / volumes.
pub(super) fn content_accuracy(probe_set: &ProbeTokens) -> Option<f64> {
    let [_, height, width] = probe_set.positions;
    let fit = |token: usize| {
        let position = probe_set.position(token);
        let diagonal = position / (height * width) + position / width % height + position % width;
        let crop = token / probe_set.grid() % probe_set.crops;
        if probe_set.crops > 1 { crop.is_multiple_of(2) } else { diagonal.is_multiple_of(2) }
    };
    let [fitted, tested] = split(probe_set.len(), fit)?;
    let volumes = Array2::from_shape_fn((probe_set.len(), probe_set.volumes), |(token, volume)| {
        f64::from(u8::from(probe_set.volume(token) == volume))
    });
    let predicted = predict(&rows(probe_set), &volumes, &fitted, &tested);
    let right = predicted.outer_iter().zip(&tested).filter(|(scores, token)| {
        let best = scores.iter().enumerate().fold(
            (0, f64::NEG_INFINITY),
            |best, (volume, &score)| {
                if score > best.1 { (volume, score) } else { best }
            },
        );
        best.0 == probe_set.volume(**token)
    });
    Some(right.count() as f64 / tested.len() as f64)
}

/// Rows for fitting and rows for testing; `None` if either is empty.
fn split(count: usize, fit: impl Fn(usize) -> bool) -> Option<[Vec<usize>; 2]> {
    let (fitted, tested): (Vec<_>, Vec<_>) = (0..count).partition(|&token| fit(token));
    (!fitted.is_empty() && !tested.is_empty()).then_some([fitted, tested])
}

/// Targets of the `tested` rows as a probe fitted on the `fitted` rows sees them.
fn predict(x: &Array2<f64>, y: &Array2<f64>, fitted: &[usize], tested: &[usize]) -> Array2<f64> {
    let [x_fit, x_test] = [fitted, tested].map(|tokens| x.select(Axis(0), tokens));
    let y_fit = y.select(Axis(0), fitted);
    let (standardise, mean) = (Standardise::fit(&x_fit), column_means(&y_fit));
    let sums = Sums::of(&standardise.apply(&x_fit), &(&y_fit - &mean));
    standardise.apply(&x_test).dot(&sums.weights(PENALTY)) + &mean
}

/// R² of label shares on test volumes, by number of labelled volumes: from tokens, and from the position alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelProbe {
    /// From tokens.
    pub tokens: BTreeMap<usize, f64>,
    /// From the position in the crop alone: what tokens must beat.
    pub position: BTreeMap<usize, f64>,
}

/// Fits the label probe on the first n volumes of `train`, for every n of `sizes` that there are, and tests it on `test`.
///
/// The penalty is the one that predicts each half of the labelled volumes best from the other (with one volume: each half of
/// its tokens). R² is that of all labels together. Nothing is fitted to tokens that are not finite.
pub fn label_probe(train: &LabelledTokens, test: &LabelledTokens, sizes: &[usize]) -> LabelProbe {
    let (x, x_test) = (rows(&train.tokens), rows(&test.tokens));
    let (y, y_test) = (shares(train), shares(test));
    let mut probe = LabelProbe::default();
    if x.iter().chain(&x_test).any(|x| !x.is_finite()) {
        return probe;
    }
    for &size in sizes.iter().filter(|&&size| (1..=train.tokens.volumes).contains(&size)) {
        let count = size * train.tokens.crops * train.tokens.grid();
        let [x, y] = [&x, &y].map(|all| all.view().split_at(Axis(0), count).0.to_owned());
        let first_half = |token: usize| if size > 1 { train.tokens.volume(token).is_multiple_of(2) } else { token.is_multiple_of(2) };
        let mean = column_means(&y);
        let centred = y - &mean;
        let standardise = Standardise::fit(&x);
        if let Some(halves) = split(count, first_half) {
            let sums = halves.each_ref().map(|half| Sums::of(&standardise.apply(&x.select(Axis(0), half)), &centred.select(Axis(0), half)));
            let predicted = standardise.apply(&x_test).dot(&choose(&sums)) + &mean;
            probe.tokens.extend(r2(&y_test, &predicted).map(|r2| (size, r2)));

            let position = |token: usize| token % train.tokens.grid();
            let table = choose_table(&halves, &centred, train.tokens.grid(), position) + &mean;
            let positions: Vec<usize> = (0..test.tokens.len()).map(|token| test.tokens.position(token)).collect();
            let predicted = table.select(Axis(0), &positions);
            probe.position.extend(r2(&y_test, &predicted).map(|r2| (size, r2)));
        }
    }
    probe
}

fn shares(probe_set: &LabelledTokens) -> Array2<f64> {
    let view =
        ArrayView2::from_shape((probe_set.tokens.len(), probe_set.labels), &probe_set.shares).expect("a share for each token and label");
    view.mapv(f64::from)
}

/// Weights fitted on both halves, under the penalty that predicts each half best from the other.
fn choose(halves: &[Sums; 2]) -> Array2<f64> {
    let [first, second] = halves;
    let error = |penalty: f64| second.error(&first.weights(penalty)) + first.error(&second.weights(penalty));
    first.and(second).weights(best(error))
}

/// The same for a table of one mean for each position, shrunken by the penalty: ridge regression on indicators of the position.
fn choose_table(halves: &[Vec<usize>; 2], y: &Array2<f64>, grid: usize, position: impl Fn(usize) -> usize) -> Array2<f64> {
    let table = |tokens: &mut dyn Iterator<Item = usize>, penalty: f64| {
        let (mut sums, mut counts) = (Array2::zeros((grid, y.ncols())), vec![0.0; grid]);
        for token in tokens {
            let mut row = sums.row_mut(position(token));
            row += &y.row(token);
            counts[position(token)] += 1.0;
        }
        for (mut row, count) in sums.outer_iter_mut().zip(counts) {
            row /= f64::max(count, 1.0) * (1.0 + penalty);
        }
        sums
    };
    let error = |penalty: f64| {
        let [first, second] = halves;
        let missed = |fitted: &[usize], tested: &[usize]| -> f64 {
            let table = table(&mut fitted.iter().copied(), penalty);
            let row = |&token: &usize| (&y.row(token) - &table.row(position(token))).mapv(|error| error * error).sum();
            tested.iter().map(row).sum()
        };
        missed(first, second) + missed(second, first)
    };
    table(&mut halves.iter().flatten().copied(), best(error))
}

fn best(error: impl Fn(f64) -> f64) -> f64 {
    let errors = PENALTIES.map(|penalty| (penalty, error(penalty)));
    errors.into_iter().fold((PENALTIES[0], f64::INFINITY), |best, this| if this.1 < best.1 { this } else { best }).0
}
