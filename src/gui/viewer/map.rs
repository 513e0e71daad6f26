//! A map over the open image: numbers on its grid, such as the entropy of a segmentation or the probability of a class, as translucent colours with their scale.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{Align2, Color32, Context, Rect, TextStyle, Ui, vec2};
use eframe::egui_wgpu::RenderState;

use super::layer::{BackgroundImage, described};
use crate::geometry::ravel;
use crate::gui::Background;
use crate::gui::widgets::colour_bar;
use crate::gui::widgets::slice::VolumeTexture;
use crate::volume::file::{self, is_entropy, is_probabilities};
use crate::volume::{Volume, grid_fault};

/// Share of the scale below which nothing is painted, so that the image stays as it is where there is nothing to see.
const LEAST_SHARE: f32 = 0.02;
/// The colour bar's width and greatest height, and the room for its numbers, in points.
const BAR: (f32, f32, f32) = (10.0, 120.0, 36.0);
/// Points from the pane's corner.
const EDGE: f32 = 8.0;

/// All that a map's file holds.
struct Numbers {
    /// `[channel, D, H, W]`.
    voxels: Vec<f32>,
    shape: [usize; 3],
    /// What each channel shows, with its unit where that is known.
    titles: Vec<String>,
    /// Whether they are probabilities, whose scale is that of all probabilities.
    probabilities: bool,
}

impl Numbers {
    fn channel(&self, channel: usize) -> &[f32] {
        let voxels: usize = self.shape.iter().product();
        &self.voxels[channel * voxels..][..voxels]
    }
}

/// One channel of a map as it is shown.
#[derive(Clone)]
pub(super) struct HeatMap {
    pub(super) texture: VolumeTexture,
    numbers: Arc<Numbers>,
    pub(super) channel: usize,
    /// Lowest and highest number of the scale.
    range: [f32; 2],
}

/// A map that is shown, or on its way.
pub(super) struct MapLayer {
    file: PathBuf,
    map: Option<HeatMap>,
    /// The file, or another channel of it, on its way.
    work: Option<Background<Result<HeatMap, String>>>,
    pub(super) shown: bool,
}

impl MapLayer {
    /// Starts reading a map; `labels` name the classes of probabilities, as far as they are known.
    pub(super) fn read(ctx: &Context, path: PathBuf, image: &BackgroundImage, labels: &BTreeMap<u32, String>) -> Self {
        let (file, image, labels) = (path.clone(), image.clone(), labels.clone());
        let work = Background::start(ctx, move || read(&file, &image, &labels));
        Self { file: path, map: None, work: Some(work), shown: true }
    }

    /// Starts showing another channel; that before stays until it is there.
    pub(super) fn choose(&mut self, ctx: &Context, channel: usize, gpu: RenderState) {
        let Some(map) = self.map.as_ref().filter(|map| map.channel != channel) else { return };
        let numbers = map.numbers.clone();
        self.work = Some(Background::start(ctx, move || HeatMap::new(numbers, channel, &gpu)));
    }

    /// Looks whether it has arrived; why it cannot be shown, if it cannot.
    pub(super) fn poll(&mut self) -> Option<String> {
        if !self.work.as_mut().is_some_and(Background::poll) {
            return None;
        }
        let cause = match self.work.take().and_then(Background::take) {
            Some(Ok(map)) => {
                self.map = Some(map);
                return None;
            }
            Some(Err(cause)) => cause,
            None => "reading ended by a fault of the program; open it again".to_owned(),
        };
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        Some(format!("{name} does not lie over the image: {cause}"))
    }

    pub(super) fn is_reading(&self) -> bool {
        self.work.is_some()
    }

    /// The map, once it is there.
    pub(super) fn map(&self) -> Option<&HeatMap> {
        self.map.as_ref()
    }
}

fn read(path: &Path, image: &BackgroundImage, labels: &BTreeMap<u32, String>) -> Result<HeatMap, String> {
    let Volume { channels, grid, voxels } = file::read(path).map_err(|error| error.to_string())?.volume;
    let own = &image.scan.volume.grid;
    if let Some(fault) = grid_fault(&grid, own, &image.scan.file) {
        return Err(format!("{}; a map must lie on the image's own grid of {}", fault.at(path), described(own)));
    }
    let probabilities = is_probabilities(path);
    let titles = if probabilities {
        class_names(channels, labels).into_iter().map(|name| format!("probability of {name}")).collect()
    } else if channels > 1 {
        (0..channels).map(|channel| format!("{}, channel {channel}", file::stem(path))).collect()
    } else {
        vec![if is_entropy(path) { "entropy, nats".to_owned() } else { file::stem(path) }]
    };
    // The background is seldom what is looked for.
    let first = usize::from(probabilities && channels > 1);
    let numbers = Numbers { voxels, shape: grid.shape, titles, probabilities };
    HeatMap::new(Arc::new(numbers), first, &image.gpu).map_err(|cause| format!("{}: {cause}", path.display()))
}

/// What the channels of probabilities are called: they stand in the order of the label table. Where the known labels are not as many,
/// these are not the network's, and classes have their number only.
fn class_names(channels: usize, labels: &BTreeMap<u32, String>) -> Vec<String> {
    if labels.len() == channels {
        return labels.values().cloned().collect();
    }
    (0..channels).map(|class| format!("class {class}")).collect()
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
    /// Prepares a channel.
    fn new(numbers: Arc<Numbers>, channel: usize, gpu: &RenderState) -> Result<Self, String> {
        let values = numbers.channel(channel);
        let own = || range(values).ok_or_else(|| format!("no voxel of {} holds a finite number", numbers.titles[channel]));
        let range = if numbers.probabilities { [0.0, 1.0] } else { own()? };
        let painted: Vec<f32> = values.iter().map(|&value| share(value, range)).collect();
        Ok(Self { texture: VolumeTexture::heat(gpu, &painted, numbers.shape), numbers, channel, range })
    }

    /// What is shown, with its unit where that is known.
    pub(super) fn title(&self) -> &str {
        &self.numbers.titles[self.channel]
    }

    /// What each channel shows.
    pub(super) fn titles(&self) -> &[String] {
        &self.numbers.titles
    }

    /// The number of a voxel (D,H,W) of the image.
    pub(super) fn value(&self, voxel: [usize; 3]) -> Option<f32> {
        self.numbers.channel(self.channel).get(ravel(voxel, self.numbers.shape)).copied()
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
        let title = painter.layout_no_wrap(self.title().to_owned(), font.clone(), Color32::WHITE);
        let room = vec2(title.size().x.max(width + numbers), height + title.size().y + 4.0);
        let behind = Rect::from_min_max(bar.left_bottom() - vec2(0.0, room.y), bar.left_bottom() + vec2(room.x, 0.0));
        painter.rect_filled(behind.expand(4.0), 3.0, Color32::from_black_alpha(170));
        painter.text(behind.left_top(), Align2::LEFT_TOP, self.title(), font.clone(), Color32::WHITE);
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
        assert!(is_probabilities(Path::new("out/probabilities/a.nrrd")) && !is_probabilities(Path::new("probabilities/a/b.nii")));
    }

    #[test]
    fn channels_are_called_by_the_label_table_where_it_has_as_many_labels() {
        let labels = BTreeMap::from([(0, "background".to_owned()), (7, "tumour".to_owned()), (2, "liver".to_owned())]);
        assert_eq!(class_names(3, &labels), ["background", "liver", "tumour"]);
        assert_eq!(class_names(2, &labels), ["class 0", "class 1"]);
    }
}
