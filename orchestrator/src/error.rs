//! The errors of opening and running a pipeline, as data. Problems of manifests, plans and
//! configuration have types of their own in their modules, and so has the failure of a node.

use std::time::Duration;

use ipc_protocol::FaultKind;

use crate::config::ConfigError;
use crate::failure::{NodeFailure, advised, operation_name};
use crate::manifest::ManifestError;
use crate::placement::Engine;
use crate::plan::PlanError;
use crate::reason::Advice;
use crate::schedule::Deadline;

mod limit;
mod start;

pub use limit::LimitExceeded;
pub use start::StartError;
use start::remedy;

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
    /// No worker became free in time.
    #[error(
        "no worker was ready within {waited:?}: at most {max} may run, and starting one takes time; \
         raise [{}] max or [workers] acquire_timeout, or close sessions that are not needed",
        pool_section(*.engine)
    )]
    Busy {
        /// How long the session waited.
        waited: Duration,
        /// The largest number of workers in the pool.
        max: usize,
        /// The engine whose pool it is.
        engine: Engine,
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

/// A worker process died while a session used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// Id of the node that ran.
    pub node_id: String,
    /// The operation in which it died.
    pub operation: FaultKind,
    /// Process id of the worker.
    pub pid: u32,
    /// Name of the signal that ended it, such as `SIGSEGV`.
    pub signal: Option<String>,
    /// Its exit code, when no signal ended it.
    pub exit_code: Option<i32>,
    /// Whether it has ended with an unknown exit status.
    pub is_unknown: bool,
    /// Last lines that it wrote to stderr.
    pub stderr_tail: String,
    /// Python stack at the time of death, if it was recorded.
    pub python_stack: String,
    /// Other nodes of the session whose state died with the worker.
    pub also_lost: Vec<String>,
    /// Highest resident memory that was measured in the worker, in bytes; 0 when none was.
    pub peak_memory_bytes: u64,
}

impl std::error::Error for Crash {}

impl Crash {
    /// The crash in one line, without stack and stderr.
    #[must_use]
    pub fn headline(&self) -> String {
        let end = match (self.signal.as_deref(), self.exit_code) {
            (Some("SIGKILL"), _) => {
                "was killed by SIGKILL (not by RemoteMedia; the kernel does that when memory runs \
                 out)"
                    .to_owned()
            }
            (Some(signal), _) => format!("was killed by {signal}"),
            (None, Some(code)) => format!("exited with code {code}"),
            (None, None) if self.is_unknown => {
                "ended, and how is unknown: this program ignores SIGCHLD or takes the exit status \
                 of its children"
                    .to_owned()
            }
            (None, None) => "closed its connection".to_owned(),
        };
        format!(
            "node '{}' crashed: its worker (pid {}) {end}{}. The next run gets a fresh worker.",
            self.node_id,
            self.pid,
            also_lost(&self.also_lost)
        )
    }
}

/// Section of the configuration with the bounds of an engine's pool.
fn pool_section(engine: Engine) -> &'static str {
    if engine == Engine::RustPython { "rustpython" } else { "workers" }
}

fn also_lost(nodes: &[String]) -> String {
    if nodes.is_empty() {
        String::new()
    } else {
        format!("; state also lost: {}", nodes.join(", "))
    }
}

impl std::fmt::Display for Crash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.headline())?;
        if !self.python_stack.is_empty() {
            write!(f, "\nPython stack at the time of death:\n{}", self.python_stack.trim_end())?;
        }
        if !self.stderr_tail.is_empty() {
            write!(f, "\nLast lines of its stderr:\n{}", self.stderr_tail.trim_end())?;
        }
        Ok(())
    }
}

/// A call that did not end in time; its worker was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedOut {
    /// Id of the node that ran.
    pub node_id: String,
    /// Which of its methods ran.
    pub operation: FaultKind,
    /// Which deadline passed.
    pub deadline: Deadline,
    /// The time limit.
    pub timeout: Duration,
    /// Process id of the worker.
    pub pid: u32,
    /// Python stack when the time was over, if it was recorded.
    pub python_stack: String,
    /// Last lines that the worker wrote to stderr.
    pub stderr_tail: String,
    /// Other nodes of the session whose state died with the worker.
    pub also_lost: Vec<String>,
}

impl std::error::Error for TimedOut {}

impl TimedOut {
    /// The time-out in one line, without the stack.
    #[must_use]
    pub fn headline(&self) -> String {
        let ms = self.timeout.as_millis();
        let what = match (self.deadline, self.operation) {
            (Deadline::Open, operation) => format!(
                "was not ready within {ms} ms, and was in {} then ([workers] open_timeout)",
                operation_name(operation)
            ),
            (_, FaultKind::Process | FaultKind::Flush) => format!("gave no output within {ms} ms"),
            (_, operation) => format!("was in {} for {ms} ms", operation_name(operation)),
        };
        format!(
            "node '{}' {what}; its worker (pid {}) was killed{}. The next run gets a fresh worker.",
            self.node_id,
            self.pid,
            also_lost(&self.also_lost)
        )
    }
}

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.headline())?;
        if !self.python_stack.is_empty() {
            write!(f, "\nPython stack when the time was over:\n{}", self.python_stack.trim_end())?;
        }
        Ok(())
    }
}
