//! The strip with the Dice of each slice: where the network is wrong, and the way there.

use eframe::egui::{Align2, Color32, Rect, RichText, Role, Sense, Stroke, TextStyle, Ui, WidgetInfo, pos2, vec2};

use super::case::OpenCase;
use super::layer::{Kind, Layer};
use crate::gui::slice::{Plane, PlaneGeometry};
use crate::gui::{Convention, Palette};

/// Height of the bars in points.
const HEIGHT: f32 = 34.0;
/// Dice from which a slice counts as good, and below which as bad: for the colours of the bars alone.
const GOOD: f64 = 0.8;
const BAD: f64 = 0.5;

/// Dice of each slice of a plane, kept while nothing that it depends on changes.
#[derive(Default)]
pub(super) struct Strip {
    made_of: Option<Made>,
    slices: Vec<Option<f64>>,
    worst: Option<usize>,
}

#[derive(Clone, PartialEq)]
struct Made {
    layer: usize,
    plane: Plane,
    visible: Vec<bool>,
    counted: bool,
}

impl Strip {
    /// The slice with the lowest Dice among those that have labels.
    pub(super) fn worst(&self) -> Option<usize> {
        self.worst
    }

    /// Takes in what has changed. `layer` is the layer shown.
    pub(super) fn update(&mut self, case: &OpenCase, layer: usize, plane: Plane) {
        let agreement = case.layers.get(layer).and_then(Layer::agreement);
        let visible: Vec<bool> = (0..case.classes.len()).map(|class| case.colours.get(class as u8).visible).collect();
        let made = Made { layer, plane, visible, counted: agreement.is_some() };
        if self.made_of.as_ref() == Some(&made) {
            return;
        }
        let geometry = PlaneGeometry::new(&case.ground.scan.volume.grid, plane, Convention::default());
        let of = |slice| agreement?.slice(geometry.through, slice, |class| made.visible.get(usize::from(class)) == Some(&true));
        self.slices = (0..geometry.slices).map(of).collect();
        let scored = self.slices.iter().enumerate().filter_map(|(slice, dice)| Some((slice, (*dice)?)));
        self.worst = scored.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(slice, _)| slice);
        self.made_of = Some(made);
    }

    /// Forgets everything: another case was opened, or a layer changed.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Draws the strip; the slice that was clicked.
    pub(super) fn show(&self, ui: &mut Ui, case: &OpenCase, layer: Option<&Layer>, plane: Plane) -> Option<usize> {
        let Some(layer) = layer else { return None };
        if case.truth().is_none() {
            ui.label(RichText::new("Dice of each slice: no truth for this case, so nothing can be scored.").small().weak());
            return None;
        }
        if layer.kind == Kind::Truth {
            let text = if case.layers.len() > 1 {
                "Dice of each slice: the truth itself is shown; choose a prediction."
            } else {
                "Dice of each slice: no prediction for this case yet."
            };
            ui.label(RichText::new(text).small().weak());
            return None;
        }
        if layer.agreement().is_none() {
            ui.label(RichText::new("Dice of each slice: comparing with the truth ...").small().weak());
            return None;
        }
        let mut asked = None;
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                ui.set_width(150.0);
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.label(RichText::new(format!("Dice of each {} slice", plane.title().to_lowercase())).small());
                let text = self.worst.and_then(|slice| Some((slice, self.slices[slice]?)));
                let button = ui.add_enabled(
                    text.is_some(),
                    eframe::egui::Button::new(
                        RichText::new(
                            text.map_or_else(|| "no labels shown".to_owned(), |(slice, dice)| format!("worst: {} ({dice:.2})", slice + 1)),
                        )
                        .small(),
                    )
                    .small(),
                );
                if button.on_hover_text("Go to the slice with the lowest Dice (key X)").clicked() {
                    asked = self.worst;
                }
            });
            asked = self.bars(ui, case, plane).or(asked);
        });
        asked
    }

    fn bars(&self, ui: &mut Ui, case: &OpenCase, plane: Plane) -> Option<usize> {
        let geometry = PlaneGeometry::new(&case.ground.scan.volume.grid, plane, Convention::default());
        let now = case.cursor.voxel[geometry.through];
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::click_and_drag());
        response.widget_info(|| {
            let text = match self.slices.get(now).copied().flatten() {
                Some(dice) => format!("Dice of slice {}: {dice:.3}", now + 1),
                None => format!("Slice {} has no label", now + 1),
            };
            WidgetInfo::labeled(Role::Slider, true, text)
        });
        let palette = Palette::of(ui);
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
        let middle = rect.bottom() - rect.height() / 2.0;
        painter.hline(rect.x_range(), middle, Stroke::new(1.0, ui.visuals().widgets.noninteractive.bg_stroke.color));
        let count = self.slices.len().max(1);
        let width = rect.width() / count as f32;
        let left = |slice: usize| rect.left() + slice as f32 * width;
        for (slice, dice) in self.slices.iter().enumerate() {
            let Some(dice) = *dice else { continue };
            // A slice that is missed altogether has a bar too.
            let top = rect.bottom() - (dice as f32 * rect.height()).max(2.0);
            let gap = if width > 3.0 { 1.0 } else { 0.0 };
            let bar = Rect::from_min_max(pos2(left(slice), top), pos2(left(slice) + width - gap, rect.bottom()));
            painter.rect_filled(bar, 0.0, bar_colour(palette, dice));
        }
        let at = left(now) + width / 2.0;
        painter.vline(at, rect.y_range(), Stroke::new(1.5, ui.visuals().strong_text_color()));
        let font = TextStyle::Small.resolve(ui.style());
        painter.text(rect.right_top() + vec2(-3.0, 1.0), Align2::RIGHT_TOP, "1", font.clone(), ui.visuals().weak_text_color());
        let slice_at = |at: eframe::egui::Pos2| (((at.x - rect.left()) / width) as usize).min(count - 1);
        let asked = response.interact_pointer_pos().filter(|_| response.clicked() || response.dragged()).map(slice_at);
        if let Some(pointer) = response.hover_pos() {
            let slice = slice_at(pointer);
            let text = match self.slices[slice] {
                Some(dice) => format!("Slice {} of {count}: Dice {dice:.3}, mean over the visible labels it has", slice + 1),
                None => format!("Slice {} of {count}: no label in truth or prediction", slice + 1),
            };
            response.on_hover_text(text);
        }
        asked
    }
}

fn bar_colour(palette: Palette, dice: f64) -> Color32 {
    if dice >= GOOD {
        palette.good()
    } else if dice >= BAD {
        palette.caution()
    } else {
        palette.bad()
    }
}
