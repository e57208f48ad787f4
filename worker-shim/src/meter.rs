//! What each node costs: time, calls, and peak memory by the kernel's own high-water mark, which
//! the kernel resets on request.
//!
//! A measured stretch of node code costs four system calls (some 30 us), so not every one is
//! measured. The policy, per node: the first [`FIRST_STRETCHES`] stretches, and one whenever
//! [`INTERVAL`] has passed since its last measurement. Any stretch that took longer than
//! [`LONG_STRETCH`] reads the mark at its end, whether it was measured from its start or not. A
//! stretch is what runs between two hand-overs: a plain call, or a generator from one yield to the
//! next. Stretches of different nodes never nest. Memory of the node's own child processes does
//! not count.

mod memory;
mod shared;

use std::ops::Range;
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{Moved, NodeUsage};

use crate::blackbox::{Blackbox, Operation};
use memory::ProcessMemory;
pub use shared::SharedMeter;

/// Stretches of each node that are measured in any case.
pub const FIRST_STRETCHES: u64 = 16;
/// Longest time a node runs unmeasured in short stretches.
pub const INTERVAL: Duration = Duration::from_millis(50);
/// A stretch longer than this is always measured at its end.
pub const LONG_STRETCH: Duration = Duration::from_millis(1);

/// Accounts for the nodes of one session, by their index in it.
#[derive(Debug, Default)]
pub struct Meter {
    nodes: Vec<Account>,
    running: Option<Stretch>,
    memory: Option<ProcessMemory>,
    blackbox: Option<Blackbox>,
}

#[derive(Debug, Default)]
struct Account {
    usage: NodeUsage,
    stretches: u64,
    measured_at: Option<Instant>,
}

#[derive(Debug)]
struct Stretch {
    node: usize,
    started: Instant,
    is_measured: bool,
}

impl Meter {
    /// A meter that notes the running node in `blackbox`. Where the kernel does not tell memory,
    /// peaks stay 0.
    #[must_use]
    pub fn new(blackbox: Option<Blackbox>) -> Self {
        Self { memory: ProcessMemory::open().ok(), blackbox, ..Self::default() }
    }

    /// Starts the accounts of a session with so many nodes.
    pub fn reset(&mut self, nodes: usize) {
        self.nodes.clear();
        self.nodes.resize_with(nodes, Account::default);
        self.running = None;
        if let Some(blackbox) = &mut self.blackbox {
            blackbox.clear();
        }
    }

    /// Node code begins to run. Ignored for an index outside the session.
    pub fn enter(&mut self, node: usize, operation: Operation) {
        self.enter_at(node, operation, Instant::now());
    }

    /// Node code has handed over. Does nothing when none was running.
    pub fn leave(&mut self) {
        if self.running.is_some() {
            if let Some(blackbox) = &mut self.blackbox {
                blackbox.leave();
            }
            self.leave_at(Instant::now());
        }
    }

    /// One node of a chain has handed over, if one was running, and the next is called: with one
    /// look at the clock, which costs as much as the rest.
    pub fn call_next(&mut self, node: usize) {
        let now = Instant::now();
        let now = if self.leave_at(now) { Instant::now() } else { now };
        self.enter_at(node, Operation::Process, now);
        self.count_call(node);
    }

    fn enter_at(&mut self, node: usize, operation: Operation, mut started: Instant) {
        let Some(account) = self.nodes.get_mut(node) else { return };
        if let Some(blackbox) = &mut self.blackbox {
            blackbox.enter(node, operation, started);
        }
        let is_measured = account.stretches < FIRST_STRETCHES
            || account.measured_at.is_none_or(|last| started.duration_since(last) >= INTERVAL);
        account.stretches = account.stretches.saturating_add(1);
        if is_measured && let Some(memory) = &mut self.memory {
            memory.reset_mark();
            // Looked at again: measuring is not the node's time.
            started = Instant::now();
            account.measured_at = Some(started);
        }
        self.running = Some(Stretch { node, started, is_measured });
    }

    /// Gives whether memory was measured, which takes its time.
    fn leave_at(&mut self, now: Instant) -> bool {
        let Some(stretch) = self.running.take() else { return false };
        let Some(account) = self.nodes.get_mut(stretch.node) else { return false };
        let busy = now.duration_since(stretch.started);
        add_ns(&mut account.usage.busy_ns, busy);
        let is_long = busy > LONG_STRETCH;
        let Some(memory) = &mut self.memory else { return false };
        if !(stretch.is_measured || is_long) {
            return false;
        }
        let (mark, delta) = memory.mark();
        account.usage.peak_memory_bytes = account.usage.peak_memory_bytes.max(mark);
        account.usage.peak_delta_bytes = account.usage.peak_delta_bytes.max(delta);
        account.measured_at = Some(now);
        if is_long {
            // The next long stretch that is not measured from its start must not see this peak.
            memory.reset_mark();
        }
        true
    }

    /// Counts a call of a node's `process` or `flush`.
    pub fn count_call(&mut self, node: usize) {
        if let Some(account) = self.nodes.get_mut(node) {
            account.usage.calls += 1;
        }
    }

    /// Counts a call that raised.
    pub fn count_error(&mut self, node: usize) {
        if let Some(account) = self.nodes.get_mut(node) {
            account.usage.errors += 1;
        }
    }

    /// Counts time that was spent on a node's values.
    pub fn count_marshal(&mut self, node: usize, time: Duration) {
        if let Some(account) = self.nodes.get_mut(node) {
            add_ns(&mut account.usage.marshal_ns, time);
        }
    }

    /// Counts how a node's values travelled.
    pub fn count_moved(&mut self, node: usize, moved: Moved) {
        if let Some(account) = self.nodes.get_mut(node) {
            account.usage.moved += moved;
        }
    }

    /// What the nodes of this range cost since the last take.
    pub fn take(&mut self, nodes: Range<usize>) -> Vec<NodeUsage> {
        let accounts = self.nodes.get_mut(nodes).unwrap_or_default();
        accounts.iter_mut().map(|account| std::mem::take(&mut account.usage)).collect()
    }
}

fn add_ns(total: &mut u64, time: Duration) {
    *total = total.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests;
