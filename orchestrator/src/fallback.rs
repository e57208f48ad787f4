//! When a node leaves RustPython for CPython: which failures are the interpreter's, how many
//! failures of unknown cause are too many, and what was found so far. Pure; sessions carry out what
//! is decided here.
//!
//! A finding belongs to the digest of a node's code and lives as long as the runtime: code that was
//! changed has another digest, so RustPython is tried again.

use std::collections::HashMap;
use std::fmt;

use ipc_protocol::{FaultKind, ImportFault, ImportReason};

use crate::failure::NodeFailure;

#[cfg(test)]
mod tests;

/// Why a node is not run by RustPython.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The interpreter lacks a module, or a feature of a module.
    Import(ImportFault),
    /// The node's module cannot be loaded.
    Load {
        /// The exception in one line.
        error: String,
    },
    /// A value cannot be converted for the interpreter, or from it.
    Value {
        /// The exception in one line.
        error: String,
    },
    /// The node object cannot be sent to another interpreter than the caller's.
    Shipment {
        /// What prevents it, as a clause.
        error: String,
    },
    /// The worker died while the node was made.
    Died {
        /// How it ended.
        error: String,
    },
    /// It failed several times in a row, for an unknown cause.
    Failures {
        /// Number of failures in a row.
        count: u32,
        /// The last exception in one line.
        error: String,
    },
}

impl Reason {
    /// Its name in metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Import(fault) => match fault.reason {
                ImportReason::CExtension => "c_extension",
                ImportReason::StdlibMissing => "stdlib_missing",
                ImportReason::NotInstalled => "not_installed",
                ImportReason::Blocked => "blocked",
                ImportReason::Unsupported => "unsupported",
            },
            Self::Load { .. } => "load",
            Self::Value { .. } => "value",
            Self::Shipment { .. } => "shipment",
            Self::Died { .. } => "died",
            Self::Failures { .. } => "failures",
        }
    }

    /// True when no trace of the module was found, so CPython may fail the same way.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        match self {
            Self::Import(fault) => match fault.reason {
                ImportReason::NotInstalled => true,
                ImportReason::CExtension => fault.path.is_empty(),
                ImportReason::StdlibMissing | ImportReason::Blocked | ImportReason::Unsupported => {
                    false
                }
            },
            _ => false,
        }
    }

    /// True when a failure on CPython shows that CPython lacks the same module, so the node had no
    /// reason to move.
    #[must_use]
    pub fn is_disproved_by(&self, failure: &NodeFailure) -> bool {
        let (Self::Import(here), Some(there)) = (self, &failure.import) else { return false };
        self.is_doubtful()
            && here.root_package == there.root_package
            && matches!(there.reason, ImportReason::NotInstalled | ImportReason::StdlibMissing)
    }

    /// The module that the interpreter lacks.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        match self {
            Self::Import(fault) => Some(&fault.module),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import(fault) => lacking(fault, out),
            Self::Load { error } => write!(out, "its module cannot be loaded: {error}"),
            Self::Value { error } => write!(out, "a value could not be converted: {error}"),
            Self::Shipment { error } => out.write_str(error),
            Self::Died { error } => write!(out, "the worker died while the node was made: {error}"),
            Self::Failures { count, error } => {
                write!(out, "it failed {count} times in a row, at last with {error}")
            }
        }
    }
}

/// The extension module that Python classes of native nodes call.
const NATIVE_MODULE: &str = "remotemedia._native";

fn lacking(fault: &ImportFault, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let ImportFault { module, root_package, .. } = fault;
    match fault.reason {
        ImportReason::CExtension if module == NATIVE_MODULE => {
            write!(out, "'{module}', which runs native nodes, is not in RustPython workers")
        }
        ImportReason::CExtension if module == root_package => {
            write!(out, "'{module}' is a C extension")
        }
        ImportReason::CExtension => {
            write!(out, "'{module}' of '{root_package}' is a C extension")
        }
        ImportReason::StdlibMissing => write!(out, "its standard library has no '{module}'"),
        ImportReason::NotInstalled => write!(out, "there is no module '{module}'"),
        ImportReason::Blocked => write!(out, "'{module}' is refused in RustPython workers"),
        ImportReason::Unsupported => {
            write!(out, "RustPython's module '{module}' lacks a feature that the node uses")
        }
    }
}

/// What follows from a failure on RustPython.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureClass {
    /// RustPython cannot run the node.
    Unsupported(Reason),
    /// The cause is unknown; repeated failures move the node.
    Unknown,
    /// The interpreter is not the cause.
    Unrelated,
}

/// Classifies a failure on RustPython. Only an import that made the node fail counts: a module that
/// the node imports and does not need has made nothing fail.
#[must_use]
pub fn classify(failure: &NodeFailure) -> FailureClass {
    // A one-line marshalling error already names the value, so its import fault is ignored. Messages
    // of several lines are install notes printed by packages such as numpy; there the import fault
    // is the cause.
    let names_value = failure.operation == FaultKind::Marshal && !failure.message.contains('\n');
    if let Some(import) = &failure.import
        && !names_value
    {
        return FailureClass::Unsupported(Reason::Import((**import).clone()));
    }
    let error = one_line(failure);
    match failure.operation {
        FaultKind::Load => FailureClass::Unsupported(Reason::Load { error }),
        FaultKind::Marshal => FailureClass::Unsupported(Reason::Value { error }),
        FaultKind::Construct | FaultKind::Initialize | FaultKind::Process | FaultKind::Flush => {
            FailureClass::Unknown
        }
        // A misspelt name is wrong in every interpreter.
        FaultKind::NotFound
        | FaultKind::Stale
        | FaultKind::Conflict
        | FaultKind::Cleanup
        | FaultKind::Protocol => FailureClass::Unrelated,
    }
}

/// An exception in one line, without a full stop at its end.
#[must_use]
pub fn one_line(failure: &NodeFailure) -> String {
    let first = failure.message.lines().next().unwrap_or_default();
    clause(&format!("{}: {first}", failure.remote_type))
}

/// A text without the full stop at its end, to stand inside a sentence.
#[must_use]
pub fn clause(text: &str) -> String {
    text.trim_end().trim_end_matches('.').to_owned()
}

/// What a caller can do about a node that RustPython cannot run and that may not move. `message` is
/// the text of the error, which is not repeated. `None` for a module that CPython may lack too: the
/// error says what to install.
#[must_use]
pub fn advice(reason: &Reason, message: &str) -> Option<String> {
    let by_itself = "let it move to CPython by itself: REMOTEMEDIA_ENABLE_FALLBACK=true, \
                     [fallback] enabled = true, or fallback=True";
    if message.contains("runtime_hint") {
        return Some(format!("Or {by_itself}"));
    }
    let why = match reason {
        Reason::Import(fault) if fault.reason == ImportReason::NotInstalled => return None,
        Reason::Import(fault) if !message.contains(fault.suggestion.as_str()) => {
            format!(": {reason} ({})", fault.suggestion)
        }
        Reason::Import(_) => format!(": {reason}"),
        _ => String::new(),
    };
    Some(format!(
        "RustPython cannot run this node{why}. Set runtime_hint \"cpython\" for the node, or \
         {by_itself}"
    ))
}

/// What is known about a node's code on RustPython.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Finding {
    /// It has not run there yet.
    #[default]
    Untried,
    /// It gave an output there.
    Runs,
    /// RustPython cannot run it.
    Unsupported(Reason),
}

#[derive(Debug, Default)]
struct Record {
    finding: Finding,
    failures: u32,
}

/// The findings of one runtime, by the digests of node code.
#[derive(Debug, Default)]
pub struct Findings {
    records: HashMap<String, Record>,
}

impl Findings {
    /// What is known about a node's code.
    #[must_use]
    pub fn get(&self, digest: &str) -> Finding {
        self.records.get(digest).map_or_else(Finding::default, |record| record.finding.clone())
    }

    /// Records an output; earlier failures no longer count.
    pub fn record_success(&mut self, digest: &str) {
        let record = self.records.entry(digest.to_owned()).or_default();
        record.failures = 0;
        if record.finding == Finding::Untried {
            record.finding = Finding::Runs;
        }
    }

    /// Records a failure of unknown cause. Returns the reason to move the node when it has failed
    /// `limit` times in a row; 0 is no limit.
    pub fn record_failure(&mut self, digest: &str, error: String, limit: u32) -> Option<Reason> {
        let record = self.records.entry(digest.to_owned()).or_default();
        record.failures = record.failures.saturating_add(1);
        if limit == 0 || record.failures < limit {
            return None;
        }
        let reason = Reason::Failures { count: record.failures, error };
        record.finding = Finding::Unsupported(reason.clone());
        Some(reason)
    }

    /// Records that RustPython cannot run it.
    pub fn record_unsupported(&mut self, digest: &str, reason: Reason) {
        self.records.entry(digest.to_owned()).or_default().finding = Finding::Unsupported(reason);
    }

    /// Drops what was recorded: CPython failed the same way, so RustPython was not the cause.
    pub fn retract(&mut self, digest: &str) {
        self.records.remove(digest);
    }
}
