//! The failure of a node, as data.

use ipc_protocol::{FaultKind, ImportFault};

/// A node raised an exception, or a native node returned an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "node '{node_id}' failed in {}: {remote_type}: {}",
    operation_name(*.operation),
    advised(.message, .advice.as_deref())
)]
pub struct NodeFailure {
    /// Id of the node in the manifest.
    pub node_id: String,
    /// What it was doing.
    pub operation: FaultKind,
    /// Qualified type of the exception; bare for builtins.
    pub remote_type: String,
    /// Its message.
    pub message: String,
    /// Its traceback with source lines; empty for native nodes.
    pub traceback: String,
    /// What the interpreter lacks, when that is why.
    pub import: Option<Box<ImportFault>>,
    /// What the caller can change, when the node's interpreter is why.
    pub advice: Option<String>,
}

/// A message with the sentence behind it that says what to do.
pub(crate) fn advised(message: &str, advice: Option<&str>) -> String {
    match advice {
        Some(advice) => format!("{}. {advice}", message.trim_end_matches('.')),
        None => message.to_owned(),
    }
}

/// The name of an operation as users know it.
#[must_use]
pub fn operation_name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::NotFound | FaultKind::Stale | FaultKind::Conflict | FaultKind::Load => "import",
        FaultKind::Construct => "construction",
        FaultKind::Initialize => "initialize",
        FaultKind::Process => "process",
        FaultKind::Flush => "flush",
        FaultKind::Cleanup => "cleanup",
        FaultKind::Marshal => "data conversion",
        FaultKind::Protocol => "the worker protocol",
    }
}
