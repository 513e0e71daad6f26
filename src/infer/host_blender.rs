//! Windows blended on the host. A device that computes beside it is given the next ones before the last are blended.

use super::error::SlidingWindowError;
use super::logits::Logits;
use super::slab::{Line, Slab};
use super::walk::{Pass, Walk};
use crate::geometry::SignedPermutation;

/// Takes the runs of the network in their order.
pub(super) struct HostBlender<'a> {
    walk: &'a Walk,
    slab: Slab,
    /// The run whose logits are not waited for yet.
    under_way: Option<Pass<'a, Logits>>,
    /// Logits of the mirror images of a batch so far.
    sum: Vec<f32>,
}

impl<'a> HostBlender<'a> {
    pub fn new(walk: &'a Walk) -> Self {
        let slab = Slab::new(walk.classes, walk.roi[0], &walk.layout, walk.image);
        Self { walk, slab, under_way: None, sum: Vec::new() }
    }

    /// Takes a run, and blends what need not be waited for.
    pub fn take(&mut self, pass: Pass<'a, Logits>, finished: &mut dyn FnMut(Line<'_>)) -> Result<(), SlidingWindowError> {
        let logits = pass.logits.into_host();
        let last = self.under_way.replace(Pass { logits, ..pass });
        let here = self.under_way.take_if(|pass| matches!(pass.logits, Logits::Here(_)));
        last.into_iter().chain(here).try_for_each(|pass| self.blend(pass, finished))
    }

    /// Hands on all that is left.
    pub fn finish(mut self, finished: &mut dyn FnMut(Line<'_>)) -> Result<(), SlidingWindowError> {
        if let Some(pass) = self.under_way.take() {
            self.blend(pass, finished)?;
        }
        self.slab.advance(self.walk.layout.padded[0], finished);
        Ok(())
    }

    /// Waits for the logits of a run, and blends the average over the mirror images once it is the last of a batch.
    fn blend(&mut self, pass: Pass<'_, Logits>, finished: &mut dyn FnMut(Line<'_>)) -> Result<(), SlidingWindowError> {
        let Pass { starts, done, mirror, logits } = pass;
        let Walk { roi, classes, mirrors, weights, .. } = self.walk;
        let logits = logits.wait().map_err(|cause| self.walk.failure(done, cause))?;
        self.walk.check_count(logits.len(), starts.len())?;
        if mirror == [false; 3] {
            self.sum = logits;
        } else {
            let restored = SignedPermutation::flip(mirror).apply(&logits, starts.len() * classes, *roi);
            self.sum.iter_mut().zip(restored).for_each(|(sum, logit)| *sum += logit);
        }
        if mirrors.last() != Some(&mirror) {
            return Ok(());
        }
        // Not kept while the next windows are predicted.
        let mut sum = std::mem::take(&mut self.sum);
        if mirrors.len() > 1 {
            sum.iter_mut().for_each(|sum| *sum /= mirrors.len() as f32);
        }
        for (&start, logits) in starts.iter().zip(sum.chunks_exact(classes * weights.len())) {
            self.slab.advance(start[0], finished);
            self.slab.add(start, *roi, logits, weights);
        }
        Ok(())
    }
}
