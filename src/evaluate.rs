//! Scores of label maps on their own grids: those of a run's test cases, and of two folders of files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use comfy_table::{CellAlignment, Table, presets};
use rayon::prelude::*;

use crate::config::{DistanceUnit, EvaluateConfig, RunConfig};
use crate::metrics::{Bootstrap, CaseScore, LabelPair, Region, score_case, summarise};
use crate::protocol::{ArmScores, SUMMARY_SCHEMA};
use crate::volume::{DataErrors, LabelMap, labels, nifti};

/// Why label maps cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A region names a label that a map cannot hold.
    #[error("data.regions: {region} names label {label}; allowed is 1 to 65535")]
    Region {
        /// The region.
        region: String,
        /// The label value.
        label: u32,
    },
    /// A folder cannot be read, or holds no NIfTI file.
    #[error("{path}: {cause}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Files without a partner of the same name.
    #[error("{missing} has no file {names}; every true label map needs a segmentation of the same name, and the other way round", missing = missing.display(), names = names.join(", "))]
    Unpaired {
        /// The folder in which they are missing.
        missing: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// Maps on different grids.
    #[error("{case}: the segmentation has {found:?} voxels (D,H,W), the truth {expected:?}; export it on the scan's own grid")]
    Shape {
        /// The case.
        case: String,
        /// Of the segmentation.
        found: [usize; 3],
        /// Of the truth.
        expected: [usize; 3],
    },
    /// A file that is no label map.
    #[error(transparent)]
    Data(#[from] DataErrors),
}

/// What is scored: the configured regions, or else each label but background.
///
/// # Errors
/// A region with a label value that no map can hold.
pub fn regions(labels: &BTreeMap<u32, String>, configured: &BTreeMap<String, Vec<u32>>) -> Result<Vec<Region>, EvaluateError> {
    let region = |name: &String, values: &[u32]| {
        let narrow = |&label: &u32| {
            u16::try_from(label).ok().filter(|&label| label > 0).ok_or_else(|| EvaluateError::Region { region: name.clone(), label })
        };
        Ok(Region { name: name.clone(), labels: values.iter().map(narrow).collect::<Result<_, _>>()? })
    };
    match configured.is_empty() {
        false => configured.iter().map(|(name, values)| region(name, values)).collect(),
        true => labels.iter().filter(|&(&label, _)| label != 0).map(|(&label, name)| region(name, &[label])).collect(),
    }
}

/// The scores of one case.
pub fn score(case: &str, truth: &LabelMap, prediction: &LabelMap, regions: &[Region], config: &EvaluateConfig) -> Vec<CaseScore> {
    let pair =
        LabelPair { truth: &truth.voxels, prediction: &prediction.voxels, shape: truth.grid.shape, spacing_mm: truth.grid.spacing_mm() };
    score_case(case, &pair, regions, config)
}

/// `metrics.csv`: a row for each arm, case and region, its HD95 in the arm's unit; empty cells where a number does not exist.
pub fn csv<'a>(scores: impl Iterator<Item = (&'a str, DistanceUnit, &'a CaseScore)>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let number = |value: Option<f64>| value.map(|value| format!("{value:.6}")).unwrap_or_default();
    let mut row = |cells: [String; 9]| writer.write_record(cells).expect("writing to memory does not fail");
    row(["arm", "case", "label", "dice", "hd95", "unit", "truth_voxels", "predicted_voxels", "one_sided"].map(str::to_owned));
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
            score.one_sided.to_string(),
        ]);
    }
    writer.into_inner().expect("writing to memory does not fail")
}

/// The scores of a folder of segmentations.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    scores: Vec<CaseScore>,
    config: EvaluateConfig,
    seed: u64,
}

/// Scores every file of `prediction` against the file of the same name in `truth`.
///
/// # Errors
/// Unreadable or unpaired files, maps on different grids.
pub fn folders(truth: &Path, prediction: &Path, config: &RunConfig) -> Result<Evaluation, EvaluateError> {
    let (true_files, found_files) = (files(truth)?, files(prediction)?);
    let only_in = |a: &BTreeMap<String, PathBuf>, b: &BTreeMap<String, PathBuf>| {
        a.keys().filter(|name| !b.contains_key(*name)).cloned().collect::<Vec<_>>()
    };
    for (missing, names) in [(prediction, only_in(&true_files, &found_files)), (truth, only_in(&found_files, &true_files))] {
        if !names.is_empty() {
            return Err(EvaluateError::Unpaired { missing: missing.to_owned(), names });
        }
    }
    let pairs: Vec<(&String, LabelMap, LabelMap)> = true_files
        .par_iter()
        .map(|(name, file)| Ok((name, read(file)?, read(&found_files[name])?)))
        .collect::<Result<_, EvaluateError>>()?;
    let values: BTreeSet<u32> =
        pairs.iter().flat_map(|(_, truth, found)| truth.voxels.iter().chain(&found.voxels)).map(|&value| u32::from(value)).collect();
    let labels = values.into_iter().map(|value| (value, format!("label {value}"))).collect();
    let regions = regions(&labels, &config.data.regions)?;
    let mut scores = Vec::new();
    for (name, truth, found) in &pairs {
        if truth.grid.shape != found.grid.shape {
            return Err(EvaluateError::Shape { case: (*name).clone(), found: found.grid.shape, expected: truth.grid.shape });
        }
        scores.extend(score(name, truth, found, &regions, &config.evaluate));
    }
    Ok(Evaluation { scores, config: config.evaluate.clone(), seed: config.seed })
}

/// The NIfTI files of a folder by case name.
fn files(folder: &Path) -> Result<BTreeMap<String, PathBuf>, EvaluateError> {
    let refuse = |cause: String| EvaluateError::Folder { path: folder.to_owned(), cause };
    let entries = std::fs::read_dir(folder).map_err(|error| refuse(error.to_string()))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|error| refuse(error.to_string()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(case) = name.strip_suffix(".nii.gz").or_else(|| name.strip_suffix(".nii")) {
            files.insert(case.to_owned(), path.clone());
        }
    }
    if files.is_empty() { Err(refuse("holds no .nii or .nii.gz file".to_owned())) } else { Ok(files) }
}

fn read(file: &Path) -> Result<LabelMap, EvaluateError> {
    let scan = nifti::read(file).map_err(|error| DataErrors(vec![error]))?;
    Ok(labels::from_scan(scan, None).map_err(DataErrors)?.map)
}

impl Evaluation {
    /// A table of means with 95 % case-bootstrap intervals, for a terminal.
    pub fn table(&self) -> String {
        let summary = summarise(&self.scores, Bootstrap { seed: self.seed, resamples: self.config.bootstrap });
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(["label", "cases", "Dice", "95 % interval", "HD95", "95 % interval", "one-sided"]);
        let cells = |interval: Option<crate::metrics::Interval>| match interval {
            Some(interval) => [format!("{:.4}", interval.mean), format!("{:.4} to {:.4}", interval.low, interval.high)],
            None => ["none".to_owned(), String::new()],
        };
        for region in &summary.regions {
            let cases = region.dice.map_or(0, |interval| interval.cases).to_string();
            let [dice, dice_range] = cells(region.dice);
            let [hd95, hd95_range] = cells(region.hd95);
            table.add_row([region.region.clone(), cases, dice, dice_range, hd95, hd95_range, region.one_sided.to_string()]);
        }
        let ([dice, dice_range], [hd95, hd95_range]) = (cells(summary.dice), cells(summary.hd95));
        let one_sided: usize = summary.regions.iter().map(|region| region.one_sided).sum();
        let cases = summary.dice.map_or(0, |interval| interval.cases).to_string();
        table.add_row(["mean".to_owned(), cases, dice, dice_range, hd95, hd95_range, one_sided.to_string()]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!(
            "{table}\nHD95 in {} ({}). One-sided: in truth or segmentation only; counted as Dice 0 and the volume's diagonal.",
            self.config.distance_unit.word(),
            self.config.hd95_convention.words()
        )
    }

    /// `metrics.csv`.
    pub fn csv(&self) -> Vec<u8> {
        csv(self.scores.iter().map(|score| ("", self.config.distance_unit, score)))
    }

    /// `summary.json`: the means.
    pub fn json(&self) -> Vec<u8> {
        let mut by_case: BTreeMap<String, Vec<CaseScore>> = BTreeMap::new();
        for score in &self.scores {
            by_case.entry(score.case.clone()).or_default().push(score.clone());
        }
        let summary = serde_json::json!({ "schema": SUMMARY_SCHEMA, "test": ArmScores::new(&by_case, self.config.distance_unit) });
        serde_json::to_vec_pretty(&summary).expect("plain data becomes JSON")
    }
}
