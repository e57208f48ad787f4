//! The Python class `WorkflowRunner`, and looking at a database without one. No thread of the runner
//! holds a Python object; callers wait with the GIL released.

mod failed;
mod shown;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use durable::engine::Graph;
use durable::runner::{NewSchedule, Notice, RunnerOptions, check_limits};
use durable::store::{self, Access, Filter, Store, StoreError};
use durable::url::{Url, masked};
use durable::{Runner, Workflow};
use ipc_protocol::Value;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use self::failed::{call_failed, graph_failed, store_failed};
use self::shown::{filter, run_dict, run_dicts, runs_list};
use super::caller::Caller;
use super::runtime::Runtime;
use crate::convert::{Converter, Lending, Pickling, from_value, to_value};
use crate::error::from_marshal;

/// A run to begin: its name, the digest of its workflow and its input.
type Submission<'py> = (String, String, Bound<'py, PyAny>);

/// A runner of workflows on a database.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct WorkflowRunner {
    runner: Runner,
    /// The workflows that have been registered, by digest.
    graphs: Mutex<HashMap<String, Arc<Graph>>>,
}

impl WorkflowRunner {
    fn graph(&self, hash: &str) -> PyResult<Arc<Graph>> {
        let graphs = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || PyValueError::new_err(format!("no workflow {hash} is registered"));
        graphs.get(hash).cloned().ok_or_else(unknown)
    }
}

fn value_of(name: &'static str, object: &Bound<'_, PyAny>) -> PyResult<Value> {
    let converter = Converter::new(name, Lending::Copy, Pickling::Default);
    to_value(object, &converter).map_err(|error| from_marshal(object.py(), error))
}

#[pymethods]
impl WorkflowRunner {
    #[new]
    fn new(
        py: Python<'_>,
        url: &str,
        workers: usize,
        runtime: &Bound<'_, Runtime>,
        caller: Caller,
    ) -> PyResult<Self> {
        let url = parse_url(url)?;
        let (runtime, session) = (runtime.get().shared(), caller.into_options());
        let options = RunnerOptions { url, workers, runtime, session };
        let runner = py.detach(|| Runner::start(options)).map_err(|e| store_failed(py, &e))?;
        Ok(Self { runner, graphs: Mutex::default() })
    }

    /// Makes a workflow known. `codes` are pickles of the functions that cannot be imported.
    fn register(&self, py: Python<'_>, graph: &str, codes: Vec<(String, Vec<u8>)>) -> PyResult<()> {
        let parsed = parse_graph(py, graph)?;
        let mut graphs = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
        graphs.insert(parsed.workflow.hash.clone(), Arc::clone(&parsed));
        let codes = codes.into_iter().map(|(task, code)| (task, Bytes::from(code))).collect();
        self.runner.register(parsed, codes);
        Ok(())
    }

    fn submit(&self, py: Python<'_>, runs: Vec<Submission<'_>>) -> PyResult<()> {
        let mut new = Vec::with_capacity(runs.len());
        for (id, hash, input) in runs {
            new.push((id.into(), self.graph(&hash)?, value_of("input", &input)?));
        }
        py.detach(|| self.runner.submit(new)).map_err(|error| call_failed(py, &error))
    }

    fn cancel(&self, py: Python<'_>, run: &str) -> PyResult<()> {
        py.detach(|| self.runner.cancel(run)).map_err(|error| call_failed(py, &error))
    }

    fn signal(
        &self,
        py: Python<'_>,
        run: &str,
        event: &str,
        payload: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let payload = value_of("payload", payload)?;
        py.detach(|| self.runner.signal(run, event, payload)).map_err(|e| call_failed(py, &e))
    }

    fn waits_for_code(&self, py: Python<'_>, run: &str) -> PyResult<bool> {
        py.detach(|| self.runner.waits_for_code(run)).map_err(|error| call_failed(py, &error))
    }

    #[pyo3(signature = (run, from_step=None))]
    fn resume(&self, py: Python<'_>, run: &str, from_step: Option<String>) -> PyResult<()> {
        py.detach(|| self.runner.resume(run, from_step)).map_err(|error| call_failed(py, &error))
    }

    #[pyo3(signature = (run, new, from_step, input=None))]
    #[expect(clippy::too_many_arguments, reason = "arguments of a Python method")]
    fn fork(
        &self,
        py: Python<'_>,
        run: &str,
        new: &str,
        from_step: String,
        input: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let input = input.map(|input| value_of("input", input)).transpose()?;
        let forked = py.detach(|| self.runner.fork(run, new.into(), from_step, input));
        forked.map_err(|error| call_failed(py, &error))
    }

    #[expect(clippy::too_many_arguments, reason = "arguments of a Python method")]
    fn schedule(
        &self,
        py: Python<'_>,
        name: String,
        hash: String,
        spec: String,
        zone: String,
        input: &Bound<'_, PyAny>,
        catch_up: bool,
    ) -> PyResult<()> {
        let input = value_of("input", input)?;
        let new = NewSchedule { name, hash, spec, zone, input, catch_up };
        py.detach(|| self.runner.schedule(new)).map_err(|error| call_failed(py, &error))
    }

    fn unschedule(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        py.detach(|| self.runner.unschedule(name)).map_err(|error| call_failed(py, &error))
    }

    /// The schedules: name, times, time zone and the next time in milliseconds since 1970.
    fn schedules(&self, py: Python<'_>) -> PyResult<Vec<(String, String, String, i64)>> {
        let found = py.detach(|| self.runner.read(|store| store.schedules()));
        let found = found.map_err(|error| call_failed(py, &error))?;
        Ok(found.into_iter().map(|s| (s.name, s.spec, s.zone, s.next_ms)).collect())
    }

    /// A run with its steps and attempts, or None.
    fn find<'py>(&self, py: Python<'py>, run: String) -> PyResult<Option<Bound<'py, PyDict>>> {
        let found = py.detach(|| self.runner.read(move |store| look_up(store, &run)));
        let found = found.map_err(|error| call_failed(py, &error))?;
        found.map(|(found, attempts)| run_dict(py, &found, &attempts)).transpose()
    }

    #[pyo3(signature = (workflow=None, status=None, limit=None))]
    fn list<'py>(
        &self,
        py: Python<'py>,
        workflow: Option<String>,
        status: Option<&str>,
        limit: Option<u32>,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let filter = filter(workflow, status, limit)?;
        let found = py.detach(|| self.runner.read(move |store| store.list(&filter)));
        run_dicts(py, &found.map_err(|error| call_failed(py, &error))?)
    }

    /// The values of a run: input, outputs by task, and the context of all.
    fn result<'py>(&self, py: Python<'py>, run: &str) -> PyResult<Bound<'py, PyDict>> {
        let result = py.detach(|| self.runner.result(run)).map_err(|e| call_failed(py, &e))?;
        let dict = PyDict::new(py);
        dict.set_item("input", from_value(py, result.input)?)?;
        let outputs = PyDict::new(py);
        for (task, output) in result.outputs {
            outputs.set_item(task, from_value(py, output)?)?;
        }
        dict.set_item("outputs", outputs)?;
        dict.set_item("context", from_value(py, result.context)?)?;
        Ok(dict)
    }

    fn prune(&self, py: Python<'_>, before_ms: i64) -> PyResult<u64> {
        let pruned = py.detach(|| self.runner.read(move |store| store.prune(before_ms)));
        pruned.map_err(|error| call_failed(py, &error))
    }

    /// Waits for the next thing to know: "ended", "trouble" or "halted", with the name of the run or
    /// a text. None when the runner has ended.
    fn next_notice(&self, py: Python<'_>) -> Option<(&'static str, String)> {
        py.detach(|| self.runner.next_notice()).map(|notice| match notice {
            Notice::Ended(row) => ("ended", row.id.to_string()),
            Notice::Trouble(text) => ("trouble", text),
            Notice::Halted(text) => ("halted", text),
        })
    }

    /// The descriptor that holds the database, which children that fork must close.
    fn lock_descriptor(&self) -> Option<i32> {
        self.runner.lock_descriptor()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.runner.close());
    }
}

fn look_up(store: &mut dyn Store, run: &str) -> Result<Option<shown::Found>, StoreError> {
    let Some(found) = store.find(run)? else { return Ok(None) };
    let attempts = store.attempts(run)?;
    Ok(Some((found, attempts)))
}

fn parse_url(url: &str) -> PyResult<Url> {
    Url::parse(url).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn parse_graph(py: Python<'_>, graph: &str) -> PyResult<Arc<Graph>> {
    let (workflow, layout) = Workflow::parse(graph).map_err(|error| graph_failed(py, &error))?;
    Ok(Arc::new(Graph { workflow, layout, json: graph.to_owned() }))
}

/// Checks the graph of a workflow. Returns its tasks in an order in which they could run.
#[pyfunction]
pub(super) fn check_workflow(py: Python<'_>, graph: &str) -> PyResult<Vec<String>> {
    let graph = parse_graph(py, graph)?;
    check_limits(&graph.workflow).map_err(|error| graph_failed(py, &error))?;
    let tasks = &graph.workflow.tasks;
    Ok(graph.layout.order.iter().map(|at| tasks[*at].name.clone()).collect())
}

/// Checks a database URL. Returns it without its password.
#[pyfunction]
pub(super) fn check_database_url(url: &str) -> PyResult<String> {
    parse_url(url).map(|_checked| masked(url))
}

/// Looks at runs in a database, also while a runner uses it: those that a filter names, or one with
/// its steps and attempts.
#[pyfunction]
#[pyo3(signature = (url, run=None, workflow=None, status=None, limit=None))]
#[expect(clippy::too_many_arguments, reason = "arguments of a Python function")]
pub(super) fn look_at_runs<'py>(
    py: Python<'py>,
    url: &str,
    run: Option<String>,
    workflow: Option<String>,
    status: Option<&str>,
    limit: Option<u32>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let url = parse_url(url)?;
    let filter: Filter = filter(workflow, status, limit)?;
    let found = py.detach(|| {
        let mut store = store::open(&url, Access::Look)?;
        match &run {
            Some(run) => Ok((look_up(&mut *store, run)?, Vec::new())),
            None => Ok((None, store.list(&filter)?)),
        }
    });
    let (one, rows) = found.map_err(|error: StoreError| store_failed(py, &error))?;
    runs_list(py, one.as_ref(), &rows)
}
