//! The first page of a panel: a question, large choices, what was open before.

use std::path::PathBuf;

use eframe::egui::{
    Align, Button, Label, Layout, Rect, RichText, Role, ScrollArea, Sense, Shape, Stroke, StrokeKind, Ui, UiBuilder, WidgetInfo, vec2,
};

use super::card;
use crate::gui::Palette;
use crate::wording::file_name;

/// Width of the page in points, where there is room for it.
const WIDTH: f32 = 880.0;
/// Height of a choice, and its least width.
const CHOICE: [f32; 2] = [158.0, 190.0];
/// Edge of a choice's sign.
const SIGN: f32 = 30.0;

/// A choice: what it is, and what choosing it means.
pub(in crate::gui) struct Choice<'a, T> {
    pub(in crate::gui) sign: Sign,
    pub(in crate::gui) title: &'a str,
    pub(in crate::gui) sentence: &'a str,
    pub(in crate::gui) means: T,
}

/// What stands above a choice.
#[derive(Clone, Copy, Debug)]
pub(in crate::gui) enum Sign {
    /// Start.
    Play,
    /// Volumes.
    Slices,
    /// Results over time.
    Curve,
}

/// Draws the page: headline, a quiet sentence, and what `contents` adds below.
pub(in crate::gui) fn page<R>(ui: &mut Ui, headline: &str, sentence: &str, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let scroll = ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let margin = ((ui.available_width() - WIDTH) / 2.0).max(16.0);
        ui.add_space((ui.available_height() * 0.08).min(70.0));
        let row = ui.horizontal(|ui| {
            ui.add_space(margin);
            let page = ui.vertical(|ui| {
                ui.set_width((ui.available_width() - margin).min(WIDTH));
                ui.label(RichText::new(headline).size(26.0).strong());
                ui.label(card::quiet(ui, sentence));
                ui.add_space(16.0);
                contents(ui)
            });
            page.inner
        });
        row.inner
    });
    scroll.inner
}

/// Large buttons side by side, or below one another where they would be too narrow. Returns what the clicked one means.
pub(in crate::gui) fn choices<T: Clone>(ui: &mut Ui, choices: &[Choice<'_, T>]) -> Option<T> {
    let fit = (ui.available_width() / CHOICE[1]) as usize;
    let mut chosen = None;
    for row in choices.chunks(fit.clamp(1, choices.len().max(1))) {
        ui.columns(row.len(), |columns| {
            for (column, choice) in columns.iter_mut().zip(row) {
                if large_button(column, choice) {
                    chosen = Some(choice.means.clone());
                }
            }
        });
    }
    chosen
}

fn large_button<T>(ui: &mut Ui, choice: &Choice<'_, T>) -> bool {
    let visuals = ui.visuals();
    let (own, other) = (visuals.widgets.inactive.bg_stroke, visuals.widgets.noninteractive.bg_stroke);
    let button = Button::new("").fill(visuals.window_fill).stroke(if own.width > 0.0 { own } else { other }).corner_radius(10);
    let response = ui.add_sized(vec2(ui.available_width(), CHOICE[0]), button);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, choice.title));
    let inner = response.rect.shrink2(vec2(16.0, 14.0));
    let mut inside = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::top_down(Align::LEFT)));
    draw(&mut inside, choice.sign);
    inside.add_space(4.0);
    inside.add(Label::new(RichText::new(choice.title).size(17.0).strong()).selectable(false));
    inside.add(Label::new(card::quiet(ui, choice.sentence)).wrap().selectable(false));
    response.clicked()
}

fn draw(ui: &mut Ui, sign: Sign) {
    let colour = Palette::of(ui).series(0);
    let (rect, _) = ui.allocate_exact_size(vec2(SIGN, SIGN), Sense::hover());
    let at = |x: f32, y: f32| rect.lerp_inside(vec2(x, y));
    let stroke = Stroke::new(2.0, colour);
    let painter = ui.painter();
    match sign {
        Sign::Play => {
            painter.circle_stroke(rect.center(), SIGN / 2.0 - 1.0, stroke);
            painter.add(Shape::convex_polygon(vec![at(0.4, 0.3), at(0.72, 0.5), at(0.4, 0.7)], colour, Stroke::NONE));
        }
        Sign::Slices => {
            for (index, shift) in [0.0, 0.17, 0.34].into_iter().enumerate() {
                let slice = Rect::from_min_max(at(0.02 + shift, 0.36 - shift), at(0.64 + shift, 0.98 - shift));
                painter.rect_filled(slice, 3.0, ui.visuals().window_fill);
                painter.rect_stroke(slice, 3.0, Stroke::new(2.0, colour.gamma_multiply(0.5 + 0.25 * index as f32)), StrokeKind::Inside);
            }
        }
        Sign::Curve => {
            painter.line(vec![at(0.04, 0.02), at(0.04, 0.96), at(1.0, 0.96)], Stroke::new(2.0, colour.gamma_multiply(0.6)));
            let curve = (0..24).map(|step| f32::from(step as u8) / 23.0).map(|x| at(0.12 + 0.86 * x, 0.1 + 0.7 * (1.0 - (-3.2 * x).exp())));
            painter.line(curve.collect(), stroke);
        }
    }
}

/// What was open before, as links with the folder that each lies in. Returns the one that was clicked.
pub(in crate::gui) fn recent(ui: &mut Ui, title: &str, paths: &[PathBuf]) -> Option<PathBuf> {
    let mut chosen = None;
    ui.label(RichText::new(title).strong());
    if paths.is_empty() {
        card::note(ui, "None yet.");
    }
    for path in paths {
        ui.horizontal(|ui| {
            if ui.link(file_name(path)).on_hover_text(path.display().to_string()).clicked() {
                chosen = Some(path.clone());
            }
            let parent = path.parent().map(|parent| parent.display().to_string()).unwrap_or_default();
            let parent = card::quiet(ui, parent).small();
            card::one_line(ui, parent);
        });
    }
    chosen
}

/// The same as the entries of a menu.
pub(in crate::gui) fn recent_menu(ui: &mut Ui, paths: &[PathBuf]) -> Option<PathBuf> {
    let mut entry = |path: &&PathBuf| ui.button(file_name(path)).on_hover_text(path.display().to_string()).clicked();
    paths.iter().filter(&mut entry).last().cloned()
}
