//! What training minimises: pretext tasks without labels, and the segmentation loss.
//!
//! A pretext task is one file: an [`Objective`] with its own heads, from the views of a batch to one number and its parts.
//! The list that names them stands with their settings, in `config`. The larger losses compute their own gradient in closed form next to
//! their value and hand both to the autodiff graph (`kernels::with_gradient`): it then holds one small node instead of a chain of
//! matrices as large as the similarity matrix or the logits.

mod bootstrap;
mod dice_ce_kernel;
#[cfg(test)]
mod finite_difference;
mod ibot;
mod loss;
mod mae;
mod rcr;
mod rotation_code;
mod simclr;
mod simd;
mod simmim;
mod simtrot;
mod size;
mod softplus;
mod token_contrast_kernel;
mod views;

pub mod dice_ce;
pub mod token_contrast;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::config::{PretextTask, RunConfig, pretext_tasks};
use crate::device::Peers;
use crate::geometry::SignedPermutation;
use crate::model::{Encoder, NamedWeights, Pass};
use crate::nn::Initialiser;
use crate::sampling::ViewBatch;

pub use bootstrap::{Bootstrap, byol_loss, ema_update};
pub use dice_ce::{DiceCeConfig, classes_from_host};
pub use ibot::Ibot;
pub use loss::{Loss, LossNumbers};
pub use mae::Mae;
pub use rcr::Rcr;
pub use rotation_code::RotationCode;
pub use simclr::SimClr;
pub use simmim::SimMim;
pub use simtrot::SimTrot;
pub use size::LossSize;
pub use token_contrast::TokenContrast;
pub use views::{pooled, restored_view};

/// What a pretext task is built for.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The run's settings.
    pub config: &'a RunConfig,
    /// Channels of a volume.
    pub channels: usize,
    /// The encoder that is to be trained.
    pub encoder: &'a Encoder,
    /// Where the heads lie.
    pub device: &'a Device,
}

impl Setup<'_> {
    /// Numbers of a token of the encoder's last stage.
    fn dim(&self) -> usize {
        self.encoder.dims().pop().expect("a network has a stage")
    }

    /// Initial weights of the run's seed.
    fn init(&self) -> Initialiser<'_> {
        Initialiser::new(self.config.seed, self.device)
    }
}

/// A pretext task: what it asks of an encoder, and the heads that it trains beside it.
pub trait Objective: NamedWeights {
    /// With the initial weights of the config's seed.
    fn init(setup: &Setup<'_>) -> Self;

    /// The loss of `encoder` and these heads on the views of a batch.
    fn loss(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass) -> Loss {
        self.loss_of_share(encoder, batch, pass, &Peers::ALONE)
    }

    /// That of a device which has a share of the batch, and its `peers` the others. The mean over the devices, of the losses as of their
    /// gradients, is that of the whole batch: what volumes have to do with each other is gathered first.
    fn loss_of_share(&self, encoder: &Encoder, share: &ViewBatch, pass: Pass, peers: &Peers) -> Loss;

    /// Updates a slowly moving copy of the network once the optimiser has taken its step. Most tasks have none.
    #[must_use]
    fn after_step(self, _encoder: &Encoder) -> Self {
        self
    }

    /// The encoder's tokens `[batch, tokens, dim]` where the loss compares them; none where it does not compare tokens.
    fn project(&self, _tokens: Tensor<3>) -> Option<Tensor<3>> {
        None
    }

    /// The same for volumes that were rotated, each by its own of `rotations`, where the heads are told of it.
    fn project_rotated(&self, tokens: Tensor<3>, _rotations: &[SignedPermutation]) -> Option<Tensor<3>> {
        self.project(tokens)
    }
}

macro_rules! define_pretext {
    ($($(#[$doc:meta])* $task:ident: $objective:ident { $($facts:tt)* })+) => {
        /// Any pretext task.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one value lives in a run; boxing it would hide the module from burn's derive")]
        pub enum Pretext {
            $($(#[$doc])* $task($objective),)+
        }

        impl Objective for Pretext {
            fn init(setup: &Setup<'_>) -> Self {
                match setup.config.pretrain.task {
                    $(PretextTask::$task => Self::$task($objective::init(setup)),)+
                }
            }

            fn loss_of_share(&self, encoder: &Encoder, share: &ViewBatch, pass: Pass, peers: &Peers) -> Loss {
                match self {
                    $(Self::$task(objective) => objective.loss_of_share(encoder, share, pass, peers),)+
                }
            }

            fn after_step(self, encoder: &Encoder) -> Self {
                match self {
                    $(Self::$task(objective) => Self::$task(objective.after_step(encoder)),)+
                }
            }

            fn project(&self, tokens: Tensor<3>) -> Option<Tensor<3>> {
                match self {
                    $(Self::$task(objective) => objective.project(tokens),)+
                }
            }

            fn project_rotated(&self, tokens: Tensor<3>, rotations: &[SignedPermutation]) -> Option<Tensor<3>> {
                match self {
                    $(Self::$task(objective) => objective.project_rotated(tokens, rotations),)+
                }
            }
        }

        impl NamedWeights for Pretext {
            fn reference_name(&self, path: &[String]) -> String {
                match self {
                    $(Self::$task(objective) => objective.reference_name(path),)+
                }
            }
        }
    };
}

pretext_tasks!(define_pretext);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::tensor::Device;

    use super::{Objective as _, Pretext, Setup};
    use crate::config::{PretextTask, RunConfig};
    use crate::model::initial_weights::{assert_drawn, pytorch};
    use crate::model::{Encoder, HostTensor, Task, export_named};

    /// The untrained heads of a task for volumes of two channels, at a network that can serve it.
    fn heads(task: PretextTask, more: &[&str]) -> BTreeMap<String, HostTensor> {
        let preset = if task == PretextTask::Mae { "unetr_small" } else { "swin_unetr_small" };
        let mut settings = vec![format!("pretrain.task={task}"), format!("model.preset={preset}")];
        settings.extend(more.iter().map(|setting| (*setting).to_owned()));
        let config = RunConfig::default().with_overrides(&settings).unwrap();
        let (device, network) = (Device::flex(), Task { channels: 2, classes: 0, crop_size: config.pretrain.crop_size });
        let encoder = Encoder::init(&config.model, &network, config.seed, &device);
        export_named(&Pretext::init(&Setup { config: &config, channels: 2, encoder: &encoder, device: &device }))
    }

    #[test]
    fn the_heads_of_every_task_start_as_their_references() {
        for task in PretextTask::ALL {
            let heads = heads(task, if task == PretextTask::Simtrot { &["pretrain.token_stages=2"] } else { &[] });
            assert!(heads.len() >= 2, "{task}");
            // The target of B-TROT, BYOL and iBOT holds a copy of the encoder.
            assert_drawn(&heads, &["relative_position_bias_table", "mask_token", "position"], pytorch);
        }
    }

    #[test]
    fn each_predicted_voxel_has_weights_and_a_bias_of_its_own() {
        for (task, head) in [(PretextTask::Simmim, "head.linear"), (PretextTask::Mae, "voxels.linear")] {
            let heads = heads(task, &[]);
            assert_eq!(heads[&format!("{head}.weight")].shape, [2 * 8 * 8 * 8, 96], "{task}");
            assert_eq!(heads[&format!("{head}.bias")].shape, [2 * 8 * 8 * 8], "{task}");
        }
    }
}
