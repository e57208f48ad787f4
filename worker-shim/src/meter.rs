//! The cost of each node: time, calls, and peak memory. Peak memory is the kernel's high-water mark
//! of resident memory, which the kernel resets on request.
//!
//! A stretch is node code that runs without interruption by other nodes: a plain call, or a
//! generator from one yield to the next. Stretches never nest. Measuring the memory of a stretch
//! costs four system calls (some 30 us), so only some stretches are measured. For each node these
//! are the first [`FIRST_STRETCHES`] of its calls, and one whenever [`INTERVAL`] has passed since the last
//! measurement. After a stretch longer than [`LONG_STRETCH`] the mark is always read, even if it
//! was not reset before that stretch. Memory of a node's child processes is not counted.
//!
//! The mark covers private and shared memory together. They are told apart by what is shared when a
//! stretch ends, and each time before a large shared block is freed ([`Meter::before_free`]).

mod memory;
mod shared;

use std::ops::Range;
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{MemoryParts, Moved, NodeUsage};

use crate::blackbox::{Blackbox, Operation};
use memory::{Peak, ProcessMemory};
pub use shared::SharedMeter;

/// Number of first stretches of each node that are always measured.
pub const FIRST_STRETCHES: u64 = 16;
/// Time after a measurement of a node from which on its next stretch is measured.
pub const INTERVAL: Duration = Duration::from_millis(50);
/// After a stretch longer than this the high-water mark is always read.
pub const LONG_STRETCH: Duration = Duration::from_millis(1);

/// The accounts of a session's nodes, by the index of the node in the session.
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
    /// Calls in the session that have begun.
    calls: u64,
    stretches: u64,
    measured_at: Option<Instant>,
}

impl Account {
    fn note(&mut self, peak: Peak) {
        let usage = &mut self.usage;
        usage.peak_memory_bytes = usage.peak_memory_bytes.max(peak.highest);
        usage.peak_delta_bytes = usage.peak_delta_bytes.max(peak.delta);
        usage.memory = usage.memory.max(MemoryParts {
            delta_private_bytes: peak.private_delta,
            delta_shared_bytes: peak.shared_delta,
            ..MemoryParts::default()
        });
    }
}

#[derive(Debug)]
struct Stretch {
    node: usize,
    started: Instant,
    is_measured: bool,
}

impl Meter {
    /// A meter that notes the running node in `blackbox`. Memory peaks stay 0 if `/proc` does not
    /// report memory.
    #[must_use]
    pub fn new(blackbox: Option<Blackbox>) -> Self {
        Self { memory: ProcessMemory::open().ok(), blackbox, ..Self::default() }
    }

    /// Starts new accounts for a session with this many nodes.
    pub fn reset(&mut self, nodes: usize) {
        self.nodes.clear();
        self.nodes.resize_with(nodes, Account::default);
        self.running = None;
        if let Some(blackbox) = &mut self.blackbox {
            blackbox.clear();
        }
    }

    /// See [`Blackbox::record_death`].
    pub fn record_death(&mut self) {
        if let Some(blackbox) = &mut self.blackbox {
            blackbox.record_death();
        }
    }

    /// Called when code of a node begins to run. Ignored for an index outside the session.
    pub fn enter(&mut self, node: usize, operation: Operation) {
        self.enter_at(node, operation, Instant::now());
    }

    /// Called when the running node code has returned or yielded. Does nothing if none was running.
    pub fn leave(&mut self) {
        if self.running.is_some() {
            if let Some(blackbox) = &mut self.blackbox {
                blackbox.leave();
            }
            self.leave_at(Instant::now());
        }
    }

    /// Ends the running node's stretch, if there is one, and begins a call of the next node of a
    /// chain. Both share one reading of the clock, which costs as much as the rest of this method.
    pub fn call_next(&mut self, node: usize) {
        let now = Instant::now();
        let now = if self.leave_at(now) { Instant::now() } else { now };
        self.enter_at(node, Operation::Process, now);
        self.count_call(node);
    }

    fn enter_at(&mut self, node: usize, operation: Operation, mut started: Instant) {
        let Some(account) = self.nodes.get_mut(node) else { return };
        if let Some(blackbox) = &mut self.blackbox {
            blackbox.note_calls(account.calls);
            blackbox.enter(node, operation, started);
        }
        let is_due = account.stretches < FIRST_STRETCHES
            || account.measured_at.is_none_or(|last| started.duration_since(last) >= INTERVAL);
        let is_measured = operation.is_counted() && is_due;
        account.stretches = account.stretches.saturating_add(1);
        if is_measured && let Some(memory) = &mut self.memory {
            memory.begin();
            // Read the clock again: the reset is not part of the node's time.
            started = Instant::now();
            account.measured_at = Some(started);
        }
        self.running = Some(Stretch { node, started, is_measured });
    }

    /// Returns whether memory was measured; if so, the time `now` is outdated.
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
        account.note(memory.peak());
        account.measured_at = Some(now);
        if is_long {
            // Otherwise a later long stretch whose start is not measured would report this peak.
            memory.begin();
        }
        true
    }

    /// Called before a large shared block is freed, whose pages may leave this process: they count
    /// as shared memory of the running node, and not as private memory when its stretch ends.
    pub fn before_free(&mut self) {
        if let (Some(stretch), Some(memory)) = (&self.running, &self.memory)
            && let Some(account) = self.nodes.get_mut(stretch.node)
        {
            account.note(memory.peak());
        }
    }

    /// Called after a large shared block was freed.
    pub fn after_free(&mut self) {
        if let (Some(_), Some(memory)) = (&self.running, &mut self.memory) {
            memory.reset_mark();
        }
    }

    /// Counts a call of a node's `process` or `flush`.
    pub fn count_call(&mut self, node: usize) {
        if let Some(account) = self.nodes.get_mut(node) {
            account.usage.calls += 1;
            account.calls += 1;
            if let Some(blackbox) = &mut self.blackbox {
                blackbox.count_call(account.calls);
            }
        }
    }

    /// Counts a call that raised an exception.
    pub fn count_error(&mut self, node: usize) {
        if let Some(account) = self.nodes.get_mut(node) {
            account.usage.errors += 1;
        }
    }

    /// Adds time spent on converting a node's inputs or outputs.
    pub fn count_marshal(&mut self, node: usize, time: Duration) {
        if let Some(account) = self.nodes.get_mut(node) {
            add_ns(&mut account.usage.marshal_ns, time);
        }
    }

    /// Adds the traffic of a node's inputs or outputs.
    pub fn count_moved(&mut self, node: usize, moved: Moved) {
        if let Some(account) = self.nodes.get_mut(node) {
            account.usage.moved += moved;
        }
    }

    /// Returns the costs of the nodes in this range, and sets them back to zero.
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
