//! What the panel knows of corrections: the one under way or on its way, what a crash left, what was saved last.

use std::path::{Path, PathBuf};

use eframe::egui::{Color32, Context, Ui};

use super::super::case::OpenCase;
use super::super::classes::snapshot;
use super::super::layer::Layer;
use super::begin::{Beginning, Begun, copy, restore};
use super::brush::BrushSettings;
use super::correction::Correction;
use super::cursor::{BrushCursor, Painted};
use super::new_label::{Answer, NewLabel};
use super::recovery::Recovery;
use super::saved::SavedCorrection;
use crate::edit::IfThere;
use crate::gui::{Background, Settings};
use crate::volume::segment::Segment;

/// A correction that is being saved, and its version.
type Saving = (u64, Background<Result<SavedCorrection, String>>);
/// Writes it to a file.
type Writer = Box<dyn Fn(&Path) -> Result<SavedCorrection, String> + Send + Sync>;

/// Corrections of the open case.
#[derive(Default)]
pub(in crate::gui::viewer) struct Editing {
    /// What the brush is set to.
    pub(in crate::gui::viewer) brush: BrushSettings,
    pub(super) correction: Option<Correction>,
    beginning: Option<Beginning>,
    pub(super) recovery: Recovery,
    pub(super) label: Option<NewLabel>,
    saving: Option<Saving>,
    /// What was saved last.
    pub(in crate::gui::viewer) saved: Option<SavedCorrection>,
    /// What could not be done, or was done, in words.
    pub(in crate::gui::viewer) said: Option<Result<String, String>>,
    /// The version that the user gave up.
    given_up: Option<u64>,
}

impl Editing {
    /// A case has been opened in place of the one before: what the user gave up of that goes, what is not saved stays in its journal.
    pub(in crate::gui::viewer) fn open(&mut self, ctx: &Context, case: &OpenCase) {
        self.leave();
        self.brush = self.brush.for_another_case();
        if let Some(image) = case.request.images.first() {
            self.recovery.look(ctx, image.clone());
        }
    }

    /// Ends the correction under way, as [`Self::open`] says.
    pub(in crate::gui::viewer) fn leave(&mut self) {
        let (brush, given_up) = (std::mem::take(&mut self.brush), self.given_up);
        if let Some(mut correction) = self.correction.take() {
            correction.lift();
            if given_up == Some(correction.edit.version()) {
                correction.edit.discard();
            }
        }
        *self = Self { brush, ..Self::default() };
    }

    /// Notes that the correction, as it is now, may be lost.
    pub(in crate::gui::viewer) fn give_up(&mut self) {
        self.given_up = self.correction.as_ref().map(|correction| correction.edit.version());
    }

    /// Gives the correction up, and takes its layer off; the title of the labels that it was of.
    pub(in crate::gui::viewer) fn discard(&mut self, case: &mut OpenCase) -> Option<String> {
        let correction = self.correction.take()?;
        correction.take_off(case);
        correction.edit.discard();
        (self.saved, self.said) = (None, None);
        Some(correction.origin.title)
    }

    /// Begins to correct the shown labels, unless a correction is there or on its way; without any labels, new ones.
    pub(in crate::gui::viewer) fn begin(&mut self, ctx: &Context, case: &OpenCase, shown: Option<&Layer>) {
        let offered = self.recovery.is_looking() || self.recovery.has_news();
        if self.correction.is_none() && self.beginning.is_none() && !offered && !matches!(self.said, Some(Err(_))) {
            self.beginning = copy(ctx, case, shown);
        }
    }

    /// Takes in what has happened; the title of a correction that has just begun, and whether numbers have changed.
    pub(in crate::gui::viewer) fn poll(&mut self, ctx: &Context, case: &mut OpenCase) -> (Option<String>, bool) {
        case.notices.extend(self.recovery.poll().into_iter().map(Into::into));
        let begun = self
            .beginning
            .take_if(Background::poll)
            .map(|work| work.take().unwrap_or_else(|| Err("Copying the labels ended by a fault of the program; try again".to_owned())));
        let title = match begun {
            Some(Ok(begun)) => Some(self.take_begun(begun, case)),
            Some(Err(cause)) => {
                self.said = Some(Err(cause));
                None
            }
            None => None,
        };
        if let Some((version, result)) = self.saving.take_if(|(_, work)| work.poll()) {
            match result.take().unwrap_or_else(|| Err("Saving ended by a fault of the program; try again".to_owned())) {
                Ok(saved) => {
                    self.was_saved(case, saved, version);
                    // An image that has been read meanwhile waits for this.
                    ctx.request_repaint();
                }
                Err(cause) => {
                    self.said = Some(Err(cause));
                    ctx.request_repaint();
                }
            }
        }
        let Some(correction) = &mut self.correction else { return (title, false) };
        self.said = correction.poll_fill(case, &self.brush).or(self.said.take());
        (title, correction.count(ctx, case))
    }

    fn take_begun(&mut self, Begun { edit, texture, origin, notices }: Begun, case: &mut OpenCase) -> String {
        case.classes = snapshot(&case.background.classes);
        case.notices.extend(notices.into_iter().map(Into::into));
        let correction = Correction::begin(edit, texture, origin, case);
        let under = case.layer(Some(&correction.title)).and_then(|layer| case.class_at(layer, case.cursor.voxel));
        let first = || case.paintable().first().copied();
        self.brush.class = under.filter(|&class| class != 0).or_else(first).unwrap_or(0);
        let title = correction.title.clone();
        self.correction = Some(correction);
        title
    }

    /// The brush in the hand; none where there is nothing to paint on yet.
    pub(in crate::gui::viewer) fn cursor(&self, case: &OpenCase) -> Option<BrushCursor> {
        let correction = self.correction.as_ref().filter(|correction| correction.filling.is_none())?;
        let colour = if self.brush.erases || self.brush.class == 0 { Color32::WHITE } else { case.colours.get(self.brush.class).colour };
        let BrushSettings { width_mm, shape, .. } = self.brush;
        Some(BrushCursor { layer: correction.title.clone(), width_mm, shape, colour })
    }

    /// Paints what the brush did in the panes; without one in the hand, ends its stroke.
    pub(in crate::gui::viewer) fn paint(&mut self, case: &mut OpenCase, (painted, notches): (&[Painted], f32)) {
        if notches != 0.0 {
            self.brush.turn(notches, least_spacing(case));
        }
        let Some(correction) = &mut self.correction else { return };
        if painted.is_empty() {
            correction.lift();
        }
        painted.iter().for_each(|painted| correction.paint(case, &self.brush, painted));
    }

    /// The next width of the brush up or down.
    pub(in crate::gui::viewer) fn resize(&mut self, case: &OpenCase, wider: bool) {
        self.brush.resize(wider, least_spacing(case));
    }

    /// Takes the last step back, or does it again.
    pub(in crate::gui::viewer) fn step(&mut self, case: &mut OpenCase, back: bool) {
        match &mut self.correction {
            Some(correction) if back => correction.undo(case),
            Some(correction) => correction.redo(case),
            None => {}
        }
    }

    /// The label after, or before, the one that is painted.
    pub(in crate::gui::viewer) fn next_label(&mut self, case: &OpenCase, forwards: bool) {
        let all = case.paintable();
        let at = all.iter().position(|&class| class == self.brush.class);
        let next = match (at, forwards) {
            (Some(at), true) => (at + 1) % all.len(),
            (Some(at), false) => (at + all.len() - 1) % all.len(),
            (None, _) => 0,
        };
        (self.brush.class, self.brush.erases) = (all.get(next).copied().unwrap_or(0), false);
    }

    /// Asks for a new label while the user wants one, and adds it.
    pub(in crate::gui::viewer) fn ask_for_label(&mut self, ctx: &Context, case: &mut OpenCase, settings: &mut Settings) {
        let Some(label) = &mut self.label else { return };
        match label.show(ctx, &case.segments()) {
            Some(Answer::Add) => {}
            Some(Answer::Cancel) => return self.label = None,
            None => return,
        }
        let (name, [r, g, b, _]) = (label.name.trim().to_owned(), label.colour.to_array());
        match case.add_label(label.value, &name, [r, g, b]) {
            Ok(class) => {
                // A colour that the user gave to the number before would hide this one.
                settings.label_colours.entry(u32::from(label.value)).and_modify(|colour| *colour = [r, g, b]);
                if let Some(correction) = &mut self.correction {
                    correction.edit.name_label(u32::from(label.value), &Segment { name, colour: [r, g, b] });
                }
                (self.brush.class, self.brush.erases, self.label) = (class, false, None);
            }
            Err(cause) => label.fault = Some(cause),
        }
    }

    /// Saves the correction as a new file beside the labels that it is of.
    pub(in crate::gui::viewer) fn save(&mut self, ctx: &Context, case: &OpenCase) {
        let Some(correction) = self.correction.as_mut().filter(|_| self.saving.is_none()) else { return };
        let file = correction.suggested(case);
        let (write, version) = correction.writer(case);
        self.said = None;
        self.saving = Some((version, Background::start(ctx, move || write(&file, IfThere::Refuse))));
    }

    /// What saves it to a file that the user names, and may have agreed to replace; the file's name at first, and the version.
    pub(in crate::gui::viewer) fn writer(&mut self, case: &OpenCase) -> Option<(Writer, PathBuf, u64)> {
        let correction = self.correction.as_mut()?;
        let suggested = correction.suggested(case);
        let (write, version) = correction.writer(case);
        Some((Box::new(move |file| write(file, IfThere::Replace)), suggested, version))
    }

    /// A version of a correction is in a file. That of another case, which was open when the file was asked for, says nothing of this one.
    pub(in crate::gui::viewer) fn was_saved(&mut self, case: &OpenCase, saved: SavedCorrection, version: u64) {
        let is_own = |correction: &&mut Correction| {
            let same = saved.images == case.request.images && saved.origin == correction.origin.title;
            same && version <= correction.edit.version()
        };
        if let Some(correction) = self.correction.as_mut().filter(is_own) {
            correction.edit.saved(version);
        }
        (self.saved, self.said) = (Some(saved), None);
    }

    /// Offers what a crash left, and goes on with it where the user wants to; what could not be done.
    pub(in crate::gui::viewer) fn offer(&mut self, ui: &mut Ui, case: &OpenCase) -> Option<String> {
        let free = self.correction.is_none() && self.beginning.is_none();
        match self.recovery.show(ui, free) {
            Ok(Some(found)) => {
                self.said = None;
                self.beginning = Some(restore(ui.ctx(), case, found));
                None
            }
            Ok(None) => None,
            Err(cause) => Some(cause),
        }
    }

    /// What could not be done last, in words.
    pub(in crate::gui::viewer) fn fault(&self) -> Option<&str> {
        self.said.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// What the user should know of what a crash would take.
    pub(in crate::gui::viewer) fn journal_notice(&self) -> Option<String> {
        self.correction.as_ref().filter(|correction| correction.is_unsaved())?.edit.journal_notice()
    }

    /// Whether what was painted would be lost.
    pub(in crate::gui::viewer) fn is_unsaved(&self) -> bool {
        self.correction.as_ref().is_some_and(Correction::is_unsaved)
    }

    /// Whether it is being saved.
    pub(in crate::gui::viewer) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Whether a correction is there.
    pub(in crate::gui::viewer) fn is_open(&self) -> bool {
        self.correction.is_some()
    }

    /// Whether a correction is on its way.
    pub(in crate::gui::viewer) fn is_beginning(&self) -> bool {
        self.beginning.is_some()
    }

    /// Whether everything that was asked of it is done and counted.
    pub(in crate::gui::viewer) fn is_settled(&self) -> bool {
        let counted = self.correction.as_ref().is_none_or(Correction::is_settled);
        counted && self.beginning.is_none() && self.saving.is_none() && !self.recovery.is_looking()
    }

    /// Steps that can be undone.
    pub(in crate::gui::viewer) fn steps(&self) -> usize {
        self.correction.as_ref().map_or(0, |correction| correction.edit.depth().0)
    }
}

/// The least distance of two voxels in mm.
fn least_spacing(case: &OpenCase) -> f64 {
    case.grid().spacing_mm().into_iter().fold(f64::INFINITY, f64::min)
}
