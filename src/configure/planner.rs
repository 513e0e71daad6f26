//! What a dataset holds and a device offers, from which configs are made.

use std::time::Instant;

use super::error::ConfigureError;
use super::fingerprint::Fingerprint;
use super::fit::{fit, measuring_secs};
use super::measure::{Watch, measure, measure_probe};
use super::memory;
use super::request::{Limits, Request};
use super::rules::{Configuration, choose};
use super::time::Measured;
use crate::config::DataSource;
use crate::device::{self, AdapterDescription, DeviceChoice, Opened};
use crate::plan::Room;
use crate::volume::Dataset;

/// What a dataset holds and a device offers, from which configs are made without another look.
pub struct Planner<'a> {
    fingerprint: Fingerprint,
    source: &'a DataSource,
    request: &'a Request,
    budget: (Room, String),
    device: Opened,
}

impl<'a> Planner<'a> {
    /// Reads every case of the dataset at `source`, for trainings on `device`. `progress` is called with (cases done, cases in all), from
    /// several threads.
    ///
    /// # Errors
    /// Cases that cannot be used (unless the request leaves them out), and a device that cannot be opened.
    pub fn read(
        (dataset, source): (&Dataset, &'a DataSource),
        request: &'a Request,
        device: &DeviceChoice,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, ConfigureError> {
        let device = device::open(device)?;
        let budget = memory::budget(Room::of(&device.description), request.memory, memory::installed());
        let fingerprint = Fingerprint::read(dataset, request.skip_bad, progress).map_err(ConfigureError::Data)?;
        Ok(Self { fingerprint, source, request, budget, device })
    }

    /// The config that the request asks for. Where it names a time, steps and a measurement of collapse are timed on the
    /// device, which `watch` is shown.
    ///
    /// # Errors
    /// What [`choose`] refuses, a device that fails at a step, and a `watch` that says no.
    pub fn plan(&self, watch: &mut Watch<'_>) -> Result<Configuration, ConfigureError> {
        let Some(secs) = self.measuring_secs() else { return self.choose(&Limits::default()) };
        // On a CPU, and where one imitates a GPU, a step on large crops may take minutes.
        let is_slow = self.device.description.adapter.as_ref().is_none_or(AdapterDescription::is_software);
        let made = fit(secs, is_slow, &|limits| self.choose(limits), &mut |made, left| {
            let began = Instant::now();
            let measured = measure(made, &self.device, left, watch)?;
            Ok((measured, began.elapsed().as_secs_f64()))
        })?;
        let probe_secs = measure_probe(&made, &self.device, secs, watch)?;
        // Crops stay as they are: how often collapse is measured decides on steps alone.
        match made.limits.clone() {
            Limits { measured: Some(measured), voxels } if probe_secs.is_some() => {
                self.choose(&Limits { measured: Some(Measured { probe_secs, ..measured }), voxels })
            }
            _ => Ok(made),
        }
    }

    /// Seconds that measuring may take, about; none where nothing is measured.
    pub fn measuring_secs(&self) -> Option<f64> {
        self.request.time_secs.map(measuring_secs)
    }

    /// The config within `limits`.
    ///
    /// # Errors
    /// What [`choose`] refuses.
    pub fn choose(&self, limits: &Limits) -> Result<Configuration, ConfigureError> {
        choose(self.fingerprint.clone(), self.source, self.request, self.budget.clone(), limits)
    }
}
