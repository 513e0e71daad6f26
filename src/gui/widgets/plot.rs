//! The plot: a title that explains itself on hover, a legend, round ticks, linear, logarithmic or named axes, a menu that saves it.

use std::borrow::Cow;

use eframe::egui::{Align2, Color32, Id, Rangef, Rect, RichText, Sense, Stroke, Ui, vec2};
use egui_plot::{
    AxisHints, FilledArea, HLine, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoint, PlotPoints, PlotResponse, PlotUi, Points,
    Span, Text, VLine,
};

use super::axis::{Axis, Scale};
use super::{card, save, table};
use crate::gui::Palette;

/// Points between two lines of the grid: below the first they fade away.
const GRID_SPACING: [f32; 2] = [8.0, 16.0];
/// Intervals between ticks at most: numbers beside one another need more room than numbers below one another.
const TICKS: [f64; 2] = [4.0, 5.0];
/// Room above and below a line that does not move, as a share of its value.
const FLAT_ROOM: f64 = 0.1;
/// Opacity of a faint line, of the area between two lines, and of a band.
const FAINT: f32 = 0.2;
const BAND: f32 = 0.13;

/// How a series is drawn.
#[derive(Clone, Debug)]
pub(in crate::gui) enum SeriesKind<'a> {
    /// A line; one point alone is a dot.
    Line(LineStyle),
    /// A thin, pale line behind the others, without a name of its own.
    Faint,
    /// Marks of a shape and radius.
    Marks(MarkerShape, f32),
    /// Circles of a radius around points.
    Rings(f32),
    /// Small dots behind the others.
    Dots,
    /// The area up to these points, above each of the series' own.
    Area(Cow<'a, [PlotPoint]>),
    /// A vertical line from each point to that above it.
    Bars(Cow<'a, [PlotPoint]>),
}

/// A line, or marks, of a plot.
#[derive(Clone, Debug)]
pub(in crate::gui) struct Series<'a> {
    /// Its name on hover and in CSV.
    pub(in crate::gui) name: Cow<'a, str>,
    pub(in crate::gui) colour: Color32,
    pub(in crate::gui) points: Cow<'a, [PlotPoint]>,
    pub(in crate::gui) kind: SeriesKind<'a>,
}

impl<'a> Series<'a> {
    /// A solid line through points that are kept elsewhere.
    pub(in crate::gui) fn line(name: impl Into<Cow<'a, str>>, colour: Color32, points: &'a [PlotPoint]) -> Self {
        Self { name: name.into(), colour, points: Cow::Borrowed(points), kind: SeriesKind::Line(LineStyle::Solid) }
    }

    /// Drawn in another way.
    pub(in crate::gui) fn kind(self, kind: SeriesKind<'a>) -> Self {
        Self { kind, ..self }
    }

    fn points(&self) -> PlotPoints<'_> {
        PlotPoints::Borrowed(&self.points)
    }

    fn draw<'s>(&'s self, plot: &mut PlotUi<'s>) {
        let marks = |shape, radius| Points::new(self.name.as_ref(), self.points()).shape(shape).radius(radius);
        let line = || Line::new(self.name.as_ref(), self.points());
        match &self.kind {
            SeriesKind::Line(style) => {
                if self.points.len() == 1 {
                    plot.points(marks(MarkerShape::Circle, 4.0).color(self.colour));
                }
                plot.line(line().color(self.colour).width(2.0).style(*style));
            }
            SeriesKind::Faint => {
                let line = Line::new("", self.points()).color(self.colour.gamma_multiply(FAINT)).width(1.0);
                plot.line(line.allow_hover(false).allow_band(false).id(("faint", &self.name)));
            }
            SeriesKind::Marks(shape, radius) => plot.points(marks(*shape, *radius).color(self.colour)),
            SeriesKind::Rings(radius) => {
                plot.points(marks(MarkerShape::Circle, *radius).filled(false).color(self.colour).allow_hover(false));
            }
            SeriesKind::Dots => {
                plot.points(marks(MarkerShape::Circle, 1.6).color(self.colour.gamma_multiply(0.7)).allow_hover(false));
            }
            SeriesKind::Area(upper) if self.points.len() > 1 => {
                let column = |points: &[PlotPoint], value: fn(&PlotPoint) -> f64| points.iter().map(value).collect::<Vec<_>>();
                let (xs, low, high) =
                    (column(&self.points, |point| point.x), column(&self.points, |point| point.y), column(upper, |point| point.y));
                let area = FilledArea::new(self.name.as_ref(), &xs, &low, &high).fill_color(self.colour.gamma_multiply(FAINT));
                plot.add(area.allow_hover(false));
            }
            SeriesKind::Area(_) => {}
            SeriesKind::Bars(upper) => {
                for (low, high) in self.points.iter().zip(upper.iter()) {
                    let ends = PlotPoints::from(vec![[low.x, low.y], [high.x, high.y]]);
                    plot.line(Line::new("", ends).color(self.colour.gamma_multiply(0.7)).width(1.2).allow_hover(false));
                }
            }
        }
    }
}

/// A plot, ready to be drawn.
pub(in crate::gui) struct Chart<'a> {
    title: Cow<'a, str>,
    meaning: Cow<'a, str>,
    height: f32,
    axes: [Axis; 2],
    series: Vec<Series<'a>>,
    /// Name, value, colour, style; vertical where `true`.
    references: Vec<(&'a str, f64, Color32, LineStyle, bool)>,
    /// Name, range of y, colour.
    bands: Vec<(String, std::ops::RangeInclusive<f64>, Color32)>,
    linked: Option<Id>,
    aspect: Option<f32>,
}

impl<'a> Chart<'a> {
    /// A plot of `height` points below its title, which `meaning` explains on hover. The title is unique in its panel.
    pub(in crate::gui) fn new(title: impl Into<Cow<'a, str>>, meaning: impl Into<Cow<'a, str>>, height: f32, axes: [Axis; 2]) -> Self {
        let (title, meaning) = (title.into(), meaning.into());
        Self { title, meaning, height, axes, series: Vec::new(), references: Vec::new(), bands: Vec::new(), linked: None, aspect: None }
    }

    /// Adds a series; later ones are drawn over earlier ones.
    pub(in crate::gui) fn series(mut self, series: impl IntoIterator<Item = Series<'a>>) -> Self {
        self.series.extend(series);
        self
    }

    /// Adds a level line at a value of y, as of an untrained network.
    pub(in crate::gui) fn level(mut self, name: &'a str, y: f64, colour: Color32, style: LineStyle) -> Self {
        self.references.push((name, y, colour, style, false));
        self
    }

    /// Adds a vertical line at a value of x.
    pub(in crate::gui) fn vertical(mut self, name: &'a str, x: f64, colour: Color32) -> Self {
        self.references.push((name, x, colour, LineStyle::Dashed { length: 6.0 }, true));
        self
    }

    /// Tints a range of y, and names it.
    pub(in crate::gui) fn band(mut self, name: impl Into<String>, range: std::ops::RangeInclusive<f64>, colour: Color32) -> Self {
        self.bands.push((name.into(), range, colour));
        self
    }

    /// Shares the x axis and the cursor with all plots of this name: it may be dragged and zoomed, and the pointer reads all lines.
    pub(in crate::gui) fn linked(self, group: &'static str) -> Self {
        Self { linked: Some(Id::unique(group)), ..self }
    }

    /// One unit of x is as long as `aspect` units of y.
    pub(in crate::gui) fn aspect(self, aspect: f32) -> Self {
        Self { aspect: Some(aspect), ..self }
    }

    /// Draws title and plot. None where the plot is scrolled out of sight.
    pub(in crate::gui) fn show(self, ui: &mut Ui) -> Option<PlotResponse<()>> {
        let (title, meaning) = (self.title.clone(), self.meaning.clone());
        self.show_below(ui, |ui| card::heading(ui, &title, &meaning))
    }

    /// The same below a title that is drawn by `title`, as one that is chosen from a list.
    pub(in crate::gui) fn show_below(self, ui: &mut Ui, title: impl FnOnce(&mut Ui)) -> Option<PlotResponse<()>> {
        let plot = |ui: &mut Ui| {
            let room = Rect::from_min_size(ui.cursor().min, vec2(ui.available_width(), self.height));
            // What is scrolled away costs nothing.
            if ui.is_rect_visible(room) {
                return Some(self.plot(ui));
            }
            ui.allocate_space(room.size());
            None
        };
        save::figure(ui, (&self.title, title), plot, || self.csv())
    }

    fn plot(&self, ui: &mut Ui) -> PlotResponse<()> {
        let [x, y] = &self.axes;
        let hints = |hints: AxisHints<'static>, axis: &Axis| {
            let own = axis.clone();
            let hints = hints.label_spacing(Rangef::new(8.0, 14.0)).formatter(move |mark, _| own.word(mark.value, Some(mark.step_size)));
            if axis.label.is_empty() { hints } else { hints.label(axis.label.clone()) }
        };
        let mut plot = Plot::new(("plot", self.title.as_ref()))
            .height(self.height)
            .allow_scroll(false)
            .allow_drag(self.linked.is_some())
            .show_grid([self.linked.is_some(), self.aspect.is_none()])
            .grid_spacing(Rangef::new(GRID_SPACING[0], GRID_SPACING[1]))
            .grid_color(Palette::of(ui).tone(crate::palette::GRID))
            .x_grid_spacer(|input| x.marks(input.bounds, TICKS[0]))
            .y_grid_spacer(|input| y.marks(input.bounds, TICKS[1]))
            .custom_x_axes(vec![hints(AxisHints::new_x(), x)])
            .custom_y_axes(vec![hints(AxisHints::new_y(), y).min_thickness(if y.scale == Scale::Bare { 14.0 } else { 40.0 })])
            .set_margin_fraction(vec2(0.03, 0.06))
            .label_formatter(|at| self.readout(at));
        for &value in &x.include {
            plot = plot.include_x(value);
        }
        for value in y.include.iter().copied().chain(self.flat_room()) {
            plot = plot.include_y(value);
        }
        if let Some(group) = self.linked {
            plot = plot.link_axis(group, [true, false]).link_cursor(group, [true, false]);
        }
        if let Some(aspect) = self.aspect {
            plot = plot.data_aspect(aspect).sense(Sense::click_and_drag()).show_crosshair(false);
        }
        plot.show(ui, |plot| {
            self.draw_bands(plot);
            for (name, value, colour, style, vertical) in &self.references {
                if *vertical {
                    plot.vline(VLine::new(*name, *value).color(*colour).width(1.5).style(*style).allow_hover(false));
                } else {
                    plot.hline(HLine::new(*name, *value).color(*colour).width(1.3).style(*style).allow_hover(false));
                }
            }
            self.series.iter().for_each(|series| series.draw(plot));
        })
    }

    fn draw_bands(&self, plot: &mut PlotUi<'_>) {
        let last = self.series.iter().filter_map(|series| series.points.last()).map(|point| point.x).fold(0.0, f64::max);
        for (name, range, colour) in &self.bands {
            let span = Span::new("", range.clone()).axis(egui_plot::Axis::Y).fill(colour.gamma_multiply(BAND));
            plot.span(span.border(Stroke::new(1.0, colour.gamma_multiply(0.35))));
            let text = RichText::new(format!("{name} ")).small().color(*colour);
            let foot = PlotPoint::new(last, range.start().max(0.0));
            plot.text(Text::new(name.clone(), foot, text).anchor(Align2::RIGHT_BOTTOM).allow_hover(false));
        }
    }

    /// Room around lines that are all level.
    fn flat_room(&self) -> Option<f64> {
        let values = self.series.iter().flat_map(|series| series.points.iter()).map(|point| point.y);
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        flat_room(low, high)
    }

    /// What is said of the point under the pointer; of all lines at its x, where plots are linked.
    fn readout(&self, at: &HoverPosition<'_>) -> Option<String> {
        let [x, y] = &self.axes;
        if x.scale == Scale::Bare {
            return None;
        }
        let x_word = |value: f64| format!("{} {}", x.label, x.word(value, None)).trim_start().to_owned();
        match at {
            HoverPosition::NearDataPoint { position, .. } | HoverPosition::Elsewhere { position } if self.linked.is_some() => {
                let lines = self.series.iter().filter(|series| matches!(series.kind, SeriesKind::Line(_)));
                let found: Vec<_> = lines.filter_map(|series| Some((nearest(&series.points, position.x)?, &series.name))).collect();
                let values: Vec<String> = found.iter().map(|(point, name)| format!("{name}: {}", y.word(point.y, None))).collect();
                Some(format!("{}\n{}", x_word(found.first()?.0.x), values.join("\n")))
            }
            HoverPosition::NearDataPoint { position, plot_name, .. } => {
                Some(format!("{plot_name}\n{}: {}", x_word(position.x), y.word(position.y, None)))
            }
            HoverPosition::Elsewhere { .. } => None,
        }
    }

    /// A row for each point: series, x, y, and the upper end of an area.
    fn csv(&self) -> String {
        let [x, y] = &self.axes;
        let or = |label: &str, otherwise: &str| if label.is_empty() { otherwise.to_owned() } else { label.to_owned() };
        let titles = ["series".to_owned(), or(&x.label, "x"), or(&y.label, &self.title), "up to".to_owned()];
        let rows = self.series.iter().flat_map(|series| {
            let upper = match &series.kind {
                SeriesKind::Area(upper) | SeriesKind::Bars(upper) => Some(upper),
                _ => None,
            };
            let kind = if matches!(series.kind, SeriesKind::Faint) { ", every step" } else { "" };
            series.points.iter().enumerate().map(move |(index, point)| {
                let to = upper.and_then(|upper| upper.get(index)).map(|upper| y.exact(upper.y)).unwrap_or_default();
                vec![format!("{}{kind}", series.name), x.exact(point.x), y.exact(point.y), to]
            })
        });
        table::csv(&titles, rows)
    }
}

/// A value that gives values between `low` and `high` some room, where they are all the same.
fn flat_room(low: f64, high: f64) -> Option<f64> {
    let least = if high == 0.0 && low == 0.0 { 1.0 } else { FLAT_ROOM * high.abs().max(low.abs()) };
    (low <= high && high - low < 1e-6 * least).then_some(high + least)
}

/// The point nearest to a value of x; none beyond the ends.
fn nearest(points: &[PlotPoint], x: f64) -> Option<PlotPoint> {
    let after = points.partition_point(|point| point.x < x);
    let near = points[after.saturating_sub(1)..].iter().take(2);
    let nearest = near.min_by(|a, b| (a.x - x).abs().total_cmp(&(b.x - x).abs()))?;
    (points.first()?.x - 0.5..=points.last()?.x + 0.5).contains(&x).then_some(*nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(steps: std::ops::RangeInclusive<u8>, y: f64) -> Vec<PlotPoint> {
        steps.map(|step| PlotPoint::new(f64::from(step), y)).collect()
    }

    #[test]
    fn linked_plots_read_every_line_that_reaches_so_far() {
        let (long, short) = (level(1..=100, 0.25), level(1..=60, 3.0));
        let lines = [("a", long.as_slice()), ("b", short.as_slice()), ("empty", &[])];
        let series = lines.map(|(name, points)| Series::line(name, Color32::RED, points));
        let chart = Chart::new("Loss", "", 100.0, [Axis::new("step"), Axis::new("")]).series(series).linked("test");
        let at = |x: f64| chart.readout(&HoverPosition::Elsewhere { position: PlotPoint::new(x, 0.0) });
        assert_eq!(at(50.4).unwrap(), "step 50\na: 0.25\nb: 3");
        assert_eq!(at(79.8).unwrap(), "step 80\na: 0.25");
        assert_eq!(at(120.0), None);
    }

    #[test]
    fn a_level_line_has_room_in_its_own_scale() {
        assert_eq!(flat_room(1e-4, 1e-4), Some(1.1e-4));
        assert_eq!(flat_room(0.0, 0.0), Some(1.0));
        assert_eq!([flat_room(2.0, 5.0), flat_room(f64::INFINITY, f64::NEG_INFINITY)], [None; 2]);
    }

    #[test]
    fn a_plot_becomes_csv_in_its_own_units() {
        let points = [PlotPoint::new(0.0, -1.0), PlotPoint::new(1.0, 0.0)];
        let axes = [Axis::names("Labels", vec!["5".to_owned(), "20".to_owned()]), Axis::log10("share")];
        let csv = Chart::new("Spectrum", "", 100.0, axes).series([Series::line("plain", Color32::RED, &points)]).csv();
        assert_eq!(csv, "series,Labels,share,up to\nplain,5,0.1,\nplain,20,1,\n");
    }
}
