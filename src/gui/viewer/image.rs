//! Reading the image of a case: what was asked for, and what is made of each channel.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui_wgpu::RenderState;

use super::histogram::Histogram;
use super::layer::SEGMENTED;
use crate::gui::OpenRun;
use crate::gui::widgets::slice::{VolumeTexture, WindowLevel, WindowPreset};
use crate::protocol::{Stage, StageKind};
use crate::volume::datalist::naming::case_name;
use crate::volume::file::stem;
use crate::volume::image_or_labels::{Content, content};
use crate::volume::note::lines;
use crate::volume::{CaseFiles, Dataset, Scan, VolumeSource, load_image};

/// What to open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ImageRequest {
    pub(super) title: String,
    /// The image's files.
    pub(super) images: Vec<VolumeSource>,
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

impl ImageRequest {
    /// Files outside any dataset: one with all channels, or one for each; and label maps over them.
    pub(super) fn files(files: &[PathBuf], overlays: Vec<PathBuf>) -> Self {
        let borrowed: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        let images = files.iter().cloned().map(VolumeSource::File).collect();
        let channels = if files.len() > 1 { borrowed.iter().map(|file| stem(file)).collect() } else { Vec::new() };
        Self { title: case_name(&borrowed), images, channels, overlays, ..Self::default() }
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

/// Where the prediction of an arm for a case lies.
pub(super) fn method_file(run: &OpenRun, arm: &str, case: &str) -> PathBuf {
    let folder = run.training_folder(&Stage { kind: StageKind::Finetune, arm: arm.to_owned() });
    folder.predictions().join(format!("{case}.nii.gz"))
}

/// What reading an image gives.
pub(super) struct ReadImage {
    pub(super) scan: Arc<Scan>,
    /// The first channel.
    pub(super) first: Channel,
    /// Predictions whose files are there.
    pub(super) methods: Vec<(String, PathBuf)>,
    /// What the user should know of its voxels.
    pub(super) notices: Vec<String>,
}

/// One channel of the image, ready to be drawn.
#[derive(Clone)]
pub(super) struct Channel {
    pub(super) texture: VolumeTexture,
    /// The window of its percentiles.
    pub(super) auto: WindowLevel,
    /// The windows of [`WindowPreset::all`], in its order.
    pub(super) presets: Arc<Vec<WindowLevel>>,
    pub(super) histogram: Arc<Histogram>,
}

impl Channel {
    /// Prepares a channel of an image.
    pub(super) fn new(scan: &Scan, index: usize, gpu: &RenderState) -> Self {
        let grid = &scan.volume.grid;
        let voxels = &scan.volume.voxels[index * grid.len()..][..grid.len()];
        Self {
            texture: VolumeTexture::image(gpu, voxels, grid.shape),
            auto: WindowLevel::auto(voxels),
            presets: Arc::new(WindowPreset::all().iter().map(|preset| preset.window(voxels)).collect()),
            histogram: Arc::new(Histogram::new(voxels)),
        }
    }
}

/// Reads the image of a case; runs in the background.
///
/// # Errors
/// Everything wrong with its files, with what to do.
pub(super) fn read(wanted: &ImageRequest, gpu: &RenderState) -> Result<ReadImage, String> {
    // A file that was opened before may have gone; no dataset is to blame.
    let gone = wanted.images.iter().find_map(|image| match image {
        VolumeSource::File(file) if !wanted.listed && !file.exists() => Some(file),
        _ => None,
    });
    if let Some(gone) = gone {
        return Err(format!("{} is not there any more. Bring it back, or open another file", gone.display()));
    }
    let scan = load_image(&wanted.images, None, None).map_err(|errors| errors.to_string())?;
    let methods = wanted.methods.iter().filter(|(_, file)| file.is_file()).cloned().collect();
    let mut notices = lines(&scan.notes);
    notices.extend(not_finite(&scan));
    if !wanted.listed && content(&scan) == Content::Labels {
        notices.push(format!("{} holds few whole numbers in patches, as label maps do. It is shown as an image.", scan.file.display()));
    }
    Ok(ReadImage { first: Channel::new(&scan, 0, gpu), scan: Arc::new(scan), methods, notices })
}

/// What becomes of voxels that are no numbers, and how many there are, if any.
fn not_finite(scan: &Scan) -> Option<String> {
    let count = |is: fn(f32) -> bool| scan.volume.voxels.iter().filter(|value| is(**value)).count();
    let (nan, infinite) = (count(f32::is_nan), count(f32::is_infinite));
    (nan + infinite > 0)
        .then(|| format!("Voxels that are NaN ({nan}) or infinite ({infinite}) are drawn violet, and left out of window and histogram."))
}
