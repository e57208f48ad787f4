//! Waits for the next message. Two things may end the wait early: leases to be returned, which
//! usually travel with the next frame but get a frame of their own once the worker is idle, and an
//! event loop of the guest that has something to run.

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

/// Longest time that leases to be returned wait for a frame to travel with.
const GRACE: Duration = Duration::from_millis(10);
/// Longest busy-wait while the guest has an event loop: busy-waiting polls the socket only, so a
/// wake-up of the loop goes unnoticed for this time.
const UNHEARD: Duration = Duration::from_micros(100);

/// What wakes the guest's event loop while the worker waits for a message.
#[derive(Debug, Clone, Copy)]
pub struct Alarm {
    /// Becomes readable when the event loop has something to run. The guest keeps the descriptor
    /// open while the worker waits.
    pub descriptor: RawFd,
    /// Time until the loop's first timer is due; `None` without a timer.
    pub after: Option<Duration>,
    /// Only another thread or the timer can wake the loop, so a short delay is acceptable.
    pub is_quiet: bool,
}

impl Alarm {
    /// Longest time for which the alarm may go unnoticed.
    pub(super) fn may_be_unheard(&self) -> Duration {
        if self.is_quiet { UNHEARD.min(self.after.unwrap_or(UNHEARD)) } else { Duration::ZERO }
    }

    /// The same alarm after `waited` has passed.
    pub(super) fn after(self, waited: Duration) -> Self {
        Self { after: self.after.map(|after| after.saturating_sub(waited)), ..self }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: no memory depends on the descriptor; it is only polled. If the guest closes it
        // against its promise, or its number is reused for another file, the guest is merely woken
        // without a reason.
        unsafe { BorrowedFd::borrow_raw(self.descriptor) }
    }
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// The socket is readable or has failed; the next read returns the error.
    Socket,
    /// Messages about leases and segments are due to be sent.
    News,
    /// The guest's event loop has something to run.
    Alarm,
}

/// Carries out the waits of the link's reader.
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

    /// Has threads that drop a lease wake the reader if it waits.
    pub(super) fn watch(&self, exchange: &Exchange) {
        let wakeup = Arc::clone(&self.0);
        exchange.releases().set_waker(0, move || {
            if wakeup.is_waiting.load(Ordering::SeqCst) {
                // Writing fails only if the counter is full, and then the reader is awake.
                let _awake = wakeup.event.write(1);
            }
        });
    }

    /// Waits for the socket, for messages about leases and segments to be sent, or for the guest's
    /// alarm. Returns at once if only the socket could end the wait: the following read may block.
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
                // The following read returns the error of the socket.
                Err(_) => return Woken::Socket,
            }
        }
    }
}
