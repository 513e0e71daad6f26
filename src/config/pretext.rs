//! What pre-training asks of the network: the pretext task, and the heads that it trains and throws away.

use serde::{Deserialize, Serialize};

use super::check::settings;

/// Every pretext task, once; but for the last they are the paper's comparison (METHOD: "Losses"). In order: its variant of [`PretextTask`], its objective
/// (a type of `objective`), and what the rest of the program asks of it ([`TaskFacts`]).
macro_rules! pretext_tasks {
    ($define:ident) => {
        $define! {
            /// Token-level contrast with rotate-and-restore: SimTROT (`weight: 1`, eq. 1) or SimTROT-W (`weight` above 1, eq. 3).
            Simtrot: SimTrot {
                title: "SimTROT", views: TaskViews::MaskedAndRotated, has_target: false, source: None,
                reads: &["weight", "weighting", "token_stages", "rotation_code", "reconstruction_weight", "temperature", "projector", "activation"],
            }
            /// Token-level agreement with a slowly moving copy of the network, with rotate-and-restore (eq. 2).
            BTrot: Bootstrap {
                title: "B-TROT", views: TaskViews::MaskedAndRotated, has_target: true, source: None,
                reads: &["target_momentum", "projector"],
            }
            /// Contrast of whole volumes (arXiv:2002.05709).
            Simclr: SimClr {
                title: "SimCLR", views: TaskViews::MaskedAndRotated, has_target: false,
                source: Some("Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual Representations, \
                              arXiv:2002.05709."),
                reads: &["temperature", "projector", "activation"],
            }
            /// Agreement of whole volumes with a slowly moving copy of the network (arXiv:2006.07733).
            Byol: Bootstrap {
                title: "BYOL", views: TaskViews::MaskedAndRotated, has_target: true,
                source: Some("Grill et al.: Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning, arXiv:2006.07733."),
                reads: &["target_momentum", "projector"],
            }
            /// Hidden voxels predicted from the last feature map (arXiv:2111.09886).
            Simmim: SimMim {
                title: "SimMIM", views: TaskViews::Masked, has_target: false,
                source: Some("Xie et al.: SimMIM: A Simple Framework for Masked Image Modeling, arXiv:2111.09886."),
                reads: &[],
            }
            /// Hidden patches predicted by a light decoder from an encoder that sees the others alone (arXiv:2111.06377). UNETR only.
            Mae: Mae {
                title: "MAE", views: TaskViews::Masked, has_target: false,
                source: Some("He, Chen, Xie, Li, Dollár, Girshick: Masked Autoencoders Are Scalable Vision Learners, arXiv:2111.06377."),
                reads: &["mae"],
            }
            /// Which way up, which volume, and what was cut out: rotation, contrast and reconstruction (arXiv:2111.14791).
            Rcr: Rcr {
                title: "RCR", views: TaskViews::MaskedQuarterTurns, has_target: false,
                source: Some("Tang et al.: Self-Supervised Pre-Training of Swin Transformers for 3D Medical Image Analysis, arXiv:2111.14791."),
                reads: &["temperature", "projector", "activation"],
            }
            /// Hidden tokens get the distribution over prototypes that a slowly moving copy gives them in sight (arXiv:2111.07832); its
            /// loss on masked tokens alone.
            Ibot: Ibot {
                title: "iBOT", views: TaskViews::MaskedAndRotated, has_target: true,
                source: Some("Zhou et al.: iBOT: Image BERT Pre-Training with Online Tokenizer, arXiv:2111.07832; its loss on masked tokens."),
                reads: &["target_momentum", "ibot", "projector", "activation"],
            }
        }
    };
}
pub(crate) use pretext_tasks;

/// The views of a crop that a task gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskViews {
    /// One masked, one rotated as `pretrain.rotate` says, both under texture.
    MaskedAndRotated,
    /// One masked, without texture, and the voxels to predict.
    Masked,
    /// Two masked, each rotated by quarters in the H,W plane, and the voxels to predict.
    MaskedQuarterTurns,
}

/// What the rest of the program asks of a pretext task.
pub(super) struct TaskFacts {
    /// The name in text.
    title: &'static str,
    pub(super) views: TaskViews,
    /// Whether a second copy of the network gives the targets.
    has_target: bool,
    /// Who described the task first; none for those of the SimTROT paper.
    source: Option<&'static str>,
    /// Settings of `pretrain` that this task reads and not every one; `activation` stands for that and `relu_output` of the projector.
    pub(super) reads: &'static [&'static str],
}

macro_rules! define_tasks {
    ($($(#[$doc:meta])* $task:ident: $objective:ident { $($fact:ident: $value:expr),+ $(,)? })+) => {
        /// What pre-training asks of the network.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum PretextTask {
            $($(#[$doc])* $task,)+
        }

        impl PretextTask {
            /// All of them: the paper's in the order of its tables, then others.
            pub const ALL: [Self; [$(stringify!($task)),+].len()] = [$(Self::$task),+];

            pub(super) fn facts(self) -> TaskFacts {
                match self {
                    $(Self::$task => TaskFacts { $($fact: $value),+ },)+
                }
            }
        }
    };
}
pretext_tasks!(define_tasks);

impl PretextTask {
    /// The name in text; `weight` decides between SimTROT and SimTROT-W.
    pub fn title(self, weight: f64) -> &'static str {
        if self == Self::Simtrot && weight != 1.0 { "SimTROT-W" } else { self.facts().title }
    }

    /// The views that it gets.
    pub fn views(self) -> TaskViews {
        self.facts().views
    }

    /// Whether a second copy of the network gives the targets.
    pub fn has_target(self) -> bool {
        self.facts().has_target
    }

    /// Whether `pretrain.rotate` decides how its second view is rotated.
    pub fn rotates_as_set(self) -> bool {
        self.views() == TaskViews::MaskedAndRotated
    }

    /// Whether the task predicts what masking hides, and so asks for something hidden.
    pub fn predicts_hidden(self) -> bool {
        self == Self::Ibot || !self.rotates_as_set()
    }

    /// Views of a crop that the trained encoder sees; the target of iBOT alone sees the other one.
    pub fn trained_views(self) -> usize {
        if self == Self::Ibot || self.views() == TaskViews::Masked { 1 } else { 2 }
    }

    /// Who described the task first; none for those of the SimTROT paper.
    pub fn source(self) -> Option<&'static str> {
        self.facts().source
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

settings! {
    /// The MLP between tokens and loss: `C -> hidden -> output`, thrown away after pre-training.
    pub struct ProjectorConfig {
        /// Hidden width. None: twice the token dimension.
        hidden: Option<usize> = None;
        /// Output width. None: the token dimension.
        output: Option<usize> = None;
        /// Between the two layers. B-TROT and BYOL take a batch norm and a ReLU there instead.
        activation: Activation = Activation::Relu;
        /// Also a ReLU after the last layer, as the released code has it: forces similarities above 0.
        relu_output: bool = false;
    }
}

impl ProjectorConfig {
    /// Hidden and output width for tokens of `dim` channels.
    pub fn widths(&self, dim: usize) -> [usize; 2] {
        [self.hidden.unwrap_or(2 * dim), self.output.unwrap_or(dim)]
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

settings! {
    /// iBOT's distributions over prototypes. The defaults are DINO's (arXiv:2104.14294, section 3.2 and `main_dino.py`), but for the
    /// number of prototypes: 8192 in iBOT, for a million images.
    pub struct IbotConfig {
        /// Prototypes that a token is compared with.
        prototypes: usize = 256, in 2..=32_768;
        /// Temperature of the trained network's distributions.
        student_temperature: f64 = 0.1, in 1e-3..=100.0;
        /// Temperature of the target's; below the student's it sharpens.
        target_temperature: f64 = 0.04, in 1e-3..=100.0;
        /// What the running mean of the target's logits, which is subtracted from them, keeps of itself at each step; 1 leaves it at 0.
        centre_momentum: f64 = 0.9, in 0.0..=1.0;
    }
}

settings! {
    /// MAE's decoder, much lighter than its encoder.
    pub struct MaeConfig {
        /// Channels of a token in the decoder.
        dim: usize = 96, in 1..=4096;
        /// Transformer blocks.
        depth: usize = 2, in 1..=64;
        /// Attention heads.
        heads: usize = 3;
    }
}
