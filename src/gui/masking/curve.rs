//! The what-if curve: points as they arrive, their mean and spread at each ratio, and Dice where runs have measured it.

use std::collections::BTreeMap;

use eframe::egui::{Color32, RichText, Shape, Stroke, Ui, vec2};
use egui_plot::{AxisHints, FilledArea, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoint, PlotPoints, Points, VLine};

use super::super::widgets::ticks as marks;
use super::super::{Palette, Workspace};
use crate::config::DataSource;
use crate::protocol::{MaskPoint, StageKind, mean_dice};

/// A number of a point.
struct Number {
    name: &'static str,
    meaning: &'static str,
    value: fn(&MaskPoint) -> Option<f64>,
}

const NUMBERS: [Number; 4] = [
    Number {
        name: "Loss",
        meaning: "The pretext task's loss at this mask ratio, without a training step. How hard the task is to the network as it is now.",
        value: |point| Some(point.loss),
    },
    Number {
        name: "Positive similarity",
        meaning: "How alike a token of the masked view and its counterpart in the rotated view are (cosine). High: what is hidden can still be \
                  made out.",
        value: |point| point.positive_similarity,
    },
    Number {
        name: "Gap",
        meaning: "How much more alike tokens of different volumes are at the same place than elsewhere, in the masked view. Rises where place \
                  takes over from the picture.",
        value: |point| point.gap,
    },
    Number {
        name: "RankMe",
        meaning: "How many independent directions the masked view's tokens use. Falls where masking leaves little to tell tokens apart by.",
        value: |point| point.rankme,
    },
];

/// One number over the mask ratio, ready to be drawn.
#[derive(Default)]
struct Course {
    mean: Vec<PlotPoint>,
    ratios: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
    points: Vec<PlotPoint>,
}

/// The whole curve, made anew when points have arrived.
#[derive(Default)]
pub(super) struct Curve {
    seen: usize,
    courses: [Course; 4],
}

impl Curve {
    /// Takes in points that have arrived.
    pub(super) fn follow(&mut self, points: &[MaskPoint]) {
        if points.len() == self.seen {
            return;
        }
        self.seen = points.len();
        for (course, number) in self.courses.iter_mut().zip(&NUMBERS) {
            *course = Course::of(points, number.value);
        }
    }

    /// Draws the numbers side by side, with the run's own ratio and the one that the slider shows.
    pub(super) fn show(&self, ui: &mut Ui, height: f32, own: Option<f64>, dice: &Dice) {
        let more = usize::from(!dice.points.is_empty());
        let width = (ui.available_width() - 10.0 * (3 + more) as f32) / (4 + more) as f32;
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 10.0;
            for (course, number) in self.courses.iter().zip(&NUMBERS) {
                ui.vertical(|ui| {
                    ui.set_width(width);
                    ui.strong(number.name).on_hover_text(number.meaning);
                    if course.points.is_empty() {
                        ui.label(if self.seen == 0 { number.meaning } else { "This pretext task has no such number." });
                    } else {
                        course.draw(ui, number.name, height, own);
                    }
                });
            }
            if more > 0 {
                ui.vertical(|ui| {
                    ui.set_width(width);
                    ui.strong("Test Dice of open runs").on_hover_text("Mean Dice on the test cases of the open runs on this dataset, over the mask ratio of the pre-training that each arm started from");
                    dice.draw(ui, height, own);
                });
            }
        });
    }
}

impl Course {
    fn of(points: &[MaskPoint], value: fn(&MaskPoint) -> Option<f64>) -> Self {
        let mut by_ratio: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        let numbers = points.iter().filter_map(|point| Some((point.mask_ratio, value(point).filter(|value| value.is_finite())?)));
        let mut course = Self::default();
        for (ratio, value) in numbers {
            // Ratios are not negative, so that their bits are in their order.
            by_ratio.entry(ratio.to_bits()).or_default().push(value);
            course.points.push(PlotPoint::new(ratio, value));
        }
        for (ratio, values) in by_ratio {
            let ratio = f64::from_bits(ratio);
            let extreme = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick).unwrap_or_default();
            course.ratios.push(ratio);
            course.low.push(extreme(f64::min));
            course.high.push(extreme(f64::max));
            course.mean.push(PlotPoint::new(ratio, values.iter().sum::<f64>() / values.len() as f64));
        }
        course
    }

    fn draw(&self, ui: &mut Ui, name: &str, height: f32, own: Option<f64>) {
        let palette = Palette::of(ui);
        let colour = palette.series(0);
        ratio_plot(name, height).show(ui, |plot| {
            own_ratio(plot, own, palette);
            if self.ratios.len() > 1 {
                plot.add(
                    FilledArea::new("lowest to highest draw", &self.ratios, &self.low, &self.high)
                        .fill_color(colour.gamma_multiply(0.22))
                        .allow_hover(false),
                );
            }
            let points = Points::new("draw", PlotPoints::Borrowed(&self.points));
            plot.points(points.radius(1.6).color(colour.gamma_multiply(0.7)).allow_hover(false));
            plot.line(Line::new("mean", PlotPoints::Borrowed(&self.mean)).color(colour).width(2.0));
        });
    }
}

/// Dice against the mask ratio of the pre-training, from the open runs.
#[derive(Default)]
pub(super) struct Dice {
    key: (usize, usize, String),
    /// Ratio, Dice, run and arm.
    points: Vec<(f64, f64, String)>,
}

impl Dice {
    /// Gathers what the open runs on a dataset have measured; nothing where all have the same mask ratio.
    pub(super) fn follow(&mut self, workspace: &Workspace, data: &DataSource) {
        let scored = workspace.runs.iter().flat_map(|run| run.state().stages_of(StageKind::Test)).map(|stage| stage.scores.len()).sum();
        let key = (workspace.runs.len(), scored, format!("{data:?}"));
        if self.key == key {
            return;
        }
        self.key = key;
        self.points.clear();
        for run in workspace.runs.iter().filter(|run| run.config.data.source == *data) {
            for stage in run.state().stages_of(StageKind::Test) {
                let arm = run.config.arms.finetune.iter().find(|arm| arm.name == stage.stage.arm);
                let from = arm.and_then(|arm| arm.from.as_ref());
                let pretraining = run.config.arms.pretrain.iter().find(|arm| Some(&arm.name) == from);
                let Some(config) = pretraining.and_then(|arm| run.config.with_arm(arm).ok()) else { continue };
                let Some(dice) = mean_dice(&stage.scores) else { continue };
                self.points.push((config.pretrain.mask_ratio, dice, format!("{}, {}", run.state().name, stage.stage.arm)));
            }
        }
        let first = self.points.first().map(|(ratio, ..)| *ratio);
        if self.points.iter().all(|(ratio, ..)| Some(*ratio) == first) {
            self.points.clear();
        }
        self.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    fn draw(&self, ui: &mut Ui, height: f32, own: Option<f64>) {
        let palette = Palette::of(ui);
        let at = |at: &HoverPosition<'_>| match at {
            HoverPosition::NearDataPoint { position, plot_name, .. } => {
                Some(format!("{plot_name}\nmask ratio {:.2}: Dice {:.3}", position.x, position.y))
            }
            HoverPosition::Elsewhere { .. } => None,
        };
        ratio_plot("dice", height).label_formatter(at).show(ui, |plot| {
            own_ratio(plot, own, palette);
            for (ratio, dice, name) in &self.points {
                let point = Points::new(name.clone(), [*ratio, *dice]);
                plot.points(point.shape(MarkerShape::Diamond).radius(5.0).color(palette.series(1)));
            }
        });
    }

    /// Ratios with a Dice.
    #[cfg(test)]
    pub(super) fn ratios(&self) -> Vec<f64> {
        self.points.iter().map(|(ratio, ..)| *ratio).collect()
    }
}

fn ratio_plot<'a>(name: &str, height: f32) -> Plot<'a> {
    let near = |at: &HoverPosition<'_>| match at {
        HoverPosition::NearDataPoint { position, plot_name, .. } => {
            Some(format!("{plot_name}\nmask ratio {:.2}: {:.3}", position.x, position.y))
        }
        HoverPosition::Elsewhere { .. } => None,
    };
    Plot::new(format!("mask ratio {name}"))
        .height(height)
        .allow_scroll(false)
        .allow_drag(false)
        .include_x(0.0)
        .include_x(1.0)
        .show_grid([false, true])
        .x_grid_spacer(|input| marks::few(&input))
        .y_grid_spacer(|input| marks::few(&input))
        .custom_x_axes(vec![marks::axis(AxisHints::new_x()).label("mask ratio")])
        .custom_y_axes(vec![marks::axis(AxisHints::new_y())])
        .label_formatter(near)
        .set_margin_fraction(vec2(0.02, 0.08))
}

/// The ratio that the run pre-trains with.
fn own_ratio(plot: &mut egui_plot::PlotUi<'_>, own: Option<f64>, palette: Palette) {
    if let Some(own) = own {
        let line = VLine::new("this run", own).stroke(Stroke::new(1.5, palette.reference()));
        plot.vline(line.style(LineStyle::Dashed { length: 6.0 }).allow_hover(false));
    }
}

/// What the lines are.
pub(super) fn key(ui: &mut Ui, own: Option<f64>) {
    let palette = Palette::of(ui);
    let text = |ui: &mut Ui, text: &str| drop(ui.label(RichText::new(text).small()));
    swatch(ui, palette.series(0), 2.0);
    text(ui, "mean of the draws");
    swatch(ui, palette.series(0).gamma_multiply(0.35), 9.0);
    text(ui, "lowest to highest draw");
    if let Some(own) = own {
        let (rect, _) = ui.allocate_exact_size(vec2(20.0, 10.0), eframe::egui::Sense::hover());
        let ends = [rect.left_center(), rect.right_center()];
        ui.painter().extend(Shape::dashed_line(&ends, Stroke::new(1.5, palette.reference()), 5.0, 3.0));
        text(ui, &format!("this run's own ratio, {own:.2}"));
    }
}

fn swatch(ui: &mut Ui, colour: Color32, thickness: f32) {
    let (rect, _) = ui.allocate_exact_size(vec2(20.0, 10.0), eframe::egui::Sense::hover());
    ui.painter().hline(rect.x_range(), rect.center().y, Stroke::new(thickness, colour));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_the_mean_within_its_spread_as_points_arrive() {
        let point = |mask_ratio, draw, loss| MaskPoint {
            mask_ratio,
            draw,
            loss,
            positive_similarity: None,
            gap: Some(0.1),
            rankme: Some(f64::NAN),
        };
        let mut points = vec![point(0.5, 0, 3.0), point(0.0, 0, 2.0)];
        let mut curve = Curve::default();
        curve.follow(&points);
        assert_eq!(curve.courses[0].mean, [PlotPoint::new(0.0, 2.0), PlotPoint::new(0.5, 3.0)]);
        points.push(point(0.5, 1, 4.0));
        curve.follow(&points);
        let loss = &curve.courses[0];
        assert_eq!((loss.mean[1], loss.low[1], loss.high[1]), (PlotPoint::new(0.5, 3.5), 3.0, 4.0));
        assert!(curve.courses[1].points.is_empty() && curve.courses[3].points.is_empty() && curve.courses[2].points.len() == 3);
    }
}
