//! Encoders, the decoder, the projector. A volume goes in, a token grid for each stage comes out, and logits from those.
//!
//! A backbone is one file with its encoder ([`TokenEncoder`]) and how both halves of its network are built ([`Backbone`]); the list
//! that names it stands with the hyper-parameters, in `config`. What it needs in memory the blocks of `nn` say ([`plan`]).

mod backbone;
mod decoder;
#[cfg(test)]
mod dispatch_tests;
mod encoder;
mod half;
#[cfg(test)]
pub(crate) mod initial_weights;
mod names;
mod nnformer;
mod parameters;
mod plan;
mod projector;
mod segmenter;
mod size;
mod swin_unetr;
#[cfg(test)]
mod tests;
mod unet;
mod unetr;
mod weights;
mod weights_file;

pub use crate::nn::Pass;
pub use backbone::{Attention, Backbone, Task, TokenEncoder};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use names::{NamedWeights, Renames};
pub use nnformer::NnFormerEncoder;
pub use parameters::{Parameter, parameters, update_parameters};
pub use plan::{ModelPlan, ParameterCounts, StageSize, StepSize, plan};
pub use projector::Projector;
pub use segmenter::Segmenter;
pub use size::padded_size;
pub use swin_unetr::SwinUnetrEncoder;
pub use unet::UnetEncoder;
pub use unetr::{UnetrEncoder, VitStates};
pub use weights::{HostTensor, LoadReport, Mismatch, export_gradients, export_named, load_named, parameter_paths};
pub use weights_file::{WeightsError, read_weights, write_weights};
