//! A label map over the open image: the truth, an arm's prediction, a file, or what the network says right now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use eframe::egui;
use eframe::egui_wgpu::RenderState;

use super::classes::{Classes, SharedClasses, snapshot};
use super::label_statistics::{Agreement, ClassCensus, label_statistics};
use super::resample::nearest;
use crate::gui::Background;
use crate::gui::slice::LabelTexture;
use crate::volume::grid_fault;
use crate::volume::label_table::LabelTable;
use crate::volume::labels::{CountedLabels, from_scan};
use crate::volume::note::lines;
use crate::volume::{DataErrors, Grid, Scan, VolumeSource};

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
}

/// Title of what is segmented in this window.
pub(super) const SEGMENTED: &str = "segmented";

/// A label map in memory.
#[derive(Clone)]
pub(super) struct Labels {
    /// Class indices, `[D, H, W]`.
    pub(super) classes: Arc<Vec<u8>>,
    /// The same for the GPU.
    pub(super) texture: LabelTexture,
    /// Voxels and centre of each class.
    pub(super) label_statistics: Arc<Vec<ClassCensus>>,
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

/// How far the reading of a label map has come.
pub(super) enum Reading {
    /// Not asked for.
    Unread,
    /// On its way; what was there before is shown meanwhile.
    Working(Background<Result<Labels, String>>, Option<Labels>),
    /// There.
    Ready(Labels),
    /// Not to be had: cause and next step.
    Failed(String),
}

/// A label map over the open image.
pub(super) struct Layer {
    /// As the user sees it.
    pub(super) title: String,
    /// What it is.
    pub(super) kind: Kind,
    source: Option<VolumeSource>,
    /// How far its reading has come.
    pub(super) reading: Reading,
    /// Agreement with the truth, once both are there.
    pub(super) agreement: Option<Background<Agreement>>,
}

/// What reading a label map needs besides the map.
#[derive(Clone)]
pub(super) struct Ground {
    /// The image that it lies on.
    pub(super) scan: Arc<Scan>,
    /// Label values known so far.
    pub(super) classes: SharedClasses,
    /// The window's device.
    pub(super) gpu: RenderState,
}

impl Layer {
    /// A label map that is read when it is first wanted.
    pub(super) fn new(title: impl Into<String>, kind: Kind, source: VolumeSource) -> Self {
        Self { title: title.into(), kind, source: Some(source), reading: Reading::Unread, agreement: None }
    }

    /// A label map that grows while a network predicts it.
    pub(super) fn growing() -> Self {
        Self { title: SEGMENTED.to_owned(), kind: Kind::Segmented, source: None, reading: Reading::Unread, agreement: None }
    }

    /// The labels, as far as they are there.
    pub(super) fn labels(&self) -> Option<&Labels> {
        match &self.reading {
            Reading::Ready(labels) | Reading::Working(_, Some(labels)) => Some(labels),
            Reading::Unread | Reading::Working(_, None) | Reading::Failed(_) => None,
        }
    }

    /// Where it was read, for tooltips.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.source.as_ref().map(|source| source.file().into_owned())
    }

    /// Starts reading, if nobody has yet.
    pub(super) fn want(&mut self, ctx: &egui::Context, ground: &Ground) {
        if let (Reading::Unread, Some(source)) = (&self.reading, &self.source) {
            let (source, ground) = (source.clone(), ground.clone());
            // What the user lays over an image may be of another grid; what is scored by a run may not.
            let resampled = self.kind == Kind::File;
            self.reading = Reading::Working(Background::start(ctx, move || read(&source, &ground, resampled)), None);
        }
    }

    /// Takes new labels; false while the ones before are still on their way.
    pub(super) fn replace(&mut self, ctx: &egui::Context, work: impl FnOnce() -> Result<Labels, String> + Send + 'static) -> bool {
        if matches!(self.reading, Reading::Working(..)) {
            return false;
        }
        let before = self.labels().cloned();
        self.reading = Reading::Working(Background::start(ctx, work), before);
        true
    }

    /// Looks whether something has arrived; true if so.
    pub(super) fn poll(&mut self) -> bool {
        let counted = self.agreement.as_mut().is_some_and(Background::poll);
        let Reading::Working(work, _) = &mut self.reading else { return counted };
        if !work.poll() {
            return counted;
        }
        let Reading::Working(work, _) = std::mem::replace(&mut self.reading, Reading::Unread) else { return counted };
        self.agreement = None;
        self.reading = match work.take() {
            Some(Ok(labels)) => Reading::Ready(labels),
            Some(Err(cause)) => Reading::Failed(cause),
            None => Reading::Failed("reading ended by a fault of the program; open the case again".to_owned()),
        };
        true
    }

    /// Starts comparing with the truth, where both are there and nobody has yet. Labels that still grow are left alone: counting
    /// them would slow down the worker that predicts them.
    pub(super) fn compare(&mut self, ctx: &egui::Context, truth: &Labels, ground: &Ground) {
        let Reading::Ready(labels) = &self.reading else { return };
        if self.kind == Kind::Truth || self.agreement.is_some() {
            return;
        }
        let (truth, found) = (truth.classes.clone(), labels.classes.clone());
        let (shape, classes) = (ground.scan.volume.grid.shape, ground.classes.clone());
        self.agreement = Some(Background::start(ctx, move || Agreement::new(&truth, &found, shape, snapshot(&classes).len())));
    }

    /// The agreement, once it is counted.
    pub(super) fn agreement(&self) -> Option<&Agreement> {
        self.agreement.as_ref()?.get()
    }
}

/// Reads a label map; one of another grid than the image's is `resampled` or refused.
fn read(source: &VolumeSource, ground: &Ground, resampled: bool) -> Result<Labels, String> {
    let scan = source.read().map_err(|error| error.to_string())?;
    let fault = grid_fault(&scan.volume.grid, &ground.scan.volume.grid, &ground.scan.file);
    if let Some(fault) = fault.clone().filter(|_| !resampled) {
        return Err(fault.at(&scan.file).to_string());
    }
    let file = scan.file.clone();
    let counted = from_scan(scan, None).map_err(|errors| DataErrors(errors).to_string())?;
    let mut notes = lines(&counted.notes);
    if let VolumeSource::File(file) = source {
        notes.extend(learn_table(file, ground));
    }
    let labels = match fault {
        None => from_values(&counted.map.voxels, &file, ground)?,
        Some(fault) => on_the_image(&counted, &file, ground).unwrap_or_else(|| Err(fault.at(&file).to_string()))?,
    };
    Ok(Labels { notes, ..labels })
}

/// Takes names and colours from the table beside a label map, else beside its image; what is to be said of it.
fn learn_table(labels: &Path, ground: &Ground) -> Option<String> {
    let image = Some(ground.scan.file.as_path()).filter(|image| image.is_file());
    let table = LabelTable::beside(labels).and_then(|table| match (table, image) {
        (None, Some(image)) => LabelTable::beside(image),
        (table, _) => Ok(table),
    });
    match table {
        Ok(table) => ground.classes.lock().unwrap_or_else(PoisonError::into_inner).learn_table(&table?),
        Err(why) => Some(why),
    }
}

/// A label map of another grid on that of the image; none where one of the two spans nothing.
fn on_the_image(counted: &CountedLabels, file: &Path, ground: &Ground) -> Option<Result<Labels, String>> {
    let resampled = nearest(&counted.map, &ground.scan.volume.grid)?;
    let grid = &counted.map.grid;
    let lost = match resampled.outside {
        0.0 => String::new(),
        1.0 => " All of its labels lie outside this volume.".to_owned(),
        share => format!(" {:.1} % of its labelled voxels lie outside this volume.", (share * 100.0).max(0.1)),
    };
    let note =
        format!("Shown resampled to the nearest voxel from its own grid of {}. Volumes are those of its own grid.{lost}", described(grid));
    let voxel_ml = grid.spacing_mm().iter().product::<f64>() / 1000.0;
    let own = OwnGrid { voxels_of: counted.voxels_of.clone(), voxel_ml, note };
    Some(from_values(&resampled.values, file, ground).map(|labels| Labels { own: Some(Arc::new(own)), ..labels }))
}

/// A grid in words.
pub(super) fn described(grid: &Grid) -> String {
    let [d, h, w] = grid.shape;
    let [along_d, along_h, along_w] = grid.spacing_mm();
    let spacing = [along_w, along_h, along_d].map(|mm| format!("{}", (mm * 1000.0).round() / 1000.0)).join(" x ");
    format!("{w} x {h} x {d} voxels of {spacing} mm, stored {}", grid.axis_codes())
}

/// Class indices, texture and label_statistics of label values on the image's grid. `file` is for messages.
pub(super) fn from_values(values: &[u16], file: &Path, ground: &Ground) -> Result<Labels, String> {
    let (classes, known) = {
        let mut shared = ground.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let classes = shared.index(values).map_err(|cause| format!("{}: {cause}", file.display()))?;
        (classes, Classes::len(&shared))
    };
    let grid = &ground.scan.volume.grid;
    let label_statistics = Arc::new(label_statistics(&classes, grid.shape, grid.spacing_mm(), known));
    let texture = LabelTexture::upload(&ground.gpu, &classes, grid.shape);
    Ok(Labels { classes: Arc::new(classes), texture, label_statistics, own: None, notes: Vec::new() })
}
