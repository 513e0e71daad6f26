//! How a correction begins: a copy of the shown labels, or what a crash left of one, made on a thread of its own.

use std::path::Path;
use std::sync::PoisonError;

use eframe::egui::Context;
use eframe::egui_wgpu::RenderState;

use super::super::case::OpenCase;
use super::super::classes::{Classes, SharedClasses};
use super::super::layer::{Layer, described};
use super::correction::Origin;
use crate::edit::{ClassVolume, JournalSubject, LabelEdit, Recovered};
use crate::gui::Background;
use crate::gui::widgets::slice::VolumeTexture;
use crate::volume::VolumeSource;
use crate::volume::file::{Format, format};
use crate::volume::label_table::{LabelEntry, LabelTable};
use crate::volume::segment::Segment;

/// Title of labels that begin as none.
const NEW: &str = "labels";

/// An edit that is ready, and the labels that it is of.
pub(super) struct Begun {
    pub(super) edit: LabelEdit,
    pub(super) texture: VolumeTexture,
    pub(super) origin: Origin,
    /// What the user should know of it.
    pub(super) notices: Vec<String>,
}

/// One on its way.
pub(super) type Beginning = Background<Result<Begun, String>>;

/// Begins with a copy of a layer's labels, or with none at all. Nothing where the labels are not there yet.
pub(super) fn copy(ctx: &Context, case: &OpenCase, layer: Option<&Layer>) -> Option<Beginning> {
    let shape = case.grid().shape;
    let own = |source: &VolumeSource| source.single_file().map(Path::to_owned);
    let image = case.request.images.first()?.clone();
    let (origin, classes) = match layer {
        None => (Origin { title: NEW.to_owned(), file: None, format: image.format(), resampled: false }, None),
        Some(layer) => {
            let labels = layer.labels()?;
            let format = layer.source.as_ref().map_or(image.format(), VolumeSource::format);
            let (title, file) = (layer.title.clone(), layer.source.as_ref().and_then(own));
            (Origin { title, file, format, resampled: labels.own.is_some() }, Some(labels.classes.clone()))
        }
    };
    let subject = JournalSubject {
        image,
        scan: case.background.scan.clone(),
        title: origin.title.clone(),
        source: origin.file.clone(),
        values: case.values(),
        segments: case.segments(),
    };
    let notices = origin.resampled.then(|| {
        let grid = described(case.grid());
        let title = &origin.title;
        format!("{title} lies on a grid of its own. What is corrected and saved is what is shown of it, on the image's grid of {grid}; {title} stays as it is.")
    });
    let (grid, gpu) = (case.grid().clone(), case.background.gpu.clone());
    Some(Background::start(ctx, move || {
        let classes = classes.unwrap_or_else(|| ClassVolume::new(&vec![0; grid.len()], shape));
        let texture = on_gpu(&classes, &gpu);
        Ok(Begun { edit: LabelEdit::new(grid, classes, Some(subject)), texture, origin, notices: notices.into_iter().collect() })
    }))
}

/// Brings back what a crash left, on the image that it is of.
pub(super) fn restore(ctx: &Context, case: &OpenCase, found: Recovered) -> Beginning {
    let image = case.background.clone();
    let like_image = case.request.images.first().map_or(Format::Nifti, VolumeSource::format);
    Background::start(ctx, move || {
        let file = found.source().map(Path::to_owned);
        let format = file.as_deref().map_or(like_image, format);
        let origin = Origin { title: found.title().to_owned(), file, format, resampled: false };
        let notices = found.source_notice();
        let entry = |(value, segment): (u32, Segment)| (value, LabelEntry { name: Some(segment.name), colour: segment.colour });
        let table = LabelTable { file: found.path().to_owned(), entries: found.segments().into_iter().map(entry).collect() };
        locked(&image.classes, |classes| classes.learn_table(&table));
        let edit = found.restore(&image.scan, |value| locked(&image.classes, |classes| classes.class_of(value)))?;
        let texture = on_gpu(edit.classes(), &image.gpu);
        Ok(Begun { edit, texture, origin, notices: notices.into_iter().collect() })
    })
}

fn locked<T>(classes: &SharedClasses, work: impl FnOnce(&mut Classes) -> T) -> T {
    work(&mut classes.lock().unwrap_or_else(PoisonError::into_inner))
}

fn on_gpu(classes: &ClassVolume, gpu: &RenderState) -> VolumeTexture {
    VolumeTexture::labels(gpu, &classes.slices().collect::<Vec<_>>().concat(), classes.shape())
}
