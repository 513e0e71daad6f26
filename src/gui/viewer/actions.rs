//! How the panel does what users ask, with the question before a segmentation is lost.

use std::path::{Path, PathBuf};

use eframe::egui::{Context, Grid, ViewportCommand};

use super::ViewerPanel;
use super::case::Notice;
use super::cases::arms;
use super::dropped::{Dropped, Sorted, dropped, sort};
use super::image::{ImageRequest, read};
use super::layer::{Kind, SEGMENTED};
use super::profile::SliceProfile;
use super::requests::{Loss, Request};
use crate::config::DataSource;
use crate::gui::widgets::{Answer, PathDialog, Reply, modal, question};
use crate::gui::{Background, Workspace};
use crate::volume::VolumeSource;
use crate::volume::file::Format;

/// What is to become of what is not saved.
#[derive(Clone, Copy)]
enum Answered {
    Save,
    SaveAs,
    GoOn,
    Cancel,
}

impl ViewerPanel {
    /// Opens a case of the list.
    pub(super) fn open_listed(&mut self, ctx: &Context, index: usize, workspace: &Workspace) {
        let Some(dataset) = self.list.dataset() else { return };
        let Some(case) = dataset.cases.get(index) else { return };
        let arms = self.list.run(workspace).map(|run| (run, arms(run)));
        let request = ImageRequest::case(dataset, case, arms.as_ref().map(|(run, arms)| (*run, arms.as_slice())));
        self.request(ctx, Request::Open(Box::new(request)), workspace);
    }

    /// Opens image files, one with all channels or one for each, with label maps over them.
    pub fn open_files(&mut self, ctx: &Context, (images, labels): (&[PathBuf], Vec<PathBuf>), workspace: &Workspace) {
        if !images.is_empty() {
            self.request(ctx, Request::open(images, labels), workspace);
        }
    }

    /// Does it, unless a segmentation or a correction would be lost; then the user is asked first.
    pub(super) fn request(&mut self, ctx: &Context, request: Request, workspace: &Workspace) {
        let losses = self.losses(&request);
        if losses.is_empty() {
            self.execute(ctx, request, workspace);
        } else {
            self.pending = Some((request, losses));
        }
    }

    /// What a request would lose.
    fn losses(&self, request: &Request) -> Vec<Loss> {
        let closes = matches!(request, Request::Open(_) | Request::Again | Request::Close);
        let takes_off = |loss: Loss| match loss {
            Loss::Segmentation => matches!(request, Request::Segment(_) | Request::Discard),
            Loss::Correction => *request == Request::DiscardCorrection,
        };
        [Loss::Segmentation, Loss::Correction].into_iter().filter(|&loss| (closes || takes_off(loss)) && self.is_unsaved(loss)).collect()
    }

    /// Whether a segmentation is not saved, or not finished; or a correction not saved.
    fn is_unsaved(&self, loss: Loss) -> bool {
        match loss {
            Loss::Segmentation => self.segmenting.is_unsaved() || self.segmenting.is_running(),
            Loss::Correction => self.editing.is_unsaved(),
        }
    }

    /// Whether closing would lose something.
    pub fn would_lose(&self) -> bool {
        !self.losses(&Request::Close).is_empty()
    }

    /// Asks what is to become of what is not saved, and closes the window then.
    pub fn ask_before_closing(&mut self) {
        if self.pending.is_none() {
            (self.pending, self.dialog) = (Some((Request::Close, self.losses(&Request::Close))), None);
        }
    }

    fn execute(&mut self, ctx: &Context, request: Request, workspace: &Workspace) {
        match request {
            Request::Browse(what) => self.dialog = Some(what.dialog(ctx)),
            Request::Open(request) => self.read(ctx, *request, workspace),
            Request::Series(folder) => self.series.look(ctx, &folder),
            Request::Again => {
                if let Some((request, _)) = self.failed.take() {
                    self.read(ctx, request, workspace);
                }
            }
            Request::List(source) => self.list.list(ctx, source),
            Request::Demo => {
                self.list.list(ctx, DataSource::Demo);
                self.open_first = true;
            }
            Request::LayOver(files) => {
                if let Some(case) = &mut self.open {
                    files.into_iter().for_each(|file| case.add_file(ctx, file));
                }
            }
            Request::LayMap(file) => {
                if let Some(case) = &mut self.open {
                    case.add_map(ctx, file);
                }
            }
            Request::Segment(_) if self.reading.is_some() => {
                self.notice = Some("Another volume is being read; segment it when it is there.".to_owned());
            }
            Request::Segment(offered) => {
                let Some(case) = &mut self.open else { return };
                self.segmenting.start(case, offered, workspace);
                self.views.shown = Some(SEGMENTED.to_owned());
                self.profile = SliceProfile::default();
            }
            Request::CopyLabels => self.export_labels(ctx, false),
            Request::SaveLabels => self.export_labels(ctx, true),
            Request::Notice(sentence) => self.notice = Some(sentence),
            Request::Save => self.save_segmentation(ctx),
            Request::Saved(saved) => {
                self.notice = self.segmenting.was_saved(saved).or(self.notice.take());
                self.go_on(ctx, workspace);
            }
            Request::Discard => {
                self.segmenting.discard();
                self.profile = SliceProfile::default();
                if let Some(case) = &mut self.open {
                    case.layers.retain(|layer| layer.kind != Kind::Segmented);
                }
            }
            Request::SaveCorrection { ask } => self.save_correction(ctx, ask),
            Request::CorrectionSaved(saved, version) => {
                if let Some(case) = &self.open {
                    self.editing.was_saved(case, *saved, version);
                }
                self.go_on(ctx, workspace);
            }
            Request::DiscardCorrection => self.discard_correction(),
            Request::Close => {
                self.segmenting.discard();
                self.editing.leave();
                ctx.send_viewport_cmd(ViewportCommand::Close);
            }
        }
    }

    /// Reads an image; what is open stays until it is there.
    fn read(&mut self, ctx: &Context, request: ImageRequest, workspace: &Workspace) {
        let Some(gpu) = workspace.gpu.clone() else {
            let cause = "The window has no graphics device to draw slices with. Update the graphics driver, or install a software one (Mesa's lavapipe)";
            self.failed = Some((request, cause.to_owned()));
            return;
        };
        self.failed = None;
        let asked = request.clone();
        self.reading = Some((request, Background::start(ctx, move || read(&asked, &gpu))));
    }

    /// Asks where to, and saves the segmentation there.
    fn save_segmentation(&mut self, ctx: &Context) {
        let Some(case) = &self.open else { return };
        let Some(write) = self.segmenting.writer(case) else { return };
        let endings = case.request.images.first().map_or(Format::Nifti, VolumeSource::format).label_endings();
        let suggested = case.folder().join(format!("{}_segmented.{}", case.request.title, endings[0]));
        let write = move |file: &Path| write(file).map(Request::Saved);
        self.dialog = Some(PathDialog::save(ctx, ("Save the segmentation", "Volumes", endings), suggested, write));
    }

    /// Draws the open dialog, and does what its answer asks for.
    pub(super) fn show_dialog(&mut self, ctx: &Context, workspace: &Workspace) {
        let Some(answer) = self.dialog.as_mut().and_then(|dialog| dialog.show(ctx)) else { return };
        self.dialog = None;
        match answer {
            Answer::Chosen(request) => self.request(ctx, request, workspace),
            // Nothing was saved, and nothing is lost.
            Answer::Cancelled => self.pending = None,
        }
    }

    /// Does what waits for answers, once all of them are given.
    fn go_on(&mut self, ctx: &Context, workspace: &Workspace) {
        let Some((request, mut losses)) = self.pending.take() else { return };
        losses.retain(|loss| self.is_unsaved(*loss));
        if losses.is_empty() {
            self.execute(ctx, request, workspace);
        } else {
            self.pending = Some((request, losses));
        }
    }

    /// Asks before a segmentation or a correction is lost, unless it is being saved.
    pub(super) fn ask_about_losses(&mut self, ctx: &Context, workspace: &Workspace) {
        if self.dialog.is_some() || self.editing.is_saving() {
            return;
        }
        self.go_on(ctx, workspace);
        let Some(&loss) = self.pending.as_ref().and_then(|(_, losses)| losses.first()) else { return };
        let (go_on, cancel) = (Reply::new("Go on without it", Answered::GoOn), Reply::new("Cancel", Answered::Cancel));
        let save_as = Reply::new("Save as...", Answered::SaveAs);
        // Saving it may have failed just now.
        let failed =
            self.editing.fault().unwrap_or("It would be lost. Save it as a new file beside the labels that it is of, or go on without it.");
        let (words, replies) = match loss {
            Loss::Segmentation if self.segmenting.is_unsaved() => (
                ("The segmentation is not saved", "It would be lost. Save it to a file first, or go on without it."),
                vec![save_as, go_on, cancel],
            ),
            Loss::Segmentation => {
                (("The segmentation is not finished", "It would be stopped, and what there is of it lost."), vec![go_on, cancel])
            }
            Loss::Correction => (("The correction is not saved", failed), vec![Reply::new("Save", Answered::Save), save_as, go_on, cancel]),
        };
        match question(ctx, "unsaved labels", words, &replies) {
            Some(Answered::SaveAs) if loss == Loss::Segmentation => self.save_segmentation(ctx),
            Some(Answered::SaveAs) => self.save_correction(ctx, true),
            Some(Answered::Save) => self.save_correction(ctx, false),
            Some(Answered::GoOn) => {
                if loss == Loss::Correction {
                    self.editing.give_up();
                }
                if let Some((_, losses)) = &mut self.pending {
                    losses.remove(0);
                }
                self.go_on(ctx, workspace);
            }
            Some(Answered::Cancel) => self.pending = None,
            None => {}
        }
    }

    /// Takes files that were dropped on the window.
    pub fn take_dropped(&mut self, ctx: &Context, paths: &[PathBuf], workspace: &Workspace) {
        (self.offer, self.notice) = (None, None);
        match dropped(paths) {
            Dropped::Volumes(files) if files.len() == 1 && self.open.is_none() => self.open_files(ctx, (&files, Vec::new()), workspace),
            Dropped::Volumes(files) => self.sorting = Some(Background::start(ctx, move || sort(files))),
            Dropped::Dataset(folder) => self.request(ctx, Request::List(DataSource::Dataset(folder)), workspace),
            Dropped::Folder(folder) => self.series.look(ctx, &folder),
            Dropped::Unknown(path) => {
                let text = "is neither a volume (.nii, .nii.gz, .hdr with .img, .nrrd, .nhdr, .mha, .mhd, DICOM) nor the folder of a dataset, a run or a checkpoint";
                self.notice = Some(format!("{} {text}.", path.display()));
            }
            offer => self.offer = Some(offer),
        }
    }

    /// Takes in what the sorting of dropped files gave.
    pub(super) fn poll_sorting(&mut self, ctx: &Context, workspace: &Workspace) {
        if !self.sorting.as_mut().is_some_and(Background::poll) {
            return;
        }
        match self.sorting.take().and_then(Background::take) {
            Some(Ok(sorted)) if sorted.unclear.is_empty() => self.take_sorted(ctx, sorted, workspace),
            Some(Ok(sorted)) => self.unclear = Some(sorted),
            Some(Err(why)) => self.notice = Some(why),
            None => self.notice = Some("Reading the dropped files ended by a fault of the program; try again.".to_owned()),
        }
    }

    /// Takes in which DICOM series a folder holds, and opens a single one.
    pub(super) fn poll_series(&mut self, ctx: &Context, workspace: &Workspace) {
        match self.series.poll() {
            Ok(Some(request)) => self.request(ctx, request, workspace),
            Ok(None) => {}
            Err(why) => self.notice = Some(why),
        }
    }

    /// Asks which of several series is meant.
    pub(super) fn choose_series(&mut self, ctx: &Context, workspace: &Workspace) {
        if let Some(request) = self.series.choose(ctx) {
            self.request(ctx, request, workspace);
        }
    }

    /// Opens images and lays label maps and a map of numbers over them, or over the open image.
    fn take_sorted(&mut self, ctx: &Context, Sorted { images, labels, maps, .. }: Sorted, workspace: &Workspace) {
        if !images.is_empty() {
            self.open_files(ctx, (&images, [labels, maps].concat()), workspace);
        } else if let Some((request, _)) = &mut self.reading {
            self.notice = Some(format!("Taken for label maps or maps of {}, which is being read.", request.title));
            request.overlays.extend(labels.into_iter().chain(maps));
        } else if let Some(case) = &mut self.open {
            for file in labels {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let text = format!("{name} was taken for a label map.");
                case.add_file(ctx, file.clone());
                case.notices.push(Notice { text, taken_for_labels: Some(file) });
            }
            if maps.len() > 1 {
                case.notices.push("One map is shown at a time: the last of those dropped.".to_owned().into());
            }
            if let Some(file) = maps.into_iter().last() {
                case.add_map(ctx, file);
            }
        } else {
            self.notice = Some("Label maps lie over an image: open their image first, or one of them by itself.".to_owned());
        }
    }

    /// Asks what dropped files are, where their voxels do not say.
    pub(super) fn ask_what_they_are(&mut self, ctx: &Context, workspace: &Workspace) {
        let Some(sorted) = &mut self.unclear else { return };
        let ([go_on, cancel], escaped) = modal(ctx, "image or label map", |ui| {
            ui.heading("Image or label map?");
            ui.label("These voxels are whole numbers and may be either. A label map lies over its image; an image is opened instead of what is open.");
            ui.add_space(4.0);
            Grid::new("unclear files").num_columns(3).show(ui, |ui| {
                for (file, labels) in &mut sorted.unclear {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    ui.label(name.as_ref()).on_hover_text(file.display().to_string());
                    ui.radio_value(labels, true, "Label map");
                    ui.radio_value(labels, false, "Image");
                    ui.end_row();
                }
            });
            ui.add_space(8.0);
            ui.horizontal(|ui| [ui.button("Open").clicked(), ui.button("Cancel").clicked()]).inner
        });
        if go_on {
            let sorted = self.unclear.take().unwrap_or_default().decided();
            self.take_sorted(ctx, sorted, workspace);
        } else if cancel || escaped {
            self.unclear = None;
        }
    }
}
