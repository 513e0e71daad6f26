//! Loops of the host kernels that fill a vector register: numbers are taken side by side, without branch or call.

/// Numbers taken side by side.
pub(super) const LANES: usize = 16;

/// Sum of `part` over all cells.
pub(super) fn sum(cells: &[f32], part: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = cells.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (sum, &cell) in sums.iter_mut().zip(block) {
            *sum += part(cell);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&cell| part(cell)).sum::<f32>()
}

/// The largest cell; NaN is passed over.
pub(super) fn largest(cells: &[f32]) -> f32 {
    let (blocks, rest) = cells.as_chunks::<LANES>();
    let mut tops = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for (top, &cell) in tops.iter_mut().zip(block) {
            *top = if cell > *top { cell } else { *top };
        }
    }
    tops.iter().chain(rest).fold(f32::NEG_INFINITY, |top, &cell| top.max(cell))
}

/// `e^x` for `x <= 88`, to about 2 units in the last place; 0 below -87, NaN for NaN.
///
/// Cody-Waite reduction to `|r| <= ln 2 / 2`, then a polynomial with Cephes' coefficients.
pub(super) fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let inside = if x < -87.0 { -87.0 } else { x };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = inside - whole * LN_2_HIGH - whole * LN_2_LOW;
    let tail = 0.5 + r * (0.166_666_66 + r * (4.166_579_6e-2 + r * (8.333_452e-3 + r * (1.398_199_9e-3 + r * 1.987_569e-4))));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    let value = (1.0 + r + r * r * tail) * power;
    if x < -87.0 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_within_two_units_in_the_last_place() {
        let worst = (-87_000..=88_000).map(|thousandth| thousandth as f32 / 1000.0).fold(0.0_f64, |worst, x| {
            let exact = f64::from(x).exp();
            worst.max((f64::from(exp(x)) / exact - 1.0).abs())
        });
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
        assert_eq!(exp(-1e9), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn a_length_that_does_not_fill_the_lanes_loses_nothing() {
        let cells: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(sum(&cells, |cell| cell * 2.0), 37.0 * 36.0);
        assert_eq!(largest(&cells), 36.0);
    }
}
