//! The last steps of an edit, and how many of them are done.

use std::collections::VecDeque;
use std::sync::Arc;

use super::step::Step;

/// Steps that can be undone.
pub const MOST_STEPS: usize = 50;

/// A step, and in which versions the map first was as before and as after it.
pub(super) type Done = (Arc<Step>, [u64; 2]);

/// Steps in their order: `done` of them stand, the others were undone and can be redone.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    steps: VecDeque<Done>,
    done: usize,
}

impl History {
    /// A step that was just done. What was undone before it is gone, and so is the oldest step beyond [`MOST_STEPS`].
    pub(super) fn push(&mut self, step: Arc<Step>, versions: [u64; 2]) {
        self.steps.truncate(self.done);
        self.steps.push_back((step, versions));
        if self.steps.len() > MOST_STEPS {
            self.steps.pop_front();
        }
        self.done = self.steps.len();
    }

    /// The step to take back, which then is undone.
    pub(super) fn undo(&mut self) -> Option<Done> {
        self.done = self.done.checked_sub(1)?;
        Some(self.steps[self.done].clone())
    }

    /// The step to do again, which then is done.
    pub(super) fn redo(&mut self) -> Option<Done> {
        let step = self.steps.get(self.done)?.clone();
        self.done += 1;
        Some(step)
    }

    /// Steps that can be undone, and that can be redone.
    pub(super) fn depth(&self) -> (usize, usize) {
        (self.done, self.steps.len() - self.done)
    }
}
