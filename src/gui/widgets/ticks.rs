//! Numbers along an axis: a few round ones, in few letters.

use egui_plot::GridMark;

/// At most `most` intervals of a round length within `bounds`.
pub(in crate::gui) fn marks((low, high): (f64, f64), most: f64) -> Vec<GridMark> {
    let step_size = round_step((high - low) / most);
    if !step_size.is_finite() || step_size <= 0.0 {
        return Vec::new();
    }
    let (first, last) = ((low / step_size).ceil() as i64, (high / step_size).floor() as i64);
    (first..=last).map(|mark| GridMark { value: mark as f64 * step_size, step_size }).collect()
}

/// The same of decimal logarithms: 1, 2 and 5 of each decade, or whole decades where those would be too many.
pub(in crate::gui) fn log_marks((low, high): (f64, f64), most: f64) -> Vec<GridMark> {
    let decades = (low.floor() as i64)..=(high.ceil() as i64);
    let parts = decades.flat_map(|decade| [1.0_f64, 2.0, 5.0].map(|part| decade as f64 + part.log10()));
    let values: Vec<f64> = parts.filter(|value| (low..=high).contains(value)).collect();
    if values.len() as f64 > most + 2.0 || values.len() < 2 {
        return marks((low, high), most);
    }
    values.into_iter().map(|value| GridMark { value, step_size: 1.0 }).collect()
}

/// The smallest of 1, 2, 2.5, 5, 10 times a power of ten that is not smaller than `length`.
fn round_step(length: f64) -> f64 {
    let decade = 10.0_f64.powf(length.log10().floor());
    let parts = [1.0, 2.0, 2.5, 5.0, 10.0];
    parts.into_iter().find(|part| part * decade >= length * (1.0 - 1e-9)).unwrap_or(10.0) * decade
}

/// A number on an axis whose marks lie `step` apart: large numbers that hardly differ keep the decimals that tell them apart.
pub(in crate::gui) fn tick(value: f64, step: f64) -> String {
    if (100.0..1e5).contains(&value.abs()) && step < 1.0 {
        return format!("{value:.*}", (-step.log10()).ceil() as usize);
    }
    number(if value.abs() < step * 1e-6 { 0.0 } else { value })
}

/// A number in few letters: four decimals below 1, two below 100, a power of ten where it is tiny or huge.
pub(in crate::gui) fn number(value: f64) -> String {
    let size = value.abs();
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if size != 0.0 && !(1e-3..1e5).contains(&size) {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", trimmed(digits));
    }
    let decimals = match size {
        0.0 | 100.0.. => 0,
        1.0.. => 2,
        _ => 4,
    };
    trimmed(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_few_and_round() {
        let values = |bounds| marks(bounds, 4.0).iter().map(|mark| mark.value).collect::<Vec<_>>();
        assert_eq!(values((0.0, 1.0)), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(values((-0.05, 1.05)), [0.0, 0.5, 1.0]);
        assert_eq!(values((0.0, 412.0)), [0.0, 200.0, 400.0]);
        let logs = |bounds| log_marks(bounds, 5.0).iter().map(|mark| number(10f64.powf(mark.value))).collect::<Vec<_>>();
        assert_eq!(logs((-0.75, 0.1)), ["0.2", "0.5", "1"]);
        assert_eq!(logs((-4.0, 0.0)), ["1e-4", "0.001", "0.01", "0.1", "1"]);
        assert!(values((3.0, 3.0)).is_empty() && values((0.0, f64::NAN)).is_empty());
        for span in [0.013, 0.7, 9.0, 3e5] {
            assert!((2..=6).contains(&values((0.0, span)).len()), "{span}");
        }
    }

    #[test]
    fn numbers_are_short_and_neighbours_differ() {
        let numbers = [0.0, 0.1, 0.0123, 1.0, 2.5, 400.0, 250_000.0, 1e-4, 1.05e-4, -0.5, 0.30000000000000004];
        assert_eq!(numbers.map(number), ["0", "0.1", "0.0123", "1", "2.5", "400", "2.5e5", "1e-4", "1.05e-4", "-0.5", "0.3"]);
        assert_eq!([238.5, 239.0].map(|value| tick(value, 0.5)), ["238.5", "239.0"]);
        assert_eq!([100.0, 200.0, 1e-17].map(|value| tick(value, 100.0)), ["100", "200", "0"]);
    }
}
