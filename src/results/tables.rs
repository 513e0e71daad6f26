//! The tables of an experiment: what came out of each group, how it differs from training from scratch, and how tokens fared.

use super::ExperimentResults;
use super::comparison::{Comparison, Paired, Role};
use super::group::{Group, Repeat, Spread, spread};
use super::pretraining::Pretraining;
use super::table::{Cell, Column, Columns, Table};
use super::tokens::{Purpose, TokenMetric, Tokens};
use crate::experiment::Experiment;
use crate::metrics::{CaseScore, Metric, mean};
use crate::protocol::CollapsePair;
use crate::wording::{NOTHING, difference, word};

/// What `missing in one` counts.
const MISSING: &str = "Labels that only truth or only the prediction has: Dice 0, and the volume's diagonal as HD95";

/// What a metric is, for people who read it first.
fn meaning(metric: Metric) -> &'static str {
    match metric {
        Metric::Dice => "Overlap of segmentation and truth, from 0 to 1: high is good. Mean over labels, then over cases.",
        Metric::Hd95 => "Distance that 95 % of the surface points do not exceed: low is good. Mean over labels, then over cases.",
    }
}

impl ExperimentResults {
    /// A row for each group: Dice and HD95 with intervals and the spread of the repeats; of a grid, collapse numbers as well.
    pub fn groups_table(&self) -> Table {
        let rows: Vec<(usize, &Group)> = self.known_rows().collect();
        let mut table = Columns::over(&rows);
        self.name_groups(&mut table, |&(_, group)| group);
        let fields = |metric: Metric| {
            let unit = (metric == Metric::Hd95).then(|| "unit".to_owned());
            let parts = ["mean", "low", "high", "deviation", "lowest", "highest"];
            parts.into_iter().map(move |part| format!("{}_{part}", metric.key())).chain(unit)
        };
        let column = |metric| Column::numbers(self.metric_title(metric)).meaning(meaning(metric)).fields(fields(metric));
        table.add(column(Metric::Dice), |(_, group)| self.mean_cell(group, Metric::Dice).strong());
        for (index, label) in self.labels.iter().enumerate() {
            let column = Column::numbers(format!("Dice, {label}")).fields(Metric::ALL.map(|metric| format!("{}_{label}", metric.key())));
            table.add(column, |(_, group)| {
                let means: &[Option<Spread>; 2] = &group.by_label[index];
                Cell::text(spread(means[0].as_ref(), Metric::Dice)).values(means.map(|own| own.map(|own| own.mean)))
            });
        }
        table.add(column(Metric::Hd95), |(_, group)| self.mean_cell(group, Metric::Hd95));
        let repeats = Column::numbers(format!("{}s", self.names.repeat)).meaning("How many are done of those planned");
        table.add(repeats.fields(["repeats", "planned"]), |(_, group)| {
            let counts = [group.done(), group.repeats.len()];
            Cell::text(format!("{} of {}", counts[0], counts[1])).fields(counts.map(|count| count.to_string()))
        });
        table.add(Column::numbers("cases").fields(["cases"]), |(_, group)| Cell::count(group.cases));
        let missing = Column::numbers("missing in one").meaning(MISSING).fields(["missing_in_one"]);
        table.add(missing, |(_, group)| Cell::count(group.missing_in_one));
        // Beside the scores of a grid stand those of the verdict and the label probes; one point has a table of its own for all.
        let wanted = |metric: &TokenMetric| metric.purpose == Purpose::Verdict || metric.key.starts_with("label_probe");
        for metric in self.token_metrics().iter().filter(|metric| !self.is_one_point() && wanted(metric)) {
            table.add(metric.column(), |(_, group)| metric.cell(group.collapse.as_ref().and_then(|pair| metric.of(self.tokens, pair))));
        }
        let best = rows.iter().position(|(index, _)| self.best() == Some(*index));
        Table { best, ..table.table }
    }

    /// Columns that say which group a row is of; the arm comes first where nothing else varies.
    fn name_groups<'a, R>(&'a self, table: &mut Columns<'_, R>, group: impl Fn(&R) -> &'a Group) {
        for (index, axis) in self.names.axes.iter().enumerate() {
            table.add(Column::field(&axis.name), |row| Cell::word(&group(row).level_names[index]));
        }
        table.add(Column::field("arm"), |row| Cell::word(&group(row).name).series(group(row).arm));
        table.add(Column::words("pre-training").fields(["pretraining"]), |row| {
            let Group { task, arm, .. } = group(row);
            let settings = self.names.arms[*arm].settings.join("; ");
            Cell::text(task.unwrap_or("from scratch")).fields([task.unwrap_or_default()]).note(settings)
        });
    }

    fn mean_cell(&self, group: &Group, metric: Metric) -> Cell {
        let own = group.mean(metric);
        let (interval, range) = (own.and_then(|own| own.interval), own.and_then(|own| own.range));
        let ends = |ends: Option<[f64; 2]>| [ends.map(|[low, _]| low), ends.map(|[_, high]| high)];
        let ([low, high], [lowest, highest]) = (ends(interval), ends(range));
        let parts = [own.map(|own| own.mean), low, high, own.and_then(|own| own.deviation), lowest, highest];
        let word = word(metric);
        let note = own.map_or_else(String::new, |_| match interval {
            Some([low, high]) => format!("[{}, {}]", word(low), word(high)),
            None => self.no_interval(),
        });
        let cell = Cell::text(self.mean_text(group, metric)).note(note).values(parts);
        if metric == Metric::Hd95 { cell.and_field(group.unit.word()) } else { cell }
    }

    /// A row for each comparison: paired differences of Dice and HD95 with intervals, and what they show.
    pub fn comparisons_table(&self) -> Table {
        let rows: Vec<&Comparison> = self.shown().collect();
        let mut table = Columns::over(&rows);
        self.name_groups(&mut table, |own| &self.groups[own.group]);
        table.add(Column::words("against").fields(["against", "role"]), |own| {
            Cell::text(self.against(own)).fields([self.groups[own.reference].title.as_str(), own.role.word()])
        });
        for metric in Metric::ALL {
            let parts = ["difference", "low", "high", "better", "worse", "agreeing", "reading"];
            let difference = Column::numbers(format!("{} difference", self.metric_title(metric)));
            let fields = parts.map(|part| format!("{}_{part}", metric.key()));
            table.add(difference.fields(fields), |own| self.difference_cell(own.of(metric)));
            table.add(Column::words("reading"), |own| Cell::text(own.of(metric).map_or(NOTHING, Paired::words)));
            table.add(Column::numbers("cases better / worse"), |own| {
                let [better, worse] = own.of(metric).map_or([0, 0], |paired| paired.better_worse);
                Cell::text(format!("{better} / {worse}"))
            });
        }
        table.add(Column::numbers(format!("{}s that agree", self.names.repeat)).fields(["repeats"]), |own| {
            let [agreeing, repeats] = own.dice.as_ref().map_or([0, 0], |dice| [dice.agreeing(), dice.by_repeat.len()]);
            Cell::text(format!("{agreeing} of {repeats}")).fields([repeats.to_string()])
        });
        let cases = |own: &&Comparison| own.dice.as_ref().map_or(0, |dice| dice.interval.cases);
        table.add(Column::numbers("cases").fields(["cases"]), |own| Cell::count(cases(own)));
        table.table
    }

    fn against(&self, comparison: &Comparison) -> String {
        let [own, reference] = [comparison.group, comparison.reference].map(|index| &self.groups[index]);
        let name = if own.levels == reference.levels { &reference.name } else { &reference.title };
        if comparison.role == Role::Strongest { format!("{name} (strongest from scratch)") } else { name.clone() }
    }

    /// A row for each training that is done and each label, and one of the labels' mean: for other programs.
    pub fn trainings_table(&self, experiment: &Experiment) -> Table {
        /// A training of a group, and the label; none: the labels' mean.
        type Row<'a> = (&'a Group, &'a Repeat, Option<&'a String>);
        let labels = || self.labels.iter().map(Some).chain([None]);
        let done =
            self.groups.iter().flat_map(|group| group.repeats.iter().filter(|repeat| repeat.done).map(move |repeat| (group, repeat)));
        let rows: Vec<Row> = done.flat_map(|(group, repeat)| labels().map(move |label| (group, repeat, label))).collect();
        let wanted = |label: Option<&String>, score: &CaseScore| label.is_none_or(|label| score.region == *label);
        let mut table = Columns::over(&rows);
        for (index, axis) in experiment.config.axes.iter().enumerate() {
            table.add(Column::field(&axis.name), |(_, repeat, _)| Cell::word(experiment.level(&experiment.cells[repeat.cell], index)));
        }
        table.add(Column::field("arm"), |(group, ..)| Cell::word(&group.name));
        table.add(Column::field("pretraining"), |(group, ..)| Cell::word(group.task.unwrap_or_default()));
        table.add(Column::field("label"), |(.., label)| Cell::word(label.map_or("mean", String::as_str)));
        table.add(Column::field("cases"), |(_, repeat, _)| Cell::count(repeat.scores.len()));
        for metric in Metric::ALL {
            table.add(Column::field(metric.key()), |&(_, repeat, label)| {
                let of_case =
                    |scores: &Vec<CaseScore>| mean(scores.iter().filter(|score| wanted(label, score)).filter_map(|score| metric.of(score)));
                Cell::default().values([mean(repeat.scores.values().filter_map(of_case))])
            });
        }
        table.add(Column::field("unit"), |(group, ..)| Cell::word(group.unit.word()));
        table.add(Column::field("missing_in_one"), |&(_, repeat, label)| {
            Cell::count(repeat.scores.values().flatten().filter(|score| wanted(label, score) && score.missing_in_one).count())
        });
        table.add(Column::field("training"), |(_, repeat, _)| Cell::word(&experiment.trainings[repeat.training].name));
        table.table
    }

    /// A row for each encoder, references included: its collapse numbers and the verdict; in the last row, what is healthy.
    pub fn encoders_table(&self, tokens: Tokens) -> Table {
        let measured = self.encoders().into_iter().filter(|(_, pair)| tokens.numbers(pair).is_some());
        let own = |(name, pair)| {
            let own = self.pretrainings.iter().find(|own| own.name == name);
            (name, pair, own)
        };
        let rows: Vec<(String, &CollapsePair, Option<&Pretraining>)> = measured.map(own).collect();
        let mut table = Columns::over(&rows);
        table.add(Column::field("encoder"), |(name, ..)| Cell::word(name));
        let metrics = self.token_metrics();
        for metric in &metrics {
            table.add(metric.column(), |(_, pair, _)| metric.cell(metric.of(tokens, pair)));
        }
        table.add(Column::numbers(format!("{}s", self.names.repeat)).fields(["repeats"]), |(.., own)| match own {
            Some(own) => Cell::text(format!("{} of {}", own.measured, own.trainings.len())).fields([own.measured.to_string()]),
            None => Cell::text(NOTHING).fields([""]),
        });
        table.add(Column::field("verdict"), |(.., own)| {
            let verdict = own.and_then(|own| own.judgement(tokens)).map(|judgement| judgement.verdict.word());
            Cell::text(verdict.unwrap_or(NOTHING)).strong().fields([verdict.unwrap_or_default()])
        });
        let mut table = table.table;
        let healthy = metrics.iter().map(|metric| Cell::text(metric.healthy)).chain([Cell::default(), Cell::default()]);
        table.rows.push(std::iter::once(Cell::text("healthy")).chain(healthy).collect());
        table
    }
    /// `+0.012 [+0.003, +0.021]`.
    fn difference_cell(&self, paired: Option<&Paired>) -> Cell {
        let Some(paired) = paired else { return Cell::text(NOTHING).fields([""; 7]) };
        let (mean, ends) = difference(&paired.interval, paired.metric);
        let note = ends.map_or_else(|| self.no_interval(), |[low, high]| format!("[{low}, {high}]"));
        let [low, high] = paired.interval.ends.map_or([None; 2], |ends| ends.map(Some));
        let counts = [paired.better_worse[0], paired.better_worse[1], paired.agreeing()].map(|count| Some(count as f64));
        let numbers = [Some(paired.interval.mean), low, high].into_iter().chain(counts);
        Cell::text(mean).strong().note(note).values(numbers).and_field(paired.words())
    }
}
