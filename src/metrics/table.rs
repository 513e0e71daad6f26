//! `metrics.csv`.

use super::score::CaseScore;
use crate::config::DistanceUnit;

/// `metrics.csv`: a row for each arm, case and region, its HD95 in the arm's unit; empty cells where a number does not exist.
pub fn csv<'a>(scores: impl Iterator<Item = (&'a str, DistanceUnit, &'a CaseScore)>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let number = |value: Option<f64>| value.map(|value| format!("{value:.6}")).unwrap_or_default();
    let mut row = |cells: [String; 9]| writer.write_record(cells).expect("writing to memory does not fail");
    row(["arm", "case", "label", "dice", "hd95", "unit", "truth_voxels", "predicted_voxels", "missing_in_one"].map(str::to_owned));
    for (arm, unit, score) in scores {
        row([
            arm.to_owned(),
            score.case.clone(),
            score.region.clone(),
            number(score.dice),
            number(score.hd95),
            unit.word().to_owned(),
            score.truth_voxels.to_string(),
            score.predicted_voxels.to_string(),
            score.missing_in_one.to_string(),
        ]);
    }
    writer.into_inner().expect("writing to memory does not fail")
}
