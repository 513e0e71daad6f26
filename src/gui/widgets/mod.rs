//! What every panel is made of: one card, one table, one plot, one slice view, one view of surfaces, one dialog, one question, one welcome page.
//!
//! `card` lays out text, forms and notices; `table` and `plot` show numbers, each with a menu that saves it (`save`) as CSV or PNG;
//! `dialog` asks for a path, `question` asks before something happens, `welcome` is the first page of a panel. Work that would hold
//! up a frame runs in the `background`; `cover` draws slices and surfaces by shaders of our own.

mod axis;
mod background;
pub(in crate::gui) mod card;
mod colour_bar;
mod cover;
mod dialog;
mod legend;
pub(in crate::gui) mod offscreen;
mod plot;
pub(in crate::gui) mod pointer;
mod question;
pub(in crate::gui) mod save;
pub mod slice;
pub mod surface;
mod table;
pub(in crate::gui) mod ticks;
pub(in crate::gui) mod welcome;

pub(in crate::gui) use axis::Axis;
pub use background::Background;
pub(in crate::gui) use colour_bar::colour_bar;
pub(in crate::gui) use dialog::{Answer, PathDialog, PathKind};
pub(in crate::gui) use legend::{LegendEntry, legend};
pub(in crate::gui) use plot::{Chart, Series, SeriesKind};
pub(in crate::gui) use question::{Reply, modal, question};
pub(in crate::gui) use table::{Cell, Column, Sort, Table, Width, csv};
