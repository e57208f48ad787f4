//! How items and rounds go through the stages of a session: along the edges, in order, with
//! back-pressure.

use std::collections::BTreeMap;
use std::time::Instant;

use super::edge::Entry;
use super::event::Action;
use super::gate::Gate;
use super::order::Given;
use super::stage::{Stage, Target, Work};
use super::{Round, StageId, StageShape};
use crate::model::OnOpen;
use crate::placement::Part;

/// The stages of a session with the edges between them, and the rounds on their way.
#[derive(Debug)]
pub(super) struct Flow<T> {
    pub(super) stages: Vec<Stage<T>>,
    /// What replicas of one node have in common, by the stage of the first.
    pub(super) gates: BTreeMap<StageId, Gate<T>>,
    /// Items that may wait on one edge before the stage that produces them pauses.
    queue: usize,
    pub(super) rounds_started: Round,
    pub(super) rounds_done: Round,
    /// Outputs of the rounds before this one come too late.
    late_before: Round,
    /// Whether the first failure abandons all rounds.
    pub(super) stops_at_failure: bool,
    /// Whether the caller gets round after round: what belongs to one comes before all that belongs to the
    /// next, an error too, and an error ends only its own round.
    pub(super) is_stream: bool,
    /// The errors that wait for their place in a stream, by the stage that has failed.
    pub(super) held: BTreeMap<StageId, Action<T>>,
}

impl<T: Clone> Flow<T> {
    pub(super) fn new(shapes: Vec<StageShape>, queue: usize) -> Self {
        let gate = |(id, shape)| Some((id, Gate::new(id, shape, queue)?));
        let gates = shapes.iter().enumerate().filter_map(gate).collect();
        let stages = shapes.into_iter().map(Stage::new).collect();
        Self {
            stages,
            gates,
            queue,
            rounds_started: 0,
            rounds_done: 0,
            late_before: 0,
            stops_at_failure: false,
            is_stream: false,
            held: BTreeMap::new(),
        }
    }

    /// Number of rounds that have begun and are not complete.
    pub(super) fn open_rounds(&self) -> u64 {
        self.rounds_started - self.rounds_done
    }

    /// Whether the input queues of all root stages have room for another input. In a stream, as many rounds
    /// may be open as keep all replicas at work.
    pub(super) fn wants_input(&self) -> bool {
        let has_room = !self.is_stream || self.open_rounds() < 2 * self.width();
        let mut roots = (0..self.stages.len()).filter(|id| self.is_root(*id));
        has_room && roots.all(|id| !self.reader(id).is_full(0, self.queue))
    }

    /// Whether a stage gets the inputs of the session.
    fn is_root(&self, id: StageId) -> bool {
        let shape = &self.stages[id].shape;
        shape.inputs == 0 && !matches!(shape.part, Part::Further { .. })
    }

    /// The stage that stands for all replicas of its node.
    fn first_of(&self, id: StageId) -> StageId {
        match self.stages[id].shape.part {
            Part::Further { first } => first,
            Part::Whole | Part::First { .. } => id,
        }
    }

    /// The gate of the replicas that a stage belongs to, if it does.
    pub(super) fn gate(&self, id: StageId) -> Option<&Gate<T>> {
        self.gates.get(&self.first_of(id))
    }

    pub(super) fn gate_mut(&mut self, id: StageId) -> Option<&mut Gate<T>> {
        self.gates.get_mut(&self.first_of(id))
    }

    /// The reader of a stage's edges: the stage itself, or the door of its replicas.
    pub(super) fn reader(&self, id: StageId) -> &Stage<T> {
        self.gate(id).map_or(&self.stages[id], |gate| &gate.door)
    }

    pub(super) fn reader_mut(&mut self, id: StageId) -> &mut Stage<T> {
        let first = self.first_of(id);
        match self.gates.get_mut(&first) {
            Some(gate) => &mut gate.door,
            None => &mut self.stages[id],
        }
    }

    /// Drops further outputs of all rounds that have begun.
    pub(super) fn drop_outputs(&mut self) {
        self.late_before = self.rounds_started;
    }

    /// Skips the rest of all rounds that have begun.
    pub(super) fn abandon(&mut self) {
        self.abandon_before(self.rounds_started);
    }

    pub(super) fn abandon_before(&mut self, round: Round) {
        let doors = self.gates.values_mut().map(|gate| &mut gate.door);
        let all = self.stages.iter_mut().chain(doors);
        all.for_each(|stage| stage.skip_before = stage.skip_before.max(round));
        self.held.retain(|id, _| !self.stages[*id].is_given_up());
    }

    pub(super) fn begin_round(&mut self, item: Option<T>, flush: bool) {
        let first = self.rounds_started == 0;
        self.rounds_started += 1;
        for id in 0..self.stages.len() {
            if !self.is_root(id) {
                continue;
            }
            let stage = self.reader_mut(id);
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
        match self.gate_mut(stage) {
            Some(gate) => gate.give(stage, value),
            None => self.pass_below((stage, self.stages[stage].round), value, actions),
        }
    }

    fn pass_below(
        &mut self,
        (stage, round): (StageId, Round),
        value: T,
        actions: &mut Vec<Action<T>>,
    ) {
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
        self.reader_mut(target.stage).inputs[target.input].push(entry);
    }

    fn push_marks(&mut self, id: StageId, flush: bool) {
        for output in 0..self.stages[id].shape.outputs.len() {
            self.push_below(id, output, Entry::Mark { flush });
        }
    }

    /// Passes on what the replicas of a node have given, as far as it is its turn and there is room. Returns
    /// whether there was anything.
    pub(super) fn pass_in_order(&mut self, first: StageId, actions: &mut Vec<Action<T>>) -> bool {
        let mut moved = false;
        // The outputs of late rounds are dropped by their numbers, and a stream keeps its rounds in order.
        let held_before = if self.is_stream { Round::MAX } else { self.late_before };
        while !self.is_blocked_below(first) {
            let (done, is_stream) = (self.rounds_done, self.is_stream);
            let stages = &mut self.stages;
            let Some(gate) = self.gates.get_mut(&first) else { return moved };
            gate.settle(stages);
            let round = gate.round();
            match gate.next(held_before, !is_stream || round <= done) {
                None => return moved,
                Some(Given::Output(value)) => self.pass_below((first, round), value, actions),
                Some(Given::Report { report, round: failed }) => {
                    // Where order does not count, that may be calls of earlier items too.
                    gate.members_in(failed).for_each(|id| stages[id].skip_round());
                    actions.push(report);
                    self.note_failure(Some(round));
                }
                Some(Given::Mark { flush }) => {
                    self.push_marks(first, flush);
                    self.close_rounds(actions);
                }
            }
            moved = true;
        }
        moved
    }

    /// Passes the marks of rounds that the stage has completed to the stages below it. Returns
    /// whether there were any.
    pub(super) fn pass_marks(&mut self, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        let mut moved = false;
        while let Some(flush) = self.stages[id].take_mark() {
            moved = true;
            self.push_marks(id, flush);
        }
        if moved {
            self.close_rounds(actions);
        }
        moved
    }

    fn close_rounds(&mut self, actions: &mut Vec<Action<T>>) {
        let is_sink = |(id, stage): &(StageId, &Stage<T>)| {
            stage.shape.outputs.is_empty() && self.first_of(*id) == *id
        };
        let round = |(id, stage): (StageId, &Stage<T>)| {
            self.gates.get(&id).map_or(stage.round, Gate::round)
        };
        let done = self.stages.iter().enumerate().filter(is_sink).map(round).min();
        let done = done.unwrap_or(self.rounds_started);
        for round in self.rounds_done..done {
            actions.push(Action::RoundDone(round));
        }
        self.rounds_done = done;
    }

    /// Whether a stage has to pause: because of full queues below it, or because another sink has not completed
    /// the rounds before.
    pub(super) fn is_blocked_below(&self, id: StageId) -> bool {
        let full = |target: &Target| self.reader(target.stage).is_full(target.input, self.queue);
        let outputs = &self.stages[id].shape.outputs;
        let round = || self.gate(id).map_or(self.stages[id].round, Gate::round);
        let is_sink = outputs.is_empty() && self.first_of(id) == id;
        outputs.iter().any(full) || is_sink && self.is_ahead(round())
    }

    /// Counts a failed item for the stage's breaker.
    pub(super) fn count_failure(
        &mut self,
        now: Instant,
        id: StageId,
        actions: &mut Vec<Action<T>>,
    ) {
        let first = self.first_of(id);
        let stage = self.reader_mut(first);
        if let Some(breaker) = stage.shape.breaker
            && stage.breaker.fail(now, breaker)
        {
            actions.push(Action::Breaker(first, true));
        }
    }

    /// Counts an item that succeeded for the stage's breaker.
    pub(super) fn count_success(&mut self, id: StageId, actions: &mut Vec<Action<T>>) {
        let first = self.first_of(id);
        if !self.stages[id].is_skipping() && self.reader_mut(first).breaker.succeed() {
            actions.push(Action::Breaker(first, false));
        }
    }

    /// Whether what follows from a call is dropped: its round is given up, or another replica has failed in it.
    pub(super) fn is_dropped(&self, id: StageId) -> bool {
        let stage = &self.stages[id];
        stage.is_given_up() || self.gate(id).is_some() && stage.is_skipping()
    }

    /// Reports the failure of a call to the caller: at once, or at the place of its item.
    pub(super) fn report(&mut self, id: StageId, report: Action<T>, actions: &mut Vec<Action<T>>) {
        let Some(gate) = self.gate_mut(id) else { return self.tell(id, report, actions) };
        for dropped in gate.fail(id, report) {
            self.stages[dropped].skip_round();
        }
    }

    /// The next item of a stage fails without a call.
    fn refuse(&mut self, id: StageId, report: Action<T>, actions: &mut Vec<Action<T>>) {
        if let Some(gate) = self.gate_mut(id) {
            return gate.refuse(report);
        }
        self.stages[id].skip_round();
        self.tell(id, report, actions);
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
            let has_again = self.stages[*id].has_again();
            // What waits in front of replicas waits for all of them.
            let stage = if has_again { &mut self.stages[*id] } else { self.reader_mut(*id) };
            if has_again || stage.has_work(now) {
                stage.skip_round();
            }
        }
        self.note_failure(None);
    }

    /// One input of a zip join has fewer items than the others: the rest of the round is dropped.
    pub(super) fn tell_uneven(&mut self, id: StageId, actions: &mut Vec<Action<T>>) {
        self.refuse(id, Action::Uneven(id), actions);
    }

    /// Skips the next work of a stage whose breaker is open.
    pub(super) fn skip(&mut self, now: Instant, id: StageId, actions: &mut Vec<Action<T>>) {
        let Some(work) = self.reader_mut(id).next_work(now) else {
            return self.tell_uneven(id, actions);
        };
        self.reader_mut(id).end_call();
        let Some(breaker) = self.stages[id].shape.breaker else { return };
        let (values, is_flush) = match work {
            Work::Item(value) => (vec![value], false),
            Work::Zip(values) => (values, false),
            Work::Flush => (Vec::new(), true),
            Work::Start => (Vec::new(), false),
        };
        match breaker.on_open {
            OnOpen::Error if !is_flush => {
                return self.refuse(id, Action::Skipped(id, breaker.on_open), actions);
            }
            OnOpen::Pass => match self.gate_mut(id) {
                Some(gate) => gate.pass(values),
                None => values.into_iter().for_each(|value| self.pass_on(id, value, actions)),
            },
            OnOpen::Error | OnOpen::Drop => {}
        }
        if !is_flush {
            actions.push(Action::Skipped(id, breaker.on_open));
        }
    }
}
