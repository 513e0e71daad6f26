//! The panels of the window.

use serde::{Deserialize, Serialize};

/// A panel of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Panel {
    /// Set-up, progress, scores, comparison.
    #[default]
    Experiment,
    /// Is the representation collapsing?
    Collapse,
    /// What masking does to a volume, and to the loss.
    MaskRatio,
    /// Slices, labels, comparison.
    Segmentation,
}

impl Panel {
    /// In the order of the bar, each with its name and what it is for.
    pub(super) const ALL: [(Self, &str, &str); 4] = [
        (
            Self::Experiment,
            "Experiment",
            "Choose data and settings, train, follow and compare: one point, or a grid that answers a question",
        ),
        (Self::Collapse, "Collapse", "Does a token tell what it sees, or only where it lies?"),
        (Self::MaskRatio, "Mask ratio", "What masking does to a volume, and to the contrast"),
        (Self::Segmentation, "Segmentation", "Look at volumes and labels, compare with the truth, segment"),
    ];
}
