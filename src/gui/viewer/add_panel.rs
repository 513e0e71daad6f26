//! The panel's side of adding to a training set: what is offered, and with which prediction it is compared.

use std::path::{Path, PathBuf};

use eframe::egui::Context;

use super::ViewerPanel;
use super::add_case::CorrectedCase;
use super::case::OpenCase;
use super::edit::SavedCorrection;
use super::layer::{Kind, Layer};
use crate::corrections::Prediction;
use crate::gui::Workspace;
use crate::volume::LabelMap;

impl ViewerPanel {
    /// Draws the dialog, if it is open; a dataset that has changed is listed anew.
    pub(super) fn show_adding(&mut self, ctx: &Context, workspace: &mut Workspace) {
        if self.adding.show(ctx, workspace) {
            self.list.again(ctx);
        }
    }

    /// Whether the labels that are shown are in a file of their own, which may be added to a training set.
    pub(super) fn shows_file(&self) -> bool {
        self.open.as_ref().and_then(|case| self.views.shown_layer(case)).is_some_and(|layer| layer.kind == Kind::File)
    }

    /// Offers the labels that are shown, where they are in a file of their own. They are compared with a run's prediction, if there is one
    /// alone; else with what was segmented in this window.
    pub(super) fn offer_shown_labels(&mut self) {
        let Some(case) = &self.open else { return };
        let Some(label) = self.views.shown_layer(case).filter(|layer| layer.kind == Kind::File).and_then(file_of) else { return };
        let mut methods = case.layers.iter().filter(|layer| layer.kind == Kind::Method);
        let only = methods.next().filter(|_| methods.next().is_none());
        let predicted = only.or_else(|| case.of_kind(Kind::Segmented)).and_then(|layer| self.prediction(case, layer));
        let (name, images) = (case.request.title.clone(), case.request.images.clone());
        self.offer_case(CorrectedCase { name, images, label, predicted: None, network: None }, predicted);
    }

    /// Offers a correction that was saved. It is compared with what was corrected, unless that was a truth.
    pub(super) fn offer_correction(&mut self, saved: SavedCorrection) {
        let SavedCorrection { case: name, images, origin, predicted, corrected: label, .. } = saved;
        let open = self.open.as_ref().filter(|case| case.request.images == images);
        let layer = open.and_then(|case| Some((case, case.layer(Some(&origin))?)));
        let predicted = match layer {
            Some((_, layer)) if layer.kind == Kind::Truth => None,
            Some((case, layer)) => self.prediction(case, layer),
            None => predicted.map(|file| (Prediction::File(file.clone()), network_of(&file))),
        };
        self.offer_case(CorrectedCase { name, images, label, predicted: None, network: None }, predicted);
    }

    fn offer_case(&mut self, case: CorrectedCase, predicted: Option<(Prediction, Option<String>)>) {
        let (predicted, network) = predicted.unzip();
        self.adding.offer(CorrectedCase { predicted, network: network.flatten(), ..case }, self.list.source().cloned());
    }

    /// A layer as a prediction, with its network as far as it is known.
    fn prediction(&self, case: &OpenCase, layer: &Layer) -> Option<(Prediction, Option<String>)> {
        if layer.kind != Kind::Segmented {
            let file = file_of(layer)?;
            let network = network_of(&file);
            return Some((Prediction::File(file), network));
        }
        let values = case.values();
        let classes = layer.labels()?.classes.slices().flatten();
        let voxels = classes.map(|&class| values.get(usize::from(class)).copied().unwrap_or(0)).collect();
        let network = self.segmenting.network().map(str::to_owned);
        Some((Prediction::Labels(LabelMap { grid: case.grid().clone(), voxels }), network))
    }
}

/// The file of a label map.
fn file_of(layer: &Layer) -> Option<PathBuf> {
    layer.source.as_ref()?.single_file().map(Path::to_owned)
}

/// The training that predicted a file, where the file lies with it.
fn network_of(file: &Path) -> Option<String> {
    let folder = file.parent().filter(|folder| folder.ends_with("predictions"))?;
    folder.parent().map(|training| training.display().to_string())
}
