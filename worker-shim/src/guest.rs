//! What the session loop asks of an interpreter. How nodes are found and called is the guest's
//! business; messages, credit and order are the loop's.

use std::sync::Arc;

use ipc_protocol::from_worker::{Closed, NodeReady, NodeUsage};
use ipc_protocol::shm::Exchange;
use ipc_protocol::to_worker::OpenSession;
use ipc_protocol::{Fault, Value};

use crate::link::Alarm;

/// Who the interpreter is, for the first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// `cpython` or `rustpython`.
    pub name: String,
    /// Its version, for instance `3.11.7`.
    pub version: String,
    /// Version of the RemoteMedia package beside it.
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

/// What the next step of a call came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// One output; the nodes may have more.
    Output(Value),
    /// The last output and the end of the call, known without running a node again.
    Last(Value, Vec<NodeUsage>),
    /// The end of the call, with what it cost node by node.
    Done(Vec<NodeUsage>),
    /// The call failed and is over.
    Failed(Fault, Vec<NodeUsage>),
}

/// An interpreter with the nodes of one session at a time. The loop calls it from one thread.
pub trait Guest {
    /// Who it is.
    fn interpreter(&self) -> Interpreter;

    /// Tells which shared memory the connection has, before a session opens. The default guest has
    /// no use for it: payloads are placed there on their way out and in anyway.
    fn share(&mut self, _exchange: &Arc<Exchange>) {}

    /// Makes the nodes of a session and initializes them.
    ///
    /// # Errors
    /// The fault of the first node that failed; nothing of the session is left then.
    fn open(&mut self, session: OpenSession) -> Result<Vec<NodeReady>, Fault>;

    /// Begins a call. At most one call per stage is under way.
    ///
    /// # Errors
    /// When the input cannot be turned into an object; the call is over then.
    fn begin(&mut self, stage: u32, begin: Begin) -> Result<(), Fault>;

    /// Runs the stage's nodes until the next output or the end of the call.
    fn step(&mut self, stage: u32) -> Step;

    /// Gives up the stage's call, and gives what it cost until now.
    fn abort(&mut self, stage: u32) -> Vec<NodeUsage>;

    /// Ends calls that are under way, cleans up every node and forgets the session.
    fn close(&mut self) -> Closed;

    /// The orchestrator ends this worker, and may be gone before it is. The default guest has no
    /// process of its own.
    fn begin_end(&mut self) {}

    /// Called before the wait for the next message, and when the alarm has rung. A guest with an event
    /// loop lets it do what is due, and says what wakes it next; the default has none.
    fn attend(&mut self, _has_rung: bool) -> Option<Alarm> {
        None
    }

    /// Runs `blocking`, which does not touch the interpreter, in a way that lets the interpreter's
    /// other threads go on.
    fn unlocked<T: Send>(&mut self, blocking: impl FnOnce() -> T + Send) -> T {
        blocking()
    }
}
