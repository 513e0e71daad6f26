//! From a dialog, a drop or a list of recent files to what the user meant by it, on a thread of its own.

use std::path::{Path, PathBuf};

use eframe::egui;

use super::finished::{self, Finished};
use crate::config::{DataSource, ExperimentConfig};
use crate::exchange;
use crate::experiment::{ExperimentFolder, FolderContent};
use crate::gui::widgets::{Answer, Background, PathDialog, PathKind};
use crate::volume::Dataset;
use crate::volume::datalist::source_at;

/// Something that the user chose.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Chosen {
    /// A dataset: what the recent list keeps, and how settings name it.
    Dataset(PathBuf, DataSource),
    /// The folder of an experiment.
    Experiment(PathBuf),
    /// Published results, without trainings.
    Finished(Box<Finished>),
    /// A file of settings, and why the dataset that it names cannot be opened, if it cannot.
    Config(PathBuf, Option<String>),
    /// The folder in which experiments are made.
    Parent(PathBuf),
    /// A checkpoint to fine-tune from.
    Checkpoint(PathBuf),
    /// The first of two folders.
    Images(PathBuf),
    /// Nothing that can be used, and why.
    Wrong(String),
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
    /// An experiment's folder, or that of published results.
    Experiment,
    /// A file of settings.
    Config,
    /// The folder in which experiments are made.
    Parent,
    /// A checkpoint to fine-tune from.
    Checkpoint,
}

impl Ask {
    fn question(self) -> (&'static str, PathKind) {
        match self {
            Self::DatasetFolder => ("Folder of a dataset", PathKind::Folder),
            Self::DatasetList => ("List of a dataset", PathKind::File("dataset.json", &["json"])),
            Self::TwoFolders => ("Folder of images", PathKind::Folder),
            Self::Experiment => ("Folder of a run", PathKind::Folder),
            Self::Config => ("Config of a run", PathKind::File("Config", &["ron"])),
            Self::Parent => ("Folder in which runs are made", PathKind::Folder),
            Self::Checkpoint => ("Checkpoint or run to start from", PathKind::Folder),
        }
    }

    /// What was asked for, at a path.
    fn look(self, path: &Path) -> Result<Chosen, String> {
        match self {
            Self::DatasetFolder | Self::DatasetList => dataset(path, source_at(path)),
            Self::TwoFolders => Ok(Chosen::Images(path.to_owned())),
            Self::Experiment => match sort(path) {
                Ok(found @ (Chosen::Experiment(_) | Chosen::Finished(_))) => Ok(found),
                _ => Err(format!("{} holds no run: a run's folder has config.ron and trainings, or tables of results", path.display())),
            },
            Self::Config => config(path),
            Self::Parent => Ok(Chosen::Parent(path.to_owned())),
            Self::Checkpoint => exchange::show(path).map(|_| Chosen::Checkpoint(path.to_owned())).map_err(|error| error.to_string()),
        }
    }
}

/// Choices that are being made.
#[derive(Default)]
pub(super) struct Choices {
    asking: Option<PathDialog<Chosen>>,
    /// Images whose label maps are asked for.
    images: Option<PathBuf>,
    pending: Vec<Background<Vec<Chosen>>>,
}

impl Choices {
    /// Asks for a path.
    pub(super) fn ask(&mut self, ctx: &egui::Context, ask: Ask) {
        self.asking = Some(PathDialog::new(ctx, ask.question(), move |path| ask.look(path)));
    }

    /// Draws what is asked; hands out the answer.
    pub(super) fn show(&mut self, ctx: &egui::Context) -> Option<Chosen> {
        let answer = self.asking.as_mut()?.show(ctx)?;
        self.asking = None;
        match (answer, self.images.take()) {
            (Answer::Chosen(Chosen::Images(images)), _) => {
                self.images = Some(images.clone());
                let question = ("Folder of label maps (cancel: none)", PathKind::Folder);
                let look = move |labels: &Path| two_folders(&images, Some(labels.to_owned()));
                self.asking = Some(PathDialog::new(ctx, question, look));
                None
            }
            (Answer::Chosen(chosen), _) => Some(chosen),
            (Answer::Cancelled, Some(images)) => {
                self.begin(ctx, move || vec![two_folders(&images, None)]);
                None
            }
            (Answer::Cancelled, None) => None,
        }
    }

    /// Looks what is at paths by now, whatever it is: dropped on the window, or in a list of recent ones.
    pub(super) fn sort(&mut self, ctx: &egui::Context, paths: &[PathBuf]) {
        let paths = paths.to_vec();
        self.begin(ctx, move || paths.iter().map(|path| sort(path)).collect());
    }

    /// Looks at a recent dataset of two folders.
    pub(super) fn pair(&mut self, ctx: &egui::Context, images: PathBuf, labels: PathBuf) {
        self.begin(ctx, move || vec![two_folders(&images, Some(labels))]);
    }

    fn begin(&mut self, ctx: &egui::Context, look: impl FnOnce() -> Vec<Result<Chosen, String>> + Send + 'static) {
        let work = move || look().into_iter().map(|chosen| chosen.unwrap_or_else(Chosen::Wrong)).collect();
        self.pending.push(Background::start(ctx, work));
    }

    /// What has been chosen since the last frame.
    pub(super) fn poll(&mut self) -> Vec<Chosen> {
        let done: Vec<Background<Vec<Chosen>>> = self.pending.extract_if(.., Background::poll).collect();
        let lost = || vec![Chosen::Wrong("what was chosen could not be read: an internal error; open it again".to_owned())];
        done.into_iter().flat_map(|work| work.take().unwrap_or_else(lost)).collect()
    }
}

/// What a path is, whatever it is.
fn sort(path: &Path) -> Result<Chosen, String> {
    let content = ExperimentFolder::new(path).content();
    // A training's folder lies in `trainings` of its experiment's.
    let around = path.ancestors().nth(2).filter(|_| content == FolderContent::Training);
    if matches!(content, FolderContent::Experiment { .. }) && path.join("trainings").exists() || around.is_some() {
        Ok(Chosen::Experiment(around.unwrap_or(path).to_owned()))
    } else if finished::is_at(path) {
        Finished::read(path).map(|finished| Chosen::Finished(Box::new(finished)))
    } else if path.extension().is_some_and(|extension| extension == "ron") {
        config(path)
    } else {
        dataset(path, source_at(path))
    }
}

/// The dataset at a path, which can be opened.
///
/// # Errors
/// Why it cannot.
pub(in crate::gui) fn source_of(path: &Path) -> Result<DataSource, String> {
    let source = source_at(path);
    dataset(path, source.clone()).map(|_| source)
}

fn dataset(path: &Path, source: DataSource) -> Result<Chosen, String> {
    Dataset::open(&source).map_err(|error| error.to_string())?;
    Ok(Chosen::Dataset(path.to_owned(), source))
}

fn two_folders(images: &Path, labels: Option<PathBuf>) -> Result<Chosen, String> {
    dataset(images, DataSource::Folders { images: images.to_owned(), labels })
}

fn config(path: &Path) -> Result<Chosen, String> {
    let config = ExperimentConfig::load(path).map_err(|error| error.to_string())?;
    let missing = Dataset::open(&config.base().data.source).err().map(|error| error.to_string());
    Ok(Chosen::Config(path.to_owned(), missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_sorted_by_what_it_holds_and_refused_where_something_else_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["finished", "bare", "listed", "empty"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let list = r#"{"channel_names": {"0": "MRI"}, "labels": {"background": 0}, "training": [{"image": "./a.nii"}]}"#;
        for (name, text) in [
            ("finished/config.ron", "()"),
            ("finished/metrics.csv", "case,dice\na,0.8\n"),
            ("bare/a.nii.gz", ""),
            ("listed/dataset.json", list),
            ("listed/a.nii", ""),
            ("own.ron", "()"),
            ("elsewhere.ron", "(data: (source: dataset(\"nowhere/at/all\")))"),
            ("broken.ron", "(sead: 1)"),
            ("grid.ron", "(\n    name: \"grid\",\n    base: file(\"own.ron\"),\n)"),
        ] {
            std::fs::write(at(name), text).unwrap();
        }
        let sort = |name: &str| sort(&at(name));
        assert_eq!(sort("finished"), Finished::read(&at("finished")).map(|finished| Chosen::Finished(Box::new(finished))));
        assert_eq!(["own.ron", "grid.ron"].map(sort), ["own.ron", "grid.ron"].map(|name| Ok(Chosen::Config(at(name), None))));
        assert_eq!(sort("bare"), Ok(Chosen::Dataset(at("bare"), DataSource::Folders { images: at("bare"), labels: None })));
        assert_eq!(sort("listed"), Ok(Chosen::Dataset(at("listed"), DataSource::Dataset(at("listed")))));
        let Ok(Chosen::Config(_, Some(missing))) = sort("elsewhere.ron") else { panic!("settings whose dataset is missing") };
        assert!(missing.contains("nowhere"), "{missing}");
        assert!(sort("empty").is_err() && sort("broken.ron").unwrap_err().contains("sead"));
        for ask in [Ask::DatasetFolder, Ask::Experiment, Ask::Checkpoint] {
            assert!(ask.look(&at("empty")).is_err(), "{ask:?}");
        }
        assert_eq!(Ask::Parent.look(folder.path()), Ok(Chosen::Parent(folder.path().to_owned())));
    }
}
