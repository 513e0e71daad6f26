//! Scores of two folders of label maps: true ones, and segmentations of the same names.
//!
//! A pair is compared where its voxels lie in the patient: a map whose axes run otherwise is reoriented, exactly; one on another
//! grid is refused. A few pairs are in memory at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use comfy_table::{CellAlignment, Table, presets};
use rayon::prelude::*;

use super::counts::{Counts, LabelPair, Region};
use super::regions::{EvaluateError, regions};
use super::score::{CaseScore, score_case};
use super::summary::{Bootstrap, Interval, RegionSummary, summarise};
use super::table::csv;
use crate::config::{EvaluateConfig, RunConfig};
use crate::volume::datalist::listing;
use crate::volume::datalist::naming::shown_regions;
use crate::volume::file::{self, Format};
use crate::volume::label_table::LabelTable;
use crate::volume::{DataErrors, Grid, LabelMap, Note, VolumeSource, aligned, datalist, fill, labels};

/// Pairs in memory at a time.
const AT_ONCE: usize = 4;

/// The scores of a folder of segmentations.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Of each case and region.
    pub scores: Vec<CaseScore>,
    config: EvaluateConfig,
    seed: u64,
    /// What is worth knowing of folders and files: left out, assumed, reoriented.
    pub notes: Vec<Note>,
}

/// A true label map and the segmentation of its name.
struct Pair {
    case: String,
    truth: PathBuf,
    prediction: PathBuf,
}

/// Scores of one pair, by the regions given or by the labels that occur in it.
struct Scored {
    scores: Vec<CaseScore>,
    labels: BTreeSet<u32>,
    notes: Vec<Note>,
}

/// Scores every file of `prediction` against the file of the same name in `truth`.
///
/// Scored are `data.regions`, else the regions of a `dataset.json` beside the truth, else each label that occurs.
///
/// # Errors
/// Folders that cannot be read, unpaired files, and everything wrong with the pairs, at once.
pub fn folders(truth: &Path, prediction: &Path, config: &RunConfig) -> Result<Evaluation, EvaluateError> {
    let (pairs, mut notes) = pairs(truth, prediction)?;
    let mut configured = config.data.regions.clone();
    if configured.is_empty() {
        match datalist::regions_beside(truth) {
            Ok(None) => {}
            Ok(Some((list, found))) => {
                notes.push(Note::new(&list, format!("its regions {} are scored unless data.regions names others", shown_regions(&found))));
                configured = found;
            }
            Err(error) => notes.push(Note::new(&error.file, format!("is not used for the names of regions: it {}", error.fault))),
        }
    }
    let named = if configured.is_empty() { None } else { Some(regions(&BTreeMap::new(), &configured)?) };
    let (mut scored, mut faults) = (Vec::new(), Vec::new());
    for few in pairs.chunks(AT_ONCE) {
        let results: Vec<Result<Scored, String>> =
            few.par_iter().map(|pair| score_pair(pair, named.as_deref(), &config.evaluate)).collect();
        for result in results {
            match result {
                Ok(result) => scored.push(result),
                Err(fault) => faults.push(fault),
            }
        }
    }
    if !faults.is_empty() {
        return Err(EvaluateError::Pairs { pairs: pairs.len(), faults });
    }
    let regions = match named {
        Some(named) => named,
        None => regions(&named_labels(scored.iter().flat_map(|pair| &pair.labels)), &BTreeMap::new())?,
    };
    let mut scores = Vec::new();
    for (pair, found) in pairs.iter().zip(scored) {
        notes.extend(found.notes);
        let of = |region: &Region| {
            let known = found.scores.iter().find(|score| score.region == region.name).cloned();
            known.unwrap_or_else(|| CaseScore::new(&pair.case, region, Counts::default(), None))
        };
        scores.extend(regions.iter().map(of));
    }
    Ok(Evaluation { scores, config: config.evaluate.clone(), seed: config.seed, notes })
}

/// The files of both folders by name. All that lack a partner are named, of either side.
fn pairs(truth: &Path, prediction: &Path) -> Result<(Vec<Pair>, Vec<Note>), EvaluateError> {
    let listed = |folder: &Path| {
        let listing = listing::label_maps(folder).map_err(DataErrors::from)?;
        if listing.files.is_empty() && listing.damaged.is_empty() {
            return Err(EvaluateError::Folder { path: folder.to_owned(), cause: listing.nothing() });
        }
        DataErrors::or([listing.doubled, listing.damaged].concat(), ())?;
        let files: BTreeMap<String, PathBuf> = listing.files.into_iter().map(|path| (file::stem(&path), path)).collect();
        Ok((files, listing.left_out))
    };
    let ((true_files, mut notes), (mut found_files, more)) = (listed(truth)?, listed(prediction)?);
    notes.extend(more);
    let lacking = |folder: &Path, has: &BTreeMap<String, PathBuf>, wanted: &BTreeMap<String, PathBuf>| {
        let missing = wanted.keys().filter(|name| !has.contains_key(*name));
        missing.map(|name| format!("{} has no file {name}", folder.display())).collect::<Vec<_>>()
    };
    let missing = [lacking(prediction, &found_files, &true_files), lacking(truth, &true_files, &found_files)].concat();
    if !missing.is_empty() {
        return Err(EvaluateError::Unpaired { missing });
    }
    let pair = |(case, truth)| found_files.remove(&case).map(|prediction| Pair { case, truth, prediction });
    Ok((true_files.into_iter().filter_map(pair).collect(), notes))
}

/// Reads and scores a pair; what is wrong with it, as a sentence.
fn score_pair(pair: &Pair, named: Option<&[Region]>, config: &EvaluateConfig) -> Result<Scored, String> {
    let ((mut truth, mut notes), (mut found, more)) = (read(&pair.truth, &pair.prediction)?, read(&pair.prediction, &pair.truth)?);
    require_same_names(pair)?;
    notes.extend(filled(&mut truth, &pair.truth, &found.grid));
    notes.extend(filled(&mut found, &pair.prediction, &truth.grid));
    let (found, reoriented) = on_grid_of(&truth.grid, found, pair)?;
    notes.extend(more.into_iter().chain(reoriented));
    let labels: BTreeSet<u32> = truth.voxels.iter().chain(&found.voxels).map(|&value| u32::from(value)).collect();
    let own;
    let regions = match named {
        Some(named) => named,
        None => {
            own = regions(&named_labels(&labels), &BTreeMap::new()).map_err(|error| error.to_string())?;
            &own
        }
    };
    let maps = LabelPair::of(&truth, &found);
    Ok(Scored { scores: score_case(&pair.case, &maps, regions, config), labels, notes })
}

/// Reads a label map; contours on the grid of the `other` one.
fn read(path: &Path, other: &Path) -> Result<(LabelMap, Vec<Note>), String> {
    let source = VolumeSource::label_map(path.to_owned(), &[VolumeSource::File(other.to_owned())]);
    let scan = source.read().map_err(|error| error.to_string())?;
    let counted = labels::from_scan(scan, None).map_err(|errors| DataErrors(errors).to_string())?;
    Ok((counted.map, counted.notes))
}

/// Refuses files of which one calls a value otherwise than the other: voxels of different structures would be compared.
fn require_same_names(pair: &Pair) -> Result<(), String> {
    let [truth, found] =
        [LabelTable::within(&pair.truth)?, LabelTable::within(&pair.prediction)?].map(Option::unwrap_or_default).map(given);
    found.contradicts(&truth).map_or(Ok(()), |fault| {
        let otherwise = "where equal values are the same structure all the same, `simtrot convert` to .nii.gz leaves the names away";
        Err(format!("{}; {otherwise}", fault.at(&pair.prediction)))
    })
}

/// A table without the names that a value has only for want of another.
fn given(mut table: LabelTable) -> LabelTable {
    let is_number = |name: &str| name.strip_prefix("structure ").is_some_and(|number| number.parse::<i64>().is_ok());
    let is_default = |value: u32, name: &str| name == datalist::naming::default_label(value) || is_number(name);
    table.entries.retain(|&value, entry| entry.name.as_ref().is_none_or(|name| !is_default(value, name)));
    table
}

/// Fills a DICOM segmentation up to the whole grid of the other map: its frames need not say how far its image goes on beyond them.
fn filled(map: &mut LabelMap, path: &Path, whole: &Grid) -> Option<Note> {
    let fills = file::format(path) == Format::Dicom;
    fills.then(|| fill(&mut map.voxels, &mut map.grid, whole)).flatten().map(|text| Note::new(path, text))
}

/// The segmentation with its axes as the truth's, which must then have its grid.
fn on_grid_of(truth: &Grid, found: LabelMap, pair: &Pair) -> Result<(LabelMap, Option<Note>), String> {
    let own = found.grid.clone();
    let (found, turned) = aligned(found, truth, &pair.truth).map_err(|fault| {
        format!("{}: the segmentation lies on {own}; the truth on {truth}. It {fault}. Export it on the scan's own grid", pair.case)
    })?;
    let text = || {
        let axes = [&own, truth].map(Grid::axis_codes);
        format!("its axes run {}, those of the truth {}; it is reoriented to them, voxel for voxel", axes[0], axes[1])
    };
    Ok((found, turned.then(|| Note::new(&pair.prediction, text()))))
}

fn named_labels<'a>(values: impl IntoIterator<Item = &'a u32>) -> BTreeMap<u32, String> {
    values.into_iter().map(|&value| (value, datalist::naming::default_label(value))).collect()
}

impl Evaluation {
    /// A table of means with 95 % case-bootstrap intervals, none of a single case, for a terminal.
    pub fn table(&self) -> String {
        let summary = summarise(&self.scores, Bootstrap { seed: self.seed, resamples: self.config.bootstrap });
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header([
            "label",
            "cases",
            "Dice",
            "95 % interval",
            "HD95",
            "95 % interval",
            "missing in one",
        ]);
        let cells = |interval: Option<Interval>| match interval {
            Some(Interval { mean, ends: Some([low, high]), .. }) => [format!("{mean:.4}"), format!("{low:.4} to {high:.4}")],
            Some(Interval { mean, .. }) => [format!("{mean:.4}"), "none: one case".to_owned()],
            None => ["none".to_owned(), String::new()],
        };
        let missing_in_one = summary.regions.iter().map(|region| region.missing_in_one).sum();
        let mean = RegionSummary { region: "mean".to_owned(), dice: summary.dice, hd95: summary.hd95, missing_in_one };
        for RegionSummary { region, dice, hd95, missing_in_one } in summary.regions.into_iter().chain([mean]) {
            let cases = dice.map_or(0, |interval| interval.cases).to_string();
            let ([dice, dice_range], [hd95, hd95_range]) = (cells(dice), cells(hd95));
            table.add_row([region, cases, dice, dice_range, hd95, hd95_range, missing_in_one.to_string()]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!(
            "{table}\nHD95 in {} ({}). Missing in one: in truth or segmentation only; counted as Dice 0 and the volume's diagonal.",
            self.config.distance_unit.word(),
            self.config.hd95_convention.sentence()
        )
    }

    /// `metrics.csv`.
    pub fn csv(&self) -> Vec<u8> {
        csv(self.scores.iter().map(|score| ("", self.config.distance_unit, score)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_case_is_evaluated_without_an_interval() {
        let score = |(case, dice): (&str, f64)| CaseScore {
            case: case.to_owned(),
            region: "organ".to_owned(),
            dice: Some(dice),
            hd95: Some(2.0),
            truth_voxels: 9,
            predicted_voxels: 9,
            missing_in_one: false,
        };
        let table = |cases: &[(&str, f64)]| {
            let scores = cases.iter().copied().map(score).collect();
            Evaluation { scores, config: EvaluateConfig::default(), seed: 0, notes: Vec::new() }.table()
        };
        let one = table(&[("a", 0.7042)]);
        // Dice and HD95 of the label and of the mean.
        assert!(one.matches("none: one case").count() == 4 && one.contains("0.7042") && !one.contains(" to "), "{one}");
        let two = table(&[("a", 0.7), ("b", 0.9)]);
        assert!(two.contains("0.7000 to 0.9000") && !two.contains("one case"), "{two}");
    }
}
