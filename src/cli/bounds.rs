//! What every command that trains takes.

use clap::Args;

use crate::configure;

/// How far trainings go, and in how much memory.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct BoundArgs {
    /// End each training (not the experiment as a whole) after N more optimiser steps, saved as if stopped by hand: schedules stay those of
    /// the full length, and what rests on it is left out until it has gone on to its end.
    #[arg(long, value_name = "N")]
    pub max_steps: Option<usize>,
    /// Memory that cases read ahead, and cases while they are prepared, may take, for example 8GiB; half of what is free by default.
    /// Results do not depend on it. Where `run` makes a config of a dataset, it plans for that memory too, as `configure` does.
    #[arg(long, value_name = "SIZE", value_parser = configure::memory::parse_held)]
    pub memory: Option<u64>,
}
