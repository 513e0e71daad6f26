//! What is asked of a config beside the dataset.

use super::time::Measured;

/// What a person may say beside the dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The config's name; none: the dataset's.
    pub name: Option<String>,
    /// How case names are made up, as `data.groups`.
    pub groups: Option<String>,
    /// Bytes to plan for; none: what is free, but no more than nnU-Net takes.
    pub memory: Option<u64>,
    /// Seconds that all trainings and tests may take; none: as long as they take.
    pub time_secs: Option<f64>,
    /// Leave out cases that cannot be used.
    pub skip_bad: bool,
}

/// What a config must keep to beside the request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Steps that were measured, by which the request's time is divided; none: nothing was.
    pub measured: Option<Measured>,
    /// Voxels of a batch, so that enough steps fit the time; none: as many as fit the memory.
    pub voxels: Option<usize>,
}
