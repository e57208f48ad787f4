//! The error for a worker that used more than its limits allow.

use std::fmt;

use ipc_protocol::FaultKind;

use super::also_lost;
use crate::failure::times;
use crate::limits::Excess;

/// A worker used more than its limits allow while it ran a node; it was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitExceeded {
    /// Id of the node that ran.
    pub node_id: String,
    /// Which of its methods ran.
    pub operation: FaultKind,
    /// The limit, what was measured, and what is allowed.
    pub excess: Excess,
    /// Process id of the worker.
    pub pid: u32,
    /// Python stack when the worker was ended, if it was recorded.
    pub python_stack: String,
    /// Last lines that the worker wrote to stderr.
    pub stderr_tail: String,
    /// Other nodes of the session whose state died with the worker.
    pub also_lost: Vec<String>,
    /// Number of tries, of which this is the last.
    pub tries: u32,
}

impl std::error::Error for LimitExceeded {}

impl LimitExceeded {
    /// The excess in one line, without stack and stderr.
    #[must_use]
    pub fn headline(&self) -> String {
        format!(
            "node '{}' {}{}; its worker (pid {}) was killed{}. Raise {} in [limits] or in `limits` of \
             the node, or have it use less. The next run gets a fresh worker.",
            self.node_id,
            self.excess,
            times(self.tries),
            self.pid,
            also_lost(&self.also_lost),
            self.excess.limit.name()
        )
    }
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.headline())?;
        if !self.python_stack.is_empty() {
            write!(out, "\nPython stack when it was killed:\n{}", self.python_stack.trim_end())?;
        }
        if !self.stderr_tail.is_empty() {
            write!(out, "\nLast lines of its stderr:\n{}", self.stderr_tail.trim_end())?;
        }
        Ok(())
    }
}
