//! A pipeline as data: the content of a checked manifest. `manifest` reads and checks the JSON.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::limits::Limit;

mod failing;
mod hint;

pub use failing::{
    Breaker, Failing, FailingDefaults, FailingPlan, OnOpen, Retry, RetryMode, TRANSIENT,
};
pub use hint::RuntimeHint;

/// A checked pipeline: it has nodes, their ids are unique, every connection leads from a node to a
/// node, there is no cycle, every node type is known and native nodes accept their parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Name and description of the pipeline.
    pub metadata: Metadata,
    /// Nodes in the order of the JSON; at least one.
    pub nodes: Vec<ManifestNode>,
    /// Edges in the order of the JSON, without duplicates.
    pub connections: Vec<Connection>,
    /// Name of the pool of Python nodes that name none.
    pub pool: Option<String>,
}

/// Name and description of a pipeline. They have no effect on a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Name of the pipeline.
    pub name: Option<String>,
    /// Purpose of the pipeline.
    pub description: Option<String>,
    /// Date on which it was made, in ISO 8601 and as written.
    pub created_at: Option<String>,
}

/// One node of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestNode {
    /// Unique id: letters, digits, `_` and `-`.
    pub id: String,
    /// A native type or alias, a node of the Python SDK, `package.module:Class` or
    /// `package.module:function`. With `instance`, the name of the object's class or function.
    pub node_type: String,
    /// Parameters, as written.
    pub params: Map<String, Json>,
    /// Where the node is to run.
    pub runtime_hint: RuntimeHint,
    /// Whether the node gets its inputs as one stream and not one per call.
    pub is_streaming: bool,
    /// Whether the node produces without input.
    pub is_source: bool,
    /// Longest time from a call, or from its last output, to the next output or the call's end;
    /// then the node's worker is killed.
    pub timeout: Option<Duration>,
    /// What is to happen when the node fails.
    pub failing: Failing,
    /// Whether the node gets a worker of its own.
    pub isolated: bool,
    /// Number of workers that run the node side by side, each its own items; 1: there are no replicas.
    pub replicas: usize,
    /// Whether the outputs of replicas go on in the order of the items.
    pub replicas_ordered: bool,
    /// Name of the pool that its worker comes from; `None`: that of the pipeline or its interpreter.
    pub pool: Option<String>,
    /// Limits of that worker that differ from `[limits]` of the configuration; 0: no limit.
    pub limits: Vec<(Limit, u64)>,
    /// How a node with several inputs takes them.
    pub join: Join,
    /// Index of the caller's node object; only the SDK sets it.
    pub instance: Option<u32>,
    /// What the node needs of its machine, as written. It has no effect on a run.
    pub capabilities: Option<Map<String, Json>>,
}

/// How a node with several inputs takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// One call per upstream item: for each input of the session, first the items of the first
    /// connection, then those of the second, and so on.
    #[default]
    Interleave,
    /// One call per tuple that has one item of each upstream node.
    Zip,
}

/// An edge between two nodes, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Id of the node that sends its outputs.
    pub from: String,
    /// Id of the node that gets them.
    pub to: String,
}

impl Manifest {
    /// The pipeline's name for messages and metrics: `pipeline`, if the manifest has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or("pipeline")
    }
}
