//! The panel as a user meets it, and everything that mouse, keys and buttons do in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eframe::egui::{Event, Key, Modifiers, MouseWheelUnit, PointerButton, Pos2, TouchPhase, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::picture::{Options, Shot};
use super::views::Arrangement;
use super::{OpenCase, SegmentationPanel};
use crate::config::{DataSource, RunConfig};
use crate::gui::slice::Plane;
use crate::gui::testing::{FakeWorker, fake_worker, has_gpu, window};
use crate::gui::{App, OpenRun, Panel, ThemeChoice};
use crate::metrics::CaseScore;
use crate::protocol::{Environment, Event as Told, Outcome, Preview, Record, RunFolder, RunState, SegmentationPreview, Stage, StageKind};
use crate::volume::nifti::{self, write_labels};
use crate::volume::{Dataset, LabelMap, demo};

type Window = Harness<'static, App>;

fn panel(theme: ThemeChoice) -> Window {
    window(theme, |_, app| app.desk.settings.panel = Panel::Segmentation)
}

/// Steps until `done` says so: files are read on threads of their own.
fn until(harness: &mut Window, what: &str, done: impl Fn(&SegmentationPanel) -> bool) {
    for _ in 0..600 {
        harness.step();
        if done(&harness.state().segmentation) {
            harness.run_steps(2);
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what} did not happen");
}

fn settled(panel: &SegmentationPanel) -> bool {
    let counted = |case: &OpenCase| {
        let scored = case.layers.iter().all(|layer| layer.agreement.as_ref().is_none_or(|work| !work.is_working()));
        !case.is_reading() && scored && case.channel_now().is_some()
    };
    panel.reading.is_none() && panel.list.settled() && panel.open.as_ref().is_some_and(|case| counted(case))
}

fn case(harness: &Window) -> &OpenCase {
    harness.state().segmentation.open.as_ref().expect("a volume is open")
}

/// A window with the first demo case that has a truth.
fn demo_case(theme: ThemeChoice) -> Window {
    let mut harness = panel(theme);
    harness.run_steps(2);
    harness.get_by_label("Demo case").click();
    until(&mut harness, "the demo case", settled);
    harness
}

/// The names of the demo cases that have a truth.
fn labelled(dataset: &Dataset) -> Vec<String> {
    dataset.cases.iter().filter(|case| case.label.is_some()).map(|case| case.name.clone()).collect()
}

/// A truth turned into what a network might say: moved by some voxels, and one label partly lost.
fn mistaken(truth: &LabelMap, by: usize, lost: bool) -> LabelMap {
    let [depth, height, width] = truth.grid.shape;
    let at = |d: usize, h: usize, w: usize| truth.voxels[(d * height + h) * width + w];
    let mut voxels = Vec::with_capacity(truth.voxels.len());
    for d in 0..depth {
        for h in 0..height {
            for w in 0..width {
                let value = if w >= by { at(d, h, w - by) } else { 0 };
                voxels.push(if lost && value == 2 && d % 5 == 0 { 0 } else { value });
            }
        }
    }
    LabelMap { grid: truth.grid.clone(), voxels }
}

/// A run on the demo with two arms that segmented three cases, one of them badly.
fn run_with_predictions(root: &Path) -> (OpenRun, Vec<String>) {
    let dataset = demo::dataset();
    let names: Vec<String> = labelled(&dataset).into_iter().take(3).collect();
    let folder = RunFolder::new(root);
    let mut state = RunState::default();
    let mut tell = |event| state.apply(&Record { secs: 1.0, event });
    let classes = dataset.labels.values().cloned().collect();
    tell(Told::Started { schema: 1, name: "demo".into(), environment: Environment::default(), classes });
    for (arm, worse) in [("scratch", 2), ("simtrot_w", 1)] {
        let stage = Stage { kind: StageKind::Test, arm: arm.to_owned() };
        for (index, name) in names.iter().enumerate() {
            let case = dataset.load(dataset.case(name).unwrap()).unwrap();
            let found = mistaken(&case.label.unwrap(), index + worse, worse == 2);
            write_labels(&folder.predictions(arm).join(format!("{name}.nii.gz")), &found, &case.image.header).unwrap();
            let dice = 0.9 - 0.1 * (index * worse) as f64;
            let region = "Anterior".to_owned();
            let (dice, hd95) = (Some(dice), Some(1.0 + index as f64));
            let score = CaseScore { case: name.clone(), region, dice, hd95, truth_voxels: 1, predicted_voxels: 1, one_sided: false };
            tell(Told::Scored { stage: stage.clone(), case: name.clone(), scores: vec![score] });
        }
    }
    let config = RunConfig { name: "demo".into(), ..RunConfig::default() };
    assert_eq!(config.data.source, DataSource::Demo);
    (OpenRun::replayed(folder, config, state), names)
}

/// A window on such a run, with the case of that place open.
fn compared(theme: ThemeChoice, index: usize) -> (Window, Vec<String>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (run, names) = run_with_predictions(folder.path());
    let mut harness = window(theme, move |_, app| {
        app.desk.settings.panel = Panel::Segmentation;
        app.desk.put(run);
    });
    until(&mut harness, "the list", |panel| panel.list.dataset().is_some());
    harness.get_by_label_contains(&format!("{}, Dice", names[index])).click();
    until(&mut harness, "the case", settled);
    (harness, names, folder)
}

#[test]
fn an_empty_panel_says_what_to_do_first() {
    if !has_gpu() {
        return;
    }
    let mut harness = panel(ThemeChoice::Dark);
    harness.state_mut().desk.settings.recent_volumes = vec![PathBuf::from("/data/abdomen/case_0007.nii.gz")];
    harness.run_steps(3);
    harness.snapshot("segmentation_empty_dark");
}

#[test]
fn a_demo_case_is_shown_in_both_lights() {
    if !has_gpu() {
        return;
    }
    for (theme, name) in [(ThemeChoice::Dark, "segmentation_case_dark"), (ThemeChoice::Light, "segmentation_case_light")] {
        let mut harness = demo_case(theme);
        harness.key_press(Key::Period);
        harness.run_steps(3);
        harness.snapshot(name);
    }
}

#[test]
fn methods_are_compared_side_by_side() {
    if !has_gpu() {
        return;
    }
    let (mut harness, ..) = compared(ThemeChoice::Dark, 1);
    harness.get_by_label("Compare").click();
    harness.run_steps(2);
    until(&mut harness, "the methods", settled);
    harness.key_press(Key::E);
    harness.key_press(Key::Period);
    harness.run_steps(3);
    harness.snapshot("segmentation_compared_dark");
}
