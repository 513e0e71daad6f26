//! Windows blended where a GPU has made their logits: only finished rows come to the host, once for each step along D.
//!
//! The sums reach over all rows that the windows of one batch touch, so that each mirror image of a batch is added as it comes: as one more
//! window at the same place, whose weights count as well. The host waits for a run only after it has asked for the next.

use burn::tensor::{Tensor, TensorData};

use super::error::{Fault, SlidingWindowError};
use super::logits::{DeviceLogits, Logits, numbers};
use super::slab::{Frame, Line};
use super::walk::{Pass, Walk};
use crate::device::{DeviceError, start_reading};
use crate::geometry::SignedPermutation;
use crate::kernels::{BlendSums, WindowPlaces, gpu_blends};

/// Takes the runs of the network in their order.
pub(super) struct DeviceBlender<'a> {
    walk: &'a Walk,
    frame: Frame,
    sums: BlendSums,
    /// `[D, H, W]` of a window.
    weights: Tensor<3>,
    /// The padded image's row that is not taken yet.
    first: usize,
    /// Whether blended logits are to be finite.
    half: bool,
    /// The run that is not waited for yet.
    under_way: Option<Run>,
}

/// A tensor on its way to the host.
type Reading = Box<dyn FnOnce() -> Result<TensorData, DeviceError>>;

/// A run of the network that the device has been asked for.
struct Run {
    /// Windows before its own.
    done: usize,
    /// The rows that its windows do not touch any more.
    rows: Option<Rows>,
    /// There once its windows are added.
    added: Reading,
}

/// Finished rows, from this one on.
struct Rows {
    first: usize,
    reading: Reading,
}

impl<'a> DeviceBlender<'a> {
    /// None where logits are on the host, or where the GPU that has them is not to hold the sums as well.
    pub fn new(walk: &'a Walk, logits: &Logits) -> Option<Self> {
        let Logits::OnDevice(logits) = logits else { return None };
        let DeviceLogits { tensor, half, .. } = logits.as_ref();
        let &Walk { ref layout, image, roi, batch, classes, .. } = walk;
        let spans = layout.starts.chunks(batch).map(|starts| starts[starts.len() - 1][0] - starts[0][0]);
        let [_, height, width] = layout.padded;
        let shape = [classes, roi[0] + spans.max().unwrap_or_default(), height, width];
        if !gpu_blends(tensor, shape) {
            return None;
        }
        let device = tensor.device();
        let weights = Tensor::from_data(TensorData::new(walk.weights.clone(), roi), &device);
        let frame = Frame::new(layout, image);
        Some(Self { walk, frame, sums: BlendSums::new(shape, &device), weights, first: 0, half: *half, under_way: None })
    }

    /// Asks the device to add the windows of a run, and waits for the run before.
    pub fn take(&mut self, pass: Pass<'a, Logits>, finished: &mut dyn FnMut(Line<'_>)) -> Result<(), SlidingWindowError> {
        let Pass { starts, done, mirror, logits } = pass;
        let Logits::OnDevice(logits) = logits else { unreachable!("a network's logits are all on its device") };
        let DeviceLogits { tensor, axes, .. } = *logits;
        self.walk.check_count(tensor.shape().num_elements(), starts.len())?;
        let rows = self.take_rows(starts[0][0]);
        let restored = SignedPermutation::flip(mirror).then(axes).inverse();
        let places = WindowPlaces { starts, axes: restored.axes(), flips: restored.flips() };
        self.sums.add(tensor, self.weights.clone(), &places);
        let added = Box::new(start_reading(self.sums.mark()));
        let last = self.under_way.replace(Run { done, rows, added });
        last.map_or(Ok(()), |run| self.wait(run, finished))
    }

    /// Hands on all that is left.
    pub fn finish(mut self, finished: &mut dyn FnMut(Line<'_>)) -> Result<(), SlidingWindowError> {
        let rows = self.take_rows(self.walk.layout.padded[0]);
        let mut done = 0;
        if let Some(run) = self.under_way.take() {
            done = run.done;
            self.wait(run, finished)?;
        }
        rows.map_or(Ok(()), |rows| self.hand_on(rows, finished)).map_err(|cause| self.walk.failure(done, cause))
    }

    /// Starts to bring the rows before `to` to the host.
    fn take_rows(&mut self, to: usize) -> Option<Rows> {
        let first = std::mem::replace(&mut self.first, to);
        (to > first).then(|| Rows { first, reading: Box::new(start_reading(self.sums.take(first, to - first))) })
    }

    fn wait(&self, Run { done, rows, added }: Run, finished: &mut dyn FnMut(Line<'_>)) -> Result<(), SlidingWindowError> {
        let waited = rows.map_or(Ok(()), |rows| self.hand_on(rows, finished)).and_then(|()| added().map(drop).map_err(Fault::from));
        waited.map_err(|cause| self.walk.failure(done, cause))
    }

    fn hand_on(&self, Rows { first, reading }: Rows, finished: &mut dyn FnMut(Line<'_>)) -> Result<(), Fault> {
        let values = numbers(reading(), self.half)?;
        let of_class = values.len() / self.walk.classes;
        self.frame.hand_on(&values, of_class, first..first + of_class / self.frame.plane, finished);
        Ok(())
    }
}
