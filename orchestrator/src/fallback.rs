//! Decides when a node moves from RustPython to CPython: which failures RustPython causes, and how
//! many failures of unknown cause are too many. Keeps what earlier sessions have found. Pure;
//! sessions carry the decisions out.
//!
//! A finding belongs to the digest of a node's code and lives as long as the runtime: code that was
//! changed has another digest, so RustPython is tried again.

use std::collections::HashMap;

use ipc_protocol::{FaultDetail, FaultKind};

use crate::failure::NodeFailure;
use crate::reason::Reason;

#[cfg(test)]
mod tests;

/// The cause of a failure on RustPython.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureClass {
    /// RustPython cannot run the node.
    Unsupported(Reason),
    /// The cause is unknown; repeated failures move the node.
    Unknown,
    /// The interpreter is not the cause.
    Unrelated,
}

/// Classifies a failure on RustPython. A failed import counts only if it made the node fail, not if
/// the node can do without the module.
#[must_use]
pub fn classify(failure: &NodeFailure) -> FailureClass {
    // Here the import failed in the code of a value, not of the node.
    let names_value = matches!(
        failure.detail.as_deref(),
        Some(FaultDetail::Unsendable(_) | FaultDetail::Unopenable(_))
    );
    if let Some(import) = &failure.import
        && !names_value
    {
        return FailureClass::Unsupported(Reason::Import((**import).clone()));
    }
    let error = one_line(failure);
    match failure.operation {
        FaultKind::Load => FailureClass::Unsupported(Reason::Load { error }),
        // What is too large is so in every interpreter.
        FaultKind::Marshal if failure.remote_type == "MemoryError" => FailureClass::Unrelated,
        FaultKind::Marshal => FailureClass::Unsupported(Reason::Value { error }),
        FaultKind::Construct | FaultKind::Initialize | FaultKind::Process | FaultKind::Flush => {
            FailureClass::Unknown
        }
        // A misspelt name is wrong in every interpreter.
        FaultKind::NotFound
        | FaultKind::Stale
        | FaultKind::Conflict
        | FaultKind::Cleanup
        | FaultKind::Checkpoint
        | FaultKind::Restore
        | FaultKind::Protocol => FailureClass::Unrelated,
    }
}

/// An exception in one line, without a full stop at its end.
#[must_use]
pub fn one_line(failure: &NodeFailure) -> String {
    clause(&failure.raised(failure.told().lines().next().unwrap_or_default()))
}

/// A text without the full stop at its end, to stand inside a sentence.
#[must_use]
pub fn clause(text: &str) -> String {
    text.trim_end().trim_end_matches('.').to_owned()
}

/// What is known about how a node's code runs on RustPython.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Finding {
    /// RustPython has not run the code yet.
    #[default]
    Untried,
    /// A call of the code has succeeded on RustPython.
    Runs,
    /// RustPython cannot run the code.
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

    /// Records a call that succeeded; earlier failures no longer count.
    pub fn record_success(&mut self, digest: &str) {
        let record = self.records.entry(digest.to_owned()).or_default();
        record.failures = 0;
        if record.finding == Finding::Untried {
            record.finding = Finding::Runs;
        }
    }

    /// Records a failure of unknown cause. Returns the reason to move the node when it has failed
    /// `limit` times in a row; with a `limit` of 0, never.
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

    /// Records that RustPython cannot run a node's code.
    pub fn record_unsupported(&mut self, digest: &str, reason: Reason) {
        self.records.entry(digest.to_owned()).or_default().finding = Finding::Unsupported(reason);
    }

    /// Drops what was recorded about a node's code: CPython failed in the same way, so RustPython
    /// was not the cause.
    pub fn retract(&mut self, digest: &str) {
        self.records.remove(digest);
    }
}
