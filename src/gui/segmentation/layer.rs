//! A label map over the open image: the truth, an arm's prediction, a file, or what the network says right now.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui;
use eframe::egui_wgpu::RenderState;

use super::census::{Agreement, ClassCensus, census};
use super::classes::{Classes, SharedClasses, snapshot};
use crate::gui::Background;
use crate::gui::slice::LabelTexture;
use crate::volume::labels::from_scan;
use crate::volume::source::place_fault;
use crate::volume::{DataErrors, Scan, VolumeSource};

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
    pub(super) census: Arc<Vec<ClassCensus>>,
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
            self.reading = Reading::Working(Background::start(ctx, move || read(&source, &ground)), None);
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

/// Reads a label map on the image's grid.
fn read(source: &VolumeSource, ground: &Ground) -> Result<Labels, String> {
    let scan = source.read().map_err(|error| error.to_string())?;
    if let Some(fault) = place_fault(&scan.volume.grid, &ground.scan) {
        return Err(fault.at(&scan.file).to_string());
    }
    let file = scan.file.clone();
    let counted = from_scan(scan, None).map_err(|errors| DataErrors(errors).to_string())?;
    from_values(&counted.map.voxels, &file, ground)
}

/// Class indices, texture and census of label values on the image's grid. `file` is for messages.
pub(super) fn from_values(values: &[u16], file: &Path, ground: &Ground) -> Result<Labels, String> {
    let (classes, known) = {
        let mut shared = ground.classes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let classes = shared.index(values).map_err(|cause| format!("{}: {cause}", file.display()))?;
        (classes, Classes::len(&shared))
    };
    let grid = &ground.scan.volume.grid;
    let census = Arc::new(census(&classes, grid.shape, grid.spacing_mm(), known));
    let texture = LabelTexture::upload(&ground.gpu, &classes, grid.shape);
    Ok(Labels { classes: Arc::new(classes), texture, census })
}

/// Share of neighbours inside labels that carry the same label: tells a label map from an image of whole numbers.
const EQUAL_NEIGHBOURS: f64 = 0.6;

/// Whether a volume looks like a label map: few whole values, in patches.
pub(super) fn looks_like_labels(scan: &Scan) -> bool {
    let volume = &scan.volume;
    if volume.channels != 1 {
        return false;
    }
    let mut met = [false; 1 << 16];
    let mut values = 0;
    for &value in &volume.voxels {
        if value.fract() != 0.0 || !(0.0..=65_535.0).contains(&value) {
            return false;
        }
        let met = &mut met[value as usize];
        values += usize::from(!*met);
        *met = true;
        if values > 256 {
            return false;
        }
    }
    let rows = volume.voxels.chunks_exact(volume.grid.shape[2]);
    let pairs = rows.flat_map(|row| row.windows(2)).filter(|pair| pair[0] > 0.0 && pair[1] > 0.0);
    let (equal, all) = pairs.fold((0_u64, 0_u64), |(equal, all), pair| (equal + u64::from(pair[0] == pair[1]), all + 1));
    all > 0 && equal as f64 >= EQUAL_NEIGHBOURS * all as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::demo;

    #[test]
    fn labels_and_images_of_whole_numbers_are_told_apart() {
        let dataset = demo::dataset();
        for case in dataset.cases.iter().filter(|case| case.label.is_some()).take(4) {
            assert!(!looks_like_labels(&case.images[0].read().unwrap()), "{} is an image", case.name);
            assert!(looks_like_labels(&case.label.as_ref().unwrap().read().unwrap()), "{} has labels", case.name);
        }
    }
}
