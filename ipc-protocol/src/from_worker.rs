//! Messages from a worker to the orchestrator.

use serde::{Deserialize, Serialize};

use crate::array::Payload;
use crate::fault::Fault;
use crate::patience::Report;
use crate::share::Share;
use crate::value::Value;

/// Everything a worker says after its `Hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The session's nodes stand, `initialize` has run. Since 1.
    Opened(Vec<NodeReady>),
    /// One output of a stage. Since 1.
    Output(Output),
    /// A call is complete. Since 1.
    Done(Done),
    /// A call, or opening, failed; it is over. The worker lives on. Since 1.
    Failed(Failed),
    /// Something a node printed or logged. Since 1.
    Log(LogRecord),
    /// The session is forgotten. Since 1.
    Closed(Closed),
    /// News about segments and leases. Since 2.
    Share(Share),
    /// Answer to `End`: the orchestrator may end now. The worker ends by itself. Since 5.
    Ending,
}

/// What a worker found out about a node by making it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReady {
    /// Id in the manifest.
    pub node_id: String,
    /// It produces without input.
    pub is_source: bool,
    /// It takes one stream of inputs instead of single ones.
    pub is_streaming: bool,
    /// It uses asyncio.
    pub is_async: bool,
    /// It may have outputs at the end of the input: it has a method `flush`, or takes a stream.
    /// Since 6; true when absent.
    #[serde(default = "yes")]
    pub flushes: bool,
}

fn yes() -> bool {
    true
}

/// One output of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Number of the stage.
    pub stage: u32,
    /// The call it belongs to.
    pub call: u64,
    /// The value.
    pub value: Value,
    /// How long the worker worked on it, since it got the input or sent the output before. Since 6;
    /// absent when the end of the call comes along.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub worked: Report,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Number of the stage.
    pub stage: u32,
    /// The call.
    pub call: u64,
    /// What the call cost, node by node, in the stage's order.
    pub usage: Vec<NodeUsage>,
    /// How long the worker worked until then, as in [`Output`]. Since 6.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub worked: Report,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// Number of the stage; absent when opening or closing failed.
    pub stage: Option<u32>,
    /// The call; 0 when opening or closing failed.
    pub call: u64,
    /// Why.
    pub fault: Fault,
    /// What the call cost until then.
    pub usage: Vec<NodeUsage>,
    /// As in [`Done`]. Since 6.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub worked: Report,
}

/// What one node cost in one call. All counts cover this call alone, but for the peak.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUsage {
    /// Calls of `process`.
    pub calls: u64,
    /// Calls of `process` and `flush` that raised.
    pub errors: u64,
    /// Time inside the node, `flush` included, in nanoseconds.
    pub busy_ns: u64,
    /// Time spent turning values into and out of Python objects, in nanoseconds.
    pub marshal_ns: u64,
    /// Highest resident memory of the process while the node ran, in bytes; 0 when not measured.
    pub peak_memory_bytes: u64,
    /// How far that is above the resident memory before the call, in bytes.
    pub peak_delta_bytes: u64,
    /// How its inputs and outputs travelled, as far as the worker saw it. Since 2; absent when
    /// nothing did.
    #[serde(default, skip_serializing_if = "Moved::is_nothing")]
    pub moved: Moved,
}

/// How values came to a node and left it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// On the hop to the node.
    pub incoming: Traffic,
    /// On the hop away from it.
    pub outgoing: Traffic,
}

/// What happened to the memory of arrays, bytes and pickles on a hop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Copies made of whole payloads, those inside frames not counted.
    pub copies: u64,
    /// Bytes of those copies.
    pub copied_bytes: u64,
    /// Bytes that were handed over in shared memory.
    pub shared_bytes: u64,
    /// Bytes that travelled inside frames.
    pub inline_bytes: u64,
}

impl Moved {
    /// Whether nothing moved.
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

/// Something that a node wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The node that ran; empty when none did.
    pub node_id: String,
    /// `stdout`, `stderr`, or the name of a `logging` logger.
    pub logger: String,
    /// True for stdout and stderr.
    pub is_stream: bool,
    /// Level of Python's `logging` (10, 20, 30, 40, 50); 0 for streams.
    pub level: u32,
    /// The text, without a final newline.
    pub message: String,
    /// Where a record was logged. Since 4; absent for streams and where it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A line of code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the worker knows it.
    pub path: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The function that it is in.
    pub function: String,
}

/// The end of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// Attributes that changed since `initialize`.
    pub states: Vec<NodeState>,
    /// Failures of `cleanup`, one a node at most.
    pub faults: Vec<Fault>,
    /// What the session changed in the process and cannot be put back, in words for people. The worker
    /// is of no use for other sessions then. Since 6; absent when there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// The changed attributes of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// Id in the manifest.
    pub node_id: String,
    /// A pickle of the dict of changed attributes and the list of deleted ones.
    pub attributes: Payload,
    /// Attributes that changed but could not be sent, with the reason.
    pub kept: Vec<(String, String)>,
}
