//! The chosen token's patch in its crop, and how similar all other tokens of a volume are to it, painted over the slices.

use std::sync::Arc;

use eframe::egui::{self, RichText, Ui, UiBuilder, vec2};
use eframe::egui_wgpu::RenderState;

use super::heat_map::{Chosen, Scale, position_name};
use crate::geometry::{ravel, unravel};
use crate::gui::widgets::slice::{Cursor, LabelColours, Plane, Scene, SliceView, Style, TokenOverlay, VolumeTexture, WindowLevel};
use crate::gui::{Palette, Settings};
use crate::metrics::collapse::TokenMaps;
use crate::protocol::TokenPreview;
use crate::volume::Grid;

/// A channel of a volume's crop on the GPU.
struct Uploaded {
    preview: Arc<TokenPreview>,
    volume: usize,
    channel: usize,
    grid: Grid,
    image: VolumeTexture,
    window: WindowLevel,
}

/// The similarity that is painted.
struct Painted {
    chosen: Chosen,
    volume: usize,
    heat: VolumeTexture,
    /// The most similar token, and its cosine; the chosen one itself left out.
    best: (usize, f32),
}

/// The slices.
#[derive(Default)]
pub(super) struct Patch {
    /// Whose crop is shown.
    pub(super) volume: usize,
    channel: usize,
    hide_similarity: bool,
    pub(super) cursor: Cursor,
    views: [SliceView; 2],
    uploaded: Option<Uploaded>,
    painted: Option<Painted>,
    colours: LabelColours,
}

impl Patch {
    /// Forgets what is painted: the maps are others.
    pub(super) fn forget(&mut self) {
        self.painted = None;
    }

    /// Shows a token that was chosen elsewhere.
    pub(super) fn look_at(&mut self, chosen: Chosen, preview: &TokenPreview) {
        let (position, cell) = (unravel(chosen.token, preview.grid), cell(preview));
        self.volume = chosen.volume;
        self.cursor.voxel = std::array::from_fn(|axis| position[axis] * cell[axis] + cell[axis] / 2);
    }

    /// Which volume, which channel, painted or not.
    pub(super) fn choosers(&mut self, ui: &mut Ui, preview: &TokenPreview) {
        self.volume = self.volume.min(preview.cases.len() - 1);
        self.channel = self.channel.min(preview.channels - 1);
        let mut shown = !self.hide_similarity;
        ui.checkbox(&mut shown, "similarity").on_hover_text("Paint the cosine of every token of this crop and the chosen one");
        self.hide_similarity = !shown;
        if preview.channels > 1 {
            let combo = egui::ComboBox::from_id_salt("painted channel").selected_text(format!("ch. {}", self.channel + 1)).width(50.0);
            combo.show_index(ui, &mut self.channel, preview.channels, |index| format!("channel {}", index + 1));
        }
        let width = (ui.available_width() - 8.0).clamp(40.0, 150.0);
        ui.scope(|ui| {
            ui.set_max_width(width);
            let combo = egui::ComboBox::from_id_salt("painted volume").width(width).truncate();
            let response = combo.show_index(ui, &mut self.volume, preview.cases.len(), |index| preview.cases[index].clone());
            response.on_hover_text("Whose crop is shown");
        });
    }

    /// Draws two planes of the crop, of these heights; returns a token that was clicked.
    pub(super) fn show(
        &mut self,
        ui: &mut Ui,
        (maps, preview, chosen): (&TokenMaps, &Arc<TokenPreview>, Option<Chosen>),
        (gpu, settings): (Option<&RenderState>, &Settings),
        heights: [f32; 2],
    ) -> Option<Chosen> {
        let Some(gpu) = gpu else {
            ui.label("The window has no GPU to draw slices with.");
            return None;
        };
        self.upload(gpu, preview);
        self.paint(gpu, (maps, preview), chosen);
        let uploaded = self.uploaded.as_mut()?;
        let marked: Vec<[usize; 3]> = chosen.map(|chosen| unravel(chosen.token, preview.grid)).into_iter().collect();
        let cell = cell(preview);
        let style = Style { window: uploaded.window, colours: &self.colours, settings: &settings.slices, convention: settings.convention };
        let heat = self.painted.as_ref().map(|painted| &painted.heat).filter(|_| !self.hide_similarity);
        let tokens = Some(TokenOverlay { marked: &marked, ..TokenOverlay::new(cell) });
        let scene = Scene { heat, tokens, ..Scene::new(&uploaded.grid, &uploaded.image, style) };
        let (mut clicked, mut window) = (None, None);
        for ((view, plane), height) in self.views.iter_mut().zip([Plane::Axial, Plane::Coronal]).zip(heights) {
            let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), egui::Sense::hover());
            let mut pane = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(plane.title()));
            let seen = view.show(&mut pane, plane, &scene, (&mut self.cursor, &settings.keys));
            clicked = clicked.or(seen.clicked);
            let auto = || seen.auto_window.then(|| WindowLevel::auto(voxels(preview, self.volume, self.channel)));
            window = window.or(seen.window).or_else(auto);
        }
        uploaded.window = window.unwrap_or(uploaded.window);
        clicked.map(|voxel| {
            let token = std::array::from_fn(|axis| (voxel[axis] / cell[axis]).min(preview.grid[axis] - 1));
            Chosen { volume: self.volume, token: ravel(token, preview.grid) }
        })
    }

    fn upload(&mut self, gpu: &RenderState, preview: &Arc<TokenPreview>) {
        let same = |uploaded: &Uploaded| {
            Arc::ptr_eq(&uploaded.preview.voxels, &preview.voxels) && (uploaded.volume, uploaded.channel) == (self.volume, self.channel)
        };
        if self.uploaded.as_ref().is_some_and(same) {
            return;
        }
        if self.uploaded.is_none() && self.cursor == Cursor::default() {
            self.cursor = Cursor::middle(preview.crop);
        }
        let voxels = voxels(preview, self.volume, self.channel);
        self.uploaded = Some(Uploaded {
            preview: preview.clone(),
            volume: self.volume,
            channel: self.channel,
            grid: Grid::axis_aligned(preview.crop, preview.spacing_mm[self.volume]),
            image: VolumeTexture::image(gpu, voxels, preview.crop),
            window: WindowLevel::auto(voxels),
        });
    }

    fn paint(&mut self, gpu: &RenderState, (maps, preview): (&TokenMaps, &TokenPreview), chosen: Option<Chosen>) {
        let Some(chosen) = chosen else { return self.painted = None };
        if self.painted.as_ref().is_some_and(|painted| (painted.chosen, painted.volume) == (chosen, self.volume)) {
            return;
        }
        let scale = Scale::of(maps);
        let cosines = maps.likeness((chosen.volume, chosen.token), self.volume);
        let others = cosines.iter().copied().enumerate().filter(|(token, _)| (self.volume, *token) != (chosen.volume, chosen.token));
        let best = others.max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap_or((chosen.token, 1.0));
        let shares: Vec<f32> = cosines.iter().map(|&cosine| scale.share(cosine)).collect();
        let heat = VolumeTexture::heat(gpu, &shares, preview.grid);
        self.painted = Some(Painted { chosen, volume: self.volume, heat, best });
    }

    /// What is known of the chosen token, in words.
    pub(super) fn describe(&self, ui: &mut Ui, (maps, preview): (&TokenMaps, &TokenPreview), chosen: Option<Chosen>) {
        let Some(chosen) = chosen else {
            ui.label(RichText::new("None. Click one in the map, a cell of the heat map, or a position on a slice.").weak());
            return;
        };
        let name = position_name(chosen.token, preview.grid);
        ui.label(RichText::new(format!("Position {name} of {}", preview.cases[chosen.volume])).strong());
        let [same, other] = mean_cosines(maps, preview, chosen);
        ui.label(format!("Mean cosine with tokens of other volumes: {same:.2} at the same position, {other:.2} elsewhere."));
        if let Some(Painted { best: (token, cosine), volume, .. }) = &self.painted {
            let (relation, colour) = if *token == chosen.token {
                ("the same position", Palette::of(ui).caution())
            } else {
                ("another position", ui.visuals().text_color())
            };
            let (case, name) = (&preview.cases[*volume], position_name(*token, preview.grid));
            ui.label(RichText::new(format!("Most similar in {case}: {name}, {relation}, {cosine:.2}.")).color(colour));
        }
    }
}

/// Mean cosine of a token and those of other volumes at its position, and at other positions.
fn mean_cosines(maps: &TokenMaps, preview: &TokenPreview, chosen: Chosen) -> [f32; 2] {
    let (mut same, mut other) = (0.0, 0.0);
    for volume in (0..preview.cases.len()).filter(|&volume| volume != chosen.volume) {
        let cosines = maps.likeness((chosen.volume, chosen.token), volume);
        same += cosines[chosen.token];
        other += (cosines.iter().sum::<f32>() - cosines[chosen.token]) / (cosines.len() - 1).max(1) as f32;
    }
    let count = (preview.cases.len() - 1).max(1) as f32;
    [same / count, other / count]
}

/// Voxels of a token.
fn cell(preview: &TokenPreview) -> [usize; 3] {
    std::array::from_fn(|axis| (preview.crop[axis] / preview.grid[axis].max(1)).max(1))
}

/// One channel of a volume's crop.
fn voxels(preview: &TokenPreview, volume: usize, channel: usize) -> &[f32] {
    let voxels: usize = preview.crop.iter().product();
    &preview.voxels[(volume * preview.channels + channel) * voxels..][..voxels]
}
