//! The open case: its image, its label maps, and what the user set for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use eframe::egui;
use eframe::egui_wgpu::RenderState;

use super::classes::{Classes, snapshot};
use super::content::{Content, content};
use super::histogram::Histogram;
use super::layer::{Ground, Kind, Labels, Layer, Reading, SEGMENTED};
use crate::gui::slice::{Cursor, ImageTexture, LabelColours, WindowLevel, WindowPreset};
use crate::gui::theme::colour;
use crate::gui::{Background, OpenRun};
use crate::protocol::{Stage, StageKind};
use crate::volume::note::lines;
use crate::volume::{CaseFiles, Dataset, Scan, VolumeSource, load_image};

/// What to open.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// Its name.
    pub(super) title: String,
    /// The image's files.
    pub(super) images: Vec<VolumeSource>,
    /// The truth, if there is one.
    pub(super) truth: Option<VolumeSource>,
    /// Predictions that may be there: the arm's name and its file.
    pub(super) methods: Vec<(String, PathBuf)>,
    /// Label value -> name, as far as they are known.
    pub(super) labels: BTreeMap<u32, String>,
    /// Names of the channels, as far as they are known.
    pub(super) channels: Vec<String>,
    /// Whether it is a case of the list; otherwise files by themselves.
    pub(super) listed: bool,
    /// Label maps to lay over it.
    pub(super) overlays: Vec<PathBuf>,
}

impl Wanted {
    /// Files outside any dataset: one with all channels, or one for each; and label maps over them.
    pub(super) fn files(files: &[PathBuf], overlays: Vec<PathBuf>) -> Self {
        let borrowed: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        let each = files.len() > 1;
        Self {
            title: crate::volume::datalist::naming::case_name(&borrowed),
            images: files.iter().cloned().map(VolumeSource::File).collect(),
            truth: None,
            methods: Vec::new(),
            labels: BTreeMap::new(),
            channels: borrowed.iter().filter(|_| each).map(|file| crate::volume::nifti::stem(file)).collect(),
            listed: false,
            overlays,
        }
    }

    /// A case of a dataset, with the predictions of a run's `arms`.
    pub(super) fn case(dataset: &Dataset, case: &CaseFiles, run: Option<(&OpenRun, &[String])>) -> Self {
        let methods = run
            .into_iter()
            .flat_map(|(run, arms)| arms.iter().map(|arm| (method_title(arm).to_owned(), method_file(run, arm, &case.name))));
        Self {
            title: case.name.clone(),
            images: case.images.clone(),
            truth: case.label.clone(),
            methods: methods.collect(),
            labels: dataset.labels.clone(),
            channels: dataset.channels.clone(),
            listed: true,
            overlays: Vec::new(),
        }
    }
}

/// What the prediction of an arm is called.
pub(super) fn method_title(arm: &str) -> &str {
    match arm {
        "" => "prediction",
        "truth" => "arm truth",
        SEGMENTED => "arm segmented",
        arm => arm,
    }
}

fn method_file(run: &OpenRun, arm: &str, case: &str) -> PathBuf {
    let folder = run.training_folder(&Stage { kind: StageKind::Finetune, arm: arm.to_owned() });
    folder.predictions("").join(format!("{case}.nii.gz"))
}

/// What reading an image gives.
pub(super) struct ReadImage {
    scan: Arc<Scan>,
    first: Channel,
    /// Predictions whose files are there.
    methods: Vec<(String, PathBuf)>,
    /// What the user should know of its voxels.
    notices: Vec<String>,
}

/// One channel of the image, ready to be drawn.
#[derive(Clone)]
pub(super) struct Channel {
    /// For the GPU.
    pub(super) texture: ImageTexture,
    /// The window of its percentiles.
    pub(super) auto: WindowLevel,
    /// The windows of [`WindowPreset::all`], in its order.
    pub(super) presets: Arc<Vec<WindowLevel>>,
    /// How often which intensity occurs.
    pub(super) histogram: Arc<Histogram>,
}

/// Reads the image of a case; runs in the background.
///
/// # Errors
/// Everything wrong with its files, with what to do.
pub(super) fn read(wanted: &Wanted, gpu: &RenderState) -> Result<ReadImage, String> {
    // A file that was opened before may have gone; no dataset is to blame.
    let gone = wanted.images.iter().find_map(|image| match image {
        VolumeSource::File(file) if !wanted.listed && !file.exists() => Some(file),
        _ => None,
    });
    if let Some(gone) = gone {
        return Err(format!("{} is not there any more. Bring it back, or open another file", gone.display()));
    }
    let scan = load_image(&wanted.images, None).map_err(|errors| errors.to_string())?;
    let first = channel(&scan, 0, gpu);
    let methods = wanted.methods.iter().filter(|(_, file)| file.is_file()).cloned().collect();
    let mut notices = lines(&scan.notes);
    notices.extend(not_finite(&scan));
    if !wanted.listed && content(&scan) == Content::Labels {
        notices.push(format!("{} holds few whole numbers in patches, as label maps do. It is shown as an image.", scan.file.display()));
    }
    Ok(ReadImage { scan: Arc::new(scan), first, methods, notices })
}

/// What becomes of voxels that are no numbers, and how many there are, if any.
fn not_finite(scan: &Scan) -> Option<String> {
    let count = |is: fn(f32) -> bool| scan.volume.voxels.iter().filter(|value| is(**value)).count();
    let (nan, infinite) = (count(f32::is_nan), count(f32::is_infinite));
    (nan + infinite > 0)
        .then(|| format!("Voxels that are NaN ({nan}) or infinite ({infinite}) are drawn violet, and left out of window and histogram."))
}

fn channel(scan: &Scan, index: usize, gpu: &RenderState) -> Channel {
    let voxels = &scan.volume.voxels[index * scan.volume.grid.len()..][..scan.volume.grid.len()];
    let texture = ImageTexture::upload(gpu, voxels, scan.volume.grid.shape);
    let presets = Arc::new(WindowPreset::all().iter().map(|preset| preset.window(voxels)).collect());
    Channel { texture, presets, auto: WindowLevel::auto(voxels), histogram: Arc::new(Histogram::new(voxels)) }
}

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
    /// Its name.
    pub(super) title: String,
    /// The image's files.
    pub(super) images: Vec<VolumeSource>,
    /// What the user should know of it, until dismissed.
    pub(super) notices: Vec<Notice>,
    /// Whether it is a case of the list.
    pub(super) listed: bool,
    /// The image and what its label maps share.
    pub(super) ground: Ground,
    /// Names of the channels.
    pub(super) channels: Vec<String>,
    /// Which channel is shown.
    pub(super) channel: usize,
    read: Vec<Option<Background<Channel>>>,
    windows: Vec<Option<WindowLevel>>,
    /// Its label maps: truth first.
    pub(super) layers: Vec<Layer>,
    /// The crosshair.
    pub(super) cursor: Cursor,
    /// Colours and visibility of the classes.
    pub(super) colours: LabelColours,
    /// What the classes are called; a copy of what the readers of label maps share.
    pub(super) classes: Classes,
}

impl OpenCase {
    /// A case whose image has been read.
    pub(super) fn new(wanted: &Wanted, image: ReadImage, gpu: RenderState) -> Self {
        let ReadImage { scan, first, methods, notices } = image;
        let count = scan.volume.channels;
        let named = |index: usize| wanted.channels.get(index).cloned().unwrap_or_else(|| format!("channel {index}"));
        let classes = Classes::new(&wanted.labels);
        let mut read: Vec<_> = (0..count).map(|_| None).collect();
        read[0] = Some(Background::Done(first));
        let truth = wanted.truth.clone().map(|source| Layer::new("truth", Kind::Truth, source));
        let methods = methods.into_iter().map(|(arm, file)| Layer::new(arm, Kind::Method, VolumeSource::File(file)));
        Self {
            title: wanted.title.clone(),
            images: wanted.images.clone(),
            notices: notices.into_iter().map(Notice::from).collect(),
            listed: wanted.listed,
            channels: (0..count).map(named).collect(),
            channel: 0,
            read,
            windows: vec![None; count],
            layers: truth.into_iter().chain(methods).collect(),
            cursor: Cursor { voxel: scan.volume.grid.shape.map(|size| size / 2) },
            colours: LabelColours::default(),
            ground: Ground { scan, classes: Arc::new(Mutex::new(classes.clone())), gpu },
            classes,
        }
    }

    /// Takes in what has arrived. `growing`: a network is at work on a layer. The title of a file's label map that has come to lie over
    /// the image; one that cannot is taken off again, with a notice.
    pub(super) fn poll(&mut self, ctx: &egui::Context, growing: bool) -> Option<String> {
        for channel in self.read.iter_mut().flatten() {
            channel.poll();
        }
        let mut arrived = false;
        let mut laid_over = None;
        for layer in &mut self.layers {
            if !layer.poll() {
                continue;
            }
            arrived = true;
            match &mut layer.reading {
                Reading::Ready(labels) => {
                    self.notices.extend(std::mem::take(&mut labels.notes).into_iter().map(Notice::from));
                    if layer.kind == Kind::File && layer.agreement.is_none() {
                        laid_over = Some(layer.title.clone());
                    }
                }
                Reading::Failed(cause) if layer.kind == Kind::File => {
                    self.notices.push(format!("{} does not lie over the image: {cause}", layer.title).into());
                }
                _ => {}
            }
        }
        if arrived {
            self.layers.retain(|layer| layer.kind != Kind::File || !matches!(layer.reading, Reading::Failed(_)));
            self.classes = snapshot(&self.ground.classes);
        }
        let truth = self.layers.iter().find(|layer| layer.kind == Kind::Truth).and_then(Layer::labels).cloned();
        if let Some(truth) = truth {
            for layer in self.layers.iter_mut().filter(|layer| !growing || layer.kind != Kind::Segmented) {
                layer.compare(ctx, &truth, &self.ground);
            }
        }
        laid_over
    }

    /// Gives every label its colour: the user's, else that of a table beside the data, else the palette's.
    pub(super) fn recolour(&mut self, chosen: &BTreeMap<u32, [u8; 3]>) {
        for class in self.classes.in_order() {
            let value = self.classes.value(class);
            let own = chosen.get(&value).map(|&[r, g, b]| egui::Color32::from_rgb(r, g, b));
            self.colours.set_colour(class, own.unwrap_or_else(|| colour(self.classes.colour(value))));
        }
    }

    /// The channel that is shown, once it is there; asks for it if nobody has.
    pub(super) fn shown_channel(&mut self, ctx: &egui::Context) -> Option<&Channel> {
        let index = self.channel;
        if self.read[index].is_none() {
            let (scan, gpu) = (self.ground.scan.clone(), self.ground.gpu.clone());
            self.read[index] = Some(Background::start(ctx, move || channel(&scan, index, &gpu)));
        }
        self.read[index].as_ref()?.get()
    }

    /// The same, if it is there already.
    pub(super) fn channel_now(&self) -> Option<&Channel> {
        self.read[self.channel].as_ref()?.get()
    }

    /// Where the image lies; of a case inside the program, the folder that it was started from.
    pub(super) fn folder(&self) -> PathBuf {
        self.ground.scan.file.parent().filter(|folder| folder.is_dir()).unwrap_or(Path::new(".")).to_owned()
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

    /// The truth, if there is one.
    pub(super) fn truth(&self) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.kind == Kind::Truth)
    }

    /// The truth's labels, once they are there.
    pub(super) fn truth_labels(&self) -> Option<&Labels> {
        self.truth().and_then(Layer::labels)
    }

    /// The layer to show first: a prediction to look at, else the truth.
    pub(super) fn first_layer(&self) -> Option<usize> {
        let method = self.layers.iter().position(|layer| layer.kind != Kind::Truth);
        method.or_else(|| (!self.layers.is_empty()).then_some(0))
    }

    /// Puts a file's label map over the image as soon as it is read.
    pub(super) fn add_file(&mut self, ctx: &egui::Context, file: PathBuf) {
        let stem = crate::volume::nifti::stem(&file);
        // Layers are told apart by their titles.
        let taken = |title: &str| self.layers.iter().any(|layer| layer.title == title);
        let numbered = (2..).map(|number| format!("{stem} {number}"));
        let title = std::iter::once(stem.clone()).chain(numbered).find(|title| !taken(title)).unwrap_or(stem);
        let mut layer = Layer::new(title, Kind::File, VolumeSource::File(file));
        layer.want(ctx, &self.ground);
        self.layers.push(layer);
    }

    /// Takes what was segmented in this window off the image.
    pub(super) fn drop_segmentation(&mut self) {
        self.layers.retain(|layer| layer.kind != Kind::Segmented);
    }

    /// Predictions that a run has made of the case since it was opened become layers.
    pub(super) fn find_methods(&mut self, run: &OpenRun) {
        for stage in run.state().stages_of(StageKind::Test).filter(|stage| stage.scores.contains_key(&self.title)) {
            let arm = &stage.stage.arm;
            let title = method_title(arm);
            if self.layers.iter().all(|layer| layer.kind != Kind::Method || layer.title != title) {
                let source = VolumeSource::File(method_file(run, arm, &self.title));
                self.layers.push(Layer::new(title, Kind::Method, source));
            }
        }
    }

    /// Value of each channel at a voxel.
    pub(super) fn intensities(&self, [d, h, w]: [usize; 3]) -> impl Iterator<Item = f32> {
        let volume = &self.ground.scan.volume;
        let [_, height, width] = volume.grid.shape;
        let at = (d * height + h) * width + w;
        volume.voxels.iter().skip(at).step_by(volume.grid.len().max(1)).copied()
    }

    /// Class of a layer at a voxel.
    pub(super) fn class_at(&self, layer: &Layer, [d, h, w]: [usize; 3]) -> Option<u8> {
        let [_, height, width] = self.ground.scan.volume.grid.shape;
        layer.labels()?.classes.get((d * height + h) * width + w).copied()
    }

    /// Whether a label map is still on its way.
    pub(super) fn is_reading(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer.reading, Reading::Working(..)))
            || self.read.iter().flatten().any(Background::is_working)
    }
}
