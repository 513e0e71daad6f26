//! Curves of one run, or of several over one another: a colour for each run and arm, a dash for each run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use eframe::egui::{Color32, Id, Rangef, Rect, RichText, Sense, Stroke, Ui, vec2};
use egui_plot::{GridMark, HoverPosition, Line, LineStyle, Plot, PlotPoint, PlotPoints};

use super::card;
use super::series::{Quantity, SeriesCache};
use crate::gui::{OpenRun, Palette};
use crate::protocol::{RunState, Stage, StageKind};

const PLOT_HEIGHT: f32 = 168.0;
/// Least width of a plot: as many stand side by side as fit.
const PLOT_WIDTH: f32 = 300.0;
const RAW_OPACITY: f32 = 0.2;
/// Points between two lines of a plot's grid: below the first they fade away.
const GRID_SPACING: [f32; 2] = [8.0, 16.0];
/// Grid lines of an axis at most: numbers below need more room than numbers one above the other.
const MARKS: [f64; 2] = [3.0, 5.0];
/// Room above and below a line that does not move, as a share of its value.
const FLAT_ROOM: f64 = 0.1;

/// Kinds of stages that have curves.
const TRAININGS: [(StageKind, &str); 2] = [(StageKind::Pretrain, "Pre-training"), (StageKind::Finetune, "Fine-tuning")];

/// The curves, and what of them is shown.
#[derive(Default)]
pub(super) struct Curves {
    cache: SeriesCache,
    kind: Option<StageKind>,
    hidden: BTreeSet<(PathBuf, String)>,
    raw_hidden: bool,
}

/// One line through all plots.
struct Trace {
    run: PathBuf,
    stage: Stage,
    name: String,
    colour: Color32,
    style: LineStyle,
}

impl Curves {
    /// The curves of `runs`, the first of which is the one that is looked at.
    pub(super) fn show(&mut self, ui: &mut Ui, runs: &[&OpenRun]) {
        let began = |kind| runs.iter().any(|run| run.state().stages_of(kind).any(|stage| !stage.steps.is_empty()));
        let kinds: Vec<_> = TRAININGS.into_iter().filter(|(kind, _)| began(*kind)).collect();
        // What runs now is what is looked at, until the user chooses.
        let newest = runs.first().and_then(|run| run.state().stages.iter().rev().find(|stage| !stage.steps.is_empty()));
        let kind = self.kind.filter(|kind| began(*kind)).or(newest.map(|stage| stage.stage.kind)).or(kinds.first().map(|(kind, _)| *kind));
        ui.horizontal(|ui| {
            card::title(ui, "Curves");
            for (choice, word) in &kinds {
                if ui.selectable_label(kind == Some(*choice), *word).clicked() {
                    self.kind = Some(*choice);
                }
            }
            let mut raw = !self.raw_hidden;
            let sizes = runs.iter().flat_map(|run| run.state().stages.iter().map(|stage| stage.steps.group_size()));
            let hint = match sizes.max() {
                Some(size) if size > 1 => {
                    format!("Faint, behind the running mean; in long trainings up to {size} steps are one point, their mean")
                }
                _ => "Faint, behind the running mean".to_owned(),
            };
            if !kinds.is_empty() && ui.checkbox(&mut raw, "Every step").on_hover_text(hint).changed() {
                self.raw_hidden = !raw;
            }
        });
        let Some(kind) = kind else {
            card::note(ui, "Curves appear with the first optimiser step.");
            return;
        };
        let traces = traces(ui, runs, kind);
        self.legend(ui, &traces);
        let mut quantities = BTreeSet::new();
        let mut last = 1;
        let mut whole = true;
        self.cache.begin_frame();
        for run in runs {
            for stage in run.state().stages_of(kind) {
                last = last.max(stage.steps.last().map_or(0, |step| step.step));
                whole &= self.cache.refresh(run.folder.root(), stage);
                quantities.extend(self.cache.get(run.folder.root(), &stage.stage).into_iter().flat_map(|lines| lines.keys().cloned()));
            }
        }
        if !whole {
            ui.ctx().request_repaint();
        }
        self.plots(ui, &quantities.into_iter().collect::<Vec<_>>(), &traces, last as f64);
    }

    /// Forgets runs that were closed.
    pub(super) fn keep(&mut self, is_open: impl Fn(&Path) -> bool) {
        self.cache.keep(&is_open);
        self.hidden.retain(|(run, _)| is_open(run));
    }

    /// Names of the lines; a click hides one.
    fn legend(&mut self, ui: &mut Ui, traces: &[Trace]) {
        ui.horizontal_wrapped(|ui| {
            for trace in traces {
                let key = (trace.run.clone(), trace.stage.arm.clone());
                let hidden = self.hidden.contains(&key);
                let colour = if hidden { trace.colour.gamma_multiply(0.3) } else { trace.colour };
                let (rect, _) = ui.allocate_exact_size(vec2(26.0, 10.0), Sense::hover());
                let (from, to) = (rect.left_center(), rect.right_center());
                let stroke = Stroke::new(2.5, colour);
                match trace.style {
                    LineStyle::Solid => drop(ui.painter().line_segment([from, to], stroke)),
                    LineStyle::Dashed { length } => {
                        ui.painter().extend(eframe::egui::Shape::dashed_line(&[from, to], stroke, length, length * 0.6));
                    }
                    LineStyle::Dotted { spacing } => {
                        ui.painter().extend(eframe::egui::Shape::dotted_line(&[from, to], colour, spacing, 1.4));
                    }
                }
                let text = if hidden { card::quiet(ui, &trace.name).strikethrough() } else { RichText::new(&trace.name) };
                if ui.selectable_label(false, text).on_hover_text("Show or hide").clicked() && !self.hidden.remove(&key) {
                    self.hidden.insert(key);
                }
            }
        });
    }

    fn plots(&self, ui: &mut Ui, quantities: &[Quantity], traces: &[Trace], last: f64) {
        let columns = ((ui.available_width() / PLOT_WIDTH) as usize).clamp(1, 4);
        for row in quantities.chunks(columns) {
            ui.columns(columns, |columns| {
                for (column, quantity) in columns.iter_mut().zip(row) {
                    column.label(RichText::new(quantity.title()).small().strong());
                    self.plot(column, quantity, traces, last);
                }
            });
        }
    }

    fn plot(&self, ui: &mut Ui, quantity: &Quantity, traces: &[Trace], last: f64) {
        // What is scrolled away costs nothing.
        let place = Rect::from_min_size(ui.cursor().min, vec2(ui.available_width(), PLOT_HEIGHT));
        if !ui.is_rect_visible(place) {
            ui.allocate_space(place.size());
            return;
        }
        let group = Id::unique("curves of a run");
        let shown = traces.iter().filter(|trace| !self.hidden.contains(&(trace.run.clone(), trace.stage.arm.clone())));
        let lines: Vec<_> = shown.filter_map(|trace| Some((trace, self.cache.get(&trace.run, &trace.stage)?.get(quantity)?))).collect();
        let named: Vec<(&str, &[PlotPoint])> = lines.iter().map(|(trace, series)| (trace.name.as_str(), series.bold.as_slice())).collect();
        let [low, high] = room(lines.iter().flat_map(|(_, series)| series.bold.iter().chain(&series.raw)).map(|point| point.y));
        let plot = Plot::new(("curve", quantity.title()))
            .height(PLOT_HEIGHT)
            .allow_scroll(false)
            .link_axis(group, [true, false])
            .link_cursor(group, [true, false])
            .include_x(0.0)
            .include_x(last)
            .include_y(low)
            .include_y(high)
            .x_grid_spacer(|input| marks(input.bounds, MARKS[0]))
            .y_grid_spacer(|input| marks(input.bounds, MARKS[1]))
            .grid_spacing(Rangef::new(GRID_SPACING[0], GRID_SPACING[1]))
            .grid_color(Palette::of(ui).tone(crate::palette::GRID))
            .y_axis_min_width(46.0)
            .y_axis_formatter(|mark, _| tick(mark.value, mark.step_size))
            .x_axis_formatter(|mark, _| if mark.value < 0.0 { String::new() } else { number(mark.value) })
            .label_formatter(|hover| match hover {
                HoverPosition::NearDataPoint { position, .. } | HoverPosition::Elsewhere { position } => readout(&named, position.x),
            });
        plot.show(ui, |plot| {
            // Faint lines first: no running mean is hidden behind another's noise.
            for (trace, series) in lines.iter().filter(|_| !self.raw_hidden) {
                let line = Line::new("", PlotPoints::Borrowed(&series.raw)).color(trace.colour.gamma_multiply(RAW_OPACITY)).width(1.0);
                plot.line(line.allow_hover(false).allow_band(false).id(format!("raw {}", trace.name)));
            }
            for (trace, series) in &lines {
                let line = Line::new(trace.name.clone(), PlotPoints::Borrowed(&series.bold)).color(trace.colour).width(1.8);
                plot.line(line.style(trace.style));
            }
        });
    }
}

/// A colour for each run and arm, in the order in which the arms began; the report gives the first run's the same ones.
fn traces(ui: &Ui, runs: &[&OpenRun], kind: StageKind) -> Vec<Trace> {
    let palette = Palette::of(ui);
    let mut traces = Vec::new();
    let mut first = 0;
    for (place, run) in runs.iter().enumerate() {
        let arms = arms(run.state());
        for (index, arm) in arms.iter().enumerate() {
            let stage = Stage { kind, arm: (*arm).to_owned() };
            if run.state().stage(kind, arm).is_none_or(|stage| stage.steps.is_empty()) {
                continue;
            }
            let name = match (runs.len() > 1, arm.is_empty()) {
                (true, true) => run.name().to_owned(),
                (true, false) => format!("{}: {arm}", run.name()),
                (false, true) => run.name().to_owned(),
                (false, false) => (*arm).to_owned(),
            };
            let style = match place {
                0 => LineStyle::Solid,
                1 => LineStyle::Dashed { length: 7.0 },
                _ => LineStyle::Dotted { spacing: 4.0 },
            };
            traces.push(Trace { run: run.folder.root().to_owned(), stage, name, colour: palette.series(first + index), style });
        }
        first += arms.len();
    }
    traces
}

/// The arms of a run in the order in which they began.
pub(super) fn arms(state: &RunState) -> Vec<&str> {
    let mut arms: Vec<&str> = Vec::new();
    for stage in &state.stages {
        if !arms.contains(&stage.stage.arm.as_str()) && stage.stage.kind != StageKind::Prepare {
            arms.push(&stage.stage.arm);
        }
    }
    arms
}

/// What the axis covers: the values, and room around them where they are all the same.
fn room(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return [0.0, 1.0];
    }
    let least = if high == 0.0 && low == 0.0 { 1.0 } else { FLAT_ROOM * high.abs().max(low.abs()) };
    if high - low < 1e-6 * least { [low - least, high + least] } else { [low, high] }
}

/// What every line has at a step: the value of its nearest point.
fn readout(lines: &[(&str, &[PlotPoint])], step: f64) -> Option<String> {
    let at = |(name, points): &(&str, &[PlotPoint])| {
        let after = points.partition_point(|point| point.x < step);
        let near = points[after.saturating_sub(1)..].iter().take(2);
        let nearest = near.min_by(|a, b| (a.x - step).abs().total_cmp(&(b.x - step).abs()))?;
        // Beyond its end a line says nothing.
        let (first, last) = (points.first()?.x, points.last()?.x);
        (first - 0.5..=last + 0.5).contains(&step).then(|| (nearest.x, format!("{name}: {}", number(nearest.y))))
    };
    let found: Vec<(f64, String)> = lines.iter().filter_map(at).collect();
    let (step, _) = found.first()?;
    let values: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    Some(format!("step {step:.0}\n{}", values.join("\n")))
}

/// A few round numbers along an axis.
fn marks((low, high): (f64, f64), most: f64) -> Vec<GridMark> {
    let least = (high - low) / most;
    if !least.is_finite() || least <= 0.0 {
        return Vec::new();
    }
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least).unwrap_or(10.0 * power);
    let numbers = (low / step).ceil() as i64..=(high / step).floor() as i64;
    numbers.map(|number| GridMark { value: number as f64 * step, step_size: step }).collect()
}

/// A number on an axis whose marks lie `step` apart: large numbers that hardly differ keep the decimals that tell them apart.
fn tick(value: f64, step: f64) -> String {
    if (100.0..1e5).contains(&value.abs()) && step < 1.0 {
        return format!("{value:.*}", (-step.log10()).ceil() as usize);
    }
    number(value)
}

/// A number in few letters.
pub(super) fn number(value: f64) -> String {
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
    fn the_readout_names_every_line_that_reaches_so_far() {
        let line = |steps: std::ops::RangeInclusive<u8>, y: f64| -> Vec<PlotPoint> {
            steps.map(|step| PlotPoint::new(f64::from(step), y)).collect()
        };
        let (long, short) = (line(1..=100, 0.25), line(1..=60, 3.0));
        let lines = [("a", long.as_slice()), ("b", short.as_slice())];
        assert_eq!(readout(&lines, 50.4).unwrap(), "step 50\na: 0.25\nb: 3");
        assert_eq!(readout(&lines, 79.8).unwrap(), "step 80\na: 0.25");
        assert_eq!(readout(&lines, 120.0), None);
        assert_eq!(readout(&[("empty", &[])], 1.0), None);
    }

    #[test]
    fn a_flat_line_has_room_in_its_own_scale() {
        assert_eq!(room([1e-4, 1e-4].into_iter()), [9e-5, 1.1e-4]);
        assert_eq!(room([0.0].into_iter()), [-1.0, 1.0]);
        assert_eq!(room([2.0, 5.0].into_iter()), [2.0, 5.0]);
        assert_eq!(room(std::iter::empty()), [0.0, 1.0]);
    }

    #[test]
    fn neighbouring_ticks_differ() {
        assert_eq!([238.5, 239.0].map(|value| tick(value, 0.5)), ["238.5", "239.0"]);
        assert_eq!([100.0, 200.0].map(|value| tick(value, 100.0)), ["100", "200"]);
    }

    #[test]
    fn axis_numbers_are_short() {
        let numbers = [0.0, 0.1, 0.0123, 1.0, 2.5, 400.0, 250_000.0, 1e-4, 1.05e-4, -0.5];
        assert_eq!(numbers.map(number), ["0", "0.1", "0.0123", "1", "2.5", "400", "2.5e5", "1e-4", "1.05e-4", "-0.5"]);
    }
}
