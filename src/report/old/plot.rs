//! Line plots as SVG text that takes on the page's colours.

use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use super::palette::{GRID, INK, Tone};

/// plotters rounds to whole pixels: a plot is drawn this much larger, and scaled down by the page.
const FINE: u32 = 4;
/// Size on a page 1000 px wide.
const SIZE: (u32, u32) = (470, 270);
/// Size of letters on such a page.
const LETTERS: u32 = 13;
/// Points kept of a long line: more are not seen.
const MOST_POINTS: usize = 400;
/// Room before the first and behind the last level of an axis.
const LEVEL_AIR: f64 = 0.4;
/// A smoothed value is the mean over this share of the line.
const SMOOTH_SHARE: f64 = 1.0 / 30.0;

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    /// What is to be read.
    Bold,
    /// The noise behind it.
    Faint,
    /// A reference.
    Dashed,
    /// Few values, each to be read: dots on a line.
    Marked,
    /// Values without an order: dots alone.
    Dots,
    /// A reach around a value.
    Thin,
}

/// A line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// x and y; points that are not finite are left out.
    pub(super) points: Vec<(f64, f64)>,
    /// Its colour.
    pub(super) tone: Tone,
    /// How it is drawn.
    pub(super) stroke: Stroke,
}

/// Lines over two named axes.
#[derive(Clone, Debug, Default)]
pub(super) struct Plot {
    /// What it shows.
    pub(super) title: String,
    /// Name and unit of the x axis.
    pub(super) x: String,
    /// Names of the places 0, 1, 2 ... of the x axis, where it counts none.
    pub(super) levels: Vec<String>,
    /// Name and unit of the y axis.
    pub(super) y: String,
    /// The lines.
    pub(super) lines: Vec<Line>,
    /// Values that the y axis covers in any case.
    pub(super) covers: Option<(f64, f64)>,
    /// Whether the y axis counts powers of ten.
    pub(super) log: bool,
}

impl Line {
    /// A noisy series: itself, faint, and its running mean.
    pub(super) fn noisy(points: &[(f64, f64)], tone: Tone) -> [Self; 2] {
        let finite: Vec<_> = points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        let line = |points, stroke| Self { points, tone, stroke };
        [line(envelope(&finite, MOST_POINTS), Stroke::Faint), line(smoothed(&finite, MOST_POINTS), Stroke::Bold)]
    }
}

/// The least and the greatest point of each stretch, about `most` in all, so that thinning a line hides no peak.
pub(crate) fn envelope(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let stretch = points.len().div_ceil(most / 2).max(1);
    let ends = |chunk: &[(f64, f64)]| {
        let by_y = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let mut ends: Vec<_> = chunk.iter().min_by(by_y).into_iter().chain(chunk.iter().max_by(by_y)).copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup();
        ends
    };
    points.chunks(stretch).flat_map(ends).collect()
}

/// The centred running mean over a thirtieth of the line, in at most about `most` points.
pub(crate) fn smoothed(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let reach = (points.len() as f64 * SMOOTH_SHARE / 2.0) as usize;
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(points.iter().scan(0.0, |sum, point| {
            *sum += point.1;
            Some(*sum)
        }))
        .collect();
    let stride = points.len().div_ceil(most).max(1);
    let mean = |index: usize| {
        let (from, to) = (index.saturating_sub(reach), (index + reach + 1).min(points.len()));
        (points[index].0, (sums[to] - sums[from]) / (to - from) as f64)
    };
    let last = points.len().checked_sub(1);
    (0..points.len()).filter(|&index| index % stride == 0 || Some(index) == last).map(mean).collect()
}

impl Plot {
    /// The plot as a figure; a sentence where there is nothing to draw.
    pub(super) fn figure(&self) -> Markup {
        let lines = self.drawable();
        html! {
            figure.plot {
                figcaption { (self.title) }
                @match extent(lines.iter().flat_map(|line| line.points.iter().copied())) {
                    None => p.absent { "No finite value was recorded." }
                    Some(extent) => (PreEscaped(self.svg(&lines, extent)))
                }
            }
        }
    }

    /// The lines with their finite points, in the axis's own scale.
    fn drawable(&self) -> Vec<Line> {
        let scaled = |&(x, y): &(f64, f64)| if self.log { (x, y.log10()) } else { (x, y) };
        let keep = |line: &Line| Line {
            points: line.points.iter().map(scaled).filter(|(x, y)| x.is_finite() && y.is_finite()).collect(),
            ..line.clone()
        };
        self.lines.iter().map(keep).filter(|line| !line.points.is_empty()).collect()
    }

    fn svg(&self, lines: &[Line], (x, y): (Range<f64>, Range<f64>)) -> String {
        let x = if self.levels.is_empty() { x } else { -LEVEL_AIR..self.levels.len() as f64 - 1.0 + LEVEL_AIR };
        let (low, high) = self.covers.unwrap_or((y.start, y.end));
        let y = padded(y.start.min(low)..y.end.max(high));
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, (SIZE.0 * FINE, SIZE.1 * FINE)).into_drawing_area();
        self.draw(&area, lines, (x, y)).expect("drawing into memory cannot fail");
        drop(area);
        let name = maud::html! { (self.title) }.into_string();
        text[text.find("<svg").unwrap_or(0)..].replacen("<svg", &format!("<svg role=\"img\" aria-label=\"{name}\""), 1)
    }

    /// What stands below a place of the x axis: a level's name, or the number.
    fn x_tick(&self, value: f64) -> String {
        if self.levels.is_empty() {
            return tick(value, 4);
        }
        let nearest = value.round();
        let level = (nearest >= 0.0 && (value - nearest).abs() < 1e-6).then(|| self.levels.get(nearest as usize)).flatten();
        level.cloned().unwrap_or_default()
    }

    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
        lines: &[Line],
        (x, y): (Range<f64>, Range<f64>),
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let letters = ("sans-serif", LETTERS * FINE).into_font().color(&colour(INK));
        let mut chart = ChartBuilder::on(area)
            .margin(6 * FINE)
            .margin_right(16 * FINE)
            .x_label_area_size(38 * FINE)
            .y_label_area_size(58 * FINE)
            .build_cartesian_2d(x, y)?;
        let y_tick = |value: &f64| if self.log { tick(10_f64.powf(*value), 2) } else { tick(*value, 4) };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .bold_line_style(colour(GRID).stroke_width(FINE))
            .axis_style(colour(INK).stroke_width(FINE))
            .label_style(letters.clone())
            .axis_desc_style(letters)
            .x_labels(if self.levels.is_empty() { 6 } else { self.levels.len() })
            .y_labels(5)
            .x_label_formatter(&|value| self.x_tick(*value))
            .y_label_formatter(&y_tick)
            .x_desc(&self.x)
            .y_desc(&self.y)
            .draw()?;
        for line in lines {
            let points = line.points.iter().copied();
            match line.stroke {
                Stroke::Faint => chart.draw_series(LineSeries::new(points, colour(line.tone).mix(0.3).stroke_width(FINE)))?,
                Stroke::Bold if line.points.len() == 1 => {
                    chart.draw_series(points.map(|point| Circle::new(point, 3 * FINE, colour(line.tone).filled())))?
                }
                Stroke::Bold => chart.draw_series(LineSeries::new(points, colour(line.tone).stroke_width(2 * FINE)))?,
                Stroke::Thin => chart.draw_series(LineSeries::new(points, colour(line.tone).mix(0.7).stroke_width(FINE)))?,
                Stroke::Dots | Stroke::Marked => {
                    if line.stroke == Stroke::Marked {
                        chart.draw_series(LineSeries::new(points.clone(), colour(line.tone).stroke_width(2 * FINE)))?;
                    }
                    chart.draw_series(points.map(|point| Circle::new(point, 4 * FINE, colour(line.tone).filled())))?
                }
                Stroke::Dashed => {
                    let style = colour(line.tone).stroke_width(3 * FINE / 2);
                    chart.draw_series(DashedLineSeries::new(points, 6 * FINE, 5 * FINE, style))?
                }
            };
        }
        area.present()
    }
}

fn colour(tone: Tone) -> RGBColor {
    let [_, red, green, blue] = tone.light.to_be_bytes();
    RGBColor(red, green, blue)
}

/// The box around all points; None without any.
fn extent(points: impl Iterator<Item = (f64, f64)>) -> Option<(Range<f64>, Range<f64>)> {
    points
        .fold(None, |extent, (x, y)| {
            let (xs, ys) = extent.unwrap_or((x..x, y..y));
            Some((xs.start.min(x)..xs.end.max(x), ys.start.min(y)..ys.end.max(y)))
        })
        .map(|(x, y)| (if x.start < x.end { x } else { x.start - 0.5..x.start + 0.5 }, y))
}

/// A little air above and below.
fn padded(range: Range<f64>) -> Range<f64> {
    let span = range.end - range.start;
    let air = if span > 0.0 { 0.05 * span } else { range.start.abs().max(1e-6) * 0.1 };
    range.start - air..range.end + air
}

/// A value beside an axis, with so many significant digits at most.
fn tick(value: f64, digits: i32) -> String {
    let size = value.abs();
    if size < 1e-12 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.1e}");
        return text.replace(".0e", "e");
    }
    let decimals = (digits - 1 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short() {
        let cases = [(0.0, "0"), (0.25, "0.25"), (300.0, "300"), (12345.0, "12345"), (1e-4, "1e-4"), (-0.1, "-0.1"), (2.5e7, "2.5e7")];
        for (value, text) in cases {
            assert_eq!(tick(value, 4), text);
        }
    }

    #[test]
    fn levels_stand_below_their_places() {
        let levels = ["1 %", "<5 %>", "all"].map(str::to_owned).to_vec();
        let line = Line { points: vec![(0.0, 0.7), (1.0, 0.8), (2.0, 0.9)], tone: INK, stroke: Stroke::Marked };
        let plot = Plot { levels: levels.clone(), lines: vec![line], ..Plot::default() };
        let page = plot.figure().into_string();
        for level in ["1 %", "&lt;5 %&gt;", "all"] {
            assert!(page.contains(level), "{level}: {page}");
        }
        assert_eq!(page.matches("<circle").count(), 3);
        assert_eq!((plot.x_tick(0.5), plot.x_tick(-1.0), plot.x_tick(3.0)), Default::default());
    }

    #[test]
    fn thinning_keeps_peaks_and_smoothing_keeps_a_straight_line() {
        let mut points: Vec<_> = (0..10_000).map(|x| (f64::from(x), f64::from(x))).collect();
        let within = |x: f64| (200.0..9800.0).contains(&x);
        assert!(smoothed(&points, MOST_POINTS).iter().all(|&(x, y)| !within(x) || (x - y).abs() < 1e-6));
        assert_eq!(smoothed(&points, MOST_POINTS).last().map(|point| point.0), Some(9999.0));
        points[4321].1 = 1e9;
        let thin = envelope(&points, MOST_POINTS);
        assert!(thin.len() <= MOST_POINTS && thin.contains(&(4321.0, 1e9)));
    }

    #[test]
    fn a_plot_without_a_finite_value_says_so() {
        let line = Line { points: vec![(1.0, f64::NAN)], tone: INK, stroke: Stroke::Bold };
        let plot = Plot { title: "loss <raw>".into(), lines: vec![line], ..Plot::default() };
        let text = plot.figure().into_string();
        assert!(text.contains("No finite value") && !text.contains("<svg") && text.contains("&lt;raw&gt;"));
    }
}
