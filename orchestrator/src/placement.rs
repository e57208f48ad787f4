//! Where a node runs: the engine that runs it, where its code comes from, and which setting chose
//! the engine. `catalog`, `choice` and `plan` decide this for each node.

use std::fmt;

/// The engine of a node: the orchestrator itself, or an interpreter in workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Rust code in the orchestrator.
    Native,
    /// A CPython worker.
    CPython,
    /// A RustPython worker.
    RustPython,
}

impl Engine {
    /// The name in metrics and messages: `rust_native`, `cpython` or `rustpython`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "rust_native",
            Self::CPython => "cpython",
            Self::RustPython => "rustpython",
        }
    }
}

/// Number of a pool of workers: first those of the two interpreters, then those with names.
pub type PoolId = usize;
/// The pool of CPython workers of nodes that no other pool has.
pub const CPYTHON_POOL: PoolId = 0;
/// The same of RustPython.
pub const RUSTPYTHON_POOL: PoolId = 1;

impl Engine {
    /// The pool of its workers for nodes that no other pool has.
    #[must_use]
    pub fn pool(self) -> PoolId {
        if self == Self::RustPython { RUSTPYTHON_POOL } else { CPYTHON_POOL }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Where a node's code comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeSource {
    /// The registry of native nodes, by `node_type`.
    Native,
    /// A class that the worker imports.
    Import {
        /// Importable module.
        module: String,
        /// Qualified name of the class in it.
        name: String,
    },
    /// The caller's node object with this index.
    Instance(u32),
}

/// Who put a node into a pool with a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PoolOrigin {
    /// A pattern in the pool's `nodes`.
    Pattern(String),
    /// The node itself.
    Node,
    /// Its pipeline.
    Pipeline,
}

impl fmt::Display for PoolOrigin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(out, "its pattern {pattern}"),
            Self::Node => out.write_str("asked for by the node"),
            Self::Pipeline => out.write_str("asked for by the pipeline"),
        }
    }
}

/// How a stage of a plan shares the items of its node with replicas of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Part {
    /// It gets all of them.
    #[default]
    Whole,
    /// It is the first of several replicas, and has the edges of the node.
    First {
        /// The stages of the other replicas.
        further: Vec<usize>,
        /// Whether outputs go on in the order of their items.
        is_ordered: bool,
    },
    /// It is another replica.
    Further {
        /// The stage of the first one.
        first: usize,
    },
}

/// The source of an effective setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The hint of the node itself.
    Hint,
    /// The argument of the pipeline or the run.
    Argument,
    /// The environment variable `REMOTEMEDIA_PYTHON_RUNTIME`.
    Environment,
    /// The configuration.
    Configuration,
    /// No other source has set the value.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Hint => "its runtime_hint",
            Self::Argument => "the argument runtime",
            Self::Environment => "REMOTEMEDIA_PYTHON_RUNTIME",
            Self::Configuration => "[python] runtime in the configuration",
            Self::Default => "the default",
        })
    }
}
