//! Labels under correction: the edit, its layer over the image, and what is counted of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::Context;

use super::super::case::OpenCase;
use super::super::classes::snapshot;
use super::super::label_statistics::{Agreement, ClassStatistics, label_statistics};
use super::super::layer::{Kind, Labels, Layer};
use super::brush::BrushSettings;
use super::cursor::Painted;
use super::saved::SavedCorrection;
use crate::edit::{ClassVolume, Corrected, Filled, IfThere, LabelEdit, WithinRange, corrected_file, fill_between, save};
use crate::geometry::VoxelBox;
use crate::gui::Background;
use crate::gui::widgets::slice::{Phase, Touch, VolumeTexture};
use crate::volume::file::{self, Format};
use crate::volume::segmentation::Subject;
use crate::volume::{Grid, VolumeSource};

/// Title of corrected labels.
pub(super) const CORRECTED: &str = "corrected";

/// Ends the name of the folder for corrections of a dataset, beside that of what they came from.
const FOLDER: &str = "_corrected";

/// The labels that are corrected.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Origin {
    /// As the user knows them.
    pub(super) title: String,
    /// Their file, where they are in one.
    pub(super) file: Option<PathBuf>,
    /// How they are stored.
    pub(super) format: Format,
    /// They lie on a grid of their own: what is corrected is what is shown of them on the image's.
    pub(super) resampled: bool,
}

/// What is counted of a version, and against the truth where there is one.
struct Counted {
    statistics: Vec<ClassStatistics>,
    agreement: Option<Agreement>,
}

/// Which version, and whether against a truth.
type Count = (u64, bool);

/// Labels under correction.
pub(super) struct Correction {
    pub(super) edit: LabelEdit,
    /// Title of the layer that shows it.
    pub(super) title: String,
    pub(super) origin: Origin,
    /// Where the stroke under way came to last (D,H,W).
    at: Option<[f64; 3]>,
    /// Array axis through the slices that were painted last.
    pub(super) axis: Option<usize>,
    counting: Option<(Count, Background<Counted>)>,
    counted: Option<Count>,
    pub(super) filling: Option<Background<Result<Filled, String>>>,
}

impl Correction {
    /// Puts a layer for it over the image.
    pub(super) fn begin(edit: LabelEdit, texture: VolumeTexture, origin: Origin, case: &mut OpenCase) -> Self {
        let title = case.free_title(CORRECTED);
        let labels = Labels { classes: edit.classes().clone(), texture, statistics: Arc::default(), own: None, notes: Vec::new() };
        case.layers.push(Layer::corrected(title.clone(), labels));
        Self { edit, title, origin, at: None, axis: None, counting: None, counted: None, filling: None }
    }

    /// Changes the map, and sends the box of what has changed, which it returns, to the GPU.
    fn change(&mut self, case: &mut OpenCase, work: impl FnOnce(&mut LabelEdit, &OpenImage<'_>) -> VoxelBox) -> VoxelBox {
        let OpenCase { layers, background, channel, .. } = case;
        let Some(labels) = layers.iter_mut().find(|layer| layer.title == self.title).and_then(Layer::labels_mut) else {
            return VoxelBox::EMPTY;
        };
        // Slices that nobody else holds are painted in place.
        labels.classes = ClassVolume::new(&[], [0; 3]);
        let volume = &background.scan.volume;
        let changed = work(&mut self.edit, &OpenImage { grid: &volume.grid, voxels: &volume.voxels, channel: *channel });
        labels.classes = self.edit.classes().clone();
        labels.texture.update_labels(&background.gpu, &labels.classes, &changed);
        changed
    }

    /// Paints along the way of the brush in a pane.
    pub(super) fn paint(&mut self, case: &mut OpenCase, brush: &BrushSettings, painted: &Painted) {
        if painted.touches.is_empty() {
            return;
        }
        let value = case.values().get(usize::from(brush.class)).copied().unwrap_or_default();
        let intensities = brush.intensities();
        let axis = painted.geometry.through;
        if self.axis != Some(axis) {
            // The pane in which a stroke is under way is gone, and one of another plane in its place.
            self.lift();
        }
        let (mut at, mut touched) = (self.at, false);
        self.change(case, |edit, image| {
            let range = intensities.as_ref();
            let stroke =
                |edit: &mut LabelEdit, from, to| edit.stroke(from, to, range.map(|range| WithinRange { voxels: image.channel(), range }));
            let mut changed = VoxelBox::EMPTY;
            for &Touch { at: place, phase, right } in &painted.touches {
                let to = painted.geometry.voxel(painted.slice, place);
                let paint = brush.paint(axis, right, value);
                if phase == Phase::Pressed && (brush.class != 0 || paint.label.class == 0) {
                    edit.begin_stroke(paint);
                    (at, touched) = (Some(to), true);
                }
                if let Some(from) = at.filter(|_| phase != Phase::Released) {
                    changed = changed.union(&stroke(edit, from, to));
                    at = Some(to);
                } else if let Some(from) = at.take() {
                    changed = changed.union(&stroke(edit, from, to));
                    edit.end_stroke();
                }
            }
            changed
        });
        (self.at, self.axis) = (at, if touched { Some(axis) } else { self.axis });
    }

    /// Ends the stroke under way: the tool is put back, or the pane is gone.
    pub(super) fn lift(&mut self) {
        if self.at.take().is_some() {
            self.edit.end_stroke();
        }
    }

    pub(super) fn undo(&mut self, case: &mut OpenCase) {
        self.at = None;
        self.change(case, |edit, _| edit.undo());
    }

    pub(super) fn redo(&mut self, case: &mut OpenCase) {
        self.at = None;
        self.change(case, |edit, _| edit.redo());
    }

    /// Starts to fill a class between the slices of an axis.
    pub(super) fn fill(&mut self, ctx: &Context, class: u8, axis: usize) {
        let (classes, _) = self.edit.snapshot();
        let spacing_mm = self.edit.grid().spacing_mm();
        self.filling = Some(Background::start(ctx, move || fill_between(&classes, spacing_mm, class, axis)));
    }

    /// Paints what was found between slices, once it is; a sentence on it.
    pub(super) fn poll_fill(&mut self, case: &mut OpenCase, brush: &BrushSettings) -> Option<Result<String, String>> {
        let found = self.filling.take_if(Background::poll)?.take();
        let filled = match found {
            Some(Ok(filled)) => filled,
            Some(Err(cause)) => return Some(Err(format!("Nothing was filled: {cause}."))),
            None => return Some(Err("Nothing was filled: it ended by a fault of the program; try again.".to_owned())),
        };
        let value = case.values().get(usize::from(filled.class)).copied().unwrap_or_default();
        if self.change(case, |edit, _| edit.apply_fill(&filled, value, brush.over)).is_empty() {
            let cause = "nothing between those slices may be painted over, or nothing lies between their shapes";
            return Some(Err(format!("Nothing was filled: {cause}.")));
        }
        Some(Ok(filled.summary()))
    }

    /// Counts volumes and agreement anew, on a thread of its own, unless a stroke is under way; true where new numbers have arrived.
    pub(super) fn count(&mut self, ctx: &Context, case: &mut OpenCase) -> bool {
        let mut arrived = false;
        if let Some((count, work)) = self.counting.take_if(|(_, work)| work.poll()) {
            if let (Some(counted), Some(layer)) = (work.take(), case.layers.iter_mut().find(|layer| layer.title == self.title)) {
                layer.count(counted.statistics, counted.agreement);
                arrived = true;
            }
            self.counted = Some(count);
        }
        let truth = case.truth_labels().map(|truth| truth.classes.clone());
        let due = (self.edit.version(), truth.is_some());
        if self.counting.is_none() && self.counted != Some(due) && !self.edit.is_stroking() {
            let (classes, version) = self.edit.snapshot();
            let (known, spacing_mm) = (snapshot(&case.background.classes).len(), case.grid().spacing_mm());
            let work = move || {
                let agreement = truth.map(|truth| Agreement::new(&truth, &classes, known));
                Counted { statistics: label_statistics(&classes, spacing_mm, known), agreement }
            };
            self.counting = Some(((version, due.1), Background::start(ctx, work)));
        }
        arrived
    }

    /// Whether nothing of it is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.filling.is_none()
            && self.counting.is_none()
            && !self.edit.is_stroking()
            && self.counted.is_some_and(|(version, _)| version == self.edit.version())
    }

    /// Whether the window would lose what was painted.
    pub(super) fn is_unsaved(&self) -> bool {
        self.edit.is_unsaved()
    }

    /// A new file beside the labels that were corrected, or beside the image.
    pub(super) fn suggested(&self, case: &OpenCase) -> PathBuf {
        let Origin { file: source, format, .. } = &self.origin;
        let image_is_dicom = case.request.images.first().is_some_and(|image| image.format() == Format::Dicom);
        let format = if *format == Format::Dicom && !image_is_dicom { Format::Nifti } else { *format };
        let name = source
            .as_deref()
            .and_then(Path::file_name)
            .map_or_else(|| case.request.title.clone(), |name| name.to_string_lossy().into_owned());
        // The ending as it is, where it may be written; else that of its format.
        let own = file::ending(&name).filter(|own| format.label_endings().contains(&own.trim_start_matches('.')));
        let folder = source.as_deref().and_then(Path::parent).filter(|folder| folder.is_dir());
        let folder = folder.map_or_else(|| case.folder(), Path::to_owned);
        // Beside a dataset's images or true labels it would be taken for one of them.
        let truth = case.request.truth.as_ref().and_then(VolumeSource::single_file);
        let folder = match folder.file_name() {
            Some(of) if case.request.listed && (source.is_none() || source.as_deref() == truth) => {
                folder.with_file_name(format!("{}{FOLDER}", of.to_string_lossy()))
            }
            _ => folder,
        };
        let name = if source.is_some() { name.clone() } else { format!("{name}_{}{}", self.origin.title, format.ending()) };
        corrected_file(&name, own.unwrap_or(format.ending()), &folder)
    }

    /// What writes it to a file, and which version that is.
    pub(super) fn writer(
        &mut self,
        case: &OpenCase,
    ) -> (impl Fn(&Path, IfThere) -> Result<SavedCorrection, String> + Send + Sync + 'static, u64) {
        self.at = None;
        let (classes, version) = self.edit.snapshot();
        let (grid, values, segments): (Grid, _, _) = (case.grid().clone(), case.values(), case.segments());
        let (images, scan): (Vec<VolumeSource>, _) = (case.request.images.clone(), case.background.scan.clone());
        let (name, origin) = (case.request.title.clone(), self.origin.clone());
        let write = move |file: &Path, existing: IfThere| {
            let subject = Subject { header: &scan.header, images: &images, segments: &segments, dataset: "" };
            // The folder for corrections; another one has to be there.
            if let Some(folder) = file.parent().filter(|folder| folder.to_string_lossy().ends_with(FOLDER) && !folder.exists()) {
                std::fs::create_dir(folder).map_err(|error| format!("{}: cannot be made: {error}", folder.display()))?;
            }
            let sentence = save(file, &Corrected { classes: &classes, grid: &grid, values: &values, subject: &subject }, existing)?;
            let Origin { title, file: predicted, .. } = origin.clone();
            Ok(SavedCorrection {
                case: name.clone(),
                images: images.clone(),
                origin: title,
                predicted,
                corrected: file.to_owned(),
                sentence,
            })
        };
        (write, version)
    }

    /// Takes its layer off the image.
    pub(super) fn take_off(&self, case: &mut OpenCase) {
        case.layers.retain(|layer| layer.kind != Kind::Corrected || layer.title != self.title);
    }
}

/// The image under the labels.
struct OpenImage<'a> {
    grid: &'a Grid,
    voxels: &'a [f32],
    channel: usize,
}

impl<'a> OpenImage<'a> {
    /// Intensities of the shown channel.
    fn channel(&self) -> &'a [f32] {
        &self.voxels[self.channel * self.grid.len()..][..self.grid.len()]
    }
}
