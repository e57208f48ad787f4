//! What must hold at every moment, and what has been seen so far.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipc_protocol::FaultKind;

use super::worker::{Phase, Worker};
use super::{LATE, Mark};
use crate::model::Join;
use crate::schedule::slots::MEASURE_EVERY;
use crate::schedule::{
    Bounds, Deadline, Overdue, Round, Running, SlotId, StageId, StageShape, Work,
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
    shapes: Vec<StageShape>,
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
    /// The round of each stage's last call, and the last one that failed there.
    round_called: Vec<Option<Round>>,
    round_failed: Vec<Option<Round>>,
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
            round_called: vec![None; shapes.len()],
            round_failed: vec![None; shapes.len()],
        }
    }

    pub(super) fn tell_failure(&mut self, _slot: SlotId) {
        self.has_failed = true;
        self.has_told_failure = true;
    }

    pub(super) fn feed(&mut self, number: u64, round: Round) {
        self.round_of.insert(number, round);
    }

    pub(super) fn make(&mut self, stage: StageId, number: u64) {
        self.made += 1;
        self.made_by[stage] += 1;
        if let Some(round) = self.round_called[stage] {
            self.round_of.insert(number, round);
        }
    }

    pub(super) fn fail(&mut self, stage: StageId) {
        self.has_failed = true;
        self.round_failed[stage] = self.round_called[stage];
    }

    pub(super) fn call(&mut self, stage: StageId, work: &Work<Mark>) {
        assert!(!std::mem::replace(&mut self.calls[stage], true), "two calls of stage {stage}");
        let values: &[Mark] = match work {
            Work::Item(value) => &[*value],
            Work::Zip(values) => values,
            Work::Start | Work::Flush => &[],
        };
        if *work == Work::Flush {
            assert!(self.shapes[stage].flushes, "stage {stage} is flushed, and has no flush");
            self.flushed[stage] = true;
        }
        let is_zip = self.shapes[stage].join == Join::Zip && self.shapes[stage].inputs > 1;
        assert!(!is_zip || values.is_empty() || values.len() == self.shapes[stage].inputs);
        let round = values.first().and_then(|(_, number)| self.round_of.get(number)).copied();
        let goes_on = round.is_some() && round == self.round_failed[stage];
        assert!(!goes_on, "stage {stage} goes on with {round:?}, which failed there");
        self.round_called[stage] = round;
        for value in values {
            self.taken_by[stage] += 1;
            self.in_order(*value, stage);
        }
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
        let last = self.last.insert((origin, place), number).unwrap_or(0);
        assert!(last <= number, "{number} of {origin} came to {place} after {last}");
    }

    pub(super) fn deliver(&mut self, stage: StageId, round: Round, value: Mark) {
        assert_ne!(value, LATE, "what a dead worker said");
        assert!(!self.is_closing, "an output after the end");
        assert!(self.rounds_done <= round, "an output of round {round}, which is over");
        assert!(self.abandoned <= round, "an output of round {round}, which was given up");
        let of_value = self.round_of.get(&value.1).copied().unwrap_or(round);
        assert_eq!(of_value, round, "an output in another round than its input");
        let before = self.delivered_round.insert(stage, round).unwrap_or(0);
        assert!(before <= round, "sink {stage} gave round {round} after {before}");
        let last = self.last.insert((value.0, usize::MAX - 1 - stage), value.1).unwrap_or(0);
        assert!(last < value.1, "{value:?} was delivered after {last}");
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
        for (stage, shape) in self.shapes.iter().enumerate() {
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
            Deadline::Open => worker.since + self.bounds.open_timeout,
            Deadline::Close => worker.since + self.bounds.close_timeout,
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
                Phase::Requested => Some(self.bounds.acquire_timeout),
                Phase::Opening => Some(self.bounds.open_timeout),
                Phase::Closing | Phase::Stopping => Some(self.bounds.close_timeout),
                // The stack, the kill, and what is given up then.
                Phase::Dying => Some(Duration::from_millis(250 + 500 + 500)),
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
