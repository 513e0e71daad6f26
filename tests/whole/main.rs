//! Whole-program tests in one binary, since every test binary links for long.

mod configs;
mod data;
mod device;
mod exchange;
mod fixtures;
mod imports;
mod parity;
mod pretext;
mod program;
mod report;
mod stages;
mod study;
#[cfg(feature = "gui")]
mod window;
mod writer;
