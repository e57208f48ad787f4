//! Opening: workers are taken from the pool all at once, native nodes are built here, Python nodes
//! there. A slot whose worker died is opened again the same way.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use ipc_protocol::{ToWorker, Value};

use super::close::ClosedSession;
use super::fallback::{
    Fallback, Verdict, interpreter_of, move_notice, moved_before_notice, retract, with_advice,
};
use super::journal::{Journal, WARNING, notice};
use super::native::NativeStage;
use super::outfit::Outfit;
use super::spin::Spin;
use super::workers::Workers;
use super::{CancelHandle, Host, Session, Work};
use crate::error::Error;
use crate::model::Manifest;
use crate::options::OpenOptions;
use crate::placement::Engine;
use crate::plan::{Place, Plan, Stage};
use crate::runtime::Runtime;
use crate::schedule::{Bounds, Core, Event, SlotId, StageId, StageShape, Target};
use crate::worker::supervisor::Returned;

impl Session {
    /// Opens a session: makes all nodes of the manifest, in this process and in workers. Nodes that
    /// RustPython cannot load move to CPython, and the session is opened again with a new plan.
    ///
    /// # Errors
    /// When the graph cannot be laid out, a worker not be had, or a node not be made.
    pub fn open(
        runtime: &Arc<Runtime>,
        manifest: &Manifest,
        mut options: OpenOptions,
        host: &mut dyn Host,
    ) -> Result<Self, Error> {
        let mut moved = HashMap::new();
        let mut held = Vec::new();
        loop {
            let plan = runtime.plan(manifest, &options, &moved)?;
            let mut session = Self::new(runtime, manifest, plan, options)?;
            let Err(error) = session.open_all(host) else {
                let earlier = session.plan.nodes().filter(|(_, n)| !moved.contains_key(&n.id));
                let notices = earlier.filter_map(|(_, node)| moved_before_notice(node));
                let notices: Vec<_> = held.into_iter().chain(notices).collect();
                session.journal.notice(notices);
                return Ok(session);
            };
            let further = session.moves_after(&error);
            let closed = session.close(host);
            if further.is_empty() {
                if !session.retracts(&error) {
                    held.iter().for_each(|record| host.log(record));
                }
                return Err(error);
            }
            for failure in closed.failures {
                let message = format!("while nodes were moved to CPython: {failure}");
                host.log(&notice("", WARNING, message));
            }
            for (node_id, reason) in further {
                let record = move_notice(&node_id, &reason, false);
                match reason.is_doubtful() {
                    true => held.push(record),
                    false => host.log(&record),
                }
                moved.insert(node_id, reason);
            }
            options = session.outfit.into_options();
        }
    }

    fn new(
        runtime: &Arc<Runtime>,
        manifest: &Manifest,
        plan: Plan,
        options: OpenOptions,
    ) -> Result<Self, Error> {
        let config = runtime.config();
        let is_enabled = runtime.fallback(&options)?;
        let cancel = match &options.cancel {
            Some(handle) => handle.clone(),
            None => CancelHandle::new()?,
        };
        let interpreters: Vec<Engine> =
            (0..plan.worker_slots).map(|slot| interpreter_in(&plan, slot)).collect();
        let opens_first: Vec<bool> =
            interpreters.iter().map(|runs| *runs == Engine::RustPython).collect();
        Ok(Self {
            core: Core::new(shapes(&plan), &opens_first, bounds(config)),
            workers: Workers::new(interpreters, cancel.clone()),
            fallback: Fallback::new(&plan, is_enabled, config.fallback.failures),
            journal: Journal::new(manifest.name(), &plan, config.output.forward_output),
            natives: plan.stages.iter().map(native_stage).collect::<Result<_, _>>()?,
            holders: plan.stages.iter().map(holder).collect(),
            outfit: Outfit::new(Arc::clone(runtime), options),
            plan,
            cancel,
            work: Work::Nothing,
            outputs: VecDeque::new(),
            failure: None,
            failed_slot: None,
            closed: ClosedSession::default(),
            next_call: 1,
            spin: Spin::new(config.calls.spin),
            looked_up: Instant::now(),
            is_open: true,
            runtime: Arc::clone(runtime),
        })
    }

    fn open_all(&mut self, host: &mut dyn Host) -> Result<(), Error> {
        self.feed(Event::Open);
        // If a node of RustPython has to move, all are opened again, after those that stand were
        // cleaned up. So the others on RustPython are waited for even when one has failed.
        self.drive(None, host, |session| {
            !session.core.is_opening() || session.failure.is_some() && !session.may_move()
        })?;
        self.failure.take().map_or(Ok(()), Err)
    }

    fn may_move(&self) -> bool {
        let is_rustpython = |slot| self.workers.slot(slot).interpreter == Engine::RustPython;
        self.fallback.is_enabled && self.failed_slot.is_some_and(is_rustpython)
    }

    /// The nodes that must run on CPython before the session can open, with the reasons.
    fn moves_after(&self, error: &Error) -> Vec<(String, crate::fallback::Reason)> {
        let Some(slot) = self.failed_slot else { return Vec::new() };
        let stages = self.stages_of(slot);
        self.fallback.on_open_failure(&stages, error, &self.plan, &mut self.runtime.findings())
    }

    fn retracts(&self, error: &Error) -> bool {
        let Error::Node(failure) = error else { return false };
        let verdict = retract(failure, &self.plan, &mut self.runtime.findings());
        matches!(verdict, Verdict::Stay { .. })
    }

    /// Notes that a slot cannot be opened.
    pub(super) fn fail_to_open(&mut self, slot: SlotId, error: Error) {
        let runs = self.workers.slot(slot).interpreter;
        let is_stuck = runs == Engine::RustPython && !self.fallback.is_enabled;
        if self.is_open && self.failure.is_none() {
            self.failed_slot = Some(slot);
            self.fail(if is_stuck { with_advice(error) } else { error });
        }
    }

    pub(super) fn unavailable(&self) -> Error {
        let workers = &self.runtime.config().workers;
        Error::Busy { waited: workers.acquire_timeout, max: workers.pool.max_workers() }
    }

    /// Asks the pool for workers for these slots.
    pub(super) fn acquire(&mut self, slots: Vec<SlotId>) -> Vec<Event<Value>> {
        let is_apart = slots.iter().any(|slot| self.workers.slot(*slot).wants_apart);
        let kinds: Vec<(SlotId, Engine)> =
            slots.iter().map(|slot| (*slot, self.workers.slot(*slot).interpreter)).collect();
        let asked = self.runtime.pool().and_then(|pool| {
            let (needs, slots) = self.outfit.wanted(&kinds, is_apart)?;
            self.workers.request(pool, needs, slots);
            Ok(())
        });
        let Err(error) = asked else { return Vec::new() };
        self.fail_to_open(slots[0], error);
        slots.into_iter().map(Event::Refused).collect()
    }

    /// Has the worker in a slot make the slot's nodes.
    pub(super) fn open_slot(&mut self, slot: SlotId) -> Vec<Event<Value>> {
        let Some(worker) = &self.workers.slot(slot).worker else { return Vec::new() };
        if !self.outfit.suits(worker) {
            self.workers.give_back(slot, Returned::UsedUp);
            return vec![Event::Unsuited(slot)];
        }
        let stages = self.stages_of(slot);
        let runs = self.workers.slot(slot).interpreter;
        let pid = worker.process.pid;
        let message = match self.outfit.open_message(&self.plan, &stages, runs, worker) {
            Ok(message) => message,
            Err(error) => {
                self.fail_to_open(slot, error);
                self.workers.give_back(slot, Returned::Reusable);
                return vec![Event::OpenFailed(slot)];
            }
        };
        let seats = stages
            .iter()
            .flat_map(|stage| (0..self.plan.stages[*stage].nodes.len()).map(|node| (*stage, node)));
        self.workers.slot_mut(slot).seats = seats.collect();
        for (stage, node) in &self.workers.slot(slot).seats {
            let number = self.journal.number(*stage, *node);
            self.journal.metrics.set_worker(number, pid);
        }
        match self.workers.send(slot, ToWorker::Open(message), None) {
            Ok(_) => Vec::new(),
            Err(error) => {
                let source = std::io::Error::other(error.to_string());
                self.fail_to_open(
                    slot,
                    Error::Os { action: "sending the nodes to a worker", source },
                );
                self.workers.give_back(slot, Returned::Broken);
                vec![Event::OpenFailed(slot)]
            }
        }
    }

    fn stages_of(&self, slot: SlotId) -> Vec<StageId> {
        let places = self.plan.stages.iter().enumerate();
        places.filter(|(_, s)| s.place == Place::Worker { slot }).map(|(id, _)| id).collect()
    }

    pub(super) fn bounds(&self) -> Bounds {
        bounds(self.runtime.config())
    }
}

fn bounds(config: &crate::Config) -> Bounds {
    Bounds {
        window: config.calls.window,
        queue: config.calls.queue,
        acquire_timeout: config.workers.acquire_timeout,
        open_timeout: config.workers.open_timeout,
        close_timeout: config.workers.close_timeout,
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
        timeouts: stage.nodes.iter().map(|node| node.timeout).collect(),
    };
    plan.stages.iter().enumerate().map(shape).collect()
}

/// The node that holds a stage's inputs.
fn holder(stage: &Stage) -> Arc<str> {
    Arc::from(stage.nodes.first().map_or("", |node| node.id.as_str()))
}

fn interpreter_in(plan: &Plan, slot: SlotId) -> Engine {
    let here = plan.stages.iter().find(|stage| stage.place == Place::Worker { slot });
    here.map_or(Engine::CPython, interpreter_of)
}

fn native_stage(stage: &Stage) -> Result<Option<NativeStage>, Error> {
    let is_native = stage.place == Place::Native;
    is_native.then(|| NativeStage::new(&stage.nodes)).transpose()
}
