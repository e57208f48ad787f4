//! Failures inside a worker, as data.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// A failure that a worker reports and survives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Fault {
    /// Kind of the failure.
    pub kind: FaultKind,
    /// The node that failed; empty when no single node did.
    pub node_id: String,
    /// Qualified name of the exception's type; bare for builtins (`ValueError`).
    pub remote_type: String,
    /// `str(exception)` alone. Before protocol 6, the text also contains the suggestion of
    /// `import`.
    pub message: String,
    /// Formatted traceback with source lines, ending with the exception line.
    pub traceback: String,
    /// The module or feature that the interpreter lacks, if that is the cause. Since protocol 3;
    /// absent otherwise.
    #[serde(default)]
    pub import: Option<Box<ImportFault>>,
    /// A further fact about the failure, as data. Since protocol 6; absent when there is none.
    #[serde(default)]
    pub detail: Option<Box<FaultDetail>>,
    /// The exception behind it, if node code raised one. Since protocol 6; absent otherwise.
    #[serde(default)]
    pub raised: Option<Box<Raised>>,
}

/// Written by hand: a record's fields have positions, not names, so each of the last three may be
/// absent only when those that follow it are absent too.
impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = match (&self.import, &self.detail, &self.raised) {
            (_, _, Some(_)) => 3,
            (_, Some(_), None) => 2,
            (Some(_), None, None) => 1,
            (None, None, None) => 0,
        };
        let mut record = serializer.serialize_struct("Fault", 5 + optional)?;
        record.serialize_field("kind", &self.kind)?;
        record.serialize_field("node_id", &self.node_id)?;
        record.serialize_field("remote_type", &self.remote_type)?;
        record.serialize_field("message", &self.message)?;
        record.serialize_field("traceback", &self.traceback)?;
        if optional > 0 {
            record.serialize_field("import", &self.import)?;
        }
        if optional > 1 {
            record.serialize_field("detail", &self.detail)?;
        }
        if optional > 2 {
            record.serialize_field("raised", &self.raised)?;
        }
        record.end()
    }
}

/// An exception that node code raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// Qualified names of its type and of the bases of that type, in the order in which Python
    /// searches them, without `BaseException` and `object`; bare for builtins.
    pub types: Vec<String>,
    /// True when the worker has kept the call at the node that raised: `Retry` calls that node
    /// again with the same item, `Abort` ends the call.
    pub is_kept: bool,
    /// The exception with its causes, contexts and members, as text that `remotemedia._exceptions`
    /// writes and reads. Absent when it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub described: String,
}

/// A fact about a failure, as data, in addition to the exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultDetail {
    /// The known name that is most like an unknown one.
    Nearest(String),
    /// The part of a value that cannot leave the worker. The fault's message names it too.
    Unsendable(Part),
    /// The part of a value that could not become an object in the worker; the exception says why.
    Unopenable(Part),
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Path to the part, such as `output['kept'][0]`.
    pub path: String,
    /// Qualified name of the part's type; bare for builtins.
    pub type_name: String,
}

/// A module, or a feature of one, that a worker's interpreter does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFault {
    /// Full name of the module, such as `scipy.signal`.
    pub module: String,
    /// The package that a user would install or replace, such as `scipy`.
    pub root_package: String,
    /// Why the module is not available.
    pub reason: ImportReason,
    /// The file that was found and cannot be used; empty when no file was found.
    pub path: String,
    /// What the user can do, as text; empty when no advice is known.
    pub suggestion: String,
    /// True when the fault's message already contains the suggestion. Since protocol 6; absent when
    /// false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_told: bool,
}

/// Why a module is not available in an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ImportReason {
    /// The module is, or needs, compiled code for another interpreter.
    CExtension,
    /// CPython's standard library has the module, this interpreter's does not.
    StdlibMissing,
    /// No module of that name is on the search path.
    NotInstalled,
    /// RustPython workers refuse the module, which could crash them (`remotemedia._guest.policy`).
    Blocked,
    /// The module exists, but lacks something that CPython's has.
    Unsupported,
}

impl ImportReason {
    /// The reason for a name that Python code uses (`remotemedia._guest.imports`); `None` for
    /// others.
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

/// Kind of a failure: the step that failed, or the condition that was not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The node's module or class does not exist.
    NotFound,
    /// A module has changed on disk since this worker loaded it, or a session that could not be
    /// opened has changed the process; a fresh worker is needed.
    Stale,
    /// A module that this worker has loaded lies elsewhere on the session's search path; the worker
    /// still suits other sessions. Since protocol 5.
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
    /// `checkpoint` raised, or what it returned cannot be pickled. Since protocol 6.
    Checkpoint,
    /// `restore` raised, or its state cannot be unpickled. Since protocol 6.
    Restore,
    /// A value could not be converted to or from its form in the protocol.
    Marshal,
    /// The peer broke the protocol.
    Protocol,
}

impl FaultKind {
    /// The kind for a name that Python code uses (`remotemedia._guest.faults`); every other name
    /// means [`FaultKind::Process`].
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
            "checkpoint" => Self::Checkpoint,
            "restore" => Self::Restore,
            "marshal" => Self::Marshal,
            _ => Self::Process,
        }
    }
}
