//! Prepared cases as the loader threads share them.

use std::sync::Arc;

use crate::preprocess::Case;
use crate::sampling::{CaseIndex, Source};

/// Cases of one part of a split, shared with the loader's threads.
///
/// A case may stand in several parts: it is held once.
pub type CaseSet = Arc<[Arc<TrainingCase>]>;

/// A prepared case with what sampling looks up in it.
#[derive(Debug)]
pub struct TrainingCase {
    /// Image, label, way back.
    pub case: Case,
    index: CaseIndex,
}

impl TrainingCase {
    /// Indexes a case.
    pub fn new(case: Case) -> Self {
        let index = CaseIndex::new(&case.image, case.label.as_deref());
        Self { case, index }
    }

    /// The case as sampling takes it.
    pub fn source(&self) -> Source<'_> {
        Source { name: &self.case.name, image: &self.case.image, label: self.case.label.as_deref(), index: &self.index }
    }
}

/// The chosen cases as sampling takes them.
pub(super) fn sources<'a>(cases: &'a CaseSet, chosen: &[usize]) -> Vec<Source<'a>> {
    chosen.iter().map(|&case| cases[case].source()).collect()
}
