//! Segmenting the open volume with a checkpoint: the worker's job, tiles as they arrive, and the result until it is saved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use eframe::egui::{self, Button, ProgressBar, RichText, Ui};

use super::case::OpenCase;
use super::dialog::save;
use super::layer::{Kind, Layer, SEGMENTED, from_values};
use crate::gui::{Background, FollowedJob, Palette, Workspace};
use crate::protocol::{Outcome, Preview, SegmentationPreview, StageKind};
use crate::volume::nifti::write_labels;
use crate::volume::{CaseFiles, LabelMap, SourceHeader, VolumeSource};
use crate::worker::{self, InferInput, InferJob, Job, RunHandle};

/// The segmentation of the open case: on its way, or waiting to be saved.
#[derive(Default)]
pub(super) struct Segmenting {
    work: Option<Work>,
    /// A complete segmentation that is not on disk.
    unsaved: bool,
    saving: Option<Background<Result<Option<PathBuf>, String>>>,
    /// Where it was saved last, or why it was not.
    pub(super) told: Option<Result<String, String>>,
    header: Option<SourceHeader>,
}

struct Work {
    job: FollowedJob,
    /// The checkpoint, as the user knows it.
    with: String,
    /// The newest labels, not yet on the screen.
    newest: Option<Arc<SegmentationPreview>>,
    /// Windows predicted, of all.
    windows: (usize, usize),
    /// Whether the last labels have arrived.
    complete: bool,
    /// Whether labels have arrived, and taken the place of those before.
    begun: bool,
    /// The segmentation before, while this one has not begun.
    before: Option<Box<Work>>,
}

/// A checkpoint that can segment: its name for the menu, and its folder.
pub(super) type Offered = (String, PathBuf);

/// The fine-tuned checkpoints of the shown run.
pub(super) fn offered(workspace: &Workspace) -> Vec<Offered> {
    let Some(run) = workspace.shown() else { return Vec::new() };
    let trained = run.state().stages_of(StageKind::Finetune).filter(|stage| !stage.checkpoints.is_empty());
    let offer = |stage: &crate::protocol::StageState| {
        let arm = &stage.stage.arm;
        let name = &run.state().name;
        if arm.is_empty() {
            (name.clone(), run.folder.root().to_owned())
        } else {
            (format!("{name}: {arm}"), run.training_folder(&stage.stage).root().to_owned())
        }
    };
    trained.map(offer).collect()
}

/// What the name of a checkpoint's folder says of it.
pub(super) fn named(folder: &Path) -> String {
    let parts: Vec<_> = folder.iter().map(|part| part.to_string_lossy()).collect();
    let telling: Vec<_> = parts.iter().rev().filter(|part| !["last", "best", "checkpoints"].contains(&part.as_ref())).take(1).collect();
    telling.first().map_or_else(|| folder.display().to_string(), |part| part.to_string())
}

impl Segmenting {
    /// Whether a worker is at it.
    pub(super) fn is_running(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.job.is_running() || work.newest.is_some())
    }

    /// Whether a complete segmentation would be lost.
    pub(super) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Forgets the segmentation: its case is closed or the user discards it. A job under way is stopped.
    pub(super) fn discard(&mut self) {
        self.stop();
        *self = Self::default();
    }

    fn stop(&mut self) {
        if let Some(work) = &mut self.work
            && work.job.is_running()
        {
            work.job.stop();
        }
    }

    /// Whether a dialog or a file is being written.
    pub(super) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Starts segmenting the open case. The title of the layer that shows it.
    pub(super) fn start(&mut self, case: &mut OpenCase, source: CaseFiles, (with, folder): Offered, workspace: &Workspace) -> String {
        let job =
            InferJob { checkpoint: folder, input: InferInput::Case(Box::new(source)), out: None, overwrite: false, settings: Vec::new() };
        self.follow(case, with, worker::spawn(Job::Infer(job), workspace.device.clone()))
    }

    /// Follows a worker that segments the open case. A segmentation that is there stays until labels of the new one arrive.
    pub(super) fn follow(&mut self, case: &mut OpenCase, with: String, handle: RunHandle) -> String {
        self.stop();
        if case.layers.iter().all(|layer| layer.kind != Kind::Segmented) {
            case.layers.push(Layer::growing());
        }
        let before = self.work.take().and_then(|work| if work.begun { Some(Box::new(work)) } else { work.before });
        self.told = None;
        let job = FollowedJob::new(handle);
        self.work = Some(Work { job, with, newest: None, windows: (0, 0), complete: false, begun: false, before });
        SEGMENTED.to_owned()
    }

    /// Takes in what has arrived since the last frame.
    pub(super) fn poll(&mut self, ctx: &egui::Context, case: &mut OpenCase) {
        if self.saving.as_mut().is_some_and(Background::poll) {
            match self.saving.take().and_then(Background::take) {
                Some(Ok(Some(file))) => {
                    self.unsaved = false;
                    self.told = Some(Ok(format!("Saved as {}", file.display())));
                }
                Some(Err(cause)) => self.told = Some(Err(format!("The segmentation was not saved: {cause}"))),
                Some(Ok(None)) => {}
                None => self.told = Some(Err("Saving ended by a fault of the program; try again".to_owned())),
            }
        }
        let Some(work) = &mut self.work else { return };
        work.job.poll(ctx, |preview| {
            if let Preview::Segmentation(labels) = preview {
                // The last one says "1 of 1", for whatever the number was.
                work.complete = labels.done == labels.windows;
                work.windows = if work.complete { (work.windows.1.max(1), work.windows.1.max(1)) } else { (labels.done, labels.windows) };
                work.newest = Some(labels);
            }
        });
        let Some(layer) = case.layers.iter_mut().find(|layer| layer.kind == Kind::Segmented) else { return };
        if let Some(newest) = work.newest.take() {
            let ground = case.ground.clone();
            let labels = newest.clone();
            let started = layer.replace(ctx, move || {
                let read = from_values(&labels.labels.voxels, Path::new(&labels.case), &ground)?;
                ground.classes.lock().unwrap_or_else(PoisonError::into_inner).learn_names(&labels.names);
                Ok(read)
            });
            if started {
                self.header = Some(newest.header.clone());
                self.unsaved = work.complete;
                (work.begun, work.before) = (true, None);
            } else {
                work.newest = Some(newest);
            }
        }
    }

    /// Draws what is going on, or nothing; whether the user wants to save.
    pub(super) fn show(&mut self, ui: &mut Ui, case: &OpenCase) -> Option<Request> {
        let palette = Palette::of(ui);
        let mut request = None;
        let mut dismissed = false;
        let mut put_back = false;
        if let Some(work) = &mut self.work {
            ui.horizontal(|ui| match work.job.state.outcome.clone() {
                None => progress(ui, work),
                Some(Outcome::Completed) => {
                    ui.label(RichText::new(format!("Segmented by {}", work.with)).strong());
                    if self.unsaved {
                        ui.colored_label(palette.caution(), "not saved");
                    }
                    let busy = self.saving.is_some();
                    if ui
                        .add_enabled(!busy, Button::new("Save as NIfTI..."))
                        .on_hover_text("On the scanner's own grid, with its header")
                        .clicked()
                    {
                        request = Some(Request::Save);
                    }
                    dismissed = !self.unsaved && ui.small_button("Dismiss").clicked();
                    if self.unsaved && ui.button("Discard").on_hover_text("Take the segmentation off the volume").clicked() {
                        request = Some(Request::Discard);
                    }
                }
                Some(Outcome::Stopped) => {
                    ui.colored_label(palette.caution(), "Stopped: what is shown is a part of the segmentation.");
                    if ui.button("Discard").clicked() {
                        request = Some(Request::Discard);
                    }
                }
                Some(Outcome::Failed { message, .. }) => {
                    if ui.button("Dismiss").clicked() {
                        let there = case.layers.iter().any(|layer| layer.kind == Kind::Segmented && layer.labels().is_some());
                        put_back = there && !work.begun;
                        request = (!put_back).then_some(Request::Discard);
                    }
                    ui.add(
                        egui::Label::new(RichText::new(format!("{} was not segmented: {message}", case.title)).color(palette.bad())).wrap(),
                    );
                }
            });
        }
        match &self.told {
            Some(Ok(text)) => drop(ui.add(egui::Label::new(RichText::new(text).color(palette.good())).truncate())),
            Some(Err(text)) => drop(ui.add(egui::Label::new(RichText::new(text).color(palette.bad())).wrap())),
            None => {}
        }
        if dismissed {
            (self.work, self.told) = (None, None);
        }
        if put_back {
            self.work = self.work.take().and_then(|work| work.before).map(|before| *before);
        }
        request
    }

    /// Whether [`Self::show`] draws anything.
    pub(super) fn has_news(&self) -> bool {
        self.work.is_some() || self.told.is_some()
    }

    /// Asks where to, and saves there.
    pub(super) fn save(&mut self, ctx: &egui::Context, case: &OpenCase) {
        let Some(work) = self.saved_labels(case) else { return };
        let (folder, name) = (case.folder(), format!("{}_segmented.nii.gz", case.title));
        self.saving = Some(Background::start(ctx, move || {
            let dialog = rfd::FileDialog::new().set_title("Save the segmentation").add_filter("NIfTI", &["nii.gz", "nii"]);
            save(dialog, (&folder, &name), work)
        }));
    }

    /// What writes the segmentation to a file: its label values under the image's own header.
    pub(super) fn saved_labels(&self, case: &OpenCase) -> Option<impl FnOnce(&Path) -> Result<(), String> + Send + 'static> {
        let header = self.header.clone()?;
        let labels = case.layers.iter().find(|layer| layer.kind == Kind::Segmented)?.labels()?.classes.clone();
        let values: BTreeMap<u8, u16> =
            (0..=u8::MAX).take(case.classes.len()).map(|class| (class, case.classes.value(class) as u16)).collect();
        let grid = case.ground.scan.volume.grid.clone();
        Some(move |file: &Path| {
            let voxels = labels.iter().map(|class| values.get(class).copied().unwrap_or(0)).collect();
            write_labels(file, &LabelMap { grid, voxels }, &header).map_err(|error| error.to_string())
        })
    }
}

/// What the user wants with a segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Write it to a file.
    Save,
    /// Take it off the volume.
    Discard,
}

fn progress(ui: &mut Ui, work: &mut Work) {
    let (done, windows) = work.windows;
    let share = if windows == 0 { 0.0 } else { done as f32 / windows as f32 };
    let text = if windows == 0 { "opening the network".to_owned() } else { format!("{done} of {windows} windows") };
    ui.label(format!("Segmenting with {}", work.with));
    ui.add(ProgressBar::new(share).desired_width(260.0).text(text));
    let stopping = work.job.is_stopping();
    let stop = ui.add_enabled(!stopping, Button::new(if stopping { "Stopping ..." } else { "Stop" }));
    if stop.on_hover_text("Ends after the window under way; what is there stays on the screen").clicked() {
        work.job.stop();
    }
}

/// Where the worker finds the open case.
pub(super) fn source(title: &str, images: &[VolumeSource]) -> CaseFiles {
    CaseFiles { name: title.to_owned(), images: images.to_vec(), label: None, fold: None }
}
