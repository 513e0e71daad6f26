//! What a front end may ask of a running job.

/// Read by the worker once for each optimiser step or inference window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Hold before the next step until `Resume` or `Stop`.
    Pause,
    /// Go on.
    Resume,
    /// Save a checkpoint after this step and go on.
    Save,
    /// Finish the step, save, and end the job with [`super::Outcome::Stopped`].
    Stop,
}
