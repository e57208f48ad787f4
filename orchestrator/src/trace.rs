//! What a session records for its caller on request: where the time of each call went, and, while it is
//! debugged, a line of text for each crossing between processes. A session that records nothing has no
//! [`Trace`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipc_protocol::Value;
use ipc_protocol::from_worker::{NodeUsage, Traffic};

use crate::plan::Plan;
use crate::schedule::{Event, StageId, Work};

mod brief;
mod call;
mod json;
#[cfg(test)]
mod tests;

pub use brief::Brief;
use call::{Call, Stage};

/// Number of calls, and of conversions, whose times are kept one by one. Sums go on after that.
pub const KEPT_MAX: usize = 100_000;

/// The recording of one session. Clones share it.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Mutex<Recording>>);

impl Trace {
    /// A recording that begins now. `tells`: it also has a line for each crossing.
    #[must_use]
    pub fn new(plan: &Plan, tells: bool) -> Self {
        Self(Arc::new(Mutex::new(Recording::new(plan, tells))))
    }

    /// The recording, locked.
    pub fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Times of one session.
#[derive(Debug)]
pub struct Recording {
    tells: bool,
    began: Instant,
    /// How long it took to start the nodes, and to close the session.
    opening: Duration,
    closing: Duration,
    stages: Vec<Stage>,
    nodes: Vec<NodeTimes>,
    calls: Vec<Call>,
    conversions: Vec<Conversion>,
    /// Time of all conversions in the caller's process.
    converting: Duration,
    left_out: u64,
}

/// Where the time of one node's calls went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeTimes {
    /// Id in the manifest.
    pub node_id: String,
    /// Number of its stage.
    pub stage: StageId,
    /// Calls of `process`.
    pub calls: u64,
    /// Inside the node.
    pub node: Duration,
    /// Converting values to Python objects and back, in the worker.
    pub marshalling: Duration,
    /// From when an item was ready for the stage to the begin of its call, and while the call waited
    /// for leave to send more outputs. Counted at the first node of a stage.
    pub waiting: Duration,
    /// The rest of a call: copies to shared memory, frames, the socket, waking up. Counted at the first
    /// node of a stage.
    pub transport: Duration,
}

/// One conversion between an object of the caller and a value.
#[derive(Debug, Clone, Copy)]
struct Conversion {
    is_input: bool,
    begin: Instant,
    took: Duration,
}

impl Recording {
    fn new(plan: &Plan, tells: bool) -> Self {
        let stages: Vec<Stage> = Stage::of(plan);
        let nodes = plan.nodes().map(|(stage, node)| NodeTimes {
            node_id: node.id.clone(),
            stage,
            ..NodeTimes::default()
        });
        Self {
            tells,
            began: Instant::now(),
            opening: Duration::ZERO,
            closing: Duration::ZERO,
            nodes: nodes.collect(),
            stages,
            calls: Vec::new(),
            conversions: Vec::new(),
            converting: Duration::ZERO,
            left_out: 0,
        }
    }

    /// The nodes' sums so far.
    #[must_use]
    pub fn nodes(&self) -> &[NodeTimes] {
        &self.nodes
    }

    /// All nodes have started.
    pub(crate) fn end_opening(&mut self) -> Option<String> {
        self.opening = self.began.elapsed();
        self.tells.then(|| format!("session opened in {}", Millis(self.opening)))
    }

    /// The session has closed; it began to do so at this moment.
    pub(crate) fn end_closing(&mut self, since: Instant) -> Option<String> {
        self.closing = since.elapsed();
        self.tells.then(|| format!("session closed in {}", Millis(self.closing)))
    }

    /// Whether there is a line for each crossing.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.tells
    }

    /// A conversion in the caller's process that began at this moment is done. Returns how long it took,
    /// and whether there is a line about it.
    pub fn convert(&mut self, is_input: bool, begin: Instant) -> (Duration, bool) {
        let took = begin.elapsed();
        self.converting += took;
        if self.conversions.len() < KEPT_MAX {
            self.conversions.push(Conversion { is_input, begin, took });
        } else {
            self.left_out += 1;
        }
        (took, self.tells)
    }

    /// An event of the session that the core gets next.
    pub(crate) fn note(&mut self, event: &Event<Value>) -> Option<String> {
        let now = Instant::now();
        match event {
            Event::Input(Some(_)) => {
                self.stages.iter_mut().filter(|stage| stage.is_root).for_each(|s| s.arrive(now));
                None
            }
            Event::Output(stage, value) => self.note_output(*stage, value, now),
            Event::Done(stage) => self.end_call(*stage, false, now),
            Event::Failed(stage, failure) if failure.kept_at.is_none() => {
                self.end_call(*stage, true, now)
            }
            Event::Failed(stage, _) => {
                let called = self.stages.get_mut(*stage)?;
                called.fail(now);
                self.tells.then(|| format!("{} failed, and may be tried again", called.name))
            }
            Event::Abandon | Event::Interrupt => {
                self.stages.iter_mut().for_each(Stage::forget_arrivals);
                None
            }
            _ => None,
        }
    }

    fn note_output(&mut self, stage: StageId, value: &Value, now: Instant) -> Option<String> {
        let from = self.stages.get_mut(stage)?;
        let after = from.output(now);
        let successors = std::mem::take(&mut from.successors);
        for next in &successors {
            if let Some(next) = self.stages.get_mut(*next) {
                next.arrive(now);
            }
        }
        let from = self.stages.get_mut(stage)?;
        from.successors = successors;
        self.tells.then(|| {
            format!("output of {} after {}: {}", from.name, Millis(after), Brief::of(value))
        })
    }

    /// A call begins. Its line follows with [`Recording::sent`].
    pub(crate) fn begin_call(&mut self, stage: StageId, work: &Work<Value>) -> Option<String> {
        let now = Instant::now();
        if self.stages.get(stage).is_some_and(Stage::is_called) {
            self.end_call(stage, true, now); // its worker has died
        }
        let first = self.stages.get(stage)?.replica.1;
        let ready = self.stages.get_mut(first)?.take_arrivals(work);
        self.stages.get_mut(stage)?.begin(work, ready, now, self.tells);
        None
    }

    /// A call was sent to the worker with this process id.
    pub(crate) fn sent(&mut self, stage: StageId, pid: u32, sent: Traffic) -> Option<String> {
        let called = self.stages.get_mut(stage)?;
        let (given, took) = called.sent()?;
        let Traffic { copied_bytes, shared_bytes, inline_bytes, .. } = sent;
        Some(format!(
            "call {} in worker {pid} with {given}: sent in {} ({inline_bytes} bytes in the frame, \
             {shared_bytes} in shared memory, {copied_bytes} copied)",
            called.name,
            Millis(took)
        ))
    }

    /// The costs of a call, or of a part of it, have come.
    pub(crate) fn usage(&mut self, stage: StageId, usage: &[NodeUsage]) -> Option<String> {
        self.stages.get_mut(stage)?.add_usage(usage);
        None
    }

    /// A call that waited for it may send more outputs.
    pub(crate) fn credit(&mut self, stage: StageId) -> Option<String> {
        self.stages.get_mut(stage)?.credit(Instant::now());
        None
    }

    /// A call that has failed is tried again.
    pub(crate) fn retry(&mut self, stage: StageId) -> Option<String> {
        self.stages.get_mut(stage)?.retry(Instant::now());
        None
    }

    fn end_call(&mut self, stage: StageId, has_failed: bool, now: Instant) -> Option<String> {
        let called = self.stages.get_mut(stage)?;
        let (first, name) = (called.first_node, called.name.clone());
        let call = called.end(has_failed, now)?;
        for (node, cost) in self.nodes.iter_mut().skip(first).zip(&call.costs) {
            node.calls += cost.calls;
            node.node += cost.node;
            node.marshalling += cost.marshalling;
        }
        let (waiting, transport) = (call.waiting(), call.transport());
        if let Some(node) = self.nodes.get_mut(first) {
            node.waiting += waiting;
            node.transport += transport;
        }
        let line = self.tells.then(|| {
            let end = if call.has_failed { "failed" } else { "done" };
            format!(
                "{name} {end} in {}: node {}, marshalling {}, transport {}; it had waited {}",
                Millis(call.took()),
                Millis(call.costs.iter().map(|cost| cost.node).sum()),
                Millis(call.costs.iter().map(|cost| cost.marshalling).sum()),
                Millis(transport),
                Millis(waiting)
            )
        });
        if self.calls.len() < KEPT_MAX {
            self.calls.push(call);
        } else {
            self.left_out += 1;
        }
        line
    }

    /// The recording as JSON, times in microseconds since the session began to open.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json::recording(self)
    }
}

/// A time in milliseconds, for people.
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ms", self.0.as_secs_f64() * 1e3)
    }
}
