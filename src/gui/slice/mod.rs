//! Slices of volumes, drawn by the window's GPU.

use serde::{Deserialize, Serialize};

/// How slices are drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SliceSettings {}
