//! How the window looks: colours in both lights, spacing, text sizes.

use eframe::egui::{self, Color32, CornerRadius, FontId, Margin, TextStyle, Visuals, vec2};

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
    ctx.set_visuals_of(egui::Theme::Dark, visuals(true));
    ctx.set_visuals_of(egui::Theme::Light, visuals(false));
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

/// Visuals in one light.
fn visuals(is_dark: bool) -> Visuals {
    let mut visuals = if is_dark { Visuals::dark() } else { Visuals::light() };
    let widgets = &mut visuals.widgets;
    for (part, dark, light) in [
        (&mut visuals.panel_fill, 0x16191E, 0xF6F7F9),
        (&mut visuals.window_fill, 0x1E2228, 0xFFFFFF),
        (&mut visuals.extreme_bg_color, 0x0D0F12, 0xFFFFFF),
        (&mut visuals.faint_bg_color, 0x1E2228, 0xECEEF1),
        (&mut visuals.selection.bg_fill, 0x1F5F86, 0xBFE0F5),
        (&mut visuals.selection.stroke.color, 0xEAF6FD, 0x08364F),
        (&mut visuals.hyperlink_color, 0x56B4E9, 0x0072B2),
        (&mut widgets.noninteractive.fg_stroke.color, 0xC5CCD6, 0x2B323C),
        (&mut widgets.noninteractive.bg_stroke.color, 0x2C323B, 0xD5DAE1),
        (&mut widgets.inactive.fg_stroke.color, 0xDCE2EA, 0x2B323C),
        (&mut widgets.inactive.weak_bg_fill, 0x2A3038, 0xE3E7EC),
        (&mut widgets.inactive.bg_fill, 0x343B45, 0xD5DAE1),
        (&mut visuals.warn_fg_color, palette::CAUTION.dark, palette::CAUTION.light),
        (&mut visuals.error_fg_color, palette::BAD.dark, palette::BAD.light),
    ] {
        *part = colour(if is_dark { dark } else { light });
    }
    if is_dark {
        widgets.hovered.weak_bg_fill = colour(0x38414C);
        widgets.open.weak_bg_fill = colour(0x262C34);
    }
    for widget in [&mut widgets.noninteractive, &mut widgets.inactive, &mut widgets.hovered, &mut widgets.active, &mut widgets.open] {
        widget.corner_radius = CornerRadius::same(4);
    }
    visuals.window_corner_radius = CornerRadius::same(8);
    visuals.menu_corner_radius = CornerRadius::same(6);
    visuals.slider_trailing_fill = true;
    visuals.striped = true;
    visuals
}
