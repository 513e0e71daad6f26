//! Dice and HD95 against MONAI and medpy.

use simtrot::config::{DistanceUnit, EvaluateConfig, Hd95Convention};
use simtrot::geometry::VoxelBox;
use simtrot::metrics::counts::{LabelPair, Region, tally};
use simtrot::metrics::score::score_case;
use simtrot::metrics::surface::{Mask, surface_distances};

use super::Outcomes;
use crate::fixtures::{Entry, compare};

/// Columns of other conventions, which METHOD does not ask for.
const NOT_OFFERED: [&str; 4] =
    ["deepmind_hd95_unit", "deepmind_hd95_spacing", "medpy_hd95_unit_nnformer_script", "deepmind_surface_dice_1mm_spacing"];

pub fn applies(entry: &Entry) -> bool {
    entry.kind == "metric" && entry.tensors.contains_key("expected.table") && entry.hyper().get("columns").is_some()
}

/// Ours for a column: Dice, or a distance under a convention.
enum Column {
    Dice,
    Hd95(Hd95Convention, DistanceUnit),
    Hausdorff(DistanceUnit),
}

fn column(name: &str) -> Option<Column> {
    use DistanceUnit::{Mm, Voxels};
    use Hd95Convention::{DirectedMax, Pooled};
    match name {
        "dice" => Some(Column::Dice),
        "medpy_hd95_unit" => Some(Column::Hd95(Pooled, Voxels)),
        "medpy_hd95_spacing" => Some(Column::Hd95(Pooled, Mm)),
        "monai_hd95_unit" => Some(Column::Hd95(DirectedMax, Voxels)),
        "monai_hd95_spacing" => Some(Column::Hd95(DirectedMax, Mm)),
        "monai_hd_unit" => Some(Column::Hausdorff(Voxels)),
        "monai_hd_spacing" => Some(Column::Hausdorff(Mm)),
        _ => None,
    }
}

pub fn run(entry: &Entry) -> Outcomes {
    let hyper = entry.hyper();
    let texts = |name: &str| -> Vec<String> {
        hyper[name].as_array().expect("a list").iter().map(|text| text.as_str().expect("a name").to_owned()).collect()
    };
    let (cases, columns, classes) = (texts("cases"), texts("columns"), hyper["classes"].as_u64().expect("classes") as u16);
    let spacing: Vec<f64> = hyper["spacing"].as_array().expect("a list").iter().filter_map(serde_json::Value::as_f64).collect();
    let spacing_mm = spacing.try_into().expect("three spacings");
    let regions: Vec<Region> = (0..classes).map(|label| Region { name: label.to_string(), labels: vec![label] }).collect();
    let expected = &entry.tensor("expected.table").values;
    let (atol, rtol) = entry.tolerance("expected.table");

    let mut outcomes = Outcomes::new();
    for (case, case_name) in cases.iter().enumerate() {
        let labels = ["truth", "pred"]
            .map(|side| entry.tensor(&format!("input.{case}.{side}")).values.iter().map(|&label| label as u16).collect::<Vec<_>>());
        let shape = entry.tensor(&format!("input.{case}.truth")).shape.clone().try_into().expect("a volume");
        let pair = LabelPair { truth: &labels[0], prediction: &labels[1], shape, spacing_mm };
        for (place, name) in columns.iter().enumerate() {
            let Some(column) = column(name) else {
                if case == 0 && !NOT_OFFERED.contains(&name.as_str()) {
                    outcomes.push(Err(format!("{}: unknown column {name:?}", entry.name)));
                }
                continue;
            };
            for (region, got) in ours(&pair, &regions, &column).into_iter().enumerate() {
                let expected = expected[(case * regions.len() + region) * columns.len() + place];
                // A distance to an empty mask is NaN or infinite in the table and undefined here.
                let expected = if expected.is_finite() { expected } else { f32::NAN };
                let got = got.map_or(f32::NAN, |value| value as f32);
                let what = format!("{}: {case_name}, class {region}, {name}", entry.name);
                outcomes.push(compare(&what, &[got], &[expected], atol, rtol));
            }
        }
    }
    println!(
        "{:28} not offered: {}",
        entry.name,
        columns.iter().filter(|name| column(name).is_none()).cloned().collect::<Vec<_>>().join(", ")
    );
    outcomes
}

/// The column's number for each region, without the rules for empty masks, which the table does not know.
fn ours(pair: &LabelPair, regions: &[Region], column: &Column) -> Vec<Option<f64>> {
    let unit = match column {
        Column::Dice => DistanceUnit::Mm,
        Column::Hd95(_, unit) | Column::Hausdorff(unit) => *unit,
    };
    let spacing = if unit == DistanceUnit::Mm { pair.spacing_mm } else { [1.0; 3] };
    match *column {
        Column::Dice => score_case("case", pair, regions, &EvaluateConfig::default()).into_iter().map(|score| score.dice).collect(),
        Column::Hd95(hd95_convention, distance_unit) => {
            let config = EvaluateConfig { hd95_convention, distance_unit, ..EvaluateConfig::default() };
            let scores = score_case("case", pair, regions, &config).into_iter();
            scores.map(|score| score.hd95.filter(|_| !score.missing_in_one)).collect()
        }
        Column::Hausdorff(_) => {
            let tallies = tally(pair, regions).into_iter().zip(regions);
            let mask = |labels: &[u16], bounds: &VoxelBox, region: &Region| {
                Mask::within(labels, pair.shape, &bounds.ranges(), |label| region.labels.contains(&label))
            };
            tallies
                .map(|(tally, region)| {
                    let present = tally.counts.truth() + tally.counts.predicted() > 0;
                    let [truth, prediction] =
                        [pair.truth, pair.prediction].map(|labels| present.then(|| mask(labels, &tally.bounds, region)));
                    let distances = surface_distances(&truth?, &prediction?, spacing)?;
                    distances.from_truth.into_iter().chain(distances.from_prediction).reduce(f64::max)
                })
                .collect()
        }
    }
}
