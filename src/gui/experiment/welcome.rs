//! The first screen: three ways to begin, experiments that come with the program, and what was made before.

use std::path::{Path, PathBuf};

use eframe::egui::{Grid, RichText, Ui};

use super::choose::Ask;
use super::overview::RunList;
use super::request::Request;
use crate::config::ExperimentConfig;
use crate::experiment::Experiment;
use crate::gui::Settings;
use crate::gui::widgets::welcome::{Choice, Sign, choices, page, recent};
use crate::gui::widgets::{Background, card};
use crate::wording::count;

/// Where the experiments lie that come with the program, beside the folder that it was started from.
const SHIPPED: &str = "configs/experiments";

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
pub(super) struct Shipped(pub(super) Option<Background<Vec<Entry>>>);

/// Draws the first screen.
pub(super) fn show(ui: &mut Ui, settings: &Settings, shipped: &mut Shipped, (list, runs): (&mut RunList, &Path)) -> Option<Request> {
    let sentence = "Pre-train, fine-tune and inspect 3D segmentation networks. Data never leaves this computer.";
    page(ui, "What would you like to do?", sentence, |ui| {
        let mut first = choices(
            ui,
            &[
                Choice {
                    sign: Sign::Play,
                    title: "Try the demo",
                    sentence: "Forty small MRI volumes of the hippocampus are built in; a comparison of four trainings takes a CPU some minutes.",
                    means: Request::Demo,
                },
                Choice {
                    sign: Sign::Slices,
                    title: "Open a dataset",
                    sentence: "Choose a folder in Decathlon, nnU-Net or MONAI form, or of plain NIfTI, NRRD, MetaImage or DICOM files. Every case is checked first.",
                    means: Request::Ask(Ask::DatasetFolder),
                },
                Choice {
                    sign: Sign::Curve,
                    title: "Open a run",
                    sentence: "Look at a finished run again, with the same curves and scores, or go on with an interrupted one.",
                    means: Request::Ask(Ask::Experiment),
                },
            ],
        );
        ui.add_space(8.0);
        ui.horizontal_wrapped(|ui| {
            card::note(ui, "Or drop a folder, a dataset.json or a config anywhere on this window.");
            for (text, ask) in [
                ("Open a dataset.json ...", Ask::DatasetList),
                ("Images and labels in two folders ...", Ask::TwoFolders),
                ("A config ...", Ask::Config),
            ] {
                if ui.link(text).clicked() {
                    first = Some(Request::Ask(ask));
                }
            }
        });
        ui.add_space(16.0);
        first = recent(ui, "Recent datasets", &settings.recent_datasets).map(Request::Path).or(first.take());
        ui.add_space(12.0);
        first = list.show(ui, runs).map(Request::Path).or(first.take());
        ui.add_space(12.0);
        first.or(shipped.show(ui))
    })
}

impl Shipped {
    fn show(&mut self, ui: &mut Ui) -> Option<Request> {
        let ctx = ui.ctx().clone();
        let work = self.0.get_or_insert_with(|| Background::start(&ctx, || find(Path::new(SHIPPED))));
        work.poll();
        let entries = work.get().map_or(&[][..], Vec::as_slice);
        if entries.is_empty() {
            return None;
        }
        let mut first = None;
        ui.label(RichText::new("Experiments that come with the program").strong());
        card::note(
            ui,
            "Each repeats a run while one thing at a time is changed, several times with other seeds, and says how large a difference is and whether that could be chance.",
        );
        Grid::new("shipped experiments").num_columns(3).striped(true).spacing([18.0, 5.0]).show(ui, |ui| {
            for entry in entries {
                if ui.link(&entry.name).on_hover_text(entry.path.display().to_string()).clicked() {
                    first = Some(Request::Path(entry.path.clone()));
                }
                ui.label(&entry.title);
                ui.label(card::quiet(ui, format!("{}, {}", count(entry.cells, "cell"), count(entry.trainings, "training"))).small());
                ui.end_row();
            }
        });
        first
    }
}

/// Every experiment with axes in a folder and the folders in it, those for small machines last.
fn find(folder: &Path) -> Vec<Entry> {
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    paths.sort_by_key(|path| (path.is_dir(), path.clone()));
    let entry = |path: PathBuf| {
        let experiment = Experiment::outline(ExperimentConfig::load(&path).ok()?).ok()?;
        let (cells, trainings) = (experiment.cells.len(), experiment.trainings.len());
        let ExperimentConfig { name, title, axes, .. } = experiment.config;
        (!axes.is_empty()).then_some(Entry { path, name, title, cells, trainings })
    };
    paths.into_iter().flat_map(|path| if path.is_dir() { find(&path) } else { entry(path).into_iter().collect() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_experiment_is_found() {
        let entries = find(&Path::new(env!("CARGO_MANIFEST_DIR")).join(SHIPPED));
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert!(names.contains(&"figure5_labels") && names.contains(&"small_figure5_labels"), "{names:?}");
        assert!(entries.iter().all(|entry| entry.cells > 1 && entry.trainings > 1 && !entry.title.is_empty()), "{entries:?}");
    }
}
