//! One configured orchestrator: its settings and its pool of workers. Sessions are opened on it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::config::{Config, env};
use crate::error::{Error, StartError};
use crate::graph::Graph;
use crate::manifest::Manifest;
use crate::plan::{self, Plan, PlanOptions};
use crate::session::{CancelHandle, Host, Session};
use crate::worker::WorkerKey;
use crate::worker::pool::PoolLimits;
use crate::worker::supervisor::{Pool, SupervisorOptions, WorkerMemory, WorkerPicture};

/// A configured orchestrator. It starts nothing before the first session that needs a worker, and
/// ends its workers when it is dropped.
#[derive(Debug)]
pub struct Runtime {
    config: Config,
    pool: Mutex<Option<OwnedPool>>,
    /// Sessions that wait for a worker's answer at this moment.
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
    /// After a fork the workers are the parent's: the child neither uses nor ends them.
    fn is_inherited(&self) -> bool {
        self.owner != std::process::id()
    }
}

/// What a session takes over from its caller.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Pickle of the list of the caller's node objects.
    pub instances: Option<Bytes>,
    /// The caller's interpreter; the configuration may name another.
    pub interpreter: Option<PathBuf>,
    /// The caller's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The caller's module search path.
    pub sys_path: Vec<String>,
    /// The caller's working directory.
    pub working_directory: Option<String>,
    /// Stops the session, also while it is being opened.
    pub cancel: Option<CancelHandle>,
}

impl Runtime {
    /// A runtime with these settings.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { config, pool: Mutex::new(None), waiting: AtomicUsize::new(0), processors }
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A session begins to wait. Gives how much of the time that it would like to stay awake it may:
    /// nothing when there are others enough to keep the processors busy.
    pub(crate) fn begin_wait(&self, awake: Duration) -> Duration {
        let others = self.waiting.fetch_add(1, Ordering::Relaxed);
        if others + 1 < self.processors { awake } else { Duration::ZERO }
    }

    /// A session has ended its wait.
    pub(crate) fn end_wait(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Lays a manifest out with the runtime's settings.
    ///
    /// # Errors
    /// When the graph cannot be laid out, or the environment names an unknown interpreter.
    pub fn plan(&self, manifest: &Manifest) -> Result<Plan, Error> {
        let graph = Graph::new(manifest).map_err(crate::manifest::ManifestError::from)?;
        let options = PlanOptions {
            max_workers: self.config.workers.max_workers(),
            python: env::python_runtime()
                .map_err(crate::config::ConfigError::from)?
                .unwrap_or(plan::Runtime::CPython),
            default_timeout: self.config.calls.timeout,
        };
        Ok(Plan::new(&graph, &options)?)
    }

    /// Opens a session: makes all nodes of the manifest, in this process and in workers.
    ///
    /// # Errors
    /// When the graph cannot be laid out, a worker not be had, or a node not be made.
    pub fn open(
        self: &Arc<Self>,
        manifest: &Manifest,
        options: OpenOptions,
        host: &mut dyn Host,
    ) -> Result<Session, Error> {
        let plan = self.plan(manifest)?;
        Session::open(Arc::clone(self), manifest, plan, options, host)
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

    /// The pool, started when it is first needed.
    pub(crate) fn pool(&self) -> Result<Arc<Pool>, Error> {
        let mut pool = self.lock();
        match &*pool {
            Some(owned) if !owned.is_inherited() => return Ok(Arc::clone(&owned.pool)),
            Some(_) => std::mem::forget(pool.take()),
            None => {}
        }
        let workers = &self.config.workers;
        let options = SupervisorOptions {
            pool: PoolLimits {
                min: workers.min,
                max: workers.max_workers(),
                idle_timeout: workers.idle_timeout,
                max_sessions: workers.max_sessions,
            },
            start_timeout: workers.start_timeout,
            limits: self.config.limits.to_protocol(),
            spin: self.config.calls.spin,
            memory: self.config.shared_memory.terms(),
        };
        let started = Arc::new(Pool::start(options)?);
        *pool = Some(OwnedPool { pool: Arc::clone(&started), owner: std::process::id() });
        Ok(started)
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedPool>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What kind of worker a session with these options needs.
    pub(crate) fn worker_key(&self, options: &OpenOptions) -> Result<WorkerKey, Error> {
        let python = &self.config.python;
        let interpreter = python
            .executable
            .clone()
            .or_else(|| options.interpreter.clone())
            .or_else(env::find_python)
            .ok_or(StartError::NoInterpreter)?;
        let mut environment = options.environment.clone();
        let threads = python.threads.to_string();
        for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            if !environment.iter().any(|(known, _)| known == name) {
                environment.push((name.into(), threads.clone().into()));
            }
        }
        for (name, value) in &python.environment {
            environment.retain(|(known, _)| known != name.as_str());
            environment.push((name.into(), value.into()));
        }
        Ok(WorkerKey {
            interpreter,
            environment,
            sys_path: options.sys_path.clone(),
            working_directory: options.working_directory.clone(),
        })
    }

    /// Ends all workers; sessions that are still open fail. The runtime may be used again.
    pub fn shutdown(&self) {
        let pool = self.lock().take();
        match pool {
            Some(owned) if owned.is_inherited() => std::mem::forget(owned),
            Some(owned) => owned.pool.close(),
            None => {}
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shutdown();
    }
}
