//! What a session records for its caller on request: where the time of each call went, and, while it is
//! debugged, a line of text for each crossing between processes. A session that records nothing has no
//! [`Trace`].

use std::fmt::{self, Display, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipc_protocol::Value;
use ipc_protocol::from_worker::{NodeUsage, Traffic};

use crate::plan::Plan;
use crate::schedule::{Event, StageId, Work};

mod brief;
mod call;
mod json;
mod lines;
#[cfg(test)]
mod tests;

pub use brief::Brief;
use call::{Call, Stage};
pub use lines::Due;
use lines::Lines;

/// Number of calls, and of conversions, whose times are kept one by one. Sums go on after that.
pub const KEPT_MAX: usize = 100_000;

/// The recording of one session. Clones share it.
#[derive(Debug, Clone)]
pub struct Trace {
    recording: Arc<Mutex<Recording>>,
    tells: bool,
}

impl Trace {
    /// A recording that begins now. `tells`: it also has a line for each crossing.
    #[must_use]
    pub fn new(plan: &Plan, tells: bool) -> Self {
        Self { recording: Arc::new(Mutex::new(Recording::new(plan, tells))), tells }
    }

    /// Whether there is a line for each crossing.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.tells
    }

    /// The recording, locked.
    pub fn lock(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Times of one session.
#[derive(Debug)]
pub struct Recording {
    /// The lines about crossings, if there are to be any.
    lines: Option<Lines>,
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
            lines: tells.then(Lines::default),
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
    pub(crate) fn end_opening(&mut self) {
        self.opening = self.began.elapsed();
        if let Some(lines) = &mut self.lines {
            lines.add(format_args!("session opened in {}", Millis(self.opening)));
        }
    }

    /// The session has closed; it began to do so at this moment.
    pub(crate) fn end_closing(&mut self, since: Instant) {
        self.closing = since.elapsed();
        if let Some(lines) = &mut self.lines {
            lines.add(format_args!("session closed in {}", Millis(self.closing)));
        }
    }

    /// Whether there are lines to show.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        self.lines.as_ref().is_some_and(Lines::wait)
    }

    /// When the lines are to be shown. Says [`Due::Soon`] once, until [`Recording::take_told_lines`].
    pub fn lines_due(&mut self) -> Due {
        self.lines.as_mut().map_or(Due::Never, Lines::due)
    }

    /// Takes the lines.
    pub fn take_lines(&mut self) -> Option<String> {
        self.lines.as_mut()?.take()
    }

    /// Takes the lines, as the host that was told that they wait.
    pub fn take_told_lines(&mut self) -> Option<String> {
        self.lines.as_mut()?.take_told()
    }

    /// The caller enters a function with these arguments. Returns that moment.
    pub fn enter(&mut self, function: &str, arguments: &str) -> Instant {
        let now = Instant::now();
        if let Some(lines) = &mut self.lines {
            let at = Millis(now.saturating_duration_since(self.began));
            lines.add(format_args!("-> {function}({arguments}) at {at}"));
        }
        now
    }

    /// The function that was entered at this moment is left, with this result.
    pub fn leave(&mut self, function: &str, result: &str, since: Instant) {
        if let Some(lines) = &mut self.lines {
            lines.add(format_args!("<- {function}(...) {result} in {}", Millis(since.elapsed())));
        }
    }

    /// A conversion in the caller's process that began at this moment is done. Returns how long it took.
    pub fn convert(&mut self, is_input: bool, begin: Instant) -> Duration {
        let took = begin.elapsed();
        self.converting += took;
        if self.conversions.len() < KEPT_MAX {
            self.conversions.push(Conversion { is_input, begin, took });
        } else {
            self.left_out += 1;
        }
        took
    }

    /// A conversion made `after` of `before`, and took this time.
    pub fn tell_conversion(
        &mut self,
        is_input: bool,
        (before, after): (&dyn Display, &dyn Display),
        took: Duration,
    ) {
        let what = if is_input { "input" } else { "output" };
        if let Some(lines) = &mut self.lines {
            lines.add(format_args!("   {what}: {before} became {after} in {}", Millis(took)));
        }
    }

    /// An event of the session that the core gets next.
    pub(crate) fn note(&mut self, event: &Event<Value>) {
        let now = Instant::now();
        match event {
            Event::Input(Some(_)) => {
                self.stages.iter_mut().filter(|stage| stage.is_root).for_each(|s| s.arrive(now));
            }
            Event::Output(stage, value) => self.note_output(*stage, value, now),
            Event::Done(stage) => self.end_call(*stage, false, now),
            Event::Failed(stage, failure) if failure.kept_at.is_none() => {
                self.end_call(*stage, true, now);
            }
            Event::Failed(stage, _) => {
                let Some(called) = self.stages.get_mut(*stage) else { return };
                called.fail(now);
                if let Some(lines) = &mut self.lines {
                    lines.add(format_args!("{} failed, and may be tried again", called.name));
                }
            }
            Event::Abandon | Event::Interrupt => {
                self.stages.iter_mut().for_each(Stage::forget_arrivals);
            }
            _ => {}
        }
    }

    fn note_output(&mut self, stage: StageId, value: &Value, now: Instant) {
        let Some(from) = self.stages.get_mut(stage) else { return };
        let after = from.output(now);
        if let Some(lines) = &mut self.lines {
            let (name, after) = (&from.name, Millis(after));
            lines.add(format_args!("output of {name} after {after}: {}", Brief::of(value)));
        }
        let successors = std::mem::take(&mut from.successors);
        for next in &successors {
            if let Some(next) = self.stages.get_mut(*next) {
                next.arrive(now);
            }
        }
        if let Some(from) = self.stages.get_mut(stage) {
            from.successors = successors;
        }
    }

    /// A call begins. Its line follows with [`Recording::sent`].
    pub(crate) fn begin_call(&mut self, stage: StageId, work: &Work<Value>) {
        let now = Instant::now();
        if self.stages.get(stage).is_some_and(Stage::is_called) {
            self.end_call(stage, true, now); // its worker has died
        }
        let tells = self.lines.is_some();
        let Some(first) = self.stages.get(stage).map(|called| called.replica.1) else { return };
        let ready = self.stages.get_mut(first).and_then(|first| first.take_arrivals(work));
        if let Some(called) = self.stages.get_mut(stage) {
            called.begin(work, ready, now, tells);
        }
    }

    /// A message was sent to the worker with this process id; the first one of a call has its input.
    pub(crate) fn sent(&mut self, stage: StageId, pid: u32, sent: Traffic) {
        let Some(called) = self.stages.get_mut(stage) else { return };
        let Some((given, took)) = called.sent() else { return };
        if let Some(lines) = &mut self.lines {
            let (name, took) = (&called.name, Millis(took));
            let bytes = Bytes(sent);
            lines.add(format_args!(
                "call {name} in worker {pid} with {given}: sent in {took}{bytes}"
            ));
        }
        called.given.clear();
    }

    /// The costs of a call, or of a part of it, have come.
    pub(crate) fn usage(&mut self, stage: StageId, usage: &[NodeUsage]) {
        if let Some(called) = self.stages.get_mut(stage) {
            called.add_usage(usage);
        }
    }

    /// A call that waited for it may send more outputs.
    pub(crate) fn credit(&mut self, stage: StageId) {
        if let Some(called) = self.stages.get_mut(stage) {
            called.credit(Instant::now());
        }
    }

    /// A call that has failed is tried again.
    pub(crate) fn retry(&mut self, stage: StageId) {
        if let Some(called) = self.stages.get_mut(stage) {
            called.retry(Instant::now());
        }
    }

    fn end_call(&mut self, stage: StageId, has_failed: bool, now: Instant) {
        let Some(called) = self.stages.get_mut(stage) else { return };
        let Some(call) = called.end(has_failed, now) else { return };
        let first = called.first_node;
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
        if let Some(lines) = &mut self.lines {
            let end = if call.has_failed { "failed" } else { "done" };
            lines.add(format_args!(
                "{} {end} in {} ms: node {}, marshalling {}, transport {}; it had waited {}",
                called.name,
                Figure(call.took()),
                Figure(call.costs.iter().map(|cost| cost.node).sum()),
                Figure(call.costs.iter().map(|cost| cost.marshalling).sum()),
                Figure(transport),
                Figure(waiting)
            ));
        }
        if self.calls.len() < KEPT_MAX {
            self.calls.push(call);
        } else {
            self.left_out += 1;
        }
    }

    /// The recording as JSON, times in microseconds since the session began to open.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json::recording(self)
    }
}

/// Where the bytes of a message went; nothing about places without any.
struct Bytes(Traffic);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Traffic { copied_bytes, shared_bytes, inline_bytes, .. } = self.0;
        let parts = [
            (inline_bytes, "bytes in the frame"),
            (shared_bytes, "in shared memory"),
            (copied_bytes, "copied"),
        ];
        let mut begin = " (";
        for (count, place) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{begin}{count} {place}")?;
            begin = ", ";
        }
        f.write_str(if begin == ", " { ")" } else { "" })
    }
}

/// A time with its unit, for people.
struct Millis(Duration);

impl Display for Millis {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Figure(self.0).fmt(f)?;
        f.write_str(" ms")
    }
}

/// The number of milliseconds of a time.
struct Figure(Duration);

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // By hand, because a line has several of them, and `{:.3}` takes a multiple of the time.
        let micros = self.0.as_secs() * 1_000_000 + u64::from((self.0.subsec_nanos() + 500) / 1000);
        let mut text = [b'0'; 20];
        let (mut left, mut begin) = (micros, text.len());
        let least = text.len() - 4;
        for (place, digit) in text.iter_mut().enumerate().rev() {
            if left == 0 && place < least {
                break;
            }
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
            begin = place;
        }
        let text = std::str::from_utf8(&text).unwrap_or_default();
        let point = text.len() - 3;
        f.write_str(&text[begin..point])?;
        f.write_str(".")?;
        f.write_str(&text[point..])
    }
}
