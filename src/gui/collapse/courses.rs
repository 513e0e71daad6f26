//! The numbers over the steps, and the singular spectrum.

use eframe::egui::{self, Align, Align2, Color32, Layout, RichText, Sense, Stroke, Ui, vec2};
use egui_plot::{AxisHints, HLine, HoverPosition, Line, LineStyle, Plot, PlotPoint, PlotPoints, Points, Span, Text};

use super::super::Palette;
use super::super::widgets::ticks as marks;
use super::measures::{Measure, measures};
use super::place::{Place, measuring, stage_title};
use crate::metrics::collapse::{COLLAPSED_FROM, Collapse, HEALTHY_BELOW, THRESHOLDS};
use crate::protocol::{RunState, StageKind, StageState};

/// Points of a line: more than a plot has pixels show nothing more.
const MOST_POINTS: usize = 400;
/// Singular values shown.
const MOST_VALUES: usize = 256;
/// The number that the free plot shows at first, behind the three that have plots of their own: `eta2`.
const FREE: usize = 3;
/// Height of a plot's title, the same for one that is a choice.
const TITLE: f32 = 26.0;
/// How strongly bands are tinted.
const BAND_ALPHA: f32 = 0.13;

/// The references, and how their lines are dashed.
const REFERENCES: [(&str, LineStyle); 3] = [
    ("untrained", LineStyle::Dashed { length: 9.0 }),
    ("constant", LineStyle::Dashed { length: 4.0 }),
    ("noise", LineStyle::Dotted { spacing: 5.0 }),
];

/// What decides the lines.
#[derive(Clone, PartialEq)]
struct Key {
    run: usize,
    place: Place,
    probes: usize,
    stages: usize,
    baselines: usize,
    chosen: usize,
}

/// A line of a plot.
struct Course {
    name: String,
    /// Place of its colour.
    series: usize,
    points: Vec<PlotPoint>,
    style: LineStyle,
}

/// What a plot shows: its name among others of the plot, its value, its line.
type Drawn<'a> = (&'a str, &'a dyn Fn(&Collapse) -> Option<f64>, LineStyle);

/// One plot, ready to be drawn.
#[derive(Default)]
struct Curves {
    courses: Vec<Course>,
    /// Value at each of [`REFERENCES`].
    references: [Option<f64>; 3],
}

/// The lines of all plots, made anew when something was measured.
pub(super) struct Courses {
    key: Option<Key>,
    measures: Vec<Measure>,
    /// Which measure the free plot shows.
    pub(super) chosen: usize,
    turned: Curves,
    locks: Curves,
    free: Curves,
    spectrum: Curves,
    arms: Vec<String>,
}

impl Default for Courses {
    fn default() -> Self {
        let curves = || [Curves::default(), Curves::default(), Curves::default(), Curves::default()];
        let [turned, locks, free, spectrum] = curves();
        Self { key: None, measures: Vec::new(), chosen: FREE, turned, locks, free, spectrum, arms: Vec::new() }
    }
}

impl Courses {
    /// Makes the lines anew where something has changed.
    pub(super) fn follow(&mut self, run: usize, state: &RunState, place: Place) {
        let probes = measuring(state).map(|stage| stage.probes.told()).sum();
        let baselines = state.baselines.len();
        let key = Key { run, place, probes, stages: state.stages.len(), baselines, chosen: self.chosen };
        if self.key.as_ref() == Some(&key) {
            return;
        }
        self.key = Some(key);
        let stages: Vec<&StageState> = measuring(state).filter(|stage| !stage.probes.is_empty()).collect();
        self.measures = measures(stages.last().and_then(|stage| stage.last_probe()));
        self.chosen = self.chosen.min(self.measures.len() - 1);
        self.arms = stages.iter().map(|stage| stage_title(stage)).collect();
        let untrained = state.baselines.get("untrained").and_then(|pair| place.numbers(pair));
        let curves = |numbers: &[Drawn<'_>]| Curves {
            courses: numbers
                .iter()
                .flat_map(|(name, value, style)| {
                    stages.iter().enumerate().map(move |(series, stage)| course(stage, place, (series, name), value, *style))
                })
                .collect(),
            references: REFERENCES.map(|(name, _)| {
                let value = numbers.first().map(|(_, value, _)| value)?;
                value(place.numbers(state.baselines.get(name)?)?)
            }),
        };
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        self.turned = curves(&[("", &|c| finite(c.eta2_turned), LineStyle::Solid)]);
        self.locks = curves(&[
            ("follows anatomy", &|c| finite(c.anatomy_lock), LineStyle::Solid),
            ("sticks to place", &|c| finite(c.index_lock), LineStyle::Dotted { spacing: 4.0 }),
        ]);
        // Two lines of reference for two numbers each would hide what they are to be compared with.
        self.locks.references = [None; 3];
        let measure = self.measures[self.chosen].clone();
        self.free = curves(&[("", &|c| measure.value(c), LineStyle::Solid)]);
        self.spectrum = Curves {
            courses: stages
                .iter()
                .enumerate()
                .filter_map(|(series, stage)| {
                    let numbers = place.numbers(stage.last_probe()?)?;
                    Some(Course { name: stage_title(stage), series, points: values(numbers), style: LineStyle::Solid })
                })
                .chain(untrained.map(|numbers| Course {
                    name: "untrained".to_owned(),
                    series: usize::MAX,
                    points: values(numbers),
                    style: REFERENCES[0].1,
                }))
                .collect(),
            references: [None; 3],
        };
    }

    /// What the lines are.
    pub(super) fn key(&self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        ui.horizontal_wrapped(|ui| {
            for (series, arm) in self.arms.iter().enumerate() {
                sample(ui, palette.series(series), &LineStyle::Solid);
                ui.label(RichText::new(arm).small());
            }
            for (index, (name, style)) in REFERENCES.iter().enumerate() {
                if self.turned.references[index].is_some() {
                    sample(ui, palette.reference(), style);
                    ui.label(RichText::new(*name).small());
                }
            }
        });
    }

    /// How much of a token its place decides, with the bands of the verdict.
    pub(super) fn turned(&self, ui: &mut Ui, height: f32) {
        let palette = Palette::of(ui);
        let bands = [
            (format!("healthy below {HEALTHY_BELOW}"), -0.05..=HEALTHY_BELOW, palette.good()),
            (format!("partly position-bound from {HEALTHY_BELOW}"), HEALTHY_BELOW..=COLLAPSED_FROM, palette.caution()),
            (format!("collapsed from {COLLAPSED_FROM}"), COLLAPSED_FROM..=1.05, palette.bad()),
        ];
        title(
            ui,
            "Place decides (eta2 turned)",
            &format!(
                "How much of a token its place in the crop alone decides. Low is healthy; the bands are those of the headline, which asks the locks as well. {THRESHOLDS}"
            ),
        );
        let last = self.turned.courses.iter().filter_map(|course| course.points.last()).map(|point| point.x).fold(0.0, f64::max);
        step_plot("turned", height, true).show(ui, |plot| {
            for (name, range, colour) in bands {
                let foot = range.start().max(0.0);
                let span = Span::new("", range).axis(egui_plot::Axis::Y).fill(colour.gamma_multiply(BAND_ALPHA));
                plot.span(span.border(Stroke::new(1.0, colour.gamma_multiply(0.35))));
                let text = RichText::new(format!("{name} ")).small().color(colour);
                plot.text(Text::new(name.clone(), PlotPoint::new(last, foot), text).anchor(Align2::RIGHT_BOTTOM).allow_hover(false));
            }
            self.turned.draw(plot, palette);
        });
    }

    /// What a token holds on to when its volume is mirrored.
    pub(super) fn locks(&self, ui: &mut Ui, height: f32) {
        let palette = Palette::of(ui);
        title(
            ui,
            "Mirrored: follows anatomy, sticks to place",
            "Solid: the token moves along with the anatomy (anatomy lock): should be high. Dotted: it stays at its place (index lock): should be low. Tokens are bound to their place where the index lock is 0.5 or more, or 0.2 or more and no lower than the anatomy lock.",
        );
        step_plot("locks", height, true).show(ui, |plot| self.locks.draw(plot, palette));
    }

    /// Any other number, as chosen.
    pub(super) fn free(&mut self, ui: &mut Ui, height: f32) {
        let palette = Palette::of(ui);
        let Some(measure) = self.measures.get(self.chosen) else { return };
        let (text, meaning, is_share) = (format!("{} ({})", measure.name, measure.term), measure.meaning, measure.is_share);
        let row = vec2(ui.available_width(), TITLE);
        ui.allocate_ui_with_layout(row, Layout::left_to_right(Align::Center), |ui| {
            let width = ui.available_width();
            let names: Vec<String> = self.measures.iter().map(|measure| format!("{} ({})", measure.name, measure.term)).collect();
            let combo = egui::ComboBox::from_id_salt("free measure").selected_text(text).width(width - 8.0).truncate();
            let response = combo.show_index(ui, &mut self.chosen, names.len(), |index| names[index].clone());
            response.on_hover_text(meaning);
        });
        step_plot("free", height, is_share).show(ui, |plot| self.free.draw(plot, palette));
    }

    /// The singular values of the tokens measured last.
    pub(super) fn spectrum(&self, ui: &mut Ui, height: f32) {
        let palette = Palette::of(ui);
        title(
            ui,
            "Singular values of the tokens",
            "How large each direction of the tokens is, largest first. A steep fall means few directions in use. A positional collapse does not show here.",
        );
        let plot = base_plot("spectrum", height)
            .custom_x_axes(vec![marks::axis(AxisHints::new_x()).label("direction")])
            .custom_y_axes(vec![marks::axis(AxisHints::new_y()).formatter(|mark, _| power(mark.value))]);
        plot.label_formatter(|at| near(at, |name, point| format!("{name}\ndirection {:.0}: {:.2e}", point.x, 10f64.powf(point.y))))
            .show(ui, |plot| self.spectrum.draw(plot, palette));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.arms.is_empty()
    }
}

impl Curves {
    fn draw<'a>(&'a self, plot: &mut egui_plot::PlotUi<'a>, palette: Palette) {
        for ((name, style), value) in REFERENCES.iter().zip(self.references) {
            if let Some(value) = value {
                plot.hline(HLine::new(*name, value).color(palette.reference()).width(1.3).style(*style).allow_hover(false));
            }
        }
        for course in &self.courses {
            let colour = if course.series == usize::MAX { palette.reference() } else { palette.series(course.series) };
            // A line of one point is no line.
            if course.points.len() == 1 {
                plot.points(Points::new(course.name.clone(), PlotPoints::Borrowed(&course.points)).color(colour).radius(4.0));
            }
            let line = Line::new(course.name.clone(), PlotPoints::Borrowed(&course.points));
            plot.line(line.color(colour).width(2.0).style(course.style));
        }
    }
}

/// A number of a stage over its steps.
fn course(
    stage: &StageState,
    place: Place,
    (series, what): (usize, &str),
    value: &dyn Fn(&Collapse) -> Option<f64>,
    style: LineStyle,
) -> Course {
    let arm = stage_title(stage);
    let name = if what.is_empty() { arm } else { format!("{arm}, {what}") };
    let number = |(step, pair): &(usize, _)| Some(PlotPoint::new(*step as f64, value(place.numbers(pair)?)?));
    // A measured checkpoint is one moment, whichever step it has.
    let probes = if stage.stage.kind == StageKind::Probe { &stage.probes[stage.probes.len() - 1..] } else { &stage.probes[..] };
    let every = probes.len().div_ceil(MOST_POINTS).max(1);
    let last = probes.len() - 1;
    let kept = probes.iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
    Course { name, series, points: kept.filter_map(|(_, probe)| number(probe)).collect(), style }
}

/// Singular values over the largest, as powers of ten.
fn values(collapse: &Collapse) -> Vec<PlotPoint> {
    let largest = collapse.spectrum.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let every = collapse.spectrum.len().div_ceil(MOST_VALUES).max(1);
    let shares = collapse.spectrum.iter().map(|value| value / largest).enumerate().step_by(every);
    shares.take_while(|(_, share)| *share > 1e-6).map(|(index, share)| PlotPoint::new(index as f64 + 1.0, share.log10())).collect()
}

fn power(exponent: f64) -> String {
    let value = 10f64.powf(exponent);
    if value >= 0.0995 { format!("{value:.1}") } else { format!("{value:.0e}") }
}

fn base_plot<'a>(name: &str, height: f32) -> Plot<'a> {
    Plot::new(name)
        .height(height)
        .allow_scroll(false)
        .allow_drag(false)
        .show_grid([false, true])
        .x_grid_spacer(|input| marks::few(&input))
        .y_grid_spacer(|input| marks::few(&input))
        .set_margin_fraction(vec2(0.03, 0.06))
}

/// Over steps; numbers from 0 to 1 are shown on all of that scale.
fn step_plot<'a>(name: &str, height: f32, is_share: bool) -> Plot<'a> {
    let plot = base_plot(name, height)
        .include_x(0.0)
        .include_y(0.0)
        .custom_x_axes(vec![marks::axis(AxisHints::new_x()).label("step")])
        .custom_y_axes(vec![marks::axis(AxisHints::new_y())])
        .label_formatter(|at| near(at, |name, point| format!("{name}\nstep {:.0}: {:.3}", point.x, point.y)));
    if is_share { plot.include_y(1.0) } else { plot }
}

/// Text for the data point near the pointer.
fn near(at: &HoverPosition<'_>, say: impl Fn(&str, &PlotPoint) -> String) -> Option<String> {
    match at {
        HoverPosition::NearDataPoint { plot_name, position, .. } => Some(say(plot_name, position)),
        HoverPosition::Elsewhere { .. } => None,
    }
}

fn title(ui: &mut Ui, text: &str, meaning: &str) {
    let row = vec2(ui.available_width(), TITLE);
    ui.allocate_ui_with_layout(row, Layout::left_to_right(Align::Center), |ui| {
        ui.set_min_height(TITLE);
        ui.add(egui::Label::new(RichText::new(text).strong()).truncate()).on_hover_text(meaning);
    });
}

/// A piece of a line, for a key.
pub(super) fn sample(ui: &mut Ui, colour: Color32, style: &LineStyle) {
    let (rect, _) = ui.allocate_exact_size(vec2(22.0, 10.0), Sense::hover());
    let ends = vec![rect.left_center(), rect.right_center()];
    let stroke = Stroke::new(2.0, colour);
    let shapes = match style {
        LineStyle::Solid => vec![egui::Shape::line(ends, stroke)],
        LineStyle::Dotted { spacing } => egui::Shape::dotted_line(&ends, colour, *spacing, 1.3),
        LineStyle::Dashed { length } => egui::Shape::dashed_line(&ends, stroke, *length, *length * 0.6),
    };
    ui.painter().extend(shapes);
}
