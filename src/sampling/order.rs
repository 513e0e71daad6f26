//! Which cases each step takes: shuffled passes over all of them, so that each is seen equally often.

use rand::seq::SliceRandom as _;

use super::SamplingError;
use crate::random::stream;

/// The cases of every step, known in advance.
///
/// Passes follow each other without a gap, each a new seeded shuffle. Where a batch runs from one pass into the next,
/// the new pass puts the cases that the batch already holds further back, so that a batch holds different cases as
/// long as there are enough of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaseOrder {
    seed: u64,
    purpose: &'static str,
    cases: usize,
    batch: usize,
}

impl CaseOrder {
    /// For pre-training: all cases of a batch differ, since the loss takes another volume of the batch for another case.
    ///
    /// # Errors
    /// Fewer cases than a batch holds.
    pub fn distinct(seed: u64, cases: usize, batch: usize) -> Result<Self, SamplingError> {
        match cases {
            0 => Err(SamplingError::NoCases),
            _ if cases < batch => Err(SamplingError::TooFewCases { batch, cases }),
            _ => Ok(Self { seed, purpose: "pretrain.cases", cases, batch }),
        }
    }

    /// For fine-tuning: with fewer cases than a batch holds, several crops of a case stand in one batch.
    ///
    /// # Errors
    /// No case.
    pub fn repeating(seed: u64, cases: usize, batch: usize) -> Result<Self, SamplingError> {
        if cases == 0 { Err(SamplingError::NoCases) } else { Ok(Self { seed, purpose: "finetune.cases", cases, batch }) }
    }

    /// The indices of a step's cases.
    pub fn cases(&self, step: u64) -> Vec<usize> {
        let (batch, cases) = (self.batch as u64, self.cases as u64);
        // After `cycle` steps passes and batches end together: no batch runs across, and one can start from there.
        let cycle = cases / greatest_common_divisor(batch, cases);
        let first_pass = step / cycle * cycle * batch / cases;
        let first = step % cycle * batch;
        let mut order: Vec<usize> = Vec::new();
        while (order.len() as u64) < first + batch {
            let pass = first_pass + order.len() as u64 / cases;
            let begun = order.len() - order.len() % self.batch;
            let shuffled = self.shuffled(pass, &order[begun..]);
            order.extend(shuffled);
        }
        order[first as usize..][..self.batch].to_vec()
    }

    /// A pass over all cases, those of the batch begun before it (`held`) kept out of the rest of that batch.
    fn shuffled(&self, pass: u64, held: &[usize]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.cases).collect();
        order.shuffle(&mut stream(self.seed, self.purpose, pass, 0));
        if !held.is_empty() && self.batch <= self.cases {
            let (rest, later) = order.split_at_mut(self.batch - held.len());
            let mut free = later.iter_mut().filter(|case| !held.contains(case));
            for case in rest.iter_mut().filter(|case| held.contains(case)) {
                std::mem::swap(case, free.next().expect("as many cases as a batch holds leave enough others"));
            }
        }
        order
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn batches_differ_inside_and_passes_are_complete() {
        for (cases, batch) in [(5, 2), (4, 4), (7, 5), (3, 2), (1, 1), (9, 3), (11, 10), (6, 4)] {
            let order = CaseOrder::distinct(7, cases, batch).unwrap();
            let steps: Vec<_> = (0..4 * cases as u64).map(|step| order.cases(step)).collect();
            for step in &steps {
                assert_eq!(step.iter().collect::<BTreeSet<_>>().len(), batch, "{step:?} of {cases} cases");
            }
            let all: Vec<_> = steps.concat();
            for pass in all.chunks_exact(cases) {
                assert_eq!(pass.iter().collect::<BTreeSet<_>>().len(), cases, "{pass:?} is no pass over {cases} cases");
            }
            assert!(cases < 4 || all[..cases] != all[cases..2 * cases], "passes are shuffled anew");
        }
    }

    #[test]
    fn a_batch_larger_than_the_cases_repeats_them_equally() {
        let order = CaseOrder::repeating(0, 3, 7).unwrap();
        let all: Vec<_> = (0..3).flat_map(|step| order.cases(step)).collect();
        assert!((0..3).all(|case| all.iter().filter(|&&other| other == case).count() == 7));
        let error = CaseOrder::distinct(0, 3, 7).unwrap_err().to_string();
        assert!(error.contains("7 different cases") && error.contains("pretrain.batch to 3"), "{error}");
        assert_eq!(CaseOrder::repeating(0, 0, 2), Err(SamplingError::NoCases));
    }
}
