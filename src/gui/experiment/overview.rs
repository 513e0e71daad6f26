//! The list of runs: what lies in the folder in which they are made, read beside the window.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use eframe::egui::{TextEdit, Ui};

use crate::config::{DataSource, ExperimentConfig};
use crate::experiment::{ExperimentFolder, ExperimentState};
use crate::gui::widgets::{Background, Cell, Column, Sort, Table, Width, card};
use crate::wording::{NOTHING, count, file_name, share};

/// The folder is read again after so long, while it is looked at.
const EVERY: Duration = Duration::from_secs(20);

/// Titles, explanations and widths of the columns.
const COLUMNS: [(&str, &str, Width); 5] = [
    ("Run", "Its name. Sort by it; click a row to open it", Width::Drag(240.0)),
    ("Date", "When it was changed last, in universal time. Sort by it", Width::Exact(130.0)),
    ("State", "How far it is. Sort by it", Width::Drag(250.0)),
    ("Dataset", "What it trains on. Sort by it", Width::Drag(170.0)),
    ("Dice", "The highest mean Dice of its arms on the test cases. Sort by it", Width::Rest(60.0)),
];

/// A run of the list, in the order of the columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) folder: PathBuf,
    pub(super) cells: [String; 5],
}

/// The list, and what is looked for in it.
pub(super) struct RunList {
    entries: Vec<Entry>,
    reading: Option<Background<Vec<Entry>>>,
    /// Which folder was read, and when.
    read: Option<(PathBuf, Instant)>,
    filter: String,
    sort: Sort,
}

impl Default for RunList {
    fn default() -> Self {
        let sort = Sort { column: 1, descending: true };
        Self { entries: Vec::new(), reading: None, read: None, filter: String::new(), sort }
    }
}

impl RunList {
    /// A list that is known, for tests.
    #[cfg(test)]
    pub(super) fn known(folder: &Path, entries: Vec<Entry>) -> Self {
        Self { entries, read: Some((folder.to_owned(), Instant::now() + Duration::from_secs(3600))), ..Self::default() }
    }

    /// Draws the runs of a folder; the one that was clicked.
    pub(super) fn show(&mut self, ui: &mut Ui, folder: &Path) -> Option<PathBuf> {
        self.refresh(ui, folder);
        ui.horizontal_wrapped(|ui| {
            card::title(ui, "Runs");
            card::note(ui, format!("in {}", folder.display()));
            let edit = TextEdit::singleline(&mut self.filter).hint_text("Search").desired_width(180.0);
            let hint = "Only runs with this in their name, state or dataset";
            ui.add(edit.background_color(card::field_ground(ui))).on_hover_text(hint);
            if self.reading.is_some() {
                card::note(ui, "reading ...");
            }
        });
        let wanted = self.filter.to_lowercase();
        let holds = |entry: &&Entry| entry.cells.iter().any(|cell| cell.to_lowercase().contains(&wanted));
        let mut rows: Vec<&Entry> = self.entries.iter().filter(holds).collect();
        let Sort { column, descending } = self.sort;
        rows.sort_by(|a, b| crate::volume::natural(&a.cells[column], &b.cells[column]));
        if descending {
            rows.reverse();
        }
        if rows.is_empty() {
            card::note(ui, if self.entries.is_empty() { "None yet." } else { "None holds this." });
            return None;
        }
        let columns = COLUMNS.map(|(title, meaning, width)| Column::new(title, meaning, width));
        let table = Table::new("List of runs", columns.to_vec()).sortable(&mut self.sort).marked(Some(usize::MAX));
        let clicked = table.show(ui, rows.len(), |row, column| Cell { strong: column == 0, ..rows[row].cells[column].as_str().into() });
        clicked.map(|row| rows[row].folder.clone())
    }

    fn refresh(&mut self, ui: &Ui, folder: &Path) {
        if self.reading.as_mut().is_some_and(Background::poll) {
            self.entries = self.reading.take().and_then(Background::take).unwrap_or_default();
        }
        let is_fresh =
            self.read.as_ref().is_some_and(|(known, read)| known == folder && Instant::now().saturating_duration_since(*read) < EVERY);
        if !is_fresh && self.reading.is_none() {
            self.read = Some((folder.to_owned(), Instant::now()));
            let folder = folder.to_owned();
            self.reading = Some(Background::start(ui.ctx(), move || find(&folder)));
        }
        ui.ctx().request_repaint_after(EVERY);
    }
}

/// Every experiment in a folder.
fn find(folder: &Path) -> Vec<Entry> {
    let folders = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| ExperimentFolder::new(entry.path()));
    folders.filter(ExperimentFolder::holds_experiment).map(|folder| entry(&folder)).collect()
}

fn entry(folder: &ExperimentFolder) -> Entry {
    let summary = std::fs::read(folder.root().join("summary.json")).unwrap_or_default();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap_or_default();
    let dice = summary["test"].as_object().into_iter().flatten().filter_map(|(_, arm)| arm["dice_mean"].as_f64()).reduce(f64::max);
    let dataset = ExperimentConfig::load(&folder.config_path()).map(|config| match &config.base().data.source {
        DataSource::Demo => "demo".to_owned(),
        DataSource::Synthetic(_) => "random volumes".to_owned(),
        DataSource::Dataset(path) | DataSource::Folders { images: path, .. } => file_name(path),
    });
    let changed = std::fs::metadata(folder.root()).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let date = jiff::Timestamp::try_from(changed).map_or_else(|_| String::new(), |date| date.strftime("%Y-%m-%d %H:%M").to_string());
    let name = file_name(folder.root());
    let cells =
        [name, date, state_of(folder), dataset.unwrap_or_else(|_| NOTHING.to_owned()), dice.map_or_else(|| NOTHING.to_owned(), share)];
    Entry { folder: folder.root().to_owned(), cells }
}

/// How far the experiment in a folder is, in a few words.
pub(super) fn state_of(folder: &ExperimentFolder) -> String {
    let experiment = match folder.read() {
        Ok(experiment) => experiment,
        Err(error) => return error.to_string(),
    };
    let state = ExperimentState::read(&experiment, folder);
    let all: Vec<usize> = (0..experiment.trainings.len()).collect();
    let tally = state.tally(&experiment, &all);
    let done = format!("{} of {} done", tally.done, count(all.len(), "training"));
    match (folder.busy().is_some(), tally.failed > 0) {
        (true, _) => format!("at work, {done}"),
        (_, true) => format!("failed, {done}"),
        _ if tally.done == all.len() => "completed".to_owned(),
        _ => format!("incomplete, {done}"),
    }
}
