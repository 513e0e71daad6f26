//! The tokens of a stage: their maps, made on a thread of their own, and the one that is chosen.

use std::sync::Arc;

use eframe::egui::{RichText, Ui};

use super::super::{Background, Palette, Workspace};
use super::Chosen;
use super::heat_map::HeatMap;
use super::patch::Patch;
use super::place::Place;
use super::scatter::Scatter;
use crate::metrics::collapse::TokenMaps;
use crate::protocol::TokenPreview;

/// Least width of a column whose titles have choices beside them.
const ROOMY: f32 = 285.0;

type Made = (Arc<TokenPreview>, Place, Result<TokenMaps, &'static str>);

/// Maps of the newest tokens that were asked for.
#[derive(Default)]
pub(super) struct Tokens {
    making: Option<Background<Made>>,
    made: Option<Made>,
    pub(super) chosen: Option<Chosen>,
    pub(super) heat_map: HeatMap,
    pub(super) scatter: Scatter,
    pub(super) patch: Patch,
}

impl Tokens {
    /// Makes maps where `preview` is newer than those there are. The older ones stay until then.
    pub(super) fn follow(&mut self, ui: &Ui, preview: Option<&Arc<TokenPreview>>, place: Place) {
        if self.making.as_mut().is_some_and(Background::poll) {
            self.made = self.making.take().and_then(Background::take);
            self.heat_map.forget();
            self.scatter.forget();
            self.patch.forget();
            let fits =
                |chosen: &Chosen| self.maps().is_some_and(|(maps, seen)| chosen.volume < seen.cases.len() && chosen.token < maps.tokens);
            self.chosen = self.chosen.filter(fits);
        }
        let Some(preview) = preview else {
            (self.made, self.making) = (None, None);
            return;
        };
        let is_made = self.made.as_ref().is_some_and(|(seen, at, _)| Arc::ptr_eq(seen, preview) && *at == place);
        if !is_made && self.making.is_none() {
            let preview = preview.clone();
            self.making = Some(Background::start(ui.ctx(), move || {
                let maps = place.maps(&preview);
                (preview, place, maps)
            }));
        }
    }

    /// The maps and what they are of.
    pub(super) fn maps(&self) -> Option<(&TokenMaps, &Arc<TokenPreview>)> {
        let (preview, _, maps) = self.made.as_ref()?;
        Some((maps.as_ref().ok()?, preview))
    }

    /// Why there are no maps.
    fn reason(&self) -> String {
        match &self.made {
            Some((_, _, Err(reason))) => format!("Nothing to show: {reason}."),
            _ if self.making.is_some() => "The maps are being made.".to_owned(),
            _ => "No tokens were kept of this measurement. They come with the next measurement.".to_owned(),
        }
    }

    /// The heat map, the map and what they say, in the columns of `panes`.
    pub(super) fn heat(&mut self, ui: &mut Ui) {
        heading(
            ui,
            "Are places alike across volumes?",
            "Mean cosine of a token at the row's place and one at the column's place in another volume. A bright diagonal: tokens of the same place are alike whatever the picture shows - collapse.",
        );
        let Self { made, heat_map, chosen, patch, .. } = self;
        let Some((preview, _, Ok(maps))) = made else { return self.absent(ui) };
        if let Some([token, _]) = heat_map.show(ui, maps, preview.grid, chosen.map(|chosen| chosen.token)) {
            let volume = chosen.map_or(0, |chosen| chosen.volume);
            *chosen = Some(Chosen { volume, token });
            patch.look_at(Chosen { volume, token }, preview);
        }
    }

    pub(super) fn map(&mut self, ui: &mut Ui) {
        let meaning = "The plane in which tokens spread most (principal components). Click a token to see its patch.";
        titled(ui, |ui| heading(ui, "Map of the tokens", meaning), |ui| self.scatter.chooser(ui));
        let Self { made, scatter, chosen, patch, .. } = self;
        let Some((preview, _, Ok(maps))) = made else { return self.absent(ui) };
        if let Some(clicked) = scatter.show(ui, (maps, preview), *chosen) {
            *chosen = Some(clicked);
            patch.look_at(clicked, preview);
        }
    }

    /// The chosen token's patch.
    pub(super) fn slices(&mut self, ui: &mut Ui, workspace: &Workspace, heights: [f32; 2]) {
        let Self { made, chosen, patch, .. } = self;
        let maps = made.as_ref().and_then(|(preview, _, maps)| Some((maps.as_ref().ok()?, preview)));
        let meaning = "The crop that the token comes from, with the borders of tokens. Click a place to choose its token.";
        titled(
            ui,
            |ui| heading(ui, "Its patch", meaning),
            |ui| {
                if let Some((_, preview)) = maps {
                    patch.choosers(ui, preview);
                }
            },
        );
        let Some((maps, preview)) = maps else { return };
        let clicked = patch.show(ui, (maps, preview, *chosen), (workspace.gpu.as_ref(), &workspace.settings), heights);
        *chosen = clicked.or(*chosen);
    }

    fn absent(&self, ui: &mut Ui) {
        ui.label(RichText::new(self.reason()).color(Palette::of(ui).reference()));
    }

    /// Whether a thread is at work.
    #[cfg(test)]
    pub(super) fn is_making(&self) -> bool {
        self.making.is_some()
    }
}

pub(super) fn heading(ui: &mut Ui, text: &str, meaning: &str) {
    ui.label(RichText::new(text).strong()).on_hover_text(meaning);
}

/// A title with choices beside it, or below where the column is narrow.
fn titled(ui: &mut Ui, title: impl FnOnce(&mut Ui), choices: impl FnOnce(&mut Ui)) {
    if ui.available_width() < ROOMY {
        title(ui);
        ui.horizontal(choices);
        return;
    }
    ui.horizontal(|ui| {
        title(ui);
        choices(ui);
    });
}
