//! What must hold at every moment, and what has been seen so far.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipc_protocol::FaultKind;

use super::worker::{Phase, Worker};
use super::{LATE, Mark};
use crate::model::{Join, OnOpen};
use crate::placement::Part;
use crate::schedule::slots::MEASURE_EVERY;
use crate::schedule::{
    Blame, Bounds, Deadline, Overdue, Round, Running, SlotId, StageId, StageShape, StateLoss, Work,
};

pub(super) struct Checks {
    /// Nothing fails in this session, so nothing may be lost.
    pub(super) is_calm: bool,
    pub(super) has_failed: bool,
    pub(super) has_told_failure: bool,
    pub(super) is_closing: bool,
    /// Rounds that were given up.
    pub(super) abandoned: Round,
    /// Slots that wait for the pool.
    pub(super) requested: usize,
    pub(super) made: u64,
    bounds: Bounds,
    pub(super) shapes: Vec<StageShape>,
    rounds_done: Round,
    delivered_round: BTreeMap<StageId, Round>,
    /// The last value from each origin that reached each stage, or left each sink.
    last: BTreeMap<(usize, StageId), u64>,
    /// Values that each stage made, and that each took.
    made_by: Vec<u64>,
    taken_by: Vec<u64>,
    delivered_by: Vec<u64>,
    calls: Vec<bool>,
    /// Stages that have been flushed.
    flushed: Vec<bool>,
    /// The round of each value, where it is known: a source or a flush may be any.
    round_of: BTreeMap<u64, Round>,
    /// The first value of each stage's last call.
    taken: Vec<Option<Mark>>,
    /// The round of each stage's last call, and the last one that failed there.
    round_called: Vec<Option<Round>>,
    round_failed: Vec<Option<Round>>,
    /// The first failure ends all rounds that have begun.
    pub(super) stops_at_failure: bool,
    /// The caller gets round after round.
    pub(super) is_stream: bool,
    /// Rounds that the core has completed.
    decided: Round,
    /// Stages with failures of rounds that are to be told in their place, and those whose error is that of
    /// their worker.
    awaited: Vec<(StageId, Round)>,
    /// The last round in which the loss of a worker was told.
    lost_in: Option<Round>,
    attributed: Vec<StageId>,
    /// When each round began.
    pub(super) fed: Vec<Instant>,
    tries: Vec<Tries>,
    /// The work of each stage's last call that was lost with its worker.
    pub(super) lost: Vec<Option<Work<Mark>>>,
    breakers: Vec<Breaking>,
    /// The value that each output of a replica comes from; and the last of these that reached each place.
    cause: BTreeMap<u64, Mark>,
    last_cause: BTreeMap<(StageId, StageId, usize), u64>,
}

/// What a stage has tried.
#[derive(Default, Clone, Copy)]
struct Tries {
    /// When the item was begun that it works on.
    began: Option<Instant>,
    /// Failures in a row at one node; `None`: of its worker.
    node: Option<usize>,
    failures: u32,
    is_transient: bool,
    /// When the next try begins.
    at: Option<Instant>,
    /// Since when the call is suspended, which does not count.
    suspended: Option<Instant>,
    is_repeated: bool,
    /// The failure of the last call was told.
    has_failed: bool,
}

#[derive(Default, Clone, Copy)]
struct Breaking {
    /// Failures that were told of this stage since its last success; and those that may count.
    own: u32,
    most: u32,
    open_until: Option<Instant>,
    /// The same of its last opening, also once it is closed.
    was_open_until: Option<Instant>,
}

impl Checks {
    pub(super) fn new(shapes: &[StageShape], bounds: Bounds, is_calm: bool) -> Self {
        Self {
            is_calm,
            has_failed: false,
            has_told_failure: false,
            is_closing: false,
            abandoned: 0,
            requested: 0,
            made: 0,
            bounds,
            shapes: shapes.to_vec(),
            rounds_done: 0,
            delivered_round: BTreeMap::new(),
            last: BTreeMap::new(),
            made_by: vec![0; shapes.len()],
            taken_by: vec![0; shapes.len()],
            delivered_by: vec![0; shapes.len()],
            calls: vec![false; shapes.len()],
            flushed: vec![false; shapes.len()],
            round_of: BTreeMap::new(),
            taken: vec![None; shapes.len()],
            round_called: vec![None; shapes.len()],
            round_failed: vec![None; shapes.len()],
            stops_at_failure: false,
            is_stream: false,
            decided: 0,
            awaited: Vec::new(),
            lost_in: None,
            attributed: Vec::new(),
            fed: Vec::new(),
            tries: vec![Tries::default(); shapes.len()],
            lost: vec![None; shapes.len()],
            breakers: vec![Breaking::default(); shapes.len()],
            cause: BTreeMap::new(),
            last_cause: BTreeMap::new(),
        }
    }

    /// Whether a stage is one of several replicas of a node.
    pub(super) fn is_replica(&self, stage: StageId) -> bool {
        self.shapes[stage].part != Part::Whole
    }

    /// The stage that stands for all replicas of its node.
    fn first_of(&self, stage: StageId) -> StageId {
        match self.shapes[stage].part {
            Part::Further { first } => first,
            Part::Whole | Part::First { .. } => stage,
        }
    }

    /// Whether items keep their order, and with them rounds.
    fn is_ordered(&self) -> bool {
        let is_free =
            |shape: &StageShape| matches!(shape.part, Part::First { is_ordered: false, .. });
        !self.shapes.iter().any(is_free)
    }

    pub(super) fn tell_failure(&mut self, slot: SlotId) {
        self.count_loss(slot);
        self.note_failure();
    }

    /// Any stage of a worker that is lost may have been at work.
    fn count_loss(&mut self, slot: SlotId) {
        for (shape, breaker) in self.shapes.iter().zip(&mut self.breakers) {
            breaker.most += u32::from(shape.slot == Some(slot));
        }
    }

    /// The core has decided to report a failure. From here on its rounds may be given up.
    pub(super) fn begin_to_tell(&mut self, blame: Blame) {
        if let Blame::Stage(stage) = blame {
            assert!(!self.is_given_up(stage), "reported a failure of a round that was given up");
            self.end_round_at(stage);
        } else {
            // With the call that was lost, if there was one, its round ends.
            self.lost_in = Some(self.decided);
        }
        self.note_failure();
    }

    /// The caller gets an error about a round: in a stream only in its place, and nothing of the round follows.
    pub(super) fn end_round_at(&mut self, stage: StageId) {
        if self.is_stream {
            let round = self.round_called[stage].filter(|_| self.calls_in(stage));
            assert!(round.is_none_or(|round| round == self.decided), "{round:?} comes too early");
            self.abandoned = self.abandoned.max(self.decided + 1);
        }
    }

    /// Whether the failure of a stage is that of its last call.
    fn calls_in(&self, stage: StageId) -> bool {
        self.awaited.iter().any(|(failed, _)| *failed == stage)
    }

    /// A call has failed: if it is not tried again, that must be told until its round is complete.
    pub(super) fn await_error(&mut self, stage: StageId) {
        if let Some(round) = self.round_called[stage].filter(|_| self.expects_answer(stage)) {
            self.awaited.push((stage, round));
        }
        // Breakers count it now, though it may be told later.
        self.breakers[stage].most += 1;
    }

    /// The loss of a worker is the failure of this stage, which the caller gets later.
    pub(super) fn attribute(&mut self, slot: SlotId, stage: StageId) {
        self.attributed.push(stage);
        self.count_loss(slot);
    }

    /// A round is complete, and with it what was to be told about it.
    pub(super) fn errors_are_told(&mut self, round: Round) {
        self.decided = round + 1;
        let is_told = round < self.abandoned || self.lost_in == Some(round);
        let is_lost = self.awaited.iter().any(|(_, failed)| *failed == round);
        assert!(is_told || !is_lost || self.is_closing, "an error of round {round} is not told");
        self.awaited.retain(|(_, failed)| *failed > round);
    }

    /// The slot whose loss the error of a stage is about.
    pub(super) fn take_attributed(&mut self, stage: StageId) -> Option<SlotId> {
        let at = self.attributed.iter().position(|other| *other == stage)?;
        self.attributed.swap_remove(at);
        self.shapes[stage].slot
    }

    /// In a stream as many rounds are open as keep all replicas at work.
    pub(super) fn is_bounded(&self, open: Round) {
        let further = |shape: &StageShape| match &shape.part {
            Part::First { further, .. } => further.len() as u64,
            _ => 0,
        };
        let width = 1 + self.shapes.iter().map(further).max().unwrap_or(0);
        assert!(!self.is_stream || open <= 2 * width, "{open} rounds are open");
    }

    /// The core reports a failure to the caller.
    pub(super) fn note_failure(&mut self) {
        self.has_failed = true;
        self.has_told_failure = true;
        if self.stops_at_failure {
            self.abandoned = self.fed.len() as Round;
        }
    }

    pub(super) fn feed(&mut self, number: u64, round: Round) {
        self.round_of.insert(number, round);
    }

    pub(super) fn make(&mut self, stage: StageId, number: u64) {
        self.made += 1;
        let first = self.first_of(stage);
        self.made_by[first] += 1;
        self.cause.extend(self.taken[stage].map(|value| (number, value)));
        if let Some(round) = self.round_called[stage] {
            self.round_of.insert(number, round);
        }
    }

    /// The core reports a failure of a stage, which was tried `tries` times.
    pub(super) fn fail(&mut self, now: Instant, stage: StageId, tries: u32) {
        let Tries { node, failures, is_transient, .. } = self.tries[stage];
        if let Some(node) = node {
            assert_eq!(tries, failures, "tries of stage {stage}");
            let retry = self.shapes[stage].retries[node].filter(|_| is_transient);
            let next = retry.filter(|retry| failures <= retry.limit);
            let next = next.and_then(|retry| retry.delay_after(failures)).map(|delay| now + delay);
            let due = self.due(stage);
            let waits_too_long =
                self.tries[stage].at.is_some() && due.is_some_and(|due| due <= now);
            let may_go_on =
                !waits_too_long && next.is_some_and(|next| due.is_none_or(|due| next < due));
            let has_failed = self.round_failed[self.first_of(stage)] == self.round_called[stage];
            assert!(!may_go_on || has_failed, "stage {stage} is not tried again");
        }
        self.tries[stage].has_failed = true;
        self.breakers[stage].own += 1;
        self.breakers[stage].most += 1;
        let first = self.first_of(stage);
        self.round_failed[first] = self.round_called[stage];
        self.note_failure();
    }

    /// The round of a stage's last call, where it is known.
    pub(super) fn round_of_call(&self, stage: StageId) -> Option<Round> {
        self.round_called[stage]
    }

    fn is_given_up(&self, stage: StageId) -> bool {
        self.round_called[stage].is_some_and(|round| round < self.abandoned)
    }

    /// Whether a failure of the stage must be reported or tried again.
    pub(super) fn expects_answer(&self, stage: StageId) -> bool {
        !self.is_closing && self.round_called[stage].is_some() && !self.is_given_up(stage)
    }

    fn due(&self, stage: StageId) -> Option<Instant> {
        Some(self.tries[stage].began? + self.shapes[stage].deadline?)
    }

    /// A call fails, and the worker has not kept it.
    pub(super) fn fails_for_good(&mut self, stage: StageId) {
        self.tries[stage].node = None;
    }

    pub(super) fn suspend(&mut self, now: Instant, stage: StageId) {
        self.tries[stage].suspended = Some(now);
    }

    pub(super) fn resume(&mut self, now: Instant, stage: StageId) {
        let tries = &mut self.tries[stage];
        let since = tries.suspended.take().unwrap_or(now);
        tries.began = tries.began.map(|began| began + (now - since));
    }

    /// A node fails, and the worker keeps the call.
    pub(super) fn fails_at(&mut self, stage: StageId, node: usize, is_transient: bool) {
        let tries = &mut self.tries[stage];
        if tries.node != Some(node) {
            (tries.node, tries.failures) = (Some(node), 0);
        }
        tries.failures += 1;
        tries.is_transient = is_transient;
    }

    /// A failed call is to be tried again: at a node, or, with its worker lost, from the beginning.
    pub(super) fn try_later(&mut self, now: Instant, stage: StageId, at: Instant, is_kept: bool) {
        assert!(!self.is_closing, "a try after the end");
        let due = self.due(stage);
        let is_awaited = |(failed, _): &(StageId, Round)| *failed == stage;
        if let Some(at) = self.awaited.iter().rposition(is_awaited) {
            self.awaited.remove(at);
        }
        let shape = &self.shapes[stage];
        let tries = &mut self.tries[stage];
        let retry = if is_kept {
            assert!(tries.is_transient, "what will not pass is tried again");
            tries.node.and_then(|node| shape.retries[node])
        } else {
            if tries.node.take().is_some() {
                tries.failures = 0;
            }
            tries.failures += 1;
            tries.is_repeated = true;
            self.calls[stage] = false;
            let here = self.shapes.iter().filter(|other| other.slot == shape.slot);
            let is_stateless = here.clone().all(|other| other.state == StateLoss::Stateless);
            assert!(is_stateless, "stage {stage} is repeated although state was lost");
            shape.repeats
        };
        let Some(retry) = retry else { panic!("stage {stage} is tried again unasked") };
        assert!(tries.failures <= retry.limit, "stage {stage} is tried too often");
        assert_eq!(Some(at - now), retry.delay_after(tries.failures), "the wait of stage {stage}");
        assert!(due.is_none_or(|due| at < due), "a try of stage {stage} after its deadline");
        tries.at = Some(at);
    }

    /// A call goes on at the node that failed.
    pub(super) fn tries_now(&mut self, now: Instant, stage: StageId) {
        let at = self.tries[stage].at.take();
        assert!(at.is_some_and(|at| at <= now), "stage {stage} is tried again too early");
    }

    pub(super) fn succeed(&mut self, stage: StageId) {
        // The end of a call that was aborted or given up is no success.
        if self.tries[stage].has_failed || self.is_given_up(stage) {
            return;
        }
        self.breakers[stage].own = 0;
        // The round of a flush is not known. It may have been given up, as may that in which a worker was lost.
        let round = self.round_called[stage];
        if !round.map_or(self.abandoned > 0, |round| self.lost_in == Some(round)) {
            self.breakers[stage].most = 0;
        }
    }

    pub(super) fn breaker(&mut self, now: Instant, stage: StageId, is_open: bool) {
        let Some(rule) = self.shapes[stage].breaker else { panic!("stage {stage} has no breaker") };
        let breaker = &mut self.breakers[stage];
        if is_open {
            assert!(breaker.most >= rule.failures, "a breaker opens after {}", breaker.most);
        } else {
            assert!(breaker.open_until.is_some(), "a breaker closes that is not open");
        }
        breaker.open_until = is_open.then_some(now + rule.pause);
        breaker.was_open_until = breaker.open_until.or(breaker.was_open_until);
    }

    pub(super) fn skip(&self, now: Instant, stage: StageId, on_open: OnOpen) {
        let Breaking { open_until, was_open_until, .. } = self.breakers[stage];
        // An error may wait for the rounds before its own; it was open when the item came, or later.
        let round_began = self.fed.get(usize::try_from(self.rounds_done).expect("a small number"));
        let is_asked = match on_open {
            OnOpen::Error => was_open_until.zip(round_began).is_some_and(|(until, at)| *at < until),
            OnOpen::Drop | OnOpen::Pass => open_until.is_some_and(|until| now < until),
        };
        assert!(is_asked, "stage {stage} is skipped unasked");
    }

    pub(super) fn call(&mut self, now: Instant, stage: StageId, work: &Work<Mark>) {
        let Breaking { own, open_until, .. } = self.breakers[stage];
        assert!(open_until.is_none_or(|until| until <= now), "stage {stage} is to be skipped");
        let limit = self.shapes[stage].breaker.map_or(u32::MAX, |breaker| breaker.failures);
        assert!(own < limit || open_until.is_some(), "{own} failures, and no breaker opens");
        let is_same = self.lost[stage].take().as_ref() == Some(work);
        if std::mem::take(&mut self.tries[stage].is_repeated) && is_same {
            self.tries_now(now, stage);
            let (Work::Item(_) | Work::Zip(_)) = work else { return self.begin(stage) };
            let count = if let Work::Zip(values) = work { values.len() } else { 1 };
            let first = self.first_of(stage);
            self.taken_by[first] -= count as u64;
        } else {
            self.tries[stage] = Tries { began: Some(now), ..Tries::default() };
        }
        self.take(stage, work);
    }

    fn begin(&mut self, stage: StageId) {
        assert!(!std::mem::replace(&mut self.calls[stage], true), "two calls of stage {stage}");
    }

    fn take(&mut self, stage: StageId, work: &Work<Mark>) {
        self.begin(stage);
        let values: &[Mark] = match work {
            Work::Item(value) => &[*value],
            Work::Zip(values) => values,
            Work::Start | Work::Flush => &[],
        };
        if *work == Work::Flush {
            assert!(self.shapes[stage].flushes, "stage {stage} is flushed, and has no flush");
            let first = self.first_of(stage);
            self.flushed[first] = true;
        }
        let is_zip = self.shapes[stage].join == Join::Zip && self.shapes[stage].inputs > 1;
        assert!(!is_zip || values.is_empty() || values.len() == self.shapes[stage].inputs);
        let round = values.first().and_then(|(_, number)| self.round_of.get(number)).copied();
        let first = self.first_of(stage);
        let goes_on = round.is_some() && round == self.round_failed[first];
        assert!(!goes_on, "stage {stage} goes on with {round:?}, which failed there");
        self.round_called[stage] = round;
        self.taken[stage] = values.first().copied();
        for value in values {
            self.taken_by[first] += 1;
            self.in_order(*value, stage);
        }
    }

    /// Whether a skipped node may pass a value on, which then comes to a place on two ways.
    fn may_pass(&self) -> bool {
        let passes = |shape: &StageShape| shape.breaker.is_some_and(|b| b.on_open == OnOpen::Pass);
        self.shapes.iter().any(passes)
    }

    pub(super) fn is_wanted(&self, round: Round) {
        assert!(self.abandoned <= round, "an output of round {round}, which was given up");
    }

    pub(super) fn go_on(&self, stage: StageId) {
        let round = self.round_called[stage];
        let is_wanted = round.is_none_or(|round| self.abandoned <= round);
        assert!(is_wanted, "stage {stage} goes on with {round:?}, which was given up");
    }

    pub(super) fn end_call(&mut self, stage: StageId) {
        self.calls[stage] = false;
    }

    /// Values of one origin reach a place in the order in which they were made; one that is done
    /// again on another slot is the same.
    fn in_order(&mut self, (origin, number): Mark, place: StageId) {
        assert_ne!((origin, number), LATE, "what a dead worker said");
        self.in_order_of_items((origin, number), place);
        let last = self.last.insert((origin, place), number).unwrap_or(0);
        assert!(
            last <= number || self.may_pass(),
            "{number} of {origin} came to {place} after {last}"
        );
    }

    /// What replicas give comes in the order of what they took.
    fn in_order_of_items(&mut self, (origin, number): Mark, place: StageId) {
        if origin >= self.shapes.len() || !self.is_replica(origin) || !self.is_ordered() {
            return;
        }
        let (first, to) = (self.first_of(origin), place);
        let Some((from, cause)) = self.cause.get(&number).copied() else { return };
        let last = self.last_cause.insert((first, to, from), cause).unwrap_or(0);
        let is_kept = last <= cause || self.may_pass() || self.has_failed;
        assert!(is_kept, "what {first} made of {cause} came to {to} after that of {last}");
    }

    pub(super) fn deliver(&mut self, stage: StageId, round: Round, value: Mark) {
        assert_ne!(value, LATE, "what a dead worker said");
        assert!(!self.is_closing, "an output after the end");
        assert!(self.rounds_done <= round, "an output of round {round}, which is over");
        let of_value = self.round_of.get(&value.1).copied().unwrap_or(round);
        let is_same = of_value == round || !self.is_ordered() && !self.is_stream;
        assert!(is_same, "an output of round {of_value} in round {round}");
        let is_next = round == self.rounds_done;
        assert!(is_next || !self.is_stream, "round {round} comes before {}", self.rounds_done);
        let before = self.delivered_round.insert(stage, round).unwrap_or(0);
        assert!(before <= round, "sink {stage} gave round {round} after {before}");
        self.in_order_of_items(value, usize::MAX - 1 - stage);
        let last = self.last.insert((value.0, usize::MAX - 1 - stage), value.1).unwrap_or(0);
        assert!(last < value.1 || self.may_pass(), "{value:?} was delivered after {last}");
        self.delivered_by[stage] += 1;
    }

    pub(super) fn round_done(&mut self, round: Round) {
        assert_eq!(round, self.rounds_done, "rounds end once and in order");
        self.rounds_done += 1;
    }

    pub(super) fn all_rounds_are_done(&self, fed: u64) {
        assert_eq!(self.rounds_done, fed, "every input is answered");
        if self.has_failed {
            return;
        }
        let whole = |(stage, _): &(StageId, &StageShape)| self.first_of(*stage) == *stage;
        for (stage, shape) in self.shapes.iter().enumerate().filter(whole) {
            assert_eq!(self.flushed[stage], shape.flushes, "stage {stage} is flushed in the end");
            if shape.outputs.is_empty() {
                assert_eq!(self.delivered_by[stage], self.made_by[stage], "sink {stage} lost some");
            }
            let above = self.shapes.iter().enumerate();
            let above = above.filter(|(_, from)| from.outputs.iter().any(|to| to.stage == stage));
            let made: u64 = above.map(|(from, _)| self.made_by[from]).sum();
            if shape.inputs > 0 && shape.join == Join::Interleave {
                assert_eq!(self.taken_by[stage], made, "stage {stage} lost some");
            }
        }
    }

    /// A worker is ended only for a deadline that has passed, and at once.
    pub(super) fn is_overdue(
        &self,
        now: Instant,
        shapes: &[StageShape],
        worker: &Worker,
        overdue: Overdue,
    ) {
        let due = match overdue.deadline {
            Deadline::Item => {
                worker.running.and_then(|running| self.due(running.stage)).unwrap_or(now)
            }
            Deadline::Open => worker.since + self.bounds.times.open_timeout,
            Deadline::Close => worker.since + self.bounds.times.close_timeout,
            // It is ended as soon as it has been measured.
            Deadline::Limit(_) => worker.measured.unwrap_or(worker.since),
            Deadline::Node => {
                let running = worker.running.or(overdue.running);
                let limit = running.and_then(|running| limit(shapes, running));
                running.map_or(now, |r| r.since) + limit.unwrap_or(overdue.limit)
            }
        };
        assert_eq!(due, now, "{overdue:?}");
    }

    /// A worker is measured only where it has limits, while node code runs, and not too often.
    pub(super) fn measure(now: Instant, worker: &Worker) {
        assert!(worker.is_watched && worker.is_held(), "{:?} is measured", worker.phase);
        let is_rare = worker.measured.is_none_or(|last| last + MEASURE_EVERY <= now);
        assert!(is_rare, "measured too often at {now:?}");
    }

    /// A worker with limits is measured again and again while its node code runs.
    fn is_measured(now: Instant, worker: &Worker) {
        let runs =
            matches!(worker.phase, Phase::Opening | Phase::Busy | Phase::Stopping | Phase::Closing);
        let last = worker.measured.unwrap_or(worker.since).max(worker.since);
        let is_late = runs && worker.is_watched && last + MEASURE_EVERY < now;
        assert!(!is_late, "{:?} is not measured at {now:?}", worker.phase);
    }

    /// Whatever runs too long has been noticed.
    pub(super) fn no_deadline_has_passed(
        &self,
        now: Instant,
        shapes: &[StageShape],
        workers: &[Worker],
    ) {
        for worker in workers {
            Self::is_measured(now, worker);
            let total = match worker.phase {
                Phase::Requested => Some(self.bounds.times.acquire_timeout),
                Phase::Opening => Some(self.bounds.times.open_timeout),
                Phase::Closing | Phase::Stopping => Some(self.bounds.times.close_timeout),
                // The kill, and what is given up then.
                Phase::Dying => Some(Duration::from_millis(500 + 500)),
                _ => None,
            };
            assert!(
                total.is_none_or(|total| now <= worker.since + total),
                "{:?} since {:?}",
                worker.phase,
                now - worker.since
            );
            let counts = |running: &Running| match worker.phase {
                Phase::Opening => running.operation == FaultKind::Initialize,
                Phase::Busy | Phase::Closing => true,
                _ => false,
            };
            if let Some(running) = worker.running.filter(counts) {
                let limit = limit(shapes, running);
                assert!(limit.is_none_or(|limit| now <= running.since + limit), "{running:?}");
            }
        }
    }
}

fn limit(shapes: &[StageShape], running: Running) -> Option<Duration> {
    shapes[running.stage].timeouts[running.node]
}
