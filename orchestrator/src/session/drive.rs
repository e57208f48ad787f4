//! The one loop: carries out what the core decides, waits for sockets, deadlines and wake-ups, and
//! turns what workers say into events. What failures look like is next door.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{FromWorker, LogRecord};
use ipc_protocol::to_worker::{Credit, Item, Step};
use ipc_protocol::{ToWorker, Value};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::slot::{News, slot_of};
use super::{GraphOutput, Host, Session};
use crate::error::Error;
use crate::schedule::{Action, Event, SlotId, StageId, Work};
use crate::worker::link::LinkError;

/// Signals, cancellation and what workers write to their pipes are looked for this often while
/// answers come so fast that no wait blocks.
const LOOK_UP_EVERY: Duration = Duration::from_millis(10);

impl Session {
    /// Feeds the core an event and carries out what follows from it.
    pub(super) fn feed(&mut self, event: Event<Value>, host: &mut dyn Host) -> Result<(), Error> {
        let mut actions = VecDeque::new();
        for event in std::mem::take(&mut self.pending).into_iter().chain([event]) {
            actions.extend(self.core.handle(Instant::now(), event));
        }
        while let Some(action) = actions.pop_front() {
            let follows = self.carry_out(action, host)?;
            for event in std::mem::take(&mut self.pending).into_iter().chain(follows) {
                actions.extend(self.core.handle(Instant::now(), event));
            }
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        action: Action<Value>,
        host: &mut dyn Host,
    ) -> Result<Vec<Event<Value>>, Error> {
        match action {
            Action::Call { stage, work } => return self.call(stage, work),
            Action::Credit(stage) => {
                let outputs = self.runtime.config().calls.window;
                let stage_number = stage_number(stage);
                let credit = Credit { stage: stage_number, outputs };
                return self.send(stage, ToWorker::Credit(credit));
            }
            Action::Deliver { stage, value, .. } => {
                let node_id = self.plan.stages[stage].sink.clone().unwrap_or_default();
                self.outputs.push(GraphOutput { node_id, value });
            }
            Action::RoundDone(round) => self.finished_rounds = round + 1,
            Action::Reopen(slot) => return self.reopened(slot, host),
            Action::Expire(stage) => self.expire(stage),
            Action::Uneven(stage) => {
                self.note_failure(Self::uneven(&self.plan.stages[stage]));
            }
        }
        Ok(Vec::new())
    }

    fn call(&mut self, stage: StageId, work: Work<Value>) -> Result<Vec<Event<Value>>, Error> {
        if let Some(native) = &mut self.natives[stage] {
            let mut events = Vec::new();
            let outcome = native.run(work, &mut |value| events.push(Event::Output(stage, value)));
            self.metrics.record_stage(self.first_node[stage], &outcome.usage);
            match outcome.failure {
                None => events.push(Event::Done(stage)),
                Some(failure) => {
                    self.note_failure(Error::Node(failure));
                    events.push(Event::Failed(stage));
                }
            }
            return Ok(events);
        }
        self.keep_input(stage, &work);
        let call = self.next_call;
        self.next_call += 1;
        let window = self.runtime.config().calls.window;
        let step = Step { stage: stage_number(stage), call, window };
        if let Some(slot) = slot_of(&self.slots, stage) {
            self.slots[slot].calls.insert(stage, call);
        }
        let message = match work {
            Work::Item(value) => ToWorker::Item(Item { step, value }),
            Work::Zip(values) => ToWorker::Item(Item { step, value: Value::Tuple(values) }),
            Work::Start => ToWorker::Start(step),
            Work::Flush => ToWorker::Flush(step),
        };
        self.send(stage, message)
    }

    fn send(&mut self, stage: StageId, message: ToWorker) -> Result<Vec<Event<Value>>, Error> {
        let Some(slot) = slot_of(&self.slots, stage) else { return Ok(Vec::new()) };
        let Some(worker) = &mut self.slots[slot].worker else {
            return Ok(vec![Event::SlotLost(slot)]);
        };
        match worker.link.send(message, self.holders.get(stage)) {
            Ok(sent) => {
                self.note_sent(stage, sent);
                Ok(Vec::new())
            }
            Err(LinkError::Codec(error)) => {
                self.slots[slot].calls.remove(&stage);
                self.note_failure(self.unsendable(stage, &error));
                Ok(vec![Event::Failed(stage)])
            }
            Err(broken) => {
                self.lose_worker(slot, Some(&broken));
                Ok(vec![Event::SlotLost(slot)])
            }
        }
    }

    /// Waits and works until the condition holds.
    pub(super) fn drive(
        &mut self,
        host: &mut dyn Host,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<(), Error> {
        while !is_done(self) {
            self.show_notices(host);
            self.hear_more(host)?;
            if self.core.next_deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                self.feed(Event::Tick, host)?;
            }
        }
        self.show_notices(host);
        Ok(())
    }

    /// Waits for news, awake as long as that pays, and handles what has come.
    fn hear_more(&mut self, host: &mut dyn Host) -> Result<(), Error> {
        let began = Instant::now();
        if began.duration_since(self.looked_up) >= LOOK_UP_EVERY {
            self.wait(Some(began), host)?;
        }
        let awake = self.runtime.begin_wait(self.spin.bound());
        let heard = self.hear_awake(began, awake, host).and_then(|heard| {
            if heard {
                return Ok(());
            }
            self.wait(self.core.next_deadline(), host)?;
            self.spin.learn(began.elapsed());
            self.hear_all(host).map(|_| ())
        });
        self.runtime.end_wait();
        heard
    }

    /// Looks for news again and again for so long, and handles it; whether there was any. Whoever
    /// else wants the processor gets it in between.
    fn hear_awake(
        &mut self,
        began: Instant,
        awake: Duration,
        host: &mut dyn Host,
    ) -> Result<bool, Error> {
        loop {
            let waited = began.elapsed();
            if waited >= awake || self.cancel.is_cancelled() {
                return Ok(false);
            }
            if self.hear_all(host)? {
                self.spin.learn(waited);
                return Ok(true);
            }
            thread::yield_now();
        }
    }

    /// Handles what has come from the workers, without waiting for more; whether anything had.
    pub(super) fn hear_all(&mut self, host: &mut dyn Host) -> Result<bool, Error> {
        let mut heard = false;
        for slot in 0..self.slots.len() {
            heard |= self.take_news(slot, host)?;
        }
        Ok(heard)
    }

    /// Blocks until a link has news, a wake-up comes or the deadline passes.
    pub(super) fn wait(
        &mut self,
        deadline: Option<Instant>,
        host: &mut dyn Host,
    ) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        host.before_blocking()?;
        let mut fds = vec![PollFd::new(self.cancel.waker.as_fd(), PollFlags::POLLIN)];
        for worker in self.slots.iter().filter_map(|slot| slot.worker.as_ref()) {
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
        self.looked_up = Instant::now();
        match polled {
            Ok(_) => {}
            Err(Errno::EINTR) => return host.check_interrupt(),
            Err(errno) => {
                return Err(Error::Os { action: "waiting for workers", source: errno.into() });
            }
        }
        let has_news = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let woken = has_news(&fds[0]);
        if has_source.is_some() && fds.last().is_some_and(has_news) {
            host.check_interrupt()?;
        }
        if woken {
            self.cancel.waker.drain();
            self.forward_raw_output(host);
        }
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// Sends what waits for a slot's worker and handles what came from it; whether anything had.
    fn take_news(&mut self, slot: SlotId, host: &mut dyn Host) -> Result<bool, Error> {
        if let Some(worker) = &mut self.slots[slot].worker
            && worker.link.has_unsent()
            && let Err(broken) = worker.link.flush()
        {
            self.lose_worker(slot, Some(&broken));
            self.feed(Event::SlotLost(slot), host)?;
            return Ok(true);
        }
        let mut heard = false;
        let mut news = self.slots[slot].receive();
        loop {
            match news {
                News::Message(message) => self.hear(slot, message, host)?,
                News::Nothing => return Ok(heard),
                News::Gone(reason) => {
                    self.forward_raw_output(host);
                    self.lose_worker(slot, reason.as_ref());
                    self.feed(Event::SlotLost(slot), host)?;
                    return Ok(true);
                }
            }
            heard = true;
            // The socket is asked again when nothing else is left to do.
            news = self.slots[slot].receive_buffered();
        }
    }

    fn hear(
        &mut self,
        slot: SlotId,
        message: FromWorker,
        host: &mut dyn Host,
    ) -> Result<(), Error> {
        match message {
            FromWorker::Output(output) => {
                if let Some(stage) = self.current(slot, output.stage, output.call) {
                    self.note_output(stage);
                    self.feed(Event::Output(stage, output.value), host)?;
                }
            }
            FromWorker::Done(done) => {
                if let Some(stage) = self.current(slot, done.stage, done.call) {
                    self.record(stage, &done.usage);
                    self.slots[slot].calls.remove(&stage);
                    self.note_success(stage);
                    self.feed(Event::Done(stage), host)?;
                }
            }
            FromWorker::Failed(failed) => {
                let stage = failed.stage.and_then(|stage| self.current(slot, stage, failed.call));
                let Some(stage) = stage else {
                    // The worker could not make sense of us, or we of it.
                    let mut fault = failed.fault;
                    if fault.node_id.is_empty() {
                        fault.node_id = self.running_node(slot).unwrap_or_default();
                    }
                    self.note_failure(Self::from_fault(fault));
                    self.lose_worker(slot, None);
                    return self.feed(Event::SlotLost(slot), host);
                };
                self.record(stage, &failed.usage);
                self.slots[slot].calls.remove(&stage);
                let (event, error) = self.handle_failure(stage, Self::failure_of(failed.fault));
                if let Some(error) = error {
                    self.note_failure(error);
                }
                self.feed(event, host)?;
            }
            FromWorker::Log(record) => self.hear_log(slot, &record, host),
            // The link keeps news about shared memory to itself.
            FromWorker::Opened(_)
            | FromWorker::Closed(_)
            | FromWorker::Share(_)
            | FromWorker::Ending => {
                self.lose_worker(slot, None);
                self.feed(Event::SlotLost(slot), host)?;
            }
        }
        Ok(())
    }

    /// The stage of a message, if the message belongs to the call that is under way there.
    fn current(&self, slot: SlotId, stage: u32, call: u64) -> Option<StageId> {
        let stage = usize::try_from(stage).ok()?;
        (self.slots[slot].calls.get(&stage) == Some(&call)).then_some(stage)
    }

    fn record(&mut self, stage: StageId, usage: &[ipc_protocol::from_worker::NodeUsage]) {
        let nodes = self.plan.stages[stage].nodes.len();
        self.metrics.record_stage(self.first_node[stage], &usage[..usage.len().min(nodes)]);
    }

    pub(super) fn hear_log(&self, slot: SlotId, record: &LogRecord, host: &mut dyn Host) {
        if record.is_stream
            && record.logger == "stderr"
            && let Some(process) = self.slots[slot].process()
        {
            process.note_stderr(&record.message);
        }
        self.show(record, host);
    }

    /// Hands on what came through the workers' pipes and not through their links.
    pub(super) fn forward_raw_output(&self, host: &mut dyn Host) {
        for (slot, process) in
            self.slots.iter().enumerate().filter_map(|(id, slot)| Some((id, slot.process()?)))
        {
            let (lines, dropped) = process.take_raw();
            let node_id = self.running_node(slot).unwrap_or_default();
            if dropped > 0 {
                let message = format!("... {dropped} lines of output were dropped ...");
                self.show(&stream_record(&node_id, true, message), host);
            }
            for line in lines {
                self.show(&stream_record(&node_id, line.is_stderr, line.text), host);
            }
        }
    }

    fn show(&self, record: &LogRecord, host: &mut dyn Host) {
        if !record.is_stream || self.runtime.config().output.forward_output {
            host.log(record);
        }
    }

    /// Waits until a worker's process has ended, at most this long.
    pub(super) fn await_exit(&self, slot: SlotId, grace: Duration) {
        let Some(process) = self.slots[slot].process() else { return };
        let until = Instant::now() + grace;
        while process.exit().is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let mut fds = [PollFd::new(self.cancel.waker.as_fd(), PollFlags::POLLIN)];
            // A signal only shortens this short wait.
            let _interrupted = ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None);
            self.cancel.waker.drain();
        }
    }
}

fn stream_record(node_id: &str, is_stderr: bool, message: String) -> LogRecord {
    let logger = if is_stderr { "stderr" } else { "stdout" };
    LogRecord {
        node_id: node_id.to_owned(),
        logger: logger.to_owned(),
        is_stream: true,
        level: 0,
        message,
        place: None,
    }
}

/// Stage numbers on the wire; a plan has far fewer stages than numbers.
pub(super) fn stage_number(stage: StageId) -> u32 {
    u32::try_from(stage).unwrap_or(u32::MAX)
}
