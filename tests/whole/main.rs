//! Whole-program tests in one binary, since every test binary links for long.

mod configs;
mod data;
mod device;
mod exchange;
mod fixtures;
mod folders;
mod formats;
mod imports;
mod parity;
mod pretext;
mod program;
mod report;
mod stages;
mod study;
mod sums;
mod transfer;
#[cfg(feature = "gui")]
mod window;
mod writer;
