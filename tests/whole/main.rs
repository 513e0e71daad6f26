//! Whole-program tests in one binary, since every test binary links for long.

mod data;
mod fixtures;
mod parity;
mod report;
