//! One slot's worker: what it does with what it is told.

use std::collections::BTreeMap;
use std::time::Instant;

use ipc_protocol::FaultKind;

use super::check::Checks;
use super::{LATE, Mark, World};
use crate::limits::{Excess, Limit};
use crate::schedule::{Event, Failure, Running, SlotId, StageId, StateLoss, Work};

/// Something that happens in the life of one worker; nothing once that life is over.
pub(super) struct Happening {
    pub(super) slot: SlotId,
    pub(super) life: u64,
    pub(super) what: What,
}

pub(super) enum What {
    Granted,
    Refused,
    Opened,
    OpenFailed,
    Unsuited,
    /// Another node is entered, or the same again.
    Enters(StageId, FaultKind),
    Output(StageId),
    Ends {
        stage: StageId,
        fails: bool,
    },
    /// The node that runs fails, and the worker keeps the call there.
    Fails(StageId),
    Moves(StageId),
    LinkEnds,
    Exits,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    None,
    Requested,
    Held,
    Opening,
    Ready,
    Busy,
    Stopping,
    Closing,
    Dying,
}

pub(super) struct Worker {
    /// Counts its workers, and what they are told: answers to earlier words do not come any more.
    pub(super) life: u64,
    pub(super) phase: Phase,
    /// When the phase began.
    pub(super) since: Instant,
    pub(super) running: Option<Running>,
    /// Whether it has limits that are measured, and when it last was.
    pub(super) is_watched: bool,
    pub(super) measured: Option<Instant>,
    calls: BTreeMap<StageId, Call>,
    is_calm: bool,
    /// No worker of this slot ever suits it.
    never_suits: bool,
    /// Its process has exited, or was killed.
    pub(super) has_ended: bool,
    /// Workers in a row that did not suit.
    pub(super) unsuited: u32,
    /// The others wait for it while the session opens.
    pub(super) opens_first: bool,
    /// Its call was interrupted, and has not ended.
    pub(super) was_cut_short: bool,
    /// The session goes on without it, until it is open.
    is_borrowed: bool,
}

struct Call {
    work: Work<Mark>,
    /// Outputs since the last credit, and in all.
    sent: u32,
    given: u64,
    is_suspended: bool,
    is_kept: bool,
}

impl Worker {
    pub(super) fn new(is_calm: bool, never_suits: bool) -> Self {
        let since = Instant::now();
        let calls = BTreeMap::new();
        Self {
            life: 0,
            phase: Phase::None,
            since,
            running: None,
            is_watched: false,
            measured: None,
            calls,
            is_calm,
            never_suits,
            has_ended: false,
            unsuited: 0,
            opens_first: false,
            was_cut_short: false,
            is_borrowed: false,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.phase != Phase::None
    }

    pub(super) fn give_back(&mut self) {
        assert!(self.is_held(), "given back twice");
        self.life += 1;
        self.phase = Phase::None;
        self.has_ended = false;
        self.running = None;
    }

    fn enter(&mut self, now: Instant, phase: Phase) {
        self.life += 1;
        self.phase = phase;
        self.since = now;
        self.running = None;
    }
}

impl World {
    /// No worker comes into a slot. That is a failure unless the session goes on without it.
    pub(super) fn tell_no_worker(&mut self, slot: SlotId) {
        if !self.workers[slot].is_borrowed {
            self.checks.tell_failure(slot);
        }
    }

    /// The session closes: workers that nothing waits for are not interrupted while they make their nodes.
    pub(super) fn leave_borrowed(&mut self) {
        for slot in 0..self.workers.len() {
            let worker = &mut self.workers[slot];
            if !worker.is_borrowed || worker.phase != Phase::Opening {
                continue;
            }
            worker.enter(self.now, Phase::Stopping);
            match self.dice.roll(4) {
                0 => {} // It hangs.
                1 => self.schedule_for(slot, 50, What::LinkEnds),
                2 => self.schedule_for(slot, 50, What::OpenFailed),
                _ => self.schedule_for(slot, 50, What::Opened),
            }
        }
    }

    pub(super) fn acquire(&mut self, slots: &[SlotId], is_borrowed: bool) {
        let delay = self.dice.roll(60);
        let is_calm = self.checks.is_calm;
        let (is_refused, is_forgotten) =
            (!is_calm && self.dice.chance(40), !is_calm && self.dice.chance(20));
        for slot in slots {
            assert!(!self.workers[*slot].is_held(), "slot {slot} has a worker");
            assert!(self.workers[*slot].unsuited <= 8, "slot {slot} tries for ever");
            let mut here = self.shapes.iter().filter(|shape| shape.slot == Some(*slot));
            self.workers[*slot].is_watched = here.any(|shape| shape.is_watched);
            self.workers[*slot].is_borrowed = is_borrowed;
            self.workers[*slot].enter(self.now, Phase::Requested);
            self.checks.requested += 1;
            if !is_forgotten {
                let what = if is_refused { What::Refused } else { What::Granted };
                self.schedule_for(*slot, delay, what);
            }
        }
    }

    pub(super) fn withdraw(&mut self, slot: SlotId) {
        if self.workers[slot].phase == Phase::Requested {
            self.checks.requested -= 1;
            self.workers[slot].give_back();
        }
    }

    pub(super) fn begin_opening(&mut self, slot: SlotId) {
        assert_eq!(self.workers[slot].phase, Phase::Held);
        let waits = |other: &Worker| other.opens_first && other.phase != Phase::Ready;
        let has_turn =
            self.is_up || self.workers[slot].opens_first || !self.workers.iter().any(waits);
        assert!(has_turn, "slot {slot} does not wait for those that open first");
        self.workers[slot].enter(self.now, Phase::Opening);
        let stages = (0..self.shapes.len()).filter(|id| self.shapes[*id].slot == Some(slot));
        let stages: Vec<StageId> = stages.collect();
        for stage in stages {
            self.schedule_for(slot, 10, What::Enters(stage, FaultKind::Load));
            self.schedule_for(slot, 15, What::Enters(stage, FaultKind::Initialize));
        }
        if self.workers[slot].is_calm {
            return self.schedule_for(slot, 20, What::Opened);
        }
        if self.workers[slot].never_suits {
            return self.schedule_for(slot, 20, What::Unsuited);
        }
        match self.dice.roll(100) {
            0..80 => self.schedule_for(slot, 80, What::Opened),
            80..86 => self.schedule_for(slot, 80, What::OpenFailed),
            86..90 => self.schedule_for(slot, 80, What::Unsuited),
            90..95 => self.schedule_for(slot, 80, What::LinkEnds),
            _ => {} // It hangs.
        }
    }

    pub(super) fn begin_call(&mut self, slot: SlotId, stage: StageId, work: Work<Mark>) {
        let worker = &mut self.workers[slot];
        assert_eq!(worker.phase, Phase::Ready, "one running call at a time in a slot");
        let call = Call { work, sent: 0, given: 0, is_suspended: false, is_kept: false };
        assert!(worker.calls.insert(stage, call).is_none());
        self.go_on(slot, stage);
    }

    pub(super) fn resume(&mut self, stage: StageId) {
        let Some(slot) = self.shapes[stage].slot else { panic!("a native stage has no window") };
        assert_eq!(self.workers[slot].phase, Phase::Ready, "one running call at a time in a slot");
        let call = self.workers[slot].calls.get_mut(&stage);
        let Some(call) = call.filter(|call| call.is_suspended) else { panic!("nothing to go on") };
        call.is_suspended = false;
        call.sent = 0;
        self.checks.resume(self.now, stage);
        self.go_on(slot, stage);
    }

    /// A suspended call ends, once its `finally` has run.
    pub(super) fn abort(&mut self, stage: StageId) {
        let Some(slot) = self.shapes[stage].slot else { panic!("a native stage has no window") };
        assert_eq!(self.workers[slot].phase, Phase::Ready, "one running call at a time in a slot");
        let Some(call) = self.workers[slot].calls.get_mut(&stage) else { panic!("nothing to end") };
        call.is_suspended = false;
        let is_kept = std::mem::take(&mut call.is_kept);
        let is_given_up = self.checks.abandoned > 0
            || self.checks.is_replica(stage)
            || self.checks.is_stream && self.checks.has_told_failure;
        assert!(is_kept || is_given_up, "a call that was not given up is ended");
        self.workers[slot].enter(self.now, Phase::Busy);
        self.enter_node(slot, stage, FaultKind::Process);
        self.schedule_for(slot, 10, What::Ends { stage, fails: false });
    }

    /// A failed call goes on at the node that failed.
    pub(super) fn retry(&mut self, stage: StageId) {
        self.checks.tries_now(self.now, stage);
        let Some(slot) = self.shapes[stage].slot else { panic!("a native stage is tried again") };
        assert_eq!(self.workers[slot].phase, Phase::Ready, "one running call at a time in a slot");
        let call = self.workers[slot].calls.get_mut(&stage).filter(|call| call.is_kept);
        let Some(call) = call else { panic!("no call is kept") };
        call.is_kept = false;
        self.go_on(slot, stage);
    }

    pub(super) fn try_later(&mut self, stage: StageId, at: Instant) {
        let slot = self.shapes[stage].slot;
        let kept = slot.and_then(|slot| self.workers[slot].calls.get(&stage));
        let kept = kept.filter(|call| call.is_kept).is_some();
        self.checks.try_later(self.now, stage, at, kept);
    }

    /// Goes on with a call: what it does next.
    fn go_on(&mut self, slot: SlotId, stage: StageId) {
        self.workers[slot].enter(self.now, Phase::Busy);
        self.enter_node(slot, stage, FaultKind::Process);
        let is_calm = self.workers[slot].is_calm;
        let more = self.outputs() > 0 && self.workers[slot].calls[&stage].given < 12;
        let speed = if is_calm { 10 } else { 1 + self.dice.roll(150) };
        let has_end = self.has_deadline(slot) || self.ends_at.is_some();
        let fate = self.dice.roll(if is_calm { 88 } else { 100 });
        match fate {
            0..88 if more => self.schedule_for(slot, speed, What::Output(stage)),
            0..88 => self.schedule_for(slot, speed, What::Ends { stage, fails: false }),
            88..92 => self.schedule_for(slot, speed, What::Ends { stage, fails: true }),
            _ if !is_calm && self.dice.chance(500) => {
                self.schedule_for(slot, speed, What::Fails(stage));
            }
            92..94 => self.schedule_for(slot, speed, What::Moves(stage)),
            94..97 => self.schedule_for(slot, speed, What::LinkEnds),
            _ if !has_end => self.schedule_for(slot, speed, What::LinkEnds),
            _ => return, // It hangs.
        }
        if !is_calm && self.dice.chance(300) {
            self.schedule_for(slot, speed, What::Enters(stage, FaultKind::Process));
        }
    }

    fn has_deadline(&self, slot: SlotId) -> bool {
        let running = self.workers[slot].running;
        running.is_some_and(|r| self.shapes[r.stage].timeouts[r.node].is_some())
    }

    fn enter_node(&mut self, slot: SlotId, stage: StageId, operation: FaultKind) {
        let node = self.dice.pick(self.shapes[stage].timeouts.len());
        let since = self.now;
        self.workers[slot].running = Some(Running { stage, node, operation, since });
        // In a calm world every time-out is long enough, by definition.
        if self.workers[slot].is_calm {
            self.workers[slot].running = None;
        }
    }

    /// Measures a worker, which may have exceeded a limit.
    pub(super) fn measure(&mut self, slot: SlotId) -> Vec<Event<Mark>> {
        Checks::measure(self.now, &self.workers[slot]);
        self.workers[slot].measured = Some(self.now);
        let has_exceeded = !self.workers[slot].is_calm && self.dice.chance(200);
        let excess = Excess { limit: Limit::MemoryHard, used: 2, allowed: 1 };
        has_exceeded.then_some(Event::Exceeded(slot, excess)).into_iter().collect()
    }

    pub(super) fn interrupt(&mut self, slot: SlotId) {
        let runs = |(_, call): &(&StageId, &Call)| !call.is_suspended && !call.is_kept;
        let stage = self.workers[slot].calls.iter().find(runs);
        let stage = stage.map(|(stage, _)| *stage);
        assert!(matches!(self.workers[slot].phase, Phase::Busy | Phase::Opening));
        let is_opening = self.workers[slot].phase == Phase::Opening;
        self.workers[slot].enter(self.now, Phase::Stopping);
        match (self.dice.roll(4), stage) {
            (0, _) => {} // It does not listen.
            (1, _) => self.schedule_for(slot, 50, What::LinkEnds),
            (_, Some(stage)) if !is_opening => {
                self.schedule_for(slot, 50, What::Ends { stage, fails: true });
            }
            (2, _) => self.schedule_for(slot, 50, What::OpenFailed),
            (_, _) => self.schedule_for(slot, 50, What::Opened),
        }
    }

    /// The caller has no use for the call any more: its node code is interrupted.
    pub(super) fn cut_short(&mut self, slot: SlotId, stage: StageId) {
        assert_eq!(self.workers[slot].phase, Phase::Busy, "what does not run is interrupted");
        let call = self.workers[slot].calls.get(&stage);
        let runs = call.is_some_and(|call| !call.is_suspended && !call.is_kept);
        assert!(runs, "the call of another stage is interrupted");
        let round = self.checks.round_of_call(stage);
        let is_dropped = round.is_none_or(|round| round < self.checks.abandoned);
        assert!(is_dropped, "a call that is wanted is interrupted");
        self.workers[slot].enter(self.now, Phase::Stopping);
        self.workers[slot].was_cut_short = true;
        match self.dice.roll(6) {
            0 => {} // It does not listen.
            1 => self.schedule_for(slot, 50, What::LinkEnds),
            2 => self.schedule_for(slot, 50, What::Fails(stage)),
            3 => self.schedule_for(slot, 50, What::Ends { stage, fails: false }),
            _ => self.schedule_for(slot, 50, What::Ends { stage, fails: true }),
        }
    }

    pub(super) fn begin_closing(&mut self, slot: SlotId) {
        assert_eq!(self.workers[slot].phase, Phase::Ready);
        self.workers[slot].calls.clear();
        self.workers[slot].enter(self.now, Phase::Closing);
        let stages: Vec<StageId> =
            (0..self.shapes.len()).filter(|id| self.shapes[*id].slot == Some(slot)).collect();
        for stage in stages {
            self.schedule_for(slot, 20, What::Enters(stage, FaultKind::Cleanup));
        }
        match self.dice.roll(if self.workers[slot].is_calm { 8 } else { 10 }) {
            0..8 => self.schedule_for(slot, 60, What::Closed),
            8 => self.schedule_for(slot, 60, What::LinkEnds),
            _ => {}
        }
    }

    pub(super) fn end_process(&mut self, slot: SlotId, within_ms: u64) {
        if self.workers[slot].phase != Phase::Dying {
            self.workers[slot].enter(self.now, Phase::Dying);
        }
        if self.dice.chance(900) {
            self.schedule_for(slot, within_ms, What::Exits);
        }
    }

    /// The worker of a slot is gone: it died, or is ended elsewhere.
    pub(super) fn lose(&mut self, slot: SlotId) -> Vec<Event<Mark>> {
        let mut events = Vec::new();
        for (stage, call) in std::mem::take(&mut self.workers[slot].calls) {
            self.checks.end_call(stage);
            self.checks.lost[stage] = Some(call.work.clone());
            // Fallback moves a stage whose worker died, before it gave anything.
            let may_move = call.given == 0 && !call.is_kept && !self.is_closing;
            if may_move && self.dice.chance(200) {
                let work = self.dice.chance(500).then_some(call.work);
                events.push(self.move_stage(stage, work));
            }
        }
        self.workers[slot].give_back();
        events.push(Event::Lost(slot));
        events
    }

    fn move_stage(&mut self, stage: StageId, work: Option<Work<Mark>>) -> Event<Mark> {
        let slot = self.workers.len();
        self.workers.push(Worker::new(false, false));
        self.shapes[stage].slot = Some(slot);
        self.checks.shapes[stage].slot = Some(slot);
        self.shapes[stage].state = StateLoss::Lost;
        self.checks.shapes[stage].state = StateLoss::Lost;
        // An item that is done again is taken twice.
        self.checks.has_failed = true;
        if work.is_none() {
            self.checks.note_failure();
        }
        Event::Moved { stage, slot, work }
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        let Happening { slot, life, what } = happening;
        if self.workers[slot].life != life {
            return;
        }
        match what {
            What::Granted => {
                self.checks.requested -= 1;
                self.workers[slot].enter(self.now, Phase::Held);
                self.feed(Event::Granted(slot));
            }
            What::Refused => {
                self.checks.requested -= 1;
                self.tell_no_worker(slot);
                self.workers[slot].give_back();
                self.feed(Event::Refused(slot));
            }
            What::Opened => {
                self.workers[slot].unsuited = 0;
                self.workers[slot].is_borrowed = false;
                self.workers[slot].enter(self.now, Phase::Ready);
                self.feed(Event::Opened(slot));
            }
            What::OpenFailed => {
                self.tell_no_worker(slot);
                self.workers[slot].give_back();
                self.feed(Event::OpenFailed(slot));
            }
            What::Unsuited => {
                self.workers[slot].unsuited += 1;
                self.workers[slot].give_back();
                self.feed(Event::Unsuited(slot));
            }
            What::Enters(stage, operation) => self.enter_node(slot, stage, operation),
            What::Output(stage) => self.give(slot, stage),
            What::Fails(stage) => self.fail_kept(slot, stage),
            What::Ends { stage, fails } => self.end(slot, stage, fails),
            What::Moves(stage) => {
                let call = self.end_call(slot, stage);
                let takes_along = call.given == 0 && self.dice.chance(700);
                let event = self.move_stage(stage, takes_along.then_some(call.work));
                self.feed(event);
            }
            What::LinkEnds => {
                self.workers[slot].enter(self.now, Phase::Dying);
                self.feed(Event::LinkEnded(slot));
                self.end_process(slot, 600);
            }
            What::Exits => {
                // What was read before, and comes too late.
                let called = self.workers[slot].calls.keys().next().copied();
                if let Some(stage) = called.filter(|_| self.dice.chance(300)) {
                    self.feed(Event::Output(stage, LATE));
                }
                self.workers[slot].has_ended = true;
                self.feed(Event::Exited(slot));
                assert_ne!(self.workers[slot].phase, Phase::Dying, "an end is not noticed");
            }
            What::Closed => {
                self.workers[slot].give_back();
                self.feed(Event::Closed(slot));
            }
        }
    }

    fn end(&mut self, slot: SlotId, stage: StageId, fails: bool) {
        self.end_call(slot, stage);
        if fails {
            self.checks.fails_for_good(stage);
        }
        self.feed(match fails {
            true => Event::Failed(stage, Failure::default()),
            false => Event::Done(stage),
        });
        let cleans_up = self.workers[slot].phase == Phase::Closing;
        assert!(!self.is_closing || cleans_up, "a call that was interrupted is not heard");
    }

    /// The node that runs fails, and the worker keeps the call there.
    fn fail_kept(&mut self, slot: SlotId, stage: StageId) {
        let node = self.workers[slot].running.map_or(0, |running| running.node);
        self.workers[slot].was_cut_short = false;
        self.workers[slot].enter(self.now, Phase::Ready);
        if let Some(call) = self.workers[slot].calls.get_mut(&stage) {
            call.is_kept = true;
        }
        let is_transient = self.dice.chance(800);
        self.checks.fails_at(stage, node, is_transient);
        self.feed(Event::Failed(stage, Failure { kept_at: Some(node), is_transient }));
    }

    fn give(&mut self, slot: SlotId, stage: StageId) {
        let value = self.make(stage);
        let window = self.bounds.window;
        let Some(call) = self.workers[slot].calls.get_mut(&stage) else { return };
        call.sent += 1;
        call.given += 1;
        if call.sent < window {
            self.go_on(slot, stage);
        } else {
            call.is_suspended = true;
            self.checks.suspend(self.now, stage);
            self.workers[slot].enter(self.now, Phase::Ready);
        }
        self.feed(Event::Output(stage, value));
    }

    fn end_call(&mut self, slot: SlotId, stage: StageId) -> Call {
        self.workers[slot].was_cut_short = false;
        self.workers[slot].enter(self.now, Phase::Ready);
        self.checks.end_call(stage);
        match self.workers[slot].calls.remove(&stage) {
            Some(call) => call,
            None => panic!("stage {stage} has no call"),
        }
    }
}
