//! The window: train, inspect, segment, compare.
//!
//! It reads the same folded [`crate::protocol::RunState`] as terminal and report, and sends the same commands; the worker
//! owns its device, the window its own. Nothing here waits: files are read and plans made on threads of their own
//! (`background`), and a frame draws what has arrived by then.
//!
//! `app` holds the four panels ([`experiment`], [`collapse`], [`masking`], [`viewer`]); they share the `workspace`, where experiments lie, and draw volumes through `widgets::slice`.

mod app;

pub mod collapse;
mod event_loop;
pub mod experiment;
mod file_url;
mod frame_bench;
mod job;
mod keys;
mod keys_window;
pub mod masking;
mod open;
mod open_experiment;
mod outlive;
mod point;
mod reader;
mod settings;
#[cfg(test)]
mod testing;
mod theme;
pub mod viewer;
mod widgets;
mod work;
mod workspace;

pub use crate::geometry::Convention;
pub use app::{App, Panel};
pub use frame_bench::{PIECE as FRAME_PIECE, window_frame};
pub use job::FollowedJob;
pub use keys::{Action, KeyMap};
pub use open::{Left, NoWindow, Opening, open};
pub use open_experiment::{OpenRun, OpenTraining};
pub use reader::Look;
pub use settings::{Layout, Settings};
pub use theme::{Palette, ThemeChoice};
pub use widgets::Background;
pub use workspace::Workspace;
