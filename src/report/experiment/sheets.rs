//! The tables of an experiment: what came out of each group, what tells it from its twin, and how tokens fared.

use maud::{Markup, html};

use super::sheet::{Cell, Column, Sheet};
use super::strip::Scale;
use super::view::View;
use crate::metrics::collapse::{Collapse, verdict};
use crate::metrics::{Interval, Measure};
use crate::palette::SERIES;
use crate::protocol::CollapsePair;
use crate::results::{Comparison, ExperimentResults, Group, Paired, Role, spread};
use crate::wording::{NOTHING, difference as signed, or_nothing, share, signed_share};

/// Measures of segmentations, in the order of the tables.
pub(super) const MEASURES: [Measure; 2] = [Measure::Dice, Measure::Hd95];

/// A collapse number with its name.
type Number = (&'static str, fn(&Collapse) -> Option<f64>);

/// Collapse numbers of every table, the label probes apart.
const NUMBERS: [Number; 3] = [("eta2 turned", |c| c.eta2_turned), ("index lock", |c| c.index_lock), ("anatomy lock", |c| c.anatomy_lock)];

/// What a measure is called, with its unit.
pub(super) fn title(view: &View, measure: Measure) -> String {
    match measure {
        Measure::Dice => "Dice".to_owned(),
        Measure::Hd95 => format!("HD95, {}", view.unit()),
    }
}

/// A row for each group: Dice and HD95 with the spread of the repeats, and the numbers of its tokens.
pub(super) fn results(view: &View) -> Sheet {
    let scale = Scale::covering(view.results.rows().flat_map(|(_, group)| group.repeats.iter().filter_map(|repeat| repeat.dice)));
    let probed = view.results.probed();
    let mut columns: Vec<Column> = place_columns(view);
    columns.push(Column::numbers("Dice"));
    columns.push(Column::drawings(scale.map_or_else(|| html! {}, |scale| scale.drawn(share))));
    columns.extend(view.results.labels.iter().map(|label| Column::numbers(format!("Dice, {label}"))));
    columns.push(Column::numbers(title(view, Measure::Hd95)));
    columns.extend([format!("{}s", view.results.repeat), "cases".to_owned(), "one-sided".to_owned()].map(Column::numbers));
    columns.extend(NUMBERS.map(|(name, _)| Column::numbers(name)));
    columns.extend(probed.iter().map(|volumes| Column::numbers(format!("label probe, n = {volumes}"))));
    let rows = view.results.known_rows().map(|(index, group)| {
        let mut cells = place_cells(view, index);
        cells.push(Cell::Strong(spread(group.dice.as_ref(), Measure::Dice)));
        cells.push(Cell::Drawn(strip(scale, group)));
        cells.extend(group.by_label.iter().map(|[dice, _]| Cell::Text(spread(dice.as_ref(), Measure::Dice))));
        cells.push(Cell::Text(spread(group.hd95.as_ref(), Measure::Hd95)));
        cells.extend(
            [format!("{} of {}", group.done(), group.repeats.len()), group.cases.to_string(), group.missing_in_one.to_string()]
                .map(Cell::Text),
        );
        let collapse = group.collapse.as_ref().map(|pair| view.results.seen(pair));
        let of = |value: &dyn Fn(&Collapse) -> Option<f64>| Cell::Text(or_nothing(collapse.and_then(value), share));
        cells.extend(NUMBERS.map(|(_, value)| of(&value)));
        cells.extend(probed.iter().map(|&volumes| Cell::Text(or_nothing(ExperimentResults::label_probe(group, volumes), share))));
        cells
    });
    Sheet { rows: rows.collect(), columns }
}

fn strip(scale: Option<Scale>, group: &Group) -> Markup {
    let repeats: Vec<f64> = group.repeats.iter().filter_map(|repeat| repeat.dice).collect();
    match (scale, &group.dice) {
        (Some(scale), Some(dice)) => scale.dots(dice.mean, &repeats, group.arm % SERIES.len()),
        _ => html! {},
    }
}

/// Columns that say which group a row is of.
fn place_columns(view: &View) -> Vec<Column> {
    let axes = view.results.axis_names(view.experiment);
    axes.into_iter().map(Column::words).chain(["arm", "pre-training"].map(Column::words)).collect()
}

fn place_cells(view: &View, index: usize) -> Vec<Cell> {
    let group = &view.results.groups[index];
    let words = [group.name.clone(), group.pretraining.unwrap_or("from scratch").to_owned()];
    view.results.level_names(view.experiment, index).into_iter().chain(words).map(Cell::Text).collect()
}

/// A row for each comparison: paired differences of Dice and HD95, with intervals.
pub(super) fn differences(view: &View) -> Sheet {
    let ends = |interval: &Interval| [interval.low, interval.high, 0.0];
    let scale =
        Scale::covering(view.results.told().filter_map(|comparison| comparison.dice.as_ref()).flat_map(|dice| ends(&dice.interval)));
    let mut columns = place_columns(view);
    columns.push(Column::words("against"));
    columns.push(Column::numbers("Dice difference"));
    columns.push(Column::drawings(scale.map_or_else(|| html! {}, |scale| scale.drawn(signed_share))));
    columns.push(Column::words("reading"));
    columns.push(Column::numbers(format!("{} difference", title(view, Measure::Hd95))));
    columns.push(Column::words("reading"));
    columns.extend([format!("{}s that agree", view.results.repeat), "cases".to_owned()].map(Column::numbers));
    let rows = view.results.told().map(|comparison| {
        let group = &view.results.groups[comparison.group];
        let mut cells = place_cells(view, comparison.group);
        cells.push(Cell::Text(against(view, comparison)));
        let dice = comparison.dice.as_ref();
        cells.push(Cell::Strong(dice.map_or_else(|| NOTHING.to_owned(), difference)));
        cells.push(Cell::Drawn(match (scale, dice) {
            (Some(scale), Some(Paired { interval, .. })) => {
                scale.interval([interval.low, interval.mean, interval.high], group.arm % SERIES.len())
            }
            _ => html! {},
        }));
        let reading = |paired: Option<&Paired>| Cell::Text(paired.map_or(NOTHING, |paired| paired.reading().words()).to_owned());
        cells.push(reading(dice));
        cells.push(Cell::Text(comparison.hd95.as_ref().map_or_else(|| NOTHING.to_owned(), difference)));
        cells.push(reading(comparison.hd95.as_ref()));
        cells.push(Cell::Text(dice.map_or_else(|| NOTHING.to_owned(), |dice| format!("{} of {}", dice.agreeing(), dice.by_repeat.len()))));
        cells.push(Cell::Text(dice.map_or(0, |dice| dice.interval.cases).to_string()));
        cells
    });
    Sheet { rows: rows.collect(), columns }
}

/// `+0.012 [+0.003, +0.021]`.
fn difference(paired: &Paired) -> String {
    let [mean, low, high] = signed(&paired.interval, paired.measure);
    format!("{mean} [{low}, {high}]")
}

fn against(view: &View, comparison: &Comparison) -> String {
    let (own, reference) = (&view.results.groups[comparison.group], &view.results.groups[comparison.reference]);
    let name = if own.levels == reference.levels { &reference.name } else { &reference.title };
    match comparison.role {
        Role::Twin => name.clone(),
        Role::Strongest => format!("{name} (strongest from scratch)"),
    }
}

/// A row for each pre-training: its tokens beside the untrained encoder's, and the verdict.
pub(super) fn tokens(view: &View) -> Sheet {
    let probed = view.results.probed();
    let mut columns: Vec<Column> = vec![Column::words("encoder")];
    columns.extend(NUMBERS.map(|(name, _)| Column::numbers(name)));
    columns.extend(["eta2", "gap", "RankMe"].map(Column::numbers));
    columns.extend(probed.iter().flat_map(|n| [format!("label probe, n = {n}"), format!("position alone, n = {n}")]).map(Column::numbers));
    columns.push(Column::numbers(format!("{}s", view.results.repeat)));
    columns.push(Column::words("verdict"));
    let numbers = |pair: &CollapsePair| {
        let collapse = view.results.seen(pair);
        let mut cells: Vec<Cell> = NUMBERS.iter().map(|(_, value)| Cell::Text(or_nothing(value(collapse), share))).collect();
        let rank = collapse.rankme.map_or_else(|| NOTHING.to_owned(), |rank| format!("{rank:.1}"));
        cells.extend([or_nothing(collapse.eta2, share), or_nothing(collapse.gap, share), rank].map(Cell::Text));
        let probe = |n: &usize| {
            [&pair.encoder.label_probe_r2, &pair.encoder.label_probe_r2_position]
                .map(|probe| Cell::Text(or_nothing(probe.get(n).copied(), share)))
        };
        cells.extend(probed.iter().flat_map(probe));
        cells
    };
    let mut rows = Vec::new();
    let mut untrained: Vec<&CollapsePair> = Vec::new();
    for own in view.results.pretrainings(view.experiment) {
        let group = &view.results.groups[own.group];
        let Some(before) = &group.untrained else { continue };
        // Networks differ in their untrained encoders; each is shown once, above those that start from it.
        if !untrained.contains(&before) {
            untrained.push(before);
            let name = view.experiment.stages[own.stages[0]].config.model.backbone().title();
            let mut row = vec![Cell::Text(format!("{name}, untrained"))];
            row.extend(numbers(before));
            row.extend([NOTHING, NOTHING].map(|nothing| Cell::Text(nothing.to_owned())));
            rows.push(row);
        }
        let Some(after) = &group.collapse else { continue };
        let measured = own.stages.iter().filter(|&&stage| view.records(&[stage]).iter().any(|run| has_probe(run))).count();
        let mut row = vec![Cell::Text(own.name)];
        row.extend(numbers(after));
        row.push(Cell::Text(format!("{measured} of {}", own.stages.len())));
        row.push(Cell::Strong(judged(view.results.seen(after), view.results.seen(before)).to_owned()));
        rows.push(row);
    }
    Sheet { columns, rows }
}

fn has_probe(run: &crate::protocol::RunState) -> bool {
    run.stages_of(crate::protocol::StageKind::Pretrain).any(|stage| stage.last_probe().is_some())
}

/// The verdict in a word.
pub(super) fn judged(collapse: &Collapse, untrained: &Collapse) -> &'static str {
    verdict(collapse, untrained).map_or(NOTHING, |judgement| judgement.verdict.word())
}
