//! Sizes of the parts of the window, which users drag once and expect to find again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Widths of side panels and heights of those at the foot, in points, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    sizes: BTreeMap<String, f32>,
}

impl Layout {
    /// The size that a part had last, or `default`.
    pub fn size(&self, part: &str, default: f32) -> f32 {
        self.sizes.get(part).copied().unwrap_or(default)
    }

    /// Notes the size that a part has now.
    pub fn keep(&mut self, part: &str, size: f32) {
        // Whole points: a window that rounds differently is no request of its user's.
        let size = size.round();
        if self.sizes.get(part) != Some(&size) {
            self.sizes.insert(part.to_owned(), size);
        }
    }
}
