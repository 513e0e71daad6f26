//! A label map over the open image: the truth, an arm's prediction, a file, or what the network says right now.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use eframe::egui::Context;
use eframe::egui_wgpu::RenderState;

use super::classes::{SharedClasses, snapshot};
use super::label_statistics::{Agreement, ClassStatistics, label_statistics};
use super::resample::nearest;
use crate::edit::ClassVolume;
use crate::gui::Background;
use crate::gui::widgets::slice::VolumeTexture;
use crate::volume::file::Format;
use crate::volume::label_table::LabelTable;
use crate::volume::labels::{CountedLabels, from_scan};
use crate::volume::note::lines;
use crate::volume::{DataErrors, Grid, Note, Scan, VolumeSource, fill, grid_fault};

/// What a label map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The reference of the dataset.
    Truth,
    /// The prediction of a run's arm.
    Method,
    /// A file that the user opened or dropped.
    File,
    /// Segmented in this window.
    Segmented,
    /// Corrected in this window.
    Corrected,
}

/// Title of what is segmented in this window.
pub(super) const SEGMENTED: &str = "segmented";

/// A label map in memory.
#[derive(Clone)]
pub(super) struct Labels {
    /// Class indices.
    pub(super) classes: ClassVolume,
    /// The same for the GPU.
    pub(super) texture: VolumeTexture,
    /// Of each class.
    pub(super) statistics: Arc<Vec<ClassStatistics>>,
    /// Where the map is of another grid than the image, and is shown resampled: what it is on its own.
    pub(super) own: Option<Arc<OwnGrid>>,
    /// What else a reader should know of it.
    pub(super) notes: Vec<String>,
}

/// A label map on its own grid.
pub(super) struct OwnGrid {
    /// Voxels of each label value.
    voxels_of: BTreeMap<u32, u64>,
    voxel_ml: f64,
    /// That it is shown resampled, from which grid, and what of it is not shown.
    pub(super) note: String,
}

impl OwnGrid {
    /// Voxels of a label value, and their volume in millilitres.
    pub(super) fn volume(&self, value: u32) -> (u64, f64) {
        let voxels = self.voxels_of.get(&value).copied().unwrap_or(0);
        (voxels, voxels as f64 * self.voxel_ml)
    }
}

/// A label map over the open image, read when it is first wanted.
pub(super) struct Layer {
    /// As the user sees it; unique in its case.
    pub(super) title: String,
    pub(super) kind: Kind,
    /// None of labels that grow while a network predicts them.
    pub(super) source: Option<VolumeSource>,
    labels: Option<Labels>,
    /// On its way; the labels before are shown meanwhile.
    reading: Option<Background<Result<Labels, String>>>,
    /// Why it cannot be shown: cause and next step.
    pub(super) fault: Option<String>,
    agreement: Option<Background<Agreement>>,
}

/// The image that label maps lie on, and what reading one needs besides the map.
#[derive(Clone)]
pub(super) struct BackgroundImage {
    pub(super) scan: Arc<Scan>,
    /// Label values known so far.
    pub(super) classes: SharedClasses,
    /// The window's device.
    pub(super) gpu: RenderState,
}

impl Layer {
    pub(super) fn new(title: impl Into<String>, kind: Kind, source: Option<VolumeSource>) -> Self {
        Self { title: title.into(), kind, source, labels: None, reading: None, fault: None, agreement: None }
    }

    /// Labels that are corrected in this window.
    pub(super) fn corrected(title: String, labels: Labels) -> Self {
        Self { labels: Some(labels), ..Self::new(title, Kind::Corrected, None) }
    }

    /// The same, to paint on.
    pub(super) fn labels_mut(&mut self) -> Option<&mut Labels> {
        self.labels.as_mut()
    }

    /// Takes what was counted of labels that are corrected.
    pub(super) fn count(&mut self, statistics: Vec<ClassStatistics>, agreement: Option<Agreement>) {
        if let Some(labels) = &mut self.labels {
            labels.statistics = Arc::new(statistics);
        }
        self.agreement = agreement.map(Background::Done);
    }

    /// The labels, as far as they are there.
    pub(super) fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// Whether its labels are on their way.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Whether it is there, or cannot be.
    pub(super) fn is_settled(&self) -> bool {
        self.reading.is_none() && (self.labels.is_some() || self.fault.is_some())
    }

    /// The agreement with the truth, once it is counted.
    pub(super) fn agreement(&self) -> Option<&Agreement> {
        self.agreement.as_ref()?.get()
    }

    /// Starts reading, if nobody has yet.
    pub(super) fn want(&mut self, ctx: &Context, image: &BackgroundImage) {
        let Some(source) = self.source.clone().filter(|_| self.reading.is_none() && !self.is_settled()) else { return };
        // What the user lays over an image may be of another grid; what is scored by a run may not.
        let (image, resampled) = (image.clone(), self.kind == Kind::File);
        self.reading = Some(Background::start(ctx, move || read(&source, &image, resampled)));
    }

    /// Takes new labels; false while the ones before are still on their way.
    pub(super) fn replace(&mut self, ctx: &Context, work: impl FnOnce() -> Result<Labels, String> + Send + 'static) -> bool {
        let free = self.reading.is_none();
        if free {
            self.reading = Some(Background::start(ctx, work));
        }
        free
    }

    /// Looks whether something has arrived; true if so.
    pub(super) fn poll(&mut self) -> bool {
        let counted = self.agreement.as_mut().is_some_and(Background::poll);
        if !self.reading.as_mut().is_some_and(Background::poll) {
            return counted;
        }
        let lost = || Err("reading ended by a fault of the program; open the case again".to_owned());
        self.agreement = None;
        (self.labels, self.fault) = match self.reading.take().and_then(Background::take).unwrap_or_else(lost) {
            Ok(labels) => (Some(labels), None),
            Err(cause) => (None, Some(cause)),
        };
        true
    }

    /// The notes on labels that have just arrived, once; none where no new labels have.
    pub(super) fn take_notes(&mut self) -> Option<Vec<String>> {
        let labels = self.labels.as_mut().filter(|_| self.reading.is_none() && self.agreement.is_none())?;
        Some(std::mem::take(&mut labels.notes))
    }

    /// Starts comparing with the truth, where both are there and nobody has yet. Labels that still grow are left alone: counting
    /// them would slow down the worker that predicts them.
    pub(super) fn compare(&mut self, ctx: &Context, truth: &Labels, image: &BackgroundImage) {
        if self.kind == Kind::Truth || self.agreement.is_some() || self.reading.is_some() {
            return;
        }
        let Some(labels) = &self.labels else { return };
        let (truth, found) = (truth.classes.clone(), labels.classes.clone());
        let classes = image.classes.clone();
        self.agreement = Some(Background::start(ctx, move || Agreement::new(&truth, &found, snapshot(&classes).len())));
    }
}

/// Reads a label map; one of another grid than the image's is `resampled` or refused.
fn read(source: &VolumeSource, image: &BackgroundImage, resampled: bool) -> Result<Labels, String> {
    let mut scan = source.read().map_err(|error| error.to_string())?;
    let whole = &image.scan.volume.grid;
    let filled = (source.format() == Format::Dicom).then(|| fill(&mut scan.volume.voxels, &mut scan.volume.grid, whole)).flatten();
    scan.notes.extend(filled.map(|text| Note::new(&scan.file, text)));
    let fault = grid_fault(&scan.volume.grid, &image.scan.volume.grid, &image.scan.file);
    if let Some(fault) = fault.clone().filter(|_| !resampled) {
        return Err(fault.at(&scan.file).to_string());
    }
    let file = scan.file.clone();
    let counted = from_scan(scan, None).map_err(|errors| DataErrors(errors).to_string())?;
    let mut notes = lines(&counted.notes);
    if let Some(file) = source.single_file() {
        notes.extend(learn_table(file, image));
    }
    let labels = match fault {
        None => from_values(&counted.map.voxels, &file, image)?,
        Some(fault) => on_the_image(&counted, &file, image).unwrap_or_else(|| Err(fault.at(&file).to_string()))?,
    };
    Ok(Labels { notes, ..labels })
}

/// Takes names and colours from the table beside a label map, else beside its image; what is to be said of it.
fn learn_table(labels: &Path, image: &BackgroundImage) -> Option<String> {
    let file = Some(image.scan.file.as_path()).filter(|image| image.is_file());
    let table = LabelTable::beside(labels).and_then(|table| match (table, file) {
        (None, Some(image)) => LabelTable::beside(image),
        (table, _) => Ok(table),
    });
    match table {
        Ok(table) => image.classes.lock().unwrap_or_else(PoisonError::into_inner).learn_table(&table?),
        Err(why) => Some(why),
    }
}

/// A label map of another grid on that of the image; none where one of the two spans nothing.
fn on_the_image(counted: &CountedLabels, file: &Path, image: &BackgroundImage) -> Option<Result<Labels, String>> {
    let resampled = nearest(&counted.map, &image.scan.volume.grid)?;
    let grid = &counted.map.grid;
    let lost = match resampled.outside {
        0.0 => String::new(),
        1.0 => " All of its labels lie outside this volume.".to_owned(),
        share => format!(" {:.1} % of its labelled voxels lie outside this volume.", (share * 100.0).max(0.1)),
    };
    let note =
        format!("Shown resampled to the nearest voxel from its own grid of {}. Volumes are those of its own grid.{lost}", described(grid));
    let voxel_ml = grid.voxel_mm3() / 1000.0;
    let own = OwnGrid { voxels_of: counted.voxels_of.clone(), voxel_ml, note };
    Some(from_values(&resampled.values, file, image).map(|labels| Labels { own: Some(Arc::new(own)), ..labels }))
}

/// A grid in words.
pub(super) fn described(grid: &Grid) -> String {
    let [d, h, w] = grid.shape;
    let [z, y, x] = grid.spacing_mm();
    let spacing = [x, y, z].map(|mm| format!("{}", (mm * 1000.0).round() / 1000.0)).join(" x ");
    format!("{w} x {h} x {d} voxels of {spacing} mm, stored {}", grid.axis_codes())
}

/// Class indices, texture and statistics of label values on the image's grid. `file` is for messages.
pub(super) fn from_values(values: &[u16], file: &Path, image: &BackgroundImage) -> Result<Labels, String> {
    let (classes, known) = {
        let mut shared = image.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let classes = shared.index(values).map_err(|cause| format!("{}: {cause}", file.display()))?;
        (classes, shared.len())
    };
    let grid = &image.scan.volume.grid;
    let texture = VolumeTexture::labels(&image.gpu, &classes, grid.shape);
    let classes = ClassVolume::new(&classes, grid.shape);
    let statistics = Arc::new(label_statistics(&classes, grid.spacing_mm(), known));
    Ok(Labels { classes, texture, statistics, own: None, notes: Vec::new() })
}
