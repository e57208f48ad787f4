//! Waiting for the next message while leases may have to be given back: they ride on the next
//! frame, or go by themselves when the worker has idled for a moment.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipc_protocol::shm::Exchange;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Leases that are to be given back wait this long for a frame to ride on.
const GRACE: Duration = Duration::from_millis(10);

/// The wait of the link's reader.
#[derive(Debug)]
pub(super) struct Idle(Arc<Wakeup>);

#[derive(Debug)]
struct Wakeup {
    event: EventFd,
    is_waiting: AtomicBool,
}

impl Idle {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = EventFd::from_value_and_flags(0, flags)?;
        Ok(Self(Arc::new(Wakeup { event, is_waiting: AtomicBool::new(false) })))
    }

    /// From now on other threads that drop leases end the wait, if there is one.
    pub(super) fn watch(&self, exchange: &Exchange) {
        let wakeup = Arc::clone(&self.0);
        exchange.releases().set_waker(0, move || {
            if wakeup.is_waiting.load(Ordering::SeqCst) {
                // A full counter means that the reader is awake.
                let _awake = wakeup.event.write(1);
            }
        });
    }

    /// Waits until the socket is readable, or leases are to be given back: true. Returns at once
    /// when nothing is leased: the read may block then.
    pub(super) fn wait(&self, socket: BorrowedFd<'_>, exchange: &Exchange) -> bool {
        let releases = exchange.releases();
        if !releases.is_outstanding() && releases.is_empty() {
            return false;
        }
        self.0.is_waiting.store(true, Ordering::SeqCst);
        let is_due = self.wait_watched(socket, exchange);
        self.0.is_waiting.store(false, Ordering::SeqCst);
        let _none_came = self.0.event.read();
        is_due
    }

    fn wait_watched(&self, socket: BorrowedFd<'_>, exchange: &Exchange) -> bool {
        loop {
            let has_news = exchange.has_news();
            let timeout = if has_news {
                PollTimeout::try_from(GRACE).unwrap_or(PollTimeout::ZERO)
            } else {
                PollTimeout::NONE
            };
            let mut fds = [
                PollFd::new(socket, PollFlags::POLLIN),
                PollFd::new(self.0.event.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, timeout) {
                Ok(0) => return has_news,
                Ok(_) if fds[0].any().unwrap_or(true) => return false,
                Ok(_) => {
                    let _taken = self.0.event.read();
                }
                Err(Errno::EINTR) => {}
                // The read that follows says what is wrong.
                Err(_) => return false,
            }
        }
    }
}
