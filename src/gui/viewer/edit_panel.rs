//! The panel's side of corrections: the brush in the panes, its keys, its row of controls, saving, and what is said of it above the slices.

use std::path::Path;

use eframe::egui::{Context, Key, Label, RichText, Ui};

use super::ViewerPanel;
use super::edit::controls;
use super::layer::Kind;
use super::profile::SliceProfile;
use super::requests::Request;
use super::tool::Tool;
use crate::gui::keys::take_presses;
use crate::gui::widgets::PathDialog;
use crate::gui::{Action, Palette, Workspace};
use crate::volume::file::{Format, asked};

/// The brush's own keys.
const BRUSH_KEYS: [Action; 6] =
    [Action::ToggleEraser, Action::ToggleBrushDepth, Action::BrushSmaller, Action::BrushLarger, Action::NextLabel, Action::PreviousLabel];

impl ViewerPanel {
    /// Takes in what corrections have come to.
    pub(super) fn poll_correction(&mut self, ctx: &Context) {
        let Some(case) = &mut self.open else { return };
        let (begun, counted) = self.editing.poll(ctx, case);
        if let Some(title) = begun {
            if let Some(compared) = &mut self.views.compared {
                compared.push(title.clone());
            }
            self.views.shown = Some(title);
        }
        if counted {
            self.profile = SliceProfile::default();
        }
    }

    /// Puts the brush into the views, and begins a correction of what they show where there is none.
    pub(super) fn hold_brush(&mut self, ctx: &Context) {
        let Some(case) = self.open.as_ref().filter(|_| self.views.tool == Tool::Brush) else {
            self.views.brush = None;
            return;
        };
        let shown = self.views.shown_layer(case);
        // Labels that still grow are no labels to correct.
        if !shown.is_some_and(|layer| layer.kind == Kind::Segmented && self.segmenting.is_running()) {
            self.editing.begin(ctx, case, shown);
        }
        self.views.brush = self.editing.cursor(case);
    }

    /// The row of controls, where the brush is the tool; and the question for a new label.
    pub(super) fn correction_controls(&mut self, ui: &mut Ui, workspace: &mut Workspace) {
        let Some(case) = self.open.as_mut().filter(|_| self.views.tool == Tool::Brush) else { return };
        let shown = self.views.shown_layer(case).map(|layer| layer.title.clone());
        let plane = self.views.arrangement.plane();
        let keys = &workspace.settings.keys;
        let asked = ui.horizontal_wrapped(|ui| controls(ui, &mut self.editing, case, (shown.as_deref(), plane), keys)).inner;
        self.editing.ask_for_label(ui.ctx(), case, &mut workspace.settings);
        if let Some(request) = asked {
            self.request(&ui.ctx().clone(), request, workspace);
        }
    }

    /// Obeys the keys of undo and redo, and of the brush where it is the tool.
    pub(super) fn correction_keys(&mut self, ui: &Ui, workspace: &Workspace) {
        let Some(case) = self.open.as_mut().filter(|_| self.editing.is_open()) else { return };
        let steps = take_presses(ui, |key, modifiers| match key {
            Key::Z if modifiers.command && !modifiers.alt => Some(!modifiers.shift),
            Key::Y if modifiers.command_only() => Some(false),
            _ => None,
        });
        steps.into_iter().for_each(|back| self.editing.step(case, back));
        if self.views.tool != Tool::Brush {
            return;
        }
        for action in workspace.settings.keys.pressed(ui, &BRUSH_KEYS) {
            match action {
                Action::ToggleEraser => self.editing.brush.erases = !self.editing.brush.erases,
                Action::ToggleBrushDepth => self.editing.brush.deep = !self.editing.brush.deep,
                Action::BrushSmaller | Action::BrushLarger => self.editing.resize(case, action == Action::BrushLarger),
                _ => self.editing.next_label(case, action == Action::NextLabel),
            }
        }
    }

    /// Lines above the slices: what a crash left, what was done or could not be, what was saved and what may follow.
    pub(super) fn correction_notices(&mut self, ui: &mut Ui) {
        let Some(case) = &mut self.open else { return };
        if let Some(cause) = self.editing.offer(ui, case) {
            self.notice = Some(cause);
        }
        if let Some(said) = &self.editing.said {
            let palette = Palette::of(ui);
            let (text, colour) = match said {
                Ok(text) => (text, palette.good()),
                Err(text) => (text, palette.bad()),
            };
            if said_line(ui, RichText::new(text).color(colour), |_| ()).0 {
                self.editing.said = None;
            }
        }
        let mut offered = None;
        if let Some(saved) = &self.editing.saved {
            let text = RichText::new(&saved.sentence).color(Palette::of(ui).good());
            let add =
                |ui: &mut Ui| ui.small_button("Add to the training set...").on_hover_text("The image with the corrected labels").clicked();
            let (dismissed, adds) = said_line(ui, text, add);
            offered = adds.then(|| saved.clone());
            if dismissed {
                self.editing.saved = None;
            }
        }
        if let Some(notice) = self.editing.journal_notice() {
            ui.label(RichText::new(notice).small().color(Palette::of(ui).caution()));
        }
        if let Some(saved) = offered {
            self.offer_correction(saved);
        }
    }

    /// Saves the correction beside the labels that it is of, or asks where to.
    pub(super) fn save_correction(&mut self, ctx: &Context, ask: bool) {
        let Some(case) = &self.open else { return };
        if !ask {
            return self.editing.save(ctx, case);
        }
        let Some((write, suggested, version)) = self.editing.writer(case) else { return };
        let format = asked(&suggested).unwrap_or(Format::Nifti);
        let write = move |file: &Path| write(file).map(|saved| Request::CorrectionSaved(Box::new(saved), version));
        self.dialog = Some(PathDialog::save(ctx, ("Save the corrected labels", "Volumes", format.label_endings()), suggested, write));
    }

    /// Takes the corrected labels off the volume; those that they came from are shown again.
    pub(super) fn discard_correction(&mut self) {
        let Some(case) = &mut self.open else { return };
        if let Some(origin) = self.editing.discard(case) {
            (self.views.shown, self.views.tool) = (Some(origin), Tool::Look);
            self.profile = SliceProfile::default();
        }
    }
}

/// Draws a line with a button to dismiss it, and what `follows` in it before its text; whether it was dismissed.
fn said_line<R>(ui: &mut Ui, text: RichText, follows: impl FnOnce(&mut Ui) -> R) -> (bool, R) {
    ui.horizontal_wrapped(|ui| {
        let said = (ui.small_button("Dismiss").clicked(), follows(ui));
        ui.add(Label::new(text).wrap());
        said
    })
    .inner
}
