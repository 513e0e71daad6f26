//! The tables of an experiment: what came out of each group, what tells it from training from scratch, and how tokens fared.

use super::comparison::{Comparison, Paired, Role};
use super::group::{Group, Spread, spread};
use super::table::{Cell, Column, Table};
use super::tokens::{Purpose, TokenMetric, Tokens};
use super::{ExperimentResults, MEASURES};
use crate::experiment::Experiment;
use crate::metrics::{CaseScore, Measure};
use crate::protocol::CollapsePair;
use crate::wording::{NOTHING, difference, word};

/// What `missing in one` counts.
const MISSING: &str = "Labels that only truth or only the prediction has: Dice 0, and the volume's diagonal as HD95";

/// What a measure is, for people who read it first.
fn meaning(measure: Measure) -> &'static str {
    match measure {
        Measure::Dice => "Overlap of segmentation and truth, from 0 to 1: high is good. Mean over labels, then over cases.",
        Measure::Hd95 => "Distance that 95 % of the surface points do not exceed: low is good. Mean over labels, then over cases.",
    }
}

/// Columns that say which group a row is of; the arm comes first where nothing else varies.
fn group_columns(results: &ExperimentResults) -> Vec<Column> {
    let axes = results.names.axes.iter().map(|axis| axis.name.as_str());
    axes.chain(["arm", "pretraining"]).map(|name| Column::words(name.replace("pretraining", "pre-training")).fields([name])).collect()
}

fn group_cells(results: &ExperimentResults, index: usize) -> Vec<Cell> {
    let group = &results.groups[index];
    let settings = results.names.arms[group.arm].settings.join("; ");
    let pretraining = Cell::text(group.task.unwrap_or("from scratch")).fields(vec![group.task.unwrap_or_default().to_owned()]);
    let arm = [Cell::word(&group.name).series(group.arm), pretraining.note(settings)];
    group.level_names.iter().map(Cell::word).chain(arm).collect()
}

impl ExperimentResults {
    /// A row for each group: Dice and HD95 with intervals and the spread of the repeats; of a grid, collapse numbers as well.
    pub fn groups_table(&self) -> Table {
        let results = self;
        let metrics = token_columns(results);
        let mut columns = group_columns(results);
        let numbers = |name: &str| ["mean", "low", "high", "deviation", "lowest", "highest"].map(|part| format!("{name}_{part}"));
        columns.push(Column::numbers("Dice").meaning(meaning(Measure::Dice)).fields(numbers("dice")));
        let label =
            |label: &String| Column::numbers(format!("Dice, {label}")).fields(["dice", "hd95"].map(|name| format!("{name}_{label}")));
        columns.extend(results.labels.iter().map(label));
        let hd95 = Column::numbers(results.measure_title(Measure::Hd95)).meaning(meaning(Measure::Hd95));
        columns.push(hd95.fields(numbers("hd95").into_iter().chain(["unit".to_owned()])));
        columns.push(
            Column::numbers(format!("{}s", results.names.repeat))
                .meaning("How many are done of those planned")
                .fields(["repeats", "planned"]),
        );
        columns.push(Column::numbers("cases").fields(["cases"]));
        columns.push(Column::numbers("missing in one").meaning(MISSING).fields(["missing_in_one"]));
        columns.extend(metrics.iter().map(|metric| Column::numbers(&metric.name).meaning(metric.meaning).fields([&metric.key])));
        let known: Vec<(usize, &Group)> = results.known_rows().collect();
        let row = |&(index, group): &(usize, &Group)| {
            let mut cells = group_cells(results, index);
            cells.push(mean_cell(results, group, Measure::Dice).strong());
            let by_label = |[dice, hd95]: &[Option<Spread>; 2]| {
                Cell::text(spread(dice.as_ref(), Measure::Dice)).values([dice, hd95].map(|own| own.map(|own| own.mean)))
            };
            cells.extend(group.by_label.iter().map(by_label));
            cells.push(mean_cell(results, group, Measure::Hd95));
            let counts = [group.done(), group.repeats.len()];
            cells.push(Cell::text(format!("{} of {}", counts[0], counts[1])).fields(counts.map(|count| count.to_string()).to_vec()));
            cells.extend([group.cases, group.missing_in_one].map(Cell::count));
            cells.extend(metrics.iter().map(|metric| {
                let value = group.collapse.as_ref().and_then(|pair| metric.of(results.tokens, pair));
                Cell::text(metric.text(value)).values([value])
            }));
            cells
        };
        let best = known.iter().position(|(index, _)| results.best() == Some(*index));
        Table { rows: known.iter().map(row).collect(), columns, best }
    }
}

/// Collapse numbers beside the scores: of a grid those of the verdict and the label probes; one point has a table of its own for all.
fn token_columns(results: &ExperimentResults) -> Vec<TokenMetric> {
    let mut metrics = results.token_metrics();
    let wanted = |metric: &TokenMetric| metric.purpose == Purpose::Verdict || metric.key.starts_with("label_probe");
    metrics.retain(|metric| !results.is_one_point() && wanted(metric));
    metrics
}

fn mean_cell(results: &ExperimentResults, group: &Group, measure: Measure) -> Cell {
    let own = group.mean(measure);
    let interval = own.and_then(|own| own.interval);
    let range = own.and_then(|own| own.range);
    let parts = [
        own.map(|own| own.mean),
        interval.map(|[low, _]| low),
        interval.map(|[_, high]| high),
        own.and_then(|own| own.deviation),
        range.map(|[low, _]| low),
        range.map(|[_, high]| high),
    ];
    let word = word(measure);
    let note = interval.map_or_else(String::new, |[low, high]| format!("[{}, {}]", word(low), word(high)));
    let mut cell = Cell::text(results.mean_text(group, measure)).note(note).values(parts);
    if measure == Measure::Hd95 {
        cell = cell.and_field(group.unit.word());
    }
    cell
}

impl ExperimentResults {
    /// A row for each comparison: paired differences of Dice and HD95 with intervals, and what they show.
    pub fn comparisons_table(&self) -> Table {
        let results = self;
        let shown: Vec<&Comparison> = results.shown().collect();
        let fields = |measure: Measure| {
            let name = if measure == Measure::Dice { "dice" } else { "hd95" };
            ["difference", "low", "high", "better", "worse", "agreeing", "reading"].map(|part| format!("{name}_{part}"))
        };
        let mut columns = group_columns(results);
        columns.push(Column::words("against").fields(["against", "role"]));
        for measure in MEASURES {
            columns.push(Column::numbers(format!("{} difference", results.measure_title(measure))).fields(fields(measure)));
            columns.push(Column::words("reading"));
            columns.push(Column::numbers("cases better / worse"));
        }
        columns.push(Column::numbers(format!("{}s that agree", results.names.repeat)).fields(["repeats"]));
        columns.push(Column::numbers("cases").fields(["cases"]));
        let row = |own: &&Comparison| {
            let mut cells = group_cells(results, own.group);
            cells.push(
                Cell::text(against(results, own)).fields(vec![results.groups[own.reference].title.clone(), own.role.word().to_owned()]),
            );
            for measure in MEASURES {
                let paired = own.of(measure);
                cells.push(difference_cell(paired));
                cells.push(Cell::text(paired.map_or(NOTHING, Paired::words)));
                let [better, worse] = paired.map_or([0, 0], |paired| paired.better_worse);
                cells.push(Cell::text(format!("{better} / {worse}")));
            }
            let dice = own.dice.as_ref();
            let repeats = dice.map_or(0, |dice| dice.by_repeat.len());
            cells.push(Cell::text(format!("{} of {repeats}", dice.map_or(0, Paired::agreeing))).fields(vec![repeats.to_string()]));
            cells.push(Cell::count(dice.map_or(0, |dice| dice.interval.cases)));
            cells
        };
        Table { rows: shown.iter().map(row).collect(), columns, best: None }
    }
}

/// `+0.012 [+0.003, +0.021]`.
fn difference_cell(paired: Option<&Paired>) -> Cell {
    let Some(paired) = paired else { return Cell::text(NOTHING).fields(vec![String::new(); 7]) };
    let [mean, low, high] = difference(&paired.interval, paired.measure);
    let interval = &paired.interval;
    let counts = [paired.better_worse[0], paired.better_worse[1], paired.agreeing()].map(|count| Some(count as f64));
    let numbers = [interval.mean, interval.low, interval.high].map(Some).into_iter().chain(counts);
    Cell::text(mean).strong().note(format!("[{low}, {high}]")).values(numbers).and_field(paired.words())
}

fn against(results: &ExperimentResults, comparison: &Comparison) -> String {
    let [own, reference] = [comparison.group, comparison.reference].map(|index| &results.groups[index]);
    let name = if own.levels == reference.levels { &reference.name } else { &reference.title };
    if comparison.role == Role::Strongest { format!("{name} (strongest from scratch)") } else { name.clone() }
}

impl ExperimentResults {
    /// A row for each training that is done and each label, and one of the labels' mean: for other programs.
    pub fn trainings_table(&self, experiment: &Experiment) -> Table {
        let results = self;
        let axes = experiment.config.axes.iter().map(|axis| axis.name.as_str());
        let names = ["arm", "pretraining", "label", "cases", "dice", "hd95", "unit", "missing_in_one", "training"];
        let columns = axes.chain(names).map(|name| Column::words(name).fields([name])).collect();
        let mut rows = Vec::new();
        for group in &results.groups {
            for repeat in group.repeats.iter().filter(|repeat| repeat.done) {
                for label in results.labels.iter().map(Some).chain([None]) {
                    let wanted = |score: &&CaseScore| label.is_none_or(|label| score.region == *label);
                    let mean = |measure: Measure| {
                        let of_case = |scores: &Vec<CaseScore>| measure.of_case(&scores.iter().filter(wanted).cloned().collect::<Vec<_>>());
                        let values: Vec<f64> = repeat.scores.values().filter_map(of_case).collect();
                        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
                    };
                    let cell = &experiment.cells[repeat.cell];
                    let levels = (0..experiment.config.axes.len()).map(|axis| Cell::word(experiment.level(cell, axis)));
                    let missing = repeat.scores.values().flatten().filter(wanted).filter(|score| score.missing_in_one).count();
                    let named = [group.name.as_str(), group.task.unwrap_or_default(), label.map_or("mean", String::as_str)].map(Cell::word);
                    let measured = MEASURES.map(|measure| Cell::default().values([mean(measure)]));
                    let training = &experiment.trainings[repeat.training].name;
                    let row = levels.chain(named).chain([Cell::count(repeat.scores.len())]).chain(measured);
                    rows.push(row.chain([Cell::word(group.unit.word()), Cell::count(missing), Cell::word(training)]).collect());
                }
            }
        }
        Table { columns, rows, best: None }
    }
}

impl ExperimentResults {
    /// A row for each encoder, references included: its collapse numbers and the verdict; in the last row, what is healthy.
    pub fn encoders_table(&self, tokens: Tokens) -> Table {
        let results = self;
        let metrics = results.token_metrics();
        let mut columns = vec![Column::words("encoder").fields(["encoder"])];
        columns.extend(metrics.iter().map(|metric| Column::numbers(&metric.name).meaning(metric.meaning).fields([&metric.key])));
        columns.push(Column::numbers(format!("{}s", results.names.repeat)).fields(["repeats"]));
        columns.push(Column::words("verdict").fields(["verdict"]));
        let row = |(name, pair): (String, &CollapsePair)| {
            tokens.numbers(pair)?;
            let own = results.pretrainings.iter().find(|own| own.name == name);
            let number = |metric: &TokenMetric| {
                let value = metric.of(tokens, pair);
                Cell::text(metric.text(value)).values([value])
            };
            let numbers = metrics.iter().map(number);
            let repeats = own.map(|own| format!("{} of {}", own.measured, own.trainings.len()));
            let verdict = own.and_then(|own| own.judgement(tokens)).map(|judgement| judgement.verdict.word());
            let last = [
                Cell::text(repeats.as_deref().unwrap_or(NOTHING))
                    .fields(vec![own.map_or_else(String::new, |own| own.measured.to_string())]),
                Cell::text(verdict.unwrap_or(NOTHING)).strong().fields(vec![verdict.unwrap_or_default().to_owned()]),
            ];
            Some(std::iter::once(Cell::word(name)).chain(numbers).chain(last).collect::<Vec<_>>())
        };
        let mut rows: Vec<Vec<Cell>> = results.encoders().into_iter().filter_map(row).collect();
        let healthy = metrics.iter().map(|metric| Cell::text(metric.healthy)).chain([Cell::default(), Cell::default()]);
        rows.push(std::iter::once(Cell::text("healthy")).chain(healthy).collect());
        Table { columns, rows, best: None }
    }
}
