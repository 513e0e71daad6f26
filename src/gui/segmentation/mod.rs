//! The fourth panel: look at volumes and labels, compare methods with the truth, segment.
//!
//! `cases` lists what can be opened, `case` holds what is open with its label maps (`layer`), `views` draws the slices and
//! `table`, `strip` and `readout` tell numbers about them; `segmenting` follows a worker, `picture` and `shot` save what is seen.
//! Reading, counting and saving run on threads of their own; the host holds one copy of the image, and labels as bytes.

mod actions;
mod canvas;
mod case;
mod cases;
mod census;
mod classes;
mod histogram;
mod layer;
mod panel;
mod picture;
mod readout;
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

use std::path::PathBuf;

use eframe::egui;

use self::actions::{Deed, Picked, Sorted};
use self::case::{OpenCase, ReadImage, Wanted};
use self::cases::CaseList;
use self::layer::{Kind, Reading};
use self::picture::PictureDialog;
use self::segmenting::Segmenting;
use self::strip::Strip;
use self::views::Views;
use self::welcome::Dropped;
use super::{Background, Desk};

/// Voxels up to which the case before stays on the screen while the next is read; beyond, two volumes would lie in memory.
const KEEP_VOXELS: usize = 16 << 20;

/// The panel.
#[derive(Default)]
pub struct SegmentationPanel {
    list: CaseList,
    open: Option<Box<OpenCase>>,
    /// What is open, or was asked for last.
    wanted: Option<Wanted>,
    reading: Option<Arriving>,
    failure: Option<String>,
    views: Views,
    strip: Strip,
    segmenting: Segmenting,
    picture: PictureDialog,
    picking: Option<Background<Option<Picked>>>,
    sorting: Option<Background<Sorted>>,
    /// A folder that was dropped, and what can be done with it.
    offer: Option<Dropped>,
    /// What waits for the user's word on a segmentation that is not saved.
    pending: Option<Pending>,
    /// Open the first case with a truth as soon as the list is there.
    open_first: bool,
    notice: Option<String>,
}

/// An image on its way.
struct Arriving {
    work: Background<Result<ReadImage, String>>,
    /// Label maps that were dropped with it.
    labels: Vec<PathBuf>,
}

/// A deed that would lose a segmentation.
struct Pending {
    deed: Deed,
    /// The user chose to save first.
    saving: bool,
}

impl SegmentationPanel {
    /// Takes in what a segmentation has come to while another panel is shown: its worker must not wait for a look.
    pub fn keep_up(&mut self, ctx: &egui::Context) {
        if let Some(case) = &mut self.open {
            case.poll(ctx, self.segmenting.is_running());
            self.segmenting.poll(ctx, case);
        }
    }

    /// Takes in what has arrived since the last frame.
    fn poll(&mut self, ctx: &egui::Context, desk: &mut Desk) {
        self.list.poll(ctx, desk);
        self.keep_up(ctx);
        self.poll_image(ctx, desk);
        self.poll_choices(ctx, desk);
        if self.open_first
            && let Some(dataset) = self.list.dataset()
        {
            self.open_first = false;
            if let Some(index) = dataset.cases.iter().position(|case| case.label.is_some()) {
                self.open_listed(ctx, index, desk);
            }
        }
        let Some(case) = &mut self.open else { return };
        if case.listed
            && let Some(run) = self.list.run(desk)
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
                self.carry_on(ctx, desk);
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
        self.reading.is_none() && self.list.settled() && self.views.wanted(case).iter().all(read) && counted && case.channel_now().is_some()
    }

    /// D,H,W of the crosshair in the open volume.
    pub(super) fn crosshair(&self) -> Option<[usize; 3]> {
        self.open.as_ref().map(|case| case.cursor.voxel)
    }

    fn poll_image(&mut self, ctx: &egui::Context, desk: &Desk) {
        let Some(mut arriving) = self.reading.take() else { return };
        if !arriving.work.poll() {
            self.reading = Some(arriving);
            return;
        }
        let Arriving { work, labels } = arriving;
        self.segmenting.discard();
        self.strip.clear();
        self.open = None;
        match (work.take(), &self.wanted, &desk.gpu) {
            (Some(Ok(image)), Some(wanted), Some(gpu)) => {
                let mut case = Box::new(OpenCase::new(wanted, image, gpu.clone()));
                for file in labels {
                    let index = case.add_file(file);
                    self.views.shown = Some(case.layers[index].title.clone());
                }
                self.views.reset();
                self.open = Some(case);
                ctx.request_repaint();
            }
            (Some(Err(cause)), ..) => self.failure = Some(cause),
            _ => self.failure = Some("Reading ended by a fault of the program; try again".to_owned()),
        }
    }
}
