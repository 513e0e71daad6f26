//! The training loops, optimisers, schedules, checkpoints and transfer.

pub mod gradients;
pub mod optimiser;
pub mod schedule;
mod step_rule;
