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
    /// In the order of the bar.
    pub(super) const ALL: [Self; 4] = [Self::Experiment, Self::Collapse, Self::MaskRatio, Self::Segmentation];

    /// Its name in the bar.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Collapse => "Collapse",
            Self::MaskRatio => "Mask ratio",
            Self::Segmentation => "Segmentation",
            Self::Experiment => "Experiment",
        }
    }

    /// What it is for, in a sentence.
    pub(super) fn purpose(self) -> &'static str {
        match self {
            Self::Collapse => "Does a token tell what it sees, or only where it lies?",
            Self::MaskRatio => "What masking does to a volume, and to the contrast",
            Self::Segmentation => "Look at volumes and labels, compare with the truth, segment",
            Self::Experiment => "Choose data and settings, train, follow and compare: one point, or a grid that answers a question",
        }
    }
}
