//! Messages from a worker to the orchestrator.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::array::Payload;
use crate::fault::Fault;
use crate::patience::Report;
use crate::share::Share;
use crate::to_worker::SavedState;
use crate::value::Value;

/// All messages from a worker after its `Hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The session's nodes exist and `initialize` has run on each. Since protocol 1.
    Opened(Vec<NodeReady>),
    /// One output of a stage. Since protocol 1.
    Output(Output),
    /// A call is complete. Since protocol 1.
    Done(Done),
    /// A call, or the opening of a session, failed. It is over, unless the fault says that the worker
    /// keeps it. The worker lives on. Since protocol 1.
    Failed(Failed),
    /// A text that a node printed or logged. Since protocol 1.
    Log(LogRecord),
    /// The session has ended; the answer to `Close`. Since protocol 1.
    Closed(Closed),
    /// A message about segments and leases. Since protocol 2.
    Share(Share),
    /// Installed modules that the session's code has loaded, and no session before it did. Sent
    /// before `Opened` and `Closed`, and after calls that took long. Since protocol 6.
    Loaded(Vec<String>),
    /// Answer to `End`: the worker will exit by itself, so the orchestrator may exit now. Since
    /// protocol 5.
    Ending,
    /// Answer to `Save`. Since protocol 6.
    Saved(Saved),
}

/// Properties of a node that the worker found when it made the node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NodeReady {
    /// Id of the node in the manifest.
    pub node_id: String,
    /// True for a source: the node produces without input.
    pub is_source: bool,
    /// True when the node takes one stream of inputs instead of single items.
    pub is_streaming: bool,
    /// True when the node uses asyncio.
    pub is_async: bool,
    /// It may have outputs at the end of the input: it has a method `flush`, or takes a stream.
    /// Since protocol 6; true when absent.
    #[serde(default = "yes")]
    pub flushes: bool,
    /// It has the methods `checkpoint` and `restore`. Since protocol 6; false when absent.
    #[serde(default)]
    pub saves: bool,
}

/// Written by hand: fields have positions, so `flushes` may be absent only when `saves` is too.
impl Serialize for NodeReady {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = match self {
            Self { saves: true, .. } => 2,
            Self { flushes: false, .. } => 1,
            _ => 0,
        };
        let mut record = serializer.serialize_struct("NodeReady", 4 + optional)?;
        record.serialize_field("node_id", &self.node_id)?;
        record.serialize_field("is_source", &self.is_source)?;
        record.serialize_field("is_streaming", &self.is_streaming)?;
        record.serialize_field("is_async", &self.is_async)?;
        if optional > 0 {
            record.serialize_field("flushes", &self.flushes)?;
        }
        if optional > 1 {
            record.serialize_field("saves", &self.saves)?;
        }
        record.end()
    }
}

/// The state of a worker's nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The number in `Save`.
    pub number: u64,
    /// One entry per node that can save its state; empty when one of them failed.
    pub states: Vec<SavedState>,
    /// Why the state could not be saved.
    pub fault: Option<Fault>,
}

fn yes() -> bool {
    true
}

/// One output of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Number of the stage.
    pub stage: u32,
    /// Number of the call that made the output.
    pub call: u64,
    /// The output value.
    pub value: Value,
    /// How long the worker worked since it got the request or sent the output before, whichever was
    /// later. Since protocol 6; absent when the end of the call is sent together with the output.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub worked: Report,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Number of the stage.
    pub stage: u32,
    /// Number of the call.
    pub call: u64,
    /// What the call cost: one entry per node, in the stage's order.
    pub usage: Vec<NodeUsage>,
    /// How long the worker worked, as in [`Output`]. Since protocol 6.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub worked: Report,
}

/// The end of a call, or of an opening, that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// Number of the stage; absent when opening or closing failed.
    pub stage: Option<u32>,
    /// Number of the call; 0 when opening or closing failed.
    pub call: u64,
    /// Why it failed.
    pub fault: Fault,
    /// What the call cost until it failed, as in [`Done`].
    pub usage: Vec<NodeUsage>,
    /// How long the worker worked, as in [`Output`]. Since protocol 6.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub worked: Report,
}

/// What one node cost in one call. All values cover this call alone, except `peak_memory_bytes` and
/// the arrays that a node keeps from call to call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct NodeUsage {
    /// Number of calls of `process`.
    pub calls: u64,
    /// Number of calls of `process` and `flush` that raised.
    pub errors: u64,
    /// Time inside the node, `flush` included, in nanoseconds.
    pub busy_ns: u64,
    /// Time for the conversion of values to and from Python objects, in nanoseconds.
    pub marshal_ns: u64,
    /// Highest resident memory of the process while the node ran, in bytes; 0 when not measured.
    pub peak_memory_bytes: u64,
    /// `peak_memory_bytes` minus the resident memory before the call, in bytes.
    pub peak_delta_bytes: u64,
    /// How the node's inputs and outputs travelled, as far as the worker saw it. Since protocol 2;
    /// absent when the worker saw no payload move.
    #[serde(default)]
    pub moved: Moved,
    /// The node's memory, private and shared apart. Since protocol 6; absent when all is 0.
    #[serde(default)]
    pub memory: MemoryParts,
}

/// Written by hand: fields have positions, so `moved` may be absent only when `memory` is too.
impl Serialize for NodeUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = match self {
            Self { memory, .. } if *memory != MemoryParts::default() => 2,
            Self { moved, .. } if !moved.is_nothing() => 1,
            _ => 0,
        };
        let mut record = serializer.serialize_struct("NodeUsage", 6 + optional)?;
        record.serialize_field("calls", &self.calls)?;
        record.serialize_field("errors", &self.errors)?;
        record.serialize_field("busy_ns", &self.busy_ns)?;
        record.serialize_field("marshal_ns", &self.marshal_ns)?;
        record.serialize_field("peak_memory_bytes", &self.peak_memory_bytes)?;
        record.serialize_field("peak_delta_bytes", &self.peak_delta_bytes)?;
        if optional > 0 {
            record.serialize_field("moved", &self.moved)?;
        }
        if optional > 1 {
            record.serialize_field("memory", &self.memory)?;
        }
        record.end()
    }
}

/// Memory of one node, private and shared apart, in bytes. Each number is the highest of its kind,
/// and they need not have been reached at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryParts {
    /// Growth of the process's resident private memory during a call.
    pub delta_private_bytes: u64,
    /// Growth of its resident shared memory: segments, and files that are mapped.
    pub delta_shared_bytes: u64,
    /// Private memory in arrays that the node has made, whatever other nodes did meanwhile.
    pub array_private_bytes: u64,
    /// The same in shared memory.
    pub array_shared_bytes: u64,
}

impl MemoryParts {
    /// The highest of both, part by part.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            delta_private_bytes: self.delta_private_bytes.max(other.delta_private_bytes),
            delta_shared_bytes: self.delta_shared_bytes.max(other.delta_shared_bytes),
            array_private_bytes: self.array_private_bytes.max(other.array_private_bytes),
            array_shared_bytes: self.array_shared_bytes.max(other.array_shared_bytes),
        }
    }
}

/// How the payloads of a node's inputs and outputs travelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Traffic of the hop to the node.
    pub incoming: Traffic,
    /// Traffic of the hop away from the node.
    pub outgoing: Traffic,
}

/// How payloads (arrays, bytes, pickles) travelled on one hop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Number of copies of whole payloads; those inside frames are not counted.
    pub copies: u64,
    /// Total length of those copies, in bytes.
    pub copied_bytes: u64,
    /// Bytes that were passed in shared memory.
    pub shared_bytes: u64,
    /// Bytes that travelled inside frames.
    pub inline_bytes: u64,
}

impl Moved {
    /// Whether all counts are zero.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.copies = self.copies.saturating_add(other.copies);
        self.copied_bytes = self.copied_bytes.saturating_add(other.copied_bytes);
        self.shared_bytes = self.shared_bytes.saturating_add(other.shared_bytes);
        self.inline_bytes = self.inline_bytes.saturating_add(other.inline_bytes);
    }
}

impl std::ops::AddAssign for Moved {
    fn add_assign(&mut self, other: Self) {
        self.incoming += other.incoming;
        self.outgoing += other.outgoing;
    }
}

/// A text that a node printed or logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Id of the node that ran; empty when no node ran.
    pub node_id: String,
    /// `stdout`, `stderr`, or the name of a `logging` logger.
    pub logger: String,
    /// True for stdout and stderr.
    pub is_stream: bool,
    /// Level of Python's `logging` (10, 20, 30, 40, 50); 0 for streams.
    pub level: u32,
    /// The text, without a final newline.
    pub message: String,
    /// Line of code that logged the record. Since protocol 4; absent for streams and when it is
    /// unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<SourceLine>,
}

/// A line of code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// Path of the file, as the worker knows it.
    pub path: String,
    /// Number of the line, counted from 1.
    pub line: u32,
    /// Name of the function around the line.
    pub function: String,
}

/// The end of a session: what its nodes changed, and what failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// Node attributes that changed since `initialize`.
    pub states: Vec<NodeState>,
    /// Failures of `cleanup`, at most one per node.
    pub faults: Vec<Fault>,
    /// Changes of the session to the worker's process that cannot be undone, as text for a log. If
    /// there are any, the worker must not serve another session. Since protocol 6; absent when
    /// empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// The changed attributes of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// Id of the node in the manifest.
    pub node_id: String,
    /// A pickle of the dict of changed attributes and the list of deleted ones.
    pub attributes: Payload,
    /// Names of attributes that changed but could not be sent, each with the reason.
    pub kept: Vec<(String, String)>,
}
