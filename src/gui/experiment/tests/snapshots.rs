//! What the panel looks like: in both themes, in the least window, and at twice the size.

use std::path::{Path, PathBuf};

use eframe::egui::vec2;
use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotResults};

use super::super::details::Chosen;
use super::super::finished::Finished;
use super::super::grid_table::GridTable;
use super::super::overview::{Entry, RunList};
use super::super::setup::{Starting, Template};
use super::super::status::Status;
use super::super::welcome::{self, Shipped};
use super::super::{Tab, View};
use super::fixture;
use super::{form, put_demo, put_set_up, troubled, wait_for, with_devices};
use crate::config::{DataSource, Preset};
use crate::experiment::Experiment;
use crate::experiment::synthetic::{self, Until};
use crate::gui::testing::{has_gpu, window};
use crate::gui::{App, Background, ThemeChoice};

/// The window in points, and pixels for each.
#[derive(Clone, Copy)]
enum Size {
    Normal,
    /// 900 x 600 pixels.
    Small,
    /// 1600 x 1000 pixels at 200 %.
    Twice,
}

/// A snapshot of each theme and size.
fn snapshots(
    name: &str,
    looks: &[(ThemeChoice, Size)],
    arrange: impl Fn(&mut App),
    settle: impl Fn(&mut Harness<'_, App>),
) -> SnapshotResults {
    let mut results = SnapshotResults::new();
    if !has_gpu() {
        return results;
    }
    for (theme, size) in looks {
        let mut harness = window(*theme, |_, app| arrange(app));
        let size_word = match size {
            Size::Normal => "",
            Size::Small => {
                harness.set_size(vec2(900.0, 600.0));
                "_small"
            }
            Size::Twice => {
                harness.set_size(vec2(800.0, 500.0));
                harness.set_pixels_per_point(2.0);
                "_twice"
            }
        };
        harness.run_steps(4);
        settle(&mut harness);
        harness.run_steps(3);
        let theme = if *theme == ThemeChoice::Dark { "dark" } else { "light" };
        harness.snapshot(format!("experiment_{name}{size_word}_{theme}"));
        results.extend_harness(&mut harness);
    }
    results
}

const DARK: (ThemeChoice, Size) = (ThemeChoice::Dark, Size::Normal);
const LIGHT: (ThemeChoice, Size) = (ThemeChoice::Light, Size::Normal);
const SMALL: (ThemeChoice, Size) = (ThemeChoice::Dark, Size::Small);
const TWICE: (ThemeChoice, Size) = (ThemeChoice::Light, Size::Twice);

/// Shows a made-up experiment.
pub(super) fn put(app: &mut App, experiment: &Experiment, until: Until) {
    with_devices(app);
    app.workspace.put(fixture::open(experiment, until));
}

fn entries() -> Vec<Entry> {
    let cells = [
        ["demo", "2026-03-01 09:12", "completed", "demo", "0.817"],
        ["hippocampus_labels", "2026-03-04 18:40", "incomplete, 32 of 64 trainings done", "Task04_Hippocampus", "0.861"],
        ["liver_b_trot", "2026-02-11 07:05", "failed, 1 of 4 trainings done", "Task03_Liver", "–"],
    ];
    cells.map(|cells| Entry { folder: Path::new("/data/runs").join(cells[0]), cells: cells.map(str::to_owned) }).to_vec()
}

#[test]
fn the_first_screen_offers_three_ways_to_begin() {
    let arrange = |app: &mut App| {
        with_devices(app);
        app.workspace.settings.recent_datasets = ["/data/Task04_Hippocampus", "/data/btcv/dataset.json"].map(PathBuf::from).to_vec();
        app.workspace.settings.runs_folder = Some("/data/runs".into());
        app.experiment.list = RunList::known(Path::new("/data/runs"), entries());
        let shipped = [
            ("figure5_labels", "With how few labels does SimTROT-W help on multi-organ CT?", 60, 63),
            ("table4_ablation", "What do masking, rotation and weight each do, on multi-organ CT?", 108, 87),
        ];
        let entry = |(name, title, cells, trainings): (&str, &str, usize, usize)| welcome::Entry {
            path: format!("configs/experiments/{name}.ron").into(),
            name: name.to_owned(),
            title: title.to_owned(),
            cells,
            trainings,
        };
        app.experiment.shipped = Shipped(Some(Background::Done(shipped.map(entry).to_vec())));
    };
    snapshots("welcome", &[DARK, LIGHT, SMALL, TWICE], arrange, |_| {});
}

#[test]
fn a_checked_dataset_shows_every_case_and_what_is_wrong() {
    let arrange = |app: &mut App| {
        let source = DataSource::Dataset(PathBuf::from("/data/Task03_Liver"));
        let mut form = form(Template::Defaults);
        form.take_source(source.clone());
        form.learn(&troubled());
        put_set_up(app, form, (source, Some(troubled())), 11_240);
    };
    snapshots("checked", &[DARK, LIGHT, SMALL], arrange, |_| {});
}

#[test]
fn settings_show_what_they_need_and_what_would_fit() {
    let mut results = snapshots("fits", &[LIGHT, SMALL, TWICE], put_demo, |_| {});
    let too_large = |app: &mut App| {
        let mut form = form(Template::Demo);
        form.choose_network(Preset::NnformerSynapse);
        put_set_up(app, form, (DataSource::Demo, None), 3_120);
    };
    results.extend(snapshots("too_large", &[DARK], too_large, |harness| {
        harness.get_by_label("Use what fits: fine-tuning").scroll_to_me();
        harness.run_steps(8);
    }));
}

#[test]
fn a_run_that_is_there_is_asked_about() {
    let arrange = |app: &mut App| {
        put_demo(app);
        let setup = app.experiment.setup.as_mut().unwrap();
        setup.starting = Starting::asking(&setup.form, "incomplete, 2 of 4 trainings done", "demo_2");
    };
    snapshots("question", &[DARK], arrange, |_| {});
}

#[test]
fn one_point_shows_progress_scores_and_curves() {
    let open = |until| move |app: &mut App| put(app, &synthetic::one_point(), until);
    let mut results = snapshots("midway", &[DARK, LIGHT], open(Until::Pretraining), |_| {});
    results.extend(snapshots("failed", &[DARK], open(Until::Failure), |_| {}));
    let finished = |app: &mut App| {
        with_devices(app);
        app.workspace.put(fixture::finished("demo", 0));
    };
    results.extend(snapshots("finished", &[DARK, LIGHT, SMALL, TWICE], finished, |_| {}));
}

#[test]
fn two_runs_lie_over_one_another() {
    let arrange = |app: &mut App| {
        with_devices(app);
        app.workspace.put(fixture::finished("seed_1", 1));
        app.workspace.put(fixture::finished("seed_0", 0));
        app.experiment.compared = app.workspace.runs.iter().map(|open| open.folder.root().to_owned()).collect();
    };
    snapshots("compared", &[LIGHT], arrange, |harness| wait_for(harness, "Runs side by side"));
}

#[test]
fn a_grid_shows_what_is_done_what_failed_and_what_it_finds() {
    let midway = |app: &mut App| {
        put(app, &synthetic::experiment(), Until::Midway);
        let open = app.workspace.shown().unwrap();
        let failed = |cell: &usize| matches!(Status::of_cell(open, *cell), Status::Failed(_));
        let chosen = (0..open.experiment.cells.len()).find(failed).map(Chosen::Cell);
        app.experiment.table = Some((open.folder.root().to_owned(), GridTable::new(&open.experiment)));
        app.experiment.chosen = chosen;
    };
    let mut results = snapshots("grid", &[DARK, LIGHT, SMALL, TWICE], midway, |_| {});
    let findings = |app: &mut App| {
        put(app, &synthetic::experiment(), Until::Midway);
        app.experiment.tab = Tab::Findings;
    };
    results.extend(snapshots("findings", &[DARK, SMALL], findings, |_| {}));
    let large = |app: &mut App| put(app, &synthetic::large(), Until::Midway);
    results.extend(snapshots("large", &[LIGHT], large, |_| {}));
}

#[test]
fn runs_are_listed_and_published_results_are_shown() {
    let list = |app: &mut App| {
        put_demo(app);
        app.workspace.settings.runs_folder = Some("/data/runs".into());
        app.experiment.list = RunList::known(Path::new("/data/runs"), entries());
        (app.experiment.view, app.experiment.setup_hidden) = (View::List, true);
    };
    let mut results = snapshots("list", &[DARK, SMALL], list, |_| {});
    let published = |app: &mut App| {
        let mut finished = Finished::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/studies/hippocampus_swin_unetr_long")).unwrap();
        finished.folder = "docs/studies/hippocampus_swin_unetr_long".into();
        (app.experiment.finished, app.experiment.view) = (Some(finished), View::Finished);
    };
    results.extend(snapshots("published", &[LIGHT], published, |_| {}));
}
