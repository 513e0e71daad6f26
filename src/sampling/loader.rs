//! Batches prepared by threads ahead of the device.
//!
//! Thread t of n makes the steps t, t + n, t + 2n, ... and puts them in a bounded queue of its own; the receiver takes
//! from the queues in turn. Order is thus strict and nothing depends on the number of threads or on their speed.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::panic_text::panic_text;

/// Finished batches that wait for the device, for each thread, where memory allows it; one more is in the making.
const QUEUED_PER_THREAD: usize = 2;

/// How far threads work ahead of the device. What they make does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadAhead {
    /// Threads that make batches, at least one.
    pub threads: usize,
    /// Finished batches that wait, for each thread.
    pub queued: usize,
}

impl ReadAhead {
    /// At most `threads` threads, and as many batches of `batch_bytes` as fit into `memory` bytes, but not less than the one that is in the
    /// making; without a bound, as many as threads can use.
    pub fn within(threads: usize, memory: Option<u64>, batch_bytes: u64) -> Self {
        let whole = (QUEUED_PER_THREAD + 1) * threads.max(1);
        let batches = memory.map_or(whole, |memory| usize::try_from(memory / batch_bytes.max(1)).unwrap_or(whole).clamp(1, whole));
        // More threads come before longer queues of each: they make batches faster.
        let threads = threads.clamp(1, batches);
        Self { threads, queued: (batches / threads - 1).min(QUEUED_PER_THREAD) }
    }

    /// Batches that are held at most, the one that the device works on left out.
    pub fn batches(self) -> usize {
        self.threads * (self.queued + 1)
    }
}

thread_local! {
    /// The case that this thread works on, so that a panic can be laid at its door.
    static CASE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes that this thread works on `case`: whoever loads or cuts one in a loader thread says so first.
pub fn working_on(case: &str) {
    CASE.with_borrow_mut(|current| {
        current.clear();
        current.push_str(case);
    });
}

/// Why a step has no batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoaderError<E> {
    /// The batch could not be made.
    Make {
        /// The step.
        step: u64,
        /// Why; it names the case.
        cause: E,
    },
    /// A thread panicked: a bug.
    Panicked {
        /// The step.
        step: u64,
        /// The case it worked on.
        case: String,
        /// What it said.
        message: String,
    },
}

impl<E: fmt::Display> fmt::Display for LoaderError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Make { step, cause } => write!(f, "batch of step {step}: {cause}"),
            Self::Panicked { step, case, message } => write!(f, "batch of step {step}: a loader thread panicked at case {case}: {message}"),
        }
    }
}

impl<E: Error> Error for LoaderError<E> {}

type Made<T, E> = Result<T, LoaderError<E>>;

/// Hands out the batches of consecutive steps in order. Dropping it stops its threads.
pub struct Loader<T, E> {
    queues: Vec<Receiver<Made<T, E>>>,
    threads: Vec<JoinHandle<()>>,
    first: u64,
    next: u64,
    end: u64,
}

impl<T: Send + 'static, E: Send + 'static> Loader<T, E> {
    /// Starts threads that call `make` for each of `steps` steps from `first_step` on.
    ///
    /// # Panics
    /// If the system has no thread to give.
    pub fn new(first_step: u64, steps: u64, ahead: ReadAhead, make: impl Fn(u64) -> Result<T, E> + Send + Sync + 'static) -> Self {
        let (make, end) = (Arc::new(make), first_step + steps);
        let stride = ahead.threads.max(1);
        let (mut queues, mut handles) = (Vec::new(), Vec::new());
        for first in (first_step..end).take(stride) {
            let (sender, queue) = sync_channel(ahead.queued);
            let make = Arc::clone(&make);
            let own_steps = (first..end).step_by(stride);
            let thread = Builder::new().name(format!("loader {}", first - first_step)).spawn(move || fill(own_steps, &*make, &sender));
            queues.push(queue);
            handles.push(thread.expect("the system has a thread to give"));
        }
        Self { queues, threads: handles, first: first_step, next: first_step, end }
    }
}

impl<T, E> Loader<T, E> {
    /// Waits for the next step's batch. None after the last step, and after an error.
    #[expect(clippy::should_implement_trait, reason = "an iterator would invite adaptors that outlive a stop")]
    pub fn next(&mut self) -> Option<Result<(u64, T), LoaderError<E>>> {
        if self.next >= self.end {
            return None;
        }
        let step = self.next;
        let queue = &self.queues[((step - self.first) % self.queues.len() as u64) as usize];
        let made = queue.recv().expect("a thread sends a result for each of its steps");
        self.next = if made.is_ok() { step + 1 } else { self.end };
        Some(made.map(|batch| (step, batch)))
    }
}

impl<T, E> Drop for Loader<T, E> {
    /// Without its queue a thread ends after the batch it is making.
    fn drop(&mut self) {
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // Panics of `make` were caught and sent as results; there is none to pass on.
            let _ = thread.join();
        }
    }
}

/// A thread's work: until its steps are done, a step failed or nobody listens.
fn fill<T, E>(steps: impl Iterator<Item = u64>, make: &impl Fn(u64) -> Result<T, E>, queue: &SyncSender<Made<T, E>>) {
    for step in steps {
        working_on("none yet");
        let made = match catch_unwind(AssertUnwindSafe(|| make(step))) {
            Ok(made) => made.map_err(|cause| LoaderError::Make { step, cause }),
            Err(panic) => Err(LoaderError::Panicked { step, case: CASE.take(), message: panic_text(&*panic).to_owned() }),
        };
        let failed = made.is_err();
        if queue.send(made).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config::PretrainConfig;
    use crate::sampling::case::tests::distinct;
    use crate::sampling::{CaseOrder, SamplingError, ViewBatch, ViewPlan};

    fn batches(ahead: ReadAhead, first: u64, steps: u64) -> Vec<ViewBatch> {
        let cases: Vec<_> = (0..5).map(|n| distinct(n, [12, 9, 10], 1)).collect();
        let config = PretrainConfig { crop_size: [8, 8, 8], ..PretrainConfig::default() };
        let plan = ViewPlan::new(&config, [2, 2, 2], [4, 4, 4], 3).unwrap();
        let order = CaseOrder::distinct(3, cases.len(), 2).unwrap();
        let mut loader = Loader::new(first, steps, ahead, move |step| {
            // Later steps are often ready earlier.
            std::thread::sleep(Duration::from_micros(step * 7919 % 1000));
            plan.batch(&order.cases(step).iter().map(|&case| &cases[case]).collect::<Vec<_>>(), step)
        });
        let mut made = Vec::new();
        while let Some(result) = loader.next() {
            let (step, batch) = result.unwrap();
            assert_eq!((step, batch.step), (first + made.len() as u64, step));
            made.push(batch);
        }
        made
    }

    #[test]
    fn batches_are_bit_equal_for_any_number_of_threads_and_after_a_resume() {
        let full = |threads| ReadAhead::within(threads, None, 1);
        let one = batches(full(1), 0, 23);
        assert_eq!(one.len(), 23);
        assert_eq!(batches(full(2), 0, 23), one);
        assert_eq!(batches(full(5), 0, 23), one);
        assert_eq!(batches(full(3), 9, 14), one[9..]);
        assert_eq!(batches(full(3), 9, 2), one[9..11]);
        assert!(batches(full(3), 9, 0).is_empty());
        for memory in [0, 1, 2, 5] {
            assert_eq!(batches(ReadAhead::within(3, Some(memory), 1), 0, 23), one, "with {memory} batches in memory");
        }
    }

    #[test]
    fn no_more_batches_are_held_than_memory_allows() {
        let within = |threads, memory| ReadAhead::within(threads, Some(memory), 10);
        assert_eq!(ReadAhead::within(4, None, 10), ReadAhead { threads: 4, queued: QUEUED_PER_THREAD });
        assert_eq!([within(4, u64::MAX).batches(), within(4, 119).batches(), within(4, 80).batches()], [12, 8, 8]);
        assert_eq!(within(4, 35), ReadAhead { threads: 3, queued: 0 });
        assert_eq!([within(4, 9), within(4, 0)], [ReadAhead { threads: 1, queued: 0 }; 2], "one is always made");
    }

    #[test]
    fn an_error_surfaces_in_its_turn_with_the_case() {
        let no_label = SamplingError::NoLabel { case: "case_7".to_owned() };
        let cause = no_label.clone();
        let mut loader =
            Loader::new(0, 100, ReadAhead::within(3, None, 1), move |step| if step == 5 { Err(cause.clone()) } else { Ok(step) });
        for step in 0..5 {
            assert_eq!(loader.next(), Some(Ok((step, step))));
        }
        let error = loader.next().unwrap().unwrap_err();
        assert!(error.to_string().contains("case_7"), "{error}");
        assert_eq!(error, LoaderError::Make { step: 5, cause: no_label });
        assert_eq!(loader.next(), None);
    }

    #[test]
    fn a_panic_surfaces_with_the_case_at_work() {
        let case = distinct(3, [12, 9, 10], 1);
        let mut loader: Loader<(), SamplingError> = Loader::new(0, 10, ReadAhead::within(2, None, 1), move |step| {
            working_on(case.name());
            assert!(step != 1, "step {step} is broken");
            Ok(())
        });
        assert_eq!(loader.next(), Some(Ok((0, ()))));
        let error = loader.next().unwrap().unwrap_err();
        let panicked = LoaderError::Panicked { step: 1, case: "case_3".to_owned(), message: "step 1 is broken".to_owned() };
        assert_eq!(error, panicked);
        assert_eq!(loader.next(), None);
    }

    #[test]
    fn the_queue_is_bounded_and_dropping_stops_the_threads() {
        let made = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&made);
        let mut loader: Loader<u64, SamplingError> = Loader::new(0, u64::MAX, ReadAhead::within(2, None, 1), move |step| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(step)
        });
        assert_eq!(loader.next(), Some(Ok((0, 0))));
        // Each thread: a full queue and one in hand; and the one that was taken.
        let most = 2 * (QUEUED_PER_THREAD as u64 + 1) + 1;
        while made.load(Ordering::SeqCst) < most {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(made.load(Ordering::SeqCst), most);
        let started = Instant::now();
        drop(loader);
        assert!(started.elapsed() < Duration::from_secs(1));
        assert_eq!((made.load(Ordering::SeqCst), Arc::strong_count(&made)), (most, 1));
    }
}
