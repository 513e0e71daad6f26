//! Before an experiment is open: what one is, those that come with the program, those opened last.

use std::path::{Path, PathBuf};

use eframe::egui::{self, RichText, ScrollArea, Ui};

use super::super::run::{Sign, choice, recent};
use super::super::widgets::card;
use super::super::{Background, Settings};
use super::Ask;
use crate::config::ExperimentConfig;
use crate::experiment::Experiment;
use crate::wording::count;

const WIDTH: f32 = 880.0;
/// Where the experiments lie that come with the program, beside the folder that it was started from.
const PLACE: &str = "configs/experiments";

/// What a first choice asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum First {
    /// A dialog.
    Ask(Ask),
    /// An experiment's file or folder.
    Experiment(PathBuf),
}

/// An experiment that comes with the program.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// Its question.
    pub(super) title: String,
    pub(super) cells: usize,
    pub(super) trainings: usize,
}

/// Experiments that come with the program, looked for once.
#[derive(Debug, Default)]
pub(super) struct Shipped(Option<Background<Vec<Entry>>>);

impl Shipped {
    /// A list that is known, for tests.
    #[cfg(test)]
    pub(super) fn known(entries: Vec<Entry>) -> Self {
        Self(Some(Background::Done(entries)))
    }

    fn entries(&mut self, ctx: &egui::Context) -> &[Entry] {
        let work = self.0.get_or_insert_with(|| Background::start(ctx, || find(Path::new(PLACE))));
        work.poll();
        work.get().map_or(&[], Vec::as_slice)
    }
}

/// Every experiment in a folder and the folders in it, those for small machines last.
fn find(place: &Path) -> Vec<Entry> {
    let Ok(files) = std::fs::read_dir(place) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    paths.sort_by_key(|path| (path.is_dir(), path.clone()));
    let entry = |path: PathBuf| {
        if path.is_dir() {
            return find(&path);
        }
        let text = crate::text_file::read(&path).unwrap_or_default();
        let ron = path.extension().is_some_and(|extension| extension == "ron");
        let experiment =
            (ron && ExperimentConfig::is_in(&text)).then(|| Experiment::outline(ExperimentConfig::load(&path).ok()?).ok()).flatten();
        let entry = experiment.map(|experiment| Entry {
            path,
            name: experiment.config.name.clone(),
            title: experiment.config.title.clone(),
            cells: experiment.cells.len(),
            trainings: experiment.trainings.len(),
        });
        entry.into_iter().collect()
    };
    paths.into_iter().flat_map(entry).collect()
}

/// The first screen.
pub(super) fn show(ui: &mut Ui, settings: &Settings, shipped: &mut Shipped, opening: bool) -> Option<First> {
    let mut first = None;
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let margin = ((ui.available_width() - WIDTH) / 2.0).max(16.0);
        ui.add_space((ui.available_height() * 0.06).min(54.0));
        ui.horizontal(|ui| {
            ui.add_space(margin);
            ui.vertical(|ui| {
                ui.set_width((ui.available_width() - margin).min(WIDTH));
                first = contents(ui, settings, shipped, opening);
            });
        });
    });
    first
}

fn contents(ui: &mut Ui, settings: &Settings, shipped: &mut Shipped, opening: bool) -> Option<First> {
    let mut first = None;
    ui.label(RichText::new("Which question should your scans answer?").size(26.0).strong());
    let text = "An experiment repeats a run while one thing at a time is changed: how many labels, which network, which settings. It trains every \
                combination, several times with other seeds, and says how large a difference is, and whether that could be chance. What \
                combinations share is made once. An experiment may be stopped at any time: it goes on with what is missing.";
    ui.label(card::quiet(ui, text));
    ui.add_space(14.0);
    ui.columns_const(|[file, folder]| {
        if choice(
            file,
            (Sign::Play, "Open an experiment's file"),
            "A .ron file that names a base run and what is varied. Nothing starts before you say so.",
        ) {
            first = Some(First::Ask(Ask::File));
        }
        let text = "An experiment that was begun, here or in a terminal: look at its grid and conclusions, or let it go on.";
        if choice(folder, (Sign::Curve, "Open an experiment's folder"), text) {
            first = Some(First::Ask(Ask::Folder));
        }
    });
    ui.add_space(6.0);
    card::note(ui, if opening { "Reading the experiment ..." } else { "Or drop either of them anywhere on this window." });
    ui.add_space(16.0);
    let entries = shipped.entries(ui.ctx());
    if !entries.is_empty() {
        ui.label(RichText::new("Experiments that come with the program").strong());
        egui::Grid::new("shipped experiments").num_columns(3).striped(true).spacing([18.0, 5.0]).show(ui, |ui| {
            for entry in entries {
                if ui.link(&entry.name).on_hover_text(entry.path.display().to_string()).clicked() {
                    first = Some(First::Experiment(entry.path.clone()));
                }
                ui.label(&entry.title);
                ui.label(card::quiet(ui, format!("{}, {}", count(entry.cells, "cell"), count(entry.trainings, "training"))).small());
                ui.end_row();
            }
        });
        ui.add_space(16.0);
    }
    if let Some(place) = recent(ui, "Recent experiments", &settings.recent_experiments) {
        first = Some(First::Experiment(place));
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_experiment_is_found_and_no_run_is() {
        let entries = find(&Path::new(env!("CARGO_MANIFEST_DIR")).join(PLACE));
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert!(names.contains(&"figure5_labels") && names.contains(&"small_figure5_labels"), "{names:?}");
        assert!(entries.iter().all(|entry| entry.cells > 1 && entry.trainings > 1 && !entry.title.is_empty()), "{entries:?}");
        assert!(!names.contains(&"hippocampus"), "a run is no experiment");
    }
}
