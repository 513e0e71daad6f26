//! The open case: its image, its label maps, and what the user set for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use eframe::egui::{Color32, Context};
use eframe::egui_wgpu::RenderState;

use super::classes::{Classes, snapshot};
use super::image::{Channel, ImageRequest, ReadImage, method_file, method_title};
use super::layer::{BackgroundImage, Kind, Labels, Layer};
use super::map::{HeatMap, MapLayer};
use super::measurements::Measurements;
use crate::geometry::{Grid, ravel};
use crate::gui::theme::colour;
use crate::gui::widgets::slice::{Cursor, LabelColours, VolumeTexture, WindowLevel};
use crate::gui::{Background, OpenRun};
use crate::protocol::StageKind;
use crate::volume::VolumeSource;
use crate::volume::file::{is_entropy, is_probabilities};
use crate::volume::segment::{Segment, Segments};

/// Something that the user should know of the open volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// In words.
    pub(super) text: String,
    /// A file that was taken for a label map, and might be an image.
    pub(super) taken_for_labels: Option<PathBuf>,
}

impl From<String> for Notice {
    fn from(text: String) -> Self {
        Self { text, taken_for_labels: None }
    }
}

/// The open case.
pub(super) struct OpenCase {
    /// What was asked for.
    pub(super) request: ImageRequest,
    /// What the user should know of it, until dismissed.
    pub(super) notices: Vec<Notice>,
    pub(super) background: BackgroundImage,
    /// Names of the channels.
    pub(super) channels: Vec<String>,
    /// Which channel is shown.
    pub(super) channel: usize,
    read: Vec<Option<Background<Channel>>>,
    windows: Vec<Option<WindowLevel>>,
    /// Its label maps: truth first.
    pub(super) layers: Vec<Layer>,
    /// Numbers over the image, such as entropy.
    pub(super) map: Option<MapLayer>,
    pub(super) measurements: Measurements,
    pub(super) cursor: Cursor,
    /// Colours and visibility of the classes.
    pub(super) colours: LabelColours,
    /// What the classes are called; a copy of what the readers of label maps share.
    pub(super) classes: Classes,
}

impl OpenCase {
    /// A case whose image has been read.
    pub(super) fn new(request: ImageRequest, image: ReadImage, gpu: RenderState) -> Self {
        let ReadImage { scan, first, methods, notices } = image;
        let count = scan.volume.channels;
        let named = |index: usize| request.channels.get(index).cloned().unwrap_or_else(|| format!("channel {index}"));
        let classes = Classes::new(&request.labels);
        let mut read: Vec<_> = (0..count).map(|_| None).collect();
        read[0] = Some(Background::Done(first));
        let truth = request.truth.clone().map(|source| Layer::new("truth", Kind::Truth, Some(source)));
        let methods = methods.into_iter().map(|(arm, file)| Layer::new(arm, Kind::Method, Some(VolumeSource::File(file))));
        Self {
            notices: notices.into_iter().map(Notice::from).collect(),
            channels: (0..count).map(named).collect(),
            channel: 0,
            read,
            windows: vec![None; count],
            layers: truth.into_iter().chain(methods).collect(),
            map: None,
            measurements: Measurements::default(),
            cursor: Cursor::middle(scan.volume.grid.shape),
            colours: LabelColours::default(),
            background: BackgroundImage { scan, classes: Arc::new(Mutex::new(classes.clone())), gpu },
            classes,
            request,
        }
    }

    /// Takes in what has arrived. `growing`: a network is at work on a layer. The title of a file's label map that has come to lie over
    /// the image; one that cannot is taken off again, with a notice.
    pub(super) fn poll(&mut self, ctx: &Context, growing: bool) -> Option<String> {
        for channel in self.read.iter_mut().flatten() {
            channel.poll();
        }
        if let Some(cause) = self.map.as_mut().and_then(|map| map.poll()) {
            self.notices.push(cause.into());
            self.map = self.map.take().filter(|map| map.map().is_some());
        }
        let mut arrived = false;
        let mut laid_over = None;
        for layer in self.layers.iter_mut().filter_map(|layer| layer.poll().then_some(layer)) {
            arrived = true;
            let is_file = layer.kind == Kind::File;
            if let Some(notes) = layer.take_notes() {
                self.notices.extend(notes.into_iter().map(Notice::from));
                laid_over = is_file.then(|| layer.title.clone()).or(laid_over);
            }
            if let Some(cause) = layer.fault.as_ref().filter(|_| is_file) {
                self.notices.push(format!("{} does not lie over the image: {cause}", layer.title).into());
            }
        }
        if arrived {
            self.layers.retain(|layer| layer.kind != Kind::File || layer.fault.is_none());
            self.classes = snapshot(&self.background.classes);
        }
        if let Some(truth) = self.truth_labels().cloned() {
            // What is painted on is counted after each stroke.
            let still = |layer: &&mut Layer| layer.kind != Kind::Corrected && (!growing || layer.kind != Kind::Segmented);
            for layer in self.layers.iter_mut().filter(still) {
                layer.compare(ctx, &truth, &self.background);
            }
        }
        laid_over
    }

    /// Gives every label its colour: the user's, else that of a table beside the data, else the palette's.
    pub(super) fn recolour(&mut self, chosen: &BTreeMap<u32, [u8; 3]>) {
        for class in self.classes.in_order() {
            let value = self.classes.value(class);
            let own = chosen.get(&value).map(|&[r, g, b]| Color32::from_rgb(r, g, b));
            self.colours.set_colour(class, own.unwrap_or_else(|| colour(self.classes.colour(value))));
        }
    }

    /// Where its voxels lie.
    pub(super) fn grid(&self) -> &Grid {
        &self.background.scan.volume.grid
    }

    /// Prepares the channel that is shown, if nobody has.
    pub(super) fn want_channel(&mut self, ctx: &Context) {
        let index = self.channel;
        if self.read[index].is_none() {
            let (scan, gpu) = (self.background.scan.clone(), self.background.gpu.clone());
            self.read[index] = Some(Background::start(ctx, move || Channel::new(&scan, index, &gpu)));
        }
    }

    /// The channel that is shown, once it is there.
    pub(super) fn channel_now(&self) -> Option<&Channel> {
        self.read[self.channel].as_ref()?.get()
    }

    /// Where the image lies; of a case inside the program, the folder that it was started from.
    pub(super) fn folder(&self) -> PathBuf {
        self.background.scan.file.parent().filter(|folder| folder.is_dir()).unwrap_or(Path::new(".")).to_owned()
    }

    /// The window of the shown channel: the user's, else that of its percentiles.
    pub(super) fn window(&self) -> WindowLevel {
        let auto = || self.channel_now().map_or(WindowLevel { low: 0.0, high: 1.0 }, |channel| channel.auto);
        self.windows[self.channel].unwrap_or_else(auto)
    }

    /// Sets the window of the shown channel; none: that of its percentiles.
    pub(super) fn set_window(&mut self, window: Option<WindowLevel>) {
        self.windows[self.channel] = window;
    }

    /// The layer of a title.
    pub(super) fn layer(&self, title: Option<&str>) -> Option<&Layer> {
        self.layers.iter().find(|layer| Some(layer.title.as_str()) == title)
    }

    /// The first layer of a kind.
    pub(super) fn of_kind(&self, kind: Kind) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.kind == kind)
    }

    /// The truth's labels, once they are there.
    pub(super) fn truth_labels(&self) -> Option<&Labels> {
        self.of_kind(Kind::Truth)?.labels()
    }

    /// The labels of a layer, and of the truth that they differ from, as the GPU has them.
    pub(super) fn overlay(&self, title: Option<&str>) -> [Option<VolumeTexture>; 2] {
        let layer = self.layer(title);
        let truth = layer.filter(|layer| layer.kind != Kind::Truth).and(self.truth_labels());
        [layer.and_then(Layer::labels), truth].map(|labels| labels.map(|labels| labels.texture.clone()))
    }

    /// The map over the image, where one is shown.
    pub(super) fn shown_map(&self) -> Option<&HeatMap> {
        self.map.as_ref().filter(|map| map.shown)?.map()
    }

    /// Puts numbers over the open image, in place of those before.
    pub(super) fn add_map(&mut self, ctx: &Context, file: PathBuf) {
        self.map = Some(MapLayer::read(ctx, file, &self.background, &self.request.labels));
    }

    /// Puts a file's label map over the open image as soon as it is read; a map of numbers as colours.
    pub(super) fn add_file(&mut self, ctx: &Context, file: PathBuf) {
        if is_entropy(&file) || is_probabilities(&file) {
            return self.add_map(ctx, file);
        }
        let title = self.free_title(&crate::volume::file::stem(&file));
        let mut layer = Layer::new(title, Kind::File, Some(VolumeSource::label_map(file, &self.request.images)));
        layer.want(ctx, &self.background);
        self.layers.push(layer);
    }

    /// A title that no layer has: titles are unique.
    pub(super) fn free_title(&self, wanted: &str) -> String {
        let numbered = (2..).map(|number| format!("{wanted} {number}"));
        let free = std::iter::once(wanted.to_owned()).chain(numbered).find(|title| self.layer(Some(title)).is_none());
        free.expect("a case has finitely many layers")
    }

    /// Predictions that a run has made of the case since it was opened become layers.
    pub(super) fn find_methods(&mut self, run: &OpenRun) {
        for stage in run.stages_of(StageKind::Test).filter(|stage| stage.scores.contains_key(&self.request.title)) {
            let arm = &stage.stage.arm;
            let title = method_title(arm);
            if self.layers.iter().all(|layer| layer.kind != Kind::Method || layer.title != title) {
                let source = VolumeSource::File(method_file(run, arm, &self.request.title));
                self.layers.push(Layer::new(title, Kind::Method, Some(source)));
            }
        }
    }

    /// Value of each channel at a voxel.
    pub(super) fn intensities(&self, voxel: [usize; 3]) -> impl Iterator<Item = f32> {
        self.background.scan.volume.voxels.iter().skip(ravel(voxel, self.grid().shape)).step_by(self.grid().len().max(1)).copied()
    }

    /// The label value of each class; 0 of a class whose value no label map can hold, and which therefore is in none.
    pub(super) fn values(&self) -> Vec<u16> {
        (0..=u8::MAX).take(self.classes.len()).map(|class| u16::try_from(self.classes.value(class)).unwrap_or(0)).collect()
    }

    /// The classes that a label map can hold, in the order of their numbers.
    pub(super) fn paintable(&self) -> Vec<u8> {
        self.classes.in_order().into_iter().filter(|&class| self.classes.value(class) <= u32::from(u16::MAX)).collect()
    }

    /// What label values are called and shown in.
    pub(super) fn segments(&self) -> Segments {
        let segment = |class: u8| {
            let [red, green, blue, _] = self.colours.get(class).colour.to_array();
            (self.classes.value(class), Segment { name: self.classes.name(class).to_owned(), colour: [red, green, blue] })
        };
        self.classes.in_order().into_iter().map(segment).collect()
    }

    /// Adds a label; its class.
    ///
    /// # Errors
    /// More labels than a byte can tell apart, in words.
    pub(super) fn add_label(&mut self, value: u16, name: &str, colour: [u8; 3]) -> Result<u8, String> {
        let mut shared = self.background.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let class = shared.add(value, name, colour)?;
        self.classes = shared.clone();
        Ok(class)
    }

    /// Class of a layer at a voxel.
    pub(super) fn class_at(&self, layer: &Layer, voxel: [usize; 3]) -> Option<u8> {
        layer.labels()?.classes.get(voxel)
    }

    /// Whether a label map or a channel is still on its way.
    pub(super) fn is_reading(&self) -> bool {
        self.map.as_ref().is_some_and(MapLayer::is_reading)
            || self.layers.iter().any(Layer::is_reading)
            || self.read.iter().flatten().any(Background::is_working)
    }
}
