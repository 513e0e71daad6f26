//! Curves of one experiment, or of several over one another: a colour for each training, a dash for each experiment.

use std::collections::BTreeSet;
use std::path::Path;

use eframe::egui::{Color32, Ui};
use egui_plot::LineStyle;

use super::series::{Key, LineCache};
use crate::gui::widgets::{Axis, Chart, LegendEntry, Series, SeriesKind, card, legend};
use crate::gui::{OpenRun, OpenTraining, Palette};
use crate::protocol::{StageKind, StageState};
use crate::results::curves::Quantity;

/// Height of a plot, and its least width, in points: as many stand next to one another as fit.
const PLOT: (f32, f32) = (168.0, 300.0);
/// Lines that are drawn at once; of a larger grid, those that are chosen or newest.
const MOST_LINES: usize = 10;

/// Kinds of trainings, which have curves.
const TRAININGS: [(StageKind, &str); 2] = [(StageKind::Pretrain, "Pre-training"), (StageKind::Finetune, "Fine-tuning")];

/// The curves, and what of them is shown.
#[derive(Default)]
pub(super) struct Curves {
    cache: LineCache,
    kind: Option<StageKind>,
    hidden: BTreeSet<Key>,
    raw_hidden: bool,
}

/// One line through all plots.
struct Trace<'a> {
    key: Key,
    stage: &'a StageState,
    name: String,
    colour: Color32,
    style: LineStyle,
}

impl Curves {
    /// The curves of `open`, the first of which is the one that is looked at; of that the trainings in `chosen`, where there are any.
    pub(super) fn show(&mut self, ui: &mut Ui, open: &[&OpenRun], chosen: &[usize]) {
        let steps = |training: &OpenTraining<'_>| training.run.stages_of(training.plan.kind).any(|stage| !stage.steps.is_empty());
        let began = |kind| open.iter().flat_map(|open| open.trainings()).any(|training| training.plan.kind == kind && steps(&training));
        let kinds: Vec<_> = TRAININGS.into_iter().filter(|(kind, _)| began(*kind)).collect();
        // What is chosen, or runs now, is what is looked at, until the user chooses a kind.
        let first = open.first().map(|open| &open.experiment.trainings);
        let wanted = chosen.first().and_then(|&training| Some(first?[training].kind)).filter(|kind| began(*kind));
        let newest =
            || open.first().and_then(|open| open.trainings().rev().find(|training| open.is_live(training.index) && steps(training)));
        let last = || open.first().and_then(|open| open.trainings().rev().find(steps));
        let kind = self.kind.filter(|kind| began(*kind)).or(wanted);
        let kind = kind.or_else(|| newest().or_else(last).map(|training| training.plan.kind)).or(kinds.first().map(|(kind, _)| *kind));
        let Some(kind) = kind else {
            card::title(ui, "Curves");
            card::note(ui, "Curves appear with the first optimiser step.");
            return;
        };
        let (traces, left_out) = traces(ui, open, (kind, chosen));
        self.bar(ui, &kinds, kind, &traces);
        let entry = |trace: &'_ Trace<'_>| self.hidden.contains(&trace.key);
        let entries: Vec<LegendEntry<'_>> = traces
            .iter()
            .map(|trace| LegendEntry { name: &trace.name, colour: trace.colour, style: trace.style, hidden: entry(trace) })
            .collect();
        if let Some(clicked) = legend(ui, &entries, true)
            && !self.hidden.remove(&traces[clicked].key)
        {
            self.hidden.insert(traces[clicked].key.clone());
        }
        if left_out > 0 {
            card::note(ui, format!("{left_out} more: click a cell of the grid to see its curves."));
        }
        let mut quantities = BTreeSet::new();
        let mut whole = true;
        self.cache.begin_frame();
        for trace in &traces {
            whole &= self.cache.refresh(&trace.key, trace.stage);
            quantities.extend(self.cache.get(&trace.key).into_iter().flat_map(|lines| lines.keys().cloned()));
        }
        if !whole {
            ui.ctx().request_repaint();
        }
        let last = traces.iter().filter_map(|trace| trace.stage.steps.last()).map(|step| step.step).max().unwrap_or(1);
        let columns = ((ui.available_width() / PLOT.1) as usize).clamp(1, 4);
        for row in quantities.into_iter().collect::<Vec<_>>().chunks(columns) {
            ui.columns(columns, |columns| {
                for (column, quantity) in columns.iter_mut().zip(row) {
                    self.plot(column, quantity, &traces, last as f64);
                }
            });
        }
    }

    fn bar(&mut self, ui: &mut Ui, kinds: &[(StageKind, &str)], kind: StageKind, traces: &[Trace<'_>]) {
        ui.horizontal(|ui| {
            card::title(ui, "Curves");
            for (choice, word) in kinds {
                if ui.selectable_label(kind == *choice, *word).clicked() {
                    self.kind = Some(*choice);
                }
            }
            let hint = match traces.iter().map(|trace| trace.stage.steps.group_size()).max() {
                Some(size) if size > 1 => {
                    format!("Faint, behind the running mean; in long trainings up to {size} steps are one point, their mean")
                }
                _ => "Faint, behind the running mean".to_owned(),
            };
            let mut raw = !self.raw_hidden;
            if ui.checkbox(&mut raw, "Every step").on_hover_text(hint).changed() {
                self.raw_hidden = !raw;
            }
        });
    }

    fn plot(&self, ui: &mut Ui, quantity: &Quantity, traces: &[Trace<'_>], last: f64) {
        let shown = traces.iter().filter(|trace| !self.hidden.contains(&trace.key));
        let lines: Vec<_> = shown.filter_map(|trace| Some((trace, self.cache.get(&trace.key)?.get(quantity)?))).collect();
        // Faint lines first: no running mean is hidden behind another's noise.
        let raw = lines.iter().filter(|_| !self.raw_hidden);
        let raw = raw.map(|(trace, line)| Series::line(trace.name.as_str(), trace.colour, &line.raw).kind(SeriesKind::Faint));
        let bold = lines
            .iter()
            .map(|(trace, line)| Series::line(trace.name.as_str(), trace.colour, &line.bold).kind(SeriesKind::Line(trace.style)));
        let axes = [Axis::new("step").include([0.0, last]), Axis::new("")];
        let chart = Chart::new(quantity.title(), quantity.meaning(), PLOT.0, axes).linked("curves of an experiment");
        chart.series(raw.chain(bold)).show(ui);
    }

    /// Forgets experiments that were closed.
    pub(super) fn keep(&mut self, is_open: impl Fn(&Path) -> bool) {
        self.cache.keep(&is_open);
        self.hidden.retain(|(folder, _)| is_open(folder));
    }

    /// Goes back to the kind of what is chosen.
    pub(super) fn follow_choice(&mut self) {
        self.kind = None;
    }
}

/// A colour for each training, in the order in which they stand; the arms of an experiment of one point keep theirs of the report.
/// Second: how many lines are left out.
fn traces<'a>(ui: &Ui, open: &[&'a OpenRun], (kind, chosen): (StageKind, &[usize])) -> (Vec<Trace<'a>>, usize) {
    let palette = Palette::of(ui);
    let mut traces: Vec<Trace<'a>> = Vec::new();
    for (place, own) in open.iter().enumerate() {
        let known = || own.trainings().filter(|training| training.plan.kind == kind);
        let is_chosen = |training: usize| place == 0 && chosen.contains(&training);
        let any_chosen = known().any(|training| is_chosen(training.index));
        for training in known().filter(|training| !any_chosen || is_chosen(training.index)) {
            let Some(stage) = training.run.stages_of(kind).find(|stage| !stage.steps.is_empty()) else { continue };
            let title = own.title(training.index);
            let name = if open.len() > 1 { format!("{}: {title}", own.name()) } else { title };
            let style = [LineStyle::Solid, LineStyle::Dashed { length: 7.0 }, LineStyle::Dotted { spacing: 4.0 }][place.min(2)];
            let arm = &own.experiment.trainings[training.index].arm;
            let arm =
                own.experiment.arms().iter().position(|known| known.name == *arm).filter(|_| place == 0 && own.experiment.is_one_point());
            let colour = palette.series(arm.unwrap_or(traces.len()));
            traces.push(Trace { key: (own.folder.root().to_owned(), training.index), stage, name, colour, style });
        }
    }
    let left_out = traces.len().saturating_sub(MOST_LINES);
    traces.drain(..left_out);
    (traces, left_out)
}
