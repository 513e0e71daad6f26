//! What each label looks like.

use eframe::egui::Color32;

use crate::gui::Palette;
use crate::gui::theme::colour;
use crate::palette;

/// Labels that a table holds, background among them.
pub const LABELS: usize = 256;

/// How one label is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelColour {
    /// Its colour, opaque.
    pub colour: Color32,
    /// Whether it is drawn.
    pub visible: bool,
}

/// What each of 256 labels looks like; the first is background and never drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelColours {
    entries: Box<[LabelColour; LABELS]>,
}

impl Default for LabelColours {
    /// All visible, in the palette's colours, as if each label's number were its index.
    fn default() -> Self {
        let entry = |label: usize| match label {
            0 => LabelColour { colour: Color32::BLACK, visible: false },
            label => LabelColour { colour: Palette::label(label as u32), visible: true },
        };
        Self { entries: Box::new(std::array::from_fn(entry)) }
    }
}

impl LabelColours {
    /// How a label is drawn.
    pub fn get(&self, label: u8) -> LabelColour {
        self.entries[usize::from(label)]
    }

    /// Gives a label a colour.
    pub fn set_colour(&mut self, label: u8, colour: Color32) {
        self.entries[usize::from(label)].colour = colour.to_opaque();
    }

    /// Shows or hides a label; background stays hidden.
    pub fn set_visible(&mut self, label: u8, visible: bool) {
        self.entries[usize::from(label)].visible = visible && label != 0;
    }

    /// Shows one label alone.
    pub fn show_only(&mut self, label: u8) {
        (1..=u8::MAX).for_each(|other| self.set_visible(other, other == label));
    }

    /// Shows all labels.
    pub fn show_all(&mut self) {
        (1..=u8::MAX).for_each(|label| self.set_visible(label, true));
    }
}

/// Colours of the difference from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Prediction and truth name the same label.
    Agreed,
    /// The truth has a label and the prediction none.
    FalseNegative,
    /// The prediction has a label, and the truth none or another.
    FalsePositive,
}

impl Difference {
    /// All, in the order in which the drawing counts them.
    pub const ALL: [Self; 3] = [Self::Agreed, Self::FalseNegative, Self::FalsePositive];

    /// As a legend says it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::FalseNegative => "missed",
            Self::FalsePositive => "false",
        }
    }

    /// Its colour.
    pub fn colour(self) -> Color32 {
        colour(match self {
            Self::Agreed => palette::AGREED,
            Self::FalseNegative => palette::MISSED,
            Self::FalsePositive => palette::FALSE,
        })
    }
}

/// Colour of a value from 0 to 1 on a heat map.
pub fn heat_colour(value: f32) -> Color32 {
    colour(palette::heat(value))
}
