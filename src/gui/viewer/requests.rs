//! What users ask of the panel.

use std::path::{Path, PathBuf};

use eframe::egui::Context;

use super::dropped::{Dropped, dropped};
use super::edit::SavedCorrection;
use super::image::ImageRequest;
use crate::config::DataSource;
use crate::gui::Workspace;
use crate::gui::widgets::{PathDialog, PathKind};
use crate::protocol::{RunFolder, StageKind, StageState};

/// What dialogs call volumes, and the endings of their files.
const VOLUMES: (&str, &[&str]) = ("Volumes", &["nii", "gz", "hdr", "img", "nrrd", "nhdr", "mha", "mhd", "dcm"]);

/// What a user asks for, by a button, a menu, a dialog or dropped files.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// Ask for the path of something.
    Browse(Browse),
    /// Open an image, with label maps over it.
    Open(Box<ImageRequest>),
    /// Look for the DICOM series of a folder.
    Series(PathBuf),
    /// Open what failed once more.
    Again,
    /// List the cases of a dataset.
    List(DataSource),
    /// List the demo's cases, and open the first with a truth.
    Demo,
    /// Lay label maps over the open image.
    LayOver(Vec<PathBuf>),
    /// Lay numbers over the open image as colours.
    LayMap(PathBuf),
    /// Segment the open case.
    Segment(Offered),
    /// Ask where to save the segmentation.
    Save,
    /// Note that the segmentation of this number was written, as the sentence says.
    Saved((u64, String)),
    /// Take the segmentation off.
    Discard,
    /// Save the corrected labels beside those that they came from, or, where that is to be asked, in a file of any name.
    SaveCorrection { ask: bool },
    /// Note that corrected labels were written, and which version of them.
    CorrectionSaved(Box<SavedCorrection>, u64),
    /// Take the corrected labels off.
    DiscardCorrection,
    /// Put the volumes of the shown labels on the clipboard.
    CopyLabels,
    /// Ask where to save them.
    SaveLabels,
    /// Tell the user this.
    Notice(String),
    /// Close the window.
    Close,
}

/// What would be lost without a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// A segmentation that is not saved, or not finished.
    Segmentation,
    /// A correction that is not saved.
    Correction,
}

/// What a path is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Browse {
    /// Files of an image.
    Image,
    /// Label maps of the open image.
    Labels,
    /// Numbers on the open image's grid.
    Map,
    /// The folder of a DICOM series, or of several.
    Series,
    /// A dataset's folder.
    Dataset,
    /// A checkpoint's or a run's folder.
    Checkpoint,
}

impl Request {
    /// Open image files, one with all channels or one for each, with label maps over them.
    pub(super) fn open(images: &[PathBuf], labels: Vec<PathBuf>) -> Self {
        Self::Open(Box::new(ImageRequest::files(images, labels)))
    }
}

impl Browse {
    /// The dialog that asks for it.
    pub(super) fn dialog(self, ctx: &Context) -> PathDialog<Request> {
        let (kind, endings) = VOLUMES;
        let folder = |title: &str, fits: fn(&Dropped) -> bool, what: &'static str, request: fn(PathBuf) -> Request| {
            PathDialog::new(ctx, (title, PathKind::Folder), move |folder| {
                let found = dropped(&[folder.to_owned()]);
                if fits(&found) { Ok(request(folder.to_owned())) } else { Err(format!("{} is not {what}", folder.display())) }
            })
        };
        match self {
            Self::Image => {
                let title = "Open an image: one file, one for each channel, or a folder of DICOM series";
                PathDialog::several(ctx, (title, PathKind::FilesOrFolder(kind, endings)), image)
            }
            Self::Labels => {
                let title = "Open label maps of the open image";
                PathDialog::several(ctx, (title, PathKind::Files(kind, endings)), |files| Ok(Request::LayOver(files.to_vec())))
            }
            Self::Map => {
                let title = "Open a map of the open image: numbers for each voxel, such as entropy or probabilities";
                PathDialog::new(ctx, (title, PathKind::File(kind, endings)), |file| Ok(Request::LayMap(file.to_owned())))
            }
            Self::Series => PathDialog::new(ctx, ("Open a DICOM series: its folder, or one of several", PathKind::Folder), |folder| {
                Ok(Request::Series(folder.to_owned()))
            }),
            Self::Dataset => folder(
                "Open a dataset: the folder with dataset.json or imagesTr",
                |found| matches!(found, Dropped::Dataset(_)),
                "the folder of a dataset: it holds neither dataset.json nor imagesTr",
                |folder| Request::List(DataSource::Dataset(folder)),
            ),
            Self::Checkpoint => folder(
                "Segment with: the folder of a run or a checkpoint",
                |found| matches!(found, Dropped::Run(_) | Dropped::Checkpoint(_)),
                "the folder of a run or of a checkpoint",
                |folder| Request::Segment((named(&folder), folder)),
            ),
        }
    }
}

/// The opening of image files, or of a folder as if it was dropped.
fn image(paths: &[PathBuf]) -> Result<Request, String> {
    match paths {
        [folder] if folder.is_dir() => match dropped(paths) {
            Dropped::Dataset(folder) => Ok(Request::List(DataSource::Dataset(folder))),
            Dropped::Folder(folder) => Ok(Request::Series(folder)),
            _ => Err(format!("{} is the folder of a run or of a checkpoint, no image", folder.display())),
        },
        files => Ok(Request::open(files, Vec::new())),
    }
}

/// A checkpoint that can segment: its name for the menu, and its folder.
pub(super) type Offered = (String, PathBuf);

/// The fine-tuned checkpoints of the shown run, and behind them those of its folder that were trained on other data or by other settings.
pub(super) fn offered(workspace: &Workspace) -> Vec<Offered> {
    let Some(run) = workspace.shown() else { return Vec::new() };
    let name = run.name();
    let offer = |stage: &StageState| match stage.stage.arm.as_str() {
        "" => (name.to_owned(), run.folder.root().to_owned()),
        arm => (format!("{name}: {arm}"), run.training_folder(&stage.stage).root().to_owned()),
    };
    let own = run.stages_of(StageKind::Finetune).filter(|stage| !stage.checkpoints.is_empty()).map(offer);
    let others = run.look.iter().flat_map(|look| &look.others);
    let earlier = |other: &RunFolder| (format!("{name}: {}, of other data or settings", named(other.root())), other.root().to_owned());
    own.chain(others.map(earlier)).collect()
}

/// What the path of a checkpoint's folder says of it.
pub(super) fn named(folder: &Path) -> String {
    let parts: Vec<_> = folder.iter().map(|part| part.to_string_lossy()).collect();
    let name = parts.iter().rfind(|part| !["last", "best", "checkpoints"].contains(&part.as_ref()));
    name.map_or_else(|| folder.display().to_string(), ToString::to_string)
}
