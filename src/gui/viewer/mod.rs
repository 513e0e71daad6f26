//! The fourth panel: look at volumes and labels, compare methods with the truth, segment.
//!
//! `cases` lists what can be opened, `case` holds what is open with its label maps (`layer`, `resample`), `views` draws the slices and
//! `table`, `strip` and `readout` tell numbers about them; `segmenting` follows a worker, `picture` and `shot` save what is seen.
//! `content` tells images from label maps, `doubt` asks where it cannot, `news` tells what could not be done.
//! Reading, counting and saving run on threads of their own; the host holds one copy of the image, and labels as bytes.

mod actions;
mod canvas;
mod case;
mod cases;
mod classes;
mod content;
mod dialog;
mod doubt;
mod histogram;
mod label_statistics;
mod layer;
mod news;
mod panel;
mod picture;
mod readout;
mod resample;
mod scores;
mod segmenting;
mod shot;
mod strip;
mod table;
#[cfg(test)]
mod tests;
mod toolbar;
mod views;
mod welcome;

use eframe::egui;

use self::actions::{PanelAction, Picked};
use self::case::{OpenCase, ReadImage, Wanted};
use self::cases::CaseList;
use self::doubt::Sorted;
use self::layer::{Kind, Reading};
use self::picture::PictureDialog;
use self::segmenting::Segmenting;
use self::strip::Strip;
use self::views::Views;
use self::welcome::Dropped;
use super::{Background, Workspace};
use crate::volume::VolumeSource;

/// The panel.
#[derive(Default)]
pub struct SegmentationPanel {
    list: CaseList,
    open: Option<Box<OpenCase>>,
    reading: Option<Arriving>,
    /// The opening that failed last, while nothing else was tried.
    failed: Option<Failed>,
    views: Views,
    strip: Strip,
    segmenting: Segmenting,
    picture: PictureDialog,
    picking: Option<Background<Result<Option<Picked>, String>>>,
    sorting: Option<Background<Result<Sorted, String>>>,
    /// Dropped files of which the user has to say what they are.
    doubt: Option<Sorted>,
    /// A folder that was dropped, and what can be done with it.
    offer: Option<Dropped>,
    /// What waits for the user's word on a segmentation that is not saved.
    pending: Option<Pending>,
    /// Open the first case with a truth as soon as the list is there.
    open_first: bool,
    /// What could not be done with a file or folder; what is about the open volume is kept with it.
    notice: Option<String>,
}

/// An image on its way.
struct Arriving {
    wanted: Wanted,
    work: Background<Result<ReadImage, String>>,
}

/// An image that could not be opened.
struct Failed {
    wanted: Wanted,
    /// Why, and what to do.
    cause: String,
}

/// A panel_action that would lose a segmentation.
struct Pending {
    panel_action: PanelAction,
    /// The user chose to save first.
    saving: bool,
}

impl SegmentationPanel {
    /// Takes in what a segmentation has come to while another panel is shown: its worker must not wait for a look.
    pub fn refresh(&mut self, ctx: &egui::Context) {
        if let Some(case) = &mut self.open {
            if let Some(title) = case.poll(ctx, self.segmenting.is_running()) {
                self.views.shown = Some(title);
                self.strip.clear();
            }
            self.segmenting.poll(ctx, case);
        }
    }

    /// Takes in what has arrived since the last frame.
    fn poll(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        if let Some(why) = self.list.poll(ctx, workspace) {
            self.open_first = false;
            self.notice = Some(why);
        }
        self.refresh(ctx);
        self.poll_image(ctx, workspace);
        self.poll_choices(ctx, workspace);
        if self.open_first
            && self.list.settled()
            && let Some(dataset) = self.list.dataset()
        {
            self.open_first = false;
            if let Some(index) = dataset.cases.iter().position(|case| case.label.is_some()) {
                self.open_listed(ctx, index, workspace);
            }
        }
        let Some(case) = &mut self.open else { return };
        case.recolour(&workspace.settings.label_colours);
        if case.listed
            && let Some(run) = self.list.run(workspace)
        {
            case.find_methods(run);
        }
        case.shown_channel(ctx);
        for index in self.views.wanted(case) {
            let ground = case.ground.clone();
            case.layers[index].want(ctx, &ground);
        }
        match self.views.shown_layer(case) {
            Some(layer) => self.strip.update(case, layer, self.views.arrangement.plane()),
            None => self.strip.clear(),
        }
        if self.pending.as_ref().is_some_and(|pending| pending.saving) && !self.segmenting.is_saving() {
            if self.segmenting.is_unsaved() {
                // The dialog was cancelled or the file could not be written: nothing is lost.
                self.pending = None;
            } else {
                self.carry_on(ctx, workspace);
            }
        }
    }

    /// Whether everything that is shown has been read and counted.
    pub(super) fn is_settled(&self) -> bool {
        let Some(case) = &self.open else { return false };
        let read = |&index: &usize| !matches!(case.layers[index].reading, Reading::Unread | Reading::Working(..));
        let counted = case.layers.iter().all(|layer| {
            let due = layer.labels().is_some() && layer.kind != Kind::Truth && case.truth_labels().is_some();
            !due || layer.agreement().is_some()
        });
        let here = self.reading.is_none() && self.sorting.is_none() && self.list.settled() && !case.is_reading();
        here && self.views.wanted(case).iter().all(read) && counted && case.channel_now().is_some()
    }

    /// D,H,W of the crosshair in the open volume.
    pub(super) fn crosshair(&self) -> Option<[usize; 3]> {
        self.open.as_ref().map(|case| case.cursor.voxel)
    }

    /// The listed case that is open or was asked for last: the one that the next comes after.
    fn standing(&self) -> Option<&str> {
        let asked = self.reading.as_ref().map(|arriving| &arriving.wanted).or(self.failed.as_ref().map(|failed| &failed.wanted));
        let open = self.open.as_ref().map(|case| (case.listed, case.title.as_str()));
        let (listed, title) = asked.map(|wanted| (wanted.listed, wanted.title.as_str())).or(open)?;
        listed.then_some(title)
    }

    /// Shows an image that has arrived; one that could not be read leaves everything as it is.
    fn poll_image(&mut self, ctx: &egui::Context, workspace: &mut Workspace) {
        let Some(mut arriving) = self.reading.take() else { return };
        if !arriving.work.poll() {
            self.reading = Some(arriving);
            return;
        }
        let Arriving { wanted, work } = arriving;
        let image = work.take().unwrap_or_else(|| Err("Reading ended by a fault of the program; try again".to_owned()));
        let (image, gpu) = match (image, &workspace.gpu) {
            (Ok(image), Some(gpu)) => (image, gpu.clone()),
            (Err(cause), _) => return self.failed = Some(Failed { wanted, cause }),
            (Ok(_), None) => return,
        };
        if let (false, Some(VolumeSource::File(file))) = (wanted.listed, wanted.images.first()) {
            workspace.settings.remember_volume(file);
        }
        let mut case = Box::new(OpenCase::new(&wanted, image, gpu));
        wanted.overlays.into_iter().for_each(|file| case.add_file(ctx, file));
        self.segmenting.discard();
        self.strip.clear();
        self.views.take_up(&case.ground.scan.volume.grid);
        (self.open, self.failed) = (Some(case), None);
        ctx.request_repaint();
    }
}
