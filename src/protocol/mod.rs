//! Plain data between the worker and every front end: events out, commands in, one fold over the events.

pub mod checkpoints;
mod command;
mod environment;
mod event;
mod folder;
mod folder_error;
mod pace;
mod preview;
mod records;
mod state;
mod summary;
mod thinned;
mod tokens;

pub use command::Command;
pub use environment::{Environment, TRAINING_VERSION};
pub use event::{CollapsePair, Event, MaskPoint, Outcome, Record, Severity, Stage, StageKind, StepNumbers, TransferReport};
pub use folder::{RunFolder, SPLIT};
pub use folder_error::FolderError;
pub use pace::cost_class;
pub use preview::{Preview, SegmentationPreview, TokenPreview, TokenSet};
pub use records::RecordReader;
pub use state::{RunState, StageState, UNMEASURED};
pub use summary::{ArmScores, ProbeSummary, SUMMARY_SCHEMA, mean_dice};
pub use thinned::{Entry, Thinned};

/// Version of `events.jsonl` and `checkpoint.json`; raised when a reader would misunderstand.
pub const SCHEMA: u32 = 1;
