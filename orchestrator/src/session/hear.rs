//! Turns messages of workers and answers of the pool into events for the core.

use ipc_protocol::from_worker::{Closed, Failed, FromWorker, LogRecord, NodeReady};
use ipc_protocol::{FaultKind, ToWorker};

use super::journal::{DEBUG, Journal, dropped, notice, printed, replaced};
use super::layout::Layout;
use super::outfit::stage_number;
use super::shell::{Events, Shell, pool_of};
use super::workers::{End, Seat, Slot, Workers};
use super::{Host, failure};
use crate::error::Error;
use crate::failure::{Kept, NodeFailure};
use crate::limits::Limit;
use crate::limits::rate::Admission;
use crate::schedule::{Blame, Event, Failure, SlotId, Slots, StageId, StateLoss, Traits};
use crate::worker::supervisor::Returned;

impl Shell {
    pub(super) fn hear_pool(&mut self) -> Events {
        let answers = self.workers.take_answers().into_iter();
        let event = |(slot, answer)| match answer {
            Ok(()) => Event::Granted(slot),
            Err(error) => {
                self.fail_to_open(slot, failure::refused(error, pool_of(self, slot)));
                Event::Refused(slot)
            }
        };
        answers.map(event).collect()
    }

    pub(super) fn hear(
        &mut self,
        slot: SlotId,
        message: FromWorker,
        slots: &Slots,
        host: &mut dyn Host,
    ) -> Events {
        match message {
            FromWorker::Output(output) => {
                let Some(stage) = self.workers.slot(slot).current(output.stage, output.call) else {
                    return Events::new();
                };
                self.layout.note_output(stage);
                vec![self.workers.slot_mut(slot).checked(slot, stage, output.value)]
            }
            FromWorker::Done(done) => {
                let Some(stage) = self.workers.slot(slot).current(done.stage, done.call) else {
                    return Events::new();
                };
                self.journal.record(stage, &done.usage);
                if !self.workers.slot_mut(slot).end_call(stage) {
                    return vec![Event::Done(stage)];
                }
                self.layout.note_success(stage, &mut self.journal);
                vec![self.failures.finish_call(stage, &mut self.journal)]
            }
            FromWorker::Failed(failed) => self.hear_failure(slot, failed, slots),
            FromWorker::Log(record) => {
                self.workers.note_stderr(slot, &record);
                let least = self.settings.config.output.log_level.number();
                if record.is_stream || record.level >= least {
                    show(&mut self.workers, &mut self.journal, slot, &record, host);
                }
                Events::new()
            }
            FromWorker::Opened(nodes) if slots.is_making(slot) => {
                if let Some(error) = self.layout.refusal(slot, &nodes) {
                    self.fail_to_open(slot, error);
                    self.workers.give_back(slot, Returned::Broken);
                    return vec![Event::OpenFailed(slot)];
                }
                let opened = self.workers.slot_mut(slot);
                (opened.is_open, opened.is_borrowed) = (true, false);
                if self.saved.primary_of(slot).is_some() {
                    opened.loses_state = false;
                    return vec![Event::Opened(slot)];
                }
                let traits = traits(&opened.seats, &nodes, &self.layout);
                note_state(opened, &traits, &nodes, &self.layout, &mut self.journal);
                self.traits.extend(traits);
                vec![Event::Opened(slot)]
            }
            FromWorker::Saved(saved) => {
                let Some(fault) = self.saved.take(slot, saved) else {
                    return self.end_broken(slot);
                };
                let is_saved = fault.is_none();
                if let Some(fault) = fault {
                    let error = failure::from_fault(fault, self.workers.slot(slot));
                    self.journal.note_unsaved(&error);
                }
                vec![Event::Saved(slot, is_saved)]
            }
            FromWorker::Loaded(modules) => {
                self.workers.learn(slot, modules);
                Events::new()
            }
            FromWorker::Closed(answer) if slots.is_cleaning_up(slot) => {
                forward_raw_output(self, host);
                self.take_closed(slot, answer, host);
                vec![Event::Closed(slot)]
            }
            // Not allowed now; `Share` never is, because the link handles it.
            FromWorker::Opened(_)
            | FromWorker::Closed(_)
            | FromWorker::Share(_)
            | FromWorker::Ending => self.end_broken(slot),
        }
    }

    fn end_broken(&mut self, slot: SlotId) -> Events {
        self.workers.kill(slot);
        self.hang_up(slot, None)
    }

    fn hear_failure(&mut self, slot: SlotId, mut failed: Failed, slots: &Slots) -> Events {
        if let Some(stage) =
            failed.stage.and_then(|stage| self.workers.slot(slot).current(stage, failed.call))
        {
            self.journal.record(stage, &failed.usage);
            failure::name_node(&mut failed.fault, &self.layout.plan.stages[stage]);
            let mut end = self.layout.classify(stage, &failed.fault);
            if end.kept_at.is_none() || self.closed.is_some() {
                self.workers.slot_mut(slot).fail_call(stage);
                end = Failure::default();
            }
            if self.closed.is_some() {
                return vec![Event::Failed(stage, end)];
            }
            let failure = noted(self, slot, failed);
            let consequence = self.layout.handle_failure(stage, failure, &mut self.journal);
            if end.kept_at.is_some() && consequence.moves.is_some() {
                // The call goes on elsewhere, so its `Done` from here means nothing.
                let _link_ended =
                    self.workers.send(slot, ToWorker::Abort(stage_number(stage)), None);
            }
            let moved = self.accept(Blame::Stage(stage), consequence);
            return vec![moved.unwrap_or(Event::Failed(stage, end))];
        }
        if slots.is_making(slot) {
            return vec![hear_open_failure(self, slot, failed)];
        }
        if failed.stage.is_some() {
            return Events::new();
        }
        // A failure without a stage: one side could not decode a message of the other.
        let error =
            failure::without_stage(failed.fault, self.workers.slot(slot), &self.layout.plan);
        match self.saved.primary_of(slot) {
            Some(of) => self.journal.note_no_standby(&self.layout.nodes_in(of), &error),
            None => self.fail(error),
        }
        self.workers.slot_mut(slot).end = Some(End::Told);
        self.end_broken(slot)
    }

    fn take_closed(&mut self, slot: SlotId, answer: Closed, host: &mut dyn Host) {
        // For a node that has moved to another slot, the state in this worker does not count.
        let here = self.layout.nodes_here(slot, &self.workers.slot(slot).seats);
        let states = answer.states.into_iter().filter(|s| here.contains(&s.node_id.as_str()));
        let closed = self.closed.get_or_insert_default();
        states.for_each(|state| closed.take_back(state, host));
        let worker = self.workers.slot(slot);
        let failure = |fault| failure::from_fault(fault, worker);
        closed.failures.extend(answer.faults.into_iter().map(failure));
        for note in self.workers.take_notes() {
            host.log(&notice("", DEBUG, note));
        }
        if !answer.left.is_empty() {
            let pid = worker.process().map_or(0, |process| process.pid);
            host.log(&replaced(&here.join(", "), pid, &answer.left));
        }
        let bounds = pool_of(self, slot).bounds.clone();
        let is_served_out = self.workers.slot_mut(slot).end_session(&bounds);
        let is_reusable = !is_served_out && answer.left.is_empty();
        self.workers.give_back(slot, Returned::idle(is_reusable));
    }
}

/// The failure of a node, with the note of its call if failing items are captured.
fn noted(shell: &Shell, slot: SlotId, failed: Failed) -> NodeFailure {
    let slot = shell.workers.slot(slot);
    let note = shell.outfit.keep_note(&failed, slot.pid());
    NodeFailure { kept: note.map(Kept::Note), ..failure::failure_of(failed.fault, slot) }
}

/// Nodes could not be made: the slot tries another worker if this one does not suit them.
fn hear_open_failure(
    shell: &mut Shell,
    slot: SlotId,
    failed: Failed,
) -> Event<ipc_protocol::Value> {
    let is_conflict = failed.fault.kind == FaultKind::Conflict;
    if is_conflict || failed.fault.kind == FaultKind::Stale {
        return_unsuited(&mut shell.workers, slot, is_conflict);
        return Event::Unsuited(slot);
    }
    // Without a node the worker itself may be the cause.
    let returned = Returned::idle(!failed.fault.node_id.is_empty());
    let error = Error::Node(Box::new(noted(shell, slot, failed)));
    shell.cannot_open(slot, error, returned)
}

/// Returns a worker that cannot host the nodes. `is_conflict`: their modules lie elsewhere for another
/// session of the worker.
fn return_unsuited(workers: &mut Workers, slot: SlotId, is_conflict: bool) {
    // A worker that is apart has no sessions of other paths: this one would get it again.
    let is_apart = workers.slot(slot).worker.as_ref().is_some_and(|worker| worker.is_apart);
    workers.give_back(slot, Returned::idle(is_conflict && !is_apart));
    workers.slot_mut(slot).wants_apart |= is_conflict;
}

/// Passes output to the host that came through the workers' pipes and not through their links. A
/// worker closes a session only when the supervisor has read what its nodes wrote.
pub(super) fn forward_raw_output(shell: &mut Shell, host: &mut dyn Host) {
    for id in 0..shell.workers.count() {
        let slot = shell.workers.slot(id);
        let Some(process) = slot.process() else { continue };
        let (lines, dropped) = process.take_raw();
        if lines.is_empty() && dropped == 0 {
            continue;
        }
        let node_id = slot.running_seat().map_or("", |seat| shell.layout.node_id(seat)).to_owned();
        if dropped > 0 {
            let message = format!("... {dropped} lines of output were dropped ...");
            shell.journal.show(&printed(&node_id, true, message), host);
        }
        for line in lines {
            let record = printed(&node_id, line.is_stderr, line.text);
            show(&mut shell.workers, &mut shell.journal, id, &record, host);
        }
    }
}

/// Shows what nodes of a slot have printed or logged, or drops it if it is too much.
fn show(
    workers: &mut Workers,
    journal: &mut Journal,
    slot: SlotId,
    record: &LogRecord,
    host: &mut dyn Host,
) {
    let quota = &mut workers.slot_mut(slot).quota;
    match quota.admit(&record.message) {
        Admission::Shown => return journal.show(record, host),
        Admission::FirstDropped => {
            let limit = quota.limits.get(Limit::LogRate).unwrap_or_default();
            host.log(&dropped(&record.node_id, limit));
        }
        Admission::Dropped => {}
    }
    journal.metrics().count_dropped(&record.node_id, record.message.len());
}

/// What the worker of these nodes reports about their stages.
fn traits(seats: &[Seat], nodes: &[NodeReady], layout: &Layout) -> Vec<(StageId, Traits)> {
    let mut known: Vec<(StageId, Traits)> = Vec::new();
    for &(stage, node) in seats {
        let id = layout.node_id((stage, node));
        let ready = nodes.iter().find(|ready| ready.node_id == id);
        let is_source = node == 0 && ready.is_some_and(|ready| ready.is_source);
        let flushes = ready.is_none_or(|ready| ready.flushes);
        let state = state_loss((stage, node), nodes, layout);
        match known.last_mut() {
            Some((last, traits)) if *last == stage => {
                traits.flushes |= flushes;
                traits.state = traits.state.max(state);
            }
            _ => known.push((stage, Traits { is_source, flushes, state })),
        }
    }
    known
}

/// Notes whether the state of a worker's nodes outlives it. Says so if some of them can save theirs, and
/// others prevent that.
fn note_state(
    opened: &mut Slot,
    traits: &[(StageId, Traits)],
    nodes: &[NodeReady],
    layout: &Layout,
    journal: &mut Journal,
) {
    let worst = traits.iter().map(|(_, traits)| traits.state).max().unwrap_or_default();
    opened.loses_state = worst != StateLoss::Saved;
    let saving = nodes.iter().find(|node| node.saves);
    if let (StateLoss::Lost, Some(saving)) = (worst, saving) {
        let loses = |seat: &&Seat| state_loss(**seat, nodes, layout) == StateLoss::Lost;
        let other = opened.seats.iter().find(loses).map_or("", |seat| layout.node_id(*seat));
        journal.note_mixed_state(&saving.node_id, other);
    }
}

/// What happens to a node's state when its worker dies.
fn state_loss(seat: Seat, nodes: &[NodeReady], layout: &Layout) -> StateLoss {
    let id = layout.node_id(seat);
    let saves = nodes.iter().any(|ready| ready.node_id == id && ready.saves);
    match (saves, layout.is_stateless(seat)) {
        (true, _) => StateLoss::Saved,
        (false, true) => StateLoss::Stateless,
        (false, false) => StateLoss::Lost,
    }
}
