//! One configured orchestrator: its settings and its pool of workers. Sessions are opened on it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ipc_protocol::from_worker::LogRecord;

use crate::choice::{self, Choice, Setting};
use crate::config::changes::{self, Change};
use crate::config::{Config, ConfigError, Origin, PoolConfig, Sources, env, policies, processors};
use crate::error::{Error, StartError};
use crate::explain::Explanation;
use crate::fallback::{Finding, Findings};
use crate::graph::Graph;
use crate::manifest::ManifestError;
use crate::model::{Manifest, ManifestNode, RuntimeHint};
use crate::options::OpenOptions;
use crate::placement::{Engine, PoolId};
use crate::plan::{Plan, PlanOptions, unmatched};
use crate::reason::Reason;
use crate::runtime::caller::{Caller, wanted};
use crate::worker::supervisor::{Pool, WorkerMemory, WorkerPicture};

pub(crate) mod caller;
mod code;
mod listeners;
mod patterns;
mod pools;
mod reload;
pub(crate) mod settings;

use listeners::Listeners;
pub use reload::told;
pub use settings::Settings;

/// Largest number of log records that are kept for the next session.
const KEPT_RECORDS_MAX: usize = 1000;

/// A configured orchestrator. It starts workers when sessions need them, the first one when
/// [`Runtime::warm`] is called, and ends them when it is dropped.
#[derive(Debug)]
pub struct Runtime {
    settings: RwLock<Arc<Settings>>,
    /// [`Settings::generation`] of those.
    generation: AtomicU64,
    /// The patterns of pools that were looked at, with their pools.
    known_patterns: Mutex<HashSet<(String, String)>>,
    /// Where its settings come from.
    sources: Mutex<Sources>,
    watcher: Mutex<Option<Box<reload::Watcher>>>,
    pub(crate) listeners: Listeners,
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
            settings: RwLock::new(Arc::new(Settings::new(config))),
            generation: AtomicU64::new(0),
            known_patterns: Mutex::default(),
            sources: Mutex::default(),
            watcher: Mutex::new(None),
            listeners: Listeners::default(),
            pool: Mutex::new(None),
            findings: Mutex::default(),
            kept_records: Mutex::default(),
            waiting: AtomicUsize::new(0),
            processors: processors(),
        }
    }

    /// The settings that are in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Number of the settings in force; it grows with each change.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Other settings count from now on. Open sessions take over time limits and limits of workers at
    /// once, pools their sizes; the other changes count when their keys say. Returns the keys that have
    /// changed. No item is lost.
    pub fn reconfigure(&self, config: Config) -> Vec<Change> {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let changes = changes::between(&settings.config, &config);
        if changes.is_empty() {
            return changes;
        }
        *settings = Arc::new(settings.followed_by(config));
        let options = settings.for_supervisor();
        self.generation.store(settings.generation, Ordering::Release);
        drop(settings);
        if let Some(owned) = self.lock().as_ref().filter(|owned| !owned.is_inherited()) {
            owned.pool.reconfigure(options);
        }
        self.listeners.wake();
        changes
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
        let settings = self.settings();
        let decided;
        let config = &settings.config;
        let manifest = match config.nodes.as_slice() {
            [] => manifest,
            policies => {
                decided = policies::decided(policies, manifest);
                &decided
            }
        };
        let graph = Graph::new(manifest).map_err(ManifestError::from)?;
        let mut plan_options = PlanOptions {
            pools: settings.plan_pools(),
            pipeline_pool: manifest.pool.clone(),
            python: self.choice(options)?,
            fallback: self.fallback(options)?,
            findings: HashMap::new(),
            default_timeout: config.calls.timeout,
            failing: config.calls.failing(),
            is_run: options.is_run,
        };
        let hinted = |node: &ManifestNode| node.runtime_hint == RuntimeHint::RustPython;
        let is_rustpython = plan_options.python.runtime == Engine::RustPython
            || manifest.nodes.iter().any(hinted)
            || plan_options.pools.iter().skip(2).any(|pool| pool.engine == Engine::RustPython);
        if !is_rustpython {
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
            node.code_digest = digests.get(&node.id).cloned().flatten();
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
        let configuration = self.settings().config.python.runtime.map(Some);
        Ok(Setting { argument, environment, configuration }.choice())
    }

    /// Whether nodes that RustPython cannot run move to CPython.
    pub(crate) fn fallback(&self, options: &OpenOptions) -> Result<bool, Error> {
        let setting = Setting {
            argument: options.fallback,
            environment: env::fallback()?,
            configuration: Some(self.settings().config.fallback.enabled),
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
        let settings = self.settings();
        let pool = |id: PoolId| {
            let pool = settings.pool(id);
            (pool.name.clone(), interpreter(pool, options).ok())
        };
        let mut explanation = Explanation::of(manifest.name(), &plan, pool);
        explanation.unmatched = unmatched(&settings.plan_pools(), &manifest.nodes);
        Ok(explanation)
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

    /// Starts one worker for a session with these options, of the pool of that name or of its
    /// interpreter, if the pools have not been started yet. Does not wait for it; an error is left to the
    /// first session that needs a worker.
    pub fn warm(&self, options: &OpenOptions, pool: Option<&str>) {
        if self.is_started() {
            return;
        }
        let Ok(choice) = self.choice(options) else { return };
        let settings = self.settings();
        let named = pool.map(|name| settings.pools.iter().position(|pool| pool.name == name));
        let Some(pool) = named.unwrap_or_else(|| Some(choice.runtime.pool())) else { return };
        let caller = Caller::new(&settings, pool, options);
        let Ok(wanted) = wanted(&settings, pool, options, &caller, 1) else { return };
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
        let started = Arc::new(Pool::start(self.settings().for_supervisor())?);
        *pool = Some(OwnedPool { pool: Arc::clone(&started), owner: std::process::id() });
        Ok(started)
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedPool>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Path of the interpreter of a pool's workers.
fn interpreter(pool: &PoolConfig, options: &OpenOptions) -> Result<PathBuf, StartError> {
    if let Some(named) = pool.interpreter() {
        return Ok(named.to_owned());
    }
    let callers = options.interpreter.as_deref();
    if pool.engine == Engine::RustPython {
        return env::find_rustpython(callers).map_err(|tried| StartError::NoRustPython { tried });
    }
    let callers = callers.map(std::path::Path::to_owned);
    callers.or_else(env::find_python).ok_or(StartError::NoInterpreter)
}
