//! Messages to a front end that may lag, or not look at all: the work never waits for it.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError};

/// What a front end has not taken yet. Of messages that may be dropped, so many as its queue holds; of the others, all.
pub(super) struct Outbox<T> {
    front_end: Option<SyncSender<T>>,
    /// Behind the full queue, in order: few, since only what must arrive is kept.
    waiting: VecDeque<T>,
}

impl<T> Outbox<T> {
    pub(super) fn new(front_end: SyncSender<T>) -> Self {
        Self { front_end: Some(front_end), waiting: VecDeque::new() }
    }

    /// Hands a message over as soon as there is room, behind those before it, and returns at once. Where there is no room, one
    /// that `may_be_dropped` is.
    pub(super) fn send(&mut self, message: T, may_be_dropped: bool) {
        self.waiting.push_back(message);
        if !self.hand_over() && may_be_dropped {
            self.waiting.pop_back();
        }
    }

    /// Hands over what there is room for; true when nothing is left.
    pub(super) fn hand_over(&mut self) -> bool {
        while let Some(message) = self.waiting.pop_front() {
            match self.front_end.as_ref().map(|front_end| front_end.try_send(message)) {
                Some(Ok(())) => {}
                Some(Err(TrySendError::Full(message))) => {
                    self.waiting.push_front(message);
                    return false;
                }
                Some(Err(TrySendError::Disconnected(_))) | None => {
                    self.front_end = None;
                    self.waiting.clear();
                }
            }
        }
        true
    }

    /// Waits until the front end has room for all that is left, or is gone: at the end of the work, when nothing is held up by it.
    pub(super) fn flush(&mut self) {
        for message in self.waiting.drain(..) {
            if self.front_end.as_ref().is_none_or(|front_end| front_end.send(message).is_err()) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn what_must_arrive_does_so_in_order_although_nobody_reads_for_long() {
        let (sender, receiver) = sync_channel(8);
        let mut outbox = Outbox::new(sender);
        for number in 0..10_000 {
            outbox.send(number, number % 1000 != 0);
        }
        assert_eq!(outbox.waiting, (1..10).map(|thousand| 1000 * thousand).collect::<Vec<_>>(), "no more is kept than must be");
        let reader = std::thread::spawn(move || receiver.iter().collect::<Vec<_>>());
        outbox.flush();
        drop(outbox);
        let seen = reader.join().unwrap();
        assert!(seen.is_sorted());
        assert!((0..10).all(|thousand| seen.contains(&(1000 * thousand))));
    }

    #[test]
    fn nothing_is_kept_for_a_front_end_that_is_gone() {
        let (sender, receiver) = sync_channel(1);
        let mut outbox = Outbox::new(sender);
        (0..10).for_each(|number| outbox.send(number, false));
        drop(receiver);
        outbox.send(10, false);
        assert!(outbox.waiting.is_empty());
        outbox.flush();
    }
}
