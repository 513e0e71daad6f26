//! The crop, its views and the restored tokens, side by side and linked.

use std::sync::Arc;

use eframe::egui::{Label, RichText, Sense, Ui, UiBuilder, vec2};
use eframe::egui_wgpu::RenderState;

use super::volumes::{Content, Masked, Shown, mask, of_channel, upload};
use crate::gui::widgets::slice::{Cursor, LabelColours, Plane, Scene, SliceSettings, SliceView, Style, TokenOverlay, WindowLevel};
use crate::gui::{Background, Settings};
use crate::worker::views::DrawnViews;

/// Voxels of a crop that are masked and sent to the GPU within a frame; more take a thread of their own.
const AT_ONCE: usize = 1 << 18;

/// The panes.
#[derive(Default)]
pub(super) struct Panes {
    drawn: Option<Arc<DrawnViews>>,
    shown: Vec<Shown>,
    window: Option<WindowLevel>,
    masking: Option<(f64, Background<Vec<Masked>>)>,
    masked_at: Option<f64>,
    views: [SliceView; 4],
    pub(super) plane: Option<Plane>,
    pub(super) cursor: Cursor,
    /// The rotated view shows the slice of the same number instead of the same anatomy.
    pub(super) same_slice: bool,
    pub(super) channel: usize,
    channel_shown: usize,
    colours: LabelColours,
    /// The pane that is shown alone.
    pub(super) alone: Option<usize>,
}

impl Panes {
    /// Brings the volumes up to the newest views and the ratio.
    pub(super) fn refresh(&mut self, ui: &Ui, gpu: &RenderState, drawn: &Arc<DrawnViews>, ratio: f64) {
        let channel = self.channel.min(drawn.channels - 1);
        let is_new = self.drawn.as_ref().is_none_or(|known| !Arc::ptr_eq(known, drawn)) || channel != self.channel_shown;
        if is_new {
            if self.drawn.as_ref().is_none_or(|known| known.crop != drawn.crop) {
                self.cursor = Cursor::middle(drawn.crop);
            }
            (self.drawn, self.channel_shown) = (Some(drawn.clone()), channel);
            (self.masking, self.masked_at) = (None, None);
            self.window = Some(WindowLevel::auto(of_channel(&drawn.original, drawn, channel)));
            self.shown = upload(gpu, drawn, channel);
            self.alone = self.alone.filter(|&alone| alone < self.shown.len());
        }
        if self.masking.as_mut().is_some_and(|(_, masking)| masking.poll())
            && let Some((ratio, masking)) = self.masking.take()
        {
            self.show_masked(ratio, masking.take().unwrap_or_default());
        }
        if self.masked_at == Some(ratio) || self.masking.is_some() {
            return;
        }
        if drawn.original.len() <= AT_ONCE {
            self.show_masked(ratio, mask(gpu, drawn, channel, ratio));
        } else {
            let (gpu, drawn) = (gpu.clone(), drawn.clone());
            self.masking = Some((ratio, Background::start(ui.ctx(), move || mask(&gpu, &drawn, channel, ratio))));
        }
    }

    fn show_masked(&mut self, ratio: f64, masked: Vec<Masked>) {
        self.masked_at = Some(ratio);
        for Masked { view, mask, image } in masked {
            if let Some(shown) = self.shown.iter_mut().find(|shown| shown.content == Content::View(view)) {
                (shown.image, shown.mask) = (image, mask);
            }
        }
    }

    /// Draws the panes side by side, each `height` points high under its title.
    pub(super) fn show(&mut self, ui: &mut Ui, settings: &Settings, height: f32) {
        let Some(drawn) = self.drawn.clone() else { return };
        let shown: Vec<usize> = (0..self.shown.len()).filter(|index| self.alone.is_none_or(|alone| alone == *index)).collect();
        let one_view = drawn.views.len() == 1 && self.alone.is_none();
        let count = (shown.len() + usize::from(one_view)).max(1) as f32;
        let width = (ui.available_width() - 10.0 * (count - 1.0)) / count;
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 10.0;
            for index in shown {
                ui.vertical(|ui| {
                    ui.set_width(width);
                    ui.spacing_mut().item_spacing.y = 2.0;
                    let (title, what, meaning) = self.shown[index].content.words(&drawn);
                    ui.strong(title).on_hover_text(meaning);
                    ui.add(Label::new(RichText::new(what).small()).truncate()).on_hover_text(meaning);
                    let (rect, _) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
                    let mut pane = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(index));
                    self.pane(&mut pane, index, &drawn, settings);
                });
            }
            if one_view {
                ui.vertical(|ui| {
                    ui.set_width(width);
                    ui.strong("No second view");
                    ui.label(
                        "This pretext task predicts what is masked from what is left: it compares no views, and rotates and restores nothing.",
                    );
                });
            }
        });
    }

    fn pane(&mut self, ui: &mut Ui, index: usize, drawn: &DrawnViews, settings: &Settings) {
        let (shown, view) = (&self.shown[index], &mut self.views[index]);
        let (plane, rotation) = (self.plane.unwrap_or(Plane::Axial), shown.content.rotation(drawn));
        view.rotated = !rotation.is_identity();
        let cell = if shown.mask.is_empty() { rotation.shape(drawn.token) } else { drawn.cell };
        // A mean of a patch has no neighbours to blend with.
        let slices = SliceSettings { linear: settings.slices.linear && shown.content != Content::Restored, ..settings.slices.clone() };
        let window = self.window.unwrap_or(WindowLevel { low: 0.0, high: 1.0 });
        let style = Style { window, colours: &self.colours, settings: &slices, convention: settings.convention };
        let numbers: &[u32] = if shown.mask.is_empty() { &shown.numbers } else { &[] };
        let tokens = TokenOverlay { numbers, masked: &shown.mask, ..TokenOverlay::new(cell) };
        let scene = Scene { tokens: Some(tokens), ..Scene::new(&shown.grid, &shown.image, style) };
        // The rotated view has a crosshair of its own, on the same anatomy or the same slice.
        let follows = view.rotated && !self.same_slice;
        let voxel = self.cursor.voxel;
        let before = Cursor { voxel: if follows { rotation.voxel(voxel, drawn.crop) } else { voxel } };
        let mut cursor = before;
        let seen = view.show(ui, plane, &scene, (&mut cursor, &settings.keys));
        if cursor != before {
            let back = || rotation.inverse().voxel(cursor.voxel, rotation.shape(drawn.crop));
            self.cursor.voxel = if follows { back() } else { cursor.voxel };
        }
        if seen.maximise {
            self.alone = if self.alone.is_none() { Some(index) } else { None };
        }
        let auto = || seen.auto_window.then(|| WindowLevel::auto(of_channel(&drawn.original, drawn, self.channel_shown)));
        self.window = seen.window.or_else(auto).or(self.window);
    }

    /// Masked cells of the first view.
    #[cfg(test)]
    pub(super) fn masked(&self) -> usize {
        let shown = self.shown.iter().find(|shown| shown.content == Content::View(0));
        shown.map_or(0, |shown| shown.mask.iter().filter(|&&masked| masked).count())
    }
}
