//! The open sessions of a runtime, to wake them when its settings change.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::worker::waker::{Waker, WeakWaker};

/// The wakers of sessions that may be open.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<Vec<WeakWaker>>);

impl Listeners {
    /// Wakes the session with this waker from now on.
    pub(crate) fn add(&self, waker: &Waker) {
        let mut all = self.all();
        // Closed sessions are forgotten now and then.
        if all.len().is_power_of_two() {
            all.retain(WeakWaker::is_alive);
        }
        all.push(waker.downgrade());
    }

    /// Wakes all of them.
    pub(super) fn wake(&self) {
        self.all().retain(WeakWaker::wake);
    }

    fn all(&self) -> MutexGuard<'_, Vec<WeakWaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
