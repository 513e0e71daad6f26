//! Scores: counts for each case and label first, means last. Host-side numbers only, no tensors.
//!
//! [`counts`] and [`surface`] look at voxels, [`score`] makes of them what is reported of a case, [`summary`] the means with
//! their intervals. `postprocessing` finds of which labels to keep the largest component. `disagreement` compares segmentations
//! with each other, [`measurement`] is what is measured by hand. [`collapse`] looks at tokens.

pub mod collapse;
pub mod counts;
mod disagreement;
mod distance_transform;
pub mod evaluation;
pub mod measurement;
mod postprocessing;
mod regions;
pub mod score;
pub mod summary;
pub mod surface;
mod table;

pub use collapse::Collapse;
pub use counts::{Counts, LabelPair, Region};
pub use disagreement::disagreement;
pub(crate) use distance_transform::squared_distances;
pub use postprocessing::{LabelRule, Postprocessing, Trial, try_largest};
pub use regions::{EvaluateError, dataset_regions};
pub use score::{CaseScore, Metric, mean, score_case};
pub use summary::{Bootstrap, Interval, RegionSummary, distinct, summarise};
pub use table::csv;
