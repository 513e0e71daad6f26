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
mod request;
pub mod rules;
mod sizes;
pub mod spacing;
mod summary;
pub mod text;
pub mod time;
mod training;

pub use error::ConfigureError;
pub use fingerprint::Fingerprint;
pub use request::{Limits, Request};
pub use rules::{Configuration, choose, run_name};

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
    Planner::read((dataset, source), request, device, progress)?.choose(&Limits::default())
}

/// What a dataset holds and a device offers, from which configs are made without another look.
pub struct Planner<'a> {
    fingerprint: Fingerprint,
    source: &'a DataSource,
    request: &'a Request,
    budget: (Room, String),
    /// Name of the device.
    pub device: String,
}

impl<'a> Planner<'a> {
    /// Reads every case, as [`configure`].
    ///
    /// # Errors
    /// As [`configure`], but for what [`choose`] refuses.
    pub fn read(
        (dataset, source): (&Dataset, &'a DataSource),
        request: &'a Request,
        device: &DeviceChoice,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, ConfigureError> {
        let description = device::open(device)?.description;
        let budget = memory::budget(Room::of(&description), request.memory, memory::installed());
        let fingerprint = Fingerprint::read(dataset, request.skip_bad, progress).map_err(ConfigureError::Data)?;
        Ok(Self { fingerprint, source, request, budget, device: description.name })
    }

    /// Whether the trainings are made on the computer's own processor.
    pub fn is_on_host(&self) -> bool {
        self.budget.0.binding_bytes.is_none()
    }

    /// The config within `limits`.
    ///
    /// # Errors
    /// What [`choose`] refuses.
    pub fn choose(&self, limits: &Limits) -> Result<Configuration, ConfigureError> {
        choose(self.fingerprint.clone(), self.source, self.request, self.budget.clone(), limits)
    }
}
