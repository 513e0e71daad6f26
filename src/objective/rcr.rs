//! RCR, the pre-training of Swin UNETR (arXiv:2111.14791): by which quarter a volume was rotated, which volume it is, and what
//! was cut out of it. The three losses count alike.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

use super::token_contrast::TokenContrast;
use super::views::{device_of, features, gathered, halves, hidden, masked_mean, pooled, volume};
use super::{Loss, Objective, Setup};
use crate::config::Weighting;
use crate::device::Peers;
use crate::kernels::mean;
use crate::model::{Encoder, NamedWeights, Pass, Projector};
use crate::nn::{ExpandVoxels, Linear, TokenGrid};
use crate::sampling::rotation::quarter_turns;
use crate::sampling::{View, ViewBatch};

/// A head for each of the three.
#[derive(Module, Debug)]
pub struct Rcr {
    /// The mean of the tokens to the four quarters.
    pub rotation: Linear,
    /// The mean of the tokens to where volumes are compared.
    pub projector: Projector,
    /// The last feature map to voxels.
    pub reconstruction: ExpandVoxels,
    #[module(skip)]
    contrast: Arc<TokenContrast>,
}

impl Objective for Rcr {
    fn init(setup: &Setup<'_>) -> Self {
        let settings = &setup.config.pretrain;
        let (dim, init) = (setup.dim(), setup.init().at("rcr"));
        Self {
            rotation: Linear::init(dim, quarter_turns().len(), true, &init.at("rotation")),
            projector: Projector::init(&settings.projector, dim, &setup.init().at("projector")),
            reconstruction: ExpandVoxels::init(dim, setup.channels, setup.encoder.total_stride(), &init.at("reconstruction")),
            contrast: Arc::new(TokenContrast::new(settings.temperature, 1.0, Weighting::Term)),
        }
    }

    fn loss_of_share(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass, peers: &Peers) -> Loss {
        let features = features(encoder, batch, pass);
        let volumes = pooled(features.clone());

        let scores = self.rotation.forward(volumes.clone().unsqueeze_dim::<3>(1)).squeeze_dim::<2>(1);
        let (rotation, right) = cross_entropy(scores, quarters_of(batch));

        let [first, second] = halves(gathered(self.projector.forward(volumes.unsqueeze_dim(1)), peers));
        let contrast = self.contrast.forward(first, second);

        let predicted = self.reconstruction.forward(TokenGrid::from_volume(features));
        let device = device_of(encoder);
        let all = |of_view: &dyn Fn(&View) -> Tensor<5>| Tensor::cat(batch.views.iter().map(of_view).collect(), 0);
        let truth = all(&|view| volume(&view.clean, batch, &device));
        let reconstruction = masked_mean((predicted - truth).abs(), all(&|view| hidden(view, batch, &device)));

        let parts = [
            ("rotation", rotation.clone()),
            ("rotation_accuracy", right),
            ("contrast", contrast.loss.clone()),
            ("reconstruction", reconstruction.clone()),
        ];
        Loss::of(rotation + contrast.loss + reconstruction, parts)
    }
}

/// By how many quarters each volume was rotated, view after view.
fn quarters_of(batch: &ViewBatch) -> Vec<usize> {
    let quarters = quarter_turns();
    let elements = batch.views.iter().flat_map(|view| &view.elements);
    elements.map(|element| quarters.iter().position(|quarter| quarter == element).expect("rotated by quarters")).collect()
}

/// Mean cross-entropy of `scores` `[samples, classes]`, and the share of samples whose class scores highest.
fn cross_entropy(scores: Tensor<2>, classes: Vec<usize>) -> (Tensor<1>, Tensor<1>) {
    let device = scores.device();
    let samples = classes.len();
    let classes: Vec<i64> = classes.into_iter().map(|class| class as i64).collect();
    let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device).reshape([samples, 1]);
    let right = mean(scores.clone().inner().argmax(1).equal(classes.clone()).float());
    let loss = -mean(log_softmax(scores, 1).gather(1, classes));
    (loss, right)
}

impl NamedWeights for Rcr {}
