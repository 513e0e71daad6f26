//! The training loops, optimisers, schedules, checkpoints and transfer.
