//! How the window looks: colours in both lights, spacing, text sizes.

use eframe::egui::{self, Color32, CornerRadius, FontId, Margin, Stroke, TextStyle, Visuals, vec2};

use crate::metrics::collapse::Verdict;
use crate::palette::{self, Tone};
use serde::{Deserialize, Serialize};

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThemeChoice {
    /// As the system is.
    System,
    /// Dark: what reading rooms are.
    #[default]
    Dark,
    /// Light.
    Light,
}

/// The program's colours in the light that the window is in.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    dark: bool,
}

impl Palette {
    /// Of the window that `ui` is in.
    pub fn of(ui: &egui::Ui) -> Self {
        Self { dark: ui.visuals().dark_mode }
    }

    /// A tone in this light.
    pub fn tone(self, tone: Tone) -> Color32 {
        colour(tone.on(self.dark))
    }

    /// Good news.
    pub fn good(self) -> Color32 {
        self.tone(palette::GOOD)
    }

    /// Something to look at.
    pub fn caution(self) -> Color32 {
        self.tone(palette::CAUTION)
    }

    /// Bad news.
    pub fn bad(self) -> Color32 {
        self.tone(palette::BAD)
    }

    /// What has become of an encoder.
    pub fn verdict(self, verdict: Verdict) -> Color32 {
        match verdict {
            Verdict::Healthy => self.good(),
            Verdict::PartlyBound => self.caution(),
            Verdict::Collapsed => self.bad(),
            Verdict::Untrained => self.reference(),
        }
    }

    /// Reference lines: the untrained network.
    pub fn reference(self) -> Color32 {
        self.tone(palette::REFERENCE)
    }

    /// A series in a plot; colours repeat after ten.
    pub fn series(self, index: usize) -> Color32 {
        self.tone(palette::SERIES[index % palette::SERIES.len()])
    }

    /// A label on an image, by its number.
    pub fn label(number: u32) -> Color32 {
        colour(palette::label(number))
    }
}

/// `0xRRGGBB`, opaque.
pub(super) fn colour(rgb: u32) -> Color32 {
    let [_, r, g, b] = rgb.to_be_bytes();
    Color32::from_rgb(r, g, b)
}

/// Puts the program's look on the window.
pub(super) fn install(ctx: &egui::Context) {
    ctx.set_visuals_of(egui::Theme::Dark, dark());
    ctx.set_visuals_of(egui::Theme::Light, light());
    ctx.all_styles_mut(|style| {
        style.spacing.item_spacing = vec2(8.0, 6.0);
        style.spacing.button_padding = vec2(8.0, 4.0);
        style.spacing.interact_size.y = 24.0;
        style.spacing.slider_width = 160.0;
        style.spacing.menu_margin = Margin::same(8);
        style.interaction.tooltip_delay = 0.4;
        style.text_styles = [
            (TextStyle::Heading, FontId::proportional(18.0)),
            (TextStyle::Body, FontId::proportional(13.5)),
            (TextStyle::Button, FontId::proportional(13.5)),
            (TextStyle::Small, FontId::proportional(11.5)),
            (TextStyle::Monospace, FontId::monospace(12.5)),
        ]
        .into();
    });
}

/// Follows the user's choice of light and size.
pub(super) fn follow(ctx: &egui::Context, choice: ThemeChoice, zoom: f32) {
    ctx.set_theme(match choice {
        ThemeChoice::System => egui::ThemePreference::System,
        ThemeChoice::Dark => egui::ThemePreference::Dark,
        ThemeChoice::Light => egui::ThemePreference::Light,
    });
    if (ctx.zoom_factor() - zoom).abs() > 1e-3 {
        ctx.set_zoom_factor(zoom);
    }
}

fn dark() -> Visuals {
    let mut visuals = Visuals::dark();
    visuals.panel_fill = colour(0x16191E);
    visuals.window_fill = colour(0x1E2228);
    visuals.extreme_bg_color = colour(0x0D0F12);
    visuals.faint_bg_color = colour(0x1E2228);
    visuals.selection.bg_fill = colour(0x1F5F86);
    visuals.selection.stroke = Stroke::new(1.0, colour(0xEAF6FD));
    visuals.hyperlink_color = colour(0x56B4E9);
    visuals.widgets.noninteractive.fg_stroke.color = colour(0xC5CCD6);
    visuals.widgets.noninteractive.bg_stroke.color = colour(0x2C323B);
    visuals.widgets.inactive.fg_stroke.color = colour(0xDCE2EA);
    visuals.widgets.inactive.weak_bg_fill = colour(0x2A3038);
    visuals.widgets.inactive.bg_fill = colour(0x343B45);
    visuals.widgets.hovered.weak_bg_fill = colour(0x38414C);
    visuals.widgets.open.weak_bg_fill = colour(0x262C34);
    visuals.warn_fg_color = colour(palette::CAUTION.dark);
    visuals.error_fg_color = colour(palette::BAD.dark);
    rounded(visuals)
}

fn light() -> Visuals {
    let mut visuals = Visuals::light();
    visuals.panel_fill = colour(0xF6F7F9);
    visuals.window_fill = colour(0xFFFFFF);
    visuals.extreme_bg_color = colour(0xFFFFFF);
    visuals.faint_bg_color = colour(0xECEEF1);
    visuals.selection.bg_fill = colour(0xBFE0F5);
    visuals.selection.stroke = Stroke::new(1.0, colour(0x08364F));
    visuals.hyperlink_color = colour(0x0072B2);
    visuals.widgets.noninteractive.fg_stroke.color = colour(0x2B323C);
    visuals.widgets.noninteractive.bg_stroke.color = colour(0xD5DAE1);
    visuals.widgets.inactive.fg_stroke.color = colour(0x2B323C);
    visuals.widgets.inactive.weak_bg_fill = colour(0xE3E7EC);
    visuals.widgets.inactive.bg_fill = colour(0xD5DAE1);
    visuals.warn_fg_color = colour(palette::CAUTION.light);
    visuals.error_fg_color = colour(palette::BAD.light);
    rounded(visuals)
}

fn rounded(mut visuals: Visuals) -> Visuals {
    let corner = CornerRadius::same(4);
    let widgets = &mut visuals.widgets;
    for widget in [&mut widgets.noninteractive, &mut widgets.inactive, &mut widgets.hovered, &mut widgets.active, &mut widgets.open] {
        widget.corner_radius = corner;
    }
    visuals.window_corner_radius = CornerRadius::same(8);
    visuals.menu_corner_radius = CornerRadius::same(6);
    visuals.slider_trailing_fill = true;
    visuals.striped = true;
    visuals
}
