//! The journal of an edit that is not saved: a file beside the volume that grows by every step and brings the edit back after a crash.
//!
//! `place` says where it lies, `record` how it is written, `writer` writes it on a thread of its own, `recovered` reads it. It holds the map as it was
//! before the first step, so that nothing else need be there unchanged but the image.

mod place;
mod record;
mod recovered;
mod writer;

#[cfg(test)]
pub(super) use place::WITHOUT_LOCKS;
pub(super) use record::NamedLabel;
pub use recovered::{Recovered, find_journals};
pub use writer::JournalSubject;
pub(super) use writer::{Change, Journal};
