//! What the panel looks like.

use eframe::egui::vec2;
use egui_kittest::{Harness, SnapshotResults};

use super::super::ExperimentPanel;
use super::super::View;
use super::super::details::Chosen;
use super::super::welcome::{Entry, Shipped};
use super::put;
use crate::experiment::synthetic::{self, Until};
use crate::gui::testing::{has_gpu, window};
use crate::gui::{App, Panel, ThemeChoice};

/// A snapshot in each light, and one of the least window that is looked at.
fn in_both_lights(name: &str, arrange: impl Fn(&mut App) + Clone + 'static) {
    if !has_gpu() {
        return;
    }
    let mut results = SnapshotResults::new();
    for (theme, word, small) in
        [(ThemeChoice::Dark, "dark", false), (ThemeChoice::Light, "light", false), (ThemeChoice::Dark, "small_dark", true)]
    {
        let arrange = arrange.clone();
        let mut harness: Harness<'_, App> = window(theme, |_, app| {
            app.workspace.settings.panel = Panel::Experiment;
            arrange(app);
        });
        if small {
            harness.set_size(vec2(1100.0, 700.0));
        }
        harness.run_steps(5);
        harness.snapshot(format!("experiment_{name}_{word}"));
        results.extend_harness(&mut harness);
    }
}

#[test]
fn the_first_screen_says_what_a_experiment_is() {
    let arrange = |app: &mut App| {
        let entry = |name: &str, title: &str, cells, trainings| Entry {
            path: format!("configs/experiments/{name}.ron").into(),
            name: name.to_owned(),
            title: title.to_owned(),
            cells,
            trainings,
        };
        app.experiment.shipped = Shipped::known(vec![
            entry("figure5_labels", "With how few labels does SimTROT-W help on multi-organ CT?", 60, 63),
            entry("table4_ablation", "What do masking, rotation and weight each do, on multi-organ CT?", 108, 87),
            entry("small_figure5_labels", "With how few labels does SimTROT-W help on the hippocampus?", 60, 63),
        ]);
        app.workspace.settings.recent_experiments = vec!["/data/experiments/hippocampus_labels".into()];
    };
    in_both_lights("welcome", arrange);
}

/// A cell at a place of the experiment's board.
fn choose(panel: &mut ExperimentPanel, row: usize, arm: usize, repeat: usize) {
    let cell = panel.open.as_ref().and_then(|open| open.board.cell(row, arm, repeat)).unwrap();
    panel.chosen = Some(Chosen::Cell(cell));
}

#[test]
fn a_grid_midway_shows_what_is_done_and_what_failed() {
    let arrange = |app: &mut App| {
        put(&mut app.experiment, synthetic::experiment(), Some(Until::Midway));
        let open = app.experiment.open.as_ref().unwrap();
        let failed = |cell: &usize| matches!(open.cell_standing(*cell), super::super::standing::Standing::Failed(_));
        app.experiment.chosen = (0..open.experiment.cells.len()).find(failed).map(Chosen::Cell);
    };
    in_both_lights("midway", arrange);
}

#[test]
fn more_than_a_hundred_cells_stay_readable() {
    let arrange = |app: &mut App| {
        put(&mut app.experiment, synthetic::large(), Some(Until::Midway));
        choose(&mut app.experiment, 1, 1, 0);
    };
    in_both_lights("large", arrange);
}

#[test]
fn findings_are_told_while_the_experiment_goes_on() {
    let arrange = |app: &mut App| {
        put(&mut app.experiment, synthetic::experiment(), Some(Until::Midway));
        app.experiment.view = View::Findings;
    };
    in_both_lights("findings", arrange);
}
