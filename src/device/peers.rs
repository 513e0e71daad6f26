//! Devices that compute one batch together, each its share of the volumes, and what they tell each other on the way.
//!
//! Each device has a thread of its own; what one brings goes through the host, and all go on with the same numbers in the same order.

use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use burn::tensor::TensorData;

/// Ends the thread of a device that waits for one that failed: not the failure itself, which is that of the other.
#[derive(Debug)]
pub struct PeerFailed;

/// One of the devices that share a batch.
#[derive(Clone, Debug)]
pub struct Peers {
    place: usize,
    count: usize,
    meeting: Option<Arc<Meeting>>,
}

/// Where the devices wait for each other.
#[derive(Debug)]
struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// What each has brought of what is exchanged now.
    brought: Vec<Option<Arc<TensorData>>>,
    /// How many have taken all of it.
    taken: usize,
    /// Whether one of them failed, and will bring nothing any more.
    failed: bool,
}

impl Peers {
    /// A device that has the batch to itself.
    pub const ALONE: Self = Self { place: 0, count: 1, meeting: None };

    /// So many devices that share each batch.
    pub fn of(count: usize) -> Vec<Self> {
        if count == 1 {
            return vec![Self::ALONE];
        }
        let state = State { brought: vec![None; count], taken: 0, failed: false };
        let meeting = Arc::new(Meeting { state: Mutex::new(state), changed: Condvar::new() });
        (0..count).map(|place| Self { place, count, meeting: Some(Arc::clone(&meeting)) }).collect()
    }

    /// Which share of the batch is this device's, from 0; the first device's model is the one that is trained.
    pub fn place(&self) -> usize {
        self.place
    }

    /// How many devices share the batch.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What every device brings, in their order; waits for all. Each device must call this as often as the others, for the same things.
    ///
    /// # Panics
    /// With [`PeerFailed`] if another device failed.
    pub fn exchange(&self, own: TensorData) -> Vec<Arc<TensorData>> {
        let own = Arc::new(own);
        let Some(meeting) = &self.meeting else { return vec![own] };
        let mut state = meeting.wait_while(|state| state.taken > 0);
        state.brought[self.place] = Some(own);
        meeting.changed.notify_all();
        drop(state);
        let mut state = meeting.wait_while(|state| state.brought.iter().any(Option::is_none));
        let all = state.brought.iter().flatten().cloned().collect();
        state.taken += 1;
        if state.taken == self.count {
            state.taken = 0;
            state.brought.fill(None);
            meeting.changed.notify_all();
        }
        all
    }
}

/// A device whose thread panics brings nothing any more: nobody is to wait for it.
impl Drop for Peers {
    fn drop(&mut self) {
        if let Some(meeting) = self.meeting.as_ref().filter(|_| std::thread::panicking()) {
            meeting.state.lock().unwrap_or_else(PoisonError::into_inner).failed = true;
            meeting.changed.notify_all();
        }
    }
}

impl Meeting {
    fn wait_while(&self, mut unready: impl FnMut(&State) -> bool) -> std::sync::MutexGuard<'_, State> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |state: &mut State| !state.failed && unready(state);
        let state = self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        if state.failed {
            drop(state);
            resume_unwind(Box::new(PeerFailed));
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(value: f32) -> TensorData {
        TensorData::new(vec![value], [1])
    }

    fn values(all: &[Arc<TensorData>]) -> Vec<f32> {
        all.iter().flat_map(|data| data.iter::<f32>()).collect()
    }

    #[test]
    fn all_take_what_each_brings_in_the_order_of_the_devices_round_after_round() {
        let rounds = |peers: Peers| -> Vec<Vec<f32>> {
            (0..200).map(|round| values(&peers.exchange(data((10 * round + peers.place()) as f32)))).collect()
        };
        std::thread::scope(|scope| {
            let at_work: Vec<_> = Peers::of(3).into_iter().map(|peers| scope.spawn(move || rounds(peers))).collect();
            for found in at_work {
                for (round, found) in found.join().unwrap().into_iter().enumerate() {
                    assert_eq!(found, [0, 1, 2].map(|place| (10 * round + place) as f32));
                }
            }
        });
        assert_eq!(values(&Peers::ALONE.exchange(data(7.0))), [7.0]);
    }

    #[test]
    fn nobody_waits_for_a_device_that_failed() {
        let [first, second] = <[Peers; 2]>::try_from(Peers::of(2)).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(move || first.exchange(data(1.0)).len());
            let fails = scope.spawn(move || {
                let _own = second;
                resume_unwind(Box::new("out of memory"));
            });
            assert!(waits.join().unwrap_err().is::<PeerFailed>());
            assert!(!fails.join().unwrap_err().is::<PeerFailed>());
        });
    }
}
