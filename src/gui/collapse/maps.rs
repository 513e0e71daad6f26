//! The tokens of an encoder: their maps, made on a thread of their own, and the token that is chosen.

use std::sync::Arc;

use eframe::egui::{RichText, TextureHandle, Ui};

use super::heat_map::{self, Chosen};
use super::patch::Patch;
use super::scatter::Scatter;
use crate::gui::widgets::card;
use crate::gui::{Background, Palette, Workspace};
use crate::metrics::collapse::TokenMaps;
use crate::protocol::TokenPreview;
use crate::results::Tokens;

/// Least width of a column whose titles have choices beside them.
const ROOMY: f32 = 285.0;

type Made = (Arc<TokenPreview>, Tokens, Result<TokenMaps, &'static str>);

/// Maps of the newest tokens that were asked for.
#[derive(Default)]
pub(super) struct Maps {
    pub(super) making: Option<Background<Made>>,
    made: Option<Made>,
    heat: Option<TextureHandle>,
    pub(super) chosen: Option<Chosen>,
    pub(super) scatter: Scatter,
    pub(super) patch: Patch,
}

impl Maps {
    /// Makes maps where `preview` is newer than those there are. The older ones stay until then.
    pub(super) fn refresh(&mut self, ui: &Ui, preview: Option<&Arc<TokenPreview>>, tokens: Tokens) {
        if self.making.as_mut().is_some_and(Background::poll) {
            self.made = self.making.take().and_then(Background::take);
            self.heat = None;
            self.patch.forget();
            let fits =
                |chosen: &Chosen| self.get().is_some_and(|(maps, seen)| chosen.volume < seen.cases.len() && chosen.token < maps.tokens);
            self.chosen = self.chosen.filter(fits);
        }
        let Some(preview) = preview else {
            (self.made, self.making) = (None, None);
            return;
        };
        let is_made = self.made.as_ref().is_some_and(|(seen, of, _)| Arc::ptr_eq(seen, preview) && *of == tokens);
        if !is_made && self.making.is_none() {
            let preview = preview.clone();
            self.making = Some(Background::start(ui.ctx(), move || {
                let maps = tokens.maps(&preview);
                (preview, tokens, maps)
            }));
        }
    }

    /// The maps and what they are of.
    pub(super) fn get(&self) -> Option<(&TokenMaps, &Arc<TokenPreview>)> {
        let (preview, _, maps) = self.made.as_ref()?;
        Some((maps.as_ref().ok()?, preview))
    }

    /// How alike positions are across volumes.
    pub(super) fn heat(&mut self, ui: &mut Ui) {
        let Self { made, heat, chosen, patch, .. } = self;
        let Some((preview, _, Ok(maps))) = made else { return self.absent(ui, heat_map::TITLE) };
        if let Some(token) = heat_map::show(ui, heat, (maps, preview.grid), chosen.map(|chosen| chosen.token)) {
            let token = Chosen { volume: chosen.map_or(0, |chosen| chosen.volume), token };
            *chosen = Some(token);
            patch.look_at(token, preview);
        }
    }

    /// The tokens in the plane in which they spread most.
    pub(super) fn plane(&mut self, ui: &mut Ui) {
        let Self { made, scatter, chosen, patch, .. } = self;
        let Some((preview, _, Ok(maps))) = made else { return self.absent(ui, "Map of the tokens") };
        if let Some(clicked) = scatter.show(ui, (maps, preview), *chosen) {
            *chosen = Some(clicked);
            patch.look_at(clicked, preview);
        }
    }

    /// What the markers are, and the chosen token in words.
    pub(super) fn describe(&mut self, ui: &mut Ui) {
        let Some((maps, preview)) = self.get() else { return };
        self.scatter.legend(ui, preview);
        ui.add_space(6.0);
        card::heading(ui, "Selected token", "Marked in the map, the heat map and the slices");
        self.patch.describe(ui, (maps, preview), self.chosen);
    }

    /// The crop that the chosen token comes from.
    pub(super) fn patch(&mut self, ui: &mut Ui, workspace: &Workspace, heights: [f32; 2]) {
        let Self { made, chosen, patch, .. } = self;
        let Some((preview, _, Ok(maps))) = made else { return self.absent(ui, "Selected patch") };
        let meaning = "The crop that the token comes from, with the borders of tokens. Click a position to choose its token.";
        titled(ui, "Selected patch", meaning, |ui| patch.choosers(ui, preview));
        let clicked = patch.show(ui, (maps, preview, *chosen), (workspace.gpu.as_ref(), &workspace.settings), heights);
        *chosen = clicked.or(*chosen);
    }

    /// Says why there are no maps.
    fn absent(&self, ui: &mut Ui, title: &str) {
        let reason = match &self.made {
            Some((_, _, Err(reason))) => format!("Nothing to show: {reason}."),
            _ if self.making.is_some() => "The maps are being made.".to_owned(),
            _ => "No tokens were kept of this measurement. They come with the next measurement.".to_owned(),
        };
        ui.strong(title);
        ui.label(RichText::new(reason).color(Palette::of(ui).reference()));
    }
}

/// A title with choices beside it, or below where the column is narrow.
fn titled(ui: &mut Ui, title: &str, meaning: &str, choices: impl FnOnce(&mut Ui)) {
    let roomy = ui.available_width() >= ROOMY;
    let heading = |ui: &mut Ui| drop(ui.label(RichText::new(title).strong()).on_hover_text(meaning));
    if !roomy {
        heading(ui);
    }
    ui.horizontal(|ui| {
        if roomy {
            heading(ui);
        }
        choices(ui);
    });
}
