//! The one wait of a session: for links, wake-ups and deadlines, and for signals of the host.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::Workers;
use crate::error::Error;
use crate::session::Host;

/// How long a signal may go unnoticed that came just before a wait.
const UNWATCHED: Duration = Duration::from_millis(10);

impl Workers {
    /// Blocks until a link has news, a wake-up comes or the deadline passes. Most answers come within
    /// [`UNWATCHED`], for which the host need not prepare: signals are checked at the end of that
    /// time, and as often while answers keep coming.
    pub(in crate::session) fn wait(
        &mut self,
        deadline: Option<Instant>,
        host: &mut dyn Host,
    ) -> Result<(), Error> {
        if host.interrupt_source().is_none() {
            let now = Instant::now();
            if now.duration_since(self.checked_signals) >= UNWATCHED {
                self.check_signals(host)?;
            }
            let soon = now + UNWATCHED;
            if deadline.is_none_or(|deadline| soon < deadline) {
                if self.poll(Some(soon), host)? {
                    return Ok(());
                }
                self.check_signals(host)?;
                host.before_blocking()?;
            }
        }
        self.poll(deadline, host).map(|_| ())
    }

    fn check_signals(&mut self, host: &mut dyn Host) -> Result<(), Error> {
        self.checked_signals = Instant::now();
        host.check_interrupt()
    }

    /// Blocks as [`Workers::wait`] does. Returns false when the deadline has passed.
    fn poll(&mut self, deadline: Option<Instant>, host: &mut dyn Host) -> Result<bool, Error> {
        let mut fds = vec![PollFd::new(self.cancel.waker.as_fd(), PollFlags::POLLIN)];
        for worker in
            self.slots.iter().filter(|slot| !slot.is_deaf()).filter_map(|s| s.worker.as_ref())
        {
            let mut events = PollFlags::POLLIN;
            if worker.link.has_unsent() {
                events |= PollFlags::POLLOUT;
            }
            fds.push(PollFd::new(worker.link.as_fd(), events));
        }
        let has_source = host.interrupt_source().map(|source| {
            fds.push(PollFd::new(source, PollFlags::POLLIN));
        });
        let left = deadline.map(|deadline| {
            TimeSpec::from_duration(deadline.saturating_duration_since(Instant::now()))
        });
        let polled = ppoll(&mut fds, left, None);
        let has_news = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let is_woken = polled.is_ok() && has_news(&fds[0]);
        let is_signalled = has_source.is_some() && fds.last().is_some_and(has_news);
        drop(fds);
        if is_woken {
            self.cancel.waker.drain();
            self.has_news = true;
        }
        match polled {
            Ok(_) if is_signalled => host.check_interrupt().map(|()| true),
            Ok(count) => Ok(count > 0),
            Err(Errno::EINTR) => host.check_interrupt().map(|()| true),
            Err(errno) => Err(Error::Os { action: "waiting for workers", source: errno.into() }),
        }
    }
}
