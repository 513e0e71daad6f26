//! Segmenting the open volume with a checkpoint: the worker's job, tiles as they arrive, and the result until it is saved.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use eframe::egui::{Button, Context, Label, ProgressBar, RichText, Ui};

use super::case::OpenCase;
use super::layer::{Kind, Layer, SEGMENTED, from_values};
use super::requests::{Offered, Request};
use crate::gui::{FollowedJob, Palette, Workspace};
use crate::protocol::{Outcome, Preview, SegmentationPreview};
use crate::volume::segmentation::{self, Subject};
use crate::volume::{CaseFiles, LabelMap, SourceHeader, file};
use crate::worker::{self, InferInput, InferJob, Job, RunHandle};

/// The segmentation of the open case: on its way, or waiting to be saved.
#[derive(Default)]
pub(super) struct Segmenting {
    work: Option<Work>,
    /// What the shown labels are of; it stays until labels of a newer job arrive.
    result: Option<Segmentation>,
    /// Where it was saved last.
    pub(super) saved: Option<String>,
    /// Segmentations that have been on the screen, of this case and of those before.
    shown: u64,
}

/// A job and its newest labels.
struct Work {
    job: FollowedJob,
    /// The checkpoint, as the user knows it.
    with: String,
    /// The newest labels, not yet on the screen.
    newest: Option<Arc<SegmentationPreview>>,
    /// Windows predicted, of all.
    windows: [usize; 2],
    /// Whether labels have arrived, and taken the place of those before.
    begun: bool,
}

/// Labels on the screen.
struct Segmentation {
    /// By which a dialog's late answer knows what it saved.
    number: u64,
    with: String,
    header: SourceHeader,
    /// What the dataset is called that its names are of.
    dataset: String,
    /// Whether all windows are in it.
    complete: bool,
    unsaved: bool,
}

impl Segmenting {
    /// Whether a worker is at it.
    pub(super) fn is_running(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.job.is_running() || work.newest.is_some())
    }

    /// Whether a complete segmentation would be lost.
    pub(super) fn is_unsaved(&self) -> bool {
        self.result.as_ref().is_some_and(|result| result.complete && result.unsaved)
    }

    /// Forgets the segmentation: its case is closed or the user discards it. A job under way is stopped.
    pub(super) fn discard(&mut self) {
        self.stop();
        self.forget();
    }

    fn forget(&mut self) {
        *self = Self { shown: self.shown, ..Self::default() };
    }

    fn stop(&mut self) {
        if let Some(work) = self.work.as_mut().filter(|work| work.job.is_running()) {
            work.job.stop();
        }
    }

    /// Starts segmenting the open case.
    pub(super) fn start(&mut self, case: &mut OpenCase, (with, folder): Offered, workspace: &Workspace) {
        let source = CaseFiles { name: case.request.title.clone(), images: case.request.images.clone(), label: None, fold: None };
        let input = InferInput::Case(Box::new(source));
        self.follow(case, with, worker::spawn(Job::Infer(InferJob::shown(folder, input)), workspace.device.clone()));
    }

    /// Follows a worker that segments the open case. A segmentation that is there stays until labels of the new one arrive.
    pub(super) fn follow(&mut self, case: &mut OpenCase, with: String, handle: RunHandle) {
        self.stop();
        if case.of_kind(Kind::Segmented).is_none() {
            case.layers.push(Layer::new(SEGMENTED, Kind::Segmented, None));
        }
        self.saved = None;
        self.work = Some(Work { job: FollowedJob::new(handle), with, newest: None, windows: [0, 0], begun: false });
    }

    /// Takes in what has arrived since the last frame.
    pub(super) fn poll(&mut self, ctx: &Context, case: &mut OpenCase) {
        let Some(work) = &mut self.work else { return };
        work.job.poll(ctx, |preview| {
            if let Preview::Segmentation(labels) = preview {
                // The last one says "1 of 1", for whatever the number was.
                let all = work.windows[1].max(1);
                work.windows = if labels.done == labels.windows { [all; 2] } else { [labels.done, labels.windows] };
                work.newest = Some(labels);
            }
        });
        let (Some(layer), Some(newest)) = (case.layers.iter_mut().find(|layer| layer.kind == Kind::Segmented), &work.newest) else {
            return;
        };
        let (image, labels) = (case.background.clone(), newest.clone());
        let started = layer.replace(ctx, move || {
            let read = from_values(&labels.labels.voxels, Path::new(&labels.case), &image)?;
            image.classes.lock().unwrap_or_else(PoisonError::into_inner).learn_names(&labels.names);
            Ok(read)
        });
        if started {
            let (complete, header) = (newest.done == newest.windows, newest.header.clone());
            let (with, dataset) = (work.with.clone(), newest.dataset.clone());
            self.shown += 1;
            self.result = Some(Segmentation { number: self.shown, with, header, dataset, complete, unsaved: true });
            (work.begun, work.newest) = (true, None);
        }
    }

    /// Draws what is going on, or nothing; what the user asks for then.
    pub(super) fn show(&mut self, ui: &mut Ui, case: &OpenCase) -> Option<Request> {
        let mut request = None;
        ui.horizontal(|ui| {
            let palette = Palette::of(ui);
            match self.work.as_mut().map(|work| (work.job.state.outcome.clone(), work)) {
                Some((None, work)) => progress(ui, work),
                Some((Some(Outcome::Failed { message, .. }), work)) => {
                    let begun = work.begun;
                    if ui.button("Dismiss").clicked() {
                        request = (begun || self.result.is_none()).then_some(Request::Discard);
                        self.work = None;
                    }
                    let text = RichText::new(format!("{} was not segmented: {message}", case.request.title)).color(palette.bad());
                    ui.add(Label::new(text).wrap());
                }
                _ => {
                    let dismissed;
                    (request, dismissed) = self.outcome(ui);
                    if dismissed {
                        self.forget();
                    }
                }
            }
        });
        if let Some(text) = &self.saved {
            ui.add(Label::new(RichText::new(text).color(Palette::of(ui).good())).truncate());
        }
        request
    }

    /// What there is to say and to do once no job is at work, and whether it is dismissed.
    fn outcome(&self, ui: &mut Ui) -> (Option<Request>, bool) {
        let palette = Palette::of(ui);
        let Some(result) = self.result.as_ref().filter(|result| result.complete) else {
            let text = if self.result.is_some() { "what is shown is a part of the segmentation" } else { "nothing was segmented yet" };
            ui.colored_label(palette.caution(), format!("Stopped: {text}."));
            return (ui.button("Discard").clicked().then_some(Request::Discard), false);
        };
        ui.label(RichText::new(format!("Segmented by {}", result.with)).strong());
        if result.unsaved {
            ui.colored_label(palette.caution(), "not saved");
        }
        let save = ui
            .button("Save as...")
            .on_hover_text("On the scanner's own grid: NIfTI, NRRD, MetaImage, or DICOM where the image is a DICOM series")
            .clicked();
        let discard = result.unsaved && ui.button("Discard").on_hover_text("Take the segmentation off the volume").clicked();
        let dismissed = !result.unsaved && ui.small_button("Dismiss").clicked();
        (save.then_some(Request::Save).or(discard.then_some(Request::Discard)), dismissed)
    }

    /// The network that made the segmentation that is there.
    pub(super) fn network(&self) -> Option<&str> {
        self.result.as_ref().map(|result| result.with.as_str())
    }

    /// Whether [`Self::show`] draws anything.
    pub(super) fn has_news(&self) -> bool {
        self.work.is_some() || self.result.is_some()
    }

    /// The segmentation of a number was written to a file, as the sentence says, which comes back where that is not the one on the screen any more.
    pub(super) fn was_saved(&mut self, (number, sentence): (u64, String)) -> Option<String> {
        let Some(result) = self.result.as_mut().filter(|result| result.number == number) else { return Some(sentence) };
        result.unsaved = false;
        self.saved = Some(sentence);
        None
    }

    /// What writes the segmentation to a file: its label values under the image's own header. It returns the segmentation's number and a sentence on
    /// what was saved.
    pub(super) fn writer(&self, case: &OpenCase) -> Option<impl Fn(&Path) -> Result<(u64, String), String> + Send + Sync + 'static> {
        let &Segmentation { number, ref header, ref dataset, .. } = self.result.as_ref()?;
        let (header, dataset, images) = (header.clone(), dataset.clone(), case.request.images.clone());
        let (segments, values) = (case.segments(), case.values());
        let labels = case.of_kind(Kind::Segmented)?.labels()?.classes.clone();
        let grid = case.grid().clone();
        Some(move |file: &Path| {
            let voxels = labels.slices().flatten().map(|&class| values.get(usize::from(class)).copied().unwrap_or(0)).collect();
            if file::written(file).is_none() {
                return Err(format!("{}: choose an ending among .nii.gz, .nii, .nrrd, .seg.nrrd, .mha and .dcm", file.display()));
            }
            let subject = Subject { header: &header, images: &images, segments: &segments, dataset: &dataset };
            let notes = segmentation::write(file, &LabelMap { grid: grid.clone(), voxels }, &subject).map_err(|error| error.to_string())?;
            let notes: String = notes.into_iter().map(|note| format!(". Note: {}", note.text)).collect();
            Ok((number, format!("Saved as {}{notes}", file.display())))
        })
    }
}

fn progress(ui: &mut Ui, work: &mut Work) {
    let [done, windows] = work.windows;
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
