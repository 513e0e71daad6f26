//! From a dialog, a drop or a list of recent files to what the user meant by it, on a thread of its own.

use std::path::{Path, PathBuf};

use eframe::egui;

use crate::config::{DataSource, ExperimentConfig, RunConfig};
use crate::exchange;
use crate::experiment::ExperimentFolder;
use crate::gui::Background;
use crate::gui::widgets::{Answer, PathDialog as Choosing, PathKind as Wanted};
use crate::protocol::RunFolder;
use crate::volume::Dataset;
use crate::volume::datalist::source_at;

/// Something that the user chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// A dataset; `place` is what the recent list keeps.
    Dataset(DatasetAt),
    /// The folder of a run.
    Run(PathBuf),
    /// A file of settings, and why the dataset that it names cannot be opened, if it cannot.
    Config(PathBuf, Option<String>),
    /// An experiment: its folder or its file.
    Experiment(PathBuf),
    /// The folder in which runs are made.
    Parent(PathBuf),
    /// A checkpoint to fine-tune from.
    Checkpoint(PathBuf),
    /// The first of two folders.
    Images(PathBuf),
    /// Nothing that can be used, and why.
    Wrong(String),
}

/// A dataset on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DatasetAt {
    /// Its folder or list.
    pub(super) place: PathBuf,
    /// Folder of label maps beside a folder of bare images.
    pub(super) labels: Option<PathBuf>,
    /// Whether it is a folder of bare images.
    pub(super) bare: bool,
}

/// What a dialog asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A dataset's folder.
    DatasetFolder,
    /// A dataset's list.
    DatasetList,
    /// A folder of images, then one of label maps.
    TwoFolders,
    /// A run's folder.
    Run,
    /// A file of settings.
    Config,
    /// The folder in which runs are made.
    Parent,
    /// A checkpoint to fine-tune from.
    Checkpoint,
}

/// Choices that are being made.
#[derive(Default)]
pub(super) struct Fetch {
    asking: Option<Choosing<Chosen>>,
    /// Images whose label maps are asked for.
    images: Option<PathBuf>,
    pending: Vec<Background<Vec<Chosen>>>,
}

impl DatasetAt {
    fn look(place: &Path) -> Self {
        let bare = matches!(source_at(place), DataSource::Folders { .. });
        Self { place: place.to_owned(), labels: None, bare }
    }

    /// As settings name it.
    pub(super) fn source(&self) -> DataSource {
        if self.bare {
            DataSource::Folders { images: self.place.clone(), labels: self.labels.clone() }
        } else {
            DataSource::Dataset(self.place.clone())
        }
    }
}

impl Fetch {
    /// Asks for a path.
    pub(super) fn ask(&mut self, ctx: &egui::Context, ask: Ask) {
        let (title, wanted) = match ask {
            Ask::DatasetFolder => ("Folder of a dataset", Wanted::Folder),
            Ask::DatasetList => ("List of a dataset", Wanted::File("dataset.json", &["json"])),
            Ask::TwoFolders => ("Folder of images", Wanted::Folder),
            Ask::Run => ("Folder of a run", Wanted::Folder),
            Ask::Config => ("Settings of a run", Wanted::File("Settings", &["ron"])),
            Ask::Parent => ("Folder in which runs are made", Wanted::Folder),
            Ask::Checkpoint => ("Checkpoint or run to start from", Wanted::Folder),
        };
        self.asking = Some(Choosing::new(ctx, (title, wanted), move |path| look(ask, path)));
    }

    /// Draws what is asked; hands out the answer.
    pub(super) fn show(&mut self, ctx: &egui::Context) -> Option<Chosen> {
        let answer = self.asking.as_mut()?.show(ctx)?;
        self.asking = None;
        match (answer, self.images.take()) {
            (Answer::Chosen(Chosen::Images(images)), _) => {
                self.images = Some(images.clone());
                let title = "Folder of label maps (cancel: none)";
                let look = move |labels: &Path| two_folders(images.clone(), Some(labels.to_owned()));
                self.asking = Some(Choosing::new(ctx, (title, Wanted::Folder), look));
                None
            }
            (Answer::Chosen(chosen), _) => Some(chosen),
            (Answer::Cancelled, Some(images)) => {
                self.pending.push(Background::start(ctx, move || vec![two_folders(images, None).unwrap_or_else(Chosen::Wrong)]));
                None
            }
            (Answer::Cancelled, None) => None,
        }
    }

    /// Looks what a recent dataset is by now.
    pub(super) fn dataset(&mut self, ctx: &egui::Context, place: &Path) {
        let place = place.to_owned();
        self.pending.push(Background::start(ctx, move || vec![dataset(DatasetAt::look(&place)).unwrap_or_else(Chosen::Wrong)]));
    }

    /// Sorts what was dropped on the window: runs, settings, datasets.
    pub(super) fn dropped(&mut self, ctx: &egui::Context, paths: &[PathBuf]) {
        let paths = paths.to_vec();
        let sort = move || paths.iter().map(|path| sort(path).unwrap_or_else(Chosen::Wrong)).collect();
        self.pending.push(Background::start(ctx, sort));
    }

    /// What has been chosen since the last frame.
    pub(super) fn poll(&mut self) -> Vec<Chosen> {
        let mut chosen = Vec::new();
        let mut index = 0;
        while index < self.pending.len() {
            if self.pending[index].poll() {
                chosen.extend(self.pending.swap_remove(index).take().unwrap_or_default());
            } else {
                index += 1;
            }
        }
        chosen
    }
}

/// What a path is, whatever it is.
fn sort(path: &Path) -> Result<Chosen, String> {
    let run = RunFolder::new(path);
    if run.config_path().is_file() && run.events_path().is_file() {
        Ok(Chosen::Run(path.to_owned()))
    } else if ExperimentFolder::new(path).holds_experiment() {
        Ok(Chosen::Experiment(path.to_owned()))
    } else if path.extension().is_some_and(|extension| extension == "ron") {
        config(path)
    } else {
        dataset(DatasetAt::look(path))
    }
}

/// A path that is something which this window opens.
///
/// # Errors
/// Why it is nothing of the kind.
pub(in crate::gui) fn known(path: &Path) -> Result<PathBuf, String> {
    sort(path).map(|_| path.to_owned())
}

/// The dataset at a path, which can be opened.
///
/// # Errors
/// Why it cannot.
pub(in crate::gui) fn source_of(path: &Path) -> Result<DataSource, String> {
    let at = DatasetAt::look(path);
    dataset(at.clone()).map(|_| at.source())
}

fn dataset(at: DatasetAt) -> Result<Chosen, String> {
    Dataset::open(&at.source()).map_err(|error| error.to_string())?;
    Ok(Chosen::Dataset(at))
}

fn two_folders(images: PathBuf, labels: Option<PathBuf>) -> Result<Chosen, String> {
    dataset(DatasetAt { place: images, labels, bare: true })
}

fn config(path: &Path) -> Result<Chosen, String> {
    if crate::text_file::read(path).is_ok_and(|text| ExperimentConfig::is_in(&text)) {
        return Ok(Chosen::Experiment(path.to_owned()));
    }
    let config = RunConfig::load(path).map_err(|error| error.to_string())?;
    let missing = Dataset::open(&config.data.source).err().map(|error| error.to_string());
    Ok(Chosen::Config(path.to_owned(), missing))
}

/// What was asked for, at a path.
fn look(ask: Ask, path: &Path) -> Result<Chosen, String> {
    let path_owned = || path.to_owned();
    match ask {
        Ask::DatasetFolder | Ask::DatasetList => dataset(DatasetAt::look(path)),
        Ask::TwoFolders => Ok(Chosen::Images(path_owned())),
        Ask::Run => match sort(path) {
            Ok(Chosen::Run(folder)) => Ok(Chosen::Run(folder)),
            _ => Err(format!("{} holds no run: a run's folder has config.ron and events.jsonl", path.display())),
        },
        Ask::Config => config(path),
        Ask::Parent => Ok(Chosen::Parent(path_owned())),
        Ask::Checkpoint => exchange::show(path).map(|_| Chosen::Checkpoint(path_owned())).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_is_sorted_by_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["run", "bare", "listed", "experiment", "empty"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let list = r#"{"channel_names": {"0": "MRI"}, "labels": {"background": 0}, "training": [{"image": "./a.nii"}]}"#;
        for (name, text) in [
            ("run/config.ron", ""),
            ("run/events.jsonl", ""),
            ("bare/a.nii.gz", ""),
            ("listed/dataset.json", list),
            ("listed/a.nii", ""),
            ("own.ron", "()"),
            ("elsewhere.ron", "(data: (source: dataset(\"nowhere/at/all\")))"),
            ("broken.ron", "(sead: 1)"),
            ("experiment/experiment.ron", ""),
            ("grid.ron", "(\n    name: \"grid\",\n    base: file(\"own.ron\"),\n)"),
        ] {
            std::fs::write(at(name), text).unwrap();
        }
        let sort = |name: &str| sort(&at(name));
        assert_eq!(sort("run"), Ok(Chosen::Run(at("run"))));
        assert_eq!(sort("own.ron"), Ok(Chosen::Config(at("own.ron"), None)));
        assert_eq!(["experiment", "grid.ron"].map(sort), ["experiment", "grid.ron"].map(|name| Ok(Chosen::Experiment(at(name)))));
        let Ok(Chosen::Dataset(bare)) = sort("bare") else { panic!("a dataset") };
        assert_eq!(bare.source(), DataSource::Folders { images: at("bare"), labels: None });
        let Ok(Chosen::Dataset(listed)) = sort("listed") else { panic!("a dataset") };
        assert_eq!(listed.source(), DataSource::Dataset(at("listed")));
        let Ok(Chosen::Config(_, Some(missing))) = sort("elsewhere.ron") else { panic!("settings whose dataset is missing") };
        assert!(missing.contains("nowhere"), "{missing}");
        assert!(sort("empty").is_err() && sort("broken.ron").unwrap_err().contains("sead"));
    }

    #[test]
    fn what_is_not_of_the_kind_that_was_asked_for_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for ask in [Ask::DatasetFolder, Ask::Run, Ask::Checkpoint] {
            assert!(look(ask, folder.path()).is_err(), "{ask:?}");
        }
        assert_eq!(look(Ask::Parent, folder.path()), Ok(Chosen::Parent(folder.path().to_owned())));
    }
}
