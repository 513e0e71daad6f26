//! The grid: pre-trainings that cells share, and below them every cell where its levels meet its arm.

use eframe::egui::{self, Align, Layout, RichText, ScrollArea, Ui, vec2};

use super::details::Chosen;
use super::grid_table::GridTable;
use super::status::{Status, chip};
use crate::gui::OpenRun;
use crate::gui::widgets::{Cell, Column, Table, Width, card};

const CHIP: egui::Vec2 = vec2(78.0, 24.0);
/// Width of a cell in points: narrow ones save scrolling, where all arms fit by it.
const CELL: std::ops::RangeInclusive<f32> = 72.0..=96.0;
const GAP: f32 = 3.0;
/// Room behind the cells of an arm, in points.
const BEHIND: f32 = 8.0;
const ROW: f32 = 30.0;
/// Least and greatest width of a level's name, in points.
const LEVEL: (f32, f32) = (64.0, 200.0);
/// Width of a pre-training, and the height that all take at most, in points; more scroll.
const PRETRAINING: f32 = 262.0;
const PRETRAININGS_HEIGHT: f32 = 132.0;

/// Draws both; a click chooses what the details are about.
pub(super) fn show(ui: &mut Ui, open: &OpenRun, table: &GridTable, chosen: &mut Option<Chosen>) {
    let mut clicked = None;
    if !table.pretrainings.is_empty() {
        card::card(ui, |ui| pretrainings(ui, open, table, (*chosen, &mut clicked)));
        ui.add_space(6.0);
    }
    card::card(ui, |ui| cells(ui, open, table, (*chosen, &mut clicked)));
    if clicked.is_some() {
        *chosen = if clicked == *chosen { None } else { clicked };
    }
}

fn pretrainings(ui: &mut Ui, open: &OpenRun, table: &GridTable, (chosen, clicked): (Option<Chosen>, &mut Option<Chosen>)) {
    ui.horizontal(|ui| {
        card::title(ui, "Pre-trainings");
        card::note(ui, "Each is made once and shared. The number is eta2 (rotated): near 1, a token tells only where it lies.");
    });
    ScrollArea::vertical().id_salt("pre-trainings").max_height(PRETRAININGS_HEIGHT).auto_shrink([false, true]).show(ui, |ui| {
        let columns = ((ui.available_width() / PRETRAINING) as usize).max(1);
        let width = (ui.available_width() - 4.0) / columns as f32 - ui.spacing().item_spacing.x;
        for line in table.pretrainings.chunks(columns) {
            ui.horizontal(|ui| {
                for (training, title) in line {
                    ui.allocate_ui_with_layout(vec2(width, CHIP.y), Layout::left_to_right(Align::Center), |ui| {
                        ui.set_min_width(width);
                        let this = Chosen::Training(*training);
                        if field(ui, CHIP, &Status::of_training(open, *training), title, chosen == Some(this)) {
                            *clicked = Some(this);
                        }
                        card::one_line(ui, RichText::new(title).small());
                    });
                }
            });
        }
    });
}

/// A chip with its hover text; whether it was clicked.
fn field(ui: &mut Ui, size: egui::Vec2, status: &Status, name: &str, chosen: bool) -> bool {
    let response = chip(ui, size, status, name, chosen);
    let clicked = response.clicked();
    response.on_hover_ui(|ui| {
        ui.set_max_width(380.0);
        ui.strong(name);
        ui.label(&status.words()[1]);
    });
    clicked
}

fn cells(ui: &mut Ui, open: &OpenRun, table: &GridTable, (chosen, clicked): (Option<Chosen>, &mut Option<Chosen>)) {
    let axes: Vec<&str> = table.row_axes.iter().map(|&axis| open.experiment.config.axes[axis].name.as_str()).collect();
    let levels = axes.iter().enumerate().map(|(place, axis)| {
        let names = table.rows.iter().map(|row| row[place].as_str()).chain([*axis]);
        Column::new(*axis, format!("Level of the axis {axis}"), Width::fit(names, LEVEL.0, LEVEL.1))
    });
    let mut columns: Vec<Column<'_>> = levels.collect();
    let (level_count, repeats) = (columns.len(), table.repeats.len());
    let room =
        ui.available_width() - level_count as f32 * (LEVEL.0 + 30.0) - table.arms.len() as f32 * (BEHIND + ui.spacing().item_spacing.x);
    let width = (room / (table.arms.len() * repeats).max(1) as f32 - GAP).clamp(*CELL.start(), *CELL.end());
    let arm_width = repeats as f32 * (width + GAP) + BEHIND;
    columns.extend(table.arms.iter().map(|arm| {
        let meaning = if repeats > 1 { format!("The arm {arm}: {}", table.repeats.join(", ")) } else { format!("The arm {arm}") };
        Column::new(arm.as_str(), meaning, Width::fit([arm.as_str()].into_iter(), arm_width, f32::INFINITY))
    }));
    let pressed = std::cell::Cell::new(None);
    let meaning = "Mean Dice on the test cases, once a cell is done. Click a cell for its details.";
    let status = |cell: usize| Status::of_cell(open, cell);
    Table::new("Grid", columns).heading(meaning).row_height(ROW).show(ui, table.rows.len(), |row, column| {
        let Some(arm) = column.checked_sub(level_count) else {
            return Cell { strong: true, ..table.rows[row][column].as_str().into() };
        };
        let known: Vec<Option<usize>> = (0..repeats).map(|repeat| table.cell(row, arm, repeat)).collect();
        let words: Vec<String> = known.iter().map(|cell| cell.map_or(Status::Absent, status).words()[0].clone()).collect();
        let pressed = &pressed;
        let draw = move |ui: &mut Ui| {
            ui.spacing_mut().item_spacing.x = GAP;
            for cell in known {
                let Some(cell) = cell else {
                    chip(ui, vec2(width, CHIP.y), &Status::Absent, "no cell", false).on_hover_text("Not part of this experiment");
                    continue;
                };
                let (this, title) = (Chosen::Cell(cell), open.experiment.title(&open.experiment.cells[cell]));
                if field(ui, vec2(width, CHIP.y), &status(cell), &title, chosen == Some(this)) {
                    pressed.set(Some(this));
                }
            }
        };
        Cell { draw: Some(Box::new(draw)), ..words.join(" ").into() }
    });
    *clicked = pressed.get().or(clicked.take());
}
