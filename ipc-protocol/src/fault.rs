//! What went wrong inside a worker, as data.

use serde::{Deserialize, Serialize};

/// A failure that a worker reports and survives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What was being done.
    pub kind: FaultKind,
    /// The node at fault; empty when no single node is.
    pub node_id: String,
    /// Qualified name of the exception's type; bare for builtins (`ValueError`).
    pub remote_type: String,
    /// `str(exception)`.
    pub message: String,
    /// Formatted traceback with source lines, ending with the exception line.
    pub traceback: String,
}

/// The moment of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The node's module or class does not exist.
    NotFound,
    /// A module that this worker has loaded has changed on disk since; a fresh worker is needed.
    Stale,
    /// The node's module raised while it was imported.
    Load,
    /// The node's constructor raised.
    Construct,
    /// `initialize` raised.
    Initialize,
    /// `process` raised.
    Process,
    /// `flush` raised.
    Flush,
    /// `cleanup` raised.
    Cleanup,
    /// A value could not be turned into or out of its wire form.
    Marshal,
    /// The peer broke the protocol.
    Protocol,
}
