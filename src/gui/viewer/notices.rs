//! What is going on and what went wrong, above the slices: each line stays until it is dismissed or its volume is closed.

use eframe::egui::{Button, Label, RichText, Ui};

use super::ViewerPanel;
use super::dropped::Dropped;
use super::requests::{Request, named};
use super::tool::Tool;
use crate::gui::{Palette, Workspace};

impl ViewerPanel {
    /// What is going on: a segmentation, an opening that failed, a dropped folder, notices.
    pub(super) fn notices(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let mut asked = Vec::new();
        if let Some(case) = self.open.as_ref().filter(|_| self.segmenting.has_news()) {
            asked.extend(self.segmenting.show(ui, case));
        }
        self.correction_notices(ui);
        asked.extend(self.failed_opening(ui));
        asked.extend(self.offered_folder(ui, workspace));
        if self.notice.as_ref().is_some_and(|notice| line(ui, notice, false)[0]) {
            self.notice = None;
        }
        if let Some(case) = &mut self.open {
            case.notices.retain(|notice| {
                let file = &notice.taken_for_labels;
                let [dismissed, as_image] = line(ui, &notice.text, file.is_some());
                asked.extend(file.iter().filter(|_| as_image).map(|file| Request::open(std::slice::from_ref(file), Vec::new())));
                !dismissed
            });
        }
        for request in asked {
            self.request(&ui.ctx().clone(), request, workspace);
        }
    }

    /// Without an open volume the whole panel says so.
    fn failed_opening(&mut self, ui: &mut Ui) -> Option<Request> {
        let (request, cause) = self.failed.as_ref().filter(|_| self.open.is_some())?;
        let text = format!("{} was not opened: {cause}", request.title);
        let (mut again, mut dismissed) = (false, false);
        ui.horizontal_wrapped(|ui| {
            again = ui.small_button("Try again").clicked();
            dismissed = ui.small_button("Dismiss").clicked();
            ui.add(Label::new(RichText::new(text).color(Palette::of(ui).bad())).wrap());
        });
        if again {
            self.notice = None;
        } else if dismissed {
            self.failed = None;
        }
        again.then_some(Request::Again)
    }

    fn offered_folder(&mut self, ui: &mut Ui, workspace: &mut Workspace) -> Option<Request> {
        let (folder, run) = match &self.offer {
            Some(Dropped::Run(folder)) => (folder.clone(), true),
            Some(Dropped::Checkpoint(folder)) => (folder.clone(), false),
            _ => return None,
        };
        let name = named(&folder);
        let [open, segment, cancel] = ui
            .horizontal_wrapped(|ui| {
                ui.label(format!("{name} is {}.", if run { "a run" } else { "a checkpoint" })).on_hover_text(folder.display().to_string());
                let open = run && ui.button("Open the run").clicked();
                let ready = self.open.is_some() && !self.segmenting.is_running();
                let segment = ui.add_enabled(ready, Button::new("Segment this volume with it"));
                [open, segment.on_disabled_hover_text("Open a volume first").clicked(), ui.button("Cancel").clicked()]
            })
            .inner;
        if open {
            workspace.open_run(ui.ctx(), &folder, false);
        }
        if open || segment || cancel {
            self.offer = None;
        }
        segment.then_some(Request::Segment((name, folder)))
    }

    /// Closes one thing that lies over or above the slices, the newest kind first; then puts the tool back; then shows all views again.
    pub(super) fn close_one(&mut self) {
        let closed = self.offer.take().is_some() || self.notice.take().is_some() || (self.open.is_some() && self.failed.take().is_some());
        if !closed && self.open.as_mut().is_none_or(|case| case.notices.pop().is_none()) {
            match self.views.tool {
                Tool::Look => self.views.show_all(),
                _ => self.views.tool = Tool::Look,
            }
        }
    }
}

/// Draws a notice; whether it is dismissed, and whether its file is to be opened as an image, which `offers_image` offers.
fn line(ui: &mut Ui, text: &str, offers_image: bool) -> [bool; 2] {
    ui.horizontal(|ui| {
        let dismissed = ui.small_button("Dismiss").clicked();
        let as_image = offers_image && ui.small_button("Open it as an image instead").clicked();
        ui.add(Label::new(text).truncate()).on_hover_text(text);
        [dismissed, as_image]
    })
    .inner
}
