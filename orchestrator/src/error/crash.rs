//! The death of a worker as data, and the one text and JSON object made of it.

mod report;

pub(super) use report::of_arrays;

use std::time::Duration;

use ipc_protocol::FaultKind;
use ipc_protocol::recorder::Arrays;

use crate::postmortem::{Fault, Frame};

/// A worker process died while a session used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// Id of the node that ran.
    pub node_id: String,
    /// The operation in which it died.
    pub operation: FaultKind,
    /// Which call of `process` of this node in its session it was, from 1 on; `None` in other
    /// operations. A node that is made again in another worker is counted from 1 again.
    pub call: Option<u64>,
    /// Process id of the worker.
    pub pid: u32,
    /// Name of the signal that ended it, such as `SIGSEGV`.
    pub signal: Option<String>,
    /// Its exit code, when no signal ended it.
    pub exit_code: Option<i32>,
    /// Whether the kernel wrote a core dump; `None` when that is unknown.
    pub core_dumped: Option<bool>,
    /// Why it ended.
    pub verdict: Verdict,
    /// What an instruction could not do, when that ended it.
    pub fault: Option<Fault>,
    /// Calls of native code when it died, innermost first; empty when they were not recorded.
    pub c_stack: Vec<Frame>,
    /// Python stack at the time of death, if it was recorded.
    pub python_stack: String,
    /// Last lines that it wrote to stderr.
    pub stderr_tail: String,
    /// Other nodes of the session whose state died with the worker.
    pub also_lost: Vec<String>,
    /// How long the process existed.
    pub uptime: Duration,
    /// Calls of nodes that had begun in the worker, in all its sessions.
    pub calls_of_worker: u64,
    /// Calls of nodes that had begun in the worker, in the session that it died in.
    pub calls_of_session: u64,
    /// Highest resident memory that was measured in the worker, in bytes; 0 when none was.
    pub peak_memory_bytes: u64,
    /// Memory in the numpy arrays that the node had when it ended; `None` when that is unknown.
    pub arrays: Option<Arrays>,
    /// The most memory that the worker may have, in bytes; `None` without a limit.
    pub memory_limit_bytes: Option<u64>,
    /// Number of tries, of which this is the last.
    pub tries: u32,
}

/// Why a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The kernel killed it because memory ran out.
    OutOfMemory,
    /// It aborted because it was refused memory.
    Refused {
        /// What it asked for, in bytes.
        bytes: u64,
        /// The private memory that it may have (`memory`), in bytes; `None` without that limit.
        allowed: Option<u64>,
    },
    /// A signal came from outside the worker and not from RemoteMedia.
    Killed {
        /// The process that sent it, where the kernel says so.
        by: Option<u32>,
        /// The signal is the one that the kernel sends when memory runs out, and it does not say
        /// here whether it did.
        may_be_memory: bool,
    },
    /// Native code did what processor or kernel do not allow.
    Crashed {
        /// File name of the library or program with that code.
        library: Option<String>,
    },
    /// Native code ended the process with `abort`.
    Aborted {
        /// File name of the library or program that called it.
        library: Option<String>,
    },
    /// It ended itself with this exit code.
    Exited(i32),
    /// It closed its connection, and was killed for that.
    Disconnected,
    /// This program ignores SIGCHLD or takes the exit status of its children, so that it is lost.
    Unknown,
}

impl Verdict {
    /// The verdict's name in attributes and JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::OutOfMemory | Self::Refused { .. } => "out_of_memory",
            Self::Killed { may_be_memory: true, .. } => "killed_or_out_of_memory",
            Self::Killed { .. } => "killed",
            Self::Crashed { .. } => "crashed",
            Self::Aborted { .. } => "aborted",
            Self::Exited(_) => "exited",
            Self::Disconnected => "disconnected",
            Self::Unknown => "unknown",
        }
    }

    /// File name of the library or program whose code ended the worker.
    #[must_use]
    pub fn library(&self) -> Option<&str> {
        match self {
            Self::Crashed { library } | Self::Aborted { library } => library.as_deref(),
            _ => None,
        }
    }

    /// Process id of the process that killed the worker.
    #[must_use]
    pub fn killed_by(&self) -> Option<u32> {
        match self {
            Self::Killed { by, .. } => *by,
            _ => None,
        }
    }
}

impl std::error::Error for Crash {}

#[cfg(test)]
mod tests;
