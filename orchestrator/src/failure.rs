//! The failure of a node, as data.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use ipc_protocol::{FaultDetail, FaultKind, ImportFault, Value};

use crate::reason::Advice;

/// A node raised an exception, or a native node returned an error.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeFailure {
    /// Id of the node in the manifest.
    pub node_id: String,
    /// The operation in which it failed.
    pub operation: FaultKind,
    /// Qualified type of the exception; bare for builtins.
    pub remote_type: String,
    /// Message of the exception, without advice.
    pub message: String,
    /// Traceback with source lines; empty for native nodes.
    pub traceback: String,
    /// The module or feature that the interpreter lacks, when that is the cause.
    pub import: Option<Box<ImportFault>>,
    /// Further facts about the failure.
    pub detail: Option<Box<FaultDetail>>,
    /// What the user can change, when the node's interpreter or a limit is the cause.
    pub advice: Option<Advice>,
    /// Number of tries, of which this is the last.
    pub tries: u32,
    /// What the call can be repeated from, if failing items are captured.
    pub kept: Option<Kept>,
    /// The exception that node code raised, see `Raised::described`; empty when there is none.
    pub described: String,
}

/// What a call that has failed can be repeated from.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// The note that its worker has made, a file.
    Note(PathBuf),
    /// What a native node got.
    Call(Box<FailedCall>),
}

/// A call of a native node that has failed.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedCall {
    /// Whether it was a flush or an item.
    pub operation: FaultKind,
    /// The items since the node was made or last flushed, where it keeps something from one to the next.
    pub before: Vec<Value>,
    /// Whether these are all of them. Otherwise they were too large to be kept, and there are none.
    pub is_whole: bool,
    /// The item; absent for a flush.
    pub item: Option<Value>,
}

impl std::error::Error for NodeFailure {}

impl fmt::Display for NodeFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, times) = (operation_name(self.operation), times(self.tries));
        let raised = advised(&self.raised(&self.told()), self.advice.as_ref());
        write!(out, "node '{}' failed in {operation}{times}: {raised}", self.node_id)
    }
}

impl NodeFailure {
    /// The exception as Python writes it: its type, and what it says unless it says nothing.
    #[must_use]
    pub(crate) fn raised(&self, told: &str) -> String {
        match told {
            "" => self.remote_type.clone(),
            told => format!("{}: {told}", self.remote_type),
        }
    }

    /// The message as users see it: with the part of the value that it is about, and with what to
    /// do about a missing module.
    #[must_use]
    pub fn told(&self) -> Cow<'_, str> {
        let message = match self.detail.as_deref() {
            Some(FaultDetail::Unopenable(part)) => Cow::Owned(format!(
                "{} of type {} cannot be restored in the receiving process: {}",
                part.path, part.type_name, self.message
            )),
            // The messages of all other failures name that part themselves.
            _ => Cow::Borrowed(self.message.as_str()),
        };
        let wanted = |import: &&ImportFault| !import.is_told && !import.suggestion.is_empty();
        let Some(import) = self.import.as_deref().filter(wanted) else { return message };
        let (message, suggestion) = (message.trim(), &import.suggestion);
        // A message of many lines is a package's own advice on installing it: the suggestion goes
        // before it.
        Cow::Owned(match message.lines().nth(1) {
            Some(_) => format!("{suggestion}\n\n{message}"),
            None => format!("{message}; {suggestion}"),
        })
    }
}

/// How often something was tried, for a sentence; nothing for once.
pub(crate) fn times(tries: u32) -> String {
    if tries > 1 { format!(" {tries} times") } else { String::new() }
}

/// A message, followed by the advice as a sentence.
pub(crate) fn advised(message: &str, advice: Option<&Advice>) -> String {
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
        FaultKind::Checkpoint => "checkpoint",
        FaultKind::Restore => "restore",
        FaultKind::Marshal => "data conversion",
        FaultKind::Protocol => "the worker protocol",
    }
}
