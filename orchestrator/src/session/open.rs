//! Opening: requests all workers from the pool at once, makes native nodes here and Python nodes in
//! the workers.

use std::collections::HashMap;
use std::sync::Arc;

use super::drive::Driver;
use super::fallback::{move_notice, moved_before_notice};
use super::journal::{Journal, WARNING, notice};
use super::layout::Layout;
use super::native::NativeStage;
use super::outfit::Outfit;
use super::saved::SavedStates;
use super::shell::Shell;
use super::workers::Workers;
use super::{Host, Session, Work};
use crate::error::Error;
use crate::model::{Manifest, Retry};
use crate::options::{CancelHandle, OpenOptions};
use crate::placement::{CPYTHON_POOL, Engine};
use crate::plan::{Place, Plan, PlannedNode, Stage};
use crate::runtime::settings::times;
use crate::runtime::{Runtime, Settings};
use crate::schedule::{Bounds, Core, Event, StageShape, StateLoss, Target};
use crate::trace::Recording;

impl Session {
    /// Opens a session: makes all nodes of the manifest, in this process and in workers. Nodes that
    /// RustPython cannot load move to CPython, and the session is opened again with a new plan.
    ///
    /// # Errors
    /// When the graph cannot be planned, the pool has no worker, or a node cannot be made.
    pub fn open(
        runtime: &Arc<Runtime>,
        manifest: &Manifest,
        mut options: OpenOptions,
        host: &mut dyn Host,
    ) -> Result<Self, Error> {
        log_earlier(runtime, manifest, host);
        let mut moved = HashMap::new();
        let mut held = Vec::new();
        loop {
            let plan = runtime.plan(manifest, &options, &moved)?;
            let mut session = planned(runtime, manifest, plan, options)?;
            let Err(error) = session.open_all(host) else {
                let nodes = session.plan().nodes();
                let earlier = nodes.filter(|(_, node)| !moved.contains_key(&node.id));
                let notices = earlier.filter_map(|(_, node)| moved_before_notice(node));
                let notices: Vec<_> = held.into_iter().chain(notices).collect();
                session.driver.shell.journal.notice(notices);
                return Ok(session);
            };
            let failed = session.driver.shell.failures.slot;
            let further = failed.map_or_else(Vec::new, |slot| {
                session.driver.shell.layout.moves_after(slot, &error)
            });
            let closed = session.close(host);
            if further.is_empty() {
                if !session.driver.shell.layout.retracts(&error) {
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
            options = session.driver.shell.outfit.into_options();
        }
    }

    fn open_all(&mut self, host: &mut dyn Host) -> Result<(), Error> {
        let driver = &mut self.driver;
        driver.feed(Event::Open);
        // When a node on RustPython has to move, the session is closed and opened again with a new
        // plan. Nodes that are still being made could not clean up then, so they are waited for.
        driver.drive(None, host, |driver| {
            !driver.core.slots().is_opening()
                || driver.shell.failures.first.is_some() && !may_open_again(&driver.shell)
        })?;
        driver.shell.journal.trace(Recording::end_opening);
        driver.shell.failures.first.take().map_or(Ok(()), Err)
    }
}

/// A session whose nodes are not made yet.
fn planned(
    runtime: &Arc<Runtime>,
    manifest: &Manifest,
    plan: Plan,
    options: OpenOptions,
) -> Result<Session, Error> {
    let settings = runtime.settings();
    let config = &settings.config;
    let may_move = runtime.fallback(&options)?;
    let cancel = options.cancel.clone().map_or_else(CancelHandle::new, Ok)?;
    runtime.listeners.add(&cancel.waker);
    let mut journal = Journal::new(manifest.name(), &plan, config.output.forward_output);
    journal.begin_trace(&plan, &options)?;
    let native_stages = plan.stages.iter().map(|stage| native_stage(stage, &options));
    let natives = native_stages.collect::<Result<_, _>>()?;
    let shapes = shapes(&plan, &settings);
    let layout = Layout::new(plan, may_move, Arc::clone(runtime));
    let pools = layout.pools();
    let opens_first: Vec<bool> =
        pools.iter().map(|(_, runs)| *runs == Engine::RustPython).collect();
    let mut workers = Workers::new(pools, cancel.clone());
    let outfit = Outfit::new(Arc::clone(runtime), options);
    let mut core = Core::new(shapes, &opens_first, bounds(&settings));
    let mut saved = SavedStates::default();
    for of in layout.with_standby() {
        saved.stand_by(core.add_standby(of), of);
        workers.add((workers.slot(of).pool, workers.slot(of).interpreter));
    }
    let mut shell = Shell::new(layout, workers, journal, outfit);
    (shell.natives, shell.saved) = (natives, saved);
    let mut driver = Driver::new(core, shell, cancel);
    driver.retune();
    driver.take_breakers();
    Ok(Session { driver, work: Work::Nothing })
}

/// Logs what had no session before, and patterns of pools that mean no node.
fn log_earlier(runtime: &Runtime, manifest: &Manifest, host: &mut dyn Host) {
    runtime.take_records().iter().for_each(|record| host.log(record));
    for pattern in runtime.new_unmatched(manifest) {
        let message = format!("{pattern} of pipeline '{}'", manifest.name());
        host.log(&notice("", WARNING, message));
    }
}

/// Whether nodes of the slot that failed may move to CPython, so that the session can be opened
/// again.
fn may_open_again(shell: &Shell) -> bool {
    let runs = shell.failures.slot.map(|slot| shell.workers.slot(slot).interpreter);
    shell.layout.may_move() && runs == Some(Engine::RustPython)
}

pub(super) fn bounds(settings: &Settings) -> Bounds {
    let calls = &settings.config.calls;
    Bounds { window: calls.window, queue: calls.queue, times: times(settings.pool(CPYTHON_POOL)) }
}

/// Whether the worker of a stage has limits that are measured.
pub(super) fn is_watched(stage: &Stage, settings: &Settings) -> bool {
    let watches = |node: &PlannedNode| {
        settings.pool(node.pool).limits.worker().with(&node.limits).are_watched()
    };
    stage.place != Place::Native && stage.nodes.iter().any(watches)
}

fn shapes(plan: &Plan, settings: &Settings) -> Vec<StageShape> {
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
        flushes: true,
        timeouts: stage.nodes.iter().map(|node| node.timeout).collect(),
        is_watched: is_watched(stage, settings),
        retries: stage.nodes.iter().map(|node| node.failing.retry).collect(),
        repeats: repeats(stage),
        state: match stage.nodes.iter().all(|node| node.failing.is_stateless) {
            true => StateLoss::Stateless,
            false => StateLoss::Lost,
        },
        saves_every: stage.nodes.iter().map(saves_every).min().unwrap_or(1),
        deadline: stage.nodes.iter().find_map(|node| node.failing.deadline),
        breaker: stage.nodes.iter().find_map(|node| node.failing.breaker),
        part: stage.part.clone(),
    };
    plan.stages.iter().enumerate().map(shape).collect()
}

/// When a call of the stage is tried again after the death of its worker: if all its nodes ask for
/// that.
fn repeats(stage: &Stage) -> Option<Retry> {
    let Place::Worker { .. } = stage.place else { return None };
    let asks = |node: &PlannedNode| node.failing.retry.filter(|_| node.failing.outlives_worker);
    let asked: Vec<Retry> = stage.nodes.iter().map(asks).collect::<Option<_>>()?;
    asked.into_iter().min_by_key(|retry| retry.limit)
}

fn saves_every(node: &PlannedNode) -> usize {
    usize::try_from(node.failing.checkpoint_every).unwrap_or(usize::MAX)
}

fn native_stage(stage: &Stage, options: &OpenOptions) -> Result<Option<NativeStage>, Error> {
    let is_native = stage.place == Place::Native;
    is_native.then(|| NativeStage::new(&stage.nodes, options)).transpose()
}
