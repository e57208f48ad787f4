//! The one loop of a session: it feeds the core, and waits for the next event: news on a link, a
//! wake-up, a deadline.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use ipc_protocol::Value;

use super::Host;
use super::hear::forward_raw_output;
use super::shell::Shell;
use super::workers::News;
use crate::error::Error;
use crate::options::CancelHandle;
use crate::schedule::{Core, Event, SlotId};

/// Signals, cancellation and what workers write to their pipes are looked for this often while
/// answers come so fast that no wait blocks.
const LOOK_UP_EVERY: Duration = Duration::from_millis(10);

/// A session's core and shell, and the loop between them.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) core: Core<Value>,
    pub(super) shell: Shell,
    pub(super) cancel: CancelHandle,
    /// The first failure ends what is under way.
    pub(super) stops_at_failure: bool,
    /// When signals and wake-ups were last looked for.
    looked_up: Instant,
}

impl Driver {
    pub(super) fn new(core: Core<Value>, shell: Shell, cancel: CancelHandle) -> Self {
        Self { core, shell, cancel, stops_at_failure: false, looked_up: Instant::now() }
    }

    /// Feeds the core an event and carries out the actions that follow.
    pub(super) fn feed(&mut self, event: Event<Value>) {
        let mut events = VecDeque::from([event]);
        let mut actions = VecDeque::new();
        loop {
            while let Some(event) = events.pop_front() {
                if self.stops_at_failure && self.shell.failure.is_some() {
                    self.core.stop();
                }
                actions.extend(self.core.handle(Instant::now(), event));
            }
            let Some(action) = actions.pop_front() else { return };
            events.extend(self.shell.carry_out(action));
        }
    }

    /// Handles all news without waiting. Returns whether there was any.
    pub(super) fn hear_all(&mut self, host: &mut dyn Host) -> bool {
        let woken = self.shell.workers.take_has_news();
        if woken {
            forward_raw_output(&self.shell, host);
            self.shell.hear_pool().into_iter().for_each(|event| self.feed(event));
        }
        let mut heard = woken;
        for slot in 0..self.shell.workers.count() {
            heard |= self.hear_slot(slot, host);
        }
        if woken {
            (0..self.shell.workers.count()).for_each(|slot| self.hear_exit(slot, host));
        }
        heard
    }

    /// A process may end while others, which it started, keep its connection open.
    fn hear_exit(&mut self, slot: SlotId, host: &mut dyn Host) {
        if !self.shell.workers.slot(slot).has_exited() {
            return;
        }
        // All that it wrote is there by now.
        forward_raw_output(&self.shell, host);
        if self.core.slots().hears(slot) {
            let ended = self.shell.hang_up(slot, None);
            ended.into_iter().for_each(|event| self.feed(event));
        }
        if self.core.slots().awaits_exit(slot) {
            self.feed(Event::Exited(slot));
        }
    }

    fn hear_slot(&mut self, slot: SlotId, host: &mut dyn Host) -> bool {
        let mut heard = false;
        let mut news = self.shell.workers.news(slot);
        loop {
            match news {
                News::Message(message) => {
                    let event = self.shell.hear(slot, message, self.core.slots(), host);
                    for (stage, traits) in std::mem::take(&mut self.shell.traits) {
                        self.core.note(stage, traits);
                    }
                    event.into_iter().for_each(|event| self.feed(event));
                }
                News::Nothing => return heard,
                News::Gone(reason) => {
                    forward_raw_output(&self.shell, host);
                    let ended = self.shell.hang_up(slot, reason);
                    ended.into_iter().for_each(|event| self.feed(event));
                    // It may have ended already.
                    self.hear_exit(slot, host);
                    return true;
                }
            }
            heard = true;
            // The socket is asked again when nothing else is left to do.
            news = self.shell.workers.buffered_news(slot);
        }
    }

    /// Waits and works until the condition holds or the time is over.
    pub(super) fn drive(
        &mut self,
        until: Option<Instant>,
        host: &mut dyn Host,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<(), Error> {
        loop {
            self.shell.journal.tell(host);
            if is_done(self) || until.is_some_and(|until| until <= Instant::now()) {
                return Ok(());
            }
            if self.shell.closed.is_none() && self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if !self.core.slots().is_under_way() {
                return Err(Error::Stalled);
            }
            let deadline = self.core.slots().next_deadline();
            self.hear_more(deadline.into_iter().chain(until).min(), host)?;
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.feed(Event::Tick);
            }
        }
    }

    /// Waits for news, awake as long as that pays, and handles what has come.
    fn hear_more(&mut self, deadline: Option<Instant>, host: &mut dyn Host) -> Result<(), Error> {
        let began = Instant::now();
        let awake = self.shell.workers.awake(began);
        if !awake.is_zero() && began.duration_since(self.looked_up) >= LOOK_UP_EVERY {
            self.look_up(Some(began), host)?;
        }
        if self.shell.workers.has_news() {
            // Nothing wakes a second time for it.
            self.hear_all(host);
            return Ok(());
        }
        let awake = self.shell.runtime.begin_wait(awake);
        let heard = if !awake.is_zero() && self.hear_awake(began, host) {
            Ok(())
        } else {
            self.look_up(deadline, host).map(|()| {
                self.hear_all(host);
            })
        };
        self.shell.runtime.end_wait();
        heard
    }

    /// Looks for news again and again, as long as that pays, and handles it; whether there was any.
    /// Other threads that want the processor get it in between.
    fn hear_awake(&mut self, began: Instant, host: &mut dyn Host) -> bool {
        let mut looked = began;
        loop {
            if self.hear_all(host) {
                return true;
            }
            thread::yield_now();
            let now = Instant::now();
            self.shell.workers.yielded(now.duration_since(looked));
            looked = now;
            if self.shell.workers.awake(now).is_zero() || self.cancel.is_cancelled() {
                return false;
            }
        }
    }

    /// Blocks until there is news or the deadline passes.
    fn look_up(&mut self, deadline: Option<Instant>, host: &mut dyn Host) -> Result<(), Error> {
        let waited = self.shell.workers.wait(deadline, host);
        self.looked_up = Instant::now();
        waited
    }
}
