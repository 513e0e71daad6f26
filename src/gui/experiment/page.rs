//! An open experiment: for one point a page, for a grid its parts behind tabs.

use eframe::egui::{self, Frame, Margin, Panel, Ui};

use super::grid_table::GridTable;
use super::request::Request;
use super::{ExperimentPanel, Tab, details, findings, grid, header, progress, table};
use crate::gui::widgets::{Background, card};
use crate::gui::{OpenRun, Palette, Workspace};
use crate::wording::count;

/// Width of the details in points.
const DETAILS: f32 = 316.0;
/// From this width on, progress and results stand side by side, in points.
const TWO_COLUMNS: f32 = 880.0;

impl ExperimentPanel {
    /// The experiment that the workspace shows.
    pub(super) fn experiment(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        let other_at_work = workspace.at_work().map(|open| open.name().to_owned());
        let device = workspace.device.clone();
        let Some(open) = workspace.shown_mut() else { return };
        let devices = self.devices.as_ref().and_then(Background::get).map_or(&[][..], |(devices, _)| devices.as_slice());
        self.at_once = self.at_once.max(1);
        let around = header::Surroundings { devices, device: &device, other_at_work: other_at_work.as_deref(), at_once: &mut self.at_once };
        let frame = Frame::new().inner_margin(Margin { bottom: 6, ..Margin::ZERO });
        let panel = Panel::top("experiment header").show_separator_line(false).frame(frame);
        let asked = panel.show(ui, |ui| card::card(ui, |ui| header::show(ui, open, around))).inner;
        let is_grid = !open.experiment.is_one_point();
        self.execute(&ctx, asked, workspace);
        let asked = if is_grid { self.grid(ui, workspace) } else { self.page(ui, workspace) };
        self.execute(&ctx, asked, workspace);
    }

    /// An experiment of one point, on one page.
    fn page(&mut self, ui: &mut Ui, workspace: &Workspace) -> Option<Request> {
        let mut asked = None;
        card::column(ui, "page", |ui| {
            let Some(open) = workspace.shown() else { return };
            progress::failures(ui, open);
            let all = self.compared(ui, workspace);
            let left = |ui: &mut Ui| {
                card::card(ui, |ui| progress::show(ui, open));
                if progress::has_notices(open) {
                    ui.add_space(6.0);
                    card::card(ui, |ui| progress::notices(ui, open));
                }
            };
            let right = |ui: &mut Ui| card::card(ui, |ui| findings::conclusions(ui, open));
            if ui.available_width() >= TWO_COLUMNS {
                ui.columns_const(|[one, other]| {
                    left(one);
                    asked = right(other);
                });
            } else {
                left(ui);
                ui.add_space(6.0);
                asked = right(ui);
            }
            scores(ui, open);
            ui.add_space(6.0);
            card::card(ui, |ui| self.curves.show(ui, &all, &[]));
        });
        asked
    }

    /// A grid, behind tabs.
    fn grid(&mut self, ui: &mut Ui, workspace: &mut Workspace) -> Option<Request> {
        let open = workspace.shown()?;
        if self.table.as_ref().is_none_or(|(folder, _)| folder != open.folder.root()) {
            (self.table, self.chosen) = (Some((open.folder.root().to_owned(), GridTable::new(&open.experiment))), None);
        }
        ui.horizontal_wrapped(|ui| {
            for (tab, word, hint) in [
                (Tab::Grid, "Grid", "How far each training is"),
                (Tab::Findings, "Findings", "What the experiment shows so far"),
                (Tab::Curves, "Curves", "Loss, Dice and more over the steps"),
            ] {
                ui.selectable_value(&mut self.tab, tab, word).on_hover_text(hint);
            }
        });
        let (mut asked, chosen_before) = (None, self.chosen);
        if let Some(chosen) = self.chosen.filter(|_| self.tab == Tab::Grid) {
            let frame = Frame::new().inner_margin(Margin { left: 8, ..Margin::ZERO });
            let panel = Panel::right("experiment details").exact_size(DETAILS).resizable(false).show_separator_line(false).frame(frame);
            asked = panel.show(ui, |ui| details::show(ui, open, chosen)).inner;
        }
        card::column(ui, "grid", |ui| match (self.tab, &self.table) {
            (Tab::Grid, Some((_, table))) => grid::show(ui, open, table, &mut self.chosen),
            (Tab::Grid, None) => {}
            (Tab::Findings, _) => asked = self.findings(ui, workspace),
            (Tab::Curves, _) => {
                let chosen = self.chosen.map_or_else(Vec::new, |chosen| chosen.trainings(open));
                card::card(ui, |ui| self.curves.show(ui, &[open], &chosen));
            }
        });
        if self.chosen != chosen_before
            && let Some(open) = workspace.shown_mut()
            && let Some(point) = self.chosen.and_then(|chosen| chosen.point(&open.experiment))
        {
            open.choose_point(&point);
        }
        asked
    }

    /// Conclusions, comparisons, plots and numbers below one another.
    fn findings(&mut self, ui: &mut Ui, workspace: &Workspace) -> Option<Request> {
        let open = workspace.shown()?;
        self.compared(ui, workspace);
        let asked = card::card(ui, |ui| findings::conclusions(ui, open));
        let Some(results) = open.look.as_ref().map(|look| &look.results) else { return asked };
        ui.add_space(6.0);
        if results.groups.iter().any(|group| group.dice.is_some()) {
            findings::per_axis(ui, results);
        }
        scores(ui, open);
        asked
    }
}

/// The experiment at work in a few words, its state in one, and a colour.
pub(in crate::gui) fn status(open: &OpenRun, palette: Palette) -> (String, &'static str, egui::Color32) {
    let (word, colour) = header::word(open, palette);
    let under_way = (0..open.experiment.trainings.len()).rev().find(|&training| open.is_live(training));
    let part = under_way
        .and_then(|training| open.run(training)?.stages.last())
        .map(|part| format!("{} {} of {}", part.stage, part.done, part.total));
    let part = if open.experiment.is_one_point() { part } else { None };
    let text = part.unwrap_or_else(|| format!("{} of {}", open.tally().done, count(open.experiment.trainings.len(), "training")));
    (format!("{}: {text}", open.name()), word, colour)
}

/// The tables of scores and comparisons, once there are any.
fn scores(ui: &mut Ui, open: &OpenRun) {
    let Some([scores, comparisons]) = open.look.as_ref().map(|look| &look.tables) else { return };
    let titles = [
        (("Scores on the test cases", "Means over the test cases; ±: standard deviation over repeats"), scores),
        (("Each comparison", "Differences case by case, with their 95 % intervals, and what they show"), comparisons),
    ];
    for (title, rows) in titles.into_iter().filter(|(_, table)| !table.rows.is_empty()) {
        ui.add_space(6.0);
        card::card(ui, |ui| table::show(ui, title, rows, None));
    }
}
