//! From a dataset to a config in which each choice gives its reason.
//!
//! Every case is read once ([`fingerprint`]); from that follow voxel size ([`spacing`]), network, crop and batch ([`network`]), and all
//! else ([`rules`]); [`text`] writes them down. Where a time is given, steps are measured until crops fit it (`fit`). The rules are nnU-Net's (Isensee et al.: nnU-Net: a self-configuring method for deep
//! learning-based biomedical image segmentation, Nature Methods 18, 2021, supplementary notes; `fingerprint_extractor.py`,
//! `default_experiment_planner.py` and `network_topology.py` of nnunetv2), fitted to this program's networks and its estimate of memory.

mod augment;
mod error;
pub mod fingerprint;
mod fit;
mod measure;
pub mod memory;
mod mirror;
pub mod network;
mod patients;
mod planner;
mod probing;
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
pub use measure::Measurement;
pub use planner::Planner;
pub use request::{Limits, Request};
pub use rules::{Configuration, choose, run_name};
