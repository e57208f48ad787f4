//! Waiting for the next message while leases may have to be given back (they ride on the next
//! frame, or go by themselves when the worker has idled for a moment) and while an event loop of the
//! guest may get something to do.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ipc_protocol::exchange::Exchange;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

/// Leases that are to be given back wait this long for a frame to ride on.
const GRACE: Duration = Duration::from_millis(10);
/// A wait with an event loop beside it stays awake for so long at most: it looks only for messages.
const UNHEARD: Duration = Duration::from_micros(100);

/// What calls the guest while the worker waits for a message.
#[derive(Debug, Clone, Copy)]
pub struct Alarm {
    /// Readable when an event loop of the guest has something to do. The guest keeps it open while
    /// the worker waits.
    pub descriptor: RawFd,
    /// When a timer of the loop is due.
    pub after: Option<Duration>,
    /// Only another thread or the timer can ring; it may be heard a little later.
    pub is_quiet: bool,
}

impl Alarm {
    /// How long the alarm may go unheard.
    pub(super) fn may_be_unheard(&self) -> Duration {
        if self.is_quiet { UNHEARD.min(self.after.unwrap_or(UNHEARD)) } else { Duration::ZERO }
    }

    /// The same alarm, that much later.
    pub(super) fn after(self, waited: Duration) -> Self {
        Self { after: self.after.map(|after| after.saturating_sub(waited)), ..self }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: no memory depends on it, and it is only waited for. A guest that closes it
        // nevertheless, or lets another file have its number, is called for nothing.
        unsafe { BorrowedFd::borrow_raw(self.descriptor) }
    }
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// The socket is readable, or says what is wrong with it.
    Socket,
    /// There are news of leases and segments to be sent.
    News,
    /// The guest is wanted.
    Alarm,
}

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

    /// Waits for the socket, for news of leases and segments to be sent, or for the guest's alarm.
    /// Returns at once when only the socket can end the wait: the read may block then.
    pub(super) fn wait(
        &self,
        socket: BorrowedFd<'_>,
        exchange: Option<&Exchange>,
        alarm: Option<&Alarm>,
    ) -> Woken {
        let leased =
            exchange.filter(|exchange| exchange.releases().is_outstanding() || exchange.has_news());
        if leased.is_none() && alarm.is_none() {
            return Woken::Socket;
        }
        self.0.is_waiting.store(true, Ordering::SeqCst);
        let woken = self.wait_watched(socket, leased, alarm);
        self.0.is_waiting.store(false, Ordering::SeqCst);
        let _none_came = self.0.event.read();
        woken
    }

    fn wait_watched(
        &self,
        socket: BorrowedFd<'_>,
        leased: Option<&Exchange>,
        alarm: Option<&Alarm>,
    ) -> Woken {
        let due = alarm.and_then(|alarm| alarm.after).map(|after| Instant::now() + after);
        let descriptor = alarm.map_or(self.0.event.as_fd(), Alarm::descriptor);
        loop {
            let has_news = leased.is_some_and(Exchange::has_news);
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            let timeout = if has_news { Some(left.unwrap_or(GRACE).min(GRACE)) } else { left };
            let mut fds = [
                PollFd::new(socket, PollFlags::POLLIN),
                PollFd::new(self.0.event.as_fd(), PollFlags::POLLIN),
                PollFd::new(descriptor, PollFlags::POLLIN),
            ];
            let ready = ppoll(&mut fds, timeout.map(TimeSpec::from_duration), None);
            let [on_socket, released, rung] = fds.map(|fd| fd.any().unwrap_or(true));
            match ready {
                Ok(0) if has_news => return Woken::News,
                Ok(0) => return Woken::Alarm,
                Ok(_) if on_socket => return Woken::Socket,
                Ok(_) if rung && alarm.is_some() => return Woken::Alarm,
                Ok(_) if released => {
                    let _taken = self.0.event.read();
                }
                Ok(_) | Err(Errno::EINTR) => {}
                // The read that follows says what is wrong.
                Err(_) => return Woken::Socket,
            }
        }
    }
}
