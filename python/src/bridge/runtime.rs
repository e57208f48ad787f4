//! The Python class `Runtime`, and the default runtime of a process.

use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ipc_protocol::to_worker::CaptureTerms;
use orchestrator::Manifest;
use orchestrator::config::{ConfigWarning, Named, Sources};
use orchestrator::manifest::Author;
use orchestrator::options::{NodeObjects, OpenOptions};
use orchestrator::plan::Place;
use orchestrator::worker::supervisor::{PoolPicture, WorkerMemory};
use pyo3::exceptions::{PyFutureWarning, PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::caller::Caller;
use super::host::PyHost;
use super::objects::PyObjects;
use super::opener::PyOpener;
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

impl Runtime {
    /// The runtime itself, for other owners of sessions.
    pub(super) fn shared(&self) -> Arc<orchestrator::Runtime> {
        Arc::clone(&self.0)
    }
}

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (config=None, path=None, settings=None))]
    fn new(
        py: Python<'_>,
        config: Option<String>,
        path: Option<PathBuf>,
        settings: Option<&str>,
    ) -> PyResult<Self> {
        make(py, &sources(config, path, settings)?).map(Self)
    }

    #[pyo3(signature = (manifest_json, *, objects=None, runtime=None, fallback=None, caller, is_run=false, wait=true, breakers=None, cancel=None, copy=false, profile=false, debug=None, capture=None))]
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
        profile: bool,
        debug: Option<bool>,
        capture: Option<(Vec<u8>, u64)>,
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
            profile,
            debug,
            opener: Some(Arc::new(PyOpener)),
            capture: capture
                .map(|(prefix, max_bytes)| CaptureTerms { prefix: prefix.into(), max_bytes }),
            ..caller.into_options()
        };
        let pickling = match (self.0.settings().config.python.allow_pickle, dumps) {
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

    /// The pools as JSON.
    fn pools(&self, py: Python<'_>) -> PyResult<String> {
        let pools = py.detach(|| self.0.pools()).map_err(|error| to_pyerr(py, error))?;
        let told: Vec<_> = pools.iter().map(PoolPicture::to_json).collect();
        Ok(serde_json::Value::Array(told).to_string())
    }

    fn recycle(&self, py: Python<'_>, pool: &str) -> PyResult<()> {
        py.detach(|| self.0.recycle(pool)).map_err(|error| to_pyerr(py, error))
    }

    fn drain(&self, py: Python<'_>, pool: &str) -> PyResult<()> {
        py.detach(|| self.0.drain(pool)).map_err(|error| to_pyerr(py, error))
    }

    fn resume(&self, py: Python<'_>, pool: &str) -> PyResult<()> {
        py.detach(|| self.0.resume(pool)).map_err(|error| to_pyerr(py, error))
    }

    /// Follows another configuration. Returns the keys that have changed, each with when it counts.
    #[pyo3(signature = (config=None, path=None, settings=None))]
    fn reconfigure(
        &self,
        py: Python<'_>,
        config: Option<String>,
        path: Option<PathBuf>,
        settings: Option<&str>,
    ) -> PyResult<Vec<(String, &'static str)>> {
        let Sources { named, arguments, .. } = sources(config, path, settings)?;
        let changed = py.detach(|| self.0.change(named, arguments));
        let (changes, warnings) = changed.map_err(|error| to_pyerr(py, error.into()))?;
        warn(py, warnings)?;
        Ok(changes.into_iter().map(|change| (change.key, change.effect.name())).collect())
    }

    /// Whether the runtime has started a worker.
    fn is_started(&self) -> bool {
        self.0.is_started()
    }

    /// Starts the first worker, unless this process was forked.
    #[pyo3(signature = (*, runtime=None, pool=None, caller))]
    fn warm(&self, py: Python<'_>, runtime: Option<String>, pool: Option<&str>, caller: Caller) {
        if !has_forked() {
            let options = OpenOptions { runtime, ..caller.into_options() };
            py.detach(|| self.0.warm(&options, pool));
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
    let terms = runtime.settings().config.shared_memory.terms();
    let converter = converter.with_inline_max(terms.map(|terms| terms.inline_max_bytes));
    let mut host = PyHost::new(py)?;
    let opened = py.detach(|| orchestrator::Session::open(runtime, manifest, options, &mut host));
    match opened {
        Ok(session) => {
            let roots = || session.plan().stages.iter().filter(|stage| stage.inputs.is_empty());
            let is_of_python = roots().all(|stage| matches!(stage.place, Place::Worker { .. }));
            let is_native = roots().all(|stage| stage.place == Place::Native);
            let converter = converter.keeping_identity(is_of_python).reading_maps(is_native);
            Ok(Session::new(session, converter))
        }
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

/// The sources of settings that the arguments of `Runtime` name. `settings` is JSON: sections with keys.
fn sources(
    config: Option<String>,
    path: Option<PathBuf>,
    settings: Option<&str>,
) -> PyResult<Sources> {
    let named = config.map(Named::Text).or_else(|| path.map(Named::File));
    let arguments = Sources::arguments_in(settings.unwrap_or("{}"));
    let arguments = arguments.map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(Sources { named, arguments, ..Sources::default() })
}

/// A runtime with the settings of these sources.
fn make(py: Python<'_>, sources: &Sources) -> PyResult<Arc<orchestrator::Runtime>> {
    let loaded = orchestrator::Runtime::load(sources.clone());
    let (runtime, warnings) = loaded.map_err(|error| to_pyerr(py, error.into()))?;
    warn(py, warnings)?;
    let mut all = lock(&RUNTIMES);
    all.retain(|known| known.strong_count() > 0);
    all.push(Arc::downgrade(&runtime));
    Ok(runtime)
}

/// Shows what the author of settings should know, as warnings of Python.
fn warn(py: Python<'_>, warnings: Vec<ConfigWarning>) -> PyResult<()> {
    for warning in warnings {
        let text = CString::new(warning.to_string())?;
        let category = match warning {
            ConfigWarning::Renamed { .. } => py.get_type::<PyFutureWarning>(),
            _ => py.get_type::<PyRuntimeWarning>(),
        };
        PyErr::warn(py, &category, &text, 2)?;
    }
    Ok(())
}

/// The default runtime of the process, made at first use.
pub(super) fn default(py: Python<'_>) -> PyResult<Arc<orchestrator::Runtime>> {
    let mut default = lock(&DEFAULT);
    if let Some(runtime) = &*default {
        return Ok(Arc::clone(runtime));
    }
    let runtime = make(py, &Sources::default())?;
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
