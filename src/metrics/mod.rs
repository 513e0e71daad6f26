//! Scores: counts for each case and label first, means last. Host-side numbers only, no tensors.
//!
//! [`counts`] and [`surface`] look at voxels, [`score`] makes of them what is reported of a case, [`summary`] the means with
//! their intervals. [`collapse`] looks at tokens.

pub mod collapse;
pub mod counts;
pub mod dice;
mod distance_transform;
pub mod score;
pub mod summary;
pub mod surface;

pub use collapse::Collapse;
pub use counts::{LabelPair, Region};
pub use score::{CaseScore, Measure, score_case};
pub use summary::{Bootstrap, Interval, RegionSummary, paired_difference, summarise};
