//! What an opening session gets from elsewhere: workers from the pool, all at once, and the caller's
//! node objects, pickled for the interpreter that they go to.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ipc_protocol::Value;
use ipc_protocol::to_worker::{NodeClass, NodeSpec, OpenSession, StageSpec};
use ipc_protocol::version::SURROUNDINGS_SINCE;

use super::drive::stage_number;
use super::{Host, Session};
use crate::error::Error;
use crate::placement::{Engine, NodeSource};
use crate::plan::PlannedNode;
use crate::runtime::caller::{self, Caller};
use crate::schedule::SlotId;
use crate::value_json;
use crate::worker::supervisor::{Pool, Returned};
use crate::worker::{Interpreter, Wanted, Worker};

/// Node objects as they were sent to the workers of an interpreter.
#[derive(Debug)]
pub(super) struct Shipped {
    interpreter: Interpreter,
    instances: Vec<u32>,
    bytes: Bytes,
}

impl Session {
    /// Takes workers for slots from the pool, all in one step, and puts them there. Returns the slots,
    /// interpreter by interpreter. With `is_apart` they are none that sessions of other paths have.
    pub(super) fn acquire(
        &mut self,
        wanted: &[SlotId],
        is_apart: bool,
        host: &mut dyn Host,
    ) -> Result<Vec<Vec<SlotId>>, Error> {
        let pool = match &self.pool {
            Some(pool) => Arc::clone(pool),
            None => Arc::clone(self.pool.insert(self.runtime.pool()?)),
        };
        let mut groups = Vec::new();
        let mut needs = Vec::new();
        for runtime in [Engine::RustPython, Engine::CPython] {
            let slots = wanted.iter().filter(|slot| self.slots[**slot].runtime == runtime);
            let group: Vec<SlotId> = slots.copied().collect();
            if !group.is_empty() {
                let caller = self.caller();
                let mut need = self.runtime.wanted(runtime, &self.options, &caller, group.len())?;
                need.key.apart = is_apart.then(|| caller.place());
                needs.push(need);
                groups.push(group);
            }
        }
        let workers = self.await_workers(&pool, &needs, host)?;
        for (slot, worker) in groups.iter().flatten().zip(workers) {
            worker.process.set_listener(Some(self.cancel.waker.clone()));
            self.slots[*slot].worker = Some(worker);
        }
        Ok(groups)
    }

    fn await_workers(
        &mut self,
        pool: &Pool,
        needs: &[Wanted],
        host: &mut dyn Host,
    ) -> Result<Vec<Worker>, Error> {
        let waited = self.runtime.config().workers.acquire_timeout;
        let until = Instant::now() + waited;
        let mut ticket = pool.want(needs, &self.cancel.waker);
        loop {
            match pool.answer(ticket) {
                Some(Ok(workers)) if workers.iter().any(|worker| worker.link.is_closed()) => {
                    // One died while it was idle, and the pool has not heard of it yet.
                    for worker in workers {
                        let is_closed = worker.link.is_closed();
                        let returned =
                            if is_closed { Returned::Broken } else { Returned::Reusable };
                        pool.give_back(worker, returned);
                    }
                    ticket = pool.want(needs, &self.cancel.waker);
                    continue;
                }
                Some(Ok(workers)) => return Ok(workers),
                Some(Err(error)) => return Err(error.into()),
                None if until <= Instant::now() => {
                    pool.withdraw(ticket);
                    let max = self.runtime.config().workers.pool.max_workers();
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

    /// What the session takes over from its caller's process.
    fn caller(&mut self) -> Arc<Caller> {
        let made = || Arc::new(Caller::new(&self.runtime, &self.options));
        Arc::clone(self.caller.get_or_insert_with(made))
    }

    /// Whether a worker can become what the session needs: one that speaks an older protocol has the
    /// environment that it started with.
    pub(super) fn suits(&mut self, slot: SlotId) -> bool {
        let caller = self.caller();
        let Some(worker) = &self.slots[slot].worker else { return true };
        worker.protocol >= SURROUNDINGS_SINCE || *worker.start == *caller.start()
    }

    pub(super) fn open_message(
        &mut self,
        slot: SlotId,
        interpreter: &Interpreter,
        protocol: u32,
    ) -> Result<OpenSession, Error> {
        let shipment = self.shipment(slot, interpreter)?;
        let caller = self.caller();
        let is_complete = self.runtime.shares_path(self.slots[slot].runtime, &self.options);
        let surroundings =
            (protocol >= SURROUNDINGS_SINCE).then(|| Box::new(caller.surroundings(is_complete)));
        let options = surroundings.is_none().then_some(&self.options);
        let directory = options.and_then(|old| old.working_directory.as_deref()?.to_str());
        let python = &self.runtime.config().python;
        let mut stages = Vec::new();
        for stage in &self.slots[slot].stages {
            let nodes = self.plan.stages[*stage].nodes.iter().map(node_spec).collect();
            stages.push(StageSpec { stage: stage_number(*stage), nodes });
        }
        Ok(OpenSession {
            stages,
            instances: shipment.map(Into::into),
            sys_path: options.map_or_else(Vec::new, |old| caller::texts(&old.sys_path)),
            working_directory: directory.map(str::to_owned),
            write_back_max_bytes: python.write_back_max_bytes,
            allow_pickle: python.allow_pickle,
            surroundings,
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
