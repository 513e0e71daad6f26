//! Marks of a plot's axis: a few round numbers, however small the plot.

use eframe::egui::Rangef;
use egui_plot::{AxisHints, GridInput, GridMark};

/// Intervals between marks that a plot is divided into, about.
const INTERVALS: f64 = 4.0;

/// About four intervals of a round length.
pub(super) fn few(input: &GridInput) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let step_size = round_step((high - low) / INTERVALS);
    if !step_size.is_finite() || step_size <= 0.0 {
        return Vec::new();
    }
    let (first, last) = ((low / step_size).ceil() as i64, (high / step_size).floor() as i64);
    (first..=last).map(|mark| GridMark { value: mark as f64 * step_size, step_size }).collect()
}

/// The axis's numbers stand at every one of the marks.
pub(super) fn axis(hints: AxisHints<'_>) -> AxisHints<'_> {
    hints.label_spacing(Rangef::new(8.0, 14.0)).formatter(|mark, _| number(mark.value))
}

/// With as many decimals as it has, four at most.
fn number(value: f64) -> String {
    let is_whole = |shifted: f64| (shifted - shifted.round()).abs() < 1e-6;
    let decimals = (0..4).find(|&decimals| is_whole(value * 10.0_f64.powi(decimals)));
    format!("{value:.*}", decimals.unwrap_or(4) as usize)
}

/// The smallest of 1, 2, 2.5, 5, 10 times a power of ten that is not smaller than `length`.
fn round_step(length: f64) -> f64 {
    let decade = 10.0_f64.powf(length.log10().floor());
    let parts = [1.0, 2.0, 2.5, 5.0, 10.0];
    parts.into_iter().find(|part| part * decade >= length * (1.0 - 1e-9)).unwrap_or(10.0) * decade
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_few_and_round() {
        let marks = |bounds| few(&GridInput { bounds, base_step_size: 0.1 }).iter().map(|mark| mark.value).collect::<Vec<_>>();
        assert_eq!(marks((0.0, 1.0)), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(marks((-0.05, 1.05)), [0.0, 0.5, 1.0]);
        assert_eq!(marks((0.0, 412.0)), [0.0, 200.0, 400.0]);
        assert_eq!([0.0, 0.5, 0.75, 12.0, -0.1, 0.30000000000000004].map(number), ["0", "0.5", "0.75", "12", "-0.1", "0.3"]);
        assert!(marks((3.0, 3.0)).is_empty() && marks((0.0, f64::NAN)).is_empty());
        for span in [0.013, 0.7, 9.0, 3e5] {
            assert!((2..=6).contains(&marks((0.0, span)).len()), "{span}");
        }
    }
}
