//! Dice and HD95 along each axis whose levels are numbers: a line for each arm, with the reach of its repeats.

use eframe::egui::{Sense, Stroke, Ui, vec2};
use egui_plot::{AxisHints, GridMark, HoverPosition, Line, Plot, PlotPoint, PlotPoints, Points};

use super::super::Palette;
use super::super::widgets::card;
use super::super::widgets::ticks as marks;
use crate::experiment::Experiment;
use crate::metrics::Measure;
use crate::results::{ExperimentResults, MEASURES, PerAxis};
use crate::wording::word;

const HEIGHT: f32 = 200.0;
/// Least width of a plot.
const WIDTH: f32 = 340.0;

/// A card for each axis that counts.
pub(super) fn show(ui: &mut Ui, experiment: &Experiment, results: &ExperimentResults) {
    for place in results.counting_axes() {
        let name = &results.names.axes[place].name;
        card::card(ui, |ui| {
            card::title(ui, &format!("Along {name}"));
            key(ui, experiment);
            let plots: Vec<(PerAxis, Measure)> =
                results.per_axis(place).into_iter().flat_map(|along| MEASURES.map(|measure| (along.clone(), measure))).collect();
            let columns = ((ui.available_width() / WIDTH) as usize).clamp(1, plots.len().clamp(1, 4));
            let width = ui.available_width() / columns as f32 - ui.spacing().item_spacing.x;
            for line in plots.chunks(columns) {
                ui.horizontal_top(|ui| {
                    for (along, measure) in line {
                        ui.vertical(|ui| {
                            ui.set_width(width);
                            plot(ui, experiment, results, (along, *measure));
                        });
                    }
                });
            }
            card::note(
                ui,
                format!(
                    "Means over {}; upright lines: standard deviation over {}s. Levels at equal distances.",
                    results.evidence(),
                    results.names.repeat
                ),
            );
        });
        ui.add_space(6.0);
    }
}

/// Arms in their colours.
fn key(ui: &mut Ui, experiment: &Experiment) {
    let palette = Palette::of(ui);
    ui.horizontal_wrapped(|ui| {
        for (arm, own) in experiment.arms().iter().enumerate() {
            let (rect, _) = ui.allocate_exact_size(vec2(18.0, 12.0), Sense::hover());
            ui.painter().hline(rect.x_range(), rect.center().y, Stroke::new(3.0, palette.series(arm)));
            ui.label(&own.name);
        }
    });
}

fn plot(ui: &mut Ui, experiment: &Experiment, results: &ExperimentResults, (along, measure): (&PerAxis, Measure)) {
    let palette = Palette::of(ui);
    let measured = results.measure_title(measure);
    let title = if along.fixed.is_empty() { measured.clone() } else { format!("{measured}: {}", along.fixed) };
    card::one_line(ui, title.clone());
    let axis = &results.names.axes[along.axis];
    let levels = axis.levels.clone();
    let at = levels.clone();
    let near = move |at_point: &HoverPosition<'_>| match at_point {
        HoverPosition::NearDataPoint { position, plot_name, .. } => {
            let level = at.get(position.x.round().max(0.0) as usize)?;
            Some(format!("{plot_name}\n{level}: {}", word(measure)(position.y)))
        }
        HoverPosition::Elsewhere { .. } => None,
    };
    let count = levels.len();
    let name = move |mark: GridMark, _: &std::ops::RangeInclusive<f64>| {
        let place = mark.value.round();
        if place < 0.0 || (mark.value - place).abs() > 1e-6 {
            String::new()
        } else {
            levels.get(place as usize).cloned().unwrap_or_default()
        }
    };
    Plot::new(("along", &title, along.axis))
        .height(HEIGHT)
        .allow_scroll(false)
        .allow_drag(false)
        .allow_zoom(false)
        .include_x(-0.4)
        .include_x(count as f64 - 0.6)
        .show_grid([false, true])
        .x_grid_spacer(move |_| (0..count).map(|level| GridMark { value: level as f64, step_size: 1.0 }).collect())
        .y_grid_spacer(|input| marks::few(&input))
        .custom_x_axes(vec![AxisHints::new_x().label(axis.name.clone()).formatter(name)])
        .custom_y_axes(vec![marks::axis(AxisHints::new_y())])
        .label_formatter(near)
        .set_margin_fraction(vec2(0.02, 0.08))
        .show(ui, |plot| {
            for course in &along.lines {
                let colour = palette.series(course.arm);
                let arm = &experiment.arms()[course.arm].name;
                let points = course.of(measure);
                for (x, spread) in &points {
                    if let Some(reach) = spread.reach() {
                        let ends = vec![[*x, spread.mean - reach], [*x, spread.mean + reach]];
                        plot.line(Line::new("", PlotPoints::from(ends)).color(colour.gamma_multiply(0.7)).width(1.2).allow_hover(false));
                    }
                }
                let means: Vec<PlotPoint> = points.iter().map(|(x, spread)| PlotPoint::new(*x, spread.mean)).collect();
                plot.line(Line::new(arm.clone(), PlotPoints::Owned(means.clone())).color(colour).width(2.0).allow_hover(false));
                plot.points(Points::new(arm.clone(), PlotPoints::Owned(means)).color(colour).radius(4.0));
            }
        });
}
