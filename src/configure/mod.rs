//! From a dataset to a config in which each choice gives its reason.
//!
//! Every case is read once ([`fingerprint`]); from that follow voxel size ([`spacing`]), network, crop and batch ([`network`]), and all
//! else ([`rules`]); [`text`] writes them down. The rules are nnU-Net's (Isensee et al.: nnU-Net: a self-configuring method for deep
//! learning-based biomedical image segmentation, Nature Methods 18, 2021, supplementary notes; `fingerprint_extractor.py`,
//! `default_experiment_planner.py` and `network_topology.py` of nnunetv2), fitted to this program's networks and its estimate of memory.

mod augment;
mod error;
pub mod fingerprint;
pub mod memory;
mod mirror;
pub mod network;
mod patients;
pub mod rules;
mod sizes;
pub mod spacing;
mod summary;
pub mod text;

pub use error::ConfigureError;
pub use fingerprint::Fingerprint;
pub use rules::{Configuration, Request, choose, run_name};

use crate::config::DataSource;
use crate::device::{self, DeviceChoice};
use crate::plan::Room;
use crate::volume::Dataset;

/// Reads every case of the dataset at `source`, and makes a config for trainings on `device`. `progress` is called with (cases done,
/// cases in all), from several threads.
///
/// # Errors
/// Cases that cannot be used (unless the request leaves them out), a device that cannot be opened, and what [`choose`] refuses.
pub fn configure(
    (dataset, source): (&Dataset, &DataSource),
    request: &Request,
    device: &DeviceChoice,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Configuration, ConfigureError> {
    let budget = memory::budget(Room::of(&device::open(device)?.description), request.memory);
    let fingerprint = Fingerprint::read(dataset, request.skip_bad, progress).map_err(ConfigureError::Data)?;
    choose(fingerprint, source, request, budget)
}
