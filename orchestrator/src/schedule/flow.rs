//! How items and rounds go through the stages of a session: along the edges, in order, with
//! back-pressure.

use std::time::Instant;

use super::edge::Entry;
use super::event::Action;
use super::stage::{Stage, Target, Work};
use super::{Round, StageId, StageShape};
use crate::model::OnOpen;

/// The stages of a session with the edges between them, and the rounds on their way.
#[derive(Debug)]
pub(super) struct Flow<T> {
    pub(super) stages: Vec<Stage<T>>,
    /// Items that may wait on one edge before the stage that produces them pauses.
    queue: usize,
    rounds_started: Round,
    rounds_done: Round,
    /// Outputs of the rounds before this one come too late.
    late_before: Round,
    /// Whether the first failure abandons all rounds.
    pub(super) stops_at_failure: bool,
}

impl<T: Clone> Flow<T> {
    pub(super) fn new(shapes: Vec<StageShape>, queue: usize) -> Self {
        let stages = shapes.into_iter().map(Stage::new).collect();
        Self {
            stages,
            queue,
            rounds_started: 0,
            rounds_done: 0,
            late_before: 0,
            stops_at_failure: false,
        }
    }

    /// Number of rounds that have begun and are not complete.
    pub(super) fn open_rounds(&self) -> u64 {
        self.rounds_started - self.rounds_done
    }

    /// Whether the input queues of all root stages have room for another input.
    pub(super) fn wants_input(&self) -> bool {
        self.stages.iter().filter(|s| s.is_root()).all(|s| !s.is_full(0, self.queue))
    }

    /// Drops further outputs of all rounds that have begun.
    pub(super) fn drop_outputs(&mut self) {
        self.late_before = self.rounds_started;
    }

    /// Skips the rest of all rounds that have begun.
    pub(super) fn abandon(&mut self) {
        let begun = self.rounds_started;
        self.stages.iter_mut().for_each(|stage| stage.skip_before = begun);
    }

    pub(super) fn begin_round(&mut self, item: Option<T>, flush: bool) {
        let first = self.rounds_started == 0;
        self.rounds_started += 1;
        for stage in self.stages.iter_mut().filter(|s| s.is_root()) {
            match &item {
                _ if flush => {}
                None => stage.inputs[0].push(Entry::Start),
                Some(_) if stage.shape.is_source => {
                    if first {
                        stage.inputs[0].push(Entry::Start);
                    }
                }
                Some(item) => stage.inputs[0].push(Entry::Item(item.clone())),
            }
            stage.inputs[0].push(Entry::Mark { flush });
        }
    }

    /// Passes an output of a stage to the stages below it, or to the caller.
    pub(super) fn pass_on(&mut self, stage: StageId, value: T, actions: &mut Vec<Action<T>>) {
        if self.stages[stage].is_skipping() {
            return;
        }
        let round = self.stages[stage].round;
        let Some(others) = self.stages[stage].shape.outputs.len().checked_sub(1) else {
            if self.late_before <= round {
                actions.push(Action::Deliver { stage, round, value });
            }
            return;
        };
        for index in 0..others {
            self.push_below(stage, index, Entry::Item(value.clone()));
        }
        self.push_below(stage, others, Entry::Item(value));
    }

    /// Puts an entry on one of a stage's outgoing edges.
    fn push_below(&mut self, stage: StageId, output: usize, entry: Entry<T>) {
        let target = self.stages[stage].shape.outputs[output];
        self.stages[target.stage].inputs[target.input].push(entry);
    }

    /// Passes the marks of rounds that the stage has completed to the stages below it. Returns
    /// whether there were any.
    pub(super) fn pass_marks(&mut self, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        let mut moved = false;
        while let Some(flush) = self.stages[id].take_mark() {
            moved = true;
            for output in 0..self.stages[id].shape.outputs.len() {
                self.push_below(id, output, Entry::Mark { flush });
            }
        }
        if moved {
            self.close_rounds(actions);
        }
        moved
    }

    fn close_rounds(&mut self, actions: &mut Vec<Action<T>>) {
        let sinks = self.stages.iter().filter(|s| s.shape.outputs.is_empty());
        let done = sinks.map(|s| s.round).min().unwrap_or(self.rounds_started);
        for round in self.rounds_done..done {
            actions.push(Action::RoundDone(round));
        }
        self.rounds_done = done;
    }

    pub(super) fn is_blocked_below(&self, id: StageId) -> bool {
        let full = |target: &Target| self.stages[target.stage].is_full(target.input, self.queue);
        self.stages[id].shape.outputs.iter().any(full)
    }

    /// Counts a failed item for the stage's breaker.
    pub(super) fn count_failure(
        &mut self,
        now: Instant,
        id: StageId,
        actions: &mut Vec<Action<T>>,
    ) {
        let stage = &mut self.stages[id];
        if let Some(breaker) = stage.shape.breaker
            && stage.breaker.fail(now, breaker)
        {
            actions.push(Action::Breaker(id, true));
        }
    }

    /// When failed calls will be tried again, or are given up: one whose time has come waits for its
    /// slot, at most until it is due.
    pub(super) fn tries(&self, now: Instant) -> impl Iterator<Item = Instant> {
        self.stages.iter().filter_map(move |stage| {
            let at = stage.waits_until()?;
            if now < at { Some(at) } else { stage.due(now).filter(|due| now < *due) }
        })
    }

    /// Stages get no worker: what waits for one is skipped.
    pub(super) fn give_up(&mut self, now: Instant, stages: &[StageId]) {
        for id in stages {
            let stage = &mut self.stages[*id];
            if stage.waits_until().is_some() || stage.has_work(now) {
                stage.skip_round();
            }
        }
        self.note_failure();
    }

    /// The caller gets an error.
    pub(super) fn note_failure(&mut self) {
        if self.stops_at_failure {
            self.abandon();
        }
    }

    /// One input of a zip join has fewer items than the others: the rest of the round is dropped.
    pub(super) fn tell_uneven(&mut self, id: StageId, actions: &mut Vec<Action<T>>) {
        self.stages[id].skip_round();
        actions.push(Action::Uneven(id));
        self.note_failure();
    }

    /// Skips the next work of a stage whose breaker is open.
    pub(super) fn skip(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) {
        let Some(work) = self.stages[id].next_work(now) else {
            return self.tell_uneven(id, actions);
        };
        self.stages[id].end_call();
        let Some(breaker) = self.stages[id].shape.breaker else { return };
        let (values, is_flush) = match work {
            Work::Item(value) => (vec![value], false),
            Work::Zip(values) => (values, false),
            Work::Flush => (Vec::new(), true),
            Work::Start => (Vec::new(), false),
        };
        match breaker.on_open {
            OnOpen::Error if !is_flush => {
                self.stages[id].skip_round();
                self.note_failure();
            }
            OnOpen::Pass => values.into_iter().for_each(|value| self.pass_on(id, value, actions)),
            OnOpen::Error | OnOpen::Drop => {}
        }
        if !is_flush {
            actions.push(Action::Skipped(id, breaker.on_open));
        }
    }
}
