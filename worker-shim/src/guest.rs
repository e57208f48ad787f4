//! What the session loop asks of the code that runs the nodes. The guest finds and calls nodes; the
//! loop handles messages, credit and order.

use std::sync::Arc;

use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::{Closed, NodeReady, NodeUsage};
use ipc_protocol::to_worker::OpenSession;
use ipc_protocol::{Fault, Value};

use crate::link::Alarm;

/// The interpreter as it introduces itself in the first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// `cpython` or `rustpython`.
    pub name: String,
    /// Its version, for instance `3.11.7`.
    pub version: String,
    /// Version of the RemoteMedia package that comes with it.
    pub package_version: String,
}

/// How a call on a stage begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Begin {
    /// With one input.
    Item(Value),
    /// Without input: the first node is a source.
    Start,
    /// With the end of the input.
    Flush,
}

/// The result of one step of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// One output; the nodes may have more.
    Output(Value),
    /// The last output and the end of the call, with the cost of each node. Saves the step that
    /// would only return `Done`.
    Last(Value, Vec<NodeUsage>),
    /// The end of the call, with the cost of each node.
    Done(Vec<NodeUsage>),
    /// The call failed and is over. With the cost of each node.
    Failed(Fault, Vec<NodeUsage>),
}

/// Runs the nodes of one session at a time. The loop calls it from one thread.
pub trait Guest {
    /// The interpreter's name and version.
    fn interpreter(&self) -> Interpreter;

    /// Called before each session with the connection's shared memory, if it has some. A guest needs
    /// it only to make arrays there itself: payloads are moved there when they are sent.
    fn share(&mut self, _exchange: &Arc<Exchange>) {}

    /// Makes the nodes of a session and initializes them.
    ///
    /// # Errors
    /// The fault of the first node that failed. The nodes before it have been cleaned up.
    fn open(&mut self, session: OpenSession) -> Result<Vec<NodeReady>, Fault>;

    /// Begins a call. At most one call per stage is under way.
    ///
    /// # Errors
    /// When the call cannot begin, for instance because the input cannot become an object. The loop
    /// then aborts the call.
    fn begin(&mut self, stage: u32, begin: Begin) -> Result<(), Fault>;

    /// Runs the stage's nodes until the next output or the end of the call.
    fn step(&mut self, stage: u32) -> Step;

    /// Ends the stage's call without further outputs. Returns the cost of each node so far.
    fn abort(&mut self, stage: u32) -> Vec<NodeUsage>;

    /// Ends calls that are under way, cleans up every node and drops the session.
    fn close(&mut self) -> Closed;

    /// The orchestrator ends this worker, and may be gone before it is. The default guest has no
    /// process of its own.
    fn begin_end(&mut self) {}

    /// Called before the wait for the next message, and again when the alarm has rung. A guest with an
    /// event loop runs what is due there, and returns what wakes the loop next. The default has none.
    fn attend(&mut self, _has_rung: bool) -> Option<Alarm> {
        None
    }

    /// Runs `blocking`, which does not touch the interpreter, while the interpreter's other threads
    /// go on.
    fn unlocked<T: Send>(&mut self, blocking: impl FnOnce() -> T + Send) -> T {
        blocking()
    }
}
