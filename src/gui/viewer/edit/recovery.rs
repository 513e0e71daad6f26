//! What a crash left of a correction: looked for when a case opens, and offered above the slices.

use eframe::egui::{Button, Context, Label, RichText, Ui};

use crate::edit::{Recovered, find_journals};
use crate::gui::{Background, Palette};
use crate::volume::VolumeSource;

/// Corrections of the open case that were never saved.
#[derive(Default)]
pub(super) struct Recovery {
    looking: Option<Background<Vec<Result<Recovered, String>>>>,
    found: Vec<Recovered>,
}

/// What the user wants of one.
enum Wish {
    Restore,
    Discard,
    Later,
}

impl Recovery {
    /// Looks for what is left of an image, whose first file this is.
    pub(super) fn look(&mut self, ctx: &Context, image: VolumeSource) {
        *self = Self { looking: Some(Background::start(ctx, move || find_journals(&image))), found: Vec::new() };
    }

    /// Takes in what was found; what could not be read, in words.
    pub(super) fn poll(&mut self) -> Vec<String> {
        let Some(found) = self.looking.take_if(Background::poll).and_then(Background::take) else { return Vec::new() };
        let mut faults = Vec::new();
        for one in found {
            match one {
                Ok(recovered) => self.found.push(recovered),
                Err(cause) => faults.push(cause),
            }
        }
        faults
    }

    /// Whether it still looks.
    pub(super) fn is_looking(&self) -> bool {
        self.looking.is_some()
    }

    /// Whether it has something to offer.
    pub(super) fn has_news(&self) -> bool {
        !self.found.is_empty()
    }

    /// Offers the first; the one to be restored. `free`: no correction is under way.
    pub(super) fn show(&mut self, ui: &mut Ui, free: bool) -> Result<Option<Recovered>, String> {
        let Some(first) = self.found.first() else { return Ok(None) };
        let (text, hover) = (first.summary(), first.path().display().to_string());
        let wish = ui.horizontal_wrapped(|ui| {
            let restore = ui.add_enabled(free, Button::new("Restore")).on_hover_text("Go on where it ended, with what can be undone");
            let restore = restore.on_disabled_hover_text("Save the correction under way and take it off first");
            let discard = ui.button("Discard").on_hover_text("Remove what was kept of it").clicked().then_some(Wish::Discard);
            let later =
                ui.button("Later").on_hover_text("It is offered again when the case is opened next").clicked().then_some(Wish::Later);
            ui.add(Label::new(RichText::new(text).color(Palette::of(ui).caution())).wrap()).on_hover_text(hover);
            restore.clicked().then_some(Wish::Restore).or(discard).or(later)
        });
        match wish.inner {
            None => Ok(None),
            Some(Wish::Restore) => Ok(Some(self.found.remove(0))),
            Some(Wish::Later) => {
                self.found.remove(0);
                Ok(None)
            }
            Some(Wish::Discard) => {
                let gone = self.found.remove(0);
                let path = gone.path().to_owned();
                gone.discard().map(|()| None).map_err(|error| format!("{}: cannot be removed: {error}", path.display()))
            }
        }
    }
}
