//! What is going on and what went wrong, above the slices: each line stays until it is dismissed or its volume is closed.

use eframe::egui::{Button, Label, RichText, Ui};

use super::ViewerPanel;
use super::dropped::Dropped;
use super::requests::{Choice, PanelAction};
use super::segmenting::{Request, named};
use crate::gui::{Palette, Workspace};

impl ViewerPanel {
    /// What is going on: a segmentation, an opening that failed, a dropped folder, notices.
    pub(super) fn notices(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let ctx = ui.ctx().clone();
        if let Some(case) = self.open.as_ref().filter(|_| self.segmenting.has_news()) {
            match self.segmenting.show(ui, case) {
                Some(Request::Save) => self.save_segmentation(&ctx),
                Some(Request::Discard) => self.ask_or_do(&ctx, PanelAction::Discard, workspace),
                Some(Request::Dismiss) | None => {}
            }
        }
        self.failed_opening(ui, workspace);
        self.offered_folder(ui, workspace);
        if self.notice.as_ref().is_some_and(|notice| line(ui, notice, None)) {
            self.notice = None;
        }
        let Some(case) = &mut self.open else { return };
        let mut image = None;
        case.notices.retain(|notice| {
            let mut asked = false;
            let dismissed = line(ui, &notice.text, notice.taken_for_labels.is_some().then_some(&mut asked));
            if asked {
                image.clone_from(&notice.taken_for_labels);
            }
            !dismissed
        });
        if let Some(image) = image {
            self.open_files(&ctx, (&[image], Vec::new()), workspace);
        }
    }

    /// Without an open volume the whole panel says so.
    fn failed_opening(&mut self, ui: &mut Ui, workspace: &Workspace) {
        let Some((request, cause)) = self.failed.as_ref().filter(|_| self.open.is_some()) else { return };
        let text = format!("{} was not opened: {cause}", request.title);
        let (mut again, mut dismissed) = (false, false);
        ui.horizontal_wrapped(|ui| {
            again = ui.small_button("Try again").clicked();
            dismissed = ui.small_button("Dismiss").clicked();
            ui.add(Label::new(RichText::new(text).color(Palette::of(ui).bad())).wrap());
        });
        if again {
            self.choose(&ui.ctx().clone(), Choice::Again, workspace);
        } else if dismissed {
            self.failed = None;
        }
    }

    fn offered_folder(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let (folder, run) = match &self.offer {
            Some(Dropped::Run(folder)) => (folder.clone(), true),
            Some(Dropped::Checkpoint(folder)) => (folder.clone(), false),
            _ => return,
        };
        let ctx = ui.ctx().clone();
        let name = named(&folder);
        ui.horizontal_wrapped(|ui| {
            ui.label(format!("{name} is {}.", if run { "a run" } else { "a checkpoint" })).on_hover_text(folder.display().to_string());
            if run && ui.button("Open the run").clicked() {
                workspace.open_run(&ctx, &folder);
                self.offer = None;
            }
            let ready = self.open.is_some() && !self.segmenting.is_running();
            let segment = ui.add_enabled(ready, Button::new("Segment this volume with it"));
            if segment.on_disabled_hover_text("Open a volume first").clicked() {
                self.offer = None;
                self.ask_or_do(&ctx, PanelAction::Segment((name, folder)), workspace);
            }
            if ui.button("Cancel").clicked() {
                self.offer = None;
            }
        });
    }

    /// Closes one thing that lies over or above the slices, the newest kind first; then shows all views again.
    pub(super) fn close_one(&mut self) {
        let closed = self.offer.take().is_some() || self.notice.take().is_some() || (self.open.is_some() && self.failed.take().is_some());
        if !closed && self.open.as_mut().is_none_or(|case| case.notices.pop().is_none()) {
            self.views.show_all();
        }
    }
}

/// Draws a notice; whether it is dismissed. `as_image`: whether its file is to be opened as an image instead.
fn line(ui: &mut Ui, text: &str, as_image: Option<&mut bool>) -> bool {
    ui.horizontal(|ui| {
        let dismissed = ui.small_button("Dismiss").clicked();
        if let Some(asked) = as_image {
            *asked = ui.small_button("Open it as an image instead").clicked();
        }
        ui.add(Label::new(text).truncate()).on_hover_text(text);
        dismissed
    })
    .inner
}
