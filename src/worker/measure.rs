//! Segmenting and scoring: the test cases of a run, and the validation cases on the way.

use burn::tensor::Device;

use super::error::JobError;
use super::recorder::Recorder;
use super::training_job::TrainingJob;
use crate::config::{Precision, RunConfig};
use crate::device::{DeviceError, require_half};
use crate::infer::sliding_window::{SlidingWindow, SlidingWindowError, Watch};
use crate::infer::{InputConvention, predictor};
use crate::metrics::{CaseScore, LabelPair, dataset_regions, score_case};
use crate::model::Segmenter;
use crate::preprocess::Case;
use crate::protocol::{Event, RunFolder, Stage, StageKind, StageState};
use crate::sampling::CaseSet;
use crate::train::{Checkpoint, TrainError, Validate, load_segmenter};
use crate::volume::{Dataset, natural, nifti};

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

/// A network that segments prepared cases.
pub(super) struct Segmenting<'a> {
    pub(super) network: &'a Segmenter,
    pub(super) config: &'a RunConfig,
    pub(super) classes: usize,
    /// How volumes are handed to the network.
    pub(super) convention: InputConvention,
    pub(super) device: &'a Device,
}

impl Segmenting<'_> {
    /// The class of each voxel of a case; None when `watch` asks to stop.
    pub(super) fn segment(&self, case: &Case, watch: &mut Watch<'_>) -> Result<Option<Vec<u8>>, SlidingWindowError> {
        let &Self { network, config, classes, convention, device } = self;
        // The crop is the network's own: its axes are those of the convention.
        let roi = convention.axes().inverse().shape(config.finetune.crop_size);
        let window = SlidingWindow { outside: convention.outside(), ..SlidingWindow::new(&config.infer, roi, WINDOW_BATCH) };
        match window.segment(&case.image, classes, &mut predictor(network, device, (config.infer.precision, convention)), watch) {
            Ok(segmentation) => Ok(Some(segmentation)),
            Err(SlidingWindowError::Stopped { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Segments the test cases with the training's last checkpoint (the best where validation chose one), writes them on their own grids
/// and scores them.
pub(super) fn test(stage: Stage, dataset: &Dataset, cases: &CaseSet, context: &TestContext<'_>) -> Result<(), JobError> {
    let &TestContext { config, folder, device, recorder } = context;
    let under_way = recorder.begin(stage, cases.len(), 0);
    // A test cut off begins anew, and no segmentation of an earlier network may stand beside its own.
    folder.remove_predictions()?;
    let found = Checkpoint::locate(&folder.checkpoints())?;
    let checkpoint = Checkpoint::open(&found)?;
    let network = load_segmenter(&checkpoint, &found, device)?;
    let values = dataset.label_values();
    let segmenting = Segmenting { network: &network, config, classes: values.len(), convention: checkpoint.info.convention, device };
    let regions = dataset_regions(dataset, &config.data.regions)?;
    for (done, case) in cases.iter().enumerate() {
        let case = &case.load()?;
        let Some(classes) = segmenting.segment(case, &mut |_, _, _| recorder.goes_on())? else {
            return Err(JobError::Stopped);
        };
        let prediction = crate::infer::export::to_source(classes, &case.preprocess_record, &values);
        let path = folder.predictions().join(format!("{}.nii.gz", case.name));
        nifti::write_labels(&path, &prediction, &case.preprocess_record.header)?;
        let source = dataset.case(&case.name).expect("the split names cases of the dataset");
        if let Some(truth) = dataset.load(source, config.data.preprocess.non_finite)?.label {
            let scores = score_case(&case.name, &LabelPair::of(&truth, &prediction), &regions, &config.evaluate);
            recorder.emit(Event::Scored { stage: under_way.stage.clone(), case: case.name.clone(), scores });
        }
        under_way.progress(done + 1);
    }
    under_way.finish();
    Ok(())
}

/// Mean Dice over validation cases and classes, on the prepared grids; no validator without labelled validation cases.
pub(super) fn validator<'a>(dataset: &Dataset, cases: &'a CaseSet, config: &'a RunConfig, device: &'a Device) -> Option<Box<Validate<'a>>> {
    if !cases.iter().any(|case| case.is_labelled()) {
        return None;
    }
    let classes = dataset.class_count();
    Some(Box::new(move |network, obey| {
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
            let segmenting = Segmenting { network, config, classes, convention: InputConvention::default(), device };
            let found =
                segmenting.segment(&case, &mut watch).map_err(|error| TrainError::Data(format!("validation on {}: {error}", case.name)))?;
            answer?;
            let found = found.expect("nothing else ends the windows early");
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
    let state = recorder.state();
    let rows = state.stages_of(StageKind::Test).flat_map(|stage| {
        let (arm, unit) = (stage.stage.arm.as_str(), job.config.distance_unit(&stage.stage.arm));
        in_order(stage).map(move |score| (arm, unit, score))
    });
    Ok(job.folder.write("metrics.csv", &crate::metrics::csv(rows))?)
}

/// The scores of a test, case 2 before case 10.
fn in_order(stage: &StageState) -> impl Iterator<Item = &CaseScore> {
    let mut cases: Vec<_> = stage.scores.iter().collect();
    cases.sort_by(|(a, _), (b, _)| natural(a, b));
    cases.into_iter().flat_map(|(_, scores)| scores)
}
