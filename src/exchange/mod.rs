//! Weights in and out: files that other programs wrote become checkpoints, checkpoints become files that they read,
//! and a checkpoint says where it came from.
//!
//! A file is read (`file`), the network in it found by its names (`names`) and its hyper-parameters by its shapes
//! (`format`), tensors are adapted where asked (`adapt`), and every one of them is accounted for (`report`).

mod adapt;
mod archive;
mod error;
mod example;
mod export;
mod file;
mod format;
mod import;
mod imported;
mod metadata;
mod names;
mod report;
mod show;
mod source;

pub use error::ExchangeError;
pub use export::{ExportJob, Exported, export};
pub use import::import;
pub use metadata::Format;
pub use report::{ImportReport, Left};
pub use show::{Page, show};
pub use source::ImportJob;
