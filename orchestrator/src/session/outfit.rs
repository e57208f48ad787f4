//! What a session sends a worker when it opens: the environment, paths and arguments of the
//! caller's process, the nodes, and the caller's node objects, pickled for the worker's
//! interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use ipc_protocol::Value;
use ipc_protocol::from_worker::Failed;
use ipc_protocol::to_worker::{NodeClass, NodeSpec, OpenSession, StageSpec};
use ipc_protocol::version::{BUFFERS_SINCE, CAPTURE_SINCE, SURROUNDINGS_SINCE};

use super::workers::Workers;
use crate::error::Error;
use crate::options::{Breakers, OpenOptions, Shipment};
use crate::placement::{Engine, NodeSource, PoolId};
use crate::plan::{Plan, PlannedNode};
use crate::runtime::caller::{self, Caller, shares_path, wanted};
use crate::runtime::{Runtime, Settings};
use crate::schedule::{SlotId, StageId};
use crate::value_json;
use crate::worker::{Interpreter, Wanted, Worker};

/// What the workers of one session get when they open.
#[derive(Debug)]
pub(super) struct Outfit {
    runtime: Arc<Runtime>,
    options: OpenOptions,
    /// Environment, paths and arguments of the caller's process, as each pool changes them.
    callers: BTreeMap<PoolId, Arc<Caller>>,
    settings: Arc<Settings>,
    shipments: Vec<Shipped>,
}

/// Node objects that were pickled for an interpreter, kept for its other workers.
#[derive(Debug)]
struct Shipped {
    interpreter: Interpreter,
    instances: Vec<u32>,
    takes_buffers: bool,
    shipment: Shipment,
}

impl Outfit {
    pub(super) fn new(runtime: Arc<Runtime>, options: OpenOptions) -> Self {
        let settings = runtime.settings();
        Self { runtime, options, callers: BTreeMap::new(), settings, shipments: Vec::new() }
    }

    /// What the workers of a pool take over from the caller.
    fn caller(&mut self, pool: PoolId) -> Arc<Caller> {
        let Self { settings, options, .. } = self;
        let caller = || Arc::new(Caller::new(settings, pool, options));
        Arc::clone(self.callers.entry(pool).or_insert_with(caller))
    }

    pub(super) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The settings that the session knows.
    pub(super) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Further workers get what these settings say.
    pub(super) fn follow(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
        self.callers.clear();
    }

    /// The breakers of the caller's pipeline.
    pub(super) fn breakers(&self) -> Option<Breakers> {
        self.options.breakers.clone()
    }

    /// Keeps the note of a failed call, if failing items are captured: the node's next failure would replace
    /// it. Returns its path.
    pub(super) fn keep_note(&self, failed: &Failed, pid: u32) -> Option<PathBuf> {
        let terms = self.options.capture.as_ref()?;
        let mut path = OsString::from_vec(terms.prefix.to_vec());
        path.push(format!("-{pid}-{}.failed", failed.fault.node_id));
        let mut kept = path.clone();
        kept.push(format!("-{}", failed.call));
        std::fs::rename(&path, &kept).ok().map(|()| kept.into())
    }

    /// Whether the session is refused at once when all workers are in use.
    pub(super) fn is_impatient(&self) -> bool {
        self.options.is_impatient
    }

    /// The options, for a session that is opened again.
    pub(super) fn into_options(self) -> OpenOptions {
        self.options
    }

    /// The workers to ask the pool for, for these slots, and the slots in the same order. If one of them
    /// wants to be apart, they are workers that no session with another search path or directory uses.
    pub(super) fn wanted(
        &mut self,
        workers: &Workers,
        slots: &[SlotId],
    ) -> Result<(Vec<Wanted>, Vec<SlotId>), Error> {
        let is_apart = slots.iter().any(|slot| workers.slot(*slot).wants_apart);
        let mut needs = Vec::new();
        let mut in_order = Vec::new();
        let pools: BTreeSet<PoolId> = slots.iter().map(|slot| workers.slot(*slot).pool).collect();
        for pool in pools {
            let group = slots.iter().filter(|slot| workers.slot(**slot).pool == pool);
            let group: Vec<SlotId> = group.copied().collect();
            let (caller, count) = (self.caller(pool), group.len());
            let mut need = wanted(&self.settings, pool, &self.options, &caller, count)?;
            need.key.apart = is_apart.then(|| caller.place());
            needs.push(need);
            in_order.extend(group);
        }
        Ok((needs, in_order))
    }

    /// Whether a worker suits the session. One that speaks an older protocol cannot change its
    /// environment, so it must have been started with the session's.
    pub(super) fn suits(&mut self, pool: PoolId, worker: &Worker) -> bool {
        worker.protocol >= SURROUNDINGS_SINCE || *worker.start == *self.caller(pool).start()
    }

    /// The message that asks a worker to open these stages.
    pub(super) fn open_message(
        &mut self,
        plan: &Plan,
        stages: &[StageId],
        pool: PoolId,
        worker: &Worker,
    ) -> Result<OpenSession, Error> {
        let of = Arc::clone(self.settings.pool(pool));
        let protocol = worker.protocol;
        // Without shared memory, buffers beside the pickle would be copied once more.
        let takes_buffers = protocol >= BUFFERS_SINCE && worker.link.output().exchange().is_some();
        let shipment = self.shipment(plan, of.engine, &worker.interpreter, takes_buffers)?;
        let (pickle, buffers) = shipment.map(|all| (all.pickle, all.buffers)).unzip();
        let is_complete = shares_path(&of, &self.options);
        let surroundings = (protocol >= SURROUNDINGS_SINCE)
            .then(|| Box::new(self.caller(pool).surroundings(is_complete)));
        let options = surroundings.is_none().then_some(&self.options);
        let directory = options.and_then(|old| old.working_directory.as_deref()?.to_str());
        let python = &of.python;
        let specs = stages.iter().map(|stage| StageSpec {
            stage: stage_number(*stage),
            nodes: plan.stages[*stage].nodes.iter().map(node_spec).collect(),
        });
        Ok(OpenSession {
            stages: specs.collect(),
            instances: pickle.map(Into::into),
            sys_path: options.map_or_else(Vec::new, |old| caller::texts(&old.sys_path)),
            working_directory: directory.map(str::to_owned),
            write_back_max_bytes: python.write_back_max,
            allow_pickle: python.allow_pickle,
            surroundings,
            buffers: buffers.unwrap_or_default(),
            saved: Vec::new(),
            capture: self.options.capture.clone().filter(|_| protocol >= CAPTURE_SINCE),
        })
    }

    /// The caller's node objects, pickled for an interpreter; `None` if the plan has none there.
    /// All slots on that interpreter get the same shipment, which is pickled once.
    fn shipment(
        &mut self,
        plan: &Plan,
        runs: Engine,
        interpreter: &Interpreter,
        takes_buffers: bool,
    ) -> Result<Option<Shipment>, Error> {
        let Some(objects) = self.options.nodes.clone() else { return Ok(None) };
        let instance = |node: &PlannedNode| match node.source {
            NodeSource::Instance(index) => Some(index),
            _ => None,
        };
        // Of replicas, some may have moved to another interpreter; all have the same object.
        let nodes = plan.stages.iter().flat_map(|stage| &stage.nodes);
        let wanted = nodes.filter(|node| node.runtime == runs).filter_map(instance);
        let mut instances = Vec::new();
        wanted.for_each(|index| {
            if !instances.contains(&index) {
                instances.push(index);
            }
        });
        if instances.is_empty() {
            return Ok(None);
        }
        let is_it = |known: &&Shipped| {
            known.interpreter == *interpreter
                && known.instances == instances
                && known.takes_buffers == takes_buffers
        };
        if let Some(known) = self.shipments.iter().find(is_it) {
            return Ok(Some(known.shipment.clone()));
        }
        let shipment = objects.ship(interpreter, &instances, takes_buffers)?;
        let (interpreter, kept) = (interpreter.clone(), shipment.clone());
        self.shipments.push(Shipped { interpreter, instances, takes_buffers, shipment: kept });
        Ok(Some(shipment))
    }
}

fn node_spec(node: &PlannedNode) -> NodeSpec {
    let class = match &node.source {
        NodeSource::Import { module, name } => {
            NodeClass::Import { module: module.clone(), name: name.clone() }
        }
        NodeSource::Instance(index) => NodeClass::Instance(*index),
        // Never used: native nodes are not sent to workers.
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
        keeps_failed: node.failing.retry.is_some(),
    }
}

/// Number of a stage in messages. No plan has as many stages as `u32` has numbers.
pub(super) fn stage_number(stage: StageId) -> u32 {
    u32::try_from(stage).unwrap_or(u32::MAX)
}
