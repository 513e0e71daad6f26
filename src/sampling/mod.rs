//! From prepared cases to batches: crop, texture, mask, rotate; prepared by threads ahead of the device.
//!
//! Host data only, no tensors. In the order in which data flows: [`CaseSet`] (prepared cases, on disk) and [`CaseOrder`] (which
//! cases a step takes) -> [`crop`] -> [`texture`] -> [`mask`] or [`rotation`] -> [`ViewBatch`] (pre-training), or
//! [`crop`] -> `spatial` -> `intensity` -> [`LabelledBatch`] (fine-tuning) -> [`Loader`] -> device. [`ProbeSet`] holds the fixed crops
//! on which collapse is measured.
//!
//! A batch is a pure function of (config, cases, seed, step): neither the number of loader threads, nor the memory they may take, nor a
//! resumed run changes it.

mod case;
pub mod crop;
mod intensity;
mod labelled;
mod loader;
pub mod mask;
mod order;
mod probe_set;
mod resolution;
pub mod rotation;
mod share;
mod spatial;
pub mod texture;
mod view;

use thiserror::Error;

pub use case::{CaseSet, chosen};
pub use labelled::{LabelledBatch, LabelledPlan};
pub use loader::{Loader, LoaderError, ReadAhead, working_on};
pub use order::CaseOrder;
pub use probe_set::{ProbeInput, ProbePlan, ProbeSet};
pub use rotation::TokenFrame;
pub use view::{View, ViewBatch, ViewPlan};

use crate::volume::DataError;

/// Why no batch can be made.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SamplingError {
    /// Rotations that the token grid does not allow.
    #[error("pretrain.rotate: {0}")]
    Rotate(#[from] rotation::RotationError),
    /// Mask cells that do not fill the crop.
    #[error(
        "mask cells of {patch:?} voxels do not fill a crop of {crop:?} evenly. \
         Make pretrain.crop_size a multiple of them, or set pretrain.mask_patch to a divisor"
    )]
    MaskCells {
        /// Voxels of a crop along D,H,W.
        crop: [usize; 3],
        /// Voxels of a mask cell.
        patch: [usize; 3],
    },
    /// Quarter turns of a crop that is not square.
    #[error(
        "RCR rotates volumes by quarters in the H,W plane, and crops of {crop:?} are not square there. \
         Make the last two numbers of pretrain.crop_size equal"
    )]
    QuarterTurns {
        /// Voxels of a crop along D,H,W.
        crop: [usize; 3],
    },
    /// Not enough cases for a batch of different ones.
    #[error(
        "a batch of {batch} different cases needs as many, and there are {cases}: a case twice in a batch would be its own negative. \
         Set pretrain.batch to {cases} or less (pretrain.accumulate adds up several batches)"
    )]
    TooFewCases {
        /// Volumes of a batch.
        batch: usize,
        /// Cases there are.
        cases: usize,
    },
    /// No case at all.
    #[error("there is no case to train on: see data.split and data.label_fraction")]
    NoCases,
    /// A case whose channels differ from the first's.
    #[error("case {case}: {found} channels, but case {first} has {expected}. All cases of a run need the same channels")]
    Channels {
        /// The case.
        case: String,
        /// Its channels.
        found: usize,
        /// The first case of the batch.
        first: String,
        /// Its channels.
        expected: usize,
    },
    /// A prepared case that can no longer be read.
    #[error(transparent)]
    Read(#[from] DataError),
    /// A case without the label map that fine-tuning needs.
    #[error("case {case} has no label map, which fine-tuning needs. Leave it to pre-training (data.split)")]
    NoLabel {
        /// The case.
        case: String,
    },
}
