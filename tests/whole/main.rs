//! Whole-program tests in one binary, since every test binary links for long.

mod fixtures;
mod parity;
mod report;
