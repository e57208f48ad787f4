//! The errors of opening and running a pipeline, as data. Problems of manifests, plans and
//! configuration have types of their own in their modules, and so has the failure of a node.

use std::time::Duration;

use crate::config::ConfigError;
use crate::failure::{NodeFailure, advised};
use crate::manifest::ManifestError;
use crate::plan::PlanError;
use crate::reason::Advice;

mod crash;
mod limit;
mod start;
mod timed_out;

pub use crash::{Crash, Verdict};
pub use limit::LimitExceeded;
pub use start::StartError;
use start::remedy;
pub use timed_out::TimedOut;

/// Any failure of the orchestrator's public functions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The graph cannot be laid out on workers.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A native node rejects its parameters, or its type does not exist.
    #[error("node '{node_id}' cannot be made: {}", if .problems.is_empty() { "its type is unknown".to_owned() } else { .problems.join("; ") })]
    Params {
        /// Id of the node in the manifest.
        node_id: String,
        /// What is wrong, one text per parameter; empty when the type does not exist.
        problems: Vec<String>,
    },
    /// A node raised an exception or returned an error.
    #[error(transparent)]
    Node(Box<NodeFailure>),
    /// A worker died while it ran a node.
    #[error(transparent)]
    Crashed(Box<Crash>),
    /// A node took longer than its time limit, and its worker was killed.
    #[error(transparent)]
    TimedOut(Box<TimedOut>),
    /// A worker used more than its limits allow, and was killed.
    #[error(transparent)]
    LimitExceeded(Box<LimitExceeded>),
    /// A node failed too often, and is not called for a while.
    #[error(transparent)]
    Skipped(Box<Skipped>),
    /// A node object cannot be sent to the interpreter that is to run it.
    #[error(transparent)]
    Ship(#[from] ShipError),
    /// A worker could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A pipeline without a source node was run without input.
    #[error(
        "the pipeline has no input: node '{node_id}' needs one, and no source node produces it; \
         pass an input, or begin the pipeline with a source node"
    )]
    NoInput {
        /// Id of the first node that gets no input.
        node_id: String,
    },
    /// The caller's source of inputs failed.
    #[error("the input could not be read: {0}")]
    Input(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The caller interrupted the run (Ctrl-C).
    #[error("the run was interrupted")]
    Interrupted,
    /// The run was cancelled by another thread, through its `CancelHandle`.
    #[error("the run was cancelled")]
    Cancelled,
    /// The runtime was shut down while a node ran.
    #[error("the runtime was shut down while node '{node_id}' ran; open another session")]
    ShutDown {
        /// Id of the node.
        node_id: String,
    },
    /// The session is closed.
    #[error("the session is closed; open a new one")]
    Closed,
    /// No pool has the name that was given.
    #[error(transparent)]
    UnknownPool(#[from] UnknownPool),
    /// No worker became free in time.
    #[error(
        "no worker was ready within {waited:?}: at most {max} may run, and starting one takes time; \
         raise {section} max or [workers] acquire_timeout, or close sessions that are not needed"
    )]
    Busy {
        /// How long the session waited.
        waited: Duration,
        /// The largest number of workers in the pool.
        max: usize,
        /// The section that sets the size of the pool.
        section: String,
    },
    /// All workers are in use, and the session was not to wait for one.
    #[error(
        "all {max} workers are in use, and the session was not to wait for one; try again later, raise \
         {section} max, or leave out wait=False"
    )]
    Overloaded {
        /// The largest number of workers in the pool.
        max: usize,
        /// The section that sets the size of the pool.
        section: String,
    },
    /// No worker could host the nodes: each had modules loaded that have changed since, or that lie
    /// elsewhere for this session.
    #[error(
        "no worker suits this session: modules that its nodes import keep changing on disk, or lie \
         at several places on its search path"
    )]
    Unsuitable,
    /// The session would wait for ever, because no event can come.
    #[error(
        "the session waits, but no event can come; this is a bug in RemoteMedia, please report it"
    )]
    Stalled,
    /// The operating system refused something that every run needs.
    #[error("{action} failed: {source}{}", remedy(.source))]
    Os {
        /// The action that failed.
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the session that it ended does nothing any more.
    #[must_use]
    pub fn ends_session(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Interrupted | Self::Closed)
    }

    /// Id of the node that the error is about, if it is about one.
    #[must_use]
    pub fn node_id(&self) -> Option<&str> {
        match self {
            Self::Node(failure) => Some(&failure.node_id),
            Self::Crashed(crash) => Some(&crash.node_id),
            Self::TimedOut(over) => Some(&over.node_id),
            Self::LimitExceeded(over) => Some(&over.node_id),
            Self::Skipped(skipped) => Some(&skipped.node_id),
            Self::Ship(problem) => problem.node_id.as_deref(),
            _ => None,
        }
    }

    /// Notes how often the call was tried that ended with this error.
    pub(crate) fn note_tries(&mut self, tries: u32) {
        match self {
            Self::Node(failure) => failure.tries = tries,
            Self::Crashed(crash) => crash.tries = tries,
            Self::TimedOut(over) => over.tries = tries,
            Self::LimitExceeded(over) => over.tries = tries,
            _ => {}
        }
    }
}

/// A node object cannot be sent to the interpreter that is to run it, or to any interpreter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}",
    .node_id.as_ref().map_or_else(String::new, |id| format!("node '{id}' was not sent to a worker: ")),
    advised(.message, .advice.as_deref())
)]
pub struct ShipError {
    /// Id of the node, where it is known.
    pub node_id: Option<String>,
    /// What prevents it, as the caller's SDK puts it.
    pub message: String,
    /// Whether the message already says what another `runtime_hint` would change.
    pub names_runtime_hint: bool,
    /// What the user can change, when the node's interpreter is the cause.
    pub advice: Option<Box<Advice>>,
}

fn also_lost(nodes: &[String]) -> String {
    if nodes.is_empty() {
        String::new()
    } else {
        format!("; state also lost: {}", nodes.join(", "))
    }
}

/// An item whose node is skipped, because it has failed too often.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "node '{node_id}' is skipped, because {failures} items in a row failed in it; it is tried again \
     {pause:?} after the last failure. The first causes: {}", .causes.join("; ")
)]
pub struct Skipped {
    /// Id of the node.
    pub node_id: String,
    /// Number of failed items in a row that its breaker allows.
    pub failures: u32,
    /// How long the node is skipped.
    pub pause: Duration,
    /// The first errors of that row, each in one line; at most five.
    pub causes: Vec<String>,
}

/// No pool has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no pool '{name}'; the pools are {}", .known.join(", "))]
pub struct UnknownPool {
    /// The name as given.
    pub name: String,
    /// All names.
    pub known: Vec<String>,
}
