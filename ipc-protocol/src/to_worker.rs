//! Messages from the orchestrator to a worker.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::array::Payload;
use crate::limits::Limits;
use crate::patience::Report;
use crate::share::{MemoryTerms, Share};
use crate::value::Value;

/// Everything the orchestrator says to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Answer to the worker's `Hello`. Since 1.
    Welcome(Welcome),
    /// Make the nodes of a session. Answered by `Opened` or `Failed`. Since 1.
    Open(OpenSession),
    /// One input of a stage. Answered by any number of `Output` and one `Done` or `Failed`. Since 1.
    Item(Item),
    /// Let a stage that begins with a source node produce; answered like `Item`. Since 1.
    Start(Step),
    /// The stage's input ended: end streams, call `flush`; answered like `Item`. Since 1.
    Flush(Step),
    /// A stage that stopped because its window was used up may send more outputs. Since 1.
    Credit(Credit),
    /// Call `cleanup` and forget the session. Answered by `Closed`. Since 1.
    Close,
    /// Shared memory may be used, on these terms. Since 2.
    SharedMemory(MemoryTerms),
    /// News about segments and leases. Since 2.
    Share(Share),
    /// How long the worker may wait awake for its next message before it sleeps, in microseconds.
    /// Since 2.
    Spin(u32),
    /// The worker is not needed any more: answer `Ending` once the end of the orchestrator no longer
    /// ends this process, then end. Before that wait until the connection closes, but for so many
    /// milliseconds at most. Only between two sessions. Since 5.
    End(u32),
    /// The call that this stage has suspended is given up: end it without further outputs, and answer
    /// `Done`. Since 6.
    Abort(u32),
}

/// Terms of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Protocol version that both sides use from here on.
    pub protocol: u32,
    /// Limits on frames in both directions.
    pub limits: Limits,
}

/// The nodes of one session that live in this worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenSession {
    /// Stages hosted here.
    pub stages: Vec<StageSpec>,
    /// One pickle with the list of all node objects of the session, for [`NodeClass::Instance`].
    pub instances: Option<Payload>,
    /// The caller's module search path, added behind the worker's own. Empty since 5: it is in
    /// [`Surroundings`].
    pub sys_path: Vec<String>,
    /// Working directory; unchanged when absent. Absent since 5, as `sys_path`.
    pub working_directory: Option<String>,
    /// Largest pickle of one attribute that is sent back when the session closes.
    pub write_back_max_bytes: u64,
    /// Whether values without a wire form of their own may travel as pickles.
    pub allow_pickle: bool,
    /// The caller's process, for the worker to become like it. Since 5; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surroundings: Option<Box<Surroundings>>,
    /// The large buffers of `instances` that its pickle leaves out, in its order (pickle protocol 5).
    /// Since 6; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buffers: Vec<Payload>,
}

/// What nodes find around them as they would in the caller's process. Texts of the system are bytes:
/// they need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The whole environment, as in environ(7): `NAME=value` with a NUL behind each.
    pub environment: ByteBuf,
    /// The caller's module search path.
    pub sys_path: Vec<ByteBuf>,
    /// The path is that of an interpreter like this one, to be taken as it is; the worker's own
    /// entries come in front otherwise.
    pub is_path_complete: bool,
    /// The caller's `sys.argv`.
    pub argv: Vec<ByteBuf>,
    /// The caller's working directory; that of the orchestrator's process when absent.
    pub working_directory: Option<ByteBuf>,
    /// Bits that new files do not get; unchanged when absent.
    pub umask: Option<u32>,
}

/// A chain of nodes that runs as one unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageSpec {
    /// Number of the stage in its session.
    pub stage: u32,
    /// Its nodes, in the order data flows.
    pub nodes: Vec<NodeSpec>,
}

/// One node of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Id in the manifest.
    pub node_id: String,
    /// Where its class or object comes from.
    pub class: NodeClass,
    /// Constructor arguments by name: a dict value.
    pub params: Value,
    /// The manifest says that the node works on streams (the class may say so too).
    pub is_streaming: bool,
}

/// How the worker gets hold of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeClass {
    /// Import `module` and call the class `name` (dotted for nested classes) with the params.
    Import {
        /// Importable module.
        module: String,
        /// Qualified name of the class inside it.
        name: String,
    },
    /// The object at this index of [`OpenSession::instances`].
    Instance(u32),
}

/// One input for a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Which stage, which round, how many outputs at most.
    pub step: Step,
    /// The input.
    pub value: Value,
}

/// Addresses one piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Number of the stage.
    pub stage: u32,
    /// Number of the call, unique in the session, repeated in the answers.
    pub call: u64,
    /// Outputs that may be sent before a `Credit` must come.
    pub window: u32,
    /// How long the caller took since the worker's last answer. Since 6; absent when there was none.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub took: Report,
}

/// More outputs for a stage that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Number of the stage.
    pub stage: u32,
    /// How many more outputs it may send.
    pub outputs: u32,
    /// As in [`Step`]. Since 6.
    #[serde(default, skip_serializing_if = "Report::is_absent")]
    pub took: Report,
}
