//! The Python class `Runtime`, and the default runtime of a process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use orchestrator::manifest::Author;
use orchestrator::options::{NodeObjects, OpenOptions};
use orchestrator::worker::supervisor::WorkerMemory;
use orchestrator::{Config, Manifest};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::caller::Caller;
use super::host::PyHost;
use super::objects::PyObjects;
use super::session::{Breakers, CancelToken, Session};
use crate::convert::{Converter, Lending, Pickling};
use crate::error::{from_opening, to_pyerr};
use crate::numpy_memory::has_forked;

/// Every runtime of this process, to shut them down before the interpreter ends.
static RUNTIMES: Mutex<Vec<Weak<orchestrator::Runtime>>> = Mutex::new(Vec::new());
/// The runtime that is used when the caller names none.
static DEFAULT: Mutex<Option<Arc<orchestrator::Runtime>>> = Mutex::new(None);

/// A configured orchestrator with its pool of workers.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct Runtime(Arc<orchestrator::Runtime>);

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (config=None, path=None))]
    fn new(py: Python<'_>, config: Option<&str>, path: Option<PathBuf>) -> PyResult<Self> {
        let config = match config {
            Some(text) => Config::from_toml(text),
            None => Config::load(path.as_deref()),
        };
        let config = config.map_err(|error| to_pyerr(py, error.into()))?;
        Ok(Self(register(config)))
    }

    #[pyo3(signature = (manifest_json, *, objects=None, runtime=None, fallback=None, caller, is_run=false, wait=true, breakers=None, cancel=None, copy=false))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python method")]
    fn open(
        &self,
        py: Python<'_>,
        manifest_json: &str,
        objects: Option<Bound<'_, PyAny>>,
        runtime: Option<String>,
        fallback: Option<bool>,
        caller: Caller,
        is_run: bool,
        wait: bool,
        breakers: Option<Bound<'_, Breakers>>,
        cancel: Option<Bound<'_, CancelToken>>,
        copy: bool,
    ) -> PyResult<Session> {
        let manifest = sdk_manifest(py, manifest_json)?;
        let dumps = objects.as_ref().map(|shipper| shipper.getattr("dumps")).transpose()?;
        let objects = objects.as_ref().map(PyObjects::new).transpose()?;
        let options = OpenOptions {
            nodes: objects.clone().map(|objects| Arc::new(objects) as Arc<dyn NodeObjects>),
            runtime,
            fallback,
            is_run,
            is_impatient: !wait,
            breakers: breakers.map(|breakers| breakers.get().0.clone()),
            cancel: cancel.map(|token| token.get().0.clone()),
            ..caller.into_options()
        };
        let pickling = match (self.0.config().python.allow_pickle, dumps) {
            (false, _) => Pickling::Forbidden,
            (true, Some(dumps)) => Pickling::With(dumps.unbind()),
            (true, None) => Pickling::Default,
        };
        let memory = if copy { Lending::Copy } else { Lending::Borrow };
        let converter = Converter::new("input", memory, pickling);
        open(py, &self.0, &manifest, options, converter, objects.as_ref())
    }

    /// Explains where each node would run, and why: as JSON and as text.
    #[pyo3(signature = (manifest_json, *, objects=None, runtime=None, fallback=None, caller))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python method")]
    fn explain(
        &self,
        py: Python<'_>,
        manifest_json: &str,
        objects: Option<Bound<'_, PyAny>>,
        runtime: Option<String>,
        fallback: Option<bool>,
        caller: Caller,
    ) -> PyResult<(String, String)> {
        let manifest = sdk_manifest(py, manifest_json)?;
        let objects = objects.as_ref().map(PyObjects::new).transpose()?;
        let options = OpenOptions {
            nodes: objects.map(|objects| Arc::new(objects) as Arc<dyn NodeObjects>),
            runtime,
            fallback,
            ..caller.into_options()
        };
        let told = py.detach(|| self.0.explain(&manifest, &options));
        let told = told.map_err(|error| to_pyerr(py, error))?;
        Ok((told.to_json().to_string(), told.to_string()))
    }

    fn workers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for worker in py.detach(|| self.0.workers()) {
            let entry = PyDict::new(py);
            entry.set_item("pid", worker.pid)?;
            entry.set_item("runtime", worker.runtime.name())?;
            entry.set_item("state", format!("{:?}", worker.state).to_lowercase())?;
            entry.set_item("sessions", worker.sessions)?;
            list.append(entry)?;
        }
        Ok(list)
    }

    fn shared_memory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for worker in py.detach(|| self.0.shared_memory()) {
            list.append(worker_memory(py, &worker)?)?;
        }
        Ok(list)
    }

    /// Whether the runtime has started a worker.
    fn is_started(&self) -> bool {
        self.0.is_started()
    }

    /// Starts the first worker, unless this process was forked.
    #[pyo3(signature = (*, runtime=None, caller))]
    fn warm(&self, py: Python<'_>, runtime: Option<String>, caller: Caller) {
        if !has_forked() {
            let options = OpenOptions { runtime, ..caller.into_options() };
            py.detach(|| self.0.warm(&options));
        }
    }

    fn shutdown(&self, py: Python<'_>) {
        py.detach(|| self.0.shutdown());
    }
}

/// The shared memory of one worker, with the keys of `remotemedia.shared_memory_stats`.
fn worker_memory<'py>(py: Python<'py>, worker: &WorkerMemory) -> PyResult<Bound<'py, PyDict>> {
    let (pid, exchange) = (worker.pid, &worker.exchange);
    let made = exchange.stats();
    let entry = PyDict::new(py);
    entry.set_item("pid", pid)?;
    entry.set_item("made_bytes", made.mapped_bytes)?;
    entry.set_item("used_bytes", made.used_bytes)?;
    entry.set_item("idle_bytes", made.idle_bytes)?;
    entry.set_item("mapped_bytes", exchange.mapped_bytes())?;
    let lent = PyList::empty(py);
    for loan in exchange.loans() {
        let pin = PyDict::new(py);
        pin.set_item("node_id", loan.holder.as_deref())?;
        pin.set_item("bytes", loan.bytes)?;
        pin.set_item("seconds", loan.age.as_secs_f64())?;
        lent.append(pin)?;
    }
    entry.set_item("pinned_by_worker", lent)?;
    let kept = PyList::empty(py);
    for (bytes, age) in exchange.releases().alive() {
        let pin = PyDict::new(py);
        pin.set_item("bytes", bytes)?;
        pin.set_item("seconds", age.as_secs_f64())?;
        kept.append(pin)?;
    }
    entry.set_item("pinned_by_caller", kept)?;
    Ok(entry)
}

/// Every runtime of this process that is alive.
#[pyfunction]
pub(super) fn all_runtimes() -> Vec<Runtime> {
    lock(&RUNTIMES).iter().filter_map(Weak::upgrade).map(Runtime).collect()
}

/// Opens a session; the GIL is released while it waits.
#[expect(clippy::too_many_arguments, reason = "all the parts that a session is made of")]
pub(super) fn open(
    py: Python<'_>,
    runtime: &Arc<orchestrator::Runtime>,
    manifest: &Manifest,
    options: OpenOptions,
    converter: Converter,
    objects: Option<&PyObjects>,
) -> PyResult<Session> {
    let terms = runtime.config().shared_memory.terms();
    let converter = converter.with_inline_max(terms.map(|terms| terms.inline_max_bytes));
    let mut host = PyHost::new(py)?;
    let opened = py.detach(|| orchestrator::Session::open(runtime, manifest, options, &mut host));
    match opened {
        Ok(session) => Ok(Session::new(session, converter)),
        Err(error) => Err(host.raised.unwrap_or_else(|| {
            let raised = objects.and_then(PyObjects::take_raised);
            from_opening(py, error, raised)
        })),
    }
}

/// Parses a manifest of the SDK, which may refer to node objects.
fn sdk_manifest(py: Python<'_>, manifest_json: &str) -> PyResult<Manifest> {
    Manifest::parse_from(manifest_json, Author::Sdk).map_err(|error| to_pyerr(py, error.into()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn register(config: Config) -> Arc<orchestrator::Runtime> {
    let runtime = Arc::new(orchestrator::Runtime::new(config));
    let mut all = lock(&RUNTIMES);
    all.retain(|known| known.strong_count() > 0);
    all.push(Arc::downgrade(&runtime));
    runtime
}

/// The default runtime of the process, made at first use.
pub(super) fn default(py: Python<'_>) -> PyResult<Arc<orchestrator::Runtime>> {
    let mut default = lock(&DEFAULT);
    if let Some(runtime) = &*default {
        return Ok(Arc::clone(runtime));
    }
    let config = Config::load(None).map_err(|error| to_pyerr(py, error.into()))?;
    let runtime = register(config);
    *default = Some(Arc::clone(&runtime));
    Ok(runtime)
}

#[pyfunction]
pub(super) fn default_runtime(py: Python<'_>) -> PyResult<Runtime> {
    default(py).map(Runtime)
}

#[pyfunction]
fn shut_down_all(py: Python<'_>) {
    let all: Vec<_> = lock(&RUNTIMES).iter().filter_map(Weak::upgrade).collect();
    py.detach(|| orchestrator::Runtime::shut_down_for_exit(&all));
}

/// Registers with `atexit` the function that ends all workers before the interpreter ends.
pub(super) fn shut_down_at_exit(py: Python<'_>) -> PyResult<()> {
    let module = PyModule::new(py, "remotemedia._native")?;
    let function = wrap_pyfunction!(shut_down_all, &module)?;
    py.import("atexit")?.call_method1("register", (function,))?;
    Ok(())
}
