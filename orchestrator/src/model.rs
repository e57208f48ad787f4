//! A pipeline as data: what a manifest says, once it has been checked. Reading and checking it is
//! `manifest`'s business.

use std::time::Duration;

use serde_json::{Map, Value as Json};

mod hint;

pub use hint::RuntimeHint;

/// A checked pipeline: it has nodes, their ids are unique, every connection leads from a node to a
/// node, there is no cycle, every node type is known and native nodes accept their parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// About the pipeline as a whole.
    pub metadata: Metadata,
    /// At least one node, in the order of the text.
    pub nodes: Vec<ManifestNode>,
    /// Edges, in the order of the text, each at most once.
    pub connections: Vec<Connection>,
}

/// About a pipeline as a whole; describes and has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Name of the pipeline.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made: ISO 8601, as written.
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
    /// The node takes one stream of inputs instead of single ones.
    pub is_streaming: bool,
    /// The node produces without input.
    pub is_source: bool,
    /// Longest time between two outputs, before the node is stopped.
    pub timeout: Option<Duration>,
    /// The node gets a worker of its own.
    pub isolated: bool,
    /// How a node with several inputs takes them.
    pub join: Join,
    /// Index of the caller's node object; only the SDK sets it.
    pub instance: Option<u32>,
    /// What the node asks of a machine; describes and has no effect.
    pub capabilities: Option<Map<String, Json>>,
}

/// How a node with several inputs takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// One call for each upstream item, ordered by input and then by connection.
    #[default]
    Interleave,
    /// One call with a tuple of one item of each upstream node.
    Zip,
}

/// An edge between two nodes, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The node whose outputs flow.
    pub from: String,
    /// The node that takes them.
    pub to: String,
}

impl Manifest {
    /// The pipeline's name for messages and metrics: its own, or a general one.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or("pipeline")
    }
}
