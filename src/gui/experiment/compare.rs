//! Several open experiments next to one another: their final numbers, and the settings in which they differ.

use eframe::egui::Ui;

use super::table;
use crate::gui::OpenRun;
use crate::gui::widgets::card;
use crate::metrics::Metric;
use crate::protocol::StageKind;
use crate::results::settings::compared;
use crate::results::table::{Cell, Column, Table};
use crate::results::{Group, spread};
use crate::wording::{NOTHING, duration};

/// Draws both tables.
pub(super) fn show(ui: &mut Ui, open: &[&OpenRun]) {
    let columns = vec![
        Column::words("Run").meaning("The experiment"),
        Column::words("Arm").meaning("What was trained, and at which point of the grid"),
        Column::numbers("Mean Dice").meaning("Mean over labels, then over the test cases"),
        Column::numbers("HD95").meaning("Distance that 95 % of the surface points stay below, with its unit"),
        Column::numbers("Cases").meaning("Test cases"),
        Column::numbers("Last loss").meaning("Loss of the newest step of fine-tuning"),
        Column::numbers("Time").meaning("Time at work of its trainings"),
    ];
    let groups = |own: &'_ &OpenRun| own.look.iter().flat_map(|look| &look.results.groups).map(|group| row(own, group)).collect::<Vec<_>>();
    let numbers = Table { columns, rows: open.iter().flat_map(groups).collect(), best: None };
    table::show(ui, ("Runs side by side", "The final numbers of every arm"), &numbers, None);
    let configs: Vec<_> = open.iter().map(|own| own.experiment.config.base()).collect();
    let differing = compared(&configs);
    if differing.is_empty() {
        return card::note(ui, "Their settings are the same.");
    }
    ui.add_space(6.0);
    let own = open.iter().map(|own| Column::words(own.name()).meaning("Its value in this experiment"));
    let columns = std::iter::once(Column::words("Setting").meaning("A setting in which the experiments differ")).chain(own).collect();
    let rows = differing.into_iter().map(|setting| std::iter::once(setting.name).chain(setting.values).map(Cell::text).collect());
    let title = ("Settings that differ", "What was set otherwise; all other settings are the same");
    table::show(ui, title, &Table { columns, rows: rows.collect(), best: None }, None);
}

/// What came out of a group of an experiment.
fn row(own: &OpenRun, group: &Group) -> Vec<Cell> {
    let runs = || group.repeats.iter().filter_map(|repeat| own.run(repeat.training));
    let loss = runs().filter_map(|run| run.stages_of(StageKind::Finetune).next()?.steps.last()).map(|step| step.loss).next_back();
    let secs: f64 = runs().map(|run| run.secs).sum();
    let unit = group.hd95.as_ref().map_or_else(String::new, |_| format!(" {}", group.unit.word()));
    vec![
        Cell::text(own.name()),
        Cell::text(&group.title),
        Cell::text(spread(group.dice.as_ref(), Metric::Dice)).strong(),
        Cell::text(spread(group.hd95.as_ref(), Metric::Hd95) + &unit),
        Cell::count(group.cases),
        Cell::text(loss.map_or_else(|| NOTHING.to_owned(), |loss| format!("{loss:.3}"))),
        Cell::text(duration(secs)),
    ]
}
