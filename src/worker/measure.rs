//! Segmenting and scoring: the test cases of a run, and the validation cases on the way.

use burn::tensor::Device;

use super::cases::Prepared;
use super::error::JobError;
use super::recorder::Recorder;
use super::training_job::TrainingJob;
use crate::config::{Precision, RunConfig, SplitConfig};
use crate::device::{DeviceError, require_half};
use crate::infer::sliding_window::{SlidingWindow, SlidingWindowError, Watch};
use crate::infer::{Ensemble, InputConvention, Segmentation, mirror_axes, mirror_note, predictor};
use crate::metrics::{self, CaseScore, LabelPair, Postprocessing, Trial, dataset_regions, score_case};
use crate::model::Segmenter;
use crate::preprocess::Case;
use crate::protocol::checkpoints::write_postprocessing;
use crate::protocol::{Event, RunFolder, Severity, Stage, StageKind, StageState};
use crate::sampling::CaseSet;
use crate::train::{Checkpoint, TrainError, Validate, load_segmenter};
use crate::volume::{Dataset, LabelMap, natural, nifti};
use crate::wording::count;

/// Windows predicted at once: two keep a device busier than one and stay far below a training step's memory.
const WINDOW_BATCH: usize = 2;

/// Where a test runs and writes.
pub(super) struct TestContext<'a> {
    pub(super) config: &'a RunConfig,
    /// Where the training saves, and the segmentations go.
    pub(super) folder: &'a RunFolder,
    pub(super) device: &'a Device,
    pub(super) recorder: &'a Recorder,
}

/// Refuses numbers to segment with that the device does not compute in.
pub(super) fn require_precision(config: &RunConfig, device: &Device) -> Result<(), DeviceError> {
    if config.infer.precision == Precision::Half { require_half(device) } else { Ok(()) }
}

/// What finds the classes of a prepared case: networks, and how they are called.
pub(super) struct Predicted<'a> {
    pub(super) networks: &'a [Segmenter],
    /// Settings of the first one.
    pub(super) config: &'a RunConfig,
    /// Axes D,H,W along which windows are mirrored.
    pub(super) mirror: [bool; 3],
    /// How volumes are handed to the networks.
    pub(super) convention: InputConvention,
    pub(super) classes: usize,
    /// Whether probabilities are wanted beside classes.
    pub(super) probabilities: bool,
    pub(super) device: &'a Device,
}

impl Predicted<'_> {
    /// The class of each voxel of a prepared case; None when `watch` asks to stop.
    pub(super) fn of(&self, case: &Case, watch: &mut Watch<'_>) -> Result<Option<Segmentation>, SlidingWindowError> {
        // The crop is the networks' own: its axes are those of the convention.
        let roi = self.convention.axes().inverse().shape(self.config.finetune.crop_size);
        let window = SlidingWindow::new(&self.config.infer, roi, WINDOW_BATCH);
        let window = SlidingWindow { mirror: self.mirror, outside: self.convention.outside(), ..window };
        let mut predict = predictor(self.networks, self.device, (self.config.infer.precision, self.convention));
        let ensemble = Ensemble { networks: self.networks.len(), classes: self.classes, probabilities: self.probabilities };
        match window.segment_by(ensemble, &case.image, &mut predict, watch) {
            Ok(segmentation) => Ok(Some(segmentation)),
            Err(SlidingWindowError::Stopped { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A trained network under test.
struct Tested<'a> {
    context: &'a TestContext<'a>,
    dataset: &'a Dataset,
    predicted: Predicted<'a>,
    values: Vec<u32>,
}

impl Tested<'_> {
    /// The segmentation of a case on its scan's grid.
    fn segment(&self, case: &Case) -> Result<LabelMap, JobError> {
        let found = self.predicted.of(case, &mut |_, _, _| self.context.recorder.goes_on())?.ok_or(JobError::Stopped)?;
        Ok(crate::infer::export::to_source(found.classes, &case.preprocess_record, &self.values))
    }

    /// The true label map of a case, if it has one.
    fn truth(&self, case: &Case) -> Result<Option<LabelMap>, JobError> {
        let source = self.dataset.case(&case.name).expect("the split names cases of the dataset");
        Ok(self.dataset.load(source, self.context.config.data.preprocess.non_finite)?.label)
    }

    /// Dice of each label with and without its smaller components.
    fn try_largest(&self, case: &Case, truth: &LabelMap, segmented: &LabelMap) -> Vec<Trial> {
        let labels = self.values.iter().filter(|&&value| value > 0).map(|&value| value as u16).collect();
        metrics::try_largest(&case.name, truth, segmented, &labels)
    }
}

/// Segments the test cases with the training's last checkpoint (the best where validation chose one), writes them on their own grids
/// and scores them. Measures on cases held out for it of which labels the largest component alone should be kept, and keeps that with the
/// checkpoint; scores and predictions of the test cases are of the network's own segmentations.
pub(super) fn test(stage: Stage, dataset: &Dataset, prepared: &Prepared, context: &TestContext<'_>) -> Result<(), JobError> {
    let &TestContext { config, folder, device, recorder } = context;
    let cases = &prepared.test;
    let under_way = recorder.begin(stage, cases.len(), 0);
    // A test cut off begins anew, and no segmentation of an earlier network may stand beside its own.
    folder.remove_predictions()?;
    let found = Checkpoint::locate(&folder.checkpoints())?;
    let networks = [load_segmenter(&Checkpoint::open(&found)?, &found, device)?];
    let trainings = std::slice::from_ref(config);
    if let Some(note) = mirror_note(trainings) {
        recorder.notice(Severity::Warning, note);
    }
    let (mirror, classes) = (mirror_axes(trainings), dataset.class_count());
    let convention = InputConvention::default();
    let predicted = Predicted { networks: &networks, config, mirror, convention, classes, probabilities: false, device };
    let tested = Tested { context, dataset, predicted, values: dataset.label_values() };
    let regions = dataset_regions(dataset, &config.data.regions)?;
    let measured_on = cross_validated(config);
    let mut trials = Vec::new();
    for (done, case) in cases.iter().enumerate() {
        let case = &case.load()?;
        let prediction = tested.segment(case)?;
        let path = folder.predictions().join(format!("{}.nii.gz", case.name));
        nifti::write_labels(&path, &prediction, &case.preprocess_record.header)?;
        if let Some(truth) = tested.truth(case)? {
            let scores = score_case(&case.name, &LabelPair::of(&truth, &prediction), &regions, &config.evaluate);
            recorder.emit(Event::Scored { stage: under_way.stage.clone(), case: case.name.clone(), scores });
            if measured_on.is_some() {
                trials.extend(tested.try_largest(case, &truth, &prediction));
            }
        }
        under_way.progress(done + 1);
    }
    let measured_on = match measured_on {
        Some(cases) => cases,
        None => {
            if !prepared.validation.is_empty() {
                let cases = count(prepared.validation.len(), "validation case");
                recorder.notice(Severity::Info, format!("segmenting {cases} to find of which labels to keep the largest component alone"));
            }
            for case in prepared.validation.iter() {
                let case = case.load()?;
                let (segmented, truth) = (tested.segment(&case)?, tested.truth(&case)?);
                trials.extend(truth.iter().flat_map(|truth| tested.try_largest(&case, truth, &segmented)));
            }
            "its validation cases".to_owned()
        }
    };
    if !trials.is_empty() {
        write_postprocessing(&found, &Postprocessing::new(measured_on, trials))?;
    }
    // A training killed behind its last event is done: by then everything is written.
    write_scores(folder, config, recorder)?;
    under_way.finish();
    Ok(())
}

/// Where the test cases of a training serve to choose settings: which they are, in words. A test set is left to measure.
fn cross_validated(config: &RunConfig) -> Option<String> {
    match config.data.split {
        SplitConfig::Folds { folds, fold } => Some(Postprocessing::of_fold(fold, folds)),
        _ if config.data.hold_back_test => Some("its validation cases".to_owned()),
        _ => None,
    }
}

/// Mean Dice over validation cases and classes, on the prepared grids; no validator without labelled validation cases.
pub(super) fn validator<'a>(dataset: &Dataset, cases: &'a CaseSet, config: &'a RunConfig, device: &'a Device) -> Option<Box<Validate<'a>>> {
    if !cases.iter().any(|case| case.is_labelled()) {
        return None;
    }
    let (classes, mirror) = (dataset.class_count(), mirror_axes(std::slice::from_ref(config)));
    Some(Box::new(move |network, obey| {
        let networks = std::slice::from_ref(network);
        let convention = InputConvention::default();
        let predicted = Predicted { networks, config, mirror, convention, classes, probabilities: false, device };
        let (mut sum, mut count) = (0.0, 0_usize);
        for prepared in cases.iter().filter(|case| case.is_labelled()) {
            // One at a time is in memory.
            let case = prepared.load()?;
            let truth = case.label.as_ref().expect("a labelled case");
            // Windows only know how to stop: why is told afterwards.
            let mut answer = Ok(());
            let mut watch = |_: usize, _: usize, _: &[u8]| {
                answer = obey();
                answer.is_ok()
            };
            let found =
                predicted.of(&case, &mut watch).map_err(|error| TrainError::Data(format!("validation on {}: {error}", case.name)))?;
            answer?;
            let found = found.expect("nothing else ends the windows early").classes;
            for class in 1..classes as u8 {
                let (t, p) = (truth.iter().filter(|&&v| v == class).count(), found.iter().filter(|&&v| v == class).count());
                if t + p > 0 {
                    let both = truth.iter().zip(&found).filter(|&(&t, &p)| t == class && p == class).count();
                    sum += 2.0 * both as f64 / (t + p) as f64;
                    count += 1;
                }
            }
        }
        Ok(if count > 0 { sum / count as f64 } else { 0.0 })
    }))
}

/// Writes `metrics.csv` of the test cases scored so far: a fine-tuning's, since a pre-training has none.
pub(super) fn write_metrics(job: &TrainingJob, recorder: &Recorder) -> Result<(), JobError> {
    write_scores(&job.folder, &job.config, recorder)
}

fn write_scores(folder: &RunFolder, config: &RunConfig, recorder: &Recorder) -> Result<(), JobError> {
    if recorder.is_lost() {
        return Err(JobError::Stopped);
    }
    let state = recorder.state();
    let rows = state.stages_of(StageKind::Test).flat_map(|stage| {
        let (arm, unit) = (stage.stage.arm.as_str(), config.distance_unit(&stage.stage.arm));
        in_order(stage).map(move |score| (arm, unit, score))
    });
    Ok(folder.write("metrics.csv", &metrics::csv(rows))?)
}

/// The scores of a test, case 2 before case 10.
fn in_order(stage: &StageState) -> impl Iterator<Item = &CaseScore> {
    let mut cases: Vec<_> = stage.scores.iter().collect();
    cases.sort_by(|(a, _), (b, _)| natural(a, b));
    cases.into_iter().flat_map(|(_, scores)| scores)
}
