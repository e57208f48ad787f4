//! The trait by which the session loop uses the code that runs nodes. The guest finds and calls
//! nodes; the loop handles messages, credit and the order of calls.

use std::sync::Arc;

use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::{Closed, NodeReady, NodeUsage};
use ipc_protocol::to_worker::{OpenSession, SavedState};
use ipc_protocol::{Fault, Value};

use crate::link::Alarm;

/// The interpreter as it introduces itself in the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// `cpython` or `rustpython`.
    pub name: String,
    /// Version of the interpreter, for instance `3.11.7`.
    pub version: String,
    /// Version of the RemoteMedia package in the worker.
    pub package_version: String,
}

/// What a call on a stage begins with.
#[derive(Debug, Clone, PartialEq)]
pub enum Begin {
    /// One input.
    Item(Value),
    /// No input: the first node is a source.
    Start,
    /// The end of the input.
    Flush,
}

/// The result of one step of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// One output; more outputs may follow.
    Output(Value),
    /// The last output and the end of the call, with the cost of each node. Saves the extra step
    /// that would only return `Done`.
    Last(Value, Vec<NodeUsage>),
    /// The end of the call, with the cost of each node.
    Done(Vec<NodeUsage>),
    /// The call failed; with the cost of each node. It is over, unless the fault says that it is
    /// kept: the next step then calls the node that failed again.
    Failed(Fault, Vec<NodeUsage>),
}

/// Runs the nodes of one session at a time. The session loop calls a guest from one thread.
pub trait Guest {
    /// The interpreter's name and version.
    fn interpreter(&self) -> Interpreter;

    /// Called before each session with the connection's shared memory, if it has some. A guest
    /// needs this only to allocate arrays there itself: other payloads are copied there when they
    /// are sent.
    fn share(&mut self, _exchange: &Arc<Exchange>) {}

    /// Makes the nodes of a session and initializes them.
    ///
    /// # Errors
    /// The fault of the first node that failed. The nodes before it have been cleaned up.
    fn open(&mut self, session: OpenSession) -> Result<Vec<NodeReady>, Fault>;

    /// Begins a call. At most one call per stage is under way at a time.
    ///
    /// # Errors
    /// When the call cannot begin, for instance because the input cannot become an object. The loop
    /// then aborts the call.
    fn begin(&mut self, stage: u32, begin: Begin) -> Result<(), Fault>;

    /// Runs the stage's nodes until the next output or the end of the call.
    fn step(&mut self, stage: u32) -> Step;

    /// Ends the stage's call without further outputs. Returns the cost of each node so far.
    fn abort(&mut self, stage: u32) -> Vec<NodeUsage>;

    /// Node code may run again: the interrupt of a call is over. The default is for guests that cannot be
    /// interrupted.
    fn end_interrupt(&mut self) {}

    /// The state of all nodes that can save it. Called while no call is under way. The default is for
    /// guests without such nodes.
    ///
    /// # Errors
    /// The fault of the first node that failed.
    fn save(&mut self) -> Result<Vec<SavedState>, Fault> {
        Ok(Vec::new())
    }

    /// Gives nodes saved state in place of their own. Called while no call is under way. The default is
    /// for guests without such nodes.
    ///
    /// # Errors
    /// The fault of the first node that failed.
    fn restore(&mut self, _saved: Vec<SavedState>) -> Result<(), Fault> {
        Ok(())
    }

    /// Aborts all calls under way, cleans up every node and drops the session.
    fn close(&mut self) -> Closed;

    /// Returns the installed modules that have been loaded since the last call. The default is for
    /// guests that do not tell.
    fn take_loaded(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Called when the orchestrator asks this worker to end. The orchestrator may exit before this
    /// process does. The default does nothing: it is for guests inside another program.
    fn begin_end(&mut self) {}

    /// Called before the wait for the next message, and again after each alarm (`has_rung` is then
    /// true). A guest with an event loop runs the loop's due tasks here and returns the next alarm.
    /// The default is for guests without an event loop.
    fn attend(&mut self, _has_rung: bool) -> Option<Alarm> {
        None
    }

    /// Runs `blocking`, which does not touch the interpreter, while other Python threads keep
    /// running.
    fn unlocked<T: Send>(&mut self, blocking: impl FnOnce() -> T + Send) -> T {
        blocking()
    }
}
