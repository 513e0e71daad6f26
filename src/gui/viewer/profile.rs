//! The slice profile: Dice of each slice: where the network is wrong, and the way there.

use eframe::egui::{Align2, Button, Color32, Pos2, Rect, RichText, Role, Sense, Stroke, TextStyle, Ui, WidgetInfo, pos2, vec2};

use super::case::OpenCase;
use super::layer::{Kind, Layer};
use crate::gui::widgets::pointer::held_at;
use crate::gui::widgets::slice::{Plane, PlaneGeometry};
use crate::gui::{Convention, Palette};

/// Height of the bars in points.
const HEIGHT: f32 = 34.0;
/// Dice from which a slice counts as good, and below which as bad: for the colours of the bars alone.
const GOOD: f64 = 0.8;
const BAD: f64 = 0.5;

/// Dice of each slice of a plane, kept while nothing that it depends on changes.
#[derive(Default)]
pub(super) struct SliceProfile {
    made_of: Option<Made>,
    slices: Vec<Option<f64>>,
    worst: Option<usize>,
}

#[derive(Clone, PartialEq)]
struct Made {
    layer: String,
    plane: Plane,
    visible: Vec<bool>,
    counted: bool,
}

impl SliceProfile {
    /// The slice with the lowest Dice among those that have labels.
    pub(super) fn worst(&self) -> Option<usize> {
        self.worst
    }

    /// Takes in what has changed. `layer` is the layer shown.
    pub(super) fn update(&mut self, case: &OpenCase, layer: &Layer, plane: Plane) {
        let agreement = layer.agreement();
        let visible: Vec<bool> = (0..case.classes.len()).map(|class| case.colours.get(class as u8).visible).collect();
        let made = Made { layer: layer.title.clone(), plane, visible, counted: agreement.is_some() };
        if self.made_of.as_ref() == Some(&made) {
            return;
        }
        let geometry = PlaneGeometry::new(case.grid(), plane, Convention::default());
        let of = |slice| agreement?.slice(geometry.through, slice, |class| made.visible.get(usize::from(class)) == Some(&true));
        self.slices = (0..geometry.slices).map(of).collect();
        let scored = self.slices.iter().enumerate().filter_map(|(slice, dice)| Some((slice, (*dice)?)));
        self.worst = scored.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(slice, _)| slice);
        self.made_of = Some(made);
    }

    /// Draws the profile; what was clicked.
    pub(super) fn show(&self, ui: &mut Ui, case: &OpenCase, layer: Option<&Layer>, plane: Plane) -> Option<Target> {
        let missing = missing(case, layer);
        let mut asked = None;
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                ui.set_width(150.0);
                ui.spacing_mut().item_spacing.y = 1.0;
                let title = format!("Dice of each {} slice", plane.title().to_lowercase());
                let hint = "Overlap of each slice with the truth, 0 none, 1 perfect: the mean over the visible labels";
                ui.label(RichText::new(title).small()).on_hover_text(hint);
                let worst = self.worst.and_then(|slice| Some((slice, self.slices[slice]?))).filter(|_| missing.is_none());
                let text =
                    worst.map_or_else(|| "no slice is scored".to_owned(), |(slice, dice)| format!("worst: {} ({dice:.2})", slice + 1));
                let button = ui.add_enabled(worst.is_some(), Button::new(RichText::new(text).small()).small());
                if button.on_hover_text("Go to what is wrong on the slice with the lowest Dice (key X)").clicked() {
                    asked = worst.map(|(slice, _)| Target::Worst(slice));
                }
            });
            asked = self.bars(ui, case, plane, missing).map(Target::Slice).or(asked);
        });
        asked
    }

    /// The bars, or why there are none; a click or drag chooses a slice either way.
    fn bars(&self, ui: &mut Ui, case: &OpenCase, plane: Plane, missing: Option<&str>) -> Option<usize> {
        let geometry = PlaneGeometry::new(case.grid(), plane, Convention::default());
        let (now, count) = (case.cursor.voxel[geometry.through], geometry.slices.max(1));
        let dice_of = |slice: usize| self.slices.get(slice).copied().flatten().filter(|_| missing.is_none());
        let described = |slice: usize| match dice_of(slice) {
            Some(dice) => format!("Slice {} of {count}: Dice {dice:.3}", slice + 1),
            None => format!("Slice {} of {count}: {}", slice + 1, missing.unwrap_or("no visible label in truth or prediction")),
        };
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Slider, true, described(now)));
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
        let width = rect.width() / count as f32;
        let left = |slice: usize| rect.left() + slice as f32 * width;
        let font = TextStyle::Small.resolve(ui.style());
        let weak = ui.visuals().weak_text_color();
        if missing.is_none() {
            painter.hline(rect.x_range(), rect.center().y, ui.visuals().widgets.noninteractive.bg_stroke);
            let gap = if width > 3.0 { 1.0 } else { 0.0 };
            for (slice, dice) in (0..count).filter_map(|slice| Some((slice, dice_of(slice)?))) {
                // A slice that is missed altogether has a bar too.
                let top = rect.bottom() - (dice as f32 * rect.height()).max(2.0);
                let bar = Rect::from_min_max(pos2(left(slice), top), pos2(left(slice) + width - gap, rect.bottom()));
                painter.rect_filled(bar, 0.0, bar_colour(Palette::of(ui), dice));
            }
            painter.text(rect.right_top() + vec2(-3.0, 1.0), Align2::RIGHT_TOP, "1", font.clone(), weak);
        }
        painter.vline(left(now) + width / 2.0, rect.y_range(), Stroke::new(1.5, ui.visuals().strong_text_color()));
        if let Some(why) = missing {
            let galley = painter.layout_no_wrap(why.to_owned(), font, weak);
            let under = Align2::CENTER_CENTER.align_size_within_rect(galley.size(), rect);
            painter.rect_filled(under.expand(4.0), 2.0, ui.visuals().extreme_bg_color);
            painter.galley(under.min, galley, weak);
        }
        let slice_at = |at: Pos2| (((at.x - rect.left()).max(0.0) / width) as usize).min(count - 1);
        let asked = held_at(ui, &response).map(slice_at);
        if let Some(pointer) = response.hover_pos() {
            response.on_hover_text(described(slice_at(pointer)));
        }
        asked
    }
}

/// What was clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A slice.
    Slice(usize),
    /// The worst slice, where it is wrong.
    Worst(usize),
}

/// Why no slice has a Dice, if so.
fn missing(case: &OpenCase, layer: Option<&Layer>) -> Option<&'static str> {
    let Some(truth) = case.of_kind(Kind::Truth) else { return Some("no truth for this case: nothing can be scored") };
    let others = case.layers.iter().any(|layer| layer.kind != Kind::Truth);
    match layer {
        _ if truth.fault.is_some() => Some("the truth cannot be read: choose it above to see why"),
        None => Some("no labels"),
        Some(layer) if layer.kind == Kind::Truth && others => Some("the truth itself is shown: choose a prediction"),
        Some(layer) if layer.kind == Kind::Truth => Some("no prediction for this case yet"),
        Some(layer) if layer.fault.is_some() => Some("the prediction cannot be read"),
        Some(layer) if layer.agreement().is_some() => None,
        Some(layer) if layer.kind == Kind::Segmented => Some("scored when the segmentation is complete"),
        Some(_) => Some("comparing with the truth ..."),
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
