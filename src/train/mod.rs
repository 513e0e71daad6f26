//! The training loops, optimisers, schedules, checkpoints and transfer.

mod checkpoint;
mod devices;
mod finetune;
pub mod gradients;
mod mask_ratios;
pub mod optimiser;
mod param_groups;
mod pretrain;
mod probe;
mod read_ahead;
pub mod schedule;
mod session;
mod step_rule;
#[cfg(test)]
pub(crate) mod testing;
mod training_loop;
mod transfer;

/// Version of the code in this folder, and of all that decides what it ends with; raised as its own comment says.
pub use crate::protocol::TRAINING_VERSION;
pub use checkpoint::{Checkpoint, CheckpointError, CheckpointInfo, DatasetInfo, Origin, changed_settings};
pub use finetune::{Finetune, Validate, finetune, init_segmenter, load_segmenter};
pub use gradients::{GradientNorm, clip_grad_norm};
pub use mask_ratios::MaskTrial;
pub use optimiser::{Optimiser, OptimiserError};
pub use param_groups::ParamGroups;
pub use pretrain::{Pretrain, Pretraining, load_encoder, pretrain, untrained};
pub use probe::{Probe, ProbeData, Probed};
pub use read_ahead::ahead_bytes;
pub use schedule::lr;
pub use session::{Control, Ending, Obey, Session, TrainError};
pub use transfer::{transfer_encoder, transfer_network};

#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod failure_tests;
#[cfg(test)]
#[path = "stopping_tests.rs"]
mod stopping_tests;
