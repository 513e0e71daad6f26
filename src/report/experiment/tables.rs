//! An experiment's numbers for other programs, as CSV: unrounded, an empty field where there is none.

use super::view::View;
use crate::metrics::Measure;
use crate::metrics::collapse::Collapse;
use crate::results::{Group, Paired, Repeat, Spread};

/// A row for each cell that is done and each label, and one of the labels' mean.
pub(super) fn results(view: &View) -> Vec<u8> {
    let axes = view.experiment.config.axes.iter().map(|axis| axis.name.clone());
    let names = ["arm", "pretraining", "label", "cases", "dice", "hd95", "unit", "missing_in_one", "run"].map(str::to_owned);
    let mut rows: Vec<Vec<String>> = vec![axes.chain(names).collect()];
    for group in &view.results.groups {
        for repeat in group.repeats.iter().filter(|repeat| repeat.done) {
            let cell = &view.experiment.cells[repeat.cell];
            let stage = &view.experiment.stages[cell.finetuned].name;
            for label in view.results.labels.iter().map(Some).chain([None]) {
                let own = |measure: Measure| {
                    let of_case = |scores: &Vec<crate::metrics::CaseScore>| match label {
                        None => measure.of_case(scores),
                        Some(label) => scores.iter().find(|score| score.region == *label).and_then(|score| measure.of(score)),
                    };
                    let values: Vec<f64> = repeat.scores.values().filter_map(of_case).collect();
                    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
                };
                let wanted = |score: &&crate::metrics::CaseScore| label.is_none_or(|label| score.region == *label);
                let missing_in_one = repeat.scores.values().flatten().filter(wanted).filter(|score| score.missing_in_one).count();
                let levels = (0..view.experiment.config.axes.len()).map(|axis| view.experiment.level(cell, axis).to_owned());
                rows.push(
                    levels
                        .chain([
                            group.name.clone(),
                            group.pretraining.unwrap_or_default().to_owned(),
                            label.map_or("mean", String::as_str).to_owned(),
                            repeat.scores.len().to_string(),
                            number(own(Measure::Dice)),
                            number(own(Measure::Hd95)),
                            unit(view, repeat).to_owned(),
                            missing_in_one.to_string(),
                            format!("finetune/{stage}"),
                        ])
                        .collect(),
                );
            }
        }
    }
    written(&rows)
}

/// A number's name, and how it is read.
type Number = (&'static str, fn(&Collapse) -> Option<f64>);

/// Collapse numbers of `groups.csv`.
const NUMBERS: [Number; 6] = [
    ("eta2_turned", |c| c.eta2_turned),
    ("index_lock", |c| c.index_lock),
    ("anatomy_lock", |c| c.anatomy_lock),
    ("eta2", |c| c.eta2),
    ("gap", |c| c.gap),
    ("rankme", |c| c.rankme),
];

/// A row for each group: means over repeats, their spread, and the numbers of its tokens.
pub(super) fn groups(view: &View) -> Vec<u8> {
    let probed = view.results.probed();
    let mut head = axes(view);
    head.extend(["arm", "pretraining", "repeats", "planned", "cases", "missing_in_one"].map(str::to_owned));
    head.push("unit".to_owned());
    for name in ["dice", "hd95"] {
        head.extend(["mean", "deviation", "lowest", "highest"].map(|part| format!("{name}_{part}")));
    }
    head.extend(view.results.labels.iter().flat_map(|label| ["dice", "hd95"].map(|name| format!("{name}_{label}"))));
    head.extend(NUMBERS.map(|(name, _)| name.to_owned()));
    head.extend(probed.iter().flat_map(|n| [format!("label_probe_r2_{n}"), format!("label_probe_r2_position_{n}")]));
    let mut rows = vec![head];
    for (index, group) in view.results.rows() {
        let mut row = place(view, index, group);
        row.extend([group.done(), group.repeats.len(), group.cases, group.missing_in_one].map(|count| count.to_string()));
        row.push(group.repeats.first().map_or("", |repeat| unit(view, repeat)).to_owned());
        row.extend([group.dice, group.hd95].iter().flat_map(|spread| spread_fields(spread.as_ref())));
        row.extend(group.by_label.iter().flatten().map(|spread| number(spread.map(|spread| spread.mean))));
        let collapse = group.collapse.as_ref().map(|pair| view.results.seen(pair));
        row.extend(NUMBERS.map(|(_, value)| number(collapse.and_then(value))));
        let probe = |n: &usize| {
            let encoder = group.collapse.as_ref().map(|pair| &pair.encoder);
            let found = encoder.map(|own| [own.label_probe_r2.get(n), own.label_probe_r2_position.get(n)]);
            found.unwrap_or_default().map(|value| number(value.copied()))
        };
        row.extend(probed.iter().flat_map(probe));
        rows.push(row);
    }
    written(&rows)
}

/// A row for each comparison and measure.
pub(super) fn comparisons(view: &View) -> Vec<u8> {
    let mut head = axes(view);
    head.extend(
        [
            "arm",
            "pretraining",
            "against",
            "role",
            "measure",
            "unit",
            "difference",
            "low",
            "high",
            "cases",
            "repeats",
            "agreeing",
            "reading",
        ]
        .map(str::to_owned),
    );
    let mut rows = vec![head];
    for comparison in &view.results.comparisons {
        let group = &view.results.groups[comparison.group];
        for Paired { measure, interval, by_repeat } in [&comparison.dice, &comparison.hd95].into_iter().flatten() {
            let paired = if *measure == Measure::Dice { &comparison.dice } else { &comparison.hd95 };
            let mut row = place(view, comparison.group, group);
            row.extend([
                view.results.groups[comparison.reference].title.clone(),
                comparison.role.word().to_owned(),
                if *measure == Measure::Dice { "dice" } else { "hd95" }.to_owned(),
                group.repeats.first().filter(|_| *measure == Measure::Hd95).map_or("", |repeat| unit(view, repeat)).to_owned(),
            ]);
            row.extend([interval.mean, interval.low, interval.high].map(|value| number(Some(value))));
            row.extend([interval.cases, by_repeat.len()].map(|count| count.to_string()));
            row.extend(paired.iter().flat_map(|paired| [paired.agreeing().to_string(), paired.reading().words().to_owned()]));
            rows.push(row);
        }
    }
    written(&rows)
}

/// The unit of a repeat's distances.
fn unit(view: &View, repeat: &Repeat) -> &'static str {
    view.experiment.stages[view.experiment.cells[repeat.cell].finetuned].config.evaluate.distance_unit.word()
}

fn axes(view: &View) -> Vec<String> {
    view.results.axis_names(view.experiment).into_iter().map(str::to_owned).collect()
}

fn place(view: &View, index: usize, group: &Group) -> Vec<String> {
    let names = [group.name.clone(), group.pretraining.unwrap_or_default().to_owned()];
    view.results.level_names(view.experiment, index).into_iter().chain(names).collect()
}

fn spread_fields(spread: Option<&Spread>) -> [String; 4] {
    let range = spread.and_then(|spread| spread.range);
    [spread.map(|spread| spread.mean), spread.and_then(|spread| spread.deviation), range.map(|[low, _]| low), range.map(|[_, high]| high)]
        .map(number)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn written(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("every row has as many fields as the first");
    }
    writer.into_inner().expect("writing into memory cannot fail")
}
