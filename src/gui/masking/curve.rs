//! The mask-ratio curve: points as they arrive, their mean and spread at each ratio, and Dice where runs have measured it.

use std::collections::BTreeMap;

use eframe::egui::{RichText, Ui};
use egui_plot::{LineStyle, MarkerShape, PlotPoint};

use crate::config::DataSource;
use crate::gui::widgets::{Axis, Chart, LegendEntry, Series, SeriesKind, legend};
use crate::gui::{Palette, Workspace};
use crate::protocol::{MaskPoint, StageKind, mean_dice};

/// A metric of a point: name, meaning, value.
type Metric = (&'static str, &'static str, fn(&MaskPoint) -> Option<f64>);

const METRICS: [Metric; 4] = [
    (
        "Loss",
        "The pretext task's loss at this mask ratio, without a training step. How hard the task is to the network as it is now.",
        |point| Some(point.loss),
    ),
    (
        "Positive similarity",
        "How alike a token of the masked view and its counterpart in the rotated view are (cosine). High: what is masked can still be made \
         out.",
        |point| point.positive_similarity,
    ),
    (
        "Gap",
        "How much more alike tokens of different volumes are at the same position than elsewhere, in the masked view. Rises where position \
         takes over from the image.",
        |point| point.gap,
    ),
    (
        "RankMe",
        "How many independent directions the masked view's tokens use. Falls where masking leaves little to tell tokens apart by.",
        |point| point.rankme,
    ),
];
const DICE: &str = "Mean Dice on the test cases of the open runs on this dataset, over the mask ratio of the pre-training that each arm \
     started from";

/// One metric over the mask ratio.
#[derive(Debug, Default, PartialEq)]
struct Line {
    /// A point for each draw.
    draws: Vec<PlotPoint>,
    /// A point for each ratio: lowest, mean, highest.
    low: Vec<PlotPoint>,
    mean: Vec<PlotPoint>,
    high: Vec<PlotPoint>,
}

impl Line {
    fn new(points: &[MaskPoint], value: fn(&MaskPoint) -> Option<f64>) -> Self {
        let mut by_ratio: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        let mut line = Self::default();
        for point in points {
            let Some(value) = value(point).filter(|value| value.is_finite()) else { continue };
            // Ratios are not negative, so that their bits are in their order.
            by_ratio.entry(point.mask_ratio.to_bits()).or_default().push(value);
            line.draws.push(PlotPoint::new(point.mask_ratio, value));
        }
        for (ratio, values) in by_ratio {
            let at = |value| PlotPoint::new(f64::from_bits(ratio), value);
            line.low.push(at(values.iter().copied().fold(f64::INFINITY, f64::min)));
            line.high.push(at(values.iter().copied().fold(f64::NEG_INFINITY, f64::max)));
            line.mean.push(at(values.iter().sum::<f64>() / values.len() as f64));
        }
        line
    }
}

/// Draws the metrics side by side, with the run's own ratio, and Dice where runs differ in theirs. Until there are points, says what
/// will show.
pub(super) fn show(ui: &mut Ui, points: &[MaskPoint], height: f32, own: Option<f64>, dice: &Dice) {
    let count = METRICS.len() + usize::from(!dice.points.is_empty());
    // As many side by side as are readable.
    let columns = ((ui.available_width() / 165.0) as usize).clamp(1, count);
    let width = (ui.available_width() - 10.0 * (columns - 1) as f32) / columns as f32;
    for row in (0..count).collect::<Vec<_>>().chunks(columns) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 10.0;
            for &index in row {
                ui.vertical(|ui| {
                    ui.set_width(width);
                    match METRICS.get(index) {
                        Some(metric) => plot(ui, metric, points, height, own),
                        None => dice.show(ui, height, own),
                    }
                });
            }
        });
    }
}

fn plot(ui: &mut Ui, &(name, meaning, value): &Metric, points: &[MaskPoint], height: f32, own: Option<f64>) {
    let line = Line::new(points, value);
    if line.draws.is_empty() {
        ui.strong(name).on_hover_text(meaning);
        ui.label(if points.is_empty() { meaning } else { "This pretext task has no such number." });
        return;
    }
    let colour = Palette::of(ui).series(0);
    let series = [
        Series::line("lowest to highest draw", colour, &line.low).kind(SeriesKind::Area(line.high.as_slice().into())),
        Series::line("draw", colour, &line.draws).kind(SeriesKind::Dots),
        Series::line("mean", colour, &line.mean),
    ];
    over_ratios(ui, (name, meaning), height, own).series(series).show(ui);
}

/// An empty plot over mask ratios, with the run's own.
fn over_ratios<'a>(ui: &Ui, (name, meaning): (&'a str, &'a str), height: f32, own: Option<f64>) -> Chart<'a> {
    let chart = Chart::new(name, meaning, height, [Axis::new("mask ratio").include([0.0, 1.0]), Axis::new("")]);
    match own {
        Some(own) => chart.vertical("this run", own, Palette::of(ui).reference()),
        None => chart,
    }
}

/// What the lines are, and of which checkpoint.
pub(super) fn key(ui: &mut Ui, own: Option<f64>, about: &str) {
    let palette = Palette::of(ui);
    let own = own.map(|own| format!("this run's own ratio, {own:.2}"));
    let entry = |name, colour, style| LegendEntry { name, colour, style, hidden: false };
    let mut entries = vec![entry("mean, and the range of the draws", palette.series(0), LineStyle::Solid)];
    entries.extend(own.iter().map(|own| entry(own, palette.reference(), LineStyle::Dashed { length: 5.0 })));
    ui.horizontal_wrapped(|ui| {
        legend(ui, &entries, false);
        if !about.is_empty() {
            ui.label(RichText::new(format!("of {about}")).small().weak());
        }
    });
}

/// Dice against the mask ratio of the pre-training, from the open runs.
#[derive(Default)]
pub(super) struct Dice {
    key: (usize, usize, String),
    /// Ratio, Dice, run and arm.
    pub(super) points: Vec<(f64, f64, String)>,
}

impl Dice {
    /// Gathers what the open runs on a dataset have measured; nothing where all have the same mask ratio.
    pub(super) fn refresh(&mut self, workspace: &Workspace, data: &DataSource) {
        let scored = workspace.runs.iter().flat_map(|run| run.stages_of(StageKind::Test)).map(|stage| stage.scores.len()).sum();
        let key = (workspace.runs.len(), scored, format!("{data:?}"));
        if self.key == key {
            return;
        }
        self.key = key;
        self.points.clear();
        for run in workspace.runs.iter().filter(|run| run.config.data.source == *data) {
            for stage in run.stages_of(StageKind::Test) {
                let arm = run.config.arms.finetune.iter().find(|arm| arm.name == stage.stage.arm);
                let from = arm.and_then(|arm| arm.from.as_ref());
                let pretraining = run.config.arms.pretrain.iter().find(|arm| Some(&arm.name) == from);
                let config = pretraining.and_then(|arm| run.config.with_arm(arm).ok());
                if let (Some(config), Some(dice)) = (config, mean_dice(&stage.scores)) {
                    self.points.push((config.pretrain.mask_ratio, dice, format!("{}, {}", run.name(), stage.stage.arm)));
                }
            }
        }
        self.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if self.points.first().map(|point| point.0) == self.points.last().map(|point| point.0) {
            self.points.clear();
        }
    }

    fn show(&self, ui: &mut Ui, height: f32, own: Option<f64>) {
        let colour = Palette::of(ui).series(1);
        let series = self.points.iter().map(|(ratio, dice, name)| Series {
            name: name.as_str().into(),
            colour,
            points: vec![PlotPoint::new(*ratio, *dice)].into(),
            kind: SeriesKind::Marks(MarkerShape::Diamond, 5.0),
        });
        over_ratios(ui, ("Test Dice of open runs", DICE), height, own).series(series).show(ui);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_the_mean_within_its_spread() {
        let point = |mask_ratio, draw, loss| MaskPoint {
            mask_ratio,
            draw,
            loss,
            positive_similarity: None,
            gap: Some(0.1),
            rankme: Some(f64::NAN),
        };
        let points = [point(0.5, 0, 3.0), point(0.0, 0, 2.0), point(0.5, 1, 4.0)];
        let [loss, similarity, gap, rankme] = METRICS.map(|(.., value)| Line::new(&points, value));
        let at = |values: [f64; 2]| vec![PlotPoint::new(0.0, values[0]), PlotPoint::new(0.5, values[1])];
        assert_eq!((loss.low, loss.mean, loss.high), (at([2.0, 3.0]), at([2.0, 3.5]), at([2.0, 4.0])));
        assert_eq!((similarity, rankme, gap.draws.len()), (Line::default(), Line::default(), 3));
    }
}
