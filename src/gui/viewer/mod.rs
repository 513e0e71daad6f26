//! The viewer: look at volumes and labels, compare methods with the truth, segment.
//!
//! `cases` lists what can be opened and, by `next_case`, which to label next, `image` reads it, `case` holds what is open with its label maps (`layer`, `classes`, `resample`),
//! `map` lays numbers over it as colours, `measurements` are rulers and circles, `measuring` draws them, `tool` is what the mouse does.
//! `views` draws the slices, `surface` the labels' surfaces, `columns` the titles of a comparison, and `labels`, `profile`, `histogram` and `readout` show numbers about them; `segmenting` follows a worker,
//! `picture` saves what is seen, `label_export` what is counted of labels. `dropped` tells images from label maps, `series` lists those
//! of a DICOM folder. `requests` are what users ask for, `actions` does it, `panel` lays everything out with `toolbar` and `notices`.
//! `edit` corrects labels, and `edit_panel` is the panel's side of it; `add_case` puts them into a training set (`add_panel` for the panel), and
//! `corrections_table` shows how corrections shrink.
//! Reading, counting and saving run on threads of their own; the host holds one copy of the image, and labels as bytes.

mod actions;
mod add_case;
mod add_panel;
mod case;
mod cases;
mod classes;
mod columns;
mod corrections_table;
mod digits;
mod dropped;
mod edit;
mod edit_panel;
mod histogram;
mod image;
mod label_export;
mod label_statistics;
mod labels;
mod layer;
mod map;
mod measurements;
mod measuring;
mod next_case;
mod notices;
mod panel;
mod picture;
mod profile;
mod readout;
mod requests;
mod resample;
mod segmenting;
mod series;
mod surface;
#[cfg(test)]
mod tests;
mod tool;
mod toolbar;
mod views;

use eframe::egui::Context;

use self::add_case::AddCase;
use self::case::OpenCase;
use self::cases::CaseList;
use self::dropped::{Dropped, Sorted};
use self::edit::Editing;
use self::image::{ImageRequest, ReadImage};
use self::layer::{Kind, Layer};
use self::picture::PictureDialog;
use self::profile::SliceProfile;
use self::requests::{Loss, Request};
use self::segmenting::Segmenting;
use self::series::SeriesChoice;
use self::tool::Tool;
use self::views::Views;
use super::settings::remember;
use super::widgets::PathDialog;
use super::{Background, Workspace};
use crate::volume::VolumeSource;

/// The panel.
#[derive(Default)]
pub struct ViewerPanel {
    list: CaseList,
    open: Option<Box<OpenCase>>,
    /// An image on its way.
    reading: Option<(ImageRequest, Background<Result<ReadImage, String>>)>,
    /// The opening that failed last, while nothing else was tried: why, and what to do.
    failed: Option<(ImageRequest, String)>,
    views: Views,
    profile: SliceProfile,
    segmenting: Segmenting,
    editing: Editing,
    picture: PictureDialog,
    /// A corrected case on its way into a training set.
    adding: AddCase,
    dialog: Option<PathDialog<Request>>,
    /// A table of labels on its way to the clipboard.
    copying: Option<Background<String>>,
    sorting: Option<Background<Result<Sorted, String>>>,
    /// Dropped files of which the user has to say what they are.
    unclear: Option<Sorted>,
    /// The DICOM series of a folder, from which the user has to choose.
    series: SeriesChoice,
    /// A folder that was dropped, and what can be done with it.
    offer: Option<Dropped>,
    /// What waits for the user's answers about what it would lose, and of what these are still to be given.
    pending: Option<(Request, Vec<Loss>)>,
    /// Open the first case with a truth as soon as the list is there.
    open_first: bool,
    /// What could not be done with a file or folder; what is about the open volume is kept with it.
    notice: Option<String>,
}

impl ViewerPanel {
    /// Takes in what a segmentation has come to while another panel is shown: its worker must not wait for a look.
    pub fn refresh(&mut self, ctx: &Context) {
        let Some(case) = &mut self.open else { return };
        if let Some(title) = case.poll(ctx, self.segmenting.is_running()) {
            self.views.shown = Some(title);
            self.profile = SliceProfile::default();
        }
        self.segmenting.poll(ctx, case);
        self.views.surface.growing = self.segmenting.is_running();
        self.poll_correction(ctx);
    }

    /// Takes in what has arrived since the last frame.
    fn poll(&mut self, ctx: &Context, workspace: &mut Workspace) {
        if let Some(why) = self.list.poll(ctx, workspace) {
            self.open_first = false;
            self.notice = Some(why);
        }
        self.refresh(ctx);
        self.poll_image(ctx, workspace);
        self.poll_sorting(ctx, workspace);
        self.poll_series(ctx, workspace);
        self.poll_copying(ctx);
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
        if let Some(run) = self.list.run(workspace).filter(|_| case.request.listed) {
            case.find_methods(run);
        }
        case.want_channel(ctx);
        let wanted = self.views.wanted(case);
        case.layers.iter_mut().filter(|layer| wanted.contains(&layer.title)).for_each(|layer| layer.want(ctx, &case.background));
        match self.views.shown_layer(case) {
            Some(layer) => self.profile.update(case, layer, self.views.arrangement.plane()),
            None => self.profile = SliceProfile::default(),
        }
    }

    /// Whether everything that is shown has been read and counted.
    pub(super) fn is_settled(&self) -> bool {
        let Some(case) = &self.open else { return false };
        let counted = case.layers.iter().all(|layer| {
            let due = layer.labels().is_some() && layer.kind != Kind::Truth && case.truth_labels().is_some();
            !due || layer.agreement().is_some()
        });
        let here = self.reading.is_none()
            && self.sorting.is_none()
            && self.copying.is_none()
            && self.series.folder().is_none()
            && self.list.settled()
            && !case.is_reading();
        let read = self.views.wanted(case).iter().all(|title| case.layer(Some(title)).is_some_and(Layer::is_settled));
        here && read && counted && self.views.surface.is_settled() && case.channel_now().is_some() && self.editing.is_settled()
    }

    /// Takes the brush in hand, as its button does.
    pub(super) fn take_brush(&mut self) {
        self.views.tool = Tool::Brush;
    }

    /// Whether the brush can paint, and how many strokes can be undone.
    pub(super) fn brush(&self) -> (bool, usize) {
        (self.views.brush.is_some(), self.editing.steps())
    }

    /// D,H,W of the crosshair in the open volume.
    pub(super) fn crosshair(&self) -> Option<[usize; 3]> {
        self.open.as_ref().map(|case| case.cursor.voxel)
    }

    /// The listed case that is open or was asked for last: the one that the next comes after.
    fn current_case(&self) -> Option<&str> {
        let asked = self.reading.as_ref().map(|(request, _)| request).or(self.failed.as_ref().map(|(request, _)| request));
        let last = asked.or(self.open.as_ref().map(|case| &case.request))?;
        last.listed.then_some(last.title.as_str())
    }

    /// Shows an image that has arrived; one that could not be read leaves everything as it is.
    fn poll_image(&mut self, ctx: &Context, workspace: &mut Workspace) {
        let Some((mut request, mut work)) = self.reading.take() else { return };
        // What is open stays until it is saved, and until a question about it is answered: the answer would be taken for the next image's.
        if self.editing.is_saving() || self.dialog.is_some() || !work.poll() {
            self.reading = Some((request, work));
            return;
        }
        let image = work.take().unwrap_or_else(|| Err("Reading ended by a fault of the program; try again".to_owned()));
        let (image, gpu) = match (image, workspace.gpu.clone()) {
            (Ok(image), Some(gpu)) => (image, gpu),
            (Err(cause), _) => return self.failed = Some((request, cause)),
            (Ok(_), None) => return,
        };
        if let (false, Some(VolumeSource::File(file))) = (request.listed, request.images.first()) {
            remember(&mut workspace.settings.recent_volumes, file);
        }
        let overlays = std::mem::take(&mut request.overlays);
        let mut case = Box::new(OpenCase::new(request, image, gpu));
        overlays.into_iter().for_each(|file| case.add_file(ctx, file));
        self.segmenting.discard();
        self.editing.open(ctx, &case);
        self.profile = SliceProfile::default();
        self.views.reset(case.grid());
        (self.open, self.failed) = (Some(case), None);
        ctx.request_repaint();
    }
}
