//! One configured orchestrator: its settings and its pool of workers. Sessions are opened on it.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipc_protocol::from_worker::LogRecord;

use crate::choice::{self, Choice, Setting};
use crate::config::{Config, ConfigError, Origin, PoolBounds, env, policies, processors};
use crate::error::{Error, StartError};
use crate::explain::Explanation;
use crate::fallback::{Finding, Findings};
use crate::graph::Graph;
use crate::manifest::ManifestError;
use crate::model::{Manifest, ManifestNode, RuntimeHint};
use crate::options::OpenOptions;
use crate::placement::Engine;
use crate::plan::{Plan, PlanOptions};
use crate::reason::Reason;
use crate::runtime::caller::Caller;
use crate::worker::pool::PoolLimits;
use crate::worker::supervisor::{Pool, SupervisorOptions, WorkerMemory, WorkerPicture};

pub(crate) mod caller;
mod code;

/// Largest number of log records that are kept for the next session.
const KEPT_RECORDS_MAX: usize = 1000;

/// A configured orchestrator. It starts workers when sessions need them, the first one when
/// [`Runtime::warm`] is called, and ends them when it is dropped.
#[derive(Debug)]
pub struct Runtime {
    config: Config,
    pool: Mutex<Option<OwnedPool>>,
    /// What its sessions have found out about node code on RustPython.
    findings: Mutex<Findings>,
    /// Log records of sessions that were closed after their callers had left.
    kept_records: Mutex<VecDeque<LogRecord>>,
    /// Number of sessions that are waiting for a worker's answer.
    waiting: AtomicUsize,
    processors: usize,
}

/// A pool and the process that its workers are children of.
#[derive(Debug)]
struct OwnedPool {
    pool: Arc<Pool>,
    owner: u32,
}

impl OwnedPool {
    /// Whether this process is a forked child. The workers are the parent's then: the child neither
    /// uses nor ends them.
    fn is_inherited(&self) -> bool {
        self.owner != std::process::id()
    }
}

impl Runtime {
    /// A runtime with these settings.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            pool: Mutex::new(None),
            findings: Mutex::default(),
            kept_records: Mutex::default(),
            waiting: AtomicUsize::new(0),
            processors: processors(),
        }
    }

    /// The settings of the runtime.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Keeps a log record that has no caller for the next session. The oldest one is dropped when
    /// there are too many.
    pub(crate) fn keep_record(&self, record: LogRecord) {
        let mut kept = self.kept_records.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_RECORDS_MAX {
            kept.pop_front();
        }
        kept.push_back(record);
    }

    /// The records that were kept, oldest first. They are returned once.
    pub(crate) fn take_records(&self) -> VecDeque<LogRecord> {
        std::mem::take(&mut *self.kept_records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers a waiting session. Returns how long it may busy-wait: `awake`, or zero when at least
    /// as many sessions wait as there are processors.
    pub(crate) fn begin_wait(&self, awake: Duration) -> Duration {
        let others = self.waiting.fetch_add(1, Ordering::Relaxed);
        if others + 1 < self.processors { awake } else { Duration::ZERO }
    }

    /// Removes a waiting session.
    pub(crate) fn end_wait(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Plans a manifest with the runtime's settings and findings. `moved` holds the ids of nodes
    /// that must run on CPython whatever the findings say, with the reasons.
    ///
    /// # Errors
    /// When the graph cannot be planned, or an unknown interpreter is requested.
    pub fn plan(
        &self,
        manifest: &Manifest,
        options: &OpenOptions,
        moved: &HashMap<String, Reason>,
    ) -> Result<Plan, Error> {
        let decided;
        let manifest = match self.config.nodes.as_slice() {
            [] => manifest,
            policies => {
                decided = policies::decided(policies, manifest);
                &decided
            }
        };
        let graph = Graph::new(manifest).map_err(ManifestError::from)?;
        let mut plan_options = PlanOptions {
            max_workers: self.config.workers.pool.max_workers(),
            max_rustpython: self.config.rustpython.pool.max_workers(),
            python: self.choice(options)?,
            fallback: self.fallback(options)?,
            findings: HashMap::new(),
            default_timeout: self.config.calls.timeout,
            failing: self.config.calls.failing.clone(),
            is_run: options.is_run,
        };
        let hinted = |node: &ManifestNode| node.runtime_hint == RuntimeHint::RustPython;
        if plan_options.python.runtime != Engine::RustPython && !manifest.nodes.iter().any(hinted) {
            return Ok(Plan::new(&graph, &plan_options)?);
        }
        // A first plan, without moves, finds the nodes that would run on RustPython.
        let fallback = std::mem::take(&mut plan_options.fallback);
        let untried = Plan::new(&graph, &plan_options)?;
        let mut digests = HashMap::new();
        for (_, node) in untried.nodes().filter(|(_, n)| n.runtime == Engine::RustPython) {
            let digest = code::digest(&node.source, options);
            let finding = match (moved.get(&node.id), &digest) {
                (Some(reason), _) => Finding::Unsupported(reason.clone()),
                (None, Some(digest)) => self.findings().get(digest),
                (None, None) => Finding::Untried,
            };
            plan_options.findings.insert(node.id.clone(), finding);
            digests.insert(node.id.clone(), digest);
        }
        plan_options.fallback = fallback;
        let mut plan = Plan::new(&graph, &plan_options)?;
        for node in plan.stages.iter_mut().flat_map(|stage| &mut stage.nodes) {
            node.code_digest = digests.remove(&node.id).flatten();
        }
        Ok(plan)
    }

    /// What the sessions of this runtime have found out about node code on RustPython.
    pub(crate) fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The interpreter of Python nodes whose hint names none.
    fn choice(&self, options: &OpenOptions) -> Result<Choice, Error> {
        let argument = options.runtime.as_deref().map(choice::parse_runtime).transpose();
        let argument = argument
            .map_err(|word| ConfigError::unknown_word(Origin::Arguments, "runtime", word))?;
        let environment = env::python_runtime()?;
        let configuration = self.config.python.runtime.map(Some);
        Ok(Setting { argument, environment, configuration }.choice())
    }

    /// Whether nodes that RustPython cannot run move to CPython.
    pub(crate) fn fallback(&self, options: &OpenOptions) -> Result<bool, Error> {
        let setting = Setting {
            argument: options.fallback,
            environment: env::fallback()?,
            configuration: Some(self.config.fallback.enabled),
        };
        Ok(setting.effective().is_none_or(|(enabled, _)| enabled))
    }

    /// Explains where each node of a manifest would run now, and why.
    ///
    /// # Errors
    /// As [`Runtime::plan`].
    pub fn explain(
        &self,
        manifest: &Manifest,
        options: &OpenOptions,
    ) -> Result<Explanation, Error> {
        let plan = self.plan(manifest, options, &HashMap::new())?;
        let program = |engine| self.interpreter(engine, options).ok();
        Ok(Explanation::of(manifest.name(), &plan, program))
    }

    /// The workers that run now.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerPicture> {
        let pool = self.lock();
        let own = pool.as_ref().filter(|owned| !owned.is_inherited());
        own.map_or_else(Vec::new, |owned| owned.pool.picture())
    }

    /// The shared memory of the workers that run now.
    #[must_use]
    pub fn shared_memory(&self) -> Vec<WorkerMemory> {
        let pool = self.lock();
        let own = pool.as_ref().filter(|owned| !owned.is_inherited());
        own.map_or_else(Vec::new, |owned| owned.pool.shared_memory())
    }

    /// Whether the pools of workers have been started.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.lock().is_some()
    }

    /// Starts one worker for a session with these options, if the pools have not been started yet.
    /// Does not wait for it; an error is left to the first session that needs a worker.
    pub fn warm(&self, options: &OpenOptions) {
        if self.is_started() {
            return;
        }
        let Ok(choice) = self.choice(options) else { return };
        let caller = Caller::new(self, options);
        let Ok(wanted) = self.wanted(choice.runtime, options, &caller, 1) else { return };
        if let Ok(pool) = self.pool() {
            pool.warm(&wanted);
        }
    }

    /// The pool, started when it is first needed.
    pub(crate) fn pool(&self) -> Result<Arc<Pool>, Error> {
        let mut pool = self.lock();
        match &*pool {
            Some(owned) if !owned.is_inherited() => return Ok(Arc::clone(&owned.pool)),
            Some(_) => std::mem::forget(pool.take()),
            None => {}
        }
        let (workers, rustpython) = (&self.config.workers, &self.config.rustpython);
        let options = SupervisorOptions {
            pools: [limits(&workers.pool, workers.zygote), limits(&rustpython.pool, false)],
            start_timeout: workers.start_timeout,
            stop_grace: workers.stop_grace,
            limits: self.config.limits.to_protocol(),
            spin: self.config.calls.spin,
            memory: self.config.shared_memory.terms(),
            preload: self.config.python.preload.clone(),
        };
        let started = Arc::new(Pool::start(options)?);
        *pool = Some(OwnedPool { pool: Arc::clone(&started), owner: std::process::id() });
        Ok(started)
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedPool>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Path of the interpreter for an engine's workers.
    fn interpreter(&self, engine: Engine, options: &OpenOptions) -> Result<PathBuf, StartError> {
        let callers = options.interpreter.as_deref();
        if engine == Engine::RustPython {
            if let Some(named) = &self.config.rustpython.executable {
                return Ok(named.clone());
            }
            return env::find_rustpython(callers)
                .map_err(|tried| StartError::NoRustPython { tried });
        }
        let named = self.config.python.executable.clone();
        named
            .or_else(|| callers.map(std::path::Path::to_owned))
            .or_else(env::find_python)
            .ok_or(StartError::NoInterpreter)
    }

    /// Ends all workers; sessions that are still open fail. The runtime may be used again. Idle workers
    /// end by themselves: their processes may still be there when this returns.
    pub fn shutdown(&self) {
        if let Some(pool) = self.take_pool() {
            pool.close();
        }
    }

    /// Shuts runtimes down right before this process exits.
    pub fn shut_down_for_exit(runtimes: &[Arc<Self>]) {
        let pools: Vec<_> = runtimes.iter().filter_map(|runtime| runtime.take_pool()).collect();
        Pool::close_for_exit(&pools);
    }

    fn take_pool(&self) -> Option<Arc<Pool>> {
        let owned = self.lock().take()?;
        if owned.is_inherited() {
            std::mem::forget(owned);
            return None;
        }
        Some(owned.pool)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shutdown();
    }
}

fn limits(bounds: &PoolBounds, zygotes: bool) -> PoolLimits {
    PoolLimits {
        min: bounds.min,
        max: bounds.max_workers(),
        idle_timeout: bounds.idle_timeout,
        max_sessions: bounds.max_sessions,
        zygotes,
    }
}
