//! The window: train, inspect, segment, compare.
//!
//! It reads the same folded [`crate::protocol::RunState`] as terminal and report, and sends the same commands; the worker
//! owns its device, the window its own. Nothing here waits: files are read and plans made on threads of their own
//! (`background`), and a frame draws what has arrived by then.
//!
//! `app` holds the four panels (`experiment`, `collapse`, `masking`, `viewer`); they share the `workspace`, where experiments lie, and
//! draw volumes through `widgets::slice`.

mod app;
mod collapse;
mod event_loop;
mod experiment;
mod file_url;
mod frame_bench;
mod job;
mod keys;
mod keys_window;
mod masking;
mod open;
mod open_experiment;
mod outlive;
mod panel;
mod reader;
mod settings;
#[cfg(test)]
mod testing;
mod theme;
mod viewer;
mod widgets;
mod work;
mod workspace;

pub(crate) use crate::geometry::Convention;
pub(crate) use app::App;
pub use app::Opening;
pub use frame_bench::{PIECES as FRAME_PIECES, paint_frame, window_frame};
pub(crate) use job::FollowedJob;
pub(crate) use keys::{Action, KeyMap};
pub use open::{NoWindow, open};
pub(crate) use open_experiment::{OpenRun, OpenTraining};
pub use outlive::Left;
pub(crate) use panel::Panel;
pub(crate) use settings::Settings;
pub(crate) use theme::{Palette, ThemeChoice};
pub(crate) use widgets::Background;
pub(crate) use workspace::Workspace;
