//! Runtimes as Python sees them, and the one that a process has by default.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use orchestrator::manifest::Author;
use orchestrator::runtime::OpenOptions;
use orchestrator::{Config, Manifest};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::host::PyHost;
use super::session::{CancelToken, Session};
use crate::convert::{Converter, Memory, Pickling};
use crate::error::to_pyerr;

/// Every runtime of this process, so that none outlives the interpreter.
static RUNTIMES: Mutex<Vec<Weak<orchestrator::Runtime>>> = Mutex::new(Vec::new());
/// The runtime that is used where none is named.
static DEFAULT: Mutex<Option<Arc<orchestrator::Runtime>>> = Mutex::new(None);

/// A configured orchestrator with its pool of workers.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct Runtime(Arc<orchestrator::Runtime>);

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (config=None))]
    fn new(py: Python<'_>, config: Option<&str>) -> PyResult<Self> {
        let config = match config {
            Some(text) => Config::from_toml(text),
            None => Config::load(None),
        };
        let config = config.map_err(|error| to_pyerr(py, error.into()))?;
        Ok(Self(register(config)))
    }

    #[pyo3(signature = (manifest_json, *, instances=None, dumps=None, python, sys_path, working_directory, cancel=None, copy=false))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python method")]
    fn open(
        &self,
        py: Python<'_>,
        manifest_json: &str,
        instances: Option<Vec<u8>>,
        dumps: Option<Py<PyAny>>,
        python: PathBuf,
        sys_path: Vec<String>,
        working_directory: Option<String>,
        cancel: Option<Bound<'_, CancelToken>>,
        copy: bool,
    ) -> PyResult<Session> {
        let manifest = Manifest::parse_from(manifest_json, Author::Sdk)
            .map_err(|error| to_pyerr(py, error.into()))?;
        let options = OpenOptions {
            instances: instances.map(Bytes::from),
            interpreter: Some(python),
            environment: orchestrator::config::env::inherited(),
            sys_path,
            working_directory,
            cancel: cancel.map(|token| token.get().0.clone()),
        };
        let pickling = match (self.0.config().python.allow_pickle, dumps) {
            (false, _) => Pickling::Forbidden,
            (true, Some(dumps)) => Pickling::With(dumps),
            (true, None) => Pickling::Default,
        };
        let memory = if copy { Memory::Copy } else { Memory::Borrow };
        let converter = Converter::new("input", memory, pickling);
        open(py, &self.0, &manifest, options, converter)
    }

    fn workers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for worker in py.detach(|| self.0.workers()) {
            let entry = PyDict::new(py);
            entry.set_item("pid", worker.pid)?;
            entry.set_item("state", format!("{:?}", worker.state).to_lowercase())?;
            entry.set_item("sessions", worker.sessions)?;
            list.append(entry)?;
        }
        Ok(list)
    }

    fn shutdown(&self, py: Python<'_>) {
        py.detach(|| self.0.shutdown());
    }
}

/// Opens a session; the interpreter runs on while it waits.
pub(super) fn open(
    py: Python<'_>,
    runtime: &Arc<orchestrator::Runtime>,
    manifest: &Manifest,
    options: OpenOptions,
    converter: Converter,
) -> PyResult<Session> {
    let mut host = PyHost::new(py)?;
    let opened = py.detach(|| runtime.open(manifest, options, &mut host));
    match opened {
        Ok(session) => Ok(Session::new(session, converter)),
        Err(error) => Err(host.raised.unwrap_or_else(|| to_pyerr(py, error))),
    }
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

/// The process's own runtime, made at first use.
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
    py.detach(|| all.iter().for_each(|runtime| runtime.shutdown()));
}

/// Has the interpreter end all workers before it ends itself.
pub(super) fn shut_down_at_exit(py: Python<'_>) -> PyResult<()> {
    let module = PyModule::new(py, "remotemedia._native")?;
    let function = wrap_pyfunction!(shut_down_all, &module)?;
    py.import("atexit")?.call_method1("register", (function,))?;
    Ok(())
}
