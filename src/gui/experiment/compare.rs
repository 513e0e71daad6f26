//! Several open experiments next to one another: their final numbers, and the settings in which they differ.

use eframe::egui::Ui;

use crate::gui::OpenRun;
use crate::gui::widgets::{Cell, Column, Table, Width, card};
use crate::metrics::Metric;
use crate::protocol::StageKind;
use crate::results::settings::compared;
use crate::results::spread;
use crate::wording::{NOTHING, duration};

/// Titles, explanations and widths in points of the columns.
const COLUMNS: [(&str, &str, f32); 7] = [
    ("Run", "The experiment", 150.0),
    ("Arm", "What was trained, and at which point of the grid", 190.0),
    ("Mean Dice", "Mean over labels, then over the test cases", 112.0),
    ("HD95", "Distance that 95 % of the surface points stay below, with its unit", 112.0),
    ("Cases", "Test cases", 52.0),
    ("Last loss", "Loss of the newest step of fine-tuning", 74.0),
    ("Time", "Time at work of its trainings", 96.0),
];

/// Draws both tables.
pub(super) fn show(ui: &mut Ui, open: &[&OpenRun]) {
    card::title(ui, "Runs side by side");
    let mut rows: Vec<[String; 7]> = Vec::new();
    for own in open {
        let Some(results) = own.look.as_ref().map(|look| &look.results) else { continue };
        for group in &results.groups {
            let runs = || group.repeats.iter().filter_map(|repeat| own.run(repeat.training));
            let loss = runs().filter_map(|run| run.stages_of(StageKind::Finetune).next()?.steps.last()).map(|step| step.loss).next_back();
            let secs: f64 = runs().map(|run| run.secs).sum();
            let dice = spread(group.dice.as_ref(), Metric::Dice);
            let hd95 = group
                .hd95
                .as_ref()
                .map_or_else(|| NOTHING.to_owned(), |hd95| format!("{} {}", spread(Some(hd95), Metric::Hd95), group.unit.word()));
            let loss = loss.map_or_else(|| NOTHING.to_owned(), |loss| format!("{loss:.3}"));
            rows.push([own.name().to_owned(), group.title.clone(), dice, hd95, group.cases.to_string(), loss, duration(secs)]);
        }
    }
    let columns = COLUMNS.map(|(title, meaning, width)| match title {
        "Run" | "Arm" => Column::new(title, meaning, Width::Exact(width)),
        _ => Column::numbers(title, meaning, Width::Exact(width)),
    });
    Table::new("Runs side by side", columns.to_vec())
        .heading("The final numbers of every arm")
        .show(ui, rows.len(), |row, column| Cell { strong: column == 2, ..rows[row][column].as_str().into() });
    let configs: Vec<_> = open.iter().map(|own| own.experiment.config.base()).collect();
    let differing = compared(&configs);
    if differing.is_empty() {
        return card::note(ui, "Their settings are the same.");
    }
    ui.add_space(6.0);
    let names = differing.iter().map(|setting| setting.name.as_str());
    let mut columns = vec![Column::new("Setting", "A setting in which the experiments differ", Width::fit(names, 120.0, 300.0))];
    columns.extend(open.iter().enumerate().map(|(place, own)| {
        let values = differing.iter().map(|setting| setting.values[place].as_str()).chain([own.name()]);
        Column::new(own.name(), "Its value in this experiment", Width::fit(values, 80.0, 320.0))
    }));
    Table::new("Settings that differ", columns).heading("What was set otherwise; all other settings are the same").show(
        ui,
        differing.len(),
        |row, column| {
            let setting = &differing[row];
            column.checked_sub(1).map_or(setting.name.as_str(), |place| setting.values[place].as_str()).into()
        },
    );
}
