//! A map over the open image: numbers on its grid, such as the entropy of a segmentation, as translucent colours with their scale.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{Align2, Color32, Context, Rect, TextStyle, Ui, vec2};

use super::layer::{BackgroundImage, described};
use crate::geometry::ravel;
use crate::gui::Background;
use crate::gui::widgets::colour_bar;
use crate::gui::widgets::slice::VolumeTexture;
use crate::volume::file::{self, is_entropy};
use crate::volume::grid_fault;

/// Share of the scale below which nothing is painted, so that the image stays as it is where there is nothing to see.
const LEAST_SHARE: f32 = 0.02;
/// The colour bar's width and greatest height, and the room for its numbers, in points.
const BAR: (f32, f32, f32) = (10.0, 120.0, 36.0);
/// Points from the pane's corner.
const EDGE: f32 = 8.0;

/// A map in memory.
#[derive(Clone)]
pub(super) struct HeatMap {
    /// What it shows, with its unit where that is known.
    pub(super) title: String,
    pub(super) texture: VolumeTexture,
    values: Arc<Vec<f32>>,
    /// Lowest and highest number of the scale.
    range: [f32; 2],
}

/// A map that is shown, or on its way.
pub(super) struct MapLayer {
    file: PathBuf,
    work: Background<Result<HeatMap, String>>,
    pub(super) shown: bool,
}

impl MapLayer {
    /// Starts reading a map.
    pub(super) fn read(ctx: &Context, path: PathBuf, image: &BackgroundImage) -> Self {
        let (file, image) = (path.clone(), image.clone());
        Self { file: path, work: Background::start(ctx, move || read(&file, &image)), shown: true }
    }

    /// Looks whether it has arrived; why it cannot be shown, if it cannot.
    pub(super) fn poll(&mut self) -> Option<String> {
        self.work.poll();
        let cause = match self.work.get() {
            Some(Ok(_)) => return None,
            Some(Err(cause)) => cause,
            None if self.is_reading() => return None,
            None => "reading ended by a fault of the program; open it again",
        };
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        Some(format!("{name} does not lie over the image: {cause}"))
    }

    pub(super) fn is_reading(&self) -> bool {
        self.work.is_working()
    }

    /// The map, once it is there.
    pub(super) fn map(&self) -> Option<&HeatMap> {
        self.work.get()?.as_ref().ok()
    }
}

fn read(path: &Path, image: &BackgroundImage) -> Result<HeatMap, String> {
    let scan = file::read(path).map_err(|error| error.to_string())?;
    let volume = scan.volume;
    if volume.channels != 1 {
        return Err(format!("{} has {} channels; a map has one number for each voxel", path.display(), volume.channels));
    }
    let own = &image.scan.volume.grid;
    if let Some(fault) = grid_fault(&volume.grid, own, &image.scan.file) {
        return Err(format!("{}; a map must lie on the image's own grid of {}", fault.at(path), described(own)));
    }
    let range = range(&volume.voxels).ok_or_else(|| format!("{}: no voxel holds a finite number", path.display()))?;
    let painted: Vec<f32> = volume.voxels.iter().map(|&value| share(value, range)).collect();
    let title = if is_entropy(path) { "entropy, nats".to_owned() } else { file::stem(path) };
    Ok(HeatMap { title, texture: VolumeTexture::heat(&image.gpu, &painted, volume.grid.shape), values: Arc::new(volume.voxels), range })
}

/// The scale of a map: from 0, or below it its least number, to its greatest; none where no number is finite.
fn range(values: &[f32]) -> Option<[f32; 2]> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().reduce(f32::min)?.min(0.0), finite().reduce(f32::max)?);
    Some([low, if high > low { high } else { low + 1.0 }])
}

/// Where a number lies on the scale; NaN, which is not painted, near its lower end.
fn share(value: f32, [low, high]: [f32; 2]) -> f32 {
    let share = (value - low) / (high - low);
    if share.is_finite() && share >= LEAST_SHARE { share } else { f32::NAN }
}

impl HeatMap {
    /// The number of a voxel (D,H,W) of the image.
    pub(super) fn value(&self, voxel: [usize; 3], shape: [usize; 3]) -> Option<f32> {
        self.values.get(ravel(voxel, shape)).copied()
    }

    /// What the mouse says of it.
    pub(super) fn hint(&self) -> String {
        let [low, high] = self.range;
        format!("Colours from {low:.2} to {high:.2}; the lowest {:.0} % of the scale are not painted", LEAST_SHARE * 100.0)
    }

    /// Draws its scale into the lower left corner of a pane.
    pub(super) fn draw_scale(&self, ui: &Ui, pane: Rect) {
        let painter = ui.painter_at(pane);
        let (width, most, numbers) = BAR;
        let font = TextStyle::Small.resolve(ui.style());
        let height = most.min(pane.height() * 0.3);
        let bar = Rect::from_min_size(pane.left_bottom() + vec2(EDGE, -EDGE - height), vec2(width, height));
        let title = painter.layout_no_wrap(self.title.clone(), font.clone(), Color32::WHITE);
        let room = vec2(title.size().x.max(width + numbers), height + title.size().y + 4.0);
        let behind = Rect::from_min_max(bar.left_bottom() - vec2(0.0, room.y), bar.left_bottom() + vec2(room.x, 0.0));
        painter.rect_filled(behind.expand(4.0), 3.0, Color32::from_black_alpha(170));
        painter.text(behind.left_top(), Align2::LEFT_TOP, &self.title, font.clone(), Color32::WHITE);
        let [low, high] = self.range;
        colour_bar(&painter, bar, [low, (low + high) / 2.0, high], (font, Color32::WHITE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_begins_at_nought_and_leaves_its_lower_end_unpainted() {
        let found = range(&[0.3, f32::NAN, 1.0, f32::INFINITY]).unwrap();
        assert_eq!(found, [0.0, 1.0]);
        assert!((share(0.3, found) - 0.3).abs() < 1e-6 && share(1.0, found) == 1.0);
        assert!([0.0, 0.01, f32::NAN, f32::INFINITY].iter().all(|&value| share(value, found).is_nan()));
        assert_eq!((range(&[-2.0, 2.0]), range(&[0.0, 0.0]), range(&[f32::NAN])), (Some([-2.0, 2.0]), Some([0.0, 1.0]), None));
        assert!(is_entropy(Path::new("out/entropy/a.nii.gz")) && !is_entropy(Path::new("out/a.nii.gz")));
    }
}
