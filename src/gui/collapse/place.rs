//! Which tokens a user looks at: of which stage, and before or after the projector.

use crate::metrics::collapse::{Collapse, TokenMaps};
use crate::protocol::{CollapsePair, RunState, StageKind, StageState, TokenPreview, TokenSet};

/// Where tokens are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// After the projector, where the loss sees them.
    Projected,
    /// Before it, as handed to fine-tuning.
    Encoder,
}

impl Place {
    pub(super) const ALL: [Self; 2] = [Self::Projected, Self::Encoder];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Projected => "Projected tokens",
            Self::Encoder => "Encoder tokens",
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Projected => "After the projector: where the loss compares them. A collapse shows here first.",
            Self::Encoder => "Before the projector: what fine-tuning takes over.",
        }
    }

    /// The numbers measured there.
    pub(super) fn numbers(self, pair: &CollapsePair) -> Option<&Collapse> {
        match self {
            Self::Projected => pair.projected.as_ref(),
            Self::Encoder => Some(&pair.encoder),
        }
    }

    /// The tokens shown from there.
    pub(super) fn tokens(self, preview: &TokenPreview) -> Option<&TokenSet> {
        match self {
            Self::Projected => preview.projected.as_ref(),
            Self::Encoder => Some(&preview.encoder),
        }
    }

    /// Maps of those tokens.
    pub(super) fn maps(self, preview: &TokenPreview) -> Result<TokenMaps, &'static str> {
        let set = self.tokens(preview).ok_or("this task compares no tokens: look at the encoder's")?;
        TokenMaps::of(&set.values, preview.grid.iter().product(), set.dim)
    }
}

/// Stages that measure tokens, in the order in which they began.
pub(super) fn measuring(state: &RunState) -> impl Iterator<Item = &StageState> {
    state.stages.iter().filter(|stage| matches!(stage.stage.kind, StageKind::Pretrain | StageKind::Probe))
}

/// What a stage is called among its like.
pub(super) fn stage_title(stage: &StageState) -> String {
    if stage.stage.arm.is_empty() { stage.stage.to_string() } else { stage.stage.arm.clone() }
}
