//! Opening: workers are taken from the pool all at once, native nodes are built here, Python nodes
//! there. A slot whose worker died is opened again the same way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use ipc_protocol::from_worker::{FromWorker, NodeReady};
use ipc_protocol::{FaultKind, ToWorker, Value};
use nodes::ParamProblem;
use nodes::node::Node;

use super::failure::stage_timeout;
use super::fallback::{Watched, move_notice, moved_before_notice, runtime_of};
use super::memory::{WARNING, notice};
use super::native::NativeStage;
use super::slot::{News, Slot};
use super::spin::Spin;
use super::{CancelHandle, Host, OpenOptions, Session};
use crate::error::Error;
use crate::metrics::RunMetrics;
use crate::model::Manifest;
use crate::placement::Engine;
use crate::plan::{Place, Plan, PlannedNode, Stage};
use crate::runtime::Runtime;
use crate::schedule::{Bounds, Core, Event, SlotId, StageShape, Target};
use crate::worker::supervisor::Returned;

impl Session {
    /// Opens a session. Nodes that RustPython cannot load move to CPython, and the session is opened
    /// again with a new plan.
    pub(crate) fn open(
        runtime: &Arc<Runtime>,
        manifest: &Manifest,
        mut options: OpenOptions,
        host: &mut dyn Host,
    ) -> Result<Self, Error> {
        let mut moved = HashMap::new();
        let mut deferred = Vec::new();
        loop {
            let plan = runtime.plan(manifest, &options, &moved)?;
            let mut session = Self::new(Arc::clone(runtime), manifest, plan, options)?;
            let wanted: Vec<SlotId> = (0..session.slots.len()).collect();
            let Err(error) = session.open_slots(&wanted, host) else {
                let earlier = session.plan.nodes().filter(|(_, n)| !moved.contains_key(&n.id));
                let notices = earlier.filter_map(|(_, node)| moved_before_notice(node));
                session.notices = deferred.into_iter().chain(notices).collect();
                return Ok(session);
            };
            let further = session.moves_after(&error);
            if further.is_empty() {
                if !matches!(&error, Error::Node(failure) if session.retract(failure)) {
                    deferred.iter().for_each(|record| host.log(record));
                }
                session.abandon_workers();
                return Err(session.with_advice(error));
            }
            session.return_unopened();
            for failure in session.close(host).failures {
                let message = format!("while nodes were moved to CPython: {failure}");
                host.log(&notice("", WARNING, message));
            }
            for (node_id, reason) in further {
                let record = move_notice(&node_id, &reason, false);
                match reason.is_doubtful() {
                    true => deferred.push(record),
                    false => host.log(&record),
                }
                moved.insert(node_id, reason);
            }
            options = std::mem::take(&mut session.options);
        }
    }

    fn new(
        runtime: Arc<Runtime>,
        manifest: &Manifest,
        plan: Plan,
        options: OpenOptions,
    ) -> Result<Self, Error> {
        let calls = &runtime.config().calls;
        let bounds = Bounds { window: calls.window, queue: calls.queue };
        let core = Core::new(shapes(&plan), plan.worker_slots, bounds);
        let slots = (0..plan.worker_slots).map(|slot| slot_in(&plan, slot)).collect();
        let natives = plan.stages.iter().map(native_stage).collect::<Result<_, _>>()?;
        let metrics = RunMetrics::new(manifest.name(), &plan);
        let first_node = RunMetrics::stage_offsets(&plan);
        let holders = plan.stages.iter().map(holder).collect();
        let watched = Watched::of(&plan);
        let fallback = runtime.fallback(&options)?;
        let cancel = match &options.cancel {
            Some(handle) => handle.clone(),
            None => CancelHandle::new()?,
        };
        let spin = Spin::new(calls.spin);
        Ok(Self {
            runtime,
            plan,
            options,
            core,
            slots,
            natives,
            holders,
            pending: Vec::new(),
            watched,
            fallback,
            shipments: Vec::new(),
            caller: None,
            failed_slot: None,
            warned: BTreeSet::new(),
            notices: Vec::new(),
            deferred_notices: BTreeMap::new(),
            first_node,
            cancel,
            metrics,
            outputs: Vec::new(),
            failure: None,
            stops_at_failure: false,
            next_call: 1,
            pool: None,
            finished_rounds: 0,
            spin,
            looked_up: Instant::now(),
            is_open: true,
            owner: std::process::id(),
        })
    }

    /// Opens a slot again. What waits for it fails when that fails; an interrupt ends the call at
    /// once, and the core is told with the next.
    pub(super) fn reopened(
        &mut self,
        slot: SlotId,
        host: &mut dyn Host,
    ) -> Result<Vec<Event<Value>>, Error> {
        let Err(error) = self.reopen(slot, host) else {
            return Ok(vec![Event::SlotReady(slot)]);
        };
        self.end_worker(slot);
        if matches!(error, Error::Interrupted | Error::Cancelled) {
            self.pending.push(Event::ReopenFailed(slot));
            return Err(error);
        }
        self.note_failure(error);
        Ok(vec![Event::ReopenFailed(slot)])
    }

    /// Gives a slot whose worker died a fresh one with fresh nodes.
    fn reopen(&mut self, slot: SlotId, host: &mut dyn Host) -> Result<(), Error> {
        self.open_slots(&[slot], host)
    }

    /// Opens slots. Those on RustPython come first: a failure there changes the plan of the others.
    fn open_slots(&mut self, wanted: &[SlotId], host: &mut dyn Host) -> Result<(), Error> {
        if wanted.is_empty() {
            return Ok(());
        }
        for group in self.acquire(wanted, false, host)? {
            self.open_group(&group, host)?;
        }
        Ok(())
    }

    fn open_group(&mut self, group: &[SlotId], host: &mut dyn Host) -> Result<(), Error> {
        let mut pending = Vec::new();
        let mut failed = None;
        for slot in group {
            match self.give_nodes(*slot, host) {
                Ok(()) => pending.push(*slot),
                Err(error) => {
                    failed.get_or_insert((*slot, error));
                }
            }
        }
        // If one of them has to move, all are opened again, after those that stand were cleaned up.
        // So wait for the others even when one has failed.
        let is_rustpython = |slot: &SlotId| self.slots[*slot].runtime == Engine::RustPython;
        let waits = self.fallback && group.iter().all(is_rustpython);
        while !pending.is_empty() && (waits || failed.is_none()) {
            self.wait(None, host)?;
            let mut still = Vec::new();
            for slot in pending {
                match self.hear_opening(slot, host) {
                    Ok(true) => {}
                    Ok(false) => still.push(slot),
                    Err(error @ (Error::Interrupted | Error::Cancelled)) => return Err(error),
                    Err(error) => {
                        failed.get_or_insert((slot, error));
                    }
                }
            }
            pending = still;
        }
        let Some((slot, error)) = failed else { return Ok(()) };
        self.failed_slot = Some(slot);
        Err(error)
    }

    /// Has the worker in a slot make the slot's nodes.
    fn give_nodes(&mut self, slot: SlotId, host: &mut dyn Host) -> Result<(), Error> {
        while !self.suits(slot) {
            self.end_worker(slot);
            self.acquire(&[slot], false, host)?;
        }
        self.slots[slot].is_open = false;
        self.slots[slot].opened = self.slots[slot].stages.clone();
        let worker = self.slots[slot].worker.as_ref();
        let Some((interpreter, protocol)) = worker.map(|w| (w.interpreter.clone(), w.protocol))
        else {
            return Ok(());
        };
        let message = ToWorker::Open(self.open_message(slot, &interpreter, protocol)?);
        let Some(worker) = &mut self.slots[slot].worker else { return Ok(()) };
        let (sent, pid) = (worker.link.send(message, None), worker.process.pid);
        for node in self.node_numbers(slot) {
            self.metrics.set_worker(node, pid);
        }
        sent.map(drop).map_err(|error| {
            let source = std::io::Error::other(error.to_string());
            Error::Os { action: "sending the nodes to a worker", source }
        })
    }

    /// Handles what a worker says while it makes its nodes; true when they stand.
    fn hear_opening(&mut self, slot: SlotId, host: &mut dyn Host) -> Result<bool, Error> {
        if let Some(worker) = &mut self.slots[slot].worker {
            let _noticed_by_reading = worker.link.flush();
        }
        loop {
            match self.slots[slot].receive() {
                News::Nothing => return Ok(false),
                News::Message(FromWorker::Opened(nodes)) => {
                    self.note_sources(slot, &nodes);
                    self.slots[slot].is_open = true;
                    return Ok(true);
                }
                News::Message(FromWorker::Log(record)) => self.hear_log(slot, &record, host),
                News::Message(FromWorker::Failed(failed))
                    if failed.fault.kind == FaultKind::Stale =>
                {
                    self.return_worker(slot, Returned::UsedUp);
                    return self.open_elsewhere(slot, false, host);
                }
                News::Message(FromWorker::Failed(failed))
                    if failed.fault.kind == FaultKind::Conflict =>
                {
                    // One that was apart already would be granted again.
                    let is_apart = self.slots[slot].worker.as_ref().is_some_and(|w| w.is_apart);
                    let returned = if is_apart { Returned::UsedUp } else { Returned::Reusable };
                    self.return_worker(slot, returned);
                    return self.open_elsewhere(slot, true, host);
                }
                News::Message(FromWorker::Failed(failed)) => {
                    return Err(Self::from_fault(failed.fault));
                }
                News::Message(_) => {
                    self.lose_worker(slot, None);
                    return Err(self.failure.take().unwrap_or(Error::Closed));
                }
                News::Gone(reason) => {
                    self.forward_raw_output(host);
                    self.lose_worker(slot, reason.as_ref());
                    return Err(self.failure.take().unwrap_or(Error::Closed));
                }
            }
        }
    }

    /// Opens a slot on another worker than the one that it had; false as `hear_opening` returns it.
    fn open_elsewhere(
        &mut self,
        slot: SlotId,
        is_apart: bool,
        host: &mut dyn Host,
    ) -> Result<bool, Error> {
        self.acquire(&[slot], is_apart, host)?;
        self.give_nodes(slot, host)?;
        Ok(false)
    }

    fn note_sources(&mut self, slot: SlotId, nodes: &[NodeReady]) {
        for stage in self.slots[slot].stages.clone() {
            let first = self.plan.stages[stage].nodes.first().map(|node| node.id.as_str());
            if nodes.iter().any(|node| node.is_source && Some(node.node_id.as_str()) == first) {
                self.core.set_source(stage);
            }
        }
    }

    /// Numbers of a slot's nodes in the metrics.
    fn node_numbers(&self, slot: SlotId) -> Vec<usize> {
        let stages = self.slots[slot].stages.iter();
        stages
            .flat_map(|stage| {
                let first = self.first_node[*stage];
                first..first + self.plan.stages[*stage].nodes.len()
            })
            .collect()
    }
}

fn shapes(plan: &Plan) -> Vec<StageShape> {
    let target = |from: usize, to: usize| {
        let input = plan.stages[to].inputs.iter().position(|stage| *stage == from);
        Target { stage: to, input: input.unwrap_or(0) }
    };
    let shape = |(id, stage): (usize, &Stage)| StageShape {
        slot: match stage.place {
            Place::Native => None,
            Place::Worker { slot } => Some(slot),
        },
        inputs: stage.inputs.len(),
        outputs: stage.outputs.iter().map(|to| target(id, *to)).collect(),
        join: stage.join,
        is_source: stage.nodes.first().is_some_and(|node| node.is_source),
        timeout: stage_timeout(stage),
    };
    plan.stages.iter().enumerate().map(shape).collect()
}

/// The node that holds a stage's inputs.
fn holder(stage: &Stage) -> Arc<str> {
    Arc::from(stage.nodes.first().map_or("", |node| node.id.as_str()))
}

fn slot_in(plan: &Plan, slot: SlotId) -> Slot {
    let is_here = |stage: &Stage| stage.place == Place::Worker { slot };
    let here: Vec<usize> =
        plan.stages.iter().enumerate().filter(|(_, s)| is_here(s)).map(|(id, _)| id).collect();
    let runtime = here.first().map_or(Engine::CPython, |stage| runtime_of(&plan.stages[*stage]));
    Slot::new(runtime, here)
}

fn native_stage(stage: &Stage) -> Result<Option<NativeStage>, Error> {
    if stage.place != Place::Native {
        return Ok(None);
    }
    let mut built = Vec::with_capacity(stage.nodes.len());
    for node in &stage.nodes {
        built.push((node.id.clone(), build(node)?));
    }
    Ok(Some(NativeStage::new(built)))
}

/// Makes a native node. A parsed manifest has passed these checks already; one that was made in
/// code has not.
fn build(node: &PlannedNode) -> Result<Box<dyn Node>, Error> {
    let failed = |problems: Vec<ParamProblem>| Error::Params {
        node_id: node.id.clone(),
        problems: problems.iter().map(ToString::to_string).collect(),
    };
    let Some(node_type) = nodes::registry::builtin().get(&node.node_type) else {
        return Err(failed(Vec::new()));
    };
    let params = node_type.check_params(&node.params).map_err(failed)?;
    (node_type.build)(&params).map_err(|problem| failed(vec![problem]))
}
