//! simtrot pre-trains, fine-tunes, inspects and runs 3D medical segmentation transformers.
//!
//! The folders stand in the order in which data flows:
//! [`volume`] (on disk and in memory) -> [`preprocess`] -> [`sampling`] (crops, views, batches)
//! -> [`nn`] and [`model`] -> [`objective`] -> [`train`] -> [`infer`] -> [`metrics`] -> [`report`].
//! [`config`] and [`protocol`] are plain data that everything above them reads. Imports go down only;
//! a test keeps it so.

pub mod config;
pub mod device;
pub mod headless;
pub mod infer;
pub mod kernels;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod objective;
pub mod preprocess;
pub mod protocol;
pub mod random;
pub mod report;
pub mod sampling;
pub mod train;
pub mod volume;
pub mod worker;
