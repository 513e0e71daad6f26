//! The window: train, inspect, segment, compare.
//!
//! It reads the same folded [`crate::protocol::RunState`] as terminal and report, and sends the same commands; the worker
//! owns its device, the window its own. Nothing here waits: files are read and plans made on threads of their own
//! (`background`), and a frame draws what has arrived by then.
//!
//! `app` holds the five panels ([`run`], [`collapse`], [`mask_ratio`], [`segmentation`], [`study`]); they share the `desk`, where runs
//! and the open dataset lie, and draw volumes through [`mod@slice`].

mod app;
mod background;
pub mod collapse;
mod desk;
mod event_loop;
mod frame_bench;
mod job;
mod keys;
mod keys_window;
mod layout;
mod marks;
pub mod mask_ratio;
mod open;
mod pointer;
pub mod run;
pub mod segmentation;
mod settings;
pub mod slice;
pub mod study;
#[cfg(test)]
mod testing;
mod theme;

pub use app::{App, Panel};
pub use background::Background;
pub use desk::{Desk, OpenRun};
pub use frame_bench::{PIECE as FRAME_PIECE, window_frame};
pub use job::FollowedJob;
pub use keys::{Action, KeyMap};
pub use layout::Layout;
pub use open::{Left, NoWindow, Opening, open};
pub use settings::{Convention, Settings, ThemeChoice};
pub use theme::Palette;
