//! The first screen: three ways to begin, and what was open before.

use std::path::PathBuf;

use eframe::egui::{Align, Button, Layout, Rect, RichText, ScrollArea, Sense, Shape, Stroke, StrokeKind, Ui, vec2};

use super::card;
use super::fetch::Ask;
use crate::gui::{Palette, Settings};

const WIDTH: f32 = 880.0;
const CHOICE_HEIGHT: f32 = 158.0;
/// Edge of a choice's sign.
const SIGN: f32 = 30.0;

/// What a first choice asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum First {
    /// The embedded demo.
    Demo,
    /// A dialog.
    Ask(Ask),
    /// A dataset of the recent list.
    Dataset(PathBuf),
    /// A run of the recent list.
    Run(PathBuf),
}

/// Three large choices, recent files below.
pub(super) fn show(ui: &mut Ui, settings: &Settings) -> Option<First> {
    let mut first = None;
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let margin = ((ui.available_width() - WIDTH) / 2.0).max(16.0);
        ui.add_space((ui.available_height() * 0.12).min(90.0));
        ui.horizontal(|ui| {
            ui.add_space(margin);
            ui.vertical(|ui| {
                ui.set_width((ui.available_width() - margin).min(WIDTH));
                first = contents(ui, settings);
            });
        });
    });
    first
}

fn contents(ui: &mut Ui, settings: &Settings) -> Option<First> {
    let mut first = None;
    ui.label(RichText::new("What would you like to do?").size(26.0).strong());
    ui.label(card::quiet(ui, "Pre-train, fine-tune and inspect 3D segmentation networks. Data never leaves this computer."));
    ui.add_space(18.0);
    ui.columns_const(|[demo, data, run]| {
        if choice(
            demo,
            (Sign::Play, "Try the demo"),
            "Forty small MRI volumes of the hippocampus are built in; a comparison of four trainings takes a CPU some minutes.",
        ) {
            first = Some(First::Demo);
        }
        if choice(
            data,
            (Sign::Slices, "Open a dataset"),
            "Choose a folder in Decathlon, nnU-Net or MONAI form, or of plain NIfTI files. Every case is checked first.",
        ) {
            first = Some(First::Ask(Ask::DatasetFolder));
        }
        if choice(
            run,
            (Sign::Curve, "Open a run"),
            "Look at a finished run again, with the same curves and scores, or go on with an interrupted one.",
        ) {
            first = Some(First::Ask(Ask::Run));
        }
    });
    ui.add_space(8.0);
    ui.horizontal_wrapped(|ui| {
        card::note(ui, "Or drop a folder, a dataset.json or a settings file anywhere on this window.");
        if ui.link("Open a dataset.json ...").clicked() {
            first = Some(First::Ask(Ask::DatasetList));
        }
        if ui.link("Images and labels in two folders ...").clicked() {
            first = Some(First::Ask(Ask::TwoFolders));
        }
    });
    ui.add_space(26.0);
    ui.columns_const(|[left, right]| {
        if let Some(place) = recent(left, "Recent datasets", &settings.recent_datasets) {
            first = Some(First::Dataset(place));
        }
        if let Some(place) = recent(right, "Recent runs", &settings.recent_runs) {
            first = Some(First::Run(place));
        }
    });
    first
}

/// A large button with a sentence.
pub(in crate::gui) fn choice(ui: &mut Ui, (sign, title): (Sign, &str), sentence: &str) -> bool {
    let size = vec2(ui.available_width(), CHOICE_HEIGHT);
    let fill = ui.visuals().window_fill;
    let stroke = ui.visuals().widgets.inactive.bg_stroke;
    let border = ui.visuals().widgets.noninteractive.bg_stroke;
    let response =
        ui.add_sized(size, Button::new("").fill(fill).stroke(if stroke.width > 0.0 { stroke } else { border }).corner_radius(10));
    response.widget_info(|| eframe::egui::WidgetInfo::labeled(eframe::egui::Role::Button, true, title));
    let inner = response.rect.shrink2(vec2(16.0, 14.0));
    let mut inside = ui.new_child(eframe::egui::UiBuilder::new().max_rect(inner).layout(Layout::top_down(Align::LEFT)));
    draw(&mut inside, sign);
    inside.add_space(4.0);
    inside.add(eframe::egui::Label::new(RichText::new(title).size(17.0).strong()).selectable(false));
    inside.add(eframe::egui::Label::new(card::quiet(ui, sentence)).wrap().selectable(false));
    response.clicked()
}

/// What stands above a choice.
#[derive(Clone, Copy)]
pub(in crate::gui) enum Sign {
    /// Start.
    Play,
    /// Volumes.
    Slices,
    /// Results over time.
    Curve,
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
            for (place, shift) in [0.0, 0.17, 0.34].into_iter().enumerate() {
                let slice = Rect::from_min_max(at(0.02 + shift, 0.36 - shift), at(0.64 + shift, 0.98 - shift));
                painter.rect_filled(slice, 3.0, ui.visuals().window_fill);
                painter.rect_stroke(slice, 3.0, Stroke::new(2.0, colour.gamma_multiply(0.5 + 0.25 * place as f32)), StrokeKind::Inside);
            }
        }
        Sign::Curve => {
            painter.line(vec![at(0.04, 0.02), at(0.04, 0.96), at(1.0, 0.96)], Stroke::new(2.0, colour.gamma_multiply(0.6)));
            let curve = (0..24).map(|step| f32::from(step as u8) / 23.0).map(|x| at(0.12 + 0.86 * x, 0.1 + 0.7 * (1.0 - (-3.2 * x).exp())));
            painter.line(curve.collect(), stroke);
        }
    }
}

pub(in crate::gui) fn recent(ui: &mut Ui, title: &str, places: &[PathBuf]) -> Option<PathBuf> {
    let mut chosen = None;
    ui.label(RichText::new(title).strong());
    if places.is_empty() {
        card::note(ui, "None yet.");
    }
    for place in places {
        let name = place.file_name().unwrap_or(place.as_os_str()).to_string_lossy();
        ui.horizontal(|ui| {
            if ui.link(name.as_ref()).on_hover_text(place.display().to_string()).clicked() {
                chosen = Some(place.clone());
            }
            let parent = place.parent().map(|parent| parent.display().to_string()).unwrap_or_default();
            let parent = card::quiet(ui, parent).small();
            card::one_line(ui, parent);
        });
    }
    chosen
}
