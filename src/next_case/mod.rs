//! Which unlabelled case to label next: numbers measured of each, the order that they give, and the reasons in words.
//!
//! [`pool`] says which cases are labelled and which could be, [`measured`] keeps what was measured of them, [`order`] chooses one after the
//! other, and [`ranking`] is what front ends show of that. No tensors: the numbers come from the worker.

mod basis;
pub mod criterion;
mod files;
pub mod measured;
pub mod order;
pub mod pool;
pub mod ranking;
mod reason;

pub use basis::Basis;
pub use criterion::Criterion;
pub use measured::{Measured, Measurements};
pub use order::{Candidate, Centre, Chosen};
pub use pool::Pool;
pub use ranking::{Choice, Known, Ranking};
