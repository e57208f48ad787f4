//! Opening: workers are taken from the pool all at once, native nodes are built here, Python nodes
//! there. A slot whose worker died is opened again the same way.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ipc_protocol::from_worker::{FromWorker, NodeReady};
use ipc_protocol::to_worker::{NodeClass, NodeSpec, OpenSession, StageSpec};
use ipc_protocol::{FaultKind, ToWorker, Value};
use nodes::node::Node;
use nodes::params::{ParamProblem, check_params};

use super::drive::stage_number;
use super::failure::stage_timeout;
use super::fallback::{Watched, move_notice, remembered_notice, runtime_of};
use super::memory::{WARNING, notice};
use super::native::NativeStage;
use super::slot::{News, Slot};
use super::spin::Spin;
use super::{CancelHandle, Host, Session};
use crate::error::Error;
use crate::manifest::Manifest;
use crate::metrics::RunMetrics;
use crate::plan::{NodeSource, Place, Plan, PlannedNode, Runtime as Interpreted, Stage};
use crate::runtime::{OpenOptions, Runtime};
use crate::schedule::{Bounds, Core, SlotId, StageShape, Target};
use crate::value_json;
use crate::worker::supervisor::Pool;
use crate::worker::{Interpreter, Worker, WorkerKey};

/// Node objects as they were sent to the workers of an interpreter.
#[derive(Debug)]
pub(super) struct Shipped {
    interpreter: Interpreter,
    instances: Vec<u32>,
    bytes: Bytes,
}

impl Session {
    /// Opens a session. Nodes that RustPython turns out not to load move to CPython before anything
    /// else begins, and the session is laid out anew.
    pub(crate) fn open(
        runtime: &Arc<Runtime>,
        manifest: &Manifest,
        mut options: OpenOptions,
        host: &mut dyn Host,
    ) -> Result<Self, Error> {
        let mut moved = HashMap::new();
        loop {
            let plan = runtime.plan(manifest, &options, &moved)?;
            let mut session = Self::new(Arc::clone(runtime), manifest, plan, options)?;
            let wanted: Vec<SlotId> = (0..session.slots.len()).collect();
            let Err(error) = session.open_slots(&wanted, host) else {
                let remembered = session.plan.nodes().filter(|(_, n)| !moved.contains_key(&n.id));
                let notices = remembered.filter_map(|(_, node)| remembered_notice(node));
                session.notices = notices.collect();
                return Ok(session);
            };
            let further = session.moved_by(&error);
            if further.is_empty() {
                session.abandon_workers();
                return Err(session.with_advice(error));
            }
            session.return_unopened();
            for failure in session.close(host).failures {
                let message = format!("while nodes were moved to CPython: {failure}");
                host.log(&notice("", WARNING, message));
            }
            for (node_id, reason) in further {
                host.log(&move_notice(&node_id, &reason, false));
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
            failed_slot: None,
            warned: BTreeSet::new(),
            notices: Vec::new(),
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

    /// Gives a slot whose worker died a fresh one with fresh nodes.
    pub(super) fn reopen(&mut self, slot: SlotId, host: &mut dyn Host) -> Result<(), Error> {
        self.open_slots(&[slot], host)
    }

    /// Opens slots. Those on RustPython come first: what fails there changes what the others get.
    fn open_slots(&mut self, wanted: &[SlotId], host: &mut dyn Host) -> Result<(), Error> {
        if wanted.is_empty() {
            return Ok(());
        }
        for group in self.acquire(wanted, host)? {
            self.open_group(&group, host)?;
        }
        Ok(())
    }

    fn open_group(&mut self, group: &[SlotId], host: &mut dyn Host) -> Result<(), Error> {
        let mut pending = Vec::new();
        let mut failed = None;
        for slot in group {
            match self.give_nodes(*slot) {
                Ok(()) => pending.push(*slot),
                Err(error) => {
                    failed.get_or_insert((*slot, error));
                }
            }
        }
        // Nodes that may be laid out anew are to be cleaned up, so they have to stand first.
        let is_rustpython = |slot: &SlotId| self.slots[*slot].runtime == Interpreted::RustPython;
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
    fn give_nodes(&mut self, slot: SlotId) -> Result<(), Error> {
        self.slots[slot].is_open = false;
        self.slots[slot].opened = self.slots[slot].stages.clone();
        let Some(interpreter) = self.slots[slot].worker.as_ref().map(|w| w.interpreter.clone())
        else {
            return Ok(());
        };
        let message = ToWorker::Open(self.open_message(slot, &interpreter)?);
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
                    self.end_worker(slot);
                    self.acquire(&[slot], host)?;
                    self.give_nodes(slot)?;
                    return Ok(false);
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

    fn note_sources(&mut self, slot: SlotId, nodes: &[NodeReady]) {
        for stage in self.slots[slot].stages.clone() {
            let first = self.plan.stages[stage].nodes.first().map(|node| node.id.as_str());
            if nodes.iter().any(|node| node.is_source && Some(node.node_id.as_str()) == first) {
                self.core.set_source(stage);
            }
        }
    }

    /// Takes workers for slots from the pool, all in one step, and puts them there. Gives the slots,
    /// interpreter by interpreter.
    fn acquire(
        &mut self,
        wanted: &[SlotId],
        host: &mut dyn Host,
    ) -> Result<Vec<Vec<SlotId>>, Error> {
        let pool = match &self.pool {
            Some(pool) => Arc::clone(pool),
            None => Arc::clone(self.pool.insert(self.runtime.pool()?)),
        };
        let mut groups = Vec::new();
        let mut needs = Vec::new();
        for runtime in [Interpreted::RustPython, Interpreted::CPython] {
            let slots = wanted.iter().filter(|slot| self.slots[**slot].runtime == runtime);
            let group: Vec<SlotId> = slots.copied().collect();
            if !group.is_empty() {
                needs.push((self.runtime.worker_key(runtime, &self.options)?, group.len()));
                groups.push(group);
            }
        }
        let workers = self.await_workers(&pool, &needs, host)?;
        for (slot, worker) in groups.iter().flatten().zip(workers) {
            worker.process.set_listener(Some(self.cancel.waker.clone()));
            if self.slots[*slot].runtime == Interpreted::RustPython {
                self.runtime.note_rustpython(&worker.interpreter);
            }
            self.slots[*slot].worker = Some(worker);
        }
        Ok(groups)
    }

    fn await_workers(
        &mut self,
        pool: &Pool,
        needs: &[(WorkerKey, usize)],
        host: &mut dyn Host,
    ) -> Result<Vec<Worker>, Error> {
        let waited = self.runtime.config().workers.acquire_timeout;
        let until = Instant::now() + waited;
        let ticket = pool.want(needs, &self.cancel.waker);
        loop {
            match pool.answer(ticket) {
                Some(Ok(workers)) => return Ok(workers),
                Some(Err(error)) => return Err(error.into()),
                None if until <= Instant::now() => {
                    pool.withdraw(ticket);
                    let max = self.runtime.config().workers.max_workers();
                    return Err(Error::Busy { waited, max });
                }
                None => {}
            }
            if let Err(error) = self.wait(Some(until), host) {
                pool.withdraw(ticket);
                return Err(error);
            }
        }
    }

    fn open_message(
        &mut self,
        slot: SlotId,
        interpreter: &Interpreter,
    ) -> Result<OpenSession, Error> {
        let shipment = self.shipment(slot, interpreter)?;
        let python = &self.runtime.config().python;
        let mut stages = Vec::new();
        for stage in &self.slots[slot].stages {
            let nodes = self.plan.stages[*stage].nodes.iter().map(node_spec).collect();
            stages.push(StageSpec { stage: stage_number(*stage), nodes });
        }
        Ok(OpenSession {
            stages,
            instances: shipment.map(Into::into),
            sys_path: self.options.sys_path.clone(),
            working_directory: self.options.working_directory.clone(),
            write_back_max_bytes: python.write_back_max_bytes,
            allow_pickle: python.allow_pickle,
        })
    }

    /// The caller's node objects for a slot, if the plan has any. Slots on the same interpreter get
    /// the same, so that what nodes share is made once.
    fn shipment(
        &mut self,
        slot: SlotId,
        interpreter: &Interpreter,
    ) -> Result<Option<Bytes>, Error> {
        let Some(objects) = self.options.nodes.clone() else { return Ok(None) };
        let runtime = self.slots[slot].runtime;
        let nodes = || self.plan.nodes().map(|(_, node)| node);
        let instance = |node: &PlannedNode| match node.source {
            NodeSource::Instance(index) => Some(index),
            _ => None,
        };
        let wanted = nodes().filter(|node| node.runtime == runtime);
        let instances: Vec<u32> = wanted.filter_map(instance).collect();
        if instances.is_empty() {
            return Ok(None);
        }
        let is_it =
            |known: &&Shipped| known.interpreter == *interpreter && known.instances == instances;
        if let Some(known) = self.shipments.iter().find(is_it) {
            return Ok(Some(known.bytes.clone()));
        }
        let bytes = objects.ship(interpreter, &instances)?;
        let interpreter = interpreter.clone();
        self.shipments.push(Shipped { interpreter, instances, bytes: bytes.clone() });
        Ok(Some(bytes))
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

fn node_spec(node: &PlannedNode) -> NodeSpec {
    let class = match &node.source {
        NodeSource::Import { module, name } => {
            NodeClass::Import { module: module.clone(), name: name.clone() }
        }
        NodeSource::Instance(index) => NodeClass::Instance(*index),
        // Native nodes never reach a worker; the registry's name is at least a true answer.
        NodeSource::Native => {
            NodeClass::Import { module: String::new(), name: node.node_type.clone() }
        }
    };
    let params = node
        .params
        .iter()
        .map(|(name, json)| (Value::from(name.as_str()), value_json::from_json(json)));
    NodeSpec {
        node_id: node.id.clone(),
        class,
        params: Value::Dict(params.collect()),
        is_streaming: node.is_streaming,
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
    let runtime =
        here.first().map_or(Interpreted::CPython, |stage| runtime_of(&plan.stages[*stage]));
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
    let params = check_params(node_type, &node.params).map_err(failed)?;
    (node_type.build)(&params).map_err(|problem| failed(vec![problem]))
}
