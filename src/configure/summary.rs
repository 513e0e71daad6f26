//! What was found and chosen, for a terminal.

use std::fmt;

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, TableComponent, Width, presets};

use super::fingerprint::{Channel, Fingerprint, Intensities, Modality};
use super::rules::Configuration;
use super::spacing::median_shape;
use super::text::{WIDTH, wrapped};
use crate::geometry::quantile;
use crate::volume::check::number;
use crate::wording::{count, list, printable};

/// Most columns of a value in the table of choices: the reasons take what is left.
const VALUE_WIDTH: u16 = 30;

impl fmt::Display for Configuration {
    /// The dataset's fingerprint, each choice with its reason, and what to look at.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = facts(&self.fingerprint).into_iter().chain([("memory".to_owned(), self.memory.clone())]);
        writeln!(f, "{}\n", table(None, found.map(|(what, value)| [what, value])))?;
        let chosen = self.choices.iter().map(|choice| [choice.key.to_owned(), choice.value.clone(), choice.reason.clone()]);
        let mut choices = table(Some(["setting", "value", "why"]), chosen);
        if let Some(value) = choices.column_mut(1) {
            value.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(VALUE_WIDTH)));
        }
        write!(f, "{choices}")?;
        self.hints.iter().flat_map(|hint| wrapped(&format!("LOOK: {hint}"), WIDTH)).try_for_each(|line| write!(f, "\n{line}"))
    }
}

fn table<const N: usize>(header: Option<[&str; N]>, rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH as u16).remove_style(TableComponent::HorizontalLines).remove_style(TableComponent::MiddleIntersections);
    if let Some(header) = header {
        table.set_header(header);
    }
    for row in rows {
        table.add_row(row.map(|text| Cell::new(printable(&text))));
    }
    table
}

/// Facts by name.
fn facts(fingerprint: &Fingerprint) -> Vec<(String, String)> {
    let Fingerprint { name, channels, classes, cases, unusable } = fingerprint;
    let labelled = fingerprint.labelled();
    let mut facts =
        vec![(name.clone(), format!("{}: {labelled} with a label map, {} without", count(cases.len(), "case"), cases.len() - labelled))];
    if !unusable.is_empty() {
        facts.push(("left out".to_owned(), format!("{} that cannot be used: {}", count(unusable.len(), "case"), list(unusable))));
    }
    let shapes: Vec<[usize; 3]> = cases.iter().map(|case| case.shape).collect();
    if !shapes.is_empty() {
        let median = median_shape(&shapes);
        facts.push(("D x H x W".to_owned(), per_axis(median, |axis| shapes.iter().map(|shape| shape[axis] as f64).collect())));
        let spacing = |axis: usize| cases.iter().map(|case| case.spacing_mm[axis]).collect::<Vec<f64>>();
        let median = [0, 1, 2].map(|axis| quantile(&mut spacing(axis), 0.5).unwrap_or_default());
        facts.push(("voxel, mm".to_owned(), per_axis(median, spacing)));
    }
    facts.extend(channels.iter().map(channel_fact));
    facts.extend(classes.iter().map(|class| {
        let volume = if class.cases > 0 { format!(", {} mL in the mean", number(class.mean_ml)) } else { String::new() };
        (format!("label {} {}", class.value, class.name), format!("in {} of {labelled} label maps{volume}", class.cases))
    }));
    facts
}

/// `36 x 50 x 35 in the median, from 24 x 40 x 29 to 47 x 59 x 43`.
fn per_axis(median: [f64; 3], values: impl Fn(usize) -> Vec<f64>) -> String {
    let ends = |pick: fn(f64, f64) -> f64| [0, 1, 2].map(|axis| values(axis).into_iter().reduce(pick).unwrap_or_default());
    let [median, least, most] = [median, ends(f64::min), ends(f64::max)].map(|sizes| sizes.map(number).join(" x "));
    if least == most { format!("{median}, all alike") } else { format!("{median} in the median, from {least} to {most}") }
}

fn channel_fact(channel: &Channel) -> (String, String) {
    let modality = match channel.modality {
        Modality::Ct => "CT by its name",
        Modality::Mr => "MR by its name",
        Modality::Unknown if channel.resembles_hounsfield() => "not CT or MR by its name, though it looks like Hounsfield units",
        Modality::Unknown => "not CT or MR by its name",
    };
    let ends = |of: &Intensities| {
        let [low, high] = [of.low, of.high].map(|value| number(f64::from(value)));
        format!("{low} to {high} (mean {}, deviation {})", number(of.mean), number(of.deviation))
    };
    let labels = channel.labels.as_ref().map_or_else(String::new, |labels| format!("; inside the labels {}", ends(labels)));
    (format!("channel {}", channel.name), format!("{modality}; 0.5 to 99.5 % of the body {}{labels}", ends(&channel.body)))
}
