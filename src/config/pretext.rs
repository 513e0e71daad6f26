//! What pre-training asks of the network: the pretext task, and the heads that it trains and throws away.

use serde::{Deserialize, Serialize};

use super::check::Checker;

/// A pretext task of the paper's comparison (METHOD: "Losses").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PretextTask {
    /// Token-level contrast with rotate-and-restore: SimTROT (`weight: 1`, eq. 1) or SimTROT-W (`weight` above 1, eq. 3).
    Simtrot,
    /// Token-level agreement with a slowly moving copy of the network, with rotate-and-restore (eq. 2).
    BTrot,
    /// Contrast of whole volumes (arXiv:2002.05709).
    Simclr,
    /// Agreement of whole volumes with a slowly moving copy of the network (arXiv:2006.07733).
    Byol,
    /// Hidden voxels predicted from the last feature map (arXiv:2111.09886).
    Simmim,
    /// Hidden patches predicted by a light decoder from an encoder that sees the others alone (arXiv:2111.06377). UNETR only.
    Mae,
    /// Which way up, which volume, and what was cut out: rotation, contrast and reconstruction (arXiv:2111.14791).
    Rcr,
}

impl PretextTask {
    /// All of them, in the order of the paper's tables.
    pub const ALL: [Self; 7] = [Self::Simtrot, Self::BTrot, Self::Simclr, Self::Byol, Self::Simmim, Self::Mae, Self::Rcr];

    /// The name in text; `weight` tells SimTROT from SimTROT-W.
    pub fn title(self, weight: f64) -> &'static str {
        match self {
            Self::Simtrot if weight == 1.0 => "SimTROT",
            Self::Simtrot => "SimTROT-W",
            Self::BTrot => "B-TROT",
            Self::Simclr => "SimCLR",
            Self::Byol => "BYOL",
            Self::Simmim => "SimMIM",
            Self::Mae => "MAE",
            Self::Rcr => "RCR",
        }
    }

    /// Whether a second copy of the network gives the targets.
    pub fn has_target(self) -> bool {
        matches!(self, Self::BTrot | Self::Byol)
    }

    /// Whether `pretrain.rotate` decides how its second view is turned.
    pub fn turns_as_set(self) -> bool {
        matches!(self, Self::Simtrot | Self::BTrot | Self::Simclr | Self::Byol)
    }

    /// Whether the task predicts what masking hides, and so asks for something hidden.
    pub fn predicts_hidden(self) -> bool {
        matches!(self, Self::Simmim | Self::Mae | Self::Rcr)
    }

    /// Who described the task first; none for those of the SimTROT paper.
    pub fn source(self) -> Option<&'static str> {
        match self {
            Self::Simtrot | Self::BTrot => None,
            Self::Simclr => Some(
                "Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual Representations, arXiv:2002.05709.",
            ),
            Self::Byol => Some("Grill et al.: Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning, arXiv:2006.07733."),
            Self::Simmim => Some("Xie et al.: SimMIM: A Simple Framework for Masked Image Modeling, arXiv:2111.09886."),
            Self::Mae => Some("He, Chen, Xie, Li, Dollár, Girshick: Masked Autoencoders Are Scalable Vision Learners, arXiv:2111.06377."),
            Self::Rcr => {
                Some("Tang et al.: Self-Supervised Pre-Training of Swin Transformers for 3D Medical Image Analysis, arXiv:2111.14791.")
            }
        }
    }
}

impl std::fmt::Display for PretextTask {
    /// The name in configs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// How `weight` enters the contrast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Eq. 3: a term of the same position in another volume counts `weight` times.
    Term,
    /// As the paper's released code computes it, to reproduce its numbers: the similarity itself is multiplied by
    /// `1 + weight`, for the rows half a view apart. With two volumes those are same-position pairs, though not all of
    /// them; with more they are others. A negative similarity is pushed the wrong way.
    Logit,
}

/// The MLP between tokens and loss: `C -> hidden -> output`, thrown away after pre-training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectorConfig {
    /// Hidden width. None: twice the token dimension.
    pub hidden: Option<usize>,
    /// Output width. None: the token dimension.
    pub output: Option<usize>,
    /// Between the two layers. B-TROT and BYOL take a batch norm and a ReLU there instead.
    pub activation: Activation,
    /// Also a ReLU after the last layer, as the released code has it: forces similarities above 0.
    pub relu_output: bool,
}

impl Default for ProjectorConfig {
    fn default() -> Self {
        Self { hidden: None, output: None, activation: Activation::Relu, relu_output: false }
    }
}

/// A pointwise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// x * Phi(x), exact.
    Gelu,
}

/// MAE's decoder, much lighter than its encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaeConfig {
    /// Channels of a token in the decoder.
    pub dim: usize,
    /// Transformer blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
}

impl Default for MaeConfig {
    fn default() -> Self {
        Self { dim: 96, depth: 2, heads: 3 }
    }
}

impl MaeConfig {
    pub(super) fn check(&self, checker: &mut Checker) {
        checker.range("pretrain.mae.depth", self.depth, 1..=64);
        checker.range("pretrain.mae.dim", self.dim, 1..=4096);
        checker.require(
            "pretrain.mae.heads",
            self.heads > 0 && self.dim.is_multiple_of(self.heads.max(1)),
            format_args!("{} heads do not divide {} channels", self.heads, self.dim),
        );
    }
}
