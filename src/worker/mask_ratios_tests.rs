//! Through the worker itself, on made-up volumes and a network of one step: tokens that are shown and kept, and the what-if curve.

use std::path::Path;

use super::MaskRatiosJob;
use crate::config::{DataSource, PretextTask, RunConfig, SyntheticConfig};
use crate::device::DeviceChoice;
use crate::protocol::{Command, Event, MaskPoint, Outcome, Preview, RunFolder, RunState, Stage, StageKind};
use crate::worker::{Job, ProbeJob, RunHandle, TrainingJob, spawn};

const EDGE: usize = 16;

fn data() -> DataSource {
    DataSource::Synthetic(SyntheticConfig { cases: 6, shape: [20, 20, 20], channels: 1, labels: 1 })
}

fn config(task: PretextTask) -> RunConfig {
    let preset = if task == PretextTask::Mae { "unetr_small" } else { "nnformer_small" };
    let settings = [
        format!("model.preset={preset}"),
        format!("pretrain.task={task}"),
        format!("pretrain.crop_size=[{EDGE},{EDGE},{EDGE}]"),
        format!("finetune.crop_size=[{EDGE},{EDGE},{EDGE}]"),
        "pretrain.steps=1".to_owned(),
        "probe.volumes=2".to_owned(),
        "probe.crops=1".to_owned(),
        "probe.label_volumes=[]".to_owned(),
        "data.split={\"hold_out\":{\"test\":0.5,\"validation\":0}}".to_owned(),
    ];
    let mut config = RunConfig::default();
    config.data.source = data();
    config.data.preprocess.spacing_mm = None;
    config.with_overrides(&settings).unwrap()
}

/// Everything that a job told, and what it showed.
fn follow(handle: RunHandle) -> (RunState, Vec<Preview>, Outcome) {
    let RunHandle { events, previews, commands: _commands, join } = handle;
    let mut state = RunState::default();
    events.iter().for_each(|record| state.apply(&record));
    (state, previews.iter().collect(), join.join().unwrap())
}

fn pretrain(task: PretextTask, folder: &Path) -> (RunState, Vec<Preview>) {
    pretrain_with(config(task), folder)
}

fn pretrain_with(config: RunConfig, folder: &Path) -> (RunState, Vec<Preview>) {
    let training = TrainingJob::new(StageKind::Pretrain, config, RunFolder::new(folder));
    let (state, previews, outcome) = follow(spawn(Job::Train(Box::new(training)), DeviceChoice::Cpu));
    assert_eq!(outcome, Outcome::Completed, "{:?}", state.notices);
    (state, previews)
}

fn job(checkpoint: &Path, ratios: &[f64], draws: usize) -> MaskRatiosJob {
    MaskRatiosJob { checkpoint: checkpoint.to_owned(), data: data(), ratios: ratios.to_vec(), draws, settings: Vec::new() }
}

fn points(state: &RunState) -> Vec<MaskPoint> {
    state.stage(StageKind::MaskRatios, "").map(|stage| stage.mask_points.clone()).unwrap_or_default()
}

#[test]
fn tokens_of_a_probe_are_shown_and_kept_and_the_what_if_curve_is_made_of_every_point() {
    let folder = tempfile::tempdir().unwrap();
    let (state, previews) = pretrain_with(
        config(PretextTask::Simtrot).with_overrides(&["probe.volumes=3", "probe.crops=2"].map(str::to_owned)).unwrap(),
        folder.path(),
    );
    let stage = Stage { kind: StageKind::Pretrain, arm: String::new() };
    let probes: Vec<usize> = state.stage(StageKind::Pretrain, "").unwrap().probes.iter().map(|(step, _)| *step).collect();
    let shown: Vec<_> = previews.iter().filter_map(|preview| if let Preview::Tokens(seen) = preview { Some(seen) } else { None }).collect();
    assert_eq!(shown.iter().map(|seen| seen.step).collect::<Vec<_>>(), probes);
    let kept = RunFolder::new(folder.path()).read_tokens(&stage).unwrap().unwrap();
    assert_eq!(&kept, shown.last().unwrap().as_ref());
    let tokens = kept.grid.iter().product::<usize>();
    assert_eq!((kept.cases.len(), kept.crop, kept.voxels.len()), (3, [EDGE; 3], 3 * EDGE.pow(3)));
    assert_eq!(kept.encoder.values.len(), 3 * tokens * kept.encoder.dim);
    assert_eq!(kept.projected.as_ref().map(|set| set.values.len() / set.dim), Some(3 * tokens));

    // The same checkpoint, measured by itself, shows tokens as well.
    let probe = ProbeJob { checkpoint: folder.path().to_owned(), data: data(), settings: Vec::new() };
    let (_, previews, outcome) = follow(spawn(Job::Probe(probe), DeviceChoice::Cpu));
    assert!(outcome == Outcome::Completed && matches!(&previews[..], [Preview::Tokens(seen)] if seen.step == 1), "{outcome:?}");

    let ratios = [0.0, 0.5, 0.95];
    let (state, _, outcome) = follow(spawn(Job::MaskRatios(job(folder.path(), &ratios, 2)), DeviceChoice::Cpu));
    assert_eq!(outcome, Outcome::Completed);
    let found = points(&state);
    assert_eq!(
        found.iter().map(|point| (point.draw, point.mask_ratio)).collect::<Vec<_>>(),
        (0..2).flat_map(|draw| ratios.map(|ratio| (draw, ratio))).collect::<Vec<_>>()
    );
    for point in &found {
        assert!(
            point.loss.is_finite() && point.positive_similarity.is_some() && point.gap.is_some() && point.rankme.is_some(),
            "{point:?}"
        );
    }
    assert!(found[0].loss != found[1].loss && found[0].loss != found[3].loss, "ratios and draws make a difference: {found:?}");
    let (again, ..) = follow(spawn(Job::MaskRatios(job(folder.path(), &ratios[1..], 1)), DeviceChoice::Cpu));
    assert_eq!(points(&again), found[1..3], "a point depends on its own ratio and draw alone");
}

#[test]
fn every_kind_of_task_gives_the_numbers_that_it_has() {
    for task in [PretextTask::BTrot, PretextTask::Byol, PretextTask::Mae, PretextTask::Rcr, PretextTask::Ibot] {
        let folder = tempfile::tempdir().unwrap();
        pretrain(task, folder.path());
        let (state, _, outcome) = follow(spawn(Job::MaskRatios(job(folder.path(), &[0.0, 0.1, 0.75], 1)), DeviceChoice::Cpu));
        assert_eq!(outcome, Outcome::Completed, "{task}");
        let found: Vec<MaskPoint> = points(&state);
        let hidden_only = task.predicts_hidden();
        // A tenth of eight cells is none: what such a point showed would be what 0 does.
        let ratios: &[f64] = if hidden_only { &[0.75] } else { &[0.0, 0.75] };
        assert_eq!(found.iter().map(|point| point.mask_ratio).collect::<Vec<_>>(), ratios, "{task}: nothing hidden is nothing to predict");
        let told = state.notices.iter().filter(|(_, text)| text.contains("hides no cell of 8")).count();
        assert_eq!(told, 1 + usize::from(hidden_only), "{task}");
        assert!(
            found.iter().all(|point| point.positive_similarity.is_some() == (task == PretextTask::BTrot) && point.rankme.is_some()),
            "{task}"
        );
    }
}

#[test]
fn a_curve_can_be_stopped_and_wrong_wishes_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    pretrain(PretextTask::Simtrot, folder.path());
    let handle = spawn(Job::MaskRatios(job(folder.path(), &MaskRatiosJob::all_ratios(), 500)), DeviceChoice::Cpu);
    let first = handle.events.iter().find(|record| matches!(record.event, Event::MaskPoint { .. }));
    assert!(first.is_some());
    handle.commands.send(Command::Stop).unwrap();
    let (_, _, outcome) = follow(handle);
    assert_eq!(outcome, Outcome::Stopped);

    let refused = |job: MaskRatiosJob| match follow(spawn(Job::MaskRatios(job), DeviceChoice::Cpu)).2 {
        Outcome::Failed { message, bad_input: true } => message,
        other => panic!("{other:?}"),
    };
    assert!(refused(job(folder.path(), &[1.0], 1)).contains("below 1"));
    assert!(refused(job(&folder.path().join("none"), &[0.5], 1)).contains("no checkpoint there"));
    let few = MaskRatiosJob {
        data: DataSource::Synthetic(SyntheticConfig { cases: 1, shape: [20; 3], channels: 1, labels: 1 }),
        ..job(folder.path(), &[0.5], 1)
    };
    assert!(refused(few).contains("pretrain.batch"));
}
