//! The question for a new label: its number, name and colour.

use eframe::egui::color_picker::{Alpha, color_edit_button_srgba};
use eframe::egui::{Color32, Context, DragValue, Grid, RichText, TextEdit};

use crate::edit::check_new_label;
use crate::gui::Palette;
use crate::gui::theme::colour;
use crate::gui::widgets::modal;
use crate::palette;
use crate::volume::segment::Segments;

/// A label that is being named.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NewLabel {
    pub(super) value: u16,
    pub(super) name: String,
    pub(super) colour: Color32,
    /// The colour is the user's, and not that of the number.
    coloured: bool,
    /// Why it cannot be added.
    pub(super) fault: Option<String>,
    /// The name takes the keyboard in the next frame.
    takes_keyboard: bool,
}

/// How the question was answered.
pub(super) enum Answer {
    Add,
    Cancel,
}

impl NewLabel {
    /// The number after all that are known.
    pub(super) fn after(known: &Segments) -> Self {
        let highest = known.keys().copied().filter(|&value| value < u32::from(u16::MAX)).max().unwrap_or(0);
        let value = u16::try_from(highest + 1).unwrap_or(u16::MAX);
        let colour = colour(palette::label(u32::from(value)));
        Self { value, name: String::new(), colour, coloured: false, fault: None, takes_keyboard: true }
    }

    /// Asks; an answer ends it. Escape cancels.
    pub(super) fn show(&mut self, ctx: &Context, known: &Segments) -> Option<Answer> {
        let ([add, cancel], escaped) = modal(ctx, "new label", |ui| {
            ui.heading("New label");
            Grid::new("new label fields").num_columns(2).show(ui, |ui| {
                let title = ui.label("Name");
                let edit = ui.add(TextEdit::singleline(&mut self.name).desired_width(220.0)).labelled_by(title.id);
                if std::mem::take(&mut self.takes_keyboard) {
                    edit.request_focus();
                }
                ui.end_row();
                let title = ui.label("Number");
                let number = ui.add(DragValue::new(&mut self.value).range(1..=u16::MAX)).labelled_by(title.id);
                if number.on_hover_text("What stands for it in the file").changed() && !self.coloured {
                    self.colour = colour(palette::label(u32::from(self.value)));
                }
                ui.end_row();
                ui.label("Colour");
                self.coloured |= color_edit_button_srgba(ui, &mut self.colour, Alpha::Opaque).changed();
                ui.end_row();
            });
            if let Some(fault) = &self.fault {
                ui.label(RichText::new(fault).color(Palette::of(ui).bad()));
            }
            ui.add_space(8.0);
            let entered = ui.input(|input| input.key_pressed(eframe::egui::Key::Enter));
            ui.horizontal(|ui| [ui.button("Add").clicked() || entered, ui.button("Cancel").clicked()]).inner
        });
        if add {
            self.fault = check_new_label(u32::from(self.value), &self.name, known).err();
            return self.fault.is_none().then_some(Answer::Add);
        }
        (cancel || escaped).then_some(Answer::Cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::segment::named;

    #[test]
    fn a_new_label_has_the_next_number() {
        let known = |values: &[u32]| named(&values.iter().map(|&value| (value, format!("label {value}"))).collect());
        assert_eq!(NewLabel::after(&known(&[])).value, 1);
        assert_eq!(NewLabel::after(&known(&[1, 2, 70])).value, 71);
        assert_eq!(NewLabel::after(&known(&[3, 65_535])).value, 4);
        assert_eq!(NewLabel::after(&known(&[3, 65_534])).value, 65_535);
    }
}
