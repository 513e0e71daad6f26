//! Work that must not hold up a frame: reading files, checking datasets, making plans.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

/// One piece of work on a thread of its own, and its result once it is there.
///
/// Dropping it forgets the result; the thread ends by itself.
#[derive(Debug)]
pub enum Background<T> {
    /// Not there yet.
    Working(Receiver<T>),
    /// There.
    Done(T),
    /// The thread ended without a result: a fault of the program.
    Lost,
}

impl<T: Send + 'static> Background<T> {
    /// Starts the work, and wakes the window when it is done.
    ///
    /// # Panics
    /// If the system has no thread to give.
    pub fn start(ctx: &eframe::egui::Context, work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, receiver) = sync_channel(1);
        let ctx = ctx.clone();
        let body = move || {
            let _ = sender.send(work());
            ctx.request_repaint();
        };
        std::thread::Builder::new().name("window's background".to_owned()).spawn(body).expect("the system has a thread to give");
        Self::Working(receiver)
    }

    /// Looks whether the work is done; true in the one call that finds it so.
    pub fn poll(&mut self) -> bool {
        let Self::Working(receiver) = self else { return false };
        match receiver.try_recv() {
            Ok(result) => *self = Self::Done(result),
            Err(TryRecvError::Disconnected) => *self = Self::Lost,
            Err(TryRecvError::Empty) => return false,
        }
        true
    }

    /// The result, if it is there.
    pub fn get(&self) -> Option<&T> {
        if let Self::Done(result) = self { Some(result) } else { None }
    }

    /// Takes the result, if it is there.
    pub fn take(self) -> Option<T> {
        if let Self::Done(result) = self { Some(result) } else { None }
    }

    /// Whether the work goes on.
    pub fn is_working(&self) -> bool {
        matches!(self, Self::Working(_))
    }
}
