//! Segmenting: through a worker that a test plays, and through the real one.

use std::collections::BTreeMap;
use std::sync::Arc;

use eframe::egui::{Key, ViewportCommand, ViewportEvent};
use egui_kittest::kittest::Queryable as _;

use super::{Window, case, click, demo_case, mistaken, panel, press, until};
use crate::config::{DataSource, ModelConfig, RunConfig, SyntheticConfig, UnetConfig};
use crate::device::DeviceChoice;
use crate::gui::ThemeChoice;
use crate::gui::testing::{FakeWorker, fake_worker, needs_gpu};
use crate::gui::viewer::ViewerPanel;
use crate::gui::viewer::layer::{Kind, SEGMENTED};
use crate::gui::viewer::requests::Request;
use crate::protocol::{Command, Environment, Event, Outcome, Preview, RunFolder, SegmentationPreview, Stage, StageKind};
use crate::volume::{Dataset, LabelMap, demo, nifti};
use crate::worker::{self, Job, TrainingJob};

/// A demo case that a worker segments, which the test plays; and what it will find.
fn segmenting() -> (Window, FakeWorker, SegmentationPreview) {
    let mut harness = demo_case(ThemeChoice::Dark);
    let worker = follow(&mut harness, "demo: simtrot_w");
    let dataset = demo::dataset();
    let loaded = dataset.load(dataset.case(&case(&harness).request.title).unwrap(), Default::default()).unwrap();
    let labels = mistaken(&loaded.label.unwrap(), 1, false);
    let preview = SegmentationPreview {
        case: case(&harness).request.title.clone(),
        done: 1,
        windows: 1,
        labels,
        header: loaded.image.header,
        dataset: String::new(),
        names: BTreeMap::from([(0, "background".into()), (1, "Anterior".into()), (2, "Posterior".into())]),
    };
    (harness, worker, preview)
}

/// A worker that segments the open case with a network of that name, and that the test plays.
fn follow(harness: &mut Window, with: &str) -> FakeWorker {
    let (handle, worker) = fake_worker();
    let panel = &mut harness.state_mut().segmentation;
    panel.segmenting.follow(panel.open.as_mut().unwrap(), with.to_owned(), handle);
    panel.views.shown = Some(SEGMENTED.to_owned());
    let stage = Stage { kind: StageKind::Infer, arm: String::new() };
    worker.tell(0.0, Event::Started { schema: 1, name: "infer".into(), environment: Environment::default(), classes: Vec::new() });
    worker.tell(0.1, Event::StageStarted { stage, total: 1, done: 0 });
    worker
}

/// The labels of the first `slices` slices.
fn part(whole: &SegmentationPreview, slices: usize) -> SegmentationPreview {
    let [_, height, width] = whole.labels.grid.shape;
    let mut voxels = whole.labels.voxels.clone();
    voxels[slices * height * width..].fill(0);
    SegmentationPreview { done: 3, windows: 8, labels: LabelMap { voxels, ..whole.labels.clone() }, ..whole.clone() }
}

fn segmented(harness: &Window) -> Option<Vec<u8>> {
    Some(case(harness).of_kind(Kind::Segmented)?.labels()?.classes.slices().collect::<Vec<_>>().concat())
}

#[test]
fn tiles_are_shown_as_they_arrive_and_the_whole_is_saved() {
    needs_gpu!();
    let (mut harness, worker, whole) = segmenting();
    let first = part(&whole, 20);
    worker.previews.send(Preview::Segmentation(Arc::new(first.clone()))).unwrap();
    until(&mut harness, "the first tiles", |panel| panel.open.as_ref().unwrap().layers[1].labels().is_some());
    harness.get_by_label_contains("3 of 8 windows");
    let classes = segmented(&harness).unwrap();
    assert!(classes.iter().zip(&first.labels.voxels).all(|(&class, &value)| u16::from(class) == value));
    harness.set_size(eframe::egui::vec2(1100.0, 700.0));
    harness.key_press(Key::Period);
    harness.run_steps(4);
    harness.snapshot("viewer_segmenting_dark");

    worker.previews.send(Preview::Segmentation(Arc::new(whole.clone()))).unwrap();
    worker.tell(1.0, Event::Finished { outcome: Outcome::Completed });
    until(&mut harness, "the whole", |panel| panel.is_settled() && panel.segmenting.is_unsaved() && !panel.segmenting.is_running());
    harness.get_by_label("Save as...");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("segmented.nii.gz");
    let save = harness.state().segmentation.segmenting.writer(case(&harness)).unwrap();
    let saved = save(&file).unwrap();
    let read = nifti::read(&file).unwrap();
    assert!(read.volume.voxels.iter().zip(&whole.labels.voxels).all(|(&a, &b)| a == f32::from(b)));
    assert_eq!(read.header.as_bytes()[252..344], whole.header.as_bytes()[252..344], "qform and sform are the scanner's");

    let written = |harness: &mut Window, saved: &(u64, String)| {
        let ctx = harness.ctx.clone();
        let app = harness.state_mut();
        app.segmentation.request(&ctx, Request::Saved(saved.clone()), &app.workspace);
    };
    written(&mut harness, &saved);
    assert!(!harness.state().segmentation.segmenting.is_unsaved());
    // Segmented once more before the answer of a dialog arrives: what that saved is not what is there.
    let again = follow(&mut harness, "demo: scratch");
    again.previews.send(Preview::Segmentation(Arc::new(whole.clone()))).unwrap();
    again.tell(1.0, Event::Finished { outcome: Outcome::Completed });
    until(&mut harness, "the other one", |panel| {
        panel.is_settled() && panel.segmenting.network() == Some("demo: scratch") && !panel.segmenting.is_running()
    });
    written(&mut harness, &saved);
    let panel = &mut harness.state_mut().segmentation;
    assert!(panel.segmenting.is_unsaved());
    assert_eq!(panel.notice.take().as_ref(), Some(&saved.1), "the user is told all the same");

    // So would closing the window.
    let id = harness.ctx.viewport_id();
    harness.input_mut().viewports.entry(id).or_default().events.push(ViewportEvent::Close);
    harness.step();
    let commands =
        |harness: &Window| harness.output().viewport_output.values().flat_map(|output| output.commands.clone()).collect::<Vec<_>>();
    assert!(commands(&harness).contains(&ViewportCommand::CancelClose));
    harness.run_steps(2);
    harness.get_by_label("The segmentation is not saved");
    click(&mut harness, "Cancel");
    // Another case would lose it: the user is asked.
    press(&mut harness, Key::N);
    harness.get_by_label("The segmentation is not saved");
    click(&mut harness, "Cancel");
    assert!(harness.state().segmentation.segmenting.is_unsaved() && segmented(&harness).is_some());
    let before = case(&harness).request.title.clone();
    press(&mut harness, Key::N);
    harness.get_by_label("Go on without it").click();
    until(&mut harness, "the next case", |panel| {
        panel.is_settled() && panel.open.as_ref().is_some_and(|case| case.request.title != before)
    });
    assert!(segmented(&harness).is_none());
}

#[test]
fn a_segmentation_can_be_stopped_and_a_failure_says_why() {
    needs_gpu!();
    let (mut harness, worker, whole) = segmenting();
    worker.previews.send(Preview::Segmentation(Arc::new(part(&whole, 9)))).unwrap();
    until(&mut harness, "the first tiles", |panel| panel.open.as_ref().unwrap().layers[1].labels().is_some());
    click(&mut harness, "Stop");
    assert_eq!(worker.commands(), [Command::Stop]);
    worker.tell(1.0, Event::Finished { outcome: Outcome::Stopped });
    harness.run_steps(3);
    harness.get_by_label_contains("a part of the segmentation");
    click(&mut harness, "Discard");
    assert!(segmented(&harness).is_none());

    let (mut harness, worker, _) = segmenting();
    let message = "the checkpoint expects 4 channels; give it an image with all of them".to_owned();
    worker.tell(1.0, Event::Finished { outcome: Outcome::Failed { message, bad_input: true } });
    harness.run_steps(3);
    harness.get_by_label_contains("expects 4 channels");
}

/// Shape of the synthetic volumes: one window and a bit.
const SHAPE: [usize; 3] = [12, 20, 18];

#[test]
fn the_real_worker_segments_the_open_volume() {
    needs_gpu!();
    let folder = tempfile::tempdir().unwrap();
    let synthetic = SyntheticConfig { cases: 4, shape: SHAPE, channels: 1, labels: 2 };
    let unet =
        UnetConfig { features: vec![4, 8], strides: vec![[1; 3], [2; 3]], blocks: vec![1, 1], deep_supervision: false, recompute: false };
    let mut config = RunConfig::default();
    config.data.source = DataSource::Synthetic(synthetic.clone());
    config.model = ModelConfig::Unet(unet);
    config.finetune.crop_size = [8, 16, 16];
    config.finetune.steps = 2;
    let run = RunFolder::new(folder.path().join("run"));
    let training = TrainingJob { max_steps: Some(1), ..TrainingJob::new(StageKind::Finetune, config, run.clone()) };
    let trained = worker::spawn(Job::Train(Box::new(training)), DeviceChoice::Cpu);
    let events: Vec<_> = trained.events.iter().collect();
    assert_eq!(trained.join.join().unwrap(), Outcome::Completed, "{:?}", events.last());

    let mut harness = panel(ThemeChoice::Dark);
    let ctx = harness.ctx.clone();
    let source = DataSource::Synthetic(synthetic.clone());
    harness.state_mut().segmentation.list.list(&ctx, source.clone());
    until(&mut harness, "the list", |panel| panel.list.dataset().is_some());
    harness.get_by_label_contains("synthetic_002").click();
    until(&mut harness, "the case", ViewerPanel::is_settled);
    let app = harness.state_mut();
    app.segmentation.request(&ctx, Request::Segment(("tiny".to_owned(), run.root().to_owned())), &app.workspace);
    until(&mut harness, "the segmentation", |panel| !panel.segmenting.is_running() && panel.is_settled());
    assert!(harness.state().segmentation.segmenting.is_unsaved(), "the last labels arrived");
    assert_eq!(segmented(&harness).unwrap().len(), SHAPE.iter().product::<usize>());
    // The table scores what was found against the truth of the case.
    assert!(case(&harness).of_kind(Kind::Segmented).unwrap().agreement().is_some());
    assert_eq!(Dataset::open(&source).unwrap().cases.len(), 4);
}
