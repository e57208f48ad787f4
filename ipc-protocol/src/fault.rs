//! What went wrong inside a worker, as data.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// A failure that a worker reports and survives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Fault {
    /// What was being done.
    pub kind: FaultKind,
    /// The node at fault; empty when no single node is.
    pub node_id: String,
    /// Qualified name of the exception's type; bare for builtins (`ValueError`).
    pub remote_type: String,
    /// `str(exception)`, and nothing else. Before 6 the suggestion of `import` is part of it.
    pub message: String,
    /// Formatted traceback with source lines, ending with the exception line.
    pub traceback: String,
    /// What the interpreter lacks, when that is why. Since 3; absent when it is not.
    #[serde(default)]
    pub import: Option<Box<ImportFault>>,
    /// What else is known. Since 6; absent when nothing is.
    #[serde(default)]
    pub detail: Option<Box<FaultDetail>>,
}

/// By hand: fields have places, not names, so `import` may be absent only where nothing follows it.
impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = match (&self.import, &self.detail) {
            (_, Some(_)) => 2,
            (Some(_), None) => 1,
            (None, None) => 0,
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
        record.end()
    }
}

/// What is known of a failure beside its exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultDetail {
    /// A name is not known; this known one is most like it.
    Nearest(String),
    /// This part of a value cannot leave the process. The message says so, too.
    Unsendable(Part),
    /// This part of a value could not become an object; the exception says why.
    Unopenable(Part),
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where it is, such as `output['kept'][0]`.
    pub path: String,
    /// Qualified name of its type; bare for builtins.
    pub type_name: String,
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
    /// The fault's message says what the suggestion says. Since 6; absent when it does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_told: bool,
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
