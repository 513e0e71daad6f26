//! The two rows of controls above the slices: what is shown, and how.

use eframe::egui::containers::menu::{MenuButton, MenuConfig};
use eframe::egui::{Button, ComboBox, DragValue, PopupCloseBehavior, Role, Slider, TextWrapMode, Ui, WidgetInfo};

use super::case::OpenCase;
use super::layer::Kind;
use super::tool::Tool;
use super::views::{Arrangement, Views};
use crate::gui::widgets::slice::{Plane, SliceSettings, WindowLevel, WindowPreset};
use crate::gui::{Action, Convention, Settings};

/// Step of the keys that make labels more or less opaque.
const OPACITY_STEP: f32 = 0.05;
/// Widest outline in points.
const WIDEST: f32 = 4.0;

/// Which planes are shown, of which layer; switches of the layout.
pub(super) fn arrangement(ui: &mut Ui, views: &mut Views, case: &OpenCase) {
    let mut button = |ui: &mut Ui, enabled: bool, arrangement: Arrangement, title: &str, hint: &str| {
        let chosen = views.arrangement == arrangement || (title == "Compare" && views.arrangement.compared().is_some());
        let button = Button::selectable(chosen, title).wrap_mode(TextWrapMode::Extend);
        if ui.add_enabled(enabled, button).on_hover_text(hint).clicked() {
            views.arrangement = arrangement;
        }
    };
    button(ui, true, Arrangement::All, "All", "Three planes, the surface of the labels where there is room, and the labels");
    for plane in Plane::ALL {
        button(ui, true, Arrangement::Alone(plane), plane.title(), "This plane alone; a double click on a view does the same");
    }
    let hint = "The surface of the labels alone; a double click on it does the same";
    let labelled = !case.layers.is_empty();
    button(ui, labelled, Arrangement::Surface, "Surface", hint);
    let hint = "Truth and methods side by side, with crosshair, zoom and window in common";
    button(ui, labelled, Arrangement::Compare(Plane::Axial), "Compare", hint);
    ui.separator();
    match views.arrangement.compared() {
        Some(_) => comparison(ui, views, case),
        None => shown_layer(ui, views, case),
    }
}

/// What the left button does on a slice.
pub(super) fn tools(ui: &mut Ui, tool: &mut Tool, settings: &Settings) {
    for (other, title, hint, key) in Tool::ALL {
        let key = key.map(|key| format!(" ({})", settings.keys.hint(key))).unwrap_or_default();
        if ui.selectable_label(*tool == other, title).on_hover_text(format!("{hint}{key}")).clicked() {
            *tool = other;
        }
    }
    ui.separator();
}

fn shown_layer(ui: &mut Ui, views: &mut Views, case: &OpenCase) {
    let Some(shown) = views.shown_layer(case) else {
        ui.weak("no labels");
        return;
    };
    let title = shown.title.clone();
    let combo = ComboBox::from_id_salt("shown labels").width(130.0).truncate().selected_text(&title);
    let response = combo.show_ui(ui, |ui| {
        for layer in &case.layers {
            let file = layer.source.as_ref().map(|source| source.file().display().to_string());
            let made = if layer.kind == Kind::Corrected { "corrected in this window" } else { "segmented in this window" };
            let hint = file.unwrap_or_else(|| made.to_owned());
            let chosen = layer.title == title;
            if ui.selectable_label(chosen, &layer.title).on_hover_text(hint).clicked() {
                views.shown = Some(layer.title.clone());
            }
        }
    });
    let response = response.response.on_hover_text("Whose labels lie over the image");
    response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, format!("Labels of {title}")));
}

fn comparison(ui: &mut Ui, views: &mut Views, case: &OpenCase) {
    let planes = [
        (Arrangement::Compare(Plane::Axial), "Axial"),
        (Arrangement::Compare(Plane::Coronal), "Coronal"),
        (Arrangement::Compare(Plane::Sagittal), "Sagittal"),
        (Arrangement::CompareAll, "All planes"),
    ];
    let now = planes.iter().find(|(arrangement, _)| *arrangement == views.arrangement).map_or("", |(_, title)| title);
    let combo = ComboBox::from_id_salt("compared planes").width(86.0).selected_text(now).show_ui(ui, |ui| {
        for (arrangement, title) in planes {
            ui.selectable_value(&mut views.arrangement, arrangement, title);
        }
    });
    combo.response.on_hover_text("Which planes are compared").widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "Compared planes"));
    let columns = views.compared_layers(case).len();
    let menu = lasting_menu(format!("{columns} of {} columns", case.layers.len()));
    let (response, _) = menu.ui(ui, |ui| {
        for layer in &case.layers {
            let mut on = views.compares(layer);
            if ui.checkbox(&mut on, &layer.title).changed() {
                let all = || case.layers.iter().map(|layer| layer.title.clone()).collect();
                let compared = views.compared.get_or_insert_with(all);
                compared.retain(|title| *title != layer.title);
                compared.extend(on.then(|| layer.title.clone()));
            }
        }
    });
    response.on_hover_text("Choose what is compared");
}

/// The switch between the two conventions, which says what it is.
pub(super) fn convention(ui: &mut Ui, settings: &mut Settings) {
    let (text, meaning) = match settings.convention {
        Convention::Radiological => ("Radiological", "The patient's right is on the left of the screen"),
        Convention::Neurological => ("Neurological", "The patient's left is on the left of the screen"),
    };
    let hint = format!("{meaning}. Click to switch ({})", settings.keys.hint(Action::ToggleConvention));
    if ui.button(text).on_hover_text(hint).clicked() {
        switch_convention(settings);
    }
}

fn switch_convention(settings: &mut Settings) {
    settings.convention = match settings.convention {
        Convention::Radiological => Convention::Neurological,
        Convention::Neurological => Convention::Radiological,
    };
}

/// A menu in which several things may be chosen one after the other.
fn lasting_menu(title: String) -> MenuButton<'static> {
    MenuButton::new(title).config(MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside))
}

/// The controls of [`display`] in a menu.
pub(super) fn display_menu(ui: &mut Ui, case: &mut OpenCase, settings: &mut Settings) {
    let (response, _) = lasting_menu("Display".to_owned()).ui(ui, |ui| display(ui, case, settings));
    response.on_hover_text("Window, interpolation, crosshair, zoom, looks of labels");
}

/// Window and level, channel, interpolation; then how labels are drawn.
pub(super) fn display(ui: &mut Ui, case: &mut OpenCase, settings: &mut Settings) {
    window(ui, case, settings);
    if case.channels.len() > 1 {
        let title = case.channels[case.channel].clone();
        let combo = ComboBox::from_id_salt("channel").width(90.0).truncate().selected_text(&title);
        let response = combo.show_ui(ui, |ui| {
            for (index, name) in case.channels.iter().enumerate() {
                ui.selectable_value(&mut case.channel, index, name);
            }
        });
        let response = response.response.on_hover_text("Which channel of the image is shown");
        response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, format!("Channel {title}")));
    }
    switch(ui, settings, Action::ToggleInterpolation, true);
    switch(ui, settings, Action::ToggleCrosshair, true);
    switch(ui, settings, Action::ToggleLinkedZoom, true);
    ui.separator();
    // Each by itself and not in a group: a group would not be broken into lines where the window is narrow.
    let labelled = !case.layers.is_empty();
    switch(ui, settings, Action::ToggleLabels, labelled);
    switch(ui, settings, Action::ToggleFill, labelled);
    let keys = [Action::OpacityDown, Action::OpacityUp].map(|action| settings.keys.hint(action)).join(", ");
    let slices = &mut settings.slices;
    ui.spacing_mut().slider_width = 90.0;
    let opacity = format!("Opacity of filled labels: {:.0} % ({keys})", slices.opacity * 100.0);
    let slider = Slider::new(&mut slices.opacity, 0.0..=1.0).show_value(false);
    let response = ui.add_enabled(labelled && slices.fill, slider).on_hover_text(opacity);
    response.widget_info(|| WidgetInfo::slider(true, f64::from(slices.opacity), "Opacity of labels"));
    switch(ui, settings, Action::ToggleOutline, labelled);
    let slices = &mut settings.slices;
    let width = DragValue::new(&mut slices.outline_width).range(0.5..=WIDEST).speed(0.05).fixed_decimals(1).suffix(" px");
    let response = ui.add_enabled(labelled && slices.outline, width).on_hover_text("Width of outlines");
    response.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, "Width of outlines"));
    let comparable = case.of_kind(Kind::Truth).is_some() && case.layers.iter().any(|layer| layer.kind != Kind::Truth);
    switch(ui, settings, Action::ToggleDifference, comparable);
    map(ui, case);
}

/// Shows, hides or takes off the map over the image, where there is one; of several channels, which one is shown.
fn map(ui: &mut Ui, case: &mut OpenCase) {
    let Some(layer) = &mut case.map else { return };
    let Some(map) = layer.map().cloned() else {
        ui.weak("Reading the map ...");
        return;
    };
    ui.separator();
    let several = map.titles().len() > 1;
    ui.checkbox(&mut layer.shown, if several { "Map" } else { map.title() }).on_hover_text(map.hint());
    if several {
        let mut chosen = map.channel;
        let combo = ComboBox::from_id_salt("channel of the map").width(150.0).truncate().selected_text(map.title());
        let response = combo.show_ui(ui, |ui| {
            for (channel, title) in map.titles().iter().enumerate() {
                ui.selectable_value(&mut chosen, channel, title);
            }
        });
        let response = response.response.on_hover_text("Which class, or which channel, of the map is shown");
        response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, format!("Map of {}", map.title())));
        layer.choose(ui.ctx(), chosen, case.background.gpu.clone());
    }
    if ui.small_button("Take off").on_hover_text("Take the map off the image").clicked() {
        case.map = None;
    }
}

/// A switch of how slices are drawn: its key, its title, what it does, and what it switches.
type Switch = (Action, &'static str, &'static str, fn(&mut SliceSettings) -> &mut bool);

const SWITCHES: [Switch; 7] = [
    (Action::ToggleInterpolation, "Smooth", "Linear interpolation between voxels, or each voxel a rectangle", |slices| &mut slices.linear),
    (Action::ToggleCrosshair, "Crosshair", "Show or hide the crosshair", |slices| &mut slices.crosshair),
    (Action::ToggleLinkedZoom, "Link zoom", "Zoom all planes together, or each by itself", |slices| &mut slices.linked_zoom),
    (Action::ToggleLabels, "Labels", "Show or hide labels", |slices| &mut slices.shown),
    (Action::ToggleFill, "Fill", "Fill labels", |slices| &mut slices.fill),
    (Action::ToggleOutline, "Outline", "Outline labels", |slices| &mut slices.outline),
    (Action::ToggleDifference, "Differences", "Differences from the truth: missed, false and agreed voxels", |slices| {
        &mut slices.difference
    }),
];

/// Draws the switch of a key, and whether it can be switched.
fn switch(ui: &mut Ui, settings: &mut Settings, action: Action, enabled: bool) {
    let Some((_, title, hint, value)) = SWITCHES.iter().find(|(key, ..)| *key == action) else { return };
    let hint = format!("{hint} ({})", settings.keys.hint(action));
    let value = value(&mut settings.slices);
    let button = Button::selectable(*value, *title).wrap_mode(TextWrapMode::Extend);
    if ui.add_enabled(enabled, button).on_hover_text(hint).clicked() {
        *value = !*value;
    }
}

fn window(ui: &mut Ui, case: &mut OpenCase, settings: &Settings) {
    let now = case.window();
    let speed = f64::from((now.width() * 0.005).max(1e-4));
    let decimals = if now.width() >= 20.0 { 0 } else { 3 };
    let (mut width, mut level) = (now.width(), now.level());
    let number = |ui: &mut Ui, value: &mut f32, (prefix, name): (&str, &str)| {
        let drag = DragValue::new(value).speed(speed).prefix(prefix).max_decimals(decimals);
        let response = ui.add(drag).on_hover_text(format!("{name}: drag, or click to type. On a slice: Ctrl + drag"));
        response.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, name));
        response.changed()
    };
    let wider = number(ui, &mut width, ("W ", "Window width"));
    let lifted = number(ui, &mut level, ("L ", "Window level"));
    if wider || lifted {
        case.set_window(Some(WindowLevel::around(level, width.max(f32::MIN_POSITIVE))));
    }
    let menu = ui.menu_button("Presets", |ui| {
        let windows = case.channel_now().map(|channel| channel.presets.clone()).unwrap_or_default();
        for (preset, &window) in WindowPreset::all().iter().zip(windows.iter()) {
            let hint = format!("Width {:.4}, level {:.4}", window.width(), window.level());
            if ui.button(&preset.name).on_hover_text(hint).clicked() {
                case.set_window(Some(window));
            }
        }
    });
    menu.response.on_hover_text("Windows of the reading room");
    let hint = format!("Window of the volume's percentiles ({})", settings.keys.hint(Action::AutoWindow));
    if ui.button("Auto").on_hover_text(hint).clicked() {
        case.set_window(None);
    }
}

/// Obeys the keys that change how slices are drawn.
pub(super) fn keys(ui: &Ui, case: &mut OpenCase, settings: &mut Settings) {
    let others = [Action::AutoWindow, Action::OpacityDown, Action::OpacityUp, Action::ToggleConvention];
    let actions: Vec<Action> = SWITCHES.iter().map(|(action, ..)| *action).chain(others).collect();
    for action in settings.keys.pressed(ui, &actions) {
        let opacity = &mut settings.slices.opacity;
        match action {
            Action::AutoWindow => case.set_window(None),
            Action::OpacityDown => *opacity = (*opacity - OPACITY_STEP).clamp(0.0, 1.0),
            Action::OpacityUp => *opacity = (*opacity + OPACITY_STEP).clamp(0.0, 1.0),
            Action::ToggleConvention => switch_convention(settings),
            _ => {
                for (.., value) in SWITCHES.iter().filter(|(key, ..)| *key == action) {
                    let value = value(&mut settings.slices);
                    *value = !*value;
                }
            }
        }
    }
}
