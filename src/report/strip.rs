//! Numbers of a table's row drawn on one scale: repeats as dots, a mean as a bar, an interval as a line beside zero.

use maud::{Markup, html};

use super::colours::variable;

/// Size on the page, in pixels.
const SIZE: (f64, f64) = (190.0, 18.0);
/// Room at either end, so that a dot at the end of the scale is whole.
const AIR: f64 = 6.0;
/// Of the scale's letters.
const LETTERS: f64 = 11.0;

/// A scale that all rows of a column share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// Covers all finite values; none where there is none.
    pub(super) fn covering(values: impl Iterator<Item = f64>) -> Option<Self> {
        let [low, high] = values
            .filter(|value| value.is_finite())
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)]);
        (low <= high).then_some(if low < high { Self { low, high } } else { Self { low: low - 0.5, high: high + 0.5 } })
    }

    fn x(&self, value: f64) -> f64 {
        AIR + (value - self.low) / (self.high - self.low) * (SIZE.0 - 2.0 * AIR)
    }

    /// The scale itself: its ends, and zero where it lies between them.
    pub(super) fn drawn(&self, word: fn(f64) -> String) -> Markup {
        let middle = (self.low < 0.0 && self.high > 0.0).then(|| self.x(0.0)).filter(|x| (45.0..SIZE.0 - 45.0).contains(x));
        let [width, height] = [SIZE.0, SIZE.1];
        html! {
            svg.strip viewBox={ "0 0 " (width) " " (height) } role="img" aria-label={ "scale from " (word(self.low)) " to " (word(self.high)) } {
                text x=(AIR) y=(LETTERS) font-size=(LETTERS) { (word(self.low)) }
                @if let Some(x) = middle { text x=(x) y=(LETTERS) font-size=(LETTERS) text-anchor="middle" { "0" } }
                text x=(width - AIR) y=(LETTERS) font-size=(LETTERS) text-anchor="end" { (word(self.high)) }
            }
        }
    }

    /// A mean as a bar, and each repeat as a dot, in the colour of a series.
    pub(super) fn dots(&self, mean: f64, repeats: &[f64], colour: usize) -> Markup {
        let [width, height] = [SIZE.0, SIZE.1];
        html! {
            svg.strip viewBox={ "0 0 " (width) " " (height) } style={ "color:" (variable(colour)) } aria-hidden="true" {
                path.rail d={ "M" (AIR) " " (height / 2.0) "H" (width - AIR) } {}
                path.mark d={ "M" (pixels(self.x(mean))) " 3V" (height - 3.0) } {}
                @for value in repeats { circle.dot cx=(pixels(self.x(*value))) cy=(height / 2.0) r="3.2" {} }
            }
        }
    }

    /// An interval around its mean, beside zero.
    pub(super) fn interval(&self, [low, mean, high]: [f64; 3], colour: usize) -> Markup {
        let [width, height] = [SIZE.0, SIZE.1];
        let middle = height / 2.0;
        html! {
            svg.strip viewBox={ "0 0 " (width) " " (height) } style={ "color:" (variable(colour)) } aria-hidden="true" {
                @if self.low <= 0.0 && self.high >= 0.0 { path.zero d={ "M" (pixels(self.x(0.0))) " 0V" (height) } {} }
                path.mark d={ "M" (pixels(self.x(low))) " " (middle) "H" (pixels(self.x(high))) } {}
                circle.dot.whole cx=(pixels(self.x(mean))) cy=(middle) r="4" {}
            }
        }
    }
}

fn pixels(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_covers_what_it_shows() {
        assert_eq!(Scale::covering([f64::NAN].into_iter()), None);
        let scale = Scale::covering([-1.0, 3.0, f64::NAN].into_iter()).unwrap();
        assert_eq!((scale.x(-1.0), scale.x(3.0)), (AIR, SIZE.0 - AIR));
        let drawn = scale.interval([-1.0, 1.0, 3.0], 2).into_string();
        assert!(drawn.contains("class=\"zero\" d=\"M50.5 0V18\"") && drawn.contains("cx=\"95.0\""), "{drawn}");
        assert_eq!(Scale::covering([0.5].into_iter()), Some(Scale { low: 0.0, high: 1.0 }));
    }
}
