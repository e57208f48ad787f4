//! The events that the session core handles, and the actions that it returns.

use std::time::{Duration, Instant};

use ipc_protocol::FaultKind;

use super::{Round, SlotId, StageId, Work};

/// Node code that runs in a worker, as its flight recorder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// The stage of the node.
    pub stage: StageId,
    /// Its place in the stage.
    pub node: usize,
    /// Which of its methods runs.
    pub operation: FaultKind,
    /// When the method was entered; a generator, when it was resumed.
    pub since: Instant,
}

/// What happened.
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
    /// The call of a stage failed; the stage skips the rest of its round.
    Failed(StageId),
    /// The slot has a worker, without nodes yet.
    Granted(SlotId),
    /// The pool has no worker for the slot.
    Refused(SlotId),
    /// The nodes of a slot are ready.
    Opened(SlotId),
    /// The nodes of a slot cannot be made. Its worker has none and is returned to the pool.
    OpenFailed(SlotId),
    /// The slot's worker cannot host these nodes, but another may. It is returned to the pool.
    Unsuited(SlotId),
    /// The answer to [`Action::Inspect`]: what runs in the slot's worker.
    Seen(SlotId, Option<Running>),
    /// The connection to the slot's worker has ended.
    LinkEnded(SlotId),
    /// The process in the slot has ended.
    Exited(SlotId),
    /// The answer to [`Action::RemoveDead`]: the slot has no worker any more, and its calls are lost.
    Lost(SlotId),
    /// A stage has moved to a new slot, which has no worker yet.
    Moved {
        /// The stage.
        stage: StageId,
        /// The slot.
        slot: SlotId,
        /// The work of the call that was running, to be done there; `None` drops it.
        work: Option<Work<T>>,
    },
    /// All rounds that have begun are abandoned: the rest of them is skipped, without outputs.
    Abandon,
    /// The session ends: running calls are interrupted, nodes clean up, workers are returned.
    Close,
    /// The worker of a slot has closed the session and is returned to the pool.
    Closed(SlotId),
    /// Time passed.
    Tick,
}

/// What the shell has to do, in this order.
#[derive(Debug, PartialEq)]
pub enum Action<T> {
    /// Ask for workers for these slots, all at once.
    Acquire(Vec<SlotId>),
    /// The slot needs no worker any more.
    Withdraw(SlotId),
    /// The pool had no worker for the slot in time.
    Unavailable(SlotId),
    /// Have the slot's worker make its nodes.
    Open(SlotId),
    /// None of the workers that were tried suits the slot.
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
    /// End the suspended call of a stage, whose round was given up.
    Abort(StageId),
    /// An output of the graph.
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
    /// The inputs of a zip join did not pair up in this round.
    Uneven(StageId),
    /// Read from the flight recorder which node runs in the slot's worker, and since when.
    Inspect(SlotId),
    /// A deadline has passed: make the worker write its stack and end.
    Expire(SlotId, Overdue),
    /// Ask the node code that runs in the slot's worker to end.
    Interrupt(SlotId),
    /// End the slot's process.
    Kill(SlotId),
    /// The slot's process has ended, or ignores SIGKILL: report why, and remove the worker.
    RemoveDead(SlotId),
    /// Return the slot's worker, which has no nodes, to the pool.
    Release(SlotId),
    /// Have the slot's worker clean up its nodes and close the session.
    Close(SlotId),
}

/// A deadline that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// The node that took too long; `None` when no single node did.
    pub running: Option<Running>,
    /// The time that was allowed.
    pub limit: Duration,
    /// Which deadline it is.
    pub deadline: Deadline,
}

/// The deadlines of node code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// A node's own time-out.
    Node,
    /// [`Bounds::open_timeout`].
    Open,
    /// [`Bounds::close_timeout`].
    Close,
}
