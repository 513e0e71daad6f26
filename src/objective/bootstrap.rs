//! B-TROT (eq. 2) and BYOL (arXiv:2006.07733): what a predictor makes of one view agrees with what a slowly moving copy of the
//! network makes of the other. B-TROT compares tokens, with rotate-and-restore; BYOL whole volumes.

use burn::module::Module;
use burn::tensor::Tensor;

use super::token_contrast::SHORTEST_TOKEN;
use super::views::{Compared, features, gathered, halves};
use super::{Loss, Objective, Setup};
use crate::config::RunConfig;
use crate::device::Peers;
use crate::kernels::{moving_average, sum};
use crate::model::{Encoder, NamedWeights, Pass, Projector, Task, parameters, update_parameters};
use crate::sampling::ViewBatch;

/// The trained heads, and the target.
#[derive(Module, Debug)]
pub struct Bootstrap {
    heads: Heads,
    target: Target,
    #[module(skip)]
    compared: Compared,
}

/// Projector, and the predictor of what the target makes of the other view.
#[derive(Module, Debug)]
struct Heads {
    projector: Projector,
    predictor: Projector,
}

/// Encoder and projector that follow the trained ones. No gradient ever reaches them, so that the optimiser leaves them alone;
/// a checkpoint holds them like any other parameter.
#[derive(Module, Debug)]
struct Target {
    encoder: Encoder,
    projector: Projector,
    #[module(skip)]
    momentum: f64,
}

impl Objective for Bootstrap {
    fn init(setup: &Setup<'_>) -> Self {
        let Setup { config, channels, device, .. } = *setup;
        let RunConfig { pretrain, seed, .. } = config;
        let (dim, init) = (setup.dim(), setup.init());
        let [hidden, output] = pretrain.projector.widths(dim);
        let projector = || Projector::with_batch_norm([dim, hidden, output], &init.at("projector"));
        let predictor = Projector::with_batch_norm([output, hidden, output], &init.at("predictor"));
        // Equal to the trained network before its first step: initial weights depend on seed and path alone. Built anew rather
        // than cloned, since parameters of a clone would share the gradients of the original.
        let task = Task { channels, classes: 0, crop_size: pretrain.crop_size };
        let copy = Encoder::init(&config.model, &task, *seed, device);
        Self {
            heads: Heads { projector: projector(), predictor },
            target: Target { encoder: copy, projector: projector(), momentum: pretrain.target_momentum },
            compared: Compared::by(pretrain.task),
        }
    }

    fn loss_of_share(&self, encoder: &Encoder, batch: &ViewBatch, pass: Pass, peers: &Peers) -> Loss {
        let Self { heads, target, compared } = self;
        // Gathered before the projector, whose batch norm is taken over all of the batch.
        let whole = |features| gathered(compared.of(features, batch), peers);
        let projected = heads.projector.forward(whole(features(encoder, batch, pass)));
        let [p_first, p_second] = halves(heads.predictor.forward(projected));
        let of_target = whole(features(&target.encoder.valid(), batch, pass));
        let [t_first, t_second] = halves(target.projector.valid().forward(of_target));
        // Both directions: each view's prediction against the other's target.
        let loss = (byol_loss(p_first, t_second) + byol_loss(p_second, t_first)) / 2.0;
        let similarity = loss.clone() / -2.0 + 1.0;
        Loss::of(loss, [("positive_similarity", similarity)])
    }

    fn after_step(self, encoder: &Encoder) -> Self {
        let Self { heads, target: Target { encoder: copy, projector, momentum }, compared } = self;
        let encoder = ema_update(copy, encoder, momentum);
        let projector = ema_update(projector, &heads.projector, momentum);
        Self { heads, target: Target { encoder, projector, momentum }, compared }
    }

    fn project(&self, tokens: Tensor<3>) -> Option<Tensor<3>> {
        (self.compared == Compared::Tokens).then(|| self.heads.projector.forward(tokens))
    }
}

impl NamedWeights for Bootstrap {
    fn reference_name(&self, path: &[String]) -> String {
        match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["target", "encoder", ..] => format!("target.{}", self.target.encoder.reference_name(&path[2..])),
            ["target", ..] => path.join("."),
            _ => path[1..].join("."),
        }
    }
}

/// Mean over all tokens of `|p/|p| - t/|t||^2 = 2 - 2 cos(p, t)`, `[1]` (eq. 2); `target` gets no gradient.
/// Both are `[batch, tokens, dim]`.
pub fn byol_loss(prediction: Tensor<3>, target: Tensor<3>) -> Tensor<1> {
    let normalised = |tokens: Tensor<3>| {
        let length = tokens.clone().square().sum_dim(2).clamp_min(SHORTEST_TOKEN * SHORTEST_TOKEN).sqrt();
        tokens / length
    };
    let target = if target.is_tracked() { target.detach() } else { target };
    let [batch, tokens, _] = prediction.dims();
    // As a sum of squares: of two tokens that nearly agree, `2 - 2 cos` would keep no digit.
    sum((normalised(prediction) - normalised(target)).square()) / (batch * tokens) as f64
}

/// The exponential moving average: each number of `target` becomes `momentum * target + (1 - momentum) * online`.
///
/// # Panics
/// If the two are not built alike.
pub fn ema_update<M: Module>(target: M, online: &M, momentum: f64) -> M {
    let online = parameters(online);
    update_parameters(target, |targets| {
        let built_alike = targets.iter().map(|target| &target.path).eq(online.iter().map(|(path, _)| path));
        assert!(built_alike, "a target has the parameters of the network it follows");
        moving_average(targets.into_iter().zip(online).map(|(target, (_, online))| [target.value, online]).collect(), momentum)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::for_tests;

    #[test]
    fn tokens_that_nearly_agree_keep_the_digits_of_their_distance() {
        for (name, device) in for_tests() {
            let first = Tensor::<3>::from_data([[[3.0_f32, 4.0]]], &device);
            let second = Tensor::<3>::from_data([[[3.0_f32, 4.003]]], &device);
            let lengths = 5.0 * f64::from(4.003_f32).hypot(3.0);
            let cos = (9.0 + 4.0 * f64::from(4.003_f32)) / lengths;
            // 2 - 2 cos = 2 sin² / (1 + cos), the sine by the cross product.
            let sin = 3.0 * (f64::from(4.003_f32) - 4.0) / lengths;
            let expected = 2.0 * sin * sin / (1.0 + cos);
            let found = byol_loss(first, second).into_scalar::<f64>();
            // Of lengths rounded to 6e-8, a distance of 4e-4 keeps 3 to 4 digits, where `2 - 2 cos` has none.
            assert!((found / expected - 1.0).abs() < 2e-3, "{name}: {found:e} instead of {expected:e}");
        }
    }
}
