//! One stage of the session core: its inputs, its progress in the current round, and its call.

mod given;
mod tries;

use std::time::{Duration, Instant};

use super::attempts::{BreakerState, Tries};
use super::edge::{Edge, Entry};
use super::{Round, SlotId, StageId};
use crate::model::{Breaker, Join, Retry};
use crate::placement::Part;
use given::Given;

/// The receiving end of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The stage that the edge leads to.
    pub stage: StageId,
    /// Index of the edge among that stage's inputs.
    pub input: usize,
}

/// What the core knows about a stage from its plan.
#[derive(Debug, Clone)]
pub struct StageShape {
    /// The worker slot; `None` for native stages.
    pub slot: Option<SlotId>,
    /// Number of upstream edges; 0 for a root.
    pub inputs: usize,
    /// Downstream edges.
    pub outputs: Vec<Target>,
    /// How the items of several inputs are combined.
    pub join: Join,
    /// Whether its first node is a source.
    pub is_source: bool,
    /// One of its nodes may have outputs at the end of the input.
    pub flushes: bool,
    /// Time-out of each node's methods; `None`: no limit.
    pub timeouts: Vec<Option<Duration>>,
    /// Whether its worker has limits that are measured while node code runs.
    pub is_watched: bool,
    /// When calls that fail in each node are tried again; `None`: never.
    pub retries: Vec<Option<Retry>>,
    /// When a call that is lost with its worker is tried again, if its nodes ask for that.
    pub repeats: Option<Retry>,
    /// What happens to its nodes' state when their worker dies.
    pub state: StateLoss,
    /// After how many calls the state of nodes that can save it is saved.
    pub saves_every: usize,
    /// Longest time for an item with all its tries. Only where the stage has one node.
    pub deadline: Option<Duration>,
    /// When the node is skipped. Only where the stage has one node.
    pub breaker: Option<Breaker>,
    /// How it shares its items with replicas of its node.
    pub part: Part,
}

/// What a worker reports about the nodes of a stage when it has made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// The first node is a source.
    pub is_source: bool,
    /// One of them may have outputs at the end of the input.
    pub flushes: bool,
    /// What happens to their state when their worker dies.
    pub state: StateLoss,
}

/// What happens to nodes' state when their worker dies. Of several nodes the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum StateLoss {
    /// There is none.
    Stateless,
    /// A fresh worker gets the state that was saved.
    Saved,
    /// It is lost.
    #[default]
    Lost,
}

/// What a call does.
#[derive(Debug, Clone, PartialEq)]
pub enum Work<T> {
    /// Process an item.
    Item(T),
    /// Process one item of each input together.
    Zip(Vec<T>),
    /// Produce, for stages that begin with a source.
    Start,
    /// Give the outputs that the nodes have held back.
    Flush,
}

/// A call that is repeated.
#[derive(Debug)]
struct Again<T> {
    work: Work<T>,
    /// Number of its outputs that were passed on already.
    known: u32,
    /// The earliest moment for it.
    at: Option<Instant>,
}

/// State of a stage's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    None,
    Running {
        /// Outputs since the last credit.
        sent: u32,
    },
    /// The window is used up; it continues after a credit.
    Suspended,
    /// A node has failed for good, and the worker keeps the call until it is ended.
    Over,
    /// The worker was asked to end it.
    Ending,
    /// A node has failed; it is called again at this moment or later.
    Kept {
        /// The earliest moment.
        at: Instant,
        /// Outputs since the last credit.
        sent: u32,
    },
}

#[derive(Debug)]
pub(super) struct Stage<T> {
    pub(super) shape: StageShape,
    pub(super) inputs: Vec<Edge<T>>,
    pub(super) call: Call,
    /// The round that the stage works on.
    pub(super) round: Round,
    /// Index of the input that is read now, for joins that read one input after the other.
    current: usize,
    /// The rest of the current round is dropped here, because a call of it failed or was lost.
    skipping: bool,
    /// Rounds before this one are dropped.
    pub(super) skip_before: Round,
    /// The flush call of this round has been made.
    flushed: bool,
    /// A call that is repeated before any other call begins.
    again: Option<Again<T>>,
    /// The work of the running call, where it may be repeated.
    kept: Option<Work<T>>,
    /// What the running call has given, and what of that is known.
    given: Given,
    /// What happens to the state of all nodes in its slot when their worker dies.
    pub(super) loss: StateLoss,
    tries: Tries,
    pub(super) breaker: BreakerState,
}

impl<T: Clone> Stage<T> {
    pub(super) fn new(shape: StageShape) -> Self {
        let inputs = (0..shape.inputs.max(1)).map(|_| Edge::new()).collect();
        Self {
            shape,
            inputs,
            call: Call::None,
            round: 0,
            current: 0,
            skipping: false,
            skip_before: 0,
            flushed: false,
            again: None,
            kept: None,
            given: Given::default(),
            loss: StateLoss::Lost,
            tries: Tries::default(),
            breaker: BreakerState::default(),
        }
    }

    /// Restarts the running call with its `work`, or drops it.
    pub(super) fn restart(&mut self, work: Option<Work<T>>) {
        if work.is_none() && self.has_call() {
            self.skip_round();
        }
        self.again = work.map(|work| Again { work, known: 0, at: None });
        // The move is not the node's doing, and takes as long as a worker takes to start.
        self.tries = Tries::default();
        self.end_call();
    }

    /// Whether the caller has given up the current round.
    pub(super) fn is_given_up(&self) -> bool {
        self.round < self.skip_before
    }

    /// Whether the rest of the current round is dropped.
    pub(super) fn is_skipping(&self) -> bool {
        self.skipping || self.is_given_up()
    }

    /// Whether its call is of a skipped round and nothing else depends on it: not one that restores the
    /// state of a worker, and not one that cleans up.
    #[must_use]
    pub(super) fn can_be_cut_short(&self) -> bool {
        self.is_skipping() && !self.is_repeating() && !self.is_ending()
    }

    /// Whether the producer of an input must pause. An input that the stage cannot read from now
    /// never counts as full; otherwise two branches that join here could block each other for ever.
    pub(super) fn is_full(&self, input: usize, limit: usize) -> bool {
        let takes_now = match self.shape.join {
            Join::Interleave => input == self.current,
            Join::Zip => self.inputs.iter().all(|edge| edge.peek().is_some()),
        };
        takes_now && self.inputs[input].items() >= limit
    }

    /// Drops the queued items of a skipped round. Moves on to the first input that may still get
    /// items in this round.
    fn settle(&mut self) {
        if self.is_skipping() {
            self.again = None;
            self.inputs.iter_mut().for_each(Edge::discard_round);
        }
        while self.current + 1 < self.inputs.len()
            && self.inputs[self.current].at_mark().is_some()
            && self.shape.join == Join::Interleave
        {
            self.current += 1;
        }
    }

    /// Whether there is work for a call now.
    pub(super) fn has_work(&mut self, now: Instant) -> bool {
        self.settle();
        if let Some(again) = &self.again {
            return again.at.is_none_or(|at| at <= now);
        }
        match self.shape.join {
            Join::Interleave => match self.inputs[self.current].peek() {
                Some(Entry::Mark { flush }) => *flush && self.may_flush(),
                other => other.is_some(),
            },
            Join::Zip => {
                let waiting = self.inputs.iter().any(|edge| edge.peek().is_none());
                !waiting && (self.round_is_complete().is_none() || self.needs_flush())
            }
        }
    }

    /// Whether the next work is the flush of the current round.
    pub(super) fn needs_flush(&self) -> bool {
        self.round_is_complete() == Some(true) && self.may_flush()
    }

    /// Whether a flush call of this round is still to be made, if the round asks for one.
    fn may_flush(&self) -> bool {
        self.shape.flushes && !self.flushed && !self.is_skipping()
    }

    /// `Some(flush)` when the round's mark is next on every input.
    fn round_is_complete(&self) -> Option<bool> {
        let mut flush = false;
        for edge in &self.inputs {
            flush = edge.at_mark()?;
        }
        Some(flush)
    }

    /// Begins the next call and returns its work. `None` when one input of a zip has no item left
    /// in this round: the items left on the others are dropped with the round.
    pub(super) fn next_work(&mut self, now: Instant) -> Option<Work<T>> {
        if let Some(Again { work, known, .. }) = self.again.take() {
            self.tries.begin_unless_begun(now);
            self.given = Given::of_known(known);
            self.begin(&work);
            return Some(work);
        }
        self.tries = Tries::begin(now);
        self.given = Given::default();
        let work = if self.needs_flush() {
            self.flushed = true;
            Work::Flush
        } else {
            match self.shape.join {
                Join::Interleave => match self.inputs[self.current].pop()? {
                    Entry::Item(item) => Work::Item(item),
                    Entry::Start => Work::Start,
                    Entry::Mark { .. } => return None,
                },
                Join::Zip => Work::Zip(self.zip()?),
            }
        };
        self.begin(&work);
        Some(work)
    }

    /// Begins a call of this round, as one of several replicas.
    pub(super) fn assign(&mut self, now: Instant, round: Round, work: &Work<T>) {
        (self.round, self.skipping) = (round, false);
        self.tries = Tries::begin(now);
        self.given = Given::default();
        self.begin(work);
    }

    /// Whether nothing is left to do for the last call, not even another try.
    pub(super) fn is_done(&mut self) -> bool {
        self.settle();
        !self.has_call() && self.again.is_none()
    }

    fn begin(&mut self, work: &Work<T>) {
        let is_kept = self.loss == StateLoss::Saved || self.shape.repeats.is_some();
        self.kept = is_kept.then(|| work.clone());
        self.call = Call::Running { sent: 0 };
    }

    /// One item of each input, or `None` when an input has none left in this round.
    fn zip(&mut self) -> Option<Vec<T>> {
        if self.inputs.iter().any(|edge| edge.at_mark().is_some()) {
            return None;
        }
        let items = self.inputs.iter_mut().filter_map(|edge| match edge.pop() {
            Some(Entry::Item(item)) => Some(item),
            _ => None,
        });
        Some(items.collect())
    }

    /// Counts an output against the window of its call.
    pub(super) fn count_output(&mut self, now: Instant, window: u32) -> Counted {
        let Call::Running { sent } = self.call else { return Counted::Stray };
        self.given.count();
        let sent = sent + 1;
        if self.shape.slot.is_some() && sent >= window {
            self.call = Call::Suspended;
            self.tries.suspend(now);
            return Counted::Suspended;
        }
        self.call = Call::Running { sent };
        Counted::Taken
    }

    /// A call continues after a credit.
    pub(super) fn resume(&mut self, now: Instant) {
        self.tries.resume(now);
        self.call = Call::Running { sent: 0 };
    }

    /// The worker is asked to end the call.
    pub(super) fn abort(&mut self) {
        self.call = Call::Ending;
    }

    /// Whether the call only has to end, and all that follows from it is known.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.call, Call::Over | Call::Ending)
    }

    pub(super) fn end_call(&mut self) {
        self.call = Call::None;
    }

    pub(super) fn has_call(&self) -> bool {
        self.call != Call::None
    }

    /// Drops the rest of the current round in this stage; its mark still passes.
    pub(super) fn skip_round(&mut self) {
        self.skipping = true;
    }

    /// Takes the round's mark from all inputs if the stage has completed the round: `Some`, with
    /// whether the round was a flush.
    pub(super) fn take_mark(&mut self) -> Option<bool> {
        self.settle();
        if self.again.is_some() {
            return None;
        }
        let flush = self.round_is_complete()?;
        if flush && self.may_flush() {
            return None;
        }
        self.inputs.iter_mut().for_each(|edge| {
            edge.pop();
        });
        self.round += 1;
        self.current = 0;
        self.skipping = false;
        self.flushed = false;
        Some(flush)
    }
}

/// What to do with an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Pass it on.
    Taken,
    /// Pass it on; it used up the window, so the call is suspended now.
    Suspended,
    /// Drop it: the stage has no running call.
    Stray,
}
