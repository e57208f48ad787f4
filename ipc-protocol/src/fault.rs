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
    /// What the interpreter lacks, when that is why. Since 3; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Box<ImportFault>>,
}

/// A module, or a feature of one, that a worker's interpreter does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFault {
    /// Full name of the module, such as `scipy.signal`.
    pub module: String,
    /// The package that a user would install or replace, such as `scipy`.
    pub root_package: String,
    /// Why it is not available.
    pub reason: ImportReason,
    /// The file that was found and cannot be used; empty when none was.
    pub path: String,
    /// What to do about it, in words for people; empty when nothing is known.
    pub suggestion: String,
}

/// Why a module is not available in an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ImportReason {
    /// It is, or needs, compiled code for another interpreter.
    CExtension,
    /// CPython's standard library has it, this interpreter's does not.
    StdlibMissing,
    /// Nothing of that name is on the search path.
    NotInstalled,
    /// The policy of the worker refuses it.
    Blocked,
    /// It is there, and something in it that CPython has is not.
    Unsupported,
}

impl ImportReason {
    /// The reason that Python code names so (`remotemedia._guest.imports`).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "c_extension" => Some(Self::CExtension),
            "stdlib_missing" => Some(Self::StdlibMissing),
            "not_installed" => Some(Self::NotInstalled),
            "blocked" => Some(Self::Blocked),
            "unsupported" => Some(Self::Unsupported),
            _ => None,
        }
    }
}

/// The moment of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The node's module or class does not exist.
    NotFound,
    /// A module that this worker has loaded has changed on disk since; a fresh worker is needed.
    Stale,
    /// A module that this worker has loaded lies elsewhere on the session's path; the worker suits
    /// other sessions. Since 5.
    Conflict,
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

impl FaultKind {
    /// The moment that Python code names so (`remotemedia._guest.faults`); any other name is that
    /// of `process`.
    pub fn from_name(name: &str) -> Self {
        match name {
            "not found" => Self::NotFound,
            "stale" => Self::Stale,
            "conflict" => Self::Conflict,
            "load" => Self::Load,
            "construct" => Self::Construct,
            "initialize" => Self::Initialize,
            "flush" => Self::Flush,
            "cleanup" => Self::Cleanup,
            "marshal" => Self::Marshal,
            _ => Self::Process,
        }
    }
}
