//! What a worker is given to rank.

use std::path::PathBuf;

use crate::config::DataSource;
use crate::next_case::Criterion;

/// Unlabelled cases to put into the order in which to label them.
#[derive(Clone, Debug)]
pub struct NextCaseJob {
    /// Checkpoint folders, or a run's: fine-tuned networks, and one pre-training at most, whose encoder then compares cases.
    pub checkpoints: Vec<PathBuf>,
    /// The dataset, of which cases without a label map are ranked; none: that of the checkpoints, by the splits of their trainings.
    pub data: Option<DataSource>,
    /// Folder for what was measured and for the ranking.
    pub out: PathBuf,
    /// Replace what other networks measured there.
    pub overwrite: bool,
    /// By what cases are ranked; empty: by all that can be measured.
    pub by: Vec<Criterion>,
    /// `key=value` changes of the checkpoints' settings.
    pub settings: Vec<String>,
}
