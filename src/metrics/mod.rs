//! Scores: counts for each case and label first, means last. Host-side numbers only, no tensors.

pub mod collapse;
