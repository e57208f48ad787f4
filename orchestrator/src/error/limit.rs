//! The error for a worker that used more than its limits allow.

use std::fmt;

use ipc_protocol::FaultKind;
use ipc_protocol::recorder::Arrays;

use super::also_lost;
use super::crash::of_arrays;
use super::timed_out::NO_STACKS;
use crate::failure::times;
use crate::limits::{Excess, Limit};

/// A worker used more than its limits allow while it ran a node; it was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitExceeded {
    /// Id of the node that ran.
    pub node_id: String,
    /// Which of its methods ran.
    pub operation: FaultKind,
    /// The limit, what was measured, and what is allowed.
    pub excess: Excess,
    /// Memory in the numpy arrays that the node had; `None` when that is unknown.
    pub arrays: Option<Arrays>,
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

    /// What is known beside the headline, a line each.
    #[must_use]
    pub fn facts(&self) -> Vec<String> {
        let is_memory = self.excess.limit == Limit::MemoryHard;
        self.arrays.filter(|_| is_memory).map(of_arrays).into_iter().collect()
    }
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.headline())?;
        self.facts().iter().try_for_each(|fact| write!(out, "\n  {fact}"))?;
        match self.python_stack.trim_end() {
            // Not asked for: while the worker wrote it, its children could start further ones.
            "" if self.excess.limit == Limit::ChildProcesses => {}
            "" => out.write_str(NO_STACKS)?,
            stack => write!(out, "\nPython stack when it was killed:\n{stack}")?,
        }
        if !self.stderr_tail.is_empty() {
            write!(out, "\nLast lines of its stderr:\n{}", self.stderr_tail.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(limit: Limit, python_stack: &str) -> String {
        LimitExceeded {
            node_id: "denoise".to_owned(),
            operation: FaultKind::Process,
            excess: Excess { limit, used: 700, allowed: 500 },
            arrays: Some(Arrays { private_bytes: 3 << 20, shared_bytes: 400 << 20 }),
            pid: 4242,
            python_stack: python_stack.to_owned(),
            stderr_tail: String::new(),
            also_lost: Vec::new(),
            tries: 1,
        }
        .to_string()
    }

    #[test]
    fn the_arrays_of_the_node_explain_its_memory() {
        // spec: CARD-06
        let arrays = "\n  numpy arrays of this node: 3 MiB private, 400 MiB shared\n";
        assert!(text(Limit::MemoryHard, "").contains(arrays));
        assert!(!text(Limit::CpuTime, "").contains("arrays"));
    }

    #[test]
    fn a_missing_stack_is_told_if_one_was_asked_for() {
        // spec: CARD-08
        let late = "\nIts Python stacks were not there in time ([workers] stack_grace).";
        assert!(text(Limit::CpuTime, "").ends_with(late));
        assert!(text(Limit::MemoryHard, "").ends_with(late));
        assert!(!text(Limit::ChildProcesses, "").contains("stack"));
        let found = text(Limit::CpuTime, "File \"filter.py\", line 8 in process\n");
        assert!(found.ends_with("when it was killed:\nFile \"filter.py\", line 8 in process"));
    }
}
