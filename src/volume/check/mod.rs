//! `simtrot check`: every case in a row, and everything wrong with the data at once.
//!
//! Each case is read, summarised and dropped, a few at a time, so that memory stays small whatever the dataset's size.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::case::Examined;
use super::dataset::Problem;
use super::together::{equal_images, equal_text};
use super::{CaseFiles, Dataset, Note, Scan, Volume};
use crate::config::NonFinite;
use crate::geometry::percentiles;
pub(crate) use table::number;
#[cfg(feature = "gui")]
pub(crate) use table::{image_cells, label_cell};

/// Cases in memory at a time, at most.
const AT_ONCE: usize = 8;

/// Percentiles of the intensity that a row shows.
pub const PERCENTILES: [f64; 3] = [0.5, 50.0, 99.5];

/// |cosine| between voxel axes from which on a grid is called sheared; headers are float32.
const SHEARED: f64 = 1e-3;

/// Degrees from the nearest patient axes from which on a grid is called oblique.
const OBLIQUE_DEGREES: f64 = 1.0;

/// What a dataset holds, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The dataset's name.
    pub name: String,
    /// Channel names.
    pub channels: Vec<String>,
    /// Label value -> name.
    pub labels: BTreeMap<u32, String>,
    /// One for each case, in the dataset's order.
    pub rows: Vec<CaseRow>,
    /// Everything wrong.
    pub problems: Vec<Problem>,
    /// Worth knowing about the listing and its files, but no problem.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// Sets of cases whose images are the same.
    #[serde(default)]
    pub equal_images: Vec<Vec<String>>,
}

/// Summary of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRow {
    /// The case.
    pub name: String,
    /// Its image, if it can be read.
    pub image: Option<ImageSummary>,
    /// Voxels of each label value; none without a readable label map.
    pub labels: Option<BTreeMap<u32, u64>>,
    /// Worth knowing about its grid and labels, but no problem.
    pub notes: Vec<String>,
}

/// Summary of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageSummary {
    /// Voxels along D,H,W.
    pub shape: [usize; 3],
    /// Voxel size along D,H,W.
    pub spacing_mm: [f64; 3],
    /// Letters of i, j, k: the side towards which W, H, D grow, for example RAS.
    pub axes: String,
    /// For each channel its intensities at [`PERCENTILES`]; voxels that are NaN or infinite don't count.
    pub intensity: Vec<[f32; 3]>,
}

/// Reads every case of a dataset; `non_finite`: what happens to image voxels that are NaN or infinite. `progress` is called
/// with (cases done, cases in all), from several threads.
pub fn inspect(dataset: &Dataset, non_finite: NonFinite, progress: &(dyn Fn(usize, usize) + Sync)) -> CheckReport {
    let done = AtomicUsize::new(0);
    let case = |case: &CaseFiles| {
        let checked = inspect_case(dataset, case, non_finite);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, dataset.cases.len());
        checked
    };
    let threads = available_parallelism().map_or(1, NonZero::get).min(AT_ONCE);
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a few threads can be started");
    let checked: Vec<Checked> = pool.install(|| dataset.cases.par_iter().map(case).collect());
    let mut problems: Vec<Problem> = dataset.findings.iter().filter(|problem| problem.case.is_none()).cloned().collect();
    let mut rows = Vec::with_capacity(checked.len());
    let mut notes = dataset.notes.clone();
    for (row, found, of_files) in checked {
        rows.push(row);
        problems.extend(found);
        notes.extend(of_files);
    }
    let equal_images = pool.install(|| equal_images(&dataset.cases));
    for set in &equal_images {
        rows.iter_mut().filter(|row| set.contains(&row.name)).for_each(|row| row.notes.push(equal_text(&row.name, set)));
    }
    let (name, channels, labels) = (dataset.name.clone(), dataset.channels.clone(), dataset.labels.clone());
    CheckReport { name, channels, labels, rows, problems, notes, equal_images }
}

impl CheckReport {
    /// Cases with a problem.
    pub fn unusable(&self) -> BTreeSet<String> {
        self.problems.iter().filter_map(|problem| problem.case.clone()).collect()
    }

    /// Files with a problem that belong to no case.
    #[cfg(feature = "gui")]
    pub fn strays(&self) -> usize {
        self.problems.iter().filter(|problem| problem.case.is_none()).count()
    }
}

/// A case's row, its problems, and what is worth knowing about its files.
type Checked = (CaseRow, Vec<Problem>, Vec<Note>);

fn inspect_case(dataset: &Dataset, case: &CaseFiles, non_finite: NonFinite) -> Checked {
    let Examined { image, label, errors } = dataset.examine(case, non_finite);
    let mut row = CaseRow { name: case.name.clone(), image: None, labels: label.map(|label| label.voxels_of), notes: Vec::new() };
    let mut of_files = Vec::new();
    if let Some(Scan { volume, notes, .. }) = image {
        of_files = notes;
        let intensity: Vec<[f32; 3]> = volume.iter_channels().map(|channel| percentiles(channel, PERCENTILES)).collect();
        row.notes.extend(place_notes(&volume));
        let grid = &volume.grid;
        row.image = Some(ImageSummary { shape: grid.shape, spacing_mm: grid.spacing_mm(), axes: grid.axis_codes(), intensity });
    }
    let foreground = |labels: &BTreeMap<u32, u64>| labels.keys().any(|&value| value != 0);
    if row.labels.as_ref().is_some_and(|labels| !foreground(labels)) {
        row.notes.push("the label map is all background".to_owned());
    }
    let problem = |error| Problem { case: Some(case.name.clone()), error };
    (row, errors.into_iter().map(problem).collect(), of_files)
}

fn place_notes(volume: &Volume) -> Option<String> {
    let grid = &volume.grid;
    let shear = grid.shear();
    if shear > SHEARED {
        return Some(format!("its voxel axes are not at right angles (cosine up to {shear:.3}); read as they are"));
    }
    let [d, h, w] = grid.spacing_mm();
    let axes = grid.closest_axes();
    let tilt = [w, h, d].into_iter().enumerate().map(|(axis, length)| {
        let along = grid.axis_mm(axis)[axes[axis].0].abs();
        (along / length).min(1.0).acos().to_degrees()
    });
    let tilt = tilt.fold(0.0, f64::max);
    (tilt > OBLIQUE_DEGREES).then(|| format!("oblique, {tilt:.0} degrees from the patient's axes"))
}
