//! What a user set, kept between sessions in the platform's config folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::theme::ThemeChoice;
use super::{KeyMap, Panel};
use crate::config::DataSource;
use crate::geometry::Convention;
use crate::{atomic_file, folders};

/// Entries of a list of recent files.
const RECENT: usize = 8;

/// The file in the config folder.
const FILE: &str = "window.ron";

/// Widths of side panels and heights of those at the foot, in points, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    sizes: BTreeMap<String, f32>,
}

impl Layout {
    /// The size that a part had last, or `default`.
    pub fn size(&self, part: &str, default: f32) -> f32 {
        self.sizes.get(part).copied().unwrap_or(default)
    }

    /// Notes the size that a part has now.
    pub fn keep(&mut self, part: &str, size: f32) {
        // Whole points: a window that rounds differently is no request of its user's.
        let size = size.round();
        if self.sizes.get(part) != Some(&size) {
            self.sizes.insert(part.to_owned(), size);
        }
    }
}

/// What a user set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Light or dark.
    pub theme: ThemeChoice,
    /// Size of everything, relative to the system's.
    pub zoom: f32,
    /// The panel shown last.
    pub panel: Panel,
    /// Width and height of the window in points.
    pub window_size: Option<[f32; 2]>,
    /// Sizes of the window's parts.
    pub layout: Layout,
    /// Datasets opened last, newest first.
    pub recent_datasets: Vec<PathBuf>,
    /// Folders of label maps, of those of these datasets that are a folder of images beside one.
    pub label_folders: BTreeMap<PathBuf, PathBuf>,
    /// Runs opened last, newest first.
    pub recent_runs: Vec<PathBuf>,
    /// Where runs are made.
    pub runs_folder: Option<PathBuf>,
    /// Volumes opened last, newest first.
    pub recent_volumes: Vec<PathBuf>,
    /// Which side is on the left.
    pub convention: Convention,
    /// How slices are drawn.
    pub slices: crate::gui::widgets::slice::SliceSettings,
    /// Red, green, blue that the user gave to labels, by their numbers.
    pub label_colours: BTreeMap<u32, [u8; 3]>,
    /// Which key does what.
    pub keys: KeyMap,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::default(),
            zoom: 1.0,
            panel: Panel::default(),
            window_size: None,
            layout: Layout::default(),
            recent_datasets: Vec::new(),
            label_folders: BTreeMap::new(),
            recent_runs: Vec::new(),
            runs_folder: None,
            recent_volumes: Vec::new(),
            convention: Convention::default(),
            slices: crate::gui::widgets::slice::SliceSettings::default(),
            label_colours: BTreeMap::new(),
            keys: KeyMap::default(),
        }
    }
}

impl Settings {
    /// Reads the user's settings, or the defaults where there are none. A file that cannot be understood is put aside, not
    /// overwritten; the second value says so.
    pub fn load() -> (Self, Option<String>) {
        folders::config().map_or_else(Default::default, |folder| Self::load_from(&folder.join(FILE)))
    }

    fn load_from(path: &Path) -> (Self, Option<String>) {
        let Ok(text) = std::fs::read_to_string(path) else { return Default::default() };
        match ron::from_str(&text) {
            Ok(settings) => (settings, None),
            Err(error) => {
                let aside = path.with_extension("ron.unreadable");
                let kept = std::fs::rename(path, &aside);
                let where_to =
                    kept.map_or_else(|error| format!("it could not be moved: {error}"), |()| format!("it was kept as {}", aside.display()));
                (
                    Self::default(),
                    Some(format!("the window's settings in {} could not be understood ({error}); {where_to}", path.display())),
                )
            }
        }
    }

    /// Puts a dataset on top of the recent ones, with the folder of its label maps where it has one of its own.
    pub(super) fn remember_dataset(&mut self, path: &Path, source: &DataSource) {
        remember(&mut self.recent_datasets, path);
        let labels = match source {
            DataSource::Folders { labels, .. } => labels.as_ref(),
            _ => None,
        };
        let (dataset, folders) = (&self.recent_datasets[0], &mut self.label_folders);
        match labels {
            Some(labels) => folders.insert(dataset.clone(), absolute(labels)),
            None => folders.remove(dataset),
        };
        folders.retain(|images, _| self.recent_datasets.contains(images));
    }

    /// Writes them, atomically.
    ///
    /// # Errors
    /// A file that cannot be written, with its path.
    pub fn store(&self) -> Result<(), String> {
        folders::config().map_or(Ok(()), |folder| self.store_to(&folder.join(FILE)))
    }

    fn store_to(&self, path: &Path) -> Result<(), String> {
        let text = ron::ser::to_string_pretty(self, ron::ser::PrettyConfig::default()).expect("plain data becomes RON");
        atomic_file::write(path, text.as_bytes())
            .map_err(|error| format!("the window's settings could not be kept in {}: {error}", path.display()))
    }
}

/// Puts a path on top of a list of recent ones.
pub(super) fn remember(list: &mut Vec<PathBuf>, path: &Path) {
    let path = absolute(path);
    list.retain(|known| *known != path);
    list.insert(0, path);
    list.truncate(RECENT);
}

/// The folder that the program is started from changes between sessions.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_of_two_folders_is_remembered_with_both_and_older_files_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pair = |images: &str, labels: Option<&str>| DataSource::Folders { images: at(images), labels: labels.map(at) };
        let mut settings = Settings::default();
        settings.remember_dataset(&at("scans"), &pair("scans", Some("labels")));
        settings.remember_dataset(&at("bare"), &pair("bare", None));
        settings.remember_dataset(&at("listed"), &DataSource::Dataset(at("listed")));
        assert_eq!((settings.recent_datasets.len(), &settings.label_folders), (3, &[(at("scans"), at("labels"))].into()));
        let file = at(FILE);
        settings.store_to(&file).unwrap();
        assert_eq!(Settings::load_from(&file), (settings.clone(), None));
        // As programs wrote it that kept the images' folder alone.
        let text = std::fs::read_to_string(&file).unwrap();
        let (head, tail) = text.split_once("    label_folders: {").unwrap();
        let tail = tail.split_once("},").unwrap().1;
        std::fs::write(&file, [head, tail].concat()).unwrap();
        let older = Settings { label_folders: BTreeMap::new(), ..settings.clone() };
        assert_eq!(Settings::load_from(&file), (older, None));

        settings.remember_dataset(&at("scans"), &pair("scans", None));
        assert!(settings.label_folders.is_empty(), "opened again without label maps");
        settings.remember_dataset(&at("scans"), &pair("scans", Some("labels")));
        (0..RECENT).for_each(|other| settings.remember_dataset(&at(&format!("other{other}")), &DataSource::Demo));
        assert!(settings.label_folders.is_empty(), "what is not listed any more is forgotten");
    }

    #[test]
    fn settings_survive_and_unreadable_ones_are_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut settings = Settings { convention: Convention::Neurological, zoom: 1.5, ..Settings::default() };
        settings.label_colours.insert(70, [1, 2, 3]);
        settings.layout.keep("run.left", 311.6);
        (0..10).for_each(|run| remember(&mut settings.recent_runs, &folder.path().join(format!("run{run}"))));
        remember(&mut settings.recent_runs, &folder.path().join("run5"));
        assert_eq!(settings.recent_runs.len(), RECENT);
        assert!(settings.recent_runs[0].ends_with("run5") && settings.recent_runs[1].ends_with("run9"));
        assert_eq!((settings.layout.size("run.left", 1.0), settings.layout.size("run.right", 1.0)), (312.0, 1.0));
        settings.store_to(&path).unwrap();
        assert_eq!(Settings::load_from(&path), (settings, None));

        std::fs::write(&path, "(zoom: what?)").unwrap();
        let (defaults, notice) = Settings::load_from(&path);
        assert_eq!(defaults, Settings::default());
        assert!(notice.unwrap().contains("unreadable"));
        assert_eq!(std::fs::read_to_string(path.with_extension("ron.unreadable")).unwrap(), "(zoom: what?)");
        assert!(!path.exists());
    }
}
