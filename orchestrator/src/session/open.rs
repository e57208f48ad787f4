//! Opening: workers are taken from the pool all at once, native nodes are built here, Python nodes
//! there. A slot whose worker died is opened again the same way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ipc_protocol::from_worker::{FromWorker, NodeReady};
use ipc_protocol::to_worker::{NodeClass, NodeSpec, OpenSession, StageSpec};
use ipc_protocol::{FaultKind, ToWorker, Value};
use nodes::node::Node;
use nodes::params::{ParamProblem, check_params};

use super::drive::stage_number;
use super::failure::stage_timeout;
use super::native::NativeStage;
use super::slot::{News, Slot};
use super::spin::Spin;
use super::{CancelHandle, Host, Session};
use crate::error::{Error, StartError};
use crate::manifest::Manifest;
use crate::metrics::RunMetrics;
use crate::plan::{NodeSource, Place, Plan, PlannedNode, Stage};
use crate::runtime::{OpenOptions, Runtime};
use crate::schedule::{Bounds, Core, SlotId, StageShape, Target};
use crate::value_json;
use crate::worker::Worker;

impl Session {
    pub(crate) fn open(
        runtime: Arc<Runtime>,
        manifest: &Manifest,
        plan: Plan,
        options: OpenOptions,
        host: &mut dyn Host,
    ) -> Result<Self, Error> {
        let calls = &runtime.config().calls;
        let bounds = Bounds { window: calls.window, queue: calls.queue };
        let core = Core::new(shapes(&plan), plan.worker_slots, bounds);
        let slots = (0..plan.worker_slots).map(|slot| Slot::new(stages_in(&plan, slot))).collect();
        let natives = plan.stages.iter().map(native_stage).collect::<Result<_, _>>()?;
        let metrics = RunMetrics::new(manifest.name(), &plan);
        let first_node = RunMetrics::stage_offsets(&plan);
        let holders = plan.stages.iter().map(holder).collect();
        let cancel = match &options.cancel {
            Some(handle) => handle.clone(),
            None => CancelHandle::new()?,
        };
        let spin = Spin::new(calls.spin);
        let mut session = Self {
            runtime,
            plan,
            options,
            core,
            slots,
            natives,
            holders,
            missed: None,
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
        };
        let wanted: Vec<SlotId> = (0..session.slots.len()).collect();
        if let Err(error) = session.open_slots(&wanted, host) {
            session.abandon_workers();
            return Err(error);
        }
        Ok(session)
    }

    /// Gives a slot whose worker died a fresh one with fresh nodes.
    pub(super) fn reopen(&mut self, slot: SlotId, host: &mut dyn Host) -> Result<(), Error> {
        self.open_slots(&[slot], host)
    }

    fn open_slots(&mut self, wanted: &[SlotId], host: &mut dyn Host) -> Result<(), Error> {
        if wanted.is_empty() {
            return Ok(());
        }
        let workers = self.acquire(wanted.len(), host)?;
        for (slot, worker) in wanted.iter().zip(workers) {
            self.put(*slot, worker)?;
        }
        let mut pending = wanted.to_vec();
        while !pending.is_empty() {
            self.wait(None, host)?;
            let mut still = Vec::new();
            for slot in pending {
                if !self.hear_opening(slot, host)? {
                    still.push(slot);
                }
            }
            pending = still;
        }
        Ok(())
    }

    /// Puts a worker into a slot and has it make the slot's nodes.
    fn put(&mut self, slot: SlotId, mut worker: Worker) -> Result<(), Error> {
        worker.process.set_listener(Some(self.cancel.waker.clone()));
        for node in self.node_numbers(slot) {
            self.metrics.set_worker(node, worker.process.pid);
        }
        let sent = worker.link.send(ToWorker::Open(self.open_message(slot)), None);
        self.slots[slot].worker = Some(worker);
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
                    return Ok(true);
                }
                News::Message(FromWorker::Log(record)) => self.hear_log(slot, &record, host),
                News::Message(FromWorker::Failed(failed))
                    if failed.fault.kind == FaultKind::Stale =>
                {
                    self.end_worker(slot);
                    let fresh = self.acquire(1, host)?;
                    for worker in fresh {
                        self.put(slot, worker)?;
                    }
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

    fn acquire(&mut self, count: usize, host: &mut dyn Host) -> Result<Vec<Worker>, Error> {
        let pool = match &self.pool {
            Some(pool) => Arc::clone(pool),
            None => Arc::clone(self.pool.insert(self.runtime.pool()?)),
        };
        let key = self.runtime.worker_key(&self.options)?;
        let waited = self.runtime.config().workers.acquire_timeout;
        let until = Instant::now() + waited;
        let ticket = pool.want(&key, count, &self.cancel.waker);
        loop {
            match pool.answer(ticket) {
                Some(Ok(workers)) => return Ok(workers),
                Some(Err(StartError::ShutDown)) => return Err(StartError::ShutDown.into()),
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

    fn open_message(&self, slot: SlotId) -> OpenSession {
        let python = &self.runtime.config().python;
        let mut stages = Vec::new();
        for stage in &self.slots[slot].stages {
            let nodes = self.plan.stages[*stage].nodes.iter().map(node_spec).collect();
            stages.push(StageSpec { stage: stage_number(*stage), nodes });
        }
        OpenSession {
            stages,
            instances: self.options.instances.clone().map(Into::into),
            sys_path: self.options.sys_path.clone(),
            working_directory: self.options.working_directory.clone(),
            write_back_max_bytes: python.write_back_max_bytes,
            allow_pickle: python.allow_pickle,
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

fn stages_in(plan: &Plan, slot: SlotId) -> Vec<usize> {
    let is_here = |stage: &Stage| stage.place == Place::Worker { slot };
    plan.stages.iter().enumerate().filter(|(_, s)| is_here(s)).map(|(id, _)| id).collect()
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
