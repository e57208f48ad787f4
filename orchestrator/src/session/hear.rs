//! What workers, processes and the pool say, as events for the core.

use ipc_protocol::FaultKind;
use ipc_protocol::from_worker::{Failed, FromWorker, LogRecord, NodeReady};

use super::workers::News;
use super::{Host, Session, failure, journal};
use crate::schedule::{Event, SlotId, StageId};
use crate::worker::supervisor::Returned;

impl Session {
    /// Handles what has come, without waiting for more; whether anything had.
    pub(super) fn hear_all(&mut self, host: &mut dyn Host) -> bool {
        let woken = self.workers.take_has_news();
        if woken {
            self.forward_raw_output(host);
            self.hear_pool();
        }
        let mut heard = woken;
        for slot in 0..self.workers.count() {
            heard |= self.hear_slot(slot, host);
        }
        if woken {
            self.hear_exits();
        }
        heard
    }

    fn hear_pool(&mut self) {
        for (slot, answer) in self.workers.take_answers() {
            match answer {
                Ok(()) => self.feed(Event::Granted(slot)),
                Err(error) => {
                    self.fail_to_open(slot, error.into());
                    self.feed(Event::Refused(slot));
                }
            }
        }
    }

    /// A process may end while others, which it started, keep its connection open.
    fn hear_exits(&mut self) {
        for slot in 0..self.workers.count() {
            if !self.workers.slot(slot).has_exited() {
                continue;
            }
            if self.core.hears(slot) {
                self.workers.hang_up(slot, None);
                self.feed(Event::LinkEnded(slot));
            }
            if self.core.awaits_exit(slot) {
                self.feed(Event::Exited(slot));
            }
        }
    }

    fn hear_slot(&mut self, slot: SlotId, host: &mut dyn Host) -> bool {
        let mut heard = false;
        let mut news = self.workers.news(slot);
        loop {
            match news {
                News::Message(message) => self.hear(slot, message, host),
                News::Nothing => return heard,
                News::Gone(reason) => {
                    self.forward_raw_output(host);
                    self.workers.hang_up(slot, reason);
                    self.feed(Event::LinkEnded(slot));
                    // It may have ended already.
                    self.hear_exits();
                    return true;
                }
            }
            heard = true;
            // The socket is asked again when nothing else is left to do.
            news = self.workers.buffered_news(slot);
        }
    }

    fn hear(&mut self, slot: SlotId, message: FromWorker, host: &mut dyn Host) {
        match message {
            FromWorker::Output(output) => {
                if let Some(stage) = self.current(slot, output.stage, output.call) {
                    self.fallback.note_output(stage);
                    self.feed(Event::Output(stage, output.value));
                }
            }
            FromWorker::Done(done) => {
                if let Some(stage) = self.current(slot, done.stage, done.call) {
                    self.journal.record(stage, &done.usage);
                    self.workers.slot_mut(slot).calls.remove(&stage);
                    self.note_success(stage);
                    self.feed(Event::Done(stage));
                }
            }
            FromWorker::Failed(failed) => self.hear_failure(slot, failed),
            FromWorker::Log(record) => self.hear_log(slot, &record, host),
            FromWorker::Opened(nodes) if self.core.is_making(slot) => {
                self.note_sources(slot, &nodes);
                self.workers.slot_mut(slot).is_open = true;
                self.feed(Event::Opened(slot));
            }
            FromWorker::Closed(farewell) if self.core.is_cleaning_up(slot) => {
                self.take_farewell(slot, farewell, host);
                self.feed(Event::Closed(slot));
            }
            // The link keeps news about shared memory to itself.
            FromWorker::Opened(_)
            | FromWorker::Closed(_)
            | FromWorker::Share(_)
            | FromWorker::Ending => {
                for event in self.hang_up(slot, None) {
                    self.feed(event);
                }
                self.workers.kill(slot);
            }
        }
    }

    fn hear_failure(&mut self, slot: SlotId, failed: Failed) {
        let stage = failed.stage.and_then(|stage| self.current(slot, stage, failed.call));
        if let Some(stage) = stage {
            self.journal.record(stage, &failed.usage);
            self.workers.slot_mut(slot).calls.remove(&stage);
            let event = self.weigh_failure(stage, failure::failure_of(failed.fault));
            self.feed(event);
        } else if self.core.is_making(slot) {
            self.hear_open_failure(slot, failed);
        } else if failed.stage.is_none() {
            // The worker could not make sense of us, or we of it.
            let mut fault = failed.fault;
            if fault.node_id.is_empty()
                && let Some(seat) = self.workers.slot(slot).running_seat()
            {
                failure::node_id(&self.plan, seat).clone_into(&mut fault.node_id);
            }
            self.fail(failure::from_fault(fault));
            self.workers.hang_up(slot, None);
            self.workers.kill(slot);
            self.feed(Event::LinkEnded(slot));
        }
    }

    fn hear_open_failure(&mut self, slot: SlotId, failed: Failed) {
        let is_conflict = failed.fault.kind == FaultKind::Conflict;
        if is_conflict || failed.fault.kind == FaultKind::Stale {
            // One that was apart already would be granted again.
            let worker = self.workers.slot(slot).worker.as_ref();
            let is_apart = worker.is_some_and(|worker| worker.is_apart);
            let is_reusable = is_conflict && !is_apart;
            let returned = if is_reusable { Returned::Reusable } else { Returned::UsedUp };
            self.workers.give_back(slot, returned);
            self.workers.slot_mut(slot).wants_apart |= is_conflict;
            self.feed(Event::Unsuited(slot));
            return;
        }
        self.fail_to_open(slot, failure::from_fault(failed.fault));
        self.workers.give_back(slot, Returned::Reusable);
        self.feed(Event::OpenFailed(slot));
    }

    fn note_sources(&mut self, slot: SlotId, nodes: &[NodeReady]) {
        for (stage, place) in self.workers.slot(slot).seats.clone() {
            let id = &self.plan.stages[stage].nodes[place].id;
            if place == 0 && nodes.iter().any(|node| node.is_source && node.node_id == *id) {
                self.core.set_source(stage);
            }
        }
    }

    fn note_success(&mut self, stage: StageId) {
        if self.fallback.is_on_trial(stage) {
            let mut findings = self.runtime.findings();
            self.fallback.note_success(stage, &self.plan, &mut findings);
            drop(findings);
            self.journal.notice(self.fallback.take_notices());
        }
    }

    /// The stage of a message, if the message belongs to the call that is under way there.
    fn current(&self, slot: SlotId, stage: u32, call: u64) -> Option<StageId> {
        let stage = usize::try_from(stage).ok()?;
        (self.workers.slot(slot).calls.get(&stage) == Some(&call)).then_some(stage)
    }

    fn hear_log(&self, slot: SlotId, record: &LogRecord, host: &mut dyn Host) {
        if record.is_stream
            && record.logger == "stderr"
            && let Some(process) = self.workers.slot(slot).process()
        {
            process.note_stderr(&record.message);
        }
        self.journal.show(record, host);
    }

    /// Hands on what came through the workers' pipes and not through their links.
    fn forward_raw_output(&self, host: &mut dyn Host) {
        for slot in (0..self.workers.count()).map(|slot| self.workers.slot(slot)) {
            let Some(process) = slot.process() else { continue };
            let (lines, dropped) = process.take_raw();
            if lines.is_empty() && dropped == 0 {
                continue;
            }
            let seat = slot.running_seat();
            let node_id = seat.map_or("", |seat| failure::node_id(&self.plan, seat));
            if dropped > 0 {
                let message = format!("... {dropped} lines of output were dropped ...");
                self.journal.show(&journal::printed(node_id, true, message), host);
            }
            for line in lines {
                self.journal.show(&journal::printed(node_id, line.is_stderr, line.text), host);
            }
        }
    }
}
