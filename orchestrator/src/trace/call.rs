//! One call of a stage, from when its item was ready to its end.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::time::{Duration, Instant};

use ipc_protocol::Value;
use ipc_protocol::from_worker::NodeUsage;

use super::brief::Brief;
use crate::metrics::RunMetrics;
use crate::plan::Plan;
use crate::schedule::{StageId, Work};

/// Items whose arrival is remembered; later ones count as not having waited.
const ARRIVALS_MAX: usize = 4096;

/// A stage, with its call that is under way.
#[derive(Debug)]
pub(super) struct Stage {
    /// Ids of its nodes.
    pub(super) name: String,
    /// Index of its first node among all nodes.
    pub(super) first_node: usize,
    /// Which replica of its node it is, and the stage of the first.
    pub(super) replica: (usize, StageId),
    /// Whether it gets the inputs of the session.
    pub(super) is_root: bool,
    /// The stages that get its outputs.
    pub(super) successors: Vec<StageId>,
    nodes: usize,
    /// When each item that waits has come; of replicas, at the first.
    arrivals: VecDeque<Instant>,
    open: Option<Open>,
    /// What the open call was given, in short, until its line is written.
    pub(super) given: String,
}

/// A call that is under way.
#[derive(Debug)]
struct Open {
    ready: Option<Instant>,
    begin: Instant,
    costs: Vec<Cost>,
    outputs: u64,
    last_output: Option<Instant>,
    suspended: Duration,
    /// When a node of the call has failed, while the worker keeps the call for another try.
    failed_at: Option<Instant>,
}

/// What one node cost in a call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) calls: u64,
    pub(super) node: Duration,
    pub(super) marshalling: Duration,
}

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) stage: StageId,
    /// Which replica of the stage's node was called.
    pub(super) replica: usize,
    /// When its item was ready; `None` for a flush, a source and an item that is not known.
    pub(super) ready: Option<Instant>,
    pub(super) begin: Instant,
    pub(super) end: Instant,
    /// How long it waited for leave to send more outputs.
    pub(super) suspended: Duration,
    pub(super) costs: Vec<Cost>,
    pub(super) outputs: u64,
    pub(super) has_failed: bool,
}

impl Call {
    pub(super) fn took(&self) -> Duration {
        self.end.saturating_duration_since(self.begin)
    }

    pub(super) fn waiting(&self) -> Duration {
        let ready = self.ready.unwrap_or(self.begin);
        self.begin.saturating_duration_since(ready) + self.suspended
    }

    pub(super) fn transport(&self) -> Duration {
        let worked: Duration = self.costs.iter().map(|cost| cost.node + cost.marshalling).sum();
        self.took().saturating_sub(worked).saturating_sub(self.suspended)
    }
}

impl Stage {
    /// The stages of a plan.
    pub(super) fn of(plan: &Plan) -> Vec<Self> {
        let nodes = RunMetrics::ranges(plan).into_iter();
        let stages = plan.stages.iter().zip(nodes).enumerate().map(|(number, (planned, range))| {
            let ids: Vec<&str> = planned.nodes.iter().map(|node| node.id.as_str()).collect();
            let replica = plan.replica(number);
            Self {
                name: ids.join(" > "),
                first_node: range.start,
                replica,
                is_root: plan.roots().any(|(root, _)| root == number),
                successors: plan.stages[replica.1].outputs.clone(),
                nodes: ids.len(),
                arrivals: VecDeque::new(),
                open: None,
                given: String::new(),
            }
        });
        stages.collect()
    }

    /// Takes what has waited for a call with this work. Returns since when: a join of several has waited for
    /// the last of them.
    pub(super) fn take_arrivals(&mut self, work: &Work<Value>) -> Option<Instant> {
        let items = match work {
            Work::Item(_) => 1,
            Work::Zip(values) => values.len(),
            Work::Start | Work::Flush => 0,
        };
        (0..items).filter_map(|_| self.arrivals.pop_front()).max()
    }

    /// An item is ready for the stage.
    pub(super) fn arrive(&mut self, now: Instant) {
        if self.arrivals.len() < ARRIVALS_MAX {
            self.arrivals.push_back(now);
        }
    }

    /// The items that wait are dropped.
    pub(super) fn forget_arrivals(&mut self) {
        self.arrivals.clear();
    }

    pub(super) fn is_called(&self) -> bool {
        self.open.is_some()
    }

    /// A call begins, whose item is ready since then. `tells`: what it is given is kept as text.
    pub(super) fn begin(
        &mut self,
        work: &Work<Value>,
        ready: Option<Instant>,
        now: Instant,
        tells: bool,
    ) {
        self.given.clear();
        if tells {
            // Writing to a string does not fail.
            let _written = show_work(work, &mut self.given);
        }
        self.open = Some(Open {
            ready,
            begin: now,
            costs: vec![Cost::default(); self.nodes],
            outputs: 0,
            last_output: None,
            suspended: Duration::ZERO,
            failed_at: None,
        });
    }

    /// What the call was given, and how long it took to send it; `None` for the messages after that.
    pub(super) fn sent(&self) -> Option<(&str, Duration)> {
        let open = self.open.as_ref()?;
        (!self.given.is_empty()).then(|| (self.given.as_str(), open.begin.elapsed()))
    }

    /// The call has given an output. Returns the time since its begin.
    pub(super) fn output(&mut self, now: Instant) -> Duration {
        let Some(open) = &mut self.open else { return Duration::ZERO };
        open.outputs += 1;
        open.last_output = Some(now);
        now.saturating_duration_since(open.begin)
    }

    /// The call may send more outputs, and has waited since the last one.
    pub(super) fn credit(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            let since = open.last_output.take().unwrap_or(now);
            open.suspended += now.saturating_duration_since(since);
        }
    }

    /// A node of the call has failed, and the call waits for another try or its end.
    pub(super) fn fail(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.failed_at = Some(now);
        }
    }

    /// The call is tried again.
    pub(super) fn retry(&mut self, now: Instant) {
        if let Some(open) = &mut self.open
            && let Some(since) = open.failed_at.take()
        {
            open.suspended += now.saturating_duration_since(since);
        }
    }

    pub(super) fn add_usage(&mut self, usage: &[NodeUsage]) {
        let Some(open) = &mut self.open else { return };
        for (cost, usage) in open.costs.iter_mut().zip(usage) {
            cost.calls += usage.calls;
            cost.node += Duration::from_nanos(usage.busy_ns);
            cost.marshalling += Duration::from_nanos(usage.marshal_ns);
        }
    }

    pub(super) fn end(&mut self, has_failed: bool, now: Instant) -> Option<Call> {
        let open = self.open.take()?;
        let (replica, stage) = self.replica;
        Some(Call {
            stage,
            replica,
            ready: open.ready,
            begin: open.begin,
            end: open.failed_at.unwrap_or(now),
            suspended: open.suspended,
            costs: open.costs,
            outputs: open.outputs,
            has_failed: has_failed || open.failed_at.is_some(),
        })
    }
}

fn show_work(work: &Work<Value>, text: &mut String) -> fmt::Result {
    match work {
        Work::Item(value) => write!(text, "{}", Brief::of(value)),
        Work::Zip(values) => values.iter().enumerate().try_for_each(|(index, value)| {
            let and = if index > 0 { " and " } else { "" };
            write!(text, "{and}{}", Brief::of(value))
        }),
        Work::Start => text.write_str("no input"),
        Work::Flush => text.write_str("the end of the input"),
    }
}
