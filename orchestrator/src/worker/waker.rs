//! A wake-up that a blocked thread can wait for together with its sockets.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::Error;

/// Handle to an eventfd. All clones wake the same thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// A new wake-up, not yet signalled.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new() -> Result<Self, Error> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let eventfd = EventFd::from_value_and_flags(0, flags)
            .map_err(|errno| Error::Os { action: "creating an eventfd", source: errno.into() })?;
        Ok(Self(Arc::new(eventfd)))
    }

    /// Wakes the waiter. A full counter means that the waiter has not consumed earlier wake-ups.
    pub fn wake(&self) {
        let _already_awake = self.0.write(1);
    }

    /// Consumes the wake-ups so far.
    pub fn drain(&self) {
        let _none_pending = self.0.read();
    }
}

/// A waker that does not keep its eventfd open.
#[derive(Debug, Clone)]
pub struct WeakWaker(Weak<EventFd>);

impl Waker {
    /// A handle that does not keep the eventfd open.
    #[must_use]
    pub fn downgrade(&self) -> WeakWaker {
        WeakWaker(Arc::downgrade(&self.0))
    }
}

impl WeakWaker {
    /// Whether a thread may still wait for it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Wakes the waiter. False when there is none any more.
    #[must_use]
    pub fn wake(&self) -> bool {
        self.0.upgrade().map(|eventfd| Waker(eventfd).wake()).is_some()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
