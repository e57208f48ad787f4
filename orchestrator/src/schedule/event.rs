//! The events that the session core handles, and the actions that it returns.

use std::time::{Duration, Instant};

use ipc_protocol::FaultKind;

use super::{Round, SlotId, StageId, Tuning, Work};
use crate::limits::{Excess, Limit};
use crate::model::OnOpen;

/// The node code that runs in a worker, read from its flight recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// The stage of the node.
    pub stage: StageId,
    /// Index of the node in its stage.
    pub node: usize,
    /// Which of the node's methods runs.
    pub operation: FaultKind,
    /// When the method was entered, or the generator last resumed.
    pub since: Instant,
}

impl Running {
    /// Whether the time-out of its node counts while nodes are made: an import and a constructor have
    /// only the deadline of the whole.
    pub(super) fn is_timed_at_opening(&self) -> bool {
        matches!(self.operation, FaultKind::Initialize | FaultKind::Restore)
    }
}

/// The failure of a call, as far as the core must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failure {
    /// The index in its stage of the node that failed, if the worker keeps the call there.
    pub kept_at: Option<usize>,
    /// Whether another try may succeed.
    pub is_transient: bool,
}

/// What a failure belongs to: the shell has kept the error under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// A call of this stage failed.
    Stage(StageId),
    /// The worker of this slot is gone.
    Slot(SlotId),
}

/// An event that the core handles.
#[derive(Debug)]
pub enum Event<T> {
    /// The session opens: every slot gets a worker, and every worker its nodes.
    Open,
    /// A new round: an input, or `None` to let the sources produce.
    Input(Option<T>),
    /// A new round in which every stage flushes.
    Flush,
    /// A stage sent an output.
    Output(StageId, T),
    /// The call of a stage is complete.
    Done(StageId),
    /// The call of a stage failed. Unless it is tried again, the stage skips the rest of its round.
    Failed(StageId, Failure),
    /// The slot has a worker, without nodes yet.
    Granted(SlotId),
    /// The pool cannot give the slot a worker.
    Refused(SlotId),
    /// The nodes of a slot are ready.
    Opened(SlotId),
    /// The nodes of a slot cannot be made. Its worker has been returned to the pool.
    OpenFailed(SlotId),
    /// The slot's worker cannot host these nodes, but another may. It has been returned to the
    /// pool.
    Unsuited(SlotId),
    /// The answer to [`Action::Inspect`]: the node code that runs in the slot's worker, if any.
    Seen(SlotId, Option<Running>),
    /// The configuration has changed: these time limits count from now on.
    Retune(Tuning),
    /// The slot's worker has exceeded a limit: the answer to [`Action::Measure`] if it has, or found in
    /// an output.
    Exceeded(SlotId, Excess),
    /// The answer to [`Action::Save`]: whether the state is saved.
    Saved(SlotId, bool),
    /// The connection to the slot's worker has ended.
    LinkEnded(SlotId),
    /// The process in the slot has ended.
    Exited(SlotId),
    /// The answer to [`Action::RemoveDead`] and [`Action::Expire`]: the slot has no worker now, and its
    /// calls are lost.
    Lost(SlotId),
    /// A stage has moved to a new slot, which has no worker yet.
    Moved {
        /// The stage.
        stage: StageId,
        /// The slot that it has moved to.
        slot: SlotId,
        /// The work of the call that was running, to be repeated there; `None` drops the call.
        work: Option<Work<T>>,
    },
    /// All rounds that have begun are abandoned: their remaining work is skipped and their outputs
    /// are dropped.
    Abandon,
    /// The rounds that have begun are late: their remaining work is done, for the state of the nodes, and
    /// their outputs are dropped.
    Late,
    /// As [`Event::Abandon`], and running calls are interrupted. The session goes on.
    Interrupt,
    /// The session ends: running calls are interrupted, nodes clean up, workers are returned.
    Close,
    /// The worker of a slot has closed the session and has been returned to the pool.
    Closed(SlotId),
    /// A deadline may have passed.
    Tick,
}

/// An action for the shell; it carries out the actions of one event in their order.
#[derive(Debug, PartialEq)]
pub enum Action<T> {
    /// Ask the pool for workers for these slots, in one request.
    Acquire(Vec<SlotId>),
    /// Ask the pool for a worker for this slot, if it has one now. The session goes on without it.
    Borrow(SlotId),
    /// Withdraw the slot's request for a worker.
    Withdraw(SlotId),
    /// Report that the pool had no worker for the slot in time.
    Unavailable(SlotId),
    /// Have the slot's worker make its nodes.
    Open(SlotId),
    /// Report that none of the workers that were tried suits the slot.
    Unsuitable(SlotId),
    /// Begin a call.
    Call {
        /// The stage.
        stage: StageId,
        /// What the call does.
        work: Work<T>,
    },
    /// Let a suspended stage send more outputs.
    Credit(StageId),
    /// End the suspended or kept call of a stage, whose round is skipped.
    Abort(StageId),
    /// The failed call of a stage will be tried again at this moment: the error is not told.
    TryLater(StageId, Instant),
    /// Go on with the kept call of a stage at the node that failed.
    Retry(StageId),
    /// Have the slot's worker save the state of its nodes, after the calls that it got before.
    Save(SlotId),
    /// Give the state that the nodes of one slot have saved last to the worker that stands by.
    PassState {
        /// The slot whose nodes have saved it.
        from: SlotId,
        /// The slot of the worker that stands by.
        to: SlotId,
    },
    /// The worker that stood by takes over: it moves to the other slot.
    Promote {
        /// Its slot until now.
        from: SlotId,
        /// The slot whose worker is gone.
        to: SlotId,
    },
    /// The slot's worker is gone, and the next one gets the state of its nodes back: the saved state,
    /// and then this number of calls again. Nothing is lost unless [`Action::Tell`] says so.
    Restoring(SlotId, usize),
    /// The state of the slot's nodes can no longer be restored: saving or repeating calls fails.
    GiveUpState(SlotId),
    /// A call that was repeated gave another number of outputs than the first time.
    Differs(StageId),
    /// Tell the caller the error. It is the last of this number of tries.
    Tell(Blame, u32),
    /// The error about the worker of a slot is that of this stage's call: it is reported later, as that of the
    /// stage, and until then the slot may lose another worker.
    Attribute(SlotId, StageId),
    /// The breaker of a stage has opened (true) or closed.
    Breaker(StageId, bool),
    /// The breaker of a stage is open, and an item was skipped. Report that, if its [`OnOpen`] says so.
    Skipped(StageId, OnOpen),
    /// Give the caller an output of the graph.
    Deliver {
        /// The sink stage.
        stage: StageId,
        /// The round that it belongs to.
        round: Round,
        /// The output.
        value: T,
    },
    /// Every sink has completed this round.
    RoundDone(Round),
    /// Report that one input of a zip join had fewer items in this round than the others.
    Uneven(StageId),
    /// Read from the flight recorder which node runs in the slot's worker, and since when.
    Inspect(SlotId),
    /// Measure what the slot's worker uses, and compare it with its limits.
    Measure(SlotId),
    /// A deadline has passed, or a limit was exceeded: read the stacks of the slot's worker, give it to
    /// the pool to end it, and report why.
    Expire(SlotId, Overdue),
    /// Ask the node code that runs in the slot's worker to end.
    Interrupt(SlotId),
    /// The same for the call of a stage, after which the worker serves further calls.
    CutShort(SlotId, StageId),
    /// Kill the slot's process.
    Kill(SlotId),
    /// The slot's process has exited, or has not although it was killed: report why, and remove the
    /// worker.
    RemoveDead(SlotId),
    /// Return the slot's worker, which has no nodes, to the pool.
    Release(SlotId),
    /// Have the slot's worker clean up its nodes and close the session.
    Close(SlotId),
}

/// A deadline that has passed, or a limit that was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// The node that took too long; `None` when no single node is known to have.
    pub running: Option<Running>,
    /// The time that was allowed; zero for [`Deadline::Limit`].
    pub limit: Duration,
    /// Which deadline it is.
    pub deadline: Deadline,
}

/// The reasons to end a worker while its node code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The node's own time-out.
    Node,
    /// The deadline of an item, with all its tries.
    Item,
    /// [`Times::open_timeout`].
    Open,
    /// [`Times::close_timeout`].
    Close,
    /// It has exceeded a limit.
    Limit(Excess),
}

impl Deadline {
    /// Whether this limit was exceeded.
    #[must_use]
    pub fn is_of(self, limit: Limit) -> bool {
        matches!(self, Self::Limit(excess) if excess.limit == limit)
    }
}
