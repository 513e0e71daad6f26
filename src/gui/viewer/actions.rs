//! What users ask of the panel: opening, segmenting, with the question before a segmentation is lost.

use std::path::PathBuf;

use eframe::egui;

use super::case::{Notice, Wanted, read};
use super::dialog::ask;
use super::doubt::{Sorted, sort};
use super::segmenting::{Offered, named, source};
use super::welcome::{Choice, Dropped, dropped};
use super::{Arriving, Failed, Pending, SegmentationPanel};
use crate::config::DataSource;
use crate::gui::{Background, Workspace};

/// Something that replaces what is open, or its segmentation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PanelAction {
    /// Open an image, with label maps over it.
    Open(Box<Wanted>),
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
    pub(super) fn open_listed(&mut self, ctx: &egui::Context, index: usize, workspace: &Workspace) {
        let Some(dataset) = self.list.dataset() else { return };
        let Some(case) = dataset.cases.get(index) else { return };
        let arms = self.list.run(workspace).map(|run| (run, super::scores::arms(run.state())));
        let wanted = Wanted::case(dataset, case, arms.as_ref().map(|(run, arms)| (*run, arms.as_slice())));
        self.ask_or_do(ctx, PanelAction::Open(Box::new(wanted)), workspace);
    }

    /// Does it, unless a segmentation would be lost; then the user is asked first.
    pub(super) fn ask_or_do(&mut self, ctx: &egui::Context, panel_action: PanelAction, workspace: &Workspace) {
        if self.would_lose() {
            self.pending = Some(Pending { panel_action, saving: false });
        } else {
            self.execute(ctx, panel_action, workspace);
        }
    }

    /// Whether a segmentation is not saved, or not finished.
    pub fn would_lose(&self) -> bool {
        self.segmenting.is_unsaved() || self.segmenting.is_running()
    }

    /// Asks what is to become of the segmentation, and closes the window then.
    pub fn ask_before_closing(&mut self) {
        self.pending.get_or_insert(Pending { panel_action: PanelAction::Close, saving: false });
    }

    /// Does what waited for the user's word.
    pub(super) fn carry_on(&mut self, ctx: &egui::Context, workspace: &Workspace) {
        if let Some(pending) = self.pending.take() {
            self.execute(ctx, pending.panel_action, workspace);
        }
    }

    fn execute(&mut self, ctx: &egui::Context, panel_action: PanelAction, workspace: &Workspace) {
        match panel_action {
            PanelAction::Open(wanted) => self.read(ctx, *wanted, workspace),
            PanelAction::Segment(offered) => {
                if self.reading.is_some() {
                    self.notice = Some("Another volume is being read; segment it when it is there.".to_owned());
                    return;
                }
                let Some(case) = &mut self.open else { return };
                let source = source(&case.title, &case.images);
                self.views.shown = Some(self.segmenting.start(case, source, offered, workspace));
                self.strip.clear();
            }
            PanelAction::Close => {
                self.segmenting.discard();
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            }
            PanelAction::Discard => {
                self.segmenting.discard();
                self.strip.clear();
                if let Some(case) = &mut self.open {
                    case.drop_segmentation();
                }
            }
        }
    }

    /// Reads an image; what is open stays until it is there.
    fn read(&mut self, ctx: &egui::Context, wanted: Wanted, workspace: &Workspace) {
        let Some(gpu) = workspace.gpu.clone() else {
            let cause = "The window has no graphics device to draw slices with. Update the graphics driver, or install a software one (Mesa's lavapipe)";
            self.failed = Some(Failed { wanted, cause: cause.to_owned() });
            return;
        };
        self.failed = None;
        let asked = wanted.clone();
        self.reading = Some(Arriving { wanted, work: Background::start(ctx, move || read(&asked, &gpu)) });
    }

    /// Opens image files, one with all channels or one for each, with label maps over them.
    pub fn open_files(&mut self, ctx: &egui::Context, (images, labels): (&[PathBuf], Vec<PathBuf>), workspace: &Workspace) {
        if !images.is_empty() {
            self.ask_or_do(ctx, PanelAction::Open(Box::new(Wanted::files(images, labels))), workspace);
        }
    }

    /// Obeys a button of the empty panel.
    pub(super) fn choose(&mut self, ctx: &egui::Context, choice: Choice, workspace: &Workspace) {
        self.notice = None;
        match choice {
            Choice::Open => self.pick(ctx, Pick::Image),
            Choice::OpenFolder => self.pick(ctx, Pick::Dataset),
            Choice::Demo => {
                self.list.list(ctx, DataSource::Demo);
                self.open_first = true;
            }
            Choice::Recent(file) => self.open_files(ctx, (&[file], Vec::new()), workspace),
            Choice::Again => {
                if let Some(failed) = &self.failed {
                    self.ask_or_do(ctx, PanelAction::Open(Box::new(failed.wanted.clone())), workspace);
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
            let files = |title: &str| rfd::FileDialog::new().set_title(title).add_filter("NIfTI or Analyze", &["nii", "gz", "hdr", "img"]);
            let folder = |title: &str| rfd::FileDialog::new().set_title(title).pick_folder();
            ask(|| match pick {
                Pick::Image => files("Open an image: one file, or one for each channel").pick_files().map(Picked::Images),
                Pick::Labels => files("Open label maps of the open image").pick_files().map(Picked::Labels),
                Pick::Dataset => folder("Open a dataset: the folder with dataset.json or imagesTr").map(Picked::Dataset),
                Pick::Checkpoint => folder("Segment with: the folder of a run or a checkpoint").map(Picked::Checkpoint),
            })
        }));
    }

    /// Takes in what dialogs and the sorting of dropped files gave.
    pub(super) fn poll_choices(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        if self.picking.as_mut().is_some_and(Background::poll) {
            let picked = self.picking.take().and_then(Background::take).unwrap_or(Ok(None));
            match picked.unwrap_or_else(|why| {
                let instead = "Drop the file or folder on the window instead, or start `simtrot view FILE`";
                self.notice = Some(format!("Nothing was opened: {why}. {instead}."));
                None
            }) {
                Some(Picked::Images(files)) => self.open_files(ctx, (&files, Vec::new()), workspace),
                Some(Picked::Labels(files)) => files.into_iter().for_each(|file| self.lay_over(ctx, file)),
                Some(Picked::Dataset(folder)) => self.list.list(ctx, DataSource::Dataset(folder)),
                Some(Picked::Checkpoint(folder)) => self.ask_or_do(ctx, PanelAction::Segment((named(&folder), folder)), workspace),
                None => {}
            }
        }
        if self.sorting.as_mut().is_some_and(Background::poll) {
            match self.sorting.take().and_then(Background::take) {
                Some(Ok(sorted)) if sorted.unclear.is_empty() => self.take_sorted(ctx, sorted, workspace),
                Some(Ok(sorted)) => self.doubt = Some(sorted),
                Some(Err(why)) => self.notice = Some(why),
                None => self.notice = Some("Reading the dropped files ended by a fault of the program; try again.".to_owned()),
            }
        }
    }

    /// Opens images and lays label maps over them, or over the open image.
    pub(super) fn take_sorted(&mut self, ctx: &egui::Context, sorted: Sorted, workspace: &Workspace) {
        let Sorted { images, labels, .. } = sorted;
        if !images.is_empty() {
            self.open_files(ctx, (&images, labels), workspace);
        } else if let Some(arriving) = &mut self.reading {
            self.notice = Some(format!("Taken for label maps of {}, which is being read.", arriving.wanted.title));
            arriving.wanted.overlays.extend(labels);
        } else if self.open.is_some() {
            for file in labels {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.lay_over(ctx, file.clone());
                if let Some(case) = &mut self.open {
                    case.notices.push(Notice { text: format!("{name} was taken for a label map."), taken_for_labels: Some(file) });
                }
            }
        } else {
            self.notice = Some("Label maps lie over an image: open their image first, or one of them by itself.".to_owned());
        }
    }

    /// Puts a label map over the open image.
    fn lay_over(&mut self, ctx: &egui::Context, file: PathBuf) {
        if let Some(case) = &mut self.open {
            case.add_file(ctx, file);
        }
    }

    /// Takes files that were dropped on the window.
    pub fn take_dropped(&mut self, ctx: &egui::Context, paths: &[PathBuf], workspace: &Workspace) {
        (self.offer, self.notice) = (None, None);
        match dropped(paths) {
            Dropped::Volumes(files) if files.len() == 1 && self.open.is_none() => self.open_files(ctx, (&files, Vec::new()), workspace),
            Dropped::Volumes(files) => self.sorting = Some(Background::start(ctx, move || sort(files))),
            Dropped::Dataset(folder) => self.list.list(ctx, DataSource::Dataset(folder)),
            Dropped::Unknown(path) => {
                let text = "is neither a NIfTI file (.nii, .nii.gz, .hdr with .img) nor the folder of a dataset, a run or a checkpoint";
                self.notice = Some(format!("{} {text}.", path.display()));
            }
            offer => self.offer = Some(offer),
        }
    }
}
