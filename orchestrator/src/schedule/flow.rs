//! How items and rounds go through the stages of a session: along the edges, in order, with
//! back-pressure.

use super::edge::Entry;
use super::event::Action;
use super::stage::{Stage, Target};
use super::{Round, StageId, StageShape};

/// The stages of a session with the edges between them, and the rounds on their way.
#[derive(Debug)]
pub(super) struct Flow<T> {
    pub(super) stages: Vec<Stage<T>>,
    /// Items that may wait on one edge before the stage that produces them pauses.
    queue: usize,
    rounds_started: Round,
    rounds_done: Round,
}

impl<T: Clone> Flow<T> {
    pub(super) fn new(shapes: Vec<StageShape>, queue: usize) -> Self {
        let stages = shapes.into_iter().map(Stage::new).collect();
        Self { stages, queue, rounds_started: 0, rounds_done: 0 }
    }

    /// Number of rounds that have begun and are not complete.
    pub(super) fn open_rounds(&self) -> u64 {
        self.rounds_started - self.rounds_done
    }

    /// Whether the input queues of all root stages have room for another input.
    pub(super) fn wants_input(&self) -> bool {
        self.stages.iter().filter(|s| s.is_root()).all(|s| !s.is_full(0, self.queue))
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
            actions.push(Action::Deliver { stage, round, value });
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
}
