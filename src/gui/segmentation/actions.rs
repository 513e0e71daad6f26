//! What users ask of the panel: opening, segmenting, with the question before a segmentation is lost.

use std::path::PathBuf;

use eframe::egui;

use super::case::{Wanted, read};
use super::layer::looks_like_labels;
use super::segmenting::{Offered, named, source};
use super::welcome::{Choice, Dropped, dropped};
use super::{Arriving, KEEP_VOXELS, Pending, SegmentationPanel};
use crate::config::DataSource;
use crate::gui::{Background, Desk};
use crate::volume::nifti;

/// Something that replaces what is open, or its segmentation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    /// Open an image, with label maps over it.
    Open(Box<Wanted>, Vec<PathBuf>),
    /// Segment the open case.
    Segment(Offered),
    /// Take the segmentation off.
    Discard,
    /// Close the window.
    Close,
}

/// What a dialog gave.
pub(super) enum Picked {
    /// Image files.
    Images(Vec<PathBuf>),
    /// Label maps for the open image.
    Labels(Vec<PathBuf>),
    /// A dataset's folder.
    Dataset(PathBuf),
    /// A checkpoint's or a run's folder.
    Checkpoint(PathBuf),
}

/// Dropped volumes, told apart.
pub(super) struct Sorted {
    images: Vec<PathBuf>,
    labels: Vec<PathBuf>,
    /// The label maps' grid, if they share one.
    shape: Option<[usize; 3]>,
}

/// Asks for files of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// An image.
    Image,
    /// Label maps.
    Labels,
    /// A dataset's folder.
    Dataset,
    /// A checkpoint's folder.
    Checkpoint,
}

impl SegmentationPanel {
    /// Opens a case of the list.
    pub(super) fn open_listed(&mut self, ctx: &egui::Context, index: usize, desk: &Desk) {
        let Some(dataset) = self.list.dataset() else { return };
        let Some(case) = dataset.cases.get(index) else { return };
        let arms = self.list.run(desk).map(|run| (&run.folder, super::scores::arms(run.state())));
        let wanted = Wanted::case(dataset, case, arms.as_ref().map(|(folder, arms)| (*folder, arms.as_slice())));
        self.ask_or_do(ctx, Deed::Open(Box::new(wanted), Vec::new()), desk);
    }

    /// Does it, unless a segmentation would be lost; then the user is asked first.
    pub(super) fn ask_or_do(&mut self, ctx: &egui::Context, deed: Deed, desk: &Desk) {
        if self.would_lose() {
            self.pending = Some(Pending { deed, saving: false });
        } else {
            self.carry_out(ctx, deed, desk);
        }
    }

    /// Whether a segmentation is not saved, or not finished.
    pub fn would_lose(&self) -> bool {
        self.segmenting.is_unsaved() || self.segmenting.is_running()
    }

    /// Asks what is to become of the segmentation, and closes the window then.
    pub fn ask_before_closing(&mut self) {
        self.pending.get_or_insert(Pending { deed: Deed::Close, saving: false });
    }

    /// Does what waited for the user's word.
    pub(super) fn carry_on(&mut self, ctx: &egui::Context, desk: &Desk) {
        if let Some(pending) = self.pending.take() {
            self.carry_out(ctx, pending.deed, desk);
        }
    }

    fn carry_out(&mut self, ctx: &egui::Context, deed: Deed, desk: &Desk) {
        match deed {
            Deed::Open(wanted, labels) => self.read(ctx, *wanted, labels, desk),
            Deed::Segment(offered) => {
                if self.reading.is_some() {
                    self.notice = Some("Another volume is being read; segment it when it is there.".to_owned());
                    return;
                }
                let (Some(case), Some(wanted)) = (&mut self.open, &self.wanted) else { return };
                let source = source(&wanted.title, &wanted.images);
                self.views.shown = Some(self.segmenting.start(case, source, offered, desk));
                self.strip.clear();
            }
            Deed::Close => {
                self.segmenting.discard();
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            }
            Deed::Discard => {
                self.segmenting.discard();
                self.strip.clear();
                if let Some(case) = &mut self.open {
                    case.drop_segmentation();
                }
            }
        }
    }

    fn read(&mut self, ctx: &egui::Context, wanted: Wanted, labels: Vec<PathBuf>, desk: &Desk) {
        let Some(gpu) = desk.gpu.clone() else {
            self.failure = Some("The window has no graphics device to draw slices with. Update the graphics driver, or install a software one (Mesa's lavapipe)".to_owned());
            return;
        };
        self.failure = None;
        if self.open.as_ref().is_some_and(|case| case.ground.scan.volume.voxels.len() > KEEP_VOXELS) {
            self.open = None;
        }
        let asked = wanted.clone();
        self.wanted = Some(wanted);
        self.reading = Some(Arriving { work: Background::start(ctx, move || read(&asked, &gpu)), labels });
    }

    /// Opens image files: one with all channels, or one for each.
    pub(super) fn open_files(&mut self, ctx: &egui::Context, (files, labels): (&[PathBuf], Vec<PathBuf>), desk: &mut Desk) {
        if let Some(first) = files.first() {
            desk.settings.remember_volume(first);
            self.ask_or_do(ctx, Deed::Open(Box::new(Wanted::files(files)), labels), desk);
        }
    }

    /// Obeys a button of the empty panel.
    pub(super) fn choose(&mut self, ctx: &egui::Context, choice: Choice, desk: &mut Desk) {
        match choice {
            Choice::Open => self.pick(ctx, Pick::Image),
            Choice::OpenFolder => self.pick(ctx, Pick::Dataset),
            Choice::Demo => {
                self.list.list(ctx, DataSource::Demo);
                self.open_first = true;
            }
            Choice::Recent(file) => self.open_files(ctx, (&[file], Vec::new()), desk),
            Choice::Again => {
                if let Some(wanted) = self.wanted.clone() {
                    self.ask_or_do(ctx, Deed::Open(Box::new(wanted), Vec::new()), desk);
                }
            }
        }
    }

    /// Opens a dialog, on a thread of its own.
    pub(super) fn pick(&mut self, ctx: &egui::Context, pick: Pick) {
        if self.picking.is_some() {
            return;
        }
        self.picking = Some(Background::start(ctx, move || {
            let files = |title: &str| rfd::FileDialog::new().set_title(title).add_filter("NIfTI", &["nii", "gz"]);
            let folder = |title: &str| rfd::FileDialog::new().set_title(title).pick_folder();
            match pick {
                Pick::Image => files("Open an image: one file, or one for each channel").pick_files().map(Picked::Images),
                Pick::Labels => files("Open label maps of the open image").pick_files().map(Picked::Labels),
                Pick::Dataset => folder("Open a dataset: the folder with dataset.json or imagesTr").map(Picked::Dataset),
                Pick::Checkpoint => folder("Segment with: the folder of a run or a checkpoint").map(Picked::Checkpoint),
            }
        }));
    }

    /// Takes in what dialogs and the sorting of dropped files gave.
    pub(super) fn poll_choices(&mut self, ctx: &egui::Context, desk: &mut Desk) {
        if self.picking.as_mut().is_some_and(Background::poll) {
            match self.picking.take().and_then(Background::take).flatten() {
                Some(Picked::Images(files)) => self.open_files(ctx, (&files, Vec::new()), desk),
                Some(Picked::Labels(files)) => files.into_iter().for_each(|file| self.lay_over(file)),
                Some(Picked::Dataset(folder)) => self.list.list(ctx, DataSource::Dataset(folder)),
                Some(Picked::Checkpoint(folder)) => self.ask_or_do(ctx, Deed::Segment((named(&folder), folder)), desk),
                None => {}
            }
        }
        if self.sorting.as_mut().is_some_and(Background::poll)
            && let Some(Sorted { images, labels, shape }) = self.sorting.take().and_then(Background::take)
        {
            let here = self.open.as_ref().map(|case| case.ground.scan.volume.grid.shape);
            if !images.is_empty() {
                self.open_files(ctx, (&images, labels), desk);
            } else if here.is_some() && here == shape {
                labels.into_iter().for_each(|file| self.lay_over(file));
            } else {
                // Label maps of another image: worth looking at by themselves.
                self.open_files(ctx, (&labels[..labels.len().min(1)], Vec::new()), desk);
            }
        }
    }

    /// Puts a label map over the open image.
    fn lay_over(&mut self, file: PathBuf) {
        let Some(case) = &mut self.open else { return };
        self.notice = Some(format!("{} lies over the image as labels.", file.file_name().unwrap_or_default().to_string_lossy()));
        let index = case.add_file(file);
        self.views.shown = Some(case.layers[index].title.clone());
        self.strip.clear();
    }

    /// Takes files that were dropped on the window.
    pub fn take_dropped(&mut self, ctx: &egui::Context, paths: &[PathBuf], desk: &mut Desk) {
        self.offer = None;
        match dropped(paths) {
            Dropped::Volumes(files) if files.len() == 1 && self.open.is_none() => self.open_files(ctx, (&files, Vec::new()), desk),
            Dropped::Volumes(files) => self.sorting = Some(Background::start(ctx, move || sort(files))),
            Dropped::Dataset(folder) => self.list.list(ctx, DataSource::Dataset(folder)),
            Dropped::Unknown(path) => {
                let text = "is neither a NIfTI file (.nii, .nii.gz) nor the folder of a dataset, a run or a checkpoint";
                self.notice = Some(format!("{} {text}.", path.display()));
            }
            offer => self.offer = Some(offer),
        }
    }
}

/// Tells images and label maps apart. What cannot be read counts as an image: opening it tells why.
fn sort(files: Vec<PathBuf>) -> Sorted {
    let mut sorted = Sorted { images: Vec::new(), labels: Vec::new(), shape: None };
    for file in files {
        match nifti::read(&file) {
            Ok(scan) if looks_like_labels(&scan) => {
                sorted.shape = Some(scan.volume.grid.shape);
                sorted.labels.push(file);
            }
            _ => sorted.images.push(file),
        }
    }
    sorted
}
