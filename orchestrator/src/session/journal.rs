//! The records of a session: its metrics, and the log records of its nodes and of the orchestrator.

mod states;
pub(super) mod tracing;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{LogRecord, Moved, NodeUsage, Traffic};
use nix::errno::Errno;

use super::Host;
use super::native::NativeOutcome;
use super::workers::Slot;
use crate::error::{Error, Skipped};
use crate::metrics::RunMetrics;
use crate::model::OnOpen;
use crate::plan::{Plan, Stage};
use crate::reason::Advice;
use crate::schedule::StageId;
use crate::trace::Trace;
use crate::worker::link::Sent;

/// Number of causes that the error about a skipped node names.
const MAX_CAUSES: usize = 5;
/// The level WARNING of Python's `logging`.
pub(super) const WARNING: u32 = 30;
/// The level DEBUG of Python's `logging`.
pub(super) const DEBUG: u32 = 10;
/// The level INFO of Python's `logging`.
pub(super) const INFORMATION: u32 = 20;

/// The logger that gets each crash as one JSON object.
const CRASHES: &str = "remotemedia.crashes";

/// The journal of one session. Clones share its metrics.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    metrics: Arc<Mutex<RunMetrics>>,
    /// The nodes of each stage in the metrics.
    nodes: Vec<Range<usize>>,
    /// For each stage its replica's number, and the stage that stands for all of them.
    replicas: Vec<(usize, StageId)>,
    /// The stages that get the inputs of the session.
    roots: Vec<StageId>,
    /// The first errors of each stage since its last success, where it has a breaker.
    causes: BTreeMap<StageId, Vec<String>>,
    /// Log records for the host, delivered at the next wait.
    notices: Vec<LogRecord>,
    /// Ids of the nodes that a warning about too much kept shared memory was given for.
    warned: BTreeSet<String>,
    /// Whether the host gets what nodes print.
    forwards_output: bool,
    /// The recording of the session, if there is one.
    trace: Option<Trace>,
    pub(super) rounds_done: u64,
}

impl Journal {
    pub(super) fn new(name: &str, plan: &Plan, forwards_output: bool) -> Self {
        let roots = plan.roots().map(|(stage, _)| stage).collect();
        Self {
            metrics: Arc::new(Mutex::new(RunMetrics::new(name, plan))),
            nodes: RunMetrics::ranges(plan),
            replicas: (0..plan.stages.len()).map(|stage| plan.replica(stage)).collect(),
            roots,
            causes: BTreeMap::new(),
            notices: Vec::new(),
            warned: BTreeSet::new(),
            forwards_output,
            trace: None,
            rounds_done: 0,
        }
    }

    pub(super) fn metrics(&self) -> MutexGuard<'_, RunMetrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metrics, readable by other threads while the session runs.
    pub(super) fn shared_metrics(&self) -> Arc<Mutex<RunMetrics>> {
        Arc::clone(&self.metrics)
    }

    /// Index of a node in the metrics.
    pub(super) fn number(&self, stage: StageId, node: usize) -> usize {
        self.nodes[stage].start + node
    }

    /// The stage that stands for all replicas of its node.
    fn first_of(&self, stage: StageId) -> StageId {
        self.replicas[stage].1
    }

    /// Adds the costs of a call to the metrics of a stage's nodes.
    pub(super) fn record(&mut self, stage: StageId, usage: &[NodeUsage]) {
        self.trace(|trace| trace.usage(stage, usage));
        let Range { start, end } = self.nodes[stage];
        self.metrics().record_stage(start, &usage[..usage.len().min(end - start)]);
    }

    /// Counts a failure in the metrics of its node.
    pub(super) fn note_failure(&mut self, error: &Error) {
        match error {
            Error::Node(failure) => {
                let mut metrics = self.metrics();
                metrics.fail(&failure.node_id, &failure.message, false);
                if let Some(Advice::Raise(_)) = failure.advice {
                    metrics.count_excess(&failure.node_id);
                }
            }
            Error::Crashed(crash) => self.metrics().fail(&crash.node_id, &crash.headline(), true),
            Error::Skipped(skipped) => {
                self.metrics().fail(&skipped.node_id, &error.to_string(), false);
            }
            Error::TimedOut(over) => self.metrics().fail(&over.node_id, &error.to_string(), true),
            Error::LimitExceeded(over) => {
                let mut metrics = self.metrics();
                metrics.fail(&over.node_id, &over.headline(), true);
                metrics.count_excess(&over.node_id);
            }
            _ => {}
        }
    }

    /// Counts and tells that a failed call will be tried again.
    pub(super) fn note_retry(&mut self, error: &Error, at: Instant) {
        let node_id = error.node_id().unwrap_or_default();
        self.metrics().retry(node_id);
        // The moment was set a little ago.
        let wait = (at.saturating_duration_since(Instant::now()).as_secs_f64() * 1e3).ceil();
        let message = format!("{}; it is tried again in {wait} ms", first_line(error));
        self.notices.push(notice(node_id, WARNING, message));
    }

    /// The worker of these nodes is gone, and the next one gets their state.
    pub(super) fn note_restoring(
        &mut self,
        nodes: &[&str],
        cause: Option<&Error>,
        repeated: usize,
    ) {
        let mut metrics = self.metrics();
        nodes.iter().for_each(|node_id| metrics.restore(node_id));
        drop(metrics);
        let cause = match cause {
            Some(Error::Crashed(crash)) => crash.cause(),
            Some(error) => first_line(error),
            None => "its worker is gone".to_owned(),
        };
        let first = nodes.first().copied().unwrap_or_default();
        let message = format!(
            "{cause}; a fresh worker of {} goes on from the last checkpoint, after {repeated} calls are \
             repeated",
            nodes.join(", ")
        );
        self.notices.push(notice(first, WARNING, message));
    }

    /// A repeated call gave another number of outputs.
    pub(super) fn note_differs(&mut self, stage: &Stage) {
        let node_id = stage.nodes.last().map_or("", |node| &node.id);
        let message = format!(
            "node '{node_id}' gave another number of outputs when an item was repeated after the death \
             of its worker: its state may differ from before"
        );
        self.notices.push(notice(node_id, WARNING, message));
    }

    /// One node can save its state, and another in the same worker cannot.
    pub(super) fn note_mixed_state(&mut self, saving: &str, other: &str) {
        if !self.warned.insert(saving.to_owned()) {
            return;
        }
        let message = format!(
            "the checkpoints of node '{saving}' are not used: node '{other}' in the same worker keeps \
             state that it cannot save. Give '{other}' stateless=True if it keeps none, or '{saving}' \
             isolated=True"
        );
        self.notices.push(notice(saving, WARNING, message));
    }

    /// Keeps an error that the caller gets, for when its node is skipped.
    pub(super) fn note_cause(&mut self, stage: StageId, error: &Error) {
        let causes = self.causes.entry(self.first_of(stage)).or_default();
        if causes.len() < MAX_CAUSES {
            causes.push(first_line(error));
        }
    }

    /// The errors that are kept for when the node of a stage is skipped.
    pub(super) fn causes(&self, stage: StageId) -> Vec<String> {
        self.causes.get(&self.first_of(stage)).cloned().unwrap_or_default()
    }

    /// Takes over the errors of an earlier session.
    pub(super) fn set_causes(&mut self, stage: StageId, causes: Vec<String>) {
        self.causes.insert(stage, causes);
    }

    /// The stage has succeeded, so its earlier errors are no cause any more.
    pub(super) fn forget_causes(&mut self, stage: StageId) {
        self.causes.remove(&self.first_of(stage));
    }

    /// Tells that the breaker of a stage's node has opened or closed.
    pub(super) fn note_breaker(&mut self, stage: &Stage, is_open: bool) {
        let Some(node) = stage.nodes.first() else { return };
        let Some(breaker) = node.failing.breaker else { return };
        let message = match is_open {
            true => format!(
                "node '{}' is skipped for {:?}: {} items in a row failed in it",
                node.id, breaker.pause, breaker.failures
            ),
            false => format!("node '{}' works again, and is not skipped any more", node.id),
        };
        self.notices.push(notice(&node.id, WARNING, message));
    }

    /// Notes which worker hosts the nodes of a slot.
    pub(super) fn note_worker(&self, slot: &Slot) {
        let Some(pid) = slot.process().map(|process| process.pid) else { return };
        let mut metrics = self.metrics();
        for (stage, node) in &slot.seats {
            metrics.set_worker(self.number(*stage, *node), self.replicas[*stage].0, pid);
        }
    }

    /// Counts an item whose node is skipped. Returns the error about it, if it is one.
    pub(super) fn note_skipped(
        &mut self,
        plan: &Plan,
        stage: StageId,
        on_open: OnOpen,
    ) -> Option<Error> {
        self.metrics().skip(self.nodes[stage].start);
        let node = plan.stages[stage].nodes.first();
        let breaker = node.and_then(|node| node.failing.breaker);
        (on_open == OnOpen::Error).then(|| {
            Error::Skipped(Box::new(Skipped {
                node_id: node.map_or_else(String::new, |node| node.id.clone()),
                failures: breaker.map_or(0, |breaker| breaker.failures),
                pause: breaker.map_or(Duration::ZERO, |breaker| breaker.pause),
                causes: self.causes(stage),
            }))
        })
    }

    /// Keeps a record of a crash for the host: all that is known about it, as one JSON object.
    pub(super) fn note_crash(&mut self, error: &Error) {
        if let Error::Crashed(crash) = error {
            self.notices.push(LogRecord {
                logger: CRASHES.to_owned(),
                ..notice(&crash.node_id, INFORMATION, crash.to_json().to_string())
            });
        }
    }

    /// Counts what was copied or shared to convert an input from the caller's objects.
    pub(super) fn count_taken(&mut self, traffic: Traffic) {
        let moved = Moved { incoming: traffic, ..Moved::default() };
        let mut metrics = self.metrics();
        for stage in &self.roots {
            metrics.count_moved(self.nodes[*stage].start, moved);
        }
    }

    /// Counts what of a stage's input was copied or shared to send it. Warns, once for each cause, of a
    /// node that holds too much shared memory, and where there is none. `holder`: its first node.
    pub(super) fn note_sent(&mut self, stage: StageId, pid: u32, holder: &Arc<str>, sent: Sent) {
        self.trace(|trace| trace.sent(stage, pid, sent.traffic));
        let moved = Moved { incoming: sent.traffic, ..Moved::default() };
        self.metrics().count_moved(self.nodes[stage].start, moved);
        if let Some((node_id, bytes)) = sent.over_quota
            && self.warned.insert(node_id.to_string())
        {
            let message = format!(
                "node '{node_id}' keeps {bytes} bytes of its inputs; from now on it is given \
                 copies in its own memory (raise [shared_memory] pinned_max to lend it more)"
            );
            self.notices.push(notice(&node_id, WARNING, message));
        }
        if let Some(error) = sent.failure {
            let message = format!(
                "no shared memory for an input of node '{holder}' ({error}); arrays travel inside \
                 messages, which is slower (see [shared_memory] in the configuration)"
            );
            self.notices.push(notice(holder, WARNING, message));
        }
    }

    /// Records a call of a native stage, and what its nodes want users to know.
    pub(super) fn record_native(&mut self, stage: StageId, outcome: &NativeOutcome) {
        self.record(stage, &outcome.usage);
        let told = outcome.notices.iter();
        self.notices.extend(told.map(|(node_id, text)| notice(node_id, WARNING, text.clone())));
    }

    /// Keeps a record for the host, delivered at the next wait.
    pub(super) fn notice(&mut self, records: impl IntoIterator<Item = LogRecord>) {
        self.notices.extend(records);
    }

    /// Delivers the kept records to the host.
    pub(super) fn tell(&mut self, host: &mut dyn Host) {
        self.show_lines(host, !self.notices.is_empty());
        self.notices.drain(..).for_each(|record| host.log(&record));
    }

    /// Passes a line that a node printed, or a record that it logged, to the host.
    pub(super) fn show(&self, record: &LogRecord, host: &mut dyn Host) {
        if !record.is_stream || self.forwards_output {
            self.show_lines(host, true);
            host.log(record);
        }
    }
}

fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A log record of the orchestrator itself.
pub(super) fn notice(node_id: &str, level: u32, message: String) -> LogRecord {
    LogRecord {
        node_id: node_id.to_owned(),
        logger: "remotemedia".to_owned(),
        is_stream: false,
        level,
        message,
        place: None,
    }
}

/// The record of a line that a node's process wrote to a pipe.
pub(super) fn printed(node_id: &str, is_stderr: bool, message: String) -> LogRecord {
    let logger = if is_stderr { "stderr" } else { "stdout" };
    LogRecord {
        node_id: node_id.to_owned(),
        logger: logger.to_owned(),
        is_stream: true,
        level: 0,
        message,
        place: None,
    }
}

/// The log record about a changed attribute that cannot be sent back from the worker. That is
/// common (models, files), so its level is INFO.
pub(super) fn kept(node_id: &str, name: &str, reason: &str) -> LogRecord {
    let message = format!("attribute '{name}' of node '{node_id}' stays in its worker: {reason}");
    notice(node_id, INFORMATION, message)
}

/// The log record about a worker whose limits the kernel did not accept.
pub(super) fn unlimited(pid: u32, errno: Errno) -> LogRecord {
    let message = format!(
        "the kernel does not limit memory or open_files of the worker (pid {pid}): {}; it runs without \
         these limits",
        errno.desc()
    );
    notice("", WARNING, message)
}

/// The log record about a node that prints more than it may. `limit` is in bytes a second.
pub(super) fn dropped(node_id: &str, limit: u64) -> LogRecord {
    let message = format!(
        "node '{node_id}' prints more than {limit} bytes a second; what exceeds is dropped (log_rate \
         in [limits], or in `limits` of the node)"
    );
    notice(node_id, WARNING, message)
}

/// The log record about a worker that no other session can use, so that another is started: slow
/// for a pipeline that runs often, but no error.
pub(super) fn replaced(nodes: &str, pid: u32, left: &[String]) -> LogRecord {
    let left = left.join(", ");
    let message = format!(
        "the worker of {nodes} (pid {pid}) is replaced: the session left {left} that cannot be put \
         back"
    );
    notice("", INFORMATION, message)
}
