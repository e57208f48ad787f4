//! When a node leaves RustPython for CPython: which failures are known to be the interpreter's, how
//! many of the others are too many, and what is remembered of it. Pure; sessions ask, and carry out
//! what is said.
//!
//! What is remembered belongs to the code of a node and the program of the interpreter: other code,
//! or another program, is tried anew. [`store`] keeps for later runs what cannot change by itself.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use ipc_protocol::{FaultKind, ImportFault, ImportReason};

use crate::error::NodeFailure;

pub mod store;
#[cfg(test)]
mod tests;

/// Why a node is not run by RustPython.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The interpreter lacks a module, or a feature of one.
    Import(ImportFault),
    /// The node's module cannot be loaded.
    Load {
        /// The exception in one line.
        error: String,
    },
    /// A value cannot pass to or from the interpreter.
    Value {
        /// The exception in one line.
        error: String,
    },
    /// The node object cannot be described without code of the caller's interpreter.
    Shipment {
        /// What stands in the way.
        error: String,
    },
    /// The worker died while the node was made.
    Died {
        /// How it ended.
        error: String,
    },
    /// It failed again and again.
    Failures {
        /// How often in a row.
        count: u32,
        /// The last exception in one line.
        error: String,
    },
}

impl Reason {
    /// The word for it in metrics.
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

    /// Whether CPython may lack it as well: nothing of the module was seen.
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

    /// Whether a failure on CPython shows that this was no reason to go there: the module that
    /// RustPython lacks is nowhere.
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

    /// Whether it holds for every later run of the same code in the same surroundings. What depends
    /// on inputs, on the node object, on files or on memory does not: a package may be installed,
    /// and a module that did not load may have missed a file. Syntax is refused for ever.
    #[must_use]
    pub fn lasts(&self) -> bool {
        match self {
            Self::Import(fault) => fault.reason != ImportReason::NotInstalled,
            Self::Load { error } => error.starts_with("SyntaxError: "),
            Self::Value { .. }
            | Self::Shipment { .. }
            | Self::Died { .. }
            | Self::Failures { .. } => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import(fault) => lacking(fault, out),
            Self::Load { error } => write!(out, "its module cannot be loaded: {error}"),
            Self::Value { error } => write!(out, "a value cannot pass: {error}"),
            Self::Shipment { error } => out.write_str(error),
            Self::Died { error } => write!(out, "the worker died while the node was made: {error}"),
            Self::Failures { count, error } => {
                write!(out, "it failed {count} times in a row, at last with {error}")
            }
        }
    }
}

/// What the SDK's classes of native nodes call when they run in a worker.
const OWN_RUST_PART: &str = "remotemedia._native";

fn lacking(fault: &ImportFault, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let ImportFault { module, root_package, .. } = fault;
    match fault.reason {
        ImportReason::CExtension if module == OWN_RUST_PART => {
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
        ImportReason::Unsupported => write!(out, "its '{module}' lacks what the node uses"),
    }
}

/// What a failure on RustPython says about the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The interpreter cannot run it.
    Move(Reason),
    /// It may be the node's own; the number decides.
    Count,
    /// It says nothing.
    Nothing,
}

/// Judges a failure on RustPython. Only what happened counts: a module that is imported and not
/// needed has made nothing fail.
#[must_use]
pub fn judge(failure: &NodeFailure) -> Judgement {
    // What cannot pass is told by the message; its import is not the node's own. What packages say
    // of themselves has many lines.
    let names_value = failure.operation == FaultKind::Marshal && !failure.message.contains('\n');
    if let Some(import) = &failure.import
        && !names_value
    {
        return Judgement::Move(Reason::Import((**import).clone()));
    }
    let error = one_line(failure);
    match failure.operation {
        FaultKind::Load => Judgement::Move(Reason::Load { error }),
        FaultKind::Marshal => Judgement::Move(Reason::Value { error }),
        FaultKind::Construct | FaultKind::Initialize | FaultKind::Process | FaultKind::Flush => {
            Judgement::Count
        }
        // A wrong name is wrong in every interpreter.
        FaultKind::NotFound
        | FaultKind::Stale
        | FaultKind::Conflict
        | FaultKind::Cleanup
        | FaultKind::Protocol => Judgement::Nothing,
    }
}

/// An exception in one line, without a full stop at its end.
#[must_use]
pub fn one_line(failure: &NodeFailure) -> String {
    let first = failure.message.lines().next().unwrap_or_default();
    clause(&format!("{}: {first}", failure.remote_type))
}

/// A text as a part of a sentence.
#[must_use]
pub fn clause(text: &str) -> String {
    text.trim_end().trim_end_matches('.').to_owned()
}

/// What a caller can do about a node that RustPython cannot run, when it may not move. `told` is
/// what the error says already; for a module that perhaps no interpreter has, that is all.
#[must_use]
pub fn advice(reason: &Reason, told: &str) -> Option<String> {
    let by_itself = "let it move to CPython by itself: REMOTEMEDIA_ENABLE_FALLBACK=true, \
                     [fallback] enabled = true, or fallback=True";
    if told.contains("runtime_hint") {
        return Some(format!("Or {by_itself}"));
    }
    let why = match reason {
        Reason::Import(fault) if fault.reason == ImportReason::NotInstalled => return None,
        Reason::Import(fault) if !told.contains(fault.suggestion.as_str()) => {
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

/// The code of a node, in an interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CodeKey {
    /// Digest of the node's code.
    pub digest: String,
    /// The interpreter's program: its path, and what changes when it is replaced.
    pub interpreter: String,
}

/// The code of a node, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// What is remembered in this process belongs to it.
    pub key: CodeKey,
    /// The interpreter's program, for people.
    pub program: PathBuf,
    /// Digest of everything else that a decision depends on; `None` when nothing of earlier or
    /// later runs is known by it.
    pub surroundings: Option<String>,
}

/// What is known of a node's code in an interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Verdict {
    /// Nothing.
    #[default]
    Untried,
    /// It has given something.
    Runs,
    /// The interpreter cannot run it.
    Moved(Reason),
}

#[derive(Debug, Default)]
struct Record {
    verdict: Verdict,
    failures: u32,
}

/// What an orchestrator has learned, until it ends or is told to forget.
#[derive(Debug, Default)]
pub struct Memory {
    records: HashMap<CodeKey, Record>,
}

impl Memory {
    /// What is known of a code.
    #[must_use]
    pub fn verdict(&self, key: &CodeKey) -> Verdict {
        self.records.get(key).map_or_else(Verdict::default, |record| record.verdict.clone())
    }

    /// It gave something: failures before that no longer count.
    pub fn succeeded(&mut self, key: &CodeKey) {
        let record = self.records.entry(key.clone()).or_default();
        record.failures = 0;
        if record.verdict == Verdict::Untried {
            record.verdict = Verdict::Runs;
        }
    }

    /// It failed, in a way that is not known to be the interpreter's. Gives the reason to move it,
    /// when it has failed `limit` times in a row; 0 is no limit.
    pub fn failed(&mut self, key: &CodeKey, error: String, limit: u32) -> Option<Reason> {
        let record = self.records.entry(key.clone()).or_default();
        record.failures = record.failures.saturating_add(1);
        if limit == 0 || record.failures < limit {
            return None;
        }
        let reason = Reason::Failures { count: record.failures, error };
        record.verdict = Verdict::Moved(reason.clone());
        Some(reason)
    }

    /// The interpreter cannot run it.
    pub fn moved(&mut self, key: &CodeKey, reason: Reason) {
        self.records.entry(key.clone()).or_default().verdict = Verdict::Moved(reason);
    }

    /// It was not the interpreter that could not run it.
    pub fn unlearn(&mut self, key: &CodeKey) {
        self.records.remove(key);
    }

    /// Forgets everything, or what concerns one code or one class (`module:Class`).
    pub fn forget(&mut self, name: Option<&str>) {
        match name {
            Some(name) => self.records.retain(|key, _| !store::is_of(&key.digest, name)),
            None => self.records.clear(),
        }
    }
}
