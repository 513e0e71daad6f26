//! simtrot pre-trains, fine-tunes, inspects and runs 3D medical segmentation transformers.
//!
//! The folders stand in the order in which data flows:
//! [`geometry`] (grids, permutations, boxes) -> [`volume`] (on disk and in memory) -> [`preprocess`] -> [`sampling`] (crops, views, batches)
//! -> [`nn`] and [`model`] -> [`objective`] -> [`train`] -> [`infer`] -> [`metrics`] -> [`report`].
//! [`exchange`] takes weights in from other programs and hands them out.
//! [`edit`] corrects label maps, and [`next_case`] says which unlabelled case to label next.
//! [`configure`] makes a config of a dataset. [`experiment`] lays a config's trainings out, and [`results`] reads what came of them.
//! [`corrections`] takes corrected cases into a training set and trains on with them.
//! [`worker`] is the one thread that computes; `gui` (the window), [`terminal`] (the terminal) and [`report`] are its front ends.
//! [`config`] and [`protocol`] are plain data that everything above them reads. Imports go down only;
//! a test keeps it so.

pub mod atomic_file;
pub mod bench;
pub mod cli;
pub mod commands;
pub mod config;
pub mod configure;
pub mod corrections;
pub mod device;
pub mod digest;
pub mod doctor;
pub mod edit;
pub mod exchange;
pub mod experiment;
pub mod folder_lock;
pub mod folders;
pub mod geometry;
#[cfg(feature = "gui")]
pub mod gui;
pub mod infer;
pub mod kernels;
pub mod metrics;
pub mod model;
pub mod next_case;
pub mod nn;
pub mod objective;
pub mod palette;
pub mod panic_text;
pub mod plan;
pub mod preprocess;
pub mod protocol;
pub mod random;
pub mod report;
pub mod results;
pub mod sampling;
pub mod stop_signal;
pub mod terminal;
pub mod text_file;
pub mod train;
pub mod volume;
pub(crate) mod wording;
pub mod worker;

/// Version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Commit the program was built from, with `-changed` behind it where the sources differ from it; or `unknown`.
pub const COMMIT: &str = env!("SIMTROT_COMMIT");
