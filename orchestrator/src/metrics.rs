//! The cost of a run, node by node: times, counts and memory, with their JSON form. `probe` measures
//! native nodes; workers send their own numbers.

use std::ops::Range;
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{MemoryParts, Moved, NodeUsage};

use crate::placement::Engine;
use crate::plan::{Plan, PlannedNode};
use crate::reason::Reason;

mod json;
pub mod probe;
#[cfg(test)]
mod tests;

/// Metrics of one session, summed over all of its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RunMetrics {
    /// Name of the pipeline.
    pub pipeline_id: String,
    /// Number of runs that ended.
    pub executions: u64,
    /// Time of all runs together, from the caller's call to its return.
    pub total: Duration,
    /// Time spent on recording these metrics.
    pub overhead: Duration,
    /// Items whose outputs were not all there when they were due.
    pub late: u64,
    /// All nodes, stage by stage, in the order of [`Plan::nodes`].
    pub nodes: Vec<NodeMetrics>,
}

/// Metrics of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeMetrics {
    /// Id in the manifest.
    pub node_id: String,
    /// Type in the manifest.
    pub node_type: String,
    /// Engine that runs the node.
    pub runtime: Engine,
    /// Why the node moved from RustPython to CPython, or will in the next session; `None`: it
    /// stays.
    pub fallback: Option<Reason>,
    /// Process id of the worker that hosted the node last; `None` for native nodes and before the
    /// start.
    pub worker_pid: Option<u32>,
    /// The same for each of its replicas; empty for a node without replicas.
    pub replicas: Vec<Option<u32>>,
    /// Calls of `process`.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls that were tried again.
    pub retries: u64,
    /// Workers that took over the node's saved state after a death.
    pub restores: u64,
    /// Items for which the node was skipped, because it had failed too often.
    pub skipped: u64,
    /// Time inside the node, `flush` included.
    pub busy: Duration,
    /// The part of `busy` that was spent in `process`.
    pub processing: Duration,
    /// Shortest call; zero before the first. Calls that are recorded together count as their mean.
    pub shortest: Duration,
    /// Longest call; calls that are recorded together count as their mean.
    pub longest: Duration,
    /// Time spent converting values to Python objects and back; zero for native nodes.
    pub marshal: Duration,
    /// Highest resident memory of the process while the node ran, in bytes; 0 when not measured.
    pub peak_memory_bytes: u64,
    /// Most that the node added to the memory that was resident before a call, in bytes.
    pub peak_delta_bytes: u64,
    /// The node's memory, private and shared apart.
    pub memory: MemoryParts,
    /// Bytes that were copied or shared on the way to the node and away from it.
    pub moved: Moved,
    /// How often the node or its worker exceeded a limit.
    pub limits_exceeded: u64,
    /// Bytes that the node printed or logged and that were dropped.
    pub log_dropped_bytes: u64,
    /// How the node's last call ended.
    pub status: NodeStatus,
    /// The last error in one line.
    pub error: Option<String>,
}

/// How the last call of a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeStatus {
    /// The last call succeeded.
    Success,
    /// The last call failed.
    Failed,
    /// The node has not been called.
    #[default]
    Skipped,
}

impl NodeStatus {
    /// Name in the JSON form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl NodeMetrics {
    fn new(node: &PlannedNode) -> Self {
        Self {
            node_id: node.id.clone(),
            node_type: node.node_type.clone(),
            runtime: node.runtime,
            fallback: node.moved.clone(),
            worker_pid: None,
            replicas: if node.replicas > 1 { vec![None; node.replicas] } else { Vec::new() },
            calls: 0,
            errors: 0,
            retries: 0,
            restores: 0,
            skipped: 0,
            busy: Duration::ZERO,
            processing: Duration::ZERO,
            shortest: Duration::ZERO,
            longest: Duration::ZERO,
            marshal: Duration::ZERO,
            peak_memory_bytes: 0,
            peak_delta_bytes: 0,
            memory: MemoryParts::default(),
            moved: Moved::default(),
            limits_exceeded: 0,
            log_dropped_bytes: 0,
            status: NodeStatus::Skipped,
            error: None,
        }
    }

    /// Calls that did not fail.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.calls.saturating_sub(self.errors)
    }

    fn add(&mut self, usage: &NodeUsage) {
        self.marshal += Duration::from_nanos(usage.marshal_ns);
        self.peak_memory_bytes = self.peak_memory_bytes.max(usage.peak_memory_bytes);
        self.peak_delta_bytes = self.peak_delta_bytes.max(usage.peak_delta_bytes);
        self.memory = self.memory.max(usage.memory);
        self.moved += usage.moved;
        self.errors += usage.errors;
        self.busy += Duration::from_nanos(usage.busy_ns);
        if usage.calls == 0 {
            return;
        }
        let each = Duration::from_nanos(usage.busy_ns / usage.calls);
        self.shortest = if self.calls == 0 { each } else { self.shortest.min(each) };
        self.longest = self.longest.max(each);
        self.calls += usage.calls;
        self.processing += Duration::from_nanos(usage.busy_ns);
        if usage.errors == 0 {
            self.status = NodeStatus::Success;
            self.error = None;
        } else {
            self.status = NodeStatus::Failed;
        }
    }
}

impl RunMetrics {
    /// Metrics of a plan whose nodes have not run.
    #[must_use]
    pub fn new(pipeline_id: &str, plan: &Plan) -> Self {
        let nodes = plan.nodes().map(|(_, node)| NodeMetrics::new(node)).collect();
        Self {
            pipeline_id: pipeline_id.to_owned(),
            executions: 0,
            total: Duration::ZERO,
            overhead: Duration::ZERO,
            late: 0,
            nodes,
        }
    }

    /// The nodes of each stage of `plan` among [`RunMetrics::nodes`].
    #[must_use]
    pub fn ranges(plan: &Plan) -> Vec<Range<usize>> {
        let stages: Vec<usize> = plan.nodes().map(|(stage, _)| stage).collect();
        let range = |stage: usize| {
            let first = plan.first_of(stage);
            let start = stages.iter().position(|of| *of == first).unwrap_or_default();
            start..start + plan.stages[stage].nodes.len()
        };
        (0..plan.stages.len()).map(range).collect()
    }

    /// Adds the cost of a call to the node with the index `node`; an unknown index is ignored.
    pub fn record(&mut self, node: usize, usage: &NodeUsage) {
        self.measured(|metrics| {
            if let Some(node) = metrics.nodes.get_mut(node) {
                node.add(usage);
            }
        });
    }

    /// Adds the cost of a call to the nodes of a stage; `first` is the index of its first node.
    pub fn record_stage(&mut self, first: usize, usage: &[NodeUsage]) {
        self.measured(|metrics| {
            let nodes = metrics.nodes.iter_mut().skip(first);
            nodes.zip(usage).for_each(|(node, usage)| node.add(usage));
        });
    }

    /// Records that a node moved from RustPython to CPython.
    pub fn set_moved(&mut self, node: usize, reason: Reason) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.runtime = Engine::CPython;
            node.fallback = Some(reason);
        }
    }

    /// Records that a node will move to CPython in the next session. Returns false if that was
    /// recorded before.
    pub fn set_decided(&mut self, node: usize, reason: &Reason) -> bool {
        let Some(node) = self.nodes.get_mut(node) else { return false };
        let is_news = node.fallback.is_none();
        node.fallback.get_or_insert_with(|| reason.clone());
        is_news
    }

    /// Records that a node stays on RustPython after all.
    pub fn set_stayed(&mut self, node: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.fallback = None;
        }
    }

    /// Records the process id of the worker that hosts a node, or one of its replicas.
    pub fn set_worker(&mut self, node: usize, replica: usize, pid: u32) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.worker_pid = Some(pid);
            if let Some(worker) = node.replicas.get_mut(replica) {
                *worker = Some(pid);
            }
        }
    }

    /// Adds the traffic to or from a node that the orchestrator itself counted.
    pub fn count_moved(&mut self, node: usize, moved: Moved) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.moved += moved;
        }
    }

    /// As [`RunMetrics::count_moved`], by the node's id.
    pub fn count_moved_of(&mut self, node_id: &str, moved: Moved) {
        if let Some(node) = self.find(node_id) {
            node.moved += moved;
        }
    }

    /// Counts a call that is tried again.
    pub fn retry(&mut self, node_id: &str) {
        if let Some(node) = self.find(node_id) {
            node.retries += 1;
        }
    }

    /// Counts a worker that takes over the node's saved state.
    pub fn restore(&mut self, node_id: &str) {
        if let Some(node) = self.find(node_id) {
            node.restores += 1;
        }
    }

    /// Counts an item for which a node was skipped.
    pub fn skip(&mut self, node: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.skipped += 1;
        }
    }

    /// Records an error that reached the caller, with the first line of `message`. `uncounted` also
    /// counts the call: its usage never arrived, because the worker died or was stopped.
    pub fn fail(&mut self, node_id: &str, message: &str, uncounted: bool) {
        self.measured(|metrics| {
            if let Some(node) = metrics.find(node_id) {
                node.status = NodeStatus::Failed;
                node.error = message.lines().next().map(str::to_owned);
                if uncounted {
                    node.calls += 1;
                    node.errors += 1;
                }
            }
        });
    }

    /// Counts a limit that a node or its worker has exceeded.
    pub fn count_excess(&mut self, node_id: &str) {
        if let Some(node) = self.find(node_id) {
            node.limits_exceeded += 1;
        }
    }

    /// Counts bytes that a node printed or logged and that were dropped.
    pub fn count_dropped(&mut self, node_id: &str, bytes: usize) {
        if let Some(node) = self.find(node_id) {
            node.log_dropped_bytes += bytes as u64;
        }
    }

    fn find(&mut self, node_id: &str) -> Option<&mut NodeMetrics> {
        self.nodes.iter_mut().find(|node| node.node_id == node_id)
    }

    /// Counts a run that ended, with or without an error, after the time `total`.
    pub fn finish(&mut self, total: Duration) {
        self.executions += 1;
        self.total += total;
    }

    /// Highest resident memory of any process that ran a node, in bytes; 0 when not measured.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> u64 {
        self.nodes.iter().map(|node| node.peak_memory_bytes).max().unwrap_or(0)
    }

    /// The metrics as JSON. Some values have several keys: the names that earlier versions gave
    /// them.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json::run(self)
    }

    /// Runs `record` and adds the time that it takes to the overhead.
    fn measured(&mut self, record: impl FnOnce(&mut Self)) {
        let start = Instant::now();
        record(self);
        self.overhead += start.elapsed();
    }
}
