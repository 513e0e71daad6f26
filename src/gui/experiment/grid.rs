//! The grid: pre-trainings that cells share, and below them every cell where its levels meet its arm.

use eframe::egui::{self, Align, Layout, RichText, ScrollArea, Ui, vec2};
use egui_extras::{Column, TableBuilder};

use super::super::widgets::card;
use super::details::Chosen;
use super::opened::OpenExperiment;
use super::standing::{Standing, chip};

const CHIP: egui::Vec2 = vec2(78.0, 24.0);
/// Width of a cell: narrow ones save scrolling, where all arms fit by it.
const CELL: std::ops::RangeInclusive<f32> = 72.0..=96.0;
const GAP: f32 = 3.0;
/// Room behind the cells of an arm.
const BEHIND: f32 = 8.0;
const ROW_HEIGHT: f32 = 30.0;
const HEADER_HEIGHT: f32 = 38.0;
/// Width of a letter in names of levels, and what such a column has at least and at most.
const LETTER: f32 = 7.4;
const SMALL_LETTER: f32 = 6.2;
const LEVEL: std::ops::RangeInclusive<f32> = 64.0..=200.0;
/// Width of a pre-training.
const PRETRAINING: f32 = 262.0;
/// Height that pre-trainings take at most; more scroll.
const PRETRAININGS_HEIGHT: f32 = 132.0;

/// Draws both; a click chooses what the details are about.
pub(super) fn show(ui: &mut Ui, open: &OpenExperiment, chosen: &mut Option<Chosen>) {
    if !open.board.pretrainings.is_empty() {
        card::card(ui, |ui| pretrainings(ui, open, chosen));
        ui.add_space(6.0);
    }
    card::card(ui, |ui| {
        ui.horizontal(|ui| {
            card::title(ui, "Grid");
            card::note(ui, "Mean Dice on the test cases, once a cell is done. Click a cell for its details.");
        });
        ui.add_space(2.0);
        table(ui, open, chosen);
    });
}

fn pretrainings(ui: &mut Ui, open: &OpenExperiment, chosen: &mut Option<Chosen>) {
    ui.horizontal(|ui| {
        card::title(ui, "Pre-trainings");
        card::note(ui, "Each is made once and shared. The number is eta2 (turned): near 1, a token tells only where it lies.");
    });
    ScrollArea::vertical().id_salt("pre-trainings").max_height(PRETRAININGS_HEIGHT).auto_shrink([false, true]).show(ui, |ui| {
        let columns = ((ui.available_width() / PRETRAINING) as usize).max(1);
        let spacing = ui.spacing().item_spacing.x;
        let width = (ui.available_width() - 4.0) / columns as f32 - spacing;
        for line in open.board.pretrainings.chunks(columns) {
            ui.horizontal(|ui| {
                for (stage, title) in line {
                    ui.allocate_ui_with_layout(vec2(width, CHIP.y), Layout::left_to_right(Align::Center), |ui| {
                        ui.set_min_width(width);
                        let standing = open.stage_standing(*stage);
                        let this = Chosen::Stage(*stage);
                        if field(ui, CHIP, &standing, title, *chosen == Some(this)).clicked() {
                            *chosen = if *chosen == Some(this) { None } else { Some(this) };
                        }
                        card::one_line(ui, RichText::new(title).small());
                    });
                }
            });
        }
    });
}

/// A chip with its hover text.
fn field(ui: &mut Ui, size: egui::Vec2, standing: &Standing, name: &str, chosen: bool) -> egui::Response {
    let response = chip(ui, size, standing, (&standing.word(), name), chosen);
    response.on_hover_ui(|ui| {
        ui.set_max_width(380.0);
        ui.strong(name);
        ui.label(standing.sentence());
    })
}

/// Widths of the columns of levels, and of a cell.
fn widths(ui: &Ui, open: &OpenExperiment, axes: &[&str]) -> (Vec<f32>, f32) {
    let board = &open.board;
    let level = |(place, axis): (usize, &&str)| {
        let names = board.rows.iter().map(|row| LETTER * row[place].chars().count() as f32);
        names.fold(SMALL_LETTER * axis.chars().count() as f32, f32::max).clamp(*LEVEL.start(), *LEVEL.end())
    };
    let levels: Vec<f32> = axes.iter().enumerate().map(level).collect();
    let columns = (board.arms.len() * board.repeats.len()).max(1) as f32;
    let between = ui.spacing().item_spacing.x;
    let taken: f32 = levels.iter().map(|width| width + between).sum();
    let room = ui.available_width() - taken - board.arms.len() as f32 * (BEHIND + between);
    (levels, (room / columns - GAP).clamp(*CELL.start(), *CELL.end()))
}

fn table(ui: &mut Ui, open: &OpenExperiment, chosen: &mut Option<Chosen>) {
    let board = &open.board;
    let axes: Vec<&str> = board.row_axes.iter().map(|&axis| open.experiment.config.axes[axis].name.as_str()).collect();
    let (levels, cell_width) = widths(ui, open, &axes);
    let size = vec2(cell_width, CHIP.y);
    let arm_width = board.repeats.len() as f32 * (cell_width + GAP) + BEHIND;
    ScrollArea::horizontal().id_salt("grid columns").auto_shrink([false, true]).show(ui, |ui| {
        let mut table = TableBuilder::new(ui)
            .id_salt("grid")
            .striped(true)
            .auto_shrink([false, true])
            .max_scroll_height(f32::INFINITY)
            .cell_layout(Layout::left_to_right(Align::Center));
        for width in &levels {
            table = table.column(Column::exact(*width).clip(true));
        }
        for arm in &board.arms {
            table = table.column(Column::exact(arm_width.max(arm.chars().count() as f32 * LETTER)).clip(true));
        }
        let header = table.header(HEADER_HEIGHT, |mut row| {
            for axis in &axes {
                row.col(|ui| {
                    let text = card::quiet(ui, *axis).small();
                    card::one_line(ui, text);
                });
            }
            for arm in &board.arms {
                row.col(|ui| arm_title(ui, cell_width, arm, &board.repeats));
            }
        });
        header.body(|body| {
            body.rows(ROW_HEIGHT, board.rows.len(), |mut row| {
                let index = row.index();
                for level in &board.rows[index] {
                    row.col(|ui| {
                        card::one_line(ui, RichText::new(level).strong());
                    });
                }
                for arm in 0..board.arms.len() {
                    row.col(|ui| {
                        ui.spacing_mut().item_spacing.x = GAP;
                        for repeat in 0..board.repeats.len() {
                            cell(ui, size, open, (board.cell(index, arm, repeat), &mut *chosen));
                        }
                    });
                }
            });
        });
    });
}

/// The arm's name above the names of the repeats.
fn arm_title(ui: &mut Ui, width: f32, arm: &str, repeats: &[String]) {
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, 0.0);
        card::one_line(ui, RichText::new(arm).strong());
        if repeats.len() > 1 {
            ui.horizontal(|ui| {
                for repeat in repeats {
                    ui.allocate_ui_with_layout(vec2(width, 14.0), Layout::left_to_right(Align::Center), |ui| {
                        ui.set_min_width(width);
                        let text = card::quiet(ui, repeat).small();
                        card::one_line(ui, text);
                    });
                }
            });
        }
    });
}

fn cell(ui: &mut Ui, size: egui::Vec2, open: &OpenExperiment, (cell, chosen): (Option<usize>, &mut Option<Chosen>)) {
    let Some(cell) = cell else {
        chip(ui, size, &Standing::Absent, ("", "no cell"), false).on_hover_text("Not part of this experiment");
        return;
    };
    let this = Chosen::Cell(cell);
    let title = open.experiment.title(&open.experiment.cells[cell]);
    if field(ui, size, &open.cell_standing(cell), &title, *chosen == Some(this)).clicked() {
        *chosen = if *chosen == Some(this) { None } else { Some(this) };
    }
}
