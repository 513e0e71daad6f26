//! A training's devices: each batch is shared out among them, and their gradients are brought together on the first.
//!
//! The first device holds the model, takes the optimiser's step and saves. For each batch every device gets a copy of the model, works on
//! its share on threads of its own, and hands its gradients back; they are added up in the order of the devices, so that equal inputs
//! give equal bytes. (Burn's own all-reduce works on CUDA alone: `docs/devices.md`.)

use std::panic::resume_unwind;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use rayon::ThreadPool;

use crate::config::RunConfig;
use crate::device::{PeerFailed, Peers, on_host, own_threads};
use crate::model::{NamedWeights, Parameter, Pass, update_parameters};
use crate::objective::Loss;

/// The loss of a batch, or of a share of one.
pub(super) trait BatchLoss {
    /// What is trained.
    type Model: NamedWeights;
    /// What a micro-step looks at.
    type Batch: Send + 'static;

    /// A batch in so many equal shares.
    fn shares(batch: &Self::Batch, count: usize) -> Vec<Self::Batch>;

    /// The loss of a share, and the names of its cases: the mean over the devices is the batch's.
    fn forward_loss(config: &RunConfig, model: &Self::Model, share: Self::Batch, pass: Pass, peers: &Peers) -> (Loss, Vec<String>);
}

/// What the gradients of a batch are asked for with.
#[derive(Clone, Copy, Debug)]
pub(super) struct MicroStep<'a> {
    pub(super) config: &'a RunConfig,
    pub(super) pass: Pass,
    /// What the batch counts in the step.
    pub(super) weight: f64,
}

/// What came of a share of a batch, on the first device.
pub(super) struct ShareResult {
    /// The numbers of the loss and their names, unread.
    pub(super) numbers: (Tensor<1>, Vec<&'static str>),
    /// Those of the share's loss times what it counts in the step.
    pub(super) gradients: GradientsParams,
    /// Names of its cases.
    pub(super) cases: Vec<String>,
}

/// The devices of a training.
#[derive(Debug)]
pub(super) struct Devices {
    /// None where one device has every batch to itself, on the caller's thread.
    members: Vec<Member>,
}

/// One of several devices.
#[derive(Debug)]
struct Member {
    device: Device,
    /// One for a GPU, which keeps apart what different threads ask of it; the CPU's devices share the processor's.
    threads: ThreadPool,
    peers: Peers,
}

impl Devices {
    /// `first`, and those beside it; all without gradients.
    pub(super) fn new(first: &Device, beside: &[Device]) -> Self {
        if beside.is_empty() {
            return Self { members: Vec::new() };
        }
        let devices: Vec<Device> = std::iter::once(first).chain(beside).cloned().collect();
        let hosts = devices.iter().filter(|device| on_host(device)).count().max(1);
        let threads = |device: &Device| own_threads(if on_host(device) { rayon::current_num_threads() / hosts } else { 1 });
        let peers = Peers::of(devices.len());
        let member = |(device, peers)| Member { threads: threads(&device), device, peers };
        Self { members: devices.into_iter().zip(peers).map(member).collect() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.members.len().max(1)
    }

    /// What comes of a batch, share by share. The error is why a device could not compute it.
    pub(super) fn compute<T: BatchLoss>(&self, model: &T::Model, batch: T::Batch, step: MicroStep<'_>) -> Result<Vec<ShareResult>, String> {
        let Some(Member { device: first, .. }) = self.members.first() else {
            return Ok(vec![compute::<T>(model, batch, step, &Peers::ALONE)]);
        };
        let outcomes = std::thread::scope(|scope| {
            let start = |(member, share): (_, T::Batch)| {
                let (member, model): (&Member, _) = (member, model.clone());
                scope.spawn(move || member.threads.install(move || member.compute::<T>(model, share, step, first)))
            };
            let at_work: Vec<_> = self.members.iter().zip(T::shares(&batch, self.count())).map(start).collect();
            at_work.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        let (mut results, mut interrupted) = (Vec::new(), None);
        for outcome in outcomes {
            match outcome {
                Ok(result) => results.push(result),
                Err(panic) if panic.is::<PeerFailed>() => interrupted = Some(panic),
                Err(panic) => resume_unwind(panic),
            }
        }
        interrupted.map_or_else(|| results.into_iter().collect(), |panic| resume_unwind(panic))
    }
}

impl Member {
    /// What comes of a share on this device, brought to the `first`.
    fn compute<T: BatchLoss>(&self, model: T::Model, share: T::Batch, step: MicroStep<'_>, first: &Device) -> Result<ShareResult, String> {
        // Dropped where this thread panics, it keeps the others from waiting.
        let peers = self.peers.clone();
        // In a graph of its own.
        let moved = |parameters: Vec<Parameter>| parameters.into_iter().map(|parameter| parameter.value.to_device(&self.device)).collect();
        let (replica, step) = (update_parameters(model, moved), MicroStep { weight: step.weight / peers.count() as f64, ..step });
        let ShareResult { numbers: (numbers, names), gradients, cases } = compute::<T>(&replica, share, step, &peers);
        // What a device could not do shows here.
        let numbers = numbers.try_into_data().map_err(|error| error.to_string())?;
        let gradients = if self.device == *first { gradients } else { gradients.to_device(first, &replica) };
        Ok(ShareResult { numbers: (Tensor::from_data(numbers, first), names), gradients, cases })
    }
}

fn compute<T: BatchLoss>(model: &T::Model, share: T::Batch, step: MicroStep<'_>, peers: &Peers) -> ShareResult {
    let MicroStep { config, pass, weight } = step;
    let (outcome, cases) = T::forward_loss(config, model, share, pass, peers);
    let numbers = outcome.unread();
    ShareResult { numbers, gradients: GradientsParams::from_grads((outcome.loss * weight).backward(), model), cases }
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
