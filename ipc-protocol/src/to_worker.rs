//! Messages from the orchestrator to a worker.

use serde::{Deserialize, Serialize};
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
    Open(OpenSession),
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surroundings: Option<Box<Surroundings>>,
    /// The out-of-band buffers of the pickle in `instances`, in its order (pickle protocol 5).
    /// Since protocol 6; absent when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buffers: Vec<Payload>,
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
