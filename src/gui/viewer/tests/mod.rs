//! The panel as a user meets it, and everything that mouse, keys and buttons do in it.

mod adding;
mod correcting;
mod correction_lost;
mod interaction;
mod maps;
mod measuring;
mod next_case;
mod opening;
mod segment;
mod series;
mod states;
mod surface;

use std::path::Path;

use eframe::egui::{Event, Key, Modifiers, MouseWheelSource, MouseWheelUnit, PointerButton, Pos2, Role, TouchPhase, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::{OpenCase, ViewerPanel};
use crate::config::{DataSource, RunConfig};
use crate::gui::testing::{click, wait_until, window};
use crate::gui::{App, OpenRun, Panel, ThemeChoice};
use crate::metrics::CaseScore;
use crate::protocol::{Environment, Event as WorkerEvent, Record, RunState, Stage, StageKind};
use crate::volume::nifti::{write_labels, write_volume};
use crate::volume::{Dataset, Grid as VolumeGrid, LabelMap, SourceHeader, Volume, demo};

pub(super) type Window = Harness<'static, App>;

/// An empty panel. Each voxel is a rectangle, so that pictures of it stay small.
fn panel(theme: ThemeChoice) -> Window {
    window(theme, |_, app| {
        app.workspace.settings.panel = Panel::Segmentation;
        app.workspace.settings.slices.linear = false;
    })
}

/// Drops files on the window.
fn drop_files(harness: &mut Window, files: &[&Path]) {
    let files: Vec<_> = files.iter().map(|file| file.to_path_buf()).collect();
    let ctx = harness.ctx.clone();
    let app = harness.state_mut();
    app.segmentation.take_dropped(&ctx, &files, &app.workspace);
}

/// Writes a volume of one channel on a grid of `shape` and `spacing_mm` (D,H,W); `value` is given D,H,W.
fn write(file: &Path, (shape, spacing_mm): ([usize; 3], [f64; 3]), value: impl Fn([usize; 3]) -> f32) -> VolumeGrid {
    let grid = VolumeGrid::axis_aligned(shape, spacing_mm);
    let voxels = (0..grid.len()).map(|index| value(crate::geometry::unravel(index, shape))).collect();
    let volume = Volume { channels: 1, grid: grid.clone(), voxels };
    write_volume(file, &volume, &SourceHeader::for_grid(&grid)).unwrap();
    grid
}

/// An image that is taken for nothing else.
fn shades([d, h, w]: [usize; 3]) -> f32 {
    (7 * d + 3 * h + w) as f32 + 0.5
}

/// Opens a file and waits for it.
fn open_file(harness: &mut Window, file: &Path) {
    drop_files(harness, &[file]);
    let title = crate::volume::file::stem(file);
    until(harness, "the volume", |panel| panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.request.title == title));
}

fn press(harness: &mut Window, key: Key) {
    harness.key_press(key);
    harness.run_steps(3);
}

/// Steps until `done` says so: files are read on threads of their own.
fn until(harness: &mut Window, what: &str, done: impl Fn(&ViewerPanel) -> bool) {
    harness.step();
    wait_until(harness, what, |harness| done(&harness.state().segmentation));
    harness.run_steps(2);
}

fn case(harness: &Window) -> &OpenCase {
    harness.state().segmentation.open.as_ref().expect("a volume is open")
}

fn case_mut(harness: &mut Window) -> &mut OpenCase {
    harness.state_mut().segmentation.open.as_mut().expect("a volume is open")
}

/// A window with the first demo case that has a truth.
fn demo_case(theme: ThemeChoice) -> Window {
    let mut harness = panel(theme);
    harness.run_steps(2);
    harness.get_by_role_and_label(Role::Button, "Demo case").click();
    until(&mut harness, "the demo case", ViewerPanel::is_settled);
    harness
}

/// The names of the demo cases that have a truth.
fn labelled(dataset: &Dataset) -> Vec<String> {
    dataset.cases.iter().filter(|case| case.label.is_some()).map(|case| case.name.clone()).collect()
}

/// A truth as a network might see it: moved by some voxels, and one label lost in some slices.
fn mistaken(truth: &LabelMap, by: usize, lost: bool) -> LabelMap {
    let shape = truth.grid.shape;
    let voxel = |index: usize| {
        let [d, _, w] = crate::geometry::unravel(index, shape);
        let value = if w >= by { truth.voxels[index - by] } else { 0 };
        if lost && value == 2 && d % 5 == 0 { 0 } else { value }
    };
    LabelMap { grid: truth.grid.clone(), voxels: (0..truth.voxels.len()).map(voxel).collect() }
}

/// A run on the demo with two arms that segmented three cases, the last one badly.
fn run_with_predictions(root: &Path) -> (OpenRun, Vec<String>) {
    let dataset = demo::dataset();
    let names: Vec<String> = labelled(&dataset).into_iter().take(3).collect();
    let config = RunConfig { name: "demo".into(), ..RunConfig::default() };
    assert_eq!(config.data.source, DataSource::Demo);
    let mut run = OpenRun::of_record(root, config, RunState::default());
    let mut state = RunState::default();
    let mut apply = |event| state.apply(&Record { secs: 1.0, event });
    let classes = dataset.labels.values().cloned().collect();
    apply(WorkerEvent::Started { schema: 1, name: "demo".into(), environment: Environment::default(), classes });
    for (arm, worse) in [("scratch", 2), ("simtrot_w", 1)] {
        let stage = Stage { kind: StageKind::Test, arm: arm.to_owned() };
        for (index, name) in names.iter().enumerate() {
            let case = dataset.load(dataset.case(name).unwrap(), Default::default()).unwrap();
            let found = mistaken(&case.label.unwrap(), index * worse, worse == 2);
            let file = run.training_folder(&stage).predictions().join(format!("{name}.nii.gz"));
            write_labels(&file, &found, &case.image.header).unwrap();
            let score = CaseScore {
                case: name.clone(),
                region: "Anterior".to_owned(),
                dice: Some(0.9 - 0.1 * (index * worse) as f64),
                hd95: Some(1.0 + index as f64),
                truth_voxels: 1,
                predicted_voxels: 1,
                missing_in_one: false,
            };
            apply(WorkerEvent::Scored { stage: stage.clone(), case: name.clone(), scores: vec![score] });
        }
    }
    *run.state_mut() = state;
    (run, names)
}

/// A window on such a run, with the case of that index open.
fn with_run(theme: ThemeChoice, index: usize) -> (Window, Vec<String>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (run, names) = run_with_predictions(folder.path());
    let mut harness = panel(theme);
    harness.state_mut().workspace.put(run);
    until(&mut harness, "the list", |panel| panel.list.dataset().is_some());
    harness.get_by_label(&names[index]).click();
    until(&mut harness, "the case", ViewerPanel::is_settled);
    (harness, names, folder)
}

/// The middle of a pane.
fn middle(harness: &Window, pane: usize) -> Pos2 {
    harness.state().segmentation.views.panes[pane].rect.center()
}

fn wheel(harness: &mut Window, at: Pos2, notches: f32, modifiers: Modifiers) {
    harness.hover_at(at);
    harness.step();
    let delta = vec2(0.0, notches);
    let source = MouseWheelSource::Wheel;
    harness.event(Event::MouseWheel { unit: MouseWheelUnit::Line, delta, phase: TouchPhase::Move, source, modifiers });
    harness.run_steps(2);
}

/// Presses the left button at one point, moves to another, and lets go.
fn drag(harness: &mut Window, from: Pos2, to: Pos2, modifiers: Modifiers) {
    harness.hover_at(from);
    harness.step();
    let button = |pos, pressed| Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers };
    harness.event_modifiers(button(from, true), modifiers);
    harness.step();
    harness.event_modifiers(Event::PointerMoved(from.lerp(to, 0.5)), modifiers);
    harness.step();
    harness.event_modifiers(Event::PointerMoved(to), modifiers);
    harness.step();
    harness.event_modifiers(button(to, false), modifiers);
    harness.run_steps(2);
}
