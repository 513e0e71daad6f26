//! Where the volumes come from, how they are split, and how they are prepared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::{Checker, Settings as _, settings};
use super::groups::Groups;

/// nnU-Net's number of folds.
pub const NNUNET_FOLDS: usize = 5;

settings! {
    /// The dataset of a run.
    pub struct DataConfig {
        /// Where the volumes are.
        source: DataSource = DataSource::default();
        /// Which cases train, validate and test.
        split: SplitConfig = SplitConfig::default();
        /// Which cases are of one patient: a pattern of case names such as `"{patient}_{scan}"`, or a list of names for each patient.
        /// All scans of a patient stay on one side of every split and fold. None: each case is a patient's only one.
        groups: Option<Groups> = None;
        /// Decides which cases test, validate and make the folds. None: the run's `seed`. Fixed, trainings with other seeds
        /// keep their test cases, while `seed` still decides which labelled cases a `label_fraction` takes.
        split_seed: Option<u64> = None;
        /// Leaves the test cases out altogether and scores the validation cases in their place, at the end only: for choosing
        /// settings without a look at the test cases. Nothing is validated on the way, so no best checkpoint is chosen by the
        /// cases that are scored.
        hold_back_test: bool = false;
        /// Share of the labelled training cases that fine-tuning may use, above 0 and up to 1: the first k of a seeded order.
        label_fraction: f64 = 1.0;
        /// Unions of label values reported together, for example `"WT": [1, 2, 3]`.
        regions: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        /// From scanner grid to network input.
        preprocess: PreprocessConfig = PreprocessConfig::default();
        /// Go on without cases that `simtrot check` finds unusable (named in the run).
        skip_bad: bool = false;
    }
}

/// Where the volumes are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// The forty hippocampus cases inside the program.
    #[default]
    Demo,
    /// A Decathlon, nnU-Net v2 or MONAI dataset: its JSON file or the folder that holds it.
    Dataset(PathBuf),
    /// Two plain folders with equal file names; `labels` may lack cases (they pre-train only).
    Folders {
        /// Folder of images.
        images: PathBuf,
        /// Folder of label maps.
        labels: Option<PathBuf>,
    },
    /// Random volumes: to try a size on a machine without data. Says nothing about quality.
    Synthetic(SyntheticConfig),
}

settings! {
    /// Shape of synthetic volumes.
    pub struct SyntheticConfig {
        /// Number of cases.
        cases: usize = 8;
        /// Voxels along D,H,W.
        shape: [usize; 3] = [48, 48, 48];
        /// Image channels.
        channels: usize = 1;
        /// Labels besides background.
        labels: usize = 2;
    }
}

/// Which cases train, validate and test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitConfig {
    /// Seeded shares of all labelled cases; the rest, and all unlabelled cases, train.
    HoldOut {
        /// Share of the labelled cases kept for testing.
        test: f64,
        /// Share of the labelled cases kept for validation.
        validation: f64,
    },
    /// Fold `fold` of `folds` seeded folds is the test set.
    Folds {
        /// Number of folds.
        folds: usize,
        /// Which of them is tested, from 0.
        fold: usize,
    },
    /// Fold `fold` of nnU-Net's own five folds of all labelled cases is the test set, whatever the seeds are: to compare with its
    /// published cross-validations.
    NnunetFolds {
        /// Which of them is tested, from 0 to 4.
        fold: usize,
    },
    /// Case names spelt out.
    Lists {
        /// Pre-training without labels.
        pretrain: Vec<String>,
        /// Fine-tuning with labels (may overlap `pretrain`).
        finetune: Vec<String>,
        /// Choosing the best checkpoint.
        #[serde(default)]
        validation: Vec<String>,
        /// Measured once, at the end; also the probe set.
        test: Vec<String>,
    },
    /// The lists that come with the embedded demo.
    Demo,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self::HoldOut { test: 0.2, validation: 0.0 }
    }
}

settings! {
    /// From scanner grid to network input. Volumes are reoriented to RAS first.
    pub struct PreprocessConfig {
        /// Voxel size to resample to, in mm along D,H,W (S,A,R after orientation). None: as scanned.
        spacing_mm: Option<[f64; 3]> = None, in 0.05..=20.0;
        /// Intensity normalisation.
        intensity: Intensity = Intensity::default();
        /// Cut away the empty border: keep the bounding box of voxels above the lower end of a CT's window,
        /// or above the volume's minimum for MRI.
        crop_foreground: bool = true;
        /// What happens to image voxels that are NaN or infinite. In label maps they are always refused.
        non_finite: NonFinite = NonFinite::Refuse;
    }
}

/// What happens to image voxels that are NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonFinite {
    /// The case is refused.
    #[default]
    Refuse,
    /// They become this intensity (in the file's own, scaled values), and the run says how many in which file. In a call:
    /// `--set 'data.preprocess.non_finite={"replace": 0}'`.
    Replace(f64),
}

/// Intensity normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intensity {
    /// CT: Hounsfield units from `low` to `high` become 0 to 1, clipped.
    CtWindow {
        /// Hounsfield units that become 0.
        low: f64,
        /// Hounsfield units that become 1.
        high: f64,
    },
    /// CT: Hounsfield units clipped to `low` to `high`, less `mean`, over `deviation`: statistics of the dataset, as nnU-Net's `CTNormalization`.
    CtStatistics {
        /// Hounsfield units to which lower ones are raised.
        low: f64,
        /// Hounsfield units to which higher ones are lowered.
        high: f64,
        /// Hounsfield units that become 0.
        mean: f64,
        /// Hounsfield units that become 1 more.
        deviation: f64,
    },
    /// MRI: each channel clipped at two percentiles, then zero mean and unit variance.
    ZScore {
        /// Lower percentile, 0 to 100.
        low_percentile: f64,
        /// Upper percentile, 0 to 100.
        high_percentile: f64,
    },
}

impl Intensity {
    /// The window of the paper's CT preprocessing, -175 to 250 HU.
    pub const CT: Self = Self::CtWindow { low: -175.0, high: 250.0 };
}

impl Default for Intensity {
    fn default() -> Self {
        Self::ZScore { low_percentile: 0.5, high_percentile: 99.5 }
    }
}

impl DataConfig {
    pub(super) fn check(&self, checker: &mut Checker) {
        let fraction = self.label_fraction;
        checker.require(
            "data.label_fraction",
            fraction > 0.0 && fraction <= 1.0,
            format_args!("is {fraction}; allowed is above 0 and at most 1"),
        );
        match self.split {
            SplitConfig::HoldOut { test, validation } => {
                checker.within("data.split.test", &test, 0.0..=0.95);
                checker.within("data.split.validation", &validation, 0.0..=0.95);
                checker.require(
                    "data.split",
                    test + validation < 1.0,
                    format_args!("leaves nothing to train on: test and validation take {}", test + validation),
                );
            }
            SplitConfig::Folds { folds, fold } => {
                checker.within("data.split.folds", &folds, 2..=100);
                checker.require("data.split.fold", fold < folds, format_args!("is {fold}; allowed is 0 to {}", folds.saturating_sub(1)));
            }
            SplitConfig::NnunetFolds { fold } => checker.within("data.split.fold", &fold, 0..=NNUNET_FOLDS - 1),
            SplitConfig::Demo => {
                checker.require("data.split", self.source == DataSource::Demo, format_args!("`demo` goes with `source: demo` only"));
            }
            SplitConfig::Lists { .. } => {}
        }
        if let Some(groups) = &self.groups {
            groups.check(checker);
        }
        self.check_held_back(checker);
        self.preprocess.check_ranges("data.preprocess", checker);
        if let NonFinite::Replace(value) = self.preprocess.non_finite {
            checker.require(
                "data.preprocess.non_finite",
                (value as f32).is_finite(),
                format_args!("replaces by {value}; allowed is a finite intensity"),
            );
        }
        match self.preprocess.intensity {
            Intensity::CtWindow { low, high } => {
                checker.require("data.preprocess.intensity", low < high, format_args!("low {low} is not below high {high}"));
            }
            Intensity::CtStatistics { low, high, mean, deviation } => {
                checker.require(
                    "data.preprocess.intensity",
                    low < high && mean.is_finite() && deviation.is_finite() && deviation > 0.0,
                    format_args!(
                        "low {low}, high {high}, mean {mean}, deviation {deviation}: allowed is low < high and a deviation above 0"
                    ),
                );
            }
            Intensity::ZScore { low_percentile: low, high_percentile: high } => {
                checker.require(
                    "data.preprocess.intensity",
                    0.0 <= low && low < high && high <= 100.0,
                    format_args!("percentiles {low} and {high}: allowed is 0 <= low < high <= 100"),
                );
            }
        }
    }

    /// Without the test cases, only validation cases can be scored.
    fn check_held_back(&self, checker: &mut Checker) {
        let (validates, remedy) = match &self.split {
            SplitConfig::HoldOut { validation, .. } => (*validation > 0.0, "set data.split.hold_out.validation above 0"),
            SplitConfig::Lists { validation, .. } => (!validation.is_empty(), "name some in data.split.lists.validation"),
            SplitConfig::Folds { .. } | SplitConfig::NnunetFolds { .. } | SplitConfig::Demo => (false, "use a hold_out or lists"),
        };
        checker.require(
            "data.hold_back_test",
            validates || !self.hold_back_test,
            format_args!("scores the validation cases in place of the test cases, and this split has none: {remedy}"),
        );
    }
}
