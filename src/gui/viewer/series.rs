//! DICOM series of a folder: which it holds, and the choice among several.

use std::path::{Path, PathBuf};

use eframe::egui::{Button, Context, Label, RichText, ScrollArea, Ui};

use super::image::ImageRequest;
use super::layer::described;
use super::requests::Request;
use crate::gui::widgets::modal;
use crate::gui::{Background, Palette};
use crate::volume::datalist::{FoundSeries, series_in};

/// Height of the list of series, where the window has room for it, in points.
const HEIGHT: f32 = 360.0;

/// What a folder holds, as soon as it is known.
type Look = Background<Result<Vec<FoundSeries>, String>>;

/// The series of a folder that is looked through, or from which the user has to choose.
#[derive(Default)]
pub(super) struct SeriesChoice {
    looking: Option<(PathBuf, Look)>,
    /// Empty: nothing to choose from.
    pub(super) found: Vec<FoundSeries>,
}

impl SeriesChoice {
    /// Looks through a folder in the background.
    pub(super) fn look(&mut self, ctx: &Context, folder: &Path) {
        let asked = folder.to_owned();
        let look = Background::start(ctx, move || series_in(&asked).map_err(|error| error.to_string()));
        *self = Self { looking: Some((folder.to_owned(), look)), found: Vec::new() };
    }

    /// The folder that is looked through.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.looking.as_ref().map(|(folder, _)| folder.as_path())
    }

    /// Takes in which series a folder holds: a single one that can be used is to be opened, else the user chooses.
    ///
    /// # Errors
    /// A folder without any, or that cannot be read, as a sentence.
    pub(super) fn poll(&mut self) -> Result<Option<Request>, String> {
        let Some((folder, look)) = self.looking.take_if(|(_, look)| look.poll()) else { return Ok(None) };
        let ended = || Err(format!("Looking through {} ended by a fault of the program; try again.", folder.display()));
        let found = look.take().unwrap_or_else(ended)?;
        match found.as_slice() {
            [] => {
                let text = "holds no DICOM image, and is not the folder of a dataset, a run or a checkpoint";
                Err(format!("{} {text}.", folder.display()))
            }
            [only] if only.grid.is_ok() => Ok(Some(open(only))),
            _ => {
                self.found = found;
                Ok(None)
            }
        }
    }

    /// Lists the series that were found; the opening of the one that is chosen.
    pub(super) fn choose(&mut self, ctx: &Context) -> Option<Request> {
        if self.found.is_empty() {
            return None;
        }
        let room = HEIGHT.min(ctx.content_rect().height() - 160.0);
        let ((chosen, cancel), escaped) = modal(ctx, "choose a series", |ui| {
            ui.heading("Which series?");
            ui.add_space(4.0);
            let rows = ScrollArea::vertical().max_height(room);
            let chosen = rows.show(ui, |ui| self.found.iter().filter(|series| row(ui, series)).last().map(open)).inner;
            ui.add_space(8.0);
            (chosen, ui.button("Cancel").clicked())
        });
        if chosen.is_some() || cancel || escaped {
            self.found.clear();
        }
        chosen
    }
}

/// Draws a series: what it is, or what is wrong with it. Whether it is to be opened.
fn row(ui: &mut Ui, series: &FoundSeries) -> bool {
    let modality = if series.modality.is_empty() { "no modality" } else { &series.modality };
    let files = if series.files == 1 { "1 file".to_owned() } else { format!("{} files", series.files) };
    let clicked = ui.add_enabled(series.grid.is_ok(), Button::new(RichText::new(&series.case.name).strong())).clicked();
    let (text, colour) = match &series.grid {
        Ok(grid) => (format!("{modality}, {files}, {}", described(grid)), ui.visuals().text_color()),
        Err(errors) => {
            let faults: Vec<String> = errors.0.iter().map(|error| error.fault.to_string()).collect();
            (format!("{modality}, {files}: {}", faults.join("; ")), Palette::of(ui).bad())
        }
    };
    ui.add(Label::new(RichText::new(text).small().color(colour)).wrap());
    ui.add_space(6.0);
    clicked
}

fn open(series: &FoundSeries) -> Request {
    let channels = Vec::from_iter(Some(series.modality.clone()).filter(|modality| !modality.is_empty()));
    let (title, images) = (series.case.name.clone(), series.case.images.clone());
    Request::Open(Box::new(ImageRequest { title, images, channels, ..ImageRequest::default() }))
}
