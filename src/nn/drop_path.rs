//! Stochastic depth: in training, a block's branch is left out for some samples of the batch.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt as _;

use crate::device::Peers;
use crate::random;

/// One pass through a network: evaluation, or one keyed training pass.
///
/// The only thing that training changes in a forward pass is drop path, and its draws come from this key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    training: Option<PassKey>,
    share: Option<BatchShare>,
}

/// The volumes of a batch that a device has, where several share it: `volumes` of each `volumes * devices`, the `place`-th ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BatchShare {
    place: usize,
    devices: usize,
    volumes: usize,
}

/// What the draws of a training pass are keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PassKey {
    seed: u64,
    step: u64,
    view: u64,
}

impl Pass {
    /// Nothing is dropped.
    pub const EVALUATION: Self = Self { training: None, share: None };

    /// The pass of one view (0 where there is only one) at an optimiser step.
    pub fn training(seed: u64, step: u64, view: u64) -> Self {
        Self { training: Some(PassKey { seed, step, view }), share: None }
    }

    /// The same for `volumes` of the batch's, the share of one of `peers`: its draws are those that a device alone makes for these volumes.
    #[must_use]
    pub fn of_share(self, volumes: usize, peers: &Peers) -> Self {
        let share = (peers.count() > 1).then(|| BatchShare { place: peers.place(), devices: peers.count(), volumes });
        Self { share, ..self }
    }
}

/// Drop path of one block (arXiv:1603.09382): keeps a sample's branch with probability `1 - rate`, scaled by its inverse.
#[derive(Clone, Debug, PartialEq)]
pub struct DropPath {
    /// Probability of leaving the branch out.
    pub rate: f64,
    /// Names the block in the draws' key.
    pub name: String,
}

impl DropPath {
    /// Rates rising linearly from 0 to `last` over `count` blocks, as the references' `linspace`.
    pub fn rates(last: f64, count: usize) -> Vec<f64> {
        let step = last / (count.max(2) - 1) as f64;
        (0..count).map(|block| step * block as f64).collect()
    }

    /// The factor of each sample's branch; empty where none is dropped. `part` tells the block's branches apart.
    pub fn factors(&self, batch: usize, part: &str, pass: Pass) -> Vec<f32> {
        let Some(PassKey { seed, step, view }) = pass.training else { return Vec::new() };
        if self.rate == 0.0 {
            return Vec::new();
        }
        let keep = 1.0 - self.rate;
        let mut rng = random::stream(seed, &format!("drop path {} {part}", self.name), step, view);
        let mut draw =
            |count: usize| -> Vec<f32> { (0..count).map(|_| if rng.random_bool(keep) { (1.0 / keep) as f32 } else { 0.0 }).collect() };
        let Some(BatchShare { place, devices, volumes }) = pass.share else { return draw(batch) };
        // The views of a batch stand one behind the other, each of all its volumes.
        let views = draw(batch * devices);
        views.chunks_exact(volumes * devices).flat_map(|view| &view[place * volumes..][..volumes]).copied().collect()
    }
}

/// `branch` `[batch, tokens, dim]` times the [`DropPath::factors`] of its samples.
pub(super) fn scale_samples(branch: Tensor<3>, factors: &[f32]) -> Tensor<3> {
    if factors.is_empty() {
        return branch;
    }
    let factors = TensorData::new(factors.to_vec(), [factors.len(), 1, 1]);
    let factors = Tensor::from_data(factors, &branch.device());
    branch * factors
}

#[cfg(test)]
mod tests {
    use super::{DropPath, Pass, scale_samples};
    use crate::device::Peers;
    use burn::tensor::{Device, Tensor};

    #[test]
    fn a_training_pass_zeroes_whole_samples_and_scales_the_others() {
        let drop = DropPath { rate: 0.25, name: "layers.0.blocks.1".to_owned() };
        let factors = |pass| drop.factors(400, "attn", pass);
        let kept = factors(Pass::training(7, 3, 0));
        assert!(kept.iter().all(|factor| *factor == 0.0 || (factor - 4.0 / 3.0).abs() < 1e-6));
        let dropped = kept.iter().filter(|factor| **factor == 0.0).count();
        assert!((60..140).contains(&dropped), "{dropped} of 400 dropped at rate 0.25");
        assert_eq!(kept, factors(Pass::training(7, 3, 0)));
        assert_ne!(kept, factors(Pass::training(7, 3, 1)));
        assert!(factors(Pass::EVALUATION).is_empty());
        let scaled = scale_samples(Tensor::ones([3, 1, 2], &Device::flex()), &[2.0, 0.0, 1.0]);
        assert_eq!(scaled.into_data().try_into_vec::<f32>().unwrap(), [2.0, 2.0, 0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn devices_that_share_a_batch_drop_what_one_alone_drops() {
        let drop = DropPath { rate: 0.5, name: "layers.0.blocks.1".to_owned() };
        let pass = Pass::training(7, 3, 0);
        // Two views of four volumes, two of them on each device.
        let whole = drop.factors(8, "attn", pass);
        let shares = Peers::of(2).iter().map(|peers| drop.factors(4, "attn", pass.of_share(2, peers))).collect::<Vec<_>>();
        assert_eq!(shares[0], [&whole[0..2], &whole[4..6]].concat());
        assert_eq!(shares[1], [&whole[2..4], &whole[6..8]].concat());
        assert_eq!(drop.factors(8, "attn", pass.of_share(4, &Peers::ALONE)), whole);
    }

    #[test]
    fn rates_rise_linearly() {
        let rates = DropPath::rates(0.3, 4);
        assert!(rates.iter().zip([0.0, 0.1, 0.2, 0.3]).all(|(got, wanted)| (got - wanted).abs() < 1e-12), "{rates:?}");
        assert_eq!(DropPath::rates(0.3, 1), [0.0]);
    }
}
