//! What the session core is told, and what it says.

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
    /// The call of a stage failed; what is left of its round is skipped there.
    Failed(StageId),
    /// The slot has a worker, without nodes yet.
    Granted(SlotId),
    /// No worker is to be had for the slot.
    Refused(SlotId),
    /// The nodes of a slot stand.
    Opened(SlotId),
    /// The nodes of a slot cannot be made; its worker has none and is given back.
    OpenFailed(SlotId),
    /// The slot's worker cannot host its nodes and another may; it is given back.
    Unsuited(SlotId),
    /// The answer to [`Action::Inspect`]: what runs in the slot's worker.
    Seen(SlotId, Option<Running>),
    /// The connection to the slot's worker is of no use any more.
    LinkEnded(SlotId),
    /// The process in the slot has ended.
    Exited(SlotId),
    /// The answer to [`Action::Bury`]: the slot's worker is gone, and with it every call on it.
    Lost(SlotId),
    /// A stage lives on a new slot from now on, which has no worker yet.
    Moved {
        /// The stage.
        stage: StageId,
        /// The slot.
        slot: SlotId,
        /// What the call that was under way was to do, to be done there; `None` gives the call up.
        work: Option<Work<T>>,
    },
    /// What has begun is given up: what is left of its rounds is skipped, and gives no outputs.
    Abandon,
    /// The session ends: calls under way are interrupted, nodes clean up, workers go back.
    Close,
    /// The worker of a slot has forgotten the session, and is given back.
    Closed(SlotId),
    /// Time passed.
    Tick,
}

/// What is to be done about it, in order.
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
    /// No worker suits the slot, as many as were tried.
    Unsuitable(SlotId),
    /// Begin a call.
    Call {
        /// The stage.
        stage: StageId,
        /// What it shall do.
        work: Work<T>,
    },
    /// Let a suspended stage send more outputs.
    Credit(StageId),
    /// An output of the graph.
    Deliver {
        /// The sink stage.
        stage: StageId,
        /// The round that it belongs to.
        round: Round,
        /// The output.
        value: T,
    },
    /// Every sink is through with this round.
    RoundDone(Round),
    /// The inputs of a zip join did not pair up in this round.
    Uneven(StageId),
    /// Look what runs in the slot's worker, and since when.
    Inspect(SlotId),
    /// A deadline has passed: have the worker write down its stack and end.
    Expire(SlotId, Overdue),
    /// Ask the node code that runs in the slot's worker to end.
    Interrupt(SlotId),
    /// End the slot's process.
    Kill(SlotId),
    /// The slot's process has ended, or does not: say why, and take it out.
    Bury(SlotId),
    /// Give the slot's worker, which has no nodes, back.
    Release(SlotId),
    /// Have the slot's worker clean its nodes up and forget the session.
    Close(SlotId),
}

/// A deadline that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// What took too long, where one node did.
    pub running: Option<Running>,
    /// The time that there was.
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
