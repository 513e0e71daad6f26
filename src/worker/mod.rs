//! The one thread that owns the device: takes a job, emits events, obeys commands.

mod available;
mod case_needs;
mod cases;
mod continued;
mod error;
mod experiment;
mod handle;
mod infer;
mod infer_job;
mod job;
mod mask_ratios;
mod measure;
mod networks;
mod outbox;
mod probe;
mod queue;
mod recorder;
mod segmented;
mod shard_costs;
mod training;
mod training_job;
pub mod views;

pub use available::{AvailableDevice, available_devices};
pub use case_needs::CaseNeeds;
pub use cases::{slowed_scratch, unused_settings};
pub use continued::require_begun;
pub use experiment::{ExperimentJob, spawn_experiment};
pub use handle::{ExperimentHandle, Handle, RunHandle};
pub use infer_job::{InferInput, InferJob};
pub use job::{Job, spawn};
pub use mask_ratios::MaskRatiosJob;
pub use probe::ProbeJob;
pub use shard_costs::training_costs;
pub use training_job::{Start, TrainingJob};
