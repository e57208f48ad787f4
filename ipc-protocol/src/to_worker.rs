//! Messages from the orchestrator to a worker.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_bytes::ByteBuf;

use crate::array::Payload;
use crate::limits::Limits;
use crate::patience::Report;
use crate::share::{MemoryTerms, Share};
use crate::value::Value;

/// All messages from the orchestrator to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Answer to the worker's `Hello`. Since protocol 1.
    Welcome(Welcome),
    /// Makes the nodes of a session. Answered by `Opened` or `Failed`. Since protocol 1.
    Open(Box<OpenSession>),
    /// One input of a stage. Answered by any number of `Output`, then one `Done` or `Failed`. Since
    /// protocol 1.
    Item(Item),
    /// Starts a stage that begins with a source node; answered like `Item`. Since protocol 1.
    Start(Step),
    /// Ends a stage's input: the worker ends the streams and calls `flush`; answered like `Item`.
    /// Since protocol 1.
    Flush(Step),
    /// Lets a call whose window is used up send more outputs. Since protocol 1.
    Credit(Credit),
    /// Ends the session: the worker calls `cleanup` on its nodes. Answered by `Closed`. Since
    /// protocol 1.
    Close,
    /// Allows shared memory, on these terms. Since protocol 2.
    SharedMemory(MemoryTerms),
    /// A message about segments and leases. Since protocol 2.
    Share(Share),
    /// How long the worker may poll for its next message before it sleeps, in microseconds. Since
    /// protocol 2.
    Spin(u32),
    /// Ends the worker. It makes sure that the orchestrator's end does not kill it, answers
    /// `Ending`, and exits when the connection closes, or at the latest after this many
    /// milliseconds. Sent only between two sessions. Since protocol 5.
    End(u32),
    /// Ends the suspended call of the stage with this number: no further outputs, and `Done` as the
    /// answer. Since protocol 6.
    Abort(u32),
    /// Goes on with the call of the stage with this number, which `Failed` has reported as kept:
    /// the node that failed is called again with the same item. Since protocol 6.
    Retry(u32),
    /// Asks for the state of all nodes that can save it ([`NodeReady::saves`]). Sent only while no call
    /// is under way. Answered by `Saved`, which repeats this number. Since protocol 6.
    ///
    /// [`NodeReady::saves`]: crate::from_worker::NodeReady::saves
    Save(u64),
    /// Gives nodes the state that they or others like them have saved, in place of their own. Sent only
    /// while no call is under way. Answered only if that fails, by `Failed` without a stage. Since
    /// protocol 6.
    Restore(Vec<SavedState>),
    /// Several inputs of one stage, each a call of its own: the first begins at once, each other one when
    /// the call before it has ended with `Done`. `Failed` and `Abort` drop the rest. Answered like
    /// `Item`, call by call. Since protocol 6.
    Batch(Vec<Item>),
}

impl ToWorker {
    /// Name of the message, as PROTOCOL.md has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "Welcome",
            Self::Open(_) => "Open",
            Self::Item(_) => "Item",
            Self::Batch(_) => "Batch",
            Self::Start(_) => "Start",
            Self::Flush(_) => "Flush",
            Self::Credit(_) => "Credit",
            Self::Close => "Close",
            Self::SharedMemory(_) => "SharedMemory",
            Self::Share(_) => "Share",
            Self::Spin(_) => "Spin",
            Self::End(_) => "End",
            Self::Abort(_) => "Abort",
            Self::Retry(_) => "Retry",
            Self::Save(_) => "Save",
            Self::Restore(_) => "Restore",
        }
    }
}

/// Terms of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Protocol version that both sides use from here on.
    pub protocol: u32,
    /// Limits on frames in both directions.
    pub limits: Limits,
}

/// The part of a session that this worker hosts, and what its nodes need.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OpenSession {
    /// Stages that this worker hosts.
    pub stages: Vec<StageSpec>,
    /// One pickle with the list of all node objects of the session, for [`NodeClass::Instance`].
    pub instances: Option<Payload>,
    /// The caller's module search path, added behind the worker's own. Empty since protocol 5: the
    /// path is in [`Surroundings`].
    pub sys_path: Vec<String>,
    /// The caller's working directory; unchanged when absent. Absent since protocol 5: see
    /// [`Surroundings`].
    pub working_directory: Option<String>,
    /// Largest pickle of one node attribute that `Closed` brings back, in bytes.
    pub write_back_max_bytes: u64,
    /// Whether values without a form of their own in the protocol may travel as pickles.
    pub allow_pickle: bool,
    /// The caller's process state, which the worker takes over. Since protocol 5; absent before.
    #[serde(default)]
    pub surroundings: Option<Box<Surroundings>>,
    /// The out-of-band buffers of the pickle in `instances`, in its order (pickle protocol 5).
    /// Since protocol 6; absent when there are none.
    #[serde(default)]
    pub buffers: Vec<Payload>,
    /// State that nodes get back after `initialize`. Since protocol 6; absent when there is none.
    #[serde(default)]
    pub saved: Vec<SavedState>,
    /// Where the worker notes each call before it begins, so that one that fails can be repeated. Since
    /// protocol 6; absent when calls are not noted.
    #[serde(default)]
    pub capture: Option<CaptureTerms>,
}

/// Written by hand: fields have positions, so each of the last four may be absent only when those that
/// follow it are absent too.
impl Serialize for OpenSession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = match self {
            Self { capture: Some(_), .. } => 4,
            Self { saved, .. } if !saved.is_empty() => 3,
            Self { buffers, .. } if !buffers.is_empty() => 2,
            Self { surroundings: Some(_), .. } => 1,
            _ => 0,
        };
        let mut record = serializer.serialize_struct("OpenSession", 6 + optional)?;
        record.serialize_field("stages", &self.stages)?;
        record.serialize_field("instances", &self.instances)?;
        record.serialize_field("sys_path", &self.sys_path)?;
        record.serialize_field("working_directory", &self.working_directory)?;
        record.serialize_field("write_back_max_bytes", &self.write_back_max_bytes)?;
        record.serialize_field("allow_pickle", &self.allow_pickle)?;
        if optional > 0 {
            record.serialize_field("surroundings", &self.surroundings)?;
        }
        if optional > 1 {
            record.serialize_field("buffers", &self.buffers)?;
        }
        if optional > 2 {
            record.serialize_field("saved", &self.saved)?;
        }
        if optional > 3 {
            record.serialize_field("capture", &self.capture)?;
        }
        record.end()
    }
}

/// How a worker notes the calls of its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureTerms {
    /// The beginning of the paths of the files, as bytes of the operating system. The id of the node and
    /// the state of its call follow.
    pub prefix: ByteBuf,
    /// Largest note of one call, in bytes.
    pub max_bytes: u64,
}

/// What the method `checkpoint` of a node has returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// Id of the node in the manifest.
    pub node_id: String,
    /// A pickle that only a worker with the same nodes opens.
    pub state: Payload,
}

/// State of the caller's process that the worker takes over for a session. Texts of the operating
/// system are bytes, because they need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The whole environment, as in environ(7): `NAME=value` entries, a zero byte behind each.
    pub environment: ByteBuf,
    /// The caller's module search path.
    pub sys_path: Vec<ByteBuf>,
    /// True when the path is that of an interpreter like the worker's: its entries come before the
    /// worker's own. Otherwise they come behind them.
    pub is_path_complete: bool,
    /// The caller's `sys.argv`.
    pub argv: Vec<ByteBuf>,
    /// The caller's working directory; when absent, that of the orchestrator's process.
    pub working_directory: Option<ByteBuf>,
    /// The caller's umask; when absent, the one that the worker was started with.
    pub umask: Option<u32>,
}

/// A stage: a chain of nodes that runs as one unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageSpec {
    /// Number of the stage in its session.
    pub stage: u32,
    /// Nodes of the stage, in the order in which data flows.
    pub nodes: Vec<NodeSpec>,
}

/// One node of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Id of the node in the manifest.
    pub node_id: String,
    /// Source of the node's class or object.
    pub class: NodeClass,
    /// Constructor arguments by name: a dict value.
    pub params: Value,
    /// True when the manifest marks the node as streaming (its class may do so too).
    pub is_streaming: bool,
    /// True when a call that fails in this node is to be kept, so that it may be tried again. Since
    /// protocol 6; absent when false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_failed: bool,
}

/// Where the worker gets a node from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeClass {
    /// Import `module` and call the class `name` (dotted for nested classes) with the params.
    Import {
        /// Importable module.
        module: String,
        /// Qualified name of the class inside the module.
        name: String,
    },
    /// The object at this index of [`OpenSession::instances`].
    Instance(u32),
}

/// One input for a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The call that the input begins.
    pub step: Step,
    /// The input value.
    pub value: Value,
}

/// A call on a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Number of the stage.
    pub stage: u32,
    /// Number of the call, unique in the session, repeated in the answers.
    pub call: u64,
    /// Number of outputs that the worker may send before it needs a `Credit`.
    pub window: u32,
    /// Time that the orchestrator took since the worker's last answer. Since protocol 6; absent
    /// when there was no answer yet.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub took: Report,
}

/// Permission for a stage's open call to send more outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Number of the stage.
    pub stage: u32,
    /// Number of further outputs that the call may send.
    pub outputs: u32,
    /// Time since the worker's last answer, as in [`Step`]. Since protocol 6.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub took: Report,
}
