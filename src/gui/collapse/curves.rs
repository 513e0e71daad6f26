//! The metrics over the steps, and the singular values of the tokens.

use eframe::egui::{self, Ui};
use egui_plot::{LineStyle, PlotPoint};

use super::encoders::Encoder;
use crate::gui::Palette;
use crate::gui::widgets::{Axis, Chart, LegendEntry, Series, SeriesKind};
use crate::metrics::collapse::{COLLAPSED_FROM, Collapse, HEALTHY_BELOW, THRESHOLDS};
use crate::protocol::StageKind;
use crate::results::{TokenMetric, Tokens, token_metrics};

/// Points of a line: more than a plot has pixels show nothing more.
const MOST_POINTS: usize = 400;
/// Singular values shown.
const MOST_VALUES: usize = 256;
/// The metric that the last plot shows at first, behind the three that have plots of their own: `eta2`.
const FIRST: usize = 3;

/// The references, and how their lines are dashed.
const REFERENCES: [(&str, LineStyle); 3] = [
    ("untrained", LineStyle::Dashed { length: 9.0 }),
    ("constant", LineStyle::Dashed { length: 4.0 }),
    ("noise", LineStyle::Dotted { spacing: 5.0 }),
];

/// Reads a metric off a measurement.
type Read<'a> = &'a dyn Fn(&Collapse) -> Option<f64>;

/// Which metric the user chose for the last plot.
pub(super) struct Curves(usize);

impl Default for Curves {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Curves {
    /// Any metric, as chosen in the title.
    pub(super) fn any(&mut self, ui: &mut Ui, height: f32, encoders: &[&Encoder<'_>], tokens: Tokens) {
        let metrics = metrics(encoders);
        let Self(chosen) = self;
        *chosen = (*chosen).min(metrics.len() - 1);
        let metric = metrics[*chosen].clone();
        let names: Vec<String> = metrics.iter().map(|metric| format!("{} ({})", metric.plain, metric.name)).collect();
        let title = |ui: &mut Ui| {
            let combo = egui::ComboBox::from_id_salt("metric").selected_text(&names[*chosen]).width(ui.available_width() - 8.0).truncate();
            combo.show_index(ui, chosen, names.len(), |index| names[index].clone()).on_hover_text(metric.meaning);
        };
        let chart = over_steps((&metric.name, metric.meaning, height), metric.is_share());
        let read: Read<'_> = &|collapse| metric.value(collapse);
        let chart = chart.series(lines(ui, encoders, tokens, ("", LineStyle::Solid), read));
        references(ui, chart, encoders, tokens, read).show_below(ui, title);
    }
}

/// All metrics that were measured.
fn metrics(encoders: &[&Encoder<'_>]) -> Vec<TokenMetric> {
    let pair = encoders.last().and_then(|encoder| encoder.now());
    token_metrics(&pair.map(|pair| pair.encoder.label_probe_r2.keys().copied().collect::<Vec<_>>()).unwrap_or_default())
}

/// What the lines are.
pub(super) fn legend(ui: &mut Ui, encoders: &[&Encoder<'_>], tokens: Tokens) {
    let palette = Palette::of(ui);
    let own = encoders.iter().enumerate().map(|(index, encoder)| (encoder.title.as_str(), palette.series(index), LineStyle::Solid));
    let measured = |name: &str| encoders.last().and_then(|encoder| tokens.numbers(encoder.baseline(name)?)).is_some();
    let others = REFERENCES.into_iter().filter(|(name, _)| measured(name)).map(|(name, style)| (name, palette.reference(), style));
    let entries = own.chain(others).map(|(name, colour, style)| LegendEntry { name, colour, style, hidden: false });
    crate::gui::widgets::legend(ui, &entries.collect::<Vec<_>>(), false);
}

/// How much of a token its position decides, with the bands of the verdict.
pub(super) fn position(ui: &mut Ui, height: f32, encoders: &[&Encoder<'_>], tokens: Tokens) {
    let palette = Palette::of(ui);
    let meaning = format!(
        "How much of a token its position in the crop alone decides. Low is healthy; the bands are those of the verdict, which asks the \
         locks as well. {THRESHOLDS}"
    );
    let read: Read<'_> = &|collapse| collapse.eta2_turned;
    let chart = over_steps(("Position decides (eta2 turned)", &meaning, height), true)
        .band(format!("healthy below {HEALTHY_BELOW}"), -0.05..=HEALTHY_BELOW, palette.good())
        .band(format!("partly position-bound from {HEALTHY_BELOW}"), HEALTHY_BELOW..=COLLAPSED_FROM, palette.caution())
        .band(format!("collapsed from {COLLAPSED_FROM}"), COLLAPSED_FROM..=1.05, palette.bad())
        .series(lines(ui, encoders, tokens, ("", LineStyle::Solid), read));
    references(ui, chart, encoders, tokens, read).show(ui);
}

/// What a token holds on to when its volume is mirrored.
pub(super) fn locks(ui: &mut Ui, height: f32, encoders: &[&Encoder<'_>], tokens: Tokens) {
    let meaning = "The volume is mirrored. Solid: the token moves with the anatomy (anatomy lock): should be high. Dotted: it stays at its \
                   position (index lock): should be low. Tokens are bound to their position where the index lock is 0.5 or more, or 0.2 or \
                   more and no lower than the anatomy lock.";
    let dotted = LineStyle::Dotted { spacing: 4.0 };
    over_steps(("Anatomy lock, position lock", meaning, height), true)
        .series(lines(ui, encoders, tokens, ("anatomy lock", LineStyle::Solid), &|collapse| collapse.anatomy_lock))
        .series(lines(ui, encoders, tokens, ("position lock", dotted), &|collapse| collapse.index_lock))
        .show(ui);
}

/// The singular values of the tokens measured last.
pub(super) fn spectrum(ui: &mut Ui, height: f32, encoders: &[&Encoder<'_>], tokens: Tokens) {
    let palette = Palette::of(ui);
    let meaning = "How large each direction of the tokens is, largest first. A steep fall means few directions in use. A positional collapse \
                   does not show here.";
    let own = encoders.iter().enumerate().filter_map(|(index, encoder)| {
        Some((encoder.title.as_str(), palette.series(index), LineStyle::Solid, values(tokens.numbers(encoder.now()?)?)))
    });
    let untrained = encoders.last().and_then(|encoder| tokens.numbers(encoder.baseline("untrained")?));
    let untrained = untrained.map(|numbers| ("untrained", palette.reference(), REFERENCES[0].1, values(numbers)));
    let series = own.chain(untrained).map(|(name, colour, style, points)| Series {
        name: name.into(),
        colour,
        points: points.into(),
        kind: SeriesKind::Line(style),
    });
    Chart::new("Singular values of the tokens", meaning, height, [Axis::new("direction"), Axis::log10("")]).series(series).show(ui);
}

/// A plot over steps; shares are shown on all of their scale.
fn over_steps<'a>((title, meaning, height): (&'a str, &'a str, f32), is_share: bool) -> Chart<'a> {
    let y = Axis::new("").include([0.0]);
    Chart::new(title, meaning, height, [Axis::new("step").include([0.0]), if is_share { y.include([1.0]) } else { y }])
}

/// A line for each encoder.
fn lines<'a>(
    ui: &Ui,
    encoders: &'a [&'a Encoder<'a>],
    tokens: Tokens,
    (what, style): (&'a str, LineStyle),
    read: Read<'a>,
) -> impl Iterator<Item = Series<'a>> {
    let palette = Palette::of(ui);
    encoders.iter().enumerate().map(move |(index, encoder)| {
        let stage = encoder.stage;
        // A measured checkpoint is one moment, whichever step it has.
        let probes = if stage.stage.kind == StageKind::Probe { &stage.probes[stage.probes.len() - 1..] } else { &stage.probes[..] };
        let every = probes.len().div_ceil(MOST_POINTS).max(1);
        let last = probes.len() - 1;
        let kept = probes.iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
        let value = |collapse: &Collapse| read(collapse).filter(|value| value.is_finite());
        let points = kept.filter_map(|(_, (step, pair))| Some(PlotPoint::new(*step as f64, value(tokens.numbers(pair)?)?)));
        let name = if what.is_empty() { encoder.title.clone() } else { format!("{}, {what}", encoder.title) };
        Series { name: name.into(), colour: palette.series(index), points: points.collect(), kind: SeriesKind::Line(style) }
    })
}

/// Adds the level of each reference.
fn references<'a>(ui: &Ui, mut chart: Chart<'a>, encoders: &[&Encoder<'_>], tokens: Tokens, read: Read<'_>) -> Chart<'a> {
    let colour = Palette::of(ui).reference();
    for (name, style) in REFERENCES {
        let numbers = encoders.last().and_then(|encoder| tokens.numbers(encoder.baseline(name)?));
        if let Some(value) = numbers.and_then(read).filter(|value| value.is_finite()) {
            chart = chart.level(name, value, colour, style);
        }
    }
    chart
}

/// Singular values over the largest, as powers of ten.
fn values(collapse: &Collapse) -> Vec<PlotPoint> {
    let largest = collapse.spectrum.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let every = collapse.spectrum.len().div_ceil(MOST_VALUES).max(1);
    let shares = collapse.spectrum.iter().map(|value| value / largest).enumerate().step_by(every);
    shares.take_while(|(_, share)| *share > 1e-6).map(|(index, share)| PlotPoint::new(index as f64 + 1.0, share.log10())).collect()
}
