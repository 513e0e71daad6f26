//! From a dialog, a drop or a list of recent files to what the user meant by it, on a thread of its own.

use std::path::{Path, PathBuf};

use eframe::egui;
use rfd::FileDialog;

use crate::config::{DataSource, StudyConfig};
use crate::gui::Background;
use crate::protocol::RunFolder;
use crate::study::StudyFolder;
use crate::volume::datalist::source_at;

/// Something that the user chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// A dataset; `place` is what the recent list keeps.
    Dataset(DatasetAt),
    /// The folder of a run.
    Run(PathBuf),
    /// A file of settings.
    Config(PathBuf),
    /// A study: its folder or its file.
    Study(PathBuf),
    /// The folder in which runs are made.
    Parent(PathBuf),
    /// A checkpoint to fine-tune from.
    Checkpoint(PathBuf),
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
#[derive(Debug, Default)]
pub(super) struct Fetch {
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
    /// Opens a dialog.
    pub(super) fn ask(&mut self, ctx: &egui::Context, ask: Ask) {
        self.pending.push(Background::start(ctx, move || answer(ask).unwrap_or_default()));
    }

    /// Looks what a recent dataset is by now.
    pub(super) fn dataset(&mut self, ctx: &egui::Context, place: &Path) {
        let place = place.to_owned();
        self.pending.push(Background::start(ctx, move || vec![Chosen::Dataset(DatasetAt::look(&place))]));
    }

    /// Sorts what was dropped on the window: runs, settings, datasets.
    pub(super) fn dropped(&mut self, ctx: &egui::Context, paths: &[PathBuf]) {
        let paths = paths.to_vec();
        self.pending.push(Background::start(ctx, move || paths.iter().map(|path| sort(path)).collect()));
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

fn sort(path: &Path) -> Chosen {
    let run = RunFolder::new(path);
    if run.config_path().is_file() && run.events_path().is_file() {
        Chosen::Run(path.to_owned())
    } else if StudyFolder::new(path).holds_study() {
        Chosen::Study(path.to_owned())
    } else if path.extension().is_some_and(|extension| extension == "ron") {
        let is_study = crate::text_file::read(path).is_ok_and(|text| StudyConfig::is_in(&text));
        if is_study { Chosen::Study(path.to_owned()) } else { Chosen::Config(path.to_owned()) }
    } else {
        Chosen::Dataset(DatasetAt::look(path))
    }
}

fn answer(ask: Ask) -> Option<Vec<Chosen>> {
    let dialog = |title: &str| FileDialog::new().set_title(title);
    let chosen = match ask {
        Ask::DatasetFolder => Chosen::Dataset(DatasetAt::look(&dialog("Folder of a dataset").pick_folder()?)),
        Ask::DatasetList => {
            Chosen::Dataset(DatasetAt::look(&dialog("List of a dataset").add_filter("dataset.json", &["json"]).pick_file()?))
        }
        Ask::TwoFolders => {
            let place = dialog("Folder of images").pick_folder()?;
            let labels = dialog("Folder of label maps (cancel: none)").pick_folder();
            Chosen::Dataset(DatasetAt { place, labels, bare: true })
        }
        Ask::Run => Chosen::Run(dialog("Folder of a run").pick_folder()?),
        Ask::Config => Chosen::Config(dialog("Settings of a run").add_filter("Settings", &["ron"]).pick_file()?),
        Ask::Parent => Chosen::Parent(dialog("Folder in which runs are made").pick_folder()?),
        Ask::Checkpoint => Chosen::Checkpoint(dialog("Checkpoint or run to start from").pick_folder()?),
    };
    Some(vec![chosen])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_is_sorted_by_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["run", "bare", "listed", "study"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        for name in
            ["run/config.ron", "run/events.jsonl", "bare/a.nii.gz", "listed/dataset.json", "listed/a.nii", "own.ron", "study/study.ron"]
        {
            std::fs::write(at(name), "").unwrap();
        }
        std::fs::write(at("grid.ron"), "(\n    name: \"grid\",\n    base: file(\"own.ron\"),\n)").unwrap();
        assert_eq!(sort(&at("run")), Chosen::Run(at("run")));
        assert_eq!(sort(&at("own.ron")), Chosen::Config(at("own.ron")));
        assert_eq!(["study", "grid.ron"].map(|name| sort(&at(name))), ["study", "grid.ron"].map(|name| Chosen::Study(at(name))));
        let Chosen::Dataset(bare) = sort(&at("bare")) else { panic!("a dataset") };
        assert_eq!(bare.source(), DataSource::Folders { images: at("bare"), labels: None });
        let Chosen::Dataset(listed) = sort(&at("listed")) else { panic!("a dataset") };
        assert_eq!(listed.source(), DataSource::Dataset(at("listed")));
    }
}
