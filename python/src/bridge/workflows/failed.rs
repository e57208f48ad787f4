//! Errors of workflows as exceptions of `remotemedia.workflows`.

use durable::engine::Refusal;
use durable::runner::CallError;
use durable::store::StoreError;
use durable::value::KeepError;
use durable::workflow::GraphError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The module with the exceptions.
const EXCEPTIONS: &str = "remotemedia.workflows.exceptions";

fn exception(
    py: Python<'_>,
    class: &str,
    message: &str,
    fields: &[(&str, Bound<'_, PyAny>)],
) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let keywords = PyDict::new(py);
        for (name, value) in fields {
            keywords.set_item(name, value)?;
        }
        let class = py.import(EXCEPTIONS)?.getattr(class)?;
        Ok(PyErr::from_value(class.call((message,), Some(&keywords))?))
    };
    make().unwrap_or_else(|raised| raised)
}

pub(super) fn store_failed(py: Python<'_>, error: &StoreError) -> PyErr {
    let class = match error {
        StoreError::InUse { .. } => "DatabaseInUse",
        _ => "DatabaseError",
    };
    exception(py, class, &error.to_string(), &[])
}

pub(super) fn graph_failed(py: Python<'_>, error: &GraphError) -> PyErr {
    let message = error.to_string();
    match error {
        GraphError::Cycle { tasks, .. } => match tasks.into_pyobject(py) {
            Ok(tasks) => exception(py, "WorkflowCycle", &message, &[("tasks", tasks)]),
            Err(raised) => raised,
        },
        _ => exception(py, "WorkflowError", &message, &[]),
    }
}

pub(super) fn call_failed(py: Python<'_>, error: &CallError) -> PyErr {
    let message = error.to_string();
    match error {
        CallError::Store(error) => store_failed(py, error),
        CallError::Keep(KeepError::Blob(_)) | CallError::Refused(Refusal::Store(_)) => {
            exception(py, "DatabaseError", &message, &[])
        }
        CallError::Keep(_) => exception(py, "NotKept", &message, &[]),
        CallError::NoRun(_) => exception(py, "RunNotFound", &message, &[]),
        CallError::Cron(_) => exception(py, "WorkflowError", &message, &[]),
        CallError::Refused(_) => exception(py, "RunRefused", &message, &[]),
        CallError::Ended(_) => exception(py, "RunnerClosed", &message, &[]),
    }
}
