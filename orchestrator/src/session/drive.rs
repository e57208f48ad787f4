//! The loop of a session: it feeds events to the core and waits for the next one: news on a link, a
//! wake-up or a deadline.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use ipc_protocol::Value;

use super::hear::forward_raw_output;
use super::shell::Shell;
use super::stream::{Stream, place_failure};
use super::workers::News;
use super::{GraphOutput, Host, Session};
use crate::error::Error;
use crate::options::CancelHandle;
use crate::schedule::{Action, Core, Event, SlotId};
use crate::trace::Trace;

/// How often signals, cancellation and workers' pipes are checked while answers come so fast that
/// no wait blocks.
const LOOK_UP_EVERY: Duration = Duration::from_millis(10);
/// How often the link of a process that has exited is read at most: more than a socket holds. What other
/// processes write to it by then does not count.
const LAST_READS: u32 = 64;

/// A session's core and shell, and the loop between them.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) core: Core<Value>,
    pub(super) shell: Shell,
    pub(super) cancel: CancelHandle,
    /// When signals and wake-ups were last checked.
    looked_up: Instant,
    /// Whether the work that was begun has been dropped, and the caller does not know it.
    pub(super) has_dropped: bool,
    /// Complete rounds that the host knows of.
    rounds_told: u64,
    agenda: Agenda,
}

/// What is to be done, in its order; empty between two events, and kept for its memory.
#[derive(Debug, Default)]
struct Agenda {
    events: VecDeque<Event<Value>>,
    actions: VecDeque<Action<Value>>,
}

impl Session {
    /// The recording of the session, if its options asked for one.
    #[must_use]
    pub fn trace(&self) -> Option<Trace> {
        self.driver.shell.journal.shared_trace()
    }

    /// Number of busy waits for the session's workers that ended without an answer, since these
    /// workers started (see `[calls] spin`).
    #[must_use]
    pub fn waits_in_vain(&self) -> u64 {
        self.driver.shell.workers.waits_in_vain()
    }

    /// Drops the work that was begun, as [`CancelHandle::interrupt`] has asked; while no call is under
    /// way, which would do so itself.
    pub fn obey_interrupt(&mut self) {
        self.driver.obey_interrupt();
    }
}

impl Driver {
    pub(super) fn new(core: Core<Value>, shell: Shell, cancel: CancelHandle) -> Self {
        Self {
            core,
            shell,
            cancel,
            looked_up: Instant::now(),
            has_dropped: false,
            rounds_told: 0,
            agenda: Agenda::default(),
        }
    }

    /// Checks that all first nodes produce without input.
    pub(super) fn check_sources(&self) -> Result<(), Error> {
        for (id, stage) in self.shell.layout.plan.roots() {
            if !self.core.is_source(id) {
                let node_id = stage.nodes.first().map_or_else(String::new, |node| node.id.clone());
                return Err(Error::NoInput { node_id });
            }
        }
        Ok(())
    }

    /// Tells the host how many rounds are complete, if that has changed.
    pub(super) fn tell_rounds(&mut self, host: &mut dyn Host) {
        if self.rounds_told != self.shell.journal.rounds_done {
            self.rounds_told = self.shell.journal.rounds_done;
            host.rounds_done(self.rounds_told);
        }
    }

    /// Takes the breakers over as the pipeline's last session left them.
    pub(super) fn take_breakers(&mut self) {
        let Some(breakers) = self.shell.outfit.breakers() else { return };
        for (stage, node_id) in self.shell.layout.guarded() {
            if let Some((state, causes)) = breakers.get(&node_id) {
                self.core.set_breaker(stage, state);
                self.shell.journal.set_causes(stage, causes);
            }
        }
    }

    /// Keeps the breakers for the pipeline's next session.
    pub(super) fn keep_breakers(&self) {
        let Some(breakers) = self.shell.outfit.breakers() else { return };
        for (stage, node_id) in self.shell.layout.guarded() {
            breakers.set(&node_id, self.core.breaker(stage), self.shell.journal.causes(stage));
        }
    }

    /// Feeds the core an event and carries out the actions that follow.
    pub(super) fn feed(&mut self, event: Event<Value>) {
        let Agenda { mut events, mut actions } = std::mem::take(&mut self.agenda);
        events.push_back(event);
        // The events of one action happen at one time.
        let mut now = None;
        loop {
            while let Some(event) = events.pop_front() {
                self.shell.journal.trace(|trace| trace.note(&event));
                let now = *now.get_or_insert_with(Instant::now);
                actions.extend(self.core.handle(now, event));
            }
            place_failure(&mut self.shell);
            let Some(action) = actions.pop_front() else { break };
            events.extend(self.shell.carry_out(action));
            now = None;
        }
        self.agenda = Agenda { events, actions };
    }

    /// Whether the work that was begun has been dropped since the last time.
    pub(super) fn take_dropped(&mut self) -> bool {
        self.obey_interrupt();
        std::mem::take(&mut self.has_dropped)
    }

    /// Begins new work, by the settings of now: an interrupt before concerns the work before it.
    pub(super) fn begin_work(&mut self) {
        self.obey_interrupt();
        self.has_dropped = false;
        self.follow_settings();
    }

    /// Drops the work that was begun, if the caller has asked for it: what runs is interrupted, and
    /// outputs that are ready are lost. Returns whether that was so.
    pub(super) fn obey_interrupt(&mut self) -> bool {
        let is_wanted = self.cancel.take_interrupt() && self.shell.closed.is_none();
        if is_wanted {
            self.feed(Event::Interrupt);
            self.shell.outputs.clear();
            self.shell.stream.iter_mut().for_each(Stream::clear);
            self.shell.failures.first = None;
            self.has_dropped = true;
        }
        is_wanted
    }

    /// Handles all news without waiting. Returns whether there was any.
    pub(super) fn hear_all(&mut self, host: &mut dyn Host) -> bool {
        let woken = self.shell.workers.take_has_news();
        if woken {
            forward_raw_output(&mut self.shell, host);
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

    /// Handles the exit of a slot's process. Its connection may still be open: processes that it
    /// started may have inherited the descriptor.
    fn hear_exit(&mut self, slot: SlotId, host: &mut dyn Host) {
        if !self.shell.workers.slot(slot).has_exited() {
            return;
        }
        // What the worker said before its end comes first, also what it said since the last look.
        for _ in 0..LAST_READS {
            if !self.hear_slot(slot, host) {
                break;
            }
        }
        let here = self.shell.workers.slot(slot);
        if here.ahead.holds() || here.is_ahead() {
            return;
        }
        // The supervisor reads the pipes of a process to their end before it reaps the process.
        forward_raw_output(&mut self.shell, host);
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
                    forward_raw_output(&mut self.shell, host);
                    let ended = self.shell.hang_up(slot, reason);
                    ended.into_iter().for_each(|event| self.feed(event));
                    // The process may have exited already.
                    self.hear_exit(slot, host);
                    return true;
                }
            }
            heard = true;
            // Only takes messages that were read together with this one; the next call reads more.
            news = self.shell.workers.buffered_news(slot);
        }
    }

    /// Feeds an input and takes its outputs until it is due. Returns whether it is done; otherwise its later
    /// outputs are dropped.
    pub(super) fn process_until(
        &mut self,
        input: Value,
        due: Instant,
        outputs: &mut Vec<GraphOutput>,
        host: &mut dyn Host,
    ) -> Result<bool, Error> {
        self.core.stop_at_failure(false);
        let mut input = Some(input);
        loop {
            if input.is_some() && self.core.wants_input() {
                self.feed(Event::Input(input.take()));
            }
            let is_fed = input.is_none();
            outputs.extend(self.shell.outputs.drain(..));
            if let Some(failure) = self.shell.failures.first.take() {
                self.feed(Event::Abandon);
                return Err(failure);
            }
            if is_fed && self.core.open_rounds() == 0 {
                return Ok(true);
            }
            if self.take_dropped() {
                return Ok(true);
            }
            if due <= Instant::now() {
                self.feed(Event::Late);
                self.shell.journal.metrics().late += 1;
                return Ok(false);
            }
            self.drive(Some(due), host, |driver| {
                let is_ready = match is_fed {
                    true => driver.core.open_rounds() == 0,
                    false => driver.core.wants_input(),
                };
                is_ready || driver.shell.failures.first.is_some()
            })?;
        }
    }

    /// Waits for events and handles them until the condition holds or `until` has passed.
    pub(super) fn drive(
        &mut self,
        until: Option<Instant>,
        host: &mut dyn Host,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<(), Error> {
        loop {
            self.shell.journal.tell(host);
            self.tell_rounds(host);
            self.follow_settings();
            if self.obey_interrupt() {
                return Ok(());
            }
            if is_done(self) || until.is_some_and(|until| until <= Instant::now()) {
                return Ok(());
            }
            if self.shell.closed.is_none() && self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if !self.core.is_under_way() {
                return Err(Error::Stalled);
            }
            let deadline = self.core.next_deadline();
            self.hear_more(deadline.into_iter().chain(until).min(), host)?;
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.feed(Event::Tick);
            }
        }
    }

    /// Waits for news and handles it. Busy-waits first, if that is likely to cost less than to
    /// sleep and be woken.
    fn hear_more(&mut self, deadline: Option<Instant>, host: &mut dyn Host) -> Result<(), Error> {
        let began = Instant::now();
        let awake = self.shell.workers.awake(began);
        if began.duration_since(self.looked_up) >= LOOK_UP_EVERY {
            self.look_up(Some(began), host)?;
        }
        if self.shell.workers.has_news() {
            // The wake-up for this news has been consumed, so a blocking wait would not notice it.
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

    /// Busy-waits for news and handles it; false when the time for that ended without news. Yields
    /// the processor to other threads between two looks.
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
            if self.shell.workers.awake(now).is_zero() || self.cancel.is_woken() {
                return false;
            }
        }
    }

    /// Blocks until there may be news or the deadline passes. Handles signals.
    fn look_up(&mut self, deadline: Option<Instant>, host: &mut dyn Host) -> Result<(), Error> {
        let waited = self.shell.workers.wait(deadline, host);
        self.looked_up = Instant::now();
        waited
    }
}
