//! The error for a node that did not end in time.

use std::time::Duration;

use ipc_protocol::FaultKind;

use super::also_lost;
use crate::failure::{operation_name, times};
use crate::schedule::Deadline;

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
    /// Number of tries, of which this is the last.
    pub tries: u32,
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
            (Deadline::Item, _) => {
                format!("was not done with an item within {ms} ms (deadline_ms)")
            }
            (Deadline::Close, operation) => format!(
                "was in {} for {ms} ms when its session closed ([workers] close_timeout)",
                operation_name(operation)
            ),
            (_, FaultKind::Process | FaultKind::Flush) => format!("gave no output within {ms} ms"),
            (_, operation) => format!("was in {} for {ms} ms", operation_name(operation)),
        };
        format!(
            "node '{}' {what}{}; its worker (pid {}) is ended{}. The next run gets a fresh worker.",
            self.node_id,
            times(self.tries),
            self.pid,
            also_lost(&self.also_lost)
        )
    }
}

/// For an error whose worker did not record its stacks within the grace.
pub(super) const NO_STACKS: &str =
    "\nIts Python stacks were not there in time ([workers] stack_grace).";

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.headline())?;
        match self.python_stack.trim_end() {
            "" => f.write_str(NO_STACKS),
            stack => write!(f, "\nPython stacks when the time was over:\n{stack}"),
        }
    }
}
